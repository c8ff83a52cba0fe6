"""The sentences of a page: what was asked, how the number of groups came about, what to beware of, how sure it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jensen.fit.result import MixtureFit
from jensen.fit.selection.table import Selection
from jensen.infer.diagnose import Diagnosis
from jensen.report.answer import in_words, listed
from jensen.report.facts import how_searched, number_of
from jensen.report.view import View
from jensen.report.words import counted, shortened

Reword = Callable[[str], str]
_COLUMNS_NAMED = 8
_TOPICS = {
    "end": "How the run ended",
    "acceleration": "Acceleration",
    "information": "Information",
    "to gain": "What is left to gain",
    "rate": "Missing information",
    "identifiability": "Can the data tell the parameters?",
    "boundary": "On the boundary",
    "components": "The components",
}


def question(view: View, info: Mapping[str, Any], source: str) -> str:
    """What was asked of which data."""
    names = [shortened(name, 60) for name in view.full_names]
    more = f" and {len(names) - _COLUMNS_NAMED} more" if len(names) > _COLUMNS_NAMED + 1 else ""
    told = ", ".join(names[:_COLUMNS_NAMED]) + more if more else listed(names)
    n = number_of(info, "n_rows") or len(view.rows)
    rows = f"the {counted(int(n), 'row')}" if n else "the rows"
    of = f" of {source}" if source else ""
    column = f"{counted(len(names), 'column')}: {told}"
    return f"Do {rows}{of} fall into groups, and into which? Looked at: {column}."


def choice(view: View, selection: Selection | None) -> str:
    """How the number of components came about."""
    k = view.fitted.n_components
    number = in_words(k).capitalize()
    if selection is None:
        return f"{number}. That was given: this page knows of no comparison with other numbers."
    counts, best = [cell.n_components for cell in selection.cells], selection.best_cell
    compared = counted(len(counts), "mixture")
    among = compared if min(counts) == max(counts) else f"{compared} of {min(counts)} to {max(counts)} components"
    of_names = f"A name such as {best.name} is a shape of the covariances and a number of components."
    for cell in selection.cells:
        is_this = cell.n_components == k and cell.covariance_type == view.fitted.covariance_type
        if is_this and cell is not best:
            behind = cell.value(selection.criterion) - best.value(selection.criterion)
            text = f"{number}: this page is about {cell.name}, one of {among} and {behind:.1f} behind the best of them."
            return f"{text} {selection.words()} {of_names}"
    return f"{number}: of {among}, this one was chosen. {selection.words()} {of_names}"


def how_chosen(selection: Selection | None) -> str:
    """What was run for a choice; empty where there was none."""
    if selection is None:
        return ""
    if not selection.status.is_converged:
        return f"The search was cut short: {selection.status.message}."
    searched = sum(cell.confirmed and cell.n_components > 1 for cell in selection.cells) if selection.searched else 0
    return how_searched(selection.n_starts, selection.linked, searched)


def search(view: View, record: MixtureFit | None, info: Mapping[str, Any], reword: Reword) -> str:
    """What is known of how sure the optimum is."""
    if view.fitted.n_components == 1 and view.fitted.box is None:
        return "One component has one optimum; there is nothing to search."
    if record is None or record.account is not None:
        starts = info.get("starts")
        account = starts.get("account") if isinstance(starts, Mapping) else None
        return sentence(reword(account)) if isinstance(account, str) else ""
    n = len(record.starts)
    if n <= 1:
        return "There was one start: whether others lead higher is not known."
    return f"{record.n_agreeing} of {counted(n, 'start')} ended at this optimum; nothing was searched beyond them."


def warnings_of(
    info: Mapping[str, Any], selection: Selection | None, diagnosis: Diagnosis | None, reword: Reword
) -> list[str]:
    """What to know before the result is used, each with a remedy."""
    found = [*_texts(info, "warnings")]
    if selection is not None:
        found += selection.warnings
        if not selection.status.is_converged:
            found.append(f"the search was cut short: {selection.status.message}; a better mixture may exist")
    if diagnosis is not None:
        # How the run ended and what is degenerate is among the warnings of the fit.
        said = ("end", "components") if found else ("end",)
        found += [f.text for f in diagnosis.findings if f.is_serious and f.topic not in said]
    return list(dict.fromkeys(sentence(reword(text)) for text in found))


def findings_of(diagnosis: Diagnosis | None, reword: Reword) -> list[tuple[str, str]]:
    """What a diagnosis found, each with its heading; how the run ended is told elsewhere."""
    if diagnosis is None:
        return []
    return [
        (_TOPICS.get(finding.topic, finding.topic.capitalize()), reword(_plain(finding.text)))
        for finding in diagnosis.findings
        if finding.topic != "end"
    ]


def _plain(text: str) -> str:
    """A finding with components called what they are called here."""
    return re.sub(r"\b[Ww]eights\[(\d+)\] (?=stands)", r"Component \1 ", text)


def sentence(text: str) -> str:
    """A clause with a capital and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _texts(info: Mapping[str, Any], key: str) -> Sequence[str]:
    """Texts of a list in a model file, which may hold anything."""
    found = info.get(key)
    return [text for text in found if isinstance(text, str)] if isinstance(found, list | tuple) else []
