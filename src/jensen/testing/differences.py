"""Derivatives by differences, in units in which the function changes, and with an estimate of their own error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jensen.core.block import Array
from jensen.core.parameters import Parameters

# In units of one row's standard deviations.
_STEP = 0.04
_EPS = float(np.finfo(np.float64).eps)


def units(function: Callable[[Array], float], at: Array, weight: float) -> Array:
    """How far each coordinate must move for one unit of weight to notice: 1 / sqrt(curvature / weight), at most 1.

    Steps and tolerances in these units mean the same whatever the units of the data.

    Parameters
    ----------
    function : callable (p,) -> float
        Of free coordinates, such as the objective.
    at : ndarray of shape (p,)
        Where.
    weight : float
        Sum of the rows' weights.
    """
    here, found = function(at), np.ones(at.size)
    wanted = max(1e-3 * weight, 1e4 * _EPS * abs(here))
    for j in range(at.size):
        step = 1e-8 * max(1.0, abs(at[j]))
        while step < 1.0:
            move = np.zeros(at.size)
            move[j] = step
            with np.errstate(all="ignore"):
                bend = abs(function(at + move) + function(at - move) - 2.0 * here)
            if not bend < wanted:
                break
            step *= 2.0
        # Half the weight's curvature is 1e-3 at this step, so that it is 1 at some 30 times as much.
        found[j] = min(1.0, step * np.sqrt(weight / max(wanted, 1e-300)))
    return found


def gradient(function: Callable[[Array], float], at: Array, unit: Array) -> tuple[Array, Array]:
    """Derivatives by each coordinate in units of `unit`, by Richardson's extrapolation, and their errors.

    Parameters
    ----------
    function : callable (p,) -> float
        Of free coordinates.
    at, unit : ndarray of shape (p,)
        Where, and the coordinates' units.

    Returns
    -------
    ndarray of shape (p,), ndarray of shape (p,)
        Derivatives; bounds of truncation and rounding together.
    """
    found, error = np.empty(at.size), np.empty(at.size)
    for j in range(at.size):
        central, size = np.empty(3), 0.0
        for i in range(3):
            move = np.zeros(at.size)
            move[j] = unit[j] * _STEP / 2**i
            up, down = function(at + move), function(at - move)
            central[i], size = (up - down) * 2**i / (2.0 * _STEP), max(size, abs(up))
        first = (4.0 * central[1:] - central[:-1]) / 3.0
        found[j] = (16.0 * first[1] - first[0]) / 15.0
        error[j] = abs(first[1] - first[0]) + 64.0 * _EPS * size / _STEP
    return found, error


def moved(params: Parameters, unit: Array, rng: np.random.Generator) -> Parameters:
    """Parameters half a unit away in every free coordinate, at random."""
    return params.from_free(params.to_free() + 0.5 * unit * rng.standard_normal(unit.size))
