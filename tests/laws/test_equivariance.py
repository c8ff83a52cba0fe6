"""Nothing depends on the order of rows or components, nor on the units and the origin of the columns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixtures import SHAPES, START_KINDS, fit, fixed_em, mixture, start_from, table

shapes = st.sampled_from(SHAPES)
seeds = st.integers(0, 2**16)
GRID = 2.0**-20


def rows(seed, n=80, d=2):
    """Rows on a grid that floats still represent exactly when they are shifted by 1e8."""
    return np.round(table(seed, n, d, 3) / GRID) * GRID


def assert_same_parameters(one, other, rtol):
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(one[name], other[name], rtol=rtol, atol=rtol * np.abs(one[name]).max(), err_msg=name)


@given(seeds, shapes)
def test_order_of_rows(seed, shape):
    x = rows(seed)
    order = np.random.default_rng(seed).permutation(len(x))
    model, labels = mixture(3, 2, shape, 1e-3), np.arange(len(x)) % 3
    one = fixed_em(model, x, start_from(model, x, labels), 5)
    other = fixed_em(model, x[order], start_from(model, x[order], labels[order]), 5)
    assert other.objective == pytest.approx(one.objective, rel=1e-11)
    assert_same_parameters(one.params, other.params, 1e-9)


@given(seeds, shapes)
def test_order_of_components(seed, shape):
    x = rows(seed)
    order = np.random.default_rng(seed).permutation(3)
    model = mixture(3, 2, shape, 1e-3)
    start = start_from(model, x, np.arange(len(x)) % 3)
    turned = {
        name: v if v.ndim == 2 and shape == "tied" and name == "covariances" else v[order]
        for name, v in start.values.items()
    }
    one, other = fixed_em(model, x, start, 5), fixed_em(model, x, start.replace(**turned), 5)
    assert other.objective == pytest.approx(one.objective, rel=1e-11)
    np.testing.assert_allclose(other.params["means"], one.params["means"][order], rtol=1e-9)
    np.testing.assert_allclose(other.params["weights"], one.params["weights"][order], rtol=1e-9)


@given(seeds, shapes, st.sampled_from(START_KINDS))
def test_default_fit_knows_no_order(seed, shape, kind):
    x = rows(seed)
    order = np.random.default_rng(seed).permutation(len(x))
    one, other = (fit(data, 3, covariance_type=shape, init=kind, max_iter=50) for data in (x, x[order]))
    np.testing.assert_array_equal(one.fitted.labels(x), other.fitted.labels(x))


@given(seeds, shapes, st.sampled_from(START_KINDS))
def test_origin(seed, shape, kind):
    x = rows(seed)
    near, far = (fit(data, 3, covariance_type=shape, init=kind, max_iter=100) for data in (x, x + 1e8))
    np.testing.assert_array_equal(near.fitted.labels(x), far.fitted.labels(x + 1e8))
    assert far.loglik == pytest.approx(near.loglik, rel=1e-8)
    np.testing.assert_allclose(far.params["covariances"], near.params["covariances"], rtol=1e-5, atol=1e-7)


UNITS = {
    "all small": [1e-6, 1e-6],
    "all large": [1e6, 1e6],
    "first small": [1e-6, 1.0],
    "second large": [1.0, 1e6],
    "both ways": [1e6, 1e-6],
}
SCALED = [(s, u) for s in SHAPES for u in UNITS if s != "spherical" or u.startswith("all")]


@pytest.mark.parametrize("kind", START_KINDS)
@pytest.mark.parametrize("shape, units", SCALED)
def test_units(shape, units, kind):
    units = np.array(UNITS[units])
    for seed in range(5):
        x = rows(seed)
        one, other = (fit(data, 3, covariance_type=shape, init=kind, max_iter=200) for data in (x, x * units))
        np.testing.assert_array_equal(one.fitted.labels(x), other.fitted.labels(x * units))
        assert other.loglik == pytest.approx(one.loglik - len(x) * np.log(units).sum(), rel=1e-8)
        assert one.faults == other.faults and one.status == other.status
