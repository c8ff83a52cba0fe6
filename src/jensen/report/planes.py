"""Pictures of a mixture on two directions: rows by component, contours of the density, doubts of the classification."""

from __future__ import annotations

from typing import Any

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.numerics.streams import stream
from jensen.report.drawing import (
    COLOURS,
    DARK,
    GREY,
    MOST_MARKS,
    axes,
    colour,
    legend,
    marker,
    note,
    number_at,
    sequential,
)
from jensen.report.view import Shadow, View

# Shares of a component within its ellipses, and of the mixture within the contours of its density.
ELLIPSES = (0.5, 0.95)
CONTOURS = (0.99, 0.9, 0.75, 0.5, 0.25)
_DRAWS, _GRID = 20_000, 220
# Rows that are put into bins at a time, so that their indices stay in the cache.
_CHUNK = 1 << 18


def clusters(view: View, shadow: Shadow, ax: Any = None, *, with_legend: bool = True, numbers: bool = True) -> Any:
    """Rows coloured by component, with each component's mean and ellipses of 50 and 95 % of it.

    An ellipse holds the rows x with (x - m)' S^-1 (x - m) at most -2 log(1 - p), the chi-squared quantile of two
    degrees of freedom. Many rows are counted in bins, of the components' mixed colours, darker by the logarithm of the
    count.

    Parameters
    ----------
    view : View
        The mixture.
    shadow : Shadow
        Its shadow on two directions.
    ax : matplotlib Axes, default=None
        A new figure by default.
    with_legend, numbers : bool, default=True
        Whether to name the components in a legend, and to number them at their means.

    Returns
    -------
    matplotlib Axes
    """
    limits = shadow.limits()
    ax = frame(shadow, axes(ax), limits)
    n, k = len(shadow.rows), len(shadow.weights)
    if n > MOST_MARKS:
        rgb = _rgb(range(k), grey_last=True)
        # The label -1 counts as number K.
        places = np.where(view.labels < 0, k, view.labels)
        counts = binned(shadow.rows, limits, view.weight, labels=places, n_labels=k + 1)
        image(ax, limits, _mixed(counts, rgb))
        note(ax, f"{n:,} rows in bins, shaded by log count")
    else:
        sizes = mark_sizes(n, view.weight)
        for component in range(-1, k):
            mine = view.labels == component
            if mine.any():
                shape = {"linewidths": 0} if component >= 0 else {"linewidths": 0.8}
                ax.scatter(
                    *shadow.rows[mine].T, s=sizes[mine], color=colour(component), marker=marker(component), alpha=0.6,
                    rasterized=n > 2_000, **shape,
                )  # fmt: skip
    tell_outside(ax, shadow, limits)
    ellipses(ax, shadow, DARK if n > MOST_MARKS else None)
    if numbers and k > 1:
        for component, mean in enumerate(shadow.means):
            number_at(ax, mean[0], mean[1], component, 10.0 if k <= 12 else 8.0)
    if with_legend and k > 1:
        legend(ax, shadow.weights, view.outliers if (view.labels < 0).any() else "")
    return ax


