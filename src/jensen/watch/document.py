"""What a page is told of a recording: plain JSON, with long arrays of numbers packed."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

from jensen.core.block import AnyArray, Array, Block
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.families.shapes.table import covariance_shape
from jensen.fit.search.account import SAME_OPTIMUM
from jensen.numerics.logspace import normalise_logs
from jensen.watch.record import Frame, RecordedRun
from jensen.watch.recording import Comparison, Recording

_LETTERS = {"start": "s", "E": "E", "M": "M", "leap": "L", "refused": "R"}
_METHODS = {"squarem": "SQUAREM", "anderson": "Anderson", "quasi-newton": "quasi-Newton"}
# Bins of the histogram of one column.
_FEWEST_BINS, _MOST_BINS = 8, 60
# Interquartile ranges from the median beyond which a row is left outside a picture.
_FAR = 20.0
# Steps that somebody may like to watch one by one.
_PATIENCE = 100


def document(recording: Recording) -> dict[str, Any]:
    """The whole recording.

    Returns
    -------
    dict
        JSON values; every array is in base64 of a zlib stream of little-endian numbers, ``f8`` for places and
        covariances, ``f4`` for sizes, ``u1`` for responsibilities in percent.
    """
    axes, drawn, source = recording.axes, recording.drawn, recording.source
    weight, n_counting = source.row_weight, source.n_counting
    notes = list(recording.notes)
    if len(drawn) < n_counting:
        notes.append(f"{len(drawn):,} of {n_counting:,} rows are drawn, at random; EM runs on all of them.")
    notes += [f"Column {name!r} takes no part: {reason}." for name, reason in recording.table.set_aside]
    if any(name.startswith("direction") for name in axes.names[-1:]) and recording.table.n_features > 2:
        notes.append("Directions are those in which the components at the end of the best run differ most.")
    places = axes.points(source.x[drawn])
    ranges = [_range(column) for column in places.T]
    low, high = np.array(ranges).T
    outside = int(((places < low) | (places > high)).any(axis=1).sum())
    if outside:
        lie = "row lies" if outside == 1 else "rows lie"
        notes.append(f"{outside:,} {lie} so far from all others that some axis leaves them outside the picture.")
    flat = recording.table.n_features == 1
    kind = covariance_shape(recording.settings.covariance_type, recording.table.n_features)
    return {
        "name": recording.name,
        "nRows": source.n_rows,
        "nColumns": recording.table.n_features,
        "nDrawn": len(drawn),
        "nComponents": recording.model.n_components,
        "shape": kind.label if kind.label == kind.name or flat else f"{kind.label} ({kind.name})",
        "method": _METHODS[recording.method],
        "axes": [
            {"name": name, "low": first, "high": last} for name, (first, last) in zip(axes.names, ranges, strict=True)
        ],
        "shown": list(axes.shown),
        "rows": packed(places, "<f8"),
        "sizes": None if weight is None else packed(np.sqrt(weight[drawn] / weight[drawn].mean()), "<f4"),
        "bins": _bins(source, axes.points(source.x)[:, 0], ranges[0]) if len(axes.names) == 1 else None,
        "notes": notes,
        "starts": [told(recording, one) for one in recording.comparisons],
        "first": _most_to_see(recording),
    }


def told(recording: Recording, one: Comparison) -> dict[str, Any]:
    """One start with both of its runs."""
    rows = ArraySource(recording.source.x[recording.drawn])
    return {
        "number": one.number,
        "kind": one.kind,
        "runs": [
            {**_run(recording, run, rows), "faults": list(faults)}
            for run, faults in zip((one.plain, one.accelerated), one.faults, strict=True)
        ],
    }


def packed(array: AnyArray, dtype: str) -> str:
    """An array as base64 of a zlib stream."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(array, dtype=dtype).tobytes(), 6)).decode("ascii")


