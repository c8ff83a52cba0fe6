"""Weighted order statistics and canonical orders: weight 2 is the row twice, weight 0 is no row, order is nothing."""

from __future__ import annotations

import numpy as np

from jensen.core.block import AnyArray, Array


def canonical_order(rows: AnyArray) -> AnyArray:
    """The permutation (n,) that sorts the rows (n, d) by their values, first column first.

    Only rows that tie in the first column are compared further, which makes it many times faster than a full sort
    of continuous data.
    """
    order = np.argsort(rows[:, 0], kind="stable")
    first = rows[order, 0]
    ties = np.flatnonzero(first[1:] == first[:-1])
    if ties.size == 0 or rows.shape[1] == 1:
        return order
    tied = np.zeros(first.size, dtype=bool)
    tied[ties] = tied[ties + 1] = True
    where = np.flatnonzero(tied)
    inside = rows[order[where]]
    # lexsort takes its last key first.
    order[where] = order[where][np.lexsort(inside.T[::-1])]
    return order


def row_keys(rows: AnyArray, seed: int) -> AnyArray:
    """A pseudo-random 64-bit key (n,) of each row's values: equal rows have equal keys, whatever their position.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Finite.
    seed : int
        Another seed gives other keys.
    """
    multipliers = key_multipliers(seed, rows.shape[1])
    state = np.full(rows.shape[0], seed & 0xFFFFFFFF, dtype=np.uint64)
    for column, multiplier in zip(rows.T, multipliers, strict=True):
        # Adding 0.0 makes one zero of -0.0 and 0.0, which compare equal.
        state ^= (column.astype(np.float64) + 0.0).view(np.uint64)
        state *= multiplier
        # Products carry bits upwards only; the fold brings them down again before the next column comes in.
        state ^= state >> np.uint64(32)
    # The finaliser of splitmix64 (Steele, Lea & Flood 2014).
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(state ^ (state >> np.uint64(31)))


def key_multipliers(seed: int, d: int) -> AnyArray:
    """The odd numbers (d,) by which `row_keys` mixes the columns under a seed."""
    return np.random.SeedSequence([seed]).generate_state(d, np.uint64) | np.uint64(1)


def weighted_quantiles(values: AnyArray, weight: Array, levels: tuple[float, ...]) -> Array:
    """Quantiles of weighted values by the inverse of their distribution function (Hyndman & Fan 1996, type 1).

    Parameters
    ----------
    values, weight : ndarray of shape (n,)
        Weights are at least 0 and not all 0.
    levels : tuple of float
        Between 0 and 1.

    Returns
    -------
    ndarray of shape (len(levels),)
    """
    order = np.argsort(values)
    heap = np.cumsum(weight[order])
    # A hair below the level, so that a cumulative weight that equals it but for rounding is not passed over.
    at = np.searchsorted(heap, np.asarray(levels) * heap[-1] * (1.0 - 1e-12), side="left")
    return np.asarray(values[order[np.minimum(at, values.size - 1)]], dtype=np.float64)


def draw_by_weight(weight: Array, uniforms: Array) -> AnyArray:
    """Positions (m,) drawn by cumulative weight with uniform numbers (m,) in [0, 1): with replacement."""
    heap = np.cumsum(weight)
    at = np.searchsorted(heap, uniforms * heap[-1], side="right")
    return np.asarray(np.minimum(at, _last_positive(weight)))


def _last_positive(weight: Array) -> int:
    positive = np.flatnonzero(weight > 0)
    return int(positive[-1]) if positive.size else weight.size - 1


def draw_distinct(weight: Array, rng: np.random.Generator, size: int) -> AnyArray:
    """Up to `size` different positions, as if drawn one after another by weight among those left.

    An exponential race does it in one go (Efraimidis & Spirakis 2006). Fewer come back if fewer have weight.
    """
    with np.errstate(divide="ignore"):
        arrival = rng.standard_exponential(weight.size) / weight
    size = min(size, int(np.count_nonzero(weight > 0)))
    return np.argsort(arrival, kind="stable")[:size]