def density(view: View, shadow: Shadow, ax: Any = None) -> Any:
    """Contours of the density that bound the smallest regions holding 25 to 99 % of the mixture.

    The regions are those of highest density; the level of each is a quantile of the density at 20,000 draws from the
    mixture (Hyndman 1996, section 3.2), which needs no grid as fine as the narrowest component. Noise, which adds a
    constant, is left out.

    Parameters
    ----------
    view, shadow, ax
        As in `clusters`.
    """
    limits = shadow.limits(0.35)
    ax = frame(shadow, axes(ax), limits)
    draws, _ = shadow.gaussians.sample(_DRAWS, stream(0, "contours"))
    levels = np.unique(np.quantile(shadow.log_density(draws), [1.0 - share for share in CONTOURS]))
    across, up = (np.linspace(low, high, _GRID) for low, high in limits)
    grid = np.stack(np.meshgrid(across, up), axis=-1)
    values = shadow.log_density(grid.reshape(-1, 2)).reshape(_GRID, _GRID)
    shades = sequential()(np.linspace(0.12, 0.8, len(levels)))
    top = max(float(values.max()), float(levels[-1])) + 1.0
    ax.contourf(across, up, values, levels=[*levels, top], colors=shades, zorder=0)
    lines = ax.contour(across, up, values, levels=levels, colors=DARK, linewidths=0.7, linestyles="solid", zorder=3)
    told = {level: f"{100 * share:.0f} %" for level, share in zip(levels, CONTOURS, strict=False)}
    if len(shadow.weights) <= 12:
        ax.clabel(lines, fmt=told, fontsize=7)
    n = len(shadow.rows)
    if n > MOST_MARKS:
        counts = binned(shadow.rows, limits, view.weight)[0]
        image(ax, limits, _mixed(counts[None], np.array([[0.2, 0.2, 0.2]]), most=0.5))
        note(ax, f"{n:,} rows in bins, shaded by log count")
    elif n:
        ax.scatter(*shadow.rows.T, s=0.5 * mark_sizes(n, view.weight), color=DARK, alpha=0.45, linewidths=0)
    held = ", ".join(f"{100 * share:.0f}" for share in CONTOURS[::-1])
    note(ax, f"contours hold {held} % of the mixture", "without noise" if view.outliers == "noise" else "")
    tell_outside(ax, shadow, limits)
    return ax


