"""A block of rows: the unit in which every pass sees the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
AnyArray = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Block:
    """Whole units of the data, in aligned C order, so that their bits do not depend on where they came from.

    Attributes
    ----------
    arrays : mapping of str to ndarray
        Row-aligned arrays by name; ``x`` of shape (n, d) is always there, and a model may ask for more
        (``responsibilities``, say).
    weight : ndarray of shape (n,) or None
        Weights of the rows, at least 0; None means 1 each.
    number : int
        Position of the block in its source, from 0.
    first_row : int
        Index of the block's first row in the source.
    """

    arrays: Mapping[str, AnyArray]
    weight: Array | None = None
    number: int = 0
    first_row: int = 0

    @property
    def x(self) -> AnyArray:
        """The rows, shape (n, d), float64 or float32."""
        return self.arrays["x"]

    @property
    def n_rows(self) -> int:
        """Number of rows, whatever their weights."""
        return int(self.x.shape[0])

    @property
    def weights(self) -> Array:
        """Weights of the rows, shape (n,); ones where there are none."""
        return np.ones(self.n_rows) if self.weight is None else self.weight

    @property
    def total_weight(self) -> float:
        """Sum of the rows' weights."""
        return float(self.n_rows) if self.weight is None else float(self.weight.sum())
