"""How a run ended."""

from __future__ import annotations

from enum import Enum


class Status(Enum):
    """How a run ended; the value is the machine's word, ``message`` the one for people.

    A status is a result, not an exception: whichever it is, the run carries the best parameters that it found.
    """

    CONVERGED = "converged"
    ROUNDING_LIMIT = "rounding_limit"
    OUT_OF_ITERATIONS = "out_of_iterations"
    OUT_OF_TIME = "out_of_time"
    OBJECTIVE_FELL = "objective_fell"
    DEGENERATE = "degenerate"
    INTERRUPTED = "interrupted"
    DROPPED = "dropped"

    @property
    def message(self) -> str:
        """One sentence that says what happened and, where something is owed, what to do."""
        return _MESSAGES[self]

    @property
    def is_converged(self) -> bool:
        """Whether nothing worth having was left to gain: converged, or as far as rounding allows."""
        return self in (Status.CONVERGED, Status.ROUNDING_LIMIT)


_MESSAGES = {
    Status.CONVERGED: "converged: the gain still to come is below the tolerance",
    Status.ROUNDING_LIMIT: "converged as far as rounding allows: the last gains drown in floating-point noise",
    Status.OUT_OF_ITERATIONS: "stopped at max_iter before convergence: raise max_iter, or tol",
    Status.OUT_OF_TIME: "stopped at the time limit before convergence: these are the best parameters so far",
    Status.OBJECTIVE_FELL: (
        "stopped because the objective fell, which exact EM never does: the parameters before the fall are kept"
    ),
    Status.DEGENERATE: (
        "stopped because the next parameters have no finite density: the last sound parameters are kept"
    ),
    Status.INTERRUPTED: "interrupted: these are the best parameters so far",
    Status.DROPPED: "dropped after a short run, behind other starts",
}
