"""Plain EM that turns to extrapolations where it is slow, and only there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from jensen.core.contracts import Info, Point, Request, Source, Trail
from jensen.core.parameters import Parameters
from jensen.errors import NumericalFailure
from jensen.solve.accelerated import Accelerated, Climb
from jensen.solve.em import EM, PLAIN_FIRST, EMState, EMStretch

# Passes that acceleration is expected to need where EM would still take n iterations: some, and a share of n.
_SOME, _SHARE = 15.0, 1.0 / 5.0


@dataclass(frozen=True)
class Auto:
    """EM at first; then accelerated EM, if what EM has still to gain takes it many iterations.

    Where the data are so small that EM goes in bursts, these have extrapolations of their own.

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
        return self._weighed(reached), info

    def refuse(self, state: EMState | Climb, failure: Exception) -> Climb | None:
        """The state that takes the plain step, if an extrapolated point could not be evaluated; else None."""
        return self.climb.refuse(state, failure) if isinstance(state, Climb) else None

    def ahead(self, state: EMState | Climb, source: Source, most: int) -> EMStretch | None:
        """Bursts of EM, as long as it is EM's turn."""
        return None if isinstance(state, Climb) else self.plain.ahead(state, source, most)

    def along(self, state: EMState, trail: Trail) -> EMStretch:
        """The points of a burst from a state of EM's."""
        return self.plain.along(state, trail)

    def journey(self, state: EMState, source: Source, most: int) -> tuple[int, float, int | None] | None:
        """How far a burst goes from a state of EM's."""
        return self.plain.journey(state, source, most)

    def best(self, state: EMState | Climb) -> Point | None:
        """The last point whose objective is known."""
        return state.point

    def extrapolations(self, state: EMState | Climb) -> tuple[int, int]:
        """Extrapolations that were tried, and those that were accepted."""
        return state.tried, state.accepted

    def _weighed(self, state: EMState) -> EMState | Climb:
        """The state, or one of the other solver if that is expected to be done sooner."""
        if state.point is None or state.point.iteration < PLAIN_FIRST:
            return state
        left = iterations_left(state.gain, state.gain_before, self.tolerance)
        if left <= _SOME + _SHARE * left:
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
