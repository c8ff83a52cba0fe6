"""Tables of components for people: one row for each, and as many columns as find room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jensen.report.facts import NAME_WIDTH, most_separating
from jensen.report.words import counted, decimals_for, display_width, distinct, fixed, right

# What names of columns get where not all columns find room.
_NARROW = 16
_MOST_DECIMALS = 6
# A table of more parts, or more lines, shows some of its columns instead.
_PARTS, _LINES = 4, 36


@dataclass(frozen=True)
class Table:
    """A table with a column that says what the rows are.

    Attributes
    ----------
    lead : tuple of str
        That column, its title first.
    titles : tuple of str
        Of the other columns, in full.
    columns : tuple of tuple of str
        Their cells, all of one width in each column; a column may end before `lead` does.
    order : tuple of int
        Columns by how much they tell, where not all find room; as they stand if empty.
    caption : str
        What the cells are.
    """

    lead: tuple[str, ...]
    titles: tuple[str, ...]
    columns: tuple[tuple[str, ...], ...]
    order: tuple[int, ...] = ()
    caption: str = ""

    def lines(self, width: int) -> tuple[list[str], int]:
        """Lines of at most so many columns of a terminal, and how many of the table's columns they show.

        What does not fit beside one another comes in parts below; of what is too much for that, the columns that tell
        most are shown.
        """
        lead = max(map(display_width, self.lead))
        whole = self._with_titles(distinct(self.titles, NAME_WIDTH))
        if lead + sum(display_width(column[0]) + 3 for column in whole) > width:
            whole = self._with_titles(distinct(self.titles, _NARROW))
        parts = [list[int]()]
        used = lead
        for j, column in enumerate(whole):
            needed = display_width(column[0]) + 3
            if parts[-1] and used + needed > width:
                parts.append([])
                used = lead
            parts[-1].append(j)
            used += needed
        if len(parts) > _PARTS or (len(parts) > 1 and len(parts) * (len(self.lead) + 1) > _LINES):
            parts = [self._best(whole, width - lead)]
        found = list[str]()
        for part in parts:
            if found:
                found.append("")
            for i, label in enumerate(self.lead):
                cells = (whole[j][i] if i < len(whole[j]) else " " * display_width(whole[j][0]) for j in part)
                found.append("   ".join([right(label, lead), *cells]).rstrip())
        return found, sum(map(len, parts))

    def _with_titles(self, titles: Sequence[str]) -> list[list[str]]:
        found = []
        for title, cells in zip(titles, self.columns, strict=True):
            width = max(display_width(title), *map(display_width, cells))
            found.append([right(text, width) for text in (title, *cells)])
        return found

    def _best(self, whole: Sequence[Sequence[str]], room: int) -> list[int]:
        chosen = list[int]()
        for j in self.order or range(len(whole)):
            needed = display_width(whole[j][0]) + 3
            if chosen and needed > room:
                break
            chosen.append(j)
            room -= needed
        return sorted(chosen)


def estimates(centre: Any, around: Any, sign: str = "±") -> tuple[str, ...]:
    """Cells of one width: numbers with what is around them, to two digits of the smallest spread.

    Parameters
    ----------
    centre, around : ndarray of shape (K,)
        Means and standard deviations, say, in the units of the column.
    sign : str, default="±"
        What stands between them.
    """
    decimals = decimals_for(float(around.min()))
    if decimals > _MOST_DECIMALS:
        middle, beside = [f"{value:.4g}" for value in centre], [f"{value:.2g}" for value in around]
    else:
        middle, beside = [fixed(value, decimals) for value in centre], [fixed(value, decimals) for value in around]
    wide, narrow = max(map(len, middle)), max(map(len, beside))
    return tuple(f"{c:>{wide}} {sign} {a:>{narrow}}" for c, a in zip(middle, beside, strict=True))


def table_of_components(
    weights: Any, means: Any, spread: Any, names: Sequence[str], noise: float | None = None, sign: str = "±"
) -> Table:
    """Share, and mean ± standard deviation in every column, of each component.

    Parameters
    ----------
    weights : ndarray of shape (K,)
        Shares.
    means, spread : ndarray of shape (K, d)
        Means and standard deviations.
    names : sequence of d str
        Of the columns.
    noise : float, optional
        Share of the noise.
    sign : str, default="±"
        What stands between mean and standard deviation.
    """
    lead = ["component   share", *(f"{k:>9}  {100 * weight:5.1f}%" for k, weight in enumerate(weights))]
    if noise is not None:
        lead.append(f"    noise  {100 * noise:5.1f}%")
    columns = tuple(estimates(means[:, j], spread[:, j], sign) for j in range(len(names)))
    order = most_separating(weights, means, spread) if len(weights) > 1 else ()
    return Table(tuple(lead), tuple(names), columns, tuple(order), f"mean {sign} standard deviation")


def caption_lines(table: Table, lines: Sequence[str], n_shown: int, everything: str = "") -> str:
    """What stands below a table of components: what its cells are, and of which columns where not of all.

    Parameters
    ----------
    table : Table
        The table.
    lines : sequence of str
        Its lines.
    n_shown : int
        How many of its columns they show.
    everything : str, default=""
        Where to find the others.
    """
    n = len(table.titles)
    if n_shown == n:
        return right(table.caption, display_width(lines[-len(table.lead)]))
    tell = "tells" if n_shown == 1 else "tell"
    which = f"the {counted(n_shown, 'column')} of {n:,} that {tell} the components apart best"
    if not table.order:
        which = f"the first {n_shown} of {n:,} columns"
    return f"{table.caption} in {which}" + (f"; {everything}" if everything else "")
