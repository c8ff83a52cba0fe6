"""What the starts and the ridge need to know of the data: moments of the columns, and a bounded table of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jensen.core.block import AnyArray, Array, Block
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.numerics.order import canonical_order, row_keys, weighted_quantiles

MAX_ROWS = 65_536
_MAX_NUMBERS = 1 << 21
_MIN_ROWS = 4_096
# Candidates for a sample: this many times its size are looked at, so that rows that stand twice leave enough.
_SLACK = 4
# Squares, sums of squares and 1e-6 of them are normal floats for differences within these bounds.
_LARGEST_SPAN, _SMALLEST_VARIANCE = 1e150, 1e-300
_EMPTY = Parameters({}, {})


@dataclass(frozen=True, eq=False)
class DataSummary:
    """Moments of the columns, and different rows in a canonical order.

    The rows are sorted by value and equal ones merged into one with the sum of their weights; rows of weight 0 are
    left out. Whatever is drawn from them is therefore the same for shuffled rows, for a row twice or with weight 2.
    Above `MAX_ROWS` rows (fewer in many dimensions) they are a sample, keyed by the rows' values: every different row
    is as likely to be in it, and brings its own weight.

    Attributes
    ----------
    rows : ndarray of shape (m, d)
        Different rows, float64.
    weight : ndarray of shape (m,)
        Their weights, positive.
    centre, variance : ndarray of shape (d,)
        Weighted mean and variance of each column over all the data.
    robust_variance : ndarray of shape (d,)
        min(variance, (IQR / 1.349)^2), or the variance where the interquartile range is 0. A constant column gets
        the geometric mean of the others', or 1 if there are none: the only scale at hand.
    informative : ndarray of shape (d,) of bool
        Columns that are not constant.
    total_weight : float
        Sum of the weights of all the data.
    """

    rows: Array
    weight: Array
    centre: Array
    variance: Array
    robust_variance: Array
    informative: AnyArray
    total_weight: float

    @property
    def scale(self) -> Array:
        """Standard deviation of each column, that of a constant one from `robust_variance`; shape (d,)."""
        return np.sqrt(np.where(self.informative, self.variance, self.robust_variance))

    def auto_ridge(self) -> Array:
        """The default R: 1e-6 times the robust variance of each column, shape (d,)."""
        return 1e-6 * self.robust_variance


@dataclass(frozen=True, eq=False)
class _BlockSummary:
    """Moments of a block about its own mean, extremes, and candidate rows."""

    weight: float
    mean: Array
    squares: Array
    low: Array
    high: Array
    rows: AnyArray
    row_weight: Array
    keys: AnyArray

    def moments_with(self, other: _BlockSummary) -> tuple[float, Array, Array]:
        """Weight, mean and centred squares of both (Chan, Golub & LeVeque 1983)."""
        weight = self.weight + other.weight
        if weight == 0.0:
            return self.weight, self.mean, self.squares
        step = other.mean - self.mean
        share = other.weight / weight
        return weight, self.mean + share * step, self.squares + other.squares + self.weight * share * step**2


def summarise(source: ArraySource, seed: int = 0) -> DataSummary:
    """Pass over the data once.

    Parameters
    ----------
    source : ArraySource
        Rows of finite numbers, some of positive weight.
    seed : int, default=0
        Keys the sample, where one is drawn.

    Raises
    ------
    InputError
        If a column spans so much that its variance would be no float.
    """
    d = source.x.shape[1]
    limit = min(MAX_ROWS, max(_MIN_ROWS, _MAX_NUMBERS // d))
    share = min(1.0, _SLACK * limit / max(source.n_counting, 1))
    threshold = np.uint64(min(share * 2.0**64, 2.0**64 - 2048.0))

    def block_summary(_: Parameters, block: Block) -> _BlockSummary:
        return _summarise_block(block, seed, None if source.n_counting <= limit else threshold)

    parts = list(source.map_ordered(block_summary, _EMPTY))
    low, high = np.min([p.low for p in parts], axis=0), np.max([p.high for p in parts], axis=0)
    _check_span(low, high)
    weight, mean, squares = parts[0].weight, parts[0].mean, parts[0].squares
    for part in parts[1:]:
        joined = _BlockSummary(weight, mean, squares, part.low, part.high, part.rows, part.row_weight, part.keys)
        weight, mean, squares = joined.moments_with(part)
    # Differences near the smallest float square to nothing; to us such a column is constant.
    informative = (high > low) & (squares / weight >= _SMALLEST_VARIANCE)
    rows, row_weight = _distinct(
        np.concatenate([p.rows for p in parts]),
        np.concatenate([p.row_weight for p in parts]),
        np.concatenate([p.keys for p in parts]),
        limit,
    )
    variance = np.where(informative, squares / weight, 0.0)
    robust = _robust_variance(rows, row_weight, variance, informative)
    return DataSummary(rows, row_weight, mean, variance, robust, informative, weight)


def _summarise_block(block: Block, seed: int, threshold: np.uint64 | None) -> _BlockSummary:
    x = np.asarray(block.x, dtype=np.float64)
    weight = np.ones(block.n_rows) if block.weight is None else block.weight
    if not weight.all():
        x, weight = x[weight > 0], weight[weight > 0]
    if len(x) == 0:
        nothing = np.zeros(x.shape[1])
        infinite = np.full(x.shape[1], np.inf)
        return _BlockSummary(0.0, nothing, nothing, infinite, -infinite, x, weight, np.empty(0, dtype=np.uint64))
    total = float(weight.sum())
    low, high = x.min(axis=0), x.max(axis=0)
    _check_span(low, high)
    # The first row as a provisional origin keeps the mean of far-away data exact; then the squares about the mean.
    mean = x[0] + weight @ (x - x[0]) / total
    squares = weight @ (x - mean) ** 2
    if threshold is None:
        return _BlockSummary(total, mean, squares, low, high, x, weight, np.zeros(len(x), dtype=np.uint64))
    keys = row_keys(x, seed)
    chosen = keys < threshold
    return _BlockSummary(total, mean, squares, low, high, x[chosen], weight[chosen], keys[chosen])


def _check_span(low: Array, high: Array) -> None:
    # Halved, because the difference itself may be too large.
    wide = np.flatnonzero(high / 2 - low / 2 > _LARGEST_SPAN / 2)
    if wide.size:
        j = int(wide[0])
        raise InputError(
            f"column {j} spans {low[j]:.3g} to {high[j]:.3g}, whose squares are too large for floats; "
            "divide it by a power of ten, or remove the rows that are not data"
        )


def _distinct(rows: AnyArray, weight: Array, keys: AnyArray, limit: int) -> tuple[Array, Array]:
    """The different rows in canonical order with summed weights; the `limit` ones of the smallest keys if more."""
    if len(rows) > limit:
        smallest = np.unique(keys)[:limit]
        chosen = keys <= smallest[-1]
        rows, weight = rows[chosen], weight[chosen]
    order = canonical_order(rows)
    rows, weight = rows[order], weight[order]
    new = np.append(True, (rows[1:] != rows[:-1]).any(axis=1))
    starts = np.flatnonzero(new)
    return np.ascontiguousarray(rows[starts]), np.add.reduceat(weight, starts)


def _robust_variance(rows: Array, weight: Array, variance: Array, informative: AnyArray) -> Array:
    quartiles = np.array([weighted_quantiles(column, weight, (0.25, 0.75)) for column in rows.T])
    by_range = ((quartiles[:, 1] - quartiles[:, 0]) / 1.349) ** 2
    robust = np.where(by_range > 0, np.minimum(variance, by_range), variance)
    usable = informative & (robust >= _SMALLEST_VARIANCE)
    floor = float(np.exp(np.log(robust[usable]).mean())) if usable.any() else 1.0
    return np.where(usable, robust, floor)
