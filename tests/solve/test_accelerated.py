"""Accelerated EM: whatever happens at an extrapolated point, the run goes on from the point before."""

import time
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from climbs import OneBlock, climb, falls, small_problem
from examples import example
from mixtures import NeverStop, mixture

import jensen
from jensen.core.contracts import Stage
from jensen.core.domains import Interval, Positive, Real, Simplex
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import NumericalFailure
from jensen.kernels.choose import native_kernels
from jensen.solve.accelerated import Accelerated, inside
from jensen.solve.auto import Auto, iterations_left
from jensen.solve.em import EM
from jensen.solve.extrapolation import Anderson, QuasiNewton, Squarem
from jensen.solve.loop import Limits, run
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Plain

METHODS = [Squarem(), Anderson(), QuasiNewton()]
ACCELERATIONS = ["auto", "squarem", "anderson", "quasi-newton"]
RATES = np.array([0.99, 0.7, 0.2])


@dataclass
class Hill:
    """EM of a quadratic hill: the M-step goes a share of the way, and passes may go wrong where it pleases.

    Attributes
    ----------
    wrong : callable (x, number of the pass) -> Exception, float or None
        Raised, or returned as the objective.
    """

    wrong: object = lambda x, number: None
    rates: np.ndarray = field(default_factory=lambda: RATES)
    passes: list = field(default_factory=list)

    domains = {"x": Real((3,))}

    @property
    def stages(self):
        return (Stage(self.expect, self.maximize),)

    def start(self):
        return Parameters({"x": np.ones(3)}, self.domains)

    def expect(self, params, block):
        self.passes.append(params["x"])
        value = self.wrong(params["x"], len(self.passes) - 1)
        if isinstance(value, BaseException):
            raise value
        return -float(params["x"] @ params["x"]) if value is None else value

    def maximize(self, params, statistics):
        return params.replace(x=self.rates * params["x"])

    def objective(self, params, statistics):
        return statistics


def go(hill, method=None, rule=None, limits=None, observer=None):
    solver = Accelerated(hill, method or QuasiNewton())
    return run(solver, OneBlock(), hill.start(), rule or AitkenRule(1.0, tol=1e-12), limits, observer)


