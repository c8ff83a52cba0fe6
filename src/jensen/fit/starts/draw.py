"""Where a Gaussian mixture may start: partitions and seeds drawn from a table of rows, or what the user brings.

Every start ends in parameters. A start that would put a component on too few rows for its covariance gets the
covariance pooled over components there; what EM makes of it is EM's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.errors import NumericalFailure
from jensen.families.gaussian import NEARLY_SINGULAR, Gaussian
from jensen.families.moments import GaussianStatistics
from jensen.families.whitening import clear_of, factors, floor_ratios
from jensen.fit.starts.kmeans import lloyd, nearest_labels, seed_rows
from jensen.fit.starts.seeding import adaptive_labels, hierarchical_labels, local_labels
from jensen.fit.summary import DataSummary
from jensen.kernels.choose import native_kernels, native_labelled_moments
from jensen.models.mixture import Mixture, MixtureStatistics
from jensen.numerics.cholesky import is_positive_definite
from jensen.numerics.order import draw_distinct

StartKind = Literal["kmeans", "k-means++", "random", "random_from_data", "adaptive", "hierarchical", "local"]
START_KINDS: tuple[StartKind, ...] = get_args(StartKind)

_PARTITIONS = {"adaptive": adaptive_labels, "hierarchical": hierarchical_labels, "local": local_labels}

# A covariance with an eigenvalue below this share of the automatic ridge is singular but for rounding.
_START_FLOOR = 1e-4


def draw_start(kind: StartKind, model: Mixture, data: DataSummary, rng: np.random.Generator) -> Parameters:
    """Parameters to start from.

    Parameters
    ----------
    kind : {"kmeans", "k-means++", "random", "random_from_data", "adaptive", "hierarchical", "local"}
        ``kmeans``: clusters of weighted k-means, seeded by k-means++. ``k-means++``: its seeds alone as means.
        ``random``: a random balanced partition of a few rows for each component; never nearly equal
        responsibilities, which sit on a saddle. ``random_from_data``: rows as means. Seeds and rows come with the
        covariance of the data about the nearest of them. ``adaptive``, ``hierarchical``, ``local``: partitions, see
        `jensen.fit.starts.seeding`.
    model : Mixture
        Of Gaussian components.
    data : DataSummary
        The table that is drawn from.
    rng : numpy.random.Generator
        The stream to draw from.
    """
    labels = draw_labels(kind, model.n_components, data, rng)
    if labels is not None:
        return from_labels(model, data, labels)
    z, n_components = data.standardised, model.n_components
    if kind == "random_from_data":
        seeds = draw_distinct(data.weight, rng, n_components)
    else:
        seeds = seed_rows(z, data.weight, n_components, rng)
    # With fewer different rows than components, components share rows; coinciding ones are reported after the fit.
    seeds = seeds if len(seeds) == n_components else np.resize(seeds, n_components)
    return _from_seeds(model, data, z, seeds)


def draw_labels(kind: StartKind, n_components: int, data: DataSummary, rng: np.random.Generator) -> AnyArray | None:
    """The labels (m,) of the table's rows that a start of some kinds takes the M-step from, whatever the model is.

    Parameters
    ----------
    kind, data, rng
        As for `draw_start`.
    n_components : int
        Parts.

    Returns
    -------
    ndarray of shape (m,), or None
        None for kinds that begin with seeds, or where seeds of k-means would coincide.
    """
    if kind == "random":
        return _random_partition(data, n_components, rng)
    z = data.standardised
    if kind in _PARTITIONS:
        return _PARTITIONS[kind](z, data.weight, n_components, rng)
    if kind != "kmeans":
        return None
    seeds = seed_rows(z, data.weight, n_components, rng)
    return lloyd(z, data.weight, z[seeds]) if len(set(seeds.tolist())) == n_components else None


def from_labels(model: Mixture, data: DataSummary, labels: AnyArray) -> Parameters:
    """The M-step from labels (m,) of the table's rows; -1 leaves a row out."""
    if native_kernels() is None:
        return from_given(model, data, ArraySource(data.rows, data.weight, labels=labels))
    family: Gaussian = model.family  # type: ignore[assignment]
    counts, means, scatter = native_labelled_moments(data.rows, data.weight, labels, family.layout, family.n_components)
    means = np.where(counts[:, None] > 0, means, data.centre)
    template = model.parameters(weights=counts, means=means, covariances=spread_out(model, data.scale**2))
    moments = GaussianStatistics(counts, np.zeros_like(means), scatter, template["means"], family.layout)
    statistics = MixtureStatistics(moments, float(counts.sum()), np.nan)
    params = _maximized(model, data, template, statistics)
    try:
        # Most starts are far from singular, which the factors that the first E-step needs say at no cost.
        penalty = factors(family.layout, params, data.auto_ridge())[2]
        if clear_of(penalty, NEARLY_SINGULAR):
            return params
    except NumericalFailure:
        pass
    return _decorrelated(model, _repair(model, data, params))


