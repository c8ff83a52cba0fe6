"""The program as the shell runs it: exit codes, signals, terminals, and what it imports."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from terminals import in_terminal

from jensen.store import read_model

PROGRAM = [sys.executable, "-c", "from jensen.cli import main; main()"]
posix = pytest.mark.skipif(os.name != "posix", reason="signals and terminals of POSIX")


def jensen(*args):
    return subprocess.run([*PROGRAM, *map(str, args)], capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """A file on which a fit with tolerance 0 runs for minutes."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("big") / "big.npy"
    np.save(path, rng.normal(size=(200_000, 8)))
    return path


def long_fit(big, *args):
    return ["fit", str(big), "-k", "8", "--tol", "0", "--max-iter", "1000000", "--starts", "1", *map(str, args)]


def test_exit_codes_and_streams():
    good = jensen("fit", "faithful", "-k", 2, "--json")
    assert (good.returncode, good.stderr) == (0, "")
    assert json.loads(good.stdout)["status"] == "converged"
    bad, wrong = jensen("fit", "nope.csv"), jensen("fit", "faithful", "-k", "x")
    assert (bad.returncode, wrong.returncode) == (1, 2)
    assert bad.stdout == wrong.stdout == ""
    assert "Traceback" not in bad.stderr + wrong.stderr


@posix
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize(
    "command", ["fit faithful -k 1", "fit faithful -k 1 --json", "sample {m}", "show {m}", "--help"]
)
def test_output_that_cannot_be_written_is_an_error_without_a_traceback(command, model):
    with open("/dev/full", "w") as full:
        args = [*PROGRAM, *command.format(m=model).split()]
        done = subprocess.run(args, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("jensen: ") and "No space left" in done.stderr and len(done.stderr.splitlines()) == 1


@posix
@pytest.mark.parametrize(
    "command", ["fit faithful -k 1", "fit faithful -k 1 --json", "sample {m} --seed 1", "show {m}"]
)
def test_closed_stdout_is_no_error(command, model):
    line = f"{sys.executable} -c 'from jensen.cli import main; main()' {command.format(m=model)} >&-"
    done = subprocess.run(["bash", "-c", line], stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_of_the_bar_where_stderr_is_no_terminal():
    done = jensen("fit", "faithful", "-k", "1:3", "--starts", 2)
    assert done.stderr == "" and "\x1b" not in done.stdout


@pytest.mark.parametrize("command", ["fit faithful -k 2 --out {m}", "show {m}", "predict {m} {d}", "sample {m} -n 3"])
def test_no_heavy_package_is_imported(command, model, tmp_path):
    (tmp_path / "d.csv").write_text("eruptions,waiting\n3.6,79\n")
    paths = {"m": tmp_path / "m.safetensors" if "fit" in command else model, "d": tmp_path / "d.csv"}
    args = command.format(**paths).split()
    program = f"import sys; from jensen.cli import main; main({args!r}, standalone_mode=False)"
    program += "; print('modules', *{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    modules = set(done.stdout.splitlines()[-1].split())
    assert not modules & {"sklearn", "pandas", "polars", "rich", "matplotlib", "joblib"}
    assert "numpy" in modules


def test_first_words_come_without_numpy():
    program = (
        "import sys; from jensen.cli import main; main([], standalone_mode=False); assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)


# The program, which says on its third pass that it is under way, and then waits for the signal. A shell starts what it
# puts in the background with interrupts ignored, and Python then leaves them so.
SAYS_SO = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from jensen.cli import main
from jensen.data.arrays import ArraySource
real, passes = ArraySource.fold, []
def fold(self, block_pass, params, *blocks):
    if "means" in params.values:
        passes.append(params)
        if len(passes) == 3:
            print("under way", file=sys.stderr, flush=True)
            signal.pause()
    return real(self, block_pass, params, *blocks)
ArraySource.fold = fold
main()
"""


@posix
def test_interrupt_in_mid_fit_keeps_and_writes_the_best_so_far(big, tmp_path):
    out, labels = tmp_path / "m.safetensors", tmp_path / "l.npy"
    command = [sys.executable, "-c", SAYS_SO, *long_fit(big, "--out", out, "--labels", labels, "--json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline() == "under way\n"
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, "")
    told = json.loads(stdout)
    assert told["status"] == "interrupted" and told["n_iter"] > 0
    assert read_model(out).fitted.params["means"].tolist() == told["means"]
    assert np.load(labels).shape == (200_000,)


@posix
def test_reader_that_has_read_enough_is_no_error(model):
    command = f"{sys.executable} -c 'from jensen.cli import main; main()' sample {model} -n 200000 --seed 1 | head -n 2"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True)
    assert done.stdout.startswith("eruptions,waiting\n")
    assert done.stderr == "" and done.returncode == 0


@posix
def test_terminal_shows_the_bar_and_is_left_clean(big):
    code, seen = in_terminal([*PROGRAM[1:], *long_fit(big)], 80, interrupt=rb"iteration [1-9]")
    assert code == 130
    drawn, _, after = seen.rpartition("\x1b[2K")
    # The bar was drawn, is wiped at the end, the cursor is back, and what stays is the summary alone.
    assert "objective -" in drawn and "━" in drawn
    assert "\x1b[?25h" in drawn
    assert after.startswith("Gaussian mixture: 8 components") and "\x1b" not in after
    assert "interrupted: these are the best parameters so far" in after
    assert max(map(len, after.replace(str(big), "").splitlines())) <= 80
