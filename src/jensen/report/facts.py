"""What there is to say of a mixture and its fit: one mapping, and short facts from it, for terminals and pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jensen.data.frames import default_names
from jensen.families.shapes.table import covariance_shape
from jensen.fit.fitted import FittedMixture
from jensen.report.words import counted, distinct, duration, fixed

# Logarithm of the largest float.
_LARGEST = 709.0
# A name in a list of names is cut to this.
NAME_WIDTH = 22


def describe(fitted: FittedMixture, info: Mapping[str, Any]) -> dict[str, Any]:
    """A mixture and its history as JSON values.

    Parameters
    ----------
    fitted : FittedMixture
        The mixture.
    info : mapping
        How it came about, from ``jensen.store.fit_info`` or a model file.

    Returns
    -------
    dict
        ``n_components, n_features, feature_names, covariance_type``, all of `info`, and
        ``weights, means, covariances``. Where there is noise, ``noise`` has its ``weight`` and ``volume``; of a trimmed
        mixture, ``threshold`` is the log-density of outliers.
    """
    params = fitted.params
    shape: dict[str, Any] = {
        "n_components": fitted.n_components,
        "covariance_type": fitted.covariance_type,
        "n_features": fitted.n_features,
        "feature_names": None if fitted.feature_names is None else list(fitted.feature_names),
    }
    values = {name: params[name].tolist() for name in ("weights", "means", "covariances")}
    values["weights"] = values["weights"][: fitted.n_components]
    outliers: dict[str, Any] = {"noise": None, "threshold": fitted.threshold}
    if fitted.box is not None:
        volume = math.exp(fitted.box.log_volume) if fitted.box.log_volume < _LARGEST else None
        outliers["noise"] = {"weight": float(params["weights"][-1]), "volume": volume}
    shape |= {name: value for name, value in outliers.items() if value is not None}
    info = {name: value for name, value in info.items() if name not in outliers}
    # A model file says of itself what it likes, but not what the numbers beside it are.
    return {**shape, **{key: value for key, value in info.items() if key not in shape | values}, **values}


def deviations(report: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Standard deviations (K, d) of the components of a report."""
    k, d = report["n_components"], report["n_features"]
    covariances = np.asarray(report["covariances"], dtype=np.float64)
    layout = covariance_shape(report["covariance_type"], d).layout
    if layout in ("full", "tied"):
        variances = np.diagonal(covariances, axis1=-2, axis2=-1)
    else:
        variances = covariances[:, None] if layout == "spherical" else covariances
    return np.sqrt(np.broadcast_to(variances, (k, d)))


def facts(report: Mapping[str, Any], reword: Callable[[str], str] = str) -> list[tuple[str, str]]:
    """How good a mixture is and how it came about: a label and a text each; what the report does not say is left out.

    Parameters
    ----------
    report : mapping
        Of ``describe``, with more beside: ``source, set_aside, n_outliers, out, labels, report, seconds``.
    reword : callable, optional
        Turns the arguments that a message names into what they are called where it is read.
    """
    found: list[tuple[str, str | None]] = [
        ("data", string_of(report, "source")),
        ("rows", _rows(report)),
        ("columns", _columns(report)),
        ("outliers", _outliers(report)),
        ("set aside", _set_aside(report)),
        ("constant", _constant(report)),
        ("log-likelihood", _score(report, "loglik")),
        ("BIC", _bic(report)),
        ("ended", _ended(report, reword)),
        ("starts", _starts(report, reword)),
        ("time", _time(report)),
        ("model file", string_of(report, "out")),
        ("labels", string_of(report, "labels")),
        ("report", string_of(report, "report")),
    ]
    return [(label, text) for label, text in found if text is not None]


def how_searched(n_starts: int, linked: bool, n_searched: int) -> str:
    """What was run for each mixture of a choice, in a sentence.

    Parameters
    ----------
    n_starts : int
        Starts of each mixture.
    linked : bool
        Whether mixtures went on from those that they contain, and where some were searched, from larger ones.
    n_searched : int
        How many were searched as if each were alone.
    """
    text = f"Each with {counted(n_starts, 'start')}{' or more' if n_searched else ''}"
    text += ", and from the mixtures that it contains" if linked else ""
    if n_searched:
        text += " or that have a component more" if linked else ""
        led = "the leading one" if n_searched == 1 else f"{n_searched}, the leading ones among them,"
        text += f"; {led} searched by itself" if n_searched == 1 else f"; {led} searched each by itself"
        text += ", with more starts and escapes"
    return f"{text}."


def title_of(report: Mapping[str, Any]) -> str:
    """What kind of mixture it is, such as "Gaussian mixture: 3 components, tied covariance (EEE)"."""
    noise = " and noise" if isinstance(report.get("noise"), Mapping) else ""
    shape = shape_in_words(report["covariance_type"], report["n_features"])
    return f"Gaussian mixture: {counted(report['n_components'], 'component')}{noise}, {shape}"


