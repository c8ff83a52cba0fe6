"""The information of a mixture and of the three coins is minus the second derivatives of the log-likelihood."""

import numpy as np
import pytest
from mixtures import SHAPES
from scipy.linalg import block_diag

import jensen
from jensen.core.block import Block
from jensen.core.information import Information, entry_names, told_entries
from jensen.families.gaussian import Gaussian
from jensen.infer.differences import first_derivative
from jensen.models.louis import louis
from jensen.models.mixture import Mixture, _log_weights

UNIT = {"full": np.eye(3) * np.ones((2, 1, 1)), "tied": np.eye(3), "diag": np.ones((2, 3)), "spherical": np.ones(2)}


def problem(shape, seed=0, ridge=0.0):
    """A mixture, arbitrary parameters far from any optimum, and a weighted block."""
    rng = np.random.default_rng(seed)
    model = Mixture(Gaussian(2, 3, shape, np.full(3, ridge)))
    params = model.parameters(weights=[0.5, 0.5], means=np.zeros((2, 3)), covariances=UNIT[shape])
    params = params.from_free(params.to_free() + 0.3 * rng.standard_normal(params.n_free))
    rows = rng.standard_normal((20, 3)) + (rng.random(20) < 0.5)[:, None]
    return model, params, Block({"x": rows}, rng.integers(0, 3, 20).astype(float))


def jacobian(params):
    return block_diag(*[domain.jacobian(params[name]) for name, domain in params.domains.items()])


def tangents(params):
    """Directions (m, P) along which the natural entries may move."""
    return jacobian(params).T


@pytest.mark.parametrize("shape", SHAPES)
def test_score_is_the_gradient(shape):
    model, params, block = problem(shape)
    score = jacobian(params).T @ model.information(params, block).score
    free, unit = params.to_free(), np.eye(params.n_free)
    for j, direction in enumerate(unit):
        slope, _ = first_derivative(
            lambda t, e=direction: model.assess(params.from_free(free + t * e), block).loglik, 0.02
        )
        assert score[j] == pytest.approx(float(slope), abs=1e-8)


@pytest.mark.parametrize("shape", SHAPES)
def test_observed_information_is_minus_the_derivative_of_the_score(shape):
    model, params, block = problem(shape, seed=1)
    found = model.information(params, block)
    free = params.to_free()
    for j, direction in enumerate(np.eye(params.n_free)):
        slope, _ = first_derivative(
            lambda t, e=direction: model.information(params.from_free(free + t * e), block).score, 0.05
        )
        np.testing.assert_allclose(found.observed @ tangents(params)[j], -slope, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.observed, found.observed.T, atol=1e-10)
    np.testing.assert_allclose(found.complete, found.complete.T, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_add_up_and_weights_are_repetitions(shape):
    model, params, block = problem(shape, seed=2)
    whole = model.information(params, block)
    parts = [
        model.information(params, Block({"x": block.x[rows]}, block.weight[rows]))
        for rows in (slice(0, 7), slice(7, 20))
    ]
    both = parts[0].merge(parts[1])
    again = model.information(params, Block({"x": np.repeat(block.x, block.weight.astype(int), axis=0)}))
    for field in ("loglik", "score", "observed", "complete", "outer"):
        np.testing.assert_allclose(getattr(both, field), getattr(whole, field), rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(getattr(again, field), getattr(whole, field), rtol=1e-10, atol=1e-10)


def test_sub_blocks_change_nothing(monkeypatch):
    model, params, block = problem("full")
    whole = model.information(params, block)
    monkeypatch.setattr("jensen.models.louis._SCORES", 3 * 26)
    np.testing.assert_allclose(model.information(params, block).observed, whole.observed, rtol=1e-10, atol=1e-10)


def test_complete_data_information_is_that_of_known_components():
    # With components so far apart that nothing is hidden, the two informations are one.
    model, params, _ = problem("full")
    params = params.replace(means=[[0.0, 0.0, 0.0], [80.0, 80.0, 80.0]])
    rows = np.random.default_rng(0).standard_normal((30, 3))
    rows[15:] += 80.0
    found = model.information(params, Block({"x": rows}))
    tangent = tangents(params)
    # Tangents leave the sum of the weights alone, on which alone the two differ.
    np.testing.assert_allclose(
        tangent[1:] @ found.observed @ tangent[1:].T, tangent[1:] @ found.complete @ tangent[1:].T, rtol=1e-9, atol=1e-9
    )


def test_the_density_is_the_plain_one():
    model, params, block = problem("full")
    smooth, _, _ = problem("full", ridge=0.5)
    np.testing.assert_array_equal(model.information(params, block).score, smooth.information(params, block).score)


def test_a_weight_of_zero_does_no_harm():
    model, params, block = problem("diag")
    found = model.information(params.replace(weights=[1.0, 0.0]), block)
    assert np.isfinite(found.observed).all() and np.isfinite(found.complete).all()
    alone = Mixture(Gaussian(1, 3, "diag"))
    one = alone.parameters(weights=[1.0], means=params["means"][:1], covariances=params["covariances"][:1])
    expected = alone.information(one, block)
    np.testing.assert_allclose(found.observed[2:5, 2:5], expected.observed[1:4, 1:4], rtol=1e-10)


def test_a_family_without_derivatives_has_no_information():
    class Bare:
        n_components, domains = 2, {}

    assert Mixture(Bare()).information is None
    assert isinstance(louis(*(lambda m, p, b: (m.family, p, _log_weights(p), b))(*problem("tied"))), Information)


@pytest.mark.parametrize("at", [(0.3, 0.2, 0.9), (0.5, 0.6, 0.6), (0.4, 0.1, 0.7)])
def test_three_coins(at):
    model = jensen.models.ThreeCoins()
    block = Block({"x": np.array([[1.0], [0.0], [1.0], [1.0]])}, np.array([2.0, 1.0, 0.0, 3.0]))

    def score(values):
        return model.information(model.parameters(**dict(zip(("pi", "p", "q"), values, strict=True))), block).score

    params = model.parameters(pi=at[0], p=at[1], q=at[2])
    found = model.information(params, block)
    assert found.loglik == pytest.approx(float(block.weight @ model.row_loglik(params, block)))
    for j, unit in enumerate(np.eye(3)):
        slope, _ = first_derivative(lambda t, e=unit: score(np.array(at) + t * e), 0.02)
        np.testing.assert_allclose(found.observed[:, j], -slope, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("at", [(0.0, 0.2, 0.6), (0.5, 1.0, 0.0), (1.0, 0.6, 0.0)])
def test_three_coins_on_the_boundary_stay_finite(at):
    model = jensen.models.ThreeCoins()
    found = model.information(model.parameters(pi=at[0], p=at[1], q=at[2]), Block({"x": np.array([[1.0], [0.0]])}))
    for field in ("score", "observed", "complete", "outer"):
        assert np.isfinite(getattr(found, field)).all()


def test_entries_have_names_and_symmetric_ones_are_told_once():
    domains = {"p": jensen.domains.Interval(()), "s": jensen.domains.PositiveDefinite(2)}
    assert entry_names(domains) == ("p", "s[0, 0]", "s[0, 1]", "s[1, 0]", "s[1, 1]")
    assert told_entries(domains).tolist() == [True, True, False, True, True]
