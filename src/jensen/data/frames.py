"""Tables in memory: NumPy arrays, lists, and any data frame, as one numeric matrix.

Frames are read through narwhals, which is imported when the first one comes; pandas, polars and pyarrow are
never imported here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from jensen.core.block import AnyArray
from jensen.data.columns import check_any, select
from jensen.data.table import Table, check_rows, check_values, check_weights
from jensen.datasets import Dataset
from jensen.errors import InputError

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw

# A text column is searched, so many rows at a time, for a value that explains why it is not numeric.
_SEARCHED_AT_ONCE = 10_000

_EXPECTED = "expected a table of n rows and d columns: a NumPy array, a data frame, an Arrow table or a list of rows"


def to_matrix(
    X: Any,
    *,
    columns: Sequence[str | int] | str | int | None = None,
    weights: str | int | None = None,
    names: Sequence[str] | None = None,
    min_rows: int = 2,
    label: str = "X",
) -> Table:
    """Turn any table in memory into one finite, numeric matrix.

    Parameters
    ----------
    X : array-like or data frame, n rows and d columns
        A NumPy array of any real type (read-only arrays and memory maps too), a list of rows, a pandas or
        polars frame, an Arrow table, or any other frame that narwhals reads.
    columns : sequence of str or int, or one of them, default=None
        Columns to use, in this order: names, or positions from 0. None takes every numeric column of a frame
        and sets the others aside; every column of an array.
    weights : str or int, default=None
        The column that holds the weights of the rows; it is then no feature. None: no weights.
    names : sequence of d str, default=None
        Names for the columns of an array or list, which has none of its own; a frame keeps its own.
    min_rows : int, default=2
        The fewest rows that are of use; 1 to predict.
    label : str, default="X"
        What messages call the data.

    Returns
    -------
    Table
        float32 data stay float32 and float64 stay float64, without a copy where the columns are used as they
        are; all other numbers and booleans become float64.

    Raises
    ------
    InputError
        The data are no table of real numbers, have too few rows, missing or infinite values, no numeric
        column, or a column that was named is unknown, not numeric or unfit as weights.
    """
    if isinstance(X, Dataset):
        aside = ((X.target_name or "target", "labels, known beforehand"),) if X.target is not None else ()
        return _from_array(X.data, X.feature_names, aside, columns, weights, min_rows, label)
    if not isinstance(X, np.ndarray | list | tuple):
        frame = _as_frame(X, label)
        if frame is not None:
            return _from_frame(frame, columns, weights, min_rows, label)
    data = _as_array(X, label)
    if names is not None and len(names) != data.shape[1]:
        raise InputError(f"names: {len(names)} names came for the {data.shape[1]} columns of {label}.")
    return _from_array(data, None if names is None else tuple(names), (), columns, weights, min_rows, label)


def default_names(d: int) -> tuple[str, ...]:
    """Return ``x1``, ..., ``xd``, the names of d columns that came without any."""
    return tuple(f"x{j + 1}" for j in range(d))


# ---------------------------------------------------------------------------------------------------- arrays


def _from_array(
    data: AnyArray,
    names: tuple[str, ...] | None,
    set_aside: tuple[tuple[str, str], ...],
    columns: Sequence[str | int] | str | int | None,
    weights: str | int | None,
    min_rows: int,
    label: str,
) -> Table:
    """Select columns of a numeric array and check what is left."""
    d = data.shape[1]
    used, weight_at = select(columns, weights, names, list(range(d)), d, label)
    check_any(used, set_aside, label)
    features = data if used == list(range(d)) else data[:, used]
    names = tuple(names[j] for j in used) if names else None
    check_values(features, names, min_rows=min_rows, label=label)
    weight = None if weight_at is None else check_weights(data[:, weight_at], f"column {weights!r}")
    return Table(features, names, set_aside, weight)


def _as_array(X: Any, label: str) -> AnyArray:
    """Return a 2-d float64 or float32 array, a view of X where possible."""
    if hasattr(X, "toarray"):
        raise InputError(f"{label} is sparse ({type(X).__name__}); {_EXPECTED}. Use {label}.toarray().")
    if isinstance(X, np.ma.MaskedArray):
        X = np.ma.filled(X.astype(object), np.nan) if np.ma.is_masked(X) else X.data
    try:
        array = np.asarray(X)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{label} cannot be read as an array ({error}); {_EXPECTED}.") from None
    if array.ndim == 0:
        raise InputError(f"{label} is a {type(X).__name__}; {_EXPECTED}.")
    if array.ndim == 1:
        raise InputError(
            f"{label} has 1 dimension, of length {array.shape[0]}; {_EXPECTED}. For one feature use "
            f"numpy.reshape({label}, (-1, 1)), for one row (1, -1)."
        )
    if array.ndim > 2:
        raise InputError(f"{label} has {array.ndim} dimensions, of shape {array.shape}; {_EXPECTED}.")
    return _as_float(array, label)


def _as_float(array: AnyArray, label: str) -> AnyArray:
    """Return the values as float64, or as float32 where they are so already."""
    if array.dtype == np.float32 or array.dtype == np.float64:
        return array
    if array.dtype.kind == "O":
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{label} holds Python objects that are no real numbers ({error}); leave those columns out, "
                "or convert them."
            ) from None
    if array.dtype.kind not in "fiub":
        kind = {"c": "complex numbers", "U": "text", "S": "bytes", "M": "dates", "m": "durations"}
        raise InputError(
            f"{label} holds {kind.get(array.dtype.kind, f'values of type {array.dtype}')}; expected real "
            "numbers. Leave those columns out, or convert them; in a data frame they are set aside."
        )
    return array.astype(np.float64)


# ---------------------------------------------------------------------------------------------------- frames


def _as_frame(X: Any, label: str) -> nw.DataFrame[Any] | None:
    """Return X as a narwhals frame, or None where it is none."""
    import narwhals.stable.v2 as nw
    from narwhals.exceptions import DuplicateError

    try:
        frame = nw.from_native(X, pass_through=True, allow_series=True)
        if frame is X and (hasattr(X, "__arrow_c_stream__") or hasattr(X, "__arrow_c_array__")):
            frame = _from_capsule(X)
        if isinstance(frame, nw.DataFrame):
            # pandas checks its names only now.
            frame.schema  # noqa: B018
    except DuplicateError as error:
        raise InputError(
            f"{label} has columns of the same name ({' '.join(str(error).split())}). Give each its own name."
        ) from None
    if isinstance(frame, nw.LazyFrame):
        raise InputError(f"{label} is a lazy frame, not read yet. Use {label}.collect() or its equivalent first.")
    if isinstance(frame, nw.Series):
        raise InputError(f"{label} is a single column ({type(X).__name__}); {_EXPECTED}. Use {label}.to_frame().")
    return frame if isinstance(frame, nw.DataFrame) else None


def _from_capsule(X: Any) -> Any:
    """Read an object that offers its columns by Arrow's C interface; X itself where they are no table."""
    import narwhals.stable.v2 as nw
    import pyarrow as pa

    try:
        return nw.from_native(pa.table(X))
    except (TypeError, ValueError):
        return X