def posterior(recording: Recording, params: Parameters, rows: ArraySource) -> Array:
    """Responsibilities (n, K) of the E-step, whose density has the ridge's penalty."""

    def block_pass(params: Parameters, block: Block) -> Array:
        joint = recording.model.log_joint(params, block)
        normalise_logs(joint)
        return np.ascontiguousarray(joint.T)

    return rows.collect(block_pass, params)


def _run(recording: Recording, run: RecordedRun, rows: ArraySource) -> dict[str, Any]:
    """One run: its frames by column, and what they show by number; those whose responsibilities are wanted in front."""
    frames, axes = run.frames, recording.axes
    sharing = {id(frame.shares): frame.shares for frame in frames if frame.shares is not None}
    every = sharing | {id(frame.params): frame.params for frame in frames}
    number = {key: index for index, key in enumerate(every)}
    records = list(every.values())
    exact = [posterior(recording, params, rows) for params in sharing.values()]
    labels = [shares.argmax(axis=1) for shares in exact]
    at = [_number_of(frame, number) for frame in frames]
    ended = run.run
    return {
        "kinds": "".join(_LETTERS[frame.kind] for frame in frames),
        "iteration": [frame.iteration for frame in frames],
        "passes": [frame.passes for frame in frames],
        "bound": [frame.free_energy for frame in frames],
        "loglik": [frame.loglik for frame in frames],
        "at": [number[id(frame.params)] for frame in frames],
        "shares": at,
        "changed": [
            0 if before < 0 else int((labels[before] != labels[here]).sum())
            for before, here in zip([-1, *at], at, strict=False)
        ],
        "weights": packed(np.stack([params["weights"] for params in records]), "<f8"),
        "means": packed(np.stack([axes.points(params["means"]) for params in records]), "<f8"),
        "covariances": packed(np.stack([axes.spreads(recording.covariances(params)) for params in records]), "<f8"),
        "responsibilities": packed(np.rint(100.0 * np.stack(exact)), "<u1"),
        "objective": ended.objective,
        "nIter": ended.n_iter,
        "nPasses": int(ended.passes),
        "tried": ended.extrapolations[0],
        "accepted": ended.extrapolations[1],
        "converged": ended.status.is_converged,
        "ended": ended.status.message,
    }


def _number_of(frame: Frame, number: dict[int, int]) -> int:
    return -1 if frame.shares is None else number[id(frame.shares)]


def _most_to_see(recording: Recording) -> int:
    """Of the starts that end at the best sound optimum, the one with the longest way that nobody is tired by."""
    top = recording.best.plain.run.objective
    agreeing = [
        one for one in recording.comparisons if abs(one.plain.run.objective - top) < SAME_OPTIMUM and not one.faults[0]
    ]
    steps = {one.number: one.plain.run.n_iter for one in agreeing or [recording.best]}
    short = {number: n_iter for number, n_iter in steps.items() if n_iter <= _PATIENCE}
    return max(short, key=short.__getitem__) if short else min(steps, key=steps.__getitem__)


def _range(values: Array) -> tuple[float, float]:
    """From the least to the largest, but for values that would make all others a dot."""
    first, middle, last = np.quantile(values, [0.25, 0.5, 0.75])
    reach = _FAR * (last - first)
    near = values[np.abs(values - middle) <= reach] if reach > 0 else values
    return float(near.min()), float(near.max())


def _bins(source: ArraySource, values: Array, within: tuple[float, float]) -> dict[str, list[float]]:
    """A histogram of the only axis, as a density; all rows count, with their weights."""
    weight = source.row_weights
    counting = values[(weight > 0) & (values >= within[0]) & (values <= within[1])]
    n_bins = 1
    if within[1] > within[0]:
        n_bins = int(np.clip(len(np.histogram_bin_edges(counting, bins="fd")) - 1, _FEWEST_BINS, _MOST_BINS))
    edges = np.histogram_bin_edges(counting, n_bins)
    heights = np.histogram(values, edges, weights=weight)[0] / (weight.sum() * np.diff(edges))
    return {"edges": edges.tolist(), "heights": heights.tolist()}
