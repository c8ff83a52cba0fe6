"""M-steps with volumes of their own around one shape: VEI, VEE and VEV.

Celeux & Govaert (1995, models [lambda_k B], [lambda_k D A D'] and [lambda_k D_k A D_k']) alternate between the volumes
lambda_k = tr(W_k C^-1) / (n_k d) and the common part C = sum_k W_k / lambda_k, scaled to determinant 1. Put the best C
into the objective, and with v_k = log lambda_k there is left to minimise

    H(v) = d sum_k n_k v_k + n log|sum_k exp(-v_k) W_k|.

It is convex: the determinant is a sum of exponentials with coefficients that are mixed discriminants, none negative. A
maximum is therefore the maximum, whatever the start, and Newton's method in K unknowns, the same for all three shapes,
takes a few steps where the alternation may take hundreds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jensen.core.block import Array
from jensen.errors import NumericalFailure
from jensen.families.shapes.closed import diagonals, rotated, variances
from jensen.numerics.cholesky import (
    is_positive_definite,
    log_diagonals,
    lower_factors,
    symmetric,
    triangular_inverses,
)

_SINGULAR = "the part of the covariances that is common to all components is not positive definite"
_MAX_STEPS = 100
_MAX_HALVINGS = 12
_LONGEST = 3.0
# Newton's steps double the digits, so that after one as small as this there is nothing left to gain.
_STILL = 1e-9

# From weights u_k (K,): log|M| for M = sum_k u_k W_k, and of T_k = M^-1/2 u_k W_k M^-1/2 the tr T_k and tr(T_k T_l).
Pooled = Callable[[Array], tuple[float, Array, Array]]


def vei(counts: Array, scatter: Array) -> Array:
    """[lambda_k B]: volumes of their own, one shape along the axes.

    Parameters
    ----------
    counts : ndarray of shape (K,)
        Positive.
    scatter : ndarray of shape (K, d, d)
        About the means.

    Returns
    -------
    ndarray of shape (K, d, d)

    Raises
    ------
    NumericalFailure
        If no component has scatter along some axis, or one has none at all.
    """
    return diagonals(along_axes(counts, variances(scatter)))


def vev(counts: Array, scatter: Array) -> Array:
    """[lambda_k D_k A D_k']: volumes and orientations of their own, one shape; arguments as for `vei`.

    With W_k = L_k Omega_k L_k' and eigenvalues in one order, D_k = L_k is best for every A in the same order, and the
    rest is `vei` of the eigenvalues. The best A is in that order, being a sum of such.
    """
    values, vectors = np.linalg.eigh(scatter)
    return rotated(along_axes(counts, np.maximum(values, 0.0)), vectors)


def vee(counts: Array, scatter: Array) -> Array:
    """[lambda_k D A D']: volumes of their own, one shape and one orientation; arguments as for `vei`."""
    n_components, d = scatter.shape[:2]

    def pooled(weights: Array) -> tuple[float, Array, Array]:
        total = symmetric(np.tensordot(weights, scatter, axes=1))
        if not is_positive_definite(total):
            raise NumericalFailure(_SINGULAR)
        lower = lower_factors(total)
        white = triangular_inverses(lower)
        flat = (white @ (weights[:, None, None] * scatter) @ white.T).reshape(n_components, -1)
        return 2.0 * float(log_diagonals(lower)), flat[:, :: d + 1].sum(axis=1), flat @ flat.T

    logs = log_volumes(counts, np.trace(scatter, axis1=1, axis2=2), d, pooled)
    common = symmetric(np.tensordot(np.exp(-logs), scatter, axes=1)) / counts.sum()
    return np.asarray(np.exp(logs)[:, None, None] * common)


def along_axes(counts: Array, values: Array) -> Array:
    """Variances (K, d) of one shape from scatter along axes (K, d)."""

    def pooled(weights: Array) -> tuple[float, Array, Array]:
        weighted = weights[:, None] * values
        total = weighted.sum(axis=0)
        if not (total > 0).all():
            raise NumericalFailure(_SINGULAR)
        shares = weighted / total
        return float(np.log(total).sum()), shares.sum(axis=1), shares @ shares.T

    logs = log_volumes(counts, values.sum(axis=1), values.shape[1], pooled)
    return np.asarray(np.exp(logs)[:, None] * (np.exp(-logs) @ values / counts.sum()))


def log_volumes(counts: Array, traces: Array, d: int, pooled: Pooled) -> Array:
    """The minimiser of H, up to a constant that moves into the common part.

    Parameters
    ----------
    counts : ndarray of shape (K,)
        n_k, positive.
    traces : ndarray of shape (K,)
        tr W_k; the search begins at the volumes of spheres.
    d : int
        Number of features.
    pooled : callable
        What there is to know of the scatters together, at some weights.

    Returns
    -------
    ndarray of shape (K,)

    Raises
    ------
    NumericalFailure
        If a component has no scatter: its volume is zero and its likelihood has no bound.
    """
    if not (traces > 0).all():
        bad = np.flatnonzero(~(traces > 0)).tolist()
        raise NumericalFailure(f"covariance of component {bad} is not positive definite")
    n = counts.sum()
    logs = np.log(traces / (counts * d))
    size, shares, products = pooled(np.exp(-logs))
    value = d * float(counts @ logs) + n * size
    for _ in range(_MAX_STEPS if len(counts) > 1 else 0):
        slope = d * counts - n * shares
        # H does not change when all volumes change together; the constant takes this direction out.
        curvature = n * (np.diag(shares) - products + 1.0 / len(counts))
        step = -np.linalg.lstsq(curvature, slope, rcond=None)[0]
        length = float(np.abs(step).max())
        # Falls below rounding cannot be seen: such a step is taken on trust and is the last.
        last = length <= _STILL or -float(slope @ step) <= 1e-15 * (abs(value) + n)
        # Far from the minimum the quadratic is no guide beyond a few multiples of a volume.
        step *= min(1.0, _LONGEST / max(length, 1e-300))
        for _ in range(_MAX_HALVINGS):
            size, shares, products = pooled(np.exp(-(logs + step)))
            there = d * float(counts @ (logs + step)) + n * size
            # Along the step the slope vanishes at the lowest point, and loses its digits later than the value does.
            left = abs(float((d * counts - n * shares) @ step))
            if last or there < value or left <= 0.1 * abs(float(slope @ step)):
                break
            step = 0.5 * step
        else:
            break
        logs, value = logs + step, there
        if last:
            break
    return logs
