"""One M-step for every covariance shape, and the part of the expected log-likelihood that it raises."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jensen.core.block import Array
from jensen.errors import InputError
from jensen.families.shapes import closed, volumes
from jensen.families.shapes.axes import common_axes, eve, vve
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
        other shapes have one maximum and need no start. Components without rows keep of theirs what the shape gives
        each component of its own, and take what it makes common from the others.

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
        covariances[~alive] = _kept(shape, covariances[~alive], covariances[alive])
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
        The variances before, of which components without rows keep what is their own.

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
        of = _kept(covariance_shape(name), closed.diagonals(variances[~alive]), closed.diagonals(variances[alive]))
        variances[~alive] = np.diagonal(of, axis1=1, axis2=2)
    return variances


def _maximize(shape: CovarianceShape, counts: Array, scatter: Array, previous: Array | None) -> Array:
    if shape.name in _FROM_START:
        return _FROM_START[shape.name](counts, scatter, previous)
    return _WITHOUT_START[shape.name](counts, scatter)


def _kept(shape: CovarianceShape, old: Array, others: Array) -> Array:
    """Covariances of components without rows: what is their own as it was, what is common from the others."""
    if shape.name == "VVV":
        return old
    d = old.shape[-1]
    if shape.orientation == "V":
        values, axes = np.linalg.eigh(old)
        common = np.linalg.eigvalsh(others[0])
    else:
        # Along the axes that are common now, an old covariance has its variances.
        axes = np.eye(d) if shape.orientation == "I" else common_axes(others)
        values, common = (
            np.einsum("ji,...jk,ki->...i", axes, matrices, axes, optimize=True) for matrices in (old, others[0])
        )
    logs, log_common = np.log(values), np.log(common)
    own = 2.0 * log_diagonals(lower_factors(old))[:, None] / d
    volume = log_common.mean() if shape.volume == "E" else own
    if shape.shape == "I":
        form = np.zeros_like(logs)
    elif shape.shape == "E":
        form = np.broadcast_to(log_common - log_common.mean(), logs.shape)
    else:
        form = logs - logs.mean(axis=-1, keepdims=True)
    return closed.rotated(np.exp(volume + form), axes)


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
