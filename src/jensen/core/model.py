"""What a person writes to have a model of their own fitted, and the checks at that edge."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import wraps
from typing import Any, ClassVar

import numpy as np

from jensen.core.block import Block
from jensen.core.contracts import Expect, Maximize, Stage
from jensen.core.domains import Domain
from jensen.core.parameters import Parameters
from jensen.errors import ContractError, InputError, NumericalFailure

# What is outside a domain by no more has been carried there by rounding.
_ROUNDING = 1e-9


class LatentModel(ABC):
    """A model with something hidden: subclass it, name the parameters, and write the E-step and the M-step.

    Attributes
    ----------
    domains : mapping of str to Domain
        The parameters by name, and where each lives: see `jensen.domains`.

    Notes
    -----
    A model may declare more, and then more can be done with it:

    ``complete(params, statistics) -> float``
        E_q log p(x, z | params) with every penalty, from the statistics of an E-step. The bound F, guarded partial
        M-steps and exact scores rest on it.
    ``row_loglik(params, block) -> (n,)``
        log p(x_i) of each row: robust standard errors.
    ``log_joint(params, block) -> (K, n)`` and ``statistics_from(params, block, responsibilities, bound)``
        log p(x_i, z_i = k) where what is hidden is one of K, and the statistics under any shares (n, K), which are
        already multiplied by the rows' weights: known labels, and the partial E-steps of `jensen.solvers`.
    ``escapes(params, source, rng) -> [(kind, params), ...]``
        Where an optimum may be left for a higher one, for the search of `jensen.em`; None where nothing can lead
        higher. Without it, a model with ``n_components``, ``log_joint`` and ``statistics_from`` has components drawn
        anew.
    ``allowed(params) -> Parameters``
        Parameters that were put together, by an extrapolation say, moved to where bounds between them allow.
    ``separable``
        Names of parameters whose entries the M-step maximises each by itself, so that some can simply be held.
    ``sample(params, n, rng) -> rows``
        Draws: the parametric bootstrap.
    ``information(params, block) -> Information``
        The observed information by Louis's identity: exact standard errors.
    ``identified``
        A mapping of names to functions of the parameters, such as ``{"pi*p": lambda params: ...}``: combinations of
        interest, whose standard errors are reported with those of the parameters.
    ``permuted(params, order) -> Parameters``
        The same parameters with component ``order[k]`` as number k, and ``by_component(params) -> mapping``, what each
        component has of its own as arrays (K, ...) by name: a canonical order, and label matching in the bootstrap.
    ``responsibilities(params, block) -> (n, K)``
        Posterior shares of the components: label matching by them.

    Examples
    --------
    Two coins of unknown bias; each row is the number of heads in ten tosses of one of them, and which is hidden:

    >>> import numpy as np
    >>> import jensen
    >>> class TwoCoins(jensen.LatentModel):
    ...     domains = {"bias": jensen.domains.Interval((2,))}
    ...     def expect(self, params, block):
    ...         heads = block.x
    ...         log_joint = np.log(0.5) + heads * np.log(params["bias"]) + (10 - heads) * np.log(1 - params["bias"])
    ...         loglik = np.logaddexp.reduce(log_joint, axis=1)
    ...         share = np.exp(log_joint - loglik[:, None]) * block.weights[:, None]
    ...         return jensen.Sums(weight=block.total_weight, loglik=block.weights @ loglik,
    ...                            heads=(share * heads).sum(axis=0), tosses=10 * share.sum(axis=0))
    ...     def maximize(self, params, s):
    ...         return {"bias": s.heads / s.tosses}
    >>> fit = jensen.em(TwoCoins(), [5, 9, 8, 4, 7], {"bias": [0.6, 0.5]})
    >>> print(fit.params["bias"].round(2))
    [0.8  0.52]
    """

    domains: ClassVar[Mapping[str, Domain]]

    @property
    def stages(self) -> Sequence[Stage]:
        """One E-step and one M-step; return several stages for ECM, each with an E-step of its own."""
        return (Stage(self.expect, self.maximize),)

    @abstractmethod
    def expect(self, params: Parameters, block: Block) -> Any:
        """E-step of one block: expected statistics with ``merge``, ``weight`` and ``loglik``, such as `Sums`."""

    @abstractmethod
    def maximize(self, params: Parameters, statistics: Any) -> Any:
        """M-step: better parameters, as `Parameters` or as a mapping of those that change."""

    def objective(self, params: Parameters, statistics: Any) -> float:
        """What EM maximises, at `params`: the log-likelihood, plus every penalty that the M-step minds."""
        return float(statistics.loglik)

    def parameters(self, **values: Any) -> Parameters:
        """A record of this model's parameters from arrays by name."""
        return Parameters(values, self.domains)


