"""Accelerated EM: plain steps and extrapolated ones in turn, and none that lowers the objective."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from jensen.core.block import Array, Block
from jensen.core.contracts import Expect, Info, Point, Request, Source
from jensen.core.parameters import Parameters
from jensen.solve.em import Evaluated, largest_step, maximized
from jensen.solve.extrapolation import N_SECANTS, Image, Method, slowest_rate, units

# Differences below this share of the objective are rounding.
_NOISE = 8.0 * np.finfo(np.float64).eps
# What is left of the slack after each extrapolation.
_SLACK_LEFT = 0.95
# A point outside its domain is drawn back towards the plain one so often before it is given up.
_MAX_HALVINGS = 5


class _Next:
    """What may follow an evaluated point; computed when it is wanted."""

    def __init__(self, solver: Accelerated, point: Point, base: Array | None) -> None:
        self.solver, self.point, self.base = solver, point, base

    @cached_property
    def plain(self) -> Parameters:
        """The M-step from the point."""
        return maximized(self.solver.model, self.point, self.point.iteration)

    @cached_property
    def image(self) -> Image | None:
        """Where the present turn of the stages began and where it leads, if the plain step completes it."""
        if self.base is None or (self.point.iteration + 1) % self.solver.n_stages:
            return None
        return Image(self.base, self.plain.to_free())


class Climb(NamedTuple):
    """What accelerated EM carries from one pass to the next.

    Attributes
    ----------
    start : Parameters
        Where the run began.
    point : Point or None
        The last point of the run.
    following : _Next or None
        What may follow it.
    images : tuple of Image
        The last turns of the stages, with the one that ends with the next plain step.
    proposal : Parameters or None
        The extrapolated point that is asked for next; None for a plain step.
    unit : ndarray of shape (n_free,) or None
        What differences of each coordinate are measured in.
    usable : int
        Images since a refused extrapolation.
    turn_began : float
        The objective where the present turn of the stages began.
    tried, accepted : int
        Extrapolations so far.
    """

    start: Parameters
    point: Point | None = None
    following: _Next | None = None
    images: tuple[Image, ...] = ()
    proposal: Parameters | None = None
    unit: Array | None = None
    usable: int = 0
    turn_began: float = -np.inf
    tried: int = 0
    accepted: int = 0


@dataclass(frozen=True)
class Accelerated:
    """EM with safeguarded extrapolations in free coordinates, for any model.

    A plain step and an extrapolation take turns. The extrapolated point becomes a point of the run only if its
    objective is at least that of the plain point before it, the last one known without another pass; otherwise the
    next plain step is taken. With several stages (ECM) the map is one turn of them all. Entries on the boundary of
    their domain stay there, and no extrapolation goes onto it.

    Attributes
    ----------
    model : Model
        What is fitted.
    method : Method
        How to extrapolate.
    measured : bool, default=False
        Whether to measure the steps in free coordinates, for rules that look at them.
    promise : str, default="log-likelihood"
        What the plain steps never lower, and so the run does not either; empty for nothing.
    slack : float, default=0.0
        By what share of the objective an extrapolation may lower it nevertheless, less with every one that is tried,
        as Henderson & Varadhan (2019) relax their guard: where the objective is but the length of a step, a leap that
        goes far often ends a little off the path.
    plain_first : int, default=5
        Plain steps before the first extrapolation: the first ones go far and bend, and leaps there go astray.
    """

    model: Any
    method: Method
    measured: bool = False
    promise: str = "log-likelihood"
    slack: float = 0.0
    plain_first: int = 5

    @property
    def ascends(self) -> str:
        """The safeguard keeps EM's promise."""
        return self.promise

    @property
    def n_stages(self) -> int:
        """Stages of the model."""
        return len(self.model.stages)

    def init(self, params: Parameters) -> Climb:
        """The state at the start, before anything is evaluated."""
        return Climb(params)

    def ask(self, state: Climb) -> Request:
        """The start, an extrapolated point, or the M-step from the last point."""
        if state.point is None or state.following is None:
            return Request(self.model.stages[0].expect, state.start)
        if state.proposal is not None:
            return Request(_quiet(self.model.stages[0].expect), state.proposal)
        turn = (state.point.iteration + 1) % self.n_stages
        return Request(self.model.stages[turn].expect, state.following.plain)

    def tell(self, state: Climb, params: Parameters, statistics: Any) -> tuple[Climb, Info]:
        """Note the objective of the parameters that were asked for."""
        objective = float(self.model.objective(params, statistics))
        if state.point is None:
            return self.at(Evaluated(params, statistics, objective, 0), state.start), Info(0, objective, np.inf)
        reached = Evaluated(params, statistics, objective, state.point.iteration + 1)
        if not np.isfinite(objective) and state.proposal is None:
            return state, Info(reached.iteration, objective, -np.inf)
        return self._step(state, reached) if state.proposal is None else self._judge(state, reached)

    def at(self, point: Point, start: Parameters) -> Climb:
        """The state at a point that is known already."""
        base = point.params.to_free() if point.iteration % self.n_stages == 0 else None
        return self._planned(Climb(start, point, _Next(self, point, base), turn_began=point.objective))

    def refuse(self, state: Climb, failure: Exception) -> Climb | None:
        """The state that takes the plain step, if an extrapolated point could not be evaluated; else None."""
        return None if state.proposal is None else self._refused(state)

    def ahead(self, state: Climb, source: Source, most: int) -> None:
        """No bursts: every step is looked at."""
        return None

    def best(self, state: Climb) -> Point | None:
        """The last point of the run."""
        return state.point

    def extrapolations(self, state: Climb) -> tuple[int, int]:
        """Extrapolations that were tried, and those that were accepted."""
        return state.tried, state.accepted

    # ----------------------------------------------------------------------------------------- after a pass

    def _judge(self, state: Climb, reached: Evaluated) -> tuple[Climb, Info]:
        """Whether an extrapolated point becomes a point of the run."""
        point = state.point
        assert point is not None
        gain = reached.objective - point.objective
        noise = float(_NOISE * max(abs(point.objective), 1.0))
        lowest = -noise
        if self.slack:
            lowest = min(lowest, -self.slack * _SLACK_LEFT**state.tried * abs(point.objective))
        if gain >= lowest:
            following = _Next(self, reached, reached.params.to_free())
            # Where gains drown in rounding, the residuals say what is better.
            better = abs(gain) > noise or self._is_calmer(following.image, state.images[-1])
            if better and following.plain.is_finite:
                state = state._replace(
                    point=reached,
                    following=following,
                    turn_began=reached.objective,
                    tried=state.tried + 1,
                    accepted=state.accepted + 1,
                )
                # A plain step comes next: its gain says what is left.
                return self._seen(state), Info(reached.iteration, reached.objective, gain, plain=False)
        return self._refused(state), Info(point.iteration, reached.objective, gain, plain=False, refused=True)

    def _refused(self, state: Climb) -> Climb:
        usable = 1 if self.method.restarts else state.usable
        return state._replace(proposal=None, usable=usable, tried=state.tried + 1)

    @staticmethod
    def _is_calmer(image: Image | None, before: Image) -> bool:
        return image is None or largest_step(image.x, image.fx) <= largest_step(before.x, before.fx)

    def _step(self, state: Climb, reached: Evaluated) -> tuple[Climb, Info]:
        """A plain step was taken."""
        point, following = state.point, state.following
        assert point is not None and following is not None
        gain = reached.objective - point.objective
        if reached.iteration % self.n_stages:
            moved = state._replace(point=reached, following=_Next(self, reached, following.base))
            return self._planned(moved), Info(reached.iteration, reached.objective, gain, plain=False)
        last = following.image
        # The same array: that is how methods know consecutive images.
        base = reached.params.to_free() if last is None else last.fx
        turn = reached.objective - state.turn_began
        moved = self._planned(
            state._replace(point=reached, following=_Next(self, reached, base), turn_began=reached.objective)
        )
        if last is None:
            return moved, Info(reached.iteration, reached.objective, gain, plain=False)
        step = largest_step(last.x, last.fx) if self.measured else None
        # Gains are quadratic in steps near a maximum. That of the last stage alone may be nothing long before the end.
        assert moved.unit is not None
        ratio = slowest_rate(moved.images, moved.unit) ** 2
        gain = turn if gain >= 0.0 else gain
        return moved, Info(reached.iteration, reached.objective, gain, ratio=ratio, step=step)

    # ----------------------------------------------------------------------------------------- before a pass

    def _seen(self, state: Climb) -> Climb:
        """With the image that the next plain step completes, if it does, and without a proposal."""
        assert state.following is not None
        image = state.following.image
        if image is None:
            return state._replace(proposal=None)
        images = (*state.images, image)[-max(N_SECANTS + 1, self.method.window(image.x.size)) :]
        unit = units(image, state.unit)
        return state._replace(images=images, unit=unit, usable=state.usable + 1, proposal=None)

    def _planned(self, state: Climb) -> Climb:
        """With that image, and the point that the method proposes from it and those before."""
        state = self._seen(state)
        following = state.following
        assert following is not None
        if following.image is None or state.unit is None or following.point.iteration < self.plain_first:
            return state
        window = min(state.usable, self.method.window(following.image.x.size))
        wanted = self.method.propose(state.images[-window:], state.unit)
        if wanted is None:
            return state
        proposal = inside(following.plain, following.image.fx, wanted)
        # Domains know each parameter for itself; a model may know of bounds between them.
        allowed = getattr(self.model, "allowed", None)
        return state._replace(proposal=proposal if proposal is None or allowed is None else allowed(proposal))


