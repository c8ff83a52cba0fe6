"""Extrapolations within bursts: they lower nothing, lead where EM leads, and depend on no unit."""

import itertools
import time
from pathlib import Path

import numpy as np
import pytest
from mixtures import NeverStop, mixture, start_from, table
from scipy.linalg import eigh

from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.datasets import load
from jensen.families.gaussian import Gaussian
from jensen.families.shapes import SHAPES
from jensen.families.shapes.prior import PseudoData
from jensen.families.shapes.ratio import WITH_RATIO
from jensen.fit.mixture import mixture_of
from jensen.fit.search.together import _AHEAD, Starts, first_trails, short_ends, short_ends_of_all
from jensen.fit.settings import MixtureSettings
from jensen.fit.starts.draw import from_labels
from jensen.fit.starts.hierarchy import hierarchy
from jensen.fit.summary import summarise
from jensen.kernels import choose
from jensen.models.mixture import Mixture
from jensen.solve.begun import Begun, whole_run
from jensen.solve.loop import Limits, run
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Plain

native = pytest.importorskip("jensen.kernels._native")

# Half of the objective's digits are lost in sums over rows.
ROUNDING = 1e-12


@pytest.fixture(autouse=True)
def widest(monkeypatch):
    """The native kernel, whatever JENSEN_ISA says."""
    isas = tuple(native.available())
    monkeypatch.setattr(choose, "choice", lambda: choose.Choice("native", isas[0], "a test asks for it", isas, native))


def slow_problem(name="VVV", d=2, k=4, seed=0, how="plain", n=240):
    """Groups that overlap, so that EM is slow: model, source, start."""
    x = table(seed, n, d, k, spread=1.2)
    prior = PseudoData(2.0, np.eye(d) if name not in ("EII", "VII") else np.array([1.0]), 0.5, np.zeros(d))
    if name in ("EEI", "VEI", "EVI", "VVI"):
        prior = PseudoData(2.0, np.ones(d), 0.5, np.zeros(d))
    family = Gaussian(
        k, d, name, 1e-3 if how == "ridge" else 0.0, prior=prior if how == "prior" else None,
        ratio=20.0 if how == "ratio" else np.inf,
    )  # fmt: skip
    model = Mixture(family, equal_weights=how == "equal")
    return model, ArraySource(x), start_from(model, x, np.arange(n) % k)


CASES = [
    (name, how)
    for name in SHAPES
    for how in ("plain", "ridge", "prior", "ratio", "equal")
    if how != "ratio" or name in WITH_RATIO
]


@pytest.mark.parametrize(("name", "how"), CASES)
def test_no_point_is_lower_and_each_is_what_the_model_says(name, how):
    model, source, start = slow_problem(name, how=how)
    block = source.block(0)
    trail = model.burst(start, None, block, 200, 1e-7, 3)
    objectives, (plain, ratios, passes) = np.array(trail.objectives), trail.marks.T
    tried, accepted = trail.extrapolations
    assert np.diff(objectives).min() >= -ROUNDING * np.abs(objectives).max()
    assert accepted == int((plain == 0).sum()) and set(plain) <= {0.0, 1.0}
    # No leap follows another, and none is the start or the last but one that is judged.
    assert not ((plain[1:] == 0) & (plain[:-1] == 0)).any() and plain[0] == 1
    assert tried >= accepted and passes.sum() >= len(plain)
    assert np.isnan(ratios[plain == 0]).all()
    for index in {0, 1, len(objectives) - 1, *np.flatnonzero(plain == 0)[:12].tolist()}:
        params, statistics = trail.point(index)
        params.check()
        again = model.expect(params, block)
        assert model.objective(params, again) == pytest.approx(objectives[index], rel=1e-11)
        np.testing.assert_allclose(statistics.components.counts, again.components.counts, rtol=1e-9)
        if how == "equal":
            np.testing.assert_array_equal(params["weights"], np.full(4, 0.25))


