"""Plain EM: the E-step where we are, then the M-step (Dempster, Laird & Rubin 1977)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from jensen.core.contracts import Expect, Info, Model, Point, Stage
from jensen.core.parameters import Parameters


@dataclass(frozen=True, eq=False)
class EMState:
    """What EM carries from one pass to the next.

    Attributes
    ----------
    start : Parameters
        Where the run began.
    point : Point or None
        The last point whose objective is known.
    """

    start: Parameters
    point: Point | None = None


@dataclass(frozen=True)
class EM:
    """The EM solver; a model of several stages takes them in turn, which is ECM.

    Attributes
    ----------
    model : Model
        What is fitted.
    """

    model: Model

    def init(self, params: Parameters) -> EMState:
        """The state at the start, before anything is evaluated."""
        return EMState(params)

    def ask(self, state: EMState) -> tuple[Expect, Parameters]:
        """The start, or the M-step from the last point; and the E-step to take there."""
        point = state.point
        if point is None:
            return self._stage(0).expect, state.start
        params = self._stage(point.iteration).maximize(point.params, point.statistics)
        return self._stage(point.iteration + 1).expect, params

    def tell(self, state: EMState, params: Parameters, statistics: Any) -> tuple[EMState, Info]:
        """Note the objective of the parameters that were asked for."""
        objective = float(self.model.objective(params, statistics))
        before = state.point
        iteration, gain = (0, np.inf) if before is None else (before.iteration + 1, objective - before.objective)
        return EMState(state.start, Point(params, statistics, objective, iteration)), Info(iteration, objective, gain)

    def best(self, state: EMState) -> Point | None:
        """The last point whose objective is known."""
        return state.point

    def _stage(self, iteration: int) -> Stage:
        return self.model.stages[iteration % len(self.model.stages)]
