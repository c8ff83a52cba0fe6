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


def first_trails(
    runs: Iterable[Start | None], deadline: float = math.inf
) -> Generator[Trail | None, None, None]:
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
    waiting = deque[tuple[Start, GaussianBurst] | None]()

    def landed() -> Trail | None:
        one = waiting.popleft()
        if one is None:
            return None
        assert flight is not None
        (model, params, _, block), burst = one
        trail = flight.take()
        return None if trail is None or trail.done < 0 else model.along(params, trail, block)

    for start in runs:
        burst = None if start is None or time.perf_counter() > deadline else _ready(start)
        if start is None or burst is None:
            waiting.append(None)
        else:
            flight = Flight(helpers()) if flight is None else flight
            flight.add(burst)
            waiting.append((start, burst))
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
) -> Iterator[tuple[float, Parameters, Any] | None]:
    """Where short runs of EM lead that nobody looks at: by their bursts alone, where they take bursts.

    Parameters
    ----------
    model : Mixture
        Of Gaussian components.
    source : ArraySource
        The rows.
    starts : sequence of Parameters
        Where they begin.
    n_iter : int
        Steps at most.
    tol : float
        Nats still to come at which a run ends.

    Yields
    ------
    tuple of float, Parameters and statistics, or None
        The objective at the end, which may be degenerate; None for a start without density.

    Raises
    ------
    KeyboardInterrupt
        If a run is interrupted.
    """
    family: Gaussian = model.family  # type: ignore[assignment]
    if family.in_bursts(source.block(0)):
        block = source.block(0)
        for trail in first_trails((model, start, (n_iter, tol, None), block) for start in starts):
            last = -1 if trail is None else len(trail.objectives) - 1
            if trail is None or not math.isfinite(trail.objectives[last]):
                yield None
            else:
                yield float(trail.objectives[last]), *trail.point(last)
        return
    for start in starts:
        rule = AitkenRule(source.weight, tol=tol)
        try:
            ended = unless_interrupted(run(Plain("off").solver(model, rule), source, start, rule, Limits(n_iter)))
        except NumericalFailure:
            yield None
        else:
            yield ended.objective, ended.params, ended.statistics
