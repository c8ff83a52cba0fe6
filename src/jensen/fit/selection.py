"""Choose the number of components and the shape of the covariances by BIC.

A cell is one number of components with one shape. A search over more than three cells goes in rounds:

1. *screen*: every cell takes all starts a few iterations far (Biernacki, Celeux & Govaert 2003, "short runs of EM");
2. *converge*: in every cell, the most promising start goes on to convergence;
3. *confirm*: the cells in the lead are fitted anew with every start run to convergence.

A fit only ever gives way to a better one, so the BIC of a cell that was not confirmed is an upper bound. The winner
is, to the bit, what fitting its cell alone gives under the same seed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from jensen.core.contracts import Info
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import InputError, NumericalFailure
from jensen.fit.account import SAME_OPTIMUM
from jensen.fit.mixture import DEFAULT_MAX_ITER, MixtureSettings, fit_mixture
from jensen.fit.result import MixtureFit
from jensen.fit.summary import DataSummary, summarise
from jensen.numerics.streams import fresh_seed

# M-steps of a start in the screening round.
SHORT_RUN = 25
# Starts of a cell where the number is left to the search.
SCREENED = 10
# Cells this close to the best BIC are confirmed; Kass & Raftery (1995) call ten "very strong" evidence.
CLOSE_RACE = 10.0
# This many are confirmed in any case.
MIN_CONFIRMED = 3

Round = Literal["screen", "converge", "confirm"]


@dataclass(frozen=True)
class Task:
    """What a search is doing, for those who watch.

    Attributes
    ----------
    round : {"screen", "converge", "confirm"}
        The round.
    number, n_tasks : int
        Which of how many cells of the round, from 0.
    n_components : int
        K of the cell.
    covariance_type : str
        Shape of the cell.
    n_starts : int
        Starts that are run.
    """

    round: Round
    number: int
    n_tasks: int
    n_components: int
    covariance_type: str
    n_starts: int


SelectionObserver = Callable[[Task, int, Info], None]


@dataclass(frozen=True, eq=False)
class Cell:
    """One number of components with one shape, and what became of it.

    Attributes
    ----------
    n_components : int
        K.
    covariance_type : str
        Shape of the covariances.
    fit : MixtureFit or None
        The best fit; None if there is none.
    reason : str
        Why there is no fit; empty if there is one.
    confirmed : bool
        Whether every start was run to its end; otherwise the most promising alone, and BIC is an upper bound.
    seconds : float
        Wall time spent on the cell.
    """

    n_components: int
    covariance_type: str
    fit: MixtureFit | None = None
    reason: str = ""
    confirmed: bool = False
    seconds: float = 0.0

    @property
    def is_sound(self) -> bool:
        """Whether there is a fit and nothing about it is degenerate."""
        return self.fit is not None and self.fit.is_sound

    @property
    def bic(self) -> float:
        """BIC of the fit, smaller is better; infinite if there is none."""
        return np.inf if self.fit is None else self.fit.bic


@dataclass(frozen=True, eq=False)
class Selection:
    """All cells of a search and the best of them.

    Attributes
    ----------
    cells : tuple of Cell
        By number of components, then shape, in the order asked for.
    status : Status
        CONVERGED when the search ran to its end, else INTERRUPTED or OUT_OF_TIME.
    n_starts : int
        Starts of each cell.
    seconds : float
        Wall time of the whole search.
    searched : bool
        Whether the leading cells were searched for their best optimum, beyond these starts.
    """

    cells: tuple[Cell, ...]
    status: Status
    n_starts: int
    seconds: float
    searched: bool = False

    @property
    def best_cell(self) -> Cell:
        """The sound cell of smallest BIC; if there is none, the degenerate one with fewest faults."""
        return min(self.cells, key=_rank)

    @property
    def best(self) -> MixtureFit:
        """The fit of the best cell; ``is_sound`` says whether it is a fit to rely on."""
        fit = self.best_cell.fit
        assert fit is not None
        return fit

    def table(self) -> list[dict[str, str | int | float | bool | None]]:
        """One record for each cell: K, shape, criteria, how the fit ended, time, and why there is none."""
        return [
            {
                "n_components": cell.n_components,
                "covariance_type": cell.covariance_type,
                "bic": cell.fit.bic if cell.fit else None,
                "loglik": cell.fit.loglik if cell.fit else None,
                "n_free": cell.fit.n_free if cell.fit else None,
                "status": cell.fit.status.value if cell.fit else None,
                "n_iter": cell.fit.n_iter if cell.fit else None,
                "sound": cell.is_sound,
                "confirmed": cell.confirmed,
                "reason": cell.reason,
                "seconds": cell.seconds,
            }
            for cell in self.cells
        ]


def select_mixture(
    source: ArraySource,
    n_components: Sequence[int],
    shapes: Sequence[str],
    settings: MixtureSettings,
    *,
    feature_names: tuple[str, ...] | None = None,
    observer: SelectionObserver | None = None,
    max_time: float = np.inf,
) -> Selection:
    """Fit every combination of a number of components and a shape, and compare them by BIC.

    Parameters
    ----------
    source : ArraySource
        Finite rows, with weights or without.
    n_components : sequence of int
        Numbers of components, each at least 1.
    shapes : sequence of str
        Shapes of the covariances.
    settings : MixtureSettings
        Everything else; its own K, shape and time limit are not used.
    feature_names : tuple of str, optional
        Names of the columns, for the record.
    observer : callable (Task, int, Info) -> None, optional
        Told of every point of every start of every cell; may be called from several threads.
    max_time : float, default=inf
        Seconds after which no further pass is begun.

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
    seed = fresh_seed() if settings.seed is None else settings.seed
    search = _Search(source, replace(settings, seed=seed), feature_names, observer, time.perf_counter(), max_time)
    search.cells = [Cell(k, shape) for k in n_components for shape in shapes]
    status = Status.CONVERGED
    try:
        search.run()
    except _Stopped as stopped:
        status = stopped.status
    except KeyboardInterrupt:
        status = Status.INTERRUPTED
    cells = [
        _cut_short(cell, status) if status is not Status.CONVERGED and not cell.confirmed else cell
        for cell in search.cells
    ]
    if all(cell.fit is None for cell in cells):
        if status is Status.INTERRUPTED:
            raise KeyboardInterrupt
        reasons = dict.fromkeys(cell.reason for cell in cells)
        raise InputError(f"no mixture could be fitted: {'; '.join(reasons)}")
    searched = settings.n_init == "auto"
    return Selection(tuple(cells), status, search.several, time.perf_counter() - search.began, searched)


