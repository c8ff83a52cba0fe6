"""The free coordinates that may still move at a point, and the way from them to the natural scale."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag

from jensen.core.block import AnyArray, Array
from jensen.core.domains import Domain, Interval, Positive, PositiveDefinite, Simplex
from jensen.core.information import entry_names, innermost
from jensen.core.parameters import Parameters

# A share or a chance this near to its bound, in units of the domain's width, is taken to be there.
AT_BOUND = 1e-10


class Coordinates:
    """Coordinates of the neighbourhood of a record: m free directions, P natural entries.

    Entries on the boundary of their domain are held fixed: the directions along which they alone would move are left
    out.

    Parameters
    ----------
    params : Parameters
        The point.
    """

    def __init__(self, params: Parameters) -> None:
        self.params = params
        bases, jacobians, held = list[Array](), list[Array](), list[AnyArray]()
        for name, domain in params.domains.items():
            value = params[name]
            at_bound, jacobian = near_boundary(domain, value), domain.jacobian(value)
            bases.append(_moving(jacobian) if at_bound.any() else np.eye(domain.size))
            jacobians.append(jacobian @ bases[-1])
            held.append(np.ravel(at_bound))
        self.basis = _blocks(bases)
        self.jacobian = _blocks(jacobians)
        self.is_held = np.concatenate(held)

    @property
    def size(self) -> int:
        """Number m of free directions."""
        return int(self.basis.shape[1])

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the natural entries."""
        return entry_names(self.params.domains)

    @property
    def held(self) -> tuple[str, ...]:
        """Names of the entries that are held fixed."""
        return tuple(name for name, held in zip(self.names, self.is_held, strict=True) if held)

    @cached_property
    def free(self) -> Array:
        """Free coordinates of the point."""
        return self.params.to_free()

    def moved(self, step: Array) -> Parameters:
        """The record a step (m,) away; entries that are held keep their values."""
        moved = self.params.from_free(self.free + self.basis @ step)
        if not self.is_held.any():
            return moved
        held = self.shaped(self.is_held)
        return moved.replace(
            **{name: np.where(held[name], self.params[name], value) for name, value in moved.values.items()}
        )

    def pulled_back(self, natural: Mapping[str, Array], step: Array) -> Array:
        """Derivatives along the free directions (m,) a step (m,) away, from those by every natural entry there."""
        free, start, found = self.free + self.basis @ step, 0, list[Array]()
        for name, domain in self.params.domains.items():
            own = free[start : start + domain.size]
            jacobian_at = getattr(domain, "jacobian_at", None)
            jacobian = domain.jacobian(domain.from_free(own)) if jacobian_at is None else jacobian_at(own)
            found.append(jacobian.T @ np.ravel(natural[name]))
            start += domain.size
        return np.asarray(self.basis.T @ np.concatenate(found))

    def shaped(self, values: AnyArray) -> dict[str, AnyArray]:
        """Values of the natural entries (P,), by parameter in their natural shapes."""
        out, start = dict[str, AnyArray](), 0
        for name, value in self.params.values.items():
            out[name] = values[start : start + value.size].reshape(value.shape)
            start += value.size
        return out

    @property
    def flat(self) -> Array:
        """The natural entries (P,)."""
        return np.concatenate([np.ravel(value) for value in self.params.values.values()])

    def guesses(self) -> Array:
        """A length for each free direction (m,), on which something may be expected to happen."""
        lengths = [
            np.maximum(0.1 * np.abs(domain.to_free(self.params[name])), 0.01)
            if not isinstance(innermost(domain), Positive | Interval | Simplex | PositiveDefinite)
            else np.full(domain.size, 0.1)
            for name, domain in self.params.domains.items()
        ]
        return np.asarray(np.abs(self.basis.T) @ np.concatenate(lengths))

    @cached_property
    def is_curved(self) -> AnyArray:
        """Which free directions (m,) are logarithms and the like, of which a step of 1 is a long one."""
        curved = [
            np.full(domain.size, isinstance(innermost(domain), Positive | Interval | Simplex | PositiveDefinite))
            for domain in self.params.domains.values()
        ]
        return np.asarray(np.abs(self.basis.T) @ np.concatenate(curved).astype(np.float64) > 0)


def near_boundary(domain: Domain, value: Array) -> AnyArray:
    """Entries that are on the boundary of their domain, or as good as there; of the value's shape, bool."""
    found = np.asarray(domain.boundary(value))
    if isinstance(domain, Interval):
        room = AT_BOUND * (domain.upper - domain.lower)
        found = found | (value - domain.lower <= room) | (domain.upper - value <= room)
    elif isinstance(domain, Simplex) and domain.n_shares > 1:
        found = found | (value <= AT_BOUND)
    return found


def _moving(jacobian: Array) -> Array:
    """A basis of the free directions that move a value at all."""
    reach = np.linalg.norm(jacobian, axis=0)
    if np.count_nonzero(jacobian) == np.count_nonzero(np.diagonal(jacobian)):
        return np.eye(jacobian.shape[1])[:, reach > AT_BOUND]
    _, values, rows = np.linalg.svd(jacobian, full_matrices=True)
    keep = np.zeros(jacobian.shape[1], dtype=bool)
    keep[: values.size] = values > AT_BOUND
    return np.asarray(rows[keep].T)


def _blocks(parts: list[Array]) -> Array:
    """Matrices along a diagonal; parts without columns keep their rows."""
    return np.asarray(block_diag(*parts), dtype=np.float64)
