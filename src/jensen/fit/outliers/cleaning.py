"""Guesses at which rows of a table belong to no group: where rows are few, or where a first fit has little density."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.data.arrays import ArraySource
from jensen.errors import NumericalFailure
from jensen.fit.starts.draw import draw_start
from jensen.fit.summary import DataSummary
from jensen.models.mixture import Mixture
from jensen.solve.loop import Limits, run, unless_interrupted
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Plain

# Rows among which neighbours are looked for, and the neighbour that counts, in rows of average weight.
_MOST_ROWS, _NEIGHBOUR = 2_048, 12.0
_TURNS = 50
# Largest exponent of a distance, beyond which it is far or near for certain.
_FAR = 300.0
_FIRST_STEPS = 10


def neighbour_distances(z: Array, weight: Array, beyond: float) -> Array:
    """Distance of each row (m, d) to the one by which its neighbours weigh `beyond`, shape (m,).

    A row of weight w counts as w rows in one place, of which it is one itself.
    """
    from scipy.spatial import cKDTree

    unit = float(weight.mean())
    size = min(len(z), int(np.ceil(3 * beyond / unit)) + 1)
    distances, neighbours = cKDTree(z).query(z, size)
    heap = np.cumsum(np.reshape(weight[neighbours], (len(z), size)), axis=1) - np.minimum(weight, unit)[:, None]
    at = np.minimum((heap < beyond).sum(axis=1), size - 1)
    return np.asarray(np.reshape(distances, (len(z), size))[np.arange(len(z)), at])


def noise_by_neighbours(z: Array, weight: Array) -> AnyArray:
    """Rows that lie rather in thin noise than in groups, by the distance to a near neighbour (Byers & Raftery 1998).

    Around a row of a Poisson process of rate r, the number of neighbours within a distance D is Poisson, so that D^d to
    the k-th of them is gamma with shape k and a rate in proportion to r. EM tells two rates apart.

    Parameters
    ----------
    z : ndarray of shape (m, d)
        Rows in comparable units.
    weight : ndarray of shape (m,)
        Positive weights.

    Returns
    -------
    ndarray of shape (m,) of bool
    """
    d, k = z.shape[1], min(_NEIGHBOUR, len(z) / 4.0)
    distances = neighbour_distances(z, weight, k * float(weight.mean()))
    positive = distances > 0
    if not positive.any():
        return np.zeros(len(z), dtype=bool)
    logs = np.log(np.maximum(distances, np.finfo(np.float64).tiny))
    scaled = np.exp(np.clip(d * (logs - np.median(logs[positive])), -_FAR, _FAR))
    noise = (scaled > np.median(scaled)).astype(np.float64)
    for _ in range(_TURNS):
        masses = np.array([weight @ (1.0 - noise), weight @ noise])
        sums = np.array([(weight * (1.0 - noise)) @ scaled, (weight * noise) @ scaled])
        if not ((masses > 0) & (sums > 0)).all():
            break
        rates = k * masses / sums
        odds = np.log(masses[1] / masses[0]) + k * np.log(rates[1] / rates[0]) - (rates[1] - rates[0]) * scaled
        noise = 1.0 / (1.0 + np.exp(-np.clip(odds, -_FAR, _FAR)))
    return np.asarray(noise > 0.5)


def thinnest(values: Array, weight: Array, share: float) -> AnyArray:
    """The rows of smallest value (m,) that together weigh at most a share of all, as a mask (m,)."""
    order = np.argsort(values, kind="stable")
    heap = np.cumsum(weight[order])
    found = np.zeros(len(values), dtype=bool)
    found[order[heap <= share * heap[-1] * (1.0 + 1e-12)]] = True
    return found


def first_density(model: Mixture, data: DataSummary, rng: np.random.Generator) -> Array | None:
    """Log-densities (m,) of the table's rows after a few steps from a start on all of them, or None without any."""
    source = ArraySource(data.rows, data.weight)
    rule = AitkenRule(source.weight)
    try:
        start = draw_start("kmeans", model, data, rng)
        found = unless_interrupted(run(Plain("off").solver(model, rule), source, start, rule, Limits(_FIRST_STEPS)))
    except NumericalFailure:
        return None
    return source.collect(model.row_loglik, found.params)


def sampled(data: DataSummary, rng: np.random.Generator) -> DataSummary:
    """The table, or so many of its rows as neighbours are looked for among."""
    if len(data.rows) <= _MOST_ROWS:
        return data
    chosen = np.sort(rng.choice(len(data.rows), _MOST_ROWS, replace=False))
    return replace(data, rows=np.ascontiguousarray(data.rows[chosen]), weight=data.weight[chosen])


def without(data: DataSummary, outlying: AnyArray) -> DataSummary:
    """The table without some rows, its centre and variances those of the others."""
    rows, weight = np.ascontiguousarray(data.rows[~outlying]), data.weight[~outlying]
    centre = weight @ rows / weight.sum()
    variance = weight @ (rows - centre) ** 2 / weight.sum()
    # Where what is left does not vary, the scale is that of the whole.
    variance = np.where(variance > 0, variance, data.variance)
    return replace(data, rows=rows, weight=weight, centre=centre, variance=variance)
