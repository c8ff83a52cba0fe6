"""The summary of a mixture for people, in 80 columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from jensen.cli.grid import chosen
from jensen.cli.text import WIDTH, counted, decimals_for, fixed, paragraph, shortened
from jensen.data.frames import default_names
from jensen.report.facts import NAME_WIDTH, deviations, facts, most_separating, title_of

_LABEL = 16
_NATURAL = ("weights", "means", "covariances")
_MOST_DECIMALS = 6
# What a message calls an argument of the library is an option here.
_OPTIONS = {
    "n_components": "-k",
    "covariance_type": "-c",
    "reg_covar": "--reg",
    "max_iter": "--max-iter",
    "tol": "--tol",
}


def summary(report: Mapping[str, Any]) -> str:
    """The text for a report of ``describe``; what the report does not say is left out.

    Parameters
    ----------
    report : mapping
        Of a fit, or of a model file, whose info is anybody's.
    """
    parts = [list(part(report)) for part in (chosen, _facts, _components, _standard_errors, _diagnosis, _warnings)]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _facts(report: Mapping[str, Any]) -> Iterator[str]:
    """The lines that say how good the mixture is and how it came about."""
    title = title_of(report)
    yield paragraph(title[:1], title[1:], 1).replace("\n ", "\n  ")
    for label, text in facts(report, _as_options):
        yield paragraph(f"  {label}", text, _LABEL + 2)


def _warnings(report: Mapping[str, Any]) -> Iterator[str]:
    # A diagnosis says all that warnings say.
    found = None if isinstance(report.get("errors"), Mapping) else report.get("warnings")
    for warning in found if isinstance(found, list) else []:
        # How the fit ended has been said above.
        if isinstance(warning, str) and warning != report.get("message"):
            text = _as_options(warning)
            yield paragraph("Warning:", text if text.endswith(".") else f"{text}.", 9)


def _as_options(message: str) -> str:
    """The message with the names of options in place of those of arguments."""
    message = message.replace("accelerate='off'", "--no-accelerate").replace("degenerate='allow'", "--degenerate")
    return re.sub(r"\b(" + "|".join(_OPTIONS) + r")\b", lambda found: _OPTIONS[found[1]], message)


# ------------------------------------------------------------------------------------------------ components


def _components(report: Mapping[str, Any]) -> Iterator[str]:
    """One row for each component: share, then mean and standard deviation in each column that finds room."""
    weights, means, spread = np.asarray(report["weights"]), np.asarray(report["means"]), deviations(report)
    names = report["feature_names"] or default_names(report["n_features"])
    columns = [_cells(name, means[:, j], spread[:, j]) for j, name in enumerate(names)]
    room, chosen = WIDTH - len("component   share"), list[int]()
    for j in most_separating(weights, means, spread):
        if room >= (width := len(columns[j][0]) + 3):
            chosen, room = [*chosen, j], room - width
        elif chosen:
            break
    chosen.sort()
    header = "".join(f"   {columns[j][0]}" for j in chosen)
    yield f"component   share{header}"
    for k, weight in enumerate(weights):
        yield f"{k:>9}  {100 * weight:5.1f}%" + "".join(f"   {columns[j][k + 1]}" for j in chosen)
    noise = report.get("noise")
    if isinstance(noise, Mapping):
        yield f"    noise  {100 * noise['weight']:5.1f}%"
    left = len(names) - len(chosen)
    yield (
        f"{'mean ± standard deviation':>{max(17, 17 + len(header))}}"
        if left == 0
        else (
            f"mean ± standard deviation in the {counted(len(chosen), 'column')} of {len(names):,} that tell the\n"
            "components apart best; --json gives all"
        )
    )


def _standard_errors(report: Mapping[str, Any]) -> Iterator[str]:
    """Weights and means with their standard errors, one row for each component, of a fit of which they were asked."""
    errors = report.get("errors")
    if not isinstance(errors, Mapping):
        return
    known = errors["means"] is not None and len(errors["refused"]) < sum(map(np.size, (errors[n] for n in _NATURAL)))
    if known:
        weights, means = np.asarray(report["weights"]), np.asarray(report["means"])
        of_weights = np.asarray(errors["weights"], dtype=np.float64)
        of_means = np.asarray(errors["means"], dtype=np.float64)
        names = report["feature_names"] or default_names(report["n_features"])
        noise, labels = report.get("noise"), [*map(str, range(len(weights)))]
        if isinstance(noise, Mapping):
            weights, labels = np.append(weights, noise["weight"]), [*labels, "noise"]
        columns = [_cells("share in %", 100 * weights, 100 * of_weights)]
        room, shown = WIDTH - len("component") - len(columns[0][0]) - 3, 0
        for j, name in enumerate(names):
            cells = _cells(name, means[:, j], of_means[:, j])
            if room < len(cells[0]) + 3:
                break
            columns, room, shown = [*columns, cells], room - len(cells[0]) - 3, shown + 1
        for k, label in enumerate(["component", *labels]):
            yield f"{label:>9}" + "".join(f"   {cells[k]}" for cells in columns if k < len(cells))
        more = "" if shown == len(names) else f"; {counted(shown, 'column')} of {len(names):,}, --json gives all"
        yield f"  estimate ± standard error, {errors['method']}{more}"
    for note in errors["notes"]:
        yield paragraph("Note:", f"{note[:1].upper()}{note[1:]}.", 6)


def _diagnosis(report: Mapping[str, Any]) -> Iterator[str]:
    """The paragraphs of the diagnosis."""
    errors = report.get("errors")
    for finding in errors["diagnosis"] if isinstance(errors, Mapping) else []:
        yield paragraph("", f"{finding['topic'].capitalize()}: {_as_options(finding['text'])}", 2).strip()


def _cells(name: str, means: Any, spread: Any) -> list[str]:
    """A column of the table: its header and a cell for each component, all of one width."""
    decimals = decimals_for(float(spread.min()))
    if decimals > _MOST_DECIMALS:
        centre, around = [f"{value:.4g}" for value in means], [f"{value:.2g}" for value in spread]
    else:
        centre, around = [fixed(value, decimals) for value in means], [fixed(value, decimals) for value in spread]
    wide, narrow = max(map(len, centre)), max(map(len, around))
    cells = [f"{c:>{wide}} ± {a:>{narrow}}" for c, a in zip(centre, around, strict=True)]
    title = shortened(name, max(NAME_WIDTH, len(cells[0])))
    width = max(len(title), len(cells[0]))
    return [f"{title:>{width}}", *(f"{cell:>{width}}" for cell in cells)]
