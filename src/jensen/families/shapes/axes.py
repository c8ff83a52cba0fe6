"""M-steps with one orientation and shapes of their own: EVE and VVE.

Given D, the best variances along its columns have a closed form in m_ki = (D' W_k D)_ii (Celeux & Govaert 1995, models
[lambda D A_k D'] and [lambda_k D A_k D']), and what is left to minimise over orthogonal D is

    VVE    sum_k n_k sum_i log m_ki        (common principal components, Flury & Gautschi 1986)
    EVE    sum_k (prod_i m_ki)^(1/d)       (Browne & McNicholas 2014)

It is not convex. From given axes, Newton's method on the orthogonal matrices, D exp(S) with S skew-symmetric, goes
downhill to a minimum, so that an M-step that begins at the last one's axes never lowers the likelihood; it takes a few
steps where rotations of pairs of columns, or majorisation, may take hundreds. Curvatures enter by their absolute
values: saddles repel. Without axes to begin with, several are tried, and at the minimum below each the rotations of
every pair of columns are looked through for a lower place to go on from. All starts turn with the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.errors import NumericalFailure
from jensen.families.shapes.closed import equal_volumes, rotated
from jensen.numerics.cholesky import symmetric

_MAX_STEPS = 100
_MAX_SWEEPS = 10
_ANGLES = np.arange(32) * (np.pi / 64)
# Less than this is no lower place.
_SEEN = 1e-12
# Newton's steps double the digits, so that after one as small as this there is nothing left to gain.
_STILL = 1e-8
_MAX_TRUSTED = 3
_MAX_HALVINGS = 40
# A curvature this far below zero, as a share of the largest, is no rounding; leave such a place by so much.
_BENT, _AWAY = 1e-6, 0.1


def eve(counts: Array, scatter: Array, previous: Array | None = None) -> Array:
    """[lambda D A_k D']: one volume, one orientation, shapes of their own.

    Parameters
    ----------
    counts : ndarray of shape (K,)
        Positive.
    scatter : ndarray of shape (K, d, d)
        About the means.
    previous : ndarray of shape (K, d, d), optional
        Covariances to begin at, if they have common axes.

    Returns
    -------
    ndarray of shape (K, d, d)

    Raises
    ------
    NumericalFailure
        If a component has no scatter along one of the axes.
    """
    axes = best_axes(counts, scatter, previous, equal_volume=True)
    return rotated(equal_volumes(counts, _along(axes, scatter)), axes)


def vve(counts: Array, scatter: Array, previous: Array | None = None) -> Array:
    """[lambda_k D A_k D']: one orientation, volumes and shapes of their own; arguments as for `eve`."""
    axes = best_axes(counts, scatter, previous, equal_volume=False)
    return rotated(_along(axes, scatter) / counts[:, None], axes)


def common_axes(covariances: Array) -> Array:
    """Orthonormal columns (d, d) that diagonalise all of some commuting covariances (K, d, d).

    They are the eigenvectors of a sum with weights that no two coincidences have in common.
    """
    weights = 1.0 + np.modf(np.arange(1, len(covariances) + 1) * 0.6180339887498949)[0]
    weights /= np.trace(covariances, axis1=1, axis2=2)
    return np.asarray(np.linalg.eigh(symmetric(np.tensordot(weights, covariances, axes=1)))[1])


def best_axes(counts: Array, scatter: Array, previous: Array | None, equal_volume: bool) -> Array:
    """Orthonormal columns (d, d) at a minimum: the one downhill of `previous`, or the lowest of several.

    Parameters
    ----------
    counts, scatter, previous
        As for `eve`.
    equal_volume : bool
        Whether to minimise what EVE does, or what VVE does.
    """
    criterion = _Criterion(counts, scatter, equal_volume)
    if previous is not None:
        axes = common_axes(previous)
        within = np.swapaxes(axes, 0, 1) @ previous @ axes
        size = np.abs(within).max(axis=(1, 2))
        within[:, np.arange(len(axes)), np.arange(len(axes))] = 0.0
        if (np.abs(within).max(axis=(1, 2)) <= 1e-6 * size).all():
            return _descend(criterion, axes)
    found = [_settle(criterion, start) for start in _starts(scatter)]
    values = [criterion.value(criterion.rotate(axes)) for axes in found]
    return found[int(np.argmin(values))]


def _starts(scatter: Array) -> Iterator[Array]:
    """The axes of all components together, which let no shape end below EEE, and those of each."""
    yield np.linalg.eigh(scatter.sum(axis=0))[1]
    if len(scatter) > 1 and scatter.shape[-1] > 1:
        yield from np.linalg.eigh(scatter)[1]


def _along(axes: Array, scatter: Array) -> Array:
    """Scatter along axes, (K, d)."""
    return np.asarray(np.einsum("ji,kjl,li->ki", axes, scatter, axes, optimize=True))


class _Criterion:
    """What EVE or VVE minimises, as a function of M_k = D' W_k D (K, d, d)."""

    def __init__(self, counts: Array, scatter: Array, equal_volume: bool) -> None:
        self.scatter, self.equal_volume = scatter, equal_volume
        self.n_components, self.d = scatter.shape[:2]
        # Scales without consequence for the minimiser: that of the criterion is about 1.
        self.shares = counts / counts.sum()
        spread = np.trace(scatter.sum(axis=0)) / self.d
        self.log_scale = np.log(spread) if spread > 0 else 0.0
        self.pairs: tuple[AnyArray, AnyArray] = above_diagonal(self.d)

    def rotate(self, axes: Array) -> Array:
        """M_k at some axes."""
        return np.asarray(axes.T @ self.scatter @ axes)

    def value(self, inside: Array) -> float:
        """The criterion."""
        return float(self.of_logs(self.logs(inside).sum(axis=1)))

    def of_logs(self, logs: Array) -> Array:
        """The criterion from log prod_i m_ki, (K, ...)."""
        if self.equal_volume:
            return np.asarray(np.exp(logs / self.d).sum(axis=0))
        return np.asarray(np.tensordot(self.shares, logs, axes=1))

    def logs(self, inside: Array) -> Array:
        """log m_ki (K, d), up to a constant."""
        values = np.diagonal(inside, axis1=1, axis2=2)
        if not (values > 0).all():
            bad = np.flatnonzero(~(values > 0).all(axis=1)).tolist()
            raise NumericalFailure(f"covariance of component {bad} is not positive definite")
        return np.asarray(np.log(values) - self.log_scale)

    def expand(self, inside: Array) -> tuple[float, Array, Array]:
        """Value, slope (p,) and curvature (p, p) in S, whose entries (i, j), i < j, are the p = d (d - 1)/2 unknowns.

        M_k becomes exp(-S) M_k exp(S), and m_ki changes by 2 (M_k S)_ii + (M_k S^2)_ii - (S M_k S)_ii.
        """
        (i, j), d = self.pairs, self.d
        logs, values = self.logs(inside), np.diagonal(inside, axis1=1, axis2=2)
        pull = np.broadcast_to(self.shares[:, None], values.shape)
        if self.equal_volume:
            pull = np.repeat(np.exp(logs.mean(axis=1)) / d, d).reshape(values.shape)
        rates = pull / values
        off = inside[:, i, j]
        slope = 2.0 * (off * (rates[:, j] - rates[:, i])).sum(axis=0)
        # The first-order change of each log m_ki, (K, d, p).
        order = np.arange(i.size)
        change = np.zeros((self.n_components, d, i.size))
        change[:, i, order], change[:, j, order] = -2.0 * off / values[:, i], 2.0 * off / values[:, j]
        weighted = (change * pull[:, :, None]).reshape(-1, i.size)
        curvature = -weighted.T @ change.reshape(-1, i.size)
        if self.equal_volume:
            totals = change.sum(axis=1)
            curvature += (pull[:, :1] * totals).T @ totals / d
        # The second-order change is sum_l s_l' (sum_k rate_kl M_k - E) s_l over the rows s_l of S.
        rows = np.tensordot(rates.T, inside, axes=1)
        rows -= symmetric((rates[:, :, None] * inside).sum(axis=0))
        a, b, c, e = i[:, None], j[:, None], i[None, :], j[None, :]
        second = (
            (a == c) * rows[a, b, e] - (a == e) * rows[a, b, c] - (b == c) * rows[b, a, e] + (b == e) * rows[b, a, c]
        )
        return float(self.of_logs(logs.sum(axis=1))), slope, curvature + 2.0 * second


def _descend(criterion: _Criterion, axes: Array) -> Array:
    """Newton's method with absolute curvatures and halved steps, from axes to a minimum that is no higher."""
    if criterion.d == 1:
        return axes
    inside, trusted = criterion.rotate(axes), 0
    for _ in range(_MAX_STEPS):
        value, slope, curvature = criterion.expand(inside)
        bends, directions = np.linalg.eigh(curvature)
        steepest = max(float(np.abs(bends).max()), 1e-300)
        step = -directions @ ((directions.T @ slope) / np.maximum(np.abs(bends), 1e-12 * steepest))
        size = float(np.abs(step).max())
        if size <= _STILL and bends[0] < -_BENT * steepest:
            # On top of a ridge: nothing pulls, and both sides go down.
            step, size = _AWAY * directions[:, 0], _AWAY
        elif -float(slope @ step) <= 1e-14 * max(abs(value), 1.0):
            # Falls below rounding cannot be seen: such a step is taken on trust.
            trusted += 1
        last = size <= _STILL or trusted > _MAX_TRUSTED
        step *= min(1.0, 0.5 / max(size, 1e-300))
        allowed = value + 1e-13 * max(abs(value), 1.0) if trusted or last else value
        for _ in range(_MAX_HALVINGS):
            turned = axes @ cayley(0.5 * step[None], criterion.d)[0]
            inside = criterion.rotate(turned)
            if criterion.value(inside) < allowed:
                axes = turned
                break
            step = 0.5 * step
        else:
            return axes
        if last:
            break
    return axes


@cache
def above_diagonal(d: int) -> tuple[AnyArray, AnyArray]:
    """Rows and columns above the diagonal of a matrix (d, d), row by row."""
    return np.triu_indices(d, 1)


def cayley(upper: Any, d: int) -> Any:
    """(I - S)^-1 (I + S) of skew-symmetric S: orthogonal, and exp(2 S) to second order; shape (n, d, d).

    `upper` has the entries of S above its diagonal, row by row, shape (n, d (d - 1) / 2); they may be complex.
    """
    rows, columns = above_diagonal(d)
    skew = np.zeros((len(upper), d, d), dtype=upper.dtype)
    skew[:, rows, columns] = upper
    skew[:, columns, rows] = -upper
    return np.linalg.solve(np.eye(d) - skew, np.eye(d) + skew)


def _settle(criterion: _Criterion, axes: Array) -> Array:
    """Downhill, and on from every lower place that a sweep finds, to a minimum from which it finds none."""
    axes = _descend(criterion, axes)
    for _ in range(_MAX_SWEEPS):
        lower = _sweep(criterion, axes)
        if lower is None:
            break
        axes = _descend(criterion, lower)
    return axes


def _sweep(criterion: _Criterion, axes: Array) -> Array | None:
    """Rotate one pair of columns after another to the lowest point of a grid of angles; None if all are there."""
    cos, sin = np.cos(_ANGLES), np.sin(_ANGLES)
    axes, turned = axes.copy(), False
    for i, j in zip(*criterion.pairs, strict=True):
        inside = criterion.rotate(axes)
        logs = criterion.logs(inside)
        others = logs.sum(axis=1) - logs[:, i] - logs[:, j] - 2.0 * criterion.log_scale
        half = 0.5 * (inside[:, i, i] + inside[:, j, j])[:, None]
        swing = 0.5 * (inside[:, i, i] - inside[:, j, j])[:, None] * np.cos(2 * _ANGLES)
        swing = swing + inside[:, i, j][:, None] * np.sin(2 * _ANGLES)
        product = np.maximum((half + swing) * (half - swing), np.finfo(np.float64).tiny)
        values = criterion.of_logs(others[:, None] + np.log(product))
        at = int(np.argmin(values))
        if values[at] < values[0] - _SEEN * max(abs(values[0]), 1.0):
            turned = True
            first, second = axes[:, i].copy(), axes[:, j].copy()
            axes[:, i], axes[:, j] = cos[at] * first + sin[at] * second, cos[at] * second - sin[at] * first
    return axes if turned else None
