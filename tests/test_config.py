"""`jensen.show_config` tells what is in use."""

import os
import subprocess
import sys

import numpy as np
import pytest

import jensen
from jensen.kernels.choose import choice


def test_config_is_what_runs(threads):
    found = jensen.show_config()
    assert (found.kernel, found.instruction_set, found.reason) == (choice().kernel, choice().isa, choice().reason)
    assert found.available == choice().available
    assert (found.version, found.numpy) == (jensen.__version__, np.__version__)
    assert found.threads == threads() and found.threads_source
    threads(3)
    assert (jensen.show_config().threads, jensen.show_config().threads_source) == (3, "set by jensen.threads")
    assert all(blas.name and blas.threads >= 1 for blas in found.blas)


@pytest.mark.parametrize(
    "env, source",
    [
        ({"JENSEN_NUM_THREADS": "3", "OMP_NUM_THREADS": "2"}, "3: JENSEN_NUM_THREADS"),
        ({"OMP_NUM_THREADS": "2"}, "2: OMP_NUM_THREADS"),
        ({}, "processors available to this process"),
    ],
)
def test_it_prints_a_table(env, source):
    environ = {k: v for k, v in os.environ.items() if k not in ("JENSEN_NUM_THREADS", "OMP_NUM_THREADS")}
    environ |= {"JENSEN_ISA": "portable", **env}
    code = "import jensen; print(jensen.show_config()); print(repr(jensen.show_config()))"
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == f"Jensen {jensen.__version__}" and lines[: len(lines) // 2] == lines[len(lines) // 2 :]
    assert "  kernel     portable (NumPy): JENSEN_ISA asks for it" in lines
    assert any(line.startswith("  threads ") and line.endswith(source) for line in lines)
    assert any(line.startswith("  BLAS ") for line in lines)


def test_the_command_line_tells_the_same():
    environ = {**os.environ, "JENSEN_ISA": "portable"}
    command = [sys.executable, "-m", "jensen", "--version"]
    said = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout.splitlines()
    assert said[0] == f"jensen {jensen.__version__}"
    assert said[1] == "  kernel     portable (NumPy): JENSEN_ISA asks for it"
