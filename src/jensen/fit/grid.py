"""Fit every number of components with every shape, so that more freedom never gives less likelihood.

1. *explore*: every cell takes its own starts. The cuts of one tree of merges serve all shapes and numbers.
2. *compare*: a cell that lies below one that it contains (a shape that is a special case of its own, or the same shape
   with one component less) goes on from there: EM never falls, so that it cannot end lower.
3. *finish*: where the rows of the exploration were a sample, every cell goes on with all rows and is compared anew.
4. *confirm*: the cells in the lead are searched as if each were alone, and the cells above them compared once more.

All of it happens on the table of different rows, in parallel, and the same for any number of threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any

import numpy as np

from jensen.core.block import Array
from jensen.core.contracts import Info, Run
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.data.frames import default_names
from jensen.data.pool import map_ordered, single_threaded_blas, threads
from jensen.errors import InputError, NumericalFailure
from jensen.families.gaussian import Gaussian
from jensen.families.shapes.table import SHAPES, CovarianceShape, covariance_shape
from jensen.families.whitening import as_full, in_layout
from jensen.fit.account import SAME_OPTIMUM, StartRecord
from jensen.fit.alone import select_alone
from jensen.fit.climbing import heading
from jensen.fit.collinear import collinear_columns
from jensen.fit.hierarchy import hierarchy
from jensen.fit.landscape import Verdict
from jensen.fit.mixture import (
    DEFAULT_MAX_ITER,
    MixtureSettings,
    acceleration_of,
    as_fit,
    fit_mixture,
    mixture_of,
    rule_of,
)
from jensen.fit.mixture_search import KINDS, search_rows
from jensen.fit.restarts import with_memory
from jensen.fit.result import MixtureFit
from jensen.fit.selection import Cell, Criterion, Round, Selection, SelectionObserver, Task, rank
from jensen.fit.soundness import verdict
from jensen.fit.splits import duplicated, split_starts
from jensen.fit.starts import draw_start, from_labels
from jensen.fit.summary import summarise
from jensen.models.mixture import Mixture
from jensen.numerics.streams import fresh_seed, stream
from jensen.solve.loop import Limits, run
from jensen.solve.variants import Plain

# Starts of a cell where the number is left to the search: the cuts of two trees, and some that are drawn.
EXPLORED = 4
# Cells this close to the best are confirmed; Kass & Raftery (1995) call ten "very strong" evidence.
CLOSE_RACE = 10.0
# This many are confirmed in any case.
MIN_CONFIRMED = 3
# A cell lies below another if it does by more than this share of the objective, and more than this.
_BELOW, _LEAST = 1e-12, 1e-9
# Splits that are climbed from, the most promising first, until a cell is no lower than one with a component less.
_LOOKS = 3
# Steps after which a run that does not seem to lead higher than its cell is given up.
_SHORT = 20

# Where a run begins, or a function that makes it.
_From = Parameters | Callable[[], Parameters]
# Combinations of columns that a reason names.
_TOLD = 3
_Start = tuple[str, Callable[[], Parameters]]


@dataclass(frozen=True)
class _End:
    """Where a run ended, and what speaks against it."""

    kind: str
    run: Run[Any]
    verdict: Verdict

    @property
    def is_sound(self) -> bool:
        return not self.verdict.faults and self.run.status is not Status.DEGENERATE

    @property
    def standing(self) -> tuple[bool, float]:
        return self.is_sound, self.run.objective - self.verdict.price


@dataclass(eq=False)
class _State:
    """A cell while the search is on."""

    kind: CovarianceShape
    settings: MixtureSettings
    model: Mixture
    ends: list[_End] = field(default_factory=list)
    best: _End | None = None
    cell: Cell | None = None
    reason: str = ""
    seconds: float = 0.0
    least: float = -np.inf  # the highest objective of a cell that this one contains

    @property
    def k(self) -> int:
        return self.settings.n_components

    def take(self, end: _End) -> None:
        """Note an end, and keep the best."""
        self.ends.append(end)
        self.settle()

    def settle(self) -> None:
        """Keep the best end; narrow components have a price, but not below the cells that this one contains."""
        above = [end for end in self.ends if end.is_sound and end.run.objective >= self.least - _slack(self.least)]
        self.best = max(above or self.ends, key=lambda end: end.standing, default=None)

    def is_above(self) -> bool:
        """Whether it has a sound end that is no lower than any cell that it contains."""
        best = self.best
        return best is not None and best.is_sound and best.run.objective >= self.least - _slack(self.least)


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
        return select_alone(
            source, n_components, shapes, settings, criterion=criterion, feature_names=feature_names,
            observer=observer, max_time=max_time,
        )  # fmt: skip
    seed = fresh_seed() if settings.seed is None else settings.seed
    grid = _Grid(source, replace(settings, seed=seed), feature_names, observer, time.perf_counter(), max_time)
    grid.criterion, grid.cv = criterion, cv
    status = Status.CONVERGED
    with single_threaded_blas():
        try:
            grid.run(sorted(n_components), shapes)
        except _Stopped as stopped:
            status = stopped.status
        except KeyboardInterrupt:
            status = Status.INTERRUPTED
        if status is Status.INTERRUPTED and all(state.best is None for state in grid.states):
            raise KeyboardInterrupt
        cells = grid.cells(list(n_components), shapes, status)
    if all(cell.fit is None for cell in cells):
        reasons = dict.fromkeys(cell.reason for cell in cells)
        raise InputError(f"no mixture could be fitted: {'; '.join(reasons)}")
    seconds = time.perf_counter() - grid.began
    return Selection(tuple(cells), status, grid.several, seconds, grid.searches, criterion, tuple(grid.warnings))


class _Stopped(Exception):
    """The search ends here, by the time limit or by an interrupt that a run has already dealt with."""

    def __init__(self, status: Status) -> None:
        self.status = status


class _Grid:
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
        self.searches = settings.n_init == "auto"
        self.several = EXPLORED if isinstance(settings.n_init, str) else settings.n_init
        self.cancel = Event()
        self.states: list[_State] = []
        self.of: dict[tuple[int, str], _State] = {}
        self.done = 0
        self.warnings: list[str] = []

    def run(self, counts: Sequence[int], shapes: Sequence[str]) -> None:
        """All rounds."""
        assert self.settings.seed is not None
        d = self.source.x.shape[1]
        self.data = summarise(self.source, self.settings.seed)
        n_different = len(self.data.rows)
        kinds = {kind.name: kind for kind in (covariance_shape(shape, d) for shape in shapes)}
        # By freedom, so that what a shape contains comes before it.
        self.kinds = sorted(kinds.values(), key=lambda kind: kind.n_parameters(d + 2, 7))
        self.contained = {kind.name: _contained(kind, self.kinds) for kind in self.kinds}
        collinear = self._collinear()
        for k in dict.fromkeys(counts):
            for kind in self.kinds:
                asked = replace(self.settings, n_components=k, covariance_type=kind.label)
                try:
                    state = _State(kind, asked, mixture_of(asked, self.source, self.data))
                except InputError as error:
                    free = replace(asked, eigenvalue_ratio=np.inf, prior=None)
                    state = _State(kind, asked, mixture_of(free, self.source, self.data), reason=str(error))
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
        weight = None if (self.table.weight == 1.0).all() else self.table.weight
        self.rows = ArraySource(self.table.rows, weight)
        self.labels = self._trees()
        self._each("explore", open_states, self.explore)
        self._compare(open_states)
        if not whole:
            self.rows = self.source
            self._each("finish", open_states, self.finish, alone=True)
            self._compare(open_states)
        if self.searches:
            self._confirm(open_states)
        if self.cv is not None:
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

    def _each(self, name: Round, states: list[_State], work: Callable[[_State], None], alone: bool = False) -> None:
        """Some work on every cell, cells to the threads unless each takes them all."""
        self.done = 0

        def one(state: _State) -> None:
            if self.cancel.is_set():
                raise _Stopped(Status.INTERRUPTED)
            if time.perf_counter() > self.deadline and any(other.best is not None for other in self.states):
                raise _Stopped(Status.OUT_OF_TIME)
            self.task = Task(name, self.done, len(states), state.k, state.kind.label)
            began = time.perf_counter()
            work(state)
            state.seconds += time.perf_counter() - began
            self.done += 1

        if alone or threads() == 1:
            for state in states:
                one(state)
        else:
            # Long cells first would be better for two threads, but numbers of components belong together.
            for _ in map_ordered(one, states, len(states), self.cancel, in_a_row=4):
                pass

    def climb(self, state: _State, kind: str, start: _From, n_iter: int | None = None) -> _End | None:
        """A run of EM from a start; None where it has no density."""
        settings = state.settings
        most = DEFAULT_MAX_ITER if settings.max_iter == "auto" else settings.max_iter
        limits = Limits(most if n_iter is None else min(n_iter, most), self.deadline, self.cancel)
        rule = rule_of(settings, self.rows.weight)()
        observer = self.observer
        told: Callable[[Info], None] | None = None
        if observer is not None:
            task = replace(self.task, n_components=state.k, covariance_type=state.kind.label)
            told = lambda info: observer(task, len(state.ends), info)  # noqa: E731
        try:
            solver = Plain(acceleration_of(settings)).solver(state.model, rule)
            begin = start() if callable(start) else start
            ended = run(solver, with_memory(state.model, self.rows), begin, rule, limits, told)
        except NumericalFailure as failure:
            if state.best is None:
                state.reason = _explained(str(failure))
            return None
        end = _End(kind, ended, self._judged(state, ended))
        if ended.status in (Status.INTERRUPTED, Status.OUT_OF_TIME):
            if n_iter is None or state.best is None:
                state.take(end)
            raise _Stopped(ended.status)
        return end

    def explore(self, state: _State) -> None:
        """The cell's own starts."""
        for kind, start in self._starts(state):
            self.attempt(state, kind, start)

    def attempt(self, state: _State, kind: str, start: _From) -> None:
        """A run from a start, given up after a few steps if it does not seem to lead higher than the cell is."""
        if state.best is not None and state.best.is_sound:
            begun = self.climb(state, kind, start, _SHORT)
            if begun is None:
                return
            if not begun.run.status.is_converged and heading(begun.run) < state.best.run.objective + SAME_OPTIMUM:
                return
            start = begun.run.params
        end = self.climb(state, kind, start)
        if end is not None:
            state.take(end)

    def _starts(self, state: _State) -> list[_Start]:
        """Own starts of a cell: cuts of the trees, then such as are drawn; or of the kind that was asked for."""
        model, init, seed = state.model, self.settings.init, self.settings.seed
        assert seed is not None
        if not (isinstance(init, str) and init == "auto"):
            kind: Any = init
            return [
                (str(kind), lambda i=i: draw_start(kind, model, self.table, stream(seed, "start", i)))  # type: ignore[misc]
                for i in range(1 if state.k == 1 else self.several)
            ]
        found: list[_Start] = [
            ("merges", lambda labels=labels: from_labels(model, self.table, labels[state.k]))  # type: ignore[misc]
            for labels in self.labels
        ]
        if state.k == 1:
            return found[:1]
        drawn: list[_Start] = [
            (kind, lambda kind=kind, i=i: draw_start(kind, model, self.table, stream(seed, "start", i)))  # type: ignore[misc]
            for i, kind in enumerate(KINDS)
        ]
        while len(found) + len(drawn) < self.several:
            drawn += drawn[: self.several]
        return (found + drawn)[: self.several]

    def _trees(self) -> list[dict[int, Any]]:
        """Cuts of the trees of merges for every number of components."""
        init = self.settings.init
        if not (isinstance(init, str) and init == "auto"):
            return []
        assert self.settings.seed is not None
        counts = sorted({state.k for state in self.states if not state.reason})
        criteria = ("VVV", "affine") if self.several > 1 else ("VVV",)
        trees = [hierarchy(self.table, criterion, self.settings.seed) for criterion in criteria]  # type: ignore[arg-type]
        return [{k: tree.labels(k) for k in counts} for tree in trees]

    def finish(self, state: _State) -> None:
        """On all the rows, from the best end on some of them."""
        if state.best is None:
            return
        start, state.least = state.best, -np.inf
        state.ends.clear()
        state.settle()
        end = self.climb(state, start.kind, start.run.params)
        if end is not None:
            state.take(end)

    # ------------------------------------------------------------------------------------------------- comparing

    def _compare(self, states: list[_State]) -> None:
        """Lift every cell that lies below one that it contains, from few components and little freedom upward."""
        self.task = Task("compare", 0, len(states), states[0].k, states[0].kind.label)
        for number, state in enumerate(states):
            self.task = Task("compare", number, len(states), state.k, state.kind.label)
            for other in self._below(state):
                self.lift(state, other)

    def _below(self, state: _State) -> list[_State]:
        """The cells that a cell contains and that are nearest to it, where their objectives are of one kind."""
        found = [self.of[state.k, kind.name] for kind in self.contained[state.kind.name]]
        if self.settings.prior is not None:
            # What all components share has one prior, and shapes along the axes have another.
            mine = state.kind.layout, state.kind.is_common
            found = [other for other in found if (other.kind.layout, other.kind.is_common) == mine]
        elif not self.settings.equal_weights:
            fewer = self.of.get((state.k - 1, state.kind.name))
            found = found if fewer is None else [fewer, *found]
        return [other for other in found if other.best is not None and other.best.is_sound]

    def lift(self, state: _State, other: _State) -> None:
        """Go on from a cell that this one contains, if it is not above it already."""
        assert other.best is not None
        state.least = max(state.least, other.best.run.objective)
        state.settle()
        if state.is_above() and not self.searches:
            return
        if other.k == state.k:
            starts = [(other.kind.name, _reshaped(other.best.run.params, other, state))]
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

    def _promising(self, state: _State, starts: list[tuple[str, Parameters]]) -> list[tuple[str, Parameters]]:
        """Starts by where a few steps lead."""
        if len(starts) == 1:
            return starts
        begun = [self.climb(state, kind, start, 3) for kind, start in starts]
        ends = [end for end in begun if end is not None]
        return [(end.kind, end.run.params) for end in sorted(ends, key=lambda end: -end.run.objective)]

    # ------------------------------------------------------------------------------------------------- the lead

    def _confirm(self, states: list[_State]) -> None:
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
        risen = list[_State]()

        def confirm(state: _State) -> None:
            assert state.best is not None and state.cell is not None and state.cell.fit is not None
            before, end = state.cell.fit, state.best
            left = self.deadline - time.perf_counter()
            found = fit_mixture(
                self.source,
                replace(state.settings, n_init="auto", max_time=left, besides=((end.kind, end.run.params),)),
                data=self.data,
                feature_names=self.feature_names,
                observer=None if self.observer is None else self._told,
            )
            early = found.status in (Status.INTERRUPTED, Status.OUT_OF_TIME)
            state.take(self._searched(state, end.run, found))
            state.cell = replace(state.cell, confirmed=not early)
            if state.best is not end or abs(found.objective - end.run.objective) < SAME_OPTIMUM:
                state.cell = replace(state.cell, fit=found)
            if found.objective > before.objective + SAME_OPTIMUM:
                risen.append(state)
            if early:
                raise _Stopped(found.status)

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

    def _searched(self, state: _State, before: Run[Any], found: MixtureFit) -> _End:
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
        return _End("search", ended, self._judged(state, ended))

    def _judged(self, state: _State, ended: Run[Any]) -> Verdict:
        return verdict(state.model, ended, self.data.informative, self.settings.degenerate)

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
                    told = f"not reached: {status.message.split(':')[0]}"
                    found.append(Cell(k, label, reason=told))
                    continue
                cell = self._cell(state) if state.cell is None else state.cell
                cell = replace(cell, seconds=state.seconds)
                if not self.searches and cell.fit is not None:
                    cell = replace(cell, confirmed=status is Status.CONVERGED)
                found.append(cell)
        return found

    def _cell(self, state: _State) -> Cell:
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
        fit = as_fit(
            state.model, self.source, self.data, best.run, records, None, self.settings.seed, self.feature_names,
            state.seconds,
        )  # fmt: skip
        reason = "" if fit.is_sound else "degenerate: " + "; ".join(fit.faults[:2])
        return Cell(k, label, fit, reason, False, state.seconds, self._entropy(state.model, fit.params))

    def _entropy(self, model: Mixture, params: Parameters) -> float:
        """Sum of the entropies of the rows' responsibilities, on the rows of the run."""
        family: Gaussian = model.family  # type: ignore[assignment]
        plain = Mixture(family.unregularised(), model.equal_weights)

        def entropy(at: Parameters, block: Any) -> _Sum:
            shares = plain.responsibilities(at, block)
            logs = np.log(np.maximum(shares, np.finfo(np.float64).tiny))
            return _Sum(max(-float(block.weights @ (shares * logs).sum(axis=1)), 0.0))

        return self.source.fold(entropy, params).value

    def hold_out(self, state: _State) -> None:
        """Log-likelihood of the rows when they are held out, each fold's fit going on from that of all rows."""
        assert state.best is not None and self.cv is not None
        if state.cell is None:
            state.cell = self._cell(state)
        folds, total = self._folds(self.cv), 0.0
        x, own = self.source.x, self.source.row_weight
        weight = np.ones(len(x)) if own is None else own
        for number in range(self.cv):
            kept = ArraySource(x, np.where(folds == number, 0.0, weight))
            left = ArraySource(x, np.where(folds == number, weight, 0.0))
            rule = rule_of(state.settings, kept.weight)()
            try:
                solver = Plain(acceleration_of(state.settings)).solver(state.model, rule)
                ended = run(solver, kept, state.best.run.params, rule, Limits(DEFAULT_MAX_ITER, self.deadline))
            except NumericalFailure as failure:
                state.cell = replace(state.cell, reason=f"fold {number + 1}: {_explained(str(failure))}")
                return
            family: Gaussian = state.model.family  # type: ignore[assignment]
            plain = Mixture(family.unregularised(), state.model.equal_weights)
            total += left.fold(plain.assess, ended.params).loglik
        state.cell = replace(state.cell, heldout=total)

    def _folds(self, n: int) -> Array:
        """The fold of each row, by the row's values, so that equal rows are held out together."""
        assert self.settings.seed is not None
        from jensen.numerics.order import row_keys

        keys = row_keys(np.asarray(self.source.x, dtype=np.float64), self.settings.seed)
        ranks = np.unique(keys, return_inverse=True)[1]
        return np.asarray(ranks % n)


