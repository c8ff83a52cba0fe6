"""How every command starts and ends: loaded when it is called, and its errors turned into exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from jensen.cli.output import discard_stdout
from jensen.errors import JensenError, NumericalFailure
from jensen.report.words import printable

OK, UNUSABLE, USAGE, INTERRUPTED = 0, 1, 2, 130


class Commands(click.Group):
    """A group whose commands live in modules of their own, imported when they are wanted.

    Parameters
    ----------
    homes : mapping of str to str
        Module of each command; it holds a ``command``.
    **settings
        Of ``click.Group``.
    """

    def __init__(self, *args: Any, homes: Mapping[str, str], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.homes = homes

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order in which they are used."""
        return list(self.homes)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, or None."""
        if cmd_name not in self.homes:
            return None
        found: click.Command = import_module(self.homes[cmd_name]).command
        return found

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command and end the process with its exit code; errors go to stderr, without a traceback."""
        # What was called, for whoever tells how to do it again.
        extra.setdefault("obj", list(sys.argv[1:] if args is None else args))
        if not standalone_mode:
            return super().main(args, prog_name or "jensen", standalone_mode=False, **extra)
        if sys.stdout is None:  # closed by whoever calls, who wants none of it
            sys.stdout = open(os.devnull, "w", encoding="utf-8")
        try:
            code = super().main(args, prog_name or "jensen", standalone_mode=False, **extra)
            sys.stdout.flush()
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except (JensenError, NumericalFailure) as error:
            fail(str(error))
        except UnicodeEncodeError as error:
            discard_stdout()
            letter = ascii(error.object[error.start])
            fail(f"stdout, in {error.encoding}, has no {letter}. Set PYTHONUTF8=1, or write to a file by --out.")
        except MemoryError:
            fail("there is not enough memory. Use fewer rows or columns, or float32 data.")
        except OSError as error:
            discard_stdout()
            fail(f"input or output failed: {error.strerror or error}. Check the disk, and where the output goes.")
        # click makes an Abort of the interrupts that it sees.
        except (KeyboardInterrupt, click.Abort):
            fail("interrupted; no file was left half written.", INTERRUPTED)
        sys.exit(code if isinstance(code, int) else OK)


def fail(message: str, code: int = UNUSABLE) -> NoReturn:
    """Say on stderr what went wrong, and end."""
    click.echo(f"jensen: {printable(message)}", err=True)
    sys.exit(code)
