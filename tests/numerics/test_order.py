"""Draws and quantiles know values and weights, never positions."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jensen.numerics.order import canonical_order, draw_by_weight, draw_distinct, row_keys, weighted_quantiles

few_values = hnp.arrays(
    float, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.sampled_from([0, 1, 2.5])
)


@given(few_values)
def test_canonical_order_is_the_full_sort(rows):
    full = rows[np.lexsort(rows.T[::-1])]
    np.testing.assert_array_equal(rows[canonical_order(rows)], full)


def test_keys_follow_values_alone_and_are_uniform():
    rows = np.random.default_rng(0).standard_normal((20_000, 3))
    keys = row_keys(rows, 5)
    np.testing.assert_array_equal(row_keys(rows[::-1], 5), keys[::-1])
    assert len(np.unique(keys)) == len(rows)
    assert not (row_keys(rows, 6) == keys).any()
    shares = np.bincount(keys >> np.uint64(60), minlength=16) / len(keys)
    np.testing.assert_allclose(shares, 1 / 16, atol=0.01)
    np.testing.assert_array_equal(row_keys(np.array([[0.0]]), 1), row_keys(np.array([[-0.0]]), 1))


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(1, 3)), min_size=1), st.integers(1, 100))
def test_quantiles_take_weights_for_repetitions(pairs, percent):
    values, weight = np.array(pairs, dtype=float).T
    repeated = np.repeat(values, weight.astype(int))
    expected = np.quantile(repeated, percent / 100, method="inverted_cdf")
    assert weighted_quantiles(values, weight, (percent / 100,))[0] == expected
    with_nothing = np.append(values, -99.0), np.append(weight, 0.0)
    assert weighted_quantiles(*with_nothing, (percent / 100,))[0] == expected


def test_draws_follow_weights_and_never_take_weight_zero():
    weight = np.array([0.0, 1.0, 3.0, 0.0])
    drawn = draw_by_weight(weight, np.random.default_rng(0).random(20_000))
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 20_000, weight / 4, atol=0.02)
    distinct = draw_distinct(weight, np.random.default_rng(0), 4)
    assert sorted(distinct) == [1, 2]
    first = [draw_distinct(weight, np.random.default_rng(seed), 1)[0] for seed in range(2000)]
    assert abs(np.mean(np.array(first) == 2) - 0.75) < 0.03
