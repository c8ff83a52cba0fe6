"""What a terminal can show: its width, and the characters that its encoding has."""

from __future__ import annotations

import shutil
import sys
from functools import cache

from jensen.report.words import WIDTH, wrapped

_LEAST = 40
# What stands for a character where the output's encoding lacks it.
_PLAIN = {"±": "+-", "…": "~"}


def room() -> int:
    """Columns of the terminal for tables, at least 40; 80 where stdout is none."""
    if sys.stdout is None or not sys.stdout.isatty():
        return WIDTH
    return max(_LEAST, shutil.get_terminal_size((WIDTH, 24)).columns)


def width() -> int:
    """Columns for sentences: those of the terminal, at most 80."""
    return min(WIDTH, room())


def paragraph(label: str, text: str, indent: int) -> str:
    """A label and its text, wrapped beside it."""
    return wrapped(text, width(), f"{label:<{indent}}", " " * indent)


def encodable(characters: str) -> bool:
    """Whether stdout can show these characters."""
    return _encodable(characters, getattr(sys.stdout, "encoding", None) or "utf-8")


@cache
def _encodable(characters: str, encoding: str) -> bool:
    try:
        characters.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def sign(character: str) -> str:
    """The character, or what stands for it where stdout cannot show it."""
    return character if encodable(character) else _PLAIN[character]


def shown(text: str) -> str:
    """The text as stdout can show it: what its encoding lacks is spelled out."""
    if encodable(text):
        return text
    for character in _PLAIN:
        text = text.replace(character, sign(character))
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return text.encode(encoding, "backslashreplace").decode(encoding)
