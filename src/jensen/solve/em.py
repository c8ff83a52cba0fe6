"""Plain EM: the E-step where we are, then the M-step (Dempster, Laird & Rubin 1977)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from jensen.core.block import Array
from jensen.core.contracts import Burst, Info, Model, Point, Request, Source, Stage, Trail
from jensen.core.parameters import Parameters

_MIN_BURST, _MAX_BURST = 12, 256
# Rows times numbers of the parameters times steps that take some tenths of a second, for which limits may wait.
_CHEAP_BURST = 1 << 27
# Points at the end of such a burst that the rule sees: knowing the gain before, it judges two plain steps for itself.
_LOOKED_AT = 4
# Plain steps before extrapolations: the first ones go far, and acceleration there goes astray. Later bursts need a few.
PLAIN_FIRST, _PLAIN_AGAIN = 20, 3
# Halvings of a guarded step before the M-step is given up.
_MAX_HALVINGS = 40


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A point that a pass has evaluated; see `jensen.core.contracts.Point`."""

    params: Parameters
    statistics: Any
    objective: float
    iteration: int


class _OnTrail:
    """A point of a trail, whose records are made only if somebody wants them: most are only passed by."""

    def __init__(self, trail: Trail, index: int, iteration: int) -> None:
        self.trail, self.index, self.iteration = trail, index, iteration

    @property
    def objective(self) -> float:
        return self.trail.objectives[self.index]

    @cached_property
    def _records(self) -> tuple[Parameters, Any]:
        return self.trail.point(self.index)

    @property
    def params(self) -> Parameters:
        return self._records[0]

    @property
    def statistics(self) -> Any:
        return self._records[1]


class EMState(NamedTuple):
    """What EM carries from one pass to the next.

    Attributes
    ----------
    start : Parameters
        Where the run began.
    point : Point or None
        The last point whose objective is known.
    gain, gain_before : float
        The last two gains, of whole turns of the stages; infinite where there is none.
    turn : Point or None
        Where the present turn of several stages began.
    tried, accepted : int
        Extrapolations so far.
    """

    start: Parameters
    point: Point | None = None
    gain: float = math.inf
    gain_before: float = math.inf
    turn: Point | None = None
    tried: int = 0
    accepted: int = 0


class EMStretch:
    """The points of a burst; see `jensen.core.contracts.Stretch`."""

    def __init__(self, state: EMState, trail: Trail, judged: bool) -> None:
        self.state, self.trail = state, trail
        self.objectives, self.failure = trail.objectives, trail.failure
        tried, accepted = trail.extrapolations
        self.leaps, self.extrapolations, self.marks = tried > 0, (tried, accepted), trail.marks
        # A burst that ends where there is enough has judged the points before as the rule does.
        self.quiet = max(len(self.objectives) - _LOOKED_AT, 0) if judged else None
        if self.leaps and judged and self.marks[-1, 0]:
            # After leaps no gain before is asked for, since secants tell the ratio: two plain points will do.
            self.quiet = len(self.objectives) - (2 if self.marks[-2, 0] else 3)
        point = state.point
        # At the very start there is nothing to gain on; as with single steps, its gain is infinite.
        self.before, self.iteration = (-math.inf, 0) if point is None else (point.objective, point.iteration + 1)

    def at(self, index: int) -> tuple[EMState, Info]:
        """The state and the info of a point."""
        iteration, objective, gain = self.iteration + index, self.objectives[index], self._gain(index)
        last = self.state.gain if index == 0 else self._gain(index - 1)
        before, point = self.state, _OnTrail(self.trail, index, iteration)
        if not self.leaps:
            reached = EMState(before.start, point, gain, last, None, before.tried, before.accepted)
            return reached, Info(iteration, objective, gain)
        plain, ratio, _ = self.marks[index].tolist()
        tried, accepted = self.extrapolations
        if index < len(self.objectives) - 1:
            tried, accepted = self._until(index)
        info = Info(iteration, objective, gain, plain > 0, None if math.isnan(ratio) else ratio)
        return EMState(before.start, point, gain, last, None, before.tried + tried, before.accepted + accepted), info

    def _until(self, index: int) -> tuple[int, int]:
        """Extrapolations until a point: what is no plain step, and what cost a pass more than its own."""
        accepted = index + 1 - int(self.marks[: index + 1, 0].sum())
        return int(self.passes(0, index)) - index - 1 + accepted, accepted

    def passes(self, first: int, last: int) -> float:
        """The passes that the points from one to another took."""
        if not self.leaps:
            return last - first + 1
        return float(self.marks[first : last + 1, 2].sum())

    def _gain(self, index: int) -> float:
        return self.objectives[index] - (self.before if index == 0 else self.objectives[index - 1])


