"""The pieces of a Gaussian M-step in arrays: covariances about given means, and means under constraints."""

from __future__ import annotations

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.families.shapes.mstep import maximize_shape, maximize_variances
from jensen.families.shapes.prior import with_ridge
from jensen.families.shapes.table import CovarianceShape
from jensen.numerics.cholesky import symmetric


def covariances_about(
    shape: CovarianceShape, counts: Array, scatter: Array, ridge: Array, old: Array, equal: bool = False
) -> Array:
    """Covariances that maximise Q at the means about which a scatter was taken (Celeux & Govaert 1995, with R).

    Parameters
    ----------
    shape : CovarianceShape
        Which covariances, in its layout.
    counts : ndarray of shape (K,)
        Expected weights of the components.
    scatter : ndarray
        About the means, in the layout.
    ridge : ndarray of shape (d,)
        Diagonal of R, in squared units of the columns.
    old : ndarray
        Covariances that components without rows keep.
    equal : bool, default=False
        Whether all components share one covariance, from their scatter together.

    Raises
    ------
    NumericalFailure
        If there is no maximum, as where a component has no scatter in a direction that its shape needs.
    """
    if shape.layout == "tied":
        return np.asarray(symmetric(scatter) / counts.sum() + np.diag(ridge))
    if equal or shape.is_common:
        counts, scatter = np.full_like(counts, counts.sum()), np.broadcast_to(scatter.sum(axis=0), scatter.shape)
    elif shape.label != shape.layout:
        return _within_shape(shape, counts, scatter, ridge, old)
    alive = counts > 0
    safe = np.where(alive, counts, 1.0)
    if shape.layout == "full":
        covariances = symmetric(scatter) / safe[:, None, None] + np.diag(ridge)
    else:
        # Rounding may carry a sum of squares below 0 by a hair.
        scatter = np.maximum(scatter, 0.0)
        if shape.layout == "diag":
            covariances = scatter / safe[:, None] + ridge
        else:
            covariances = scatter / (safe * ridge.size) + ridge.mean()
    covariances[~alive] = old[~alive]
    return np.asarray(covariances)


def _within_shape(shape: CovarianceShape, counts: Array, scatter: Array, ridge: Array, old: Array) -> Array:
    """The maximiser of a shape whose components have something in common, but not all."""
    if shape.layout == "full":
        return maximize_shape(shape.name, counts, with_ridge("full", counts, scatter, ridge), old)
    return maximize_variances(shape.name, counts, with_ridge("diag", counts, np.maximum(scatter, 0.0), ridge), old)


def constrained_means(
    best: Array, counts: Array, whitening: Array, current: Array, held: AnyArray, equal: bool
) -> Array:
    """Means (K, d) that maximise Q at given covariances, with entries held or all rows equal.

    Q falls by n_k |L_k^-1 (mu_k - best_k)|^2 / 2 on the way from the unconstrained maximiser: least squares.

    Parameters
    ----------
    best : ndarray of shape (K, d)
        The unconstrained maximiser, the weighted means.
    counts : ndarray of shape (K,)
        Expected weights of the components.
    whitening : ndarray of shape (K, d, d)
        L_k^-1.
    current : ndarray of shape (K, d)
        Where held entries are.
    held : ndarray of shape (K, d) of bool
        Which entries are held.
    equal : bool
        Whether all means are to be equal; then nothing is held.
    """
    if equal:
        rows = np.sqrt(counts)[:, None, None] * whitening
        sides = np.einsum("kij,kj->ki", rows, best)
        common = np.linalg.lstsq(rows.reshape(-1, best.shape[1]), sides.ravel(), rcond=None)[0]
        return np.tile(common, (len(best), 1))
    means = np.where(held, current, best)
    for k in np.flatnonzero(held.any(axis=1) & ~held.all(axis=1)):
        # Entries that are held away from the best pull on those that go with them.
        pull = whitening[k][:, held[k]] @ (means[k] - best[k])[held[k]]
        means[k, ~held[k]] -= np.linalg.lstsq(whitening[k][:, ~held[k]], pull, rcond=None)[0]
    return means
