"""One M-step for every covariance shape, and the part of the expected log-likelihood that it raises."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jensen.core.block import Array
from jensen.errors import InputError
from jensen.families.shapes import closed, volumes
from jensen.families.shapes.axes import eve, vve
from jensen.families.shapes.table import CovarianceShape, covariance_shape
from jensen.numerics.cholesky import log_diagonals, lower_factors, symmetric, triangular_inverses

_WITHOUT_START: dict[str, Callable[[Array, Array], Array]] = {
    "EII": closed.eii,
    "VII": closed.vii,
    "EEI": closed.eei,
    "VEI": volumes.vei,
    "EVI": closed.evi,
    "VVI": closed.vvi,
    "EEE": closed.eee,
    "VEE": volumes.vee,
    "EEV": closed.eev,
    "VEV": volumes.vev,
    "EVV": closed.evv,
    "VVV": closed.vvv,
}
_FROM_START: dict[str, Callable[[Array, Array, Array | None], Array]] = {"EVE": eve, "VVE": vve}


def maximize_shape(name: str, counts: Array, scatter: Array, previous: Array | None = None) -> Array:
    """Covariances of a shape that maximise the expected complete-data log-likelihood, given counts and scatters.

    Parameters
    ----------
    name : str
        One of `SHAPES` or what else `covariance_shape` understands.
    counts : ndarray of shape (K,)
        Expected weights n_k, at least 0.
    scatter : ndarray of shape (K, d, d)
        W_k = sum_i r_ik (x_i - mu_k)(x_i - mu_k)', symmetric. A ridge R enters every shape as W_k + n_k R.
    previous : ndarray of shape (K, d, d), optional
        The covariances before. EVE and VVE search on from their axes if they have common ones, and so end no lower;
        other shapes have one maximum and need no start. Components without rows keep theirs, if the shape makes nothing
        common, and take that of the largest component otherwise.

    Returns
    -------
    ndarray of shape (K, d, d)

    Raises
    ------
    InputError
        If the name is unknown, or a component has no rows and there is nothing for it to keep.
    NumericalFailure
        If the likelihood has no maximum, such as where a component has no scatter in some direction and a shape of its
        own within a common volume.
    """
    counts, scatter = np.asarray(counts, dtype=np.float64), symmetric(np.asarray(scatter, dtype=np.float64))
    shape = covariance_shape(name, scatter.shape[-1])
    alive = counts > 0
    if alive.all():
        return _maximize(shape, counts, scatter, previous)
    if previous is None:
        missing = np.flatnonzero(~alive).tolist()
        raise InputError(f"counts of component {missing} are 0 and there is no previous covariance to keep; pass one")
    covariances = np.array(previous, dtype=np.float64)
    if alive.any():
        covariances[alive] = _maximize(shape, counts[alive], scatter[alive], covariances[alive])
        covariances[~alive] = _kept(shape, covariances[~alive], covariances[alive], counts[alive])
    return covariances


def maximize_variances(name: str, counts: Array, scatter: Array, previous: Array) -> Array:
    """Variances (K, d) of VEI or EVI that maximise, as `maximize_shape`, from scatter along the axes alone.

    Parameters
    ----------
    name : {"VEI", "EVI"}
        Which.
    counts : ndarray of shape (K,)
        Expected weights n_k, at least 0.
    scatter : ndarray of shape (K, d)
        Diagonals of W_k, at least 0.
    previous : ndarray of shape (K, d)
        The variances before; returned if no component has rows.

    Raises
    ------
    NumericalFailure
        If the likelihood has no maximum.
    """
    alive, rule = counts > 0, volumes.along_axes if name == "VEI" else closed.equal_volumes
    if alive.all():
        return rule(counts, scatter)
    variances = np.array(previous, dtype=np.float64)
    if alive.any():
        variances[alive] = rule(counts[alive], scatter[alive])
        variances[~alive] = _kept(covariance_shape(name), variances[~alive], variances[alive], counts[alive])
    return variances


def _maximize(shape: CovarianceShape, counts: Array, scatter: Array, previous: Array | None) -> Array:
    if shape.name in _FROM_START:
        return _FROM_START[shape.name](counts, scatter, previous)
    return _WITHOUT_START[shape.name](counts, scatter)


def _kept(shape: CovarianceShape, old: Array, others: Array, counts: Array) -> Array:
    """Covariances of components without rows: what they were where each is free, or that of the largest of the others.

    They have no likelihood to lose, and no share of any row to come; all that counts is that the shape holds them.
    """
    if shape.name in ("VVV", "VVI", "VII"):
        return old
    return np.broadcast_to(others[np.argmax(counts)], old.shape)


def complete_objective(counts: Array, scatter: Array, covariances: Array) -> float:
    """-1/2 sum_k (n_k log|Sigma_k| + tr(Sigma_k^-1 W_k)), which no M-step lowers.

    Parameters
    ----------
    counts : ndarray of shape (K,)
        Components of count 0 are left out.
    scatter, covariances : ndarray of shape (K, d, d)
        W_k, and Sigma_k.

    Raises
    ------
    NumericalFailure
        If a covariance is not positive definite.
    """
    alive = counts > 0
    lower = lower_factors(covariances[alive])
    white = triangular_inverses(lower)
    distances = np.einsum("kij,kjl,kil->", white, scatter[alive], white, optimize=True)
    return -float(counts[alive] @ log_diagonals(lower)) - 0.5 * float(distances)
