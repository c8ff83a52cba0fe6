"""The command line: ``jensen fit | select | predict | show | sample``."""

from __future__ import annotations

import click

import jensen
from jensen.cli.group import Commands

INTRODUCTION = """\
Jensen fits Gaussian mixtures to a table of numbers, by EM.

Begin with bundled data:
  jensen fit faithful                      choose components and their shape by BIC
  jensen select iris                       compare them all in a table
  jensen fit iris -k 3 --out iris.safetensors --labels groups.csv

Then your own (CSV, TSV, Parquet, Arrow, Feather or .npy):
  jensen fit data.csv -k 1:9 --columns height,weight --out model.safetensors
  jensen show model.safetensors
  jensen predict model.safetensors new.csv --proba --out groups.csv
  jensen sample model.safetensors -n 1000 --out more.csv

Bundled data: faithful, iris, galaxies.
Every option: jensen fit --help\
"""

EPILOG = """\
Exit codes: 0 all is well; 1 a file or its data cannot be used; 2 wrong usage; 130 interrupted.
"""


def tell_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Say what runs here, and end."""
    if wanted and not context.resilient_parsing:
        click.echo(f"jensen {jensen.__version__}")
        details = str(jensen.show_config()).splitlines()[1:]
        click.echo("\n".join(details))
        context.exit()


@click.group(
    cls=Commands,
    homes={name: f"jensen.cli.{name}" for name in ("fit", "select", "predict", "show", "sample")},
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88},
    epilog=EPILOG,
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=tell_version,
    help="Versions, kernel, threads.",
)
@click.pass_context
def main(context: click.Context) -> None:
    """EM for Python: fit Gaussian mixtures, judge them, use them and keep them."""
    if context.invoked_subcommand is None:
        click.echo(INTRODUCTION)


__all__ = ["main"]
