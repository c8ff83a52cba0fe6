"""Runs whose first burst has been taken already, with those of other runs."""

from __future__ import annotations

import math
from typing import Any

from jensen.core.contracts import Info, Request, Run, Source, Stretch, Trail
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.solve.auto import Auto
from jensen.solve.em import EM
from jensen.solve.following import Following


class Begun(Following):
    """A solver that knows the first points of its run.

    Parameters
    ----------
    solver : EM or Auto
        The solver of the whole run.
    trail : Trail
        What a burst of its ``journey`` from the start brought.
    """

    solver: EM | Auto

    def __init__(self, solver: EM | Auto, trail: Trail) -> None:
        super().__init__(solver)
        self.trail = trail

    def ask(self, state: Any) -> Request:
        """The other's request."""
        return self.solver.ask(state)

    def tell(self, state: Any, params: Parameters, statistics: Any) -> tuple[Any, Info]:
        """What the other makes of it."""
        return self.solver.tell(state, params, statistics)

    def ahead(self, state: Any, source: Source, most: int) -> Stretch | None:
        """The points that are known, then the other's."""
        if state.point is None:
            return self.solver.along(state, self.trail)
        return self.solver.ahead(state, source, most)


def whole_run(trail: Trail, steps: int, enough: float) -> Run[Any] | None:
    """A run of so many plain steps, where one trail is all of it and nobody has to look at its points.

    Parameters
    ----------
    trail : Trail
        From the start of the run, without leaps.
    steps : int
        Most steps of the run.
    enough : float
        Nats still to come at which it ends before.

    Returns
    -------
    Run or None
        The same run as `jensen.solve.loop.run` of `Begun` would give, but for its seconds and for how it knows that
        little is to come. None where a step failed or lowered the objective, or there is more to do.
    """
    objectives, taken = trail.objectives, len(trail.objectives) - 1
    if taken < 2 or trail.failure or not math.isfinite(objectives[-1]):
        return None
    before, gain = objectives[-2] - objectives[-3], objectives[-1] - objectives[-2]
    if not gain > 0.0:
        return None
    if trail.is_over:
        status = Status.CONVERGED
    elif taken < steps or gain <= 2.0 * enough or (gain < before and gain * gain / (before - gain) <= 2.0 * enough):
        # Of the last point alone the burst does not know whether it ends the run.
        return None
    else:
        status = Status.OUT_OF_ITERATIONS
    params, statistics = trail.point(taken)
    return Run(params, statistics, objectives[-1], status, taken, taken + 1, tuple(objectives))
