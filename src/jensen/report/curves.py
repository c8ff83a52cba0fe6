"""A criterion over the number of components, a line for each shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from jensen.families.shapes.table import covariance_shape
from jensen.fit.selection.table import CRITERION_NAMES, Selection
from jensen.report.drawing import COLOURS, MARKERS, axes


def criterion_curves(selection: Selection, ax: Any = None) -> Any:
    """Draw the criterion of every sound cell; the best is marked, and lines that end far above it leave the picture.

    Parameters
    ----------
    selection : Selection
        What was compared.
    ax : matplotlib Axes, default=None
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        If matplotlib is not installed.
    """
    ax = axes(ax, 7.0, 4.2)
    lines: dict[str, list[tuple[int, float]]] = {}
    for cell in selection.cells:
        value = cell.value(selection.criterion)
        if cell.is_sound and np.isfinite(value):
            lines.setdefault(cell.name.split(",")[0], []).append((cell.n_components, value))
    # The best shapes come first in the legend, and get the colours that differ most.
    ordered = sorted(lines.items(), key=lambda line: min(value for _, value in line[1]))
    for number, (name, points) in enumerate(ordered):
        kind = covariance_shape(name)
        counts, values = zip(*sorted(points), strict=True)
        style = "-" if kind.orientation == "V" else "--" if kind.orientation == "E" else ":"
        ax.plot(
            counts, values, style, color=COLOURS[number % len(COLOURS)], marker=MARKERS[number // len(COLOURS)],
            markersize=3.5, linewidth=1.2, label=name,
        )  # fmt: skip
    ranked = selection.ranked()
    if ranked:
        best = ranked[0]
        least = best.value(selection.criterion)
        ax.plot(
            best.n_components, least, "o", markersize=11, markerfacecolor="none", markeredgecolor="black",
            label=f"best: {best.name}",
        )  # fmt: skip
        finite = np.array([value for points in lines.values() for _, value in points])
        high = min(float(finite.max()), least + 4.0 * float(np.median(finite) - least) + 10.0)
        ax.set_ylim(least - 0.06 * (high - least), high)
    ticks = sorted({cell.n_components for cell in selection.cells})
    ax.set_xticks(ticks)
    ax.set_xlabel("number of components")
    ax.set_ylabel(f"{CRITERION_NAMES[selection.criterion]} (smaller is better)")
    ax.legend(ncols=1 if len(lines) < 8 else 2, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    ax.grid(alpha=0.3, linewidth=0.5)
    return ax
