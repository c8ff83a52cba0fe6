"""Fit every number of components with every shape, so that more freedom never gives less likelihood.

1. *explore*: every cell takes its own starts. The cuts of one tree of merges serve all shapes and numbers.
2. *compare*: a cell that lies below one that it contains (a shape that is a special case of its own, or the same shape
   with one component less) goes on from there: EM never falls, so that it cannot end lower. Then, from many components
   down, each cell tries the one of its shape with a component more, whose cheapest pair becomes one.
3. *finish*: where the rows of the exploration were a sample, every cell goes on with all rows and is compared anew.
4. *confirm*: the cells in the lead are searched as if each were alone, and the cells above them compared once more.

All of it happens on the table of different rows, in parallel, and the same for any number of threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Any

import numpy as np

from jensen.core.block import AnyArray
from jensen.core.contracts import Info, Run
from jensen.core.observers import as_attentive
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.data.frames import default_names
from jensen.data.pool import map_ordered, single_threaded_blas, threads
from jensen.errors import InputError, NumericalFailure
from jensen.families.shapes.table import covariance_shape
from jensen.fit.mixture import DEFAULT_MAX_ITER, as_fit, fit_mixture, mixture_of
from jensen.fit.result import MixtureFit
from jensen.fit.search.account import SAME_OPTIMUM, StartRecord
from jensen.fit.search.rows import search_rows
from jensen.fit.selection.alone import select_alone
from jensen.fit.selection.cells import CellState, End, explained, largest_contained, levels_of
from jensen.fit.selection.collinear import collinear_columns
from jensen.fit.selection.holdout import folds_of, held_out
from jensen.fit.selection.runs import CellRuns, Stopped
from jensen.fit.selection.table import Cell, Criterion, Round, Selection, SelectionObserver, Task, check_any_fit, rank
from jensen.fit.settings import MixtureSettings
from jensen.fit.summary import summarise
from jensen.numerics.streams import fresh_seed
from jensen.solve.loop import Limits

# Starts of a cell where the number is left to the search: the cuts of two trees, and one that is drawn. What cells
# bring one another, from below and from above, leads further than more of these.
EXPLORED = 3
# Cells this close to the best are confirmed; Kass & Raftery (1995) call ten "very strong" evidence.
CLOSE_RACE = 10.0
# This many are confirmed in any case.
MIN_CONFIRMED = 3
# Rows times components times (d + 1) (d + 2) of the largest cell below which handing cells to threads gains nothing:
# Python's own part of the work is one at a time.
_WORTH_A_THREAD = 200_000
# Combinations of columns that a reason names.
_TOLD = 3


def select_mixture(
    source: ArraySource,
    n_components: Sequence[int],
    shapes: Sequence[str],
    settings: MixtureSettings,
    *,
    criterion: Criterion = "bic",
    feature_names: tuple[str, ...] | None = None,
    observer: SelectionObserver | None = None,
    max_time: float = np.inf,
    cv: int | None = None,
    given: Mapping[int, AnyArray] | None = None,
) -> Selection:
    """Fit every combination of a number of components and a shape, and compare them.

    Parameters
    ----------
    source : ArraySource
        Finite rows, with weights or without.
    n_components : sequence of int
        Numbers of components, each at least 1.
    shapes : sequence of str
        Shapes of the covariances, under any of their names.
    settings : MixtureSettings
        Everything else; its own K, shape and time limit are not used. With ``n_init="auto"`` every cell takes a few
        starts, and those in the lead are searched; a number is that of starts, and nothing is searched.
    criterion : str, default="bic"
        What the best has least of.
    feature_names : tuple of str, optional
        Names of the columns, for the record.
    observer : callable (Task, int, Info) -> None, optional
        Told of every point of every run; may be called from several threads.
    max_time : float, default=inf
        Seconds after which no further pass is begun.
    cv : int, optional
        Folds of a cross-validation, at least 2, for the held-out log-likelihood of every cell.
    given : mapping of int to ndarray of shape (n,), optional
        Labels of the rows, from 0 to K - 1, that mixtures of K components start from before anything else.

    Returns
    -------
    Selection
        All cells, also those that failed. After an interrupt or the time limit: what was reached by then.

    Raises
    ------
    InputError
        If no cell could be fitted; the message gives the reasons.
    KeyboardInterrupt
        If it comes before any cell has been fitted.
    """
    if settings.noise is not False or settings.trim > 0:
        if cv is not None:
            raise InputError("cv does not go with noise or trim, whose outliers are those of all rows: leave one out")
        if given:
            raise InputError("partitions as init_params do not go with noise or trim: leave one out")
        return select_alone(
            source, n_components, shapes, settings, criterion=criterion, feature_names=feature_names,
            observer=observer, max_time=max_time,
        )  # fmt: skip
    seed = fresh_seed() if settings.seed is None else settings.seed
    grid = _Grid(source, replace(settings, seed=seed), feature_names, observer, time.perf_counter(), max_time)
    grid.criterion, grid.cv, grid.given = criterion, cv, given or {}
    status = Status.CONVERGED
    with single_threaded_blas():
        try:
            grid.run(sorted(n_components), shapes)
        except Stopped as stopped:
            status = stopped.status
        except KeyboardInterrupt:
            status = Status.INTERRUPTED
        if status is Status.INTERRUPTED and all(state.best is None for state in grid.states):
            raise KeyboardInterrupt
        cells = grid.cells(list(n_components), shapes, status)
    check_any_fit(cells)
    seconds = time.perf_counter() - grid.began
    return Selection(tuple(cells), status, grid.several, seconds, grid.searches, criterion, tuple(grid.warnings))


class _Grid(CellRuns):
    """The state of one search: its cells get better from round to round."""

    criterion: Criterion = "bic"
    cv: int | None = None

    def __init__(
        self,
        source: ArraySource,
        settings: MixtureSettings,
        feature_names: tuple[str, ...] | None,
        observer: SelectionObserver | None,
        began: float,
        max_time: float,
    ) -> None:
        self.source, self.settings, self.feature_names = source, settings, feature_names
        self.observer, self.began, self.deadline = observer, began, began + max_time
        self.searches = self.looks = settings.n_init == "auto"
        self.several = EXPLORED if isinstance(settings.n_init, str) else settings.n_init
        self.cancel = Event()
        self.states: list[CellState] = []
        self.partitions = {}
        self.of: dict[tuple[int, str], CellState] = {}
        self.done = 0
        self.warnings: list[str] = []

    def run(self, counts: Sequence[int], shapes: Sequence[str]) -> None:
        """All rounds."""
        assert self.settings.seed is not None
        d = self.source.x.shape[1]
        self.data = summarise(self.source, self.settings.seed)
        if self.given:
            rows = np.asarray(self.source.x, dtype=np.float64)
            self.everything = replace(self.data, rows=rows, weight=self.source.row_weights)
        n_different = len(self.data.rows)
        kinds = {kind.name: kind for kind in (covariance_shape(shape, d) for shape in shapes)}
        # By freedom, so that what a shape contains comes before it.
        self.kinds = sorted(kinds.values(), key=lambda kind: kind.n_parameters(d + 2, 7))
        self.levels, names = levels_of(self.kinds), [kind.name for kind in self.kinds]
        self.contained = {kind.name: largest_contained(kind, self.kinds) for kind in self.kinds}
        collinear = self._collinear()
        for k in dict.fromkeys(counts):
            for kind in self.kinds:
                asked = replace(self.settings, n_components=k, covariance_type=kind.label)
                try:
                    state = CellState(kind, asked, mixture_of(asked, self.source, self.data))
                except InputError as error:
                    free = replace(asked, eigenvalue_ratio=np.inf, prior=None)
                    state = CellState(kind, asked, mixture_of(free, self.source, self.data), reason=str(error))
                if k > self.source.n_counting:
                    state.reason = f"more components than the {self.source.n_counting} rows"
                elif k > n_different:
                    state.reason = f"more components than the {n_different} different rows"
                elif collinear and kind.layout in ("full", "tied"):
                    state.reason = collinear
                self.states.append(state)
                self.of[k, kind.name] = state
        open_states = [state for state in self.states if not state.reason]
        if not open_states:
            return
        largest = max(open_states, key=lambda state: state.k).model
        self.table, whole = search_rows(self.source, self.data, largest, self.settings.seed)
        work = len(self.table.rows) * largest.n_components * (d + 1) * (d + 2)
        self.together = work < _WORTH_A_THREAD
        weight = None if (self.table.weight == 1.0).all() else self.table.weight
        self.rows = ArraySource(self.table.rows, weight)
        for state in open_states:
            state.sampled = not whole
        self.labels = self.cut_trees()
        # Cells of one shape follow one another, so that what threads take together has few components and many.
        by_shape = sorted(open_states, key=lambda state: names.index(state.kind.name))
        most = max(len(self._starts(state)) for state in by_shape)
        for number in range(most):
            exploring = [state for state in by_shape if number < len(self._starts(state))]
            # An exception leaves no burst behind.
            with closing(self.prepare(exploring, number)) as prepared:
                self.prepared = prepared
                self._each("explore", exploring, partial(self.explore, number), part=(number, most))
        self._compare(open_states)
        if self.searches:
            self._descend(open_states)
        if not whole:
            self.rows = self.source
            self._each("finish", open_states, self.finish, alone=True)
            self._compare(open_states)
        if self.searches:
            self._confirm(open_states)
        if self.cv is not None:
            self.folds = folds_of(self.source.x, self.cv, self.settings.seed)
            self._each("hold out", [state for state in open_states if state.best is not None], self.hold_out)

    def _collinear(self) -> str:
        """Why shapes with an orientation of their own have no fit, where columns determine others; else empty."""
        asked = self.settings.reg_covar
        if self.settings.prior is not None or not (isinstance(asked, str) or not np.any(asked)):
            return ""
        names = self.feature_names or default_names(self.source.x.shape[1])
        found = collinear_columns(self.data)
        if not found:
            return ""
        told = "; ".join(one.words(names) for one in found[:_TOLD])
        self.warnings.append(f"columns are collinear: {told}. Leave them out, or use shapes along the axes")
        return f"collinear columns ({told}): leave them out, or use a shape along the axes, a prior or reg_covar"

    # ------------------------------------------------------------------------------------------------- runs

    def _each(
        self,
        name: Round,
        states: list[CellState],
        work: Callable[[CellState], None],
        alone: bool = False,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        """Some work on every cell, cells to the threads unless each takes them all; one part of several of a round."""
        self.done, total = part[0] * len(states), part[1] * len(states)

        def one(state: CellState) -> None:
            if self.cancel.is_set():
                raise Stopped(Status.INTERRUPTED)
            if time.perf_counter() > self.deadline and any(other.best is not None for other in self.states):
                raise Stopped(Status.OUT_OF_TIME)
            self.task = Task(name, self.done, total, state.k, state.kind.label)
            began = time.perf_counter()
            work(state)
            state.seconds += time.perf_counter() - began
            self.done += 1

        if alone or threads() == 1 or self.together:
            for state in states:
                one(state)
        else:
            for _ in map_ordered(one, states, len(states), self.cancel):
                pass

    # ------------------------------------------------------------------------------------------------- comparing

    def _compare(self, states: list[CellState]) -> None:
        """Lift every cell that lies below one that it contains, from few components and little freedom upward."""
        groups: dict[int, list[CellState]] = {}
        for state in states:
            groups.setdefault(state.k + self.levels[state.kind.name], []).append(state)
        for number in sorted(groups):
            # What a cell contains has one component less, or a lower level: it is in a group before.
            self._each("compare", groups[number], self._lift_all)

    def _descend(self, states: list[CellState]) -> None:
        """Let cells begin where those with a component more lead, from many components down; then compare again."""
        for k in sorted({state.k for state in states if state.k > 1}, reverse=True):
            these = [state for state in states if state.k == k and self._above(state) is not None]
            self._each("compare", these, self._lower)
        # From below, everything has been looked at.
        self.looks = False
        self._compare(states)
        self.looks = self.searches

    def _lower(self, state: CellState) -> None:
        other = self._above(state)
        assert other is not None
        self.descend(state, other)

    def _above(self, state: CellState) -> CellState | None:
        """The cell of the same shape with a component more, where it has a sound end."""
        other = self.of.get((state.k + 1, state.kind.name))
        return other if other is not None and _is_sound(other) else None

    def _lift_all(self, state: CellState) -> None:
        for other in self._below(state):
            self.lift(state, other)

    def _below(self, state: CellState) -> list[CellState]:
        """The cells that a cell contains and that are nearest to it, where their objectives are of one kind."""
        found = [self.of[state.k, kind.name] for kind in self.contained[state.kind.name]]
        if self.settings.prior is not None:
            # What all components share has one prior, and shapes along the axes have another.
            mine = state.kind.layout, state.kind.is_common
            found = [other for other in found if (other.kind.layout, other.kind.is_common) == mine]
        elif not self.settings.equal_weights:
            fewer = self.of.get((state.k - 1, state.kind.name))
            found = found if fewer is None else [fewer, *found]
        return [other for other in found if _is_sound(other)]

    # ------------------------------------------------------------------------------------------------- the lead

    def _confirm(self, states: list[CellState]) -> None:
        """Search the cells in the lead, and compare what contains them again."""
        fitted = [state for state in states if state.best is not None]
        for state in fitted:
            state.cell = self._cell(state)
        for state in fitted:
            if state.k == 1 and state.cell is not None:
                state.cell = replace(state.cell, confirmed=True)
        fitted.sort(key=lambda state: rank(state.cell, self.criterion))  # type: ignore[arg-type]
        lead = fitted[0].cell.value(self.criterion) + CLOSE_RACE if fitted else np.inf  # type: ignore[union-attr]
        leading = [
            state
            for i, state in enumerate(fitted)
            if state.cell is not None
            and state.k > 1
            and (i < MIN_CONFIRMED or (state.cell.is_sound and state.cell.value(self.criterion) <= lead))
        ]
        risen = list[CellState]()

        def confirm(state: CellState) -> None:
            assert state.best is not None and state.cell is not None and state.cell.fit is not None
            before, end = state.cell.fit, state.best
            left = self.deadline - time.perf_counter()
            found = fit_mixture(
                self.source,
                replace(state.settings, n_init="auto", max_time=left, besides=((end.kind, end.run.params),)),
                data=self.data,
                feature_names=self.feature_names,
                observer=None if self.observer is None else as_attentive(self.observer, self._told),
            )
            early = found.status in (Status.INTERRUPTED, Status.OUT_OF_TIME)
            state.take(self._searched(state, end.run, found))
            state.cell = replace(state.cell, confirmed=not early)
            if state.best is not end or abs(found.objective - end.run.objective) < SAME_OPTIMUM:
                state.cell = replace(state.cell, fit=found)
            if found.objective > before.objective + SAME_OPTIMUM:
                risen.append(state)
            if early:
                raise Stopped(found.status)

        self._each("confirm", leading, confirm, alone=True)
        if risen:
            # What contains a cell that rose may now lie below it.
            for state in states:
                before = state.best
                below = [other for other in self._below(state) if other in risen]
                for other in below:
                    self.lift(state, other)
                if below and state.best is not before:
                    state.cell = replace(self._cell(state), confirmed=state.cell is not None and state.cell.confirmed)
                    risen.append(state)

    def _searched(self, state: CellState, before: Run[Any], found: MixtureFit) -> End:
        """The end of a search as one of the cell's ends."""
        ended = replace(
            before,
            params=found.params,
            statistics=self.source.fold(state.model.expect, found.params),
            objective=found.objective,
            status=found.status,
            n_iter=found.n_iter,
            trace=found.trace,
        )
        return self.end(state, "search", ended)

    def _told(self, start: int, info: Info) -> None:
        assert self.observer is not None
        self.observer(self.task, start, info)

    # ------------------------------------------------------------------------------------------------- results

    def cells(self, counts: list[int], shapes: Sequence[str], status: Status) -> list[Cell]:
        """The cells in the order asked for."""
        d = self.source.x.shape[1]
        found = list[Cell]()
        for k in dict.fromkeys(counts):
            for label in dict.fromkeys(covariance_shape(shape, d).label for shape in shapes):
                state = self.of.get((k, covariance_shape(label, d).name))
                if state is None or (state.best is None and not state.reason):
                    found.append(Cell.unreached(k, label, status))
                    continue
                cell = self._cell(state) if state.cell is None else state.cell
                cell = replace(cell, seconds=state.seconds)
                if not self.searches and cell.fit is not None:
                    cell = replace(cell, confirmed=status is Status.CONVERGED)
                found.append(cell)
        return found

    def _cell(self, state: CellState) -> Cell:
        """The cell as it stands: its fit on all the rows, or why there is none."""
        k, label, best = state.k, state.kind.label, state.best
        if best is None:
            return Cell(k, label, reason=state.reason, seconds=state.seconds)
        records = tuple(
            StartRecord(i, end.kind, end.run.objective, end.run.status, end.run.n_iter, end.verdict.faults,
                        end.run.seconds, end.run.passes, end.verdict.price)
            for i, end in enumerate(state.ends)
        )  # fmt: skip
        assert self.settings.seed is not None
        ended = self._on_all_rows(state, best.run) if state.sampled else best.run
        # What was looked for and not found on these rows is not looked for again.
        known = self.settings.degenerate == "avoid" and not state.sampled and not best.verdict.faults
        fit = as_fit(
            state.model, self.source, self.data, ended, records, None, self.settings.seed, self.feature_names,
            state.seconds, () if known else None,
        )  # fmt: skip
        return Cell.of(k, label, fit, state.seconds, self.source)

    def _on_all_rows(self, state: CellState, ended: Run[Any]) -> Run[Any]:
        """A run on a sample that nobody finished, with the objective of all the rows at its end."""
        statistics = self.source.fold(state.model.expect, ended.params)
        objective = state.model.objective(ended.params, statistics)
        return replace(ended, statistics=statistics, objective=objective, trace=(*ended.trace[:-1], objective))

    def hold_out(self, state: CellState) -> None:
        """Log-likelihood of the rows when they are held out."""
        assert state.best is not None
        if state.cell is None:
            state.cell = self._cell(state)
        limits = Limits(DEFAULT_MAX_ITER, self.deadline, self.cancel)
        try:
            total = held_out(state.model, self.source, state.best.run.params, state.settings, self.folds, limits)
        except NumericalFailure as failure:
            state.cell = replace(state.cell, reason=f"a fold has no fit: {explained(str(failure))}")
            return
        state.cell = replace(state.cell, heldout=total)


def _is_sound(state: CellState) -> bool:
    return state.best is not None and state.best.is_sound
