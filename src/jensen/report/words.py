"""Numbers and names for people. Names come from files, so nothing in them may steer a terminal or a page."""

from __future__ import annotations

import math
import os.path
import re
import textwrap
import unicodedata
from collections.abc import Sequence

WIDTH = 80


def printable(text: str) -> str:
    """The text with every character that is not for display, such as an escape, spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def display_width(text: str) -> int:
    """Columns of a terminal that a text takes: two for each wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def right(text: str, width: int) -> str:
    """The text at the right of so many columns."""
    return " " * (width - display_width(text)) + text


def left(text: str, width: int) -> str:
    """The text at the left of so many columns."""
    return text + " " * (width - display_width(text))


def shortened(text: str, width: int) -> str:
    """A name, safe to print, cut to so many columns."""
    shown = printable(text)
    return shown if display_width(shown) <= width else _head(shown, width - 1) + "…"


def distinct(names: Sequence[str], width: int) -> list[str]:
    """Names of at most so many columns that can still be told apart.

    Where cutting makes long names the same, they lose the words that all of them begin or end with; where that does
    not help, they keep both ends, or are numbered from 1 by their places among `names`.

    Parameters
    ----------
    names : sequence of str
        Any text.
    width : int
        Columns of a name at most, at least 8.
    """
    whole = [printable(name) for name in names]
    long = [j for j, name in enumerate(whole) if display_width(name) > width]
    short = {name for j, name in enumerate(whole) if j not in long}
    for cut in (_cut_at_the_end, _cut_what_all_share, _cut_in_the_middle):
        shown = cut([whole[j] for j in long], width)
        if len(short.union(shown)) == len(short) + len(long):
            found = dict(zip(long, shown, strict=True))
            return [found.get(j, name) for j, name in enumerate(whole)]
    tags = [f"…{j + 1}" for j in range(len(whole))]
    return [_head(name, width - len(tags[j])) + tags[j] if j in long else name for j, name in enumerate(whole)]


def _cut_at_the_end(names: Sequence[str], width: int) -> list[str]:
    return [shortened(name, width) for name in names]


def _cut_what_all_share(names: Sequence[str], width: int) -> list[str]:
    """The part of each name between the words at both ends that all of them share."""
    before = _words_of(os.path.commonprefix(list(names)))
    rest = [name[len(before) :] for name in names]
    after = _words_of(os.path.commonprefix([name[::-1] for name in rest]))
    cores = [name[: len(name) - len(after)].rstrip() for name in rest]
    return _cut_at_the_end([f"{'…' if before else ''}{core}{'…' if after else ''}" for core in cores], width)


def _cut_in_the_middle(names: Sequence[str], width: int) -> list[str]:
    half = (width - 1) // 2
    return [f"{_head(name, width - 1 - half)}…{_head(name[::-1], half)[::-1]}" for name in names]


def _words_of(shared: str) -> str:
    """What of a shared beginning ends where a word does."""
    found = re.match(r".*[\W_]", shared, flags=re.S)
    return found[0] if found else ""


def _head(text: str, width: int) -> str:
    """The longest beginning of a text that takes at most so many columns."""
    if text.isascii():
        return text[: max(0, width)]
    end, taken = 0, 0
    while end < len(text) and (taken := taken + display_width(text[end])) <= width:
        end += 1
    return text[:end]


def wrapped(text: str, width: int, first: str = "", rest: str = "") -> str:
    """A text, safe to print, in lines of at most so many columns.

    Parameters
    ----------
    text : str
        Words; longer ones than a line are broken.
    width : int
        Columns of a line.
    first, rest : str
        What the first line, and every other line, begins with.
    """
    text = printable(text)
    if text.isascii() or all(display_width(c) == 1 for c in text):
        return textwrap.fill(text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
    lines, line, is_empty = list[str](), first, True
    for word in text.split():
        while word:
            room = width - display_width(line) - (not is_empty)
            if display_width(word) <= room:
                line, word, is_empty = f"{line}{'' if is_empty else ' '}{word}", "", False
            elif is_empty:
                part = _head(word, room) or word[0]
                line, word, is_empty = line + part, word[len(part) :], False
            else:
                lines, line, is_empty = [*lines, line], rest, True
    return "\n".join([*lines, line])


def counted(n: int, noun: str) -> str:
    """A number with its noun, such as "1 row" or "272 rows"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def fixed(value: float, decimals: int) -> str:
    """A number with so many decimals, fewer if it is long, or in scientific notation if it would still be."""
    for digits in (decimals, 0):
        plain = f"{value:z,.{digits}f}"
        if len(plain) <= 14:
            return plain
    return f"{value:.6g}"


def decimals_for(spread: float) -> int:
    """Decimals that show a spread to two digits, from 0."""
    return max(0, 1 - math.floor(math.log10(spread))) if spread > 0 and math.isfinite(spread) else 2


def duration(seconds: float) -> str:
    """A time in a unit that fits it."""
    if seconds < 0.1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
