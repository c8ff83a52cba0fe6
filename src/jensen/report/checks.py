"""A picture of how well a mixture fits: what would be uniform if the rows came from it, and their quantiles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import betaincinv, ndtr

from jensen.core.block import Array
from jensen.numerics.streams import stream
from jensen.report.drawing import COLOURS, DARK, axes, note, panels
from jensen.report.view import View

_POINTS = 500
# Numbers that are drawn from the mixture at most, and rows.
_DRAWN, _DRAWS = 20_000_000, 100_000
_LEVEL = 0.95
# Log-densities are told apart to one over this.
_TIES = 1e6
# The 95 % point of Kolmogorov's distribution: the largest distance, times the root of n, of large samples.
_KOLMOGOROV = 1.3581


@dataclass(frozen=True, eq=False)
class Calibration:
    """Rows under the model's own distribution of some value of a row.

    Attributes
    ----------
    values : ndarray of shape (n,)
        The value of each row, ascending.
    uniform : ndarray of shape (n,)
        The model's distribution function there.
    shares : ndarray of shape (n,)
        Weights of the rows, which sum to 1.
    points, levels : ndarray of shape (m,)
        The model's quantiles, and at which levels: ascending.
    n : float
        Rows, or the sum of their weights; fewer where the model's distribution was simulated, as the error of both
        together has it.
    name : str
        What the value is.
    """

    values: Array
    uniform: Array
    shares: Array
    points: Array
    levels: Array
    n: float
    name: str

    @cached_property
    def positions(self) -> Array:
        """The rows' own distribution function, in the middle of each step; shape (n,)."""
        return np.asarray(np.cumsum(self.shares) - 0.5 * self.shares)

    @property
    def distance(self) -> float:
        """Kolmogorov's distance between the rows' distribution function and the model's."""
        return float((np.abs(self.uniform - self.positions) + 0.5 * self.shares).max(initial=0.0))


