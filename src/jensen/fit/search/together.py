"""The first bursts of many runs on the same small data, taken on all threads without Python between them.

A burst takes less than the Python around it, and threads that take turns at Python gain nothing by one another. Bursts
that are taken in a row let them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from jensen.core.contracts import Trail
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.data.pool import map_ordered, threads
from jensen.families.gaussian import Gaussian
from jensen.kernels.choose import GaussianBurst, GaussianTrail, take_bursts
from jensen.models.mixture import Mixture

# Bursts that a thread takes in a row: enough that handing over costs nothing, few enough that none waits for another;
# and the rows times the numbers of records that take some tenths of a second at most, for which limits wait.
_IN_A_ROW, _SOON = 16, 1 << 28

# A run: its model, where it starts, and its journey as ``EM.journey`` tells it.
Start = tuple[Mixture, Parameters, tuple[int, float, int | None] | None]


def first_trails(runs: Sequence[Start], source: ArraySource, deadline: float = math.inf) -> list[Trail | None]:
    """What the first bursts of runs bring.

    Parameters
    ----------
    runs : sequence of (Mixture, Parameters, journey)
        Of Gaussian components.
    source : ArraySource
        One block of rows.
    deadline : float, default=inf
        Moment of ``time.perf_counter()`` after which no more bursts are taken.

    Returns
    -------
    list of Trail or None
        None for a run that takes no bursts, that has no density at its start, or that the deadline came before.
    """
    block, ready = source.block(0), dict[int, GaussianBurst]()
    for i, (model, start, journey) in enumerate(runs):
        if journey is None or not isinstance(model.family, Gaussian):
            continue
        steps, enough, leap_after = journey
        burst = model.family.ready_burst(start, None, block, steps, model.equal_weights, enough, leap_after)
        if burst is not None:
            ready[i] = burst
    numbers = list(ready)
    work = source.n_rows * max((burst.records.size for burst in ready.values()), default=1)
    size = max(1, min(_IN_A_ROW, -(-len(numbers) // threads()), _SOON // work))
    # Neighbours in a list are alike: every part gets some of each, and every thread as many parts.
    n_parts = threads() * -(-len(numbers) // (size * threads()))
    parts = [part for at in range(n_parts) if (part := numbers[at::n_parts])]

    def take(part: list[int]) -> list[GaussianTrail | None]:
        late = time.perf_counter() > deadline
        return [None] * len(part) if late else take_bursts([ready[i] for i in part])

    found: list[Trail | None] = [None] * len(runs)
    for part, trails in zip(parts, map_ordered(take, parts, len(parts)), strict=True):
        for i, trail in zip(part, trails, strict=True):
            if trail is not None and trail.done >= 0:
                found[i] = runs[i][0].along(runs[i][1], trail, block)
    return found
