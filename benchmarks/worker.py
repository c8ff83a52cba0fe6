"""One section of the benchmarks in a process of its own, whose threads its environment sets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.machine import SCRATCH, scratch

ROOT = Path(__file__).parent.parent


def call(function: str, threads: int | None, /, **arguments: Any) -> Any:
    """Call ``module.function`` of this package in a new process.

    Parameters
    ----------
    function : str
        Name with its module.
    threads : int or None
        Threads of every library; None leaves their defaults.
    **arguments
        Its arguments, as JSON can say them.
    """
    environment = {**os.environ, SCRATCH: str(scratch())}
    names = ("JENSEN_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    for name in names:
        environment.pop(name, None)
        if threads is not None:
            environment[name] = str(threads)
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        out = Path(folder) / "out.json"
        command = [sys.executable, "-m", "benchmarks.worker", function, json.dumps(arguments), str(out)]
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
        return json.loads(out.read_text(encoding="utf-8"))


def main() -> None:
    """What `call` runs."""
    function, arguments, out = sys.argv[1:]
    module, name = function.split(".")
    found = getattr(import_module(f"benchmarks.{module}"), name)(**json.loads(arguments))
    Path(out).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
