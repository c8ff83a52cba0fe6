"""The Gaussian pass in NumPy: the specification of any faster kernel, and what runs where none was built.

Rows are taken in small transposed sub-blocks (d, B), so that every inner loop runs over contiguous rows, and are
centred on each component's mean before anything is squared. Nothing of size n x K outlives a sub-block.

The four scatter shapes share one vocabulary. For ``full``, `whitening` holds inverse lower Cholesky factors
(K, d, d) and the scatter is (K, d, d); for ``tied`` both are (d, d), the scatter summed over components; for ``diag``
both are (K, d), inverse standard deviations and diagonals; for ``spherical`` both are (K,), with the trace.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.contracts import RowPass
from jensen.numerics.logspace import normalise_logs

Layout = Literal["full", "tied", "diag", "spherical"]

# Doubles in the scratch of one group of components; two such arrays stay in a core's second-level cache.
_SCRATCH = 1 << 17
_MIN_ROWS, _MAX_ROWS = 128, 2048


def scatter_shape(shape: Layout, n_components: int, d: int) -> tuple[int, ...]:
    """Shape of the whitening factors, and of the scatter, of K components in d dimensions."""
    shapes = {"full": (n_components, d, d), "tied": (d, d), "diag": (n_components, d), "spherical": (n_components,)}
    return shapes[shape]


def gaussian_moments(
    x: AnyArray, weight: Array | None, shape: Layout, centres: Array, whitening: Array, offsets: Array
) -> tuple[Array, Array, Array, float]:
    """E-step of a Gaussian mixture and its expected moments about `centres`, in one pass.

    Parameters
    ----------
    x : ndarray of shape (n, d)
        Rows, float64 or float32; sums are float64.
    weight : ndarray of shape (n,) or None
        Weights of the rows.
    shape : {"full", "tied", "diag", "spherical"}
        Which scatter, see above.
    centres : ndarray of shape (K, d)
        Means of the components, which are also the shift of the moments.
    whitening : ndarray
        Whitening factors, see above.
    offsets : ndarray of shape (K,)
        All of log(pi_k f_k) that does not depend on the row.

    Returns
    -------
    counts : ndarray of shape (K,)
        n_k = sum_i w_i r_ik.
    first : ndarray of shape (K, d)
        sum_i w_i r_ik (x_i - c_k).
    scatter : ndarray
        sum_i w_i r_ik (x_i - c_k)(x_i - c_k)', or the part of it that `shape` needs.
    loglik : float
        sum_i w_i log sum_k pi_k f_k(x_i).
    """
    work = _Workspace(shape, centres)
    counts, first, scatter = work.zeros()
    loglik = 0.0
    for rows, xt in _sub_blocks(x, work.rows):
        responsibilities = work.log_joint(xt, whitening, offsets)
        row_loglik = normalise_logs(responsibilities)
        if weight is None:
            loglik += float(row_loglik.sum())
        else:
            loglik += float(np.dot(row_loglik, weight[rows]))
            responsibilities *= weight[rows]
        counts += responsibilities.sum(axis=1)
        work.add_moments(xt, responsibilities, first, scatter)
    return counts, first, scatter, loglik


def gaussian_log_joint(x: AnyArray, shape: Layout, centres: Array, whitening: Array, offsets: Array) -> Array:
    """log(pi_k f_k(x_i)), or log f_k(x_i) with offsets that leave out the weights, shape (n, K).

    Parameters are those of `gaussian_moments`.
    """
    work = _Workspace(shape, centres)
    out = np.empty((x.shape[0], len(centres)))
    for rows, xt in _sub_blocks(x, work.rows):
        out[rows] = work.log_joint(xt, whitening, offsets).T
    return out


def gaussian_rows(
    x: AnyArray, shape: Layout, centres: Array, whitening: Array, offsets: Array, wanted: RowPass
) -> AnyArray:
    """What a mixture says of each row.

    Parameters
    ----------
    x, shape, centres, whitening, offsets
        As for `gaussian_moments`.
    wanted : {"density", "responsibilities", "labels"}
        Log-densities with the largest log joint density of each row, (2, n); posterior probabilities, (n, K); or the
        most probable components, (n,) integers, the first among equals.
    """
    work, n_components = _Workspace(shape, centres), len(centres)
    out: AnyArray
    if wanted == "labels":
        out = np.empty(x.shape[0], dtype=np.int64)
    else:
        out = np.empty((2, x.shape[0]) if wanted == "density" else (x.shape[0], n_components))
    for rows, xt in _sub_blocks(x, work.rows):
        joint = work.log_joint(xt, whitening, offsets)
        if wanted == "labels":
            out[rows] = joint.argmax(axis=0)
        elif wanted == "density":
            out[1, rows] = joint.max(axis=0)
            out[0, rows] = normalise_logs(joint)
        else:
            normalise_logs(joint)
            out[rows] = joint.T
    return out


def weighted_moments(x: AnyArray, responsibilities: Array, shape: Layout, centres: Array) -> tuple[Array, Array, Array]:
    """The moments of `gaussian_moments` under given weighted responsibilities (n, K), without an E-step."""
    work = _Workspace(shape, centres)
    counts, first, scatter = work.zeros()
    for rows, xt in _sub_blocks(x, work.rows):
        share = np.ascontiguousarray(responsibilities[rows].T)
        counts += share.sum(axis=1)
        work.add_moments(xt, share, first, scatter)
    return counts, first, scatter


def _sub_blocks(x: AnyArray, size: int) -> Iterator[tuple[slice, Array]]:
    """Consecutive rows as (slice, transposed float64 copy)."""
    for start in range(0, x.shape[0], size):
        rows = slice(start, min(start + size, x.shape[0]))
        yield rows, np.ascontiguousarray(x[rows].T, dtype=np.float64)


class _Workspace:
    """Scratch of one pass, and the two halves of the work on a sub-block: densities, then moments.

    Components go in groups whose scratch fits the cache. A single group keeps its centred rows from the first half
    for the second; several compute them again.
    """

    def __init__(self, shape: Layout, centres: Array) -> None:
        n_components, d = centres.shape
        self.shape, self.centres = shape, centres
        self.group = max(1, min(n_components, _SCRATCH // (d * _MIN_ROWS)))
        self.rows = max(_MIN_ROWS, min(_MAX_ROWS, _SCRATCH // (d * self.group)))
        self._centred = np.empty((self.group, d, self.rows))
        self._scaled = np.empty((self.group, d, self.rows))
        self._held: Array | None = None

    def zeros(self) -> tuple[Array, Array, Array]:
        """Empty counts, first moments and scatter."""
        n_components, d = self.centres.shape
        return np.zeros(n_components), np.zeros((n_components, d)), np.zeros(scatter_shape(self.shape, n_components, d))

    def log_joint(self, xt: Array, whitening: Array, offsets: Array) -> Array:
        """Log joint densities (K, B) of a transposed sub-block (d, B)."""
        out = np.empty((len(self.centres), xt.shape[1]))
        for group in self._groups():
            centred, scaled = self._centre(xt, group)
            if self.shape == "full":
                np.matmul(whitening[group], centred, out=scaled)
            elif self.shape == "tied":
                np.matmul(whitening, centred, out=scaled)
            elif self.shape == "diag":
                np.multiply(centred, whitening[group, :, None], out=scaled)
            else:
                np.multiply(centred, whitening[group, None, None], out=scaled)
            np.einsum("kdb,kdb->kb", scaled, scaled, out=out[group])
        out *= -0.5
        out += offsets[:, None]
        return out

    def add_moments(self, xt: Array, responsibilities: Array, first: Array, scatter: Array) -> None:
        """Add a sub-block's moments under weighted responsibilities (K, B) to `first` and `scatter`."""
        for group in self._groups():
            centred, scaled = self._centre(xt, group)
            np.multiply(centred, responsibilities[group, None, :], out=scaled)
            first[group] += scaled.sum(axis=2)
            if self.shape == "full":
                scatter[group] += np.matmul(scaled, centred.transpose(0, 2, 1))
            elif self.shape == "tied":
                scatter += np.matmul(scaled, centred.transpose(0, 2, 1)).sum(axis=0)
            elif self.shape == "diag":
                scatter[group] += np.einsum("kdb,kdb->kd", scaled, centred)
            else:
                scatter[group] += np.einsum("kdb,kdb->k", scaled, centred)

    def _groups(self) -> Iterator[slice]:
        for start in range(0, len(self.centres), self.group):
            yield slice(start, min(start + self.group, len(self.centres)))

    def _centre(self, xt: Array, group: slice) -> tuple[Array, Array]:
        """Views of the scratch for a group: its rows minus each centre, and a place for scaled ones."""
        size = group.stop - group.start
        centred, scaled = self._centred[:size, :, : xt.shape[1]], self._scaled[:size, :, : xt.shape[1]]
        if self._held is not xt or self.group < len(self.centres):
            np.subtract(xt[None], self.centres[group, :, None], out=centred)
            self._held = xt
        return centred, scaled
