"""Partitions of a table of rows to start from, beside those of k-means."""

from __future__ import annotations

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.fit.starts.kmeans import squared_distances
from jensen.kernels.choose import native_kernels, native_labelled_moments
from jensen.numerics.cholesky import triangular_inverses
from jensen.numerics.order import draw_by_weight, draw_distinct

# Rows that the quadratic methods look at; the others have the label -1.
_ADAPTIVE_ROWS, _HIERARCHICAL_ROWS = 1_024, 320
# Share of the next seed's probability that is uniform (Blomer & Bujna 2013).
_UNIFORM = 0.25
# Ridge of the metric, in variances of the columns.
_RIDGE = 1e-6
# Hierarchies of the same rows are all the same: each takes another part of them.
_PART = 0.8


def adaptive_labels(z: Array, weight: Array, n_components: int, rng: np.random.Generator) -> AnyArray:
    """Labels from seeds drawn by how badly the clusters so far explain a row (Blomer & Bujna 2013).

    After k-means++, but with distances in the metric of the covariance within the clusters found so far, which follows
    elongated and correlated groups.

    Parameters
    ----------
    z : ndarray of shape (m, d)
        Standardised rows.
    weight : ndarray of shape (m,)
        Positive weights.
    n_components : int
        K.
    rng : numpy.random.Generator
        The stream to draw from.

    Returns
    -------
    ndarray of shape (m,)
        Integers from 0 to K - 1, or -1 for rows that were not looked at.
    """
    chosen, labels = _part(len(z), _ADAPTIVE_ROWS, rng), np.full(len(z), -1)
    rows, share = z[chosen], weight[chosen]
    own = np.zeros(len(rows), dtype=np.intp)
    seeds = [int(draw_by_weight(share, rng.random(1))[0])]
    white = _whitened(rows, share, own, 1)
    nearest = _squares(white - white[seeds[0]])
    for j in range(1, n_components):
        need = share * nearest
        total = need.sum()
        mixed = need * ((1.0 - _UNIFORM) / total) + share * (_UNIFORM / share.sum()) if total > 0 else share
        drawn = int(draw_by_weight(mixed, rng.random(1))[0])
        # A seed that is drawn again would leave a component without rows; at the seeds themselves the need is none.
        seeds.append(int(draw_by_weight(need, rng.random(1))[0]) if drawn in seeds and total > 0 else drawn)
        distance = _squares(white - white[seeds[-1]])
        own, nearest = np.where(distance < nearest, j, own), np.minimum(distance, nearest)
        # The metric changes with the clusters, and the rows' clusters with the metric: less and less, as they grow.
        if j & (j + 1) == 0 or j == n_components - 1:
            white = _whitened(rows, share, own, j + 1)
            distances = squared_distances(white, white[seeds])
            own, nearest = distances.argmin(axis=1), distances.min(axis=1)
    labels[chosen] = own
    return labels


def hierarchical_labels(z: Array, weight: Array, n_components: int, rng: np.random.Generator) -> AnyArray:
    """Labels of Ward's hierarchical clusters of some of the rows, standardised or sphered, for a random part of them.

    Parameters and result are those of `adaptive_labels`.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    size = min(_HIERARCHICAL_ROWS, max(int(_PART * len(z)), min(len(z), 2 * n_components)))
    chosen = np.sort(draw_distinct(weight, rng, size))
    rows, labels = z[chosen], np.full(len(z), -1)
    if rng.random() < 0.5:
        rows = _whitened(rows, weight[chosen], np.zeros(len(rows), dtype=np.intp), 1)
    if len(chosen) < 2:
        labels[chosen] = 0
        return labels
    labels[chosen] = fcluster(linkage(rows, "ward"), n_components, "maxclust") - 1
    return labels


def local_labels(z: Array, weight: Array, n_components: int, rng: np.random.Generator) -> AnyArray:
    """Labels of the rows nearest to rows drawn at random: a component for each, with the covariance about it.

    Parameters and result are those of `adaptive_labels`.
    """
    chosen = _part(len(z), _ADAPTIVE_ROWS, rng)
    rows, labels = z[chosen], np.full(len(z), -1)
    seeds = draw_distinct(weight[chosen], rng, n_components)
    distances = squared_distances(rows, rows[seeds])
    nearest = distances.argmin(axis=1)
    # Of each seed's rows the nearer half: what lies between two seeds would blow both up.
    for j in range(len(seeds)):
        own = np.flatnonzero(nearest == j)
        near = own[np.argsort(distances[own, j], kind="stable")[: max(len(own) // 2, min(len(own), 2 * z.shape[1]))]]
        labels[chosen[near]] = j
    return labels


def _part(n_rows: int, limit: int, rng: np.random.Generator) -> AnyArray:
    return np.arange(n_rows) if n_rows <= limit else np.sort(rng.choice(n_rows, limit, replace=False))


def _squares(rows: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->i", rows, rows))


def _whitened(rows: Array, weight: Array, labels: AnyArray, n_labels: int) -> Array:
    """Rows in the metric of the covariance within their clusters."""
    if native_kernels() is not None:
        scatter = native_labelled_moments(rows, weight, labels, "tied", n_labels)[2]
    else:
        counts = np.bincount(labels, weights=weight, minlength=n_labels)
        sums = np.stack([np.bincount(labels, weights=weight * column, minlength=n_labels) for column in rows.T], axis=1)
        about = rows - (sums / np.maximum(counts, 1e-300)[:, None])[labels]
        scatter = (weight[:, None] * about).T @ about
    within = scatter / weight.sum() + _RIDGE * np.eye(rows.shape[1])
    return np.asarray(rows @ triangular_inverses(np.linalg.cholesky(within)).T)
