"""Where a fixed-point map is going, guessed from points and their images: vectors in, a vector out, no passes.

A map F has been evaluated at some points x_i of free coordinates; r_i = F(x_i) - x_i are the residuals. Each method
guesses the point where the residual vanishes from how it has changed between points. Lengths are measured in units of
each coordinate's own residuals, for free coordinates that are no logarithms, such as means, have the data's units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from jensen.core.block import Array

# Directions below this share of the strongest one tell more of the map's curvature than of where it is going.
_RANK = 1e-4
# Residuals below this are none: their reciprocals overflow.
_TINY = 1e-300
# Secants that tell the rate.
N_SECANTS = 5
# By how much the steplength of SQUAREM may still grow from one plain step to the next.
_SETTLED = 1.02
# What a residual counts for in the unit of its coordinate after each further image.
_FADE = 0.8


class Image(NamedTuple):
    """A point (p,) in free coordinates and what the map makes of it (p,)."""

    x: Array
    fx: Array

    @property
    def residual(self) -> Array:
        """F(x) - x, shape (p,)."""
        return self.fx - self.x


class Method(Protocol):
    """A way to extrapolate."""

    @property
    def name(self) -> str:
        """What records call it."""
        ...

    @property
    def restarts(self) -> bool:
        """Whether a refused extrapolation makes it forget the images before."""
        ...

    def window(self, n_free: int) -> int:
        """Images that it looks at for a map of so many coordinates, the present one among them."""
        ...

    def propose(self, images: Sequence[Image], unit: Array) -> Array | None:
        """A point from the images, the present one last; None where they do not tell.

        Lengths are measured in `unit` (p,), which `units` keeps.
        """
        ...


@dataclass(frozen=True)
class Squarem:
    """Squared extrapolation (Varadhan & Roland 2008), with their steplength S3.

    With r = F(x) - x and v = F(F(x)) - 2 F(x) + x the point is x + 2 a r + a^2 v, where a = |r| / |v|, at least 1,
    which is the plain step. It needs two plain steps in a row, and no memory beyond.
    """

    name: str = "SQUAREM"
    restarts: bool = False

    def window(self, n_free: int) -> int:
        """Three plain steps."""
        return 3

    def propose(self, images: Sequence[Image], unit: Array) -> Array | None:
        """The squared step from the last two images, which must be consecutive."""
        scale = _scale(unit)
        length = self._length(images[-2:], scale)
        if length is None:
            return None
        # Three in a row: the last extrapolation was refused. While the length still grows, fast directions hide the
        # slow one, and the next would be refused as well.
        before = self._length(images[-3:-1], scale)
        if before is not None and length > _SETTLED * before:
            return None
        x, r = images[-2].x, images[-2].residual
        length = max(length, 1.0)
        return np.asarray(x + 2.0 * length * r + length**2 * (images[-1].residual - r))

    @staticmethod
    def _length(pair: Sequence[Image], scale: Array) -> float | None:
        """|r| / |v| of two consecutive images."""
        if len(pair) < 2 or pair[1].x is not pair[0].fx:
            return None
        bend = float(np.linalg.norm(scale * (pair[1].residual - pair[0].residual)))
        return float(np.linalg.norm(scale * pair[0].residual)) / bend if bend > 0.0 else None


@dataclass(frozen=True)
class Anderson:
    """Anderson acceleration (Walker & Ni 2011); for EM, with restarts and a guard, Henderson & Varadhan 2019.

    With the differences X of the last points and R of their residuals, and g the least-squares solution of R g = r,
    the point is F(x) - (X + R) g: the combination of images whose residual, were the map linear, is least.

    Attributes
    ----------
    memory : int, default=10
        Differences at most; never more than there are coordinates.
    """

    memory: int = 10
    name: str = "Anderson"
    restarts: bool = True

    def window(self, n_free: int) -> int:
        """The differences, and the present image."""
        return min(self.memory, n_free) + 1

    def propose(self, images: Sequence[Image], unit: Array) -> Array | None:
        """The least-squares combination of the images."""
        if len(images) < 2:
            return None
        scale, here = _scale(unit), images[-1]
        points = np.array([here.x - earlier.x for earlier in images[:-1]]).T
        bends = np.array([here.residual - earlier.residual for earlier in images[:-1]]).T
        shares = _least_squares(bends * scale[:, None], here.residual * scale)
        return None if shares is None else np.asarray(here.fx - (points + bends) @ shares)


@dataclass(frozen=True)
class QuasiNewton:
    """Quasi-Newton steps from secant pairs (Zhou, Alexander & Lange 2011).

    With u_i = x_i+1 - x_i and v_i = F(x_i+1) - F(x_i) as columns of U and V, the map's derivative M is the least one
    with M U = V, and Newton's step for F(x) - x = 0 is F(x) + V (U'U - U'V)^-1 U' (F(x) - x).

    Attributes
    ----------
    secants : int, default=5
        Secant pairs q at most; never more than there are coordinates.
    """

    secants: int = 5
    name: str = "quasi-Newton"
    restarts: bool = True

    def window(self, n_free: int) -> int:
        """The ends of the secants."""
        return min(self.secants, n_free) + 1

    def propose(self, images: Sequence[Image], unit: Array) -> Array | None:
        """Newton's step with the least derivative that explains the images."""
        secants = _secants(images, unit)
        # A map that expands is leaving a saddle: Newton's step would lead back to it.
        if secants is None or _largest_rate(secants) >= 1.0:
            return None
        scale, here = _scale(unit), images[-1]
        u, v = secants
        shares = _least_squares(u.T @ (u - v), u.T @ (here.residual * scale))
        return None if shares is None else np.asarray(here.fx + (v @ shares) * unit)


