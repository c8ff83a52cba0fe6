"""A model some of whose parameters are held, or equal to one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from scipy.optimize import minimize

from jensen.core.block import Array, Block
from jensen.core.constraints import Constraints
from jensen.core.contracts import Stage
from jensen.core.domains import Domain
from jensen.core.model import name_of, objective_of, stages_of
from jensen.core.parameters import Parameters
from jensen.errors import ContractError, InputError, NumericalFailure

# What of a model is as true of it under constraints; passes of many steps are not. Information is of the entries, and
# the constrained domains restrict it.
_SHARED = frozenset(
    {
        *("log_joint", "statistics_from", "row_loglik", "responsibilities", "labels", "sample", "assess", "faults"),
        *("complete", "family", "n_components", "identified", "information"),
    }
)
# Rounds of the optimiser in which Q must end up still.
_MAX_ROUNDS = 20


class Constrained:
    """A model under constraints, with an M-step that is exact among the parameters that satisfy them.

    A model that declares ``maximize_within(params, statistics, constraints)``, as mixtures do, has a closed form. One
    that lists parameters in ``separable``, whose entries are each maximised by itself whatever the others are, has its
    own M-step, after which held entries are put back. For any other, ``complete`` is maximised over the free
    coordinates that are left.

    Parameters
    ----------
    model : LatentModel, Mixture, or any object of one stage
        The model.
    start : Parameters or mapping of str to array-like
        Where held values come from.
    fixed : mapping of str to bool or array-like of bool, optional
        Parameters to hold: True, or a mask of the parameter's shape or of its first axes.
    equal : sequence of str, optional
        Parameters to keep equal along their first axis; weights become 1/K.

    Raises
    ------
    InputError
        If a name or a mask does not fit.
    ContractError
        If the model has several stages, or no way to an M-step under constraints.

    Examples
    --------
    >>> import jensen
    >>> coins = jensen.models.ThreeCoins()
    >>> fit = jensen.em(coins, [1, 1, 0, 1], {"pi": 0.5, "p": 0.5, "q": 0.9}, fixed={"pi": True, "q": True})
    >>> fit.n_free, float(fit.params["q"])
    (1, 0.9)
    """

    def __init__(
        self, model: Any, start: Any, *, fixed: Mapping[str, Any] | None = None, equal: Sequence[str] = ()
    ) -> None:
        self.model = model
        self.wrapped_name = name_of(model)
        values = start.values if isinstance(start, Parameters) else start
        missing = set(model.domains) - set(values)
        if missing:
            raise InputError(f"start must have the parameters {', '.join(model.domains)}; it lacks {sorted(missing)}")
        self.constraints = Constraints.of(model.domains, values, fixed or {}, equal)
        own = stages_of(model)
        if len(own) != 1:
            raise ContractError(f"constraints need a model of one stage, and {self.wrapped_name} has {len(own)}")
        self._own: Stage = own[0]
        self._closed = callable(getattr(model, "maximize_within", None))
        constrained = {*self.constraints.fixed, *self.constraints.equal}
        self._put_back = not self.constraints.equal and constrained <= set(getattr(model, "separable", ()))
        if not (self._closed or self._put_back or callable(getattr(model, "complete", None))):
            raise ContractError(
                f"{self.wrapped_name} has no method complete(params, statistics), which constraints need"
            )

    @cached_property
    def domains(self) -> Mapping[str, Domain]:
        """The model's parameters, and where each moves under the constraints."""
        return self.constraints.domains(self.model.domains)

    @property
    def stages(self) -> Sequence[Stage]:
        """The model's E-step, with the M-step under constraints."""
        return (Stage(self.expect, self.maximize),)

    def __getattr__(self, name: str) -> Any:
        if name in _SHARED and "model" in self.__dict__:
            return getattr(self.model, name)
        raise AttributeError(f"a constrained model has no '{name}'")

    def parameters(self, **values: Any) -> Parameters:
        """A record of this model's parameters; held entries are put in their places, equal ones are averaged."""
        return Parameters(self.constraints.applied(values, self.model.domains), self.domains)

    def objective(self, params: Parameters, statistics: Any) -> float:
        """The model's own."""
        return float(objective_of(self.model, params, statistics))

    def expect(self, params: Parameters, block: Block) -> Any:
        """The model's own E-step."""
        return self._own.expect(params, block)

    def maximize(self, params: Parameters, statistics: Any) -> Parameters:
        """M-step among the parameters that satisfy the constraints; Q never falls."""
        if self._closed:
            found = self.model.maximize_within(params, statistics, self.constraints)
            if found is not None:
                return params.replace(**found)
        own = self._own.maximize(params, statistics)
        given = dict(own.values if isinstance(own, Parameters) else own)
        applied = self.constraints.applied({**params.values, **given}, self.model.domains)
        proposal = params.replace(**applied)
        return proposal if self._put_back else self._climbed(params, proposal, statistics)

    def _climbed(self, params: Parameters, proposal: Parameters, statistics: Any) -> Parameters:
        """Parameters that maximise Q over the free coordinates, from the better of two points."""
        if params.n_free == 0:
            return params
        here = self._complete(params, statistics)
        best, reached = params, here
        scale = max(abs(here), 1.0)
        if (value := self._complete(proposal, statistics)) > reached:
            best, reached = proposal, value
        for _ in range(_MAX_ROUNDS):
            found = minimize(
                lambda free: -self._complete(params.from_free(free), statistics) / scale,
                best.to_free(),
                jac=lambda free: -self._gradient(params, free, statistics) / scale,
                method="BFGS",
                options={"gtol": 1e-12},
            )
            there = params.from_free(found.x)
            value = self._complete(there, statistics)
            if not value > reached:
                break
            gained, best, reached = value - reached, there, value
            if gained <= 1e-15 * scale:
                break
        return best

    def _complete(self, params: Parameters, statistics: Any) -> float:
        try:
            with np.errstate(all="ignore"):
                value = float(self.model.complete(params, statistics))
        except (NumericalFailure, ArithmeticError, ValueError, np.linalg.LinAlgError):
            return -1e300
        return value if np.isfinite(value) else -1e300

    def _gradient(self, params: Parameters, free: Array, statistics: Any) -> Array:
        """Gradient of Q by central differences of two widths, extrapolated (Richardson 1911); (n_free,)."""
        out = np.empty_like(free)
        for j in range(free.size):
            wide, narrow = (
                self._difference(params, free, statistics, j, width * max(abs(free[j]), 1.0)) for width in (2e-3, 1e-3)
            )
            out[j] = (4.0 * narrow - wide) / 3.0
        return out

    def _difference(self, params: Parameters, free: Array, statistics: Any, j: int, width: float) -> float:
        up, down = free.copy(), free.copy()
        up[j] += width
        down[j] -= width
        rise = self._complete(params.from_free(up), statistics) - self._complete(params.from_free(down), statistics)
        return float(rise / (up[j] - down[j]))
