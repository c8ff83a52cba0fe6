"""``jensen fit --report``: the page of a file, with the command that makes it again."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from jensen.cli import main

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = np.vstack([rng.normal([0, 0], 1, (40, 2)), rng.normal([9, 9], 1, (40, 2))])
    lines = [f"{a},{b},{'xy'[i % 2]}" for i, (a, b) in enumerate(rows)]
    Path("own.csv").write_text("height,<b>weight</b>,name\n" + "\n".join(lines) + "\n")


def run(*arguments):
    return CliRunner().invoke(main, arguments)


def test_a_choice_and_its_page():
    done = run("fit", "own.csv", "-k", "1:3", "-c", "tied,full", "--report", "my report.html")
    assert done.exit_code == 0, done.output
    assert "report" in done.stdout and "my report.html" in done.stdout
    text = Path("my report.html").read_text(encoding="utf-8")
    assert "<h1>Groups in own.csv</h1>" in text and "Two groups: " in text and "with the seed 1" in text
    assert "jensen fit own.csv -k 1:3 -c tied,full --report &#39;my report.html&#39;" in text
    # What was set aside is said, and names are text.
    assert "name (text" in text or re.search(r"set aside</dt><dd>name", text)
    assert "<b>" not in text and "&lt;b&gt;weight&lt;/b&gt;" in text


def test_options_are_named_where_the_library_names_arguments():
    done = run("fit", "own.csv", "-k", "5", "--max-iter", "2", "--starts", "1", "--quiet", "--report", "r.html")
    assert done.exit_code == 0 and done.stdout == ""
    text = Path("r.html").read_text(encoding="utf-8")
    (warnings,) = re.findall(r'<section id="warnings".*?</section>', text, flags=re.S)
    assert "--max-iter" in warnings and "max_iter" not in warnings


def test_noise_trimming_weights_and_json():
    done = run("fit", "own.csv", "-k", "2", "--trim", "0.1", "--json", "--report", "r.html")
    assert done.exit_code == 0 and json.loads(done.stdout)["report"] == "r.html"
    assert "rows were left out as outliers" in Path("r.html").read_text(encoding="utf-8")
    assert run("fit", "own.csv", "-k", "2", "--noise", "--report", "r.html").exit_code == 0
    done = run("fit", "own.csv", "-k", "1", "--weights", "height", "--report", "r.html")
    assert done.exit_code == 1  # negative weights


@pytest.mark.parametrize(
    ("path", "words"), [("r.pdf", "ends in .html"), ("no/r.html", "no folder"), ("own.csv", ".html")]
)
def test_a_page_that_cannot_be_written_is_refused_before_the_fit(path, words):
    done = run("fit", "own.csv", "--report", path, "--out", "m.safetensors")
    assert done.exit_code == 1 and words in done.stderr and not Path("m.safetensors").exists()


def test_outputs_may_not_replace_one_another():
    Path("own.html").write_text("")
    done = run("fit", "own.csv", "--report", "x.html", "--labels", "x.html")
    assert done.exit_code == 1
