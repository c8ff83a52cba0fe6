"""Escapes that draw: a group is fitted anew on its own rows and the rest stays; other weights lead a little away."""

import numpy as np
import pytest
from mixtures import SHAPES, mixture, start_from, table

from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.fit.search import regrouping
from jensen.fit.search.regrouping import _neighbours, regrouped, regroupings, shaken
from jensen.fit.search.together import ShortEnd
from jensen.solve.loop import run
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Plain

CENTRES = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 12.0], [11.0, 11.0], [60.0, 60.0], [80.0, 60.0]])
TRUTH = np.repeat(np.arange(6), 60)
X = CENTRES[TRUTH] + np.random.default_rng(0).standard_normal((360, 2))


def climbed(model, source, start):
    rule = AitkenRule(source.weight)
    return run(Plain("off").solver(model, rule), source, start, rule)


def trapped(shape, x=X):
    """Two components on one of the first four groups, one across two others; and the best optimum's objective."""
    model, source = mixture(6, 2, shape, 1e-4), ArraySource(x)
    halves = (x[:, 1] > np.median(x[TRUTH == 0, 1])).astype(int)
    wrong = np.where(TRUTH == 0, halves, np.where(TRUTH == 1, 2, np.where(TRUTH < 4, 3, TRUTH)))
    return model, source, climbed(model, source, start_from(model, x, wrong)), start_from(model, x, TRUTH)


def groups(model, source, params, seeds):
    weight, resp = source.row_weights, source.collect(model.responsibilities, params)
    found = [regrouped(model, source, weight, resp, params, [np.random.default_rng(seed)]) for seed in seeds]
    found = [one[0] if one else None for one in found]
    return [one for one in found if one is not None]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_group_fitted_anew_leads_to_the_best(shape):
    model, source, start, truth = trapped(shape)
    best = climbed(model, source, truth)
    assert start.status is Status.CONVERGED and start.objective < best.objective - 50
    found = groups(model, source, start.params, range(20))
    ends = [climbed(model, source, params).objective for _, params in found]
    assert max(ends) == pytest.approx(best.objective, abs=1e-3)
    # What it gained on its own rows said so.
    gains = np.array([gain for gain, _ in found])
    assert ends[int(gains.argmax())] == pytest.approx(best.objective, abs=1e-3)


def test_the_other_components_stay():
    model, source, start, _ = trapped("full")
    for _, params in groups(model, source, start.params, range(12)):
        moved = (params["means"] != start.params["means"]).any(axis=1)
        assert 3 <= moved.sum() <= 4
        np.testing.assert_allclose(params["covariances"][~moved], start.params["covariances"][~moved], rtol=1e-12)
        np.testing.assert_allclose(params["weights"][~moved], start.params["weights"][~moved])
        assert params["weights"][moved].sum() == pytest.approx(start.params["weights"][moved].sum())


def test_a_group_that_comes_back_is_left_out():
    model, source, _, truth = trapped("full")
    best = climbed(model, source, truth)
    for gain, params in groups(model, source, best.params, range(20)):
        assert gain < -2.0 and not np.allclose(np.sort(params["means"], axis=0), np.sort(best.params["means"], axis=0))


def test_too_few_rows_give_no_group():
    x = table(1, 12, 2, 2)
    model, source = mixture(4, 2, "full", 1e-2), ArraySource(x)
    params = start_from(model, x, np.arange(12) % 4)
    assert groups(model, source, params, range(5)) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_other_weights_lead_a_little_away_and_back(shape):
    model, source, top, _ = trapped(shape)
    ends = set()
    for seed in range(4):
        (params,) = shaken(model, source, np.ones(360), top.params, [np.random.default_rng(seed)])
        (again,) = shaken(model, source, np.ones(360), top.params, [np.random.default_rng(seed)])
        np.testing.assert_array_equal(params["means"], again["means"])
        away = climbed(model, source, params)
        assert away.trace[0] < top.objective - 0.1
        ends.add(away.objective > top.objective - 0.01)
    assert True in ends


