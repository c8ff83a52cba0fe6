"""JSON from anybody: no repeated names, no NaN, no infinities, no deep nesting."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

Json: TypeAlias = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]

MAX_DEPTH = 16


class Malformed(ValueError):
    """Bytes are not what they should be; the message says how, and its callers say in which file."""


def parse(text: str | bytes, what: str) -> Any:
    """Parse one JSON document strictly.

    Parameters
    ----------
    text : str or bytes
        The document; bytes must be UTF-8.
    what : str
        What a message calls the document.

    Raises
    ------
    Malformed
        If it is no JSON, repeats a name, holds a number that is not finite, or nests too deeply.
    """
    try:
        document = json.loads(
            text if isinstance(text, str) else text.decode("utf-8"),
            object_pairs_hook=lambda pairs: _unique(pairs, what),
            parse_constant=lambda name: _refuse(f"{what} holds {name}, which is no JSON"),
            parse_float=lambda digits: _finite(digits, what),
        )
    except Malformed:
        raise
    except RecursionError:
        raise Malformed(f"{what} nests too deeply") from None
    # A syntax error, bytes that are no UTF-8, or an integer of more digits than Python will convert.
    except ValueError as error:
        raise Malformed(f"{what} is no valid JSON ({error})") from None
    if _depth_exceeds(document, MAX_DEPTH):
        raise Malformed(f"{what} nests deeper than {MAX_DEPTH} levels")
    return document


def _unique(pairs: list[tuple[str, Any]], what: str) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Malformed(f"{what} holds {twice!r} twice")
    return found


def _finite(digits: str, what: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _refuse(f"{what} holds {digits}, which is beyond every float")


def _refuse(message: str) -> NoReturn:
    raise Malformed(message)


def _depth_exceeds(document: Any, limit: int) -> bool:
    """Whether containers nest deeper than the limit, found level by level, without recursion."""
    level = [document]
    for _ in range(limit + 1):
        level = [node for node in level if isinstance(node, dict | list)]
        if not level:
            return False
        level = [child for node in level for child in (node.values() if isinstance(node, dict) else node)]
    return True
