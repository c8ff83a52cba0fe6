"""The contracts: a latent-variable model is a pair of pure functions, and everything else is written against them.

One function turns (parameters, a block of rows) into mergeable expected statistics, the other turns statistics into
better parameters. Sources fold the first over the data; solvers decide at which parameters; one loop runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, Protocol, Self, TypeVar

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

    def block(self, number: int) -> Block:
        """Block `number`, from 0."""
        ...

    def fold(
        self,
        block_pass: Callable[[Parameters, Block], MergeableT],
        params: Parameters,
        blocks: Sequence[int] | None = None,
    ) -> MergeableT:
        """The pass over every block, or over some by number, merged in their order."""
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
    guarded : bool
        Whether the M-step may overshoot: its step is then halved in free coordinates until the model's ``complete``
        does not fall.
    """

    expect: Expect
    maximize: Maximize
    guarded: bool = False


class Model(Protocol):
    """A latent-variable model: what the loop needs to fit it."""

    @property
    def stages(self) -> Sequence[Stage]:
        """The E- and M-steps, in turn."""
        ...

    def objective(self, params: Parameters, statistics: Any) -> float:
        """Log-likelihood plus every penalty at `params`, from the statistics at `params`."""
        ...


# What a mixture can say of each row: log-densities with the largest log joint density, (2, n); responsibilities,
# (n, K); the most probable components, (n,).
RowPass = Literal["density", "responsibilities", "labels"]


class FamilyStatistics(Mergeable, Protocol):
    """Statistics of a stack of components."""

    @property
    def counts(self) -> Array:
        """Expected weight of each component, shape (K,)."""
        ...


class FamilyTrail(Protocol):
    """What a mixture reads of a family's trail of steps."""

    @property
    def objective(self) -> Array:
        """The mixture's objective at the start (if its E-step was asked for) and after each step."""
        ...

    @property
    def marks(self) -> Array:
        """Of the same points, (points, 3): 1 for a plain step and 0 for a leap; `Info.ratio`, or no number; passes."""
        ...

    @property
    def extrapolations(self) -> tuple[int, int]:
        """Leaps that were tried, and those that were accepted."""
        ...

    @property
    def done(self) -> int:
        """Steps that were taken; -1 if the start has no density."""
        ...

    @property
    def failure(self) -> str:
        """What ended the steps before their number was full; "" if nothing did."""
        ...

    @property
    def is_over(self) -> bool:
        """As in `Trail`."""
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

    def rows(self, params: Parameters, log_weights: Array, block: Block, wanted: RowPass) -> AnyArray | None:
        """What a mixture of the family says of each row, in one pass, or None to use the parts."""
        ...

    def maximize(self, params: Parameters, statistics: Any) -> Mapping[str, Array]:
        """The family's parameters that maximise the expected complete-data objective."""
        ...

    def complete(self, params: Parameters, statistics: Any) -> float:
        """Expected log-densities with the penalty, sum_ik r_ik log f_k(x_i), from the statistics alone."""
        ...

    def burst(
        self,
        params: Parameters,
        statistics: Any,
        block: Block,
        steps: int,
        equal_weights: bool = False,
        enough: float = 0.0,
        leap_after: int | None = None,
    ) -> Any:
        """Many steps of a mixture's EM on one small block at once, a `FamilyTrail`, or None.

        Statistics of None ask for the E-step at `params` first. Weights become n_k / n, or 1/K where they are equal.
        Steps may end where less than `enough` nats were to gain twice running; 0 takes them all. After `leap_after`
        plain steps extrapolations may follow plain steps, where they lower nothing. No point but the last may be lower
        than the one before by more than rounding, or not finite.
        """
        ...

    def on_trail(self, params: Parameters, trail: Any, step: int) -> tuple[Parameters, Any]:
        """Parameters and family statistics after a step of a trail; 0 is its start."""
        ...

    def by_component(self, params: Parameters) -> Mapping[str, Array]:
        """The parameters that every component has of its own, by name, each of shape (K, ...).

        A family whose last components are of another kind declares ``n_alike``, how many come before them, and those
        alone count here.
        """
        ...

    def sample(self, params: Parameters, component: int, n: int, rng: np.random.Generator) -> AnyArray:
        """Draw n rows of one component, shape (n, d)."""
        ...

    def faults(self, params: Parameters, statistics: Any) -> tuple[str, ...]:
        """Why a fit with these parameters and their statistics is degenerate, one sentence each; empty if sound."""
        ...


class Info(NamedTuple):
    """What a person may want to see of one iteration; nothing is computed from it.

    Attributes
    ----------
    iteration : int
        M-steps done before this point, from 0.
    objective : float
        Objective at this point.
    gain : float
        Its change since the point before; infinite at the first.
    plain : bool
        Whether a plain EM step led here from the point before, so that gains and their ratio say what is to come.
    ratio : float or None
        What the next plain gain would be of this one, where the solver knows it; else rules take that of the gains.
    step : float or None
        Largest change of a free coordinate in the plain EM step that led here, where the solver has measured it.
    refused : bool
        Whether the point was evaluated and left again: an extrapolation that lowers the objective. It is no point of
        the run, and its objective and gain say nothing.
    """

    iteration: int
    objective: float
    gain: float
    plain: bool = True
    ratio: float | None = None
    step: float | None = None
    refused: bool = False


