"""Run on to a score of zero: standard errors and ranks belong to such a point, and a fit ends near one.

Newton's steps with the observed information, safeguarded by the objective. Along directions that the data say little
of, or that lead upwards, the step is EM's own, the score in the metric of the complete-data information.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from jensen.core.block import Array
from jensen.core.parameters import Parameters
from jensen.errors import NumericalFailure
from jensen.infer.local import Local, Way
from jensen.infer.spectrum import Spectrum, spectrum

_MOST_STEPS = 100
# Steps in which their length must halve at least once; towards a maximum on a boundary it falls by 0.6 in each.
_PATIENCE = 20
_MOST_HALVINGS = 30
# Length of the next step, in standard errors, at which a point is at rest; and one that rounding may leave.
_AT_REST, _NEARLY = 1e-8, 1e-5
# Smaller steps than this, in standard errors, gain too little for the objective to tell.
_UNSEEN = 1e-3
_SLOW = 0.2


@dataclass(frozen=True, eq=False)
class Rest:
    """Where the polishing ended.

    Attributes
    ----------
    local : Local
        Everything at the point.
    spectrum : Spectrum
        Its spectrum.
    is_zero : bool
        Whether the score is zero there.
    gained : float
        What the objective gained on the way, in nats.
    distance : float
        Length of the way, in the standard errors of its end.
    reason : str
        Why the score is not zero, if it is not.
    """

    local: Local
    spectrum: Spectrum
    is_zero: bool
    gained: float
    distance: float
    reason: str = ""


def to_rest(way: Way, params: Parameters) -> Rest:
    """Newton's steps from a fit to a score of zero.

    Parameters
    ----------
    way : Way
        How score and information are found.
    params : Parameters
        Where to begin.
    """
    here = first = way.at(params)
    known, is_fresh, before, reason = _spectrum(here), True, np.inf, ""
    least, since = np.inf, 0
    for _ in range(_MOST_STEPS):
        step, length = _newton(here, known)
        if length <= _AT_REST:
            break
        least, since = (length, 0) if length < 0.5 * least else (least, since + 1)
        if since >= _PATIENCE:
            reason = f"{_PATIENCE} Newton steps came no nearer to it"
            break
        if not is_fresh and length > _SLOW * before:
            # The information of an earlier point no longer serves, or rounding has been reached.
            here, is_fresh, before = way.at(here.coordinates.params), True, np.inf
            known = _spectrum(here)
            continue
        if way.is_exact and length > 0.5 * before and length <= _NEARLY:
            break
        following = _guarded(way, here, step, length)
        if following is None:
            if is_fresh:
                reason = "" if length <= _NEARLY else "no step along the score raises the objective"
                break
            here, is_fresh, before = way.at(here.coordinates.params), True, np.inf
            known = _spectrum(here)
            continue
        here, is_fresh, before = following, way.is_exact, length
        # Where the information is that of before, so is its spectrum.
        known = _spectrum(here) if way.is_exact or here.coordinates.size != known.shares.size else known
    else:
        reason = f"{_MOST_STEPS} Newton steps did not bring the score to zero"
    if not way.is_exact and not is_fresh:
        here = way.at(here.coordinates.params)
        known = _spectrum(here)
    _, length = _newton(here, known)
    is_zero = length <= _NEARLY
    return Rest(
        here,
        known,
        is_zero,
        here.objective - first.objective,
        _distance(first, here, known),
        "" if is_zero else reason or f"the next Newton step would still be {length:.2g} standard errors long",
    )


def _spectrum(local: Local) -> Spectrum:
    return spectrum(local.observed, local.complete, local.error)


def _newton(local: Local, known: Spectrum) -> tuple[Array, float]:
    """The step (m,), and its length in standard errors."""
    along = known.directions.T @ local.score
    # Below the threshold nothing is known of the curvature: 1 makes it EM's step.
    curvature = np.where(known.identified, known.shares, 1.0)
    return known.directions @ (along / curvature), float(np.sqrt((along**2 / curvature).sum()))


def _guarded(way: Way, here: Local, step: Array, length: float) -> Local | None:
    """The point a step away, halved until the objective does not fall; None if that never happens."""
    for halving in range(_MOST_HALVINGS):
        params = here.coordinates.moved(step * 0.5**halving)
        if not params.is_finite:
            continue
        try:
            there = way.again(params, here)
        except (NumericalFailure, FloatingPointError, np.linalg.LinAlgError):
            continue
        sound = np.isfinite(there.objective) and np.isfinite(there.score).all() and np.isfinite(there.observed).all()
        if sound and (length <= _UNSEEN or there.objective >= here.objective - 1e-12 * abs(here.objective)):
            return there
    return None


def _distance(first: Local, last: Local, known: Spectrum) -> float:
    """From the first point to the last, in standard errors of the last."""
    step = last.coordinates.basis.T @ (last.coordinates.free - first.coordinates.free)
    squared = float(step @ last.observed @ step)
    return math.sqrt(max(squared, 0.0))
