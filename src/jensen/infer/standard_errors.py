"""Standard errors and confidence intervals, on the natural scale of every parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy.special import ndtri

from jensen.core.block import Array
from jensen.core.domains import Interval, Positive, PositiveDefinite, Simplex
from jensen.core.information import innermost, told_entries
from jensen.core.parameters import Parameters
from jensen.errors import InputError
from jensen.infer.coordinates import Coordinates
from jensen.infer.differences import first_derivative
from jensen.infer.spectrum import Spectrum

Kind = Literal["observed", "sandwich"]
# Rows of a printed table at most.
_SHOWN = 60
# The step of a function's derivative, in complete-data standard errors.
_STEP = 0.1
ON_BOUNDARY = "held on the boundary"
NOT_IDENTIFIED = "not identified"
# What is printed of an entry without free coordinates, whose error is 0.
HELD = "held fixed"


@dataclass(frozen=True)
class Estimate:
    """A function of the parameters with its standard error.

    Attributes
    ----------
    name : str
        What it is called.
    value : float or ndarray
        At the parameters.
    standard_error : float or ndarray
        By the delta method; NaN where it is refused.
    reason : str
        Why it is refused; empty if it is not.
    """

    name: str
    value: Any
    standard_error: Any
    reason: str = ""

    def __str__(self) -> str:
        if np.ndim(self.value):
            return f"{self.name} = {np.array2string(np.asarray(self.value), precision=6)}"
        told = self.reason or f"standard error {float(self.standard_error):.4g}"
        return f"{self.name} = {float(self.value):.6g} ({told})"


@dataclass(frozen=True, eq=False)
class StandardErrors:
    """Standard errors at a point where the score is zero; ``errors["name"]`` has the parameter's shape.

    Attributes
    ----------
    params : Parameters
        The point: the fit's parameters, run on to a score of zero.
    values : mapping of str to ndarray
        Standard errors by parameter, in natural shapes; NaN where they are refused.
    covariance : ndarray of shape (P, P)
        Between the natural entries, in the order of `entries`; NaN where refused.
    free_covariance : ndarray of shape (n_free, n_free)
        Between the free coordinates. Along flat and held directions it is 0: they are left out, not known.
    entries : tuple of str
        Names of the P natural entries.
    kind : {"observed", "sandwich"}
        The inverse of the observed information, or with the rows' scores between two of them.
    method : str
        How the information was found.
    refused : mapping of str to str
        Entries without a standard error, and why.
    combinations : tuple of Estimate
        What the model declares as ``identified``.
    notes : tuple of str
        What a user should know, each in a sentence.
    """

    params: Parameters
    values: Mapping[str, Array]
    covariance: Array = field(repr=False)
    free_covariance: Array = field(repr=False)
    entries: tuple[str, ...] = field(repr=False)
    kind: Kind
    method: str
    refused: Mapping[str, str]
    combinations: tuple[Estimate, ...] = ()
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Array:
        return self.values[name]

    def __repr__(self) -> str:
        told, flat = told_entries(self.params.domains), _flat(self.params.values)
        errors = _flat(self.values)
        rows = [
            (name, f"{flat[i]:.6g}", _brief(self.refused.get(name, "")) or (f"{errors[i]:.4g}" if errors[i] else HELD))
            for i, name in enumerate(self.entries)
            if told[i]
        ]
        rows += [
            (c.name, f"{c.value:.6g}", _brief(c.reason) or f"{c.standard_error:.4g}")
            for c in self.combinations
            if np.ndim(c.value) == 0
        ]
        kind = "" if self.kind == "observed" else ", sandwich"
        lines = [
            f"Standard errors{kind}; information: {self.method}",
            *_table(("", "estimate", "standard error"), rows),
        ]
        return "\n".join(lines + [f"Note: {note}" for note in self.notes])

    def confint(self, level: float = 0.95, scale: Literal["natural", "free"] = "natural") -> ConfidenceIntervals:
        """Wald intervals of every entry.

        Parameters
        ----------
        level : float, default=0.95
            Coverage, between 0 and 1.
        scale : {"natural", "free"}, default="natural"
            ``natural``: estimate -+ z standard errors, cut at the bounds of the domain. ``free``: the same on the
            scale on which the entry is free (the logarithm of a positive one, the logit of a share or of a
            probability, the entry itself otherwise) and carried back; such intervals are not symmetric and never
            touch the bounds, which serves better near them.

        Raises
        ------
        InputError
            If the level or the scale is none.
        """
        if not (isinstance(level, int | float) and 0.0 < level < 1.0):
            raise InputError(f"level must be a number between 0 and 1, such as 0.95, got {level!r}")
        if scale not in ("natural", "free"):
            raise InputError(f"scale must be 'natural' or 'free', got {scale!r}")
        z, lower, upper = -float(ndtri(0.5 * (1.0 - level))), dict[str, Array](), dict[str, Array]()
        for name, domain in self.params.domains.items():
            value, error = self.params[name], self.values[name]
            low, high = _bounds_of(domain)
            ends = value - z * error, value + z * error
            if scale == "free":
                ends = _on_free_scale(value, error, z, low, high)
            lower[name], upper[name] = (np.clip(end, low, high) for end in ends)
        return ConfidenceIntervals(self, level, scale, lower, upper)


@dataclass(frozen=True, eq=False)
class ConfidenceIntervals:
    """Confidence intervals by parameter; ``intervals["name"]`` has the parameter's shape and a last axis of two.

    Attributes
    ----------
    errors : StandardErrors
        What they come from.
    level : float
        Coverage.
    scale : {"natural", "free"}
        On which they were formed.
    lower, upper : mapping of str to ndarray
        Ends by parameter, in natural shapes; NaN where a standard error is refused.
    """

    errors: StandardErrors
    level: float
    scale: str
    lower: Mapping[str, Array]
    upper: Mapping[str, Array]

    def __getitem__(self, name: str) -> Array:
        return np.stack([self.lower[name], self.upper[name]], axis=-1)

    def __repr__(self) -> str:
        errors = self.errors
        told, flat = told_entries(errors.params.domains), _flat(errors.params.values)
        low, high = _flat(self.lower), _flat(self.upper)
        rows = [
            (name, f"{flat[i]:.6g}", _brief(errors.refused.get(name, "")) or f"{low[i]:.6g} to {high[i]:.6g}")
            for i, name in enumerate(errors.entries)
            if told[i]
        ]
        title = f"{100 * self.level:g} % confidence intervals, formed on the {self.scale} scale"
        return "\n".join([title, *_table(("", "estimate", "interval"), rows)])


def covariance_root(known: Spectrum, meat: Array | None) -> Array:
    """A (m, q) with A A' the covariance between free directions: I^-1, or I^-1 M I^-1 for the meat M.

    The inverse is taken in the identified space alone.
    """
    keep = known.identified
    if meat is None:
        return np.asarray(known.directions[:, keep] / np.sqrt(known.shares[keep]))
    inside = known.directions[:, keep] / known.shares[keep]
    values, vectors = np.linalg.eigh(inside.T @ meat @ inside)
    back = known.directions[:, keep].T
    # inside' M inside is the covariance along the directions; its root, carried back to the free directions.
    return np.asarray(back.T @ (vectors * np.sqrt(np.maximum(values, 0.0))))


def natural_errors(
    coordinates: Coordinates, known: Spectrum, root: Array, blocked: str
) -> tuple[Array, Array, dict[str, str]]:
    """Standard errors (P,) and covariance (P, P) of the natural entries, and why some are refused.

    Parameters
    ----------
    coordinates : Coordinates
        The point.
    known : Spectrum
        Its spectrum.
    root : ndarray of shape (m, q)
        Of the covariance between the free directions.
    blocked : str
        Why all are refused; empty if they are not.
    """
    gradients = coordinates.jacobian
    reach = gradients @ root
    _, is_identified = known.parts(gradients)
    refused = dict[str, str]()
    bad = coordinates.is_held | ~is_identified | bool(blocked)
    for i in np.flatnonzero(bad):
        reason = ON_BOUNDARY if coordinates.is_held[i] else NOT_IDENTIFIED
        refused[coordinates.names[i]] = blocked or reason
    covariance = reach @ reach.T
    covariance[bad] = covariance[:, bad] = np.nan
    return np.sqrt(np.diagonal(covariance)), covariance, refused


def function_error(
    function: Callable[[Parameters], Any],
    name: str,
    coordinates: Coordinates,
    known: Spectrum,
    root: Array,
    blocked: str,
) -> Estimate:
    """The standard error of a function by the delta method, its gradient by differences along the directions.

    A function whose gradient leaves the identified space is refused: it changes where the likelihood does not.
    """
    value = np.asarray(function(coordinates.params), dtype=np.float64)
    along = np.zeros((value.size, coordinates.size))
    for j, direction in enumerate(known.directions.T):
        length = max(1.0, float(np.abs(direction[coordinates.is_curved]).max(initial=0.0)))
        step = direction / length

        def moved(t: float, step: Array = step) -> Array:
            return np.ravel(np.asarray(function(coordinates.moved(t * step)), dtype=np.float64))

        along[:, j] = first_derivative(moved, _STEP)[0] * length
    lost = np.linalg.norm(along[:, ~known.identified], axis=1)
    # Differences have an error of their own, relative to the value.
    noise = 1e-9 * np.abs(np.ravel(value))
    bad = lost > known.tolerance * np.linalg.norm(along, axis=1) + noise
    # V' I_com V = 1, so that the root in the coordinates along the directions is their inverse times it.
    inner = np.linalg.solve(known.directions, root) if coordinates.size else root
    errors = np.where(bad | bool(blocked), np.nan, np.linalg.norm(along @ inner, axis=1))
    reason = blocked or (NOT_IDENTIFIED if bad.any() else "")
    if value.ndim == 0:
        return Estimate(name, float(value), float(errors[0]), reason)
    return Estimate(name, value, errors.reshape(value.shape), reason)


def _on_free_scale(value: Array, error: Array, z: float, low: Array, high: Array) -> tuple[Array, Array]:
    """Wald intervals on the log or logit scale of entries with bounds; the others as they are."""
    below, above = np.isfinite(low), np.isfinite(high)
    both, one = below & above, below & ~above
    with np.errstate(all="ignore"):
        odds = (value - low) / (high - value)
        spread = np.exp(z * error * (high - low) / ((value - low) * (high - value)))
        logit = [low + (high - low) * o / (1.0 + o) for o in (odds / spread, odds * spread)]
        factor = np.exp(z * error / value)
        log = value / factor, value * factor
    plain = value - z * error, value + z * error
    first, second = (np.where(both, a, np.where(one, b, c)) for a, b, c in zip(logit, log, plain, strict=True))
    return first, second


def _bounds_of(domain: Any) -> tuple[Array, Array]:
    """Bounds of the entries of one parameter, in its shape."""
    low, high = np.full(domain.shape, -np.inf), np.full(domain.shape, np.inf)
    domain = innermost(domain)
    if isinstance(domain, Interval):
        low[...], high[...] = domain.lower, domain.upper
    elif isinstance(domain, Simplex):
        low[...], high[...] = 0.0, 1.0
    elif isinstance(domain, Positive):
        low[...] = 0.0
    elif isinstance(domain, PositiveDefinite):
        low[..., np.arange(domain.dimension), np.arange(domain.dimension)] = 0.0
    return low, high


def _brief(reason: str) -> str:
    """A reason in a table; what holds for all entries is said once, in a note."""
    return reason if reason in ("", ON_BOUNDARY, NOT_IDENTIFIED) else "refused"


def _flat(values: Mapping[str, Array]) -> Array:
    return np.concatenate([np.ravel(value) for value in values.values()])


def _table(header: tuple[str, str, str], rows: list[tuple[str, str, str]]) -> list[str]:
    shown = rows[:_SHOWN]
    widths = [max(len(row[i]) for row in [header, *shown]) for i in range(2)]
    lines = [f"  {name:<{widths[0]}}  {value:>{widths[1]}}  {told}" for name, value, told in [header, *shown]]
    return lines + ([f"  ... and {len(rows) - _SHOWN} more"] if len(rows) > _SHOWN else [])
