"""Structural moves of Gaussian components: merge two, split one, move one, heat all. Algebra of parameters alone."""

from __future__ import annotations

import numpy as np
from scipy.special import xlogy

from jensen.core.block import AnyArray, Array
from jensen.core.parameters import Parameters
from jensen.families.gaussian import Gaussian
from jensen.families.whitening import whiten
from jensen.kernels.choose import native_smallest_ratios
from jensen.kernels.portable import Layout


def components_of(layout: Layout, params: Parameters) -> tuple[Array, Array, Array]:
    """Copies of the weights, the means, and the covariances with one for each component, in the layout."""
    covariances = params["covariances"]
    if layout == "tied":
        covariances = np.broadcast_to(covariances, (len(params["means"]), *covariances.shape))
    return params["weights"].copy(), params["means"].copy(), covariances.copy()


def with_components(
    family: Gaussian, params: Parameters, weights: Array, means: Array, covariances: Array
) -> Parameters:
    """The record with these components; what the family's shape makes common is averaged by weight."""
    weights = np.maximum(weights, 0.0) / weights.sum()
    own = family.in_shape(weights, covariances, params["covariances"])
    return params.replace(weights=weights, means=means, covariances=own)


def outer(layout: Layout, vectors: Array) -> Array:
    """v v' of vectors (K, d) in a layout."""
    if layout in ("full", "tied"):
        return vectors[:, :, None] * vectors[:, None, :]
    return vectors**2 if layout == "diag" else np.asarray((vectors**2).mean(axis=1))


def log_determinants(layout: Layout, covariances: Array, d: int) -> Array:
    """log|Sigma_k| (K,) of covariances in a layout, one for each component."""
    if layout in ("full", "tied"):
        return np.asarray(np.linalg.slogdet(covariances)[1])
    return np.log(covariances).sum(axis=1) if layout == "diag" else d * np.log(covariances)


def merged_pairs(layout: Layout, params: Parameters, first: AnyArray, second: AnyArray) -> tuple[Array, Array, Array]:
    """Weights, means and covariances of pairs of components taken as one, with the same moments."""
    weights, means, covariances = components_of(layout, params)
    total = np.maximum(weights[first] + weights[second], 1e-300)
    share = weights[second] / total
    gap = means[second] - means[first]
    lift = [-1] + [1] * (covariances.ndim - 1)
    between = share.reshape(lift)
    spread = (1.0 - between) * covariances[first] + between * covariances[second]
    spread = spread + (between * (1.0 - between)) * outer(layout, gap)
    return total, means[first] + share[:, None] * gap, spread


def merge_losses(layout: Layout, params: Parameters, weight: float) -> tuple[AnyArray, AnyArray, Array]:
    """Pairs of components i < j, and what the likelihood loses at most when each is merged.

    The complete-data log-likelihood of hard clusters before and after (Runnalls 2007, equation 21, with the mixing
    weights); where components overlap, the loss is smaller.

    Parameters
    ----------
    layout : {"full", "tied", "diag", "spherical"}
        Of the covariances.
    params : Parameters
        K components.
    weight : float
        Sum of the rows' weights.

    Returns
    -------
    tuple of ndarray
        i, j and the losses in nats.
    """
    n_components, d = params["means"].shape
    first, second = np.triu_indices(n_components, 1)
    weights, _, covariances = components_of(layout, params)
    total, _, spread = merged_pairs(layout, params, first, second)
    logs = log_determinants(layout, covariances, d)
    size = 0.5 * (
        total * log_determinants(layout, spread, d) - weights[first] * logs[first] - weights[second] * logs[second]
    )
    shares = xlogy(total, total) - xlogy(weights[first], weights[first]) - xlogy(weights[second], weights[second])
    return first, second, weight * (size - shares)


def heated(layout: Layout, params: Parameters, temperature: float) -> Parameters:
    """Parameters whose responsibilities are those of `params` to the power 1 / temperature, normalised.

    Deterministic annealing (Ueda & Nakano 1998) takes its E-step so: (pi_k f_k)^(1/T) is proportional to
    pi_k^(1/T) |Sigma_k|^(1/2 - 1/(2T)) times the density with the covariance T Sigma_k.
    """
    weights, means, covariances = components_of(layout, params)
    logs = log_determinants(layout, covariances, means.shape[1])
    heat = np.log(np.maximum(weights, 1e-300)) / temperature + logs * (0.5 - 0.5 / temperature)
    shares = np.exp(heat - heat.max())
    return params.replace(weights=shares / shares.sum(), covariances=params["covariances"] * temperature)


def narrow_components(
    layout: Layout, params: Parameters, columns: AnyArray, threshold: float
) -> list[tuple[int, float]]:
    """Components much narrower in some direction than components are on average.

    Parameters
    ----------
    layout : {"full", "tied", "diag", "spherical"}
        Of the covariances; equal ones are never narrow beside one another.
    params : Parameters
        K components.
    columns : ndarray of shape (d,) of bool
        Columns that count.
    threshold : float
        Smallest eigenvalue, in units of the average covariance, below which a component is narrow.

    Returns
    -------
    list of (int, float)
        Components, and their smallest eigenvalues in units of the average.
    """
    if layout == "tied" or len(params["weights"]) < 2 or not columns.any():
        return []
    covariances = params["covariances"]
    average = (params["weights"] @ covariances.reshape(len(covariances), -1)).reshape(covariances.shape[1:])
    ratios = native_smallest_ratios(covariances, average) if layout == "full" and columns.all() else None
    if ratios is None and layout == "full":
        lower = np.linalg.cholesky(average[np.ix_(columns, columns)])
        if columns.all():
            # No eigenvalue is below 1 / tr(Sigma_k^-1 average): mostly, this says enough at no cost.
            white = whiten(layout, params)[0] @ lower
            if threshold * np.einsum("kij,kij->k", white, white).max() < 1.0:
                return []
        half = np.linalg.solve(lower, covariances[:, columns][:, :, columns])
        ratios = np.asarray(np.linalg.eigvalsh(np.linalg.solve(lower, np.swapaxes(half, 1, 2)))[:, 0])
    elif layout == "diag":
        ratios = (covariances / average)[:, columns].min(axis=1)
    elif ratios is None:
        ratios = covariances / average
    return [(int(k), float(ratios[k])) for k in np.flatnonzero(ratios < threshold)]