def from_given(model: Mixture, data: DataSummary, source: ArraySource) -> Parameters:
    """The M-step from the labels or responsibilities that a source brings beside its rows.

    Taken twice: the moments of the second time are about the means of the first, which makes them exact.
    """
    params = _template(model, data)
    for _ in range(2):
        params = _maximized(model, data, params, source.fold(model.expect_given, params))
    return _decorrelated(model, _repair(model, data, params))


def _maximized(model: Mixture, data: DataSummary, params: Parameters, statistics: MixtureStatistics) -> Parameters:
    """The M-step; where components have too few rows for the shape, with the automatic R, which lifts them off zero."""
    try:
        return model.maximize(params, statistics)
    except NumericalFailure:
        family: Gaussian = model.family  # type: ignore[assignment]
        lifted = replace(family, ridge=np.maximum(family.ridge, data.auto_ridge()))
        return replace(model, family=lifted).maximize(params, statistics)


def _template(model: Mixture, data: DataSummary) -> Parameters:
    """Equal weights, every mean in the centre, the spread of the whole data."""
    n_components = model.n_components
    return model.parameters(
        weights=np.full(n_components, 1.0 / n_components),
        means=np.tile(data.centre, (n_components, 1)),
        covariances=spread_out(model, data.scale**2),
    )


def spread_out(model: Mixture, variances: Array) -> Array:
    """Covariances in the model's layout with the same variances (d,) in every component; every shape has them."""
    family: Gaussian = model.family  # type: ignore[assignment]
    k, d = family.n_components, family.n_features
    if family.layout == "full":
        matrices = np.zeros((k, d * d))
        matrices[:, :: d + 1] = variances
        return matrices.reshape(k, d, d)
    if family.layout == "tied":
        return np.diag(variances)
    return np.tile(variances, (k, 1)) if family.layout == "diag" else np.full(k, variances.mean())


def _random_partition(data: DataSummary, n_components: int, rng: np.random.Generator) -> AnyArray:
    """Balanced labels for some 5 (d + 1) rows a component, and -1 for the others.

    On all the rows, the means of random parts would differ by no more than their standard errors.
    """
    n_rows, d = data.rows.shape
    size = min(n_rows, n_components * 5 * (d + 1))
    labels = np.full(n_rows, -1)
    chosen = draw_distinct(data.weight, rng, size)
    labels[chosen] = np.arange(len(chosen)) % n_components
    return labels


def _from_seeds(model: Mixture, data: DataSummary, z: Array, seeds: AnyArray) -> Parameters:
    """Seeds as means, equal weights, and the pooled spread of the rows about the nearest seed."""
    nearest = nearest_labels(z, z[seeds])
    about = data.rows - data.rows[seeds][nearest]
    variances = data.weight @ about**2 / data.weight.sum() + data.auto_ridge()
    n_components = model.n_components
    return model.parameters(
        weights=np.full(n_components, 1.0 / n_components),
        means=data.rows[seeds],
        covariances=spread_out(model, variances),
    )


def _repair(model: Mixture, data: DataSummary, params: Parameters) -> Parameters:
    """Give components whose covariance is singular for want of rows the average one, lifted off zero."""
    family: Gaussian = model.family  # type: ignore[assignment]
    covariances, floor = params["covariances"], data.auto_ridge()
    ratios = floor_ratios(family.layout, covariances, floor, data.informative)
    if ratios is None:
        return params
    starved = params["weights"] * data.total_weight < family.n_features + 1
    bad = ratios < _START_FLOOR
    if family.kind.is_common:
        return params.replace(covariances=covariances + spread_out(model, floor)) if bad.any() else params
    bad |= starved & (ratios < NEARLY_SINGULAR)
    if not bad.any():
        return params
    average = np.tensordot(params["weights"], covariances, axes=1)
    lift = spread_out(model, floor)[0]
    repaired = np.where(bad.reshape(-1, *[1] * lift.ndim), average + lift, covariances)
    return params.replace(covariances=family.in_shape(params["weights"], repaired, covariances))


def _decorrelated(model: Mixture, params: Parameters) -> Parameters:
    """Without the correlations of covariances that have no Cholesky factor.

    One far outlier is enough: its correlation of 1 but for rounding swallows the spread of all other rows.
    """
    family: Gaussian = model.family  # type: ignore[assignment]
    if family.layout in ("diag", "spherical"):
        return params
    covariances = params["covariances"]
    stack = covariances.reshape(-1, *covariances.shape[-2:])
    sound = np.array([is_positive_definite(matrix) for matrix in stack])
    if sound.all():
        return params
    diagonals = stack * np.eye(family.n_features)
    repaired = np.where(sound[:, None, None], stack, diagonals)
    if family.layout == "full":
        repaired = family.in_shape(params["weights"], repaired, diagonals)
    return params.replace(covariances=repaired.reshape(covariances.shape))


UserStart = Callable[[AnyArray, int, np.random.Generator], Any]