@dataclass(frozen=True)
class _Sum:
    value: float

    def merge(self, other: _Sum) -> _Sum:
        return _Sum(self.value + other.value)


def _slack(objective: float) -> float:
    return _LEAST + _BELOW * abs(objective) if objective > -np.inf else 0.0


def _contained(kind: CovarianceShape, asked: Iterable[CovarianceShape]) -> list[CovarianceShape]:
    """The largest of the asked shapes that are special cases of one."""
    inside = [other for other in asked if other.name != kind.name and kind.contains(other)]
    return [one for one in inside if not any(other.name != one.name and other.contains(one) for other in inside)]


def _reshaped(params: Parameters, other: _State, state: _State) -> Parameters:
    """The parameters of a shape in a shape that contains it."""
    one, two = other.kind.layout, state.kind.layout
    matrices = as_full(one, params["covariances"], *params["means"].shape)
    return state.model.parameters(
        weights=params["weights"], means=params["means"], covariances=in_layout(two, matrices)
    )


def _explained(failure: str) -> str:
    """Why a cell has no fit, with what would give it one."""
    if "positive definite" in failure or "singular" in failure or "scatter" in failure:
        return f"{failure}: too few rows in some direction for this shape; a prior or reg_covar would give it a fit"
    return failure


ALL_SHAPES = tuple(SHAPES)
