"""``jensen show``: what is in a model file."""

from __future__ import annotations

import click

from jensen.cli.options import FileName
from jensen.cli.output import print_json, tell


@click.command("show", short_help="Show what is in a model file.")
@click.argument("model", type=FileName())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of the summary.")
def command(model: str, as_json: bool) -> None:
    """Show the mixture in the file MODEL, and how it came about."""
    from jensen.cli.summary import summary
    from jensen.cli.text import paragraph
    from jensen.report.facts import describe
    from jensen.store import read_model

    record = read_model(model)
    report = describe(record.fitted, record.info)
    if as_json:
        print_json({**report, "library": record.library})
        return
    tell(paragraph("", f"{model}, written by {record.library}", 0))
    tell("")
    tell(
        summary({**report, **dict.fromkeys(("source", "set_aside", "selection", "out", "labels", "errors", "charts"))})
    )
