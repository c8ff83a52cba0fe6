"""Merging by entropy: every step by brute force, the paper's kind of example, and the laws of weights and orders."""

import math
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixtures import fit
from scipy.special import entr

from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.infer.merging import combine, elbow


def shares(seed, n, k, concentration=0.4):
    """Responsibilities (n, k) drawn at random, rather sure ones."""
    return np.random.default_rng(seed).dirichlet(np.full(k, concentration), n)


def entropy(resp, weight=None):
    each = entr(resp).sum(axis=1)
    return float(each.sum() if weight is None else weight @ each)


def by_brute_force(resp, weight):
    """Partitions of the components and their entropies, from K clusters to one: every pair is tried at every step."""
    groups = [(j,) for j in range(resp.shape[1])]
    found = [(set(groups), entropy(resp, weight))]
    while len(groups) > 1:
        options = []
        for pair in combinations(groups, 2):
            left = [*(group for group in groups if group not in pair), tuple(sorted(sum(pair, ())))]
            options.append((entropy(np.stack([resp[:, g].sum(axis=1) for g in left], axis=1), weight), left))
        value, groups = min(options, key=lambda option: option[0])
        found.append((set(groups), value))
    return found


@given(st.integers(0, 2**16), st.integers(1, 6), st.booleans())
def test_every_step_by_brute_force(seed, k, weighted):
    resp = shares(seed, 30, k)
    weight = np.random.default_rng(seed).random(30) if weighted else None
    found = combine(resp, weight)
    for left, (groups, value) in zip(range(k, 0, -1), by_brute_force(resp, weight), strict=True):
        assert set(found.clusters(left)) == groups
        assert found.entropies[left - 1] == pytest.approx(value, rel=1e-9, abs=1e-9)
        assert entropy(found.responsibilities(left), weight) == pytest.approx(value, rel=1e-9, abs=1e-9)


@given(st.integers(0, 2**16), st.integers(2, 8))
def test_entropy_falls_to_zero(seed, k):
    found = combine(shares(seed, 25, k, 0.05))
    assert found.entropies[0] == 0.0
    assert (np.diff(found.entropies) >= 0.0).all() and (found.drops >= 0.0).all()
    assert (found.responsibilities(1) > 1.0 - 1e-9).all()


def test_three_components_by_hand():
    # Components 0 and 1 share the first row, 1 and 2 the second one unequally; the third one is certain.
    resp = np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75], [1.0, 0.0, 0.0]])
    first, second = math.log(2.0), -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    found = combine(resp)
    assert found.merges == (((0,), (1,)), ((0, 1), (2,)))
    np.testing.assert_allclose(found.entropies, [0.0, second, first + second], rtol=1e-14)
    np.testing.assert_allclose(found.drops, [second, first], rtol=1e-14)
    # Rows 0 and 2 belong to components 0 and 1, all three to the last two clusters.
    np.testing.assert_array_equal(found.merged_weight, [3.0, 2.0])
    np.testing.assert_allclose(found.normalised_drops, [second / 3.0, first / 2.0], rtol=1e-14)
    assert found.clusters(2) == ((0, 1), (2,))
    np.testing.assert_array_equal(found.responsibilities(2), [[1.0, 0.0], [0.25, 0.75], [1.0, 0.0]])
    np.testing.assert_array_equal(found.labels(2), [0, 1, 0])
    assert found.n_clusters is None and found.n_clusters_by_weight is None
    assert "no elbow" in repr(found)


@given(st.integers(0, 2**16))
def test_orders_of_rows_and_components_change_nothing(seed):
    rng = np.random.default_rng(seed)
    resp, rows, order = shares(seed, 40, 5), rng.permutation(40), rng.permutation(5)
    found, other = combine(resp), combine(resp[rows][:, order])
    np.testing.assert_allclose(other.entropies, found.entropies, rtol=1e-12)
    np.testing.assert_allclose(other.merged_weight, found.merged_weight)
    assert other.n_clusters == found.n_clusters and other.n_clusters_by_weight == found.n_clusters_by_weight
    for k in range(1, 6):
        mine = {tuple(sorted(order[list(group)])) for group in other.clusters(k)}
        assert mine == set(found.clusters(k))


@given(st.integers(0, 2**16))
def test_weight_two_is_the_row_twice_and_zero_is_none(seed):
    resp, weight = shares(seed, 40, 5), np.random.default_rng(seed).integers(0, 4, 40)
    weight[0] = 1
    found, repeated = combine(resp, weight), combine(np.repeat(resp, weight, axis=0))
    np.testing.assert_allclose(found.entropies, repeated.entropies, rtol=1e-12)
    np.testing.assert_allclose(found.merged_weight, repeated.merged_weight)
    assert found.merges == repeated.merges and found.n_clusters == repeated.n_clusters


