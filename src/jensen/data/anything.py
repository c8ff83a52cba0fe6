"""Whatever a person has at hand, as a source of blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jensen.core.block import AnyArray
from jensen.data.arrays import ArraySource
from jensen.data.frames import to_matrix
from jensen.data.table import check_weights
from jensen.errors import InputError


def as_source(data: Any, sample_weight: Any = None) -> Any:
    """A source from rows, named arrays, or a source.

    Parameters
    ----------
    data : array-like of shape (n,) or (n, d), data frame, mapping of str to array-like, or Source
        Rows of finite numbers, which a model finds in ``block.x`` as (n, d); a mapping's arrays, row-aligned, which it
        finds under their names in ``block.arrays`` (``x`` is the one of that name, or else the first). A source is
        taken as it is.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows, at least 0; a row of weight 2 counts as two.

    Returns
    -------
    Source

    Raises
    ------
    InputError
        If the data are no table of finite numbers, or the weights do not fit them.
    """
    # Some data frames fold, too.
    if callable(getattr(data, "fold", None)) and callable(getattr(data, "map_ordered", None)):
        if sample_weight is not None:
            raise InputError("sample_weight goes with arrays; a source brings the weights of its rows itself")
        return data
    arrays = {str(name): np.asarray(value) for name, value in data.items()} if isinstance(data, Mapping) else {}
    if isinstance(data, Mapping):
        if not arrays:
            raise InputError("data is an empty mapping; expected at least one array of n rows")
        lengths = {name: array.shape[0] if array.ndim else -1 for name, array in arrays.items()}
        if len(set(lengths.values())) > 1 or -1 in lengths.values():
            raise InputError(f"the arrays of data must have the same number of rows, got {lengths}")
        data = arrays.get("x", next(iter(arrays.values())))
        arrays.pop("x", None)
    rows = _rows(data)
    weight = None
    if sample_weight is not None:
        try:
            given = np.asarray(sample_weight, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(f"sample_weight must be numbers, got {np.asarray(sample_weight).dtype} entries") from None
        if given.shape != (len(rows),):
            raise InputError(
                f"sample_weight must have one entry per row, shape ({len(rows)},), got shape {given.shape}"
            )
        weight = check_weights(given, "sample_weight")
    return ArraySource(rows, weight).with_arrays(**arrays)


def _rows(data: Any) -> AnyArray:
    """A table (n, d); numbers alone are n rows of one column."""
    # A column of a data frame has a shape; a list has not.
    if len(getattr(data, "shape", ())) == 1 or (isinstance(data, list | tuple) and np.ndim(data) == 1):
        data = np.asarray(data).reshape(-1, 1)
    return to_matrix(data, min_rows=1, label="data").data
