"""The summary of a mixture for people, in 80 columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jensen.cli.grid import chosen
from jensen.cli.report import deviations
from jensen.cli.text import WIDTH, counted, decimals_for, duration, fixed, paragraph, shortened
from jensen.data.frames import default_names
from jensen.families.shapes.table import covariance_shape

_LABEL = 16
_NATURAL = ("weights", "means", "covariances")
_NAME = 22
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
    k, shape = report["n_components"], report["covariance_type"]
    noise = " and noise" if isinstance(report.get("noise"), Mapping) else ""
    title = f"Gaussian mixture: {counted(k, 'component')}{noise}, {_in_words(shape, report['n_features'])}"
    yield paragraph(title[:1], title[1:], 1).replace("\n ", "\n  ")
    facts: list[tuple[str, str | None]] = [
        ("data", _string(report, "source")),
        ("rows", _rows(report)),
        ("columns", _columns(report)),
        ("outliers", _outliers(report)),
        ("set aside", _set_aside(report)),
        ("constant", _constant(report)),
        ("log-likelihood", _score(report, "loglik")),
        ("BIC", _bic(report)),
        ("ended", _ended(report)),
        ("starts", _starts(report)),
        ("time", _time(report)),
        ("model file", _string(report, "out")),
        ("labels", _string(report, "labels")),
    ]
    for label, text in facts:
        if text is not None:
            yield paragraph(f"  {label}", text, _LABEL + 2)


def _in_words(shape: str, d: int) -> str:
    """The shape, with what its letters mean."""
    kind = covariance_shape(shape, d)
    if d == 1:
        return f"{'equal' if kind.volume == 'E' else 'variable'} variances ({kind.volume})"
    if kind.alias is not None:
        return f"{shape} covariance{'' if kind.is_common else 's'} ({kind.name})"
    letters = {"E": "equal", "V": "variable"}
    told = [f"{letters[kind.volume]} volumes"]
    told.append("spheres" if kind.shape == "I" else f"{letters[kind.shape]} shapes")
    if kind.shape != "I":
        told.append("along the axes" if kind.orientation == "I" else f"{letters[kind.orientation]} orientations")
    return f"{kind.name} covariances: {', '.join(told)}"


def _rows(report: Mapping[str, Any]) -> str | None:
    n_rows, weight = _number(report, "n_rows"), _number(report, "weight")
    if n_rows is None:
        return None
    weighted = weight is not None and weight != n_rows
    return f"{n_rows:,.0f}" + (f", of weight {weight:,.6g} together" if weighted else "")


def _outliers(report: Mapping[str, Any]) -> str | None:
    """What noise spreads over, or what was trimmed."""
    noise, threshold, n = report.get("noise"), _number(report, "threshold"), _number(report, "n_outliers")
    if isinstance(noise, Mapping):
        volume = _number(noise, "volume")
        return "noise, uniform over a box" + ("" if volume is None else f" of volume {volume:.4g}")
    if threshold is None:
        return None
    return ("" if n is None else f"{counted(int(n), 'row')} trimmed, ") + f"log-density below {threshold:.4g}"


def _columns(report: Mapping[str, Any]) -> str:
    names, d = report["feature_names"], report["n_features"]
    if names is None:
        return f"{d:,}"
    shown = [shortened(name, _NAME) for name in names[:6]]
    return f"{d:,}: {', '.join(shown)}{', ...' if len(names) > len(shown) else ''}"


def _set_aside(report: Mapping[str, Any]) -> str | None:
    columns = report.get("set_aside")
    if not columns or not isinstance(columns, list):
        return None
    shown = [f"{shortened(entry['column'], _NAME) or '(no name)'} ({entry['reason']})" for entry in columns[:5]]
    return "; ".join(shown) + (f"; and {len(columns) - 5} more" if len(columns) > 5 else "")


def _constant(report: Mapping[str, Any]) -> str | None:
    """Columns that do not vary; a model file may state positions that do not exist."""
    found, d = report.get("constant_columns"), report["n_features"]
    columns = [j for j in found if type(j) is int and 0 <= j < d] if isinstance(found, list) else []
    if not columns:
        return None
    names = report["feature_names"] or default_names(d)
    shown = ", ".join(shortened(names[j], _NAME) for j in columns[:5])
    return f"{shown}{', ...' if len(columns) > 5 else ''} (no help in telling components apart)"


def _score(report: Mapping[str, Any], key: str) -> str | None:
    value = _number(report, key)
    return None if value is None else fixed(value, 3)


def _bic(report: Mapping[str, Any]) -> str | None:
    value, n_free = _number(report, "bic"), _number(report, "n_free")
    if value is None:
        return None
    free = "" if n_free is None else f"; {n_free:,.0f} free parameters"
    return f"{fixed(value, 3)} (smaller is better{free})"


def _ended(report: Mapping[str, Any]) -> str | None:
    message, n_iter = _string(report, "message"), _number(report, "n_iter")
    if message is None or n_iter is None:
        return message
    iterations = counted(int(n_iter), "iteration")
    return (
        f"converged after {iterations}"
        if report.get("status") == "converged"
        else f"{_as_options(message)} ({iterations})"
    )


def _starts(report: Mapping[str, Any]) -> str | None:
    starts = report.get("starts")
    if not isinstance(starts, Mapping):
        return None
    n, agreeing, degenerate = (_number(starts, key) for key in ("n", "agreeing", "degenerate"))
    if n is None or agreeing is None:
        return None
    text = "1, which is enough for one component" if report["n_components"] == 1 and n == 1 else None
    seed = _number(report, "seed")
    if report.get("status") in ("interrupted", "out_of_time"):
        text = f"{n:,.0f} begun, not run to convergence"
    account = _string(starts, "account")
    if text is None and account is not None:
        account = _as_options(account)
        return account if seed is None else f"{account.rstrip('.')} (seed {seed:.0f})"
    text = text or f"{agreeing:,.0f} of {n:,.0f} reached the best optimum"
    text += f"; {degenerate:,.0f} degenerate" if degenerate else ""
    return text if seed is None else f"{text} (seed {seed:.0f})"


def _time(report: Mapping[str, Any]) -> str | None:
    seconds = _number(report, "seconds")
    return None if seconds is None else duration(seconds)


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
    for j in _most_separating(weights, means, spread):
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
    title = shortened(name, max(_NAME, len(cells[0])))
    width = max(len(title), len(cells[0]))
    return [f"{title:>{width}}", *(f"{cell:>{width}}" for cell in cells)]


def _most_separating(weights: Any, means: Any, spread: Any) -> Sequence[int]:
    """Columns by the share of their variance that lies between components, largest first."""
    with np.errstate(all="ignore"):
        within = weights @ spread**2
        between = weights @ (means - weights @ means) ** 2
        score = np.nan_to_num(between / within)
    return [int(j) for j in np.argsort(-score, kind="stable")]


# ------------------------------------------------------------------------------------------------ careful access


def _number(report: Mapping[str, Any], key: str) -> float | None:
    value = report.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    # An integer in JSON may be too large for any float.
    return value if abs(value) < 1e300 else None


def _string(report: Mapping[str, Any], key: str) -> str | None:
    value = report.get(key)
    return value if isinstance(value, str) and value else None
