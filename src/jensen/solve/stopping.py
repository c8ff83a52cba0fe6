"""Stopping rules: when there is nothing worth having left to gain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from jensen.core.contracts import Info
from jensen.core.status import Status

# Gains below this share of the objective are rounding; several sums of n terms stand behind each objective.
_NOISE = 16.0 * np.finfo(np.float64).eps
# Steps below this share of a coordinate are rounding of the E- and M-step.
_NO_STEP = 1e-14
# Steps below this share of the tolerance that do not fall any more are rounding as well, of larger sums.
_SHARE_OF_TOL = 1e-2
# Plain pairs between extrapolations whose ratios a rule remembers.
_REMEMBERED = 5


@dataclass
class AitkenRule:
    """Stop when what EM would still gain, by Aitken's extrapolation, is below the tolerance twice running.

    With the last gain d and the ratio a to the gain before, the gains to come sum to d a / (1 - a) (Boehning et al.
    1994, section 2). The tolerance is on the total objective, in nats: the default follows the data's weight, so
    that it is below what a likelihood-ratio test could see on any data.

    Attributes
    ----------
    weight : float
        Sum of the rows' weights; the tolerance is max(1e-6, 1e-9 * weight).
    tol : float, optional
        Another tolerance, in nats of the total objective.
    history : tuple of float
        Last objectives of a run that is continued. If this run begins where they ended, to the bit, the data are the
        same and the rule goes on from their gains; without that, single steps by warm starts would never converge.
    """

    weight: float
    history: tuple[float, ...] = ()
    tol: float | None = None
    _last_gain: float = field(default=np.inf, repr=False)
    _small: int = field(default=0, repr=False)
    _drowned: int = field(default=0, repr=False)
    _ratios: tuple[float, ...] = field(default=(), repr=False)

    def update(self, info: Info) -> Status | None:
        """A status to stop with, or None."""
        if not info.plain:
            # An extrapolated step says nothing of how EM converges: the plain pair of the cycle does.
            return None
        if math.isfinite(info.gain):
            return self._judge(info.objective, info.gain, self._largest(info.ratio))
        if self.history and self.history[-1] == info.objective:
            for earlier, later in pairwise(self.history):
                self._judge(later, later - earlier)
        return None

    def passes(self, objectives: Sequence[float], before: float) -> int:
        """How many plain points would not stop a run; see `jensen.core.contracts.StoppingRule`."""
        if not math.isfinite(before) or not len(objectives):
            return 0
        # The same as `_judge` of all points at once.
        points = np.array([before, *objectives])
        values, gains = points[1:], points[1:] - points[:-1]
        last = np.array([self._last_gain, *gains[:-1]])
        noise = _NOISE * np.maximum(np.abs(values), self.weight)
        drowned = np.abs(gains) <= noise
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where((last > 0.0) & (last != np.inf), gains / last, np.inf)
            to_come = np.where((ratios >= 0.0) & (ratios < 1.0), gains * ratios / (1.0 - ratios), np.inf)
        small = np.where(drowned, np.minimum(to_come, noise), to_come) < self.tolerance
        stop = np.zeros(len(values), dtype=bool)
        for now, counted in ((small, self._small), (drowned, self._drowned)):
            stop[1:] |= now[1:] & now[:-1]
            stop[0] |= bool(now[0]) and counted >= 1
        passed = int(stop.argmax()) if stop.any() else len(values)
        if passed:
            seen = passed - 1
            self._last_gain = float(gains[seen])
            self._small = int(small[seen]) if passed > 1 or not small[0] else self._small + 1
            self._drowned = int(drowned[seen]) if passed > 1 or not drowned[0] else self._drowned + 1
        return passed

    @property
    def tolerance(self) -> float:
        """What may still be to come, in nats."""
        return max(1e-6, 1e-9 * self.weight) if self.tol is None else self.tol

    def _largest(self, ratio: float | None) -> float | None:
        """The largest of the last known ratios; None if the solver knows none.

        An extrapolation takes away the slow part of the error first: the ratio right after it is that of a faster
        part, and what is left of the slow one would be thought done.
        """
        if ratio is None:
            return None
        self._ratios = (*self._ratios, ratio)[-_REMEMBERED:]
        return max(self._ratios)

    def _judge(self, objective: float, gain: float, ratio: float | None = None) -> Status | None:
        before, self._last_gain = self._last_gain, gain
        noise = _NOISE * max(abs(objective), self.weight)
        self._drowned = self._drowned + 1 if abs(gain) <= noise else 0
        # An infinite gain before (the first one) makes the ratio 0, and says nothing about what is to come.
        if ratio is None:
            ratio = gain / before if math.isfinite(before) and before > 0 else np.inf
        to_come = gain * ratio / (1.0 - ratio) if 0.0 <= ratio < 1.0 else np.inf
        if abs(gain) <= noise:
            to_come = min(to_come, noise)
        self._small = self._small + 1 if to_come < self.tolerance else 0
        if self._small >= 2:
            return Status.CONVERGED
        return Status.ROUNDING_LIMIT if self._drowned >= 2 else None


@dataclass
class AtRest:
    """Stop when the parameters are where EM would leave them: for what needs a score of zero, such as standard errors.

    The objective is flat where the score is zero: by itself it says no more of the parameters than half their digits.
    With the last step s and the ratio a to the step before, the steps to come sum to s a / (1 - a); as with gains, it
    is the largest of the last few ratios that counts.

    Attributes
    ----------
    tol : float, default=1e-10
        How far a free coordinate may still be from rest, twice running, as a share of its size where that is above 1;
        free coordinates are logarithms, logits and the like. Positive.
    """

    tol: float = 1e-10
    _still: int = field(default=0, repr=False)
    _drowned: int = field(default=0, repr=False)
    _last_step: float = field(default=0.0, repr=False)
    _ratios: tuple[float, ...] = field(default=(), repr=False)

    def update(self, info: Info) -> Status | None:
        """A status to stop with, or None."""
        if info.step is None:
            return None
        ratio = math.sqrt(info.ratio) if info.ratio is not None else self._ratio_to_last(info.step)
        self._last_step = info.step
        if info.step == 0.0:
            ratio = 0.0
        if ratio is not None:
            self._ratios = (*self._ratios, ratio)[-_REMEMBERED:]
        largest = max(self._ratios, default=math.inf)
        # Steps within rounding are none, and their ratios are anything, also above 1.
        noise = _NO_STEP if largest < 1.0 else max(_NO_STEP, _SHARE_OF_TOL * self.tol)
        self._drowned = self._drowned + 1 if info.step <= noise else 0
        to_come = info.step * largest / (1.0 - largest) if largest < 1.0 else math.inf
        self._still = self._still + 1 if max(to_come, info.step) <= self.tol else 0
        if self._still >= 2:
            return Status.CONVERGED
        return Status.ROUNDING_LIMIT if self._drowned >= 2 else None

    def _ratio_to_last(self, step: float) -> float | None:
        return step / self._last_step if self._last_step > 0.0 else None


@dataclass(frozen=True)
class MeanChangeRule:
    """scikit-learn's rule: stop when the mean objective per row changes by less than `tol`.

    A warm start begins at the objective at which the last fit ended, so that the rule carries over by itself.

    Attributes
    ----------
    tol : float
        At least 0.
    weight : float
        Sum of the rows' weights.
    """

    tol: float
    weight: float

    def passes(self, objectives: Sequence[float], before: float) -> int:
        """How many plain points would not stop a run; see `jensen.core.contracts.StoppingRule`."""
        passed = 0
        for objective in objectives:
            if abs(objective - before) / self.weight < self.tol:
                break
            passed, before = passed + 1, objective
        return passed

    def update(self, info: Info) -> Status | None:
        """A status to stop with, or None."""
        return Status.CONVERGED if info.plain and abs(info.gain) / self.weight < self.tol else None
