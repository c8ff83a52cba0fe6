"""Where a parameter may live, and the free coordinates in which it may be moved without constraint.

Every domain maps its values one to one onto vectors of unconstrained reals. Acceleration, guarded steps and
standard errors work there; the Jacobian carries what they find back to the natural scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from jensen.core.block import AnyArray, Array

_TINY = np.finfo(np.float64).tiny


class Domain(Protocol):
    """The set in which one named parameter lives."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a value."""
        ...

    @property
    def size(self) -> int:
        """Number of free coordinates."""
        ...

    def check(self, value: Array) -> str | None:
        """What is wrong with a value of the right shape, or None."""
        ...

    def boundary(self, value: Array) -> AnyArray:
        """Which entries of a value lie on the boundary, which EM never leaves; of the value's shape, bool."""
        ...

    def to_free(self, value: Array) -> Array:
        """Free coordinates (size,) of a value."""
        ...

    def from_free(self, free: Array) -> Array:
        """The value at free coordinates (size,)."""
        ...

    def jacobian(self, value: Array) -> Array:
        """Derivatives of the flattened value by the free coordinates, shape (value.size, size)."""
        ...


@dataclass(frozen=True)
class Real:
    """Any finite array."""

    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of free coordinates: one for each entry."""
        return math.prod(self.shape)

    def check(self, value: Array) -> str | None:
        """What is wrong with a value, or None."""
        return None if np.isfinite(value).all() else "every entry must be finite"

    def boundary(self, value: Array) -> AnyArray:
        """Nowhere."""
        return np.zeros(self.shape, dtype=bool)

    def to_free(self, value: Array) -> Array:
        """The entries as they are."""
        return np.ravel(value).astype(np.float64)

    def from_free(self, free: Array) -> Array:
        """The entries, in their shape."""
        return free.reshape(self.shape).copy()

    def jacobian(self, value: Array) -> Array:
        """The identity."""
        return np.eye(self.size)


@dataclass(frozen=True)
class Positive:
    """Positive entries, moved on the log scale."""

    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of free coordinates: one for each entry."""
        return math.prod(self.shape)

    def check(self, value: Array) -> str | None:
        """What is wrong with a value, or None."""
        return None if np.isfinite(value).all() and (value > 0).all() else "every entry must be positive and finite"

    def boundary(self, value: Array) -> AnyArray:
        """Nowhere."""
        return np.zeros(self.shape, dtype=bool)

    def to_free(self, value: Array) -> Array:
        """Logarithms of the entries."""
        return np.log(np.maximum(np.ravel(value), _TINY))

    def from_free(self, free: Array) -> Array:
        """Exponentials of the coordinates."""
        return np.exp(free).reshape(self.shape)

    def jacobian(self, value: Array) -> Array:
        """The entries, on the diagonal."""
        return np.diag(np.ravel(value))


@dataclass(frozen=True)
class Interval:
    """Entries between two bounds, moved on the logit scale; a probability is ``Interval(shape, 0.0, 1.0)``."""

    shape: tuple[int, ...]
    lower: float = 0.0
    upper: float = 1.0

    @property
    def size(self) -> int:
        """Number of free coordinates: one for each entry."""
        return math.prod(self.shape)

    def check(self, value: Array) -> str | None:
        """What is wrong with a value, or None; the bounds themselves are allowed."""
        inside = (value >= self.lower) & (value <= self.upper)
        return None if inside.all() else f"every entry must lie between {self.lower:g} and {self.upper:g}"

    def boundary(self, value: Array) -> AnyArray:
        """Entries that equal a bound."""
        return np.asarray((value == self.lower) | (value == self.upper))

    def to_free(self, value: Array) -> Array:
        """Log odds of the distances to the two bounds."""
        flat = np.ravel(value)
        return np.log(np.maximum(flat - self.lower, _TINY)) - np.log(np.maximum(self.upper - flat, _TINY))

    def from_free(self, free: Array) -> Array:
        """The logistic function, stretched between the bounds."""
        # Two branches of one function: exp never sees a positive argument, so it cannot overflow.
        small = np.exp(-np.abs(free))
        share = np.where(free >= 0, 1.0 / (1.0 + small), small / (1.0 + small))
        return (self.lower + (self.upper - self.lower) * share).reshape(self.shape)

    def jacobian(self, value: Array) -> Array:
        """(v - lower)(upper - v) / (upper - lower), on the diagonal."""
        flat = np.ravel(value)
        return np.diag((flat - self.lower) * (self.upper - flat) / (self.upper - self.lower))


