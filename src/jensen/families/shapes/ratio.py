"""The eigenvalue-ratio constraint: no eigenvalue of any component more than so many times any other.

Within it the likelihood is bounded (Hathaway 1985). Where a shape leaves the eigenvalues free, the maximiser has the
unconstrained orientations, and eigenvalues t_kj that minimise

    f = sum_k n_k sum_j (log t_kj + lambda_kj / t_kj),    max t <= ratio min t,

lambda_kj being the unconstrained ones. They are lambda_kj, raised to m and lowered to ratio m, for the best m (Fritz,
Garcia-Escudero & Mayo-Iscar 2013, prop. 3.2). Between two of the values {lambda_kj, lambda_kj / ratio} those raised, L,
and those lowered, U, stay the same, and with weights w = n_k

    df / dlog m = sum_L w (1 - lambda / m) + sum_U w (1 - lambda / (ratio m)).

No term of it ever falls as m grows, so that the interval where it passes 0 is found by halving; the best m there is
(sum_L w lambda + sum_U w lambda / ratio) / (sum_L w + sum_U w).
"""

from __future__ import annotations

import numpy as np

from jensen.core.block import Array
from jensen.errors import NumericalFailure
from jensen.families.shapes.closed import rotated

# Shapes whose maximiser under the constraint is that without it, its eigenvalues truncated.
WITH_RATIO = ("EII", "VII", "EEI", "VVI", "EEE", "EEV", "VVV")


def truncated(values: Array, counts: Array, ratio: float) -> Array:
    """Eigenvalues raised to m and lowered to ratio m, for the m of highest likelihood.

    Parameters
    ----------
    values : ndarray of shape (K, p)
        Unconstrained eigenvalues lambda_kj, at least 0. Where all components share them, K is 1.
    counts : ndarray of shape (K,)
        n_k, at least 0: what the eigenvalues of a component weigh, its pseudo-data included. One without any has no say
        in m.
    ratio : float
        At least 1; 1 makes all equal, infinity changes nothing.

    Returns
    -------
    ndarray of shape (K, p)
        The values themselves if they satisfy the constraint.

    Raises
    ------
    NumericalFailure
        If no eigenvalue of positive weight is above 0: there is no scale then.
    """
    if ratio == np.inf or values.max() <= ratio * values.min():
        return values
    heavy = counts > 0
    lambdas = values[heavy].ravel()
    if not (np.isfinite(lambdas).all() and (lambdas > 0).any()):
        raise NumericalFailure("covariances have no eigenvalue above 0 to hold the others to")
    low, high = lambdas.min(), lambdas.max()
    if high <= ratio * low:
        # Only components that weigh nothing break the constraint: they are moved as little as may be.
        least = min(max(values.min(), high / ratio), low)
    else:
        least = _best_floor(lambdas, np.repeat(counts[heavy], values.shape[1]), ratio)
    return np.clip(values, least, ratio * least)


def _best_floor(lambdas: Array, weights: Array, ratio: float) -> float:
    """The best m for eigenvalues (p,) of weights (p,) that break the constraint."""
    scaled = lambdas / ratio
    edges = np.unique(np.concatenate([lambdas, scaled]))
    edges = edges[edges > 0]
    first, last = 0, len(edges)
    while first < last:
        middle = (first + last) // 2
        below, above = lambdas < edges[middle], scaled > edges[middle]
        slope = (weights[below] * (1.0 - lambdas[below] / edges[middle])).sum()
        slope += (weights[above] * (1.0 - scaled[above] / edges[middle])).sum()
        if slope < 0:
            first = middle + 1
        else:
            last = middle
    # The minimum lies at or below edges[first], and above the edge before it.
    edge = edges[first - 1] if first > 0 else 0.0
    below, above = lambdas <= edge, scaled > edge
    pull = (weights[below] * lambdas[below]).sum() + (weights[above] * scaled[above]).sum()
    return float(pull / (weights[below].sum() + weights[above].sum()))


def within_ratio(name: str, counts: Array, covariances: Array, ratio: float) -> Array:
    """The maximiser of a shape under the constraint, from that without it.

    Parameters
    ----------
    name : str
        One of `WITH_RATIO`.
    counts : ndarray of shape (K,)
        n_k, pseudo-data included.
    covariances : ndarray of shape (K, d, d)
        The unconstrained maximiser for these counts.
    ratio : float
        At least 1.

    Returns
    -------
    ndarray of shape (K, d, d)
        The covariances themselves if they satisfy the constraint.
    """
    if name[2] == "I":
        values, axes = np.diagonal(covariances, axis1=1, axis2=2), np.eye(covariances.shape[-1])
    else:
        values, axes = np.linalg.eigh(covariances)
        values = np.maximum(values, 0.0)
    if name[:2] in ("EI", "EE"):
        # One set of eigenvalues, which all rows weigh together.
        values, counts = values[:1], counts.sum(keepdims=True)
    found = truncated(values, counts, ratio)
    if found is values:
        return covariances
    return rotated(np.broadcast_to(found, covariances.shape[:2]), axes)
