"""`jensen fit` does what it says and says what it did."""

import json
import re

import numpy as np
import pytest

from jensen import datasets
from jensen.cli import main
from jensen.data.arrays import ArraySource
from jensen.errors import JensenError
from jensen.fit.mixture import fit_mixture
from jensen.fit.settings import MixtureSettings
from jensen.store import read_model

PROMISED = {
    "n_components",
    "covariance_type",
    "loglik",
    "objective",
    "bic",
    "status",
    "n_iter",
    "weights",
    "means",
    "covariances",
    "seconds",
}


def test_json_is_the_fit(shell):
    told = shell.json("fit", "faithful", "-k", 2, "--starts", 2, "--seed", 5)
    fit = fit_mixture(ArraySource(datasets.load("faithful").data), MixtureSettings(2, n_init=2, seed=5))
    assert set(told) >= PROMISED
    assert (told["n_components"], told["covariance_type"], told["status"]) == (2, "full", "converged")
    assert (told["loglik"], told["objective"], told["bic"]) == (fit.loglik, fit.objective, fit.bic)
    assert told["means"] == fit.params["means"].tolist()
    assert told["feature_names"] == ["eruptions", "waiting"]
    assert told["selection"] is None


def test_default_chooses_three_tied_components(shell):
    told = shell.json("fit", "faithful", "--starts", 5)
    assert (told["n_components"], told["covariance_type"], told["sound"]) == (3, "tied", True)
    assert told["bic"] == pytest.approx(2314.3, abs=0.1)
    assert len(told["selection"]["cells"]) == 9 * 14


def test_summary_tells_all_that_it_should_in_80_columns(shell, tmp_path):
    out, labels = tmp_path / "m.safetensors", tmp_path / "l.csv"
    text = shell("fit", "iris", "-k", "1:3", "-c", "full,tied", "--out", out, "--labels", labels).stdout
    assert max(map(len, text.replace(str(tmp_path), "").splitlines())) <= 80
    for words in (
        "BIC of 6 mixtures, smaller is better",
        "VVV,2           574.018",
        "Gaussian mixture: 2 components, full covariances (VVV)",
        "150",
        "4: Sepal.Length, Sepal.Width",
        "Species (labels",
        "-214.35",
        "converged after",
        " starts ended at -214.35",
        "component   share",
        "5.01 ± 0.35",
        "33.3%",
    ):
        assert words in text, words
    assert re.search(r"time +[\d.]+ m?s\n", text)