@dataclass(frozen=True)
class Simplex:
    """Shares that are at least 0 and sum to 1, moved as log ratios to the last one (Aitchison 1982)."""

    n_shares: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a value, (n_shares,)."""
        return (self.n_shares,)

    @property
    def size(self) -> int:
        """Number of free coordinates, one less than the shares."""
        return self.n_shares - 1

    def check(self, value: Array) -> str | None:
        """What is wrong with a value, or None."""
        if not (np.isfinite(value).all() and (value >= 0).all()):
            return "every share must be at least 0"
        total = float(value.sum())
        return None if abs(total - 1.0) <= 1e-6 else f"the shares must sum to 1, not {total:.6g}"

    def boundary(self, value: Array) -> AnyArray:
        """Shares of 0; a single share of 1 is where it must be."""
        return np.asarray(value == 0.0)

    def to_free(self, value: Array) -> Array:
        """log(v_k / v_K) for k < K; a share of 0 goes as far out as floats allow."""
        logs = np.log(np.maximum(value, _TINY))
        return np.asarray(logs[:-1] - logs[-1])

    def from_free(self, free: Array) -> Array:
        """The softmax of the coordinates and 0."""
        logs = np.append(free, 0.0)
        shares = np.exp(logs - logs.max())
        return np.asarray(shares / shares.sum())

    def jacobian(self, value: Array) -> Array:
        """dv_j / du_k = v_j (1[j = k] - v_k)."""
        return (np.diag(value) - np.outer(value, value))[:, :-1]


@dataclass(frozen=True)
class PositiveDefinite:
    """A stack of symmetric positive definite matrices, moved by their log-Cholesky factors (Pinheiro & Bates 1996).

    Attributes
    ----------
    dimension : int
        Order d of each matrix.
    stack : tuple of int
        Shape of the stack in front of (d, d): ``(K,)`` for one matrix a component, ``()`` for a shared one.
    """

    dimension: int
    stack: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a value, (*stack, d, d)."""
        return (*self.stack, self.dimension, self.dimension)

    @property
    def size(self) -> int:
        """Number of free coordinates, d (d + 1) / 2 a matrix."""
        return math.prod(self.stack) * self.dimension * (self.dimension + 1) // 2

    def check(self, value: Array) -> str | None:
        """What is wrong with a value, or None."""
        if not np.isfinite(value).all():
            return "every entry must be finite"
        # In units of the standard deviations: an absolute tolerance would pass anything small.
        unit = np.sqrt(np.abs(np.diagonal(value, axis1=-2, axis2=-1)))
        scale = unit[..., :, None] * unit[..., None, :]
        if (np.abs(value - np.swapaxes(value, -1, -2)) > 1e-8 * scale).any():
            return "every matrix must be symmetric"
        try:
            np.linalg.cholesky(value)
        except np.linalg.LinAlgError:
            return "every matrix must be positive definite"
        return None

    def boundary(self, value: Array) -> AnyArray:
        """Nowhere."""
        return np.zeros(self.shape, dtype=bool)

    def to_free(self, value: Array) -> Array:
        """Lower triangles of the Cholesky factors by rows, with the logarithm on the diagonal."""
        factors = np.linalg.cholesky(value).reshape(-1, self.dimension, self.dimension)
        diagonal = np.arange(self.dimension)
        factors[:, diagonal, diagonal] = np.log(factors[:, diagonal, diagonal])
        rows, columns = np.tril_indices(self.dimension)
        return np.ravel(factors[:, rows, columns])

    def from_free(self, free: Array) -> Array:
        """L L' of the factors at the coordinates."""
        factors = self._factors(free)
        return (factors @ np.swapaxes(factors, -1, -2)).reshape(self.shape)

    def jacobian(self, value: Array) -> Array:
        """Block diagonal: d(L L') = dL L' + L dL', with dL_jj = L_jj du_jj."""
        d = self.dimension
        rows, columns = np.tril_indices(d)
        per_matrix = rows.size
        factors = np.linalg.cholesky(value).reshape(-1, d, d)
        out = np.zeros((factors.shape[0], d, d, factors.shape[0], per_matrix))
        for k, factor in enumerate(factors):
            for p, (i, j) in enumerate(zip(rows, columns, strict=True)):
                step = factor[j, j] if i == j else 1.0
                out[k, i, :, k, p] += step * factor[:, j]
                out[k, :, i, k, p] += step * factor[:, j]
        return out.reshape(-1, self.size)

    def _factors(self, free: Array) -> Array:
        rows, columns = np.tril_indices(self.dimension)
        factors = np.zeros((math.prod(self.stack), self.dimension, self.dimension))
        factors[:, rows, columns] = free.reshape(factors.shape[0], -1)
        diagonal = np.arange(self.dimension)
        factors[:, diagonal, diagonal] = np.exp(factors[:, diagonal, diagonal])
        return factors