def crosses():
    """Six Gaussians, of which two pairs cross: four clusters (after Baudry et al. 2010, section 4.1)."""
    rng, rows, labels = np.random.default_rng(1), [], []
    across, along = np.diag([0.1, 3.0]), np.diag([3.0, 0.1])
    tilted, other = np.array([[1.0, 0.8], [0.8, 1.0]]), np.array([[1.0, -0.8], [-0.8, 1.0]])
    parts = [
        (0, 120, [0.0, 8.0], across),
        (0, 120, [0.0, 8.0], along),
        (1, 60, [9.0, 0.0], across),
        (1, 60, [9.0, 0.0], along),
        (2, 120, [9.0, 9.0], tilted),
        (3, 120, [0.0, 0.0], other),
    ]
    for label, n, mean, covariance in parts:
        rows.append(rng.multivariate_normal(mean, covariance, n))
        labels += [label] * n
    return np.concatenate(rows), np.array(labels)


def test_crosses_are_put_together():
    x, truth = crosses()
    fitted = fit(x, 6, n_init="auto")
    found = combine(ArraySource(x).collect(fitted.model.responsibilities, fitted.params))
    assert found.n_clusters == found.n_clusters_by_weight == 4
    assert sorted(len(group) for group in found.clusters()) == [1, 1, 2, 2]
    pairs = {(t, int(label)) for t, label in zip(truth, found.labels(), strict=True)}
    assert len(pairs) == 4
    # The power of the test: no other number of clusters finds the four.
    assert len({(t, int(label)) for t, label in zip(truth, found.labels(6), strict=True)}) > 4
    assert "elbow of the entropies is at 4 clusters" in repr(found)


def elbow_as_mclust(x, y):
    """Change point by least squares, with polynomials fitted to each part."""
    errors = {}
    for c in range(2, len(x)):
        parts = ((x[:c], y[:c]), (x[c - 1 :], y[c - 1 :]))
        errors[c] = sum(float(((np.polyval(np.polyfit(a, b, 1), a) - b) ** 2).sum()) for a, b in parts)
    return min(errors, key=errors.get)


@given(st.integers(0, 2**16), st.integers(4, 10))
def test_the_elbow_by_polynomial_fits(seed, m):
    rng = np.random.default_rng(seed)
    x, y = np.cumsum(rng.uniform(0.5, 2.0, m)), np.cumsum(rng.random(m))
    assert elbow(x, y) == elbow_as_mclust(x, y)


@pytest.mark.parametrize("at", [2, 4, 6])
def test_an_elbow_that_can_be_seen(at):
    x = np.arange(1.0, 9.0)
    assert elbow(x, np.maximum(0.1 * x, 5.0 * (x - at) + 0.1 * at)) == at


def test_the_rescaled_elbow_by_its_own_axis():
    found = combine(shares(3, 60, 7, 0.2))
    x = np.concatenate([[0.0], np.cumsum(found.merged_weight)])
    assert found.n_clusters == elbow_as_mclust(np.arange(7.0), found.entropies)
    assert found.n_clusters_by_weight == elbow_as_mclust(x, found.entropies)


def test_components_apart_are_all_clusters():
    found = combine(np.eye(5)[np.arange(20) % 5])
    assert found.n_clusters == found.n_clusters_by_weight == 5
    assert (found.entropies == 0.0).all()
    np.testing.assert_array_equal(found.labels(), np.arange(20) % 5)
    assert "Nothing overlaps" in repr(found)


def test_tiny_shares_and_rows_without_density():
    resp = np.array(
        [[1.0, 0.0, 0.0], [1.0 - 1e-300, 1e-300, 0.0], [5e-324, 1.0, 0.0], [0.0, 0.0, 0.0], [0.4, 0.6, 0.0]]
    )
    found = combine(resp)
    assert np.isfinite(found.entropies).all()
    assert found.entropies[-1] == pytest.approx(entropy(resp))
    assert found.clusters(2) == ((0, 1), (2,))


def test_one_component_is_one_cluster():
    found = combine(np.ones((3, 1)))
    assert found.merges == () and found.clusters() == ((0,),) and found.n_clusters == 1
    assert found.drops.shape == found.normalised_drops.shape == (0,)
    np.testing.assert_array_equal(found.labels(), [0, 0, 0])


def test_labels_of_more_clusters_refine_those_of_fewer():
    found = combine(shares(0, 50, 6))
    for coarse, fine in pairwise(found.clusters(k) for k in range(1, 7)):
        assert all(any(set(small) <= set(large) for large in coarse) for small in fine)


@pytest.mark.parametrize(
    ("resp", "weight", "said"),
    [
        ([0.5, 0.5], None, r"shape \(n, K\)"),
        (np.empty((0, 2)), None, r"shape \(n, K\)"),
        ([["a", "b"]], None, "must be numbers"),
        ([[0.5, -0.5]], None, "at least 0"),
        ([[np.nan, 1.0]], None, "finite"),
        ([[1.0, 0.0], [0.5, 0.6]], None, "row 1 sums to 1.1"),
        ([[0.5, 0.5]], [1.0, 2.0], r"shape \(1,\)"),
        ([[0.5, 0.5]], [-1.0], "weight"),
    ],
)
def test_what_is_no_responsibility_is_refused(resp, weight, said):
    with pytest.raises(InputError, match=said):
        combine(resp, weight)


@pytest.mark.parametrize("k", [0, 4, 1.5, True, "2"])
def test_numbers_of_clusters_that_are_none(k):
    with pytest.raises(InputError, match="from 1 to the number of components, 3"):
        combine(shares(0, 5, 3)).clusters(k)
