"""Structural moves of Gaussian components: merge two, split one, move one, heat all. Algebra of parameters alone."""

from __future__ import annotations

from bisect import insort

import numpy as np
from scipy.special import xlogy

from jensen.core.block import AnyArray, Array
from jensen.core.parameters import Parameters
from jensen.families.gaussian import Gaussian
from jensen.families.whitening import whiten
from jensen.kernels.choose import native_merge_losses, native_smallest_ratios
from jensen.kernels.portable import Layout

# Responsibilities below this add nothing to an entropy.
_FAINT = 1e-9
# Share of a determinant that is left at least.
_FLAT = 1e-3


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


def variances_of(layout: Layout, covariances: Array, d: int) -> Array:
    """Variances (K, d) along the axes, of covariances in a layout, one for each component."""
    if layout in ("full", "tied"):
        return np.asarray(np.diagonal(covariances, axis1=1, axis2=2))
    return covariances if layout == "diag" else np.tile(covariances[:, None], (1, d))


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


def between(params: Parameters, first: AnyArray, second: AnyArray) -> Array:
    """u = (pi_i pi_j / (pi_i + pi_j))^1/2 (mu_i - mu_j) of pairs, shape (m, d): u u' lies between their means."""
    weights, means = params["weights"], params["means"]
    share = weights[first] * weights[second] / np.maximum(weights[first] + weights[second], 1e-300)
    return np.asarray(np.sqrt(share)[:, None] * (means[first] - means[second]))


def merge_losses(layout: Layout, params: Parameters, weight: float) -> tuple[AnyArray, AnyArray, Array]:
    """Pairs of components i < j, and what the complete-data likelihood loses when each is merged.

    That of hard clusters before and after (Runnalls 2007, equation 21, with the mixing weights); a common covariance
    stays what it is. Where components overlap, the likelihood itself loses more, since a mixture does not pay for not
    knowing whose a row is (`cheapest_merges`).

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
    found = native_merge_losses(layout, weight, params["weights"], params["means"], params["covariances"])
    if found is not None:
        return first, second, found
    weights, _, covariances = components_of(layout, params)
    total, _, spread = merged_pairs(layout, params, first, second)
    if layout == "tied":
        # The one that is left keeps the common covariance.
        apart = between(params, first, second) @ whiten(layout, params)[0].T
        size = 0.5 * (apart**2).sum(axis=1)
    else:
        logs = log_determinants(layout, covariances, d)
        size = 0.5 * (
            total * log_determinants(layout, spread, d) - weights[first] * logs[first] - weights[second] * logs[second]
        )
    shares = xlogy(total, total) - xlogy(weights[first], weights[first]) - xlogy(weights[second], weights[second])
    return first, second, weight * (size - shares)


def cheapest_merges(
    layout: Layout, params: Parameters, weight: Array, resp: Array, n_pairs: int
) -> tuple[AnyArray, AnyArray, Array]:
    """The pairs of components that cost least to merge, and what the likelihood loses at most by each.

    To the complete-data loss comes the entropy of whose of the two the rows are, sum_i w_i (r log r - r_ij log r_ij -
    r_ik log r_ik) with r = r_ij + r_ik. By Jensen's inequality, with the responsibilities as weights, the mixture with
    the pair as one loses no more.

    Parameters
    ----------
    layout : {"full", "tied", "diag", "spherical"}
        Of the covariances.
    params : Parameters
        K components, about where an M-step left them.
    weight : ndarray of shape (n,)
        The rows' weights.
    resp : ndarray of shape (n, K)
        Their responsibilities.
    n_pairs : int
        How many pairs are wanted.

    Returns
    -------
    tuple of ndarray
        i < j and the losses in nats, the least first; infinite ones, of components without volume, are left out.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second, least = merge_losses(layout, params, float(weight.sum()))
    columns = np.ascontiguousarray(resp.T)
    rows = [np.flatnonzero(column > _FAINT) for column in columns]
    found = list[tuple[float, int]]()
    # Entropies are not negative: what is dearer by labels alone than those found so far need not be looked at.
    for at in np.argsort(least, kind="stable").tolist():
        if not np.isfinite(least[at]) or (len(found) >= n_pairs and least[at] >= found[n_pairs - 1][0]):
            break
        i, j = first[at], second[at]
        both = rows[i][columns[j, rows[i]] > _FAINT]
        one, other = columns[i, both], columns[j, both]
        sums = one + other
        entropy = weight[both] @ (sums * np.log(sums) - one * np.log(one) - other * np.log(other))
        insort(found, (float(least[at] + entropy), at))
    chosen = [at for _, at in found[:n_pairs]]
    return first[chosen], second[chosen], np.array([loss for loss, _ in found[:n_pairs]])


def brought_by_common_covariance(covariance: Array, weight: float, merged: Array, parted: Array) -> Array:
    """What a covariance that all components share brings by following a merge and a split.

    Merging adds u u' to it and splitting takes v v' from it, u of the pair (`between`) and v of the two that come of
    one. Beside what these are worth while it stays, the likelihood gains
    n/2 (a - b - log((1 + a)(1 - b) + c^2)) with a = u' S^-1 u, b = v' S^-1 v, c = u' S^-1 v.

    Parameters
    ----------
    covariance : ndarray of shape (d, d)
        S.
    weight : float
        n, the sum of the rows' weights.
    merged : ndarray of shape (m, d)
        u of the merges.
    parted : ndarray of shape (K, d)
        v of the splits.

    Returns
    -------
    ndarray of shape (m, K)
        Nats.
    """
    lower = np.linalg.cholesky(covariance)
    u, v = np.linalg.solve(lower, merged.T).T, np.linalg.solve(lower, parted.T).T
    a, b, c = (u**2).sum(axis=1)[:, None], (v**2).sum(axis=1), u @ v.T
    # Of a component by itself b is below 1; where the rest hides it, what is left must stay a covariance.
    return np.asarray(0.5 * weight * (a - b - np.log(np.maximum((1.0 + a) * (1.0 - b) + c**2, _FLAT))))


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
