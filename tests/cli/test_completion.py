"""Shells complete what is typed, through click's own protocol."""

import os
import shutil
import subprocess
import sys

import pytest

PROGRAM = "import sys; sys.argv[0] = 'jensen'; from jensen.cli import main; main()"


def completed(typed, folder, shell="bash"):
    """What a shell is answered for the words typed so far; the last one is begun."""
    words = ["jensen", *typed]
    environment = {
        **os.environ,
        "_JENSEN_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1) if shell != "fish" else words[-1],
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True, cwd=folder
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["se"], ["plain,select"]),
        (["fit", "fai"], ["plain,faithful"]),
        (["fit", "nothing"], ["file,nothing"]),
        (["fit", "iris", "-c", "EE"], ["plain,EEI", "plain,EEE", "plain,EEV"]),
        (["fit", "iris", "-c", "EII,sp"], ["plain,EII,spherical"]),
        (["select", "iris", "-c", "al"], ["plain,all"]),
        (["select", "iris", "--criterion", "a"], ["plain,aic", "plain,aicc"]),
        (["fit", "iris", "--max-"], ["plain,--max-time", "plain,--max-iter"]),
        (["fit", "iris", "--out", "m"], ["file,m"]),
        (["show", "m"], ["file,m"]),
        (["watch", "ir"], ["plain,iris"]),
        (["predict", "m.safetensors", "gal"], ["plain,galaxies"]),
        (["completion", "z"], ["plain,zsh"]),
    ],
)
def test_words_are_completed(tmp_path, typed, expected):
    assert completed(typed, tmp_path) == expected


def test_tables_of_the_folder_stand_beside_bundled_data(tmp_path):
    for name in ("flowers.csv", "fish.npy", "notes.txt"):
        (tmp_path / name).touch()
    assert completed(["fit", "f"], tmp_path) == ["plain,faithful", "plain,fish.npy", "plain,flowers.csv"]


def test_fish_is_told_what_shapes_mean(tmp_path):
    (line,) = completed(["fit", "iris", "-c", "VEV"], tmp_path, "fish")
    assert line.startswith("plain,VEV\t") and "equal shapes" in line


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_scripts(shell, shell_name, tmp_path, monkeypatch):
    script = shell("completion", shell_name).stdout
    assert f"_JENSEN_COMPLETE={shell_name}_complete" in script
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell_name}")
    assert shell("completion").stdout == script
    interpreter = shutil.which(shell_name)
    if interpreter is not None:
        (tmp_path / "script").write_text(script)
        subprocess.run([interpreter, "-n", tmp_path / "script"], check=True)


def test_a_shell_without_completion_is_wrong_usage(shell, monkeypatch):
    monkeypatch.setenv("SHELL", "/bin/dash")
    assert "name the shell: bash, zsh, fish" in shell("completion", code=2).stderr


@pytest.mark.skipif(shutil.which("bash") is None or os.name != "posix", reason="no bash")
def test_bash_itself_completes(shell, tmp_path):
    """The whole way: the script in a bash, asked as its line editor asks."""
    (tmp_path / "jensen").write_text(f'#!/bin/sh\nexec {sys.executable} -c "{PROGRAM}" "$@"\n')
    (tmp_path / "jensen").chmod(0o755)
    (tmp_path / "script").write_text(shell("completion", "bash").stdout)
    asked = (
        "compopt() { :; }; source ./script; COMP_WORDS=(jensen fit iris -c VV); COMP_CWORD=4; "
        "_jensen_completion jensen; echo ${COMPREPLY[@]}"
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", asked], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split() == ["VVI", "VVE", "VVV"], done.stderr
