"""Weight 2 is the row twice, weight 0 is no row, and the weights' unit is the objective's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixtures import SHAPES, START_KINDS, fit, fixed_em, mixture, start_from, table

from jensen import datasets
from jensen.data.arrays import ArraySource

shapes = st.sampled_from(SHAPES)


@pytest.mark.parametrize("shape", SHAPES)
def test_repeated_rows_of_faithful(shape):
    x = datasets.load("faithful").data
    times = np.arange(len(x)) % 4
    repeated, labels = np.repeat(x, times, axis=0), (x[:, 0] > 3).astype(int)
    model = mixture(2, 2, shape)
    weight = times.astype(float)
    one = fixed_em(model, ArraySource(x, weight), start_from(model, x, labels, weight), 20)
    other = fixed_em(model, repeated, start_from(model, repeated, np.repeat(labels, times)), 20)
    assert one.objective == pytest.approx(other.objective, rel=1e-10)
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(one.params[name], other.params[name], rtol=1e-10)


@given(st.integers(0, 2**16), shapes, st.sampled_from(START_KINDS))
def test_default_fits(seed, shape, kind):
    x = table(seed, 60, 2, 3)
    times = np.random.default_rng(seed).integers(0, 4, 60)
    settings = {"covariance_type": shape, "init": kind, "max_iter": 50}
    weighted = fit(x, 3, times.astype(float), **settings)
    repeated = fit(np.repeat(x, times, axis=0), 3, **settings)
    assert weighted.objective == pytest.approx(repeated.objective, rel=1e-9)
    assert (weighted.weight, weighted.n_rows, repeated.n_rows) == (times.sum(), 60, times.sum())
    np.testing.assert_array_equal(weighted.fitted.labels(x), repeated.fitted.labels(x))
    without = fit(x[times > 0], 3, times[times > 0].astype(float), **settings)
    assert weighted.objective == pytest.approx(without.objective, rel=1e-9)


@given(st.integers(0, 2**16), shapes, st.floats(1e-3, 1e3))
def test_unit_of_the_weights_scales_the_objective(seed, shape, unit):
    x = table(seed, 60, 2, 3)
    weight = np.random.default_rng(seed).random(60)
    model = mixture(3, 2, shape, 1e-3)
    labels = np.arange(60) % 3
    one, other = (
        fixed_em(model, ArraySource(x, w), start_from(model, x, labels, w), 5) for w in (weight, weight * unit)
    )
    assert other.objective == pytest.approx(unit * one.objective, rel=1e-11)
    np.testing.assert_allclose(other.params["means"], one.params["means"], rtol=1e-8, atol=1e-9)
