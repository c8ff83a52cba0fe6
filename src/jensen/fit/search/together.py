"""The first bursts of many runs on small data, taken on all threads while Python goes on in one of them.

A burst takes less than the Python around it, and threads that take turns at Python gain nothing by one another. Bursts
need none: the caller gets the next runs ready, and goes on with those that are there.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any

from jensen.core.block import Block
from jensen.core.contracts import Trail
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.data.pool import helpers
from jensen.errors import NumericalFailure
from jensen.families.gaussian import Gaussian
from jensen.kernels.choose import Flight, GaussianBurst
from jensen.models.mixture import Mixture
from jensen.solve.loop import Limits, run, unless_interrupted
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Plain

# Runs that are asked for before the first of them is given.
_AHEAD = 32

# A run: its model, where it starts, its journey as ``EM.journey`` tells it, and its rows.
Start = tuple[Mixture, Parameters, tuple[int, float, int | None] | None, Block]
# Objective, parameters and statistics at the end of a short run; None for a start without density.
ShortEnd = tuple[float, Parameters, Any] | None


def first_trails(runs: Iterable[Start | None], deadline: float = math.inf) -> Generator[Trail | None, None, None]:
    """What the first bursts of runs bring, in the order of the runs.

    Parameters
    ----------
    runs : iterable of (Mixture, Parameters, journey, Block) or None
        Of Gaussian components; None in the place of a run that has no start. Asked for in the caller's thread, some
        before the first trail is given.
    deadline : float, default=inf
        Moment of ``time.perf_counter()`` after which no more bursts are begun.

    Yields
    ------
    Trail or None
        None for a run that takes no bursts, that has no density at its start, or that the deadline came before.
    """
    flight: Flight | None = None
    waiting = deque[Start | None]()

    def landed() -> Trail | None:
        begun = waiting.popleft()
        if begun is None:
            return None
        assert flight is not None
        model, params, _, block = begun
        trail = flight.take()
        return None if trail is None or trail.done < 0 else model.along(params, trail, block)

    for start in runs:
        burst = None if start is None or time.perf_counter() > deadline else _ready(start)
        if burst is not None:
            flight = Flight(helpers()) if flight is None else flight
            flight.add(burst)
        waiting.append(None if burst is None else start)
        if len(waiting) > _AHEAD:
            yield landed()
    while waiting:
        yield landed()


def _ready(start: Start) -> GaussianBurst | None:
    """The first burst of a run, if it takes any."""
    model, params, journey, block = start
    if journey is None or not isinstance(model.family, Gaussian):
        return None
    steps, enough, leap_after = journey
    return model.family.ready_burst(params, None, block, steps, model.equal_weights, enough, leap_after)


def short_ends(
    model: Mixture, source: ArraySource, starts: Sequence[Parameters], n_iter: int, tol: float
) -> list[ShortEnd]:
    """Where short runs of EM lead that nobody looks at; see `short_ends_of_all`."""
    (found,) = short_ends_of_all([(model, source, starts)], n_iter, tol)
    return found


def short_ends_of_all(
    problems: Iterable[tuple[Mixture, ArraySource, Sequence[Parameters]]], n_iter: int, tol: float
) -> Iterator[list[ShortEnd]]:
    """Where short runs of EM lead that nobody looks at: by their bursts alone, where they take bursts.

    Parameters
    ----------
    problems : iterable of (Mixture, ArraySource, sequence of Parameters)
        Of Gaussian components, their rows, and where the runs begin, one at least. Asked for in the caller's thread
        while the runs of others are on their way.
    n_iter : int
        Steps at most.
    tol : float
        Nats still to come at which a run ends.

    Yields
    ------
    list of (float, Parameters, statistics) or None
        For each problem the objectives at the ends, which may be degenerate; None for a start without density.

    Raises
    ------
    KeyboardInterrupt
        If a run is interrupted.
    """
    asked = deque[tuple[Mixture, ArraySource, Sequence[Parameters]]]()

    def runs() -> Iterator[Start]:
        for model, source, starts in problems:
            asked.append((model, source, starts))
            block, journey = source.block(0), (n_iter, tol, None) if in_bursts(model, source) else None
            yield from ((model, start, journey, block) for start in starts)

    found = list[ShortEnd]()
    for trail in first_trails(runs()):
        model, source, starts = asked[0]
        if in_bursts(model, source):
            found.append(_end_of(trail))
        else:
            found.append(_plain_end(model, source, starts[len(found)], n_iter, tol))
        if len(found) == len(starts):
            yield found
            asked.popleft()
            found = []


def in_bursts(model: Mixture, source: ArraySource) -> bool:
    """Whether runs go in bursts: of Gaussian components, on one small block."""
    family = model.family
    return isinstance(family, Gaussian) and source.n_blocks == 1 and family.in_bursts(source.block(0))


def _end_of(trail: Trail | None) -> ShortEnd:
    last = -1 if trail is None else len(trail.objectives) - 1
    if trail is None or not math.isfinite(trail.objectives[last]):
        return None
    return float(trail.objectives[last]), *trail.point(last)


def _plain_end(model: Mixture, source: ArraySource, start: Parameters, n_iter: int, tol: float) -> ShortEnd:
    rule = AitkenRule(source.weight, tol=tol)
    try:
        ended = unless_interrupted(run(Plain("off").solver(model, rule), source, start, rule, Limits(n_iter)))
    except NumericalFailure:
        return None
    return ended.objective, ended.params, ended.statistics