def test_runs_end_where_those_of_plain_em_end():
    lower, higher, longer = [], [], []
    for name, seed in itertools.product(SHAPES, range(4)):
        model, source, start = slow_problem(name, seed=seed)
        found = []
        for accelerate in ("off", "auto"):
            rule = AitkenRule(source.weight, tol=1e-7)
            found.append(run(Plain(accelerate).solver(model, rule), source, start, rule))
        off, auto = found
        assert off.extrapolations == (0, 0)
        apart = auto.objective - off.objective
        (lower if apart < -1e-5 else higher if apart > 1e-5 else []).append((name, seed, apart))
        if off.passes > 150:
            assert auto.extrapolations[1] > 0
            longer += [name] if auto.passes > off.passes else []
    # The same optimum, but for a few that choose another one on the way.
    assert len(lower) <= 3 and len(higher) <= 6 and not longer, (lower, higher, longer)


def test_slow_runs_take_a_fraction_of_the_passes():
    totals = dict.fromkeys(("off", "auto"), 0.0)
    for seed, name in itertools.product(range(4), ("VVV", "EEE", "VVI", "VEV", "EVE")):
        model, source, start = slow_problem(name, seed=seed)
        for accelerate in totals:
            rule = AitkenRule(source.weight)
            totals[accelerate] += run(Plain(accelerate).solver(model, rule), source, start, rule).passes
    assert totals["auto"] < 0.5 * totals["off"]


def test_a_saddle_where_two_components_are_one_is_passed_by():
    # Plain EM lingers there for 200 iterations, and leaves it for an optimum that is 3.7 nats higher.
    data = load("faithful").data
    source = ArraySource(np.ascontiguousarray(data))
    summary = summarise(source, 0)
    model = mixture_of(MixtureSettings(7, covariance_type="EEI", reg_covar=0.0), source, summary)
    start = from_labels(model, summary, hierarchy(summary, "affine").labels(7))
    rule = AitkenRule(source.weight)
    ended = run(Plain("auto").solver(model, rule), source, start, rule)
    assert ended.objective == pytest.approx(-1111.22166, abs=1e-4)
    assert ended.passes > ended.n_iter > 200


def test_axes_and_units_change_nothing():
    model, source, start = slow_problem()
    x, rng = source.x, np.random.default_rng(1)
    turn, shift = rng.standard_normal((2, 2)) * [[50.0], [0.01]], 100.0 * rng.standard_normal(2)
    means, covariances = start["means"], start["covariances"]
    moved = start.replace(means=means @ turn.T + shift, covariances=turn @ covariances @ turn.T)
    one = model.burst(start, None, source.block(0), 200, 0.0, 2)
    other = model.burst(moved, None, ArraySource(x @ turn.T + shift).block(0), 200, 0.0, 2)
    # At the end rounding decides which leap is higher.
    n = 150
    np.testing.assert_array_equal(one.marks[:n, [0, 2]], other.marks[:n, [0, 2]])
    assert (one.marks[:n, 0] == 0).sum() > 5
    larger = np.array(other.objectives) + len(x) * np.linalg.slogdet(turn)[1]
    np.testing.assert_allclose(one.objectives, larger, atol=1e-7)


def test_without_leaps_a_burst_is_plain():
    model, source, start = slow_problem()
    plain = model.burst(start, None, source.block(0), 200)
    assert plain.extrapolations == (0, 0)
    np.testing.assert_array_equal(plain.marks[:, [0, 2]], np.ones((201, 2)))
    # The leaps set in where they are allowed, and not before.
    later = model.burst(start, None, source.block(0), 200, 0.0, 30)
    assert later.extrapolations[1] > 0 and later.objectives[:31] == plain.objectives[:31]


