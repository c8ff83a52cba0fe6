"""The finite mixture: each row comes from one of K components, and which one is hidden."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from scipy.special import xlogy

from jensen.core.block import AnyArray, Array, Block
from jensen.core.constraints import Constraints, Held, shares_left
from jensen.core.contracts import Family, FamilyTrail, RowPass, Stage, Trail
from jensen.core.domains import Domain, Simplex
from jensen.core.information import Information
from jensen.core.parameters import Parameters
from jensen.models.louis import louis
from jensen.models.posterior import expect_by_parts
from jensen.numerics.logspace import log_of_shares, normalise_logs


@dataclass(frozen=True, eq=False)
class MixtureStatistics:
    """Expected statistics of a mixture.

    Attributes
    ----------
    components : FamilyStatistics
        The family's own; its ``counts`` (K,) are the expected weights of the components.
    weight : float
        Sum of the rows' weights.
    loglik : float
        Log-likelihood of the rows with the family's penalty, at the parameters of the E-step; or the bound on it that
        an E-step over some of the components reaches.
    entropy : float or None
        Entropy H(q) of the responsibilities, summed over the rows; None where the pass does not compute it.
    """

    components: Any
    weight: float
    loglik: float
    entropy: float | None = None

    def merge(self, other: Self) -> Self:
        """Statistics of both parts together."""
        entropy = None if self.entropy is None or other.entropy is None else self.entropy + other.entropy
        components = self.components.merge(other.components)
        return type(self)(components, self.weight + other.weight, self.loglik + other.loglik, entropy)


@dataclass(frozen=True, eq=False)
class _MixtureTrail:
    """A family's trail as one of the mixture; see `jensen.core.contracts.Trail`."""

    model: Mixture
    template: Parameters
    trail: FamilyTrail
    weight: float
    first: int

    @cached_property
    def objectives(self) -> list[float]:
        values: list[float] = self.trail.objective[self.first : self.trail.done + 1].tolist()
        return values

    @property
    def extrapolations(self) -> tuple[int, int]:
        return self.trail.extrapolations

    @property
    def marks(self) -> Array:
        return self.trail.marks[self.first : self.trail.done + 1]

    @property
    def failure(self) -> str:
        return self.trail.failure

    @property
    def is_over(self) -> bool:
        return self.trail.is_over

    def point(self, index: int) -> tuple[Parameters, MixtureStatistics]:
        params, components = self.model.family.on_trail(self.template, self.trail, index + self.first)
        return params, MixtureStatistics(components, self.weight, self.objectives[index])


@dataclass(frozen=True)
class Assessment:
    """What the plain density says of some rows.

    Attributes
    ----------
    loglik : float
        sum_i w_i log p(x_i).
    map_loglik : float
        sum_i w_i log max_k r_ik, at most 0; 0 when every row belongs to one component for certain.
    weight : float
        Sum of the rows' weights.
    """

    loglik: float
    map_loglik: float
    weight: float

    def merge(self, other: Self) -> Self:
        """Of both parts together."""
        return type(self)(self.loglik + other.loglik, self.map_loglik + other.map_loglik, self.weight + other.weight)


