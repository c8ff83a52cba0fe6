"""The rooms of the package know one another only in one direction, and few of them know other packages."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jensen

PACKAGE = Path(jensen.__file__).parent
PROJECT = Path(__file__).parents[2]

# Package -> the rooms that may import it; all others may not.
ONLY_IN = {
    "sklearn": {"estimators"},
    "matplotlib": {"report"},
    "jinja2": {"report", "watch"},
    "markupsafe": {"report", "watch"},
    "dask": {"data"},
    "distributed": {"data"},
    "pandas": set(),
    "polars": set(),
    "click": {"cli"},
    "rich": {"cli", "report"},
    "safetensors": {"store"},
    "narwhals": {"data"},
    "pickle": set(),
    "joblib": set(),
}


def sources():
    return {path.relative_to(PACKAGE): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}


def imported(tree):
    """Yield the top-level package of every import, at the top of the module or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


def test_contracts_of_import_linter_hold():
    program = "from importlinter.cli import lint_imports_command as run; run()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache", "--config", str(PROJECT / "pyproject.toml")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", ONLY_IN)
def test_packages_are_imported_only_where_they_belong(package):
    rooms = ONLY_IN[package]
    found = {str(path) for path, text in sources().items() if package in imported(ast.parse(text))}
    assert not {path for path in found if Path(path).parts[0] not in rooms}


def test_no_covariance_is_inverted():
    # Triangular factors are solved with; an inverse loses half the digits of an ill-conditioned matrix.
    calls = [
        f"{path}:{node.lineno}"
        for path, text in sources().items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {"inv", "pinv"}
    ]
    assert calls == []
