"""``jensen fit``: from a table to a mixture."""

from __future__ import annotations

import math
import os
import shlex
import time
from typing import Any

import click

from jensen.cli.group import INTERRUPTED, OK
from jensen.cli.options import (
    AutoOr,
    Counts,
    FileName,
    Shapes,
    Source,
    check_distinct,
    check_model_output,
    check_page_output,
    check_table_output,
    fitting_options,
    tol_option,
)
from jensen.cli.output import print_json, tell
from jensen.core.observers import Glance

SEARCHED = tuple(range(1, 10))


@click.command("fit", short_help="Fit a mixture to a table.")
@click.argument("source", type=Source())
@click.option("-k", "counts", type=Counts(), help="Components: a number, or a range to choose from.  [default: 1:9]")
@click.option(
    "-c",
    "shapes",
    type=Shapes(),
    help="Covariances: full, tied, diag, spherical or mclust's EII ... VVV, several of them, or all.  "
    "[default: full if -k is a number, else all]",
)
@fitting_options
@tol_option
@click.option("--max-iter", type=AutoOr(int, 1), default="auto", show_default=True, help="Iterations of a start.")
@click.option(
    "--degenerate",
    is_flag=True,
    help="Take the highest likelihood, even of degenerate or very narrow components, which are set aside otherwise.",
)
@click.option(
    "--noise", is_flag=True, help="A further component, uniform over a box, for rows that belong to no other."
)
@click.option(
    "--noise-volume", type=click.FloatRange(0, min_open=True), metavar="V", help="Volume of that box; implies --noise."
)
@click.option(
    "--trim", type=click.FloatRange(0, 1, max_open=True), metavar="SHARE", default=0.0,
    help="Leave out this share of the rows, those of lowest density.",
)  # fmt: skip
@click.option(
    "--accelerate/--no-accelerate", default=True, show_default=True, help="Extrapolate EM's steps where EM is slow."
)
@click.option("--out", type=FileName(), help="Write the model to this .safetensors file.")
@click.option(
    "--labels", type=FileName(), help="Write each row's component to this file (.csv, .parquet, ...); outliers get -1."
)
@click.option(
    "--report", "page", type=FileName(), help="Write a page that tells the fit to anybody to this .html file."
)
@click.option("--errors", is_flag=True, help="Also standard errors, and a diagnosis of the fit.")
@click.option("--charts/--no-charts", default=None, help="Charts of one line.  [default: on a terminal]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of the summary.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def command(
    source: str,
    counts: tuple[int, ...] | None,
    shapes: tuple[str, ...] | None,
    columns: tuple[str, ...] | None,
    weights: str | None,
    out: str | None,
    labels: str | None,
    page: str | None,
    errors: bool,
    charts: bool | None,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Fit a Gaussian mixture to the numeric columns of SOURCE.

    SOURCE is a bundled data set (faithful, iris, galaxies) or a file: CSV, TSV, Parquet, Arrow, Feather or .npy.
    Where there is a choice of mixtures, the one of smallest BIC is taken, never a degenerate one. Ctrl-C ends the
    fit and keeps the best parameters so far.
    """
    from jensen.cli.charts import are_wanted
    from jensen.cli.report import describe_errors, describe_selection
    from jensen.cli.summary import summary
    from jensen.core.status import Status
    from jensen.data.files import read_table, write_table
    from jensen.data.frames import default_names
    from jensen.errors import InputError
    from jensen.fit.selection.table import shapes_asked
    from jensen.report.facts import describe
    from jensen.report.progress import Progress
    from jensen.report.sparks import glances
    from jensen.store import ModelRecord, fit_info, write_model

    began = time.perf_counter()
    check_model_output(out)
    check_table_output(labels)
    check_page_output(page)
    check_distinct([source], [out, labels, page])
    if errors and options["trim"] > 0:
        raise InputError("--errors is about the likelihood of all rows, and --trim leaves some out: leave one out")
    table = read_table(source, columns=columns, weights=weights)
    chosen = ("full",) if counts is not None and len(counts) == 1 else ("all",)
    named = shapes_asked(shapes or chosen, table.n_features)
    n_starts = options["starts"] if isinstance(options["starts"], int) else 0
    with Progress(not (as_json or quiet), n_starts) as progress:
        fit, selection = _fit(table, counts or SEARCHED, named, options, progress)
    searched = selection is not None and selection.status is not Status.CONVERGED
    status = selection.status if selection is not None and searched else fit.status

    told = {name: options[name] for name in ("starts", "reg", "tol", "max_iter", "max_time", "degenerate")}
    asked = {"noise": _noise(options), "trim": options["trim"]}
    info = fit_info(fit, {**told, **{name: value for name, value in asked.items() if value}})
    if out is not None:
        write_model(out, ModelRecord(fit.fitted, info))
    if labels is not None:
        write_table(labels, {"component": fit.fitted.labels(table.data)})
    report = describe(fit.fitted, info)
    if asked["trim"]:
        report["n_outliers"] = int((fit.fitted.labels(table.data) < 0).sum())
    report |= {
        "source": source,
        "set_aside": [{"column": name, "reason": reason} for name, reason in table.set_aside],
        "selection": None if selection is None else describe_selection(selection),
        "out": out,
        "labels": labels,
        "report": page,
        "trace": list(fit.trace),
        "errors": describe_errors(fit, table.data, table.weights) if errors else None,
        "seconds": time.perf_counter() - began,
    }
    if as_json:
        print_json(report)
    elif not quiet:
        if are_wanted(charts):
            names = table.feature_names or default_names(table.n_features)
            report["charts"] = glances(fit, table.data, table.weights, names)
        tell(summary(report))
    # Last of all: whatever becomes of the page, the fit has been told.
    if page is not None:
        _write_page(page, table, fit, info, selection, source)
    return INTERRUPTED if status is Status.INTERRUPTED else OK


def _write_page(page: str, table: Any, fit: Any, info: Any, selection: Any, source: str) -> None:
    """Write the report, with the command that makes it again."""
    from jensen.cli.summary import as_options
    from jensen.report.page import Origin, write_report

    called = click.get_current_context().obj
    recipe = (shlex.join(["jensen", *called]),) if isinstance(called, list) else ()
    origin = Origin(os.path.basename(source), table.set_aside, recipe, "shell", as_options)
    write_report(page, fit.fitted, table.data, table.weights, record=fit, info=info, selection=selection, origin=origin)


def _fit(table: Any, counts: tuple[int, ...], shapes: Any, options: dict[str, Any], progress: Any) -> tuple[Any, Any]:
    """The fit, and the search that it comes from, or None where there was nothing to choose."""
    from jensen.data.arrays import ArraySource
    from jensen.errors import InputError
    from jensen.fit.mixture import fit_mixture
    from jensen.fit.selection.grid import select_mixture
    from jensen.fit.settings import MixtureSettings
    from jensen.report.words import counted

    source = ArraySource(table.data, table.weights)
    rows = counted(source.n_counting, "row") + ("" if table.weights is None else " of positive weight")
    if source.n_counting < 2:
        raise InputError(f"--weights: there is {rows}; expected at least 2. Name another column, or none.")
    if min(counts) > source.n_counting:
        raise InputError(f"-k: {min(counts)} components for {rows}. Ask for no more than there are rows.")
    max_time = options["max_time"] or math.inf
    settings = MixtureSettings(
        n_components=counts[0],
        covariance_type=shapes[0],
        reg_covar=options["reg"],
        tol=options["tol"],
        max_iter=options["max_iter"],
        accelerate="auto" if options["accelerate"] else "off",
        n_init=1 if counts == (1,) and not (options["trim"] or _noise(options)) else options["starts"],
        degenerate="allow" if options["degenerate"] else "avoid",
        seed=options["seed"],
        max_time=max_time,
        noise=_noise(options),
        trim=options["trim"],
    )
    names = table.feature_names
    if len(counts) == len(shapes) == 1:
        return fit_mixture(source, settings, feature_names=names, observer=Glance(progress.on_fit)), None
    selection = select_mixture(
        source, counts, shapes, settings, feature_names=names, observer=Glance(progress.on_search), max_time=max_time
    )
    return selection.best, selection


def _noise(options: dict[str, Any]) -> bool | float:
    """Whether there is a component of noise, or the volume of its box."""
    volume = options["noise_volume"]
    return bool(options["noise"]) if volume is None else float(volume)
