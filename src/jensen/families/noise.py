"""Gaussian components, and one of uniform noise for the rows that belong to none of them.

Density (Banfield & Raftery 1993; Fraley & Raftery 1998)
    f_k of the Gaussians for k < K, and the constant 1 / V for the noise, which is component number K, the last. V is
    the volume of a box around the data and no parameter: its extremes are its maximum-likelihood estimate. Beyond the
    box the density stays what it is, as in mclust, so that a row far out is noise, and not impossible.

E-step
    A component whose whitening factors are all zero has distance 0 from every row, so that its log joint density is
    its offset, log pi_K - log V: the kernels of Gaussian components take the noise as one of them.

M-step
    That of the Gaussians; the noise has nothing but its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from jensen.core.block import AnyArray, Array, Block
from jensen.core.constraints import Constraints
from jensen.core.contracts import RowPass
from jensen.core.domains import Domain
from jensen.core.information import ComponentDerivatives
from jensen.core.parameters import Parameters
from jensen.families.gaussian import MEMORY, Gaussian
from jensen.families.moments import GaussianStatistics
from jensen.families.whitening import factors
from jensen.kernels.choose import gaussian_moments, gaussian_rows, remembers
from jensen.kernels.portable import Layout


@dataclass(frozen=True, eq=False)
class Box:
    """Where noise is drawn from: a parallelepiped, and the volume V that its density is 1 over.

    Attributes
    ----------
    corner : ndarray of shape (d,)
        One corner.
    edges : ndarray of shape (d, d)
        The edges that leave it, one in each row.
    log_volume : float
        log V, in units of the columns.
    """

    corner: Array
    edges: Array
    log_volume: float

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n rows, shape (n, d)."""
        return np.asarray(self.corner + rng.random((n, len(self.corner))) @ self.edges)


@dataclass(frozen=True, eq=False)
class NoisyStatistics:
    """Statistics of Gaussians and noise.

    Attributes
    ----------
    counts : ndarray of shape (K + 1,)
        Expected weights of the components, that of the noise last.
    gaussian : GaussianStatistics
        Moments of the Gaussians.
    """

    counts: Array
    gaussian: GaussianStatistics

    def merge(self, other: Self) -> Self:
        """Statistics of both parts together."""
        return type(self)(self.counts + other.counts, self.gaussian.merge(other.gaussian))


