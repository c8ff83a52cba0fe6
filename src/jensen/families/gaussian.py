"""Gaussian components with covariances of any of the fourteen shapes.

Density
    log f_k(x) = -d/2 log(2 pi) - log|L_k| - |L_k^-1 (x - mu_k)|^2 / 2, with Sigma_k = L_k L_k'.

Regularisation
    Each row counts as a small ball N(x_i, R), R diagonal. Averaging log f_k over the ball subtracts
    tr(R Sigma_k^-1)/2 from it, and the M-step W_k/n_k + R maximises exactly what the E-step then sums, so that the
    penalised log-likelihood never falls. Scores, criteria and predictions use the plain density.

Prior
    A conjugate prior on each mu_k and Sigma_k adds a count and a scatter to the statistics of the M-step, which stays
    exact, and its log-density to the objective (`jensen.families.shapes.prior`).

Constraint
    All eigenvalues of all covariances within a ratio of one another (`jensen.families.shapes.ratio`).

M-step (Celeux & Govaert 1995, with R)
    mu_k = the weighted mean; Sigma_k = W_k/n_k + R (full), W/n + R (tied), their diagonals (diag),
    tr(W_k)/(n_k d) + tr(R)/d (spherical), where W_k is the scatter about mu_k and W its sum; the other shapes
    from W_k + n_k R, see `jensen.families.shapes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from jensen.core.block import AnyArray, Array, Block
from jensen.core.constraints import Constraints
from jensen.core.contracts import RowPass
from jensen.core.domains import Domain, Real
from jensen.core.information import ComponentDerivatives
from jensen.core.parameters import Parameters
from jensen.errors import InputError
from jensen.families.derivatives import gaussian_derivatives
from jensen.families.moments import GaussianStatistics, products
from jensen.families.mstep import constrained_means, covariances_about
from jensen.families.shapes.domain import covariance_domain
from jensen.families.shapes.prior import PseudoData, with_ridge
from jensen.families.shapes.ratio import within_ratio
from jensen.families.shapes.table import CovarianceShape, covariance_shape
from jensen.families.whitening import as_full, clear_of, factors, floor_ratios, in_layout, whiten
from jensen.kernels.choose import gaussian_moments, gaussian_rows, native_maximize, remembers
from jensen.kernels.flights import (
    GaussianBursts,
    GaussianDescent,
    GaussianTrail,
    ready_bursts,
    ready_descent,
    takes_bursts,
)
from jensen.kernels.mstep import MStep
from jensen.kernels.portable import Layout, gaussian_log_joint, weighted_moments
from jensen.numerics.cholesky import lower_factors

# Eigenvalues within this many times of their floor R mark a degenerate component.
NEARLY_SINGULAR = 10.0
# Name of the array beside the rows in which passes of one run keep notes.
MEMORY = "memory"
# Turns that an M-step under constraints takes at most, and the change of means, as a share of them, that ends them.
_MAX_TURNS, _STILL = 500, 1e-14


# --------------------------------------------------------------------------------------------- the family


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A stack of K Gaussian components in d dimensions; parameters ``means`` and ``covariances``.

    Attributes
    ----------
    n_components, n_features : int
        K and d.
    shape : str, default="full"
        Which covariances: ``full, tied, diag, spherical``, or one of mclust's fourteen names. They are stored in the
        layout of the shape.
    ridge : ndarray of shape (d,)
        Diagonal of R, in squared units of the columns, or one number for all; none by default.
    floor : ndarray of shape (d,) or None
        Variances of collapse: an eigenvalue within ten times of them marks a degenerate component. Columns of 0 do not
        count, such as constant ones, which collapse in every fit. None takes `ridge`.
    prior : PseudoData or None
        What a conjugate prior adds to each component; none by default.
    ratio : float, default=inf
        The largest eigenvalue of any covariance over the smallest of any, at most; for the shapes of `WITH_RATIO`.
    """

    n_components: int
    n_features: int
    shape: str = "full"
    ridge: Array = field(default_factory=lambda: np.zeros(1))
    floor: Array | None = None
    prior: PseudoData | None = None
    ratio: float = np.inf

    def __post_init__(self) -> None:
        object.__setattr__(self, "ridge", np.array(np.broadcast_to(self.ridge, (self.n_features,)), dtype=np.float64))
        object.__setattr__(self, "shape", covariance_shape(self.shape, self.n_features).label)

    @cached_property
    def kind(self) -> CovarianceShape:
        """What components share of their covariances."""
        return covariance_shape(self.shape, self.n_features)

    @cached_property
    def layout(self) -> Layout:
        """How covariances and scatters are stored: (K, d, d) full, (d, d) tied, (K, d) diag, (K,) spherical."""
        return self.kind.layout

    @cached_property
    def m_step(self) -> MStep:
        """What native M-steps maximise within."""
        step, prior = MStep(self.layout, self.kind.name, self.ridge, ratio=self.ratio), self.prior
        if prior is None:
            return step
        return replace(step, count=prior.count, scatter=prior.scatter, strength=prior.strength, centre=prior.centre)

    @cached_property
    def domains(self) -> Mapping[str, Domain]:
        """``means``: real; ``covariances``: those of the shape, in its layout."""
        k, d = self.n_components, self.n_features
        return {"means": Real((k, d)), "covariances": covariance_domain(self.kind, k, d)}

    def unregularised(self) -> Gaussian:
        """The same family without R, prior and constraint, whose objective is the plain likelihood."""
        if self.prior is None and self.ratio == np.inf and not self.ridge.any():
            return self
        return Gaussian(self.n_components, self.n_features, self.shape, np.zeros(self.n_features), self.floor)

    def of(self, n_components: int) -> Gaussian:
        """The same family with another number of components; a prior stays what it is for each of them."""
        return replace(self, n_components=n_components)

    # ----------------------------------------------------------------------------------------- density

    def log_density(self, params: Parameters, block: Block) -> Array:
        """log f_k(x_i), shape (n, K)."""
        whitening, constants = whiten(self.layout, params)
        return gaussian_log_joint(block.x, self.layout, params["means"], whitening, constants)

    def log_penalty(self, params: Parameters) -> Array:
        """tr(R Sigma_k^-1)/2 for each component, shape (K,)."""
        return factors(self.layout, params, self.ridge)[2]

    @property
    def derivatives(self) -> Callable[[Parameters, Block], Iterable[ComponentDerivatives]] | None:
        """Scores and curvature of the plain log-density of each component, by means and covariances.

        None for the shapes whose covariances are bent sets: there, what a score misses by leaving the set counts too.
        """
        if not (self.shape == self.layout or self.kind.is_common):
            return None
        return lambda params, block: gaussian_derivatives(
            self.layout, block.x, params["means"], whiten(self.layout, params)[0]
        )

    # ----------------------------------------------------------------------------------------- E-step

    @property
    def remembers(self) -> bool:
        """Whether a run gains by an int32 array `MEMORY` beside its rows, -1 at first, for passes to keep notes in."""
        return remembers(self.layout, self.n_components, self.n_features)

    def fused(self, params: Parameters, log_weights: Array, block: Block) -> tuple[GaussianStatistics, float]:
        """The statistics and the penalised log-likelihood of a mixture's E-step in one pass."""
        whitening, constants, penalty = factors(self.layout, params, self.ridge)
        offsets = constants - penalty + log_weights
        means = params["means"]
        counts, first, scatter, loglik = gaussian_moments(
            block.x, block.weight, self.layout, means, whitening, offsets, block.arrays.get(MEMORY)
        )
        return GaussianStatistics(counts, first, scatter, means, self.layout), loglik

    def rows(self, params: Parameters, log_weights: Array, block: Block, wanted: RowPass) -> AnyArray:
        """Plain densities, responsibilities or labels of a mixture's rows in one pass."""
        whitening, constants = whiten(self.layout, params)
        return gaussian_rows(block.x, self.layout, params["means"], whitening, constants + log_weights, wanted)

    def statistics(self, params: Parameters, block: Block, responsibilities: Array) -> GaussianStatistics:
        """Moments about the current means under weighted responsibilities (n, K)."""
        means = params["means"]
        return GaussianStatistics(*weighted_moments(block.x, responsibilities, self.layout, means), means, self.layout)

    # ----------------------------------------------------------------------------------------- M-step

    def in_shape(self, weights: Array, covariances: Array, previous: Array) -> Array:
        """Covariances of the shape that come nearest, by weight, to any in its layout (Kullback-Leibler).

        Parameters
        ----------
        weights : ndarray of shape (K,)
            At least 0.
        covariances : ndarray
            One for each component: (K, d, d) for the layouts full and tied, (K, d) diag, (K,) spherical.
        previous : ndarray
            In the layout: what components without weight keep, and where shapes with one orientation begin to look.
        """
        scatter = weights.reshape(-1, *[1] * (covariances.ndim - 1)) * covariances
        if self.shape == self.layout and self.layout != "tied":
            return covariances
        if self.layout == "tied":
            scatter = scatter.sum(axis=0)
        elif self.layout == "spherical":
            scatter = scatter * self.n_features
        if self.shape != self.layout:
            at = np.zeros((self.n_components, self.n_features))
            moments = (weights, at, np.ascontiguousarray(scatter))
            found = native_maximize(MStep(self.layout, self.kind.name, at[0]), (at, previous), moments)
            if found is not None:
                return found[1]
        return covariances_about(self.kind, weights, scatter, np.zeros(self.n_features), previous)

    def maximize(self, params: Parameters, statistics: GaussianStatistics) -> Mapping[str, Array]:
        """The maximiser; a component without rows keeps its old parameters, which lose nothing."""
        counts = statistics.counts
        if statistics.shift is params["means"]:
            old, moments = (statistics.shift, params["covariances"]), (counts, statistics.first, statistics.scatter)
            found = native_maximize(self.m_step, old, moments)
            if found is not None:
                return {"means": found[0], "covariances": found[1]}
        means, scatter = statistics.centred()
        ridge, prior = self.ridge, self.prior
        if prior is not None:
            scatter = with_ridge(self.layout, counts, prior.scatter_with(self.layout, counts, means, scatter), ridge)
            means, ridge = prior.means_with(counts, means), np.zeros_like(ridge)
            counts = prior.counts_with(counts)
        covariances = covariances_about(self.kind, counts, scatter, ridge, params["covariances"])
        if self.ratio < np.inf:
            matrices = within_ratio(self.kind.name, counts, as_full(self.layout, covariances, *means.shape), self.ratio)
            covariances = in_layout(self.layout, matrices)
        return {"means": means, "covariances": covariances}

    def allowed(self, params: Parameters) -> Parameters:
        """The same parameters with the eigenvalues of the covariances within the ratio."""
        if self.ratio == np.inf:
            return params
        matrices = as_full(self.layout, params["covariances"], *params["means"].shape)
        weights = params["weights"][: self.n_components]
        within = within_ratio(self.kind.name, weights, matrices, self.ratio)
        return params if within is matrices else params.replace(covariances=in_layout(self.layout, within))

    def log_prior(self, params: Parameters) -> float:
        """Log-density of the prior without its constant; 0 without a prior."""
        if self.prior is None:
            return 0.0
        return self.prior.log_density(self.layout, params["means"], whiten(self.layout, params)[0])

    def maximize_within(
        self, params: Parameters, statistics: GaussianStatistics, constraints: Constraints
    ) -> Mapping[str, Array]:
        """The maximiser among parameters some of which are held, or equal between components.

        Given covariances, free means solve least squares; given means, a free covariance is the scatter about them,
        fixed or not. Where one needs the other, as equal means do, they take turns until they rest: Q never falls.

        Raises
        ------
        InputError
            If there is a prior or a constraint on eigenvalues too.
        """
        if self.prior is not None or self.ratio < np.inf:
            raise InputError("fixed and equal parameters do not go with a prior or eigenvalue_ratio: leave one out")
        fixed, equal = constraints.fixed, constraints.equal
        held = fixed.get("means", np.zeros((self.n_components, self.n_features), dtype=bool))
        kept = fixed.get("covariances")
        free, best, counts = not ("means" in equal or held.any()), statistics.centred()[0], statistics.counts
        coupled = "means" in equal or (held.any(axis=1) != held.all(axis=1)).any()
        for _ in range(_MAX_TURNS):
            before, means = params["means"], best
            if not free:
                white = as_full(self.layout, whiten(self.layout, params)[0], *best.shape)
                means = constrained_means(best, counts, white, before, held, "means" in equal)
            scatter, old = statistics.about(means).scatter, params["covariances"]
            covariances = covariances_about(self.kind, counts, scatter, self.ridge, old, "covariances" in equal)
            if kept is not None:
                covariances = np.where(kept, old, covariances)
            params = params.replace(means=means, covariances=covariances)
            if not coupled or np.abs(means - before).max() <= _STILL * np.abs(means).max(initial=1e-300):
                break
        return {"means": params["means"], "covariances": params["covariances"]}

    def complete(self, params: Parameters, statistics: GaussianStatistics) -> float:
        """sum_k n_k (log f_k at its mean - tr(R Sigma_k^-1)/2) - tr(Sigma_k^-1 S_k)/2, and the log-prior."""
        whitening, constants, penalty = factors(self.layout, params, self.ridge)
        counts, scatter = statistics.counts, statistics.about(params["means"]).scatter
        if self.layout in ("full", "tied"):
            distances = float((whitening @ scatter * whitening).sum())
        else:
            distances = float((whitening**2 * scatter).sum())
        return float(counts @ (constants - penalty)) - 0.5 * distances + self.log_prior(params)

    def slope(self, params: Parameters, statistics: GaussianStatistics) -> dict[str, Array]:
        """Derivatives of `complete` by every entry of the means and the covariances.

        With B_k = sum_i r_ik (x_i - mu_k) and S_k about mu_k: Sigma_k^-1 B_k, and
        (Sigma_k^-1 (S_k + n_k R) Sigma_k^-1 - n_k Sigma_k^-1) / 2, of what the layout keeps (Magnus & Neudecker 1999,
        chapter 8).
        """
        whitening = whiten(self.layout, params)[0]
        counts, about, means = statistics.counts, statistics.about(params["means"]), params["means"]
        pull, weights = about.first, counts
        ridged = with_ridge(self.layout, counts, about.scatter, self.ridge)
        if self.prior is not None:
            away = means - self.prior.centre
            ridged = self.prior.scatter_with(self.layout, np.zeros_like(counts), means, ridged)
            ridged = ridged + self.prior.strength * products(away, away, self.layout)
            weights, pull = counts + self.prior.count, pull - self.prior.strength * away
        if self.layout in ("full", "tied"):
            precision = np.swapaxes(whitening, -1, -2) @ whitening
            times = weights.sum() if self.layout == "tied" else weights[:, None, None]
            by_covariance = 0.5 * (precision @ ridged @ precision - times * precision)
            by_mean = (precision @ pull[:, :, None])[:, :, 0]
        else:
            scale = whitening**2
            times = weights[:, None] if self.layout == "diag" else weights * self.n_features
            by_covariance = 0.5 * (scale**2 * ridged - times * scale)
            by_mean = (scale if self.layout == "diag" else scale[:, None]) * pull
        return {"means": by_mean, "covariances": by_covariance}

    def burst(
        self,
        params: Parameters,
        statistics: GaussianStatistics | None,
        block: Block,
        steps: int,
        equal_weights: bool = False,
        enough: float = 0.0,
        leap_after: int | None = None,
    ) -> GaussianTrail | None:
        """Many steps of a mixture's EM on one small block at once; None where there is nothing to gain by it."""
        # Whoever looks at its points expects more digits than single precision has.
        if block.x.dtype != np.float64:
            return None
        ready = self.ready_burst(params, statistics, block, steps, equal_weights, enough, leap_after)
        return None if ready is None else ready.taken()

    def in_bursts(self, block: Block) -> bool:
        """Whether steps on a block go in bursts, around which Python takes about as long."""
        return takes_bursts(block.x, self.m_step, self.n_components)

    def ready_burst(
        self,
        params: Parameters,
        statistics: GaussianStatistics | None,
        block: Block,
        steps: int,
        equal_weights: bool = False,
        enough: float = 0.0,
        leap_after: int | None = None,
        ends_only: bool = False,
    ) -> GaussianBursts | None:
        """The same, not taken yet: for `jensen.kernels.choose.Flight`, which takes many."""
        moments = None
        if statistics is not None:
            if statistics.shift is not params["means"]:
                return None
            moments = (statistics.counts[None], statistics.first[None], statistics.scatter[None])
        start = (params["weights"][None], params["means"][None], params["covariances"][None])
        step = self._step(equal_weights)
        return ready_bursts(block.x, block.weight, step, steps, start, moments, enough, leap_after, ends_only)

    def ready_bursts(
        self, starts: tuple[Array, Array, Array], block: Block, steps: int, equal_weights: bool, enough: float
    ) -> GaussianBursts | None:
        """The same from several starts, of which the ends alone are kept.

        These are weights (starts, K), means (starts, K, d) and covariances (starts, ...).
        """
        step = self._step(equal_weights)
        return ready_bursts(block.x, block.weight, step, steps, starts, None, enough, ends_only=True)

    def ready_descent(
        self, params: Parameters, block: Block, equal_weights: bool, many: float, share: float, steps: tuple[int, int]
    ) -> GaussianDescent | None:
        """A descent to as many components as there are here, from more of them, on one small block; None elsewhere."""
        if not self.in_bursts(block):
            return None
        start = (params["weights"], params["means"], params["covariances"])
        step = self._step(equal_weights)
        return ready_descent(block.x, block.weight, step, start, self.n_components, many, share, steps)

    def _step(self, equal_weights: bool) -> MStep:
        return replace(self.m_step, equal_weights=True) if equal_weights else self.m_step

    def on_trail(self, params: Parameters, trail: GaussianTrail, step: int) -> tuple[Parameters, GaussianStatistics]:
        """Parameters of the same domains, and their statistics, after a step of a trail; 0 is its start."""
        weights, means, covariances, *moments = trail.point(step)
        reached = params.holding({"weights": weights, "means": means, "covariances": covariances})
        return reached, GaussianStatistics(moments[0], moments[1], moments[2], means, self.layout)

    # ----------------------------------------------------------------------------------------- sampling, faults

    def by_component(self, params: Parameters) -> Mapping[str, Array]:
        """What every component has of its own: ``means``, and ``covariances`` unless one is stored for all."""
        own = ("means",) if self.layout == "tied" else ("means", "covariances")
        return {name: params[name] for name in own}

    def sample(self, params: Parameters, component: int, n: int, rng: np.random.Generator) -> AnyArray:
        """Draw n rows of one component, shape (n, d)."""
        noise = rng.standard_normal((n, self.n_features))
        covariance = params["covariances"] if self.layout == "tied" else params["covariances"][component]
        spread = noise @ lower_factors(covariance).T if covariance.ndim == 2 else noise * np.sqrt(covariance)
        return np.asarray(params["means"][component] + spread)

    def faults(self, params: Parameters, statistics: GaussianStatistics) -> tuple[str, ...]:
        """Components on too few effective rows, or with an eigenvalue within ten times of the floor.

        A covariance of its own takes d + 1 rows; where all share one, a component needs two.
        """
        return self._faults_of_covariances(params, statistics.counts) or self._faults_of_scatter(statistics)

    def _faults_of_covariances(self, params: Parameters, counts: Array) -> tuple[str, ...]:
        # A component is not degenerate for being as smooth as it was asked to be.
        besides = 0.0 if self.prior is None else self.prior.count
        least = 2 if self.kind.is_common else self.n_features + 1
        needed = "2" if self.kind.is_common else f"d + 1 = {least}"
        found = [
            f"component {k} rests on {_below(counts[k], least)} effective rows, fewer than {needed}"
            for k in np.flatnonzero(counts + besides < least)
        ]
        floor = self.ridge if self.floor is None else self.floor
        if clear_of(factors(self.layout, params, floor)[2], NEARLY_SINGULAR):
            return tuple(found)
        ratios = floor_ratios(self.layout, params["covariances"], floor, floor > 0)
        if ratios is not None:
            names = ["the shared covariance"] if self.kind.is_common else [f"component {k}" for k in range(len(ratios))]
            found += [
                f"{name} is nearly singular: an eigenvalue is only {ratio:.3g} times its floor"
                for name, ratio in zip(names, ratios, strict=False)
                if ratio < NEARLY_SINGULAR
            ]
        return tuple(found)

    def _faults_of_scatter(self, statistics: GaussianStatistics) -> tuple[str, ...]:
        """Components whose own scatter is nearly singular, which an equal volume hides in their covariances.

        Where volumes are equal and shapes are not (EVI, EVE, EVV), the flatter the rows of a component are, the longer
        its covariance is made in the other directions.
        """
        if self.kind.volume != "E" or self.kind.shape != "V" or self.prior is not None:
            return ()
        counts, floor = np.maximum(statistics.counts, 1e-300), self.ridge if self.floor is None else self.floor
        scatter = statistics.centred()[1]
        own = scatter / counts.reshape(-1, *[1] * (scatter.ndim - 1))
        ratios = floor_ratios(self.layout, own, floor, floor > 0)
        return tuple(
            f"component {k} is nearly singular: its rows vary only {max(ratio, 0.0):.3g} times the floor in a direction"
            for k, ratio in enumerate(() if ratios is None else ratios)
            if ratio < NEARLY_SINGULAR
        )


def _below(count: float, least: int) -> str:
    """A number of rows with three digits, unless these say that it is enough."""
    told = f"{count:.3g}"
    return told if float(told) < least else f"just under {least}"
