"""The ways to climb that a person may choose from, each with what it promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from jensen.core.contracts import Source, StoppingRule
from jensen.solve.em import EM
from jensen.solve.stopping import AtRest


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


@dataclass(frozen=True)
class Plain:
    """EM, with or without acceleration; what never falls is the objective.

    Attributes
    ----------
    accelerate : {"auto", "off", "squarem", "anderson", "quasi-newton"}
        Which acceleration; ``auto`` sets in where EM is slow.
    """

    accelerate: Literal["auto", "off", "squarem", "anderson", "quasi-newton"] = "auto"

    @property
    def name(self) -> str:
        """``EM``, and the acceleration."""
        return "EM" if self.accelerate == "off" else f"EM, acceleration {self.accelerate}"

    def solver(self, model: Any, rule: StoppingRule) -> Any:
        """The solver."""
        measured = isinstance(rule, AtRest)
        return EM(model, getattr(model, "burst", None), measured)

    def source(self, source: Source) -> Source:
        """The data as they are."""
        return source