@dataclass(frozen=True, eq=False)
class Noisy:
    """A stack of K Gaussian components and one of uniform noise; parameters are those of the Gaussians.

    Attributes
    ----------
    gaussian : Gaussian
        The first K components.
    box : Box
        Of the noise, component number K.
    """

    gaussian: Gaussian
    box: Box

    @property
    def n_components(self) -> int:
        """K + 1."""
        return self.gaussian.n_components + 1

    @property
    def n_alike(self) -> int:
        """Components that may change places: the K Gaussians."""
        return self.gaussian.n_components

    @property
    def n_features(self) -> int:
        """d."""
        return self.gaussian.n_features

    @cached_property
    def domains(self) -> Mapping[str, Domain]:
        """Those of the Gaussians: ``means`` (K, d) and ``covariances``."""
        return self.gaussian.domains

    def unregularised(self) -> Noisy:
        """The same family with a plain density, and nothing but it as its objective."""
        return Noisy(self.gaussian.unregularised(), self.box)

    # ----------------------------------------------------------------------------------------- density

    def log_density(self, params: Parameters, block: Block) -> Array:
        """log f_k(x_i), shape (n, K + 1); the last column is -log V."""
        noise = np.full((block.n_rows, 1), -self.box.log_volume)
        return np.hstack([self.gaussian.log_density(params, block), noise])

    def log_penalty(self, params: Parameters) -> Array:
        """Of the Gaussians, and 0 of the noise: a constant is the same over a ball of rows; shape (K + 1,)."""
        return np.append(self.gaussian.log_penalty(params), 0.0)

    def allowed(self, params: Parameters) -> Parameters:
        """Parameters whose covariances are those that the Gaussians may have."""
        return self.gaussian.allowed(params)

    def log_prior(self, params: Parameters) -> float:
        """Of the Gaussians."""
        return self.gaussian.log_prior(params)

    @property
    def derivatives(self) -> Callable[[Parameters, Block], Iterable[ComponentDerivatives]] | None:
        """Those of the Gaussians; the noise depends on no parameter."""
        of_gaussians = self.gaussian.derivatives
        if of_gaussians is None:
            return None

        def derivatives(params: Parameters, block: Block) -> Iterable[ComponentDerivatives]:
            yield from of_gaussians(params, block)
            yield ComponentDerivatives(np.zeros(0, dtype=np.intp), np.zeros((block.n_rows, 0)), _no_curvature)

        return derivatives

    # ----------------------------------------------------------------------------------------- E-step

    @property
    def remembers(self) -> bool:
        """Whether a run gains by notes beside its rows, as with `Gaussian`."""
        return remembers(
            "full" if self.gaussian.layout == "tied" else self.gaussian.layout, self.n_components, self.n_features
        )

    def fused(self, params: Parameters, log_weights: Array, block: Block) -> tuple[NoisyStatistics, float]:
        """The statistics and the penalised log-likelihood of a mixture's E-step in one pass."""
        layout, centres, whitening, constants = self._stacked(params)
        offsets = constants - self.log_penalty(params) + log_weights
        counts, first, scatter, loglik = gaussian_moments(
            block.x, block.weight, layout, centres, whitening, offsets, block.arrays.get(MEMORY)
        )
        k = self.n_alike
        own = scatter[:k].sum(axis=0) if self.gaussian.layout == "tied" else scatter[:k]
        moments = GaussianStatistics(counts[:k], first[:k], own, params["means"], self.gaussian.layout)
        return NoisyStatistics(counts, moments), loglik

    def rows(self, params: Parameters, log_weights: Array, block: Block, wanted: RowPass) -> AnyArray:
        """Plain densities, responsibilities or labels of a mixture's rows in one pass."""
        layout, centres, whitening, constants = self._stacked(params)
        return gaussian_rows(block.x, layout, centres, whitening, constants + log_weights, wanted)

    def statistics(self, params: Parameters, block: Block, responsibilities: Array) -> NoisyStatistics:
        """Moments of the Gaussians about their means, and the weight of the noise, under shares (n, K + 1)."""
        own = np.ascontiguousarray(responsibilities[:, : self.n_alike])
        moments = self.gaussian.statistics(params, block, own)
        return NoisyStatistics(np.append(moments.counts, responsibilities[:, -1].sum()), moments)

    def _stacked(self, params: Parameters) -> tuple[Layout, Array, Array, Array]:
        """All components as Gaussians: layout, centres, whitening factors and constants, the noise last.

        A covariance that all share becomes one for each: the noise does not share it.
        """

        def compute(record: Parameters) -> tuple[Array, Array, Array]:
            means, layout = record["means"], self.gaussian.layout
            whitening, constants, _ = factors(layout, record, self.gaussian.ridge)
            if layout == "tied":
                whitening = np.broadcast_to(whitening, (len(means), *whitening.shape))
            # Any centre will do; one in the middle of the others keeps sums short in single precision.
            centres = np.concatenate([means, means.mean(axis=0, keepdims=True)])
            whitening = np.concatenate([whitening, np.zeros((1, *whitening.shape[1:]))])
            return centres, whitening, np.append(constants, -self.box.log_volume)

        layout = self.gaussian.layout
        key = f"stacked {self.box.log_volume!r}"
        return ("full" if layout == "tied" else layout, *params.derived(key, compute))

    # ----------------------------------------------------------------------------------------- M-step

    def maximize(self, params: Parameters, statistics: NoisyStatistics) -> Mapping[str, Array]:
        """The maximiser of the Gaussians."""
        return self.gaussian.maximize(params, statistics.gaussian)

    def maximize_within(
        self, params: Parameters, statistics: NoisyStatistics, constraints: Constraints
    ) -> Mapping[str, Array]:
        """The maximiser of the Gaussians among parameters some of which are held, or equal between components."""
        return self.gaussian.maximize_within(params, statistics.gaussian, constraints)

    def complete(self, params: Parameters, statistics: NoisyStatistics) -> float:
        """That of the Gaussians, less the weight of the noise times log V."""
        noise = float(statistics.counts[-1]) * self.box.log_volume
        return self.gaussian.complete(params, statistics.gaussian) - noise

    def burst(
        self,
        params: Parameters,
        statistics: NoisyStatistics | None,
        block: Block,
        steps: int,
        equal_weights: bool = False,
        enough: float = 0.0,
        leap_after: int | None = None,
    ) -> None:
        """No bursts: they know Gaussians alone."""
        return None

    def on_trail(self, params: Parameters, trail: object, step: int) -> tuple[Parameters, NoisyStatistics]:
        """There are no trails."""
        raise NotImplementedError("a family without bursts has no trail")

    # ----------------------------------------------------------------------------------------- sampling, faults

    def by_component(self, params: Parameters) -> Mapping[str, Array]:
        """What every Gaussian has of its own, each of shape (K, ...)."""
        return self.gaussian.by_component(params)

    def sample(self, params: Parameters, component: int, n: int, rng: np.random.Generator) -> AnyArray:
        """Draw n rows of one component, shape (n, d); of the noise, from its box."""
        if component == self.n_alike:
            return self.box.sample(n, rng)
        return self.gaussian.sample(params, component, n, rng)

    def faults(self, params: Parameters, statistics: NoisyStatistics) -> tuple[str, ...]:
        """Those of the Gaussians; noise may be as rare as it likes."""
        return self.gaussian.faults(params, statistics.gaussian)


def _no_curvature(weight: Array) -> Array:
    """Of a density without parameters."""
    return np.zeros((0, 0))
