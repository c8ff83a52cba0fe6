"""The search over Gaussian mixtures: on which rows, in which way, and how it ends on all of them."""

import time
from threading import Event

import numpy as np
import pytest
from mixtures import SHAPES, fit, mixture, start_from, table

import jensen.fit.search.mixtures as module
import jensen.fit.search.rows as rows
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import NumericalFailure
from jensen.families.gaussian import Gaussian
from jensen.fit.outliers.trimming import TrimmedOutliers
from jensen.fit.search.climbing import heading
from jensen.fit.search.landscape import Plan
from jensen.kernels.choose import native_kernels

CLEAR = table(0, 4000, 2, 4, spread=6.0)
# One group: two components on it have many optima of about one height.
VAGUE = np.random.default_rng(0).standard_normal((1500, 2))


@pytest.fixture
def plans(monkeypatch):
    """Every plan that a search made."""
    made = []

    def plan(*args, **settings):
        made.append(Plan(*args, **settings))
        return made[-1]

    monkeypatch.setattr(module, "Plan", plan)
    return made


@pytest.fixture
def sampled(monkeypatch):
    """Searches look at a few hundred rows."""
    monkeypatch.setattr(rows, "_FEWEST_ROWS", 400)
    monkeypatch.setattr(rows, "_ROWS_PER_NUMBER", 1)
    monkeypatch.setattr(rows, "_WORTH_A_SAMPLE", 1.0)


def test_where_passes_cost_nothing_every_start_runs_to_its_end(plans):
    few, many = fit(CLEAR[:100], 4, n_init="auto"), fit(CLEAR, 4, n_init="auto")
    assert [plan.thorough for plan in plans] == [True, False]
    assert not any(start.status is Status.DROPPED for start in few.starts)
    # The highest of six, and the one that promised most, if that is another.
    assert 4 <= sum(start.status is Status.DROPPED for start in many.starts) / many.account.rounds <= 5
    for result in (few, many):
        assert result.account.n_rows == result.n_rows and not result.account.sampled


def test_groups_come_early_where_components_have_rows_and_covariances_of_their_own(plans):
    some, wide = CLEAR[:1500], table(0, 6000, 8, 20)
    fit(some, 4, n_init="auto")
    fit(some, 4, n_init="auto", covariance_type="tied")
    fit(some, 4, n_init="auto", trim=0.05)
    fit(wide, 20, n_init="auto", max_iter=20)
    assert [plan.quick_groups for plan in plans] == [True, False, False, False]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_sample_finds_what_all_the_rows_have(shape, weighted, sampled):
    weight = np.random.default_rng(1).integers(1, 4, len(CLEAR)).astype(float) if weighted else None
    result = fit(CLEAR, 4, weight, covariance_type=shape, n_init="auto")
    account = result.account
    assert account.sampled and account.n_rows == 400 and str(account).startswith("On a sample of 400 rows: ")
    # Its heights are those of the sample; the fit's is that of all the rows, at their own optimum.
    assert account.optima[0].loglik > 0.5 * result.loglik / (1 if weight is None else 2)
    assert result.objective == pytest.approx(
        ArraySource(CLEAR, weight).fold(result.model.expect, result.params).loglik, rel=1e-12
    )
    assert result.status is Status.CONVERGED and len(result.trace) == result.n_iter + 1
    assert result.trace[0] < result.trace[-1]
    whole = max(fit(CLEAR, 4, weight, covariance_type=shape, n_init=4, seed=s).objective for s in range(3))
    assert result.objective == pytest.approx(whole, abs=1e-3)


def test_the_sample_depends_on_the_seed_and_not_on_the_order_of_rows(sampled):
    order = np.random.default_rng(2).permutation(len(CLEAR))
    one, other, seeded = (
        fit(rows, 4, n_init="auto", seed=seed) for rows, seed in ((CLEAR, 0), (CLEAR[order], 0), (CLEAR, 1))
    )
    heights = [result.account.optima[0].objective for result in (one, other, seeded)]
    assert heights[1] == pytest.approx(heights[0], abs=1e-6) and abs(heights[2] - heights[0]) > 1.0


