"""M-steps in closed form: EII, VII, EEI, EVI, VVI, EEE, EEV, EVV, VVV (Celeux & Govaert 1995; models by their names).

Each takes counts n_k > 0 of shape (K,) and symmetric scatters W_k about the means, (K, d, d), and returns the
covariances (K, d, d) that maximise -1/2 sum_k (n_k log|Sigma_k| + tr(Sigma_k^-1 W_k)) within the shape. n is sum_k n_k,
and W is sum_k W_k.
"""

from __future__ import annotations

import numpy as np

from jensen.core.block import Array
from jensen.errors import NumericalFailure
from jensen.numerics.cholesky import log_diagonals, lower_factors, symmetric

# A scatter whose Cholesky factor has a pivot below this share of the variance has a determinant of rounding alone.
SINGULAR = 1e-13


def eii(counts: Array, scatter: Array) -> Array:
    """[lambda I]: lambda = tr W / (n d)."""
    d = scatter.shape[-1]
    return _repeat(np.eye(d) * (np.trace(scatter.sum(axis=0)) / (counts.sum() * d)), len(counts))


def vii(counts: Array, scatter: Array) -> Array:
    """[lambda_k I]: lambda_k = tr W_k / (n_k d)."""
    d = scatter.shape[-1]
    volumes = np.trace(scatter, axis1=1, axis2=2) / (counts * d)
    return np.asarray(volumes[:, None, None] * np.eye(d))


def eei(counts: Array, scatter: Array) -> Array:
    """[lambda B]: Sigma = diag(W) / n."""
    return _repeat(np.diag(np.diagonal(scatter.sum(axis=0))) / counts.sum(), len(counts))


def evi(counts: Array, scatter: Array) -> Array:
    """[lambda B_k]: B_k = diag(W_k) / |diag(W_k)|^(1/d) and lambda = sum_k |diag(W_k)|^(1/d) / n."""
    return diagonals(equal_volumes(counts, variances(scatter)))


def vvi(counts: Array, scatter: Array) -> Array:
    """[lambda_k B_k]: Sigma_k = diag(W_k) / n_k."""
    return diagonals(variances(scatter) / counts[:, None])


def eee(counts: Array, scatter: Array) -> Array:
    """[lambda D A D']: Sigma = W / n."""
    return _repeat(scatter.sum(axis=0) / counts.sum(), len(counts))


def eev(counts: Array, scatter: Array) -> Array:
    """[lambda D_k A D_k']: with W_k = L_k Omega_k L_k', D_k = L_k and lambda A = sum_k Omega_k / n.

    The eigenvalues of every W_k are in the same order, which is what makes L_k the best orientation.
    """
    values, vectors = np.linalg.eigh(scatter)
    return rotated(np.broadcast_to(values.sum(axis=0) / counts.sum(), values.shape), vectors)


def evv(counts: Array, scatter: Array) -> Array:
    """[lambda D_k A_k D_k']: C_k = W_k / |W_k|^(1/d) and lambda = sum_k |W_k|^(1/d) / n."""
    lower = lower_factors(scatter)
    pivots, own = np.diagonal(lower, axis1=1, axis2=2) ** 2, np.diagonal(scatter, axis1=1, axis2=2)
    if not (pivots > SINGULAR * own).all():
        bad = np.flatnonzero(~(pivots > SINGULAR * own).all(axis=1)).tolist()
        raise NumericalFailure(f"covariance of component {bad} is not positive definite")
    logs = 2.0 * log_diagonals(lower) / scatter.shape[-1]
    return np.asarray(scatter * _volume_over_each(counts, logs)[:, None, None])


def vvv(counts: Array, scatter: Array) -> Array:
    """[lambda_k D_k A_k D_k']: Sigma_k = W_k / n_k."""
    return np.asarray(scatter / counts[:, None, None])


# --------------------------------------------------------------------------------------------- shared pieces


def variances(scatter: Array) -> Array:
    """The diagonals (K, d) of scatters; rounding may carry a sum of squares below 0 by a hair."""
    return np.maximum(np.diagonal(scatter, axis1=1, axis2=2), 0.0)


def equal_volumes(counts: Array, values: Array) -> Array:
    """Variances (K, d) along given axes, of one volume and shapes of their own, from scatter along these axes (K, d).

    Raises
    ------
    NumericalFailure
        If a component has no scatter along an axis: its shape has no end then.
    """
    if not (values > 0).all():
        bad = np.flatnonzero(~(values > 0).all(axis=1)).tolist()
        raise NumericalFailure(f"covariance of component {bad} is not positive definite")
    return np.asarray(values * _volume_over_each(counts, np.log(values).mean(axis=1))[:, None])


def _volume_over_each(counts: Array, logs: Array) -> Array:
    """lambda / |W_k|^(1/d) for lambda = sum_k |W_k|^(1/d) / n, from the logarithms of |W_k|^(1/d)."""
    peak = logs.max()
    return np.asarray(np.exp(peak - logs) * (np.exp(logs - peak).sum() / counts.sum()))


def diagonals(values: Array) -> Array:
    """Diagonal matrices (K, d, d) of variances (K, d)."""
    return np.asarray(values[:, :, None] * np.eye(values.shape[1]))


def rotated(values: Array, vectors: Array) -> Array:
    """Matrices with eigenvalues (K, d) along the columns of (d, d) or (K, d, d)."""
    return symmetric((vectors * values[:, None, :]) @ np.swapaxes(vectors, -1, -2))


def _repeat(matrix: Array, n_components: int) -> Array:
    return np.tile(matrix, (n_components, 1, 1))
