"""The record of a fitted latent-variable model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.solve.tracing import HalfStep

# Numbers of an array that a printed fit shows.
_SHOWN = 8


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
class Fit:
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
    starts : tuple of EndOfStart
        Every start; the best one is the fit.
    seconds : float
        Wall time.
    source : Source
        The data, for what is asked after the fit.
    bound : tuple of HalfStep
        The bound, the log-likelihood and the gap after every half step, where ``trace_bound`` asked for it.
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
    starts: tuple[EndOfStart, ...] = field(repr=False)
    seconds: float
    source: Any = field(repr=False)
    bound: tuple[HalfStep, ...] = field(default=(), repr=False)

    def __repr__(self) -> str:
        lines = [
            f"Fit of {type(self.model).__name__}: {self.message}",
            f"  objective  {self.objective:.10g}, {self.n_iter} iterations, {self.passes:g} passes; {self.solver}",
        ]
        lines += [f"  {name:<10} {_shown(value)}" for name, value in self.params.values.items()]
        return "\n".join(lines)

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
        return tuple(found)


def _shown(value: Any) -> str:
    flat = np.ravel(value)
    text = "  ".join(f"{number:.6g}" for number in flat[:_SHOWN])
    return text if flat.size <= _SHOWN else f"{text}  ... ({flat.size} numbers)"
