"""The first bursts of many runs on small data, taken on all threads while Python goes on in one of them.

A burst takes less than the Python around it, and threads that take turns at Python gain nothing by one another. Bursts
need none: the caller gets the next runs ready, and goes on with those that are there.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from jensen.core.block import Array, Block
from jensen.core.contracts import Trail
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.data.pool import helpers
from jensen.errors import NumericalFailure
from jensen.families.gaussian import Gaussian
from jensen.fit.search.climbing import extrapolated, heading
from jensen.fit.search.landscape import Together
from jensen.kernels.flights import Flight, GaussianArrivals, GaussianBursts
from jensen.models.mixture import Mixture
from jensen.solve.loop import Limits, run, unless_interrupted
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Plain

T = TypeVar("T")

# Runs that are asked for behind those that are given next.
_AHEAD = 32

# Parameters of which bursts take the starts in one array.
_STACKED = "weights", "means", "covariances"

# A run: its model, where it starts, its journey as ``EM.journey`` tells it, and its rows.
Start = tuple[Mixture, Parameters, tuple[int, float, int | None] | None, Block]


@dataclass(frozen=True, eq=False)
class Starts:
    """Where several runs of a mixture begin.

    Attributes
    ----------
    template : Parameters
        A record of the mixture's parameters.
    weights : ndarray of shape (starts, K)
        Mixing proportions.
    means : ndarray of shape (starts, K, d)
        Means.
    covariances : ndarray of shape (starts, ...)
        Covariances in the layout of the family.
    """

    template: Parameters
    weights: Array
    means: Array
    covariances: Array

    @classmethod
    def of(cls, starts: Sequence[Parameters]) -> Starts:
        """One start at least, given one by one."""
        return cls(starts[0], *(np.array([start[name] for start in starts]) for name in _STACKED))

    def behind(self, first: Parameters) -> Starts:
        """The same with another start in front."""
        stacked = (
            np.concatenate([first[name][None], array])
            for name, array in zip(_STACKED, (self.weights, self.means, self.covariances), strict=True)
        )
        return Starts(self.template, *stacked)

    def __len__(self) -> int:
        return len(self.weights)

    def __getitem__(self, number: int) -> Parameters:
        return self.template.replace(
            weights=self.weights[number], means=self.means[number], covariances=self.covariances[number]
        )


# A mixture of Gaussian components, its rows, and where runs begin.
Problem = tuple[Mixture, ArraySource, Starts]


class ShortEnd(NamedTuple):
    """The end of a short run.

    Attributes
    ----------
    objective : float
        There.
    steps : int
        That led there.
    point : callable () -> (Parameters, statistics)
        What is there, which may be degenerate.
    heading : float
        Where it leads, as it seems: no higher, if it ended because little was to come.
    means : callable () -> ndarray of shape (K, d)
        The means there, which take less than the whole point.
    """

    objective: float
    steps: int
    point: Callable[[], tuple[Parameters, Any]]
    heading: float
    means: Callable[[], Array]

    def sound(self, model: Mixture) -> Parameters | None:
        """The parameters there; None if they are degenerate."""
        params, statistics = self.point()
        return None if model.faults(params, statistics) else params


def first_trails(
    runs: Iterable[Start | None], deadline: float = math.inf, ends_only: bool = False
) -> Generator[Trail | None, None, None]:
    """What the first bursts of runs bring, in the order of the runs.

    Parameters
    ----------
    runs : iterable of (Mixture, Parameters, journey, Block) or None
        Of Gaussian components; None in the place of a run that has no start. Asked for in the caller's thread, some
        before the first trail is given.
    deadline : float, default=inf
        Moment of ``time.perf_counter()`` after which no more bursts are begun.
    ends_only : bool, default=False
        Whether trails keep all objectives, but of their points the last two alone.

    Yields
    ------
    Trail or None
        None for a run that takes no bursts, that has no density at its start, or that the deadline came before.
    """
    asked = (
        (start, None if start is None or time.perf_counter() > deadline else _ready(start, ends_only), 1)
        for start in runs
    )
    with closing(_landed(asked)) as landed:
        for start, arrived in landed:
            if start is None or arrived is None:
                yield None
                continue
            model, params, _, block = start
            trail = arrived.trail(0)
            yield None if trail is None or trail.done < 0 else model.along(params, trail, block)


def _landed(
    asked: Iterable[tuple[T, GaussianBursts | None, int]],
) -> Generator[tuple[T, GaussianArrivals | None], None, None]:
    """What bursts of so many runs bring, beside what they came with; None for runs that take none.

    Some are asked for before the first is given.
    """
    flight: Flight | None = None
    waiting, under_way = deque[tuple[T, bool, int]](), 0

    def first() -> tuple[T, GaussianArrivals | None]:
        one, flies, _ = waiting.popleft()
        return one, flight.take() if flight is not None and flies else None

    for one, bursts, n_runs in asked:
        if bursts is not None:
            flight = Flight(helpers()) if flight is None else flight
            flight.add(bursts)
        waiting.append((one, bursts is not None, n_runs))
        under_way += n_runs
        while under_way - waiting[0][2] >= _AHEAD:
            under_way -= waiting[0][2]
            yield first()
    while waiting:
        yield first()


def _ready(start: Start, ends_only: bool) -> GaussianBursts | None:
    """The first burst of a run, if it takes any."""
    model, params, journey, block = start
    if journey is None or not isinstance(model.family, Gaussian):
        return None
    steps, enough, leap_after = journey
    return model.family.ready_burst(params, None, block, steps, model.equal_weights, enough, leap_after, ends_only)


def short_ends(
    model: Mixture,
    source: ArraySource,
    starts: Sequence[Parameters],
    n_iter: int,
    tol: float,
    limits: Limits | None = None,
) -> list[ShortEnd | None]:
    """Where short runs of EM lead that nobody looks at; see `short_ends_of_all`."""
    (found,) = short_ends_of_all([(model, source, Starts.of(starts))], n_iter, tol, limits)
    return found


def all_short_ends(
    problems: Iterable[Problem], n_iter: int, tol: float, together: Together
) -> list[list[ShortEnd | None]]:
    """The same of several problems; where the first takes no bursts, `together` has the runs of all of them."""
    asked = iter(problems)
    first = next(asked, None)
    if first is None:
        return []
    if in_bursts(*first[:2]):
        return list(short_ends_of_all(chain([first], asked), n_iter, tol))
    listed = [first, *asked]
    numbers = [(i, j) for i, (*_, starts) in enumerate(listed) for j in range(len(starts))]

    def one(number: tuple[int, int]) -> ShortEnd | None:
        model, source, starts = listed[number[0]]
        return _plain_end(model, source, starts[number[1]], n_iter, tol)

    ends = iter(together(one, numbers))
    return [[next(ends) for _ in range(len(starts))] for *_, starts in listed]


def short_ends_of_all(
    problems: Iterable[Problem], n_iter: int, tol: float, limits: Limits | None = None
) -> Generator[list[ShortEnd | None], None, None]:
    """Where short runs of EM lead that nobody looks at: by their bursts alone, where they take bursts.

    Parameters
    ----------
    problems : iterable of (Mixture, ArraySource, Starts)
        Asked for in the caller's thread while the runs of others are on their way.
    n_iter : int
        Steps at most.
    tol : float
        Nats still to come at which a run ends.
    limits : Limits, optional
        Of runs that take no bursts, but for their steps: a burst is over before anybody would look.

    Yields
    ------
    list of ShortEnd or None
        For each problem its ends; None for a start without density.

    Raises
    ------
    KeyboardInterrupt
        If a run is interrupted.
    """
    asked = ((problem, _ready_all(*problem, n_iter, tol), len(problem[2])) for problem in problems)
    with closing(_landed(asked)) as landed:
        for (model, source, starts), arrived in landed:
            if arrived is None:
                yield [_plain_end(model, source, starts[i], n_iter, tol, limits) for i in range(len(starts))]
            else:
                yield _ends_of(model, starts.template, arrived, source.block(0))


def _ready_all(model: Mixture, source: ArraySource, starts: Starts, n_iter: int, tol: float) -> GaussianBursts | None:
    """Short runs as bursts, if they take any."""
    if not in_bursts(model, source):
        return None
    stacked, family = (starts.weights, starts.means, starts.covariances), cast(Gaussian, model.family)
    return family.ready_bursts(stacked, source.block(0), n_iter, model.equal_weights, tol)


def in_bursts(model: Mixture, source: ArraySource) -> bool:
    """Whether runs go in bursts: of Gaussian components, on one small block."""
    family = model.family
    return isinstance(family, Gaussian) and source.n_blocks == 1 and family.in_bursts(source.block(0))


def _ends_of(model: Mixture, template: Parameters, arrived: GaussianArrivals, block: Block) -> list[ShortEnd | None]:
    def point(number: int, step: int) -> tuple[Parameters, Any]:
        trail = arrived.trail(number)
        assert trail is not None
        return model.along(template, trail, block).point(step)

    found, objectives = list[ShortEnd | None](), arrived.bursts.objectives
    ends = zip(arrived.objective.tolist(), arrived.done.tolist(), arrived.is_over.tolist(), strict=True)
    for i, (reached, last, over) in enumerate(ends):
        if not math.isfinite(reached):
            found.append(None)
            continue
        leads = reached if over else extrapolated(objectives[i, max(last - 2, 0) : last + 1].tolist())
        found.append(ShortEnd(reached, last, partial(point, i, last), leads, partial(arrived.means, i)))
    return found


def _plain_end(
    model: Mixture, source: ArraySource, start: Parameters, n_iter: int, tol: float, limits: Limits | None = None
) -> ShortEnd | None:
    rule, limits = AitkenRule(source.weight, tol=tol), replace(limits or Limits(), max_iter=n_iter)
    try:
        ended = unless_interrupted(run(Plain("off").solver(model, rule), source, start, rule, limits))
    except NumericalFailure:
        return None
    params, statistics = ended.params, ended.statistics
    return ShortEnd(
        ended.objective, ended.n_iter, lambda: (params, statistics), heading(ended), lambda: params["means"]
    )
