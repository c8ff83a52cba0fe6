"""A fit at a glance: one line for the objective, how sure rows are of their component, and each column."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from jensen.cli.text import encodable, width
from jensen.report.facts import NAME_WIDTH
from jensen.report.sparks import BLOCKS, PLAIN, bars, trace
from jensen.report.words import display_width, distinct, fixed, left

# Bars of rows by component are at most this long.
_LONGEST = 40


def are_wanted(asked: bool | None) -> bool:
    """Whether to draw charts: as asked, else where people read, on a terminal."""
    return sys.stdout is not None and sys.stdout.isatty() if asked is None else asked


def at_a_glance(report: Mapping[str, Any]) -> Iterator[str]:
    """The charts of a report that has ``charts``, from ``glances``."""
    seen = report.get("charts")
    if not isinstance(seen, Mapping):
        return
    levels = BLOCKS if encodable(BLOCKS) else PLAIN
    steps, certainty = seen["trace"], seen["certainty"]
    lines = list[tuple[str, Callable[[int], str], str]]()
    if len(steps) > 1:
        told = f"up {steps[-1] - steps[0]:,.3g} to {fixed(steps[-1], 2)}"
        lines.append(("objective", lambda n: trace(steps, n, levels), told))
    names = distinct([column["name"] for column in seen["columns"]], NAME_WIDTH)
    named = list(zip(names, seen["columns"], strict=True))
    for name, found in named if certainty is None else [("certainty", certainty), *named]:
        told = f"{found['low']:,.4g} to {found['high']:,.4g}"
        if found is certainty:
            told = f"{found['low']:.2g} to 1; {100 * found['sure']:.1f}% from 0.9"
        lines.append((name, partial(_drawn, found["heights"], levels), told))
    label = max(display_width(name) for name, _, _ in lines)
    space = width() - label - 4 - max(len(told) for _, _, told in lines)
    n = next((n for n in (32, 16) if n <= space), 8)
    for name, drawn, told in lines:
        yield f"{left(name, label)}  {left(drawn(n), n)}  {told}"
    if seen["step"] > 1:
        yield f"Charts of every {seen['step']:,}th row."


def _drawn(heights: Sequence[float], levels: str, n: int) -> str:
    """A histogram in `n` bins, a divisor of its number of bins."""
    each = len(heights) // n
    return bars([sum(heights[first : first + each]) for first in range(0, len(heights), each)], levels)


def bar(count: int, largest: int) -> str:
    """A bar for a count, as long as its share of the largest one."""
    length = round(_LONGEST * count / max(1, largest))
    return ("█" if encodable("█") else "#") * max(length, count > 0)
