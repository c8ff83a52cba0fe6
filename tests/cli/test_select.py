"""``jensen select`` prints the whole table as people know it from mclust."""

import re

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
