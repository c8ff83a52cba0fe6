"""The machine: what it is, and how fast it multiplies, which is the limit of an EM iteration."""

from __future__ import annotations

import atexit
import os
import platform
import shutil
import subprocess
import tempfile
import time
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

EXTERNAL = Path(__file__).parent / "external"
SCRATCH = "JENSEN_BENCHMARKS_SCRATCH"
_SHOWN = ("numpy", "scipy", "scikit-learn")


def describe() -> dict[str, Any]:
    """Processor, cores and versions."""
    from jensen.kernels.choose import choice

    versions = {name: metadata.version(name) for name in _SHOWN}
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "kernel": " ".join(filter(None, (choice().kernel, choice().isa))),
        "versions": versions,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def gemm_gflops(dtype: Any, size: int = 1536, repeats: int = 8) -> float:
    """The best rate of a matrix product on one thread, in GFLOP/s."""
    from threadpoolctl import threadpool_limits

    a = np.random.default_rng(0).standard_normal((size, size)).astype(dtype)
    out, best = np.empty_like(a), np.inf
    with threadpool_limits(1):
        for _ in range(repeats):
            began = time.perf_counter()
            np.matmul(a, a, out=out)
            best = min(best, time.perf_counter() - began)
    return 2.0 * size**3 / best / 1e9


def fma_gflops() -> dict[str, float] | None:
    """The rate of fused multiply-adds alone on one thread, in GFLOP/s; None without a compiler."""
    program = compiled("peak.cpp")
    if program is None:
        return None
    double, single = subprocess.run([program], check=True, capture_output=True, text=True).stdout.split()
    return {"float64": float(double), "float32": float(single)}


@cache
def compiled(source: str, *libraries: str) -> str | None:
    """Path of a program compiled for this machine, or None where that is not possible."""
    target = scratch() / Path(source).stem
    if target.exists():
        return str(target)
    compiler = shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
    if compiler is None:
        return None
    flags = ["-O3", "-std=c++17", "-march=native", "-fopenmp", "-DNDEBUG", "-DARMA_NO_DEBUG", "-Wno-psabi"]
    made = subprocess.run(
        [compiler, *flags, str(EXTERNAL / source), "-o", str(target), *libraries], capture_output=True
    )
    return str(target) if made.returncode == 0 else None


@cache
def scratch() -> Path:
    """A folder that lives as long as the first process of a run, which hands it to its children."""
    given = os.environ.get(SCRATCH)
    if given:
        return Path(given)
    folder = tempfile.TemporaryDirectory(prefix="jensen-benchmarks-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def floor_seconds(n: int, d: int, k: int, shape: str, precision: str, gflops: float, threads: int) -> float | None:
    """The least time of an iteration: its operations at the rate of the matrix product. None for other shapes.

    A full covariance takes d (d + 1) multiply-adds for the whitening and the scatter and 2 d for centring and first
    moments, a diagonal one 4 d; the exponential takes 18 in float64 and 12 in float32, and the rest 3.
    """
    per_pair = {"full": d * (d + 1) + 2 * d, "diag": 4 * d}.get(shape)
    if per_pair is None:
        return None
    exponential = 18 if precision == "float64" else 12
    return 2.0 * n * k * (per_pair + 3 + exponential) / (gflops * 1e9 * threads)
