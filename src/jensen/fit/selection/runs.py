"""The runs of a cell: its own starts, and those that other cells give it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Any

import numpy as np

from jensen.core.block import AnyArray
from jensen.core.contracts import Info, Run, StoppingRule, Trail
from jensen.core.observers import as_attentive, sees_all
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import NumericalFailure
from jensen.families.moves import cheapest_merges
from jensen.fit.mixture import DEFAULT_MAX_ITER, acceleration_of, rule_of
from jensen.fit.search.account import SAME_OPTIMUM
from jensen.fit.search.climbing import extrapolated
from jensen.fit.search.landscape import Verdict
from jensen.fit.search.mixtures import KINDS
from jensen.fit.search.restarts import with_memory
from jensen.fit.search.soundness import Degenerate, verdict
from jensen.fit.search.together import Start, first_trails
from jensen.fit.selection.cells import CellState, End, explained, reshaped
from jensen.fit.selection.splits import duplicated, split_starts
from jensen.fit.selection.table import SelectionObserver, Task
from jensen.fit.settings import MixtureSettings
from jensen.fit.starts.descent import merged
from jensen.fit.starts.draw import StartKind, draw_labels, draw_start, from_labels
from jensen.fit.starts.hierarchy import hierarchy
from jensen.fit.summary import DataSummary
from jensen.models.mixture import Mixture
from jensen.numerics.streams import stream
from jensen.solve.auto import Auto
from jensen.solve.begun import Begun
from jensen.solve.em import EM
from jensen.solve.loop import Limits, run
from jensen.solve.variants import Plain

# Own starts that a cell has besides, where there is none with a component more.
_MORE = 2
# Splits that are climbed from, the most promising first, until a cell is no lower than one with a component less.
_LOOKS = 3
# Steps that show which of them promise most.
_PROMISING = 3
# Steps after which a run that does not seem to lead higher than its cell is given up.
_SHORT = 20

# Where a run begins, or a function that makes it.
_From = Parameters | Callable[[], Parameters]
_Start = tuple[str, Callable[[], Parameters]]


class Stopped(Exception):
    """The search ends here, by the time limit or by an interrupt that a run has already dealt with."""

    def __init__(self, status: Status) -> None:
        self.status = status


# A cell's start: its kind, where it begins, and what the first burst from there brought, if that is known; None where
# it has no density.
Prepared = tuple[str, Parameters, Trail | None] | None


class CellRuns:
    """What the runs of all cells have in common.

    Attributes
    ----------
    settings : MixtureSettings
        Of all cells; the seed is set.
    data : DataSummary
        Of all the rows.
    table : DataSummary
        The rows of the exploration.
    rows : ArraySource
        The rows of the present round.
    labels : list of dict
        Cuts of the trees of merges, by number of clusters.
    given : dict
        Partitions of all the rows to start from before anything else, by the number of their parts.
    everything : DataSummary
        All the rows as they are, which these are partitions of.
    several : int
        Own starts of a cell, at least.
    looks : bool
        Whether cells look at the starts that others give them even if they lie above those.
    together : bool
        Whether the rows are so few that runs take their first bursts together.
    prepared : iterator of Prepared
        Where runs are so few that they are explored one after another: the own starts of the cells in turn.
    partitions : dict
        Drawn partitions, by the number of components, the kind and the number of the start.
    states : list of CellState
        The cells.
    of : dict
        The cells by the number of components and the name of the shape.
    observer : SelectionObserver or None
        Told of every point.
    task : Task
        What is being done.
    deadline : float
        As in `Limits`.
    cancel : Event
        Ends all runs.
    """

    settings: MixtureSettings
    data: DataSummary
    table: DataSummary
    rows: ArraySource
    labels: list[dict[int, Any]]
    given: Mapping[int, AnyArray]
    everything: DataSummary
    several: int
    looks: bool
    together: bool
    prepared: Iterator[Prepared]
    partitions: dict[tuple[int, StartKind, int], AnyArray | None]
    states: list[CellState]
    of: dict[tuple[int, str], CellState]
    observer: SelectionObserver | None
    task: Task
    deadline: float
    cancel: Event

    def climb(
        self, state: CellState, kind: str, start: _From, n_iter: int | None = None, trail: Trail | None = None
    ) -> End | None:
        """A run of EM from a start, whose first burst may be known; None where it has no density."""
        limits = Limits(self._most(state, n_iter), self.deadline, self.cancel)
        try:
            solver, rule = self._solver(state)
            solver = solver if trail is None else Begun(solver, trail)
            begin = start() if callable(start) else start
            ended = run(solver, with_memory(state.model, self.rows), begin, rule, limits, self._teller(state))
        except NumericalFailure as failure:
            self._failed(state, failure)
            return None
        end = self.end(state, kind, ended)
        if ended.status in (Status.INTERRUPTED, Status.OUT_OF_TIME):
            if n_iter is None or state.best is None:
                state.take(end)
            raise Stopped(ended.status)
        return end

    def _solver(self, state: CellState) -> tuple[Any, StoppingRule]:
        """The solver of a run of a cell, which all its runs on these rows share, and a rule of its own."""
        weight = self.rows.weight
        rule = rule_of(state.settings, weight)()
        if weight not in state.solvers:
            state.solvers[weight] = Plain(acceleration_of(state.settings)).solver(state.model, rule)
        return state.solvers[weight], rule

    @staticmethod
    def _failed(state: CellState, failure: NumericalFailure) -> None:
        """Note why a start has no density, unless others have."""
        if state.best is None:
            state.reason = explained(str(failure))

    @staticmethod
    def _most(state: CellState, n_iter: int | None) -> int:
        """Iterations of a run at most."""
        asked = state.settings.max_iter
        most = DEFAULT_MAX_ITER if asked == "auto" else asked
        return most if n_iter is None else min(n_iter, most)

    def _teller(self, state: CellState) -> Callable[[Info], None] | None:
        """Who is told of the points of a cell's next run."""
        observer = self.observer
        if observer is None:
            return None
        task = replace(self.task, n_components=state.k, covariance_type=state.kind.label)
        return as_attentive(observer, lambda info: observer(task, len(state.ends), info))

    def prepare(self, states: list[CellState], number: int) -> Generator[Prepared, None, None]:
        """Own start number `number` of each of these cells, with its first burst, which all take together."""
        begun = deque[tuple[str, Parameters] | None]()

        def starts() -> Iterator[Start | None]:
            for state in states:
                kind, make = self._starts(state)[number]
                try:
                    begin = make()
                except NumericalFailure as failure:
                    self._failed(state, failure)
                    begun.append(None)
                    yield None
                    continue
                begun.append((kind, begin))
                looks = state.best is not None and state.best.is_sound
                yield self._departure(state, begin, _SHORT if looks else None)

        for trail in first_trails(starts(), self.deadline):
            start = begun.popleft()
            yield None if start is None else (*start, trail)

    def explore(self, number: int, state: CellState) -> None:
        """Own start number `number` of a cell."""
        if not self.together:
            self.attempt(state, *self._starts(state)[number])
            return
        prepared = next(self.prepared)
        if prepared is not None:
            self.attempt(state, *prepared)

    def attempt(self, state: CellState, kind: str, start: _From, trail: Trail | None = None) -> None:
        """A run from a start, given up after a few steps if it does not seem to lead higher than the cell is."""
        further: _From | None = start
        if state.best is not None and state.best.is_sound:
            further, trail = self._look(state, kind, start, state.best.run.objective + SAME_OPTIMUM, trail), None
        end = None if further is None else self.climb(state, kind, further, None, trail)
        if end is not None:
            state.take(end)

    def _look(self, state: CellState, kind: str, start: _From, wanted: float, trail: Trail | None) -> Parameters | None:
        """A few steps from a start: where to go on from; None where they ended, or do not seem to lead high enough."""
        if not sees_all(self.observer) and not callable(start):
            # No record is needed of a run that takes these steps and is given up, or goes on.
            if trail is None and self.together:
                (trail,) = first_trails([self._departure(state, start, _SHORT)])
            if trail is not None and _is_whole(trail):
                return trail.point(_SHORT)[0] if extrapolated(trail.objectives) >= wanted else None
        begun = self.climb(state, kind, start, _SHORT, trail)
        if begun is not None and begun.run.status.is_converged:
            state.take(begun)
        elif begun is not None and extrapolated(begun.run.trace) >= wanted:
            return begun.run.params
        return None

    def _departure(self, state: CellState, start: Parameters, n_iter: int | None) -> Start:
        """A run of a cell as `first_trails` takes it."""
        solver, _ = self._solver(state)
        journeys = isinstance(solver, EM | Auto)
        journey = solver.journey(solver.init(start), self.rows, self._most(state, n_iter)) if journeys else None
        return state.model, start, journey, self.rows.block(0)

    def _starts(self, state: CellState) -> list[_Start]:
        """Own starts of a cell: what is given, cuts of the trees, drawn ones; or of the kind that was asked for."""
        # Nothing comes down to the largest ones.
        largest = self.looks and (state.k + 1, state.kind.name) not in self.of
        several = self.several + (_MORE if largest else 0)
        if not self.settings.mixes_starts:
            kind: Any = self.settings.init
            return [(kind, partial(self._draw, state, kind, i)) for i in range(1 if state.k == 1 else several)]
        found = list[_Start]()
        if state.k in self.given:
            found.append(("given", partial(from_labels, state.model, self.everything, self.given[state.k])))
        for labels in self.labels:
            found.append(("merges", partial(from_labels, state.model, self.table, labels[state.k])))
        if state.k == 1:
            return found[:1]
        for i in range(several - len(found)):
            drawn = KINDS[i % len(KINDS)]
            found.append((drawn, partial(self._draw, state, drawn, i)))
        return found[:several]

    def _draw(self, state: CellState, kind: StartKind, number: int) -> Parameters:
        """A drawn start, whose partition all shapes share."""
        seed, key = self.settings.seed, (state.k, kind, number)
        assert seed is not None
        if key not in self.partitions:
            # Two threads may both draw it; they draw the same.
            self.partitions[key] = draw_labels(kind, state.k, self.table, stream(seed, "start", number))
        labels = self.partitions[key]
        if labels is not None:
            return from_labels(state.model, self.table, labels)
        return draw_start(kind, state.model, self.table, stream(seed, "start", number))

    def cut_trees(self) -> list[dict[int, Any]]:
        """Cuts of the trees of merges for every number of components."""
        if not self.settings.mixes_starts:
            return []
        assert self.settings.seed is not None
        counts = sorted({state.k for state in self.states if not state.reason})
        # What is given comes in the place of the first ones.
        criteria = ("VVV", "affine")[: self.several - all(k in self.given for k in counts)]
        trees = [hierarchy(self.table, criterion, self.settings.seed) for criterion in criteria]  # type: ignore[arg-type]
        return [{k: tree.labels(k) for k in counts} for tree in trees]

    def finish(self, state: CellState) -> None:
        """On all the rows, from the best end on some of them."""
        if state.best is None:
            return
        start, state.least = state.best, -np.inf
        state.ends.clear()
        state.settle()
        state.sampled = False
        end = self.climb(state, start.kind, start.run.params)
        if end is not None:
            state.take(end)

    def lift(self, state: CellState, other: CellState) -> None:
        """Go on from a cell that this one contains, if it is not above it already."""
        assert other.best is not None
        if other.best.run.objective > state.least:
            state.least = other.best.run.objective
            state.settle()
        if state.is_above() and not self.looks:
            return
        if other.k == state.k:
            starts = [(other.kind.name, reshaped(other.best.run.params, other, state))]
            exact = starts[0][1]
        else:
            starts = [("split", start) for start in split_starts(state.model, other.best.run.params)]
            exact = duplicated(state.model, other.best.run.params)
        # Above already, it is worth one look from there, where thoroughness was asked for.
        looks = 1 if state.is_above() else _LOOKS
        for kind, start in self._promising(state, starts)[:looks]:
            self.attempt(state, kind, start)
            if state.is_above():
                return
        end = self.climb(state, starts[0][0], exact, 0)
        if end is not None and end.is_sound:
            kept = replace(
                end.run,
                status=Status.CONVERGED,
                detail=f"the optimum of {other.kind.name},{other.k}; higher ones here are degenerate",
            )
            state.take(replace(end, run=kept))

    def descend(self, state: CellState, other: CellState) -> None:
        """A run from the same shape with one component more, of which the cheapest pair becomes one."""
        assert other.best is not None
        params, weight = other.best.run.params, self.rows.row_weights
        try:
            resp = self.rows.collect(other.model.responsibilities, params)
            first, second, losses = cheapest_merges(other.kind.layout, params, weight, resp, 1)
            if not (len(losses) and np.isfinite(losses).all()):
                return
            start = merged(state.model, params, [(int(first[0]), int(second[0]))])
        except NumericalFailure:
            return
        self.attempt(state, "merge", start)

    def _promising(self, state: CellState, starts: list[tuple[str, Parameters]]) -> list[tuple[str, Parameters]]:
        """Starts by where a few steps lead."""
        if len(starts) == 1:
            return starts
        few = (_PROMISING, 0.0, None)
        runs = [(state.model, start, few, self.rows.block(0)) for _, start in starts]
        trails = list(first_trails(runs)) if self.together else []
        if not all(trails) or not trails:
            begun = [self.climb(state, kind, start, _PROMISING) for kind, start in starts]
            ends = [end for end in begun if end is not None]
            return [(end.kind, end.run.params) for end in sorted(ends, key=lambda end: -end.run.objective)]
        # None of these is a run of the cell: where they lead is all that is asked of them.
        led = [(trail.objectives[-1], kind, trail) for trail, (kind, _) in zip(trails, starts, strict=True) if trail]
        led.sort(key=lambda one: -one[0])
        return [(kind, trail.point(len(trail.objectives) - 1)[0]) for _, kind, trail in led[:_LOOKS]]

    def end(self, state: CellState, kind: str, ended: Run[Any]) -> End:
        """Where a run ended, which knows of the cell no more than it needs: nothing holds a search alive after it."""
        return End(kind, ended, partial(_judged, state.model, self.data.informative, self.settings.degenerate))


def _is_whole(trail: Trail) -> bool:
    """Whether a first burst took all the steps of a look, and can be judged by its objectives."""
    return len(trail.objectives) == _SHORT + 1 and not trail.failure and bool(np.isfinite(trail.objectives).all())


def _judged(model: Mixture, informative: AnyArray, degenerate: Degenerate, ended: Run[Any]) -> Verdict:
    return verdict(model, ended, informative, degenerate)
