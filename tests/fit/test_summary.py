"""The data's summary knows weights and values; order and repetition are nothing to it."""

import numpy as np
import pytest
from mixtures import table

from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.fit import summary
from jensen.fit.summary import summarise

FIELDS = ("rows", "weight", "centre", "variance", "robust_variance", "informative", "total_weight")


def assert_same(one, other, exactly=()):
    for name in FIELDS:
        if name in exactly:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
        else:
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-12, err_msg=name)


@pytest.fixture(params=["whole", "sampled"])
def x(request, monkeypatch):
    if request.param == "sampled":
        monkeypatch.setattr(summary, "MAX_ROWS", 100)
        monkeypatch.setattr(summary, "_MIN_ROWS", 100)
    return np.round(table(0, 2000, 3, 4), 1)


def test_moments_are_those_of_the_weighted_data(x):
    weight = np.random.default_rng(0).random(len(x))
    found = summarise(ArraySource(x, weight, block_rows=300))
    np.testing.assert_allclose(found.centre, np.average(x, axis=0, weights=weight), rtol=1e-12)
    np.testing.assert_allclose(found.variance, np.cov(x.T, aweights=weight, ddof=0).diagonal(), rtol=1e-12)
    assert found.total_weight == pytest.approx(weight.sum())
    assert found.informative.all()
    np.testing.assert_array_equal(found.rows, np.unique(found.rows, axis=0))
    np.testing.assert_array_equal(found.auto_ridge(), 1e-6 * found.robust_variance)


def test_weight_is_repetition_and_weight_zero_is_no_row(x):
    weight = np.random.default_rng(0).integers(0, 4, len(x)).astype(float)
    weighted = summarise(ArraySource(x, weight, block_rows=300))
    repeated = summarise(ArraySource(np.repeat(x, weight.astype(int), axis=0)))
    present = summarise(ArraySource(x[weight > 0], weight[weight > 0]))
    assert_same(weighted, repeated, exactly=("rows", "weight"))
    assert_same(weighted, present, exactly=("rows", "weight"))


def test_order_of_the_rows_is_nothing(x):
    order = np.random.default_rng(1).permutation(len(x))
    shuffled = ArraySource(x[order], block_rows=77)
    assert_same(summarise(ArraySource(x)), summarise(shuffled), exactly=("rows", "weight", "informative"))


def test_far_away_columns_keep_their_variance():
    far = table(0, 500, 2, 2) + 2.0**30
    found = summarise(ArraySource(far, block_rows=64))
    np.testing.assert_allclose(found.variance, (far - 2.0**30).var(axis=0), rtol=1e-7)


def test_robust_variance_sets_outliers_and_constant_columns_aside():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.standard_normal(4000), np.full(4000, 3.0), 10 * rng.standard_normal(4000)])
    x[0, 0] = 1e6
    found = summarise(ArraySource(x))
    assert found.robust_variance[0] == pytest.approx(1.0, rel=0.1) and found.variance[0] > 1e7
    assert list(found.informative) == [True, False, True]
    # The constant column gets the geometric mean of the others: the only scale at hand.
    assert found.robust_variance[1] == pytest.approx(np.sqrt(found.robust_variance[0] * found.robust_variance[2]))
    assert found.variance[1] == 0.0 and found.scale[1] > 0
    flat = summarise(ArraySource(np.full((5, 2), 7.0)))
    np.testing.assert_array_equal(flat.robust_variance, [1.0, 1.0])
    assert flat.rows.tolist() == [[7.0, 7.0]] and flat.weight.tolist() == [5.0]


def test_mostly_tied_column_falls_back_to_its_variance():
    x = np.zeros((100, 1))
    x[:10] = 1.0
    found = summarise(ArraySource(x))
    assert found.robust_variance[0] == found.variance[0] == pytest.approx(0.09)


def test_large_data_are_sampled_by_key():
    x = np.random.default_rng(0).standard_normal((150_000, 2))
    found, again = summarise(ArraySource(x), seed=1), summarise(ArraySource(x[::-1]), seed=1)
    assert len(found.rows) == summary.MAX_ROWS
    np.testing.assert_array_equal(found.rows, again.rows)
    assert not np.array_equal(found.rows, summarise(ArraySource(x), seed=2).rows)
    np.testing.assert_allclose(found.rows.mean(axis=0), 0.0, atol=0.02)
    np.testing.assert_allclose(found.variance, x.var(axis=0), rtol=1e-12)
    assert found.total_weight == 150_000


def test_a_span_that_cannot_be_squared_is_refused_and_one_too_small_is_none():
    x = table(0, 50, 2, 2)
    with pytest.raises(InputError, match="column 1 spans .* too large for floats; divide it by a power of ten"):
        summarise(ArraySource(x * [1.0, 1e160]))
    with pytest.raises(InputError, match="column 0 spans -1e\\+308 to 1e\\+308"):
        summarise(ArraySource(np.array([[-1e308]] * 600 + [[1e308]] * 600), block_rows=600))
    found = summarise(ArraySource(x * [1.0, 1e-170]))
    assert list(found.informative) == [True, False] and (found.scale > 0).all()
