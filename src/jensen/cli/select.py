"""``jensen select``: the whole table of a choice among mixtures."""

from __future__ import annotations

import math
import time
from typing import Any

import click

from jensen.cli.fit import SEARCHED
from jensen.cli.group import INTERRUPTED, OK
from jensen.cli.options import Counts, FileName, Shapes, Source, check_distinct, check_model_output, fitting_options
from jensen.cli.output import print_json, tell
from jensen.core.observers import Glance


@click.command("select", short_help="Compare mixtures in a table.")
@click.argument("source", type=Source())
@click.option("-k", "counts", type=Counts(), help="Numbers of components, such as 1:9.  [default: 1:9]")
@click.option(
    "-c",
    "shapes",
    type=Shapes(),
    default="all",
    show_default=True,
    help="Covariances: full, tied, diag, spherical or mclust's EII ... VVV, several of them, or all.",
)
@click.option(
    "--criterion",
    type=click.Choice(["bic", "icl", "aic", "aicc", "caic", "sabic", "heldout"]),
    default="bic",
    show_default=True,
    help="What the best has least of.",
)
@click.option(
    "--cv", type=click.IntRange(2), metavar="N", help="Folds for the held-out log-likelihood.  [default: none]"
)
@fitting_options
@click.option("--equal-weights", is_flag=True, help="Every component has the weight 1/K.")
@click.option("--prior", is_flag=True, help="Fraley & Raftery's conjugate prior on means and covariances.")
@click.option("--out", type=FileName(), help="Write the best model to this .safetensors file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of the table.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def command(
    source: str,
    counts: tuple[int, ...] | None,
    shapes: tuple[str, ...],
    criterion: str,
    cv: int | None,
    columns: tuple[str, ...] | None,
    weights: str | None,
    out: str | None,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Compare mixtures of every number of components and every shape on SOURCE.

    SOURCE is a bundled data set (faithful, iris, galaxies) or a file: CSV, TSV, Parquet, Arrow, Feather or .npy.
    The names of the shapes are mclust's: volume, shape and orientation are equal (E), variable (V) or those of the
    axes (I).
    """
    from jensen.cli.grid import whole
    from jensen.cli.report import describe_selection
    from jensen.core.status import Status
    from jensen.data.arrays import ArraySource
    from jensen.data.files import read_table
    from jensen.errors import InputError
    from jensen.fit.priors import ConjugatePrior
    from jensen.fit.selection.grid import select_mixture
    from jensen.fit.selection.table import shapes_asked
    from jensen.fit.settings import MixtureSettings
    from jensen.report.progress import Progress
    from jensen.report.words import duration
    from jensen.store import ModelRecord, fit_info, write_model

    began = time.perf_counter()
    check_model_output(out)
    check_distinct([source], [out])
    if criterion == "heldout" and cv is None:
        raise InputError("--criterion heldout needs a number of folds: give --cv, such as --cv 10")
    table = read_table(source, columns=columns, weights=weights)
    settings = MixtureSettings(
        1,
        reg_covar=options["reg"],
        n_init=options["starts"],
        seed=options["seed"],
        equal_weights=options["equal_weights"],
        prior=ConjugatePrior() if options["prior"] else None,
    )
    names = shapes_asked(shapes, table.n_features)
    with Progress(not (as_json or quiet), 0) as progress:
        found = select_mixture(
            ArraySource(table.data, table.weights), counts or SEARCHED, names, settings,
            criterion=criterion, feature_names=table.feature_names, observer=Glance(progress.on_search),  # type: ignore[arg-type]
            max_time=options["max_time"] or math.inf, cv=cv,
        )  # fmt: skip
    if out is not None:
        write_model(out, ModelRecord(found.best.fitted, fit_info(found.best, {"criterion": criterion})))
    told = {"source": source, **describe_selection(found), "out": out, "total_seconds": time.perf_counter() - began}
    if as_json:
        print_json(told)
    elif not quiet:
        tell("\n".join(whole(told)))
        tell(f"\n{duration(told['total_seconds'])}" + ("" if out is None else f"; the best is in {out}"))
    return INTERRUPTED if found.status is Status.INTERRUPTED else OK
