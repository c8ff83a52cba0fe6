"""The record of a fit says everything once, and what deserves a second look."""

import math

import numpy as np
import pytest
from mixtures import SHAPES, fit, table

from jensen import datasets

X = table(0, 100, 2, 2)


def test_criteria_follow_the_plain_loglik_and_the_weight():
    weight = np.random.default_rng(0).random(100)
    result = fit(X, 2, weight, reg_covar=0.1)
    assert result.n_free == 11 and result.weight == pytest.approx(weight.sum()) and result.n_rows == 100
    assert result.bic == -2 * result.loglik + 11 * math.log(result.weight)
    assert result.aic == -2 * result.loglik + 22
    sure = np.log(result.fitted.responsibilities(X).max(axis=1)) @ weight
    assert result.icl == pytest.approx(result.bic - 2 * sure, rel=1e-12)
    assert result.objective < result.loglik


@pytest.mark.parametrize("shape", SHAPES)
def test_covariances_as_matrices(shape):
    matrices = fit(X, 2, covariance_type=shape).covariance_matrices()
    assert matrices.shape == (2, 2, 2)
    np.testing.assert_array_equal(matrices, matrices.transpose(0, 2, 1))
    assert shape not in ("diag", "spherical") or (matrices[:, 0, 1] == 0).all()
    assert shape != "tied" or (matrices[0] == matrices[1]).all()


def test_a_sound_fit_has_nothing_to_say_and_others_have():
    sound = fit(X, 2, n_init=3)
    assert sound.warnings == () and sound.is_sound and sound.n_agreeing == 3
    (cut,) = fit(X, 2, max_iter=1, init="random").warnings
    assert "max_iter" in cut
    saddle = fit(X, 2, init=np.full((100, 2), 0.5))
    assert saddle.coinciding == ((0, 1),)
    assert "components 0, 1 coincide: a saddle" in saddle.warnings[0]
    starved = fit(X[:4], 3)
    assert any("degenerate" in text and "Lower n_components" in text for text in starved.warnings)


def test_parameters_and_labels_of_the_user_are_taken_as_they_are():
    faithful = datasets.load("faithful").data
    first = fit(faithful, 2)
    again = fit(faithful, 2, weights=first.params["weights"], means=first.params["means"], n_init=5, max_iter=0)
    np.testing.assert_array_equal(again.params["means"], first.params["means"])
    given = fit(faithful, 2, n_init=5, max_iter=0, **first.params.values)
    assert [s.kind for s in given.starts] == ["parameters"] and given.objective == first.objective
    warm = fit(faithful, 2, warm_start=first.params, tol=1e-3, n_init=5)
    assert [s.kind for s in warm.starts] == ["warm start"] and warm.n_iter <= 2

    def halves(x, n_components, rng):
        return (x[:, 0] > np.median(x[:, 0])).astype(int)

    assert fit(faithful, 2, init=halves, n_init=2).objective == pytest.approx(first.objective, abs=1e-5)


def test_fitted_mixture_is_the_one_that_was_fitted():
    result = fit(X, 2)
    fitted = type(result.fitted).from_arrays("full", *(result.params[n] for n in ("weights", "means", "covariances")))
    assert fitted.assess(X).loglik == result.loglik
    np.testing.assert_array_equal(fitted.labels(X), fitted.responsibilities(X).argmax(axis=1))
    assert fitted.row_loglik(X).sum() == pytest.approx(result.loglik, rel=1e-13)
    rows, labels = fitted.sample(50, np.random.default_rng(0))
    assert rows.shape == (50, 2) and labels.shape == (50,)
