"""`jensen fit --errors` prints standard errors and the diagnosis."""

import numpy as np
import pytest

from jensen import GaussianMixture, datasets
from jensen.cli import summary


def test_summary(shell):
    text = shell("fit", "faithful", "-k", 2, "--errors").stdout
    assert max(map(len, text.splitlines())) <= 80
    assert "estimate ± standard error, exact (Louis)" in text
    assert "35.6 ± 2.9   2.036 ± 0.027   54.48 ± 0.59" in text
    for words in ("End: Converged", "To gain: Nothing", "Rate: 24.1 %", "Identifiability: All 11 free parameters"):
        assert words in text
    assert "standard error" not in shell("fit", "faithful", "-k", 2).stdout


def test_json(shell):
    told = shell.json("fit", "faithful", "-k", 2, "-c", "tied", "--errors")
    x = datasets.load("faithful").data
    model = GaussianMixture.from_parameters(told["weights"], told["means"], told["covariances"], covariance_type="tied")
    errors = model.standard_errors(x)
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(told["errors"][name], errors[name], rtol=1e-6)
    assert told["errors"]["method"] == "exact (Louis)" and told["errors"]["refused"] == {}
    assert [finding["topic"] for finding in told["errors"]["diagnosis"]] == [
        "end",
        "to gain",
        "rate",
        "identifiability",
    ]
    assert shell.json("fit", "faithful", "-k", 1)["errors"] is None


def test_weights_count(shell, tmp_path):
    rng = np.random.default_rng(0)
    rows, weight = np.concatenate([rng.normal(0, 1, 40), rng.normal(6, 1, 40)]), rng.integers(1, 4, 80)
    weighted, repeated = tmp_path / "w.csv", tmp_path / "r.csv"
    weighted.write_text("a,w\n" + "".join(f"{float(a)!r},{w}\n" for a, w in zip(rows, weight, strict=True)))
    repeated.write_text("a\n" + "".join(f"{float(a)!r}\n" for a in np.repeat(rows, weight)))
    one = shell.json("fit", weighted, "-k", 2, "--columns", "a", "--weights", "w", "--errors")
    two = shell.json("fit", repeated, "-k", 2, "--errors")
    assert sorted(np.ravel(one["errors"]["means"])) == pytest.approx(sorted(np.ravel(two["errors"]["means"])), rel=1e-5)


def test_what_is_refused_is_said_in_words_and_as_null(shell, tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("a,b\n1,2\n3,4\n5,7\n8,1\n")
    text = " ".join(shell("fit", path, "-k", 4, "--errors").stdout.split())
    assert "all standard errors are refused" in text.lower() and "Lower -k" in text
    assert "estimate ± standard error" not in text and "nan" not in text
    told = shell.json("fit", path, "-k", 4, "--errors")
    assert told["errors"]["weights"] == [None] * 4 and told["errors"]["notes"]


def test_too_large_a_mixture_still_has_its_summary(shell, tmp_path):
    np.save(tmp_path / "d.npy", np.random.default_rng(0).normal(size=(150, 63)))
    text = " ".join(shell("fit", tmp_path / "d.npy", "-k", 1, "--errors").stdout.split())
    assert "are beyond what is computed here" in text and "component share" in text
    assert shell.json("fit", tmp_path / "d.npy", "-k", 1, "--errors")["errors"]["means"] is None


def test_a_diagnosis_speaks_of_options():
    told = summary.as_options("raise max_iter: accelerate='off' from the same start tells")
    assert told == "raise --max-iter: --no-accelerate from the same start tells"
