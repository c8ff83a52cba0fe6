"""EM's rate: the fraction of the information that is missing, overall and by parameter."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jensen.core.block import Array
from jensen.core.model import Checked
from jensen.core.parameters import Parameters
from jensen.infer.coordinates import Coordinates
from jensen.infer.differences import first_derivative
from jensen.infer.spectrum import Spectrum
from jensen.solve.em import Evaluated, maximized

_STEP = 0.2
_POWER_STEPS, _POWER_TOLERANCE = 200, 1e-7


@dataclass(frozen=True, eq=False)
class EMRate:
    """How fast EM converges at the end, which is how much of the information is missing.

    Attributes
    ----------
    overall : float
        The largest eigenvalue of the EM map's Jacobian: what is left of an error after one iteration, in the end. 1
        where some direction is flat.
    by_parameter : mapping of str to ndarray
        1 - var_com / var_obs of each entry, in natural shapes: the share of its variance that is due to what is hidden
        (Little & Rubin 2002, section 9.1). 1 where the entry is not identified, NaN where it is held or not known.
    eigenvalues : ndarray
        All eigenvalues, descending; only the largest if there are many parameters.
    method : str
        How they were found.
    """

    overall: float
    by_parameter: Mapping[str, Array]
    eigenvalues: Array
    method: str

    @property
    def iterations_per_digit(self) -> float:
        """Iterations of plain EM for one more decimal digit: -1 / log10(overall)."""
        if not 0.0 < self.overall < 1.0:
            return math.inf if self.overall >= 1.0 else 0.0
        return -1.0 / math.log10(self.overall)

    def __repr__(self) -> str:
        lines = [f"EM's rate: {self.overall:.9g} ({self.method})"]
        lines += [f"  {name:<12} {np.array2string(value, precision=4)}" for name, value in self.by_parameter.items()]
        return "\n".join(lines)


def rate_of_spectrum(coordinates: Coordinates, known: Spectrum) -> EMRate:
    """The rate from I_obs and I_com: eigenvalues of 1 - I_com^-1 I_obs (Dempster et al. 1977, eq. 3.15)."""
    shares = np.where(known.is_flat, 0.0, known.shares)
    along = coordinates.jacobian @ known.directions
    complete = (along**2).sum(axis=1)
    return EMRate(
        float(1.0 - shares.min(initial=1.0)),
        coordinates.shaped(_missing(coordinates, known, complete)),
        1.0 - shares,
        "from the complete-data and the observed information",
    )


def rate_by_differences(model: Checked, source: Any, coordinates: Coordinates, known: Spectrum) -> EMRate:
    """The rate from the Jacobian of the EM map at its fixed point; 10 passes and M-steps for each free parameter."""
    directions = _short(coordinates, known)
    step = em_map(model, source, coordinates)
    columns = [first_derivative(lambda t, e=e: step(t * e), _STEP)[0] for e in directions.T]  # type: ignore[misc]
    # Along the directions the Jacobian is D^-1 J D, with the same eigenvalues.
    inner = np.linalg.solve(directions, np.array(columns).T)
    eigenvalues = np.sort(np.linalg.eigvals(inner).real)[::-1]
    # I_com^-1 = (1 - J) I_obs^-1 in the identified space.
    root = known.roots(np.eye(coordinates.size))
    whole = np.linalg.solve(directions.T, inner.T @ directions.T).T
    complete = coordinates.jacobian @ (np.eye(coordinates.size) - whole) @ root @ (coordinates.jacobian @ root).T
    return EMRate(
        float(eigenvalues.max(initial=0.0)),
        coordinates.shaped(_missing(coordinates, known, np.diagonal(complete))),
        eigenvalues,
        "from differences of the EM map",
    )


def rate_by_power(model: Checked, source: Any, coordinates: Coordinates, scale: Array | None = None) -> EMRate:
    """The largest eigenvalue alone, by power iteration on the EM map: two passes an iteration, for many parameters.

    Parameters
    ----------
    model, source
        What is fitted, to what.
    coordinates : Coordinates
        A fixed point of EM.
    scale : ndarray of shape (m,), optional
        Lengths of the free directions over which the EM map is nearly linear; 0.01 each by default.
    """
    step = em_map(model, source, coordinates)
    scale = np.full(coordinates.size, 1e-2) if scale is None else scale
    direction = np.ones(coordinates.size) / math.sqrt(max(coordinates.size, 1))
    value, before, steps = 0.0, math.inf, 0
    while steps < _POWER_STEPS and abs(value - before) > _POWER_TOLERANCE * max(abs(value), 1e-3):
        before, steps = value, steps + 1
        image = (step(scale * direction) - step(-scale * direction)) / (2.0 * scale)
        value = float(np.linalg.norm(image))
        if value == 0.0:
            break
        direction = image / value
    unknown = coordinates.shaped(np.full(coordinates.jacobian.shape[0], np.nan))
    return EMRate(value, unknown, np.array([value]), f"by {steps} power iterations on the EM map")


def em_map(model: Checked, source: Any, coordinates: Coordinates) -> Callable[[Array], Array]:
    """EM's cycle through all stages as a function of free directions (m,), both ways relative to the point."""

    def cycle(step: Array) -> Array:
        params: Parameters = coordinates.moved(step)
        for turn, stage in enumerate(model.stages):
            statistics = source.fold(stage.expect, params)
            params = maximized(model, Evaluated(params, statistics, np.nan, turn), turn)
        return np.asarray(coordinates.basis.T @ (params.to_free() - coordinates.free))

    return cycle


def _short(coordinates: Coordinates, known: Spectrum) -> Array:
    """Directions that are about one standard error long, and short where the coordinates are logarithms."""
    directions = known.directions / np.sqrt(np.maximum(np.abs(known.shares), 1e-2))
    longest = np.abs(directions[coordinates.is_curved]).max(axis=0, initial=0.0)
    return np.asarray(directions / np.maximum(longest, 1.0))


def _missing(coordinates: Coordinates, known: Spectrum, complete: Array) -> Array:
    """1 - var_com / var_obs of each natural entry (P,)."""
    observed = (known.roots(coordinates.jacobian) ** 2).sum(axis=1)
    share = np.divide(complete, observed, out=np.ones_like(observed), where=observed > 0)
    _, is_identified = known.parts(coordinates.jacobian)
    found = np.where(is_identified, 1.0 - share, 1.0)
    return np.where(coordinates.is_held, np.nan, found)