def uncertainty(view: View, shadow: Shadow, ax: Any = None) -> Any:
    """Rows by how doubtful their component is, 1 - max_k r_ik: the larger and darker, the more doubtful.

    The darkest is 1 - 1/K, where all components are as likely. Many rows are averaged in bins. Outliers of a trimmed
    fit are grey crosses, since it says nothing of their component.

    Parameters
    ----------
    view, shadow, ax
        As in `clusters`.
    """
    limits, n = shadow.limits(), len(shadow.rows)
    ax = frame(shadow, axes(ax), limits)
    doubts, shades = view.doubts, sequential()
    most = max(1.0 - 1.0 / len(view.fitted.params["weights"]), 1e-12)
    weight = np.ones(n) if view.weight is None else view.weight
    if view.outliers == "trimmed":
        weight = np.where(view.labels < 0, 0.0, weight)
    if n > MOST_MARKS:
        counts, sums = binned(shadow.rows, limits, weight, values=doubts)
        mean = np.ma.masked_array(sums / np.where(counts > 0, counts, 1.0), counts == 0)
        drawn = ax.imshow(
            mean, cmap=shades, vmin=0.0, vmax=most, extent=limits.ravel(), origin="lower", aspect="auto",
            interpolation="nearest",
        )  # fmt: skip
        frame(shadow, ax, limits)
        note(ax, f"{n:,} rows, averaged in bins")
    else:
        kept = weight > 0
        # The doubtful ones come last, so that none hides beneath the others.
        order = np.flatnonzero(kept)[np.argsort(doubts[kept], kind="stable")]
        drawn = ax.scatter(
            *shadow.rows[order].T, s=mark_sizes(n, view.weight)[order] * (0.5 + 2.5 * doubts[order] / most),
            c=doubts[order], cmap=shades, vmin=0.0, vmax=most, edgecolors=GREY, linewidths=0.3, rasterized=n > 2_000,
        )  # fmt: skip
        if not kept.all():
            ax.scatter(*shadow.rows[~kept].T, s=12, color=GREY, marker="x", linewidths=0.8)
    bar = ax.figure.colorbar(drawn, ax=ax, shrink=0.8)
    bar.set_label("1 - largest responsibility", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    ellipses(ax, shadow)
    tell_outside(ax, shadow, limits)
    return ax


def frame(shadow: Shadow, ax: Any, limits: Array) -> Any:
    """Axes with limits (2, 2) and the names of a shadow."""
    ax.set_xlim(limits[0])
    ax.set_ylim(limits[1])
    ax.set_xlabel(shadow.names[0])
    ax.set_ylabel(shadow.names[1])
    return ax


def tell_outside(ax: Any, shadow: Shadow, limits: Array) -> None:
    """Note how many rows the limits leave out."""
    lost = shadow.outside(limits)
    note(ax, f"{lost:,} row{'s' * (lost != 1)} outside" if lost else "")


def mark_sizes(n: int, weight: Array | None) -> Array:
    """Areas of the marks of n rows in points squared, proportional to their weights (n,) within bounds."""
    area = float(np.clip(6_000.0 / max(n, 1), 5.0, 28.0))
    return np.full(n, area) if weight is None else area * np.clip(weight / weight.mean(), 0.1, 12.0)


def ellipses(ax: Any, shadow: Shadow, shade: str | None = None) -> None:
    """Add the ellipses of every component, in one colour or in each its own."""
    from matplotlib.patches import Ellipse

    values, vectors = np.linalg.eigh(shadow.covariances)
    for component, mean in enumerate(shadow.means):
        widths = 2.0 * np.sqrt(np.maximum(values[component], 0.0))
        angle = float(np.degrees(np.arctan2(vectors[component, 1, 0], vectors[component, 0, 0])))
        for share, style in zip(ELLIPSES, ("-", "--"), strict=True):
            radius = np.sqrt(-2.0 * np.log1p(-share))
            ax.add_patch(
                Ellipse(
                    tuple(mean),
                    *(radius * widths),
                    angle=angle,
                    fill=False,
                    edgecolor=shade or colour(component),
                    linestyle=style,
                    linewidth=1.2,
                    zorder=4,
                )  # fmt: skip
            )


def binned(
    rows: AnyArray,
    limits: Array,
    weight: Array | None = None,
    *,
    labels: AnyArray | None = None,
    n_labels: int = 1,
    values: Array | None = None,
) -> Array:
    """Weights of rows (n, 2) in bins for each label, shape (n_labels, m, m), the second coordinate first.

    With values (n,), their weighted sums follow as a further layer. Bins are as many as the rows bear, 64 to 256 a
    side; rows outside the limits (2, 2) are in none.
    """
    m = int(np.clip(round(len(rows) ** (1 / 3)), 64, 256))
    counts, sums = np.zeros(n_labels * m * m), np.zeros(m * m)
    for first in range(0, len(rows), _CHUNK):
        part = slice(first, first + _CHUNK)
        flat, each = np.zeros(len(rows[part]), dtype=np.intp), np.ones(len(rows[part]))
        # Column by column: loops over pairs of numbers are slow.
        for column, (low, high), stride in zip(rows[part].T, limits, (1, m), strict=True):
            at = (column - low) * (m / (high - low))
            inside = (at >= 0.0) & (at <= m)
            each *= inside
            # The upper edge belongs to the last bin.
            flat += stride * np.minimum(np.where(inside, at, 0.0).astype(np.intp), m - 1)
        if weight is not None:
            each *= weight[part]
        if values is not None:
            sums += np.bincount(flat, each * values[part], minlength=sums.size)
        if labels is not None:
            flat += labels[part] * (m * m)
        counts += np.bincount(flat, each, minlength=counts.size)
    layers = counts if values is None else np.concatenate([counts, sums])
    return layers.reshape(-1, m, m)


def image(ax: Any, limits: Array, rgba: Array) -> None:
    """Draw colours (m, m, 4) over the limits, which stay what they are."""
    ax.imshow(rgba, extent=limits.ravel(), origin="lower", aspect="auto", interpolation="nearest", zorder=1)
    ax.set_xlim(limits[0])
    ax.set_ylim(limits[1])


def _rgb(components: Any, grey_last: bool) -> Array:
    from matplotlib.colors import to_rgb

    return np.array([to_rgb(COLOURS[k % len(COLOURS)]) for k in components] + [to_rgb(GREY)] * grey_last)


def _mixed(counts: Array, rgb: Array, most: float = 1.0) -> Array:
    """Colours (m, m, 4): those of the labels (L, 3) mixed by their counts (L, m, m), opaque by the logarithm of all."""
    total = counts.sum(axis=0)
    shares = counts / np.where(total > 0, total, 1.0)
    # Against the smallest that is there, since weights may be tiny.
    least = float(total[total > 0].min(initial=np.inf))
    depth = np.log1p(total / least) if np.isfinite(least) else total
    opacity = np.where(total > 0, 0.12 + 0.88 * depth / max(float(depth.max()), 1e-300), 0.0)
    return np.concatenate([np.einsum("lij,lc->ijc", shares, rgb), most * opacity[..., None]], axis=2)
