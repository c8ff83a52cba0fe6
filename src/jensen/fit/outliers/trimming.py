"""Impartial trimming: the likelihood of the rows that fit best, whose weight is a given share of all.

Maximised is sum_i u_i log p(x_i) over the parameters and over all u with 0 <= u_i <= w_i and sum_i u_i = (1 - alpha) n
(Garcia-Escudero, Gordaliza, Matran & Mayo-Iscar 2008, in the mixture form of Garcia-Escudero et al. 2014). A
concentration step chooses u at the parameters and takes an EM step on the rows so weighted (Fritz, Garcia-Escudero &
Mayo-Iscar 2013). It never lowers the trimmed likelihood: at its u, EM's step does not; and the best u at the new
parameters is at least as good as the old one. For given parameters the best u takes the rows of highest density; at the
edge, the part of a row that fits, of equal densities the same part, so that weight 2 is the row twice.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from jensen.core.block import AnyArray, Array, Block
from jensen.core.contracts import MergeableT, Stage
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.errors import NumericalFailure
from jensen.fit.outliers.contract import guess, unregularised
from jensen.fit.summary import DataSummary
from jensen.models.mixture import Mixture
from jensen.numerics.logspace import log_of_shares, normalise_logs

T = TypeVar("T")

# Cumulative weights that miss the share by less than this part of it reach it.
_HAIR = 1e-12
# Log-densities below the threshold by less than this share of it are at it: passes over other blocks round otherwise.
_ROUNDING = 1e-9
# Shares that are trimmed for some steps on the way out of an optimum.
_LESS, _MORE, _MOST, _STEPS = 0.5, 1.5, 0.9, 4


def best_weights(density: Array, weight: Array | None, share: float) -> Array:
    """The u (n,) of highest sum_i u_i density_i with 0 <= u <= w and the sum (1 - share) sum_i w_i.

    Parameters
    ----------
    density : ndarray of shape (n,)
        Log-densities of the rows.
    weight : ndarray of shape (n,) or None
        w, at least 0; None for 1.
    share : float
        What is left out, at least 0 and below 1.
    """
    edge = edge_density(density, weight, share)
    own = np.ones(len(density)) if weight is None else weight
    above, level = density > edge, density == edge
    found = np.where(above, own, 0.0)
    room = (1.0 - share) * float(own.sum()) - float(found.sum())
    at_edge = float(own[level].sum())
    if at_edge > 0:
        found[level] = own[level] * min(max(room / at_edge, 0.0), 1.0)
    return found


def edge_density(density: Array, weight: Array | None, share: float) -> float:
    """The log-density of the last row that is kept, all of it or in part."""
    if weight is None:
        n = len(density)
        kept = min(max(int(np.ceil((1.0 - share) * n * (1.0 - _HAIR))), 1), n)
        return float(np.partition(density, n - kept)[n - kept])
    counting = np.flatnonzero(weight > 0)
    order = counting[np.argsort(-density[counting], kind="stable")]
    heap = np.cumsum(weight[order])
    at = int(np.searchsorted(heap, (1.0 - share) * heap[-1] * (1.0 - _HAIR)))
    return float(density[order[min(at, len(order) - 1)]])


def penalised_density(model: Mixture, params: Parameters, block: Block) -> Array:
    """Log-densities (n,) with the family's penalty: what the E-step sums."""
    logs = log_of_shares(params["weights"]) - model.family.log_penalty(params)
    found = model.family.rows(params, logs, block, "density")
    if found is None:
        return normalise_logs(np.array(model.log_joint(params, block)))
    return np.asarray(found[0])


@dataclass(frozen=True, eq=False)
class TrimmedSource:
    """Rows of which every pass sees those that the mixture at its parameters fits best; see `ArraySource`.

    Attributes
    ----------
    source : ArraySource
        All the rows.
    mixture : Mixture
        Whose densities decide.
    share : float
        What is left out.
    """

    source: ArraySource
    mixture: Mixture
    share: float

    @property
    def n_rows(self) -> int:
        """Number of rows, with those that are left out."""
        return self.source.n_rows

    @property
    def weight(self) -> float:
        """Weight of the rows that are kept."""
        return (1.0 - self.share) * self.source.weight

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return self.source.n_blocks

    def block(self, number: int) -> Block:
        """Block `number`, of all the rows."""
        return self.source.block(number)

    def with_arrays(self, **arrays: AnyArray) -> TrimmedSource:
        """The same with further row-aligned arrays."""
        return TrimmedSource(self.source.with_arrays(**arrays), self.mixture, self.share)

    def kept(self, params: Parameters) -> ArraySource:
        """The rows with the weights that are best at some parameters."""

        def density(at: Parameters, block: Block) -> Array:
            return penalised_density(self.mixture, at, block)

        found = self.source.collect(density, params)
        return self.source.weighted(best_weights(found, self.source.row_weight, self.share))

    def fold(
        self,
        block_pass: Callable[[Parameters, Block], MergeableT],
        params: Parameters,
        blocks: Sequence[int] | None = None,
    ) -> MergeableT:
        """The pass over every block, or some by number, with the weights that are best at `params`."""
        return self.kept(params).fold(block_pass, params, blocks)

    def map_ordered(self, block_pass: Callable[[Parameters, Block], T], params: Parameters) -> Generator[T, None, None]:
        """The pass over every block, in block order, with the weights that are best at `params`."""
        return self.kept(params).map_ordered(block_pass, params)


