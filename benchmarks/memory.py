"""Peak resident memory beyond the data, each library in a process of its own after a warm-up (Linux only)."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

from benchmarks import worker
from benchmarks.data import overlapping
from benchmarks.libraries import PEERS, Jensen, named

N, D, K = 1_000_000, 8, 16


def run_all(divisor: int, threads: int) -> dict[str, Any]:
    """MiB of three iterations of each library, and of whole fits with their start of two."""
    if not sys.platform.startswith("linux"):
        return {}
    n = N // divisor
    found: dict[str, Any] = {"n": n, "d": D, "k": K, "data": n * D * 8 / 2**20, "steps": {}, "fits": {}}
    for library in [Jensen(), *(peer() for peer in PEERS)]:
        if library.handles("full", "float64", threads):
            found["steps"][library.name] = worker.call(
                "memory.of_steps", threads, name=library.name, n=n, threads=threads
            )
    for name in ("jensen", "scikit-learn"):
        found["fits"][name] = worker.call("memory.of_fit", threads, name=name, n=n)
    return found


def of_steps(name: str, n: int, threads: int) -> float:
    """MiB of three iterations."""
    library = named(name)
    problem = overlapping(n, D, K)
    if library.external:
        peak = library.prepare(problem, threads)(3).peak
        return float("nan") if peak is None else peak
    library.prepare(problem.head(2000), threads)(2)
    runner = library.prepare(problem, threads)
    before = _mark()
    runner(3)
    return _resident("VmHWM") - before


def of_fit(name: str, n: int) -> float:
    """MiB of a whole fit by default, start included, with three iterations at most."""
    from benchmarks.fit import estimator

    warnings.simplefilter("ignore")
    x = overlapping(n, D, K).x
    estimator(name)(K, max_iter=3, random_state=0).fit(x[:2000].copy())
    before = _mark()
    estimator(name)(K, max_iter=3, random_state=0).fit(x)
    return _resident("VmHWM") - before


def _mark() -> float:
    """Forget the peak so far; MiB that are resident now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return _resident("VmRSS")


def _resident(key: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024
