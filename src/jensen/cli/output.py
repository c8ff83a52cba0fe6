"""Results on stdout: JSON for programs, and tables that can be piped on."""

from __future__ import annotations

import csv
import json
import math
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from jensen.core.block import AnyArray

_ROWS_AT_ONCE = 4096


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON object; a number that is not finite, which JSON has no word for, becomes null."""
    indent = 2 if sys.stdout.isatty() else None
    try:
        text = json.dumps(document, allow_nan=False, indent=indent)
    except ValueError:
        text = json.dumps(nulled(document), allow_nan=False, indent=indent)
    click.echo(text)


def nulled(value: Any) -> Any:
    """The JSON value with null for every number that is not finite."""
    if isinstance(value, Mapping):
        return {key: nulled(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [nulled(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def tell(text: str) -> None:
    """Print text for people, in the characters that stdout can show."""
    from jensen.cli.text import shown

    click.echo(shown(text))


def print_table(columns: Mapping[str, AnyArray]) -> None:
    """Print columns of equal length as CSV; numbers are the shortest that read back to the same bits."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    n_rows = len(next(iter(columns.values())))
    try:
        writer.writerow(columns)
        for start in range(0, n_rows, _ROWS_AT_ONCE):
            part = [column[start : start + _ROWS_AT_ONCE].tolist() for column in columns.values()]
            writer.writerows(zip(*part, strict=True))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has read enough, as head does.
        discard_stdout()


def discard_stdout() -> None:
    """Give up on stdout: what is left in its buffer must not fail again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def note(message: str) -> None:
    """Say something on stderr, where it is not in the way of what is piped on."""
    from jensen.report.words import printable

    click.echo(printable(message), err=True)