def test_degenerate_fit_is_told_with_a_remedy_that_exists(shell, tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("a,b\n1,2\n3,4\n5,7\n8,1\n")
    text = shell("fit", path, "-k", 4).stdout
    assert "Warning: the fit is degenerate" in text
    assert "Lower -k, choose a simpler -c, raise --reg" in " ".join(text.split())
    assert "and 5 more" in " ".join(text.split())
    table = shell("select", path, "--starts", 2).stdout
    assert "! degenerate" in table and "more components than the 4 rows" in table
    assert "1 component, EII covariances: equal volumes, spheres" in shell("fit", path, "--starts", 2).stdout


def test_out_and_labels_are_written(shell, tmp_path):
    out, labels = tmp_path / "m.safetensors", tmp_path / "l.csv"
    told = shell.json("fit", "faithful", "-k", 2, "--out", out, "--labels", labels)
    record = read_model(out)
    assert record.fitted.params["means"].tolist() == told["means"]
    assert record.info["settings"] == {
        "starts": "auto", "reg": "auto", "tol": "auto", "max_iter": "auto", "max_time": None, "degenerate": False
    }  # fmt: skip
    expected = record.fitted.labels(datasets.load("faithful").data)
    assert np.array_equal(np.loadtxt(labels, skiprows=1), expected)
    assert labels.read_text().startswith("component\n")


def test_columns_weights_and_shape(shell, tmp_path):
    rng = np.random.default_rng(0)
    rows, weight = rng.normal(size=(60, 3)), rng.integers(1, 4, 60)
    text = ['a,"b,c",d,w'] + [
        ",".join(map(repr, map(float, row))) + f",{w}" for row, w in zip(rows, weight, strict=True)
    ]
    path = tmp_path / "d.csv"
    path.write_text("\n".join(text) + "\n")
    told = shell.json("fit", path, "-k", 1, "-c", "VII", "--columns", 'd,"b,c"', "--weights", "w")
    assert told["feature_names"] == ["d", "b,c"]
    assert told["covariance_type"] == "spherical"
    assert told["weight"] == weight.sum()
    assert told["means"][0] == pytest.approx(np.average(rows[:, [2, 1]], axis=0, weights=weight).tolist())


def test_settings_reach_the_fit(shell):
    told = shell.json("fit", "faithful", "-k", 3, "--reg", "0.5", "--tol", "1e-3", "--max-iter", 2, "--starts", 1)
    assert (told["status"], told["n_iter"]) == ("out_of_iterations", 2)
    assert min(np.linalg.eigvalsh(np.array(told["covariances"])).ravel()) >= 0.5
    told = shell.json("fit", "faithful", "-k", 9, "--tol", 0, "--max-iter", 1000000, "--max-time", 0.3)
    assert told["status"] == "out_of_time"


def test_one_dimension_has_two_shapes(shell):
    told = shell.json("fit", "galaxies", "-k", "1:2", "--starts", 2)
    assert [cell["covariance_type"] for cell in told["selection"]["cells"]] == ["EII", "spherical"] * 2


def test_quiet_is_quiet(shell):
    done = shell("fit", "faithful", "-k", 2, "--quiet")
    assert done.output == ""


def test_wide_data_show_the_columns_that_tell_components_apart(shell, tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 30))
    rows[:100, 17] += 50
    rows[:, 4] = 1.0
    np.save(tmp_path / "d.npy", rows)
    text = shell("fit", tmp_path / "d.npy", "-k", 2, "-c", "diag").stdout
    assert max(map(len, text.replace(str(tmp_path), "").splitlines())) <= 80
    assert "x18" in text.split("component   share")[1].splitlines()[0]
    assert "columns of 30" in text
    assert "x5 (no help in telling components apart)" in text


def test_names_cannot_steer_the_terminal(shell, tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("\x1b[31mred,b\n" + "\n".join(f"{i},{i * i}" for i in range(20)) + "\n")
    out = tmp_path / "m.safetensors"
    assert "\x1b" not in shell("fit", path, "-k", 1, "--out", out).output
    assert "\x1b" not in shell("show", out).output
    assert "\x1b" not in shell("fit", path, "--columns", "\x1b[31mno", code=1).output


# ------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nope.csv"], "no such file"),
        (["faithfull"], "Did you mean 'faithful'"),
        (["faithful", "-k", "300"], "300 components for 272 rows"),
        (["faithful", "--columns", "waitin"], "Did you mean 'waiting'"),
        (["faithful", "--weights", "w"], "no column 'w'"),
        (["faithful", "--out", "m.pkl"], "ends in .safetensors"),
        (["faithful", "--out", "no/m.safetensors"], "no folder"),
        (["faithful", "--labels", "l.xyz"], "'.xyz'"),
        (["faithful", "--labels", "no/l.csv"], "no folder"),
    ],
)
def test_unusable_files_and_data_are_exit_code_1(shell, tmp_path, monkeypatch, args, words):
    monkeypatch.chdir(tmp_path)
    done = shell("fit", *args, code=1)
    assert done.stdout == "" and done.stderr.startswith("jensen: ") and words in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "Missing argument 'SOURCE'"),
        (["faithful", "-k", "0"], "at least 1"),
        (["faithful", "-k", "9:1"], "smaller number first"),
        (["faithful", "-k", "two"], "neither a number"),
        (["faithful", "-k", "1:1000000000"], "spans more"),
        (["faithful", "-c", "oval"], "full, tied, diag, spherical"),
        (["faithful", "--starts", "0"], "auto, or a whole number of at least 1"),
        (["faithful", "--tol", "nan"], "expected auto"),
        (["faithful", "--reg", "-1"], "at least 0"),
        (["faithful", "--max-iter", "1.5"], "a whole number"),
        (["faithful", "--max-time", "0"], "x>0"),
        (["faithful", "--columns", "a,,b"], "empty name"),
        (["faithful", "--nonsense"], "No such option"),
    ],
)
def test_wrong_usage_is_exit_code_2(shell, args, words):
    done = shell("fit", *args, code=2)
    assert done.stdout == "" and words in done.stderr


