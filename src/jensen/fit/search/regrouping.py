"""Escapes that draw: some neighbouring components are fitted anew on their own rows, or all of them to other weights.

Optima of much the same height often differ in how three or four neighbours share their rows, which no single split and
merge changes; or in what a few rows decide, which other weights of the rows undo (Elidan et al. 2002).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jensen.core.block import Array
from jensen.core.contracts import Run
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.errors import NumericalFailure
from jensen.families.gaussian import Gaussian
from jensen.families.moves import components_of, merge_losses, with_components
from jensen.fit.search.climbing import matched
from jensen.fit.starts.descent import enlarged
from jensen.fit.starts.draw import spread_out
from jensen.fit.starts.kmeans import nearest_labels, seed_rows
from jensen.models.mixture import Mixture
from jensen.numerics.order import draw_distinct
from jensen.solve.loop import Limits, run, unless_interrupted
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Plain

# Sizes of a group, and what its neighbours are chosen by: the merge's loss times the exponential of so much noise.
_SIZES, _NOISE = (3, 5), 0.3
# Steps on the rows of a group; rows for each of its components at most.
_LOCAL_STEPS, _LOCAL_ROWS = 16, 1_024
# Nats and spreads within which a group has come back to where it was.
_ALIKE, _NEAR = 2.0, 0.2
# Steps with other weights.
_SHAKEN_STEPS = 8


def regrouped(
    model: Mixture, source: ArraySource, weight: Array, resp: Array, params: Parameters, rng: np.random.Generator
) -> tuple[float, Parameters] | None:
    """A random component and some neighbours, fitted from k-means++ seeds on the rows that are most probably theirs.

    Parameters
    ----------
    model : Mixture
        Of K Gaussian components.
    source : ArraySource
        n rows.
    weight : ndarray of shape (n,)
        Their weights.
    resp : ndarray of shape (n, K)
        Responsibilities at `params`.
    params : Parameters
        An optimum.
    rng : numpy.random.Generator
        Chooses the group, and seeds.

    Returns
    -------
    Parameters or None
        None where the group has too few rows, or no sound end.

    Raises
    ------
    KeyboardInterrupt
        If the group's own run is interrupted.
    """
    family: Gaussian = model.family  # type: ignore[assignment]
    k, d = family.n_components, family.n_features
    first, second, losses = merge_losses(family.layout, params, float(weight.sum()))
    nearness = np.full((k, k), np.inf)
    nearness[first, second] = nearness[second, first] = losses
    size, chosen = min(int(rng.integers(*_SIZES)), k), int(rng.integers(k))
    by = nearness[chosen] * np.exp(_NOISE * rng.standard_normal(k))
    by[chosen] = -np.inf
    group = np.sort(np.argsort(by, kind="stable")[:size])
    rows = np.flatnonzero(np.isin(resp.argmax(axis=1), group))
    share = weight[rows] * resp[rows][:, group].sum(axis=1)
    if len(rows) > size * _LOCAL_ROWS:
        some = np.sort(draw_distinct(share, rng, size * _LOCAL_ROWS))
        rows, share = rows[some], share[some]
    if share.sum() < 2 * size * (d + 1) or np.count_nonzero(share) <= size:
        return None
    x, few = np.asarray(source.x[rows], dtype=np.float64), enlarged(model, size)
    scale = x.std(axis=0)
    z = (x - x.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    seeds = seed_rows(z, share, size, rng)
    if len(seeds) < size:
        return None
    about = x - x[seeds][nearest_labels(z, z[seeds])]
    variances = share @ about**2 / share.sum() + family.ridge
    equal = np.full(size, 1.0 / size)
    start = few.parameters(weights=equal, means=x[seeds], covariances=spread_out(few, variances))
    local = ArraySource(x, share)
    ended = _climbed(few, local, start, _LOCAL_STEPS)
    if ended is None:
        return None
    weights, means, covariances = components_of(family.layout, params)
    common = family.layout == "tied"
    before = few.parameters(
        weights=weights[group] / weights[group].sum(),
        means=means[group],
        covariances=covariances[0] if common else covariances[group],
    )
    gain = ended.objective - few.objective(before, local.fold(few.expect, before))
    own_weights, own_means, own_covariances = components_of(family.layout, ended.params)
    scale = np.sqrt(variances)
    if abs(gain) < _ALIKE and matched(own_means / scale, means[group] / scale, _NEAR):
        return None
    weights[group] = weights[group].sum() * own_weights
    means[group], covariances[group] = own_means, own_covariances
    return float(gain), with_components(family, params, weights, means, covariances)


def shaken(
    model: Mixture, source: ArraySource, weight: Array, params: Parameters, rng: np.random.Generator
) -> Parameters | None:
    """Some steps of EM with every row's weight w drawn anew, from a gamma distribution of mean and variance w.

    As in the Bayesian bootstrap (Rubin 1981). The sum over w rows of weight 1 has that distribution, so that weights
    mean copies here, too. None where this has no sound end.
    """
    drawn = rng.gamma(weight)
    if not drawn.sum() > 0:
        return None
    ended = _climbed(model, ArraySource(source.x, drawn * (weight.sum() / drawn.sum())), params, _SHAKEN_STEPS)
    return None if ended is None else ended.params


def _climbed(model: Mixture, source: ArraySource, start: Parameters, n_iter: int) -> Run[Any] | None:
    rule = AitkenRule(source.weight, tol=0.01)
    try:
        ended = unless_interrupted(run(Plain("off").solver(model, rule), source, start, rule, Limits(n_iter)))
    except NumericalFailure:
        return None
    return None if model.faults(ended.params, ended.statistics) else ended
