"""The whole choice of K and shape: one to nine components, fourteen shapes, against mclust and scikit-learn.

python -m benchmarks.selection [--repeats N] [--data A,B] [--large] [--write PATH]

All take turns in one run, with all threads and a stopping rule of their own: mclust's default, scikit-learn's default
(four shapes, which are all it has), ours. mclust has one start for each cell, a cut of its tree of merges;
`jensen-1` and `jensen-2` have one and two such cuts, `jensen` its default, which also draws starts and searches for the
mixtures in the lead. `jensen, same starts` has mclust's own cuts and nothing else; mclust's tree does not count against
it: the ratio is to mclust without that. Cells are compared by log-likelihood, without a ridge, where both are finite
and ours is sound.
`--large` times the default on 100,000 x 5 besides.
"""

from __future__ import annotations

import argparse
import math
import shutil
import statistics
import subprocess
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe

_SCRIPT = Path(__file__).with_name("selection.R")
_FOUR = ("full", "tied", "diag", "spherical")


def ours(x: Any, n_init: Any, shapes: Any = "all", starts: Any = "auto") -> tuple[float, dict[str, Any]]:
    """Seconds, and the cells by name."""
    import jensen

    began = time.perf_counter()
    found = jensen.select(
        x, covariance_type=shapes, n_init=n_init, init_params=starts, reg_covar=0.0, random_state=0, progress=False
    )
    return time.perf_counter() - began, {cell.name: cell for cell in found._found.cells}


@dataclass(frozen=True)
class Mclust:
    """Seconds of mclust's table and of its tree, the BIC of every cell in its sign, and the cuts of the tree."""

    seconds: list[float] = field(default_factory=list)
    tree: list[float] = field(default_factory=list)
    table: dict[str, float] = field(default_factory=dict)
    cuts: dict[int, Any] = field(default_factory=dict)


def mclust(x: Any, repeats: int) -> Mclust:
    """The same data by mclust; nothing where R or mclust is missing."""
    if shutil.which("Rscript") is None:
        return Mclust()
    with tempfile.TemporaryDirectory() as folder:
        path, cuts = Path(folder) / "x.csv", Path(folder) / "cuts.csv"
        np.savetxt(path, x, delimiter=",", fmt="%.17g")
        done = subprocess.run(
            ["Rscript", str(_SCRIPT), str(path), str(repeats), str(cuts)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            print(f"mclust left out: {done.stderr.strip().splitlines()[-1] if done.stderr else 'R failed'}")
            return Mclust()
        labels = np.loadtxt(cuts, delimiter=",").astype(int) - 1
    first, second, *lines = done.stdout.strip().splitlines()
    table = {}
    for line in lines:
        name, *values = line.split()
        for k, value in enumerate(values, 1):
            table[f"{name},{k}"] = math.nan if value in ("NA", "NaN", "-Inf") else float(value)
    seconds, tree = ([float(value) for value in line.split()] for line in (first, second))
    return Mclust(seconds, tree, table, {k + 1: labels[:, k] for k in range(labels.shape[1])})


def sklearn(x: Any, n_init: int) -> float:
    """Seconds for the four shapes that scikit-learn has."""
    from sklearn.mixture import GaussianMixture

    began = time.perf_counter()
    for k in range(1, 10):
        for shape in _FOUR:
            GaussianMixture(k, covariance_type=shape, n_init=n_init, random_state=0).fit(x)
    return time.perf_counter() - began


def against(cells: dict[str, Any], theirs: dict[str, float]) -> dict[str, Any]:
    """How many cells are no worse than mclust's, and by how much the others are."""
    behind, compared, better = {}, 0, 0
    for name, bic in theirs.items():
        cell = cells.get(name)
        if math.isnan(bic) or cell is None or not cell.is_sound:
            continue
        compared += 1
        loglik = 0.5 * (bic + cell.fit.n_free * math.log(cell.fit.weight))
        if cell.fit.loglik < loglik - 1e-6:
            behind[name] = loglik - cell.fit.loglik
        better += cell.fit.loglik > loglik + 0.01
    return {"compared": compared, "behind": behind, "better": better}


def main() -> None:
    """Run and print."""
    from jensen import datasets

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--data", default="faithful,iris")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--write")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = [", ".join(f"{key} {value}" for key, value in describe().items() if not isinstance(value, dict)), ""]
    for name in asked.data.split(","):
        x = datasets.load(name).data
        x = x.reshape(len(x), -1)
        times: dict[str, list[float]] = {}
        theirs = mclust(x, 1)
        same = (1, "all", theirs.cuts)
        for _ in range(asked.repeats):
            for label, n_init in (("jensen-1", 1), ("jensen-2", 2), ("jensen", "auto")):
                seconds, cells = ours(x, n_init)
                times.setdefault(label, []).append(seconds)
            times.setdefault("jensen-1, four shapes", []).append(ours(x, 1, _FOUR)[0])
            for n_init in (1, 10):
                times.setdefault(f"sklearn-{n_init}, four shapes", []).append(sklearn(x, n_init))
            if theirs.cuts:
                times.setdefault("jensen, same starts", []).append(ours(x, *same)[0])
            again = mclust(x, 1)
            times.setdefault("mclust", []).extend(again.seconds)
            times.setdefault("mclust without its tree", []).extend(
                whole - tree for whole, tree in zip(again.seconds, again.tree, strict=True)
            )
        middle = {label: statistics.median(values) for label, values in times.items() if values}
        lines += [
            f"{name}, {len(x)} x {x.shape[1]}",
            "",
            "| | seconds | mclust / this | cells behind mclust | better |",
        ]
        lines += ["|---|---|---|---|---|"]
        for label, seconds in middle.items():
            rival = "mclust without its tree" if label == "jensen, same starts" else "mclust"
            ratio = f"{middle[rival] / seconds:.2f}" if rival in middle else ""
            told = ["", ""]
            asked_for = {"jensen-1": (1,), "jensen-2": (2,), "jensen": ("auto",), "jensen, same starts": same}
            if theirs.table and label in asked_for:
                compared = against(ours(x, *asked_for[label])[1], theirs.table)
                worst = max(compared["behind"].values(), default=0.0)
                told = [f"{len(compared['behind'])} of {compared['compared']}, by {worst:.3g} at most"]
                told.append(str(compared["better"]))
            lines.append(f"| {label} | {seconds:.3f} | {ratio} | {told[0]} | {told[1]} |")
        lines.append("")
    if asked.large:
        import jensen

        x = _large()
        began = time.perf_counter()
        found = jensen.select(x, random_state=0, progress="auto")
        seconds = time.perf_counter() - began
        lines += [f"100,000 x 5, default: {seconds:.1f} s. {found.words()}", ""]
    text = "\n".join(lines)
    print(text)
    if asked.write:
        Path(asked.write).write_text(text + "\n", encoding="utf-8")


def _large() -> Any:
    rng = np.random.default_rng(0)
    centres = 4.0 * rng.normal(size=(5, 5))
    mixing = rng.normal(size=(5, 5, 5)) / math.sqrt(5.0)
    group = rng.integers(5, size=100_000)
    return centres[group] + np.einsum("nij,nj->ni", mixing[group], rng.normal(size=(100_000, 5)))


if __name__ == "__main__":
    main()
