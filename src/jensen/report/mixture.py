"""Pictures of a fitted mixture, by the kind of question that they answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

from jensen.core.block import AnyArray, Array
from jensen.errors import InputError
from jensen.fit.fitted import FittedMixture
from jensen.fit.result import MixtureFit
from jensen.report import assigned, checks, estimated, lines, planes
from jensen.report.drawing import MOST_MARKS, axes, legend, note, panels, pyplot
from jensen.report.view import Shadow, View

Kind = Literal[
    "clusters",
    "projection",
    "density",
    "uncertainty",
    "responsibilities",
    "fit",
    "profiles",
    "estimates",
    "trace",
]
# Pairs of more columns are too small to be read, and are projected.
MOST_PAIRED = 6
_BY_COLUMN = ("clusters", "density", "uncertainty", "profiles", "estimates")


def plot_mixture(
    fitted: FittedMixture,
    rows: AnyArray | None,
    weight: Array | None = None,
    *,
    kind: str = "clusters",
    ax: Any = None,
    columns: Sequence[int | str] | None = None,
    level: float = 0.95,
    record: MixtureFit | None = None,
) -> Any:
    """Draw a fitted mixture.

    Parameters
    ----------
    fitted : FittedMixture
        The mixture.
    rows : ndarray of shape (n, d) or None
        Its rows; ``"trace"`` and ``"density"`` can do without.
    weight : ndarray of shape (n,), optional
        Their weights.
    kind, ax, columns, level
        As in ``GaussianMixture.plot``.
    record : MixtureFit, optional
        How the fit went, for ``"trace"``.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        If matplotlib is missing, or an argument does not go with the kind of picture.
    """
    if kind not in get_args(Kind):
        raise InputError(f"kind must be one of {', '.join(map(repr, get_args(Kind)))}, got {kind!r}")
    pyplot()
    if kind == "trace":
        if record is None:
            raise InputError(
                "kind='trace' needs the record of a fit, which a model that was loaded or made from parameters lacks"
            )
        return assigned.trace(record, ax)
    if rows is None and kind != "density":
        raise InputError(f"kind={kind!r} needs X, the rows of the fit, which the estimator does not keep")
    if columns is not None and kind not in _BY_COLUMN:
        raise InputError(
            f"columns goes with kind {', '.join(map(repr, _BY_COLUMN))}; kind={kind!r} is about all columns"
        )
    return picture(View.of(fitted, rows, weight), kind, ax, columns=columns, level=level)


def picture(
    view: View, kind: str, ax: Any = None, *, columns: Sequence[int | str] | None = None, level: float = 0.95
) -> Any:
    """The picture of a kind, ``"trace"`` excepted, of a mixture with rows; arguments are those of `plot_mixture`.

    What several pictures need of the rows is found once where they share the view.
    """
    if kind == "responsibilities":
        return assigned.responsibilities(view, ax)
    if kind == "fit":
        return checks.fit(view, ax)
    chosen = view.chosen(columns)
    if kind in ("profiles", "estimates"):
        draw = estimated.profiles if kind == "profiles" else estimated.estimates
        return draw(view, chosen, level, ax)
    if len(chosen) > 2 and columns is not None and kind != "clusters":
        raise InputError(f"kind={kind!r} takes one or two columns, got {len(chosen)}; without any, it is projected")
    if kind == "clusters" and 3 <= len(chosen) <= MOST_PAIRED:
        return pairs(view, chosen, ax)
    if columns is not None and len(chosen) > MOST_PAIRED:
        raise InputError(f"columns takes {MOST_PAIRED} at most, got {len(chosen)}; without any, they are projected")
    project = kind == "projection" and view.fitted.n_features > 1 or len(chosen) > 2
    shadow = view.projected() if project else view.on_columns(chosen)
    return _on_shadow(view, shadow, kind, ax)


def _on_shadow(view: View, shadow: Shadow, kind: str, ax: Any) -> Any:
    """The picture of a kind on one direction or two."""
    one = len(shadow.names) == 1
    if kind == "density":
        if one:
            return lines.densities(view, shadow, ax, components=False, rug=False)
        return planes.density(view, shadow, ax)
    if kind == "uncertainty":
        return (lines if one else planes).uncertainty(view, shadow, ax)
    return lines.densities(view, shadow, ax) if one else planes.clusters(view, shadow, ax)


def pairs(view: View, columns: list[int], ax: Any = None) -> Any:
    """Clusters on every pair of some columns below the diagonal, and densities of each column on it.

    Parameters
    ----------
    view : View
        The mixture with its rows.
    columns : list of int
        Which columns, at least two.
    ax : matplotlib Axes, default=None
        A new figure by default.

    Returns
    -------
    matplotlib Axes
        It holds the panels in ``child_axes``.
    """
    m = len(columns)
    ax = axes(ax, 1.2 + 1.7 * m, 0.6 + 1.6 * m)
    place = panels(ax, m, m, gap=(0.03, 0.03))
    for i in range(m):
        for j in range(m):
            panel = place[i, j]
            if j > i:
                panel.set_axis_off()
                continue
            if i == j:
                lines.densities(view, view.on_columns([columns[i]]), panel, with_legend=False, rug=False)
            else:
                shadow = view.on_columns([columns[j], columns[i]])
                planes.clusters(view, shadow, panel, with_legend=False, numbers=False)
            panel.set_title("", loc="right")
            if i < m - 1:
                panel.set_xlabel("")
                panel.set_xticklabels([])
            if i == j:
                panel.set_yticks([])
            if i == j or j > 0:
                panel.set_ylabel("")
                panel.set_yticklabels([])
    place[0, 0].set_ylabel(view.names[columns[0]])
    if view.fitted.n_components > 1:
        outliers = view.outliers if (view.labels < 0).any() else ""
        legend(place[0, 1], view.weights, outliers, loc="upper left")
    if len(view.rows) > MOST_MARKS:
        note(ax, f"{len(view.rows):,} rows in bins, shaded by log count")
    return ax
