"""Charts of one line, of block characters or plain ones: histograms and traces for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.fit.result import MixtureFit

BLOCKS, PLAIN = " ▁▂▃▄▅▆▇█", " .:-=+*#@"
# Rows that charts look at: of more, an even share of them.
_ROWS, _AT_ONCE = 200_000, 65_536
_BINS, _COLUMNS, _SURE = 32, 6, 0.9


def bars(heights: Any, levels: str = BLOCKS) -> str:
    """A character for each height, the largest the highest; what is above 0 shows, and 0 is blank.

    Parameters
    ----------
    heights : array-like of shape (n,)
        At least 0.
    levels : str, default=BLOCKS
        Characters from nothing to full.
    """
    tall = np.asarray(heights, dtype=np.float64)
    top = tall.max(initial=0.0)
    if not top > 0.0:
        return levels[0] * len(tall)
    steps = np.ceil(tall / top * (len(levels) - 1)).astype(int)
    return "".join(levels[step] for step in steps)


def trace(values: Sequence[float], n: int = _BINS, levels: str = BLOCKS) -> str:
    """A series as at most `n` characters, from its lowest value to its highest; of a long one, evenly spaced points."""
    series = np.asarray(values, dtype=np.float64)
    if len(series) > n:
        series = series[np.linspace(0, len(series) - 1, n).round().astype(int)]
    low, high = series.min(), series.max()
    share = (series - low) / (high - low) if high > low else np.ones(len(series))
    return "".join(levels[1 + int(round(one * (len(levels) - 2)))] for one in share)


def glances(fit: MixtureFit, x: AnyArray, weight: Array | None, names: Sequence[str]) -> dict[str, Any]:
    """What charts of a fit show, as JSON values.

    Parameters
    ----------
    fit : MixtureFit
        The fit.
    x : ndarray of shape (n, d)
        Its rows.
    weight : ndarray of shape (n,) or None
        Their weights.
    names : sequence of d str
        Of the columns.

    Returns
    -------
    dict
        ``trace``, the objective at the start and after every step; ``certainty``, a histogram of the largest
        responsibility of each row, with the share ``sure`` of those of 0.9 and more, or None with a single component;
        ``columns``, histograms of the first six; ``step``, every how many rows were looked at. A histogram has ``low``,
        ``high`` and ``heights``, sums of weights in bins of equal width.
    """
    if weight is None:
        step = -(-len(x) // _ROWS)
        rows, counts = x[::step], np.ones(-(-len(x) // step))
    else:
        at = np.flatnonzero(weight)
        step = -(-len(at) // _ROWS)
        rows, counts = x[at[::step]], np.asarray(weight, dtype=np.float64)[at[::step]]
    found = [{"name": name, **_histogram(rows[:, j], counts)} for j, name in enumerate(names[:_COLUMNS])]
    certainty, n_kinds = None, fit.params["weights"].size
    if n_kinds > 1:
        parts = [rows[first : first + _AT_ONCE] for first in range(0, len(rows), _AT_ONCE)]
        largest = np.concatenate([fit.fitted.responsibilities(part).max(axis=1) for part in parts])
        sure = float(counts[largest >= _SURE].sum() / counts.sum())
        certainty = {**_histogram(largest, counts, (1.0 / n_kinds, 1.0)), "sure": sure}
    return {"trace": list(fit.trace), "certainty": certainty, "columns": found, "step": step}


def _histogram(values: Any, counts: Array, ends: tuple[float, float] | None = None) -> Mapping[str, Any]:
    low, high = ends or (float(values.min()), float(values.max()))
    # Of values that do not vary, NumPy makes a bin of width 1 about them.
    heights, _ = np.histogram(np.clip(values, low, high), bins=_BINS, range=(low, high), weights=counts)
    return {"low": low, "high": high, "heights": heights.tolist()}