def test_whoever_looks_on_changes_nothing():
    for seed, name in itertools.product(range(3), ("VVV", "EEI", "VEE")):
        model, source, start = slow_problem(name, seed=seed)
        for accelerate in ("off", "auto"):
            seen, ends = [], []
            for observer in (None, seen.append):
                rule = AitkenRule(source.weight)
                ends.append(run(Plain(accelerate).solver(model, rule), source, start, rule, None, observer))
            one, other = ends
            assert one.trace == other.trace and one.status is other.status is Status.CONVERGED
            assert (one.passes, one.n_iter, one.extrapolations) == (other.passes, other.n_iter, other.extrapolations)
            assert [info.objective for info in seen] == list(one.trace)
            assert sum(not info.plain for info in seen) == one.extrapolations[1]


@pytest.mark.parametrize("most", [0, 1, 2, 3, 25, 26, 27, 40])
def test_limits_hold(most):
    model, source, start = slow_problem()
    for rule in (AitkenRule(source.weight), NeverStop()):
        ended = run(Plain("auto").solver(model, rule), source, start, rule, Limits(max_iter=most))
        assert ended.n_iter == most and len(ended.trace) == most + 1
        assert ended.status is Status.OUT_OF_ITERATIONS
        assert ended.objective == ended.trace[-1]


def test_first_bursts_of_many_runs_are_those_of_each(threads):
    runs, plain = [], []
    for seed, (name, k) in enumerate(itertools.product(("VVV", "EEI", "VVE", "EII"), (1, 2, 3, 5))):
        model = mixture(k, 2, name)
        source = ArraySource(table(0, 200, 2, 3))
        start = start_from(model, source.x, (np.arange(200) + seed) % k)
        solver = Plain("auto").solver(model, AitkenRule(source.weight))
        runs.append((model, start, solver.journey(solver.init(start), source, 1000), source.block(0)))
        rule = AitkenRule(source.weight)
        plain.append(run(solver, source, start, rule))
    for n in (1, 2, 3):
        threads(n)
        trails = first_trails(runs)
        for trail, (model, start, *_), one in zip(trails, runs, plain, strict=True):
            rule = AitkenRule(source.weight)
            other = run(Begun(Plain("auto").solver(model, rule), trail), source, start, rule)
            assert other.trace == one.trace and other.passes == one.passes and other.status is one.status
            assert other.extrapolations == one.extrapolations
            for name, value in one.params.values.items():
                np.testing.assert_array_equal(other.params[name], value)


def test_runs_that_take_no_bursts_begin_by_themselves():
    model = mixture(2, 2, "VVV")
    source = ArraySource(table(0, 200, 2, 2))
    start = start_from(model, source.x, np.arange(200) % 2)
    singular = start.replace(covariances=np.zeros((2, 2, 2)))
    block, journey = source.block(0), (9, 0.0, None)
    runs = [(model, start, None, block), (model, singular, journey, block), None, (model, start, journey, block)]
    found = list(first_trails(runs))
    assert found[:3] == [None] * 3 and len(found[3].objectives) == 10


def test_after_the_deadline_nothing_is_taken_ahead():
    model = mixture(2, 2, "VVV")
    source = ArraySource(table(0, 200, 2, 2))
    runs = [(model, start_from(model, source.x, np.arange(200) % 2), (9, 0.0, None), source.block(0))] * 3
    assert list(first_trails(runs, time.perf_counter() - 1.0)) == [None] * 3
    assert all(first_trails(runs, time.perf_counter() + 100.0))


def test_runs_are_asked_for_while_others_are_on_their_way(threads):
    model = mixture(2, 2, "VVV")
    source = ArraySource(table(0, 200, 2, 2))
    start, asked = start_from(model, source.x, np.arange(200) % 2), []

    def runs():
        for i in range(80):
            asked.append(i)
            yield model, start, (9, 0.0, None), source.block(0)

    for n in (1, 2, 4):
        threads(n)
        asked.clear()
        for i, trail in enumerate(first_trails(runs())):
            # Some are asked for before the first is given, and not all.
            assert trail is not None and len(asked) == min(i + 1 + _AHEAD, 80)


