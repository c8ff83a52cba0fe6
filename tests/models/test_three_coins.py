"""The three coins: boundary starts, bad tosses, weights, draws."""

import warnings

import numpy as np
import pytest

import jensen
from jensen.core.block import Block
from jensen.errors import InputError, JensenWarning
from jensen.models import ThreeCoins

TOSSES = [1, 1, 0, 1, 0, 0, 1, 0, 1, 1]
NAMES = ("pi", "p", "q")


def fit(pi, p, q, tosses=TOSSES, **settings):
    return jensen.em(ThreeCoins(), tosses, {"pi": pi, "p": p, "q": q}, **settings)


@pytest.mark.parametrize(
    ("start", "boundary", "end"),
    [
        # Coin B is never chosen: C explains all, and B's own chance stays.
        ((0.0, 0.3, 0.5), ("pi",), (0.0, 0.3, 0.6)),
        ((1.0, 0.3, 0.5), ("pi",), (1.0, 0.6, 0.5)),
        # B never shows heads: it takes tails alone, and remains there.
        ((0.5, 0.0, 0.5), ("p",), None),
        ((0.5, 1.0, 0.5), ("p",), None),
        ((0.5, 1.0, 0.0), ("p", "q"), (0.6, 1.0, 0.0)),
    ],
)
def test_a_start_on_the_boundary_is_kept_with_a_warning(start, boundary, end):
    with pytest.warns(JensenWarning, match="on the boundary at " + ", ".join(boundary)) as told:
        found = fit(*start)
    assert len(told) == 1
    assert found.boundary == boundary and found.status.is_converged
    for name, value in zip(NAMES, start, strict=True):
        if name in boundary and value != found.params[name]:
            raise AssertionError(f"{name} left the boundary for {found.params[name]}")
    if end is not None:
        np.testing.assert_allclose([found.params[name] for name in NAMES], end, atol=1e-12)
    assert found.params["pi"] * found.params["p"] + (1 - found.params["pi"]) * found.params["q"] == pytest.approx(0.6)


def test_a_start_that_forbids_what_was_seen_is_an_error():
    with pytest.raises(jensen.errors.NumericalFailure, match="start"):
        fit(0.5, 0.0, 0.0)


@pytest.mark.parametrize("tosses", [[0, 1, 2], [0.5, 1.0], [[0, 1], [1, 0]], [-1, 1]])
def test_bad_tosses(tosses):
    with pytest.raises(InputError, match="one column of 0 and 1"):
        fit(0.4, 0.6, 0.7, tosses)


@pytest.mark.parametrize("tosses", [[np.nan, 1.0], [], ["heads", "tails"]])
def test_tosses_that_are_no_numbers(tosses):
    with pytest.raises(InputError):
        fit(0.4, 0.6, 0.7, tosses)


def test_tosses_may_be_true_and_false():
    assert fit(0.4, 0.6, 0.7, np.array(TOSSES, dtype=bool)).objective == fit(0.4, 0.6, 0.7).objective


@pytest.mark.parametrize(("tosses", "end"), [([1, 1, 1], 1.0), ([0, 0], 0.0), ([1], 1.0)])
def test_tosses_that_are_all_alike(tosses, end):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fit(0.4, 0.6, 0.7, tosses)
    assert found.params["p"] == found.params["q"] == end
    assert found.objective == pytest.approx(0.0, abs=1e-15)


def test_weights_are_repetitions():
    weighted = fit(0.4, 0.6, 0.7, [1, 0, 1], sample_weight=[5, 4, 1])
    repeated = fit(0.4, 0.6, 0.7)
    for name in NAMES:
        assert weighted.params[name] == pytest.approx(repeated.params[name], abs=1e-14)


def test_shares_of_the_coins_are_their_posterior():
    model = ThreeCoins()
    params = model.parameters(pi=0.4, p=0.6, q=0.7)
    block = Block({"x": np.array([[1.0], [0.0]])})
    found = model.expect(params, block)
    assert found.b == pytest.approx(0.24 / 0.66 + 0.16 / 0.34)
    assert found.b_heads == pytest.approx(0.24 / 0.66)
    np.testing.assert_allclose(model.row_loglik(params, block), np.log([0.66, 0.34]))


def test_draws_have_the_identified_chance():
    model = ThreeCoins()
    drawn = model.sample(model.parameters(pi=0.4, p=0.1, q=0.7), 20_000, np.random.default_rng(0))
    assert drawn.shape == (20_000, 1) and set(np.unique(drawn)) == {0.0, 1.0}
    assert drawn.mean() == pytest.approx(0.4 * 0.1 + 0.6 * 0.7, abs=0.015)


def test_the_identified_combination():
    model = ThreeCoins()
    ((name, function),) = model.identified.items()
    assert name == "pi*p + (1-pi)*q"
    assert function(fit(0.4, 0.6, 0.7).params) == pytest.approx(0.6, abs=1e-14)
