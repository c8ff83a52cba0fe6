"""What landscapes of mixtures and of other models have in common: runs that note how they ended, and matched optima."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jensen.core.block import Array
from jensen.core.contracts import Info, Run, Trail
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.errors import NumericalFailure
from jensen.fit.search.landscape import Drawn, Glimpse, Together
from jensen.solve.begun import Begun
from jensen.solve.loop import Limits, continued, run
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Plain, Variant

# Gains to come are extrapolated with ratios up to this.
_STEADY = 0.98
# Runs that are remembered, for what an interrupt leaves of a batch.
RECENT = 64


class Climbing:
    """A landscape's runs.

    Attributes
    ----------
    model : object
        What is fitted.
    source : Source
        The rows of the search.
    variant : Variant
        How runs climb to an optimum; short runs are plain EM.
    limits : Limits
        Of every run.
    tolerance : float
        Nats still to come at which a run ends.
    recent : deque of Run
        The last runs.
    interrupted : bool
        Whether one of them was interrupted.
    """

    model: Any
    source: Any
    variant: Any
    limits: Limits
    tolerance: float
    recent: deque[Run[Any]]
    interrupted: bool

    @property
    def rough(self) -> Any:
        """The rows for short runs, whose ends only tell where to go on."""
        return self.source

    def joined(self, short: Run[Any], finished: Run[Any]) -> Run[Any]:
        """A short run and the one that went on from its end: of one that was rough only the passes are told."""
        if self.rough is self.source:
            return continued(short, finished)
        return replace(finished, passes=short.passes + finished.passes)

    def draw(self, index: int) -> Drawn:
        """Start number `index`."""
        raise NotImplementedError

    def start_all(
        self, indices: Sequence[int], n_iter: int | None, together: Together
    ) -> list[tuple[str, Run[Any] | NumericalFailure]]:
        """Kinds of these starts, and runs from them: of so many plain steps, or for None up to an optimum."""

        def one(index: int) -> tuple[str, Run[Any] | NumericalFailure]:
            kind = ""
            try:
                drawn = self.draw(index)
                kind, start = drawn.kind, drawn.params
                run = self.finish(start, index) if n_iter is None else self.climb(start, n_iter)
            except NumericalFailure as failure:
                return kind, failure
            return kind, replace(run, passes=run.passes + drawn.passes)

        return together(one, indices)

    def climb(self, start: Parameters, n_iter: int, before: int = 0) -> Run[Any]:
        """So many plain steps."""
        return self._run(Plain("off"), start, min(n_iter, self.limits.max_iter - before), None, source=self.rough)

    def climb_all(
        self, starts: Sequence[Parameters], n_iter: int, before: Sequence[int], together: Together
    ) -> list[Run[Any] | NumericalFailure]:
        """So many plain steps from each of these, or why there is no density."""
        return together(
            lambda number: _unless_failed(self.climb, starts[number], n_iter, before[number]), range(len(starts))
        )

    def glance_all(self, starts: Sequence[Parameters], n_iter: int, together: Together) -> list[Glimpse | None]:
        """The same, of whose ends no more is asked; None where there is no density."""
        runs = self.climb_all(starts, n_iter, [0] * len(starts), together)
        return [None if isinstance(run, NumericalFailure) else _glimpse(run) for run in runs]

    def finish(self, start: Parameters, index: int | None = None, before: int = 0) -> Run[Any]:
        """Up to an optimum."""
        return self._run(self.variant, start, self.limits.max_iter - before, self.told(index))

    def finish_all(
        self, starts: Sequence[Parameters], indices: Sequence[int | None], together: Together
    ) -> list[Run[Any] | NumericalFailure]:
        """Up to an optimum from each of these places, or why there is no density."""
        return together(lambda number: _unless_failed(self.finish, starts[number], indices[number]), range(len(starts)))

    def crossed(self, params: Parameters, others: Sequence[Parameters]) -> list[Parameters]:
        """Nothing: what two ends have in common is not known here."""
        return []

    def told(self, index: int | None) -> Callable[[Info], None] | None:
        """Who is told of the points of start number `index`; nobody of a run that is no start's."""
        raise NotImplementedError

    def _run(
        self,
        variant: Variant,
        start: Parameters,
        n_iter: int,
        told: Callable[[Info], None] | None,
        trail: Trail | None = None,
        source: Any = None,
    ) -> Run[Any]:
        # Of a batch that was interrupted no further run is begun.
        if self.interrupted:
            raise KeyboardInterrupt
        rule = AitkenRule(self.source.weight, tol=self.tolerance)
        limits = replace(self.limits, max_iter=max(n_iter, 0))
        solver = variant.solver(self.model, rule)
        try:
            begun = solver if trail is None else Begun(solver, trail)
            ended = run(begun, variant.source(self.source if source is None else source), start, rule, limits, told)
        except (FloatingPointError, np.linalg.LinAlgError) as error:
            raise NumericalFailure(str(error)) from error
        self.recent.append(ended)
        if ended.status is Status.INTERRUPTED:
            self.interrupted = True
        return ended


def _glimpse(run: Run[Any]) -> Glimpse:
    return Glimpse(run.objective, heading(run), run.passes, lambda: run.params)


def _unless_failed(climb: Callable[..., Run[Any]], *given: Any) -> Run[Any] | NumericalFailure:
    try:
        return climb(*given)
    except NumericalFailure as failure:
        return failure


def matched(left: Array, right: Array, near: float) -> bool:
    """Whether rows (K, m) of one array match those of another in some order, no number further away than `near`."""
    distances = np.abs(left[:, None, :] - right[None, :, :]).max(axis=2)
    nearest = distances.argmin(axis=1)
    return len(set(nearest.tolist())) == len(nearest) and bool(distances.min(axis=1).max() < near)


def faults_of(model: Any, run: Run[Any]) -> tuple[str, ...]:
    """Why a run's end is degenerate: it could not go on, or the model finds faults, if it declares them."""
    ended = (run.detail or run.status.message,) if run.status is Status.DEGENERATE else ()
    faults = getattr(model, "faults", None)
    return (*ended, *(faults(run.params, run.statistics) if callable(faults) else ()))


def heading(run: Run[Any]) -> float:
    """Where a run seems to lead, which is where it is if it has converged."""
    return run.objective if run.status.is_converged else extrapolated(run.trace)


def extrapolated(trace: Sequence[float]) -> float:
    """Where objectives seem to lead: the last, and the gains to come by Aitken's extrapolation."""
    if len(trace) < 3:
        return float(trace[-1])
    before, last = trace[-2] - trace[-3], trace[-1] - trace[-2]
    ratio = min(last / before, _STEADY) if before > 0 and last > 0 else 0.0
    return float(trace[-1] + last * ratio / (1.0 - ratio))