def name_of(model: Any) -> str:
    """What a person calls a model: the class that they wrote, whatever labels or constraints are around it."""
    return str(getattr(model, "wrapped_name", type(model).__name__))


def stages_of(model: Any) -> Sequence[Stage]:
    """A model's stages, or the one of its ``expect`` and ``maximize``."""
    own: Sequence[Stage] | None = getattr(model, "stages", None)
    return (Stage(model.expect, model.maximize),) if own is None else own


def objective_of(model: Any, params: Parameters, statistics: Any) -> Any:
    """What a model says that EM maximises, or the statistics' ``loglik`` where it says nothing."""
    own = getattr(model, "objective", None)
    return statistics.loglik if own is None else own(params, statistics)


class Checked:
    """A user's model behind checks of what its methods return; solvers see it in the model's place.

    Parameters
    ----------
    model : object
        Anything with ``domains``, and ``stages`` or ``expect`` and ``maximize``; ``objective`` if it is not the
        statistics' ``loglik``.

    Raises
    ------
    ContractError
        If something of that is missing; the message names it.
    """

    def __init__(self, model: Any) -> None:
        self.model, self.name, self.wrapped_name = model, name_of(model), name_of(model)
        domains = getattr(model, "domains", None)
        if not isinstance(domains, Mapping) or not domains:
            raise ContractError(
                f"{self.name}.domains must be a mapping of parameter names to domains, such as "
                f"{{'rate': jensen.domains.Positive((2,))}}, got {domains!r}"
            )
        for name, domain in domains.items():
            lacking = [method for method in ("shape", "check", "to_free", "from_free") if not hasattr(domain, method)]
            if lacking:
                raise ContractError(
                    f"{self.name}.domains['{name}'] must be a domain, such as jensen.domains.Real(()), got "
                    f"{_shown(domain)}, which has no {lacking[0]}"
                )
        self.domains: Mapping[str, Domain] = domains
        if getattr(model, "stages", None) is None:
            missing = [name for name in ("expect", "maximize") if not callable(getattr(model, name, None))]
            if missing:
                raise ContractError(f"{self.name} has no method {missing[0]}: a model needs an E-step and an M-step")
        stages: Any = stages_of(model)
        if not isinstance(stages, Sequence) or not stages or not all(isinstance(stage, Stage) for stage in stages):
            raise ContractError(
                f"{self.name}.stages must be a sequence of at least one Stage(expect, maximize), got {_shown(stages)}"
            )
        self.stages = tuple(Stage(self._expect(s.expect), self._maximize(s.maximize), s.guarded) for s in stages)
        if any(stage.guarded for stage in self.stages) and not hasattr(model, "complete"):
            raise ContractError(f"{self.name} has guarded stages, which need the method complete(params, statistics)")

    def __getattr__(self, name: str) -> Any:
        # Capabilities are the model's own.
        if name.startswith("__") or name == "model":
            raise AttributeError(name)
        return getattr(self.model, name)

    def objective(self, params: Parameters, statistics: Any) -> float:
        """The model's objective as a float."""
        if not hasattr(statistics, "loglik"):
            raise ContractError(
                f"merge of what {self.name}.expect returned must give statistics again, but gave {_shown(statistics)}"
            )
        value = objective_of(self.model, params, statistics)
        try:
            return float(value)
        except (TypeError, ValueError):
            raise ContractError(f"{self.name}.objective must return a number, but returned {_shown(value)}") from None

    def start(self, values: Any) -> Parameters:
        """Parameters to start from, checked: a mapping of all names, or a record of this model.

        Raises
        ------
        InputError
            If a name, a shape or a value is not the model's.
        """
        if not isinstance(values, Parameters | Mapping):
            raise InputError(
                f"start must be a mapping of parameter names to values, with {', '.join(self.domains)}; got "
                f"{_shown(values)}"
            )
        given = values.values if isinstance(values, Parameters) else values
        if set(given) != set(self.domains):
            names, got = ", ".join(self.domains), ", ".join(map(str, given))
            raise InputError(f"start must have the parameters {names}; got {got}")
        try:
            params = Parameters(given, self.domains)
        except InputError:
            raise
        except (TypeError, ValueError) as error:
            raise InputError(f"start has values that are no numbers: {error}") from None
        params.check()
        return params

    def outside(self, params: Parameters) -> str | None:
        """What is outside its domain by more than rounding, or None; only a wrong M-step leads there."""
        for name, domain in params.domains.items():
            value = params[name]
            fault = domain.check(value) if np.isfinite(value).all() else None
            if fault is None:
                continue
            try:
                nearest = domain.from_free(domain.to_free(value))
            except np.linalg.LinAlgError:
                nearest = np.full_like(value, np.inf)
            if not np.allclose(nearest, value, rtol=_ROUNDING, atol=_ROUNDING):
                return f"'{name}' = {np.array2string(value, precision=6, threshold=8)} outside its domain: {fault}"
        return None

    def _expect(self, expect: Expect) -> Expect:
        method = f"{self.name}.{getattr(expect, '__name__', 'expect')}"

        @wraps(expect)
        def checked(params: Parameters, block: Block) -> Any:
            statistics = expect(params, block)
            for name in ("merge", "weight", "loglik"):
                if not hasattr(statistics, name):
                    raise ContractError(
                        f"{method} must return statistics with merge, weight and loglik, such as jensen.Sums, but "
                        f"returned {_shown(statistics)}, which has no {name}"
                    )
            for name in ("weight", "loglik"):
                try:
                    number = float(getattr(statistics, name))
                except (TypeError, ValueError):
                    raise ContractError(
                        f"{method} returned statistics whose {name} is no number: {_shown(getattr(statistics, name))}"
                    ) from None
                if name == "weight" and math.isnan(number):
                    raise ContractError(f"{method} returned statistics whose weight is NaN")
                if name == "loglik" and not math.isfinite(number) and (fault := self.outside(params)) is not None:
                    raise NumericalFailure(f"the M-step of {self.name} returned {fault}")
            return statistics

        return checked

    def _maximize(self, maximize: Maximize) -> Maximize:
        method = f"{self.name}.{getattr(maximize, '__name__', 'maximize')}"

        @wraps(maximize)
        def checked(params: Parameters, statistics: Any) -> Parameters:
            found: Any = maximize(params, statistics)
            if isinstance(found, Mapping):
                try:
                    return params.replace(**found)
                except (InputError, TypeError, ValueError) as error:
                    raise ContractError(f"{method} returned values that are no parameters: {error}") from None
            if not isinstance(found, Parameters):
                raise ContractError(
                    f"{method} must return Parameters, or a mapping of those that change, but returned {_shown(found)}"
                )
            if found.domains != params.domains:
                raise ContractError(f"{method} returned parameters of other names or shapes: {found}")
            return found

        return checked


def _shown(value: Any) -> str:
    """A value in a message: its type, and what it is where that is short."""
    text = repr(value)
    return f"{type(value).__name__} {text}" if len(text) <= 60 else f"an object of type {type(value).__name__}"