class _Stopped(Exception):
    """The search ends here, by the time limit or by an interrupt that a fit has already dealt with."""

    def __init__(self, status: Status) -> None:
        self.status = status


class _Search:
    """The state of one search: its cells get better from round to round."""

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
        self.cells: list[Cell] = []
        self.several = SCREENED if isinstance(settings.n_init, str) else settings.n_init

    def run(self) -> None:
        """All rounds."""
        n_rows = self.source.n_counting
        for at, cell in enumerate(self.cells):
            if cell.n_components > n_rows:
                self.cells[at] = replace(cell, reason=f"more components than the {n_rows} rows")
        open_cells = [at for at, cell in enumerate(self.cells) if not cell.reason]
        assert self.settings.seed is not None
        data = summarise(self.source, self.settings.seed)
        if len(open_cells) > MIN_CONFIRMED:
            self.search_widely(data, open_cells)
            open_cells = [at for at in open_cells if self.cells[at].fit is not None]
            open_cells.sort(key=lambda at: _rank(self.cells[at]))
            lead = self.cells[open_cells[0]].bic + CLOSE_RACE if open_cells else np.inf
            open_cells = [at for i, at in enumerate(open_cells) if i < MIN_CONFIRMED or self.in_race(at, lead)]
        for number, at in enumerate(open_cells):
            if not self.cells[at].confirmed:
                self.fit_cell(
                    at, Task("confirm", number, len(open_cells), *self.key(at)), data, self.settings, confirmed=True
                )

    def search_widely(self, data: DataSummary, open_cells: list[int]) -> None:
        """Screen the starts of every cell, and take the most promising one to convergence."""
        max_iter = DEFAULT_MAX_ITER if self.settings.max_iter == "auto" else self.settings.max_iter
        short = replace(self.settings, max_iter=min(SHORT_RUN, max_iter))
        for number, at in enumerate(open_cells):
            # One start, or so few iterations, is all there is to run.
            complete = self.n_starts(at) == 1 or max_iter <= SHORT_RUN
            task = Task("screen", number, len(open_cells), *self.key(at))
            self.fit_cell(at, task, data, self.settings if complete else short, confirmed=complete)
        for number, at in enumerate(open_cells):
            fit = self.cells[at].fit
            if fit is not None and fit.status is Status.OUT_OF_ITERATIONS and not self.cells[at].confirmed:
                onward = replace(self.settings, warm_start=fit.params)
                task = replace(Task("converge", number, len(open_cells), *self.key(at)), n_starts=1)
                self.fit_cell(at, task, data, onward)

    def fit_cell(
        self,
        at: int,
        task: Task,
        data: DataSummary,
        settings: MixtureSettings,
        *,
        confirmed: bool = False,
    ) -> None:
        """Fit a cell and keep the fit if it ranks before the one that the cell has."""
        cell, left = self.cells[at], self.deadline - time.perf_counter()
        if left <= 0.0:
            raise _Stopped(Status.OUT_OF_TIME)
        settings = replace(
            settings,
            n_components=cell.n_components,
            covariance_type=cell.covariance_type,
            n_init="auto" if task.round == "confirm" and self.settings.n_init == "auto" else self.n_starts(at),
            max_time=left,
        )
        observer = self.observer
        told = None if observer is None else lambda start, info: observer(task, start, info)
        began = time.perf_counter()
        try:
            fit = fit_mixture(self.source, settings, data=data, feature_names=self.feature_names, observer=told)
        except NumericalFailure as failure:
            self.cells[at] = replace(cell, reason=str(failure) if cell.fit is None else "")
            return
        seconds = cell.seconds + time.perf_counter() - began
        ended_early = fit.status in (Status.INTERRUPTED, Status.OUT_OF_TIME)
        found = replace(cell, fit=fit, confirmed=confirmed and not ended_early, seconds=seconds)
        # The same optimum, reached from all starts, says more than from one; rounding must not decide between them.
        same = found.is_sound and found.confirmed and found.bic <= cell.bic + 2.0 * SAME_OPTIMUM
        # A search has seen what screening may have taken for the best, and may have set it aside.
        searched = found.is_sound and found.confirmed and self.settings.n_init == "auto"
        kept = found if same or searched or _rank(found) <= _rank(cell) else cell
        self.cells[at] = replace(kept, confirmed=found.confirmed, seconds=seconds)
        if ended_early:
            raise _Stopped(fit.status)

    def in_race(self, at: int, lead: float) -> bool:
        """Whether a cell is sound and close enough to the best to be confirmed."""
        return self.cells[at].is_sound and self.cells[at].bic <= lead

    def n_starts(self, at: int) -> int:
        """One component has one optimum, which one start finds."""
        return 1 if self.cells[at].n_components == 1 else self.several

    def key(self, at: int) -> tuple[int, str, int]:
        """K, shape and number of starts of a cell."""
        return self.cells[at].n_components, self.cells[at].covariance_type, self.n_starts(at)


def _cut_short(cell: Cell, status: Status) -> Cell:
    """A cell as the end of an unfinished search leaves it: a short run ended for the search's reason, not its own."""
    if cell.fit is None:
        return replace(cell, reason=cell.reason or f"not reached: {status.message.split(':')[0]}")
    if cell.fit.status is Status.OUT_OF_ITERATIONS:
        return replace(cell, fit=replace(cell.fit, status=status))
    return cell


def _rank(cell: Cell) -> tuple[bool, bool, int, float]:
    """Sound cells first, by BIC. Degenerate likelihoods are unbounded: there, the number of faults counts first."""
    n_faults = len(cell.fit.faults) if cell.fit is not None else 0
    return cell.fit is None, not cell.is_sound, n_faults, cell.bic
