"""The commands that the README promises are the ones that CI runs."""

import re
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def shell_commands(text):
    """Return the lines of all ``sh`` blocks."""
    return [line for block in re.findall(r"```sh\n(.*?)```", text, flags=re.S) for line in block.splitlines()]


def test_ci_runs_the_test_command_of_the_readme_last():
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    (command,) = [line for line in shell_commands(readme) if "pytest" in line]
    script = (PROJECT / ".ci" / "run").read_text(encoding="utf-8")
    assert script.rstrip().splitlines()[-1] == command


def test_readme_opens_with_a_fit_and_a_test():
    first, second = shell_commands((PROJECT / "README.md").read_text(encoding="utf-8"))[:2]
    assert first.endswith("jensen fit faithful")
    assert "pytest" in second
