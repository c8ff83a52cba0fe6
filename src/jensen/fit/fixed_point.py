"""Run a bare EM map to its fixed point: for those who have no model, only a function from parameters to parameters."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np

from jensen.core.block import AnyArray, Array, Block
from jensen.core.contracts import Info, Stage, StoppingRule
from jensen.core.domains import Domain, Real
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.errors import ContractError, InputError, NumericalFailure
from jensen.fit.em import DEFAULT_MAX_ITER
from jensen.solve.loop import Limits, run
from jensen.solve.stopping import AitkenRule, AtRest
from jensen.solve.variants import Accelerate, Plain

# What a vector without names is called.
_VECTOR = "x"

Point = AnyArray | Mapping[str, AnyArray]


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """Where a map was run to, and how it went.

    Attributes
    ----------
    x : ndarray, or mapping of str to ndarray
        The last point, as the map takes it.
    objective : float or None
        The objective there; None if there is none.
    residual : float
        Largest change of an entry that the map still makes there.
    status : Status
        How the run ended.
    detail : str
        More on the status, where there is more to say.
    n_iter : int
        Points after the start.
    n_updates : int
        Calls of the map.
    extrapolations : tuple of int
        Extrapolated points that were tried, and those that were accepted.
    trace : tuple of float
        The objective at every point; without an objective, minus the length of the map's step.
    solver : str
        Name of the solver.
    seconds : float
        Wall time.
    """

    x: Point
    objective: float | None
    residual: float
    status: Status
    detail: str
    n_iter: int
    n_updates: int
    extrapolations: tuple[int, int]
    trace: tuple[float, ...] = field(repr=False)
    solver: str
    seconds: float

    @property
    def message(self) -> str:
        """How the run ended, in a sentence."""
        return f"{self.status.message} ({self.detail})" if self.detail else self.status.message


def fixed_point(
    update: Callable[[Any], Any],
    start: Any,
    objective: Callable[[Any], float] | None = None,
    *,
    domains: Mapping[str, Domain] | Domain | None = None,
    accelerate: Accelerate = "auto",
    stop: StoppingRule | float | None = None,
    max_iter: int = DEFAULT_MAX_ITER,
    max_time: float = np.inf,
    observers: Sequence[Callable[[Info], None]] = (),
) -> FixedPoint:
    """Run a map to its fixed point, faster than by repeating it.

    Parameters
    ----------
    update : callable
        The map: one EM iteration, say. It takes and returns a vector, or a mapping of names to arrays, as `start` is.
    start : array-like, or mapping of str to array-like
        Where to begin.
    objective : callable, default=None
        What the map never lowers, such as the log-likelihood in nats; extrapolated points that lower it are refused.
        Without it, those are refused from which the map's step is longer, and nothing is promised to rise.
    domains : mapping of str to Domain, or a Domain for a vector, default=None
        Where the values live: extrapolations move in free coordinates, and never leave. By default all reals.
    accelerate : {"auto", "off", "squarem", "anderson", "quasi-newton"}, default="auto"
        How to extrapolate; ``auto`` sets in after 20 iterations if the map is slow.
    stop : StoppingRule or float, optional
        When to stop: a rule, or how much the objective may still have to gain; 1e-6 by default. Without an objective
        the number is how far the free coordinates may be from rest, 1e-10 by default, as in
        `jensen.stopping.AtRest`.
    max_iter : int, default=10000
        Points after the start at most.
    max_time : float, default=inf
        Seconds after which the map is not called again.
    observers : sequence of callable (Info) -> None
        Told of every point.

    Returns
    -------
    FixedPoint

    Raises
    ------
    InputError
        If the start or an option is unusable; the message names it.
    ContractError
        If the map returns something of another form than it takes, or the objective no number.
    NumericalFailure
        If the objective, or what the map makes of the start, is not finite.

    Examples
    --------
    A share of 0.4 of heads; the map goes a hundredth of the way:

    >>> import jensen
    >>> found = jensen.fixed_point(lambda p: p + 0.01 * (0.4 - p), [0.9], domains=jensen.domains.Interval((1,)))
    >>> print(found.x.round(6), found.n_updates < 100)
    [0.4] True
    """
    began = time.perf_counter()
    if accelerate not in get_args(Accelerate):
        raise InputError(f"accelerate must be one of {', '.join(get_args(Accelerate))}, got {accelerate!r}")
    if isinstance(max_iter, bool) or not (isinstance(max_iter, int | np.integer) and max_iter >= 0):
        raise InputError(f"max_iter must be an integer of at least 0, got {max_iter!r}")
    if not callable(update) or not (objective is None or callable(objective)):
        raise InputError(f"update and objective must be functions, got {update!r} and {objective!r}")
    named = isinstance(start, Mapping)
    values = start if named else {_VECTOR: start}
    params = _start(values, _domains(values, domains, named))
    promise = "" if objective is None else "log-likelihood"
    rule = _rule(stop, objective is not None)
    mapped = _Map(update, objective, named)

    def told(info: Info) -> None:
        for observer in observers:
            observer(info)

    solver = Plain(accelerate, promise).solver(mapped, rule)
    limits = Limits(int(max_iter), began + max_time)
    source: Any = _NoData()
    result = run(solver, source, params, rule, limits, told if observers else None)
    image: _Image = result.statistics
    gaps = [np.abs(image.after[name] - value).max(initial=0.0) for name, value in result.params.values.items()]
    return FixedPoint(
        x=mapped.taken(result.params),
        objective=None if objective is None else result.objective,
        residual=float(max(gaps, default=0.0)),
        status=result.status,
        detail=result.detail,
        n_iter=result.n_iter,
        n_updates=int(result.passes),
        extrapolations=result.extrapolations,
        trace=result.trace,
        solver=Plain(accelerate).name,
        seconds=time.perf_counter() - began,
    )


def _start(values: Mapping[str, Any], domains: Mapping[str, Domain]) -> Parameters:
    try:
        params = Parameters(values, domains)
    except (TypeError, ValueError) as error:
        raise InputError(f"start is no set of numbers of the domains' names and shapes: {error}") from None
    params.check()
    return params


def _domains(values: Mapping[str, Any], domains: Any, named: bool) -> Mapping[str, Domain]:
    if domains is None:
        return {name: Real(np.shape(value)) for name, value in values.items()}
    if named != isinstance(domains, Mapping):
        raise InputError("domains must be a mapping of names where start is one, and one domain for a vector")
    return domains if named else {_VECTOR: domains}


def _rule(stop: StoppingRule | float | None, has_objective: bool) -> StoppingRule:
    if stop is None:
        return AitkenRule(1.0) if has_objective else AtRest()
    if isinstance(stop, int | float):
        if not 0 < stop < np.inf:
            raise InputError(f"stop as a number must be positive and finite, got {stop!r}")
        return AitkenRule(1.0, tol=float(stop)) if has_objective else AtRest(float(stop))
    if not callable(getattr(stop, "update", None)):
        raise InputError(f"stop must be a stopping rule, a number or None, got {stop!r}")
    return stop


@dataclass(frozen=True)
class _Image:
    """What one call of the map tells: where it leads, and the objective where it was called."""

    after: Parameters
    loglik: float
    weight: float = 1.0


class _NoData:
    """A source of one block without content: the map has its own data."""

    n_rows, n_blocks, weight = 1, 1, 1.0

    def fold(self, block_pass: Callable[[Parameters, Any], Any], params: Parameters) -> Any:
        """The pass."""
        return block_pass(params, None)


class _Map:
    """A map as a model: the E-step calls it, and the M-step returns what it said."""

    def __init__(self, update: Callable[[Any], Any], objective: Callable[[Any], float] | None, named: bool) -> None:
        self.update, self.value, self.named = update, objective, named
        self.stages = (Stage(self._expect, lambda params, image: image.after),)

    def taken(self, params: Parameters) -> Point:
        """Parameters as the map takes them: copies that it may write to."""
        if self.named:
            return {name: value.copy() for name, value in params.values.items()}
        return params[_VECTOR].copy()

    def objective(self, params: Parameters, image: _Image) -> float:
        """The objective, or minus the length of the step."""
        return image.loglik

    def _expect(self, params: Parameters, block: Block) -> _Image:
        found = self.update(self.taken(params))
        if self.named and not isinstance(found, Mapping):
            raise ContractError(f"update must return a mapping, as it takes one, but returned {type(found).__name__}")
        try:
            after = params.replace(**(found if self.named else {_VECTOR: found}))
        except (InputError, TypeError, ValueError) as error:
            raise ContractError(f"update must return what it takes: {error}") from None
        if self.value is None:
            return _Image(after, -_length(params, after))
        value = self.value(self.taken(params))
        try:
            return _Image(after, float(value))
        except (TypeError, ValueError):
            raise ContractError(f"objective must return a number, but returned {value!r}") from None


def _length(before: Parameters, after: Parameters) -> float:
    """Length of a step in free coordinates, each as a share of its size where that is above 1."""
    if not after.is_finite:
        raise NumericalFailure("update returned values that are not finite")
    here, there = before.to_free(), after.to_free()
    step: Array = (there - here) / np.maximum(np.abs(here), 1.0)
    return float(np.linalg.norm(step))
