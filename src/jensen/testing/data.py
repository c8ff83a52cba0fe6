"""Rows for the checks, cut and weighted as they need them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jensen.core.block import AnyArray, Array, Block
from jensen.core.parameters import Parameters
from jensen.errors import InputError


@dataclass(frozen=True, eq=False)
class Rows:
    """Row-aligned arrays in memory with weights.

    Attributes
    ----------
    arrays : mapping of str to ndarray
        ``x`` (n, d), and others.
    weight : ndarray of shape (n,) or None
        Weights of the rows.
    """

    arrays: Mapping[str, AnyArray]
    weight: Array | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.arrays["x"].shape[0])

    @property
    def weights(self) -> Array:
        """Weights of the rows, shape (n,); ones where there are none."""
        return np.ones(self.n) if self.weight is None else self.weight

    def taken(self, rows: AnyArray) -> Rows:
        """Some rows, by number."""
        weight = None if self.weight is None else self.weight[rows]
        return Rows({name: array[rows] for name, array in self.arrays.items()}, weight)

    def weighted(self, weight: Array | None) -> Rows:
        """The same rows with other weights."""
        return Rows(self.arrays, weight)

    def blocks(self, cuts: int) -> list[Block]:
        """Blocks of about equal size, copied, so that whoever writes into one harms nobody else."""
        edges = np.linspace(0, self.n, min(cuts, self.n) + 1).astype(int)
        found = list[Block]()
        for number, (start, stop) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
            rows = slice(start, stop)
            arrays = {name: np.array(array[rows], order="C") for name, array in self.arrays.items()}
            weight = None if self.weight is None else np.array(self.weight[rows], dtype=np.float64)
            found.append(Block(arrays, weight, number, int(start)))
        return found

    def fold(self, block_pass: Callable[[Parameters, Block], Any], params: Parameters, cuts: int = 1) -> Any:
        """The pass over the blocks, merged from the left."""
        first, *others = self.blocks(cuts)
        total = block_pass(params, first)
        for block in others:
            total = total.merge(block_pass(params, block))
        return total


def as_rows(data: Any, weight: Any = None) -> Rows:
    """Rows from an array (n,) or (n, d), a mapping of row-aligned arrays, or a source.

    Raises
    ------
    InputError
        If there are no rows, the arrays are not aligned, or the weights do not fit.
    """
    if callable(getattr(data, "map_ordered", None)):
        blocks = [data.block(number) for number in range(data.n_blocks)]
        arrays = {name: np.concatenate([block.arrays[name] for block in blocks]) for name in blocks[0].arrays}
        if weight is None and any(block.weight is not None for block in blocks):
            weight = np.concatenate([block.weights for block in blocks])
    else:
        given = data if isinstance(data, Mapping) else {"x": data}
        arrays = {str(name): np.asarray(value) for name, value in given.items()}
        if arrays and "x" not in arrays:
            arrays["x"] = next(iter(arrays.values()))
    if not arrays or arrays["x"].ndim == 0 or len(arrays["x"]) == 0:
        raise InputError("data must have at least one row")
    x = arrays["x"]
    arrays["x"] = np.asarray(x.reshape(-1, 1) if x.ndim == 1 else x, dtype=np.float64)
    if any(array.ndim == 0 or len(array) != len(x) for array in arrays.values()):
        raise InputError("the arrays of data must have the same number of rows")
    if weight is not None:
        weight = np.asarray(weight, dtype=np.float64)
        if weight.shape != (len(x),):
            raise InputError(f"sample_weight must have the shape ({len(x)},), got {weight.shape}")
    return Rows(arrays, weight)