def _from_frame(
    frame: nw.DataFrame[Any],
    columns: Sequence[str | int] | str | int | None,
    weights: str | int | None,
    min_rows: int,
    label: str,
) -> Table:
    """Select the numeric columns of a frame, set the others aside, and check what is left."""
    import narwhals.stable.v2 as nw

    keys = list(frame.columns)
    # Frames whose columns are numbered have no names to speak of; scikit-learn takes the same view.
    names = tuple(keys) if all(isinstance(key, str) for key in keys) else None
    # Before any look at the types: columns without rows have none.
    check_rows(len(frame), min_rows, label)
    schema = frame.schema
    numeric = [j for j, key in enumerate(keys) if schema[key].is_numeric() or schema[key] == nw.Boolean]
    # R and pandas write the names of the rows, often 1 to n, as a first column without a name: no feature.
    features = [j for j in numeric if str(keys[j]).strip()]
    used, weight_at = select(columns, weights, names, features, len(keys), label)

    for j in used if weight_at is None else [*used, weight_at]:
        if j not in numeric:
            argument = "weights" if j == weight_at else "columns"
            raise InputError(
                f"{argument}: column {keys[j]!r} of {label} holds {_reason(frame, keys[j])}; expected "
                "numbers. Leave it out, or convert it."
            )
    set_aside: tuple[tuple[str, str], ...] = ()
    if columns is None:
        apart = (j for j in range(len(keys)) if j not in features and j != weight_at)
        set_aside = tuple((str(keys[j]), _reason(frame, keys[j])) for j in apart)
    check_any(used, set_aside, label)

    data = _values(frame, [keys[j] for j in used])
    names = tuple(names[j] for j in used) if names else None
    check_values(data, names, min_rows=min_rows, label=label)
    weight = None
    if weight_at is not None:
        weight = check_weights(_values(frame, [keys[weight_at]])[:, 0], f"column {keys[weight_at]!r}")
    return Table(data, names, set_aside, weight)


