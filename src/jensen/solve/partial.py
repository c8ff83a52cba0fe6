"""E-steps over a part of the components, as coordinate ascent on the free energy (Neal & Hinton 1998).

F(q, theta) = E_q log p(x, z | theta) + H(q) = log-likelihood - KL(q || posterior): whatever raises F over q, under any
restriction of q that stays the same, and then over theta, never lowers F. The likelihood itself may fall.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from jensen.core.block import Array, Block
from jensen.core.contracts import Expect, Stage, StoppingRule
from jensen.core.model import name_of
from jensen.core.parameters import Parameters
from jensen.errors import ContractError, InputError
from jensen.numerics.logspace import normalise_logs
from jensen.solve.em import EM, EMState
from jensen.solve.stopping import AtRest
from jensen.solve.variants import AsItIs

# What an E-step makes of log joint densities (K, n), which it may overwrite: shares (K, n) and the rows' bounds (n,).
Shares = Callable[[Array, Block], tuple[Array, Array]]


@dataclass(frozen=True, eq=False)
class Adapted:
    """A model whose E-step is replaced by one over given shares; the M-step and the objective are its own.

    Attributes
    ----------
    model : Model
        Of one stage.
    expect : callable (Parameters, Block) -> Statistics
        The E-step in the place of the model's.
    """

    model: Any
    expect: Expect

    @cached_property
    def stages(self) -> Sequence[Stage]:
        """The model's stage with the other E-step."""
        own = self.model.stages[0]
        return (Stage(self.expect, own.maximize, own.guarded),)

    def objective(self, params: Parameters, statistics: Any) -> float:
        """What the E-step reached, with the model's penalties."""
        return float(self.model.objective(params, statistics))

    def complete(self, params: Parameters, statistics: Any) -> float:
        """The model's E_q log p(x, z)."""
        return float(self.model.complete(params, statistics))


def require(model: Any, solver: str, *methods: str) -> None:
    """Check that a model has one stage and the methods that a solver needs.

    Raises
    ------
    ContractError
        If not; the message names the model, the solver and what is missing.
    """
    name = name_of(model)
    for method in methods:
        if not callable(getattr(model, method.partition("(")[0], None)):
            raise ContractError(f"{name} has no method {method}, which {solver} needs")
    if len(model.stages) != 1:
        raise ContractError(f"{solver} needs a model of one stage, and {name} has {len(model.stages)}")


CONDITIONAL = (
    "log_joint(params, block) -> (K, n)",
    "statistics_from(params, block, responsibilities, bound)",
)


def under_shares(model: Any, shares: Shares) -> Expect:
    """An E-step that asks the model for its joint densities, and for statistics under what is made of them.

    Parameters
    ----------
    model : object
        With ``log_joint`` and ``statistics_from``.
    shares : callable (log joint (K, n), Block) -> (shares (K, n), bounds (n,))
        What becomes of the joint densities; it may overwrite them.
    """

    def expect(params: Parameters, block: Block) -> Any:
        joint = np.array(model.log_joint(params, block), dtype=np.float64)
        if joint.ndim != 2 or joint.shape[1] != block.n_rows:
            raise ContractError(
                f"log_joint must return one row a component, shape (K, {block.n_rows}) here, but returned {joint.shape}"
            )
        share, bounds = shares(joint, block)
        if block.weight is not None:
            share, bounds = share * block.weight, bounds * block.weight
        return model.statistics_from(params, block, np.ascontiguousarray(share.T), float(bounds.sum()))

    return expect


def exact(joint: Array, block: Block) -> tuple[Array, Array]:
    """The posterior, and log p(x) of each row."""
    rows = normalise_logs(joint)
    return joint, rows


def largest(support: int) -> Shares:
    """The posterior over the `support` most probable components of each row alone.

    No other distribution over so many components gives a higher F (Luecke & Eggert 2010, section 2).
    """

    def shares(joint: Array, block: Block) -> tuple[Array, Array]:
        if support < joint.shape[0]:
            # Exactly so many, even among equals: a support that shrinks from pass to pass would lower F.
            dropped = np.argpartition(-joint, support - 1, axis=0)[support:]
            np.put_along_axis(joint, dropped, -np.inf, axis=0)
        return exact(joint, block)

    return shares


@dataclass(frozen=True)
class BoundEM(EM):
    """EM whose objective is a bound on the log-likelihood; its `promise` says what the E-step's restriction keeps."""

    def entropy(self, state: EMState) -> float:
        """H(q) of the last E-step: the objective is F itself."""
        assert state.point is not None
        adapted: Any = self.model
        return state.point.objective - float(adapted.complete(state.point.params, state.point.statistics))


@dataclass(frozen=True)
class Truncated(AsItIs):
    """EM over the most probable components of each row (Luecke & Eggert 2010); F never falls.

    For models that declare ``log_joint`` and ``statistics_from``, such as `jensen.models.Mixture`.

    Attributes
    ----------
    support : int
        How many components of each row keep a share, at least 1; all of them is plain EM.
    """

    support: int

    def __post_init__(self) -> None:
        check_count("Truncated", "support", self.support)

    @property
    def name(self) -> str:
        """``truncated EM``, and the support."""
        return f"truncated EM, support {self.support}"

    def solver(self, model: Any, rule: StoppingRule) -> BoundEM:
        """The solver; the model must have one stage."""
        return _bounded(model, rule, type(self).__name__, self.support, "free energy")


@dataclass(frozen=True)
class Hard(AsItIs):
    """Classification EM (Celeux & Govaert 1992): every row goes to its most probable component.

    H(q) = 0, so that F is the complete-data log-likelihood, which never falls. The estimates are biased towards
    components that lie apart; for models that declare ``log_joint`` and ``statistics_from``.
    """

    @property
    def name(self) -> str:
        """``hard EM``."""
        return "hard EM"

    def solver(self, model: Any, rule: StoppingRule) -> BoundEM:
        """The solver; the model must have one stage."""
        return _bounded(model, rule, type(self).__name__, 1, "complete-data likelihood")


def _bounded(model: Any, rule: StoppingRule, solver: str, support: int, promise: str) -> BoundEM:
    require(model, solver, *CONDITIONAL)
    adapted = Adapted(model, under_shares(model, largest(support)))
    return BoundEM(adapted, measured=isinstance(rule, AtRest), promise=promise)


def check_count(owner: str, name: str, value: Any, least: int = 1) -> None:
    """Raise an InputError unless a value is an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{owner}: {name} must be an integer of at least {least}, got {value!r}")