def calibration(view: View) -> Calibration:
    """What the rows are to the model: of one column the values themselves, of more the log-density of each row.

    Of one column, u_i = F(x_i), the probability integral transform (Rosenblatt 1952). Of more columns, and of a trimmed
    fit, u_i = P(log f(Y) <= log f(x_i)) for Y from the mixture: one minus the coverage of the smallest region of
    highest density that reaches the row (Hyndman 1996), with P from draws of the mixture under a fixed seed. Both are
    uniform under the model, whatever its number of columns, overlap, shapes and noise. With one component, the second
    is the chi-squared distribution of Mahalanobis distances; with more it needs no assignment of rows to components,
    whose distances from the one they are assigned to are not chi-squared. A trimmed fit is compared above its
    threshold.
    """
    rows, weight = view.rows, view.weight
    if view.fitted.threshold is not None:
        kept = view.labels >= 0
        rows, weight = rows[kept], None if weight is None else weight[kept]
    total = float(len(rows) if weight is None else weight.sum())
    if view.fitted.n_features == 1 and view.fitted.threshold is None:
        points, levels = _distribution(view)
        values, n, name = rows[:, 0].astype(np.float64), total, view.names[0]
    else:
        m = int(np.clip(_DRAWN // view.fitted.n_features, 20_000, _DRAWS))
        draws, _ = view.fitted.sample(m, stream(0, "calibration"))
        points = np.sort(view.fitted.row_loglik(draws))
        if view.fitted.threshold is not None:
            points = points[points >= view.fitted.threshold]
        levels = (np.arange(len(points)) + 0.5) / len(points)
        values, name = view.fitted.row_loglik(rows), "log-density"
        n = 1.0 / (1.0 / total + 1.0 / len(points))
    if weight is None:
        values, shares = np.sort(values), np.full(len(values), 1.0 / total)
    else:
        order = np.argsort(values, kind="stable")
        values, shares = values[order], weight[order] / total
    if name == "log-density":
        uniform = _ranked(values, shares, points)
    else:
        uniform = np.interp(values, points, levels, left=0.0, right=1.0)
    return Calibration(values, uniform, shares, points, levels, n, name)


def _ranked(values: Array, shares: Array, points: Array) -> Array:
    """The distribution function of simulated points (m,) at ascending values (n,); ties share their interval evenly.

    The density of noise is one number, and would be a jump of its whole weight: rows that tie to a millionth are spread
    over it, as the mean over randomised transforms does (Czado, Gneiting & Held 2009).
    """
    mine, theirs = np.floor(values * _TIES), np.floor(points * _TIES)
    begins = np.flatnonzero(np.diff(mine, prepend=-np.inf))
    sizes = np.diff(np.append(begins, len(mine)))
    low, high = (np.searchsorted(theirs, mine[begins], side) / len(points) for side in ("left", "right"))
    below = np.cumsum(shares) - shares
    weights = np.add.reduceat(shares, begins) if len(begins) else shares
    inside = (below - np.repeat(below[begins], sizes) + 0.5 * shares) / np.repeat(weights, sizes)
    return np.asarray(np.repeat(low, sizes) + np.repeat(high - low, sizes) * inside)


def surprising(found: Calibration) -> float:
    """The distance that 5 % of samples of a known mixture exceed."""
    return float(_KOLMOGOROV / np.sqrt(found.n))


def fit(view: View, ax: Any = None, found: Calibration | None = None) -> Any:
    """Two panels: the histogram of u_i, flat if the rows come from the mixture, and quantiles against quantiles.

    See `calibration` for u_i. Bands hold 95 % of each bar and of each order statistic (a beta variable, David &
    Nagaraja 2003, section 2.1) of samples from the model. They are wide for a model that was estimated from the same
    rows, which fits them better than the truth does. Of one column, a hump in the middle tells of a density too wide,
    and high ends of one too narrow. Of more, a high left end tells of more rows far out than the model has, a high
    right end of fewer.

    Parameters
    ----------
    view : View
        The mixture with its rows.
    ax : matplotlib Axes, default=None
        A new figure by default.
    found : Calibration, optional
        The view's, where it is known already.

    Returns
    -------
    matplotlib Axes
        It holds the two panels in ``child_axes``.
    """
    found = found or calibration(view)
    ax = axes(ax, 8.4, 3.8)
    left, right = panels(ax, 1, 2, gap=(0.18, 0.0))[0]
    _bars(left, found, view)
    _quantiles(right, found)
    told = f"largest distance {found.distance:.2g}; beyond {surprising(found):.2g} in 5 % of samples of a known model"
    ax.set_title(told, loc="left", fontsize=8, color=DARK)
    return ax


def _bars(ax: Any, found: Calibration, view: View) -> None:
    """The histogram of u_i with the band of its bars."""
    bars = int(np.clip(found.n / 10.0, 5, 20 if found.n < 10_000 else 50))
    edges = np.linspace(0.0, 1.0, bars + 1)
    heights = bars * np.histogram(found.uniform, bars, (0.0, 1.0), weights=found.shares)[0]
    ax.stairs(heights, edges, fill=True, color=COLOURS[5], alpha=0.7)
    chance = 1.0 / bars
    half = 1.96 * bars * np.sqrt(chance * (1.0 - chance) / found.n)
    ax.axhline(1.0, color=DARK, linewidth=1.0)
    for end in (max(1.0 - half, 0.0), 1.0 + half):
        ax.axhline(end, color=DARK, linewidth=0.8, linestyle="--")
    ax.set_xlim(0.0, 1.0)
    ax.set_ylim(0.0, 1.15 * max(float(heights.max()), 1.0 + half))
    ax.set_xlabel("F(x) under the mixture" if found.name != "log-density" else "share of the mixture of lower density")
    ax.set_ylabel("density of the rows")


def _quantiles(ax: Any, found: Calibration) -> None:
    """Quantiles of the rows against those of the mixture, with the band of order statistics."""
    n_rows = len(found.values)
    at = np.unique(np.linspace(0, n_rows - 1, min(n_rows, _POINTS)).round().astype(np.intp))
    positions = found.positions[at]
    # Draws say nothing of quantiles beyond the outermost of them.
    at = at[(positions >= found.levels[0]) & (positions <= found.levels[-1])]
    positions = found.positions[at]
    expected = np.interp(positions, found.levels, found.points)
    # The order statistic of number i of n uniform ones is Beta(i, n + 1 - i).
    rank = np.clip(positions * found.n + 0.5, 1.0, max(found.n, 1.0))
    tail = 0.5 * (1.0 - _LEVEL)
    band = [
        np.interp(betaincinv(rank, found.n + 1.0 - rank, share), found.levels, found.points)
        for share in (tail, 1.0 - tail)
    ]
    ax.fill_between(expected, *band, color=DARK, alpha=0.12, linewidth=0)
    ax.plot(expected, expected, color=DARK, linewidth=1.0)
    ax.plot(expected, found.values[at], "o", color=COLOURS[0], markersize=3.0, markeredgewidth=0)
    ax.set_xlabel(f"{found.name}: quantiles of the mixture")
    ax.set_ylabel(f"{found.name}: rows")
    if n_rows > len(at):
        note(ax, f"{len(at)} of {n_rows:,} rows, evenly by rank")


def _distribution(view: View) -> tuple[Array, Array]:
    """Points (m,) and the distribution function of a mixture of one column there, both ascending."""
    shadow = view.on_columns([0])
    # Between points 0.02 standard deviations apart, a straight line is off by less than 2e-5.
    points = (shadow.means + shadow.spreads * np.linspace(-8.5, 8.5, 851)).ravel()
    box = view.fitted.box
    low, high = 0.0, 0.0
    if box is not None:
        low, high = sorted((float(box.corner[0]), float(box.corner[0] + box.edges[0, 0])))
        points = np.concatenate([points, np.linspace(low, high, 851)])
    points = np.unique(points)
    levels = np.zeros(len(points))
    for weight, mean, spread in zip(shadow.weights, shadow.means[:, 0], shadow.spreads[:, 0], strict=True):
        levels += weight * ndtr((points - mean) / spread)
    if box is not None:
        levels += (1.0 - shadow.weights.sum()) * np.clip((points - low) / (high - low), 0.0, 1.0)
    return points, levels
