"""What the starts and the ridge need to know of the data: moments of the columns, and a bounded table of rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np

from jensen.core.block import AnyArray, Array, Block
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.kernels.choose import native_column_moments, native_kernels, native_row_keys
from jensen.numerics.order import canonical_order, key_multipliers, row_keys, weighted_quantiles

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

    @cached_property
    def standardised(self) -> Array:
        """The rows about the centre, in standard deviations, shape (m, d)."""
        return np.ascontiguousarray((self.rows - self.centre) / self.scale)

    def auto_ridge(self) -> Array:
        """The default R: 1e-6 times the robust variance of each column, shape (d,)."""
        return 1e-6 * self.robust_variance


@dataclass(frozen=True, eq=False)
class _Moments:
    """Weight, mean, squares about the mean and extremes of the columns of some rows."""

    weight: float
    mean: Array
    squares: Array
    low: Array
    high: Array

    def merge(self, other: _Moments) -> _Moments:
        """Of both together (Chan, Golub & LeVeque 1983)."""
        weight = self.weight + other.weight
        if weight == 0.0:
            return self
        step, share = other.mean - self.mean, other.weight / weight
        squares = self.squares + other.squares + self.weight * share * step**2
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        return _Moments(weight, self.mean + share * step, squares, low, high)


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
    keys = None
    if source.n_counting > limit:
        keys = _Keys(seed, key_multipliers(seed, d), np.uint64(min(share * 2.0**64, 2.0**64 - 2048.0)))

    def block_summary(_: Parameters, block: Block) -> tuple[_Moments, AnyArray, AnyArray]:
        return _summarise_block(block, keys)

    moments, positions, values = zip(*source.map_ordered(block_summary, _EMPTY), strict=True)
    low, high = np.min([m.low for m in moments], axis=0), np.max([m.high for m in moments], axis=0)
    _check_span(low, high)
    whole = reduce(_Moments.merge, moments)
    squares, weight = whole.squares, whole.weight
    # Differences near the smallest float square to nothing; to us such a column is constant.
    informative = (high > low) & (squares / weight >= _SMALLEST_VARIANCE)
    rows, row_weight = _different(source, np.concatenate(positions), np.concatenate(values), limit)
    variance = np.where(informative, squares / weight, 0.0)
    robust = _robust_variance(rows, row_weight, variance, informative)
    return DataSummary(rows, row_weight, whole.mean, variance, robust, informative, weight)


def _summarise_block(block: Block, keys: _Keys | None) -> tuple[_Moments, AnyArray, AnyArray]:
    """Moments of a block, and the positions in the data and keys of the rows that may be in the table."""
    x = np.asarray(block.x, dtype=np.float64)
    column_moments = _column_moments if native_kernels() is None else native_column_moments
    moments = _Moments(*column_moments(x, block.weight))
    _check_span(moments.low, moments.high)
    counts = np.ones(len(x), dtype=bool) if block.weight is None else block.weight > 0
    if keys is None:
        chosen = np.flatnonzero(counts)
        return moments, block.first_row + chosen, np.zeros(0, dtype=np.uint64)
    values = keys.of(x)
    chosen = np.flatnonzero((values < keys.threshold) & counts)
    return moments, block.first_row + chosen, values[chosen]


def _column_moments(x: AnyArray, weight: Array | None) -> tuple[float, Array, Array, Array, Array]:
    """The NumPy twin of `native_column_moments`."""
    weight = np.ones(len(x)) if weight is None else weight
    if not weight.all():
        x, weight = x[weight > 0], weight[weight > 0]
    if len(x) == 0:
        nothing, infinite = np.zeros(x.shape[1]), np.full(x.shape[1], np.inf)
        return 0.0, nothing, nothing, infinite, -infinite
    total, low, high = float(weight.sum()), x.min(axis=0), x.max(axis=0)
    _check_span(low, high)
    # The first row as a provisional origin keeps the mean of far-away data exact; then the squares about the mean.
    mean = x[0] + weight @ (x - x[0]) / total
    return total, mean, weight @ (x - mean) ** 2, low, high


@dataclass(frozen=True, eq=False)
class _Keys:
    """Which rows are candidates for the sample: those whose key is below a threshold."""

    seed: int
    multipliers: AnyArray
    threshold: np.uint64

    def of(self, x: Array) -> AnyArray:
        if native_kernels() is None:
            return row_keys(x, self.seed)
        return native_row_keys(x, self.seed & 0xFFFFFFFF, self.multipliers)


def _check_span(low: Array, high: Array) -> None:
    # Halved, because the difference itself may be too large.
    wide = np.flatnonzero(high / 2 - low / 2 > _LARGEST_SPAN / 2)
    if wide.size:
        j = int(wide[0])
        raise InputError(
            f"column {j} spans {low[j]:.3g} to {high[j]:.3g}, whose squares are too large for floats; "
            "divide it by a power of ten, or remove the rows that are not data"
        )


def _different(source: ArraySource, positions: AnyArray, keys: AnyArray, limit: int) -> tuple[Array, Array]:
    """The different rows in canonical order with summed weights; the `limit` ones of the smallest keys if there are."""
    weight = np.ones(len(positions)) if source.row_weight is None else source.row_weight[positions].astype(np.float64)
    if keys.size:
        # Rows of one key are equal. One of each is fetched: the table is small even where the candidates are not.
        order = np.argsort(keys, kind="stable")
        ranked = keys[order]
        starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
        weight = np.add.reduceat(weight[order], starts)[:limit]
        positions = positions[order[starts[:limit]]]
    rows = np.asarray(source.x[positions], dtype=np.float64)
    order = canonical_order(rows)
    rows, weight = rows[order], weight[order]
    starts = np.flatnonzero(np.append(True, (rows[1:] != rows[:-1]).any(axis=1)))
    return np.ascontiguousarray(rows[starts]), np.add.reduceat(weight, starts)


def _robust_variance(rows: Array, weight: Array, variance: Array, informative: AnyArray) -> Array:
    quartiles = np.array([weighted_quantiles(column, weight, (0.25, 0.75)) for column in rows.T])
    by_range = ((quartiles[:, 1] - quartiles[:, 0]) / 1.349) ** 2
    robust = np.where(by_range > 0, np.minimum(variance, by_range), variance)
    usable = informative & (robust >= _SMALLEST_VARIANCE)
    floor = float(np.exp(np.log(robust[usable]).mean())) if usable.any() else 1.0
    return np.where(usable, robust, floor)