def test_all_the_rows_decide_between_the_best_of_a_sample(sampled, monkeypatch):
    told, real = [], module.final

    def final(source, model, account, limits, best):
        found, number = real(source, model, account, limits, best)
        heights = []
        for optimum in account.optima[:3]:
            params = optimum.params
            for _ in range(4):
                params = model.maximize(params, source.fold(model.expect, params))
            height = source.fold(model.expect, params).loglik - optimum.price
            heights.append(-np.inf if optimum.faults else height)
        told.append((number, heights, len(account.optima)))
        return found, number

    monkeypatch.setattr(module, "final", final)
    for seed in (0, 1, 3):
        result = fit(VAGUE, 2, n_init="auto", covariance_type="spherical", seed=seed)
        number, heights, _ = told[-1]
        assert heights[number] == pytest.approx(max(heights), abs=1e-6)
        # It leads the account, too.
        assert result.account.optima[0].n_starts == sum(start.optimum == 0 for start in result.starts)
    assert {number for number, *_ in told} > {0}, "the case has lost its point: the sample was always right"


def test_an_interrupt_while_all_the_rows_decide_keeps_the_best(sampled, monkeypatch):
    real, inside = rows.run, []

    def interrupted(solver, source, start, rule, limits, observer=None):
        def told(info):
            inside.append(info)
            if len(inside) == 2:
                raise KeyboardInterrupt

        return real(solver, source, start, rule, limits, told if limits.max_iter == rows._FINAL_STEPS else observer)

    monkeypatch.setattr(rows, "run", interrupted)
    result = fit(VAGUE, 2, n_init="auto", covariance_type="spherical")
    assert len(inside) == 2 and result.status is Status.INTERRUPTED
    assert result.objective == pytest.approx(ArraySource(VAGUE).fold(result.model.expect, result.params).loglik)


def test_one_optimum_is_one_whatever_the_order_of_its_components():
    model = mixture(3, 2, "full")
    land = module.MixtureLandscape(
        model, _summary(CLEAR), 0, lambda i: None, "off", module.Limits(), "avoid", module.serially, 1e-4, 1e-3
    )
    params = fit(CLEAR, 3, n_init=1).params.replace(weights=np.full(3, 1 / 3))
    assert land.same(params, model.permuted(params, [2, 0, 1]))
    moved = params.replace(means=params["means"] + CLEAR.std(axis=0) * [[0.3], [0.0], [0.0]])
    assert not land.same(params, moved)
    # Two components on one place are not one on each of two.
    twice = params.replace(means=params["means"][[0, 0, 1]])
    assert not land.same(twice, params) and not land.same(params, twice)


