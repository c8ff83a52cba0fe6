"""Incremental EM: the E-step on one block of rows at a time, and an M-step after each (Neal & Hinton 1998, section 3).

Statistics of all blocks are kept, each from the parameters at which its block was last seen. Their total comes from a
binary tree of merges: one leaf changes, and log2(B) merges lead to the root. Nothing is ever subtracted, so that no
rounding gathers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np

from jensen.core.block import AnyArray, Block
from jensen.core.contracts import Expect, Info, Point, Request, Source, StoppingRule
from jensen.core.parameters import Parameters
from jensen.errors import InputError
from jensen.numerics.streams import stream
from jensen.solve.em import Evaluated, largest_step, maximized
from jensen.solve.loop import FALL_TOLERANCE
from jensen.solve.partial import check_count, require
from jensen.solve.stopping import AtRest

# Blocks by default, and rows that each of them has at least: see `Incremental`.
DEFAULT_BLOCKS, MIN_ROWS = 16, 20


@dataclass(frozen=True, eq=False)
class Share:
    """What is kept of some rows.

    Attributes
    ----------
    statistics : Statistics
        Expected statistics under q.
    entropy : float
        H(q), up to what `complete` leaves out.
    """

    statistics: Any
    entropy: float

    def merge(self, other: Self) -> Self:
        """Of both parts together."""
        return type(self)(self.statistics.merge(other.statistics), self.entropy + other.entropy)


@dataclass(frozen=True, eq=False)
class Parts:
    """Shares by the number of their block, which a pass gathers without adding them up."""

    shares: tuple[tuple[int, Share], ...]

    def merge(self, other: Self) -> Self:
        """Both, side by side."""
        return type(self)(self.shares + other.shares)


@dataclass(frozen=True, eq=False)
class MergeTree:
    """A binary tree whose nodes are the merged values of their leaves; it is never changed, only replaced.

    Attributes
    ----------
    nodes : sequence
        As in a heap: node i has the children 2 i and 2 i + 1, the root is 1, the leaves are the second half. Nodes
        beyond the last leaf are None.
    n_leaves : int
        Number of leaves.
    """

    nodes: Sequence[Any] = field(repr=False)
    n_leaves: int

    @classmethod
    def of(cls, leaves: Sequence[Any]) -> Self:
        """The tree over some leaves, at least one."""
        half = 1 << (len(leaves) - 1).bit_length()
        nodes = [None] * half + list(leaves) + [None] * (half - len(leaves))
        for i in range(half - 1, 0, -1):
            nodes[i] = _merged(nodes[2 * i], nodes[2 * i + 1])
        return cls(nodes, len(leaves))

    def replaced(self, number: int, leaf: Any) -> Self:
        """The tree with another leaf in the place of leaf `number`, from 0."""
        nodes = list(self.nodes)
        i = len(nodes) // 2 + number
        nodes[i] = leaf
        while i > 1:
            i //= 2
            nodes[i] = _merged(nodes[2 * i], nodes[2 * i + 1])
        return type(self)(nodes, self.n_leaves)

    @property
    def total(self) -> Any:
        """All leaves merged."""
        return self.nodes[1]


def _merged(left: Any, right: Any) -> Any:
    return left if right is None else left.merge(right)


class IncrementalState(NamedTuple):
    """What incremental EM carries from one block to the next.

    Attributes
    ----------
    start : Parameters
        Where the run began.
    tree : MergeTree or None
        The shares of all blocks.
    point : Point or None
        The last point; its objective is F, its statistics are the total.
    swept : Point or None
        The point at the end of the last sweep over all blocks.
    """

    start: Parameters
    tree: MergeTree | None = None
    point: Point | None = None
    swept: Point | None = None


@dataclass(frozen=True)
class IncrementalEM:
    """The solver of `Incremental`; its objective is F(q, theta).

    Attributes
    ----------
    model : Model
        Of one stage, with ``complete``.
    measured : bool
        Whether to measure the steps of whole sweeps in free coordinates.
    """

    model: Any
    measured: bool = False

    @property
    def ascends(self) -> str:
        """F never falls, though the log-likelihood may."""
        return "free energy"

    def init(self, params: Parameters) -> IncrementalState:
        """The state at the start, before anything is evaluated."""
        return IncrementalState(params)

    def ask(self, state: IncrementalState) -> Request:
        """All blocks at the start; then the M-step from the total, and the E-step on the block whose turn it is."""
        if state.point is None or state.tree is None:
            return Request(self._gather, state.start)
        params = maximized(self.model, state.point, 0)
        return Request(self._gather, params, [state.point.iteration % state.tree.n_leaves])

    @property
    def _gather(self) -> Expect:
        expect = self.model.stages[0].expect

        def gather(params: Parameters, block: Block) -> Parts:
            statistics = expect(params, block)
            # Right for any penalty, which both have once, and for whatever constants `complete` leaves out.
            entropy = self.model.objective(params, statistics) - self.model.complete(params, statistics)
            return Parts(((block.number, Share(statistics, float(entropy))),))

        return gather

    def tell(self, state: IncrementalState, params: Parameters, statistics: Parts) -> tuple[IncrementalState, Info]:
        """Put the block's new share in the place of its old one, and note F."""
        if state.point is None or state.tree is None or state.swept is None:
            tree = MergeTree.of([share for _, share in sorted(statistics.shares, key=lambda part: part[0])])
            point = self._evaluated(params, tree.total, 0)
            return IncrementalState(state.start, tree, point, point), Info(0, point.objective, np.inf)
        ((number, share),) = statistics.shares
        tree = state.tree.replaced(number, share)
        point = self._evaluated(params, tree.total, state.point.iteration + 1)
        gain = point.objective - state.point.objective
        if number < tree.n_leaves - 1:
            info = Info(point.iteration, point.objective, gain, plain=False)
            return IncrementalState(state.start, tree, point, state.swept), info
        # Rules judge whole sweeps, which alone are alike; but a fall in the last step is not hidden by them.
        if gain >= -FALL_TOLERANCE * max(abs(point.objective), 1.0):
            gain = point.objective - state.swept.objective
        step = largest_step(state.swept.params.to_free(), params.to_free()) if self.measured else None
        info = Info(point.iteration, point.objective, gain, step=step)
        return IncrementalState(state.start, tree, point, point), info

    def _evaluated(self, params: Parameters, total: Share, iteration: int) -> Evaluated:
        free_energy = float(self.model.complete(params, total.statistics)) + total.entropy
        return Evaluated(params, total.statistics, free_energy, iteration)

    def ahead(self, state: IncrementalState, source: Source, most: int) -> None:
        """None: every step is a pass over a block."""
        return None

    def entropy(self, state: IncrementalState) -> float:
        """H(q) of all blocks."""
        assert state.tree is not None
        return float(state.tree.total.entropy)

    def best(self, state: IncrementalState) -> Point | None:
        """The last point whose F is known."""
        return state.point


