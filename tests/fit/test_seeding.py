"""Partitions to start from: usable labels on any rows, of all components on ordinary ones, and the same for a seed."""

import numpy as np
import pytest
from mixtures import table

from jensen.fit.starts.seeding import adaptive_labels, hierarchical_labels, local_labels

KINDS = {"adaptive": adaptive_labels, "hierarchical": hierarchical_labels, "local": local_labels}
Z = table(0, 300, 2, 4)
Z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
ONES = np.ones(len(Z))

every_kind = pytest.mark.parametrize("kind", KINDS)


def draw(kind, z, n_components, seed=0, weight=None):
    """The labels of a kind; the rows and the weights must be left alone."""
    weight = np.ones(len(z)) if weight is None else weight
    before = z.copy(), weight.copy()
    labels = KINDS[kind](z, weight, n_components, np.random.default_rng(seed))
    np.testing.assert_array_equal(before[0], z)
    np.testing.assert_array_equal(before[1], weight)
    assert labels.shape == (len(z),) and labels.dtype.kind == "i"
    assert -1 <= labels.min() and labels.max() < n_components and (labels >= 0).any()
    return labels


@every_kind
@pytest.mark.parametrize("n_components", [1, 2, 5, 12])
def test_every_component_gets_rows_of_ordinary_data(kind, n_components):
    for seed in range(10):
        labels = draw(kind, Z, n_components, seed)
        assert set(labels[labels >= 0]) == set(range(n_components)), seed


@every_kind
def test_the_seed_decides(kind):
    drawn = [draw(kind, Z, 4, seed) for seed in (0, 0, *range(1, 8))]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    # Not only the names of the labels differ: which rows go together does.
    together = {tuple(np.ravel(labels[:60, None] == labels[None, :60])) for labels in drawn[1:]}
    assert len(together) >= 4


@every_kind
@pytest.mark.parametrize(
    "z",
    [np.zeros((1, 2)), np.zeros((7, 2)), Z[:2], Z[:3, :1], np.repeat(Z[:2], 8, axis=0), np.arange(9.0)[:, None]],
    ids=["one row", "all equal", "two rows", "three rows", "two different rows", "one column"],
)
@pytest.mark.parametrize("n_components", [1, 2, 6, 20])
def test_few_or_equal_rows_are_no_trouble(kind, z, n_components):
    for seed in range(3):
        labels = draw(kind, z, n_components, seed)
        assert len(set(labels[labels >= 0])) <= min(n_components, len(z))


@every_kind
@pytest.mark.parametrize("unit", [1e-30, 1e-150])
def test_rows_that_are_next_to_equal_are_no_trouble(kind, unit):
    draw(kind, unit * Z[:40], 3)


@every_kind
def test_a_column_that_copies_another_is_no_trouble(kind):
    labels = draw(kind, np.column_stack([Z, Z[:, 0]]), 4)
    assert set(labels[labels >= 0]) == set(range(4))


@pytest.mark.parametrize(("kind", "limit"), [("adaptive", 2048), ("hierarchical", 400), ("local", 2048)])
def test_of_many_rows_a_part_is_looked_at(kind, limit):
    z = np.random.default_rng(1).standard_normal((5000, 2))
    labels = [draw(kind, z, 3, seed) for seed in range(2)]
    for one in labels:
        assert 0 < (one >= 0).sum() <= limit
    assert ((labels[0] >= 0) != (labels[1] >= 0)).any()


@pytest.mark.parametrize(("kind", "at_least"), [("adaptive", 12), ("hierarchical", 20)])
def test_clusters_far_apart_are_told_apart(kind, at_least):
    rng = np.random.default_rng(2)
    truth = np.repeat(np.arange(3), 60)
    z = rng.standard_normal((180, 2)) * 0.02 + np.array([[0.0, 0.0], [1.0, 1.0], [-1.0, 1.5]])[truth]
    right = 0
    for seed in range(20):
        labels = draw(kind, z, 3, seed)
        pairs = {(int(a), int(b)) for a, b in zip(truth, labels, strict=True) if b >= 0}
        right += len(pairs) == 3 and len({a for a, _ in pairs}) == 3
    # Rows drawn at random lie in three clusters of one size in 2 cases of 9.
    assert right >= at_least


def test_the_metric_of_adaptive_seeds_follows_the_clusters():
    # Two long clusters side by side: by distance, the two ends of one are farther apart than the two.
    rng = np.random.default_rng(3)
    truth = np.repeat([0, 1], 150)
    z = np.column_stack([rng.standard_normal(300), 0.04 * rng.standard_normal(300) + 0.5 * truth])

    def share(labels):
        return max((labels == truth).mean(), (labels != truth).mean())

    # Seeds by plain distance, those of k-means++, are right for 0.53 of the rows.
    assert np.mean([share(draw("adaptive", z, 2, seed)) for seed in range(30)]) > 0.7


@every_kind
def test_heavy_rows_are_drawn_more_often(kind):
    weight = np.where(Z[:, 0] > np.quantile(Z[:, 0], 0.9), 1e4, 1e-4)
    if kind == "hierarchical":
        # It takes four rows of five, whatever they weigh: the light ones are left out.
        light = [np.mean(draw(kind, Z, 3, seed, weight)[weight < 1] >= 0) for seed in range(5)]
        heavy = [np.mean(draw(kind, Z, 3, seed, weight)[weight > 1] >= 0) for seed in range(5)]
        assert np.mean(heavy) == 1.0 > np.mean(light)
        return
    # Seeds lie among the heavy rows, so that these are cut into more parts than their share of the plane is.
    parts = [len(set(draw(kind, Z, 6, seed, weight)[weight > 1])) for seed in range(10)]
    even = [len(set(draw(kind, Z, 6, seed)[weight > 1])) for seed in range(10)]
    assert np.mean(parts) > np.mean(even) + 1
