"""Weighted k-means, where the answer is known."""

import numpy as np
import pytest

from jensen.fit.starts.kmeans import lloyd, nearest_labels, seed_rows

CORNERS = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])


def groups(n=40, seed=0):
    rng = np.random.default_rng(seed)
    return np.repeat(CORNERS, n, axis=0) + rng.standard_normal((4 * n, 2)), np.repeat(np.arange(4), n)


@pytest.mark.parametrize("seed", range(5))
def test_separated_groups_are_found(seed):
    z, truth = groups()
    seeds = seed_rows(z, np.ones(len(z)), 4, np.random.default_rng(seed))
    assert len({truth[i] for i in seeds}) == 4
    labels = lloyd(z, np.ones(len(z)), z[seeds])
    for k in range(4):
        assert len(np.unique(labels[truth == k])) == 1


def test_result_is_a_fixed_point_of_weighted_lloyd():
    z, _ = groups()
    weight = np.random.default_rng(0).integers(1, 4, len(z)).astype(float)
    labels = lloyd(z, weight, z[:3])
    centres = np.stack([np.average(z[labels == k], axis=0, weights=weight[labels == k]) for k in range(3)])
    brute = ((z[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    assert (brute == labels).mean() > 0.99
    np.testing.assert_array_equal(nearest_labels(z, centres), brute)


@pytest.mark.parametrize("seed", range(5))
def test_weight_is_repetition(seed):
    # One blob in five parts: any other mean moves rows across a border, any other draw seeds another row.
    rng = np.random.default_rng(seed)
    z = np.sort(rng.standard_normal((200, 1)), axis=0)
    times = rng.integers(1, 9, 200)
    weight, repeated, ones = times.astype(float), np.repeat(z, times, axis=0), np.ones(times.sum())
    seeds = z[seed_rows(z, weight, 5, np.random.default_rng(seed))]
    np.testing.assert_array_equal(repeated[seed_rows(repeated, ones, 5, np.random.default_rng(seed))], seeds)
    np.testing.assert_array_equal(lloyd(repeated, ones, seeds), np.repeat(lloyd(z, weight, seeds), times))


def test_a_lost_centre_moves_to_the_farthest_row():
    z = np.array([[0.0], [1.0], [100.0]])
    assert len(np.unique(lloyd(z, np.ones(3), np.array([[0.5], [0.4], [-1e6]])))) == 3


def test_seeds_are_different_rows_while_there_are_any():
    z = np.array([[0.0], [0.0], [1.0], [2.0]])
    for seed in range(20):
        seeds = seed_rows(z, np.array([1.0, 1.0, 1e-9, 5.0]), 3, np.random.default_rng(seed))
        assert len(np.unique(z[seeds])) == 3
    np.testing.assert_array_equal(sorted(seed_rows(z[:2], np.ones(2), 4, np.random.default_rng(0))), [0, 0, 1, 1])


def test_rows_too_close_for_a_squared_distance_are_still_different_rows():
    z = np.append(1e-200 * np.arange(9.0), 1.0)[:, None]
    assert len(set(seed_rows(z, np.ones(10), 7, np.random.default_rng(0)))) == 7


def test_no_centre_is_weighted_less_than_another():
    z = np.array([[0.0], [1.0]])
    first = [seed_rows(z, np.array([1.0, 3.0]), 1, np.random.default_rng(seed))[0] for seed in range(2000)]
    assert np.mean(first) == pytest.approx(0.75, abs=0.03)
