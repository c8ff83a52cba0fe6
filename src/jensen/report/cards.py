"""Results as people read them: one description each, as text for a terminal and as HTML for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from jensen.report.tables import Table, caption_lines
from jensen.report.words import WIDTH, printable, wrapped

_LABEL = 16
# Columns of a table that a page shows; a row of more would be a page of its own.
_COLUMNS = 40
# Points of a trace that a small picture shows.
_POINTS, _WIDE, _HIGH = 200, 160, 28

# Colours are those of the text around, so that light and dark pages are served alike.
_LINE = "border-bottom: 1px solid color-mix(in srgb, currentColor 22%, transparent)"
_STYLES = {
    "card": "max-width: 100%; overflow-x: auto; line-height: 1.45",
    "title": "font-weight: 600; margin: 0.3em 0",
    "label": "text-align: left; vertical-align: top; padding: 0 1.2em 0 0; font-weight: normal; opacity: 0.65; "
    "white-space: nowrap",
    "fact": "text-align: left; padding: 0",
    "table": "border-collapse: collapse; margin: 0.5em 0; background: none",
    "cell": "text-align: right; padding: 0.1em 0.7em; white-space: pre; font-variant-numeric: tabular-nums",
    "caption": "opacity: 0.65; font-size: 90%",
    "note": "margin: 0.3em 0; max-width: 46em",
}


@dataclass(frozen=True)
class Card:
    """What is to be said of a result.

    Attributes
    ----------
    title : str
        What it is.
    facts : sequence of (str, str)
        A label and a text each.
    tables : sequence of Table
        Tables.
    notes : sequence of str
        Whole sentences: conclusions and warnings.
    trace : sequence of float
        A series, drawn as a small line where there are pictures.
    """

    title: str
    facts: Sequence[tuple[str, str]] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    trace: Sequence[float] = ()

    def text(self, width: int = WIDTH) -> str:
        """Lines of at most so many columns of a terminal."""
        parts = [[wrapped(self.title, width, "", "  ")]]
        label = max([_LABEL, *(len(label) + 2 for label, _ in self.facts)])
        for name, fact in self.facts:
            parts[0].append(wrapped(fact, width, f"  {name:<{label}}", " " * (label + 2)))
        for table in self.tables:
            lines, n_shown = table.lines(width)
            caption = caption_lines(table, lines, n_shown) if table.caption else ""
            if caption and n_shown < len(table.titles):
                caption = wrapped(caption, width)
            parts.append([*lines, *([caption] if caption else [])])
        parts += [[wrapped(note, width, "", "  " * note.startswith(("Note:", "Warning:")))] for note in self.notes]
        return "\n\n".join("\n".join(part) for part in parts)

    def html(self) -> str:
        """A fragment of a page, in the colours around it; whatever names hold, it is text there."""
        parts = [f'<div style="{_STYLES["title"]}">{_escaped(self.title)}</div>']
        rows = [(name, _escaped(fact)) for name, fact in self.facts]
        if len(self.trace) > 1:
            rows.append(("trace", _line(self.trace)))
        if rows:
            parts.append(f'<table style="{_STYLES["table"]}">')
            parts += [
                f'<tr style="background: none"><th scope="row" style="{_STYLES["label"]}">{_escaped(name)}</th>'
                f'<td style="{_STYLES["fact"]}">{fact}</td></tr>'
                for name, fact in rows
            ]
            parts.append("</table>")
        parts += [_table(table) for table in self.tables]
        parts += [f'<p style="{_STYLES["note"]}">{_escaped(note)}</p>' for note in self.notes]
        return f'<div class="jensen" style="{_STYLES["card"]}">{"".join(parts)}</div>'


def _table(table: Table) -> str:
    shown = min(_COLUMNS, len(table.titles))
    at = sorted(table.order[:shown]) if shown < len(table.titles) and table.order else range(shown)
    columns = [(table.titles[j], table.columns[j]) for j in at]
    head = "".join(_cell("th", text) for text in (table.lead[0].strip(), *(title for title, _ in columns)))
    lines = [f'<tr style="{_LINE}; background: none">{head}</tr>']
    for i, label in enumerate(table.lead[1:]):
        cells = "".join(_cell("td", cells[i] if i < len(cells) else "") for _, cells in columns)
        lines.append(f'<tr style="background: none">{_cell("th", label.strip())}{cells}</tr>')
    more = "" if shown == len(table.titles) else f", {shown} columns of {len(table.titles):,}"
    caption = f'<div style="{_STYLES["caption"]}">{_escaped(table.caption)}{more}</div>' if table.caption else ""
    return f'<table style="{_STYLES["table"]}">{"".join(lines)}</table>{caption}'


def _cell(tag: str, text: str) -> str:
    weight = "; font-weight: 600" if tag == "th" else ""
    return f'<{tag} style="{_STYLES["cell"]}{weight}">{_escaped(text)}</{tag}>'


def _line(values: Sequence[float]) -> str:
    """A series as a small line, with its ends in words."""
    series = np.asarray(values, dtype=np.float64)
    at = np.unique(np.linspace(0, len(series) - 1, _POINTS).round().astype(int))
    low, high = series.min(), series.max()
    heights = (high - series[at]) / (high - low) if high > low else np.zeros(len(at))
    points = " ".join(
        f"{x:.1f},{y:.1f}" for x, y in zip(1 + at / at[-1] * (_WIDE - 2), 1 + heights * (_HIGH - 2), strict=True)
    )
    told = f"{series[0]:,.2f} to {series[-1]:,.2f} in {len(series) - 1:,} steps"
    return (
        f'<svg width="{_WIDE}" height="{_HIGH}" role="img" aria-label="{told}" style="vertical-align: middle">'
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5"/></svg> {told}'
    )


def _escaped(text: str) -> str:
    return escape(printable(text))
