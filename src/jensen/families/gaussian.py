"""Gaussian components with full, tied, diagonal or spherical covariances.

Density
    log f_k(x) = -d/2 log(2 pi) - log|L_k| - |L_k^-1 (x - mu_k)|^2 / 2, with Sigma_k = L_k L_k'.

Regularisation
    Each row counts as a small ball N(x_i, R), R diagonal. Averaging log f_k over the ball subtracts
    tr(R Sigma_k^-1)/2 from it, and the M-step W_k/n_k + R maximises exactly what the E-step then sums, so that the
    penalised log-likelihood never falls. Scores, criteria and predictions use the plain density.

M-step (Celeux & Govaert 1995, with R)
    mu_k = the weighted mean; Sigma_k = W_k/n_k + R (full), W/n + R (tied), their diagonals (diag),
    tr(W_k)/(n_k d) + tr(R)/d (spherical), where W_k is the scatter about mu_k and W its sum.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self, get_args

import numpy as np

from jensen.core.block import AnyArray, Array, Block
from jensen.core.constraints import Constraints
from jensen.core.contracts import RowPass
from jensen.core.domains import Domain, Positive, PositiveDefinite, Real
from jensen.core.information import ComponentDerivatives
from jensen.core.parameters import Parameters
from jensen.errors import InputError, NumericalFailure
from jensen.families.derivatives import gaussian_derivatives
from jensen.families.mstep import as_matrices, constrained_means, covariances_about
from jensen.kernels.choose import (
    GaussianTrail,
    gaussian_burst,
    gaussian_moments,
    gaussian_rows,
    native_factors,
    native_maximize,
    remembers,
)
from jensen.kernels.portable import Shape, gaussian_log_joint, weighted_moments
from jensen.numerics.cholesky import log_diagonals, lower_factors, triangular_inverses

SHAPES: tuple[Shape, ...] = get_args(Shape)
MCLUST_NAMES: Mapping[str, Shape] = {"VVV": "full", "EEE": "tied", "VVI": "diag", "VII": "spherical"}
# Eigenvalues within this many times of their floor R mark a degenerate component.
NEARLY_SINGULAR = 10.0
# Name of the array beside the rows in which passes of one run keep notes.
MEMORY = "memory"
# Turns that an M-step under constraints takes at most, and the change of means, as a share of them, that ends them.
_MAX_TURNS, _STILL = 500, 1e-14
_LOG_2PI = math.log(2.0 * math.pi)


def covariance_shape(name: object) -> Shape:
    """The shape that a covariance name of scikit-learn or mclust means.

    Parameters
    ----------
    name : str
        ``full, tied, diag, spherical``, or ``VVV, EEE, VVI, VII`` for the same.

    Raises
    ------
    InputError
        If the name is unknown.
    """
    for shape in SHAPES:
        if name == shape or (isinstance(name, str) and MCLUST_NAMES.get(name) == shape):
            return shape
    raise InputError(
        f"covariance_type must be one of {', '.join(SHAPES)} (or {', '.join(MCLUST_NAMES)} as in mclust), got {name!r}"
    )


# --------------------------------------------------------------------------------------------- statistics


@dataclass(frozen=True, eq=False)
class GaussianStatistics:
    """Moments of some rows under responsibilities, about a shift.

    Attributes
    ----------
    counts : ndarray of shape (K,)
        n_k, the sum of weighted responsibilities.
    first : ndarray of shape (K, d)
        Sum of r (x - shift_k).
    scatter : ndarray
        Sum of r (x - shift_k)(x - shift_k)': (K, d, d) full, (d, d) tied (over all k), (K, d) diag, (K,) spherical.
    shift : ndarray of shape (K, d)
        Where the moments were taken.
    shape : {"full", "tied", "diag", "spherical"}
        Which scatter it is.
    """

    counts: Array
    first: Array
    scatter: Array
    shift: Array
    shape: Shape

    def merge(self, other: Self) -> Self:
        """Moments of both parts, about this one's shift (Chan, Golub & LeVeque 1983)."""
        if self.shift is not other.shift and not np.array_equal(self.shift, other.shift):
            other = other.about(self.shift)
        return type(self)(
            self.counts + other.counts,
            self.first + other.first,
            self.scatter + other.scatter,
            self.shift,
            self.shape,
        )

    def about(self, shift: Array) -> Self:
        """The same moments about another shift (K, d)."""
        step = self.shift - shift
        first = self.first + self.counts[:, None] * step
        moved = self.scatter + _products(self.first, step, self.shape) + _products(step, first, self.shape)
        return type(self)(self.counts, first, moved, shift, self.shape)

    def centred(self) -> tuple[Array, Array]:
        """Means (K, d), and the scatter about them; a component without rows keeps its shift as mean."""
        alive = self.counts > 0
        step = np.divide(self.first, self.counts[:, None], out=np.zeros_like(self.first), where=alive[:, None])
        scatter = self.scatter - _products(self.first, step, self.shape)
        if self.shape in ("diag", "spherical"):
            scatter = np.maximum(scatter, 0.0)
        return self.shift + step, scatter