@dataclass(frozen=True, eq=False)
class Mixture:
    """p(x) = sum_k pi_k f_k(x): parameters ``weights`` (K,), on the simplex, and those of the family.

    Attributes
    ----------
    family : Family
        The components.
    equal_weights : bool, default=False
        Whether every weight is 1/K, and none is estimated.
    """

    family: Family
    equal_weights: bool = False

    @property
    def n_components(self) -> int:
        """Number of components K."""
        return self.family.n_components

    @cached_property
    def domains(self) -> dict[str, Domain]:
        """The model's parameters and where each lives."""
        weights: Domain = Simplex(self.n_components)
        if self.equal_weights:
            weights = Held(weights, self._shares(np.ones(self.n_components)), np.ones(self.n_components, dtype=bool))
        return {"weights": weights, **self.family.domains}

    @property
    def stages(self) -> Sequence[Stage]:
        """One stage: this is plain EM."""
        return (Stage(self.expect, self.maximize),)

    def parameters(self, **values: Any) -> Parameters:
        """A record of this model's parameters from arrays by name."""
        return Parameters(values, self.domains)

    def expect(self, params: Parameters, block: Block) -> MixtureStatistics:
        """E-step of one block (McLachlan & Peel 2000, section 2.8)."""
        fused = self.family.fused(params, _log_weights(params), block)
        if fused is not None:
            components, loglik = fused
            return MixtureStatistics(components, block.total_weight, loglik)
        return self.expect_by_parts(params, block)

    def expect_by_parts(self, params: Parameters, block: Block) -> MixtureStatistics:
        """The E-step from the family's density and statistics; what any fused pass must equal."""
        statistics: MixtureStatistics = expect_by_parts(self, params, block)
        return statistics

    def log_joint(self, params: Parameters, block: Block) -> Array:
        """log(pi_k f_k(x_i)) less the family's penalty, shape (K, n): what the E-step normalises; the caller's own."""
        return self._log_joint(params, block) - self.family.log_penalty(params)[:, None]

    def statistics_from(
        self, params: Parameters, block: Block, responsibilities: Array, bound: float
    ) -> MixtureStatistics:
        """Statistics under any distribution over the components.

        Parameters
        ----------
        params : Parameters
            About whose means the moments are taken.
        block : Block
            n rows.
        responsibilities : ndarray of shape (n, K)
            Shares of each row, already multiplied by its weight.
        bound : float
            What the E-step reached, summed over the rows, weights included.
        """
        components = self.family.statistics(params, block, responsibilities)
        weighted = 0.0 if block.weight is None else float(xlogy(block.weight, block.weight).sum())
        entropy = weighted - float(xlogy(responsibilities, responsibilities).sum())
        return MixtureStatistics(components, block.total_weight, bound, entropy)

    def expect_given(self, params: Parameters, block: Block) -> MixtureStatistics:
        """Statistics under responsibilities that the block brings.

        They are its array ``responsibilities`` (n, K), or ``labels`` (n,) of integers, where -1 is no component.
        """
        if "labels" in block.arrays:
            given = (block.arrays["labels"][:, None] == np.arange(self.n_components)).astype(np.float64)
        else:
            given = np.asarray(block.arrays["responsibilities"], dtype=np.float64)
        if block.weight is not None:
            given = given * block.weight[:, None]
        return MixtureStatistics(self.family.statistics(params, block, given), block.total_weight, np.nan)

    def maximize(self, params: Parameters, statistics: MixtureStatistics) -> Parameters:
        """M-step: pi_k = n_k / n, and the family's own."""
        weights = self._shares(statistics.components.counts)
        return params.replace(weights=weights, **self.family.maximize(params, statistics.components))

    def _shares(self, counts: Array) -> Array:
        """The weights for some counts."""
        if self.equal_weights:
            return np.full(self.n_components, 1.0 / self.n_components)
        return np.asarray(counts / counts.sum())

    def allowed(self, params: Parameters) -> Parameters:
        """Parameters that were put together, as near by as the model allows."""
        within = getattr(self.family, "allowed", None)
        params = params if within is None else within(params)
        return params.replace(weights=self._shares(params["weights"])) if self.equal_weights else params

    def maximize_within(
        self, params: Parameters, statistics: MixtureStatistics, constraints: Constraints
    ) -> dict[str, Array] | None:
        """M-step among parameters that satisfy constraints; None where the family has none for its own.

        Free weights share what held ones leave in proportion to their counts; equal ones are 1/K.
        """
        within = getattr(self.family, "maximize_within", None)
        if within is None:
            if any(name in self.family.domains for name in (*constraints.fixed, *constraints.equal)):
                return None
            found = dict(self.family.maximize(params, statistics.components))
        else:
            found = dict(within(params, statistics.components, constraints))
        counts = statistics.components.counts
        if "weights" in constraints.fixed:
            weights = shares_left(counts, params["weights"], constraints.fixed["weights"])
        elif "weights" in constraints.equal:
            weights = np.full(self.n_components, 1.0 / self.n_components)
        else:
            weights = self._shares(counts)
        return {"weights": weights, **found}

    def burst(
        self,
        params: Parameters,
        statistics: MixtureStatistics | None,
        block: Block,
        steps: int,
        enough: float = 0.0,
        leap_after: int | None = None,
    ) -> Trail | None:
        """Many EM steps at once on the one block of the data, where the family can; else None.

        Statistics of None ask for the E-step at `params` first, whose point is then the first of the trail.
        """
        components, first = (None, 0) if statistics is None else (statistics.components, 1)
        trail = self.family.burst(params, components, block, steps, self.equal_weights, enough, leap_after)
        return None if trail is None else self.along(params, trail, block, first)

    def along(self, params: Parameters, trail: FamilyTrail, block: Block, first: int = 0) -> Trail:
        """A family's trail from some parameters as the mixture's, whose first point is its number `first`."""
        return _MixtureTrail(self, params, trail, block.total_weight, first)

    def objective(self, params: Parameters, statistics: MixtureStatistics) -> float:
        """The log-likelihood with the family's penalty, and the log-density of its prior where it has one."""
        log_prior = getattr(self.family, "log_prior", None)
        return statistics.loglik if log_prior is None else statistics.loglik + float(log_prior(params))

    def complete(self, params: Parameters, statistics: MixtureStatistics) -> float:
        """E_q log p(x, z) with the family's penalty, from the statistics alone: what the M-step maximises."""
        counts = xlogy(statistics.components.counts, params["weights"])
        return float(counts.sum()) + self.family.complete(params, statistics.components)

    @property
    def slope(self) -> Callable[[Parameters, MixtureStatistics], Mapping[str, Array]] | None:
        """Derivatives of `complete` by every entry of the parameters; None where the family declares none."""
        of_family = getattr(self.family, "slope", None)
        if of_family is None:
            return None

        def slope(params: Parameters, statistics: MixtureStatistics) -> Mapping[str, Array]:
            counts, weights = statistics.components.counts, params["weights"]
            of_weights = np.divide(counts, weights, out=np.zeros_like(counts), where=weights > 0)
            return {"weights": of_weights, **of_family(params, statistics.components)}

        return slope

    def by_component(self, params: Parameters) -> Mapping[str, Array]:
        """What every component has of its own, by name, each of shape (K, ...): the weights, and the family's.

        Of a family whose last components are of another kind, those before them.
        """
        alike = getattr(self.family, "n_alike", self.n_components)
        return {"weights": params["weights"][:alike], **self.family.by_component(params)}

    def permuted(self, params: Parameters, order: Sequence[int]) -> Parameters:
        """The same mixture with component ``order[k]`` as number k."""
        at = list(order)
        moved = {name: value[at] for name, value in self.by_component(params).items()}
        moved["weights"] = np.append(moved["weights"], params["weights"][len(at) :])
        return params.replace(**moved)

    def faults(self, params: Parameters, statistics: MixtureStatistics) -> tuple[str, ...]:
        """Why these parameters are degenerate, one sentence each; empty for a sound fit."""
        return self.family.faults(params, statistics.components)

    # What follows the fit uses the plain density, without the penalty.

    def assess(self, params: Parameters, block: Block) -> Assessment:
        """Log-likelihood of a block, and how sure its classification is."""
        row_loglik, peak = self._rows(params, block, "density")
        weight = block.weights
        return Assessment(float(weight @ row_loglik), float(weight @ (peak - row_loglik)), block.total_weight)

    def row_loglik(self, params: Parameters, block: Block) -> Array:
        """log p(x_i), shape (n,)."""
        return np.asarray(self._rows(params, block, "density")[0])

    def responsibilities(self, params: Parameters, block: Block) -> Array:
        """Posterior probability of each component given the row, shape (n, K)."""
        return self._rows(params, block, "responsibilities")

    def labels(self, params: Parameters, block: Block) -> AnyArray:
        """The most probable component of each row, shape (n,)."""
        return self._rows(params, block, "labels")

    def rows_by_parts(self, params: Parameters, block: Block, wanted: RowPass) -> AnyArray:
        """The row-wise results from the family's density; what any fused pass must equal."""
        joint = self._log_joint(params, block)
        if wanted == "labels":
            return np.asarray(joint.argmax(axis=0))
        peak = joint.max(axis=0)
        row_loglik = normalise_logs(joint)
        return np.stack([row_loglik, peak]) if wanted == "density" else np.ascontiguousarray(joint.T)

    def _rows(self, params: Parameters, block: Block, wanted: RowPass) -> AnyArray:
        found = self.family.rows(params, _log_weights(params), block, wanted)
        return self.rows_by_parts(params, block, wanted) if found is None else found

    @property
    def information(self) -> Callable[[Parameters, Block], Information] | None:
        """Score and information of a block by Louis's identity; None where the family declares no ``derivatives``."""
        if getattr(self.family, "derivatives", None) is None:
            return None
        plain = getattr(self.family, "unregularised", None)
        family = self.family if plain is None else plain()

        def information(params: Parameters, block: Block) -> Information:
            return louis(family, params, _log_weights(params), block)

        return information

    def sample(self, params: Parameters, n: int, rng: np.random.Generator) -> tuple[Array, AnyArray]:
        """Draw n rows and their components, grouped by component, as scikit-learn does."""
        counts = rng.multinomial(n, params["weights"] / params["weights"].sum())
        rows = [self.family.sample(params, k, int(count), rng) for k, count in enumerate(counts)]
        return np.concatenate(rows), np.repeat(np.arange(self.n_components), counts)

    def _log_joint(self, params: Parameters, block: Block) -> Array:
        """log(pi_k f_k(x_i)), shape (K, n)."""
        log_density = self.family.log_density(params, block)
        return np.ascontiguousarray(log_density.T) + _log_weights(params)[:, None]


def _log_weights(params: Parameters) -> Array:
    """log pi_k, shape (K,), computed once for each record."""
    return params.derived("log weights", lambda record: log_of_shares(record["weights"]))
