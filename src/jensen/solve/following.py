"""A solver that goes the way of another one, for those that only look on."""

from __future__ import annotations

from typing import Any

from jensen.core.contracts import Point, Solver, Source, Stretch
from jensen.core.parameters import Parameters


class Following:
    """What a solver that looks on leaves to the one it looks at; ``ask`` and ``tell`` are its own.

    Parameters
    ----------
    solver : Solver
        The other one.
    """

    def __init__(self, solver: Solver[Any]) -> None:
        self.solver = solver

    @property
    def ascends(self) -> str:
        """What the other solver promises."""
        return self.solver.ascends

    def init(self, params: Parameters) -> Any:
        """The other's state at the start."""
        return self.solver.init(params)

    def ahead(self, state: Any, source: Source, most: int) -> Stretch | None:
        """None: every step is looked at."""
        return None

    def refuse(self, state: Any, failure: Exception) -> Any:
        """The other's way out, if it has one."""
        own = getattr(self.solver, "refuse", None)
        return None if own is None else own(state, failure)

    def best(self, state: Any) -> Point | None:
        """The other's best point."""
        return self.solver.best(state)

    def extrapolations(self, state: Any) -> tuple[int, int]:
        """Extrapolations that were tried, and those that were accepted."""
        own = getattr(self.solver, "extrapolations", None)
        return (0, 0) if own is None else own(state)
