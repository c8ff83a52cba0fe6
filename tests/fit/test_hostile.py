"""Data that break other programs: always a usable, finite, labelled result that says what is wrong with it."""

import numpy as np
import pytest
from mixtures import SHAPES, START_KINDS, fit, table

from jensen.core.status import Status

X = table(0, 40, 3, 3)


def with_row(x, row):
    return np.vstack([x, row])


# Data and K.
CASES = {
    "duplicated rows": (np.repeat(X[:6], 10, axis=0), 3),
    "rounded to few values": (np.round(X), 4),
    "constant column": (np.column_stack([X, np.full(40, 5.0)]), 3),
    "all columns constant but one": (np.column_stack([X[:, :1], np.ones((40, 2))]), 2),
    "all rows equal": (np.full((30, 3), 2.5), 3),
    "all rows zero": (np.zeros((30, 3)), 2),
    "K = n": (X[:5], 5),
    "n < d": (table(1, 4, 9, 2), 2),
    "two rows": (X[:2], 2),
    "one row": (X[:1], 1),
    "more components than different rows": (np.repeat(X[:2], 8, axis=0), 5),
    "outlier at 1e5 standard deviations": (with_row(X, 1e5 * np.ones(3)), 3),
    "outlier at 1e12 standard deviations": (with_row(X, 1e12 * np.ones(3)), 3),
    "outlier in the first row": (with_row(1e5 * np.ones((1, 3)), X), 2),
    "huge scale": (1e145 * X, 3),
    "tiny scale": (1e-145 * X, 3),
    "scale whose squares vanish": (1e-170 * X, 3),
    "scale of the smallest floats": (1e-320 * X, 3),
    "columns of scales far apart": (X * [1e-12, 1.0, 1e12], 3),
    "far from the origin": (X + 1e12, 3),
    "collinear columns": (X @ np.array([[1.0, 2.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]), 2),
    "steps that floats just tell apart": (1.0 + np.spacing(1.0) * np.arange(40.0)[:, None], 2),
}


@pytest.mark.parametrize("kind", START_KINDS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("x, n_components", CASES.values(), ids=CASES)
def test_result_is_usable(x, n_components, shape, kind):
    result = fit(x, n_components, covariance_type=shape, init=kind, max_iter=200)
    assert result.params.is_finite
    result.params.check()
    assert np.isfinite([result.objective, result.loglik, result.bic, result.aic]).all()
    # Without a penalty the two are the same but for rounding.
    assert result.objective <= result.loglik + 1e-12 * abs(result.loglik)
    fitted = result.fitted
    labels, shares = fitted.labels(x), fitted.responsibilities(x)
    assert labels.shape == (len(x),) and set(labels) <= set(range(n_components))
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-12)
    assert np.isfinite(fitted.row_loglik(x)).all()
    assert np.isfinite(fitted.sample(20, np.random.default_rng(0))[0]).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_wrong_is_said(shape):
    lone = fit(X[:5], 5, covariance_type=shape)
    assert not lone.is_sound and "effective rows" in lone.faults[0]
    equal = fit(np.full((30, 3), 2.5), 3, covariance_type=shape)
    assert equal.coinciding == ((0, 1, 2),)
    assert any("coincide" in message for message in equal.warnings)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_constant_column_is_no_fault(shape):
    x = np.column_stack([table(0, 200, 2, 2), np.full(200, 5.0)])
    result = fit(x, 2, covariance_type=shape)
    assert result.is_sound and result.status.is_converged
    np.testing.assert_allclose(result.params["means"][:, 2], 5.0, rtol=1e-12)


@pytest.mark.parametrize("shape", ["full", "diag", "spherical"])
def test_without_a_ridge_a_collapse_is_degenerate_and_keeps_the_last_good_parameters(shape):
    x = np.vstack([X, np.full((6, 3), 50.0)])
    labels = (np.arange(46) >= 38).astype(int)
    result = fit(x, 2, covariance_type=shape, reg_covar=0.0, init=labels)
    assert result.status is Status.DEGENERATE and not result.is_sound
    assert "not positive definite" in result.detail
    result.params.check()
    assert np.isfinite(result.objective) and len(result.trace) == result.n_iter + 1


@pytest.mark.parametrize("shape", SHAPES)
def test_float32_is_the_fit_of_the_same_rounded_numbers(shape):
    single = (X + 1000.0).astype(np.float32)
    one, other = (fit(x, 3, covariance_type=shape, reg_covar=1e-6) for x in (single, single.astype(np.float64)))
    for name in one.params.values:
        np.testing.assert_allclose(one.params[name], other.params[name], rtol=1e-4)
    assert one.loglik == pytest.approx(other.loglik, rel=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_far_rows_keep_the_variance_of_the_ridge(dtype):
    result = fit(np.array([[9999], [0]], dtype=dtype), 2, covariance_type="spherical", reg_covar=0.1)
    np.testing.assert_allclose(result.params["covariances"], 0.1, rtol=1e-12)
