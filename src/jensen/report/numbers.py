"""The tables of a page: components with intervals, what is missing of their information, and the candidates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jensen.core.block import Array
from jensen.errors import InputError
from jensen.fit.selection.table import CRITERION_NAMES, Selection
from jensen.infer.rate import EMRate
from jensen.infer.standard_errors import ConfidenceIntervals
from jensen.report.answer import percent
from jensen.report.drawing import colour, marker
from jensen.report.facts import most_separating, shape_in_words
from jensen.report.view import View
from jensen.report.words import decimals_for, distinct, fixed

# Columns and components that a table has room for.
_COLUMNS, _ROWS = 12, 60
_CANDIDATES = 8
_MOST_DECIMALS = 6
_NAME = 30
# Forms of `drawing.MARKERS` in a square of side 10.
_FORMS = {
    "o": "M5 1A4 4 0 1 1 5 9A4 4 0 1 1 5 1z",
    "s": "M1.5 1.5H8.5V8.5H1.5z",
    "D": "M5 0.5L9.5 5L5 9.5L0.5 5z",
    "^": "M5 1L9 8.5H1z",
    "v": "M5 9L1 1.5H9z",
    "<": "M1 5L8.5 1V9z",
    ">": "M9 5L1.5 1V9z",
    "x": "M1 2L2 1L5 4L8 1L9 2L6 5L9 8L8 9L5 6L2 9L1 8L4 5z",
}


@dataclass(frozen=True)
class Cell:
    """A number of a table.

    Attributes
    ----------
    value : str
        The estimate.
    interval : str, default=""
        Its interval; empty where there is none.
    spread : str, default=""
        The standard deviation of the rows.
    """

    value: str
    interval: str = ""
    spread: str = ""


@dataclass(frozen=True)
class Line:
    """A row of a table.

    Attributes
    ----------
    name : str
        What it is about.
    cells : tuple of Cell
        Its numbers.
    form, colour : str, default=""
        The mark of a component in pictures, as the data of a path, and its colour; empty where there is none.
    """

    name: str
    cells: tuple[Cell, ...]
    form: str = ""
    colour: str = ""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes
    ----------
    header : tuple of str
        Of all columns, the first one's with them.
    lines : tuple of Line
        Its rows.
    notes : tuple of str, default=()
        What is to be said of it.
    """

    header: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()


def intervals_of(view: View, level: float) -> tuple[ConfidenceIntervals | None, str]:
    """Intervals of the parameters, or why there are none."""
    if len(view.rows) == 0:
        return None, "there are no intervals without the rows"
    try:
        return view.errors.confint(level), ""
    except InputError as error:
        return None, str(error)


def components(view: View, found: ConfidenceIntervals | None, level: float) -> Table:
    """Shares, means and standard deviations of the components, with intervals where there are any."""
    k = view.fitted.n_components
    params = view.fitted.params
    weights, means = params["weights"], params["means"]
    spreads = view.spreads
    chosen = sorted(most_separating(view.weights, means, spreads)[:_COLUMNS])
    shown = np.sort(np.argsort(-view.weights, kind="stable")[:_ROWS])
    columns = [[_share(weights, found, component) for component in range(len(weights))]]
    for j in chosen:
        columns.append(_column(means[:, j], spreads[:, j], found, j))
    lines = [
        Line(str(c), tuple(column[c] for column in columns), _FORMS[marker(int(c))], colour(int(c))) for c in shown
    ]
    if len(weights) > k:
        lines.append(Line("noise", (columns[0][k], *(Cell("") for _ in chosen)), _FORMS["x"], colour(-1)))
    names, notes = distinct(view.full_names, _NAME), list[str]()
    if len(chosen) < view.fitted.n_features:
        notes.append(f"The {len(chosen)} of {view.fitted.n_features} columns that tell the components apart best.")
    if len(shown) < k:
        notes.append(f"The {len(shown)} largest of {k} components.")
    header = ("component", "share", *(names[j] for j in chosen))
    return Table(header, tuple(lines), tuple(notes))


