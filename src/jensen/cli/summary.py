"""The summary of a mixture for people, in 80 columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from jensen.cli.charts import at_a_glance
from jensen.cli.grid import chosen
from jensen.cli.text import paragraph, room, sign
from jensen.data.frames import default_names
from jensen.report.facts import deviations, facts, title_of
from jensen.report.tables import Table, caption_lines, estimates, table_of_components
from jensen.report.words import counted

_LABEL = 16
_NATURAL = ("weights", "means", "covariances")
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
    parts = [list(part(report)) for part in _PARTS]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _facts(report: Mapping[str, Any]) -> Iterator[str]:
    """The lines that say how good the mixture is and how it came about."""
    title = title_of(report)
    yield paragraph(title[:1], title[1:], 1).replace("\n ", "\n  ")
    for label, text in facts(report, as_options):
        yield paragraph(f"  {label}", text, _LABEL + 2)


def _warnings(report: Mapping[str, Any]) -> Iterator[str]:
    # A diagnosis says all that warnings say.
    found = None if isinstance(report.get("errors"), Mapping) else report.get("warnings")
    for warning in found if isinstance(found, list) else []:
        # How the fit ended has been said above.
        if isinstance(warning, str) and warning != report.get("message"):
            text = as_options(warning)
            yield paragraph("Warning:", text if text.endswith(".") else f"{text}.", 9)


def as_options(message: str) -> str:
    """The message with the names of options in place of those of arguments."""
    message = message.replace("accelerate='off'", "--no-accelerate").replace("degenerate='allow'", "--degenerate")
    return re.sub(r"\b(" + "|".join(_OPTIONS) + r")\b", lambda found: _OPTIONS[found[1]], message)


# ------------------------------------------------------------------------------------------------ components


def _components(report: Mapping[str, Any]) -> Iterator[str]:
    """One row for each component: share, then mean and standard deviation in each column that finds room."""
    names, noise = report["feature_names"] or default_names(report["n_features"]), report.get("noise")
    table = table_of_components(
        np.asarray(report["weights"]),
        np.asarray(report["means"]),
        deviations(report),
        names,
        noise["weight"] if isinstance(noise, Mapping) else None,
        sign("±"),
    )
    lines, n_shown = table.lines(room())
    yield from lines
    caption = caption_lines(table, lines, n_shown, "--json gives all")
    yield caption if n_shown == len(names) else paragraph("", caption, 0)


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
        lead = tuple(f"{label:>9}" for label in ("component", *labels))
        pairs = [(100 * weights, 100 * of_weights), *((means[:, j], of_means[:, j]) for j in range(len(names)))]
        columns = tuple(estimates(*pair, sign("±")) for pair in pairs)
        lines, n_shown = Table(lead, ("share in %", *names), columns).lines(room())
        yield from lines
        left = len(names) + 1 - n_shown
        more = f"; {counted(n_shown - 1, 'column')} of {len(names):,}, --json gives all" if left else ""
        yield paragraph("", f"estimate {sign('±')} standard error, {errors['method']}{more}", 2)
    for note in errors["notes"]:
        yield paragraph("Note:", f"{note[:1].upper()}{note[1:]}.", 6)


def _diagnosis(report: Mapping[str, Any]) -> Iterator[str]:
    """The paragraphs of the diagnosis."""
    errors = report.get("errors")
    for finding in errors["diagnosis"] if isinstance(errors, Mapping) else []:
        yield paragraph("", f"{finding['topic'].capitalize()}: {as_options(finding['text'])}", 2).strip()


_PARTS = (chosen, _facts, _components, at_a_glance, _standard_errors, _diagnosis, _warnings)