@dataclass(frozen=True)
class Incremental:
    """Incremental EM over blocks of rows (Neal & Hinton 1998); F never falls.

    The first pass takes all blocks; then each block's E-step is followed by an M-step. Where EM is slow and blocks are
    alike, it comes near the end in little more than half the passes; each of them runs on one thread. It suits any
    model that declares ``complete``. An iteration is an M-step, of which a sweep over the data has as many as there are
    blocks; rules judge whole sweeps.

    Attributes
    ----------
    n_blocks : int, optional
        At least 1, at most the rows; 1 is EM. By default 16, and no fewer than 20 rows a block. A `Source` that is
        given as data brings its own blocks.
    shuffle : bool, default=True
        Whether rows are dealt to blocks at random, so that blocks are alike; else blocks are rows one after another.
    seed : int, default=0
        At least 0; of the stream that deals.
    """

    n_blocks: int | None = None
    shuffle: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        check_count("Incremental", "seed", self.seed, least=0)
        if self.n_blocks is not None:
            check_count("Incremental", "n_blocks", self.n_blocks)

    @property
    def name(self) -> str:
        """``incremental EM``, and the number of blocks where it was given."""
        return "incremental EM" if self.n_blocks is None else f"incremental EM, {self.n_blocks} blocks"

    def solver(self, model: Any, rule: StoppingRule) -> IncrementalEM:
        """The solver; the model must have one stage, and ``complete``."""
        require(model, "Incremental", "complete(params, statistics)")
        return IncrementalEM(model, isinstance(rule, AtRest))

    def source(self, source: Any) -> Any:
        """Rows in blocks that are alike; a source without ``in_blocks`` keeps its own.

        Raises
        ------
        InputError
            If there are fewer rows than `n_blocks`.
        """
        if not hasattr(source, "in_blocks"):
            return source
        n_rows = source.n_rows
        if self.n_blocks is not None and self.n_blocks > n_rows:
            raise InputError(f"Incremental: n_blocks must be at most the number of rows, {n_rows}, got {self.n_blocks}")
        n_blocks = self.n_blocks or max(1, min(DEFAULT_BLOCKS, n_rows // MIN_ROWS))
        if self.shuffle:
            source = source.reordered(dealt(n_rows, int(self.seed)))
        return source.in_blocks(n_blocks)


def dealt(n_rows: int, seed: int) -> AnyArray:
    """A random order (n_rows,) of the rows, from the stream of its own."""
    return stream(seed, "incremental blocks").permutation(n_rows)
