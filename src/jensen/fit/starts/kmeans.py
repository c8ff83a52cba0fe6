"""Weighted k-means on a bounded, standardised table of rows: k-means++ seeding and Lloyd's iterations."""

from __future__ import annotations

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.kernels.choose import native_kernels, native_lloyd, native_seeds
from jensen.numerics.order import draw_by_weight

_CHUNK = 1 << 19
MAX_ITERATIONS = 100
# Centres that move less than this, squared and in units of the columns' variances, are at rest.
_REST = 1e-4


def seed_rows(z: Array, weight: Array, n_centres: int, rng: np.random.Generator) -> AnyArray:
    """Positions (K,) of rows that seed K centres: greedy k-means++ (Arthur & Vassilvitskii 2007).

    Each centre is the best of 2 + log K candidates, drawn by weight times squared distance. When no row is left at a
    distance that floats can tell from 0, the rest are drawn by weight; when none is left at all, rows come again in
    turn.

    Parameters
    ----------
    z : ndarray of shape (m, d)
        Standardised rows.
    weight : ndarray of shape (m,)
        Positive weights.
    n_centres : int
        K.
    rng : numpy.random.Generator
        The stream to draw from.
    """
    (seeds,) = seed_rows_again(z, weight, n_centres, rng, 1)
    return np.asarray(seeds)


def seed_rows_again(z: Array, weight: Array, n_centres: int, rng: np.random.Generator, times: int) -> AnyArray:
    """The same so many times, shape (times, K)."""
    n_candidates = 2 + int(np.log(n_centres))
    drawn = rng.random((times, 1 + (n_centres - 1) * n_candidates))
    if native_kernels() is not None:
        return native_seeds(z, weight, n_candidates, drawn, n_centres)
    return np.array([_seeds(z, weight, one[0], one[1:].reshape(-1, n_candidates)) for one in drawn])


def _seeds(z: Array, weight: Array, first: float, uniforms: Array) -> list[int]:
    norms = np.einsum("ij,ij->i", z, z)
    chosen = [int(draw_by_weight(weight, np.array([first]))[0])]
    nearest = squared_distances(z, z[chosen], norms)[:, 0]
    for drawn in uniforms:
        potential = weight * nearest
        if not potential.any():
            left = weight.copy()
            left[chosen] = 0.0
            again = chosen[len(chosen) % len(z)] if not left.any() else int(draw_by_weight(left, drawn[:1])[0])
            chosen.append(again)
            continue
        candidates = draw_by_weight(potential, drawn)
        reduced = np.minimum(squared_distances(z, z[candidates], norms), nearest[:, None])
        best = int(np.argmin(weight @ reduced))
        chosen.append(int(candidates[best]))
        nearest = reduced[:, best]
        nearest[chosen[-1]] = 0.0
    return chosen


def nearest_labels(z: Array, centres: Array) -> AnyArray:
    """The nearest centre of each row, shape (m,)."""
    half_norms = 0.5 * np.einsum("ij,ij->i", centres, centres)
    step = max(1, _CHUNK // len(centres))
    parts = [(half_norms - z[i : i + step] @ centres.T).argmin(axis=1) for i in range(0, len(z), step)]
    return np.concatenate(parts)


def lloyd(z: Array, weight: Array, centres: Array) -> AnyArray:
    """Labels (m,) after Lloyd's iterations from the given centres (K, d).

    A centre that loses its rows moves to the row that is farthest from its own centre.
    """
    if native_kernels() is not None:
        return native_lloyd(z, weight, MAX_ITERATIONS, _REST, centres)
    labels = nearest_labels(z, centres)
    for _ in range(MAX_ITERATIONS):
        moved = _means(z, weight, labels, len(centres))
        lost = np.isnan(moved[:, 0])
        if lost.any():
            distance = ((z - np.where(lost[:, None], centres, moved)[labels]) ** 2).sum(axis=1)
            far = np.argsort(-distance, kind="stable")[: int(lost.sum())]
            moved[lost] = z[np.resize(far, int(lost.sum()))]
        shift = ((moved - centres) ** 2).sum()
        centres = moved
        before, labels = labels, nearest_labels(z, centres)
        if shift <= _REST or np.array_equal(labels, before):
            break
    return labels


def _means(z: Array, weight: Array, labels: AnyArray, n_centres: int) -> Array:
    """Weighted means (K, d) of the labelled rows; NaN for a label without rows."""
    counts = np.bincount(labels, weights=weight, minlength=n_centres)
    sums = np.stack([np.bincount(labels, weights=weight * column, minlength=n_centres) for column in z.T], axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / counts[:, None])


def squared_distances(z: Array, centres: Array, norms: Array | None = None) -> Array:
    """Squared distances (m, K), from the rows' squared norms (m,); the expansion is harmless on standardised rows."""
    norms = np.einsum("ij,ij->i", z, z) if norms is None else norms
    squared = norms[:, None] - 2.0 * (z @ centres.T) + np.einsum("ij,ij->i", centres, centres)
    return np.asarray(np.maximum(squared, 0.0))
