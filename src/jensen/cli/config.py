"""``jensen config``: what an installation runs on."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from jensen.cli.output import print_json, tell

if TYPE_CHECKING:
    from jensen.config import Config

# Where the values of the table begin.
_LABEL = 13


@click.command("config", short_help="Show versions, kernel and threads.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of the table.")
def command(as_json: bool) -> None:
    """Show versions, the kernel with its instruction set and why, threads, and BLAS libraries."""
    from jensen.config import show_config

    found = show_config()
    if as_json:
        print_json(asdict(found))
    else:
        tell("\n".join([f"jensen {found.version}", *table(found)]))


def table(config: Config) -> list[str]:
    """The lines of a configuration, without its version, in the width of the terminal."""
    from jensen.cli.text import paragraph

    _, *lines = str(config).splitlines()
    return [paragraph(line[:_LABEL], line[_LABEL:], _LABEL) for line in lines]