def _products(a: Array, b: Array, shape: Shape) -> Array:
    """The outer products a_k b_k' of stacked vectors (K, d), or the part of them that a scatter shape keeps."""
    if shape == "full":
        return np.asarray(np.einsum("ki,kj->kij", a, b))
    if shape == "tied":
        return np.asarray(np.einsum("ki,kj->ij", a, b))
    return a * b if shape == "diag" else np.asarray(np.einsum("ki,ki->k", a, b))


# --------------------------------------------------------------------------------------------- the family


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A stack of K Gaussian components in d dimensions; parameters ``means`` and ``covariances``.

    Attributes
    ----------
    n_components, n_features : int
        K and d.
    shape : {"full", "tied", "diag", "spherical"}, default="full"
        Which covariances; they are stored as (K, d, d), (d, d), (K, d) and (K,).
    ridge : ndarray of shape (d,)
        Diagonal of R, in squared units of the columns, or one number for all; none by default.
    floor : ndarray of shape (d,) or None
        Variances of collapse: an eigenvalue within ten times of them marks a degenerate component. Columns of 0 do not
        count, such as constant ones, which collapse in every fit. None takes `ridge`.
    """

    n_components: int
    n_features: int
    shape: Shape = "full"
    ridge: Array = field(default_factory=lambda: np.zeros(1))
    floor: Array | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "ridge", np.array(np.broadcast_to(self.ridge, (self.n_features,)), dtype=np.float64))

    @cached_property
    def domains(self) -> Mapping[str, Domain]:
        """``means``: real; ``covariances``: positive definite, or positive variances."""
        k, d = self.n_components, self.n_features
        covariances: Domain
        if self.shape == "full":
            covariances = PositiveDefinite(d, (k,))
        elif self.shape == "tied":
            covariances = PositiveDefinite(d)
        else:
            covariances = Positive((k, d) if self.shape == "diag" else (k,))
        return {"means": Real((k, d)), "covariances": covariances}

    def unregularised(self) -> Gaussian:
        """The same family without R, whose density is the plain one."""
        return Gaussian(self.n_components, self.n_features, self.shape, np.zeros(self.n_features), self.floor)

    # ----------------------------------------------------------------------------------------- density

    def log_density(self, params: Parameters, block: Block) -> Array:
        """log f_k(x_i), shape (n, K)."""
        whitening, constants = whiten(self.shape, params)
        return gaussian_log_joint(block.x, self.shape, params["means"], whitening, constants)

    def log_penalty(self, params: Parameters) -> Array:
        """tr(R Sigma_k^-1)/2 for each component, shape (K,)."""
        return factors(self.shape, params, self.ridge)[2]

    def derivatives(self, params: Parameters, block: Block) -> Iterator[ComponentDerivatives]:
        """Scores and curvature of the plain log-density of each component, by means and covariances."""
        return gaussian_derivatives(self.shape, block.x, params["means"], whiten(self.shape, params)[0])

    # ----------------------------------------------------------------------------------------- E-step

    @property
    def remembers(self) -> bool:
        """Whether a run gains by an int32 array `MEMORY` beside its rows, -1 at first, for passes to keep notes in."""
        return remembers(self.shape, self.n_components, self.n_features)

    def fused(self, params: Parameters, log_weights: Array, block: Block) -> tuple[GaussianStatistics, float]:
        """The statistics and the penalised log-likelihood of a mixture's E-step in one pass."""
        whitening, constants, penalty = factors(self.shape, params, self.ridge)
        offsets = constants - penalty + log_weights
        means = params["means"]
        counts, first, scatter, loglik = gaussian_moments(
            block.x, block.weight, self.shape, means, whitening, offsets, block.arrays.get(MEMORY)
        )
        return GaussianStatistics(counts, first, scatter, means, self.shape), loglik

    def rows(self, params: Parameters, log_weights: Array, block: Block, wanted: RowPass) -> AnyArray:
        """Plain densities, responsibilities or labels of a mixture's rows in one pass."""
        whitening, constants = whiten(self.shape, params)
        return gaussian_rows(block.x, self.shape, params["means"], whitening, constants + log_weights, wanted)

    def statistics(self, params: Parameters, block: Block, responsibilities: Array) -> GaussianStatistics:
        """Moments about the current means under weighted responsibilities (n, K)."""
        means = params["means"]
        return GaussianStatistics(*weighted_moments(block.x, responsibilities, self.shape, means), means, self.shape)

    # ----------------------------------------------------------------------------------------- M-step

    def maximize(self, params: Parameters, statistics: GaussianStatistics) -> Mapping[str, Array]:
        """Closed-form maximiser; a component without rows keeps its old parameters, which lose nothing."""
        counts = statistics.counts
        if statistics.shift is params["means"]:
            old, moments = (statistics.shift, params["covariances"]), (counts, statistics.first, statistics.scatter)
            found = native_maximize(self.shape, self.ridge, old, moments)
            if found is not None:
                return {"means": found[0], "covariances": found[1]}
        means, scatter = statistics.centred()
        covariances = covariances_about(self.shape, counts, scatter, self.ridge, params["covariances"])
        return {"means": means, "covariances": covariances}

    def maximize_within(
        self, params: Parameters, statistics: GaussianStatistics, constraints: Constraints
    ) -> Mapping[str, Array]:
        """The maximiser among parameters some of which are held, or equal between components.

        Given covariances, free means solve least squares; given means, a free covariance is the scatter about them,
        fixed or not. Where one needs the other, as equal means do, they take turns until they rest: Q never falls.
        """
        fixed, equal = constraints.fixed, constraints.equal
        held = fixed.get("means", np.zeros((self.n_components, self.n_features), dtype=bool))
        kept = fixed.get("covariances")
        free, best, counts = not ("means" in equal or held.any()), statistics.centred()[0], statistics.counts
        coupled = "means" in equal or (held.any(axis=1) != held.all(axis=1)).any()
        for _ in range(_MAX_TURNS):
            before, means = params["means"], best
            if not free:
                white = as_matrices(self.shape, whiten(self.shape, params)[0], *best.shape)
                means = constrained_means(best, counts, white, before, held, "means" in equal)
            scatter, old = statistics.about(means).scatter, params["covariances"]
            covariances = covariances_about(self.shape, counts, scatter, self.ridge, old, "covariances" in equal)
            if kept is not None:
                covariances = np.where(kept, old, covariances)
            params = params.replace(means=means, covariances=covariances)
            if not coupled or np.abs(means - before).max() <= _STILL * np.abs(means).max(initial=1e-300):
                break
        return {"means": params["means"], "covariances": params["covariances"]}

    def complete(self, params: Parameters, statistics: GaussianStatistics) -> float:
        """sum_k n_k (log f_k at its mean - tr(R Sigma_k^-1)/2) - tr(Sigma_k^-1 S_k)/2, S_k the scatter about mu_k."""
        whitening, constants, penalty = factors(self.shape, params, self.ridge)
        counts, scatter = statistics.counts, statistics.about(params["means"]).scatter
        if self.shape in ("full", "tied"):
            distances = float((whitening @ scatter * whitening).sum())
        else:
            distances = float((whitening**2 * scatter).sum())
        return float(counts @ (constants - penalty)) - 0.5 * distances

    def burst(
        self, params: Parameters, statistics: GaussianStatistics | None, block: Block, steps: int
    ) -> GaussianTrail | None:
        """Many steps of a mixture's EM on one small block at once; None where there is nothing to gain by it."""
        moments = None
        if statistics is not None:
            if statistics.shift is not params["means"]:
                return None
            moments = (statistics.counts, statistics.first, statistics.scatter)
        start = (params["weights"], params["means"], params["covariances"])
        return gaussian_burst(block.x, block.weight, self.shape, self.ridge, steps, start, moments)

    def on_trail(self, params: Parameters, trail: GaussianTrail, step: int) -> tuple[Parameters, GaussianStatistics]:
        """Parameters of the same domains, and their statistics, after a step of a trail; 0 is its start."""
        weights, means, covariances, *moments = trail.point(step)
        reached = params.replace(weights=weights, means=means, covariances=covariances)
        return reached, GaussianStatistics(moments[0], moments[1], moments[2], reached["means"], self.shape)

    # ----------------------------------------------------------------------------------------- sampling, faults

    def by_component(self, params: Parameters) -> Mapping[str, Array]:
        """What every component has of its own: ``means``, and ``covariances`` unless they are tied."""
        own = ("means",) if self.shape == "tied" else ("means", "covariances")
        return {name: params[name] for name in own}

    def sample(self, params: Parameters, component: int, n: int, rng: np.random.Generator) -> AnyArray:
        """Draw n rows of one component, shape (n, d)."""
        noise = rng.standard_normal((n, self.n_features))
        covariance = params["covariances"] if self.shape == "tied" else params["covariances"][component]
        spread = noise @ lower_factors(covariance).T if covariance.ndim == 2 else noise * np.sqrt(covariance)
        return np.asarray(params["means"][component] + spread)

    def faults(self, params: Parameters, counts: Array) -> tuple[str, ...]:
        """Components on fewer than d + 1 effective rows, or with an eigenvalue within ten times of the floor."""
        found = [
            f"component {k} rests on {count:.3g} effective rows, fewer than d + 1 = {self.n_features + 1}"
            for k, count in enumerate(counts)
            if count < self.n_features + 1
        ]
        floor = self.ridge if self.floor is None else self.floor
        if clear_of(factors(self.shape, params, floor)[2], NEARLY_SINGULAR):
            return tuple(found)
        ratios = floor_ratios(self.shape, params["covariances"], floor, floor > 0)
        if ratios is not None:
            names = (
                ["the shared covariance"] if self.shape == "tied" else [f"component {k}" for k in range(len(ratios))]
            )
            found += [
                f"{name} is nearly singular: an eigenvalue is only {ratio:.3g} times its floor"
                for name, ratio in zip(names, ratios, strict=True)
                if ratio < NEARLY_SINGULAR
            ]
        return tuple(found)


