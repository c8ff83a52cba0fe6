"""Runs of native code on small blocks, on threads that need nothing of Python: bursts of EM, and descents.

A burst is many steps of EM from one start; a descent is EM of many components, of which pairs are merged.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.kernels.choose import NO_START, choice, is_small, not_positive_definite
from jensen.kernels.mstep import MStep

# The last numbers of a record.
_MARKS = 4
_BURST_NUMBERS = 1 << 17
_BURST_WORK = 1 << 22
# Rules whose M-step begins at the axes that components have in common, which merged ones have no longer.
_COMMON_AXES = ("EVE", "VVE")


@dataclass(frozen=True, eq=False)
class GaussianTrail:
    """Points of consecutive EM steps, the start in front.

    Attributes
    ----------
    records : ndarray of shape (points, numbers)
        A row for each point: weights, means, covariances, counts, first moments and scatter, one after another; then
        the objective, whether a plain step led there, the ratio of gains to come, and the passes that it took. Point t
        is in row t, or where there are fewer, in row t modulo their number: the last ones alone are kept.
    trace : ndarray of shape (steps + 1,) or None
        The objectives of all points, where not all are kept.
    shapes : tuple of tuple of int
        Shapes of these arrays, in the same order.
    done : int
        Points after the start; -1 if the start has no density.
    failed : int
        The component whose covariance was not positive definite after `done` steps, K if it was what all have in
        common, or -1.
    extrapolations : tuple of int
        Leaps that were tried, and those that were accepted.
    """

    records: Array
    trace: Array | None
    shapes: tuple[tuple[int, ...], ...]
    done: int
    failed: int
    extrapolations: tuple[int, int]

    @property
    def failure(self) -> str:
        """What ended the steps, in words; nothing if all were taken."""
        return "" if self.failed < 0 else not_positive_definite(self.failed, self.shapes[0][0])

    @property
    def is_over(self) -> bool:
        """Whether it took fewer steps than it might, and none failed."""
        return self.failed < 0 and self.done < len(self.objective) - 1

    @property
    def objective(self) -> Array:
        """Penalised log-likelihoods; that of the start is no number unless its E-step was asked for."""
        return self.records[:, -_MARKS] if self.trace is None else self.trace

    @property
    def marks(self) -> Array:
        """Of each point, 1 for a plain step and 0 for a leap; the ratio of gains, or no number; the passes."""
        return self.records[:, 1 - _MARKS :]

    def point(self, step: int) -> list[Array]:
        """Weights, means, covariances, counts, first moments and scatter of one point, read-only and its own."""
        row = self.records[step % len(self.records)].copy()
        row.flags.writeable = False
        return _unpacked(row, self.shapes)


def _unpacked(row: Array, shapes: tuple[tuple[int, ...], ...]) -> list[Array]:
    """Arrays of these shapes that lie one after another."""
    found, at = list[Array](), 0
    for shape in shapes:
        end = at + math.prod(shape)
        found.append(row[at:end].reshape(shape))
        at = end
    return found


@dataclass(frozen=True, eq=False)
class GaussianBursts:
    """Many EM steps from one or more starts, on a block so small that the calls cost more than the work.

    Attributes
    ----------
    x, weight
        All the rows (n, d), in either precision, and their weights (n,) or None.
    arguments : tuple
        The same bursts for the native module.
    records : ndarray of shape (starts, points, numbers)
        Room for their points; see `GaussianTrail`.
    trace : ndarray of shape (starts, steps + 1) or None
        And for the objectives, where only the last points are kept.
    shapes : tuple of tuple of int
        See `GaussianTrail`.
    """

    x: AnyArray
    weight: Array | None
    arguments: tuple[Any, ...]
    records: Array
    trace: Array | None
    shapes: tuple[tuple[int, ...], ...]

    @property
    def objectives(self) -> Array:
        """The objectives (starts, steps + 1) of all points, once they are there."""
        return self.records[:, :, -_MARKS] if self.trace is None else self.trace

    def taken(self) -> GaussianTrail | None:
        """The points from the first start; None where no M-step of the rule may begin there."""
        flight = Flight(0)
        flight.add(self)
        return flight.take().trail(0)


@dataclass(frozen=True, eq=False)
class GaussianArrivals:
    """What bursts from one or more starts brought.

    Attributes
    ----------
    bursts : GaussianBursts
        Whose room has their points.
    told : list of tuple of int
        For each start what a `GaussianTrail` has of its burst: `done`, `failed`, and the extrapolations.
    """

    bursts: GaussianBursts
    told: list[tuple[int, int, int, int]]

    def trail(self, number: int) -> GaussianTrail | None:
        """The points from one start; None where no M-step of the rule may begin there."""
        done, failed, tried, accepted = self.told[number]
        if done == NO_START:
            return None
        trace = None if self.bursts.trace is None else self.bursts.trace[number]
        return GaussianTrail(self.bursts.records[number], trace, self.bursts.shapes, done, failed, (tried, accepted))

    @property
    def done(self) -> AnyArray:
        """Points (starts,) after each start; negative where it has no density."""
        return np.array([done for done, *_ in self.told])

    @property
    def is_over(self) -> AnyArray:
        """Whether they took fewer steps than they might, and none failed, shape (starts,)."""
        most = self.bursts.objectives.shape[1] - 1
        return np.array([failed < 0 and done < most for done, failed, *_ in self.told])

    @property
    def objective(self) -> Array:
        """The objectives (starts,) at the ends, no number where a start has no density."""
        done = self.done
        reached = self.bursts.objectives[np.arange(len(done)), np.maximum(done, 0)]
        return np.where(done < 0, math.nan, reached)

    def means(self, number: int) -> Array:
        """The means (K, d) at one end, on loan."""
        records = self.bursts.records[number]
        _, means = _unpacked(records[self.told[number][0] % len(records)], self.bursts.shapes[:2])
        return means


def ready_bursts(
    x: AnyArray,
    weight: Array | None,
    step: MStep,
    steps: int,
    starts: tuple[Array, Array, Array],
    moments: tuple[Array, Array, Array] | None = None,
    enough: float = 0.0,
    leap_after: int | None = None,
    ends_only: bool = False,
) -> GaussianBursts | None:
    """Many EM steps in one call, for a block so small that the calls cost more than the work.

    Leaps are quasi-Newton steps (Zhou, Alexander & Lange 2011) from the last three secants, in the metric of the
    complete-data information; each follows a plain step, and is a point only if it is no lower than that one.

    Parameters
    ----------
    x : ndarray of shape (n, d)
        All the rows; objectives of float32 rows are good to some seven digits.
    weight : ndarray of shape (n,) or None
        Weights of the rows.
    step : MStep
        What M-steps maximise within.
    steps : int
        M-steps, each with the E-step after it, and leaps.
    starts : tuple of ndarray
        Weights (starts, K), means (starts, K, d) and covariances (starts, ...).
    moments : tuple of ndarray or None
        Counts, first moments and scatter at each start, of the same shapes; None to take the E-steps there first.
    enough : float, default=0
        Nats: steps end where less was to gain twice running, by Aitken's extrapolation; 0 takes them all.
    leap_after : int, optional
        Plain steps before the first leap, which comes only where plain steps are slow; by default none leap.
    ends_only : bool, default=False
        Whether to keep the last two points of each burst alone, which takes less room; for bursts without leaps.

    Returns
    -------
    GaussianBursts or None
        For `Flight`. None where there is no native kernel, or the problem is too large to gain by it.
    """
    n_starts, n_components, _ = starts[1].shape
    if not takes_bursts(x, step, n_components):
        return None
    given = [array.reshape(n_starts, -1) for array in (*starts, *(moments or ()))]
    length = 2 * sum(array.shape[1] for array in given[:3]) + _MARKS
    if not ends_only:
        steps = min(steps, _BURST_NUMBERS // length)
    if steps < 1:
        return None
    trace = np.empty((n_starts, steps + 1)) if ends_only else None
    records, at = np.empty((n_starts, 2 if ends_only else steps + 1, length)), 0
    for array in given:
        records[:, 0, at : at + array.shape[1]] = array
        at += array.shape[1]
    leap_after = -1 if leap_after is None else leap_after
    arguments = (*step.arguments, n_components, steps, moments is None, enough, leap_after, records, trace)
    shapes = (*(array.shape[1:] for array in starts), (n_components,), starts[1].shape[1:], starts[2].shape[1:])
    return GaussianBursts(x, weight, arguments, records, trace, shapes)


@dataclass(frozen=True, eq=False)
class GaussianDescent:
    """EM from many components, merged until few are left, on a small block.

    Attributes
    ----------
    x, weight
        All the rows (n, d), in either precision, and their weights (n,) or None.
    arguments : tuple
        The same descent for the native module.
    room : ndarray
        The components: those at the start, one array after another; then those at the end.
    passes : ndarray of shape (1,)
        Those that it took, each for its share of the components at the end; -1 if it failed.
    shapes : tuple of tuple of int
        Of weights, means and covariances at the end.
    """

    x: AnyArray
    weight: Array | None
    arguments: tuple[Any, ...]
    room: Array
    passes: Array
    shapes: tuple[tuple[int, ...], ...]

    @property
    def end(self) -> tuple[list[Array], float] | None:
        """Weights, means and covariances once it is over, and the passes; None if it failed."""
        if self.passes[0] < 0:
            return None
        return _unpacked(self.room, self.shapes), float(self.passes[0])


def ready_descent(
    x: AnyArray,
    weight: Array | None,
    step: MStep,
    start: tuple[Array, Array, Array],
    wanted: int,
    many: float,
    share: float,
    steps: tuple[int, int],
) -> GaussianDescent | None:
    """EM from many components of which pairs are merged; `jensen.fit.starts.descent.descended` has the reasons.

    Parameters
    ----------
    x : ndarray of shape (n, d)
        All the rows.
    weight : ndarray of shape (n,) or None
        Weights of the rows.
    step : MStep
        What M-steps maximise within.
    start : tuple of ndarray
        Weights (K,), means (K, d) and covariances.
    wanted : int
        Components at the end, K at most.
    many : float
        Above so many times `wanted`, a share of the components is merged at once.
    share : float
        That share.
    steps : tuple of int
        Of EM before each such merge, and before each merge of one pair.

    Returns
    -------
    GaussianDescent or None
        For `Flight`. None for rules whose covariances have common axes.
    """
    if step.rule in _COMMON_AXES:
        return None
    n_components, d = start[1].shape
    room, passes = np.concatenate([array.ravel() for array in start]), np.empty(1)
    arguments = (*step.arguments, n_components, wanted, many, share, *steps, room, passes)
    own = start[2].shape if step.layout == "tied" else (wanted, *start[2].shape[1:])
    return GaussianDescent(x, weight, arguments, room, passes, ((wanted,), (wanted, d), own))


def takes_bursts(x: AnyArray, step: MStep, n_components: int) -> bool:
    """Whether a block (n, d) is so small that calls cost about as much as the work, and the kernel native."""
    n, d = x.shape
    work = n * n_components * (d + 1) * (d + 2)
    small = work <= _BURST_WORK and is_small(step, n_components, d)
    return choice().module is not None and small


class Flight:
    """Bursts and descents under way.

    Parameters
    ----------
    helpers : int
        Threads at most, besides the one that asks. They begin where there is enough to do.
    """

    def __init__(self, helpers: int) -> None:
        self._isa, self._waiting = choice().isa, deque[GaussianBursts | GaussianDescent]()
        module = choice().module
        assert module is not None
        self._native, self._taken = module.Flight(helpers), 0

    def add(self, bursts: GaussianBursts) -> None:
        """Begin bursts as soon as threads are free, in the order in which they are added."""
        self._native.add_bursts(self._isa, bursts.x, bursts.weight, bursts.arguments)
        self._waiting.append(bursts)

    def add_descent(self, descent: GaussianDescent) -> None:
        """The same of a descent."""
        self._native.add_descent(self._isa, descent.x, descent.weight, descent.arguments)
        self._waiting.append(descent)

    def _next(self, pieces: int) -> list[tuple[int, int, int, int]]:
        self._taken += pieces
        told: list[tuple[int, int, int, int]] = self._native.take(self._taken - pieces, pieces)
        return told

    def take(self) -> GaussianArrivals:
        """What the next bursts brought, which were added together."""
        bursts = self._waiting.popleft()
        assert isinstance(bursts, GaussianBursts)
        return GaussianArrivals(bursts, self._next(len(bursts.records)))

    def take_descent(self) -> tuple[list[Array], float] | None:
        """Weights, means and covariances at the end of the next descent, and the passes it took; None if it failed."""
        descent = self._waiting.popleft()
        assert isinstance(descent, GaussianDescent)
        self._next(1)
        return descent.end
