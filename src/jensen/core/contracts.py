"""The contracts: a latent-variable model is a pair of pure functions, and everything else is written against them.

One function turns (parameters, a block of rows) into mergeable expected statistics, the other turns statistics into
better parameters. Sources fold the first over the data; solvers decide at which parameters; one loop runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np

from jensen.core.block import AnyArray, Array, Block
from jensen.core.domains import Domain
from jensen.core.parameters import Parameters
from jensen.core.status import Status

StateT = TypeVar("StateT")


class Mergeable(Protocol):
    """A value that can be added up over blocks."""

    def merge(self, other: Any) -> Self:
        """The value of both parts together; associative up to rounding."""
        ...


MergeableT = TypeVar("MergeableT", bound=Mergeable)
T = TypeVar("T")


class Statistics(Mergeable, Protocol):
    """Expected statistics of some rows; each carries the shift about which it was accumulated."""

    @property
    def weight(self) -> float:
        """Sum of the rows' weights."""
        ...

    @property
    def loglik(self) -> float:
        """Log-likelihood of the rows, penalties included, at the parameters of the E-step."""
        ...


class Source(Protocol):
    """Data that can be passed over again and again, block by block, and that knows where its work runs."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        ...

    @property
    def weight(self) -> float:
        """Sum of the rows' weights."""
        ...

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        ...

    def fold(self, block_pass: Callable[[Parameters, Block], MergeableT], params: Parameters) -> MergeableT:
        """The pass over every block, merged in block order."""
        ...

    def map_ordered(self, block_pass: Callable[[Parameters, Block], T], params: Parameters) -> Iterator[T]:
        """The pass over every block, in block order."""
        ...


Expect = Callable[[Parameters, Block], Any]
Maximize = Callable[[Parameters, Any], Parameters]


@dataclass(frozen=True)
class Stage:
    """One (E-step, M-step) pair. A model with one stage is EM, with several ECM or ECME.

    Attributes
    ----------
    expect : callable (Parameters, Block) -> Statistics
        E-step over whole units.
    maximize : callable (Parameters, Statistics) -> Parameters
        M-step; gets the old parameters; need only improve on them.
    """

    expect: Expect
    maximize: Maximize


class Model(Protocol):
    """A latent-variable model: what the loop needs to fit it."""

    @property
    def stages(self) -> Sequence[Stage]:
        """The E- and M-steps, in turn."""
        ...

    def objective(self, params: Parameters, statistics: Any) -> float:
        """Log-likelihood plus every penalty at `params`, from the statistics at `params`."""
        ...


class FamilyStatistics(Mergeable, Protocol):
    """Statistics of a stack of components."""

    @property
    def counts(self) -> Array:
        """Expected weight of each component, shape (K,)."""
        ...


class Family(Protocol):
    """A whole stack of K components at once, so that parameters shared between components are natural.

    Parameters of the family live in the same flat record as those of the model, under the family's own names.
    """

    @property
    def n_components(self) -> int:
        """Number of components K."""
        ...

    @property
    def domains(self) -> Mapping[str, Domain]:
        """The family's parameters and where each lives."""
        ...

    def log_density(self, params: Parameters, block: Block) -> Array:
        """Log-density of each row under each component, shape (n, K)."""
        ...

    def log_penalty(self, params: Parameters) -> Array:
        """What the E-step subtracts from each component's log-density, shape (K,); 0 without a penalty."""
        ...

    def statistics(self, params: Parameters, block: Block, responsibilities: Array) -> Any:
        """Statistics of the rows under weighted responsibilities (n, K)."""
        ...

    def fused(self, params: Parameters, log_weights: Array, block: Block) -> tuple[Any, float] | None:
        """The family statistics and the log-likelihood of a mixture's E-step in one pass, or None to use the parts."""
        ...

    def maximize(self, params: Parameters, statistics: Any) -> Mapping[str, Array]:
        """The family's parameters that maximise the expected complete-data objective."""
        ...

    def sample(self, params: Parameters, component: int, n: int, rng: np.random.Generator) -> AnyArray:
        """Draw n rows of one component, shape (n, d)."""
        ...

    def faults(self, params: Parameters, counts: Array) -> tuple[str, ...]:
        """Why a fit with these parameters is degenerate, one sentence each; empty for a sound one."""
        ...


@dataclass(frozen=True)
class Info:
    """What a person may want to see of one iteration; nothing is computed from it.

    Attributes
    ----------
    iteration : int
        M-steps done before this point, from 0.
    objective : float
        Objective at this point.
    gain : float
        Its change since the point before; infinite at the first.
    """

    iteration: int
    objective: float
    gain: float


@dataclass(frozen=True)
class Point:
    """Parameters, the statistics at those very parameters, and the objective they give."""

    params: Parameters
    statistics: Any
    objective: float
    iteration: int


class Solver(Protocol[StateT]):
    """Where to evaluate next. A solver neither loops nor touches data; the loop alone runs passes."""

    def init(self, params: Parameters) -> StateT:
        """The state at the start, before anything is evaluated."""
        ...

    def ask(self, state: StateT) -> tuple[Expect, Parameters]:
        """The pass that is wanted next, and the parameters to take it at; M-steps happen here."""
        ...

    def tell(self, state: StateT, params: Parameters, statistics: Any) -> tuple[StateT, Info]:
        """The state after the statistics at the wanted parameters have come."""
        ...

    def best(self, state: StateT) -> Point | None:
        """The last point whose objective is known; None before the first."""
        ...


class StoppingRule(Protocol):
    """When to stop; asked after every evaluated point."""

    def update(self, info: Info) -> Status | None:
        """A status to stop with, or None to go on."""
        ...


@dataclass(frozen=True)
class Run(Generic[T]):
    """One run of a solver from one start. The objective belongs to the parameters beside it.

    Attributes
    ----------
    params : Parameters
        The best parameters.
    statistics : Statistics
        The statistics at those parameters.
    objective : float
        The objective at those parameters.
    status : Status
        How the run ended.
    n_iter : int
        Number of M-steps that led to `params`.
    passes : int
        Number of passes over the data.
    trace : tuple of float
        Objective at the start and after every M-step.
    seconds : float
        Wall time.
    detail : str
        More on the status where there is more to say.
    """

    params: Parameters
    statistics: T
    objective: float
    status: Status
    n_iter: int
    passes: int
    trace: tuple[float, ...] = field(repr=False)
    seconds: float = 0.0
    detail: str = ""
