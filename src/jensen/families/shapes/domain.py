"""The set in which the covariances of a shape live, and free coordinates for it.

Volumes and shapes move by logarithms, orientations by the Cayley transform (I - S)^-1 (I + S) of a skew-symmetric S
(Golub & Van Loan 2013, problem P5.1.9 of chapter 5); where shape and orientation go together, as in VEE and EVV, by the
log-Cholesky factor of a matrix of determinant 1. Signs of axes mean nothing; they are chosen such that no entry of S is
large.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from jensen.core.block import AnyArray, Array
from jensen.core.constraints import Alike
from jensen.core.domains import Domain, Positive, PositiveDefinite
from jensen.errors import NumericalFailure
from jensen.families.shapes.axes import above_diagonal, cayley, common_axes
from jensen.families.shapes.table import CovarianceShape

_MEMBER = 1e-6
_STEP = 1e-30


def covariance_domain(shape: CovarianceShape, n_components: int, d: int) -> Domain:
    """Where the covariances of K components in d dimensions live, in the layout of their shape.

    Parameters
    ----------
    shape : CovarianceShape
        Which of the fourteen.
    n_components, d : int
        At least 1.
    """
    if shape.name == "VVV":
        return PositiveDefinite(d, (n_components,))
    if shape.name == "EEE":
        return PositiveDefinite(d)
    if shape.name in ("VVI", "VII"):
        return Positive((n_components, d) if shape.name == "VVI" else (n_components,))
    if shape.name in ("EEI", "EII"):
        return Alike(Positive((d,) if shape.name == "EEI" else ()), n_components)
    return ShapedCovariances(shape, n_components, d)


@dataclass(frozen=True)
class ShapedCovariances:
    """Covariances of VEI, EVI, VEE, EVE, VVE, EEV, VEV or EVV: (K, d) variances of the first two, else (K, d, d).

    Attributes
    ----------
    kind : CovarianceShape
        Which of them.
    n_components, d : int
        K and d.
    """

    kind: CovarianceShape
    n_components: int
    d: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a value."""
        return (self.n_components, self.d) if self._along_axes else (self.n_components, self.d, self.d)

    @property
    def size(self) -> int:
        """Number of free coordinates."""
        return self.kind.n_parameters(self.d, self.n_components)

    @property
    def _along_axes(self) -> bool:
        return self.kind.orientation == "I"

    @property
    def _together(self) -> bool:
        """Whether each shape goes with an orientation, so that a Cholesky factor holds both."""
        return self.kind.shape == self.kind.orientation

    @cached_property
    def _counts(self) -> tuple[int, int, int]:
        """How many volumes, shapes and orientations there are."""
        times = {"I": 0, "E": 1, "V": self.n_components}
        return times[self.kind.volume], times[self.kind.shape], times[self.kind.orientation]

    def check(self, value: Array) -> str | None:
        """What is wrong with a value of the right shape, or None."""
        if not np.isfinite(value).all():
            return "every entry must be finite"
        if self._along_axes:
            if not (value > 0).all():
                return "every entry must be positive"
        else:
            fault = PositiveDefinite(self.d, (self.n_components,)).check(value)
            if fault is not None:
                return fault
        try:
            there = self.from_free(self.to_free(value))
        except NumericalFailure as failure:
            return str(failure)
        size = np.abs(value).max(axis=tuple(range(1, value.ndim)), keepdims=True)
        if (np.abs(there - value) > _MEMBER * size).any():
            return f"covariances are not of the shape {self.kind.name}: something that it makes common differs"
        return None

    def boundary(self, value: Array) -> AnyArray:
        """Nowhere."""
        return np.zeros(self.shape, dtype=bool)

    def to_free(self, value: Array) -> Array:
        """Log-volumes, then shapes, then orientations; or log-volumes and Cholesky factors of determinant 1."""
        d, (n_volumes, n_shapes, n_orientations) = self.d, self._counts
        if self._along_axes:
            logs = np.log(value)
            volumes = logs.mean(axis=1)
            forms = (logs - volumes[:, None])[:n_shapes, :-1]
            return np.concatenate([volumes[:n_volumes], forms.ravel()])
        if self._together:
            factors = np.linalg.cholesky(value)
            at = np.arange(d)
            logs = np.log(factors[:, at, at])
            volumes = 2.0 * logs.mean(axis=1)
            factors *= np.exp(-0.5 * volumes)[:, None, None]
            factors[:, at, at] = logs - logs.mean(axis=1, keepdims=True)
            rows, columns = np.tril_indices(d)
            # The last entry of the diagonal follows from the others.
            parts = factors[:n_shapes, rows, columns][:, :-1]
            return np.concatenate([volumes[:n_volumes], parts.ravel()])
        if n_orientations == 1:
            axes = common_axes(value)
            axes = axes[:, linear_sum_assignment(-np.abs(axes))[1]][None]
            logs = np.log(np.maximum(np.einsum("ji,kjl,li->ki", axes[0], value, axes[0]), np.finfo(np.float64).tiny))
        else:
            values, axes = np.linalg.eigh(value)
            logs = np.log(np.maximum(values, np.finfo(np.float64).tiny))
        volumes = logs.mean(axis=1)
        forms = (logs - volumes[:, None])[:n_shapes, :-1]
        return np.concatenate([volumes[:n_volumes], forms.ravel(), _skews_of(axes).ravel()])

    def from_free(self, free: Array) -> Array:
        """The covariances at free coordinates (size,)."""
        return np.ascontiguousarray(self._from_free(free))

    def _from_free(self, free: Any) -> Any:
        """The same of complex coordinates too."""
        d, (n_volumes, n_shapes, n_orientations) = self.d, self._counts
        volumes = np.exp(np.broadcast_to(free[:n_volumes], (self.n_components,)))
        rest = free[n_volumes:]
        if self._together:
            rows, columns = np.tril_indices(d)
            rest = rest.reshape(n_shapes, -1)
            factors = np.zeros((n_shapes, d, d), dtype=free.dtype)
            factors[:, rows[:-1], columns[:-1]] = rest
            at = np.arange(d)
            logs = factors[:, at, at]
            logs[:, -1] = -logs[:, :-1].sum(axis=1)
            factors[:, at, at] = np.exp(logs)
            return volumes[:, None, None] * (factors @ np.swapaxes(factors, 1, 2))
        n_forms = n_shapes * (d - 1)
        forms = rest[:n_forms].reshape(n_shapes, d - 1)
        values = np.exp(np.concatenate([forms, -forms.sum(axis=1, keepdims=True)], axis=1))
        variances = volumes[:, None] * values
        if self._along_axes:
            return variances
        axes = cayley(rest[n_forms:].reshape(n_orientations, -1), d)
        return (axes * variances[:, None, :]) @ np.swapaxes(axes, 1, 2)

    def jacobian(self, value: Array) -> Array:
        """Derivatives by the free coordinates, by complex steps, which lose no digits (Squire & Trapp 1998)."""
        return self.jacobian_at(self.to_free(value))

    def jacobian_at(self, free: Array) -> Array:
        """The same at free coordinates, which are not those of `to_free` once axes have turned far."""
        free = free.astype(np.complex128)
        out = np.empty((math.prod(self.shape), free.size))
        for j in range(free.size):
            moved = free.copy()
            moved[j] += 1j * _STEP
            out[:, j] = np.ravel(self._from_free(moved)).imag / _STEP
        return out


def _skews_of(axes: Array) -> Array:
    """The S of orthonormal axes (n, d, d) with signs such that I + D is far from singular; entries above the diagonal.

    Each sign is chosen when elimination reaches it, such that the pivot of I + D is at least 1 (O'Dorney 2014).
    """
    d = axes.shape[-1]
    signs, left = np.ones(axes.shape[:2]), axes.copy()
    for i in range(d):
        signs[:, i] = np.where(left[:, i, i] >= 0, 1.0, -1.0)
        pivots = left[:, i, i] + signs[:, i]
        products = left[:, i + 1 :, i, None] * left[:, i, None, i + 1 :]
        left[:, i + 1 :, i + 1 :] -= products / pivots[:, None, None]
    turned = axes * signs[:, None, :]
    above, below = turned - np.eye(d), turned + np.eye(d)
    skews = np.swapaxes(np.linalg.solve(np.swapaxes(below, 1, 2), np.swapaxes(above, 1, 2)), 1, 2)
    rows, columns = above_diagonal(d)
    return np.asarray(skews[:, rows, columns])
