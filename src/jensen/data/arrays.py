"""Arrays in memory, or mapped from disk, as a source of blocks."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import cached_property
from typing import TypeVar

import numpy as np

from jensen.core.block import AnyArray, Array, Block
from jensen.core.contracts import MergeableT
from jensen.core.parameters import Parameters
from jensen.data.pool import map_ordered, single_threaded_blas

T = TypeVar("T")

# About this many numbers go into a block: enough work for a thread, little enough for its cache.
_BLOCK_NUMBERS = 1 << 17
# Blocks that a thread takes at a time, where there are many: to hand over costs as much as a small block.
_IN_A_ROW = 4
_MIN_BLOCK_ROWS = 512
# Rows of a block are a multiple of this, which suits the kernels.
_UNIT = 64


def _even_rows(n_rows: int, d: int) -> int:
    """Rows of a block, so that the last is no much smaller than the others: two threads share two blocks evenly."""
    most = max(_MIN_BLOCK_ROWS, _BLOCK_NUMBERS // max(1, d))
    if n_rows <= most:
        return most
    each = -(-n_rows // -(-n_rows // most))
    return min(-(-each // _UNIT) * _UNIT, most)


class ArraySource:
    """Rows in an array, with optional weights and further row-aligned arrays.

    Blocks are cut by the shape of the data alone, never by the number of threads, and are merged in block order:
    any number of threads gives the same bits.

    Parameters
    ----------
    x : ndarray of shape (n, d)
        Of real numbers; blocks are float64, converted one by one where the data are not. It is never written to.
    weight : ndarray of shape (n,), optional
        Weights of the rows, at least 0, not all 0.
    block_rows : int, optional
        Rows in a block; by default, at most 131,072 numbers' worth or 512, the same in every block but the last.
    single : bool, default=False
        Leave float32 data in single precision: passes are faster, and their results good to some six digits.
    **arrays : ndarray of shape (n, ...)
        Further row-aligned arrays that a pass finds in ``Block.arrays``.
    """

    def __init__(
        self,
        x: AnyArray,
        weight: Array | None = None,
        *,
        block_rows: int | None = None,
        single: bool = False,
        **arrays: AnyArray,
    ) -> None:
        self.x, self.row_weight, self.arrays = x, weight, arrays
        self.dtype = np.float32 if single and x.dtype == np.float32 else np.float64
        self.block_rows = block_rows or _even_rows(*x.shape)
        self.weight = float(x.shape[0]) if weight is None else float(weight.sum())

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.x.shape[0])

    @property
    def n_counting(self) -> int:
        """Number of rows of positive weight."""
        return self.n_rows if self.row_weight is None else int(np.count_nonzero(self.row_weight))

    @property
    def row_weights(self) -> Array:
        """Weights of the rows, shape (n,); ones where there are none."""
        return np.ones(self.n_rows) if self.row_weight is None else self.row_weight

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return -(-self.n_rows // self.block_rows)

    def with_arrays(self, **arrays: AnyArray) -> ArraySource:
        """The same rows with further row-aligned arrays beside them."""
        single = self.dtype == np.float32
        together = {**self.arrays, **arrays}
        return ArraySource(self.x, self.row_weight, block_rows=self.block_rows, single=single, **together)

    def weighted(self, weight: Array | None) -> ArraySource:
        """The same rows with other weights (n,)."""
        single = self.dtype == np.float32
        return ArraySource(self.x, weight, block_rows=self.block_rows, single=single, **self.arrays)

    def in_blocks(self, n_blocks: int) -> ArraySource:
        """The same rows cut into `n_blocks` blocks, or as many as there are rows."""
        rows = -(-self.n_rows // max(1, min(n_blocks, self.n_rows)))
        single = self.dtype == np.float32
        return ArraySource(self.x, self.row_weight, block_rows=rows, single=single, **self.arrays)

    def reordered(self, order: AnyArray) -> ArraySource:
        """The rows in another order (n,), cut into the same blocks."""
        single, weight = self.dtype == np.float32, None if self.row_weight is None else self.row_weight[order]
        arrays = {name: array[order] for name, array in self.arrays.items()}
        return ArraySource(self.x[order], weight, block_rows=self.block_rows, single=single, **arrays)

    def in_single_precision(self) -> ArraySource:
        """The same rows, in single precision if they are float32."""
        return ArraySource(self.x, self.row_weight, block_rows=self.block_rows, single=True, **self.arrays)

    def block(self, number: int) -> Block:
        """Block `number`, from 0. Arrays that are in aligned C order already are not copied."""
        return self._only if self.n_rows <= self.block_rows else self._cut(number)

    @cached_property
    def _only(self) -> Block:
        """The one block of small data, which is asked for often."""
        return self._cut(0)

    def _cut(self, number: int) -> Block:
        start = number * self.block_rows
        rows = slice(start, min(start + self.block_rows, self.n_rows))
        taken = {"x": np.require(self.x[rows], dtype=self.dtype, requirements=("C", "A"))}
        taken.update({name: np.require(a[rows], requirements=("C", "A")) for name, a in self.arrays.items()})
        weight = None if self.row_weight is None else np.ascontiguousarray(self.row_weight[rows], dtype=np.float64)
        return Block(taken, weight, number, start)

    def fold(
        self,
        block_pass: Callable[[Parameters, Block], MergeableT],
        params: Parameters,
        blocks: Sequence[int] | None = None,
    ) -> MergeableT:
        """The pass over every block, or over some by number, merged from the left in their order."""
        numbers = range(self.n_blocks) if blocks is None else blocks
        if len(numbers) == 1:
            with single_threaded_blas():
                return block_pass(params, self.block(numbers[0]))
        # An error between two results must end the work behind them at once, not when its traceback is forgotten.
        with closing(self._map(block_pass, params, numbers)) as results:
            total = next(results)
            for value in results:
                total = total.merge(value)
        return total

    def map_ordered(self, block_pass: Callable[[Parameters, Block], T], params: Parameters) -> Generator[T, None, None]:
        """The pass over every block, in block order."""
        return self._map(block_pass, params, range(self.n_blocks))

    def _map(
        self, block_pass: Callable[[Parameters, Block], T], params: Parameters, numbers: Sequence[int]
    ) -> Generator[T, None, None]:
        def work(number: int) -> T:
            return block_pass(params, self.block(number))

        with single_threaded_blas():
            yield from map_ordered(work, numbers, len(numbers), in_a_row=_IN_A_ROW)

    def collect(self, block_pass: Callable[[Parameters, Block], AnyArray], params: Parameters) -> AnyArray:
        """The row-wise results of a pass, one after another in the order of the rows."""
        return np.concatenate(list(self.map_ordered(block_pass, params)))