def clear_of(penalty: Array, times: float) -> bool:
    """Whether penalties tr(F Sigma_k^-1)/2 alone show every eigenvalue to be above so many times its floor F.

    No eigenvalue is below 1 / tr(F Sigma^-1) floors: this costs nothing and settles most cases.
    """
    return bool(2.0 * times * penalty.max() <= 1.0)


def floor_ratios(shape: Shape, covariances: Array, floor: Array, columns: AnyArray) -> Array | None:
    """Smallest eigenvalue of each covariance over some columns, in units of a floor for each column.

    Parameters
    ----------
    shape : {"full", "tied", "diag", "spherical"}
        Which covariances.
    covariances : ndarray
        In the layout of `shape`.
    floor : ndarray of shape (d,)
        Variances, positive in the chosen columns.
    columns : ndarray of shape (d,) of bool
        The columns that count.

    Returns
    -------
    ndarray of shape (K,), or (1,) for ``tied``, or None
        None if no column counts.
    """
    if not columns.any():
        return None
    if shape == "spherical":
        return np.asarray(covariances / floor[columns].mean())
    if shape == "diag":
        return np.asarray((covariances[:, columns] / floor[columns]).min(axis=1))
    unit = 1.0 / np.sqrt(floor[columns])
    inside = covariances.reshape(-1, *covariances.shape[-2:])[:, columns][:, :, columns]
    return np.asarray(np.linalg.eigvalsh(inside * unit[:, None] * unit)[:, 0])


