"""The report of a fit: one page in one file, which needs no network and runs no code.

What names and files say reaches the page as text alone: the template escapes everything but the pictures, which a tree
wrote, and the policy of the page forbids scripts and whatever is elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Literal

import numpy as np

import jensen
from jensen.core.block import AnyArray, Array
from jensen.data.atomic import atomic_write, check_writable
from jensen.errors import InputError
from jensen.fit.fitted import FittedMixture
from jensen.fit.result import MixtureFit
from jensen.fit.selection.table import Selection
from jensen.infer.diagnose import Diagnosis
from jensen.infer.mixtures import mixture_diagnosis
from jensen.report import answer, numbers, sentences
from jensen.report.checks import calibration
from jensen.report.drawing import pyplot
from jensen.report.facts import describe, facts, number_of, title_of
from jensen.report.pictures import curves, pictures, trace
from jensen.report.view import View
from jensen.report.words import counted, printable
from jensen.store import fit_info

Intervals = Literal["auto", True, False]
# Seconds that intervals may take where it is left to the report, by the estimate of `_seconds`.
_PATIENCE = 30.0
# Rows whose log-likelihood differs by more than this share of itself from that of the fit are other rows.
_SAME = 1e-5


@dataclass(frozen=True)
class Origin:
    """Where a fit comes from, as its page tells it.

    Attributes
    ----------
    source : str, default=""
        Name of the data.
    set_aside : tuple of (str, str), default=()
        Columns that were not used, and why.
    recipe : tuple of str, default=()
        Lines that make the fit again.
    language : {"Python", "shell"}, default="Python"
        Of these lines.
    reword : callable, default=str
        Turns the arguments that a message names into what they are called where the fit was made.
    """

    source: str = ""
    set_aside: tuple[tuple[str, str], ...] = ()
    recipe: tuple[str, ...] = ()
    language: Literal["Python", "shell"] = "Python"
    reword: Callable[[str], str] = field(default=str)


def write_report(
    path: str | os.PathLike[str],
    fitted: FittedMixture,
    rows: AnyArray | None = None,
    weight: Array | None = None,
    *,
    record: MixtureFit | None = None,
    info: Mapping[str, Any] | None = None,
    selection: Selection | None = None,
    title: str | None = None,
    level: float = 0.95,
    intervals: Intervals = "auto",
    origin: Origin | None = None,
) -> None:
    """Write the page of a fitted mixture, whole or not at all.

    Parameters
    ----------
    path : path-like
        Where to; it ends in ``.html``.
    fitted : FittedMixture
        The mixture.
    rows : ndarray of shape (n, d), optional
        The rows of the fit.
    weight : ndarray of shape (n,), optional
        Their weights.
    record : MixtureFit, optional
        How the fit went.
    info : mapping, optional
        What a model file tells of it, where there is no record.
    selection : Selection, optional
        The choice that it comes from.
    title, level, intervals
        As in ``GaussianMixture.report``.
    origin : Origin, optional
        Where the fit comes from.

    Raises
    ------
    InputError
        If the path cannot be written, a package is missing, an argument is out of its domain, or the rows are not those
        of the fit.
    """
    check_report(path)
    if not 0.0 < level < 1.0:
        raise InputError(f"level must lie between 0 and 1, got {level!r}")
    if intervals not in ("auto", True, False):
        raise InputError(f"intervals must be 'auto', True or False, got {intervals!r}")
    if title is not None and not isinstance(title, str):
        raise InputError(f"title must be a text, got {title!r}")
    info = dict(fit_info(record)) if record is not None else dict(info or {})
    view = View.of(fitted, rows, weight, _unasked(fitted, 0 if rows is None else len(rows), intervals))
    if rows is not None:
        _check_same(fitted, rows, weight, info)
    content = page(view, record, info, selection, title, level, origin or Origin()).encode("utf-8")
    with atomic_write(path) as stream:
        stream.write(content)


def check_report(path: str | os.PathLike[str]) -> None:
    """Refuse a path that no report could be written to, or an installation that cannot make one, before any work.

    Raises
    ------
    InputError
        If the path cannot be written or does not end in ``.html``, or a package is missing.
    """
    if os.path.splitext(os.fspath(path))[1].lower() not in (".html", ".htm"):
        raise InputError(f"{os.fspath(path)}: a report is a page whose name ends in .html. Give it that ending.")
    check_writable(path)
    try:
        import jinja2  # noqa: F401

        pyplot()
    except (ImportError, InputError):
        raise InputError("reports need matplotlib and jinja2: install them with pip install 'jensen[report]'") from None


def page(
    view: View,
    record: MixtureFit | None,
    info: Mapping[str, Any],
    selection: Selection | None,
    title: str | None,
    level: float,
    origin: Origin,
) -> str:
    """The text of the page; arguments are those of `write_report`."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    has_rows, any_kept = len(view.rows) > 0, _any_kept(view)
    calibrated = calibration(view) if any_kept else None
    assigned = answer.assignment(view) if any_kept else None
    found, why = numbers.intervals_of(view, level)
    diagnosis = _diagnosis(view, record, found is not None)
    shown = list(pictures(view, level, calibrated, assigned, found is not None))
    told = {**describe(view.fitted, info), "source": origin.source, "n_outliers": _n_trimmed(view)}
    told["set_aside"] = [{"column": name, "reason": reason} for name, reason in origin.set_aside]
    points = [("How many groups?", sentences.choice(view, selection))]
    if assigned is not None and len(assigned.shared) > 1:
        points.append(("Which group does a row belong to?", answer.certainty(view, assigned)))
    if calibrated is not None:
        points.append(("Does the mixture fit?", answer.fitting(calibrated)))
    style = (files("jensen.report") / "templates" / "report.css").read_text(encoding="utf-8")
    environment = Environment(
        loader=PackageLoader("jensen.report", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=_safe,
    )  # fmt: skip
    return environment.get_template("report.html.j2").render(
        title=title or (f"Groups in {origin.source}" if origin.source else "Groups in the data"),
        question=sentences.question(view, info, origin.source),
        headline=answer.headline(view),
        portraits=answer.portraits(view),
        points=points,
        may_be_one=assigned is not None and answer.may_be_one(view, assigned),
        warnings=sentences.warnings_of(info, selection, diagnosis, origin.reword),
        facts=facts(told, origin.reword),
        kind=title_of(told),
        pictures=[(picture, Markup(picture.svg)) for picture in shown],
        components=numbers.components(view, found, level),
        level=f"{100 * level:g} %",
        has_intervals=found is not None,
        without_intervals=sentences.sentence(origin.reword(why)) if why else "",
        notes=[sentences.sentence(origin.reword(note)) for note in (found.errors.notes if found is not None else ())],
        method=found.errors.method if found is not None else "",
        search=sentences.search(view, record, info, origin.reword),
        trace=_with_markup(trace(record) if record is not None else None, Markup),
        findings=sentences.findings_of(diagnosis, origin.reword),
        missing=numbers.missing(view, diagnosis.rate if diagnosis is not None else None),
        choice=sentences.choice(view, selection),
        candidates=numbers.candidates(selection) if selection is not None else None,
        curves=_with_markup(curves(selection) if selection is not None else None, Markup),
        how_chosen=sentences.how_chosen(selection),
        recipe=list(origin.recipe),
        language=origin.language,
        seed=info.get("seed") if type(info.get("seed")) is int else None,
        version=jensen.__version__,
        has_rows=has_rows,
        style=Markup(style),
        policy=_policy(style),
    )  # fmt: skip


def _safe(value: Any) -> Any:
    """Texts with what is not for display spelled out: a control character is no HTML, and others turn lines around."""
    from markupsafe import Markup

    if isinstance(value, str) and not isinstance(value, Markup):
        return "".join(part if part in "\n\u00a0" else printable(part) for part in re.split("([\n\u00a0])", value))
    return value


def _policy(style: str) -> str:
    """The content-security policy: this style, pictures within the page, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


def _with_markup(picture: Any, markup: Any) -> Any:
    return None if picture is None else (picture, markup(picture.svg))


# ------------------------------------------------------------------------------------------------ rows


def _unasked(fitted: FittedMixture, n: int, intervals: Intervals) -> str:
    """Why there are no intervals; empty if there are to be."""
    if intervals is False:
        return "intervals were not asked for"
    if intervals == "auto" and (seconds := _seconds(fitted, n)) > _PATIENCE:
        return (
            f"intervals were left out, since {n:,} rows and {fitted.params.n_free:,} parameters would take about "
            f"{counted(max(1, round(seconds / 60.0)), 'minute')}; in Python, intervals=True takes them"
        )
    return ""


def _seconds(fitted: FittedMixture, n: int) -> float:
    """A rough guess at the time of standard errors, from measurements: passes, products and factors."""
    p = fitted.params.n_free
    return n * (4e-6 + p**2 / 2e9) + 1.5e-8 * p**3


def _check_same(fitted: FittedMixture, rows: AnyArray, weight: Array | None, info: Mapping[str, Any]) -> None:
    """Refuse rows, or weights, that are not those of the fit: the page would mix two data sets."""
    n, loglik = number_of(info, "n_rows"), number_of(info, "loglik")
    remedy = "Give the rows of the fit, with their sample_weight if they have one, or leave X out"
    if n is not None and n != len(rows):
        raise InputError(f"X has {counted(len(rows), 'row')}, and the fit saw {counted(int(n), 'row')}. {remedy}")
    if loglik is None or fitted.threshold is not None:
        return
    here = fitted.assess(rows, weight)
    if abs(here.loglik - loglik) > _SAME * (abs(loglik) + here.weight):
        raise InputError(
            f"X, or sample_weight, is another one than that of the fit: its log-likelihood is {here.loglik:.6g}, and "
            f"that of the fit {loglik:.6g}. {remedy}"
        )


def _any_kept(view: View) -> bool:
    """Whether there are rows that were not trimmed."""
    return len(view.rows) > 0 and (view.fitted.threshold is None or bool((view.labels >= 0).any()))


def _n_trimmed(view: View) -> int | None:
    trimmed = view.fitted.threshold is not None and len(view.rows) > 0
    return int(np.count_nonzero(view.labels < 0)) if trimmed else None


def _diagnosis(view: View, record: MixtureFit | None, is_known: bool) -> Diagnosis | None:
    """What the information says; None where it was not asked for, or there is none."""
    if not is_known:
        return None
    return mixture_diagnosis(view.analysis, record)