@dataclass(frozen=True, eq=False)
class Trimmed:
    """A mixture on a `TrimmedSource`: the mixture without what a pass over all rows alone can do, such as bursts.

    Attributes
    ----------
    mixture : Mixture
        What is fitted.
    """

    mixture: Mixture

    @property
    def family(self) -> Any:
        """The components."""
        return self.mixture.family

    @property
    def n_components(self) -> int:
        """K."""
        return self.mixture.n_components

    @property
    def stages(self) -> Sequence[Stage]:
        """Those of the mixture."""
        return self.mixture.stages

    def expect(self, params: Parameters, block: Block) -> Any:
        """E-step of one block."""
        return self.mixture.expect(params, block)

    def assess(self, params: Parameters, block: Block) -> Any:
        """What the plain density says of a block."""
        return self.mixture.assess(params, block)

    def objective(self, params: Parameters, statistics: Any) -> float:
        """The trimmed log-likelihood with the mixture's penalties."""
        return self.mixture.objective(params, statistics)

    def allowed(self, params: Parameters) -> Parameters:
        """Parameters that were put together, as near by as the mixture allows."""
        return self.mixture.allowed(params)

    def faults(self, params: Parameters, statistics: Any) -> tuple[str, ...]:
        """Why these parameters are degenerate."""
        return self.mixture.faults(params, statistics)


@dataclass(frozen=True, eq=False)
class TrimmedOutliers:
    """A share of the rows is left out; see `jensen.fit.outliers.contract.Outliers`.

    Attributes
    ----------
    gaussians : Mixture
        What is fitted to the others.
    share : float
        Above 0, below 1.
    """

    gaussians: Mixture
    share: float

    @cached_property
    def model(self) -> Trimmed:
        """The mixture on a trimmed source."""
        return Trimmed(self.gaussians)

    @property
    def mixture(self) -> Mixture:
        """The Gaussian mixture."""
        return self.gaussians

    def over(self, source: ArraySource) -> TrimmedSource:
        """The source, trimmed at every pass."""
        return TrimmedSource(source, self.gaussians, self.share)

    def plain(self) -> TrimmedOutliers:
        """The same without regularisation."""
        return TrimmedOutliers(unregularised(self.gaussians), self.share)

    def inliers(self, source: ArraySource, params: Parameters) -> tuple[ArraySource, Parameters]:
        """The rows that are kept."""
        return self.over(source).kept(params), params

    def cleaned(self, data: DataSummary, index: int, rng: np.random.Generator) -> tuple[DataSummary, float]:
        """Without so many rows that seem to be outliers."""
        return guess(self.gaussians, data, index, rng, self.share)

    def around(self, params: Parameters, outlying: float) -> Parameters:
        """The parameters as they are."""
        return params

    def escapes(self, source: ArraySource, params: Parameters) -> list[tuple[str, Parameters]]:
        """A few steps with less trimmed, and with more: rows at the edge come in or go, and may stay so."""
        found = list[tuple[str, Parameters]]()
        for kind, share in (("less trimmed", _LESS * self.share), ("more trimmed", min(_MORE * self.share, _MOST))):
            moved, other = params, TrimmedSource(source, self.gaussians, share)
            try:
                for _ in range(_STEPS):
                    moved = self.gaussians.maximize(moved, other.fold(self.gaussians.expect, moved))
            except NumericalFailure:
                continue
            found.append((kind, moved))
        return found

    def threshold(self, source: ArraySource, params: Parameters) -> float:
        """The plain log-density below which a row is an outlier."""
        edge = edge_density(source.collect(self.gaussians.row_loglik, params), source.row_weight, self.share)
        return edge - _ROUNDING * max(1.0, abs(edge))
