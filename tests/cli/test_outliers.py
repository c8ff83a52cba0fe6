"""Noise and trimming on the command line: what is printed, what files hold, and what is refused."""

import csv
import json

import numpy as np
import pytest

from jensen import datasets
from jensen.store import read_model


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """faithful with 30 rows of noise."""
    x = datasets.load("faithful").data
    far = np.random.default_rng(1).uniform(x.min(axis=0) - [1, 20], x.max(axis=0) + [1, 20], (30, 2))
    path = tmp_path_factory.mktemp("outliers") / "rows.csv"
    np.savetxt(path, np.vstack([x, far]), delimiter=",", header="eruptions,waiting", comments="")
    return path


def labels_in(path):
    with open(path, newline="") as stream:
        return np.array([int(row["component"]) for row in csv.DictReader(stream)])


@pytest.fixture(scope="module")
def noisy(shell, rows, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "noisy.safetensors"
    done = shell("fit", rows, "-k", 2, "--noise", "--out", out, "--labels", out.with_suffix(".csv"), "--errors")
    return out, done.stdout


@pytest.fixture(scope="module")
def trimmed(shell, rows, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "trimmed.safetensors"
    done = shell("fit", rows, "-k", 2, "--trim", 0.1, "--out", out, "--labels", out.with_suffix(".csv"))
    return out, done.stdout


def test_a_fit_with_noise(noisy):
    out, text = noisy
    assert "2 components and noise" in text and "uniform over a box of volume" in text
    # One line in the table of the components, one in that of the standard errors.
    assert len([line for line in text.splitlines() if line.strip().startswith("noise ")]) == 2
    assert max(map(len, text.splitlines())) <= 80
    labels = labels_in(out.with_suffix(".csv"))
    assert set(labels) == {-1, 0, 1} and (labels[272:] == -1).sum() >= 18


def test_a_trimmed_fit(trimmed):
    out, text = trimmed
    assert "30 rows trimmed, log-density below" in text
    labels = labels_in(out.with_suffix(".csv"))
    assert (labels == -1).sum() == 30 and (labels[272:] == -1).sum() >= 20


@pytest.mark.parametrize("which", ["noisy", "trimmed"])
def test_predictions_from_the_file_are_those_of_the_fit(shell, rows, which, request, tmp_path):
    model, _ = request.getfixturevalue(which)
    shown = shell("predict", model, rows, "--out", tmp_path / "p.csv").stdout
    np.testing.assert_array_equal(labels_in(tmp_path / "p.csv"), labels_in(model.with_suffix(".csv")))
    assert "outliers" in shown
    told = shell.json("predict", model, rows, "--proba")
    labels = np.array(told["labels"])
    assert told["n_outliers"] == (labels == -1).sum() and sum(told["counts"]) + told["n_outliers"] == 302
    assert np.allclose(np.sum(told["probabilities"], axis=1), 1.0)
    header = shell("predict", model, rows, "--proba").stdout.splitlines()[0].strip()
    assert header == ("component,p0,p1,p_noise" if which == "noisy" else "component,p0,p1")


def test_show_and_sample(shell, noisy, trimmed):
    assert "and noise" in shell("show", noisy[0]).stdout
    told = shell.json("show", noisy[0])
    assert sum(told["weights"]) + told["noise"]["weight"] == pytest.approx(1.0) and len(told["weights"]) == 2
    assert told["settings"]["noise"] is True
    assert "log-density below" in shell("show", trimmed[0]).stdout
    assert shell.json("show", trimmed[0])["threshold"] == read_model(trimmed[0]).fitted.threshold
    assert len(shell("sample", noisy[0], "-n", 7, "--seed", 1).stdout.splitlines()) == 8


def test_a_file_cannot_claim_what_its_numbers_do_not_say(shell, model, tmp_path):
    from jensen.store import ModelRecord, write_model

    record = read_model(model)
    info = {**record.info, "noise": {"weight": 9.0}, "threshold": 3.0}
    write_model(tmp_path / "m.safetensors", ModelRecord(record.fitted, info))
    told = shell.json("show", tmp_path / "m.safetensors")
    assert "noise" not in told and "threshold" not in told
    assert "noise" not in shell("show", tmp_path / "m.safetensors").stdout


def test_a_volume_and_a_choice(shell, rows):
    told = shell.json("fit", rows, "-k", "1:2", "-c", "full,tied", "--noise-volume", 600)
    assert told["noise"]["volume"] == pytest.approx(600.0) and told["n_components"] == 2
    assert len(told["selection"]["cells"]) == 4 and not told["selection"]["linked"]
    text = shell("fit", rows, "-k", "1:2", "-c", "full,tied", "--trim", 0.1).stdout
    assert "that it contains" not in text and "rows trimmed" in text


def test_one_component_is_searched(shell, rows):
    told = shell.json("fit", rows, "-k", 1, "--noise")
    assert told["starts"]["n"] > 1


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("--noise", "--trim", 0.1), "noise and trim"),
        (("--trim", 0.1, "--errors"), "--errors"),
        (("--trim", 0.999), "fewer rows"),
        (("--noise-volume", "inf"), "positive and finite"),
    ],
)
def test_what_does_not_go_together(shell, rows, asked, words):
    done = shell("fit", rows, "-k", 2, *asked, code=1)
    assert words in done.stderr and "Traceback" not in done.output


@pytest.mark.parametrize("asked", [("--trim", 1), ("--trim", -0.1), ("--noise-volume", 0), ("--noise-volume", "x")])
def test_wrong_numbers_are_usage_errors(shell, rows, asked):
    shell("fit", rows, "-k", 2, *asked, code=2)


def test_json_is_whole(shell, rows):
    told = shell.json("fit", rows, "-k", 2, "--trim", 0.1, "--starts", 2)
    assert told["n_outliers"] == 30 and told["settings"]["trim"] == 0.1
    assert json.loads(json.dumps(told)) == told
