"""Components merged into clusters by entropy (Baudry, Raftery, Celeux, Lo & Gottardo 2010).

BIC takes as many Gaussians as the density needs, and a cluster that is no Gaussian needs several. Two components that
are one cluster share their rows: the responsibilities of a cluster are the sums of its components', and the density
stays what it was. The entropy of the soft clustering,

    E(k) = -sum_i w_i sum_c r_ic log r_ic,

says how far rows are torn between clusters. From K components on, the two clusters whose union lowers it most become
one, until a single one is left, where it is 0. Merging what overlaps saves much, merging what lies apart nothing: the
plot of E(k) against k has an elbow where the overlapping components have been merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.data.table import check_weights
from jensen.errors import InputError

# Responsibilities of a row may miss 1 by this much.
_SUM_TO_ONE = 1e-6
# Nats for each row below which an entropy is rounding.
_NOTHING = 1e-12
# Two lines through three points always fit: fewer points than this have no elbow.
_FEWEST_POINTS = 4

Clusters = tuple[tuple[int, ...], ...]
Merge = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Combination:
    """The hierarchy of clusters that merging components makes, from K of them down to one.

    Attributes
    ----------
    merges : tuple of (tuple of int, tuple of int)
        The components of the two clusters that become one: K - 1 steps, the first from K to K - 1 clusters.
    entropies : ndarray of shape (K,)
        E(k) in nats, summed over weighted rows; ``entropies[k - 1]`` is that of k clusters. It rises with k from 0.
    merged_weight : ndarray of shape (K - 1,)
        Weight of the rows that most probably belong to the two clusters that are merged; ``merged_weight[k - 1]`` is of
        the merge that leaves k clusters.
    n_clusters : int or None
        Where two lines fit E(k) against k best: the elbow of the entropy plot, as ``clustCombiOptim`` of mclust takes
        it. K where no components overlap; else None below four components, where two lines always fit.
    n_clusters_by_weight : int or None
        The same of the rescaled plot (section 3 of the paper), where E(k) stands against the weight that has been
        merged on the way from one cluster to k, so that merges of few rows do not count as much as those of many.
    weight : float
        Sum of the rows' weights.
    component_responsibilities : ndarray of shape (n, K)
        Of the components.
    """

    merges: tuple[Merge, ...]
    entropies: Array
    merged_weight: Array
    n_clusters: int | None
    n_clusters_by_weight: int | None
    weight: float
    component_responsibilities: Array = field(repr=False)

    @property
    def n_components(self) -> int:
        """K."""
        return int(self.component_responsibilities.shape[1])

    @property
    def drops(self) -> Array:
        """What each merge takes off the entropy, in nats, shape (K - 1,); entry k - 1 leaves k clusters."""
        return np.diff(self.entropies)

    @property
    def normalised_drops(self) -> Array:
        """`drops` for each unit of `merged_weight`, which is what a row is less torn; NaN where no row is merged."""
        drops, nothing = self.drops, np.full(self.n_components - 1, np.nan)
        return np.asarray(np.divide(drops, self.merged_weight, out=nothing, where=self.merged_weight > 0))

    def clusters(self, k: int | None = None) -> Clusters:
        """The components of each of k clusters, by the smallest number among them.

        Parameters
        ----------
        k : int, optional
            From 1 to K; `n_clusters` by default, or K where that is None.

        Raises
        ------
        InputError
            If there are no so many clusters.
        """
        k = (self.n_clusters or self.n_components) if k is None else k
        is_count = isinstance(k, int | np.integer) and not isinstance(k, bool)
        if not (is_count and 1 <= k <= self.n_components):
            raise InputError(
                f"k must be a number of clusters from 1 to the number of components, {self.n_components}, got {k!r}"
            )
        groups: list[tuple[int, ...]] = [(j,) for j in range(self.n_components)]
        for first, second in self.merges[: self.n_components - k]:
            groups = [group for group in groups if group not in (first, second)]
            groups.append(tuple(sorted(first + second)))
        return tuple(sorted(groups))

    def responsibilities(self, k: int | None = None) -> Array:
        """Responsibilities of k clusters, shape (n, k): sums over their components; `k` as for `clusters`."""
        return _summed(self.component_responsibilities, self.clusters(k))

    def labels(self, k: int | None = None) -> AnyArray:
        """The most probable of k clusters for each row, shape (n,); `k` as for `clusters`."""
        return np.asarray(self.responsibilities(k).argmax(axis=1))

    def __repr__(self) -> str:
        k = self.n_components
        lines = [f"{k} component{'s' * (k != 1)}, merged by entropy (Baudry et al. 2010)"]
        rows = [("clusters", "entropy", "drop", "per row", "merged to get there" if k > 1 else "")]
        rows.append((str(k), _short(self.entropies[-1]), "", "", ""))
        for step, (first, second) in enumerate(self.merges):
            left = k - step - 1
            told = (each[left - 1] for each in (self.entropies, self.drops, self.normalised_drops))
            entropy, drop, for_each = map(_short, told)
            rows.append((str(left), entropy, drop, for_each, f"{_named(first)} and {_named(second)}"))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        for row in rows:
            numbers = "  ".join(f"{cell:>{width}}" for cell, width in zip(row[:4], widths, strict=True))
            lines.append(f"  {numbers}  {row[4]}".rstrip())
        return "\n".join([*lines, self._suggestion()])

    def _suggestion(self) -> str:
        """The elbows in words."""
        by_number, by_weight = self.n_clusters, self.n_clusters_by_weight
        if by_number is None or by_weight is None:
            return "Fewer than four components: two lines always fit, and no elbow can be told."
        if self.entropies[-1] <= _NOTHING * self.weight:
            return "Nothing overlaps: each component is a cluster."
        told = ", ".join(f"{{{', '.join(map(str, group))}}}" for group in self.clusters())
        rescaled = "" if by_weight == by_number else f" ({by_weight} by the rescaled plot)"
        return f"The elbow of the entropies is at {by_number} clusters{rescaled}: {told}."


def combine(responsibilities: Array, weight: Array | None = None) -> Combination:
    """Merge the components of a mixture into clusters, two at a time, where it lowers the entropy most.

    The mixture may be of any family: responsibilities are all that counts, and the density is not touched.

    Parameters
    ----------
    responsibilities : array-like of shape (n, K)
        r_ik, at least 0; each row sums to 1, or to 0 where it has no density under any component.
    weight : array-like of shape (n,), optional
        Weights of the rows, at least 0: weight 2 is the row twice, 0 no row.

    Returns
    -------
    Combination

    Raises
    ------
    InputError
        If they are no responsibilities or no weights.
    """
    resp = _checked(responsibilities)
    n_components = resp.shape[1]
    if weight is None:
        row_weight = np.ones(len(resp))
    else:
        row_weight = np.asarray(weight, dtype=np.float64)
        if row_weight.shape != (len(resp),):
            raise InputError(f"weight must have one entry per row, shape ({len(resp)},), got shape {row_weight.shape}")
        row_weight = check_weights(row_weight, "weight")
    merges, drops, merged_weight = _hierarchy(resp, row_weight)
    # E(1) is 0, and by the chain rule of entropy what merges save adds up to the whole: no difference is ever taken.
    entropies = np.concatenate([[0.0], np.cumsum(drops[::-1])])
    total = float(row_weight.sum())
    by_number = by_weight = None
    if entropies[-1] <= _NOTHING * total:
        by_number = by_weight = n_components
    elif n_components >= _FEWEST_POINTS:
        by_number = elbow(np.arange(float(n_components)), entropies)
        by_weight = elbow(np.concatenate([[0.0], np.cumsum(merged_weight[::-1])]), entropies)
    return Combination(tuple(merges), entropies, merged_weight[::-1], by_number, by_weight, total, resp)


def elbow(x: Array, y: Array) -> int:
    """How many points (from the left) the first of two lines takes where both fit best, the point between them in both.

    Least squares over all ways to cut (Baudry et al. 2010, section 3); of equal ones the leftmost.

    Parameters
    ----------
    x, y : ndarray of shape (m,)
        m points, at least 3, with x not falling.
    """
    errors = [_error(x[:c], y[:c]) + _error(x[c - 1 :], y[c - 1 :]) for c in range(2, len(x))]
    # Rounding alone must not move the elbow.
    slack = 1e-12 * float(((y - y.mean()) ** 2).sum())
    return 2 + int(np.flatnonzero(np.array(errors) <= min(errors) + slack)[0])


def _error(x: Array, y: Array) -> float:
    """Squares that a line leaves."""
    x, y = x - x.mean(), y - y.mean()
    spread = float(x @ x)
    return float(y @ y) - (float(x @ y) ** 2 / spread if spread > 0.0 else 0.0)


def _checked(responsibilities: Array) -> Array:
    """Responsibilities as float64, or an error that says what is wrong with them."""
    try:
        resp = np.asarray(responsibilities, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("responsibilities must be numbers, one row for each row of the data") from None
    if resp.ndim != 2 or 0 in resp.shape:
        raise InputError(f"responsibilities must have the shape (n, K), such as predict_proba gives, got {resp.shape}")
    if not (np.isfinite(resp).all() and (resp >= 0.0).all()):
        raise InputError("responsibilities must be finite and at least 0")
    sums = resp.sum(axis=1)
    bad = np.flatnonzero((np.abs(sums - 1.0) > _SUM_TO_ONE) & (sums > 0.0))
    if bad.size:
        raise InputError(
            f"responsibilities must sum to 1 in every row, but row {bad[0]} sums to {sums[bad[0]]:.6g}; divide each "
            "row by its sum"
        )
    return resp


def _hierarchy(resp: Array, weight: Array) -> tuple[list[Merge], Array, Array]:
    """The merges, what each takes off the entropy, and the weight it concerns, from K components on."""
    n_components = resp.shape[1]
    columns = list(np.ascontiguousarray(resp.T))
    groups: list[tuple[int, ...]] = [(j,) for j in range(n_components)]
    saved = np.full((n_components, n_components), -np.inf)
    for j in range(n_components):
        for i in range(j):
            saved[i, j] = _drop(columns[i], columns[j], weight)
    merges, drops, concerned = list[Merge](), list[float](), list[float]()
    while len(groups) > 1:
        # Of equal pairs the first one in the order of the components.
        i, j = (int(at) for at in np.unravel_index(int(saved.argmax()), saved.shape))
        merges.append((groups[i], groups[j]))
        drops.append(float(saved[i, j]))
        labels = np.argmax(columns, axis=0)
        concerned.append(float(weight @ ((labels == i) | (labels == j))))
        columns[i], groups[i] = columns[i] + columns[j], tuple(sorted(groups[i] + groups[j]))
        del columns[j], groups[j]
        saved = np.delete(np.delete(saved, j, axis=0), j, axis=1)
        for other in range(len(groups)):
            if other != i:
                first, second = min(i, other), max(i, other)
                saved[first, second] = _drop(columns[first], columns[second], weight)
    return merges, np.array(drops), np.array(concerned)


def _drop(first: Array, second: Array, weight: Array) -> float:
    """What the union of two clusters takes off the entropy, never below 0.

    With q the smaller share of a row by the larger one, it is the sum of w ((a + b) log(1 + q) - min(a, b) log q): the
    difference of the two entropies, without taking a difference.
    """
    # Where one of the two is 0 nothing is torn.
    torn = (first > 0.0) & (second > 0.0)
    first, second = first[torn], second[torn]
    smaller = np.minimum(first, second)
    ratio = smaller / np.maximum(first, second)
    return float(weight[torn] @ ((first + second) * np.log1p(ratio) - smaller * np.log(ratio)))


def _summed(resp: Array, clusters: Sequence[tuple[int, ...]]) -> Array:
    return np.stack([resp[:, list(group)].sum(axis=1) for group in clusters], axis=1)


def _short(value: float) -> str:
    return f"{value:.4g}" if value >= 1e-4 or not value > 0.0 else "< 1e-4"


def _named(group: tuple[int, ...]) -> str:
    return str(group[0]) if len(group) == 1 else f"{{{', '.join(map(str, group))}}}"