def whiten(shape: Shape, params: Parameters) -> tuple[Array, Array]:
    """Whitening factors of the covariances, and the constants -d/2 log(2 pi) - log|L_k| (K,).

    Raises
    ------
    NumericalFailure
        If a covariance is not positive definite.
    """
    return factors(shape, params, np.zeros(params["means"].shape[1]))[:2]


def factors(shape: Shape, params: Parameters, ridge: Array) -> tuple[Array, Array, Array]:
    """What the E-step needs of the covariances: `whiten`'s two, and tr(R Sigma_k^-1)/2 (K,).

    Computed once for each record of parameters and R, and kept with the record.
    """
    ridge = np.ascontiguousarray(ridge)

    def compute(record: Parameters) -> tuple[Array, Array, Array]:
        covariances, n_components = record["covariances"], len(record["means"])
        found = native_factors(shape, covariances, ridge, n_components)
        if found is None:
            whitening, constants = _factorise(shape, covariances, ridge.size)
            penalty = np.broadcast_to(_penalty(shape, whitening, ridge), (n_components,))
            return whitening, np.broadcast_to(constants, (n_components,)), penalty
        *three, failed = found
        if failed >= 0:
            raise NumericalFailure(f"covariance of component [{failed}] is not positive definite")
        return three[0], three[1], three[2]

    return params.derived(f"factors {ridge.tobytes().hex()}", compute)


def _factorise(shape: Shape, covariances: Array, d: int) -> tuple[Array, Array]:
    """Whitening factors, and the constants for each component or for all."""
    if shape in ("full", "tied"):
        lower = lower_factors(covariances)
        return triangular_inverses(lower), -0.5 * d * _LOG_2PI - log_diagonals(lower)
    if not (covariances > 0).all():
        bad = np.flatnonzero(~(covariances.reshape(len(covariances), -1) > 0).all(axis=1))
        raise NumericalFailure(f"covariance of component {bad.tolist()} is not positive definite")
    whitening = 1.0 / np.sqrt(covariances)
    logs = np.log(whitening)
    return whitening, -0.5 * d * _LOG_2PI + (logs.sum(axis=1) if shape == "diag" else d * logs)


def _penalty(shape: Shape, whitening: Array, ridge: Array) -> Array:
    """tr(R Sigma^-1)/2 = |L^-1 R^(1/2)|^2 / 2, for each component or for all."""
    if shape in ("full", "tied"):
        return np.asarray(0.5 * np.einsum("...ij,...ij,j->...", whitening, whitening, ridge))
    return np.asarray(0.5 * (whitening**2 @ ridge if shape == "diag" else whitening**2 * ridge.sum()))
