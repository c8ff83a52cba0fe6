"""The loop: however a run ends, its objective, statistics and parameters belong together."""

import time
from dataclasses import dataclass
from threading import Event

import numpy as np
import pytest
from climbs import OneBlock
from mixtures import mixture, start_from

from jensen.core.contracts import Stage
from jensen.core.domains import Real
from jensen.core.observers import Glance
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import NumericalFailure
from jensen.kernels.choose import native_kernels
from jensen.solve.em import EM
from jensen.solve.loop import Limits, run
from jensen.solve.stopping import AitkenRule, MeanChangeRule

START = Parameters({"step": [0.0]}, {"step": Real((1,))})


@dataclass(frozen=True)
class Script:
    """A model whose M-step moves to the next line of a script, and whose objective reads it; errors are raised."""

    lines: tuple

    @property
    def stages(self):
        return (Stage(self.expect, self.maximize),)

    def expect(self, params, block):
        line = self.lines[int(params["step"][0])]
        if isinstance(line, BaseException):
            raise line
        return line

    def maximize(self, params, statistics):
        assert statistics == self.lines[int(params["step"][0])]
        return params.replace(step=params["step"] + 1)

    def objective(self, params, statistics):
        return statistics


def play(*lines, rule=None, limits=None, observer=None):
    return run(EM(Script(lines)), OneBlock(), START, rule or MeanChangeRule(1e-9, 1.0), limits, observer)


def check(result, status, n_iter, trace):
    assert result.status is status
    assert result.n_iter == n_iter == result.params["step"][0]
    assert result.objective == result.statistics == result.trace[-1] == trace[-1]
    assert result.trace == tuple(trace)


def test_converged():
    check(play(-3.0, -2.0, -2.0, 5.0), Status.CONVERGED, 2, [-3.0, -2.0, -2.0])


@pytest.mark.parametrize("scale", [1.0, 1e8])
def test_a_fall_keeps_the_point_before_it(scale):
    result = play(-3.0 * scale, -2.0 * scale, -2.001 * scale, 5.0)
    check(result, Status.OBJECTIVE_FELL, 1, [-3.0 * scale, -2.0 * scale])
    assert result.passes == 3
    assert "at iteration 2" in result.detail


def test_a_fall_within_rounding_is_none():
    check(play(-3.0, -2.0, -2.0 - 1e-11, -1.0, -1.0), Status.CONVERGED, 2, [-3.0, -2.0, -2.0 - 1e-11][:3])


@pytest.mark.parametrize("end", [NumericalFailure("covariance of component [1]"), np.nan, np.inf, -np.inf])
def test_degenerate_keeps_the_last_sound_point(end):
    result = play(-3.0, -2.0, end)
    check(result, Status.DEGENERATE, 1, [-3.0, -2.0])
    assert result.detail


@pytest.mark.parametrize("start", [NumericalFailure("no density"), np.nan, -np.inf])
def test_a_start_without_density_is_an_error(start):
    with pytest.raises(NumericalFailure):
        play(start)


def test_interrupted_keeps_the_best_so_far_and_is_an_error_before_there_is_one():
    check(play(-3.0, -2.0, KeyboardInterrupt()), Status.INTERRUPTED, 1, [-3.0, -2.0])
    with pytest.raises(KeyboardInterrupt):
        play(KeyboardInterrupt())


def test_an_interrupt_while_somebody_is_told_keeps_the_best_so_far():
    def interrupt(info):
        if info.iteration == 1:
            raise KeyboardInterrupt

    check(play(-3.0, -2.0, -1.0, observer=interrupt), Status.INTERRUPTED, 1, [-3.0, -2.0])


def test_cancelled_by_another_thread():
    cancel = Event()

    def observe(info):
        if info.iteration == 1:
            cancel.set()

    check(play(-3.0, -2.0, -1.0, limits=Limits(cancel=cancel), observer=observe), Status.INTERRUPTED, 1, [-3.0, -2.0])


def test_out_of_time_and_iterations():
    past = Limits(deadline=time.perf_counter() - 1.0)
    check(play(-3.0, -2.0, limits=past), Status.OUT_OF_TIME, 0, [-3.0])
    check(play(-3.0, -2.0, -1.0, 0.0, limits=Limits(max_iter=2)), Status.OUT_OF_ITERATIONS, 2, [-3.0, -2.0, -1.0])
    check(play(-3.0, limits=Limits(max_iter=0)), Status.OUT_OF_ITERATIONS, 0, [-3.0])
    # Convergence at the very last iteration is convergence.
    check(play(-3.0, -3.0, limits=Limits(max_iter=1)), Status.CONVERGED, 1, [-3.0, -3.0])


def test_rounding_limit():
    lines = [-1e14 + 0.0625 * (i % 2) for i in range(9)]
    check(play(*lines, rule=AitkenRule(1.0)), Status.ROUNDING_LIMIT, 2, lines[:3])


def test_the_observer_sees_every_sound_point():
    seen = []
    play(-3.0, -2.5, -9.0, observer=seen.append)
    assert [(info.iteration, info.objective, info.gain) for info in seen] == [(0, -3.0, np.inf), (1, -2.5, 0.5)]


@pytest.mark.skipif(native_kernels() is None, reason="bursts are native")
def test_who_glances_sees_the_points_that_are_looked_at_anyway():
    x = np.random.default_rng(0).normal(size=(200, 2)) + np.repeat([[0.0], [3.0]], 100, axis=0)
    source, model = ArraySource(x), mixture(2, 2, "full", 1e-6)
    runs, seen = [], [[], []]
    for observer in (None, Glance(seen[0].append), seen[1].append):
        rule = AitkenRule(source.weight)
        solver = EM(model, model.burst, enough=rule.tolerance)
        start = start_from(model, x, np.arange(200) // 50 % 2)
        runs.append(run(solver, source, start, rule, observer=observer))
    assert runs[0].trace == runs[1].trace == runs[2].trace
    every = [info.objective for info in seen[1]]
    glanced = [info.objective for info in seen[0]]
    assert every == list(runs[0].trace) and glanced[-1] == every[-1]
    assert len(glanced) < len(every) / 2 and set(glanced) < set(every)


def test_unforeseen_errors_are_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        play(-3.0, ZeroDivisionError())
