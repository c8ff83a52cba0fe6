"""New data for a model that is already there: its columns are found by name, wherever they stand."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from jensen.data.files import open_table
from jensen.data.frames import default_names, to_matrix
from jensen.data.table import Table, suggestion
from jensen.errors import InputError


def read_matching(source: str | os.PathLike[str], names: tuple[str, ...] | None, n_features: int) -> Table:
    """Read the columns that a model was fitted on, in its order.

    Columns are matched by name; others may stand beside them. Where the model or the file has no names of its own
    (``x1``, ``x2``, ... stand in for them), they are matched by position, and there must be as many.

    Parameters
    ----------
    source : path-like, or the name of a bundled data set
        As for ``read_table``.
    names : tuple of d str, or None
        The model's columns.
    n_features : int
        d.

    Returns
    -------
    Table
        One row or more, d columns.

    Raises
    ------
    InputError
        A column is missing, their number is another one, or the data are unusable.
    """
    content, found = open_table(source)
    label = os.fspath(source)
    array_names = found if isinstance(content, np.ndarray) else None
    columns = None
    if names is not None and found is not None:
        unnamed = found == default_names(len(found)) or names == default_names(n_features)
        if set(names) <= set(found):
            columns = list(names)
        elif not unnamed or set(names) & set(found):
            missing = [name for name in names if name not in found]
            raise InputError(_missing(label, missing, found))
    table = to_matrix(content, columns=columns, names=array_names, min_rows=1, label=label)
    if table.n_features != n_features:
        raise InputError(
            f"{label} has {table.n_features} numeric columns, the model {n_features}. Bring the columns that the "
            "model was fitted on, under their names or in their order."
        )
    return table


def _missing(label: str, missing: Sequence[str], found: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in missing[:5]) + (f" and {len(missing) - 5} more" if missing[5:] else "")
    noun = "column" if len(missing) == 1 else "columns"
    return f"{label} has no {noun} {shown}, which the model was fitted on.{suggestion(missing[0], found)}"
