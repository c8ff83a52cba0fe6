"""Run the benchmarks and print a page of Markdown."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import memory, report, worker
from benchmarks.machine import describe, fma_gflops
from benchmarks.step import GRID, OTHER_SHAPES, scaled

_FAST_PEERS = ["scikit-learn", "daal4py"]


def quick() -> dict[str, Any]:
    """Fewer rows, repetitions and rivals."""
    options: dict[str, Any] = {"cells": scaled(GRID, 40), "repeats": 3, "seconds": 0.05, "cap": 3.0}
    grids = [
        worker.call("step.run_grid", t, threads=t, precision=p, peers=peers, **options)
        for t, p, peers in (
            (1, "float64", [*_FAST_PEERS, "Armadillo"]),
            (1, "float32", _FAST_PEERS),
            (2, "float64", ["daal4py"]),
        )
    ]
    return {
        "grids": grids,
        "growth": worker.call("step.run_growth", 1, n=10_000, repeats=1, seconds=0.02),
        "large": worker.call("fit.run_large", None, divisor=20, n_seeds=3, n_defaults=1),
        "iris": {"one thread": worker.call("fit.run_iris", 1, repeats=20)},
        "small": {"one thread": worker.call("fit.run_small", 1, repeats=2)},
        "pruning": worker.call("fit.run_pruning", 1, divisor=10, repeats=1),
        "memory": memory.run_all(10, 1),
    }


def full(peers: list[str] | None, repeats: int) -> dict[str, Any]:
    """Every size, which takes an hour or more with all peers."""
    options: dict[str, Any] = {"repeats": repeats, "seconds": 0.3}
    grids = [
        worker.call("step.run_grid", t, cells=GRID, threads=t, precision=p, peers=peers, **options)
        for p in ("float64", "float32")
        for t in (1, 2)
    ]
    either = (("one thread", 1), ("all threads", None))
    return {
        "grids": grids,
        "shapes": worker.call("step.run_grid", 1, cells=OTHER_SHAPES, threads=1, precision="float64", peers=_FAST_PEERS,
                              **options),
        "isas": worker.call("step.run_instruction_sets", 1, cells=GRID, **options),
        "growth": worker.call("step.run_growth", 1, n=100_000, repeats=3, seconds=0.2),
        "large": worker.call("fit.run_large", None, divisor=1, n_seeds=5, n_defaults=3),
        "iris": {name: worker.call("fit.run_iris", threads, repeats=50) for name, threads in either},
        "small": {name: worker.call("fit.run_small", threads, repeats=5) for name, threads in either},
        "pruning": worker.call("fit.run_pruning", 1, divisor=1, repeats=3),
        "memory": memory.run_all(1, 1),
    }  # fmt: skip


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="fewer rows, three minutes (the default)")
    size.add_argument("--full", action="store_true", help="everything")
    parser.add_argument(
        "--peers",
        type=lambda names: names.split(","),
        help="of the full version: libraries, separated by commas, such as scikit-learn,daal4py (default: all)",
    )
    parser.add_argument("--repeats", type=int, default=5, help="of the full version: turns (default: 5)")
    parser.add_argument("--write", metavar="PATH", type=Path, help="write the page there")
    parser.add_argument("--json", metavar="PATH", type=Path, help="write the numbers there")
    options = parser.parse_args()
    began = time.perf_counter()
    before = fma_gflops()
    result = {"quick": not options.full, **(full(options.peers, options.repeats) if options.full else quick())}
    # A busy machine only ever slows these down: the best of two is nearer the truth.
    after = fma_gflops()
    peak = None if before is None or after is None else {name: max(before[name], after[name]) for name in before}
    result["machine"] = {**describe(), "fma": peak}
    result["seconds"] = time.perf_counter() - began
    page = report.page(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if options.write:
        options.write.write_text(page, encoding="utf-8")
    else:
        print(page)
    print(f"{result['seconds']:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
