"""Derivatives by differences whose steps shrink, extrapolated to a step of zero, with an estimate of their error.

Central differences have an error in even powers of the step, which Richardson's extrapolation (1911) removes one by
one; of the extrapolated values the one that agrees best with its neighbours is kept (Ridders 1982).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jensen.core.block import Array

# Steps, each half of the one before.
LEVELS = 5


def first_derivative(function: Callable[[float], Any], step: float) -> tuple[Array, Array]:
    """Derivative at 0 of a function of one number, and an estimate of its error, both of the function's shape.

    Parameters
    ----------
    function : callable (float) -> float or ndarray
        Smooth; evaluated at `LEVELS` steps either side of 0.
    step : float
        The largest step, on whose scale the function is no longer straight.
    """
    return _extrapolated(lambda h: (_value(function, h) - _value(function, -h)) / (2.0 * h), step)


def second_derivative(function: Callable[[float], Any], centre: Any, step: float) -> tuple[Array, Array]:
    """Second derivative at 0, and an estimate of its error; `centre` is the value at 0."""
    middle = 2.0 * np.asarray(centre, dtype=np.float64)
    return _extrapolated(lambda h: (_value(function, h) - middle + _value(function, -h)) / (h * h), step)


def hessian(function: Callable[[Array], float], size: int, step: float) -> tuple[Array, float]:
    """Second derivatives at 0 of a function of a vector (size,), and the largest estimate of their errors.

    Mixed ones come from second derivatives along sums of two coordinates: size (size + 1) / 2 lines in all.
    """
    centre, unit = function(np.zeros(size)), np.eye(size)
    out, worst = np.zeros((size, size)), 0.0

    def along(direction: Array, h: float) -> float:
        value, error = second_derivative(lambda t: function(t * direction), centre, h)
        nonlocal worst
        worst = max(worst, float(error))
        return float(value)

    for i in range(size):
        out[i, i] = along(unit[i], step)
    for i in range(size):
        for j in range(i):
            # Over the diagonal of the square the same length is covered.
            both = along(unit[i] + unit[j], step * np.sqrt(0.5))
            out[i, j] = out[j, i] = 0.5 * (both - out[i, i] - out[j, j])
    return out, worst


def curvature_scale(function: Callable[[float], float], centre: float, guess: float) -> float:
    """The step over which a function falls by about half a unit, by its second difference; `guess` if it has none.

    A log-likelihood falls by half a unit within one standard error.
    """
    step = guess
    for _ in range(30):
        with np.errstate(all="ignore"):
            drop = abs(function(step) - 2.0 * centre + function(-step))
        if not np.isfinite(drop) or drop > 10.0:
            step /= 8.0
        elif drop < 1e-3:
            if step > 100.0 * guess:
                return guess
            step *= 4.0
        else:
            return step / float(np.sqrt(drop))
    return guess


def _value(function: Callable[[float], Any], at: float) -> Array:
    return np.asarray(function(at), dtype=np.float64)


def _extrapolated(difference: Callable[[float], Array], step: float) -> tuple[Array, Array]:
    """Neville's table over halved steps; of each entry the value whose neighbours in the table are nearest."""
    before = [difference(step)]
    best, error = before[0], np.full(np.shape(before[0]), np.inf)
    for level in range(1, LEVELS):
        row = [difference(step / 2.0**level)]
        for order in range(1, level + 1):
            factor = 4.0**order
            row.append((factor * row[order - 1] - before[order - 1]) / (factor - 1.0))
            here = np.maximum(np.abs(row[order] - row[order - 1]), np.abs(row[order] - before[order - 1]))
            better = here < error
            best, error = np.where(better, row[order], best), np.where(better, here, error)
        before = row
    return best, error
