"""What a second component is worth: the same whether runs go in bursts or not, and known where it was met before."""

import numpy as np
import pytest
from mixtures import SHAPES, mixture, start_from
from scipy.stats import multivariate_normal

from jensen.data.arrays import ArraySource
from jensen.families.gaussian import Gaussian
from jensen.fit.search.landscape import serially
from jensen.fit.search.splitting import _STEPS, _TOL, Part, Splits
from jensen.fit.search.together import all_short_ends

rng = np.random.default_rng(0)
TRUTH = np.repeat(np.arange(4), 60)
X = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 12.0], [11.0, 11.0]])[TRUTH] + rng.standard_normal((240, 2))


def looked_at(splits, model, params, seed=0):
    """The splits of all components, and how many were looked at."""
    source = ArraySource(X)
    resp = source.collect(model.responsibilities, params)
    weight, stream = source.row_weights, np.random.default_rng(seed)
    before = len(splits.found)
    found = splits.of_all(model, source, params, weight, resp, stream)
    return found, len(splits.found) - before


def split_in_two(model, source, share, own, rng, common=None):
    """What one component's rows are split into."""
    part = Part.of(model, source, share, own, rng.random(2))
    (ends,) = all_short_ends([(part.two, part.local, part.starts)], _STEPS, _TOL, serially)
    return part.split(ends, common)


@pytest.mark.parametrize("shape", SHAPES)
def test_bursts_say_the_same_as_runs(shape, monkeypatch):
    model, source = mixture(3, 2, shape, 1e-4), ArraySource(X)
    share, own = np.ones(240), np.arange(240) < 150
    quick = split_in_two(model, source, share * own, own, np.random.default_rng(1))
    monkeypatch.setattr(Gaussian, "in_bursts", lambda self, block: False)
    slow = split_in_two(model, source, share * own, own, np.random.default_rng(1))
    assert quick.gain == pytest.approx(slow.gain, rel=1e-9) and quick.gain > 100.0
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(getattr(quick, name), getattr(slow, name), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_only_components_that_are_new_are_looked_at(shape):
    model = mixture(4, 2, shape, 1e-4)
    params = start_from(model, X, TRUTH)
    splits = Splits()
    first, new = looked_at(splits, model, params)
    assert new == 4 and len(first) == 4
    # Another order, another seed: all are known.
    order = [2, 0, 3, 1]
    again, new = looked_at(splits, model, model.permuted(params, order), seed=5)
    assert new == 0 and all(one is first[k] for one, k in zip(again, order, strict=True))
    # One has moved by a standard deviation, one by a hair.
    moved = params.replace(means=params["means"] + [[1.0, 0.0], [0.01, 0.0], [0.0, 0.0], [0.0, 0.0]])
    found, new = looked_at(splits, model, moved)
    assert new == 1 and [one is other for one, other in zip(found, first, strict=True)] == [False, True, True, True]
    if shape != "tied":
        by = np.linspace(1.0, 1.3, 4).reshape(-1, *[1] * (params["covariances"].ndim - 1))
        assert looked_at(splits, model, params.replace(covariances=params["covariances"] * by))[1] == 3
    lighter = params.replace(weights=np.array([0.22, 0.28, 0.25, 0.25]))
    assert looked_at(splits, model, lighter)[1] == 2


def test_where_rows_are_too_few_there_is_none_and_that_is_known():
    model = mixture(4, 2, "full", 1e-4)
    params = start_from(model, X, TRUTH)
    away = params.replace(means=params["means"] + [[500.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    splits = Splits()
    found, new = looked_at(splits, model, away)
    assert found[0] is None and all(found[1:]) and new == 4
    assert looked_at(splits, model, away) == (found, 0)


def test_a_few_rows_that_stand_aside_are_split_off():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.standard_normal((950, 3)), rng.standard_normal((50, 3)) * 0.4 + [3.0, -4.5, 3.0]])
    model, source, own = mixture(2, 3, "full", 1e-6), ArraySource(x), np.ones(1000, dtype=bool)
    for seed in range(8):
        split = split_in_two(model, source, np.ones(1000), own, np.random.default_rng(seed))
        small = int(split.weights.argmin())
        assert split.weights[small] == pytest.approx(0.05, abs=0.01)
        np.testing.assert_allclose(split.means[small], [3.0, -4.5, 3.0], atol=0.3)


def test_what_two_are_worth_with_a_covariance_that_stays():
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.standard_normal((200, 2)) - [2.0, 0.0], rng.standard_normal((200, 2)) + [2.0, 0.0]])
    model, source, own = mixture(2, 2, "tied", 1e-6), ArraySource(x), np.ones(400, dtype=bool)
    common = np.array([[2.0, 0.3], [0.3, 1.5]])
    split = split_in_two(model, source, np.ones(400), own, np.random.default_rng(0), common)
    one = multivariate_normal(x.mean(axis=0), common).logpdf(x).sum()
    parts = [
        np.log(w) + multivariate_normal(m, common).logpdf(x) for w, m in zip(split.weights, split.means, strict=True)
    ]
    assert split.gain == pytest.approx(np.logaddexp(*parts).sum() - one, rel=1e-9)
    v = split.between(0.25)
    np.testing.assert_allclose(v, np.sqrt(0.25 * split.weights.prod()) * (split.means[0] - split.means[1]))
