"""Starts from above: merges are those of brute force and keep the moments, and a descent finds what is there."""

import itertools

import numpy as np
import pytest
from mixtures import SHAPES, mixture, start_from, table

from jensen import GaussianMixture
from jensen.data.arrays import ArraySource
from jensen.errors import NumericalFailure
from jensen.fit.search.mixtures import KINDS
from jensen.fit.starts.descent import FAR, NEAR, _disjoint, components_above, descended, enlarged, merged
from jensen.solve.loop import Limits, run
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Plain

CENTRES = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 12.0], [11.0, 11.0]])
TRUTH = np.repeat(np.arange(4), 60)
X = CENTRES[TRUTH] + np.random.default_rng(0).standard_normal((240, 2))


def some(n_components, shape="full", seed=0, d=2):
    x = table(seed, 40 * n_components, d, n_components)
    model = mixture(n_components, d, shape, 1e-4)
    return model, start_from(model, x, np.random.default_rng(seed).integers(n_components, size=len(x)))


def together(one, other):
    """Two components of full covariance as one: weight, mean and covariance of what they hold."""
    (v, m, s), (w, n, t) = one, other
    mean = (v * m + w * n) / (v + w)
    second = (v * (s + np.outer(m, m)) + w * (t + np.outer(n, n))) / (v + w)
    return v + w, mean, second - np.outer(mean, mean)


def price(one, other):
    def part(of):
        return of[0] * (0.5 * np.log(np.linalg.det(of[2])) - np.log(of[0]))

    return part(together(one, other)) - part(one) - part(other)


@pytest.mark.parametrize("n_pairs", [1, 2, 3])
def test_the_cheapest_pairs_that_share_nothing_become_one_each(n_pairs):
    model, params = some(7, seed=3)
    parts = list(zip(params["weights"], params["means"], params["covariances"], strict=True))
    left, pairs = set(range(7)), []
    while len(pairs) < n_pairs:
        pairs.append(min(itertools.combinations(sorted(left), 2), key=lambda ij: price(parts[ij[0]], parts[ij[1]])))
        left -= set(pairs[-1])
    expected = [parts[i] for i in left] + [together(parts[i], parts[j]) for i, j in pairs]
    found = merged(model, params, _disjoint("full", params, 100.0, n_pairs))
    assert len(found["weights"]) == 7 - n_pairs
    for weight, mean, covariance in expected:
        at = int(np.abs(found["means"] - mean).sum(axis=1).argmin())
        assert found["weights"][at] == pytest.approx(weight)
        np.testing.assert_allclose(found["means"][at], mean, atol=1e-12)
        np.testing.assert_allclose(found["covariances"][at], covariance, atol=1e-10)


@pytest.mark.parametrize("shape", [*SHAPES, "VVE", "EEI"])
def test_a_merge_keeps_mean_and_weight_in_every_shape(shape):
    model, params = some(6, shape)
    pairs = _disjoint(model.family.layout, params, 100.0, 2)
    found = merged(model, params, pairs)
    found.check()
    assert found["weights"].sum() == pytest.approx(1.0)
    np.testing.assert_allclose(found["weights"] @ found["means"], params["weights"] @ params["means"], atol=1e-12)
    # No more pairs than there are components for.
    assert len(_disjoint(model.family.layout, params, 100.0, 10)) == 3


@pytest.mark.parametrize("n_components", [3, 9])
def test_components_without_volume_are_a_numerical_failure(n_components):
    model, (_, params) = mixture(2, 2, "full", 0.0), some(n_components)
    flat = params.replace(covariances=np.zeros((n_components, 2, 2)))
    with pytest.raises(NumericalFailure):
        descended(model, params, ArraySource(X), lambda larger, params, n_iter: (flat, 0.0), 2)


def test_equal_weights_stay_equal():
    model, params = some(5)
    model = type(model)(model.family, equal_weights=True)
    np.testing.assert_allclose(merged(model, params, [(1, 3)])["weights"], 0.25)


def test_how_many_components_a_descent_begins_with():
    model = mixture(10, 8, "full")
    assert components_above(model, 1e6, FAR) == 60 and components_above(model, 1e6, NEAR) == 12
    assert components_above(model, 30 * 27.5, FAR) == 30
    assert components_above(model, 19 * 27.0, FAR) == 0 and components_above(model, 11 * 27.0, NEAR) == 11
    assert components_above(model, 10 * 27.5, NEAR) == 0
    # At least one more than is wanted, and never so many that EM among them costs more than all else.
    assert components_above(mixture(2, 8, "full"), 1e6, NEAR) == 3
    assert components_above(mixture(20, 8, "full"), 1e6, FAR) == 0
    assert components_above(mixture(20, 8, "full"), 1e6, NEAR) == 25
    assert components_above(mixture(1, 8, "full"), 1e6, FAR) == components_above(mixture(1, 8, "full"), 1e6, NEAR) == 0
    tied = mixture(10, 8, "tied")
    assert components_above(tied, 1e6, FAR) == 0 and components_above(tied, 1e6, NEAR) == 12


def test_a_descent_counts_its_passes_by_their_share():
    model, asked = mixture(3, 2, "full", 1e-4), []

    def steps(larger, params, n_iter):
        asked.append((larger.n_components, n_iter))
        assert len(params["weights"]) == larger.n_components
        return params, n_iter + 1.0

    params, passes = descended(model, some(14)[1], ArraySource(X), steps, 5)
    assert asked == [(14, 1), (12, 1), (11, 1), (10, 1), (9, 1), (8, 1), (7, 1), (6, 1), (5, 1), (4, 5)]
    # Of four the responsibilities are asked for, too.
    assert passes == pytest.approx((2 * (14 + 12 + 11 + 10 + 9 + 8 + 7 + 6 + 5) + 7 * 4) / 3)
    assert len(params["weights"]) == 3


@pytest.mark.parametrize("shape", SHAPES)
def test_a_descent_finds_the_groups(shape):
    model, source = mixture(4, 2, shape, 1e-4), ArraySource(X)

    def steps(larger, params, n_iter):
        rule = AitkenRule(source.weight)
        ended = run(Plain("off").solver(larger, rule), source, params, rule, Limits(n_iter))
        return ended.params, ended.passes

    # Five parts to a group, by the distance from its centre.
    parts = np.concatenate([np.argsort(np.argsort(X[TRUTH == k, 0])) // 12 + 5 * k for k in range(4)])
    params, _ = descended(model, start_from(enlarged(model, 20), X, parts), source, steps, 2)
    nearest = np.abs(params["means"][:, None] - CENTRES).max(axis=2)
    assert sorted(nearest.argmin(axis=1)) == [0, 1, 2, 3] and nearest.min(axis=1).max() < 1.0


def test_every_round_has_starts_from_a_little_above_and_from_far():
    rows = table(3, 900, 4, 9, spread=1.0)
    account = GaussianMixture(6, random_state=0).fit(rows).fit_result_.account
    kinds = {start.index: start.kind for start in account.starts}
    above = [i for i, kind in kinds.items() if kind == "from above"]
    assert account.rounds > 1 and above == [i for i in kinds if i % 6 in (0, 1, 2)]
    assert {kind for i, kind in kinds.items() if i not in above} <= set(KINDS)
    # A kind that is asked for is the only one.
    asked = GaussianMixture(6, init_params="k-means++", random_state=0).fit(rows).fit_result_.account
    assert asked.rounds > 1 and {start.kind for start in asked.starts} == {"k-means++"}
