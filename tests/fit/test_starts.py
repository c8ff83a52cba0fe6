"""Starts of every kind lie inside the domains, whatever the data."""

import numpy as np
import pytest
from mixtures import SHAPES, START_KINDS, mixture, start_from, table

from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.fit.starts.draw import draw_start
from jensen.fit.starts.given import with_user_start
from jensen.fit.summary import summarise

X = table(0, 60, 2, 3)


def draw(kind, shape, x=X, weight=None, n_components=3, seed=0):
    model = mixture(n_components, x.shape[1], shape)
    return draw_start(kind, model, summarise(ArraySource(x, weight)), np.random.default_rng(seed))


@pytest.mark.parametrize("kind", START_KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_start_is_inside_its_domain_and_knows_neither_order_nor_repetition(kind, shape):
    params = draw(kind, shape)
    params.check()
    weight = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
    weighted = draw(kind, shape, weight=weight)
    rows = np.random.default_rng(1).permutation(np.repeat(X, weight.astype(int), axis=0))
    repeated = draw(kind, shape, x=rows)
    for name in params.values:
        np.testing.assert_allclose(weighted[name], repeated[name], rtol=1e-10, atol=1e-12)
    other = draw(kind, shape, seed=1)
    assert kind == "kmeans" or not np.allclose(other["means"], params["means"])


@pytest.mark.parametrize("kind", START_KINDS)
def test_components_of_a_start_differ(kind):
    means = draw(kind, "full")["means"]
    distances = np.linalg.norm(means[:, None] - means, axis=2)[np.triu_indices(3, 1)]
    assert distances.min() > 0.1


def test_labels_give_the_moments_of_their_rows():
    labels = np.arange(60) % 3
    params = start_from(mixture(3, 2, "full", ridge=0.25), X, labels)
    for k in range(3):
        np.testing.assert_allclose(params["means"][k], X[labels == k].mean(axis=0), rtol=1e-12)
        expected = np.cov(X[labels == k].T, ddof=0) + 0.25 * np.eye(2)
        np.testing.assert_allclose(params["covariances"][k], expected, rtol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_component_on_one_row_gets_a_usable_covariance(shape):
    labels = np.zeros(60, dtype=int)
    labels[0] = 1
    start_from(mixture(2, 2, shape), X, labels).check()


@pytest.mark.parametrize("shape", SHAPES)
def test_an_outlier_that_swallows_all_other_spread_leaves_a_start(shape):
    near = np.array([[3.455, 8.216], [3.456, 8.217], [3.455, 8.215], [3.458, 8.214]])
    x = np.vstack([near, 1e9 * near[:1]])
    start = start_from(mixture(1, 2, shape), x, np.zeros(5, dtype=int))
    start.check()
    np.testing.assert_allclose(start["means"], [x.mean(axis=0)])


@pytest.mark.parametrize(
    "start, reason",
    [
        (np.zeros(59, dtype=int), r"labels of shape \(60,\) or responsibilities of shape \(60, 2\), got shape \(59,\)"),
        (np.full(60, 0.5), "must be integers"),
        (np.full(60, 2), "between 0 and n_components - 1 = 1, got values from 2 to 2"),
        (np.full(60, -1), "between 0 and n_components - 1"),
        (np.full((60, 2), 0.4), "sum to 1"),
        (np.tile([1.5, -0.5], (60, 1)), "at least 0"),
        (np.full((60, 2), np.nan), "finite"),
    ],
)
def test_unusable_starts_of_the_user_are_named(start, reason):
    with pytest.raises(InputError, match=reason):
        with_user_start(ArraySource(X), start, 2)
