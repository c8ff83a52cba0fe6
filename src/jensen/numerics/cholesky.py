"""Cholesky factors of stacks of covariance matrices; the covariance itself is never inverted."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from jensen.core.block import Array
from jensen.errors import NumericalFailure


def lower_factors(matrices: Array) -> Array:
    """Lower Cholesky factors of a stack of symmetric matrices.

    Parameters
    ----------
    matrices : ndarray of shape (..., d, d)
        Symmetric positive definite.

    Raises
    ------
    NumericalFailure
        If one is not positive definite; the message names which.
    """
    try:
        return np.asarray(np.linalg.cholesky(matrices), dtype=np.float64)
    except np.linalg.LinAlgError:
        flat = matrices.reshape(-1, *matrices.shape[-2:])
        bad = [k for k, matrix in enumerate(flat) if not is_positive_definite(matrix)]
        raise NumericalFailure(f"covariance of component {bad} is not positive definite") from None


def is_positive_definite(matrix: Array) -> bool:
    """Whether one symmetric matrix (d, d) has a Cholesky factor."""
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return bool(np.isfinite(matrix).all())


def triangular_inverses(factors: Array) -> Array:
    """Inverses of a stack of lower triangular factors (..., d, d), each lower triangular."""
    flat = factors.reshape(-1, *factors.shape[-2:])
    out = np.empty_like(flat)
    for k, factor in enumerate(flat):
        out[k], info = lapack.dtrtri(factor, lower=1)
        if info != 0:
            raise NumericalFailure(f"Cholesky factor {k} has a zero on its diagonal")
    return np.tril(out).reshape(factors.shape)


def log_diagonals(factors: Array) -> Array:
    """Sum of the logarithms of each factor's diagonal, shape (...,): half a log-determinant of L L'."""
    return np.asarray(np.log(np.diagonal(factors, axis1=-2, axis2=-1)).sum(axis=-1))


def symmetric(matrices: Array) -> Array:
    """The symmetric part of a stack of matrices, which products of factors have only up to rounding."""
    return 0.5 * (matrices + np.swapaxes(matrices, -1, -2))