def n_tasks():
    """Threads of the process, where the system tells: Python does not know of all."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.exists() else 0


def test_what_nobody_asks_for_any_more_ends_with_the_flight(threads):
    threads(3)
    model = mixture(3, 2, "VVV")
    source = ArraySource(table(0, 2_000, 2, 3))
    start = start_from(model, source.x, np.arange(2_000) % 3)
    runs = [(model, start, (200, 0.0, None), source.block(0))] * 40
    before = n_tasks()
    trails = first_trails(runs)
    first = next(trails)
    during = n_tasks()
    trails.close()
    assert len(first.objectives) == 201 and n_tasks() == before
    assert during == before + 2 or during == 0
    with pytest.raises(ZeroDivisionError):
        list(first_trails(run if i < 20 else 1 // 0 for i, run in enumerate(runs)))


def test_short_runs_on_several_blocks_see_all_of_them():
    x = np.concatenate([table(0, 6_000, 8, 2), 50.0 + table(1, 6_000, 8, 2)])
    model, source = mixture(2, 8, "VVV"), ArraySource(x, block_rows=4_000)
    assert source.n_blocks > 1 and model.family.in_bursts(source.block(0))
    start = start_from(model, x, np.arange(12_000) // 6_000)
    (end,) = short_ends(model, source, [start], 5, 0.0)
    params, _ = end.point()
    np.testing.assert_allclose(params["weights"], 0.5, atol=1e-6)
    assert end.objective == pytest.approx(source.fold(model.expect, params).loglik, rel=1e-12)


@pytest.mark.parametrize("shape", ["VVV", "VVI", "VII", "EEE", "VEV"])
def test_short_runs_that_nobody_looks_at_are_those_of_the_loop(shape):
    source = ArraySource(table(3, 300, 2, 3))
    model = mixture(3, 2, shape, 1e-4)
    solver, block = Plain("off").solver(model, AitkenRule(source.weight, tol=1e-3)), source.block(0)
    outcomes = set()
    for size in range(1, 12):
        start = start_from(model, source.x, (np.arange(300) // size) % 3)
        for steps in (4, 16, 60, 200):
            journey = solver.journey(solver.init(start), source, steps)
            (trail,) = first_trails([(model, start, journey, block)], ends_only=True)
            whole = whole_run(trail, steps, 1e-3)
            outcomes.add(None if whole is None else whole.status)
            if whole is None:
                continue
            one = run(solver, source, start, AitkenRule(source.weight, tol=1e-3), Limits(steps))
            assert whole.trace == one.trace and whole.passes == one.passes and whole.n_iter == one.n_iter
            assert whole.status is one.status and whole.objective == one.objective
            for name, value in one.params.values.items():
                np.testing.assert_array_equal(whole.params[name], value)
            np.testing.assert_array_equal(whole.statistics.components.counts, one.statistics.components.counts)
    assert {Status.CONVERGED, Status.OUT_OF_ITERATIONS} <= outcomes


def test_what_failed_or_fell_is_no_whole_run():
    class Told:
        """Objectives of a trail, and how it ended."""

        def __init__(self, objectives, failure="", is_over=False):
            self.objectives, self.failure, self.is_over = objectives, failure, is_over

        def point(self, index):
            return None, index

    rising = [0.0, 4.0, 6.0, 7.0]
    assert whole_run(Told(rising), 3, 0.1).status is Status.OUT_OF_ITERATIONS
    assert whole_run(Told(rising, is_over=True), 9, 0.1).status is Status.CONVERGED
    for told, steps in (
        (Told(rising), 9),  # there is more to do
        (Told(rising, failure="singular"), 3),
        (Told([0.0, 4.0, 6.0, 5.0], is_over=True), 9),
        (Told([0.0, 4.0, 6.0, np.nan], is_over=True), 9),
        (Told([0.0, 4.0, 4.2, 4.3]), 3),  # the rule may stop it
        (Told([0.0, 4.0, 4.0001, 4.0003]), 3),  # and here, where gains are those of rounding
        (Told([0.0, 1.0]), 1),
    ):
        assert whole_run(told, steps, 0.1) is None


@pytest.mark.parametrize("offset", [0.0, 300.0])
@pytest.mark.parametrize("shape", ["VVV", "VVI", "VII", "EEE"])
def test_bursts_in_single_precision_go_the_same_way(shape, offset):
    # Rows that are kept lie about the middle of the first means, from where these move far away.
    x = table(5, 2_500, 8, 3) + offset
    model = mixture(3, 8, shape, 1e-4)
    start = start_from(model, x, np.arange(2_500) % 3)
    start = start.replace(means=start["means"] + np.linspace(-3.0, 9.0, 8))
    exact, rough = ArraySource(x), ArraySource(x.astype(np.float32), single=True)
    (one,), (other,) = (short_ends(model, source, [start], 40, 0.0) for source in (exact, rough))
    assert other.objective == pytest.approx(one.objective, abs=1.0)
    (params, statistics), (again, _) = other.point(), one.point()
    np.testing.assert_allclose(params["means"], again["means"], atol=0.02)
    # What it says of its end is said in double precision, too.
    assert model.objective(params, statistics) == other.objective
    assert exact.fold(model.expect, params).loglik == pytest.approx(other.objective, rel=3e-6)


def test_bursts_on_different_rows_go_together(threads):
    model = mixture(2, 2, "VVV")
    sources = [ArraySource(table(seed, 100 + 50 * seed, 2, 2)) for seed in range(12)]
    starts = [start_from(model, source.x, np.arange(source.n_rows) % 2) for source in sources]
    problems = [(model, source, Starts.of([start, start])) for source, start in zip(sources, starts, strict=True)]
    for n in (1, 3):
        threads(n)
        for (_, source, both), ends in zip(problems, short_ends_of_all(problems, 12, 0.01), strict=True):
            (alone,) = short_ends(model, source, [both[0]], 12, 0.01)
            assert [end.objective for end in ends] == [alone.objective] * 2
            np.testing.assert_array_equal(ends[1].point()[0]["means"], alone.point()[0]["means"])
            np.testing.assert_array_equal(ends[1].means(), alone.point()[0]["means"])


def test_another_problem_is_asked_for_while_one_of_many_starts_is_on_its_way():
    model, source, asked = mixture(2, 2, "VVV"), ArraySource(table(0, 200, 2, 2)), []
    starts = Starts.of([start_from(model, source.x, np.arange(200) % 2)] * (2 * _AHEAD))

    def problems():
        for i in range(4):
            asked.append(i)
            yield model, source, starts

    for i, ends in enumerate(short_ends_of_all(problems(), 5, 0.0)):
        assert len(ends) == len(starts) and len(asked) == min(i + 2, 4)


def test_smallest_ratios_are_those_of_lapack():
    rng = np.random.default_rng(0)
    for d in (1, 2, 5, 16):
        factors = rng.standard_normal((4, d, 2 * d))
        matrices, half = factors @ factors.transpose(0, 2, 1), rng.standard_normal((d, 2 * d))
        unit = half @ half.T
        found = choose.native_smallest_ratios(matrices, unit)
        np.testing.assert_allclose(found, [eigh(m, unit, eigvals_only=True)[0] for m in matrices], rtol=1e-9)
    assert choose.native_smallest_ratios(matrices, -unit) is None
    assert choose.native_smallest_ratios(np.tile(np.eye(17), (2, 1, 1)), np.eye(17)) is None
    for bad in ((matrices, unit[:-1], found), (matrices[:-1], unit, found), (matrices, unit, np.empty(0))):
        with pytest.raises((TypeError, ValueError)):
            native.smallest_ratios(*bad)
