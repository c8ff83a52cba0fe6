"""Does a source give the same rows, in the same order, however they are asked for?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from jensen.core.block import Array, Block
from jensen.core.domains import Real
from jensen.core.parameters import Parameters
from jensen.testing.report import Report, Suite, fingerprint, shown

SOURCE_CHECKS = ("blocks", "n_rows", "weight", "repeatable", "fold", "selection", "map_ordered", "failures")


@dataclass(frozen=True, eq=False)
class _Seen:
    """Which blocks a pass has seen, in their order, with the sum of their weighted rows."""

    numbers: tuple[int, ...]
    total: Array

    def merge(self, other: Self) -> Self:
        return type(self)(self.numbers + other.numbers, self.total + other.total)


class _Stopped(Exception):
    """Raised within a pass, to see whether it comes out."""


def check_source(source: Any, *, skip: Collection[str] = ()) -> Report:
    """Check that a source keeps its contract: blocks, their fold in order, and their repetition.

    Parameters
    ----------
    source : Source
        What is checked; it is passed over some ten times.
    skip : collection of str, default=()
        Checks to leave out, by the names in ``SOURCE_CHECKS``.

    Returns
    -------
    Report

    Raises
    ------
    ConformanceError
        At the first fault; it names the method, and says what was found and what was expected.

    Examples
    --------
    >>> import numpy as np
    >>> from jensen.data.arrays import ArraySource
    >>> check_source(ArraySource(np.eye(5), block_rows=2)).subject
    'ArraySource'
    """
    suite = Suite(source, SOURCE_CHECKS, skip)
    suite.require("source", "n_rows", "weight", "n_blocks", "block", "fold", "map_ordered")
    if not int(source.n_blocks) >= 1:
        raise suite.blame("n_blocks", f"is {source.n_blocks}; expected at least 1")
    checks = _Checks(suite, source)
    return suite.run(checks)


class _Checks:
    """The checks, each a method under its name."""

    def __init__(self, suite: Suite, source: Any) -> None:
        self.suite, self.source = suite, source
        self.params = Parameters({"origin": 0.0}, {"origin": Real(())})
        self.all: list[Block] = [suite.call("block", source.block, number) for number in range(source.n_blocks)]

    def _seen(self, params: Parameters, block: Block) -> _Seen:
        if params is not self.params:
            raise self.suite.blame("fold", "gave the pass other parameters than it was given")
        return _Seen((block.number,), block.weights @ np.asarray(block.x, dtype=np.float64).reshape(block.n_rows, -1))

    def _fold(self, blocks: Sequence[int] | None = None) -> _Seen:
        args = (self._seen, self.params) if blocks is None else (self._seen, self.params, blocks)
        found: _Seen = self.suite.call("fold", self.source.fold, *args)
        return found

    def blocks(self) -> None:
        first_row, names = 0, set(self.all[0].arrays)
        for number, block in enumerate(self.all):
            for what, found, expected in (("number", block.number, number), ("first_row", block.first_row, first_row)):
                if found != expected:
                    raise self.suite.blame("block", f"gave block {number} the {what} {found}; expected {expected}")
            if set(block.arrays) != names or "x" not in names:
                raise self.suite.blame(
                    "block",
                    f"block {number} has the arrays {sorted(block.arrays)}; expected x "
                    f"and the same as in block 0, {sorted(names)}",
                )
            lengths = {name: len(array) for name, array in block.arrays.items()}
            if block.weight is not None:
                lengths["weight"] = len(block.weight)
                if not (np.isfinite(block.weight).all() and (block.weight >= 0).all()):
                    raise self.suite.blame("block", f"block {number} has weights that are negative or not finite")
            if len(set(lengths.values())) > 1 or block.n_rows == 0:
                raise self.suite.blame(
                    "block", f"block {number} has arrays of {lengths} rows; expected as many in each"
                )
            for name, array in block.arrays.items():
                if not (array.flags.c_contiguous and array.flags.aligned):
                    raise self.suite.blame(
                        "block",
                        f"'{name}' of block {number} is not in aligned C order, so that its "
                        "bits may depend on where it came from",
                    )
            first_row += block.n_rows

    def n_rows(self) -> None:
        self._equal("n_rows", self.source.n_rows, sum(block.n_rows for block in self.all), "rows of its blocks")

    def weight(self) -> None:
        total = sum(block.total_weight for block in self.all)
        self._equal("weight", self.source.weight, total, "weights of its blocks")

    def repeatable(self) -> None:
        for number, block in enumerate(self.all):
            if fingerprint(self.source.block(number)) != fingerprint(block):
                raise self.suite.blame("block", f"gave other bits when block {number} was asked for again")
        if self._fold().total.tobytes() != self._fold().total.tobytes():
            raise self.suite.blame("fold", "gave other bits the second time; blocks must merge in one order")

    def fold(self) -> None:
        self._in_order("fold", self._fold(), range(len(self.all)))

    def selection(self) -> None:
        n = len(self.all)
        for wanted in ([0], [n - 1], list(range(0, n, 2)), list(range(n))):
            self._in_order("fold", self._fold(wanted), wanted)

    def map_ordered(self) -> None:
        # Somebody may stop asking, and begin again.
        results = self.source.map_ordered(self._seen, self.params)
        next(iter(results))
        found = [seen.numbers[0] for seen in self.suite.call("map_ordered", self._mapped)]
        if found != list(range(len(self.all))):
            raise self.suite.blame("map_ordered", f"went over the blocks {found}; expected 0 to {len(self.all) - 1}")

    def _mapped(self) -> list[_Seen]:
        return list(self.source.map_ordered(self._seen, self.params))

    def failures(self) -> None:
        def fails(params: Parameters, block: Block) -> _Seen:
            if block.number == len(self.all) - 1:
                raise _Stopped
            return self._seen(params, block)

        try:
            self.source.fold(fails, self.params)
        except _Stopped:
            return
        raise self.suite.blame("fold", "swallowed an error that the pass raised; expected it to come out")

    def _in_order(self, method: str, seen: _Seen, wanted: Sequence[int]) -> None:
        if list(seen.numbers) != list(wanted):
            raise self.suite.blame(
                method, f"merged the blocks {list(seen.numbers)}; expected {list(wanted)}, in this order"
            )
        total = sum(self._seen(self.params, self.all[number]).total for number in wanted)
        if not np.allclose(seen.total, total, rtol=1e-9, atol=1e-9 * float(np.abs(total).max())):
            raise self.suite.blame(
                method, f"summed the rows to {shown(seen.total)}; the blocks themselves sum to {shown(total)}"
            )

    def _equal(self, what: str, found: float, expected: float, of: str) -> None:
        if not abs(found - expected) <= 1e-9 * expected:
            raise self.suite.blame(what, f"is {found:.10g}; expected the sum of the {of}, {expected:.10g}")
