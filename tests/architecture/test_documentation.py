"""What the README and the pages of `docs/` show is what happens."""

import doctest
import importlib
import pkgutil
import re
import shlex
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import jensen
from jensen.cli import main

PROJECT = Path(__file__).parents[2]
PAGES = [PROJECT / "README.md", *sorted(PROJECT.glob("docs/**/*.md"))]
README = PAGES[0].read_text(encoding="utf-8")


def blocks(text, language):
    """The blocks of code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.S | re.M)


PYTHON = [
    pytest.param(code, id=page.name) for page in PAGES if (code := blocks(page.read_text(encoding="utf-8"), "python"))
]
MODULES = [module.name for module in pkgutil.walk_packages(jensen.__path__, "jensen.") if "__main__" not in module.name]


def run(line):
    """Run a command of the README in this process; its output."""
    done = CliRunner().invoke(main, shlex.split(line)[1:])
    assert done.exit_code == 0, (line, done.output)
    return done.stdout


@pytest.mark.parametrize("page", PYTHON)
def test_python_blocks_run_one_after_another(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for code in page:
        exec(compile(code, "block", "exec"), namespace)


def test_readme_has_python():
    assert any("README" in param.id for param in PYTHON)


def test_shell_commands_run_one_after_another(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = [(*rng.normal([170.0, 70.0], [10.0, 8.0]), rng.integers(1, 4)) for _ in range(60)]
    Path("data.csv").write_text("height,weight,count\n" + "".join(f"{h},{w},{n}\n" for h, w, n in rows))
    lines = [line for block in blocks(README, "sh") for line in block.splitlines() if line.startswith("jensen ")]
    assert {shlex.split(line)[1] for line in lines} == {"fit", "select", "show", "predict", "sample", "watch"}
    for line in lines:
        if "new.parquet" in line:
            run("jensen sample model.safetensors -n 20 --seed 1 --out new.parquet")
        run(line)
        for named in re.findall(r"--(?:out|labels) (\S+)", line):
            assert Path(named).stat().st_size > 0


def test_output_that_the_readme_shows_is_the_output():
    (shown,) = blocks(README, "text")
    printed = run("jensen fit faithful").splitlines()
    assert {line for line in shown.splitlines() if line} <= set(printed)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize(
    "page", [*PAGES, PROJECT / "CONTRIBUTING.md", PROJECT / "benchmarks" / "README.md"], ids=lambda page: page.name
)
def test_links_and_paths_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target
    for target in re.findall(r"`((?:src|tests|docs|benchmarks)/[\w./-]+)`", text):
        assert (PROJECT / target).exists(), target
