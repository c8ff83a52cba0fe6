"""Identifiability at a point of zero score: the rank, the flat directions by name, and what is known all the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jensen.core.block import Array
from jensen.core.information import told_entries
from jensen.infer.coordinates import Coordinates
from jensen.infer.spectrum import Spectrum
from jensen.infer.standard_errors import Estimate

_SHOWN = 6
# Parts of a direction below this, in standard errors of the largest one, are rounding.
_NOTHING = 1e-6


@dataclass(frozen=True)
class FlatDirection:
    """A direction along which the parameters can move without changing the likelihood.

    Attributes
    ----------
    entries : mapping of str to float
        The entries that move, and how much relative to one another; of length 1.
    """

    entries: Mapping[str, float]

    def __str__(self) -> str:
        names = list(self.entries)
        if len(names) == 1:
            return f"{names[0]} can move by itself without changing the likelihood"
        shown = names[:_SHOWN]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        parts = ", ".join(f"{self.entries[name]:+.2g} {name}" for name in shown)
        parts += ", ..." if more else ""
        who = f"{', '.join(shown)}{more}" if more else f"{', '.join(shown[:-1])} and {shown[-1]}"
        return f"{who} can move together along ({parts}) without changing the likelihood"


@dataclass(frozen=True, eq=False)
class Identifiability:
    """What the data can tell of the parameters, at a point where the score is zero.

    Attributes
    ----------
    rank : int
        Rank of the observed information.
    n_free : int
        Free parameters, those held on the boundary left out.
    flat : tuple of FlatDirection
        Independent directions that change nothing; each as few entries as can be.
    is_maximum : bool
        Whether no direction leads upwards; else the point is a saddle.
    combinations : tuple of Estimate
        What the model declares as ``identified``, with its own standard error.
    held : tuple of str
        Entries on the boundary, held fixed.
    shares : ndarray of shape (n_free,)
        Fractions of the complete-data information that are observed, ascending.
    threshold : float
        A share at most this cannot be told from 0.
    method : str
        How the information was found.
    """

    rank: int
    n_free: int
    flat: tuple[FlatDirection, ...]
    is_maximum: bool
    combinations: tuple[Estimate, ...]
    held: tuple[str, ...]
    shares: Array
    threshold: float
    method: str

    def __repr__(self) -> str:
        lines = [f"Identifiability: rank {self.rank} of {self.n_free}; information: {self.method}"]
        if not self.is_maximum:
            lines.append("  The point is a saddle: some directions lead upwards.")
        lines += [f"  {direction}." for direction in self.flat]
        lines += [f"  {combination}." for combination in self.combinations]
        lines += [f"  Held fixed on the boundary: {', '.join(self.held)}."] if self.held else []
        return "\n".join(lines)


def identifiability(
    coordinates: Coordinates, known: Spectrum, combinations: tuple[Estimate, ...], method: str
) -> Identifiability:
    """The report from a spectrum; see `Identifiability`."""
    return Identifiability(
        known.rank,
        coordinates.size,
        flat_directions(coordinates, known),
        known.is_maximum,
        combinations,
        coordinates.held,
        known.shares,
        known.threshold,
        method,
    )


def flat_directions(coordinates: Coordinates, known: Spectrum) -> tuple[FlatDirection, ...]:
    """A basis of the flat directions on the natural scale, in which each direction moves few entries.

    Elimination with full pivoting: each direction moves one entry that none of the others does.
    """
    told = told_entries(coordinates.params.domains)
    names = [name for name, is_told in zip(coordinates.names, told, strict=True) if is_told]
    along = (coordinates.jacobian @ known.directions)[told]
    # In units of the complete-data standard errors, so that pivots do not depend on the units of the entries.
    unit = np.linalg.norm(along, axis=1)
    unit = np.where(unit > 0, unit, 1.0)
    basis = along[:, known.is_flat] / unit[:, None]
    pivots = list[int]()
    for column in range(basis.shape[1]):
        left = np.abs(basis[:, column:])
        left[pivots] = 0.0
        row, offset = np.unravel_index(int(left.argmax()), left.shape)
        swapped = [column, column + int(offset)]
        basis[:, swapped] = basis[:, swapped[::-1]]
        pivots.append(int(row))
        basis[:, column] /= basis[row, column]
        for other in range(basis.shape[1]):
            if other != column:
                basis[:, other] -= basis[row, other] * basis[:, column]
    found = list[FlatDirection]()
    for part in basis.T:
        moves = np.abs(part) > max(_NOTHING, known.tolerance) * np.abs(part).max(initial=0.0)
        natural = np.where(moves, part * unit, 0.0)
        natural = natural / np.linalg.norm(natural)
        found.append(FlatDirection({names[i]: float(natural[i]) for i in np.flatnonzero(moves)}))
    return tuple(found)
