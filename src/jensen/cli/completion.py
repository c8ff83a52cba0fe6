"""``jensen completion``: the script by which a shell completes commands, options, shapes, data sets and files."""

from __future__ import annotations

import os
from pathlib import PurePath

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
# Of click's protocol: the program answers the shell where this variable is set.
VARIABLE = "_JENSEN_COMPLETE"


@click.command("completion", short_help="Let the shell complete commands.")
@click.argument("shell", type=click.Choice(SHELLS), required=False)
@click.pass_context
def command(context: click.Context, shell: str | None) -> None:
    """Print the script that lets SHELL complete what is typed; by default for the shell of $SHELL.

    \b
    bash: echo 'eval "$(jensen completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(jensen completion zsh)"' >> ~/.zshrc
    fish: jensen completion fish > ~/.config/fish/completions/jensen.fish
    """
    name = shell or PurePath(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        raise click.UsageError(f"name the shell: {', '.join(SHELLS)}", context)
    found = get_completion_class(name)
    assert found is not None
    click.echo(found(context.find_root().command, {}, "jensen", VARIABLE).source())
