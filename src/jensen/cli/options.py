"""What the options of the commands mean."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from click.shell_completion import CompletionItem

from jensen.errors import InputError

# Its parameter is news to older releases of click.
if TYPE_CHECKING:
    _Type = click.ParamType[Any]
else:
    _Type = click.ParamType

MAX_RANGE = 1000
_READABLE = {".csv", ".tsv", ".parquet", ".arrow", ".feather", ".npy"}


class Source(_Type):
    """A bundled data set or a file."""

    name = "SOURCE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text; what it leads to is seen when it is read."""
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names of bundled data sets, beside tables in the folder; files, which the shell knows, where none fits."""
        from jensen.datasets import names

        bundled = [CompletionItem(name, help="bundled data") for name in names() if name.startswith(incomplete)]
        if not bundled:
            return [CompletionItem(incomplete, type="file")]
        # bash takes its own completion of files only where it is given nothing else.
        return bundled + [CompletionItem(path.name) for path in _tables() if path.name.startswith(incomplete)]


def _tables() -> list[Path]:
    return sorted(path for path in Path().iterdir() if path.suffix in _READABLE)


class FileName(_Type):
    """A file to read or to write."""

    name = "FILE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text; whether it can be used is told by what uses it."""
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Files, which the shell knows."""
        return [CompletionItem(incomplete, type="file")]


class Counts(_Type):
    """A number, a range ``from:to`` that includes both ends, or several separated by commas."""

    name = "K|FROM:TO"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The numbers, ascending, each once."""
        if isinstance(value, tuple):
            return value
        found = set[int]()
        try:
            for part in str(value).split(","):
                first, _, last = part.partition(":")
                low = int(first)
                high = int(last) if ":" in part else low
                if high - low >= MAX_RANGE:
                    self.fail(f"{part!r} spans more than {MAX_RANGE} numbers", param, ctx)
                if high < low:
                    self.fail(f"{part!r} is empty; expected the smaller number first, as in 1:9", param, ctx)
                found.update(range(low, high + 1))
        except ValueError:
            self.fail(f"{value!r} is neither a number, such as 3, nor a range, such as 1:9", param, ctx)
        if min(found) < 1:
            self.fail(f"{value!r} asks for {min(found)} components; expected at least 1", param, ctx)
        return tuple(sorted(found))


class Shapes(_Type):
    """Names of shapes separated by commas, or ``all``."""

    name = "SHAPES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The shapes, each once: under scikit-learn's names where it has them; of ``all``, nothing but that."""
        from jensen.families.shapes.table import covariance_shape

        if isinstance(value, tuple):
            return value
        if value == "all":
            return ("all",)
        try:
            return tuple(dict.fromkeys(covariance_shape(name.strip()).label for name in str(value).split(",")))
        except InputError as error:
            self.fail(f"{str(error).removeprefix('covariance_type ')}; or all", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names of shapes, also after a comma."""
        from jensen.families.shapes.table import SHAPES
        from jensen.report.facts import shape_in_words

        before, comma, begun = incomplete.rpartition(",")
        names = {name: shape_in_words(name, 2) for shape in SHAPES.values() for name in (shape.name, shape.label)}
        found = [] if comma else [CompletionItem("all", help="every shape")]
        found += [CompletionItem(f"{before}{comma}{name}", help=words) for name, words in names.items()]
        return [item for item in found if item.value.removeprefix(f"{before}{comma}").startswith(begun)]


class AutoOr(_Type):
    """``auto``, or a number.

    Parameters
    ----------
    kind : type
        ``int`` or ``float``.
    least : int or float
        The smallest value that is allowed.
    """

    def __init__(self, kind: type[int] | type[float], least: float) -> None:
        self.kind, self.least = kind, least
        self.name = "NUMBER"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Literal["auto"] | int | float:
        """The number, or "auto"."""
        if value == "auto":
            return "auto"
        try:
            number = self.kind(value)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number >= self.least):
            noun = "a whole number" if self.kind is int else "a number"
            self.fail(f"{value!r}; expected auto, or {noun} of at least {self.least:g}", param, ctx)
        return number


class Names(_Type):
    """Names of columns separated by commas; a name that holds a comma goes in double quotes."""

    name = "A,B,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The names."""
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for row in csv.reader([str(value)], skipinitialspace=True) for name in row)
        if not all(names):
            self.fail(f"{value!r} holds an empty name", param, ctx)
        return names


columns_option = click.option("--columns", type=Names(), help="Columns to use.  [default: all numeric ones]")
weights_option = click.option("--weights", metavar="COLUMN", help="Column with the weights of the rows.")
seed_option = click.option(
    "--seed", type=click.IntRange(0), metavar="N", default=1, show_default=True, help="Seed of all random draws."
)
reg_option = click.option(
    "--reg", type=AutoOr(float, 0.0), default="auto", show_default=True, help="Added to every variance."
)
tol_option = click.option("--tol", type=AutoOr(float, 0.0), default="auto", show_default=True, help="When to stop.")
_SHARED: tuple[Callable[[Any], Any], ...] = (
    columns_option,
    weights_option,
    click.option(
        "--starts",
        type=AutoOr(int, 1),
        metavar="N",
        default="auto",
        show_default=True,
        help="Starts of each mixture; auto also searches until starts and escapes agree.",
    ),
    seed_option,
    click.option("--max-time", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Time limit."),
    reg_option,
)


def fitting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that fits mixtures ``--columns, --weights, --starts, --seed, --max-time`` and ``--reg``."""
    for option in reversed(_SHARED):
        command = option(command)
    return command


def check_model_output(path: str | None) -> None:
    """Refuse a path that no model could be written to, before a fit.

    Raises
    ------
    InputError
        The ending is another one than ``.safetensors``, or the place cannot be written.
    """
    from jensen.data.atomic import check_writable

    if path is None:
        return
    if Path(path).suffix != ".safetensors":
        raise InputError(f"{path}: a model file ends in .safetensors. Give it that ending.")
    check_writable(path)


def check_table_output(path: str | None) -> None:
    """Refuse a path that no table could be written to, before the work is done.

    Raises
    ------
    InputError
        The ending is unknown, or the place cannot be written.
    """
    from jensen.data.files import check_output

    if path is not None:
        check_output(path)


def check_page_output(path: str | None) -> None:
    """Refuse a path that no report could be written to, or an installation that cannot make one, before a fit.

    Raises
    ------
    InputError
        The ending is another one than ``.html``, the place cannot be written, or a package is missing.
    """
    if path is not None:
        from jensen.report.page import check_report

        check_report(path)


def check_distinct(inputs: list[str], outputs: list[str | None]) -> None:
    """Refuse outputs that would replace an input, or one another.

    Raises
    ------
    InputError
        Two paths are the same file.
    """
    taken = {os.path.realpath(path) for path in inputs}
    for path in outputs:
        if path is None:
            continue
        if os.path.realpath(path) in taken:
            raise InputError(f"{path}: this output would replace another file of the same command. Name another.")
        taken.add(os.path.realpath(path))
