"""``jensen watch``: EM on a table, half step by half step, in a page."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from jensen.cli.options import (
    AutoOr,
    FileName,
    Names,
    Shapes,
    Source,
    check_distinct,
    columns_option,
    reg_option,
    seed_option,
    tol_option,
    weights_option,
)
from jensen.errors import InputError
from jensen.report.words import printable


@click.command("watch", short_help="Play EM on a table in a browser.")
@click.argument("source", type=Source())
@click.option(
    "-k", "n_components", type=click.IntRange(1), metavar="K", help="Components.  [default: the smallest BIC of 2 to 9]"
)
@click.option(
    "-c", "shapes", type=Shapes(), default="full", show_default=True,
    help="Covariances: full, tied, diag, spherical, or one of mclust's EII ... VVV.",
)  # fmt: skip
@columns_option
@weights_option
@click.option(
    "--axes", type=Names(), help="One or two columns to draw first; of more than two, the page lets you choose."
)
@click.option(
    "--starts", "n_starts", type=click.IntRange(1, 50), metavar="N", default=6, show_default=True,
    help="Starts to choose from.",
)  # fmt: skip
@click.option(
    "--accelerate", type=click.Choice(["quasi-newton", "squarem", "anderson"]), default="quasi-newton",
    show_default=True, help="What plain EM is compared with.",
)  # fmt: skip
@seed_option
@click.option("--max-time", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Time limit of each run.")
@reg_option
@tol_option
@click.option("--max-iter", type=AutoOr(int, 1), default="auto", show_default=True, help="Iterations of a run.")
@click.option("--export", type=FileName(), help="Write the page to this .html file, and end.")
@click.option(
    "--port", type=click.IntRange(0, 65535), metavar="N", default=0, help="Port on this machine.  [default: a free one]"
)
@click.option("--no-open", is_flag=True, help="Print the address, and open no browser.")
def command(
    source: str,
    n_components: int | None,
    shapes: tuple[str, ...],
    columns: tuple[str, ...] | None,
    weights: str | None,
    axes: tuple[str, ...] | None,
    n_starts: int,
    export: str | None,
    port: int,
    no_open: bool,
    **options: Any,
) -> None:
    """Play EM on the numeric columns of SOURCE, in a browser.

    SOURCE is a bundled data set (faithful, iris, galaxies) or a file, as for jensen fit. The page steps through E and
    M, compares starts and acceleration, and runs EM anew from a start that you drag. With --export it becomes one
    file, which needs neither network nor Python, and whose starts are fixed.
    """
    from jensen.data.atomic import check_writable
    from jensen.data.files import read_table
    from jensen.fit.settings import MixtureSettings
    from jensen.report.progress import Progress
    from jensen.watch.door import recording_of
    from jensen.watch.server import check_port

    if len(shapes) != 1 or shapes == ("all",):
        raise InputError(f"-c: expected one shape to watch, got {', '.join(shapes)}. Name one of them.")
    if export is not None:
        if Path(export).suffix.lower() not in (".html", ".htm"):
            raise InputError(f"{export}: a page ends in .html. Give it that ending.")
        check_writable(export)
        check_distinct([source], [export])
    else:
        check_port(port)
    table = read_table(source, columns=columns, weights=weights)
    settings = MixtureSettings(
        n_components=n_components or 0,
        covariance_type=shapes[0],
        reg_covar=options["reg"],
        tol=options["tol"],
        max_iter=options["max_iter"],
        accelerate=options["accelerate"],
        seed=options["seed"],
        max_time=options["max_time"] or math.inf,
    )
    with Progress(True) as progress:
        recording = recording_of(
            table,
            settings,
            name=Path(source).name,
            n_starts=n_starts,
            shown=axes,
            observer=progress.on_search,
        )
    for note in recording.notes:
        click.echo(printable(note))
    if export is None:
        recording.serve(port, open_browser=not no_open)
        return
    recording.export(export)
    size = Path(export).stat().st_size / 1e6
    click.echo(f"{printable(export)}: {len(recording.comparisons)} starts, {size:.1f} MB; open it in a browser")