def test_outputs_are_checked_before_the_fit(shell, tmp_path, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("fitted before its outputs were checked")

    monkeypatch.setattr("jensen.data.files.read_table", never)
    shell("fit", "faithful", "--out", tmp_path / "no" / "m.safetensors", code=1)
    data = tmp_path / "d.csv"
    data.write_text("a\n1\n2\n")
    assert "would replace" in shell("fit", data, "--labels", data, code=1).stderr


def test_unfit_rows_are_named(shell, tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("a,b\n1,2\n,3\n4,5\n")
    assert "'a' (1 row)" in shell("fit", path, code=1).stderr
    path.write_text("a,b\n1,2\n")
    assert "1 row" in shell("fit", path, code=1).stderr


def test_rows_without_weight_do_not_count(shell, tmp_path):
    path, out = tmp_path / "d.csv", tmp_path / "m.safetensors"
    path.write_text("a,w\n1,1\n2,2\n3,0\n4,0\n")
    assert "3 components for 2 rows of positive weight" in shell("fit", path, "--weights", "w", "-k", 3, code=1).stderr
    cells = shell.json("fit", path, "--weights", "w", "-k", "1:3")["selection"]["cells"]
    assert {cell["n_components"] for cell in cells if cell["loglik"] is None} == {3}
    path.write_text("a,w\n1,1\n2,0\n3,0\n")
    done = shell("fit", path, "--weights", "w", "--out", out, code=1)
    assert "1 row of positive weight" in done.stderr and "at least 2" in done.stderr
    assert not out.exists()


def test_column_without_a_name_is_set_aside_by_its_place(shell, tmp_path):
    path = tmp_path / "d.csv"
    path.write_text(",a\n1,1\n2,3\n3,4\n")
    assert "(no name) (numbers under no name" in " ".join(shell("fit", path, "-k", 1).stdout.split())


# ------------------------------------------------------------------------------------------------ interrupts


@pytest.mark.parametrize("args", [["-k", "2"], ["-k", "2:3"]])
def test_interrupt_keeps_the_best_so_far(shell, tmp_path, monkeypatch, args):
    out, labels = tmp_path / "m.safetensors", tmp_path / "l.csv"
    calls = []

    def fold(self, block_pass, params, real=ArraySource.fold):
        calls.append(1)
        if len(calls) == 40:
            raise KeyboardInterrupt
        return real(self, block_pass, params)

    monkeypatch.setattr(ArraySource, "fold", fold)
    # More than one block: on one, the kernel may take many steps without a fold.
    monkeypatch.setattr("jensen.data.arrays._MIN_BLOCK_ROWS", 100)
    monkeypatch.setattr("jensen.data.arrays._BLOCK_NUMBERS", 200)
    monkeypatch.setenv("JENSEN_NUM_THREADS", "1")
    done = shell("fit", "faithful", *args, "-c", "diag", "--out", out, "--labels", labels, code=130)
    assert "interrupted" in done.stdout
    assert read_model(out).info["status"] in ("interrupted", "converged")
    assert len(labels.read_text().splitlines()) == 273


def test_interrupt_before_any_result(shell, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("jensen.data.files.read_table", stop)
    assert "interrupted" in shell("fit", "faithful", code=130).stderr


def test_library_errors_pass_through_when_the_command_is_called_from_python():
    with pytest.raises(JensenError):
        main(["fit", "nope.csv"], standalone_mode=False)


def test_json_of_a_search_has_no_infinities(shell, tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("a,b\n1,2\n3,4\n5,7\n")
    told = shell.json("fit", path, "--starts", 2)
    assert json.dumps(told, allow_nan=False)
    assert any(cell["bic"] is None for cell in told["selection"]["cells"])
