"""Seconds per EM iteration, library beside library on the same rows from the same parameters.

An iteration is the difference between a longer and a shorter run, divided by the iterations between them: set-up is
left out. All libraries take turns, several times over; numbers are medians, and ratios are medians of the ratios of
each turn, which a busy machine disturbs least. Before that all take three iterations, and the log-likelihoods where
these lead must be the same.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.data import Problem, loglik, overlapping
from benchmarks.libraries import PEERS, Daal4py, Jensen, Library, Runner, ScikitLearn
from benchmarks.machine import floor_seconds, gemm_gflops

Cell = tuple[int, int, int, str]

GRID: list[Cell] = [
    (1_000_000, 2, 4, "full"),
    (1_000_000, 2, 32, "full"),
    (1_000_000, 8, 16, "full"),
    (1_000_000, 8, 16, "diag"),
    (200_000, 16, 64, "full"),
    (200_000, 32, 32, "full"),
    (100_000, 64, 64, "full"),
    (200_000, 32, 256, "diag"),
    (10_000, 4, 9, "full"),
]
OTHER_SHAPES: list[Cell] = [(1_000_000, 8, 16, "tied"), (1_000_000, 8, 16, "spherical")]
AGREEMENT = {"float64": 1e-6, "float32": 1e-5}
_CAP = 60.0
_CHECKED_ITERATIONS = 3
# Some peers stop by themselves when nothing moves any more, and not all say so.
_MAX_ITERATIONS = 20
# Jensen takes small data in bursts of 12, 12, 24, 48 steps: runs that end with a burst waste nothing of it.
_BURSTS = (12, 96)


def scaled(cells: Sequence[Cell], divisor: int) -> list[Cell]:
    """The cells with fewer rows where there are more than 10,000, but enough for every covariance."""
    return [
        (n if n <= 10_000 else max(n // divisor, 2_500, 3 * k * (d + 1) if shape == "full" else 0), d, k, shape)
        for n, d, k, shape in cells
    ]


def rivals(peers: Sequence[str] | None = None) -> list[Library]:
    """The peers that are asked for, all by default."""
    made = [peer() for peer in PEERS if peers is None or peer.name in peers]
    for peer in made:
        if peer.missing:
            print(f"{peer.name} is skipped: {peer.missing}", file=sys.stderr)
    return made


def run_grid(
    cells: Sequence[Cell],
    threads: int,
    precision: str,
    repeats: int,
    seconds: float,
    peers: Sequence[str] | None,
    cap: float = _CAP,
) -> dict[str, Any]:
    """Every library on every cell.

    Parameters
    ----------
    cells : sequence of (n, d, K, shape)
    threads : int
        Of every library.
    precision : {"float64", "float32"}
    repeats : int
        Turns.
    seconds : float
        Length of a longer run, about, within 2 to 20 iterations.
    peers : sequence of str or None
        Names; None takes all.
    cap : float
        Seconds that a library may take for a cell, turns left out if need be.
    """
    ours: list[Library] = [Jensen()]
    if threads > 1:
        ours.append(Jensen(n_threads=1))
    elif precision == "float64":
        ours.append(Jensen(isa="portable"))
    if precision == "float32":
        ours.append(Jensen(double=True))
    others, rate = rivals(peers), gemm_gflops(precision)
    found = [run_cell(cell, [*ours, *others], threads, precision, repeats, seconds, cap) for cell in cells]
    rate = max(rate, gemm_gflops(precision))
    for cell in found:
        floor = floor_seconds(cell["n"], cell["d"], cell["k"], cell["shape"], precision, rate, threads)
        cell["floor"] = floor
        for entry in cell["libraries"]:
            entry["of_floor"] = None if floor is None or entry["seconds"] is None else floor / entry["seconds"]
    return {
        "threads": threads,
        "precision": precision,
        "gemm": rate,
        "cells": found,
        "missing": {peer.name: peer.missing for peer in others if peer.missing},
        "versions": {peer.name: peer.version() for peer in others if not peer.missing},
    }


def run_growth(n: int, repeats: int, seconds: float) -> dict[str, Any]:
    """How an iteration grows, in one thread: with n up to ten times the number given, with K and d at that number."""
    libraries: list[Library] = [Jensen(), ScikitLearn(), Daal4py()]
    series: dict[str, list[Cell]] = {
        "n": [(m, 8, 8, "full") for m in (n // 100, n // 10, n, 10 * n)],
        "K": [(n, 8, k, "full") for k in (1, 4, 16, 64, 256)],
        "d": [(n, d, 8, "full") for d in (1, 2, 4, 8, 16, 32, 64)],
    }
    return {
        name: [run_cell(cell, libraries, 1, "float64", repeats, seconds) for cell in cells]
        for name, cells in series.items()
    }


def run_instruction_sets(cells: Sequence[Cell], repeats: int, seconds: float) -> list[dict[str, Any]]:
    """Jensen alone on every instruction set that this machine runs."""
    from jensen.kernels.choose import choice

    libraries = [Jensen(isa=name) for name in choice().available]
    return [run_cell(cell, libraries, 1, "float64", repeats, seconds) for cell in cells] if libraries else []


def run_cell(
    cell: Cell,
    libraries: Sequence[Library],
    threads: int,
    precision: str,
    repeats: int,
    seconds: float,
    cap: float = _CAP,
) -> dict[str, Any]:
    """All libraries on one cell, in turn."""
    n, d, k, shape = cell
    began = time.perf_counter()
    problem = overlapping(n, d, k, shape).astype(precision)
    takers = [library for library in libraries if library.handles(shape, precision, threads)]
    racers = [_Racer(library, problem, threads, precision) for library in takers]
    reference = next((racer.loglik for racer in racers if not racer.fault), math.nan)
    for racer in racers:
        racer.compare(reference, AGREEMENT[precision])
        racer.plan(repeats, seconds, cap)
    for turn in range(repeats):
        for racer in racers:
            if not racer.fault and turn < racer.repeats:
                racer.take_turn()
    spent = time.perf_counter() - began
    print(f"{n} x {d}, K={k}, {shape}, {precision}, {threads} thread(s): {spent:.0f} s", file=sys.stderr, flush=True)
    first = racers[0]
    peers = [r for r in racers if not isinstance(r.library, Jensen) and not math.isnan(r.median)]
    best = min(peers, key=lambda r: r.median) if peers else None
    by_name = {r.library.name: r for r in racers}
    return {
        "n": n, "d": d, "k": k, "shape": shape,
        "libraries": [r.entry() for r in racers],
        "best_peer": None if best is None else best.library.name,
        "times_sklearn": first.ratio(by_name.get("scikit-learn")),
        "times_best_peer": first.ratio(best),
        "times_one_thread": first.ratio(by_name.get("jensen 1 thread")),
        "times_float64": first.ratio(by_name.get("jensen float64")),
        "times_portable": first.ratio(by_name.get("jensen portable")),
    }  # fmt: skip


class _Racer:
    """A library on a cell: its runs so far."""

    def __init__(self, library: Library, problem: Problem, threads: int, precision: str) -> None:
        self.library, self.times = library, list[float]()
        self.fault, self.loglik, self.spent = "", math.nan, 0.0
        double = isinstance(library, Jensen) and (library.double or precision == "float64")
        bursts = double and problem.n * problem.d <= 1 << 17
        self.short, self.long = _BURSTS if bursts else (1, 3)
        try:
            self.runner: Runner = library.prepare(problem, threads)
            outcome = self.runner(_CHECKED_ITERATIONS)
        except subprocess.TimeoutExpired as error:
            self.fault = f"more than {error.timeout / _CHECKED_ITERATIONS:.0f} s"
        except subprocess.CalledProcessError as error:
            self.fault = _failure(error.stderr.strip().rpartition("\n")[2])
        except (MemoryError, RuntimeError, ValueError) as error:
            self.fault = _failure(str(error))
        else:
            self.spent, self.loglik = outcome.seconds, loglik(problem, outcome.params)

    @property
    def median(self) -> float:
        return _median(self.times)

    def compare(self, reference: float, tolerance: float) -> None:
        """Leave the library out if it led elsewhere."""
        if not self.fault and not abs(self.loglik - reference) <= tolerance * abs(reference):
            self.fault = f"another log-likelihood, by {abs(self.loglik / reference - 1.0):.1e}"

    def plan(self, repeats: int, seconds: float, cap: float) -> None:
        """As many iterations as fill the time wished for, as many turns as the cap allows."""
        each = max(self.spent / _CHECKED_ITERATIONS, 1e-6)
        if self.short == 1:
            self.long = 1 + min(_MAX_ITERATIONS, max(2, round(seconds / each)))
        self.repeats = min(repeats, max(1, int(cap / (each * (self.long + self.short)))))

    def take_turn(self) -> None:
        """A shorter and a longer run."""
        short, long = self.runner(self.short), self.runner(self.long)
        spent, steps = long.seconds - short.seconds, long.n_iter - short.n_iter
        # A machine so busy that the shorter run took longer says nothing.
        self.times.append(spent / steps if spent > 0 and steps > 0 else math.nan)

    def ratio(self, other: _Racer | None) -> float | None:
        """How many times longer another one takes."""
        if other is None:
            return None
        found = _median([theirs / ours for ours, theirs in zip(self.times, other.times, strict=False)])
        return None if math.isnan(found) else found

    def entry(self) -> dict[str, Any]:
        seconds = None if math.isnan(self.median) else self.median
        return {"name": self.library.name, "seconds": seconds, "turns": len(self.times), "fault": self.fault}


def _median(values: Sequence[float]) -> float:
    """Of those that say something; NaN if none does."""
    return statistics.median([value for value in values if not math.isnan(value)] or [math.nan])


def _failure(message: str) -> str:
    return f"failed: {message.partition(chr(10))[0][:80]}"