def off_the_path(x):
    """Whether a point is none that plain steps from the start reach: the slow coordinate tells the step."""
    steps = np.log(x[0]) / np.log(RATES[0]) if x[0] > 0 else -1.0
    return abs(steps - round(steps)) > 1e-6 or not np.allclose(x, RATES ** round(steps), rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_end_is_reached_in_few_passes_and_the_trace_never_falls(method):
    plain = run(EM(Hill()), OneBlock(), Hill().start(), AitkenRule(1.0, tol=1e-12))
    result = go(Hill(), method)
    assert result.status.is_converged
    assert -1e-10 < result.objective <= 0.0
    assert result.passes < plain.passes / 10
    assert (np.diff(result.trace) >= 0).all()
    tried, accepted = result.extrapolations
    assert result.n_iter == len(result.trace) - 1 and result.passes == 1 + result.n_iter + tried - accepted


@pytest.mark.parametrize(
    "wrong",
    [NumericalFailure("no density"), ZeroDivisionError(), ValueError("math domain error"),
     np.linalg.LinAlgError(), np.nan, -np.inf, -1e9],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("method", METHODS)
def test_an_extrapolated_point_that_is_no_good_is_left_for_the_plain_step(method, wrong):
    hill, seen = Hill(lambda x, number: wrong if off_the_path(x) else None), []
    result = go(hill, method, NeverStop(), Limits(max_iter=120), seen.append)
    assert result.status is Status.OUT_OF_ITERATIONS
    np.testing.assert_allclose(result.params["x"], RATES**120, rtol=1e-9)
    tried, accepted = result.extrapolations
    assert tried > 0 == accepted
    assert result.passes == 121 + tried and result.n_iter == 120 == len(result.trace) - 1
    assert not any(info.refused for info in seen) and all(np.isfinite(info.objective) for info in seen)


@pytest.mark.parametrize("wrong", [NumericalFailure("no density"), np.nan])
def test_the_same_at_a_plain_point_ends_the_run_with_the_point_before(wrong):
    result = go(Hill(lambda x, number: wrong if number == 3 else None))
    assert result.status is Status.DEGENERATE
    np.testing.assert_allclose(result.params["x"], RATES**2)
    assert result.objective == result.trace[-1] == result.statistics


@pytest.mark.parametrize("number", [4, 7, 8, 9])
def test_an_interrupt_keeps_the_best_point(number):
    result = go(Hill(lambda x, n: KeyboardInterrupt() if n == number else None))
    assert result.status is Status.INTERRUPTED
    assert result.objective == max(result.trace) == -float(result.params["x"] @ result.params["x"])


def test_limits_hold_also_while_extrapolations_are_refused():
    hill = Hill(lambda x, number: -1e9 if off_the_path(x) else None)
    result = go(hill, rule=NeverStop(), limits=Limits(deadline=time.perf_counter() + 0.02))
    assert result.status is Status.OUT_OF_TIME
    with pytest.raises(NumericalFailure):
        go(Hill(lambda x, number: np.nan))


def test_a_map_that_is_not_finite_beyond_an_extrapolated_point_is_found_out_before():
    class Cliff(Hill):
        def maximize(self, params, statistics):
            x = params["x"]
            return params.replace(x=np.full(3, np.nan) if off_the_path(x) else RATES * x)

    result = go(Cliff(), rule=NeverStop(), limits=Limits(max_iter=20))
    assert result.status is Status.OUT_OF_ITERATIONS and result.params.is_finite
    assert result.extrapolations[1] == 0 < result.extrapolations[0]


def test_what_is_not_finite_at_an_extrapolated_point_warns_of_nothing():
    result = go(
        Hill(lambda x, number: float(np.log(-x[:1])[0]) if off_the_path(x) else None), limits=Limits(max_iter=40)
    )
    assert result.extrapolations[0] > 0 == result.extrapolations[1]
    with pytest.raises(RuntimeWarning):
        go(Hill(lambda x, number: float(np.log(-x[:1])[0]) if number == 2 else None))


@pytest.mark.parametrize("accelerate", ACCELERATIONS)
def test_wrong_extrapolations_warn_of_nothing(accelerate):
    # Far out, logarithms of 0 and overflows are to be expected; the suite makes every warning an error.
    deaths = example("poisson_mixture")
    start = {"p": 0.999, "rates": [1e-3, 60.0]}
    fit = jensen.em(deaths.PoissonMixture(), np.arange(10), start, sample_weight=deaths.DAYS, accelerate=accelerate)
    assert fit.objective == pytest.approx(-1989.945859882964, abs=1e-5)


@dataclass
class TwoStages(Hill):
    """The same hill, whose coordinates are moved in two stages."""

    @property
    def stages(self):
        one, other = np.array([1.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])
        return tuple(
            Stage(self.expect, lambda params, statistics, m=m: params.replace(x=params["x"] * (m * RATES + (1 - m))))
            for m in (one, other)
        )


@pytest.mark.parametrize("method", METHODS)
def test_a_turn_of_all_stages_is_the_map(method):
    seen = []
    result = go(TwoStages(), method, observer=seen.append)
    plain = run(EM(TwoStages()), OneBlock(), Hill().start(), NeverStop(), Limits(max_iter=4000))
    assert result.status.is_converged and result.objective > -1e-10
    assert result.passes < 250 and plain.objective < result.objective + 1e-10
    assert (np.diff(result.trace) >= 0).all()
    # Plain points are those that complete a turn.
    assert all(info.iteration % 2 == 0 for info in seen if info.plain)


def test_what_lies_on_the_boundary_stays_and_nothing_else_goes_there():
    domains = {"w": Simplex(3), "p": Interval((2,)), "r": Positive((1,))}
    plain = Parameters({"w": [0.5, 0.5, 0.0], "p": [1.0, 0.3], "r": [2.0]}, domains)
    here = plain.to_free()
    found = inside(plain, here, here + np.array([700.0, 3.0, 5.0, 60.0, 800.0]))
    assert found["w"][2] == 0.0 and found["p"][0] == 1.0
    assert 0.3 < found["p"][1] < 1.0 and 2.0 < found["r"][0] < np.inf
    back = inside(plain, here, here - np.array([700.0, 700.0, 900.0, 1.0, 0.0]))
    assert back["w"][2] == 0.0 and back["p"][0] == 1.0 and back["p"][1] < 0.3
    assert inside(plain, here, np.full(5, np.nan)) is None
    assert inside(plain, here, here + np.array([0.0, 0.0, 0.0, 1e5, 0.0])) is None


@pytest.mark.parametrize("accelerate", ACCELERATIONS)
@pytest.mark.filterwarnings("ignore:the start is on the boundary")
def test_a_start_on_the_boundary_stays_there(accelerate):
    deaths = example("poisson_mixture")
    start = {"p": 1.0, "rates": [1.0, 3.0]}

    class Held(deaths.PoissonMixture):
        def expect(self, params, block):
            with np.errstate(divide="ignore"):
                return super().expect(params, block)

        def maximize(self, params, s):
            return {"p": s.days[0] / s.weight, "rates": np.where(s.days > 0, s.deaths / np.maximum(s.days, 1.0), 3.0)}

    fit = jensen.em(Held(), np.arange(10), start, sample_weight=deaths.DAYS, accelerate=accelerate, max_iter=50)
    assert fit.params["p"] == 1.0
    assert fit.params["rates"][0] == pytest.approx(np.arange(10) @ deaths.DAYS / sum(deaths.DAYS))


@pytest.mark.parametrize("accelerate", ACCELERATIONS)
def test_several_blocks_and_guarded_steps(accelerate):
    model, x, _, start = small_problem(5, n=400, n_components=3, spread=0.7)
    whole, infos = climb(Plain(accelerate), model, x, start, max_iter=200)
    assert falls(infos) <= 1e-10
    solver = Plain(accelerate).solver(model, AitkenRule(400.0))
    cut = run(solver, ArraySource(x, block_rows=37), start, NeverStop(), Limits(max_iter=60))
    assert cut.objective == cut.trace[-1] and np.diff(cut.trace).min() >= -1e-10 * abs(cut.objective)

    class Overshooting(Hill):
        @property
        def stages(self):
            return (replace(super().stages[0], guarded=True),)

        def maximize(self, params, statistics):
            return params.replace(x=-8.0 * params["x"])

        def complete(self, params, statistics):
            return -float(params["x"] @ params["x"])

    result = go(Overshooting(), limits=Limits(max_iter=200))
    assert (np.diff(result.trace) >= 0).all() and result.objective > -1e-3


# --------------------------------------------------------------------------------------------- auto


def test_iterations_left_are_those_of_a_geometric_series():
    left = 100.0 * 0.9 ** np.arange(400)
    gain, before = left[9] - left[10], left[8] - left[9]
    found = iterations_left(gain, before, 1e-6)
    assert left[10 + int(np.ceil(found))] <= 1e-6 < left[10 + int(found) - 1]
    assert iterations_left(1.0, np.inf, 1e-6) == iterations_left(2.0, 1.0, 1e-6) == iterations_left(0.0, 1.0, 1e-6) == 0
    assert iterations_left(1e-9, 1e-8, 1e-6) == 0


def test_auto_leaves_fast_models_alone_and_turns_to_slow_ones_after_twenty_steps():
    fast = Hill(rates=np.array([0.5, 0.3, 0.1]))
    result = run(Plain().solver(fast, AitkenRule(1.0)), OneBlock(), fast.start(), AitkenRule(1.0))
    assert result.extrapolations == (0, 0)
    slow, seen = Hill(), []
    rule = AitkenRule(1.0)
    result = run(Plain().solver(slow, rule), OneBlock(), slow.start(), rule, observer=seen.append)
    assert result.extrapolations[1] > 0 and result.passes < 60
    first = next(info for info in seen if not info.plain)
    assert first.iteration > 20
    assert not Plain("off").solver(slow, rule).ascends == "" and isinstance(Plain("off").solver(slow, rule), EM)


def test_auto_accelerates_within_bursts_and_where_rows_are_many():
    rng = np.random.default_rng(0)

    def overlapping(n):
        x = np.where(rng.random(n) < 0.25, rng.normal(-0.6, 1, n), rng.normal(0.6, 1, n))[:, None]
        model = mixture(2, 1, "full")
        start = {"weights": [0.5, 0.5], "means": [[-1.0], [1.0]], "covariances": [[[1.0]], [[1.0]]]}
        source, rule = ArraySource(x), AitkenRule(float(n))
        return run(Plain().solver(model, rule), source, model.parameters(**start), rule)

    small, large = overlapping(150), overlapping(100_000)
    for one in (small, large):
        assert one.extrapolations[1] > 0 and one.status.is_converged
        assert one.n_iter > 20 and one.passes - one.n_iter == 1 + one.extrapolations[0] - one.extrapolations[1]


@pytest.mark.skipif(native_kernels() is None, reason="bursts are native")
def test_a_burst_is_watched_without_losing_a_point():
    model, x, _, start = small_problem(1, n=60)
    source, rule = ArraySource(x), NeverStop()
    limits = Limits(max_iter=150)
    one = run(EM(model, model.burst), source, start, rule, limits)
    auto = Auto(EM(model, model.burst), Accelerated(model, QuasiNewton()), 1e-6)
    other = run(auto, source, start, rule, limits)
    assert one.trace[:30] == other.trace[:30]
    assert one.n_iter == other.n_iter == 150


def test_a_burst_that_fails_keeps_the_last_point():
    x = np.array([0.0, 0, 0, 0, 1, 2, 3, 4, 5, 6])[:, None]
    model = mixture(2, 1, "full")
    start = model.parameters(weights=[0.4, 0.6], means=[[0.0], [3.0]], covariances=[[[0.05]], [[4.0]]])
    one, other = (
        run(solver, ArraySource(x), start, NeverStop(), Limits(max_iter=500))
        for solver in (EM(model, model.burst), Plain().solver(model, NeverStop()))
    )
    assert one.status is other.status is Status.DEGENERATE
    assert (one.n_iter, one.detail, one.trace) == (other.n_iter, other.detail, other.trace)
    assert other.n_iter > 0 and other.objective == other.trace[-1]
