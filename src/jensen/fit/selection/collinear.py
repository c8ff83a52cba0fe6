"""Columns that are linear combinations of others, by name: with them no covariance of its own can be estimated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr

from jensen.core.block import Array
from jensen.fit.summary import DataSummary

# A column is a combination of others if it differs from it by less than this share of its standard deviation.
_SAME = 1e-8
# Coefficients below this share of a standard deviation are rounding.
_NONE = 1e-6
_NAMED = 4


@dataclass(frozen=True, eq=False)
class Combination:
    """A column and the others that it is made of.

    Attributes
    ----------
    column : int
        Which.
    others : tuple of int
        Of what.
    coefficients : tuple of float
        How much of each, in units of the columns, besides a constant.
    """

    column: int
    others: tuple[int, ...]
    coefficients: tuple[float, ...]

    def words(self, names: tuple[str, ...]) -> str:
        """Such as ``'c' is 2 'a' + 'b' and a constant``."""
        terms = [
            f"{'-' if c < 0 else '+'} {'' if abs(abs(c) - 1.0) < _NONE else f'{abs(c):.4g} '}{names[j]!r}"
            for j, c in zip(self.others[:_NAMED], self.coefficients, strict=False)
        ]
        text = " ".join(terms).removeprefix("+ ")
        more = " + ..." if len(self.others) > _NAMED else ""
        return f"{names[self.column]!r} is {text}{more}, but for a constant"


def collinear_columns(data: DataSummary) -> tuple[Combination, ...]:
    """The columns that others determine, each once; constant columns are left out.

    Parameters
    ----------
    data : DataSummary
        The table of different rows.

    Returns
    -------
    tuple of Combination
        By QR with column pivoting on columns in standard deviations (Golub & Van Loan 2013, section 5.4.2).
    """
    # A column may vary in rows alone that are not in the table.
    columns = np.flatnonzero(data.informative & (np.ptp(data.rows, axis=0) > 0))
    if len(columns) < 2 or len(data.rows) <= len(columns):
        return ()
    weight = data.weight / data.weight.sum()
    z = np.asarray(data.rows[:, columns], dtype=np.float64)
    z = z - weight @ z
    scale = np.sqrt(weight @ z**2)
    z = np.sqrt(weight)[:, None] * (z / scale)
    triangle, order = qr(z, mode="r", pivoting=True)
    sizes = np.abs(np.diagonal(triangle))
    rank = int((sizes > _SAME).sum())
    found = list[Combination]()
    for place in range(rank, len(columns)):
        inside: Array = np.linalg.solve(triangle[:rank, :rank], triangle[:rank, place])
        used = np.flatnonzero(np.abs(inside) > _NONE)
        own = order[place]
        others = sorted((int(order[j]), float(inside[j] * scale[own] / scale[order[j]])) for j in used)
        found.append(
            Combination(int(columns[own]), tuple(int(columns[j]) for j, _ in others), tuple(c for _, c in others))
        )
    return tuple(sorted(found, key=lambda one: one.column))