def _values(frame: nw.DataFrame[Any], keys: list[Any]) -> AnyArray:
    """Return numeric columns as one (n, d) array, nulls as NaN."""
    import narwhals.stable.v2 as nw

    schema = frame.schema
    single = all(schema[key] == nw.Float32 for key in keys)
    target = nw.Float32 if single else nw.Float64
    dtype = np.float32 if single else np.float64
    if frame.implementation.is_pyarrow():
        return _arrow_values(frame.select(*keys).to_native(), dtype)
    chosen = frame.select(*(nw.col(key) if schema[key] == target else nw.col(key).cast(target) for key in keys))
    return np.asarray(chosen.to_numpy(), dtype=dtype)


def _arrow_values(table: Any, dtype: Any) -> AnyArray:
    """Return the numeric columns of an Arrow table as one (n, d) array, nulls as NaN.

    Chunk by chunk from their buffers: pyarrow's own conversion copies every column once more, and loads pandas.
    Integers that no float can hold are rounded, as everywhere else.
    """
    import pyarrow as pa

    target = pa.from_numpy_dtype(dtype)
    out = np.empty((table.num_rows, table.num_columns), dtype=dtype)
    for j, column in enumerate(table.columns):
        start = 0
        for chunk in column.chunks:
            whole = chunk if chunk.type == target else chunk.cast(target, safe=False)
            whole = whole.fill_null(np.nan) if whole.null_count else whole
            if len(whole):
                values = np.frombuffer(whole.buffers()[1], dtype=dtype, count=whole.offset + len(whole))
                out[start : start + len(whole), j] = values[whole.offset :]
            start += len(whole)
    return out


def _reason(frame: nw.DataFrame[Any], key: Any) -> str:
    """Say what a column holds instead of numbers."""
    import narwhals.stable.v2 as nw

    dtype = frame.schema[key]
    if not str(key).strip() and dtype.is_numeric():
        return "numbers under no name, most likely the rows' own"
    column = frame.get_column(key)
    if column.null_count() == len(column):
        return "no values"
    if dtype.is_temporal():
        return "dates or times"
    if dtype in (nw.Categorical, nw.Enum):
        return "categories"
    if dtype not in (nw.String, nw.Object):
        return f"values of type {dtype}"
    for start in range(0, len(column), _SEARCHED_AT_ONCE):
        for value in column[start : start + _SEARCHED_AT_ONCE].to_list():
            if value is not None and not _is_number(value):
                kind = "text" if isinstance(value, str) else "objects"
                return f"{kind}, such as {_short(value)}"
    return "text that reads as numbers" if dtype == nw.String else "numbers stored as objects"


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 30 else f"{shown[:27]}..."


# ---------------------------------------------------------------------------------------------------- frames to give


def kind_of_frame(X: Any) -> Any:
    """What kind of data frame X is, for `frame_of`; None where it is none."""
    import narwhals.stable.v2 as nw

    if isinstance(X, np.ndarray | list | tuple):
        return None
    frame = nw.from_native(X, pass_through=True, allow_series=False)
    return frame.implementation if isinstance(frame, nw.DataFrame) else None


def frame_of(records: Sequence[Mapping[str, Any]], kind: Any = None) -> Any:
    """Records as a data frame.

    Parameters
    ----------
    records : sequence of mapping
        Of the same names; none give an empty frame.
    kind : object, default=None
        From `kind_of_frame`; None takes the first installed of pandas, polars and pyarrow.
    """
    import narwhals.stable.v2 as nw

    if kind is None:
        kind = next(name for name in ("pandas", "polars", "pyarrow") if find_spec(name) is not None)
    names = list(records[0]) if records else []
    columns = {name: [record[name] for record in records] for name in names}
    return nw.from_dict(columns, backend=kind).to_native()
