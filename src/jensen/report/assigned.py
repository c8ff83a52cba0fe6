"""Pictures of one fit's classification and of its run: responsibilities as a strip, the objective's trace."""

from __future__ import annotations

from typing import Any

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.status import Status
from jensen.fit.result import MixtureFit
from jensen.fit.search.account import SAME_OPTIMUM
from jensen.report.drawing import COLOURS, DARK, GREY, MOST_MARKS, axes, note, sequential
from jensen.report.view import View

# Columns of the strip, and steps of the largest responsibility by which many rows are sorted.
_STRIP, _STEPS = 1_000, 500


def responsibilities(view: View, ax: Any = None) -> Any:
    """A strip for each component: the rows' responsibilities, sorted by component and the surest first.

    A row takes a width in proportion to its weight. Where there are more rows than the strip has columns, each column
    shows the mean over its rows; more than 20,000 rows are sorted in 500 steps of their largest responsibility. Rows
    that were trimmed stand with the component nearest to them.

    Parameters
    ----------
    view : View
        The mixture with its rows.
    ax : matplotlib Axes, default=None
        A new figure by default.

    Returns
    -------
    matplotlib Axes
    """
    k_all = len(view.fitted.params["weights"])
    ax = axes(ax, 7.0, float(np.clip(1.2 + 0.35 * k_all, 2.4, 8.0)))
    widths, values, best = _sorted_steps(view, k_all)
    ends = np.concatenate([[0.0], np.cumsum(widths)])
    edges = np.linspace(0.0, ends[-1], _STRIP + 1)
    if len(view.rows) > _STRIP or view.weight is not None:
        gathered = np.concatenate([np.zeros((1, k_all)), np.cumsum(widths[:, None] * values, axis=0)])
        strip = np.stack([np.diff(np.interp(edges, ends, column)) for column in gathered.T]) / np.diff(edges)
    else:
        strip = values.T
    drawn = ax.imshow(
        strip, cmap=sequential(), vmin=0.0, vmax=1.0, extent=(0.0, ends[-1], k_all - 0.5, -0.5), aspect="auto",
        interpolation="nearest",
    )  # fmt: skip
    for border in ends[1:-1][np.diff(best) != 0]:
        ax.axvline(border, color=DARK, linewidth=0.8 if k_all <= 12 else 0.4)
    for border in range(1, k_all):
        ax.axhline(border - 0.5, color="white", linewidth=0.8)
    names = [str(k) for k in range(view.fitted.n_components)] + ["noise"] * (view.fitted.box is not None)
    ax.set_yticks(range(k_all), names, fontsize=9 if k_all <= 20 else 6)
    ax.set_ylabel("component")
    ax.set_xlabel("rows, sorted" if view.weight is None else "weight of the rows, sorted")
    bar = ax.figure.colorbar(drawn, ax=ax, pad=0.02)
    bar.set_label("responsibility", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    if len(view.rows) > _STRIP:
        note(ax, f"{len(view.rows):,} rows, averaged in {_STRIP:,} columns")
    return ax


def _sorted_steps(view: View, k: int) -> tuple[Array, Array, AnyArray]:
    """Weights (m,), responsibilities (m, K) and components (m,) of rows, or of groups of like rows, in their order."""
    n = len(view.rows)
    weight = np.ones(n) if view.weight is None else view.weight
    if n <= MOST_MARKS:
        shares = view.fitted.responsibilities(view.rows)
        best = shares.argmax(axis=1)
        order = np.lexsort((-shares[np.arange(n), best], best))
        return weight[order], shares[order], best[order]
    counts, sums = np.zeros(k * _STEPS), np.zeros((k, k * _STEPS))
    for part in view.chunks():
        shares = view.fitted.responsibilities(view.rows[part])
        best = shares.argmax(axis=1)
        largest = np.take_along_axis(shares, best[:, None], axis=1)[:, 0]
        place = best * _STEPS + np.minimum(((1.0 - largest) * _STEPS).astype(np.intp), _STEPS - 1)
        counts += np.bincount(place, weight[part], minlength=counts.size)
        for component, column in enumerate(shares.T):
            sums[component] += np.bincount(place, weight[part] * column, minlength=counts.size)
    seen = counts > 0
    return counts[seen], (sums[:, seen] / counts[seen]).T, np.repeat(np.arange(k), _STEPS)[seen]


def trace(record: MixtureFit, ax: Any = None) -> Any:
    """The objective over the iterations of the best run, and where every start ended.

    Ends that were found on a sample are moved by their distance to the sample's best, times rows over sampled rows, so
    that they stand beside the trace. Ends far off leave the picture, and it says how many.

    Parameters
    ----------
    record : MixtureFit
        ``fit_result_`` of an estimator.
    ax : matplotlib Axes, default=None
        A new figure by default.

    Returns
    -------
    matplotlib Axes
    """
    ax = axes(ax, 6.8, 4.2)
    path, account = np.array(record.trace), record.account
    ax.plot(path, color=DARK, linewidth=1.4, label="best run", zorder=3)
    told, groups = list[str](), dict[str, list[tuple[int, float]]]()
    for start in record.starts:
        value = start.objective
        if account is not None and account.sampled:
            value = record.objective + (value - account.optima[0].objective) * record.weight / account.n_rows
        groups.setdefault(_fate(start, record), []).append((start.n_iter, value))
    if account is not None and account.sampled:
        told.append(f"ends of starts are of a sample of {account.n_rows:,} rows")
    ends = np.array([value for points in groups.values() for _, value in points if np.isfinite(value)])
    # The first step is often long, and some starts end anywhere: neither may flatten the rest.
    last = float(path[-1])
    first, second = float(path[0]), float(path[min(1, len(path) - 1)])
    low = min(max(first, last - 40.0 * (last - second)), last, float(np.quantile(ends, 0.1)) if len(ends) else last)
    top = min(max(last, float(ends.max(initial=last))), 2.0 * last - low + 1e-3 * abs(last))
    pad = 0.05 * (top - low) + 1e-9 * max(abs(top), 1.0)
    for name, (mark, shade, face) in _FATES.items():
        if name in groups:
            at, values = np.array(groups[name]).T
            ax.plot(
                at, values, mark, color=shade, markerfacecolor=shade if face else "none", markersize=5, linestyle="",
                alpha=0.8, label=f"{name} ({len(at)})", clip_on=True,
            )  # fmt: skip
    lost = sum(not low - pad <= value <= top + pad for points in groups.values() for _, value in points)
    told += [f"{lost} end{'s' * (lost != 1)} outside the picture"] if lost else []
    longest = max([len(path) - 1, *(at for points in groups.values() for at, _ in points)])
    if longest > 20 * max(len(path) - 1, 10):
        ax.set_xscale("symlog", linthresh=10)
        ax.set_xlim(-0.5, 1.5 * longest)
    else:
        ax.set_xlim(-0.02 * max(longest, 1), 1.05 * max(longest, 1))
    ax.set_ylim(low - pad, top + pad)
    ax.set_xlabel("iteration")
    ax.set_ylabel("objective (penalised log-likelihood)")
    ax.legend(title="ends of starts" if groups else None, fontsize=8, title_fontsize=8, framealpha=0.8, loc="best")
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.grid(alpha=0.3, linewidth=0.5)
    note(ax, *told)
    return ax


# What became of a start: marker, colour, whether it is filled.
_FATES = {
    "at the optimum": ("o", COLOURS[0], True),
    "elsewhere": ("D", COLOURS[1], False),
    "degenerate or narrow": ("^", COLOURS[3], False),
    "dropped early": ("v", GREY, False),
}


def _fate(start: Any, record: MixtureFit) -> str:
    """Which of `_FATES` a start met."""
    if start.status is Status.DROPPED:
        return "dropped early"
    same = start.optimum == 0 or (start.optimum is None and abs(start.objective - record.objective) < SAME_OPTIMUM)
    if same:
        return "at the optimum"
    return "elsewhere" if start.is_sound and start.price == 0.0 else "degenerate or narrow"