def _share(weights: Array, found: ConfidenceIntervals | None, component: int) -> Cell:
    value = percent(weights[component])
    if found is None:
        return Cell(value)
    low, high = (float(end["weights"][component]) for end in (found.lower, found.upper))
    return Cell(value, f"{100 * low:.1f} to {100 * high:.1f} %" if np.isfinite(low + high) and low < high else "")


def _column(means: Array, spreads: Array, found: ConfidenceIntervals | None, j: int) -> list[Cell]:
    """The cells of a column of the data for every component."""
    ends = None if found is None else [np.asarray(end["means"][:, j]) for end in (found.lower, found.upper)]
    finest = float(spreads.min())
    if ends is not None and np.isfinite(ends[1] - ends[0]).any():
        # An interval of a mean is narrower than the spread of rows: its ends must still be told apart.
        finest = min(finest, float(np.nanmin(ends[1] - ends[0])))
    digits, coarse = decimals_for(finest), decimals_for(float(spreads.min()))

    def told(value: float) -> str:
        return fixed(value, digits) if digits <= _MOST_DECIMALS else f"{value:.5g}"

    cells = list[Cell]()
    for component, mean in enumerate(means):
        interval = ""
        if ends is not None and np.isfinite(ends[0][component] + ends[1][component]):
            interval = f"{told(float(ends[0][component]))} to {told(float(ends[1][component]))}"
        spread = float(spreads[component])
        around = fixed(spread, coarse) if coarse <= _MOST_DECIMALS else f"{spread:.2g}"
        cells.append(Cell(told(float(mean)), interval, around))
    return cells


def missing(view: View, rate: EMRate | None) -> Table | None:
    """What share of the information on each component's share and means is missing; None where it is not known."""
    k = view.fitted.n_components
    if rate is None or len(view.fitted.params["weights"]) == 1:
        return None
    of_weights, of_means = (np.asarray(rate.by_parameter[name], dtype=np.float64) for name in ("weights", "means"))
    if not np.isfinite(of_means).any():
        return None
    lines = list[Line]()
    for component in range(min(k, _ROWS)):
        of_mean = of_means[component][np.isfinite(of_means[component])]
        cells = (_fraction(of_weights[component]), _fraction(of_mean.min(initial=1.0) if len(of_mean) else np.nan),
                 _fraction(of_mean.max() if len(of_mean) else np.nan))  # fmt: skip
        lines.append(Line(str(component), cells, _FORMS[marker(component)], colour(component)))
    header = ("component", "of its share", "of its means, at least", "at most")
    return Table(header, tuple(lines), (f"The {_ROWS} first of {k} components.",) if k > _ROWS else ())


def _fraction(value: float) -> Cell:
    return Cell(percent(min(max(float(value), 0.0), 1.0)) if np.isfinite(value) else "not known")


def candidates(selection: Selection) -> Table:
    """The best of a choice, and how far each is behind."""
    ranked = selection.ranked()[:_CANDIDATES]
    lines = list[Line]()
    best = ranked[0].value(selection.criterion) if ranked else 0.0
    for place, cell in enumerate(ranked):
        fit, value = cell.fit, cell.value(selection.criterion)
        assert fit is not None
        behind = "the best" if place == 0 else f"+{fixed(value - best, 2)}"
        texts = [
            str(fit.n_components), shape_in_words(fit.covariance_type, fit.n_features), fixed(value, 2), behind,
            fixed(fit.loglik, 2), f"{fit.n_free:,}",
        ]  # fmt: skip
        lines.append(Line(cell.name, tuple(Cell(text) for text in texts)))
    name = CRITERION_NAMES[selection.criterion]
    header = ("mixture", "components", "covariances", name, "behind", "log-likelihood", "parameters")
    more = len(selection.cells) - len(ranked)
    return Table(header, tuple(lines), (f"The best of {len(selection.cells)} that were compared.",) if more > 0 else ())
