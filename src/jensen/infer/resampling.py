"""The data of one bootstrap draw: new rows from the model, or the rows themselves drawn with replacement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np

from jensen.core.block import Array, Block
from jensen.core.contracts import MergeableT, Source
from jensen.core.parameters import Parameters
from jensen.data.anything import as_source
from jensen.data.arrays import ArraySource
from jensen.errors import InputError

T = TypeVar("T")
BootstrapKind = Literal["parametric", "nonparametric"]
# Makes the data of one draw.
Resample = Callable[[np.random.Generator], Any]


@dataclass(frozen=True, eq=False)
class Reweighted:
    """A source under other weights.

    Attributes
    ----------
    source : Source
        The rows.
    row_weight : ndarray of shape (n,)
        Their weights.
    """

    source: Source
    row_weight: Array

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.source.n_rows

    @property
    def weight(self) -> float:
        """Sum of the weights."""
        return float(self.row_weight.sum())

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return self.source.n_blocks

    def block(self, number: int) -> Block:
        """Block `number`, with its part of the weights."""
        return self._weighted(self.source.block(number))

    def fold(
        self,
        block_pass: Callable[[Parameters, Block], MergeableT],
        params: Parameters,
        blocks: Sequence[int] | None = None,
    ) -> MergeableT:
        """The pass over every block, or over some, merged in their order."""
        return self.source.fold(lambda at, block: block_pass(at, self._weighted(block)), params, blocks)

    def map_ordered(self, block_pass: Callable[[Parameters, Block], T], params: Parameters) -> Iterator[T]:
        """The pass over every block, in block order."""
        return self.source.map_ordered(lambda at, block: block_pass(at, self._weighted(block)), params)

    def _weighted(self, block: Block) -> Block:
        rows = slice(block.first_row, block.first_row + block.n_rows)
        return replace(block, weight=np.ascontiguousarray(self.row_weight[rows]))


def reweighted(source: Any, weight: Array) -> Any:
    """The rows of a source under other weights (n,), as a source."""
    if not isinstance(source, ArraySource):
        return Reweighted(source, weight)
    single = source.dtype == np.float32
    return ArraySource(source.x, weight, block_rows=source.block_rows, single=single, **source.arrays)


def resampling(kind: BootstrapKind, model: Any, params: Parameters, source: Any) -> Resample:
    """How the data of a draw are made, n being the sum of the weights, rounded: a row of weight w is w rows.

    Parameters
    ----------
    kind : {"parametric", "nonparametric"}
        n rows drawn by the model's ``sample`` at `params`; or n rows drawn from the data with replacement, each with a
        chance in proportion to its weight (Efron 1979), as new weights of the rows.
    model : object
        What was fitted.
    params : Parameters
        Where.
    source : Source
        The data.

    Raises
    ------
    InputError
        If the model cannot sample what it was fitted on, or the weights sum to fewer than two rows.
    """
    n = round(source.weight)
    if n < 2:
        raise InputError(
            f"the weights sum to {source.weight:.6g}, but a row of weight w counts as w rows, so that the bootstrap "
            "would draw fewer than two: multiply the weights so that they sum to the number of rows observed"
        )
    # Weights need not sum to a whole number: the rows drawn share what they do sum to.
    scale = source.weight / n
    if kind == "parametric":
        return _parametric(model, params, source, n, scale)
    weight = np.concatenate(list(source.map_ordered(lambda _, block: block.weights, params)))
    chances = weight / weight.sum()

    def rows(rng: np.random.Generator) -> Any:
        return reweighted(source, scale * rng.multinomial(n, chances))

    return rows


def _parametric(model: Any, params: Parameters, source: Any, n: int, scale: float) -> Resample:
    name = type(model).__name__
    if not callable(getattr(model, "sample", None)):
        raise InputError(
            f"{name} does not declare sample(params, n, rng), which the parametric bootstrap needs: use "
            "kind='nonparametric'"
        )
    weight = None if scale == 1.0 else np.full(n, scale)
    wanted = set(source.block(0).arrays) - {"x"}

    def draw(rng: np.random.Generator) -> Any:
        drawn = model.sample(params, n, rng)
        # Mixtures draw rows and their components.
        rows = drawn[0] if isinstance(drawn, tuple) else drawn
        lacking = wanted - set(rows if isinstance(rows, Mapping) else ())
        if lacking:
            raise InputError(
                f"the data have {', '.join(sorted(lacking))} beside the rows, which {name}.sample does not draw: use "
                "kind='nonparametric'"
            )
        if not (isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.dtype == np.float64):
            return as_source(rows, weight)
        if rows.shape[1] > 1:
            return ArraySource(rows, weight)
        # Counts repeat: equal rows are one row with their weight.
        values, times = np.unique(rows, return_counts=True)
        if 2 * len(values) > n:
            return ArraySource(rows, weight)
        return ArraySource(values[:, None], np.asarray(scale * times, dtype=np.float64))

    return draw