def test_rows_without_weight_do_not_count():
    x = table(2, 200, 2, 3)
    model = mixture(2, 2, "full", 1e-4)
    start = start_from(model, x, (x[:, 0] > 0).astype(int))
    weight = np.repeat([1.0, 0.0], 100)
    far = np.where(np.arange(200)[:, None] < 100, x, 1e3)
    (one,), (other,) = (
        shaken(model, ArraySource(rows), weight, start, [np.random.default_rng(0)]) for rows in (x, far)
    )
    np.testing.assert_array_equal(one["means"], other["means"])
    assert shaken(model, ArraySource(x), np.zeros(200), start, [np.random.default_rng(0)]) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_all_groups_have_the_best_among_their_ends(shape, threads):
    model, source, start, truth = trapped(shape)
    best = climbed(model, source, truth)
    weight, resp = source.row_weights, source.collect(model.responsibilities, start.params)
    portions = list(regroupings(model, source, weight, resp, start.params, np.random.default_rng(0)))
    for portion in portions:
        gains = [gain for gain, _ in portion]
        assert gains == sorted(gains, reverse=True) and min(gains, default=0.0) > -60.0
    assert climbed(model, source, portions[0][0][1]).objective == pytest.approx(best.objective, abs=1e-3)
    found = [end for portion in portions for end in portion]
    threads(3)
    again = regroupings(model, source, weight, resp, start.params, np.random.default_rng(0))
    for (gain, params), (other, same) in zip(found, [end for portion in again for end in portion], strict=True):
        assert gain == other
        np.testing.assert_array_equal(params["means"], same["means"])


def test_the_nearest_groups_are_fitted_most_often_and_alone_if_asked(monkeypatch):
    model, source, start, _ = trapped("full")
    weight, resp = source.row_weights, source.collect(model.responsibilities, start.params)
    fitted, real = [], regrouping._Group.seeds

    def seeds(self, rng, times):
        fitted.append((tuple(self.which), times))
        return real(self, rng, times)

    monkeypatch.setattr(regrouping._Group, "seeds", seeds)
    given = (model, source, weight, resp, start.params)
    list(regroupings(*given, np.random.default_rng(0)))
    groups, times = zip(*fitted, strict=True)
    assert list(groups) == _neighbours(regrouping._nearness(model, start.params, float(weight.sum())))
    n_nearest = -(-len(groups) // 8)
    assert times[:n_nearest] == (80,) * n_nearest and list(times) == sorted(times, reverse=True)
    assert set(times[n_nearest : len(groups) // 2]) == {20} and set(times[-(len(groups) // 2) :]) == {5}
    fitted.clear()
    list(regroupings(*given, np.random.default_rng(0), nearest=True))
    assert fitted == list(zip(groups, times, strict=True))[: -(-n_nearest // 2)]


def test_ends_of_one_height_are_not_taken_for_one(monkeypatch):
    model, source, start, _ = trapped("full")
    weight, resp = source.row_weights, source.collect(model.responsibilities, start.params)

    def fitted(problems, *_):
        """Ends as high as the group is: where it is, elsewhere, and there again."""
        for _, _, starts in problems:
            own = starts[0]
            moved = own.replace(means=own["means"] + 3.0)
            ends = (own, own, moved, moved)
            yield [ShortEnd(0.0, 5, lambda at=at: (at, None), 0.0, lambda at=at: at["means"]) for at in ends]

    monkeypatch.setattr(regrouping, "short_ends_of_all", lambda *given: fitted(*given))
    monkeypatch.setattr(type(model), "faults", lambda *given: ())
    found = list(regroupings(model, source, weight, resp, start.params, np.random.default_rng(0)))
    n_groups = len(_neighbours(regrouping._nearness(model, start.params, float(weight.sum()))))
    assert sum(map(len, found)) == n_groups and all(gain == 0.0 for portion in found for gain, _ in portion)


def test_groups_are_of_neighbours_and_each_stands_once():
    centres = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.1], [50.0, 50.0], [51.0, 50.0], [50.0, 51.1]])
    nearness = np.abs(centres[:, None] - centres[None]).sum(axis=2)
    np.fill_diagonal(nearness, np.inf)
    groups = _neighbours(nearness)
    assert set(groups[:2]) == {(0, 1, 2), (3, 4, 5)} and len(groups) == len(set(groups)) <= 24
    assert _neighbours(nearness[:3, :3]) == []


def test_groups_of_weighted_rows_are_those_of_copies():
    model, _, start, _ = trapped("full")
    copies = np.repeat(X, 2, axis=0)
    found = []
    for x, weight in ((X, np.full(360, 2.0)), (copies, None)):
        source = ArraySource(x, weight)
        resp = source.collect(model.responsibilities, start.params)
        ends = regroupings(model, source, source.row_weights, resp, start.params, np.random.default_rng(3))
        found.append(next(ends))
    best = [climbed(model, ArraySource(X), ends[0][1]).objective for ends in found]
    assert best[0] == pytest.approx(best[1], abs=1e-3)