@pytest.mark.parametrize("n_iter", [None, 8])
@pytest.mark.parametrize("accelerate", ["auto", "squarem"])
def test_starts_of_a_round_are_those_of_each(n_iter, accelerate, threads):
    """Also where one cannot be drawn, and one has no density."""
    model = mixture(3, 2, "full")

    def make(index):
        if index == 12:
            raise NumericalFailure("no start")
        start = start_from(model, CLEAR, (np.arange(len(CLEAR)) // (index + 1)) % 3)
        return f"kind {index}", start.replace(covariances=np.zeros((3, 2, 2))) if index == 14 else start

    told = []
    land = module.MixtureLandscape(
        model, _summary(CLEAR), 0, make, accelerate, module.Limits(60), "avoid", module.serially, 1e-4, 1e-3,
        lambda index, info: told.append(index),
    )  # fmt: skip
    land.rows = land.source = ArraySource(CLEAR[::7])
    assert land.quick == (native_kernels() is not None)
    indices = range(10, 17)
    for n in (1, 2):
        threads(n)
        told.clear()
        found = land.start_all(indices, n_iter, module.serially)
        assert set(told) == (set() if n_iter else {10, 11, 13, 15, 16})
        for index, (kind, run) in zip(indices, found, strict=True):
            assert isinstance(run, NumericalFailure) == (index in (12, 14))
            if isinstance(run, NumericalFailure):
                continue
            start = make(index)[1]
            alone = land.finish(start) if n_iter is None else land.climb(start, n_iter)
            # Short runs are in single precision.
            assert run.trace == pytest.approx(alone.trace, rel=1e-6 if n_iter else 0.0, abs=0.0)
            assert kind == f"kind {index}" and run.status is alone.status


@pytest.mark.parametrize("rows", [CLEAR, CLEAR.astype(np.float32)], ids=["bursts", "none"])
def test_climbs_of_a_batch_are_those_of_each(rows, threads):
    model = mixture(3, 2, "full")
    land = module.MixtureLandscape(
        model, _summary(CLEAR), 0, lambda i: None, "off", module.Limits(30), "avoid", module.serially, 1e-4, 1e-3
    )
    land.rows = land.source = ArraySource(rows)
    starts = [start_from(model, CLEAR, (np.arange(len(CLEAR)) // size) % 3) for size in range(1, 12)]
    # One has no density, and for one nothing is left of the limit.
    starts[4] = starts[4].replace(covariances=np.zeros((3, 2, 2)))
    before = [0, 5, 30, *range(20, 28)]
    alone = [None if i == 4 else land.climb(start, 8, before[i]) for i, start in enumerate(starts)]
    for n in (1, 2):
        threads(n)
        found = land.climb_all(starts, 8, before, module.serially)
        assert isinstance(found[4], NumericalFailure)
        for run, one in zip(found, alone, strict=True):
            if one is not None:
                # In single precision, whose rounding is not that of runs step by step.
                assert run.trace == pytest.approx(one.trace, rel=1e-6)
                assert run.status is one.status and run.n_iter == one.n_iter
                np.testing.assert_allclose(run.params["means"], one.params["means"], rtol=1e-3, atol=1e-3)


def _summary(x):
    from jensen.fit.summary import summarise

    return summarise(ArraySource(x))


def test_price_grows_with_the_rows_and_faults_come_first():
    rng = np.random.default_rng(3)
    wide = rng.standard_normal((400, 2)) * 3.0
    x = np.concatenate([wide, 0.06 * rng.standard_normal((40, 2)) + 1.0])
    result = fit(x, 2, n_init="auto")
    # Forty rows on next to one place are really there, and they say so by many nats.
    assert sorted(result.params["weights"]) == pytest.approx([0.09, 0.91], abs=0.01) and result.is_sound
    narrow = result.account.optima[0]
    assert narrow.narrow and narrow.price == pytest.approx((result.params.n_free + 1) / 4 * np.log(440))
    # Rows that happen to lie in line are not.
    lucky = fit(wide[:60], 4, n_init="auto")
    assert lucky.account.set_aside and all(o.faults or o.price > 0 for o in lucky.account.set_aside)
    allowed = fit(wide[:60], 4, n_init="auto", degenerate="allow")
    assert allowed.objective > lucky.objective + 1.0 and allowed.account.set_aside == ()
    many = fit(wide[:60], 4, n_init=20, degenerate="allow", init="random")
    assert many.objective == max(start.objective for start in many.starts)
    avoided = fit(wide[:60], 4, n_init=20, init="random")
    assert [s.objective for s in avoided.starts] == [s.objective for s in many.starts]
    assert avoided.is_sound >= many.is_sound and avoided.objective <= many.objective


@pytest.mark.parametrize("offset", [0.0, 1e7])
@pytest.mark.parametrize("shape", SHAPES)
def test_short_runs_in_single_precision_tell_nothing(shape, offset, monkeypatch):
    # Whether passes take long or not: one place, and no number that is told comes from a rough run.
    monkeypatch.setattr(Gaussian, "in_bursts", lambda self, block: False)
    found, seen = [], []
    for long in (1 << 22, 0):
        monkeypatch.setattr(module, "_LONG", long)
        init = module.MixtureLandscape.__post_init__
        monkeypatch.setattr(
            module.MixtureLandscape, "__post_init__", lambda self, init=init: (init(self), seen.append(self))[0]
        )
        found.append(fit(table(5, 1200, 3, 4, spread=1.5) + offset, 4, covariance_type=shape, n_init="auto"))
    one, other = found
    assert other.objective == pytest.approx(one.objective, abs=1e-3)
    assert (np.diff(other.trace) >= -1e-10 * abs(other.objective)).all() and len(other.trace) == other.n_iter + 1
    # Far from zero single precision would not tell the rows apart.
    assert seen[0].rough is seen[0].source and (seen[-1].rough is seen[-1].source) == (offset > 0)
    assert offset > 0 or seen[-1].rough.block(0).x.dtype == np.float32
    short = seen[-1].climb(seen[-1].draw(0).params, 5)
    finished = seen[-1].finish(short.params)
    joined = seen[-1].joined(short, finished)
    assert joined.passes == short.passes + finished.passes
    assert joined.trace == (finished.trace if offset == 0 else (*short.trace[:-1], *finished.trace))


@pytest.mark.parametrize("quick", [True, False])
def test_a_glance_tells_what_a_short_run_would(quick, monkeypatch):
    if not quick:
        monkeypatch.setattr(Gaussian, "in_bursts", lambda self, block: False)
    model = mixture(4, 2, "full", 1e-4)
    land = module.MixtureLandscape(
        model, _summary(CLEAR[:300]), 0, lambda i: None, "off", module.Limits(), "avoid", module.serially, 1e-4, 1e-3,
    )  # fmt: skip
    starts = [start_from(model, CLEAR[:300], np.arange(300) % 4), start_from(model, CLEAR[:300], np.arange(300) // 75)]
    starts.append(starts[0].replace(covariances=np.zeros((4, 2, 2))))
    for n_iter in (3, 500):
        runs = land.climb_all(starts, n_iter, [0] * 3, module.serially)
        for run, glimpse in zip(runs[:2], land.glance_all(starts[:2], n_iter, module.serially), strict=True):
            assert glimpse.objective == pytest.approx(run.objective, abs=1e-3)
            assert glimpse.heading == pytest.approx(heading(run), rel=1e-5)
            assert n_iter > 3 or glimpse.passes == run.passes
            np.testing.assert_allclose(glimpse.params["means"], run.params["means"], atol=1e-2)
        assert isinstance(runs[2], NumericalFailure)
        assert land.glance_all(starts, n_iter, module.serially)[2] is None
    assert land.glance_all([], 3, module.serially) == []
    # Of a search that was interrupted none is begun.
    land.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        land.glance_all(starts, 3, module.serially)


@pytest.mark.parametrize("why", ["cancel", "deadline"])
def test_a_start_from_above_heeds_the_limits_of_the_search(why, monkeypatch):
    # Where a pass takes long, runs go step by step, and no further one is begun.
    monkeypatch.setattr(Gaussian, "in_bursts", lambda self, block: False)
    model, cancel = mixture(4, 2, "full", 1e-4), Event()
    limits = module.Limits(cancel=cancel) if why == "cancel" else module.Limits(deadline=time.perf_counter())
    land = module.MixtureLandscape(
        model, _summary(CLEAR[:300]), 0, lambda i: None, "off", limits, "avoid", module.serially, 1e-4, 1e-3,
        from_above=True,
    )  # fmt: skip
    if why == "deadline":
        # A pass to begin with and one for responsibilities, for five components that become four.
        assert land.draw(0).passes == pytest.approx(2.0 * 5 / 4)
        return
    cancel.set()
    with pytest.raises(KeyboardInterrupt):
        land.draw(0)
    assert land.interrupted


def test_a_start_from_above_knows_nothing_of_trimming(monkeypatch):
    # So much is trimmed that starts are drawn from all the rows: what is merged then is no trimmed mixture.
    model = mixture(4, 2, "full", 1e-4)
    land = module.MixtureLandscape(
        model, _summary(CLEAR[:120]), 0, lambda i: None, "off", module.Limits(), "avoid", module.serially, 1e-4, 1e-3,
        outliers=TrimmedOutliers(model, 0.95), from_above=True,
    )  # fmt: skip
    real, sources = module.Descents.begin, []

    def noted(self, params, *given):
        sources.extend(given[:2])
        return real(self, params, *given)

    monkeypatch.setattr(module.Descents, "begin", noted)
    drawn = land.draw(0)
    assert drawn.kind == "from above" and len(drawn.params["weights"]) == 4
    assert sources and all(type(source) is ArraySource and source.weight == 120.0 for source in sources)
