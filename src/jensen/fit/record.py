"""The record of a fitted latent-variable model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from jensen.core.model import name_of
from jensen.core.parameters import Parameters
from jensen.core.printed import CardLike, Printed
from jensen.core.status import Status
from jensen.fit.search.account import Account, StartRecord
from jensen.solve.tracing import HalfStep

if TYPE_CHECKING:
    from jensen.infer.analysis import Analysis
    from jensen.infer.bootstrap import Bootstrap
    from jensen.infer.diagnose import Diagnosis
    from jensen.infer.identify import Identifiability
    from jensen.infer.rate import EMRate
    from jensen.infer.standard_errors import ConfidenceIntervals, Estimate, StandardErrors


@dataclass(frozen=True)
class EndOfStart:
    """What became of one start.

    Attributes
    ----------
    objective : float
        At the end; minus infinity if the start had no density.
    status : Status
        How it ended.
    n_iter : int
        M-steps.
    """

    objective: float
    status: Status
    n_iter: int


@dataclass(frozen=True, eq=False)
class Fit(Printed):
    """A fitted model and the record of how it went. The objective and the statistics belong to the parameters.

    Attributes
    ----------
    model : object
        What was fitted.
    params : Parameters
        The best parameters.
    objective : float
        The objective there: the log-likelihood with every penalty, or the bound that the solver climbs.
    statistics : Statistics
        Expected statistics there.
    status : Status
        How the run ended.
    detail : str
        More on the status, where there is more to say.
    n_iter : int
        M-steps that led to `params`.
    passes : float
        Passes over the data.
    trace : tuple of float
        Objective at the start and at every point after it.
    solver : str
        Name of the solver.
    ascends : str
        What the solver never lets fall; empty for nothing.
    boundary : tuple of str
        Entries of the start that lie on the boundary, which EM never leaves.
    starts : tuple of EndOfStart or StartRecord
        Every start; the best one is the fit.
    seconds : float
        Wall time.
    source : Source
        The data, for what is asked after the fit.
    variant : Variant or None
        The solver's settings, for refits.
    bound : tuple of HalfStep
        The bound, the log-likelihood and the gap after every half step, where ``trace_bound`` asked for it.
    extrapolations : tuple of int
        Extrapolated points that were tried, and those that were accepted, each with an objective at least that of the
        point before it. They may lead to another optimum than plain EM's: ``accelerate="off"`` tells.
    account : Account or None
        What the search found, in words when printed; None where starts were given or counted.
    """

    model: Any
    params: Parameters
    objective: float
    statistics: Any = field(repr=False)
    status: Status
    detail: str
    n_iter: int
    passes: float
    trace: tuple[float, ...] = field(repr=False)
    solver: str
    ascends: str
    boundary: tuple[str, ...]
    starts: tuple[EndOfStart | StartRecord, ...] = field(repr=False)
    seconds: float
    source: Any = field(repr=False)
    variant: Any = field(default=None, repr=False)
    bound: tuple[HalfStep, ...] = field(default=(), repr=False)
    extrapolations: tuple[int, int] = (0, 0)
    account: Account | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        told = f"objective {self.objective:.6g}, {self.n_iter} iteration{'s' * (self.n_iter != 1)}"
        return f"Fit({name_of(self.model)}; {told}; {self.status.value})"

    def _card(self) -> CardLike:
        from jensen.report.printed import fit_card

        return fit_card(self)

    @property
    def message(self) -> str:
        """How the fit ended, in a sentence."""
        return f"{self.status.message} ({self.detail})" if self.detail else self.status.message

    @property
    def n_free(self) -> int:
        """Number of free parameters."""
        return self.params.n_free

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know before using the result; empty when all is well."""
        found = [] if self.status.is_converged else [self.message]
        if self.boundary:
            found.append(
                f"the start is on the boundary at {', '.join(self.boundary)}, which EM never leaves: start inside "
                "unless that is meant"
            )
        if self.account is not None and self.account.warning:
            found.append(self.account.warning)
        return tuple(found)

    def ordered(self, by: str = "weights") -> Fit:
        """The same fit with its components in a canonical order, so that runs can be compared.

        Parameters and statistics go together: the latter, and the objective, are taken anew by one pass over the data,
        and agree with what they were to rounding. The trace is as it was.

        Parameters
        ----------
        by : str, default="weights"
            ``"weights"``: heaviest component first. Or a parameter that every component has of its own, such as
            ``"means"``: smallest first, by its first entry, then its second, and so on.

        Raises
        ------
        InputError
            If the model does not declare ``permuted``, or has no such parameter.
        """
        from jensen.fit.ordering import ordered

        return ordered(self, by)

    # What is asked after the fit lies above this room, and is fetched when it is asked for.

    def standard_errors(self, kind: Literal["observed", "sandwich"] = "observed") -> StandardErrors:
        """Standard errors of every parameter on its natural scale, by the delta method.

        They belong to a point where the score is zero: from the fit's parameters, Newton's steps lead there first.
        Entries on the boundary are held fixed, and entries that the data do not identify are refused; the record says
        which and why.

        Parameters
        ----------
        kind : {"observed", "sandwich"}, default="observed"
            The inverse of the observed information; or, robust to a wrong model, with the rows' scores between two of
            them (Huber 1967; White 1982), for which the model needs ``information`` or ``row_loglik``.

        Raises
        ------
        InputError
            If there are more free parameters than the model's way of finding the information bears, or the sandwich
            lacks the rows' scores.
        NumericalFailure
            If some row has next to no density at the parameters.

        Examples
        --------
        The heads of the three coins of which pi and q are known:

        >>> import jensen
        >>> start = {"pi": 0.5, "p": 0.5, "q": 0.7}
        >>> coins, tosses = jensen.models.ThreeCoins(), [1, 1, 0, 1, 0, 0, 1, 0, 1, 1]
        >>> fit = jensen.em(coins, tosses, start, fixed={"pi": True, "q": True})
        >>> round(float(fit.standard_errors()["p"]), 4)
        0.3098
        """
        return self._analysis.standard_errors(kind)

    def standard_error_of(
        self,
        function: Callable[[Parameters], Any],
        name: str | None = None,
        kind: Literal["observed", "sandwich"] = "observed",
    ) -> Estimate:
        """A function of the parameters with its standard error, by the delta method.

        Parameters
        ----------
        function : callable (Parameters) -> float or ndarray
            Smooth, such as ``lambda params: params["rates"][1] - params["rates"][0]``.
        name : str, optional
            What to call it.
        kind : {"observed", "sandwich"}, default="observed"
            As in `standard_errors`.
        """
        return self._analysis.standard_error_of(function, name, kind)

    def confint(
        self,
        level: float = 0.95,
        kind: Literal["observed", "sandwich"] = "observed",
        scale: Literal["natural", "free"] = "natural",
    ) -> ConfidenceIntervals:
        """Wald confidence intervals of every parameter.

        Parameters
        ----------
        level : float, default=0.95
            Coverage, between 0 and 1.
        kind : {"observed", "sandwich"}, default="observed"
            As in `standard_errors`.
        scale : {"natural", "free"}, default="natural"
            ``natural``: symmetric about the estimate, cut at the bounds of the domain. ``free``: formed on the
            logarithm or the logit where there are bounds, which never reaches them.
        """
        return self._analysis.standard_errors(kind).confint(level, scale)

    def bootstrap(
        self, n_draws: int = 400, kind: Literal["parametric", "nonparametric"] = "parametric", seed: int | None = None
    ) -> Bootstrap:
        """Refit to data drawn anew, and see how much the parameters move.

        Every draw is refitted from the fit's parameters, by the same solver, and its components are matched to the
        fit's. Figures are refused where components cannot be matched, where the data do not identify an entry, and on
        the boundary. An interrupt returns what there is.

        Parameters
        ----------
        n_draws : int, default=400
            At least 2; the standard errors themselves are then good to about 3.5 %.
        kind : {"parametric", "nonparametric"}, default="parametric"
            Rows drawn by the model's ``sample``; or the rows themselves, drawn with replacement, which is right for
            a wrong model, too. A row of weight w counts as w rows.
        seed : int, optional
            Draw b comes from the stream (seed, "bootstrap", b); a fresh seed by default.

        Raises
        ------
        InputError
            If an argument is wrong, the weights sum to fewer than two rows, or the model cannot sample its data.
        NumericalFailure
            If fewer than two draws can be refitted.
        """
        from jensen.infer.bootstrap import bootstrap

        return bootstrap(self, n_draws, kind, seed)

    def em_rate(self) -> EMRate:
        """EM's rate of convergence, which is the fraction of missing information, overall and by parameter."""
        return self._analysis.rate

    def identifiability(self) -> Identifiability:
        """What the data can tell of the parameters: rank, flat directions, identified combinations.

        Examples
        --------
        >>> import jensen
        >>> start = {"pi": 0.4, "p": 0.6, "q": 0.7}
        >>> fit = jensen.em(jensen.models.ThreeCoins(), [1, 1, 0, 1, 0, 0, 1, 0, 1, 1], start)
        >>> print(fit.identifiability())
        Identifiability: rank 1 of 3; information: exact (Louis)
          pi and q can move together along (+0.98 pi, +0.18 q) without changing the likelihood.
          p and q can move together along (+0.83 p, -0.56 q) without changing the likelihood.
          pi*p + (1-pi)*q = 0.6 (standard error 0.1549).
        """
        return self._analysis.identifiability

    def diagnose(self) -> Diagnosis:
        """How the fit ended, how sure it is, and what to do: short paragraphs."""
        from jensen.infer.diagnose import Account, diagnose

        faults = getattr(self.model, "faults", None)
        account = Account(
            self.message,
            self.status.is_converged,
            self.n_iter,
            tuple(faults(self.params, self.statistics)) if callable(faults) else (),
            self.extrapolations,
            # A share stands for rows only where the rows have components.
            float(self.statistics.weight) if hasattr(self.model, "n_components") else np.inf,
        )
        return diagnose(self._analysis, account)

    @cached_property
    def _analysis(self) -> Analysis:
        from jensen.infer.analysis import Analysis

        return Analysis(self.model, self.params, self.source)

    def __getstate__(self) -> dict[str, Any]:
        # What was asked of a fit is computed anew by a copy: a model's functions cannot always be pickled.
        return {name: value for name, value in self.__dict__.items() if name != "_analysis"}
