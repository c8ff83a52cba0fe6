"""Choose among mixtures that are fitted each for itself, as those with noise or trimmed rows are.

Cells of `jensen.fit.selection.grid` give one another their ends. Among outliers a mixture that contains another may
still take rows of its own for outliers, so that here every cell takes three starts, one for each guess at the outliers,
and the cells in the lead are searched.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jensen.core.contracts import Info
from jensen.core.observers import as_attentive
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import InputError, NumericalFailure
from jensen.families.shapes.table import covariance_shape
from jensen.fit.mixture import fit_mixture
from jensen.fit.result import MixtureFit
from jensen.fit.selection.table import Cell, Criterion, Selection, SelectionObserver, Task, check_any_fit, rank
from jensen.fit.settings import MixtureSettings
from jensen.fit.summary import summarise
from jensen.numerics.streams import fresh_seed

# Starts of a cell where the number is left to the search.
EXPLORED = 3
# Cells this close to the best are searched, and this many in any case.
_CLOSE, _FEWEST = 10.0, 3


@dataclass(eq=False)
class _Alone:
    """One choice, while it goes on."""

    source: ArraySource
    settings: MixtureSettings
    feature_names: tuple[str, ...] | None
    observer: SelectionObserver | None
    deadline: float

    def __post_init__(self) -> None:
        assert self.settings.seed is not None
        self.data = summarise(self.source, self.settings.seed)
        self.status = Status.CONVERGED
        self.fitted = 0

    def cell(self, k: int, label: str, task: Task, n_init: Any, before: MixtureFit | None = None) -> Cell:
        """One mixture, from its starts; after a fit, from that as well."""
        began, observer = time.perf_counter(), self.observer
        if self.status is not Status.CONVERGED or (self.fitted and began > self.deadline):
            self.status = Status.OUT_OF_TIME if self.status is Status.CONVERGED else self.status
            return Cell.unreached(k, label, self.status)
        if k > len(self.data.rows):
            return Cell(k, label, reason=f"more components than the {len(self.data.rows)} different rows")

        def told(start: int, info: Info) -> None:
            if observer is not None:
                observer(task, start, info)

        besides = () if before is None else (("the best so far", before.params),)
        asked = replace(
            self.settings, n_components=k, covariance_type=label, n_init=n_init, besides=besides,
            max_time=self.deadline - began,
        )  # fmt: skip
        try:
            fit = fit_mixture(
                self.source,
                asked,
                data=self.data,
                feature_names=self.feature_names,
                observer=None if observer is None else as_attentive(observer, told),
            )
        except (InputError, NumericalFailure) as error:
            return Cell(k, label, reason=str(error), seconds=time.perf_counter() - began)
        except KeyboardInterrupt:
            if not self.fitted:
                raise
            self.status = Status.INTERRUPTED
            return Cell.unreached(k, label, self.status)
        self.fitted += 1
        if fit.status in (Status.INTERRUPTED, Status.OUT_OF_TIME):
            self.status = fit.status
        return Cell.of(k, label, fit, time.perf_counter() - began, self.source)


def select_alone(
    source: ArraySource,
    n_components: Sequence[int],
    shapes: Sequence[str],
    settings: MixtureSettings,
    *,
    criterion: Criterion = "bic",
    feature_names: tuple[str, ...] | None = None,
    observer: SelectionObserver | None = None,
    max_time: float = np.inf,
) -> Selection:
    """Fit every combination of a number of components and a shape for itself, and compare them.

    Parameters and result are those of `jensen.fit.selection.grid.select_mixture`, without cross-validation.

    Raises
    ------
    InputError
        If no cell could be fitted; the message gives the reasons.
    KeyboardInterrupt
        If it comes before any cell has been fitted.
    """
    began, d = time.perf_counter(), source.x.shape[1]
    seed = fresh_seed() if settings.seed is None else settings.seed
    alone = _Alone(source, replace(settings, seed=seed), feature_names, observer, began + max_time)
    searches = settings.n_init == "auto"
    several = EXPLORED if isinstance(settings.n_init, str) else settings.n_init
    labels = list(dict.fromkeys(covariance_shape(shape, d).label for shape in shapes))
    names = [(k, label) for k in dict.fromkeys(n_components) for label in labels]

    cells = [
        alone.cell(k, label, Task("explore", i, len(names), k, label), several) for i, (k, label) in enumerate(names)
    ]
    check_any_fit(cells)
    if not searches:
        cells = [replace(cell, confirmed=cell.fit is not None and alone.status is Status.CONVERGED) for cell in cells]
    else:
        leading = _leading(cells, criterion)
        for number, at in enumerate(leading):
            before = cells[at]
            k, label = before.n_components, before.covariance_type
            found = alone.cell(k, label, Task("confirm", number, len(leading), k, label), "auto", before.fit)
            cells[at] = _better(before, found, alone.status is Status.CONVERGED)
    return Selection(
        tuple(cells), alone.status, several, time.perf_counter() - began, searches, criterion, linked=False
    )


def _leading(cells: list[Cell], criterion: Criterion) -> list[int]:
    """Positions of the cells to be searched, the best first."""
    order = sorted((i for i, cell in enumerate(cells) if cell.fit is not None), key=lambda i: rank(cells[i], criterion))
    lead = cells[order[0]].value(criterion) + _CLOSE
    return [i for n, i in enumerate(order) if n < _FEWEST or (cells[i].is_sound and cells[i].value(criterion) <= lead)]


def _better(before: Cell, found: Cell, is_done: bool) -> Cell:
    """Of a cell's fits the sound one of higher objective, with the time of both."""
    seconds = before.seconds + found.seconds
    if found.fit is None or before.fit is None:
        return replace(before, seconds=seconds)
    risen = (found.fit.is_sound, found.fit.objective) >= (before.fit.is_sound, before.fit.objective)
    return replace(found if risen else before, confirmed=is_done, seconds=seconds)
