"""Text for a terminal of 80 columns; how numbers and names are written is shared with the pages of reports."""

from __future__ import annotations

import textwrap

from jensen.report.words import counted, decimals_for, duration, fixed, printable, shortened

__all__ = ["WIDTH", "counted", "decimals_for", "duration", "fixed", "paragraph", "printable", "shortened"]

WIDTH = 80


def paragraph(label: str, text: str, indent: int) -> str:
    """A label and its text, wrapped beside it."""
    return textwrap.fill(
        printable(text),
        WIDTH,
        initial_indent=f"{label:<{indent}}",
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
    )
