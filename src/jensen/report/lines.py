"""Pictures of a mixture on one direction: densities over a histogram, and how doubtful each place is."""

from __future__ import annotations

from typing import Any

import numpy as np

from jensen.core.block import Array
from jensen.report.drawing import COLOURS, DARK, GREY, MOST_MARKS, axes, colour, legend, marker, note
from jensen.report.planes import mark_sizes, tell_outside
from jensen.report.view import Shadow, View

# A rug of more rows is a solid bar.
_RUG = 2_000
_STYLES = ("--", "-.", ":")


def densities(
    view: View, shadow: Shadow, ax: Any = None, *, components: bool = True, with_legend: bool = True, rug: bool = True
) -> Any:
    """The density of each component times its weight, and their sum, over a histogram of the rows with a rug.

    The histogram's bins have 3.49 s n^(-1/3) (Scott 1979), s and n being those of a typical component: the weighted
    geometric mean of the standard deviations, and the rows a component has by the entropy of the weights. Noise is
    drawn in grey within its box, on the axis of a single column.

    Parameters
    ----------
    view : View
        The mixture.
    shadow : Shadow
        Its shadow on one direction.
    ax : matplotlib Axes, default=None
        A new figure by default.
    components, with_legend, rug : bool, default=True
        Whether to draw the densities of components besides their sum, their legend, and the rug.

    Returns
    -------
    matplotlib Axes
    """
    ax = axes(ax)
    limits, k = shadow.limits(0.35), len(shadow.weights)
    _histogram(ax, view, shadow, limits)
    x = grid(shadow, limits[0])
    parts = _parts(shadow, x)
    noise = _noise(view, shadow, x)
    if components and k > 1:
        for component, part in enumerate(parts):
            ax.plot(x, part, _STYLES[component // len(COLOURS) % 3], color=colour(component), linewidth=1.2)
            ax.fill_between(x, part, color=colour(component), alpha=0.15, linewidth=0)
    if noise is not None and components:
        ax.plot(x, noise, ":", color=GREY, linewidth=1.2)
    ax.plot(x, parts.sum(axis=0) + (0.0 if noise is None else noise), color=DARK, linewidth=1.6, label="mixture")
    if rug and 0 < len(shadow.rows) <= _RUG:
        across = ax.get_xaxis_transform()
        for component in range(-1, k):
            mine = shadow.rows[view.labels == component, 0]
            if len(mine):
                ax.vlines(mine, 0.0, 0.03, color=colour(component), linewidth=0.8, alpha=0.8, transform=across)
    ax.set_xlim(limits[0])
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel(shadow.names[0])
    ax.set_ylabel("density")
    tell_outside(ax, shadow, limits)
    if with_legend and components and k > 1:
        legend(ax, shadow.weights, view.outliers if (view.labels < 0).any() else "")
    return ax


def uncertainty(view: View, shadow: Shadow, ax: Any = None) -> Any:
    """One minus the largest responsibility along the column of a mixture of one, with the rows on the curve.

    Parameters
    ----------
    view, shadow, ax
        As in `densities`.
    """
    ax = axes(ax)
    limits, n, highest = shadow.limits(), len(shadow.rows), 0.0
    if view.fitted.n_features == 1:
        x = grid(shadow, limits[0])
        curve = 1.0 - view.fitted.responsibilities(x[:, None]).max(axis=1)
        ax.plot(x, curve, color=DARK, linewidth=1.0, zorder=1)
        highest = float(curve.max())
    doubts = view.doubts
    if n > MOST_MARKS:
        edges = np.linspace(limits[0, 0], limits[0, 1], 201)
        weight = np.ones(n) if view.weight is None else view.weight
        column = shadow.rows[:, 0]
        counts, sums = (np.histogram(column, 200, limits[0], weights=each)[0] for each in (weight, weight * doubts))
        seen = counts > 0
        centres = 0.5 * (edges[1:] + edges[:-1])
        ax.plot(centres[seen], sums[seen] / counts[seen], "o", color=COLOURS[0], markersize=2.5)
        note(ax, f"{n:,} rows, averaged in bins")
    else:
        sizes = mark_sizes(n, view.weight)
        for component in range(-1, len(shadow.weights)):
            mine = view.labels == component
            if mine.any():
                ax.scatter(
                    shadow.rows[mine, 0], doubts[mine], s=sizes[mine], color=colour(component),
                    marker=marker(component), alpha=0.7, linewidths=0.8 if component < 0 else 0,
                )  # fmt: skip
        if len(shadow.weights) > 1:
            legend(ax, shadow.weights, view.outliers if (view.labels < 0).any() else "")
    ax.set_xlim(limits[0])
    ax.set_ylim(-0.02, 1.1 * max(highest, float(doubts.max(initial=0.0)), 0.05))
    ax.set_xlabel(shadow.names[0])
    ax.set_ylabel("1 - largest responsibility")
    tell_outside(ax, shadow, limits)
    return ax


def grid(shadow: Shadow, limits: Array) -> Array:
    """Points (m,) along a direction: even ones, and some about every mean, so that no narrow component is missed."""
    about = shadow.means[:, 0, None] + shadow.spreads[:, 0, None] * np.linspace(-4.0, 4.0, 41)
    points = np.concatenate([np.linspace(limits[0], limits[1], 512), about.ravel()])
    return np.unique(points[(points >= limits[0]) & (points <= limits[1])])


def _parts(shadow: Shadow, x: Array) -> Array:
    """Densities of the components times their weights at points (m,), shape (K, m)."""
    scaled = (x - shadow.means) / shadow.spreads
    heights = shadow.weights[:, None] / (np.sqrt(2.0 * np.pi) * shadow.spreads)
    return np.asarray(heights * np.exp(-0.5 * scaled**2))


def _noise(view: View, shadow: Shadow, x: Array) -> Array | None:
    """The density of noise times its weight at points (m,); None where there is none, or the direction is no column."""
    box = view.fitted.box
    if box is None or view.fitted.n_features != 1:
        return None
    low, high = sorted((float(box.corner[0]), float(box.corner[0] + box.edges[0, 0])))
    weight = 1.0 - float(shadow.weights.sum())
    return np.asarray(np.where((x >= low) & (x <= high), weight * np.exp(-box.log_volume), 0.0))


def _histogram(ax: Any, view: View, shadow: Shadow, limits: Array) -> None:
    """Add a histogram of the rows as a density over all of them."""
    if len(shadow.rows) == 0:
        return
    low, high = limits[0]
    shares = shadow.weights / shadow.weights.sum()
    typical = float(np.exp(shares @ np.log(shadow.spreads[:, 0])))
    alike = float(np.exp(-np.sum(shares * np.log(np.maximum(shares, 1e-300)))))
    width = 3.49 * typical * (view.total / alike) ** (-1.0 / 3.0)
    bars = int(np.clip(np.ceil((high - low) / width), 8, 200))
    counts, edges = np.histogram(shadow.rows[:, 0], bars, (low, high), weights=view.weight)
    ax.stairs(counts / (view.total * np.diff(edges)), edges, fill=True, color="#DDDDDD", zorder=0)
