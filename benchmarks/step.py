"""Seconds per EM iteration beside scikit-learn, import time, and peak memory; prints Markdown.

Both run in this process on the same rows from the same parameters, in turn, on as many threads. The time of an
iteration is the difference between a longer and a shorter run, so that set-up is left out; medians of paired
repetitions. Objectives are compared before times are.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass

# (n, d, K, shape)
CELLS = [
    (1_000_000, 2, 4, "full"),
    (1_000_000, 8, 16, "full"),
    (1_000_000, 8, 16, "diag"),
    (1_000_000, 8, 16, "tied"),
    (1_000_000, 8, 16, "spherical"),
    (200_000, 16, 64, "full"),
    (200_000, 32, 256, "diag"),
    (10_000, 4, 9, "full"),
    (272, 2, 3, "full"),
]
MEMORY_CELL = CELLS[1]
Fit = Callable[[int], float]


@dataclass(frozen=True)
class Timing:
    """One cell: seconds per iteration of both, medians, and the median of their paired ratios."""

    n: int
    d: int
    k: int
    shape: str
    jensen: float
    sklearn: float
    ratio: float


def problem(n: int, d: int, k: int, shape: str, seed: int = 0):
    """Rows of k overlapping groups, and rough parameters to start from."""
    import numpy as np

    rng = np.random.default_rng(seed)
    centres = 2.0 * rng.standard_normal((k, d))
    x = centres[rng.integers(k, size=n)] + rng.standard_normal((n, d))
    unit = {"full": np.tile(np.eye(d), (k, 1, 1)), "tied": np.eye(d), "diag": np.ones((k, d)), "spherical": np.ones(k)}
    return x, np.full(k, 1.0 / k), centres + 0.3 * rng.standard_normal((k, d)), 1.5 * unit[shape]


def jensen_fit(x, weights, means, covariances, shape: str) -> Fit:
    """The function that runs so many iterations of Jensen and returns the objective before the last."""
    import numpy as np

    from jensen.data.arrays import ArraySource
    from jensen.families.gaussian import Gaussian
    from jensen.models.mixture import Mixture
    from jensen.solve.em import EM
    from jensen.solve.loop import Limits, run

    class Never:
        def update(self, info):
            return None

    model = Mixture(Gaussian(*means.shape, shape, np.zeros(means.shape[1])))
    start, source = model.parameters(weights=weights, means=means, covariances=covariances), ArraySource(x)
    return lambda n_iter: run(EM(model), source, start, Never(), Limits(n_iter)).trace[n_iter - 1]


def sklearn_fit(x, weights, means, covariances, shape: str) -> Fit:
    """The same of scikit-learn."""
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    precisions = np.linalg.inv(covariances) if shape in ("full", "tied") else 1.0 / covariances

    def fit(n_iter: int) -> float:
        model = GaussianMixture(
            len(means),
            covariance_type=shape,
            reg_covar=0.0,
            tol=0.0,
            max_iter=n_iter,
            weights_init=weights,
            means_init=means,
            precisions_init=precisions,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return float(model.fit(x).lower_bound_) * len(x)

    return fit


def seconds(fit: Fit, n_iter: int) -> float:
    """Wall time of a run."""
    began = time.perf_counter()
    fit(n_iter)
    return time.perf_counter() - began


def time_cell(n: int, d: int, k: int, shape: str, repeats: int) -> Timing:
    """Both in turn, several times."""
    data = problem(n, d, k, shape)
    ours, theirs = jensen_fit(*data, shape), sklearn_fit(*data, shape)
    mine, other = ours(2), theirs(2)
    if abs(mine - other) > 1e-9 * abs(other):
        raise SystemExit(f"the two disagree on {n} x {d}, K={k}, {shape}: {mine} and {other}")
    # Few iterations where one takes long, many where a clock's tick would show.
    more = max(2, min(200, int(1e7 / (n * k))))
    pairs = []
    for _ in range(repeats):
        pairs.append(tuple((seconds(fit, 1 + more) - seconds(fit, 1)) / more for fit in (ours, theirs)))
    ours_median, theirs_median = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    return Timing(n, d, k, shape, ours_median, theirs_median, ratio)


def import_seconds(module: str, repeats: int) -> float:
    """Median time that an import adds to a bare interpreter."""

    def spent(code: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - began

    spent(f"import {module}")
    return statistics.median(spent(f"import {module}") - spent("pass") for _ in range(repeats))


def peak_mebibytes(library: str, n: int, d: int, k: int, shape: str) -> float | None:
    """Peak memory of three iterations beyond the data, in a process of its own; None where /proc cannot tell."""
    if not sys.platform.startswith("linux"):
        return None
    code = f"""
import sys; sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r})
import step
def resident(key):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key)) / 1024
make = step.{library}_fit
make(*step.problem(2000, {d}, {k}, {shape!r}), {shape!r})(2)
fit = make(*step.problem({n}, {d}, {k}, {shape!r}), {shape!r})
open("/proc/self/clear_refs", "w").write("5")
before = resident("VmRSS")
fit(3)
print(resident("VmHWM") - before)
"""
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def markdown(result: dict) -> str:
    """The result as a page."""
    lines = [
        f"{result['machine']}; threads: {result['threads']}",
        "",
        "| n | d | K | shape | Jensen, ms | scikit-learn, ms | times faster |",
        "|---|---|---|---|---|---|---|",
    ]
    for c in result["step"]:
        numbers = f"{1e3 * c['jensen']:.3g} | {1e3 * c['sklearn']:.4g} | {c['ratio']:.1f}"
        lines.append(f"| {c['n']:,} | {c['d']} | {c['k']} | {c['shape']} | {numbers} |")
    lines += ["", "| | Jensen | scikit-learn |", "|---|---|---|"]
    imports, memory = result["import_seconds"], result["peak_mebibytes"]
    lines.append(f"| import, s | {imports['jensen']:.2f} | {imports['sklearn.mixture']:.2f} |")
    if memory["jensen"] is not None:
        cell = "{:,} x {}, K={}, {}".format(*result["memory_cell"])
        lines.append(f"| peak beyond the data, {cell}, MiB | {memory['jensen']:.0f} | {memory['sklearn']:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, three repetitions")
    parser.add_argument("--json", metavar="PATH", help="write the numbers there, too")
    parser.add_argument("--threads", type=int, default=1, help="threads of both (default: 1)")
    parser.add_argument("--repeats", type=int, default=5, help="paired repetitions (default: 5)")
    options = parser.parse_args()
    # Children inherit it; this process sets the limits itself, because BLAS may be loaded already.
    os.environ.update({name: str(options.threads) for name in ("JENSEN_NUM_THREADS", "OMP_NUM_THREADS")})
    os.environ["OPENBLAS_NUM_THREADS"] = str(options.threads)
    from threadpoolctl import threadpool_limits

    cells = [(n // 10 if options.quick and n > 10_000 else n, *rest) for n, *rest in CELLS]
    repeats = min(options.repeats, 3) if options.quick else options.repeats
    memory_cell = cells[CELLS.index(MEMORY_CELL)]
    with threadpool_limits(options.threads):
        timings = [asdict(time_cell(*cell, repeats)) for cell in cells]
    result = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "threads": options.threads,
        "step": timings,
        "import_seconds": {module: import_seconds(module, repeats) for module in ("jensen", "sklearn.mixture")},
        "memory_cell": memory_cell,
        "peak_mebibytes": {library: peak_mebibytes(library, *memory_cell) for library in ("jensen", "sklearn")},
    }
    print(markdown(result))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=2)


if __name__ == "__main__":
    main()
