"""Tables on disk: CSV, Parquet, Arrow and NumPy files in and out.

pyarrow is imported when a file is read or written, never before.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from jensen import datasets
from jensen.core.block import AnyArray
from jensen.data.atomic import atomic_write, check_writable
from jensen.data.frames import default_names, to_matrix
from jensen.data.table import Table, suggestion
from jensen.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

# The first row of a text file must end within this many characters.
_HEAD = 1 << 20

_READABLE = ".csv, .tsv (also .csv.gz, .tsv.gz), .parquet, .arrow, .feather or .npy"
_WRITABLE = ".csv, .tsv, .parquet, .arrow, .feather or .npy"


def read_table(
    source: str | os.PathLike[str],
    *,
    columns: Sequence[str | int] | str | int | None = None,
    weights: str | int | None = None,
    min_rows: int = 2,
) -> Table:
    """Read the numeric columns of a file, or of a bundled data set.

    Parameters
    ----------
    source : path-like, or the name of a bundled data set
        The ending of a path says what it holds: CSV or TSV (plain or gzipped), Parquet, Arrow (Feather) or
        NumPy. A text file whose first row is all numbers has no header; columns without names are called
        ``x1``, ..., ``xd``. A CSV whose first row has no comma may be separated by semicolons or tabs.
    columns : sequence of str or int, or one of them, default=None
        Columns to use, in this order: names, or positions from 0. None takes every numeric column and sets
        the others aside.
    weights : str or int, default=None
        The column that holds the weights of the rows; it is then no feature. None: no weights.
    min_rows : int, default=2
        The fewest rows that are of use; 1 to predict.

    Returns
    -------
    Table
        The matrix, its names, the columns set aside with the reason, and the weights. A .npy file stays on
        disk, mapped into memory; one of a single dimension is one column.

    Raises
    ------
    InputError
        There is no such file, it is not of a known kind, it is damaged, or its values are unusable; see
        ``to_matrix``.
    """
    content, names = open_table(source)
    array_names = names if isinstance(content, np.ndarray) else None
    label = os.fspath(source)
    return to_matrix(content, columns=columns, weights=weights, names=array_names, min_rows=min_rows, label=label)


def open_table(source: str | os.PathLike[str]) -> tuple[Any, tuple[str, ...] | None]:
    """Read a whole file, or a bundled data set, without a look at its values.

    Parameters
    ----------
    source : path-like, or the name of a bundled data set
        As for ``read_table``.

    Returns
    -------
    Dataset, pyarrow.Table or ndarray
        What ``to_matrix`` takes.
    tuple of str or None
        Names of all its columns, ``x1``, ..., ``xd`` where it has none; None for an array that is no matrix.

    Raises
    ------
    InputError
        There is no such file, it is not of a known kind, or it is damaged.
    """
    name = os.fspath(source)
    if name in datasets.names():
        bundled = datasets.load(name)
        return bundled, bundled.feature_names
    path = Path(name)
    _check_readable(path, name)
    ending = _ending(path)
    if ending not in _READERS:
        raise InputError(
            f"{name}: files that end in {ending or 'nothing'!r} are unknown; expected {_READABLE}. Convert "
            "the file, or give it the ending of what it holds."
        )
    try:
        content = _READERS[ending](path)
    except InputError:
        raise
    except UnicodeDecodeError:
        raise InputError(f"{name} is no text in UTF-8. Save it as UTF-8.") from None
    except MemoryError:
        raise InputError(f"{name} asks for more memory than there is. Read a part of it.") from None
    # A damaged file may provoke anything in a parser; to the reader of the message it is all one.
    except Exception as error:
        raise InputError(
            f"{name} cannot be read as {ending}: {_one_line(error)}. The file is damaged, cut short, or of "
            "another kind than its name says; write it again, or correct the ending."
        ) from None
    if isinstance(content, np.ndarray):
        return content, default_names(content.shape[1]) if content.ndim == 2 else None
    return content, tuple(content.column_names)


def write_table(path: str | os.PathLike[str], columns: Mapping[str, AnyArray]) -> None:
    """Write columns of equal length to a file, whole or not at all.

    Parameters
    ----------
    path : path-like
        The ending says the format: CSV, TSV, Parquet, Arrow (Feather) or NumPy. Numbers in text are the
        shortest that read back to the same bits. A .npy file holds no names: one column becomes an array of
        shape (n,), several one of shape (n, m).
    columns : mapping of str to ndarray of shape (n,)
        The columns by name, in order.

    Raises
    ------
    InputError
        The ending is unknown, the path cannot be written, or the columns do not fit together. Nothing is
        written.
    """
    check_output(path)
    shapes = {np.shape(values) for values in columns.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        found = ", ".join(f"{name!r} {np.shape(values)}" for name, values in columns.items()) or "none"
        raise InputError(f"columns: expected arrays of one dimension and equal length; got {found}.")
    write = _WRITERS[_ending(Path(path))]
    with atomic_write(path) as stream:
        write(stream, columns)


def check_output(path: str | os.PathLike[str]) -> None:
    """Refuse a path that ``write_table`` could not write, before the work whose result it is to hold.

    Raises
    ------
    InputError
        The ending is unknown, the folder is missing, or the path is a folder or device.
    """
    ending = _ending(Path(path))
    if ending not in _WRITERS:
        raise InputError(
            f"{os.fspath(path)}: tables cannot be written to files that end in {ending or 'nothing'!r}; "
            f"expected {_WRITABLE}."
        )
    check_writable(path)


def _ending(path: Path) -> str:
    """Return the ending that says the format, such as ".csv" or ".csv.gz"."""
    last = path.suffix.lower()
    return Path(path.stem).suffix.lower() + last if last == ".gz" else last


def _check_readable(path: Path, name: str) -> None:
    """Refuse a path that is no file with content."""
    try:
        status = path.stat() if path.exists() else None
    except (OSError, ValueError) as error:
        raise InputError(f"{name!r} cannot be read: {_one_line(error)}.") from None
    if status is None:
        hint = suggestion(name, datasets.names()).replace("Known:", "Bundled data sets:")
        raise InputError(f"{name}: no such file, and no bundled data set of that name.{hint}")
    if path.is_dir():
        raise InputError(f"{name} is a folder; expected one file ({_READABLE}).")
    if path.is_file() and status.st_size == 0:
        raise InputError(f"{name} is empty; expected a table. Check that whatever writes it has finished.")
    if not os.access(path, os.R_OK):
        raise InputError(f"{name} is closed to reading. Change its permissions.")


def _one_line(error: BaseException) -> str:
    """Return an error's message on one line, without its full stop."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


