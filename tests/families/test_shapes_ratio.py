"""Truncated eigenvalues satisfy the ratio, and no others that do have a higher likelihood."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar

from jensen.errors import NumericalFailure
from jensen.families.shapes import complete_objective, maximize_shape
from jensen.families.shapes.ratio import WITH_RATIO, truncated, within_ratio


def cost(values, counts, moved):
    return float((counts[:, None] * (np.log(moved) + values / moved)).sum())


def search(values, counts, ratio):
    """The lowest cost over the floor m, from a grid that no interval escapes and golden sections around its best."""
    lowest, highest = np.log(values[values > 0].min() / ratio), np.log(values.max())
    grid = np.linspace(lowest - 1.0, highest + 1.0, 801)

    def at(log_m):
        return cost(values, counts, np.clip(values, np.exp(log_m), ratio * np.exp(log_m)))

    best = grid[int(np.argmin([at(m) for m in grid]))]
    step = grid[1] - grid[0]
    found = minimize_scalar(at, bounds=(best - step, best + step), method="bounded", options={"xatol": 1e-10})
    return min(found.fun, at(best))


@given(
    seed=st.integers(0, 2**20),
    n_components=st.integers(1, 5),
    p=st.integers(1, 6),
    spread=st.sampled_from([0.1, 1.0, 5.0]),
    ratio=st.sampled_from([1.0, 1.5, 12.0, 1e4]),
    hostile=st.sampled_from(["", "zero", "ties", "light"]),
)
@settings(max_examples=80, deadline=None)
def test_no_floor_is_better(seed, n_components, p, spread, ratio, hostile):
    rng = np.random.default_rng(seed)
    values, counts = np.exp(spread * rng.standard_normal((n_components, p))), rng.uniform(0.5, 50.0, n_components)
    if hostile == "zero" and values.size > 1:
        values.flat[0] = 0.0
    elif hostile == "ties":
        values = np.round(values) + 1.0
    elif hostile == "light":
        counts[0] = 1e-12
    found = truncated(values, counts, ratio)
    assert found.max() <= ratio * found.min() * (1 + 1e-14)
    best = cost(values, counts, found)
    assert best <= search(values, counts, ratio) + 1e-9 * counts.sum()
    # Order stays, and so does what is within the bounds.
    assert (np.diff(found.ravel()[np.argsort(values.ravel(), kind="stable")]) >= 0).all()


def test_no_eigenvalues_within_the_ratio_are_better():
    rng = np.random.default_rng(4)
    for seed in range(6):
        values, counts, ratio = np.exp(2.0 * rng.standard_normal((2, 2))), rng.uniform(1.0, 9.0, 2), 3.0
        best = cost(values, counts, truncated(values, counts, ratio))

        def free(unknown, values=values, counts=counts, ratio=ratio):
            # Any four numbers between a floor and so many times it.
            shares = 1.0 / (1.0 + np.exp(-unknown[1:]))
            return cost(values, counts, np.exp(unknown[0] + np.log(ratio) * shares).reshape(2, 2))

        starts = np.random.default_rng(seed).standard_normal((6, 5))
        theirs = min(minimize(free, start, method="BFGS", options={"gtol": 1e-9}).fun for start in starts)
        assert best <= theirs + 1e-9
        assert best == pytest.approx(theirs, abs=1e-3)


def test_a_ratio_of_one_is_the_mean_and_a_satisfied_one_changes_nothing():
    values, counts = np.array([[1.0, 4.0], [2.0, 9.0]]), np.array([1.0, 3.0])
    np.testing.assert_allclose(truncated(values, counts, 1.0), (5.0 + 3.0 * 11.0) / 8.0)
    assert truncated(values, counts, 9.0) is values
    assert truncated(np.array([[0.0, 1.0]]), counts[:1], np.inf)[0, 0] == 0.0


def test_components_without_weight_have_no_say():
    values, counts = np.array([[1.0, 100.0], [1e-9, 1e9]]), np.array([5.0, 0.0])
    alone = truncated(values[:1], counts[:1], 10.0)
    np.testing.assert_allclose(truncated(values, counts, 10.0)[0], alone[0])
    # Those that weigh something satisfy the ratio: they stay, and the others come as near as they may.
    found = truncated(np.array([[1.0, 2.0], [0.1, 0.5], [0.5, 3.0]]), np.array([5.0, 0.0, 0.0]), 10.0)
    np.testing.assert_allclose(found, [[1.0, 2.0], [0.2, 0.5], [0.5, 2.0]])


def test_without_any_scale_there_is_no_constraint_to_meet():
    values = np.array([[0.0, 0.0], [0.0, 3.0]])
    with pytest.raises(NumericalFailure, match="no eigenvalue above 0"):
        truncated(values, np.array([1.0, 0.0]), 5.0)


@pytest.mark.parametrize("ratio", [1.0, 4.0, 50.0])
@pytest.mark.parametrize("name", WITH_RATIO)
def test_no_covariances_of_the_shape_within_the_ratio_are_better(name, ratio):
    rng = np.random.default_rng(7)
    for n_components in (1, 3):
        counts = rng.uniform(5.0, 60.0, n_components)
        roots = rng.standard_normal((n_components, 3, 3)) * np.exp(rng.standard_normal((n_components, 1, 3)))
        scatter = counts[:, None, None] * (roots @ np.swapaxes(roots, 1, 2))
        found = within_ratio(name, counts, maximize_shape(name, counts, scatter), ratio)
        values = np.linalg.eigvalsh(found)
        assert values.max() <= ratio * values.min() * (1 + 1e-9)
        best = complete_objective(counts, scatter, found)
        for _ in range(100):
            # Turned, scaled and reshaped: a scatter whose own maximiser is another point of the constrained set.
            turn = np.linalg.qr(np.eye(3) + 0.1 * rng.standard_normal((n_components, 3, 3)))[0]
            other = turn @ (found * np.exp(0.1 * rng.standard_normal((n_components, 1, 1)))) @ np.swapaxes(turn, 1, 2)
            there = maximize_shape(name, counts, counts[:, None, None] * other)
            there = within_ratio(name, counts, there, ratio)
            assert complete_objective(counts, scatter, there) <= best + 1e-10 * abs(best)
