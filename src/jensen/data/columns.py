"""Which columns of a table take part: names and positions, in errors that say what was there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jensen.data.table import suggestion
from jensen.errors import InputError


def select(
    columns: Sequence[str | int] | str | int | None,
    weights: str | int | None,
    names: tuple[str, ...] | None,
    eligible: list[int],
    d: int,
    label: str,
) -> tuple[list[int], int | None]:
    """Find the columns that a caller asks for.

    Parameters
    ----------
    columns : sequence of str or int, one of them, or None
        The features; None takes every eligible column that is not the weights.
    weights : str, int or None
        The column of weights.
    names : tuple of d str, or None
        Names of all columns.
    eligible : list of int
        Positions of the columns that are features when none is named.
    d : int
        Number of all columns.
    label : str
        What the caller calls the data.

    Returns
    -------
    list of int
        Positions of the features, in the order asked for.
    int or None
        Position of the weights.

    Raises
    ------
    InputError
        A column is unknown, named twice, or named both as feature and as weights.
    """
    weight_at = None if weights is None else _position(weights, names, d, "weights", label)
    if columns is None:
        return [j for j in eligible if j != weight_at], weight_at
    wanted = [columns] if isinstance(columns, str | int) else list(columns)
    used = [_position(column, names, d, "columns", label) for column in wanted]
    repeated = [column for column, j in zip(wanted, used, strict=True) if used.count(j) > 1]
    if repeated:
        raise InputError(f"columns: {repeated[0]!r} is named more than once. Name each column once.")
    if weight_at in used:
        raise InputError(f"columns: {weights!r} is also named as weights. Name it in one of the two.")
    return used, weight_at


def _position(column: str | int, names: tuple[str, ...] | None, d: int, argument: str, label: str) -> int:
    """Return the position of a column given by name or by position."""
    if isinstance(column, str):
        if names is None:
            raise InputError(
                f"{argument}: {label} has no column names, so {column!r} is unknown. Give positions, 0 to {d - 1}."
            )
        if column not in names:
            raise InputError(f"{argument}: {label} has no column {column!r}.{suggestion(column, names)}")
        return names.index(column)
    if isinstance(column, bool) or not isinstance(column, int | np.integer):
        raise InputError(
            f"{argument}: {column!r} is a {type(column).__name__}; expected the name or position of a column."
        )
    if not 0 <= column < d:
        raise InputError(f"{argument}: {label} has no column {column}; expected a position from 0 to {d - 1}.")
    return int(column)


def check_any(used: list[int], set_aside: tuple[tuple[str, str], ...], label: str) -> None:
    """Refuse data without a single feature.

    Raises
    ------
    InputError
        Nothing is used; the message tells what was set aside.
    """
    if used:
        return
    found = "; ".join(f"{name!r} holds {reason}" for name, reason in set_aside[:5])
    raise InputError(
        f"{label} has no numeric column to use{': ' if found else ''}{found}. Name numeric columns, or "
        "convert some to numbers."
    )
