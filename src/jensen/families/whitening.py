"""What passes need of covariances: whitening factors, constants of the densities, and the penalty of a ridge."""

from __future__ import annotations

import math

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.parameters import Parameters
from jensen.errors import NumericalFailure
from jensen.kernels.choose import native_factors, native_smallest_ratios
from jensen.kernels.portable import Layout
from jensen.numerics.cholesky import log_diagonals, lower_factors, triangular_inverses

_LOG_2PI = math.log(2.0 * math.pi)


def clear_of(penalty: Array, times: float) -> bool:
    """Whether penalties tr(F Sigma_k^-1)/2 alone show every eigenvalue to be above so many times its floor F.

    No eigenvalue is below 1 / tr(F Sigma^-1) floors: this costs nothing and settles most cases.
    """
    return bool(2.0 * times * penalty.max() <= 1.0)


def floor_ratios(layout: Layout, covariances: Array, floor: Array, columns: AnyArray) -> Array | None:
    """Smallest eigenvalue of each covariance over some columns, in units of a floor for each column.

    Parameters
    ----------
    layout : {"full", "tied", "diag", "spherical"}
        Which covariances.
    covariances : ndarray
        In that layout.
    floor : ndarray of shape (d,)
        Variances, positive in the chosen columns.
    columns : ndarray of shape (d,) of bool
        The columns that count.

    Returns
    -------
    ndarray of shape (K,), or (1,) for ``tied``, or None
        None if no column counts.
    """
    if not columns.any():
        return None
    if layout == "spherical":
        return np.asarray(covariances / floor[columns].mean())
    if layout == "diag":
        return np.asarray((covariances[:, columns] / floor[columns]).min(axis=1))
    if layout == "full" and columns.all():
        found = native_smallest_ratios(covariances, np.diag(floor))
        if found is not None:
            return found
    unit = 1.0 / np.sqrt(floor[columns])
    inside = covariances.reshape(-1, *covariances.shape[-2:])[:, columns][:, :, columns]
    return np.asarray(np.linalg.eigvalsh(inside * unit[:, None] * unit)[:, 0])


def whiten(layout: Layout, params: Parameters) -> tuple[Array, Array]:
    """Whitening factors of the covariances, and the constants -d/2 log(2 pi) - log|L_k| (K,).

    Raises
    ------
    NumericalFailure
        If a covariance is not positive definite.
    """
    return factors(layout, params, np.zeros(params["means"].shape[1]))[:2]


def factors(layout: Layout, params: Parameters, ridge: Array) -> tuple[Array, Array, Array]:
    """What the E-step needs of the covariances: `whiten`'s two, and tr(R Sigma_k^-1)/2 (K,).

    Computed once for each record of parameters and R, and kept with the record.
    """
    ridge = np.ascontiguousarray(ridge)

    def compute(record: Parameters) -> tuple[Array, Array, Array]:
        covariances, n_components = record["covariances"], len(record["means"])
        found = native_factors(layout, covariances, ridge, n_components)
        if found is None:
            whitening, constants = _factorise(layout, covariances, ridge.size)
            penalty = np.broadcast_to(_penalty(layout, whitening, ridge), (n_components,))
            return whitening, np.broadcast_to(constants, (n_components,)), penalty
        *three, failed = found
        if failed >= 0:
            raise NumericalFailure(f"covariance of component [{failed}] is not positive definite")
        return three[0], three[1], three[2]

    return params.derived(f"factors {ridge.tobytes().hex()}", compute)


def _factorise(layout: Layout, covariances: Array, d: int) -> tuple[Array, Array]:
    """Whitening factors, and the constants for each component or for all."""
    if layout in ("full", "tied"):
        lower = lower_factors(covariances)
        return triangular_inverses(lower), -0.5 * d * _LOG_2PI - log_diagonals(lower)
    if not (covariances > 0).all():
        bad = np.flatnonzero(~(covariances.reshape(len(covariances), -1) > 0).all(axis=1))
        raise NumericalFailure(f"covariance of component {bad.tolist()} is not positive definite")
    whitening = 1.0 / np.sqrt(covariances)
    logs = np.log(whitening)
    return whitening, -0.5 * d * _LOG_2PI + (logs.sum(axis=1) if layout == "diag" else d * logs)


def _penalty(layout: Layout, whitening: Array, ridge: Array) -> Array:
    """tr(R Sigma^-1)/2 = |L^-1 R^(1/2)|^2 / 2, for each component or for all."""
    if layout in ("full", "tied"):
        return np.asarray(0.5 * np.einsum("...ij,...ij,j->...", whitening, whitening, ridge))
    return np.asarray(0.5 * (whitening**2 @ ridge if layout == "diag" else whitening**2 * ridge.sum()))


def as_full(layout: Layout, covariances: Array, n_components: int, d: int) -> Array:
    """Covariances in any layout as matrices, one for each component, (K, d, d)."""
    if layout == "full":
        return covariances
    if layout == "tied":
        return np.tile(covariances, (n_components, 1, 1))
    variances = covariances if layout == "diag" else np.tile(covariances[:, None], (1, d))
    return np.asarray(variances[:, :, None] * np.eye(d))


def in_layout(layout: Layout, matrices: Array) -> Array:
    """Covariances (K, d, d) in a layout, which keeps of them what it has room for."""
    if layout == "full":
        return matrices
    if layout == "tied":
        return np.array(matrices[0])
    diagonals = np.diagonal(matrices, axis1=1, axis2=2)
    return np.array(diagonals if layout == "diag" else diagonals[:, 0])
