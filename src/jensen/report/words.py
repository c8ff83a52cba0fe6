"""Numbers and names for people. Names come from files, so nothing in them may steer a terminal or a page."""

from __future__ import annotations

import math


def printable(text: str) -> str:
    """The text with every character that is not for display, such as an escape, spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shortened(text: str, width: int) -> str:
    """A name, safe to print, cut to a width."""
    shown = printable(text)
    return shown if len(shown) <= width else shown[: width - 1] + "…"


def counted(n: int, noun: str) -> str:
    """A number with its noun, such as "1 row" or "272 rows"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def fixed(value: float, decimals: int) -> str:
    """A number with so many decimals, fewer if it is long, or in scientific notation if it would still be."""
    for digits in (decimals, 0):
        plain = f"{value:,.{digits}f}"
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
