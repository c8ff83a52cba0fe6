"""``jensen select`` prints the whole table as people know it from mclust."""

import re

import numpy as np
import pytest


def test_the_whole_table_in_80_columns(shell):
    text = shell("select", "iris", "-k", "1:3", "--starts", 2).stdout
    assert max(map(len, text.splitlines())) <= 80
    for words in (
        "BIC, smaller is better",
        "EII      VII",
        "VEV",
        "561.7*",
        "562.6+",
        "* best   + less than 10 behind",
    ):
        assert words in text, words
    assert "VEV,2 and VEV,3 differ by 0.8: the data do not decide." in " ".join(text.split())
    rows = [line for line in text.splitlines() if re.match(r" +[123] ", line)]
    assert len(rows) == 6 and all(len(line.split()) >= 7 for line in rows)


def test_json_and_the_model_file(shell, tmp_path):
    out = tmp_path / "best.safetensors"
    told = shell.json("select", "faithful", "-k", "2:3", "-c", "EEE,VVV", "--out", out, "--criterion", "icl", "--cv", 3)
    assert told["criterion"] == "icl" and len(told["cells"]) == 4
    assert all(cell["heldout"] < cell["loglik"] for cell in told["cells"])
    best = min(told["cells"], key=lambda cell: cell["icl"])
    shown = shell.json("show", out)
    assert (shown["n_components"], shown["covariance_type"]) == (best["n_components"], best["covariance_type"])


def test_reasons_are_printed_once(shell, tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("a,b\n" + "\n".join(f"{i % 5},{i % 3}" for i in range(40)) + "\n")
    text = shell("select", path, "-k", "1,20", "-c", "EEE,VVI,VII", "--starts", 1).stdout
    assert text.count("more components than the 15 different rows") == 1
    assert "EEE,20, VVI,20, VII,20" in text and "- none" in text


def test_a_mixture_is_told_once(shell, tmp_path):
    # With one component many shapes are the same; the summary of the best gives its lines to different mixtures.
    rng = np.random.default_rng(0)
    np.savetxt(tmp_path / "d.csv", rng.normal(size=(60, 2)), delimiter=",", header="a,b", comments="")
    text = shell("fit", tmp_path / "d.csv", "-k", "1:2", "--starts", 1).stdout
    best = re.findall(r"^  ([EVI]{3},\d) +([\d.]+)", text, flags=re.M)
    assert len(best) == 5 and best[0][0] == "EII,1" and "VII,1" not in dict(best)
    assert len({value for _, value in best}) == 5


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_table_fits_the_terminal(shell, monkeypatch, columns):
    monkeypatch.setattr("jensen.cli.text.room", lambda: columns)
    monkeypatch.setattr("jensen.cli.grid.room", lambda: columns)
    text = shell("select", "faithful", "-k", "1:2,250", "-c", "all", "--starts", 1).stdout
    assert max(map(len, text.splitlines())) <= columns
    bands = [line for line in text.splitlines() if line.startswith("   K")]
    shapes = [shape for band in bands for shape in band.split()[1:]]
    assert len(shapes) == len(set(shapes)) == 14 and len(bands) == {60: 3, 80: 2, 200: 1}[columns]


def test_options_reach_the_fits(shell):
    plain, equal, prior = (
        shell.json("select", "faithful", "-k", 2, "-c", "VVV", "--starts", 1, *more)["cells"][0]
        for more in ([], ["--equal-weights"], ["--prior"])
    )
    assert equal["n_free"] == plain["n_free"] - 1 and equal["loglik"] < plain["loglik"]
    assert prior["loglik"] < plain["loglik"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--criterion", "heldout"], "--criterion heldout needs a number of folds"),
        (["-k", "300"], "more components than"),
    ],
)
def test_what_cannot_be_done_is_said(shell, args, words):
    assert words in shell("select", "faithful", "-c", "EEE", *args, code=1).stderr
