"""The first bursts of many runs on the same small data, taken on all threads without Python between them.

A burst takes less than the Python around it, and threads that take turns at Python gain nothing by one another. Bursts
that are taken in a row let them, while the caller gets the next runs ready and goes on with those that are there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from jensen.core.contracts import Trail
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.data.pool import map_ordered, threads
from jensen.errors import NumericalFailure
from jensen.families.gaussian import Gaussian
from jensen.kernels.choose import GaussianBurst, GaussianTrail, take_bursts
from jensen.models.mixture import Mixture
from jensen.solve.loop import Limits, run, unless_interrupted
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Plain

# Bursts that a thread takes in a row at most where there are few, and the rows times the numbers of records that are
# enough: handing these over costs little, and none waits long for another.
_IN_A_ROW, _ENOUGH = 8, 1 << 24
# Parts of many bursts for each thread. A thread that comes back may wait for Python as long as a few bursts take.
_PARTS = 2

# A run: its model, where it starts, and its journey as ``EM.journey`` tells it.
Start = tuple[Mixture, Parameters, tuple[int, float, int | None] | None]
_Ready = tuple[Start | None, GaussianBurst | None]


def first_trails(
    runs: Iterable[Start | None], n_runs: int, source: ArraySource, deadline: float = math.inf
) -> Generator[Trail | None, None, None]:
    """What the first bursts of runs bring, in the order of the runs.

    Few runs are taken by the caller's own thread. Many go to threads part by part, and runs are asked for and trails
    given while others are on their way.

    Parameters
    ----------
    runs : iterable of (Mixture, Parameters, journey) or None
        Of Gaussian components; None in the place of a run that has no start. Asked for in the caller's thread.
    n_runs : int
        How many there are.
    source : ArraySource
        One block of rows.
    deadline : float, default=inf
        Moment of ``time.perf_counter()`` after which no more bursts are taken.

    Yields
    ------
    Trail or None
        None for a run that takes no bursts, that has no density at its start, or that the deadline came before.
    """
    block = source.block(0)

    def ready(start: Start | None) -> GaussianBurst | None:
        if start is None:
            return None
        model, params, journey = start
        if journey is None or not isinstance(model.family, Gaussian):
            return None
        steps, enough, leap_after = journey
        return model.family.ready_burst(params, None, block, steps, model.equal_weights, enough, leap_after)

    def take(part: list[_Ready]) -> tuple[list[_Ready], list[GaussianTrail | None]]:
        late = time.perf_counter() > deadline
        taken = iter(take_bursts([burst for _, burst in part if burst is not None]) if not late else ())
        return part, [None if burst is None else next(taken, None) for _, burst in part]

    found = ((start, ready(start)) for start in runs)
    # Runs are alike enough for the first to say what others take.
    first = list(islice(found, 1))
    work = source.n_rows * max((burst.records.size for _, burst in first if burst is not None), default=0)
    many = n_runs // (_PARTS * threads()) if threads() > 1 else 0
    size = min(max(_IN_A_ROW, many), max(_ENOUGH // max(work, 1), 1))
    every = chain(first, found)
    parts = iter(lambda: list(islice(every, size)), [])
    for part, trails in map_ordered(take, parts, -(-n_runs // size)):
        for (start, _), trail in zip(part, trails, strict=True):
            if start is None or trail is None or trail.done < 0:
                yield None
            else:
                yield start[0].along(start[1], trail, block)


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
        runs = [(model, start, (n_iter, tol, None)) for start in starts]
        for trail in first_trails(runs, len(runs), source):
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
