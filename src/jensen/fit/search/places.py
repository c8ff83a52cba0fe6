"""Where a search has been: the optima it met, and runs that go on from many places at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from jensen.core.contracts import Run
from jensen.core.parameters import Parameters
from jensen.errors import NumericalFailure
from jensen.fit.search.account import Move
from jensen.fit.search.landscape import Glimpse, Landscape, Plan, Together, Verdict

T = TypeVar("T")
U = TypeVar("U")

# Share of what tells optima apart within which the objective alone makes them one.
_LEVEL = 0.1


@dataclass(eq=False)
class Place:
    """An optimum while the search is on."""

    run: Run[Any]
    verdict: Verdict
    starts: int = 0
    escapes: int = 0
    rounds: int = 0
    in_vain: int = 0  # batches of draws from here that led nowhere
    tried: bool = False
    unlikely: bool = False  # that escapes lead higher
    way: Place | None = None  # where escapes from here led

    @property
    def standing(self) -> tuple[bool, float]:
        return standing(self.run, self.verdict)


class OutOfTime(Exception):
    """The deadline has passed."""


class Places:
    """The optima that a search has met.

    Attributes
    ----------
    land : Landscape
        What is searched.
    plan : Plan
        What may be spent.
    together : callable
        Applies a function to every item of a batch, in threads or not, and returns the results in order.
    places : list of Place
        In the order in which they were met.
    moves : list of Move
        Escapes that were tried.
    passes : float
        That all runs took.
    batches : int
        Of escapes: the number of the last one.
    """

    def __init__(self, land: Landscape, plan: Plan, together: Together) -> None:
        self.land, self.plan, self.together = land, plan, together
        self.places = list[Place]()
        self.moves = list[Move]()
        self.passes = 0.0
        self.batches = 0

    def _best(self) -> Place:
        return max(self.places, key=lambda place: place.standing)

    def _place(self, run: Run[Any]) -> Place:
        """The place where a run ended, known or new."""
        for place in self.places:
            if self._same(run, place.run):
                # By a hair it stays as it is, and its components in their order.
                if run.objective > place.run.objective + _LEVEL * self.land.slack and run.status.is_converged:
                    place.run = run
                return place
        place = Place(run, self.land.judge(run))
        self.places.append(place)
        return place

    def _same(self, one: Run[Any] | Glimpse, other: Run[Any] | Glimpse) -> bool:
        slack, apart = max(self.land.slack, 1e-9 * abs(other.objective)), abs(one.objective - other.objective)
        # Where the likelihood is flat, or components coincide, one height has many parameters.
        return apart < _LEVEL * slack or (apart < slack and self.land.same(one.params, other.params))

    def _finish_all(self, places: Sequence[Parameters]) -> list[Any]:
        found = self._batch(lambda: self.land.finish_all(places, [None] * len(places), self.together))
        runs = [None if isinstance(run, NumericalFailure) else run for run in found]
        self.passes += sum(run.passes for run in runs if run is not None)
        return runs

    def _glance_all(self, starts: Sequence[Parameters], n_iter: int) -> list[Glimpse | None]:
        ends = self._batch(lambda: self.land.glance_all(starts, n_iter, self.together))
        self.passes += sum(end.passes for end in ends if end is not None)
        return ends

    def _climb_all(self, starts: Sequence[Parameters], n_iter: int) -> list[Any]:
        runs = [None if isinstance(run, NumericalFailure) else run for run in self._climb(starts, n_iter)]
        self.passes += sum(run.passes for run in runs if run is not None)
        return runs

    def _climb(
        self, starts: Sequence[Parameters], n_iter: int, before: Sequence[int] | None = None
    ) -> list[Run[Any] | NumericalFailure]:
        done = before or [0] * len(starts)
        return self._batch(lambda: self.land.climb_all(starts, n_iter, done, self.together))

    def _map(self, function: Callable[[T], U], items: Sequence[T]) -> list[U]:
        return self._batch(lambda: self.together(function, items))

    def _batch(self, work: Callable[[], list[U]]) -> list[U]:
        self._look_at_the_clock()
        results = work()
        if self.land.interrupted:
            raise KeyboardInterrupt
        return results

    def _look_at_the_clock(self) -> None:
        if self.places and time.perf_counter() > self.plan.deadline:
            raise OutOfTime


def standing(run: Run[Any], verdict: Verdict) -> tuple[bool, float]:
    """What ends are ranked by: sound ones first, then the objective less the price."""
    return not verdict.faults, run.objective - verdict.price
