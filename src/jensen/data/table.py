"""The record that every reader returns, and the checks that its values must pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.errors import InputError

# Values are checked this many at a time, so that no mask as large as the data is ever held.
_CHECKED_AT_ONCE = 1 << 18
_NAMED_AT_MOST = 5


@dataclass(frozen=True, eq=False)
class Table:
    """A numeric matrix with what is known about its columns.

    Attributes
    ----------
    data : ndarray of shape (n, d)
        Finite values, float64 or float32, in the memory order in which they came; not a copy where none is
        needed.
    feature_names : tuple of d str, or None
        Names of the columns; None where the source has none.
    set_aside : tuple of (str, str)
        Columns that take no part because they are not numeric: their names, each with the reason.
    weights : ndarray of shape (n,), float64, or None
        Weights of the rows, at least 0 and not all 0; None where no column was named.
    """

    data: AnyArray
    feature_names: tuple[str, ...] | None = None
    set_aside: tuple[tuple[str, str], ...] = ()
    weights: Array | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows, n."""
        return int(self.data.shape[0])

    @property
    def n_features(self) -> int:
        """Number of columns, d."""
        return int(self.data.shape[1])


def check_values(data: AnyArray, names: Sequence[str] | None, *, min_rows: int, label: str) -> None:
    """Refuse a matrix with too few rows, or with values that are missing or infinite.

    Parameters
    ----------
    data : ndarray of shape (n, d)
        Real floating-point values.
    names : sequence of d str, or None
        Names of the columns, for the message.
    min_rows : int
        The fewest rows that are of use.
    label : str
        What the caller calls the data.

    Raises
    ------
    InputError
        Naming the columns at fault, with the number of rows in each.
    """
    n, d = data.shape
    check_rows(n, min_rows, label)
    step = max(1, _CHECKED_AT_ONCE // max(d, 1))
    if all(np.isfinite(data[first : first + step]).all() for first in range(0, n, step)):
        return
    missing = np.zeros(d, dtype=np.int64)
    infinite = np.zeros(d, dtype=np.int64)
    for first in range(0, n, step):
        rows_here = data[first : first + step]
        missing += np.isnan(rows_here).sum(axis=0)
        infinite += np.isinf(rows_here).sum(axis=0)
    if missing.any():
        raise InputError(
            f"{label} has missing values (NaN or null) in {_tally(missing, names)}. Incomplete rows cannot "
            "be used yet: drop those rows, or fill the values in."
        )
    raise InputError(
        f"{label} has infinite values in {_tally(infinite, names)}; expected finite numbers. Drop those "
        "rows, or replace the values."
    )


def check_rows(n: int, min_rows: int, label: str) -> None:
    """Refuse a table with fewer rows than are of use, or with none.

    Raises
    ------
    InputError
        There are fewer than ``min_rows``, or none at all.
    """
    if n < max(min_rows, 1):
        raise InputError(
            f"{label} has {'no rows' if n == 0 else _rows(n)}; expected at least {max(min_rows, 1)}. Check "
            "that the right data came, with all their rows."
        )


def check_weights(weights: AnyArray, name: str) -> Array:
    """Return the weights of the rows as float64, or refuse them.

    Parameters
    ----------
    weights : ndarray of shape (n,)
        Real numbers.
    name : str
        The column they came from, as a message names it.

    Returns
    -------
    ndarray of shape (n,), float64
        A contiguous copy, each at least 0, with a positive sum.

    Raises
    ------
    InputError
        A weight is missing, infinite or negative, or all are 0.
    """
    weight = np.array(weights, dtype=np.float64)
    faults = (
        ("missing", np.isnan(weight), "drop those rows, or give them a weight"),
        ("infinite", np.isinf(weight), "give those rows a finite weight"),
        ("negative", weight < 0, "a weight counts how often a row occurs; 0 leaves it out"),
    )
    for fault, rows, remedy in faults:
        if rows.any():
            raise InputError(
                f"weights: {name} is {fault} in {_rows(int(rows.sum()))}, first in row {int(rows.argmax())} "
                f"(from 0); expected finite numbers, at least 0: {remedy}."
            )
    if not weight.any():
        raise InputError(
            f"weights: {name} is 0 in every row; expected at least one positive weight. Name another column, or none."
        )
    return weight


def suggestion(name: str, options: Sequence[str]) -> str:
    """Word a hint for a name that is none of the options, likely ones first; empty where there are none."""
    close = get_close_matches(name, options, n=1, cutoff=0.6)
    known = f" Known: {_listed(options)}." if options else ""
    return f" Did you mean {close[0]!r}?{known}" if close else known


def _tally(counts: AnyArray, names: Sequence[str] | None) -> str:
    """Word the columns with a positive count, such as "column 'age' (3 rows)"."""
    at_fault = np.flatnonzero(counts)
    words = [
        f"{names[j]!r} ({_rows(int(counts[j]))})" if names else f"{j} ({_rows(int(counts[j]))})"
        for j in at_fault[:_NAMED_AT_MOST]
    ]
    more = len(at_fault) - len(words)
    noun = "column" if len(at_fault) == 1 else f"{len(at_fault)} columns:"
    return f"{noun} {', '.join(words)}" + (f" and {more} more" if more else "")


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _listed(options: Sequence[str]) -> str:
    """List names up to a readable number."""
    shown = ", ".join(repr(option) for option in options[:20])
    return shown + (f" and {len(options) - 20} more" if len(options) > 20 else "")