def _quiet(expect: Expect) -> Expect:
    """The E-step without warnings of overflow and the like: far out they are to be expected, and are refused."""

    def quiet(params: Parameters, block: Block) -> Any:
        # Here, since it may run in another thread, which has its own settings.
        with np.errstate(all="ignore"):
            return expect(params, block)

    return quiet


def inside(plain: Parameters, here: Array, wanted: Array) -> Parameters | None:
    """The wanted point, or one nearer to the plain step, that is in its domains and on no further boundary.

    Parameters
    ----------
    plain : Parameters
        Where the plain step leads; what lies on a boundary there stays.
    here, wanted : ndarray of shape (n_free,)
        Free coordinates of the plain step and of the point that is wanted.

    Returns
    -------
    Parameters or None
        None if nothing on half the way, a quarter and so on will do.
    """
    edges = {name: domain.boundary(plain[name]) for name, domain in plain.domains.items()}
    held = {name: edge for name, edge in edges.items() if edge.any()}
    leap = wanted - here
    if not np.isfinite(leap).all():
        return None
    for _ in range(_MAX_HALVINGS):
        with np.errstate(all="ignore"):
            found = plain.from_free(here + leap)
        if held:
            found = found.replace(**{name: np.where(edge, plain[name], found[name]) for name, edge in held.items()})
        if all(
            domain.check(found[name]) is None and not (domain.boundary(found[name]) & ~edges[name]).any()
            for name, domain in found.domains.items()
        ):
            return found
        leap = 0.5 * leap
    return None
