"""Descents: starts of K components from more of them, several on their way at once.

On small data native code takes them, on threads that need nothing of Python; else they go step by step.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.data.pool import helpers
from jensen.errors import NumericalFailure
from jensen.fit.search.together import short_ends
from jensen.fit.starts.descent import Steps, descended, ready_descent
from jensen.kernels.flights import Flight
from jensen.models.mixture import Mixture
from jensen.solve.loop import Limits


class _Begun(NamedTuple):
    params: Parameters
    rows: ArraySource
    passed: ArraySource
    n_steps: int
    flies: bool


@dataclass(eq=False)
class Descents:
    """Descents of one model, in the order in which they are begun.

    Attributes
    ----------
    model : Mixture
        Of K Gaussian components.
    limits : Limits
        Of the steps on the way, where these go one by one: native code is done before anybody would look.
    tolerance : float
        Nats still to come at which these end early, where they go step by step.
    """

    model: Mixture
    limits: Limits
    tolerance: float
    _flight: Flight | None = field(default=None, init=False)
    _begun: deque[_Begun] = field(default_factory=deque, init=False)

    def begin(self, params: Parameters, rows: ArraySource, passed: ArraySource, n_steps: int) -> None:
        """One more.

        Parameters
        ----------
        params : Parameters
            More than K components of the same family.
        rows : ArraySource
            The rows.
        passed : ArraySource
            The same for steps of EM, in single precision if that will do.
        n_steps : int
            Of EM before each merge of one pair.
        """
        ready = ready_descent(self.model, params, passed, n_steps)
        if ready is not None:
            self._flight = Flight(helpers()) if self._flight is None else self._flight
            self._flight.add_descent(ready)
        self._begun.append(_Begun(params, rows, passed, n_steps, ready is not None))

    def take(self) -> tuple[Parameters, float]:
        """K components, and the passes that they took, each for its share of K.

        Raises
        ------
        NumericalFailure
            If a mixture on the way had no density.
        KeyboardInterrupt
            If the steps are interrupted.
        """
        one = self._begun.popleft()
        if self._flight is None or not one.flies:
            return descended(self.model, one.params, one.rows, self._steps_on(one.passed), one.n_steps)
        landed = self._flight.take_descent()
        if landed is None:
            raise NumericalFailure("a mixture on the way has no density")
        (weights, means, covariances), passes = landed
        return self.model.parameters(weights=weights, means=means, covariances=covariances), passes

    def _steps_on(self, passed: ArraySource) -> Steps:
        def steps(mixture: Mixture, params: Parameters, n_iter: int) -> tuple[Parameters, float]:
            (ended,) = short_ends(mixture, passed, [params], n_iter, self.tolerance, self.limits)
            if ended is None:
                raise NumericalFailure("a mixture on the way has no density")
            return ended.point()[0], ended.steps + 1.0

        return steps
