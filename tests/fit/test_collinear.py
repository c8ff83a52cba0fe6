"""Columns that others determine are found and named, whatever their units."""

import numpy as np
import pytest

from jensen.data.arrays import ArraySource
from jensen.fit.selection.collinear import collinear_columns
from jensen.fit.summary import summarise

X = np.random.default_rng(0).normal(size=(200, 3)) * [1.0, 1e4, 1e-3] + [0.0, 1e6, 5.0]


def found(x, weight=None):
    return collinear_columns(summarise(ArraySource(x, weight), 0))


def test_independent_columns_are_left_alone():
    assert found(X) == ()
    assert found(X[:, :1]) == () and found(X[:3]) == ()
    nearly = np.column_stack([X, X[:, 0] + 1e-5 * np.random.default_rng(1).normal(size=200)])
    assert found(nearly) == ()


@pytest.mark.parametrize("weight", [None, np.arange(200.0)])
def test_combinations_are_named_with_their_coefficients(weight):
    x = np.column_stack([X, 2.0 * X[:, 0] - 3.0 * X[:, 1] + 7.0])
    (one,) = found(x, weight)
    # Any of the three may be told by the other two.
    assert {one.column, *one.others} == {0, 1, 3}
    inside = x[:, one.others] @ np.array(one.coefficients) - x[:, one.column]
    assert np.ptp(inside) < 1e-6 * np.ptp(x[:, one.column])
    words = one.words(("a", "b", "c", "d"))
    assert words.endswith("but for a constant") and all(f"'{name}'" in words for name in "abd") and "'c'" not in words


def test_a_column_twice_and_a_constant_one():
    x = np.column_stack([X, X[:, 1], np.ones(200)])
    (one,) = found(x)
    assert {one.column, *one.others} == {1, 3} and one.coefficients == pytest.approx((1.0,))
    assert one.words(("a", "b", "c", "d", "e")) in ("'d' is 'b', but for a constant", "'b' is 'd', but for a constant")


def test_a_column_that_varies_in_rows_outside_the_sample():
    x = np.column_stack([np.random.default_rng(0).normal(size=(200_000, 2)), np.zeros(200_000)])
    x[5, 2] = 1.0
    data = summarise(ArraySource(x), 0)
    assert data.informative.all() and np.ptp(data.rows[:, 2]) == 0
    assert collinear_columns(data) == ()
