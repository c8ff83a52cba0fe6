"""What rows and components are drawn against: columns, and directions in which components differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.errors import InputError
from jensen.infer.projection import projection

# Columns that a page offers, besides directions.
MOST_COLUMNS = 6


@dataclass(frozen=True, eq=False)
class Axes:
    """Linear functions of a row, z = (x - origin) U.

    Attributes
    ----------
    names : tuple of str
        What each is called, shape (A,).
    directions : ndarray of shape (d, A)
        U; for a column, a unit vector.
    origin : ndarray of shape (d,)
        Subtracted first; 0 for columns, whose values are shown as they are.
    offsets : ndarray of shape (A,)
        What a row at the origin shows.
    scale : ndarray of shape (d,)
        Standard deviations of the columns: the units in which a shift is small.
    shown : tuple of int
        The axes to begin with, one or two.
    """

    names: tuple[str, ...]
    directions: Array = field(repr=False)
    origin: Array = field(repr=False)
    offsets: Array = field(repr=False)
    scale: Array = field(repr=False)
    shown: tuple[int, ...]

    def points(self, rows: AnyArray) -> Array:
        """Rows or means (n, d) on the axes, shape (n, A)."""
        # Centred before they are multiplied, so that an offset of the columns costs no digits.
        return np.asarray((np.asarray(rows, dtype=np.float64) - self.origin) @ self.directions + self.offsets)

    def spreads(self, covariances: Array) -> Array:
        """Covariances (K, d, d) on the axes, shape (K, A, A)."""
        return np.asarray(np.einsum("da,kde,eb->kab", self.directions, covariances, self.directions, optimize=True))

    def moved(self, means: Array, onto: Sequence[int], places: Array) -> Array:
        """Means (K, d), each shifted as little as it takes to show at places (K, len(onto)) on some axes.

        Shifts are measured in standard deviations of the columns, so that a shift along two columns changes no other.
        """
        chosen = list(onto)
        steps = places - self.points(means)[:, chosen]
        in_units = self.directions[:, chosen] * self.scale[:, None]
        shifts = np.linalg.lstsq(in_units.T, steps.T, rcond=None)[0]
        return np.asarray(means + shifts.T * self.scale)


def axes_of(
    names: Sequence[str],
    centre: Array,
    scale: Array,
    informative: AnyArray,
    mixture: tuple[Array, Array, Array],
    asked: Sequence[str] | None = None,
) -> Axes:
    """The axes for a mixture.

    Parameters
    ----------
    names : sequence of str
        Names of the d columns.
    centre, scale : ndarray of shape (d,)
        Means and standard deviations of the columns.
    informative : ndarray of shape (d,) of bool
        Columns that vary; no other is offered, if there is one.
    mixture : tuple of ndarray
        Weights (K,), means (K, d) and covariances (K, d, d) at the end of the best run: of more than two columns, the
        two directions in which its components differ most are shown first (Scrucca 2010).
    asked : sequence of str, optional
        Two columns to show first, or one beside the next.
    """
    d = len(names)
    offered = [int(j) for j in np.flatnonzero(informative)][:MOST_COLUMNS] or [0]
    wanted = [list(names).index(name) for name in asked or ()]
    offered = wanted + [j for j in offered if j not in wanted]
    told, columns = [names[j] for j in offered], [np.eye(d)[:, j] for j in offered]
    offsets, shown = [float(centre[j]) for j in offered], list(range(min(2, len(offered))))
    if d > 2 and len(mixture[0]) > 1:
        found = _directions(*mixture)
        if found is not None:
            told += [f"direction {number + 1}" for number in range(2)]
            columns += [*found.T]
            offsets += [0.0, 0.0]
            shown = shown if wanted else [len(told) - 2, len(told) - 1]
    return Axes(tuple(told), np.stack(columns, axis=1), centre, np.array(offsets), scale, tuple(shown))


def _directions(weights: Array, means: Array, covariances: Array) -> Array | None:
    """The two directions in which components differ most, shape (d, 2); None where they differ in fewer."""
    try:
        directions = projection(weights, means, covariances).directions
    except InputError:
        return None
    return directions[:, :2] if directions.shape[1] >= 2 else None


def check_columns(asked: Sequence[str] | None, names: Sequence[str]) -> None:
    """Refuse columns to show that are not among those that are fitted.

    Raises
    ------
    InputError
        If one is unknown or comes twice, or there are more than two.
    """
    for name in asked or ():
        if name not in names:
            known = ", ".join(repr(other) for other in names[:10])
            raise InputError(f"axes: there is no column {name!r} among those that are fitted: {known}.")
    if len(set(asked or ())) < len(asked or ()) or len(asked or ()) > 2:
        raise InputError(f"axes: expected one or two different columns, got {', '.join(map(repr, asked or ()))}.")
