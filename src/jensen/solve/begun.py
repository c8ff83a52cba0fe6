"""A solver whose first burst has been taken already, with those of other runs."""

from __future__ import annotations

from typing import Any

from jensen.core.contracts import Info, Request, Source, Stretch, Trail
from jensen.core.parameters import Parameters
from jensen.solve.auto import Auto
from jensen.solve.em import EM
from jensen.solve.following import Following


class Begun(Following):
    """A solver that knows the first points of its run.

    Parameters
    ----------
    solver : EM or Auto
        The solver of the whole run.
    trail : Trail
        What a burst of its ``journey`` from the start brought.
    """

    solver: EM | Auto

    def __init__(self, solver: EM | Auto, trail: Trail) -> None:
        super().__init__(solver)
        self.trail = trail

    def ask(self, state: Any) -> Request:
        """The other's request."""
        return self.solver.ask(state)

    def tell(self, state: Any, params: Parameters, statistics: Any) -> tuple[Any, Info]:
        """What the other makes of it."""
        return self.solver.tell(state, params, statistics)

    def ahead(self, state: Any, source: Source, most: int) -> Stretch | None:
        """The points that are known, then the other's."""
        if state.point is None:
            return self.solver.along(state, self.trail)
        return self.solver.ahead(state, source, most)
