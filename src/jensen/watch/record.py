"""The record of a run: parameters, the bound and the log-likelihood after every half step.

F(q, theta) = E_q log p(x, z | theta) + H(q) = log-likelihood - KL(q || posterior) (Neal & Hinton 1998, equation 7).
After an E-step q is the posterior, and F the log-likelihood. An M-step leaves H(q) what it is, so that F grows by what
Q, the expected complete-data objective, grows by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from jensen.core.contracts import Info, Point, Request, Run, Solver, Source, StoppingRule
from jensen.core.parameters import Parameters
from jensen.solve.following import Following
from jensen.solve.loop import Limits, run

Kind = Literal["start", "E", "M", "leap", "refused"]


@dataclass(frozen=True, eq=False)
class Frame:
    """What there is to see after half a step.

    Attributes
    ----------
    kind : {"start", "E", "M", "leap", "refused"}
        Which half: a ``leap`` is an extrapolation in the place of an M-step, and a ``refused`` one was tried and left.
    iteration : int
        Points of the run before the present one.
    passes : int
        E-steps so far, refused ones among them.
    params : Parameters
        The parameters; of a refused leap, those that were tried.
    shares : Parameters or None
        The parameters whose posterior q is; None at the start, where there is none.
    free_energy : float or None
        F(q, theta) in nats, with every penalty; None where it is not finite, and without q.
    loglik : float or None
        Log-likelihood at theta, with every penalty; None where it is not finite.
    """

    kind: Kind
    iteration: int
    passes: int
    params: Parameters
    shares: Parameters | None
    free_energy: float | None
    loglik: float | None

    @property
    def gap(self) -> float | None:
        """The KL divergence from q to the posterior, in nats: what F lacks."""
        return None if self.free_energy is None or self.loglik is None else self.loglik - self.free_energy


@dataclass(frozen=True, eq=False)
class RecordedRun:
    """A run with its frames.

    Attributes
    ----------
    run : Run
        As the loop returned it.
    frames : tuple of Frame
        The start, and every half step that was kept.
    n_steps : int
        Steps of the run, refused leaps among them; of a long run, not all are kept.
    n_kept : int
        Steps that were.
    """

    run: Run[Any]
    frames: tuple[Frame, ...]
    n_steps: int
    n_kept: int


class _Tape:
    """Keeps the first steps, the last one, and of those between every one, every second, every fourth ...

    Parameters
    ----------
    limit : int
        Steps to keep, about; at least 4.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.head, self.stride, self.count = limit, limit // 3, 1, 0
        self.kept = list[tuple[int, tuple[Frame, ...]]]()
        self.last: tuple[int, tuple[Frame, ...]] | None = None

    def add(self, *frames: Frame) -> None:
        """Note a step."""
        self.last = (self.count, frames)
        if self._wanted(self.count):
            self.kept.append(self.last)
            if len(self.kept) > self.limit:
                self.stride *= 2
                self.kept = [step for step in self.kept if self._wanted(step[0])]
        self.count += 1

    def _wanted(self, number: int) -> bool:
        return number < self.head or (number - self.head) % self.stride == 0

    def steps(self) -> list[tuple[Frame, ...]]:
        """The steps that were kept."""
        kept = [*self.kept] if self.last is None or self.kept[-1] is self.last else [*self.kept, self.last]
        return [frames for _, frames in kept]


class Recorder(Following):
    """A solver that notes the half steps of another one, which goes the same way.

    Parameters
    ----------
    solver : Solver
        Plain or accelerated EM of a model of one stage.
    model : Model
        With ``complete``.
    limit : int
        Steps to keep, about.
    """

    def __init__(self, solver: Solver[Any], model: Any, limit: int) -> None:
        super().__init__(solver)
        self.model, self.tape = model, _Tape(limit)
        self.passes = 0
        self._tried: Parameters | None = None

    def ask(self, state: Any) -> Request:
        """The other's request."""
        request = self.solver.ask(state)
        self._tried = request.params
        return request

    def tell(self, state: Any, params: Parameters, statistics: Any) -> tuple[Any, Info]:
        """The other's answer; what it did is noted."""
        before: Point | None = self.solver.best(state)
        told, info = self.solver.tell(state, params, statistics)
        self.passes += 1
        if before is None:
            height = _finite(info.objective)
            self.tape.add(
                Frame("start", 0, 0, params, None, None, height), Frame("E", 0, 1, params, params, height, height)
            )
        elif info.refused:
            self._note_refused(before, params, info.objective)
        else:
            self._note_step(before, params, info)
        return told, info

    def _note_step(self, before: Point, params: Parameters, info: Info) -> None:
        # The entropy of q is what the objective leaves for it at the point where q is exact.
        grown = self.model.complete(params, before.statistics) - self.model.complete(before.params, before.statistics)
        kind: Kind = "M" if info.plain else "leap"
        height, bound = _finite(info.objective), _finite(before.objective + float(grown))
        self.tape.add(
            Frame(kind, info.iteration, self.passes - 1, params, before.params, bound, height),
            Frame("E", info.iteration, self.passes, params, params, height, height),
        )

    def _note_refused(self, before: Point, params: Parameters, objective: float) -> None:
        frame = Frame("refused", before.iteration, self.passes, params, before.params, None, _finite(objective))
        self.tape.add(frame)

    def refuse(self, state: Any, failure: Exception) -> Any:
        """The other's way out, if it has one."""
        left = super().refuse(state, failure)
        before = self.solver.best(state)
        if left is not None and before is not None and self._tried is not None:
            self.passes += 1
            self._note_refused(before, self._tried, -np.inf)
        return left


def recorded(
    solver: Solver[Any],
    model: Any,
    source: Source,
    start: Parameters,
    rule: StoppingRule,
    limits: Limits,
    most: int = 300,
) -> RecordedRun:
    """Run a solver from a start, and keep what there is to see.

    Parameters
    ----------
    solver : Solver
        Plain or accelerated EM.
    model : Model
        Of one stage, with ``complete``.
    source : Source
        The data.
    start : Parameters
        Where to begin.
    rule : StoppingRule
        When to stop.
    limits : Limits
        What ends the run from outside.
    most : int, default=300
        Steps to keep, about: the first third of them one by one, later ones at growing distances.

    Raises
    ------
    NumericalFailure
        If the density does not exist at the start.
    """
    recorder = Recorder(solver, model, max(most, 4))
    ended = run(recorder, source, start, rule, limits)
    steps = recorder.tape.steps()
    frames = tuple(frame for step in steps for frame in step)
    return RecordedRun(ended, frames, recorder.tape.count, len(steps))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
