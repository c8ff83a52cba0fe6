"""Parameters: a frozen record of named arrays, each with the domain in which it lives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, cast

import numpy as np

from jensen.core.block import Array
from jensen.core.domains import Domain
from jensen.errors import InputError

T = TypeVar("T")


class Parameters:
    """A frozen record of named arrays.

    From the domains come validation, the free vector (acceleration, standard errors), masks and files. The arrays
    are read-only; ``replace`` makes a new record. What can be computed from a record once, such as Cholesky factors,
    is kept beside it by ``derived``.

    Parameters
    ----------
    values : mapping of str to array-like
        Values by name. They are copied to float64.
    domains : mapping of str to Domain
        Domains of the same names.

    Raises
    ------
    InputError
        If the names differ, or a value has another shape than its domain.
    """

    __slots__ = ("_derived", "_domains", "_values")

    def __init__(self, values: Mapping[str, Any], domains: Mapping[str, Domain]) -> None:
        if values.keys() != domains.keys():
            raise InputError(f"parameters {sorted(values)} do not match the expected {sorted(domains)}")
        frozen: dict[str, Array] = {}
        for name, domain in domains.items():
            array = np.array(values[name], dtype=np.float64, order="C")
            if array.shape != domain.shape:
                raise InputError(f"parameter '{name}' should have the shape {domain.shape}, but got {array.shape}")
            array.flags.writeable = False
            frozen[name] = array
        self._values = MappingProxyType(frozen)
        self._domains = MappingProxyType(dict(domains))
        self._derived: dict[str, object] = {}

    def holding(self, values: dict[str, Array]) -> Parameters:
        """A record of the same domains that holds arrays of theirs as they are, for values that nobody else holds.

        Parameters
        ----------
        values : dict of str to ndarray
            Under all the names, of the right shapes, float64, in C order, read-only; nothing is checked or copied.
        """
        held = Parameters.__new__(Parameters)
        held._values, held._domains, held._derived = MappingProxyType(values), self._domains, {}
        return held

    @property
    def values(self) -> Mapping[str, Array]:
        """The arrays by name, read-only."""
        return self._values

    @property
    def domains(self) -> Mapping[str, Domain]:
        """The domains by name."""
        return self._domains

    def __getitem__(self, name: str) -> Array:
        return self._values[name]

    def __reduce__(self) -> tuple[type[Parameters], tuple[dict[str, Array], dict[str, Domain]]]:
        # Read-only mappings are neither copied nor pickled by themselves; what is derived is computed anew.
        return Parameters, (dict(self._values), dict(self._domains))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}{list(value.shape)}" for name, value in self._values.items())
        return f"Parameters({fields})"

    def replace(self, **values: Any) -> Parameters:
        """A copy with some values replaced.

        Raises
        ------
        InputError
            If a name is unknown, or a shape differs from its domain's.
        """
        return Parameters({**self._values, **values}, self._domains)

    def check(self) -> None:
        """Raise an InputError that names the first parameter outside its domain, and why."""
        for name, domain in self._domains.items():
            fault = domain.check(self._values[name])
            if fault is not None:
                raise InputError(f"parameter '{name}' is outside its domain: {fault}")

    @property
    def is_finite(self) -> bool:
        """Whether every entry of every array is finite."""
        return all(bool(np.isfinite(value).all()) for value in self._values.values())

    @property
    def n_free(self) -> int:
        """Number of free coordinates."""
        return sum(domain.size for domain in self._domains.values())

    def to_free(self) -> Array:
        """The free coordinates (n_free,) of all parameters, in the order of their names in the record."""
        return np.concatenate([d.to_free(self._values[name]) for name, d in self._domains.items()])

    def from_free(self, free: Array) -> Parameters:
        """A record of the same domains at other free coordinates.

        Parameters
        ----------
        free : ndarray of shape (n_free,)
            Any finite reals.
        """
        values, start = {}, 0
        for name, domain in self._domains.items():
            values[name] = domain.from_free(free[start : start + domain.size])
            start += domain.size
        return Parameters(values, self._domains)

    def derived(self, name: str, compute: Callable[[Parameters], T]) -> T:
        """What `compute` makes of this record, computed at the first call and kept.

        Two threads may both compute it; they store equal values, so neither has to wait.
        """
        if name not in self._derived:
            self._derived[name] = compute(self)
        return cast(T, self._derived[name])
