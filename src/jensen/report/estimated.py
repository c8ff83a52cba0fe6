"""Pictures of what was estimated: each component's profile against the whole, and means and weights with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.errors import InputError
from jensen.infer.standard_errors import ConfidenceIntervals
from jensen.report.drawing import DARK, GREY, axes, colour, marker, note, panels
from jensen.report.view import View

# Columns that a profile shows, and panels of estimates: those in which components differ most.
_PROFILE, _FOREST = 30, 11


def intervals_of(view: View, level: float) -> ConfidenceIntervals:
    """Wald intervals of the parameters, as ``GaussianMixture.confint`` has them."""
    return view.errors.confint(level)


def profiles(view: View, columns: list[int], level: float, ax: Any = None) -> Any:
    """A panel for each component: its means in standard deviations of the whole about the mean of the whole.

    The point is (mean_k - mean) / sd of the mixture in a column, with a confidence interval for the component's mean;
    the pale bar reaches one standard deviation of the component to both sides. Grey points are the other components.

    Parameters
    ----------
    view : View
        The mixture with its rows.
    columns : list of int
        Which columns.
    level : float
        Coverage of the intervals.
    ax : matplotlib Axes, default=None
        A new figure by default.

    Returns
    -------
    matplotlib Axes
        It holds the panels in ``child_axes``.
    """
    k = view.fitted.n_components
    means, spreads = view.fitted.params["means"], view.spreads
    shares = view.weights / view.weights.sum()
    centre = shares @ means
    scale = np.sqrt(shares @ (spreads**2 + (means - centre) ** 2))
    scale = np.where(scale > 0, scale, 1.0)
    shown, told = _most_telling((means - centre) / scale, shares, columns, _PROFILE)
    try:
        found = intervals_of(view, level)
        means, low, high = found.errors.params["means"], found.lower["means"], found.upper["means"]
        told.append(f"{100 * level:g} % intervals")
    except InputError:
        low = high = np.full_like(means, np.nan)
        why = "rows were trimmed" if view.outliers == "trimmed" else "not asked for" if view.unasked else ""
        told.append(f"no intervals: {why or 'too many parameters'}")
    across = int(np.ceil(np.sqrt(k))) if k > 4 else k
    down = -(-k // across)
    ax = axes(ax, float(np.clip(1.6 + 1.7 * across, 4.0, 12.0)), max(2.6, down * max(1.1, 0.5 + 0.2 * len(shown))))
    place = panels(ax, down, across, gap=(0.03, 0.35 / (down * max(1.1, 0.5 + 0.2 * len(shown)))))
    z = ((means - centre) / scale)[:, shown]
    ends = [((end - centre) / scale)[:, shown] for end in (low, high)]
    half = (spreads / scale)[:, shown]
    reach = 1.08 * float(np.nanmax(np.abs(np.stack([z - half, z + half, *ends]))))
    y = np.arange(len(shown))
    for component in range(down * across):
        panel = place[component // across, component % across]
        if component >= k:
            panel.set_axis_off()
            continue
        panel.axvline(0.0, color=DARK, linewidth=0.7)
        panel.hlines(y, z[component] - half[component], z[component] + half[component], color=colour(component),
                     alpha=0.2, linewidth=5)  # fmt: skip
        others = np.delete(z, component, axis=0)
        panel.plot(others.ravel(), np.tile(y, len(others)), "|", color=GREY, alpha=0.6, markersize=5)
        panel.hlines(y, ends[0][component], ends[1][component], color=colour(component), linewidth=1.6)
        panel.plot(z[component], y, marker(component), color=colour(component), markersize=4)
        panel.set_title(
            f"{component}  ({100 * view.weights[component]:.3g} %)", fontsize=8, color=colour(component), pad=3
        )
        panel.set_xlim(-reach, reach)
        panel.set_ylim(len(shown) - 0.5, -0.5)
        panel.set_yticks(y, [view.names[j] for j in shown] if component % across == 0 else [""] * len(y))
        if component + across < k:
            panel.set_xticklabels([])
    place[-1, 0].set_xlabel("standard deviations of the whole, from its mean", fontsize=8, loc="left")
    note(ax, *told, above=20.0)
    return ax


def estimates(view: View, columns: list[int], level: float, ax: Any = None) -> Any:
    """Weights, and means by column in its own units, with confidence intervals: a forest plot.

    Estimates belong to the maximum of the plain likelihood next to the fit's parameters, as the intervals do. A hollow
    mark has none: its standard error is refused. The dotted line is the mean of the whole.

    Parameters
    ----------
    view, columns, level, ax
        As in `profiles`.

    Returns
    -------
    matplotlib Axes
        It holds the panels in ``child_axes``.

    Raises
    ------
    InputError
        If there are no intervals: rows were trimmed, or there are more than 2,000 free parameters.
    """
    found = intervals_of(view, level)
    params, k = found.errors.params, view.fitted.n_components
    means, weights = params["means"], params["weights"]
    shares = weights[:k] / weights[:k].sum()
    centre = shares @ means
    scale = np.sqrt(shares @ (np.diagonal(view.covariances, axis1=1, axis2=2) + (means - centre) ** 2))
    shown, told = _most_telling((means - centre) / np.where(scale > 0, scale, 1.0), shares, columns, _FOREST)
    cells: list[tuple[str, Array, Array, Array, float | None]] = []
    if len(weights) > 1:
        cells.append(("weight", weights, found.lower["weights"], found.upper["weights"], None))
    for j in shown:
        cells.append((view.names[j], means[:, j], found.lower["means"][:, j], found.upper["means"][:, j], centre[j]))
    down = -(-len(cells) // 5)
    across = -(-len(cells) // down)
    tall = max(1.3, 0.6 + 0.2 * len(weights))
    ax = axes(ax, 1.2 + 1.75 * across, max(2.4, down * tall))
    place = panels(ax, down, across, gap=(0.05, 0.55 / max(2.4, down * tall)))
    names = [str(component) for component in range(k)] + ["noise"] * (len(weights) - k)
    for cell in range(down * across):
        panel = place[cell // across, cell % across]
        if cell >= len(cells):
            panel.set_axis_off()
            continue
        name, values, low, high, whole = cells[cell]
        if whole is not None:
            panel.axvline(whole, color=GREY, linewidth=0.8, linestyle=":")
        for component, value in enumerate(values):
            label = component if component < k else -1
            known = bool(np.isfinite(low[component] + high[component]))
            if known:
                panel.plot([low[component], high[component]], [component] * 2, color=colour(label), linewidth=1.6)
            panel.plot(
                value, component, "o" if label < 0 else marker(label), color=colour(label), markersize=4.5,
                markerfacecolor=colour(label) if known else "white",
            )  # fmt: skip
        panel.set_title(name, fontsize=9, pad=3)
        panel.set_ylim(len(weights) - 0.5, -0.5)
        panel.set_yticks(range(len(names)), names if cell % across == 0 else [""] * len(names))
        panel.tick_params(labelsize=8 if k <= 20 else 6)
        panel.locator_params(axis="x", nbins=4)
        panel.margins(x=0.1)
        panel.grid(axis="x", alpha=0.3, linewidth=0.5)
        if cell % across == 0:
            panel.set_ylabel("component", fontsize=8)
    refused = "hollow: no interval" if not np.isfinite(found.lower["means"][:, shown]).all() else ""
    note(ax, f"{100 * level:g} % intervals", refused, *told, above=20.0)
    return ax


def _most_telling(z: Array, shares: Array, columns: list[int], most: int) -> tuple[list[int], list[str]]:
    """The columns where standardised means (K, d) differ most, in their order, and what is to be said of the others."""
    if len(columns) <= most:
        return columns, []
    between: AnyArray = shares @ z**2
    best = sorted(columns, key=lambda j: -float(between[j]))[:most]
    return [j for j in columns if j in best], [f"the {most} of {len(columns)} columns where means differ most"]
