"""Write and read model files. Every size is checked against the file's before anything of that size is made.

The layout is that of safetensors: eight bytes with the length of a JSON header, the header, and the numbers. The
header names the tensors, and carries one JSON document of ours as the text ``__metadata__.jensen``.
"""

from __future__ import annotations

import json
import math
import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jensen.core.block import Array
from jensen.data.atomic import atomic_write, check_writable
from jensen.errors import ModelFileError
from jensen.store.record import ModelRecord, check_document, check_shapes, to_document, to_record
from jensen.store.strict_json import Malformed, parse

ENDING = ".safetensors"
KEY = "jensen"
# Room for a hundred thousand long column names; the numbers do not count.
MAX_HEADER = 1 << 24
_LENGTH = struct.Struct("<Q")


def write_model(path: str | os.PathLike[str], record: ModelRecord) -> None:
    """Write a model file, whole or not at all: a good file under that name stays until the new one is complete.

    Parameters
    ----------
    path : path-like
        Where to; the name should end in ``.safetensors``.
    record : ModelRecord
        What to write.

    Raises
    ------
    InputError
        If the path cannot be written.
    ModelFileError
        If the record is one that could not be read back: its info is no JSON, say. Nothing is written.
    """
    from safetensors.numpy import save

    check_writable(path)
    try:
        text = json.dumps(to_document(record), allow_nan=False)
        values = record.fitted.params.values
        shapes = {name: value.shape for name, value in values.items()}
        document = parse(text, "the description")
        check_shapes(*check_document(document), shapes)
        to_record(document, values)
    except (Malformed, TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(f"{os.fspath(path)} was not written: {error}. Correct the model first.") from None
    content = save({name: np.ascontiguousarray(value) for name, value in values.items()}, metadata={KEY: text})
    if _LENGTH.unpack(content[:8])[0] > MAX_HEADER:
        raise ModelFileError(
            f"{os.fspath(path)} was not written: names and info take more than {MAX_HEADER} bytes. Shorten them."
        )
    with atomic_write(path) as stream:
        stream.write(content)


def read_model(path: str | os.PathLike[str]) -> ModelRecord:
    """Read a model file. No code is run, and nothing is believed that the file says of itself.

    Parameters
    ----------
    path : path-like
        A file that ``write_model`` wrote.

    Returns
    -------
    ModelRecord
        With the very bits that were written.

    Raises
    ------
    ModelFileError
        If there is no such file, or it is damaged, from elsewhere, or from a newer version.
    """
    name = os.fspath(path)
    try:
        if Path(name).is_dir():
            raise ModelFileError(f"{name} is a folder; expected a model file. Name the file inside it.")
        # Opening a pipe would wait for somebody to write into it.
        if Path(name).exists() and not Path(name).is_file():
            raise ModelFileError(f"{name} is no regular file; expected a model file. Copy it to one.")
        with open(name, "rb") as stream:
            return _read(stream)
    except Malformed as fault:
        raise ModelFileError(
            f"{name} cannot be used as a model file: {fault}. Expected a whole file that jensen wrote "
            "(jensen fit --out, or jensen.save)."
        ) from None
    except FileNotFoundError:
        raise ModelFileError(f"{name}: there is no such model file. Check the path.") from None
    except MemoryError:
        raise ModelFileError(f"{name} needs more memory than there is. Use a larger machine.") from None
    except (OSError, ValueError) as error:
        if isinstance(error, ModelFileError):
            raise
        cause = getattr(error, "strerror", None) or str(error)
        raise ModelFileError(f"{name!r} cannot be read: {cause}. Check the path and its permissions.") from None


def _read(stream: BinaryIO) -> ModelRecord:
    size = os.fstat(stream.fileno()).st_size
    prefix = stream.read(_LENGTH.size)
    if len(prefix) < _LENGTH.size:
        raise Malformed("it is empty" if not prefix else f"it has only {len(prefix)} bytes")
    (length,) = _LENGTH.unpack(prefix)
    room = size - _LENGTH.size
    if length > min(MAX_HEADER, room):
        if length > MAX_HEADER:
            raise Malformed("it is of another format")
        raise Malformed(f"it is cut short: its first bytes ask for a header of {length} bytes, in a file of {size}")
    header = parse(stream.read(length), "its header")
    document, layout = _layout(header, room - length)
    arrays = {name: _read_array(stream, shape) for name, shape in layout.items()}
    return to_record(document, arrays)


def _layout(header: Any, n_bytes: int) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """The description, and the shapes of the tensors in the order of their bytes, of which there are `n_bytes`."""
    if not isinstance(header, dict):
        raise Malformed("its header is no JSON object")
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not isinstance(metadata.get(KEY), str):
        raise Malformed("it is a safetensors file from elsewhere, without a description of a mixture")
    if len(metadata) > 1:
        raise Malformed(f"its header has unknown metadata {sorted(set(metadata) - {KEY})}")
    document = parse(metadata[KEY], "its description")
    described = check_document(document)
    spans = {name: _span(name, entry) for name, entry in header.items()}
    check_shapes(*described, {name: shape for name, (shape, _, _) in spans.items()})
    layout, at = dict[str, tuple[int, ...]](), 0
    for name in sorted(spans, key=lambda name: spans[name][1]):
        shape, begin, end = spans[name]
        if begin != at or end - begin != 8 * math.prod(shape):
            raise Malformed(f"its {name} lie at bytes {begin} to {end}, which does not fit the shape {list(shape)}")
        layout[name], at = shape, end
    if at != n_bytes:
        raise Malformed(f"it has {n_bytes} bytes of numbers where its header describes {at}: cut short, or mixed up")
    return document, layout


def _span(name: str, entry: Any) -> tuple[tuple[int, ...], int, int]:
    """Shape, first byte and end of a tensor, of 64-bit floats."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise Malformed(f"its header does not describe {name!r} as safetensors do")
    if entry["dtype"] != "F64":
        raise Malformed(f"its {name!r} are of type {entry['dtype']!r}, expected F64")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
        raise Malformed(f"its header gives {name!r} a shape or offsets that are no counts")
    return tuple(shape), offsets[0], offsets[1]


def _are_counts(values: Any) -> bool:
    """Whether something is a list of integers from 0 (True and False are not)."""
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _read_array(stream: BinaryIO, shape: tuple[int, ...]) -> Array:
    content = stream.read(8 * math.prod(shape))
    if len(content) < 8 * math.prod(shape):
        raise Malformed("it became shorter while it was read")
    return np.frombuffer(content, dtype="<f8").reshape(shape)
