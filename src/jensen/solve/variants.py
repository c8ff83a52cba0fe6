"""The ways to climb that a person may choose from, each with what it promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from jensen.core.contracts import Source, StoppingRule
from jensen.solve.accelerated import Accelerated
from jensen.solve.auto import Auto
from jensen.solve.em import EM
from jensen.solve.extrapolation import Anderson, Method, QuasiNewton, Squarem
from jensen.solve.stopping import AtRest

# What is still to come, where the rule does not say when it is little.
_TOLERANCE = 1e-9
# By what share the step of a map without an objective may grow at an extrapolation.
_SLACK = 9.0
_METHODS: dict[str, Method] = {
    "auto": QuasiNewton(),
    "squarem": Squarem(),
    "anderson": Anderson(),
    "quasi-newton": QuasiNewton(),
}


Accelerate = Literal["auto", "off", "squarem", "anderson", "quasi-newton"]


class Variant(Protocol):
    """A way to climb, before it knows the model."""

    @property
    def name(self) -> str:
        """What records call it."""
        ...

    def solver(self, model: Any, rule: StoppingRule) -> Any:
        """A solver of a model, that measures what the rule looks at."""
        ...

    def source(self, source: Source) -> Any:
        """The data as the solver wants them cut."""
        ...


class AsItIs:
    """A variant that takes the data as they are cut."""

    def source(self, source: Source) -> Source:
        """The data as they are."""
        return source


@dataclass(frozen=True)
class Plain(AsItIs):
    """EM, with or without acceleration; what never falls is the objective.

    Attributes
    ----------
    accelerate : {"auto", "off", "squarem", "anderson", "quasi-newton"}
        Which acceleration; ``auto`` sets in where EM is slow.
    promise : str, default="log-likelihood"
        What the model's steps never lower; empty for a map that promises nothing.
    """

    accelerate: Accelerate = "auto"
    promise: str = "log-likelihood"

    @property
    def name(self) -> str:
        """``EM``, and the acceleration."""
        return "EM" if self.accelerate == "off" else f"EM, acceleration {self.accelerate}"

    def solver(self, model: Any, rule: StoppingRule) -> Any:
        """The solver."""
        measured = isinstance(rule, AtRest)
        leaps = self.accelerate == "auto"
        plain = EM(model, getattr(model, "burst", None), measured, self.promise, getattr(rule, "tolerance", 0.0), leaps)
        if self.accelerate == "off":
            return plain
        climb = Accelerated(model, _METHODS[self.accelerate], measured, self.promise, 0.0 if self.promise else _SLACK)
        return Auto(plain, climb, getattr(rule, "tolerance", _TOLERANCE)) if self.accelerate == "auto" else climb