# --------------------------------------------------------------------------------------------------- readers


def _read_csv(path: Path) -> pa.Table:
    return _read_text(path, ",")


def _read_tsv(path: Path) -> pa.Table:
    return _read_text(path, "\t")


def _read_text(path: Path, delimiter: str) -> pa.Table:
    """Read separated text, with or without a header."""
    import pyarrow.csv

    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as stream:
        start = stream.read(_HEAD)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{path} is no text in UTF-8. Save it as UTF-8.")
    head = start.decode("utf-8-sig", errors="ignore").lstrip("\r\n")
    delimiter = _delimiter(head, delimiter)
    first = next((row for row in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter) if row), [])
    names = [field.strip() for field in first]
    headless = _all_numbers(names)
    if not headless and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path} has two columns named {twice!r}. Give each its own name.")
    table = pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(column_names=list(default_names(len(names))) if headless else None),
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values='"' in head),
    )
    return table.rename_columns([column.strip() for column in table.column_names])


def _delimiter(head: str, expected: str) -> str:
    """Return what separates the fields: spreadsheets write semicolons or tabs where the comma is decimal."""
    line = head.split("\n", 1)[0]
    if expected in line:
        return expected
    return next((other for other in ";\t" if other in line), expected)


def _all_numbers(fields: Sequence[str]) -> bool:
    """Tell data from a header: every field is a number or nothing, and one at least is a number."""
    try:
        return bool([float(field) for field in fields if field])
    except ValueError:
        return False


def _read_parquet(path: Path) -> pa.Table:
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(path).read()


def _read_arrow(path: Path) -> pa.Table:
    """Read an Arrow file (Feather version 2) or stream."""
    import pyarrow as pa

    with pa.OSFile(os.fspath(path)) as stream:
        is_file = stream.read(6) == b"ARROW1"
        stream.seek(0)
        reader = pa.ipc.open_file(stream) if is_file else pa.ipc.open_stream(stream)
        table = reader.read_all()
    # Offsets and lengths inside the file are anybody's claim until they are checked.
    table.validate(full=True)
    return table


def _read_npy(path: Path) -> AnyArray:
    """Map a .npy file into memory, read-only; objects, which would run code, are refused."""
    with np.errstate(over="ignore"):
        array = np.lib.format.open_memmap(path, mode="r")
    return array.reshape(-1, 1) if array.ndim == 1 else array


_READERS: dict[str, Callable[[Path], Any]] = {
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
    ".tsv": _read_tsv,
    ".tsv.gz": _read_tsv,
    ".parquet": _read_parquet,
    ".arrow": _read_arrow,
    ".feather": _read_arrow,
    ".npy": _read_npy,
}


# --------------------------------------------------------------------------------------------------- writers


def _arrow_table(columns: Mapping[str, AnyArray]) -> pa.Table:
    import pyarrow as pa

    return pa.table({name: _arrow_array(np.ascontiguousarray(values)) for name, values in columns.items()})


def _arrow_array(values: AnyArray) -> pa.Array:
    """Wrap numbers without a copy; pyarrow's own conversion loads pandas."""
    import pyarrow as pa

    if values.dtype.kind not in "fiu":
        return pa.array(values.tolist())
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def _write_csv(stream: BinaryIO, columns: Mapping[str, AnyArray], delimiter: str = ",") -> None:
    import pyarrow.csv

    header = io.StringIO(newline="")
    csv.writer(header, delimiter=delimiter, lineterminator="\n").writerow(columns)
    stream.write(header.getvalue().encode())
    options = pyarrow.csv.WriteOptions(include_header=False, delimiter=delimiter)
    pyarrow.csv.write_csv(_arrow_table(columns), stream, options)


def _write_tsv(stream: BinaryIO, columns: Mapping[str, AnyArray]) -> None:
    _write_csv(stream, columns, "\t")


def _write_parquet(stream: BinaryIO, columns: Mapping[str, AnyArray]) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(_arrow_table(columns), stream)


def _write_arrow(stream: BinaryIO, columns: Mapping[str, AnyArray]) -> None:
    import pyarrow as pa

    table = _arrow_table(columns)
    with pa.ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table)


def _write_npy(stream: BinaryIO, columns: Mapping[str, AnyArray]) -> None:
    arrays = list(columns.values())
    np.save(stream, arrays[0] if len(arrays) == 1 else np.column_stack(arrays), allow_pickle=False)


_WRITERS: dict[str, Callable[[BinaryIO, Mapping[str, AnyArray]], None]] = {
    ".csv": _write_csv,
    ".tsv": _write_tsv,
    ".parquet": _write_parquet,
    ".arrow": _write_arrow,
    ".feather": _write_arrow,
    ".npy": _write_npy,
}
