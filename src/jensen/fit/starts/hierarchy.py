"""Model-based hierarchical clustering: one tree of merges, whose cuts are partitions to start from for every K."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.errors import InputError
from jensen.fit.starts.kmeans import nearest_labels
from jensen.fit.summary import DataSummary
from jensen.kernels.choose import gaussian_rows, native_hierarchy, native_kernels
from jensen.numerics.cholesky import log_diagonals, lower_factors, triangular_inverses
from jensen.numerics.order import draw_by_weight
from jensen.numerics.streams import stream

Criterion = Literal["VVV", "EII", "affine"]
MAX_CLUSTERED = 2_000

# Directions in which the rows spread less than this, beside the widest, are rounding.
_FLAT = 1e-7
# Merges are equal whose costs differ by less than this share: rounding is less.
_SHARE = 1e-9
# The prior of "affine", in rows. Between 1/16 and 1 it matters little.
_PRIOR_ROWS = 0.5


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """A tree of merges of the rows of a table.

    Attributes
    ----------
    criterion : {"VVV", "EII", "affine"}
        What the merges kept small.
    clustered : ndarray of shape (m,)
        Positions in the table of the rows in the tree, ascending: all of them, or a sample.
    counts : ndarray of shape (m,)
        Their weights; in a sample, how often each was drawn.
    merges : ndarray of shape (m - 1, 2)
        The lowest member of either cluster that is merged, the lower first; members are places in `clustered`.
    costs : ndarray of shape (m - 1,)
        What each merge added to the criterion.
    z : ndarray of shape (n, q)
        The table, transformed; q is at most d.
    """

    criterion: Criterion
    clustered: AnyArray
    counts: Array
    merges: AnyArray
    costs: Array
    z: Array

    def labels(self, n_clusters: int) -> AnyArray:
        """The partition of the table into `n_clusters` clusters, or as many as there are different rows.

        A row that is not in the tree gets the cluster of the largest quadratic discriminant log n_k + log N(z; m_k,
        S_k), where S_k = (W_k + S) / (n_k + 1) takes one row's share of the whole sample's covariance S, for clusters
        of few rows; under ``"EII"``, that of the nearest mean.

        Parameters
        ----------
        n_clusters : int
            K, at least 1.

        Returns
        -------
        ndarray of shape (n,)
            0 to K - 1, in the order of each cluster's first row in the tree.
        """
        if n_clusters < 1:
            raise InputError(f"n_clusters must be at least 1, got {n_clusters}; ask for 1 or more")
        m = len(self.clustered)
        parents = np.arange(m)
        done = self.merges[: max(m - n_clusters, 0)]
        parents[done[:, 1]] = done[:, 0]
        while True:
            above = parents[parents]
            if np.array_equal(above, parents):
                break
            parents = above
        own = np.unique(parents, return_inverse=True)[1].reshape(m)
        labels = np.full(len(self.z), -1)
        labels[self.clustered] = own
        others = np.flatnonzero(labels < 0)
        if others.size:
            labels[others] = self._allocate(self.z[others], own)
        return labels

    def _allocate(self, others: Array, own: AnyArray) -> AnyArray:
        """The clusters of rows that are not in the tree, given those of the rows in it."""
        z, counts = self.z[self.clustered], self.counts
        total = np.bincount(own, weights=counts)
        sums = [np.bincount(own, weights=counts * column) for column in z.T]
        means = np.stack(sums, axis=1) / total[:, None]
        if self.criterion == "EII" or not z.any():
            return nearest_labels(others, means)
        whole = (counts[:, None] * z).T @ z / counts.sum()
        scatter = np.empty((len(total), z.shape[1], z.shape[1]))
        for k, mean in enumerate(means):
            about = z[own == k] - mean
            scatter[k] = (counts[own == k, None] * about).T @ about
        factors = lower_factors((scatter + whole) / (total + 1.0)[:, None, None])
        whitening = triangular_inverses(factors)
        return gaussian_rows(others, "full", means, whitening, np.log(total) - log_diagonals(factors), "labels")


def hierarchy(
    data: DataSummary, criterion: Criterion = "VVV", seed: int = 0, max_rows: int = MAX_CLUSTERED
) -> Hierarchy:
    """Merge the rows of a table, two clusters at a time, so that the criterion grows least (Banfield & Raftery 1993).

    With n_k the weight of cluster k and W_k its scatter about its mean, both of d features, the criteria are

    - ``"VVV"``: sum_k n_k log(|W_k / n_k| + (tr W_k + a) / n_k) with a = tr W / (n d) of all the rows (Fraley 1998;
      alpha = beta = 1). The trace gives a value to clusters of up to d rows, whose determinant is 0;
    - ``"EII"``: sum_k tr W_k, Ward's method;
    - ``"affine"``: sum_k n_k log|(W_k + c S) / n_k| with the covariance S of all the rows and c = 1/2: the
      unconstrained likelihood again, with a conjugate prior in the trace's place.

    ``"VVV"`` and ``"EII"`` see the rows in standard deviations, on their principal axes, with each axis divided by the
    square root of its singular value (Scrucca & Raftery 2015): together they are the default start of mclust. There
    the determinant is nearly always far below the trace, so that ``"VVV"`` acts much like a spherical criterion of
    variable volume. ``"affine"`` does follow elongated clusters, and no linear map of the rows changes it.

    A row of weight w counts as w copies that are merged already; weights below 1 on average are scaled up to 1. Among
    merges that are equal but for rounding, the one whose clusters begin with the first rows of the table is taken.
    m rows take 4 m^2 bytes and about m^2 in time; NumPy takes some ten times as long, for the same tree.

    Parameters
    ----------
    data : DataSummary
        Different rows, sorted by value, with their weights.
    criterion : {"VVV", "EII", "affine"}, default="VVV"
        See above.
    seed : int, default=0
        Keys the sample, where one is drawn.
    max_rows : int, default=2000
        A table of more rows is sampled: of all the copies in the table's order, this many at equal distances. A row is
        drawn as often as its weight says, and counts as often in the tree.
    """
    n_rows = len(data.weight)
    clustered, counts = np.arange(n_rows), data.weight
    if n_rows > max_rows:
        levels = (stream(seed, "hierarchy").random() + np.arange(max_rows)) / max_rows
        clustered, times = np.unique(draw_by_weight(data.weight, levels), return_counts=True)
        counts = times.astype(np.float64)
    # Weights of less than a row on average are meant as shares; a row beside 1e12 others counts for nothing.
    counts = counts * max(1.0, max(len(counts), 2) / counts.sum())
    total = counts.sum()
    counts = np.maximum(counts, 1e-12 * total)
    z = _transformed(data, clustered, counts, criterion)
    rows = np.ascontiguousarray(z[clustered])
    average = float((counts @ rows**2).sum() / (total * rows.shape[1]))
    floor = _PRIOR_ROWS if criterion == "affine" else average if average > 0 else 1.0
    grow = _grow if native_kernels() is None else native_hierarchy
    merges, costs = grow(rows, counts, criterion, floor, _SHARE)
    return Hierarchy(criterion, clustered, counts, merges, costs, z)


def _transformed(data: DataSummary, clustered: AnyArray, counts: Array, criterion: Criterion) -> Array:
    """The table about the mean of the clustered rows, on their principal axes; sphered for ``"affine"``."""
    z = data.standardised[:, data.informative]
    total = counts.sum()
    z = z - counts @ z[clustered] / total
    variance = counts @ z[clustered] ** 2 / (total - 1.0)
    z = z[:, variance > 0] / np.sqrt(variance[variance > 0])
    if z.shape[1] == 0:
        return np.zeros((len(z), 1))
    _, singular, axes = np.linalg.svd(np.sqrt(counts)[:, None] * z[clustered], full_matrices=False)
    kept = singular > _FLAT * singular[0]
    unit = singular / np.sqrt(total) if criterion == "affine" else np.sqrt(singular)
    return np.ascontiguousarray(z @ (axes[kept].T / unit[kept]))


def _grow(z: Array, weight: Array, criterion: Criterion, floor: float, share: float) -> tuple[AnyArray, Array]:
    """The NumPy twin of `native_hierarchy`."""
    m = len(z)
    clusters = _Clusters(z, weight, criterion, floor)
    # Costs of pairs i < j, and the least of each row; infinite where there is no pair any more.
    cost = np.full((m, m), np.inf)
    for i in range(m - 1):
        cost[i, i + 1 :] = clusters.added(i, np.arange(i + 1, m))
    low = cost.min(axis=1)
    merges, costs, alive = np.empty((m - 1, 2), dtype=np.int64), np.empty(m - 1), np.arange(m)
    for step in range(m - 1):
        least = low.min()
        bar = least + share * abs(least)
        i = int(np.argmax(low <= bar))
        j = int(np.argmax(cost[i] <= bar))
        merges[step], costs[step] = (i, j), cost[i, j]
        clusters.merge(i, j, cost[i, j])
        alive = alive[alive != j]
        before, beyond = alive[alive < i], alive[alive > i]
        upper = alive[alive < j]
        lost = upper[(cost[upper, j] <= low[upper]) | (cost[upper, i] <= low[upper])]
        cost[j], cost[:j, j], low[j] = np.inf, np.inf, np.inf
        cost[before, i] = clusters.added(i, before)
        cost[i, beyond] = clusters.added(i, beyond)
        low[before] = np.minimum(low[before], cost[before, i])
        for k in (i, *lost):
            low[k] = cost[k, k:].min()
    return merges, costs


class _Clusters:
    """Weights, means and scatter of the clusters so far, and what each costs; the lowest row is a cluster's place."""

    def __init__(self, z: Array, weight: Array, criterion: Criterion, floor: float) -> None:
        m, d = z.shape
        self.criterion, self.floor = criterion, floor
        self.weight, self.mean, self.rows = weight.copy(), z.copy(), np.ones(m, dtype=np.int64)
        self.trace, self.term = np.zeros(m), np.zeros(m)
        self.scatter = np.zeros((m, d, d) if criterion != "EII" else (m, 0, 0))
        if criterion != "EII":
            self.term = weight * (d if criterion == "affine" else 1) * np.log(floor / weight)

    def added(self, i: int, others: AnyArray) -> Array:
        """What merging one cluster with each of the others adds to the criterion."""
        total = self.weight[i] + self.weight[others]
        factor = self.weight[i] * (self.weight[others] / total)
        step = self.mean[others] - self.mean[i]
        spread = factor * (step**2).sum(axis=1)
        if self.criterion == "EII":
            return np.asarray(spread)
        rows, d = self.rows[i] + self.rows[others], self.mean.shape[1]
        if self.criterion == "affine":
            full = rows > 2
            # Of two single rows only one eigenvalue is not the prior's.
            value = np.log((self.floor + spread) / total) + (d - 1) * np.log(self.floor / total)
        else:
            full = rows > d
            value = np.log((self.trace[i] + self.trace[others] + spread + self.floor) / total)
        if full.any():
            step, factor = step[full], factor[full, None, None]
            matrices = self.scatter[i] + self.scatter[others[full]] + factor * step[:, :, None] * step[:, None, :]
            logs = self._log_determinants(matrices, total[full])
            value[full] = logs if self.criterion == "affine" else np.logaddexp(value[full], logs)
        return np.asarray(total * value - self.term[i] - self.term[others])

    def merge(self, i: int, j: int, cost: float) -> None:
        """Let the cluster i take in the cluster j."""
        total = self.weight[i] + self.weight[j]
        share, step = self.weight[j] / total, self.mean[j] - self.mean[i]
        factor = self.weight[i] * share
        if self.criterion != "EII":
            self.scatter[i] += self.scatter[j] + factor * np.outer(step, step)
        self.trace[i] += self.trace[j] + factor * (step**2).sum()
        self.mean[i] += share * step
        self.weight[i] = total
        self.rows[i] += self.rows[j]
        self.term[i] += self.term[j] + cost

    def _log_determinants(self, matrices: Array, total: Array) -> Array:
        """log|W / n|, or log|(W + c I) / n|, by Cholesky's pivots; -inf where the matrix is singular."""
        d, least = matrices.shape[1], self.floor if self.criterion == "affine" else 0.0
        matrices[:, range(d), range(d)] += least
        logs = np.zeros(len(matrices))
        with np.errstate(divide="ignore"):
            for c in range(d):
                # What lies below is rounding, and so is its column.
                sound = matrices[:, c, c] > least
                pivot = np.where(sound, matrices[:, c, c], least)
                logs += np.log(pivot / total)
                below = matrices[:, c + 1 :, c]
                scaled = below / np.where(sound, pivot, np.inf)[:, None]
                matrices[:, c + 1 :, c + 1 :] -= scaled[:, :, None] * below[:, None, :]
        return logs
