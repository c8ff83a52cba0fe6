"""`jensen show`, `predict` and `sample`: what can be done with a model file."""

import json

import numpy as np
import pytest

from jensen import datasets
from jensen.data.files import read_table
from jensen.fit.fitted import FittedMixture
from jensen.store import ModelRecord, read_model, write_model

ROWS = datasets.load("faithful").data


def test_alone_it_tells_how_to_begin(shell):
    assert "jensen fit faithful" in shell().stdout
    assert "Exit codes" in shell("--help").stdout
    assert shell("--version").stdout.startswith("jensen ")
    assert "No such command" in shell("frobnicate", code=2).stderr


def test_show(shell, model):
    text = shell("show", model).stdout
    # A long path may break the line.
    assert "faithful.safetensors, written by jensen" in " ".join(text.split())
    assert "Gaussian mixture: 2 components, full covariances" in text and "-1,130.264" in text
    told = shell.json("show", model)
    assert told["means"] == read_model(model).fitted.params["means"].tolist()
    assert told["seed"] == 1


@pytest.mark.parametrize(
    "info",
    [
        {},
        {"loglik": "high", "starts": [1], "warnings": [3], "faults": "x", "message": 5, "seed": [], "n_rows": True},
        {"means": "mine", "n_components": 99, "constant_columns": [5, -1, "a"], "selection": {"cells": 1}},
        {"n_rows": 10**400, "weight": -(10**400), "seconds": 10**400, "n_iter": 10**400, "message": "well"},
        {"source": ["x"], "set_aside": [{"no": 1}], "starts": {"n": "x"}, "seconds": None, "status": {}},
    ],
)
def test_show_believes_nothing_that_a_file_says_of_itself(shell, tmp_path, info):
    path = tmp_path / "m.safetensors"
    fitted = FittedMixture.from_arrays("spherical", [0.5, 0.5], [[0.0], [1.0]], [1.0, 1.0])
    write_model(path, ModelRecord(fitted, info))
    assert "2 components" in shell("show", path).stdout
    assert shell.json("show", path)["means"] == [[0.0], [1.0]]


def test_predict_to_stdout_and_to_a_file(shell, model, tmp_path):
    expected = read_model(model).fitted.labels(ROWS)
    lines = shell("predict", model, "faithful").stdout.splitlines()
    assert lines[0] == "component" and [int(line) for line in lines[1:]] == expected.tolist()
    out = tmp_path / "p.parquet"
    text = shell("predict", model, "faithful", "--proba", "--out", out).stdout
    assert "272 rows" in text
    table = read_table(out)
    assert table.feature_names == ("component", "p0", "p1")
    assert np.array_equal(table.data[:, 1:], read_model(model).fitted.responsibilities(ROWS))
    assert np.array_equal(table.data[:, 0], expected)


def test_predict_json(shell, model):
    told = shell.json("predict", model, "faithful", "--proba")
    assert np.allclose(np.sum(told["probabilities"], axis=1), 1.0)
    assert told["labels"] == np.argmax(told["probabilities"], axis=1).tolist()
    assert sum(told["counts"]) == told["n_rows"] == 272
    assert "probabilities" not in shell.json("predict", model, "faithful")


def test_predict_finds_columns_by_name(shell, model, tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("id,waiting,eruptions\n" + "\n".join(f"a,{w},{e}" for e, w in ROWS.tolist()) + "\n")
    assert shell("predict", model, path).stdout == shell("predict", model, "faithful").stdout
    path.write_text("wait,eruptions\n79,3.6\n")
    assert "no column 'waiting'" in shell("predict", model, path, code=1).stderr


def test_predict_one_row(shell, model, tmp_path):
    (tmp_path / "d.csv").write_text("eruptions,waiting\n3.6,79\n")
    assert len(shell("predict", model, tmp_path / "d.csv").stdout.splitlines()) == 2


def test_predict_does_not_replace_its_own_input(shell, model, tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("eruptions,waiting\n3.6,79\n")
    assert "would replace" in shell("predict", model, path, "--out", path, code=1).stderr
    assert path.read_text() == "eruptions,waiting\n3.6,79\n"


def test_sample(shell, model, tmp_path):
    out = tmp_path / "s.csv"
    shell("sample", model, "-n", 5000, "--seed", 3, "--out", out)
    table = read_table(out)
    assert table.feature_names == ("eruptions", "waiting") and table.n_rows == 5000
    assert np.allclose(table.data.mean(axis=0), ROWS.mean(axis=0), atol=0.6)
    # In random order: the first half has both components in their proportions.
    labels = read_model(model).fitted.labels(table.data)
    assert abs(labels[:2500].mean() - labels[2500:].mean()) < 0.05


def test_sample_is_repeatable_by_its_seed(shell, model):
    first, again, other = (shell("sample", model, "-n", 3, "--seed", seed).stdout for seed in (1, 1, 2))
    assert first == again != other
    assert len(first.splitlines()) == 4
    fresh = shell("sample", model, "-n", 3)
    seed = fresh.stderr.split()[1]
    assert shell("sample", model, "-n", 3, "--seed", seed).stdout == fresh.stdout


@pytest.mark.parametrize("command", [["show"], ["predict"], ["sample"]])
def test_unusable_model_is_exit_code_1(shell, tmp_path, command):
    path = tmp_path / "m.safetensors"
    path.write_text("eruptions,waiting\n1,2\n")
    rest = ["faithful"] if command == ["predict"] else []
    assert "cannot be used as a model file" in shell(*command, path, *rest, code=1).stderr
    assert "no such model file" in shell(*command, tmp_path / "no", *rest, code=1).stderr


def test_show_json_is_json(shell, model):
    assert json.loads(shell("show", model, "--json").stdout)["status"] == "converged"
