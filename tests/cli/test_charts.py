"""Charts show what the numbers say, where people read, in characters that the output has."""

import numpy as np
import pytest

from jensen import datasets
from jensen.data.arrays import ArraySource
from jensen.fit.mixture import fit_mixture
from jensen.fit.settings import MixtureSettings
from jensen.report.sparks import BLOCKS, PLAIN, bars, glances, trace

X = datasets.load("faithful").data
NAMES = ("eruptions", "waiting")


@pytest.fixture(scope="module")
def fit():
    return fit_mixture(ArraySource(X), MixtureSettings(2, n_init=1, seed=0))


def test_bars():
    assert bars([0, 1, 4, 8]) == " ▁▄█"
    # What is there shows, however little.
    assert bars([1e-9, 1.0]) == "▁█" and bars([0, 0]) == "  "
    assert bars([0, 1, 8], PLAIN) == " .@"


def test_trace():
    assert trace([-3.0, -2.0, -1.0]) == "▁▅█" and trace([5.0, 5.0]) == "██"
    drawn = trace(np.sqrt(np.arange(1000)), 16)
    assert len(drawn) == 16 and list(drawn) == sorted(drawn) and drawn[0] + drawn[-1] == "▁█"


def test_glances_are_counts_of_rows(fit):
    seen = glances(fit, X, None, NAMES)
    assert seen["trace"] == list(fit.trace) and seen["step"] == 1
    expected, _ = np.histogram(X[:, 1], bins=32)
    assert seen["columns"][1] == {"name": "waiting", "low": 43.0, "high": 96.0, "heights": expected.tolist()}
    largest = fit.fitted.responsibilities(X).max(axis=1)
    assert seen["certainty"]["sure"] == np.mean(largest >= 0.9)
    assert sum(seen["certainty"]["heights"]) == len(X) and seen["certainty"]["low"] == 0.5


def test_a_row_of_weight_two_counts_twice(fit):
    weight = np.arange(len(X)) % 3
    weight[X[:, 0].argmin()] = 0
    copied = glances(fit, np.repeat(X, weight, axis=0), None, NAMES)
    weighed = glances(fit, X, weight.astype(float), NAMES)
    assert weighed["columns"] == copied["columns"]
    assert weighed["certainty"]["heights"] == copied["certainty"]["heights"]
    assert weighed["certainty"]["sure"] == pytest.approx(copied["certainty"]["sure"])


def test_of_many_rows_an_even_share_is_looked_at(fit):
    many = np.tile(X, (800, 1))
    seen = glances(fit, many, None, NAMES)
    assert seen["step"] == 2 and sum(seen["columns"][0]["heights"]) == len(many) / 2


def test_a_column_that_does_not_vary(fit):
    seen = glances(fit, np.column_stack([X[:, 0], np.full(len(X), 3.0)]), None, NAMES)
    assert sum(seen["columns"][1]["heights"]) == len(X)


def test_charts_are_for_people(shell):
    asked, plain = shell("fit", "faithful", "-k", 2, "--charts").stdout, shell("fit", "faithful", "-k", 2).stdout
    assert "certainty" in asked and "█" in asked and "█" not in plain
    glance = asked.split("standard deviation\n\n")[1].splitlines()
    assert [line.split()[0] for line in glance] == ["objective", "certainty", *NAMES]
    assert glance[2].endswith("  1.6 to 5.1") and glance[3].endswith("  43 to 96")
    one = shell("fit", "faithful", "-k", 1, "--charts").stdout
    assert "certainty" not in one and "waiting    " in one


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_lines_fit(shell, tmp_path, monkeypatch, columns):
    rng = np.random.default_rng(0)
    names = [f'"the {c} quantity, measured in units"' for c in "abcdefgh"]
    rows = rng.normal(size=(50, 8)) * 10.0 ** rng.integers(-4, 9, 8)
    path = tmp_path / "d.csv"
    path.write_text("\n".join([",".join(names), *(",".join(map(repr, row)) for row in rows.tolist())]) + "\n")
    monkeypatch.setattr("jensen.cli.text.room", lambda: columns)
    monkeypatch.setattr("jensen.cli.summary.room", lambda: columns)
    monkeypatch.chdir(tmp_path)
    text = shell("fit", "d.csv", "-k", 2, "-c", "diag", "--starts", 1, "--charts").stdout
    assert max(map(len, text.splitlines())) <= columns
    assert len([line for line in text.splitlines() if set(line) & set(BLOCKS[1:])]) == 8


def test_blocks_become_plain_where_the_encoding_has_none(tmp_path):
    import os
    import subprocess
    import sys

    command = [sys.executable, "-c", "from jensen.cli import main; main()", "fit", "iris", "-k", "2", "--charts"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    text = done.stdout.decode("ascii")
    assert "@" in text and "+-" in text and "\\u" not in text
