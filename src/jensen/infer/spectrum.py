"""The information in units of what would be known if nothing were hidden: rank, flat directions, variances.

With I_obs v = l I_com v, the shares l lie between 0 and 1: along v, EM removes l of the error in each iteration and
keeps 1 - l, its rate (Dempster, Laird & Rubin 1977, section 3.2). A share of 0 is a direction that the data say nothing
of. Shares do not depend on the coordinates, so that one threshold serves all models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.numerics.cholesky import is_positive_definite, lower_factors, triangular_inverses

# Directions of complete-data information below this, relative to the scales of the coordinates, have none.
_NO_INFORMATION, _WELL_KNOWN = 1e-10, 1e-7
_NOTHING = 1e-200
_EXACT, _DIFFERENCES = 1e-8, 1e-6
# How many times the estimated error of the information a share must exceed to be told from 0.
_SAFETY = 30.0


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigen-decomposition of the observed information in the metric of the complete-data one.

    Attributes
    ----------
    shares : ndarray of shape (m,)
        l, ascending: fractions of the complete-data information that are observed.
    directions : ndarray of shape (m, m)
        v by columns, with V' I_com V = 1, V' I_obs V = diag(l).
    threshold : float
        A share at most this cannot be told from 0 by the method that gave the information.
    is_relative : bool
        Whether the complete-data information was known; else the scales of the coordinates stand for it, and shares
        are no fractions.
    """

    shares: Array
    directions: Array
    threshold: float
    is_relative: bool

    @property
    def identified(self) -> AnyArray:
        """Which directions (m,) the data tell of."""
        return self.shares > self.threshold

    @property
    def is_flat(self) -> AnyArray:
        """Which directions (m,) leave the likelihood as it is."""
        return np.abs(self.shares) <= self.threshold

    @property
    def rank(self) -> int:
        """Number of identified directions."""
        return int(np.count_nonzero(self.identified))

    @property
    def is_maximum(self) -> bool:
        """Whether no direction leads upwards."""
        return not bool((self.shares < -self.threshold).any())

    @property
    def tolerance(self) -> float:
        """How much of a gradient may lie along flat directions before what it belongs to counts as not identified."""
        return float(np.sqrt(self.threshold))

    def parts(self, gradients: Array) -> tuple[Array, AnyArray]:
        """Gradients (q, m) by directions, and which of them (q,) are identified: lie in the identified space."""
        along = gradients @ self.directions
        lost = np.linalg.norm(along[:, ~self.identified], axis=1)
        return along, lost <= self.tolerance * np.linalg.norm(along, axis=1)

    def roots(self, gradients: Array) -> Array:
        """A with A A' the inverse of the observed information between gradients (q, m), in the identified space."""
        keep = self.identified
        return np.asarray(gradients @ self.directions[:, keep] / np.sqrt(self.shares[keep]))


def whitening(complete: Array | None, observed: Array) -> tuple[Array, float, bool]:
    """W with W' I_com W = 1; how well it is determined; and whether I_com was there and positive definite.

    Without it, W brings the diagonal of the observed information to 1.

    Parameters
    ----------
    complete : ndarray of shape (m, m) or None
    observed : ndarray of shape (m, m)
    """
    if complete is not None and (np.diagonal(complete) >= 0.0).all():
        unit = _units(np.diagonal(complete))
        scaled = complete * unit[:, None] * unit
        if complete.size and is_positive_definite(scaled):
            inverse = triangular_inverses(lower_factors(scaled))
            # No eigenvalue of the scaled matrix is below 1 / |L^-1|^2.
            smallest = 1.0 / float((inverse**2).sum())
            if smallest > _WELL_KNOWN:
                return unit[:, None] * inverse.T, smallest, True
        values, vectors = np.linalg.eigh(scaled)
        if (values > -_NO_INFORMATION).all():
            known = values > _NO_INFORMATION
            white = unit[:, None] * vectors / np.sqrt(np.where(known, values, 1.0))
            return white, float(values[known].min(initial=1.0)), True
    return np.diag(_units(np.abs(np.diagonal(observed)))), 1.0, False


def _units(diagonal: Array) -> Array:
    """1 / sqrt of a diagonal, and 1 where there is nothing; coordinates may have any units, so that none is small."""
    return np.asarray(1.0 / np.sqrt(np.where(diagonal > _NOTHING, diagonal, 1.0)))


def spectrum(observed: Array, complete: Array | None, error: float = 0.0) -> Spectrum:
    """The spectrum of an information.

    Parameters
    ----------
    observed : ndarray of shape (m, m)
        Symmetric.
    complete : ndarray of shape (m, m) or None
        Symmetric; None if unknown.
    error : float, default=0.0
        Estimated error of `observed`, relative to itself; 0 for one that is exact but for rounding.
    """
    white, smallest, is_relative = whitening(complete, observed)
    inside = white.T @ observed @ white
    shares, turned = np.linalg.eigh(0.5 * (inside + inside.T))
    rounding = 1e3 * np.finfo(np.float64).eps / smallest
    threshold = _EXACT + rounding if error == 0.0 else max(_DIFFERENCES, _SAFETY * error) + rounding
    return Spectrum(shares, white @ turned, min(threshold, 0.1), is_relative)
