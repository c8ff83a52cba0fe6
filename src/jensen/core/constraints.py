"""Parameters that are held or kept equal: the domains in which the others move, and the record of what is asked.

Held entries have no free coordinates, so that counts of parameters, acceleration and standard errors follow by
themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.domains import Domain, Interval, Positive, PositiveDefinite, Real, Simplex
from jensen.errors import InputError


@dataclass(frozen=True, eq=False)
class Held:
    """A domain some of whose entries keep their values.

    Attributes
    ----------
    domain : Domain
        Where the parameter lives without that.
    value : ndarray of the domain's shape
        What the held entries are.
    mask : ndarray of bool, of the domain's shape
        Which entries are held: all or none of each positive definite matrix; all or none of a domain of another kind
        than those of `jensen.domains`.
    """

    domain: Domain
    value: Array
    mask: AnyArray

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a value."""
        return self.domain.shape

    @property
    def size(self) -> int:
        """Number of free coordinates that are left; a single free share has none, since shares sum to 1."""
        return self._rest.size if self._rest is not None else 0

    @cached_property
    def _free(self) -> AnyArray:
        """Positions of the free entries in the flattened value."""
        return np.flatnonzero(~self.mask)

    @cached_property
    def _rest(self) -> Domain | None:
        """The domain of the free entries, flattened (of the free matrices, stacked); None where there is none."""
        n = self._free.size
        if n == 0:
            return None
        if isinstance(self.domain, PositiveDefinite):
            return replace(self.domain, stack=(n // self.domain.dimension**2,))
        if isinstance(self.domain, Simplex):
            return Simplex(n)
        assert isinstance(self.domain, Real | Positive | Interval)
        return replace(self.domain, shape=(n,))

    @property
    def _left(self) -> float:
        """What the free entries sum to on a simplex; 1 elsewhere."""
        return float(1.0 - self.value[self.mask].sum()) if isinstance(self.domain, Simplex) else 1.0

    def _taken(self, value: Array) -> Array:
        assert self._rest is not None
        return (np.ravel(value)[self._free] / self._left).reshape(self._rest.shape)

    def check(self, value: Array) -> str | None:
        """What is wrong with a value of the right shape, or None."""
        if not np.array_equal(value[self.mask], self.value[self.mask]):
            return "entries that are held must have the values at which they are held"
        return self.domain.check(value)

    def boundary(self, value: Array) -> AnyArray:
        """Free entries on the boundary; the held ones are meant to be where they are."""
        return np.asarray(self.domain.boundary(value) & ~self.mask)

    def to_free(self, value: Array) -> Array:
        """Free coordinates (size,) of the entries that are not held."""
        return np.empty(0) if self._rest is None else self._rest.to_free(self._taken(value))

    def from_free(self, free: Array) -> Array:
        """The value at free coordinates (size,), with the held entries in their places."""
        out = np.ravel(self.value).copy()
        if self._rest is not None:
            out[self._free] = self._left * np.ravel(self._rest.from_free(free))
        return out.reshape(self.shape)

    def jacobian(self, value: Array) -> Array:
        """Derivatives by the free coordinates (value.size, size): rows of 0 for held entries."""
        out = np.zeros((np.size(value), self.size))
        if self._rest is not None:
            out[self._free] = self._left * self._rest.jacobian(self._taken(value))
        return out


@dataclass(frozen=True, eq=False)
class Alike:
    """Several equal values along the first axis.

    Attributes
    ----------
    one : Domain
        Where each of them lives.
    count : int
        How many they are.
    """

    one: Domain
    count: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a value, (count, *one.shape)."""
        return (self.count, *self.one.shape)

    @property
    def size(self) -> int:
        """Number of free coordinates: those of one."""
        return self.one.size

    def check(self, value: Array) -> str | None:
        """What is wrong with a value of the right shape, or None."""
        return self.one.check(value[0]) if (value == value[0]).all() else "values along the first axis must be equal"

    def boundary(self, value: Array) -> AnyArray:
        """Which entries lie on the boundary."""
        return np.stack([self.one.boundary(row) for row in value])

    def to_free(self, value: Array) -> Array:
        """Free coordinates (size,) of the first."""
        return self.one.to_free(value[0])

    def from_free(self, free: Array) -> Array:
        """The value at free coordinates (size,), repeated."""
        return np.stack([self.one.from_free(free)] * self.count)

    def jacobian(self, value: Array) -> Array:
        """Derivatives by the free coordinates (value.size, size): those of one, repeated."""
        return np.tile(self.one.jacobian(value[0]), (self.count, 1))


@dataclass(frozen=True, eq=False)
class Constraints:
    """What is asked of a model's parameters.

    Attributes
    ----------
    fixed : mapping of str to ndarray of bool
        By name, which entries are held; of the parameter's shape.
    equal : tuple of str
        Names of parameters that are equal along their first axis.
    values : mapping of str to ndarray
        The values of the parameters named in `fixed`.
    """

    fixed: Mapping[str, AnyArray] = field(default_factory=dict)
    equal: tuple[str, ...] = ()
    values: Mapping[str, Array] = field(default_factory=dict)

    @classmethod
    def of(
        cls, domains: Mapping[str, Domain], start: Mapping[str, Any], fixed: Mapping[str, Any], equal: Sequence[str]
    ) -> Constraints:
        """What a person asked, checked against a model's domains.

        Parameters
        ----------
        domains : mapping of str to Domain
            The model's own.
        start : mapping of str to array-like
            Where held values come from.
        fixed : mapping of str to bool or array-like of bool
            True for the whole parameter, or a mask of its shape, or of its first axes (one entry a component).
        equal : sequence of str
            Names of parameters to be equal along their first axis.

        Raises
        ------
        InputError
            If a name or a mask does not fit, or is both held and equal.
        """
        masks, values = dict[str, AnyArray](), dict[str, Array]()
        for name, given in fixed.items():
            domain = _domain(domains, name, "fixed")
            mask = _mask(domain, name, given)
            if mask.any():
                masks[name] = mask
                values[name] = np.array(start[name], dtype=np.float64)
        if isinstance(equal, str):
            equal = (equal,)
        for name in equal:
            domain = _domain(domains, name, "equal")
            if name in fixed:
                raise InputError(f"'{name}' is in both fixed and equal: values that are held need not be made equal")
            if not domain.shape or domain.shape[0] < 2 or (_one(domain) is None and not isinstance(domain, Simplex)):
                raise InputError(f"equal: '{name}' has no first axis along which values could be equal")
        return cls(masks, tuple(equal), values)

    def domains(self, own: Mapping[str, Domain]) -> dict[str, Domain]:
        """The model's domains under the constraints."""
        out = dict(own)
        for name, mask in self.fixed.items():
            out[name] = Held(own[name], self.values[name], mask)
        for name in self.equal:
            domain = own[name]
            if isinstance(domain, Simplex):
                shares = np.full(domain.n_shares, 1.0 / domain.n_shares)
                out[name] = Held(domain, shares, np.ones(domain.n_shares, dtype=bool))
            else:
                one = _one(domain)
                assert one is not None
                out[name] = Alike(one, domain.shape[0])
        return out

    def applied(self, values: Mapping[str, Any], own: Mapping[str, Domain]) -> dict[str, Array]:
        """Values with the held ones put back, free shares scaled to what is left, and equal ones averaged."""
        out = {name: np.array(value, dtype=np.float64) for name, value in values.items()}
        for name, mask in self.fixed.items():
            value, held = out[name], self.values[name]
            if isinstance(own[name], Simplex) and not mask.all():
                value = shares_left(value, held, mask)
            out[name] = np.where(mask, held, value)
        for name in self.equal:
            out[name] = np.broadcast_to(out[name].mean(axis=0), out[name].shape).copy()
        return out


def shares_left(counts: Array, held: Array, mask: AnyArray) -> Array:
    """Shares (K,) of which some are held; the others part what is left in proportion to `counts`, or keep `held`."""
    total, left = float(counts[~mask].sum()), 1.0 - float(held[mask].sum())
    free = counts * (left / total) if total > 0 else held
    return np.where(mask, held, free)


def _domain(domains: Mapping[str, Domain], name: str, argument: str) -> Domain:
    if name not in domains:
        raise InputError(f"{argument}: the model has no parameter '{name}'; it has {', '.join(domains)}")
    return domains[name]


def _mask(domain: Domain, name: str, given: Any) -> AnyArray:
    mask = np.asarray(given)
    if mask.dtype != bool or mask.shape != domain.shape[: mask.ndim]:
        raise InputError(
            f"fixed: '{name}' must be True, or a mask of bool of shape {domain.shape} or of its first axes; got "
            f"dtype {mask.dtype} and shape {mask.shape}"
        )
    mask = np.array(np.broadcast_to(mask.reshape(mask.shape + (1,) * (len(domain.shape) - mask.ndim)), domain.shape))
    if mask.all() or not mask.any() or isinstance(domain, Real | Positive | Interval | Simplex):
        return mask
    if not isinstance(domain, PositiveDefinite):
        raise InputError(f"fixed: '{name}' lives in a domain of which all or nothing can be held")
    whole = mask.reshape(*domain.stack, -1)
    if (whole.any(axis=-1) != whole.all(axis=-1)).any():
        raise InputError(f"fixed: of each matrix of '{name}' all or nothing can be held")
    return mask


def _one(domain: Domain) -> Domain | None:
    """The domain of one entry along the first axis, or None."""
    if isinstance(domain, Real | Positive | Interval):
        return replace(domain, shape=domain.shape[1:])
    if isinstance(domain, PositiveDefinite) and domain.stack:
        return replace(domain, stack=domain.stack[1:])
    return None
