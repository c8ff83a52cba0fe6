"""The choice among mixtures for people: the table of a criterion as mclust prints it, and the best in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jensen.cli.text import paragraph, room
from jensen.report.facts import how_searched
from jensen.report.words import counted, fixed

_TOP = 5
# Kass & Raftery (1995) call a difference of ten "very strong" evidence.
_CLOSE = 10.0


def chosen(report: Mapping[str, Any]) -> Iterator[str]:
    """The best of a choice and how far the next are behind; nothing where there was no choice."""
    search = report.get("selection")
    if not isinstance(search, Mapping):
        return
    cells, criterion = search["cells"], search["criterion"]
    ranked = _different(best_cells(cells, criterion))[:_TOP]
    yield f"{_title(criterion)} of {counted(len(cells), 'mixture')}, smaller is better"
    for place, cell in enumerate(ranked):
        value = value_of(cell, criterion)
        behind = "" if place == 0 else f"   +{fixed(value - value_of(ranked[0], criterion), 2)}"
        yield f"  {cell['name']:<8} {fixed(value, 3):>14}{behind}"
    yield paragraph("", search["words"], 2)
    yield from told_of(search)


def whole(search: Mapping[str, Any]) -> Iterator[str]:
    """The table of all cells, K down and shapes across, in bands that fit the width; then the choice in words.

    Parameters
    ----------
    search : mapping
        From ``describe_selection``.
    """
    cells, criterion = search["cells"], search["criterion"]
    shapes = list(dict.fromkeys(_shape(cell) for cell in cells))
    ranked = best_cells(cells, criterion)
    least = value_of(ranked[0], criterion) if ranked else 0.0
    marks = {id(cell): "+" for cell in ranked if value_of(cell, criterion) - least < _CLOSE}
    marks |= {id(cell): "*" for cell in ranked[:1]}
    shown = {(cell["n_components"], _shape(cell)): _cell(cell, criterion, marks) for cell in cells}
    width = max(9, *(len(text) + 1 for text in shown.values()))
    each = max(1, (room() - 4) // width)
    yield f"{_title(criterion)}, smaller is better"
    for first in range(0, len(shapes), each):
        band = shapes[first : first + each]
        yield (f"{'K':>4}" + "".join(f"{shape:>{width - 1}} " for shape in band)).rstrip()
        for k in dict.fromkeys(cell["n_components"] for cell in cells):
            yield (f"{k:>4}" + "".join(f"{shown[k, shape]:>{width}}" for shape in band)).rstrip()
        yield ""
    legend = ["* best", f"+ less than {_CLOSE:g} behind"]
    if any(value_of(cell, criterion) is not None and not cell["sound"] for cell in cells):
        legend.append("! degenerate, and no candidate")
    if any(value_of(cell, criterion) is None for cell in cells):
        legend.append("- none")
    yield paragraph("", "   ".join(legend), 2)
    for reason, names in _reasons(cells).items():
        yield paragraph("  -", f"{_listed(names)}: {reason}", 4)
    yield ""
    yield paragraph("", search["words"], 0)
    yield from told_of(search)


def told_of(search: Mapping[str, Any]) -> Iterator[str]:
    """What was run, what was found in the data, and whether the search came to its end."""
    cells = search["cells"]
    for text in search["warnings"]:
        yield paragraph("Warning:", f"{text[:1].upper()}{text[1:]}.", 9)
    if search["status"] != "converged":
        why = "interrupted" if search["status"] == "interrupted" else "stopped at the time limit"
        fitted = sum(cell["loglik"] is not None for cell in cells)
        yield paragraph("", f"The search was {why}: {fitted} of {len(cells)} mixtures have a fit.", 2)
    elif search["searched"]:
        searched = sum(cell["confirmed"] and cell["n_components"] > 1 for cell in cells)
        yield paragraph("", how_searched(search["n_starts"], search["linked"], searched), 2)


def value_of(cell: Mapping[str, Any], criterion: str) -> Any:
    """The criterion of a cell, or None."""
    value = cell["heldout"] if criterion == "heldout" else cell[criterion]
    return -2.0 * value if criterion == "heldout" and value is not None else value


def best_cells(cells: Sequence[Mapping[str, Any]], criterion: str) -> list[Mapping[str, Any]]:
    """Sound cells by the criterion; the least degenerate ones where none is sound."""
    usable = [cell for cell in cells if value_of(cell, criterion) is not None]
    sound = [cell for cell in usable if cell["sound"]] or usable
    return sorted(sound, key=lambda cell: float(value_of(cell, criterion)))


def _different(ranked: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Cells without those that are the mixture of an earlier one: with one component, or one column, many are."""
    found = list[Mapping[str, Any]]()
    for cell in ranked:
        if not any(
            (cell["n_components"], cell["n_free"]) == (other["n_components"], other["n_free"])
            and math.isclose(cell["loglik"], other["loglik"], rel_tol=1e-9)
            for other in found
        ):
            found.append(cell)
    return found


def _shape(cell: Mapping[str, Any]) -> str:
    name: str = cell["name"].split(",")[0]
    return name


def _cell(cell: Mapping[str, Any], criterion: str, marks: Mapping[int, str]) -> str:
    value = value_of(cell, criterion)
    if value is None:
        return "- "
    return fixed(value, 1) + (marks.get(id(cell), " ") if cell["sound"] else "!")


def _title(criterion: str) -> str:
    return "-2 held-out log-likelihood" if criterion == "heldout" else criterion.upper().replace("AICC", "AICc")


def _reasons(cells: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for cell in cells:
        if cell["loglik"] is None and cell["reason"]:
            found.setdefault(cell["reason"], []).append(cell["name"])
    return found


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more