def slowest_rate(images: Sequence[Image], unit: Array) -> float:
    """The rate of the slowest direction among the last images; 1 or more where the map expands, 0 for one image.

    It is the largest eigenvalue of the map's derivative within the secants. Leaps go along the slow directions: they
    tell the rate at which EM converges better than plain steps do right after a leap, when what is slow has just been
    taken away; and they tell a saddle, where gains may be as small as at a maximum.
    """
    secants = _secants(images[-N_SECANTS - 1 :], unit)
    return 0.0 if secants is None else max(0.0, _largest_rate(secants))


def units(image: Image, before: Array | None = None) -> Array:
    """The unit (p,) in which each coordinate is measured: its residuals so far, the latest counting most.

    A unit that followed the last residual alone would make noise of what has converged; one that remembered all would
    be blind to how the path bends.
    """
    size = np.abs(image.residual)
    return size if before is None else np.maximum(_FADE * before, size)


def _scale(unit: Array) -> Array:
    """One over the unit of each coordinate (p,); 0 for what never moves."""
    return np.divide(1.0, unit, out=np.zeros_like(unit), where=unit > _TINY)


def _secants(images: Sequence[Image], unit: Array) -> tuple[Array, Array] | None:
    """Differences of consecutive points, of unit length, and of their images, both (p, q); None if there are none."""
    if len(images) < 2:
        return None
    scale = _scale(unit)
    u = np.diff([image.x for image in images], axis=0).T * scale[:, None]
    v = np.diff([image.fx for image in images], axis=0).T * scale[:, None]
    lengths = np.linalg.norm(u, axis=0)
    moved = lengths > 0.0
    if not moved.any() or not (np.isfinite(u).all() and np.isfinite(v).all()):
        return None
    return u[:, moved] / lengths[moved], v[:, moved] / lengths[moved]


def _largest_rate(secants: tuple[Array, Array]) -> float:
    """The largest real part of an eigenvalue of the map's derivative within the span of the secants."""
    u, v = secants
    try:
        within = np.linalg.lstsq(u, v, rcond=_RANK)[0]
        return float(np.linalg.eigvals(within).real.max())
    except np.linalg.LinAlgError:
        return 1.0


def _least_squares(matrix: Array, target: Array) -> Array | None:
    """The least-norm solution with columns of unit length; None if there is none."""
    unit = np.linalg.norm(matrix, axis=0)
    if not (np.isfinite(unit).all() and np.isfinite(target).all() and unit.any()):
        return None
    unit = np.where(unit > 0.0, unit, 1.0)
    try:
        shares = np.linalg.lstsq(matrix / unit, target, rcond=_RANK)[0]
    except np.linalg.LinAlgError:
        return None
    return np.asarray(shares / unit)