class Point(Protocol):
    """Parameters, the statistics at those very parameters, and the objective they give."""

    @property
    def params(self) -> Parameters:
        """The parameters."""
        ...

    @property
    def statistics(self) -> Any:
        """The statistics at the parameters."""
        ...

    @property
    def objective(self) -> float:
        """The objective at the parameters."""
        ...

    @property
    def iteration(self) -> int:
        """M-steps that led to the parameters."""
        ...


class Trail(Protocol):
    """Consecutive points of EM on one block that were computed in one go, for data so small that calls cost most."""

    @property
    def objectives(self) -> Sequence[float]:
        """The objective of each point; none but the last may be a fall, or not finite."""
        ...

    @property
    def marks(self) -> Array:
        """Of each point, (points, 3): 1 for a plain step and 0 for a leap; `Info.ratio`, or no number; passes."""
        ...

    @property
    def extrapolations(self) -> tuple[int, int]:
        """Leaps that were tried, and those that were accepted."""
        ...

    @property
    def failure(self) -> str:
        """Why the trail ends before the steps that were asked for; empty if it does not."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether it ended before these because there was little to gain, or a fall."""
        ...

    def point(self, index: int) -> tuple[Parameters, Any]:
        """Parameters and statistics of point `index` of the trail, from 0."""
        ...


# Many steps of EM from (parameters, statistics) on the one block of the data; None where it cannot be done. The points
# are those after each M-step; without statistics, the parameters themselves are the first of them. The numbers are the
# most steps, the nats to come at which they end, and the plain steps before extrapolations, or None for none.
Burst = Callable[[Parameters, Any, Block, int, float, int | None], Trail | None]


class Stretch(Protocol):
    """Points of a solver that were computed in one go: whoever need not see each of them may pass some by."""

    @property
    def objectives(self) -> Sequence[float]:
        """The objective of each point."""
        ...

    @property
    def quiet(self) -> int | None:
        """How many points, from the first, are sound and stop no rule, so that only observers see them.

        None where nobody knows it: then the rule is asked.
        """
        ...

    @property
    def leaps(self) -> bool:
        """Whether some of the points are extrapolated."""
        ...

    @property
    def before(self) -> float:
        """The objective of the point before the first, minus infinity at the start."""
        ...

    @property
    def iteration(self) -> int:
        """The M-steps that led to the first point."""
        ...

    @property
    def failure(self) -> str:
        """Why there are no more points after the last; empty if that has no reason."""
        ...

    def at(self, index: int) -> tuple[Any, Info]:
        """The state and the info of a point, from 0."""
        ...

    def passes(self, first: int, last: int) -> float:
        """The passes that the points from one to another took."""
        ...


class Request(NamedTuple):
    """A pass that a solver wants.

    Attributes
    ----------
    expect : callable (Parameters, Block) -> Statistics
        The E-step.
    params : Parameters
        Where to take it.
    blocks : sequence of int or None
        Numbers of the blocks to take it on; None for all.
    """

    expect: Expect
    params: Parameters
    blocks: Sequence[int] | None = None


class Solver(Protocol[StateT]):
    """Where to evaluate next. A solver neither loops nor touches data; the loop alone runs passes.

    A solver that tries points which may be no good has two methods more. ``refuse(state, failure)`` returns the state
    to go on from where a pass at such a point failed, or None where the failure ends the run; ``extrapolations(state)``
    counts those points, and the accepted ones among them. ``tell`` marks one that it leaves by ``Info.refused``.
    """

    @property
    def ascends(self) -> str:
        """What never falls, penalties included; ``""`` for nothing.

        ``"log-likelihood"``, ``"free energy"`` or ``"complete-data likelihood"``: it is the objective of the points. A
        point whose gain is infinite begins anew, with another objective than the points before it.
        """
        ...

    def init(self, params: Parameters) -> StateT:
        """The state at the start, before anything is evaluated."""
        ...

    def ask(self, state: StateT) -> Request:
        """The pass that is wanted next, and the parameters to take it at; M-steps happen here."""
        ...

    def tell(self, state: StateT, params: Parameters, statistics: Any) -> tuple[StateT, Info]:
        """The state after the statistics at the wanted parameters have come."""
        ...

    def ahead(self, state: StateT, source: Source, most: int) -> Stretch | None:
        """Many steps at once, `most` at most, where the data are one block and the solver can; else None."""
        ...

    def best(self, state: StateT) -> Point | None:
        """The last point whose objective is known; None before the first."""
        ...


class StoppingRule(Protocol):
    """When to stop; asked after every evaluated point.

    A rule that has ``passes(objectives, before)`` may be asked of many plain steps at once: it returns how many points
    from the first on would not stop it, has then seen these, and has not seen the next.
    """

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
    passes : float
        Number of passes over the data; a pass over some blocks counts as their share.
    trace : tuple of float
        Objective at the start and after every M-step.
    seconds : float
        Wall time.
    detail : str
        More on the status where there is more to say.
    extrapolations : tuple of int
        Extrapolated points that were tried, and those that were accepted.
    """

    params: Parameters
    statistics: T
    objective: float
    status: Status
    n_iter: int
    passes: float
    trace: tuple[float, ...] = field(repr=False)
    seconds: float = 0.0
    detail: str = ""
    extrapolations: tuple[int, int] = (0, 0)
