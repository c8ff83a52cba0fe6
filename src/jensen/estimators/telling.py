"""What a fit tells: lines while it runs, in the words and order of scikit-learn, and warnings when it is done."""

from __future__ import annotations

import time
import warnings
from collections import defaultdict
from threading import Lock

from sklearn.exceptions import ConvergenceWarning

from jensen.core.contracts import Info
from jensen.core.status import Status
from jensen.errors import JensenWarning
from jensen.fit.result import MixtureFit
from jensen.fit.search.account import StartRecord

_NOT_CONVERGED = (
    "Best performing initialization did not converge. Try different init parameters, or increase max_iter, tol, "
    "or check for degenerate data."
)
# The caller of `fit` is four calls above `warn_of`, behind scikit-learn's wrapper.
_CALLER_OF_FIT = 5


class ProgressPrinter:
    """Prints the starts of a fit one after another, although they may run side by side.

    The first start that has not ended prints as it goes; what later ones have to say waits for their turn.

    Parameters
    ----------
    verbose : int
        1 prints starts and iterations, 2 or more also times, gains and objectives.
    interval : int
        Every how many iterations to print, at least 1.
    weight : float
        Sum of the rows' weights: printed objectives are means per unit of weight.
    """

    def __init__(self, verbose: int, interval: int, weight: float) -> None:
        self._detailed, self._interval, self._weight = verbose >= 2, interval, weight
        self._lock = Lock()
        self._turn = 0
        self._ended: set[int] = set()
        self._waiting = defaultdict[int, list[str]](list)
        self._last_time: dict[int, float] = {}

    def point(self, start: int, info: Info) -> None:
        """Note a point of a start; a `StartObserver`."""
        with self._lock:
            now = time.perf_counter()
            if info.iteration == 0:
                self._last_time[start] = now
                self._say(start, f"Initialization {start}")
            elif info.iteration % self._interval == 0:
                line = f"  Iteration {info.iteration}"
                if self._detailed:
                    lapse = now - self._last_time[start]
                    line += f"\t time lapse {lapse:.5f}s\t ll change {info.gain / self._weight:.5f}"
                self._last_time[start] = now
                self._say(start, line)

    def end(self, record: StartRecord) -> None:
        """Note the end of a start; an `EndObserver`."""
        with self._lock:
            end = "converged" if record.status.is_converged else "did not converge"
            # Nothing has been told yet of a start that a search dropped after a few steps.
            dropped = record.status is Status.DROPPED
            line = f"Initialization {record.index} fell behind." if dropped else f"Initialization {end}."
            if self._detailed:
                line += f" time lapse {record.seconds:.5f}s\t lower bound {record.objective / self._weight:.5f}."
            self._say(record.index, line)
            self._ended.add(record.index)
            while self._turn in self._ended:
                self._turn += 1
                for waiting in self._waiting.pop(self._turn, []):
                    print(waiting)

    def _say(self, start: int, line: str) -> None:
        if start == self._turn:
            print(line)
        else:
            self._waiting[start].append(line)


def warn_of(result: MixtureFit) -> None:
    """Warn the caller of ``fit`` of what deserves a second look.

    A run that `max_iter` stopped is a ``ConvergenceWarning``, as in scikit-learn; a degenerate result, coinciding
    components, or a fall of the objective is a ``JensenWarning``.
    """
    numerical = result.status in (Status.OBJECTIVE_FELL, Status.DEGENERATE)
    for text in result.warnings:
        if text == result.message and not numerical:
            warnings.warn(f"{_NOT_CONVERGED} It {text}", ConvergenceWarning, stacklevel=_CALLER_OF_FIT)
        else:
            warnings.warn(text[:1].upper() + text[1:], JensenWarning, stacklevel=_CALLER_OF_FIT)
