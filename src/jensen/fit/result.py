"""The record of a fitted mixture: parameters, how good they are, how the fit went, and what to know about it."""

from __future__ import annotations

from dataclasses import dataclass, field

from jensen.core import criteria
from jensen.core.block import Array
from jensen.core.parameters import Parameters
from jensen.core.printed import CardLike, Printed
from jensen.core.status import Status
from jensen.families.gaussian import Gaussian
from jensen.families.noise import Box, Noisy
from jensen.families.whitening import as_full
from jensen.fit.fitted import FittedMixture
from jensen.fit.search.account import SAME_OPTIMUM, Account, StartRecord
from jensen.kernels.portable import Layout
from jensen.models.mixture import Mixture

# A fit may have as many faults as components; a warning names this many.
_FAULTS_TOLD = 3
# What a user of mixtures can do about a status.
_REMEDIES = {
    Status.OBJECTIVE_FELL: "raise reg_covar, or check the data for columns of extreme scale",
    Status.DEGENERATE: "raise reg_covar, lower n_components, or choose a simpler covariance_type",
}


@dataclass(frozen=True, eq=False)
class MixtureFit(Printed):
    """A fitted Gaussian mixture and its whole record.

    Attributes
    ----------
    model : Mixture
        What was fitted, with its regularisation.
    params : Parameters
        ``weights`` (K,), ``means`` (K, d) and ``covariances`` in the layout of the shape; with noise, its weight comes
        after the others.
    objective : float
        Penalised log-likelihood at `params`: what EM maximised, which never falls.
    loglik : float
        Plain log-likelihood at `params`, summed over weighted rows.
    map_loglik : float
        Weighted sum of the log-responsibilities of the most probable components, at most 0.
    weight : float
        Sum of the rows' weights: the n of every criterion.
    n_rows : int
        Number of rows, whatever their weights.
    status : Status
        How the best run ended.
    detail : str
        More on the status, where there is more to say.
    n_iter : int
        M-steps of the best run.
    passes : float
        Passes over the data of the best run.
    trace : tuple of float
        `objective` at the start and after every M-step of the best run.
    extrapolations : tuple of int
        Extrapolated points that the best run tried, and those that it took.
    starts : tuple of StartRecord
        Every start.
    account : Account or None
        What the search found, in words when printed; None where the number of starts was given.
    faults : tuple of str
        Why the result is degenerate; empty for a sound one.
    coinciding : tuple of tuple of int
        Groups of components that are one and the same: a saddle, where EM stays without having separated them.
    constant_columns : tuple of int
        Columns that do not vary, and so tell the components nothing.
    seed : int or None
        Seed of all random streams; None when nothing was drawn.
    feature_names : tuple of str or None
        Names of the columns.
    seconds : float
        Wall time of the whole fit.
    threshold : float or None
        Plain log-density below which a row was trimmed; None where rows were not.
    """

    model: Mixture
    params: Parameters
    objective: float
    loglik: float
    map_loglik: float
    weight: float
    n_rows: int
    status: Status
    detail: str
    n_iter: int
    passes: float
    trace: tuple[float, ...] = field(repr=False)
    extrapolations: tuple[int, int]
    starts: tuple[StartRecord, ...] = field(repr=False)
    account: Account | None = field(repr=False)
    faults: tuple[str, ...]
    coinciding: tuple[tuple[int, ...], ...]
    constant_columns: tuple[int, ...]
    seed: int | None
    feature_names: tuple[str, ...] | None
    seconds: float
    threshold: float | None = None

    def __repr__(self) -> str:
        d, k = self.n_features, self.n_components
        return (
            f"MixtureFit({k} component{'s' * (k != 1)}, {self.covariance_type}, {d} column{'s' * (d != 1)}; "
            f"BIC {self.bic:.6g}; {self.status.value})"
        )

    def _card(self) -> CardLike:
        from jensen.report.printed import mixture_card

        return mixture_card(self.fitted, self)

    @property
    def family(self) -> Gaussian:
        """The Gaussian components."""
        family = self.model.family
        gaussian = family.gaussian if isinstance(family, Noisy) else family
        assert isinstance(gaussian, Gaussian)
        return gaussian

    @property
    def box(self) -> Box | None:
        """Where noise comes from; None without a component of noise."""
        return self.model.family.box if isinstance(self.model.family, Noisy) else None

    @property
    def n_components(self) -> int:
        """K, the number of Gaussian components."""
        return self.family.n_components

    @property
    def n_features(self) -> int:
        """d."""
        return self.family.n_features

    @property
    def covariance_type(self) -> str:
        """``full``, ``tied``, ``diag``, ``spherical``, or mclust's name of another shape."""
        return self.family.shape

    @property
    def is_sound(self) -> bool:
        """Whether nothing about the result is degenerate."""
        return not self.faults and self.status is not Status.DEGENERATE

    @property
    def n_free(self) -> int:
        """Number of free parameters."""
        return self.params.n_free

    @property
    def bic(self) -> float:
        """BIC of the plain log-likelihood; smaller is better."""
        return criteria.bic(self.loglik, self.n_free, self.weight)

    @property
    def aic(self) -> float:
        """AIC of the plain log-likelihood; smaller is better."""
        return criteria.aic(self.loglik, self.n_free)

    @property
    def aicc(self) -> float:
        """AIC corrected for few rows; smaller is better, infinite where there are too few for it."""
        return criteria.aicc(self.loglik, self.n_free, self.weight)

    @property
    def caic(self) -> float:
        """Consistent AIC; smaller is better."""
        return criteria.caic(self.loglik, self.n_free, self.weight)

    @property
    def sabic(self) -> float:
        """Sample-size-adjusted BIC; smaller is better."""
        return criteria.sabic(self.loglik, self.n_free, self.weight)

    @property
    def icl(self) -> float:
        """ICL in mclust's hard form; smaller is better."""
        return criteria.icl(self.loglik, self.n_free, self.weight, self.map_loglik)

    @property
    def message(self) -> str:
        """How the fit ended, in a sentence."""
        message = f"{self.status.message} ({self.detail})" if self.detail else self.status.message
        remedy = _REMEDIES.get(self.status)
        return f"{message}; {remedy}" if remedy else message

    @property
    def n_agreeing(self) -> int:
        """How many starts ended at the best optimum, within 1e-3 nats."""
        if self.account is not None:
            return self.account.optima[0].n_starts
        return sum(abs(start.objective - self.objective) < SAME_OPTIMUM for start in self.starts)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know before using the result, each with its remedy; empty when all is well."""
        found = list[str]()
        if not self.status.is_converged:
            found.append(self.message)
        if self.faults:
            told = "; ".join(self.faults[:_FAULTS_TOLD])
            if len(self.faults) > _FAULTS_TOLD:
                told += f"; and {len(self.faults) - _FAULTS_TOLD} more"
            found.append(
                f"the fit is degenerate: {told}. Lower n_components, choose a simpler "
                "covariance_type, raise reg_covar, or try more starts"
            )
        for group in self.coinciding:
            found.append(
                f"components {', '.join(map(str, group))} coincide: a saddle, or fewer groups than components. "
                "Lower n_components or try other starts"
            )
        if self.account is not None and self.account.warning:
            found.append(self.account.warning)
        return tuple(found)

    @property
    def fitted(self) -> FittedMixture:
        """The mixture to be used: predictions, scores, samples."""
        return FittedMixture(
            self.covariance_type, self.params, self.feature_names, self.model.equal_weights, self.box, self.threshold
        )

    def covariance_matrices(self) -> Array:
        """The covariances as full matrices, shape (K, d, d)."""
        return full_covariances(self.family.layout, self.params)


def full_covariances(layout: Layout, params: Parameters) -> Array:
    """Covariances in any layout as full matrices (K, d, d)."""
    return as_full(layout, params["covariances"], *params["means"].shape)
