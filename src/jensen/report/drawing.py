"""What all pictures share: matplotlib when it is wanted, colours, panels, names that fit, notes in the corner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.errors import InputError
from jensen.report.words import distinct

# Okabe & Ito's colours, which colour-blind readers can tell apart; markers and dashes tell them apart in print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^v<>"
# Of rows that belong to no component, and of what is told in passing.
GREY, DARK = "#8C8C8C", "#333333"
# Beyond this many rows a picture shows counts in bins, not a mark for each row.
MOST_MARKS = 20_000
# Beyond this many components a legend is longer than the picture.
_LEGEND = 12
_NAME = 18
# Inches of a picture of one panel at most, and by how much it is smaller in a page.
_ONE_PANEL, _IN_PAGES = 7.0, 0.85


def pyplot() -> Any:
    """Import ``matplotlib.pyplot``, or raise an InputError that says how to install it."""
    try:
        from matplotlib import pyplot
    except ImportError:
        raise InputError("plots need matplotlib: install it with pip install 'jensen[plot]'") from None
    return pyplot


class Sheet:
    """Stands for axes where a picture is to have a figure of its own size that no window knows of.

    Pictures of one panel are drawn smaller than in a window, which makes their texts larger where pages are narrow.

    Attributes
    ----------
    figure : matplotlib Figure
        There once something was drawn.
    """

    figure: Any = None

    def axes(self, width: float, height: float) -> Any:
        """The axes of a new figure of a size in inches."""
        from matplotlib.figure import Figure

        size = _IN_PAGES if width <= _ONE_PANEL else 1.0
        self.figure = Figure(figsize=(size * width, size * height), layout="constrained")
        return self.figure.subplots()


def axes(ax: Any, width: float = 6.0, height: float = 4.2) -> Any:
    """The axes to draw into: those of the user, of a sheet, or of a new figure of a size in inches."""
    plt = pyplot()
    if isinstance(ax, Sheet):
        return ax.axes(width, height)
    return plt.subplots(figsize=(width, height), layout="constrained")[1] if ax is None else ax


def panels(ax: Any, n_rows: int, n_columns: int, gap: tuple[float, float] = (0.06, 0.08)) -> AnyArray:
    """A grid of axes within one, which is left blank; shape (n_rows, n_columns), also in ``ax.child_axes``.

    Parameters
    ----------
    ax : matplotlib Axes
        Whose place is divided.
    n_rows, n_columns : int
        At least 1.
    gap : tuple of float
        Between columns and between rows, in shares of the whole.
    """
    ax.set_axis_off()
    across, down = gap
    width, height = (1.0 - across * (n_columns - 1)) / n_columns, (1.0 - down * (n_rows - 1)) / n_rows
    grid = np.empty((n_rows, n_columns), dtype=object)
    for i in range(n_rows):
        for j in range(n_columns):
            corner = (j * (width + across), 1.0 - height - i * (height + down))
            grid[i, j] = ax.inset_axes([*corner, width, height])
            grid[i, j].tick_params(labelsize=8)
    return grid


def colour(component: int) -> str:
    """Of a component, which comes again after seven; grey for the label -1."""
    return GREY if component < 0 else COLOURS[component % len(COLOURS)]


def marker(component: int) -> str:
    """Of a component; with its colour it is one of 49 pairs. A cross for the label -1."""
    return "x" if component < 0 else MARKERS[(component + component // len(COLOURS)) % len(MARKERS)]


def short_names(names: Sequence[str], width: int = _NAME) -> tuple[str, ...]:
    """Names cut to a width, still different from one another, none of them read as mathematics.

    What is not for display, such as a control character or one that turns the direction of writing, is spelled out.
    """
    return tuple(name.replace("$", r"\$") for name in distinct([name.replace("\n", " ") for name in names], width))


def note(ax: Any, *parts: str, above: float = 6.0) -> None:
    """Say over the upper right corner what is not seen; empty parts say nothing. `above` is the gap in points."""
    told = [ax.get_title(loc="right"), *parts]
    ax.set_title("; ".join(part for part in told if part), loc="right", fontsize=8, color=DARK, pad=above)


def number_at(ax: Any, x: float, y: float, component: int, size: float = 9.0) -> None:
    """Write the number of a component at its place, legible on any ground."""
    from matplotlib import patheffects

    ax.text(
        x, y, str(component), ha="center", va="center", fontsize=size, fontweight="bold", color="black",
        path_effects=[patheffects.withStroke(linewidth=3.0, foreground="white")], clip_on=True, zorder=6,
    )  # fmt: skip


def legend(ax: Any, weights: Array, outliers: str = "", **place: Any) -> None:
    """Name the components with their weights in percent; where there are many, the numbers at the means must do.

    Parameters
    ----------
    ax : matplotlib Axes
    weights : ndarray of shape (K,)
        Of the components.
    outliers : str, default=""
        What rows of the label -1 are called; empty without any.
    **place : object
        Where the legend goes, as matplotlib takes it.
    """
    from matplotlib.lines import Line2D

    if len(weights) > _LEGEND:
        return
    shown = [(k, f"{k}  ({100 * weight:.3g} %)") for k, weight in enumerate(weights)]
    shown += [(-1, outliers)] if outliers else []
    marks = [
        Line2D([], [], linestyle="", marker=marker(k), color=colour(k), markersize=5, label=text) for k, text in shown
    ]
    place = place or {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
    ax.legend(handles=marks, title="component", fontsize=8, title_fontsize=8, frameon=False, **place)


def sequential() -> Any:
    """A colour map from near white to dark blue: its lightness alone orders it, in print as well."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("jensen", ["#F4F7FA", "#9CC3E0", "#3A82B8", "#08306B"])
