"""Plain EM that turns to extrapolations where it is slow, and only there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from jensen.core.contracts import Info, Point, Request, Source
from jensen.core.parameters import Parameters
from jensen.errors import NumericalFailure
from jensen.solve.accelerated import Accelerated, Climb
from jensen.solve.em import EM, EMState, EMStretch

# Plain iterations before anything else is thought of: the first ones go far, and acceleration there goes astray.
_PLAIN = 20
# Passes that acceleration is expected to need where EM would still take n iterations: some, and a share of n.
_SOME, _SHARE = 15.0, 1.0 / 5.0
# Microseconds of an EM step within a burst, for each number in the rows' work and besides; and what a pass of
# accelerated EM takes more. They are rough on purpose: a measured time would make results depend on the machine.
_STEP, _STEP_PER_NUMBER, _LOOKED_AT = 5.0, 6e-4, 180.0


class Watched:
    """The steps of a burst, whose last one is looked at; see `jensen.core.contracts.Stretch`."""

    def __init__(self, solver: Auto, steps: EMStretch, n_rows: int) -> None:
        self.solver, self.steps, self.n_rows = solver, steps, n_rows
        self.objectives, self.before = steps.objectives, steps.before
        self.iteration, self.failure = steps.iteration, steps.failure

    def at(self, index: int) -> tuple[EMState | Climb, Info]:
        """The state and the info of a point."""
        state, info = self.steps.at(index)
        if index < len(self.objectives) - 1 or self.failure:
            return state, info
        work = self.n_rows * state.start.n_free
        return self.solver.weighed(state, _STEP + _STEP_PER_NUMBER * work, _LOOKED_AT), info


@dataclass(frozen=True)
class Auto:
    """EM at first; then accelerated EM, if what EM has still to gain takes it many iterations.

    Where the data are so small that EM goes in bursts, an iteration of it may cost a hundredth of an accelerated one:
    then the times are compared, by a rule that knows sizes and no clock, so that results are the same everywhere.

    Attributes
    ----------
    plain : EM
        The solver to begin with.
    climb : Accelerated
        The solver to turn to.
    tolerance : float
        The gain, in units of the objective, below which nobody cares what is to come.
    """

    plain: EM
    climb: Accelerated
    tolerance: float

    @property
    def ascends(self) -> str:
        """What both never lower."""
        return self.climb.ascends

    def init(self, params: Parameters) -> EMState | Climb:
        """The state at the start, before anything is evaluated."""
        return self.plain.init(params)

    def ask(self, state: EMState | Climb) -> Request:
        """What the solver whose turn it is wants."""
        return self.climb.ask(state) if isinstance(state, Climb) else self.plain.ask(state)

    def tell(self, state: EMState | Climb, params: Parameters, statistics: Any) -> tuple[EMState | Climb, Info]:
        """Note the objective of the parameters that were asked for, and see whether EM is slow."""
        if isinstance(state, Climb):
            return self.climb.tell(state, params, statistics)
        reached, info = self.plain.tell(state, params, statistics)
        return self.weighed(reached, 1.0, 0.0), info

    def refuse(self, state: EMState | Climb, failure: Exception) -> Climb | None:
        """The state that takes the plain step, if an extrapolated point could not be evaluated; else None."""
        return self.climb.refuse(state, failure) if isinstance(state, Climb) else None

    def ahead(self, state: EMState | Climb, source: Source, most: int) -> Watched | None:
        """Bursts of EM, as long as it is EM's turn."""
        if isinstance(state, Climb):
            return None
        steps = self.plain.ahead(state, source, most)
        return None if steps is None else Watched(self, steps, source.n_rows)

    def best(self, state: EMState | Climb) -> Point | None:
        """The last point whose objective is known."""
        return state.point

    def extrapolations(self, state: EMState | Climb) -> tuple[int, int]:
        """Extrapolations that were tried, and those that were accepted."""
        return self.climb.extrapolations(state) if isinstance(state, Climb) else (0, 0)

    def weighed(self, state: EMState, step: float, more: float) -> EMState | Climb:
        """The state, or one of the other solver if that is expected to be done sooner.

        `step` is what an EM iteration costs, and `more` what an accelerated pass costs besides.
        """
        if state.point is None or state.point.iteration < _PLAIN:
            return state
        left = iterations_left(state.gain, state.gain_before, self.tolerance)
        if left * step <= (_SOME + _SHARE * left) * (step + more):
            return state
        try:
            return self.climb.at(state.point, state.start)
        except (NumericalFailure, ArithmeticError, ValueError, np.linalg.LinAlgError):
            # A point so close to singular that it has no free coordinates: EM alone goes on from it.
            return state


def iterations_left(gain: float, before: float, tolerance: float) -> float:
    """Iterations until what is to come is below the tolerance, were gains to fall on at the ratio of the last two.

    Parameters
    ----------
    gain, before : float
        The last gain and the one before.
    tolerance : float
        Positive, in the same units.

    Returns
    -------
    float
        0 where gains do not fall: on a plateau nothing can be told, and leaps from there go astray.
    """
    if not (0.0 < gain < before < math.inf):
        return 0.0
    ratio = gain / before
    to_come = gain * ratio / (1.0 - ratio)
    return math.log(to_come / tolerance) / -math.log(ratio) if to_come > tolerance else 0.0
