"""Crossings: what two solutions agree in stays, and what each has right comes together."""

import warnings

import numpy as np
import pytest
from mixtures import SHAPES, fixed_em, mixture, start_from

from jensen import GaussianMixture
from jensen.data.arrays import ArraySource
from jensen.errors import JensenWarning
from jensen.families.moves import components_of
from jensen.fit.outliers.noise import NoiseOutliers, box_around
from jensen.fit.outliers.trimming import TrimmedOutliers
from jensen.fit.search import mixtures as module
from jensen.fit.search.crossing import united
from jensen.fit.summary import summarise

CENTRES = np.array([[0.0, 0.0], [6.0, 0.0], [60.0, 60.0], [66.0, 60.0]])
TRUTH = np.repeat(np.arange(4), 50)
X = CENTRES[TRUTH] + np.random.default_rng(0).standard_normal((200, 2))
# Two components for the groups on one side and a third of one's rows, and the other way round.
HALF = [np.where(TRUTH < 2, TRUTH, 2), np.where(TRUTH < 2, 0, TRUTH)]
HALF[0] = np.where((TRUTH == 0) & (X[:, 1] > 0.7), 3, HALF[0])
HALF[1] = np.where((TRUTH == 3) & (X[:, 1] > 60.7), 1, HALF[1])


def halves(shape):
    model, source = mixture(4, 2, shape, 1e-4), ArraySource(X)
    return model, [fixed_em(model, source, start_from(model, X, labels), 20).params for labels in HALF]


def landscape(model, **more):
    return module.MixtureLandscape(
        model, summarise(ArraySource(X)), 0, lambda i: None, "off", module.Limits(), "avoid", module.serially, 1e-4,
        1e-3, **more,
    )  # fmt: skip


@pytest.mark.parametrize("shape", [*SHAPES, "EEV"])
def test_both_together_have_the_mean_and_the_spread_of_both(shape):
    model, (one, other) = halves(shape)
    both = united(model, one, other)
    both.check()
    assert 4 < len(both["weights"]) <= 8
    assert both["weights"].sum() == pytest.approx(1.0)
    means = [params["weights"] @ params["means"] for params in (one, other, both)]
    np.testing.assert_allclose(means[2], 0.5 * (means[0] + means[1]), atol=1e-9)


def test_components_that_both_have_are_one():
    model, (one, other) = halves("full")
    order = [2, 0, 3, 1]
    turned = one.replace(**{name: one[name][order] for name in one.values})
    assert united(model, one, turned) is None
    moved = turned.replace(means=turned["means"] + np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [50.0, 0.0]]))
    both = united(model, one, moved)
    assert len(both["weights"]) == 5
    # What is halved twice and put together again is what it was, and what each has alone keeps half.
    shared = [k for k in range(4) if k != order[3]]
    for k in shared:
        at = np.abs(both["means"] - one["means"][k]).max(axis=1).argmin()
        for name in one.values:
            np.testing.assert_allclose(both[name][at], one[name][k], atol=1e-9)
    assert np.isclose(both["weights"], 0.5 * one["weights"][order[3]]).sum() == 2


# Not of a common covariance, which the wrong half of each makes too wide for all.
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "tied"])
def test_what_each_has_right_comes_together(shape):
    model, (one, other) = halves(shape)
    source, best = ArraySource(X), fixed_em(model, ArraySource(X), start_from(model, X, TRUTH), 50)
    land = landscape(model)
    (child,) = land.crossed(one, [other])
    assert len(components_of(model.family.layout, child)[0]) == 4
    ends = [fixed_em(model, source, params, 100).objective for params in (one, other, child)]
    assert ends[2] == pytest.approx(best.objective, abs=1e-3) and max(ends[:2]) < best.objective - 5.0
    # Nothing comes of two that are the same, and the others keep their order.
    assert land.crossed(one, [one]) == [] == land.crossed(one, [])
    again = land.crossed(one, [one, other, one])
    np.testing.assert_array_equal(again[0]["means"], child["means"])


def test_nothing_comes_of_what_fails_on_the_way():
    model, (one, other) = halves("full")
    flat = other.replace(covariances=np.zeros_like(other["covariances"]))
    assert landscape(model).crossed(one, [flat]) == []


@pytest.mark.parametrize("kind", ["noise", "trim"])
def test_outliers_are_no_part_of_it(kind):
    model, (one, other) = halves("full")
    noise = NoiseOutliers(model, box_around(ArraySource(X)))
    outliers = TrimmedOutliers(model, 0.05) if kind == "trim" else noise
    land = landscape(model, outliers=outliers)
    pair = tuple(land.treated.around(params, 0.0) for params in (one, other))
    (child,) = land.crossed(pair[0], [pair[1]])
    assert len(child["means"]) == 4 and len(child["weights"]) == len(pair[0]["weights"])


def test_a_search_whose_rounds_disagree_tells_of_crossings():
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((1500, 4)) * 0.8 + 1.5 * rng.standard_normal((9, 4))[rng.integers(9, size=1500)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JensenWarning)
        account = GaussianMixture(9, random_state=0).fit(rows).fit_result_.account
    kinds = {move.kind for move in account.moves}
    assert "crossing" in kinds and account.ending in ("disagreed", "surpassed", "agreed")
