"""The one loop. It alone runs passes, counts them, watches the objective and keeps the best parameters."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

import numpy as np

from jensen.core.contracts import Info, Run, Solver, Source, StoppingRule, Stretch
from jensen.core.observers import sees_all
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.errors import NumericalFailure

Observer = Callable[[Info], None]

# A fall beyond this share of the objective is no rounding.
FALL_TOLERANCE = 1e-10
# What a pass may raise where there is no density: Python's own functions raise ValueError and OverflowError.
_NO_DENSITY = (ArithmeticError, ValueError, np.linalg.LinAlgError)
_REFUSED = Info(-1, -np.inf, -np.inf, plain=False, refused=True)


@dataclass(frozen=True)
class Limits:
    """What ends a run from outside.

    Attributes
    ----------
    max_iter : int
        M-steps at most.
    deadline : float
        Moment of ``time.perf_counter()`` after which no further pass is begun.
    cancel : Event or None
        Set by another thread to end the run after the pass it is in.
    """

    max_iter: int = 10_000
    deadline: float = np.inf
    cancel: Event | None = None

    def reached(self, info: Info) -> Status | None:
        """The status of the limit that a run has reached, or None."""
        if self.cancel is not None and self.cancel.is_set():
            return Status.INTERRUPTED
        if info.iteration >= self.max_iter:
            return Status.OUT_OF_ITERATIONS
        return Status.OUT_OF_TIME if time.perf_counter() > self.deadline else None


def _points(
    solver: Solver[Any], source: Source, state: Any, passed: Callable[[Stretch, int], int], max_iter: int
) -> Iterator[tuple[Any, Info, float, Sequence[float]]]:
    """States and infos of a solver's points, until somebody stops asking.

    With each come the passes that it took, and the objectives of points before it that were passed by, with theirs.

    `passed` says how many points of a stretch, from one on, nobody has to see.
    """
    refuse = getattr(solver, "refuse", None)
    left = max_iter
    while True:
        stretch = solver.ahead(state, source, left)
        if stretch is not None:
            index = 0
            while index < len(stretch.objectives):
                last = index + passed(stretch, index)
                state, info = stretch.at(last)
                left = max_iter - info.iteration
                yield state, info, stretch.passes(index, last), stretch.objectives[index:last]
                index = last + 1
            if stretch.failure:
                raise NumericalFailure(stretch.failure)
            continue
        expect, params, blocks = solver.ask(state)
        if not params.is_finite:
            raise NumericalFailure(f"the M-step returned values that are not finite: {_not_finite(params)}")
        share = 1.0 if blocks is None else len(blocks) / source.n_blocks
        try:
            statistics = source.fold(expect, params) if blocks is None else source.fold(expect, params, blocks)
            state, info = solver.tell(state, params, statistics)
        except _NO_DENSITY as failure:
            # A point that a solver has only tried may be given up; the same at a point of EM's ends the run.
            kept = None if refuse is None else refuse(state, failure)
            if kept is None:
                raise
            state, info = kept, _REFUSED
        if not info.refused:
            left = max_iter - info.iteration
        yield state, info, share, ()


def _sound(objectives: Sequence[float], before: float, ascends: bool) -> int:
    """How many objectives nobody has to see before the first that is not finite or falls.

    The one right before that is looked at: it is where the run ends.
    """
    values = np.array([before, *objectives])
    good = np.isfinite(values[1:])
    if ascends:
        good &= values[1:] - values[:-1] >= -FALL_TOLERANCE * np.maximum(np.abs(values[1:]), 1.0)
    return len(good) if good.all() else max(int(good.argmin()) - 1, 0)


def _not_finite(params: Parameters) -> str:
    return ", ".join(f"'{name}'" for name, value in params.values.items() if not np.isfinite(value).all())


def run(
    solver: Solver[Any],
    source: Source,
    start: Parameters,
    rule: StoppingRule,
    limits: Limits | None = None,
    observer: Observer | None = None,
) -> Run[Any]:
    """Iterate from one start until a rule or a limit stops it.

    The objective, the statistics and the parameters of the result belong together. Whatever ends the run (a fall,
    a singular covariance, an interrupt) ends it with the last point whose objective is known to be sound.

    Parameters
    ----------
    solver : Solver
        Where to go.
    source : Source
        The data.
    start : Parameters
        Where to begin; its objective is evaluated first.
    rule : StoppingRule
        When to stop.
    limits : Limits, optional
        Iterations, time, cancellation; 10,000 iterations by default.
    observer : callable (Info) -> None, optional
        Told of every evaluated point, unless it is a `jensen.core.observers.Glance`.

    Raises
    ------
    NumericalFailure
        If the density does not exist, or is not finite, even at the start.
    """
    limits = limits or Limits()
    began = time.perf_counter()
    ascends = bool(solver.ascends)
    state, passes, trace = solver.init(start), 0.0, list[float]()
    status, detail = None, ""
    # An interrupt may come anywhere, in a pass or while somebody is told of one: it never loses the best point.
    passes_by, watched = getattr(rule, "passes", None), sees_all(observer)

    def passed(stretch: Stretch, first: int) -> int:
        """Points that neither stop the run nor end it otherwise; the last of a stretch is always looked at."""
        before = stretch.before if first == 0 else stretch.objectives[first - 1]
        # Nothing is known of gains at the start, which is looked at.
        if watched or not math.isfinite(before):
            return 0
        last = min(len(stretch.objectives) - 1, limits.max_iter - stretch.iteration)
        if stretch.quiet is not None:
            return max(min(stretch.quiet, last) - first, 0)
        if passes_by is None or stretch.leaps:
            return 0
        sound = _sound(stretch.objectives[first : last + 1], before, ascends)
        by: int = passes_by(stretch.objectives[first : min(first + sound, last)], before)
        return by

    try:
        points = _points(solver, source, state, passed, limits.max_iter)
        while status is None:
            try:
                told, info, share, between = next(points)
            except (NumericalFailure, FloatingPointError, np.linalg.LinAlgError) as failure:
                if not trace:
                    raise
                status, detail = Status.DEGENERATE, str(failure)
                break
            passes += share
            trace.extend(between)
            if info.refused:
                state = told
                status = limits.reached(info)
                continue
            # The old state stays until the new point is known to be sound: one that is not is left behind.
            if not math.isfinite(info.objective):
                if not trace:
                    raise NumericalFailure(f"the objective at the start is {info.objective}")
                status, detail = Status.DEGENERATE, f"the objective became {info.objective}"
            elif ascends and info.gain < -FALL_TOLERANCE * max(abs(info.objective), 1.0):
                status, detail = Status.OBJECTIVE_FELL, f"by {-info.gain:.3g} at iteration {info.iteration}"
            else:
                state = told
                trace.append(info.objective)
                if observer is not None:
                    observer(info)
                status = rule.update(info) or limits.reached(info)
    except KeyboardInterrupt:
        if solver.best(state) is None:
            raise
        status = Status.INTERRUPTED
    point = solver.best(state)
    assert point is not None
    return Run(
        params=point.params,
        statistics=point.statistics,
        objective=point.objective,
        status=status,
        n_iter=point.iteration,
        # Shares such as 1/7 add up to whole passes but for rounding.
        passes=round(passes) if abs(passes - round(passes)) < 1e-6 else passes,
        trace=tuple(trace),
        seconds=time.perf_counter() - began,
        detail=detail,
        extrapolations=solver.extrapolations(state) if hasattr(solver, "extrapolations") else (0, 0),
    )


def unless_interrupted(ended: Run[Any]) -> Run[Any]:
    """A run that is a part of something larger, which its interrupt ends as well.

    Raises
    ------
    KeyboardInterrupt
        If the run ended with one.
    """
    if ended.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    return ended


def continued(before: Run[Any], after: Run[Any]) -> Run[Any]:
    """Two runs as one, of which the second began where the first had ended."""
    tried, accepted = (a + b for a, b in zip(before.extrapolations, after.extrapolations, strict=True))
    return replace(
        after,
        n_iter=before.n_iter + after.n_iter,
        passes=before.passes + after.passes,
        trace=(*before.trace[:-1], *after.trace),
        extrapolations=(tried, accepted),
    )
