"""The results as a page of Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

_HOW = """\
EM for Gaussian mixtures, side by side with other libraries, all in one run on one machine.

```sh
python -m benchmarks                # some three minutes, on fewer rows
python -m benchmarks --full --write docs/performance.md --json numbers.json
```

Libraries that are not installed are left out and named; scikit-learn alone is needed. daal4py comes with
`pip install scikit-learn-intelex`, pomegranate with its own name, Armadillo (with a C++ compiler) and mclust (with
R) from the system's packages.

An iteration is the difference between a longer and a shorter run from the same parameters, which leaves set-up out.
The libraries take turns; numbers are medians, and ratios are medians over the turns, which a busy machine disturbs
least. Before anything is timed, the log-likelihood that three iterations lead to must be the same for all, to 1e-6
(1e-5 in float32); a library that led elsewhere is out of the comparison.
"""

_FLOOR = """\
*Of the limit* is the share of the least time that the arithmetic allows at the rate of the machine's own matrix
product: 2 n K (d(d+1) + 2d + 3 + e) operations for full covariances and 2 n K (4d + 3 + e) for diagonal ones, with e
= 18 for the exponential in float64 and 12 in float32. It counts what fused multiply-adds must do; subtracting
centres, taking maxima and adding up come besides. Processors that add beside multiplying (Zen 4) reach some 75 to 90
% of it; those where both share two ports (Intel's with AVX-512) some 50 to 70 %, with few features least. Cells above
100 % are pruned: where components lie apart, an iteration skips what could not change a digit, and a limit that
counts it all says nothing.
"""


def page(result: dict[str, Any]) -> str:
    """The whole page."""
    parts = ["# Performance\n", _HOW, _machine(result), "## One EM iteration\n", _FLOOR]
    parts += [_grid(grid) for grid in result["grids"]]
    if result.get("shapes"):
        parts.append(_shapes(result["shapes"]))
    if result.get("isas"):
        parts.append(_isas(result["isas"]))
    parts.append(_waits(result))
    if result["memory"]:
        parts.append(_memory(result["memory"]))
    parts.append(_growth(result["growth"]))
    return "\n".join(parts).rstrip() + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1e3 * seconds:.3g}" if seconds < 1 else f"{1e3 * seconds:,.0f}"


def _times(ratio: float | None) -> str:
    return "-" if ratio is None or math.isnan(ratio) else f"{ratio:.2f}" if ratio < 3 else f"{ratio:.1f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def _machine(result: dict[str, Any]) -> str:
    machine, first = result["machine"], result["grids"][0]
    versions = {**machine["versions"], **{k: v for grid in result["grids"] for k, v in grid["versions"].items()}}
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; Python {machine['python']}, {listed}. "
        f"Jensen's kernel: {machine['kernel']}.",
    ]
    rates = {grid["precision"]: grid["gemm"] for grid in result["grids"] if grid["threads"] == 1}
    said = ", ".join(f"{rate:.1f} GFLOP/s in {precision}" for precision, rate in rates.items())
    lines.append(f"Matrix product on one thread: {said}.")
    if machine.get("fma"):
        peaks = ", ".join(
            f"{peak:.1f} in {precision} (the matrix product reaches {100 * rates[precision] / peak:.0f} % of it)"
            for precision, peak in machine["fma"].items()
            if precision in rates
        )
        lines.append(f"Fused multiply-adds alone: {peaks}.")
    lines += [f"Skipped: {name}, because {reason}." for name, reason in first["missing"].items()]
    if result["quick"]:
        lines.append("A quick run: fewer rows and repetitions than the tables call for.")
    return "\n".join(lines) + "\n"


def _what(cell: dict[str, Any]) -> list[str]:
    return [f"{cell['n']:,}", str(cell["d"]), str(cell["k"]), cell["shape"]]


def _grid(grid: dict[str, Any]) -> str:
    cells = grid["cells"]
    names = list(dict.fromkeys(entry["name"] for cell in cells for entry in cell["libraries"]))
    extra = [
        (label, key)
        for label, key in (
            ("times one thread", "times_one_thread"),
            ("times float64", "times_float64"),
            ("times portable", "times_portable"),
        )
        if any(cell[key] is not None for cell in cells)
    ]
    head = ["n", "d", "K", "shape", *(f"{name}, ms" for name in names), "times scikit-learn", "times best peer",
            "of the limit", *(label for label, _ in extra)]  # fmt: skip
    rows, notes = [], []
    for cell in cells:
        entries = {entry["name"]: entry for entry in cell["libraries"]}
        times = [_ms(entries[name]["seconds"]) if name in entries else "-" for name in names]
        best = "-" if cell["times_best_peer"] is None else f"{_times(cell['times_best_peer'])} ({cell['best_peer']})"
        ratios = [_times(cell["times_sklearn"]), best, _percent(entries["jensen"]["of_floor"])]
        rows.append([*_what(cell), *times, *ratios, *(_times(cell[key]) for _, key in extra)])
        notes += [
            f"{entry['name']} at {', '.join(_what(cell))}: {entry['fault']}."
            for entry in entries.values()
            if entry["fault"]
        ]
    threads = "one thread" if grid["threads"] == 1 else f"{grid['threads']} threads"
    return f"### {grid['precision']}, {threads}\n\n" + _table(head, rows) + "".join(f"\n{note}\n" for note in notes)


def _series(cells: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[float | None]]]:
    names = [entry["name"] for entry in cells[0]["libraries"]]
    return names, [[entry["seconds"] for entry in cell["libraries"]] for cell in cells]


def _shapes(grid: dict[str, Any]) -> str:
    return _grid(grid).replace("### ", "### Other shapes, ", 1)


def _isas(cells: Sequence[dict[str, Any]]) -> str:
    names, seconds = _series(cells)
    rows = [[*_what(cell), *map(_ms, line)] for cell, line in zip(cells, seconds, strict=True)]
    return "### Instruction sets, float64, one thread, ms\n\n" + _table(["n", "d", "K", "shape", *names], rows)


def _waits(result: dict[str, Any]) -> str:
    large, small, pruning = result["large"], result["small"], result["pruning"]
    starts = ", ".join(f"{row['starts']}" for row in large["seeds"])
    steps = ", ".join(f"{row['iterations']}" for row in large["seeds"])
    theirs = ", ".join(f"{row['sklearn_iterations']}" for row in large["seeds"])
    size, gains = f"{large['n']:,} x {large['d']}, K={large['k']}", [r for r in large["seeds"] if "default" in r]
    rows = [
        [f"{size}: until scikit-learn's objective is reached", f"{large['to_objective']:.3g} s",
         f"{large['sklearn']:.3g} s", _times(large["ratio_to_objective"])],
        [f"{size}: default against default", f"{large['default']:.3g} s", f"{large['sklearn']:.3g} s",
         _times(large["ratio_default"])],
    ]  # fmt: skip
    for name, label in (("iris", "iris, K=3, 20 iterations from given parameters"),
                        ("small", "Old Faithful, 272 x 2: nine K by four shapes, four starts each")):  # fmt: skip
        for threads, found in result[name].items():
            ours, sk = found["seconds"]["jensen"], found["seconds"]["scikit-learn"]
            rows.append([f"{label}, {threads}", f"{1e3 * ours:.3g} ms", f"{1e3 * sk:.3g} ms", _times(found["ratio"])])
            if "ratio_core" in found:
                core = found["seconds"]["jensen core"]
                rows.append([f"the same without the estimator, {threads}", f"{1e3 * core:.3g} ms", f"{1e3 * sk:.3g} ms",
                             _times(found["ratio_core"])])  # fmt: skip
    text = [
        "## What a user waits for\n",
        _table(["whole fits, start included", "Jensen", "scikit-learn", "times"], rows),
    ]
    text.append(
        f"The first two: all processors, {len(large['seeds'])} seeds. scikit-learn stopped after {theirs} iterations; "
        f"Jensen was there after {steps}, from start number {starts} (a start that is not there after ten iterations "
        "is given up, and its time counts). Jensen's default goes on until nothing is left to gain: after "
        + ", ".join(f"{row['default_iterations']}" for row in gains)
        + " iterations, with a mean log-likelihood per row that differs from scikit-learn's by "
        + ", ".join(f"{row['gain_per_row']:+.2g}" for row in gains)
        + ".\n"
    )
    kept = next(iter(small.values()))
    text.append(
        f"Old Faithful: to 0.001 nats per row, Jensen's fit is at least as good as scikit-learn's in "
        f"{kept['jensen_not_worse']} of {kept['cells']} cells, scikit-learn's as good as Jensen's in "
        f"{kept['sklearn_not_worse']}; their starts differ.\n"
    )
    if pruning:
        prune_rows = [
            [name, _ms(pruning[name]["seconds"]["with"]), _ms(pruning[name]["seconds"]["without"]),
             _times(pruning[name]["ratio"]), f"{pruning[name]['difference']:.0e}"]
            for name in ("separated", "overlapping")
        ]  # fmt: skip
        text.append(f"### Pruning, {pruning['n']:,} x {pruning['d']}, K={pruning['k']}, one thread\n")
        head = ["components", "with, ms", "without, ms", "times", "difference of the log-likelihood"]
        text.append(_table(head, prune_rows))
    return "\n".join(text)


def _memory(memory: dict[str, Any]) -> str:
    rows = [[f"{name}, three iterations", f"{peak:.3g}"] for name, peak in memory["steps"].items()]
    rows += [[f"{name}, whole fit with its start", f"{peak:.3g}"] for name, peak in memory["fits"].items()]
    head = f"## Peak memory beyond the data, {memory['n']:,} x {memory['d']}, K={memory['k']}\n"
    said = f"The data are {memory['data']:.0f} MiB. Each in a process of its own, after a warm-up.\n"
    return "\n".join([head, said, _table(["", "MiB"], rows)])


def _growth(growth: dict[str, Any]) -> str:
    text = ["## Growth, nanoseconds per row and component, float64, one thread\n"]
    for name, cells in growth.items():
        names, seconds = _series(cells)
        rows = []
        for cell, line in zip(cells, seconds, strict=True):
            each = [None if s is None else 1e9 * s / (cell["n"] * cell["k"]) for s in line]
            rows.append([*_what(cell), *("-" if e is None else f"{e:.3g}" for e in each)])
        text += [f"In {name}:\n", _table(["n", "d", "K", "shape", *names], rows)]
    return "\n".join(text)
