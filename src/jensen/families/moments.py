"""Moments of some rows under responsibilities: the statistics of Gaussian components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from jensen.core.block import Array
from jensen.kernels.portable import Layout


@dataclass(frozen=True, eq=False)
class GaussianStatistics:
    """Moments of some rows under responsibilities, about a shift.

    Attributes
    ----------
    counts : ndarray of shape (K,)
        n_k, the sum of weighted responsibilities.
    first : ndarray of shape (K, d)
        Sum of r (x - shift_k).
    scatter : ndarray
        Sum of r (x - shift_k)(x - shift_k)': (K, d, d) full, (d, d) tied (over all k), (K, d) diag, (K,) spherical.
    shift : ndarray of shape (K, d)
        Where the moments were taken.
    layout : {"full", "tied", "diag", "spherical"}
        Which scatter it is.
    """

    counts: Array
    first: Array
    scatter: Array
    shift: Array
    layout: Layout

    def merge(self, other: Self) -> Self:
        """Moments of both parts, about this one's shift (Chan, Golub & LeVeque 1983)."""
        if self.shift is not other.shift and not np.array_equal(self.shift, other.shift):
            other = other.about(self.shift)
        return type(self)(
            self.counts + other.counts,
            self.first + other.first,
            self.scatter + other.scatter,
            self.shift,
            self.layout,
        )

    def about(self, shift: Array) -> Self:
        """The same moments about another shift (K, d)."""
        step = self.shift - shift
        first = self.first + self.counts[:, None] * step
        moved = self.scatter + products(self.first, step, self.layout) + products(step, first, self.layout)
        return type(self)(self.counts, first, moved, shift, self.layout)

    def centred(self) -> tuple[Array, Array]:
        """Means (K, d), and the scatter about them; a component without rows keeps its shift as mean."""
        alive = self.counts > 0
        step = np.divide(self.first, self.counts[:, None], out=np.zeros_like(self.first), where=alive[:, None])
        scatter = self.scatter - products(self.first, step, self.layout)
        if self.layout in ("diag", "spherical"):
            scatter = np.maximum(scatter, 0.0)
        return self.shift + step, scatter


def products(a: Array, b: Array, layout: Layout) -> Array:
    """The outer products a_k b_k' of stacked vectors (K, d), or the part of them that a layout keeps."""
    if layout == "full":
        return np.asarray(np.einsum("ki,kj->kij", a, b))
    if layout == "tied":
        return np.asarray(np.einsum("ki,kj->ij", a, b))
    return a * b if layout == "diag" else np.asarray(np.einsum("ki,ki->k", a, b))
