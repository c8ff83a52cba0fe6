"""What docs/command-line.md promises is what there is: commands, options, keys of JSON, exit codes, variables."""

import json
import re
from pathlib import Path

import click
import pytest

import jensen
from jensen.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
CODE = set(re.findall(r"`([^`\n]+)`", PAGE))
# An option or a key may stand with its value: `-k 1:9`.
NAMES = {name.split()[0] for name in CODE}


def section(title):
    """The text below a title, up to the next one of its level."""
    level = title.split()[0]
    return re.search(rf"^{re.escape(title)}$(.*?)(?=^#{{1,{len(level)}}} |\Z)", PAGE, flags=re.S | re.M)[1]


def keys_in(title):
    return set(re.findall(r"`(\w+)`", section(title)))


@pytest.mark.parametrize("name", main.list_commands(None))
def test_commands_and_options_are_documented(name):
    command = main.get_command(None, name)
    assert re.search(rf"^### jensen {name}\b", PAGE, flags=re.M)
    options = [option for option in command.params if isinstance(option, click.Option)]
    flags = {flag for option in options for flag in (*option.opts, *option.secondary_opts)}
    assert flags - {"--help", "-h"} <= NAMES


def test_no_option_is_documented_that_is_not_there():
    commands = [main, *(main.get_command(None, name) for name in main.list_commands(None))]
    known = {flag for c in commands for option in c.params for flag in (*option.opts, *option.secondary_opts)}
    assert {name for name in NAMES if re.fullmatch(r"--?[a-z][\w-]*", name)} <= known


@pytest.fixture(scope="module")
def trimmed(shell, tmp_path_factory):
    path = tmp_path_factory.mktemp("trimmed") / "m.safetensors"
    shell("fit", "faithful", "-k", 2, "--trim", 0.05, "--starts", 1, "--out", path, "--quiet")
    return path


@pytest.mark.parametrize(
    ("command", "titles"),
    [
        ("fit faithful -k 1:2 -c EEE,VVV --starts 1", ["### Of fit, and of show", "### Of select, and of `selection`"]),
        ("fit faithful -k 2 --errors --starts 1", ["### Of fit, and of show"]),
        ("fit faithful -k 2 --noise --starts 1", ["### Of fit, and of show"]),
        ("fit faithful -k 2 --trim 0.1 --starts 1", ["### Of fit, and of show"]),
        ("fit iris -k 300:301 -c EEE --max-time 1e-9", None),
        ("select faithful -k 1:2 -c EEE,VVV --starts 1 --cv 2", ["### Of select, and of `selection`"]),
        ("select iris -k 1:2 -c all --starts 1", ["### Of select, and of `selection`"]),
        ("show {m}", ["### Of fit, and of show"]),
        ("predict {m} faithful", ["### Of predict"]),
        ("predict {m} faithful --proba", ["### Of predict"]),
        ("predict {t} faithful", ["### Of predict"]),
        ("sample {m} -n 3", ["### Of sample"]),
        ("sample {m} -n 3 --out {o}", ["### Of sample"]),
        ("config", ["### Of config"]),
    ],
)
def test_json_is_one_document_with_documented_keys(shell, model, trimmed, tmp_path, command, titles):
    paths = {"m": model, "t": trimmed, "o": tmp_path / "o.csv"}
    args = command.format(**paths).split()
    if titles is None:
        # What fails prints nothing for a machine to misread.
        assert shell(*args, "--json", code=1).stdout == ""
        return
    done = shell(*args, "--json")
    assert done.stderr == "" and len(done.stdout.splitlines()) == 1

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    told = json.loads(done.stdout, parse_constant=refuse)
    documented = set().union(*(keys_in(title) for title in titles))
    settings = told.pop("settings", {})
    assert isinstance(settings, dict)
    for part in (told, told.get("starts"), told.get("noise"), told.get("selection"), told.get("errors")):
        if isinstance(part, dict):
            part = {key: value for key, value in part.items() if key != "refused"}
            assert set(part) <= documented, set(part) - documented
    cells = told.get("cells") or (told.get("selection") or {}).get("cells") or told.get("blas") or []
    assert all(set(cell) <= documented for cell in cells)


def test_promised_keys_are_there(shell, model):
    fit = shell.json("fit", "faithful", "-k", "1:2", "-c", "EEE", "--starts", 1, "--errors")
    always = keys_in("### Of fit, and of show") - {"noise", "volume", "threshold", "n_outliers", "library"}
    inner = {"column", "reason", "n", "agreeing", "degenerate", "account", "weight", "GaussianMixture"}
    inner |= {"method", "refused", "notes", "diagnosis", "topic", "text", "serious"}
    assert always - inner <= set(fit)
    assert keys_in("### Of sample") <= set(shell.json("sample", model, "-n", 1)) | {"model"}
    assert keys_in("### Of config") - {"name", "file"} <= set(shell.json("config"))
    predicted = set(shell.json("predict", model, "faithful", "--proba"))
    assert keys_in("### Of predict") - {"n_outliers"} <= predicted


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("", 0),
        ("--help", 0),
        ("--version", 0),
        ("config", 0),
        ("fit faithful -k 2 --starts 1", 0),
        ("fit faithful -k 9 --max-time 0.05", 0),
        ("fit nope.csv", 1),
        ("fit faithful --out model.pkl", 1),
        ("fit faithful -k 2 --errors --trim 0.1", 1),
        ("select faithful --criterion heldout", 1),
        ("show nope.safetensors", 1),
        ("predict nope.safetensors faithful", 1),
        ("sample nope.safetensors", 1),
        ("frobnicate", 2),
        ("fit", 2),
        ("fit faithful -k nine", 2),
        ("fit faithful --unknown", 2),
        ("select faithful -c XXX", 2),
        ("sample model.safetensors -n 0", 2),
        ("completion tcsh", 2),
    ],
)
def test_exit_codes(shell, tmp_path, monkeypatch, command, code):
    monkeypatch.chdir(tmp_path)
    done = shell(*command.split(), code=code)
    assert re.search(rf"^\| {code} \|", section("## Exit codes"), flags=re.M)
    if code:
        assert done.stdout == "" and done.stderr


def test_an_interrupt_has_its_code(shell, monkeypatch):
    def interrupt(*args, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("jensen.data.files.read_table", interrupt)
    assert "interrupted" in shell("fit", "faithful", code=130).stderr
    assert "| 130 |" in section("## Exit codes")


def test_numbers_that_are_not_finite_become_null(capsys):
    from jensen.cli.output import print_json

    print_json({"a": float("nan"), "b": [1.0, float("inf"), {"c": -float("inf")}], "d": (2,)})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1.0, None, {"c": None}], "d": [2]}


def test_variables_are_those_that_are_read():
    sources = Path(jensen.__file__).parent
    read = {
        name for path in sources.rglob("*.py") for name in re.findall(r'environ\.get\("(\w+)"', path.read_text("utf-8"))
    }
    documented = set(re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", section("## Environment variables"), flags=re.M))
    assert read - {"SHELL"} <= set(re.findall(r"\w+", " ".join(documented))) | {"OMP_NUM_THREADS"}
    assert "`OMP_NUM_THREADS`" in PAGE
