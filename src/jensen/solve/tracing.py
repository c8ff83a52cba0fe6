"""The bound on demand: F, the log-likelihood and the gap between them, after every half step.

F(q, theta) = E_q log p(x, z | theta) + H(q) = log-likelihood - KL(q || posterior) (Neal & Hinton 1998, equation 7).
After an exact E-step the gap is 0; after an M-step, or a partial E-step, it is what q lacks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from jensen.core.contracts import Info, Point, Request, Solver, Source
from jensen.core.model import name_of
from jensen.core.parameters import Parameters
from jensen.errors import ContractError
from jensen.solve.following import Following


@dataclass(frozen=True)
class HalfStep:
    """Where the bound and the log-likelihood are after half a step.

    Attributes
    ----------
    kind : {"E", "M"}
        Which half.
    iteration : int
        M-steps so far, this one included.
    free_energy : float
        F(q, theta), with every penalty, in nats.
    loglik : float
        Log-likelihood at theta, with every penalty.
    gap : float
        Their difference, KL(q || posterior): 0 after an exact E-step, up to rounding.
    """

    kind: Literal["E", "M"]
    iteration: int
    free_energy: float
    loglik: float
    gap: float

    def __str__(self) -> str:
        return (
            f"{self.kind} {self.iteration:>4}  F {self.free_energy:.10g}  log-likelihood {self.loglik:.10g}  "
            f"gap {self.gap:.3g}"
        )


class TracedSolver(Following):
    """A solver that notes F at every half step of another one; it goes the same way.

    Parameters
    ----------
    solver : Solver
        Whose steps are E- and M-steps alone.
    model : Model
        With ``complete``; its statistics may declare ``entropy``.
    source : Source
        The data, for log-likelihoods that the steps themselves do not tell.

    Raises
    ------
    ContractError
        If the model lacks ``complete``.
    """

    def __init__(self, solver: Solver[Any], model: Any, source: Source) -> None:
        if not callable(getattr(model, "complete", None)):
            raise ContractError(f"{name_of(model)} has no method complete(params, statistics), which trace_bound needs")
        super().__init__(solver)
        self.model, self.source = model, source
        self._records = list[HalfStep]()
        self._params = list[Parameters]()
        # By identity of the parameters, which stay in the list: the same record is met after both halves.
        self._seen, self._logliks = set[int](), dict[int, float]()
        self._exact = getattr(solver, "exact", solver.ascends == "log-likelihood")

    def ask(self, state: Any) -> Request:
        """The other's request; where an M-step led to it, F is noted there."""
        request, last = self.solver.ask(state), self._last(state)
        # The end of stochastic EM goes back to a point, which is no M-step.
        if last is not None and id(request.params) not in self._seen:
            free_energy = self.model.complete(request.params, last.statistics) + self._entropy(state, last)
            self._note("M", last.iteration + 1, request.params, free_energy)
        return request

    def tell(self, state: Any, params: Parameters, statistics: Any) -> tuple[Any, Info]:
        """The other's answer; F is noted after the E-step."""
        told, info = self.solver.tell(state, params, statistics)
        last = self._last(told)
        assert last is not None
        if self._exact:
            self._logliks[id(params)] = last.objective
        free_energy = self.model.complete(params, last.statistics) + self._entropy(told, last)
        self._note("E", info.iteration, params, free_energy)
        return told, info

    def _note(self, kind: Literal["E", "M"], iteration: int, params: Parameters, free_energy: float) -> None:
        self._records.append(HalfStep(kind, iteration, float(free_energy), np.nan, np.nan))
        self._params.append(params)
        self._seen.add(id(params))

    def _last(self, state: Any) -> Point | None:
        point: Point | None = getattr(self.solver, "last", self.solver.best)(state)
        return point

    def _entropy(self, state: Any, point: Point) -> float:
        """H(q): as the E-step computed it, else what the objective leaves for it."""
        declared = getattr(point.statistics, "entropy", None)
        if declared is not None:
            return float(declared)
        own = getattr(self.solver, "entropy", None)
        if own is not None:
            return float(own(state))
        if not self._exact or not self.solver.ascends:
            raise ContractError(
                f"{name_of(self.model)}: statistics have no entropy, which "
                f"trace_bound needs where the solver does not take exact E-steps; give jensen.Sums entropy=..."
            )
        return point.objective - float(self.model.complete(point.params, point.statistics))

    def bound(self) -> tuple[HalfStep, ...]:
        """The records so far; log-likelihoods that no exact E-step has told cost a pass for each M-step here."""
        done = list[HalfStep]()
        for record, params in zip(self._records, self._params, strict=True):
            if id(params) not in self._logliks:
                exact = self.source.fold(self.model.stages[0].expect, params)
                self._logliks[id(params)] = float(self.model.objective(params, exact))
            loglik = self._logliks[id(params)]
            done.append(replace(record, loglik=loglik, gap=loglik - record.free_energy))
        return tuple(done)
