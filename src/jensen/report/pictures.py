"""The pictures of a page: which ones a fit has, under which question, how to read them, and what they show in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from jensen.fit.result import MixtureFit
from jensen.fit.selection.table import Selection
from jensen.report import assigned, checks
from jensen.report.answer import Assignment, fitting, listed, percent
from jensen.report.checks import Calibration
from jensen.report.curves import criterion_curves
from jensen.report.drawing import MOST_MARKS
from jensen.report.mixture import MOST_PAIRED, picture
from jensen.report.vector import drawn
from jensen.report.view import View
from jensen.report.words import counted, decimals_for, fixed, shortened

# Components that a text names one by one, and panels of profiles that can be read.
_EACH, _PANELS = 8, 16
_NAME = 30
# Pixels beyond which a picture is rather scrolled than shrunk.
_WIDE = 640


@dataclass(frozen=True)
class Picture:
    """A picture of a page.

    Attributes
    ----------
    name : str
        A word of its own within the page.
    question : str
        What it answers.
    svg : str
        An ``<svg>`` element.
    caption : str
        How to read it.
    """

    name: str
    question: str
    svg: str
    caption: str

    @property
    def is_wide(self) -> bool:
        """Whether it would be too small to be read on a phone."""
        found = re.search(r' width="(\d+)"', self.svg)
        return found is not None and int(found[1]) > _WIDE


def pictures(
    view: View, level: float, calibration: Calibration | None, found: Assignment | None, has_intervals: bool
) -> Iterator[Picture]:
    """The pictures of a mixture with rows, or of its density where there are none.

    Parameters
    ----------
    view : View
        The mixture with its rows.
    level : float
        Coverage of intervals.
    calibration : Calibration or None
        Of the view; None without rows.
    found : Assignment or None
        How sure the rows are; None without rows.
    has_intervals : bool
        Whether the parameters have intervals.
    """
    k, d, n = view.fitted.n_components, view.fitted.n_features, len(view.rows)
    if n == 0:
        yield _made("density", "Where is the mixture dense?", view, level, _density_text(view), _DENSITY)
        return
    yield _made("clusters", "Where are the groups?", view, level, _clusters_text(view), _clusters_caption(view))
    if k > 1 and 2 < d <= MOST_PAIRED:
        yield _made("projection", "Where do the groups differ most?", view, level, _projection_text(view), _PROJECTION)
    if 1 < k <= _PANELS and d > 1:
        yield _made("profiles", "What is special about each group?", view, level, _profiles_text(view), _PROFILES)
    if found is not None and found.doubtful > 0:
        text = f"The rows by how doubtful their component is: {percent(found.doubtful / found.total)} are doubtful."
        caption = _DOUBTS if d > 1 else _DOUBTS_OF_ONE
        yield _made("uncertainty", "Which rows are in doubt?", view, level, text, caption)
    if calibration is not None:
        text = f"A histogram and a plot of quantiles against quantiles. {fitting(calibration)}"
        svg = drawn(lambda sheet: checks.fit(view, sheet, calibration), "fit", text)
        yield Picture("fit", "May the rows come from this mixture?", svg, _FIT)
    if k > 1 and has_intervals:
        text = f"Weights and means of the components with {100 * level:g} % intervals; the table below has the numbers."
        yield _made("estimates", "How sure are shares and means?", view, level, text, _ESTIMATES)


def trace(record: MixtureFit) -> Picture | None:
    """The picture of the run, where there was one that climbed."""
    if len(record.trace) < 2 or len(record.starts) < 2 or record.n_components == 1:
        return None
    steps, starts = counted(len(record.trace) - 1, "iteration"), counted(len(record.starts), "start")
    text = (
        f"The objective over {steps} of the best run, from {record.trace[0]:.6g} to {record.trace[-1]:.6g}, with the "
        f"ends of {starts}, of which {record.n_agreeing} are at the top."
    )
    return Picture(
        "trace", "How did the fit go?", drawn(lambda sheet: assigned.trace(record, sheet), "trace", text), _TRACE
    )


def curves(selection: Selection) -> Picture | None:
    """The criterion over the number of components, where there was a choice."""
    ranked = selection.ranked()
    if len(ranked) < 2:
        return None
    told = listed([f"{cell.name} ({cell.value(selection.criterion):.2f})" for cell in ranked[:3]])
    text = f"The criterion over the number of components, a line for each shape. The lowest are {told}."
    svg = drawn(lambda sheet: criterion_curves(selection, sheet), "curves", text)
    return Picture("curves", "How do the candidates compare?", svg, _CURVES)


def _made(kind: str, question: str, view: View, level: float, text: str, caption: str) -> Picture:
    draw: Callable[[Any], Any] = lambda sheet: picture(view, kind, sheet, level=level)  # noqa: E731
    return Picture(kind, question, drawn(draw, kind, text), caption)


_DENSITY = (
    "Without rows there is no more to see: contours hold 25, 50, 75, 90 and 99 % of the mixture; of one column, the "
    "curve is its density."
)
_PROJECTION = (
    "A view from the side where the components lie apart most: each axis mixes all columns. Ellipses hold 50 % (line) "
    "and 95 % (dashes) of a component."
)
_PROFILES = (
    "Points are the means of a component, in standard deviations of all rows from their mean: right of the line is "
    "more than average, left is less. Lines through them are intervals, pale bars the spread of the component's rows; "
    "grey ticks are the other components."
)
_DOUBTS = (
    "The larger a mark and the stronger its colour, the less sure the row's component. Doubtful rows lie where "
    "components meet."
)
_DOUBTS_OF_ONE = "The higher, the less sure the component of a row there. Peaks lie where components meet."
_FIT = (
    "Left: bars near the line at 1, between the dashes, speak for the mixture. Right: points along the line, within "
    "the grey band, do. Rows fit a mixture that was estimated from them better than one that was known before, so that "
    "leaving the band counts, and staying within it proves little."
)
_ESTIMATES = "A mark is the estimate, the line through it the interval, the dotted line the mean of all rows."
_TRACE = (
    "The line climbs to the optimum; marks are the ends of all starts. Many at the top and few elsewhere speak for it."
)
_CURVES = "Lower is better. A line is a shape of the covariances; the ring marks the best."


def _clusters_caption(view: View) -> str:
    outliers = f" Grey crosses are {view.outliers or 'outliers'}." if view.outliers else ""
    many = (
        f" {len(view.rows):,} rows are counted in bins: the stronger the colour, the more."
        if len(view.rows) > MOST_MARKS
        else ""
    )
    d = view.fitted.n_features
    if d == 1:
        return (
            f"Bars are the rows, coloured lines the components, the dark line their sum.{outliers} Where two coloured "
            "lines are as high, a row may belong to either."
        )
    told = "Colours and marks are the most likely component of each row."
    if d > MOST_PAIRED and view.fitted.n_components > 1:
        told = f"The view in which components lie apart most: each axis mixes the {d} columns. {told}"
    elif d > 2:
        told = f"Every pair of columns, and each column by itself on the diagonal. {told}"
    return f"{told}{outliers} Ellipses hold 50 % (line) and 95 % (dashes) of a component.{many}"


def _clusters_text(view: View) -> str:
    k, names = view.fitted.n_components, [shortened(name, _NAME) for name in view.full_names]
    kind = "A histogram with densities" if len(names) == 1 else "A scatter plot of the rows"
    shown = listed(names[:MOST_PAIRED]) if len(names) <= MOST_PAIRED else f"{len(names)} columns, projected"
    return f"{kind} on {shown}, by component. {_places(view) if k <= _EACH else f'There are {k} components.'}"


def _places(view: View) -> str:
    """Where the components lie, in their first columns."""
    means, shown = view.fitted.params["means"], range(min(3, view.fitted.n_features))
    digits = [decimals_for(float(view.spreads[:, j].min())) for j in shown]
    told = []
    for component, mean in enumerate(means):
        at = listed([f"{shortened(view.full_names[j], _NAME)} {fixed(float(mean[j]), digits[j])}" for j in shown])
        told.append(f"Component {component} is about {at}")
    return ". ".join(told) + "."


def _density_text(view: View) -> str:
    return f"The density of the mixture. {_places(view) if view.fitted.n_components <= _EACH else ''}".strip()


def _projection_text(view: View) -> str:
    shadow = view.projected()
    told = ""
    if view.fitted.n_components <= _EACH:
        at = [f"component {k} at {', '.join(f'{x:.2g}' for x in mean)}" for k, mean in enumerate(shadow.means)]
        told = f": {listed(at)}"
    return f"A scatter plot of the rows in the directions in which components differ most{told}."


def _profiles_text(view: View) -> str:
    return (
        f"A panel for each of {view.fitted.n_components} components: its means in standard deviations of all rows from "
        "their mean. The sentences above and the table below say the same."
    )