@dataclass(frozen=True)
class EM:
    """The EM solver; a model of several stages takes them in turn, which is ECM.

    Attributes
    ----------
    model : Model
        What is fitted.
    burst : callable or None
        The model's way to take many steps at once on one block.
    measured : bool
        Whether to measure the steps in free coordinates, for rules that look at them.
    promise : str, default="log-likelihood"
        What the steps never lower; empty for a map that is no EM.
    enough : float, default=0
        Nats still to come at which bursts end, where the rule judges by these; 0 where it does not.
    leaps : bool, default=False
        Whether extrapolations may follow plain steps in bursts.
    """

    model: Model
    burst: Burst | None = None
    measured: bool = False
    promise: str = "log-likelihood"
    enough: float = 0.0
    leaps: bool = False

    @property
    def ascends(self) -> str:
        """EM never lowers the objective (Dempster, Laird & Rubin 1977, theorem 1)."""
        return self.promise

    def init(self, params: Parameters) -> EMState:
        """The state at the start, before anything is evaluated."""
        return EMState(params)

    def ask(self, state: EMState) -> Request:
        """The start, or the M-step from the last point; and the E-step to take there."""
        point = state.point
        if point is None:
            return Request(self._stage(0).expect, state.start)
        return Request(self._stage(point.iteration + 1).expect, maximized(self.model, point, point.iteration))

    def tell(self, state: EMState, params: Parameters, statistics: Any) -> tuple[EMState, Info]:
        """Note the objective of the parameters that were asked for."""
        objective = float(self.model.objective(params, statistics))
        before = state.point
        iteration, gain = (0, np.inf) if before is None else (before.iteration + 1, objective - before.objective)
        reached = Evaluated(params, statistics, objective, iteration)
        if len(self.model.stages) > 1:
            return self._in_turn(state, reached, gain)
        info = Info(iteration, objective, gain, step=self._step(before, reached))
        return EMState(state.start, reached, gain, state.gain), info

    def _in_turn(self, state: EMState, reached: Evaluated, gain: float) -> tuple[EMState, Info]:
        """After one of several stages: rules judge whole turns, which alone are alike."""
        turn, iteration = state.turn, reached.iteration
        if turn is None:
            return EMState(state.start, reached, turn=reached), Info(iteration, reached.objective, gain)
        if iteration % len(self.model.stages):
            info = Info(iteration, reached.objective, gain, plain=False)
            return state._replace(point=reached), info
        whole = reached.objective - turn.objective
        # A fall in the last stage is not to be hidden by what the others gained.
        told = gain if gain < 0.0 else whole
        info = Info(iteration, reached.objective, told, step=self._step(turn, reached))
        return EMState(state.start, reached, whole, state.gain, reached), info

    def _step(self, before: Point | None, reached: Evaluated) -> float | None:
        """How far the plain step went, if that is to be measured."""
        if not self.measured or before is None:
            return None
        return largest_step(before.params.to_free(), reached.params.to_free())

    def ahead(self, state: EMState, source: Source, most: int) -> EMStretch | None:
        """A burst of steps, where the data are one block and the model takes them."""
        journey = self.journey(state, source, most)
        if journey is None or self.burst is None:
            return None
        point = state.point
        params, statistics = (state.start, None) if point is None else (point.params, point.statistics)
        trail = self.burst(params, statistics, source.block(0), *journey)
        return None if trail is None else self.along(state, trail)

    def along(self, state: EMState, trail: Trail) -> EMStretch:
        """The points of a burst from a state."""
        return EMStretch(state, trail, self.enough > 0.0)

    def journey(self, state: EMState, source: Source, most: int) -> tuple[int, float, int | None] | None:
        """How far a burst goes from a state: steps, what is enough, and the plain steps before leaps.

        They are 12 to 256. A run that stops within a burst that does not end by itself wastes no more than it used.
        """
        if self.burst is None or self.measured or source.n_blocks > 1:
            return None
        point = state.point
        params, done = (state.start, 0) if point is None else (point.params, point.iteration)
        steps = max(_MIN_BURST, done)
        if self.enough > 0.0:
            # A burst that ends by itself wastes nothing.
            numbers = sum(value.size for value in params.values.values())
            steps = max(steps, _CHEAP_BURST // (source.n_rows * numbers))
        steps = min(steps, _MAX_BURST, most)
        leap_after = max(PLAIN_FIRST - done, _PLAIN_AGAIN) if self.leaps else None
        return None if steps < 1 else (steps, self.enough, leap_after)

    def best(self, state: EMState) -> Point | None:
        """The last point whose objective is known."""
        return state.point

    def _stage(self, iteration: int) -> Stage:
        return self.model.stages[iteration % len(self.model.stages)]


def largest_step(before: Array, after: Array) -> float:
    """The largest change of a coordinate (p,), as a share of its size where that is above 1."""
    return float((np.abs(after - before) / np.maximum(np.abs(after), 1.0)).max(initial=0.0))


def maximized(model: Any, point: Point, iteration: int) -> Parameters:
    """The M-step from a point, of the stage whose turn it is; a guarded one is halved until Q does not fall.

    Q is the expected complete-data objective, the model's ``complete``; halving needs no pass over the data
    (Lange 1995, section 2).
    """
    stage: Stage = model.stages[iteration % len(model.stages)]
    params = stage.maximize(point.params, point.statistics)
    if not stage.guarded:
        return params
    reached = model.complete(point.params, point.statistics)
    here, step = point.params.to_free(), None
    for _ in range(_MAX_HALVINGS):
        if _complete(model, params, point.statistics) >= reached:
            return params
        if step is None:
            step = params.to_free() - here
            if not np.isfinite(step).all():
                break
        step = 0.5 * step
        params = point.params.from_free(here + step)
    return point.params


def _complete(model: Any, params: Parameters, statistics: Any) -> float:
    """Q of parameters that a step may have carried out of their domains, where it is minus infinity."""
    if not params.is_finite or any(domain.check(params[name]) for name, domain in params.domains.items()):
        return -math.inf
    try:
        return float(model.complete(params, statistics))
    except (ArithmeticError, ValueError, np.linalg.LinAlgError):
        return -math.inf
