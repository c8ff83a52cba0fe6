"""The best fit with one component more, found from a fit by splitting its components: quick, and never worse.

A component written down twice, each time with half its weight, leaves the density what it is. The likelihood of K + 1
components therefore is at least that of K, whatever the data; only poor starts make a fit of K + 1 lower. From the
duplicate itself EM does not move, as it is a saddle. So each component is split by its rows: into halves along an
axis, a side and the rest, and a core and what is around it. The axes are those of extreme kurtosis, where a component
hides two groups or one group with wide tails (Tyler, Critchley, Dumbgen & Oja 2009, invariant coordinates).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import expit

from jensen.core.block import AnyArray, Array
from jensen.core.contracts import Run
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import NumericalFailure
from jensen.fit.search.climbing import faults_of
from jensen.fit.search.restarts import with_memory
from jensen.fit.search.soundness import verdict
from jensen.models.mixture import Mixture
from jensen.solve.loop import FALL_TOLERANCE, Limits, run
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Plain

# Axes of a component along which it is split, and how sharply, for each standard deviation.
_AXES, _SHARP, _HALVES = 4, 5.0, 3.0
# Variances along an axis, as a share of the columns' own, below which there is nothing to split.
_FLAT = 1e-8
# Steps of the short runs; of how many the end is looked for, until so many are sound and above the duplicate.
_SHORT, _TRIED, _FINISHED = 32, 9, 3
# Steps that bursts of a run take, the first ones fewer; and nats by which runs that lead to the same place differ.
_BURSTS, _SAME = (64, 128, 256), 1e-3
_STEADY = 0.98


class Stopped(Exception):
    """The time limit has passed, or another thread has cancelled the work."""


@dataclass(frozen=True, eq=False)
class Ladder:
    """Fits of more and more components, each from splits of the one before.

    Attributes
    ----------
    models : mapping of int to Mixture
        The models of 1, 2, ... components, alike in everything else.
    templates : mapping of int to Parameters
        For each, any parameters, about whose means moments are taken.
    columns : ndarray of shape (d,) of bool
        Columns that vary.
    limits : Limits
        Of every run.
    tol : float, default=1e-3
        Nats still to come at which a run ends.
    """

    models: Mapping[int, Mixture]
    templates: Mapping[int, Parameters]
    columns: AnyArray
    limits: Limits
    tol: float = 1e-3

    def statistic(self, source: ArraySource, start: Parameters, k: int) -> float | None:
        """Twice what a component more gains on some rows, from a start of K; None if K is degenerate there."""
        null = self.fit(source, start, k)
        if null is None:
            return None
        found = self.best(source, null, k)
        return 0.0 if found is None else 2.0 * (found.objective - null.objective)

    def fit(self, source: ArraySource, start: Parameters, k: int) -> Run[Any] | None:
        """A sound fit of K components to some rows, from a start; if that leads to none, from fewer components.

        Rows that are drawn anew may leave out a small group altogether. None where even one component is degenerate.
        """
        try:
            ended = climb(self.models[k], source, start, self.limits, self.tol)
        except NumericalFailure:
            return self._from_fewer(source, start, k)
        return self._from_fewer(source, start, k) if faults_of(self.models[k], ended) else ended

    def best(self, source: ArraySource, null: Run[Any], k: int) -> Run[Any] | None:
        """The best sound fit of K + 1 components that splits of a fit of K lead to; None if none beats a duplicate.

        As in every search, narrow components must bring their price; see `jensen.fit.search.soundness`.
        """
        model, few = self.models[k + 1], replace(self.limits, max_iter=_SHORT)
        floor = null.objective - verdict(self.models[k], null, self.columns).price
        found, standing, finished, seen = None, floor, 0, list[float]()
        for leads, start in self._short_runs(source, null.params, k):
            if finished == _FINISHED or len(seen) == _TRIED:
                break
            if any(abs(leads - other) < _SAME for other in seen):
                continue
            # Taken again: to keep what every short run ended with would take more memory than the rows do.
            short = climb(model, source, start, few, self.tol)
            if model.faults(short.params, short.statistics):
                continue
            seen.append(leads)
            ended = climb(model, source, short.params, self.limits, self.tol, before=short)
            if ended.objective <= standing:
                finished += ended.objective > floor
                continue
            said = verdict(model, ended, self.columns)
            height = ended.objective - said.price
            if said.faults or height <= floor:
                continue
            finished += 1
            if height > standing and ended.objective > null.objective:
                found, standing = ended, height
        return found

    def _from_fewer(self, source: ArraySource, start: Parameters, k: int) -> Run[Any] | None:
        """K components from a fit of K - 1, which begins without the component that holds the fewest rows."""
        if k == 1:
            return None
        shares = source.collect(self.models[k].responsibilities, start)
        left = np.delete(shares, int(_counts(source, shares).argmin()), axis=1)
        sums = left.sum(axis=1, keepdims=True)
        left = np.where(sums > 0.0, left / np.where(sums > 0.0, sums, 1.0), 1.0 / (k - 1))
        fewer = self.fit(source, self._m_step(source, left, k - 1), k - 1)
        if fewer is None:
            return None
        found = self.best(source, fewer, k - 1)
        if found is not None:
            return found
        twice = duplicated(source, source.collect(self.models[k - 1].responsibilities, fewer.params))
        try:
            once = replace(self.limits, max_iter=1)
            return climb(self.models[k], source, self._m_step(source, twice, k), once, self.tol)
        except NumericalFailure:
            return None

    def _short_runs(self, source: ArraySource, params: Parameters, k: int) -> list[tuple[float, Parameters]]:
        """Where a few steps from every split of K components lead, and the starts; the highest first."""
        shares = source.collect(self.models[k].responsibilities, params)
        found = list[tuple[float, Parameters]]()
        for given in split_responsibilities(np.asarray(source.x, dtype=np.float64), source.row_weight, shares):
            start = self._m_step(source, given, k + 1)
            if not start.is_finite:
                continue
            try:
                found.append((self._leads(source, start, k + 1), start))
            except NumericalFailure:
                continue
        return sorted(found, key=lambda ended: -ended[0])

    def _leads(self, source: ArraySource, start: Parameters, k: int) -> float:
        """Where a few steps lead, without a record of their end."""
        trail = self.models[k].burst(start, None, source.block(0), _SHORT) if source.n_blocks == 1 else None
        if trail is None:
            return leads_to(climb(self.models[k], source, start, replace(self.limits, max_iter=_SHORT), self.tol).trace)
        objectives = trail.objectives
        sound = _rising(list(objectives))
        if not sound:
            raise NumericalFailure(trail.failure or "the objective at the start is not finite")
        return leads_to(objectives[:sound])

    def _m_step(self, source: ArraySource, responsibilities: Array, k: int) -> Parameters:
        """Parameters from responsibilities (n, K)."""
        model, template = self.models[k], self.templates[k]
        given = source.with_arrays(responsibilities=responsibilities)
        return model.maximize(template, given.fold(model.expect_given, template))


def duplicated(source: ArraySource, responsibilities: Array) -> Array:
    """Responsibilities (n, K + 1) with the heaviest component twice, at half its weight each."""
    heaviest = int(_counts(source, responsibilities).argmax())
    return _split(responsibilities, heaviest, np.full(len(responsibilities), 0.5))


def _counts(source: ArraySource, responsibilities: Array) -> Array:
    """Weight of the rows that each component holds, (K,)."""
    weight = source.row_weight
    return np.asarray(responsibilities.sum(axis=0) if weight is None else weight @ responsibilities)


def split_responsibilities(x: Array, weight: Array | None, responsibilities: Array) -> Iterator[Array]:
    """Responsibilities (n, K + 1) with one component in two, by its rows' places within it.

    Parameters
    ----------
    x : ndarray of shape (n, d)
        Rows.
    weight : ndarray of shape (n,) or None
        Their weights.
    responsibilities : ndarray of shape (n, K)
        Of the components as they are.
    """
    for k in range(responsibilities.shape[1]):
        share = responsibilities[:, k] if weight is None else weight * responsibilities[:, k]
        inside = invariant_coordinates(x, share)
        if inside is None:
            continue
        d = inside.shape[1]
        # From both ends of the kurtoses.
        axes = sorted(range(d), key=lambda j: min(j, d - 1 - j))[:_AXES]
        radius = np.sqrt((inside**2).sum(axis=1))
        scores = [_SHARP * (radius - math.sqrt(d))]
        for axis in axes:
            along = inside[:, axis]
            scores += [_HALVES * along, _SHARP * (along - 1.0), _SHARP * (along + 1.0)]
        for score in scores:
            yield _split(responsibilities, k, expit(score))


def _split(responsibilities: Array, k: int, part: Array) -> Array:
    """Component k in two: a part (n,) of it stays in its place, the rest comes last."""
    column = responsibilities[:, k]
    split = np.column_stack([responsibilities, column * (1.0 - part)])
    split[:, k] = column * part
    return split


def invariant_coordinates(x: Array, share: Array) -> Array | None:
    """Rows (n, q) about the mean of those that count, in axes of ascending kurtosis with the variance 1.

    The eigenvectors of the fourth moments in coordinates in which the second ones are the identity: affine maps of the
    columns change nothing but signs.

    Parameters
    ----------
    x : ndarray of shape (n, d)
        Rows.
    share : ndarray of shape (n,)
        How much each counts, at least 0.

    Returns
    -------
    ndarray or None
        q is d less the directions in which nothing varies; None if that leaves none.
    """
    total = float(share.sum())
    if not total > 0.0:
        return None
    about = x - (share @ (x - x[0]) / total + x[0])
    deviations = np.sqrt(share @ about**2 / total)
    about = about[:, deviations > 0.0] / deviations[deviations > 0.0]
    values, vectors = np.linalg.eigh((share[:, None] * about).T @ about / total)
    kept = values > _FLAT
    if not kept.any():
        return None
    white = about @ (vectors[:, kept] / np.sqrt(values[kept]))
    if white.shape[1] == 1:
        return np.asarray(white)
    fourth = share * (white**2).sum(axis=1)
    return np.asarray(white @ np.linalg.eigh((fourth[:, None] * white).T @ white / total)[1])


# ------------------------------------------------------------------------------------------------ climbing


def climb(
    model: Mixture, source: ArraySource, start: Parameters, limits: Limits, tol: float, before: Run[Any] | None = None
) -> Run[Any]:
    """EM from a start; small data in bursts whose ends alone are looked at, since nobody asks for every step.

    The loop looks at each point, for rules and observers; a step of EM on a few hundred rows takes less than that.

    Parameters
    ----------
    model : Mixture
        What is fitted.
    source : ArraySource
        The rows.
    start : Parameters
        Where to begin.
    limits : Limits
        Steps at most, deadline and cancellation.
    tol : float
        Nats still to come at which the run ends, by Aitken's extrapolation, twice running.
    before : Run, optional
        The run that ended at `start`, which is gone on from.

    Returns
    -------
    Run
        Its trace holds the last objectives alone.

    Raises
    ------
    NumericalFailure
        If the start has no density.
    Stopped
        If the time is over, or the work has been cancelled.
    KeyboardInterrupt
        If a person interrupts.
    """
    statistics = None if before is None else before.statistics
    trace = list[float]() if before is None else list(before.trace[-4:])
    params, n_iter, status, bursts = start, 0, None, iter(_BURSTS)
    block = source.block(0) if source.n_blocks == 1 else None
    while status is None:
        if (limits.cancel is not None and limits.cancel.is_set()) or time.perf_counter() > limits.deadline:
            raise Stopped
        steps = min(next(bursts, _BURSTS[-1]), limits.max_iter - n_iter)
        trail = None if block is None else model.burst(params, statistics, block, steps)
        if trail is None:
            return _by_the_loop(model, source, params, limits, tol)
        objectives = list(trail.objectives)
        sound = _rising(trace[-1:] + objectives) - len(trace[-1:])
        if sound < 1 and statistics is None:
            raise NumericalFailure(trail.failure or "the objective at the start is not finite")
        if sound:
            params, statistics = trail.point(sound - 1)
            # The first point of a run is its start, which takes no step.
            n_iter += sound - (not trace)
            trace = (trace + objectives[:sound])[-4:]
        if trail.failure or sound < len(objectives):
            status = Status.DEGENERATE
        elif _is_done(trace, tol, max(abs(trace[-1]), source.weight)):
            status = Status.CONVERGED
        elif n_iter >= limits.max_iter:
            status = Status.OUT_OF_ITERATIONS
    return Run(params, statistics, trace[-1], status, n_iter, float(n_iter), tuple(trace))


def _by_the_loop(model: Mixture, source: ArraySource, start: Parameters, limits: Limits, tol: float) -> Run[Any]:
    """The same by the loop, for data that do not go in bursts."""
    rule = AitkenRule(source.weight, tol=tol)
    # Short runs are compared, and only plain steps compare.
    variant = Plain("off" if limits.max_iter <= _SHORT else "auto")
    ended = run(variant.solver(model, rule), with_memory(model, source), start, rule, limits)
    if ended.status is Status.INTERRUPTED and not (limits.cancel is not None and limits.cancel.is_set()):
        raise KeyboardInterrupt
    if ended.status in (Status.INTERRUPTED, Status.OUT_OF_TIME):
        raise Stopped
    return ended


def _rising(objectives: list[float]) -> int:
    """How many of the first objectives are finite and do not fall."""
    if not objectives or not math.isfinite(objectives[0]):
        return 0
    heights = np.array(objectives)
    with np.errstate(invalid="ignore"):
        falls = np.diff(heights) < -FALL_TOLERANCE * np.maximum(np.abs(heights[1:]), 1.0)
    rises = np.isfinite(heights[1:]) & ~falls
    return len(objectives) if rises.all() else 1 + int(rises.argmin())


def _is_done(trace: list[float], tol: float, size: float) -> bool:
    """Whether the gains to come were below the tolerance at the last two steps, or both gains were rounding."""
    if len(trace) < 4:
        return False
    gains = [after - before for before, after in pairwise(trace)]
    noise = 4.0 * float(np.finfo(np.float64).eps) * size
    return all(abs(gain) <= noise or _to_come(gain, before) < tol for before, gain in pairwise(gains))


def _to_come(gain: float, before: float) -> float:
    """The sum of the gains to come, were they to fall on at the ratio of the last two."""
    ratio = gain / before if before > 0.0 else math.inf
    return gain * ratio / (1.0 - ratio) if 0.0 <= ratio < 1.0 else math.inf


def leads_to(trace: Sequence[float]) -> float:
    """Where a run seems to lead: its objective, and the gains to come by Aitken's extrapolation."""
    if len(trace) < 3:
        return trace[-1]
    before, gain = trace[-2] - trace[-3], trace[-1] - trace[-2]
    ratio = min(gain / before, _STEADY) if before > 0.0 and gain > 0.0 else 0.0
    return trace[-1] + gain * ratio / (1.0 - ratio)