def shape_in_words(shape: str, d: int) -> str:
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
    n_rows, weight = number_of(report, "n_rows"), number_of(report, "weight")
    if n_rows is None:
        return None
    weighted = weight is not None and weight != n_rows
    return f"{n_rows:,.0f}" + (f", of weight {weight:,.6g} together" if weighted else "")


def _outliers(report: Mapping[str, Any]) -> str | None:
    """What noise spreads over, or what was trimmed."""
    noise, threshold, n = report.get("noise"), number_of(report, "threshold"), number_of(report, "n_outliers")
    if isinstance(noise, Mapping):
        volume = number_of(noise, "volume")
        return "noise, uniform over a box" + ("" if volume is None else f" of volume {volume:.4g}")
    if threshold is None:
        return None
    return ("" if n is None else f"{counted(int(n), 'row')} trimmed, ") + f"log-density below {threshold:.4g}"


def _columns(report: Mapping[str, Any]) -> str:
    names, d = report["feature_names"], report["n_features"]
    if names is None:
        return f"{d:,}"
    shown = distinct(names, NAME_WIDTH)[:6]
    return f"{d:,}: {', '.join(shown)}{', ...' if len(names) > len(shown) else ''}"


def _set_aside(report: Mapping[str, Any]) -> str | None:
    columns = report.get("set_aside")
    if not columns or not isinstance(columns, list):
        return None
    names = distinct([entry["column"] for entry in columns], NAME_WIDTH)[:5]
    shown = [f"{name or '(no name)'} ({entry['reason']})" for name, entry in zip(names, columns, strict=False)]
    return "; ".join(shown) + (f"; and {len(columns) - 5} more" if len(columns) > 5 else "")


def _constant(report: Mapping[str, Any]) -> str | None:
    """Columns that do not vary; a model file may state positions that do not exist."""
    found, d = report.get("constant_columns"), report["n_features"]
    columns = [j for j in found if type(j) is int and 0 <= j < d] if isinstance(found, list) else []
    if not columns:
        return None
    names = report["feature_names"] or default_names(d)
    shown = ", ".join(distinct([names[j] for j in columns], NAME_WIDTH)[:5])
    return f"{shown}{', ...' if len(columns) > 5 else ''} (no help in telling components apart)"


def _score(report: Mapping[str, Any], key: str) -> str | None:
    value = number_of(report, key)
    return None if value is None else fixed(value, 3)


def _bic(report: Mapping[str, Any]) -> str | None:
    value, n_free = number_of(report, "bic"), number_of(report, "n_free")
    if value is None:
        return None
    free = "" if n_free is None else f"; {n_free:,.0f} free parameters"
    return f"{fixed(value, 3)} (smaller is better{free})"


def _ended(report: Mapping[str, Any], reword: Callable[[str], str]) -> str | None:
    message, n_iter = string_of(report, "message"), number_of(report, "n_iter")
    if message is None or n_iter is None:
        return message
    iterations = counted(int(n_iter), "iteration")
    return (
        f"converged after {iterations}" if report.get("status") == "converged" else f"{reword(message)} ({iterations})"
    )


def _starts(report: Mapping[str, Any], reword: Callable[[str], str]) -> str | None:
    starts = report.get("starts")
    if not isinstance(starts, Mapping):
        return None
    n, agreeing, degenerate = (number_of(starts, key) for key in ("n", "agreeing", "degenerate"))
    if n is None or agreeing is None:
        return None
    text = "1, which is enough for one component" if report["n_components"] == 1 and n == 1 else None
    seed = number_of(report, "seed")
    if report.get("status") in ("interrupted", "out_of_time"):
        text = f"{n:,.0f} begun, not run to convergence"
    account = string_of(starts, "account")
    if text is None and account is not None:
        account = reword(account)
        return account if seed is None else f"{account.rstrip('.')} (seed {seed:.0f})"
    text = text or f"{agreeing:,.0f} of {n:,.0f} reached the best optimum"
    text += f"; {degenerate:,.0f} degenerate" if degenerate else ""
    return text if seed is None else f"{text} (seed {seed:.0f})"


def _time(report: Mapping[str, Any]) -> str | None:
    seconds = number_of(report, "seconds")
    return None if seconds is None else duration(seconds)


def most_separating(weights: Any, means: Any, spread: Any) -> Sequence[int]:
    """Columns by the share of their variance that lies between components, largest first."""
    with np.errstate(all="ignore"):
        within = weights @ spread**2
        between = weights @ (means - weights @ means) ** 2
        score = np.nan_to_num(between / within)
    return [int(j) for j in np.argsort(-score, kind="stable")]


def number_of(report: Mapping[str, Any], key: str) -> float | None:
    """A finite number of a report, whose values may be anybody's; None for anything else."""
    value = report.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    # An integer in JSON may be too large for any float.
    return value if abs(value) < 1e300 else None


def string_of(report: Mapping[str, Any], key: str) -> str | None:
    """A text of a report that is not empty, or None."""
    value = report.get(key)
    return value if isinstance(value, str) and value else None
