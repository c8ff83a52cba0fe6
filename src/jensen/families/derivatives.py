"""First and second derivatives of Gaussian log-densities by means and covariances.

With y = x - mu, P = Sigma^-1 and u = P y (Magnus & Neudecker 1999, chapter 8):
    d log f / d mu = u,                 d log f / d Sigma = (u u' - P) / 2,
    -d2 / d mu d mu' = P,               -d2 / d mu d Sigma = P (x) u,
    -d2 / d Sigma d Sigma' = (P (x) u u' + u u' (x) P - P (x) P) / 2,
and what the diagonal and the spherical shape keep of them. The precision comes from whitening factors L^-1. Of a
symmetric matrix the lower triangle stands for both: derivatives by an entry off the diagonal are counted twice there,
and those of the upper triangle are 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.information import ComponentDerivatives
from jensen.kernels.portable import Layout


def gaussian_derivatives(layout: Layout, x: AnyArray, means: Array, whitening: Array) -> Iterator[ComponentDerivatives]:
    """Derivatives of each component in turn; only one is held at a time.

    Parameters
    ----------
    layout : {"full", "tied", "diag", "spherical"}
        Layout of the covariances.
    x : ndarray of shape (n, d)
        Rows.
    means : ndarray of shape (K, d)
        Means.
    whitening : ndarray
        L_k^-1: (K, d, d) full, (d, d) tied; or 1 / standard deviations, (K, d) diag and (K,) spherical.
    """
    n_components, d = means.shape
    size = {"full": d * d, "tied": d * d, "diag": d, "spherical": 1}[layout]
    rows, columns = np.tril_indices(d)
    inside = rows * d + columns if layout in ("full", "tied") else np.arange(size)
    for k in range(n_components):
        centred = np.asarray(x, dtype=np.float64) - means[k]
        first = n_components * d + (0 if layout == "tied" else k * size)
        slots = np.concatenate([np.arange(k * d, (k + 1) * d), first + inside])
        if layout in ("full", "tied"):
            factor = whitening if layout == "tied" else whitening[k]
            precision = factor.T @ factor
            u = centred @ precision
            by_covariance = (u[:, rows] * u[:, columns] - precision[rows, columns]) * np.where(
                rows == columns, 0.5, 1.0
            )
            yield ComponentDerivatives(slots, np.hstack([u, by_covariance]), partial(_full, precision, u))
            continue
        scale = np.broadcast_to(whitening[k] ** 2, (d,))
        u = centred * scale
        by_variance = 0.5 * (u * u - scale)
        if layout == "spherical":
            by_variance = by_variance.sum(axis=1, keepdims=True)
        yield ComponentDerivatives(slots, np.hstack([u, by_variance]), partial(_diagonal, layout, scale, u))


def _full(precision: Array, u: Array, weight: Array) -> Array:
    """Weighted curvature by mean (d) and the lower triangle of the covariance."""
    d, total = len(precision), weight.sum()
    first, second = weight @ u, (u * weight[:, None]).T @ u
    cross = _lower(np.einsum("ab,c->abc", precision, first).reshape(d, d * d), d)
    both = 0.5 * (np.kron(precision, second - total * precision) + np.kron(second, precision))
    both = _lower(_lower(both, d).T, d)
    return np.block([[total * precision, cross], [cross.T, 0.5 * (both + both.T)]])


def _lower(columns: Array, d: int) -> Array:
    """Columns for all entries of a matrix (q, d * d), those of both triangles added up in the lower one."""
    i, j = np.tril_indices(d)
    return np.asarray(columns[:, i * d + j] + np.where(i == j, 0.0, columns[:, j * d + i]))


def _diagonal(layout: Layout, scale: Array, u: Array, weight: Array) -> Array:
    """Weighted curvature by mean (d) and variances (d), or the single one."""
    d, total = len(scale), weight.sum()
    cross, both = scale * (weight @ u), scale * (weight @ (u * u)) - 0.5 * total * scale**2
    if layout == "spherical":
        out = np.zeros((d + 1, d + 1))
        out[:d, d] = out[d, :d] = cross
        out[d, d] = both.sum()
    else:
        out = np.zeros((2 * d, 2 * d))
        at = np.arange(d)
        out[at, d + at] = out[d + at, at] = cross
        out[d + at, d + at] = both
    out[np.arange(d), np.arange(d)] = total * scale
    return out
