"""The command line: ``jensen fit | select | predict | show | sample | watch | config | completion``."""

from __future__ import annotations

import click

import jensen
from jensen.cli.group import Commands

INTRODUCTION = """\
Jensen fits Gaussian mixtures to a table of numbers, by EM.

Begin with bundled data (faithful, iris, galaxies):
  jensen fit faithful     choose components and shape by BIC
  jensen select iris      compare them all in a table
  jensen watch faithful   see EM at work, step by step
  jensen fit iris -k 3 --out m.safetensors --labels l.csv

Then your own (CSV, TSV, Parquet, Arrow, Feather or .npy):
  jensen fit data.csv -k 1:9 --columns height,weight
  jensen fit data.csv --out model.safetensors
  jensen show model.safetensors
  jensen predict model.safetensors new.csv --out groups.csv
  jensen sample model.safetensors -n 1000 --out more.csv

All commands: jensen --help. Every option: jensen fit --help.\
"""

_COMMANDS = ("fit", "select", "predict", "show", "sample", "watch", "config", "completion")

EPILOG = """\
Exit codes: 0 all is well; 1 a file or its data cannot be used; 2 wrong usage; 130 interrupted.
"""


def tell_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Say what runs here, and end."""
    if wanted and not context.resilient_parsing:
        from jensen.cli.config import table

        click.echo(f"jensen {jensen.__version__}")
        click.echo("\n".join(table(jensen.show_config())))
        context.exit()


@click.group(
    cls=Commands,
    homes={name: f"jensen.cli.{name}" for name in _COMMANDS},
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
