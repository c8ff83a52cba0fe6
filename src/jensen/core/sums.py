"""Expected statistics as named sums: the statistics of most models that people write."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from jensen.core.block import AnyArray
from jensen.errors import ContractError


class Sums:
    """Sums over rows, by name, that add up over blocks.

    Parameters
    ----------
    weight : float
        Sum of the rows' weights: ``block.total_weight``.
    loglik : float
        Log-likelihood of the rows at the parameters of the E-step, weights included.
    entropy : float, optional
        Entropy H(q) of the posterior over what is hidden, summed over the rows; wanted where F and its gap are traced.
    **sums : array-like
        Expected complete-data sums, each of the same shape in every block; they are attributes of the record.

    Examples
    --------
    >>> a = Sums(weight=2.0, loglik=-1.5, heads=[1.0, 0.5])
    >>> (a.merge(a).heads, a.merge(a).loglik)
    (array([2., 1.]), -3.0)
    """

    __slots__ = ("_sums", "entropy", "loglik", "weight")

    def __init__(self, *, weight: float, loglik: float, entropy: float | None = None, **sums: Any) -> None:
        self.weight, self.loglik = float(weight), float(loglik)
        self.entropy = None if entropy is None else float(entropy)
        self._sums: dict[str, AnyArray] = {name: np.asarray(value, dtype=np.float64) for name, value in sums.items()}

    def __getattr__(self, name: str) -> AnyArray:
        # Copies and unpickled records look for methods before the slots are filled.
        if not name.startswith("_") and name in self._sums:
            return self._sums[name]
        raise AttributeError(f"these sums have no '{name}'")

    def __getitem__(self, name: str) -> AnyArray:
        return self._sums[name]

    def __repr__(self) -> str:
        return f"Sums(weight={self.weight:g}, loglik={self.loglik:g}, {', '.join(self._sums)})"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sums."""
        return tuple(self._sums)

    def merge(self, other: Self) -> Self:
        """The sums of both parts together.

        Raises
        ------
        ContractError
            If the other record has other names or shapes: `expect` must return the same for every block.
        """
        if self._sums.keys() != other._sums.keys():
            raise ContractError(f"expect returned the sums {self.names} for one block and {other.names} for another")
        for name, value in self._sums.items():
            if value.shape != other._sums[name].shape:
                raise ContractError(
                    f"expect returned '{name}' of shape {value.shape} for one block and {other._sums[name].shape} for "
                    "another; sum over the rows of the block"
                )
        both = self.entropy is not None and other.entropy is not None
        return type(self)(
            weight=self.weight + other.weight,
            loglik=self.loglik + other.loglik,
            entropy=self.entropy + other.entropy if both else None,  # type: ignore[operator]
            **{name: value + other._sums[name] for name, value in self._sums.items()},
        )
