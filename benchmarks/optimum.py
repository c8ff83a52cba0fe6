"""How often, and in what time, a fit reaches the best optimum known: 22 problems, 50 seeds, several libraries.

python -m benchmarks.optimum [--seeds N] [--problems A,B] [--rivals A,B] [--write PATH] [--json PATH] [--update]
python -m benchmarks.optimum --find [--problems A,B] [--starts N] [--swaps N] [--budget SECONDS]

Rivals are `jensen` (its own search, ``n_init="auto"``), `jensen-10`, `sklearn-1`, `sklearn-10`, `sklearn-100` (any
number of starts) and `mclust` (its own start; R). They take turns seed by seed, in one process, each with its default
options and threads; only the fit is timed. A rival other than Jensen stops where its fits of a problem have taken
`--patience` seconds. mclust draws nothing up to 2,000 rows, so that all its seeds are one there.

Judged is the optimum, not the stopping rule: from the parameters where a fit ends, Jensen's EM goes on until nothing
is left to gain, outside the timing and for every rival alike, and the plain log-likelihood there is compared with the
best known one. A fit is there from 0.05 nats below it on. A fit that leads to a narrow component
(`benchmarks.optimum_best` says which) is not there, however high it is, and is counted by itself. Where a run finds a
sound optimum above the best known, it says so, and everybody is judged by the new one; `--update` keeps it in the file.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import optimum_best as best
from benchmarks.data import Parameters
from benchmarks.machine import describe, scratch
from benchmarks.optimum_best import SAME, Climber, End
from benchmarks.optimum_problems import Problem, all_problems, in_layout

RIVALS = ("jensen", "sklearn-1", "sklearn-10", "sklearn-100", "mclust")
# What must hold: shares, and the time on few rows; on more, less time than this rival takes.
SHARE, MEAN_SHARE, FEW_ROWS, SECONDS, REFERENCE = 0.95, 0.99, 1_000, 0.5, "sklearn-10"
_SCRIPT = Path(__file__).with_name("optimum.R")
_MCLUST_PATIENCE = 300.0


@dataclass(frozen=True)
class Fitted:
    """A rival's fit: where it ended, in what time, and after how many passes, where it tells."""

    params: Parameters
    seconds: float
    passes: float | None = None


@dataclass(frozen=True)
class Rival:
    """One competitor; `fit` takes a problem and a seed. `missing` says why it cannot run here, or is empty."""

    name: str
    fit: Callable[[Problem, int], Fitted]
    missing: str = ""


def rival(name: str) -> Rival:
    """The rival of that name."""
    library, _, starts = name.partition("-")
    if library == "jensen":
        return _jensen(name, int(starts) if starts else "auto")
    if library == "sklearn" and starts:
        return Rival(name, lambda problem, seed: _sklearn(problem, seed, int(starts)))
    if name == "mclust":
        return Rival(name, _mclust, _mclust_missing())
    raise SystemExit(f"there is no rival {name!r}; expected jensen, jensen-N, sklearn-N or mclust")


def _jensen(name: str, n_init: Any) -> Rival:
    from jensen import GaussianMixture

    def fit(problem: Problem, seed: int) -> Fitted:
        model = GaussianMixture(problem.k, covariance_type=problem.shape, n_init=n_init, random_state=seed)
        began = time.perf_counter()
        result = model.fit(problem.x).fit_result_
        seconds = time.perf_counter() - began
        account = result.account
        passes = result.passes if account is None else account.passes
        return Fitted(Parameters(model.weights_, model.means_, model.covariances_), seconds, float(passes))

    try:
        GaussianMixture(1, n_init=n_init).fit(np.arange(8.0)[:, None])
    except ValueError:
        return Rival(name, fit, f"it does not take n_init={n_init!r}")
    return Rival(name, fit)


def _sklearn(problem: Problem, seed: int, n_init: int) -> Fitted:
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(problem.k, covariance_type=problem.shape, n_init=n_init, random_state=seed)
    began = time.perf_counter()
    model.fit(problem.x)
    seconds = time.perf_counter() - began
    return Fitted(Parameters(model.weights_, model.means_, model.covariances_), seconds)


def _mclust_missing() -> str:
    rscript = shutil.which("Rscript")
    code = "stopifnot(requireNamespace('mclust', quietly = TRUE))"
    if rscript is None or subprocess.run([rscript, "-e", code], capture_output=True).returncode != 0:
        return "there is no Rscript, or it does not find mclust"
    return ""


def _mclust(problem: Problem, seed: int) -> Fitted:
    path, k, d = scratch() / "optimum.problem", problem.k, problem.d
    with open(path, "wb") as file:
        np.array([problem.n, d, k, seed], dtype=np.int64).tofile(file)
        np.ascontiguousarray(problem.x, dtype=np.float64).tofile(file)
    names = {"full": "VVV", "tied": "EEE", "diag": "VVI", "spherical": "VII"}
    model = names[problem.shape] if d > 1 else {"tied": "E"}.get(problem.shape, "V")
    ran = subprocess.run(
        ["Rscript", "--vanilla", str(_SCRIPT), str(path), model],
        capture_output=True, text=True, check=True, timeout=_MCLUST_PATIENCE,
    )  # fmt: skip
    seconds, *numbers = (float(word) for word in ran.stdout.split())
    weights, means, covariances = np.split(np.array(numbers), [k, k + k * d])
    # Column by column there, row by row here; the matrices are symmetric.
    shaped = in_layout(covariances.reshape(k, d, d), problem.shape)
    return Fitted(Parameters(weights, means.reshape(k, d), shaped), seconds)


# ------------------------------------------------------------------------------------------------ the run


@dataclass
class Tally:
    """One rival's fits of one problem, seed by seed; `loglik` and `narrow` are of where they lead."""

    seconds: list[float] = field(default_factory=list)
    loglik: list[float] = field(default_factory=list)
    narrow: list[bool] = field(default_factory=list)
    passes: list[float] = field(default_factory=list)
    failed: int = 0

    def there(self, target: float) -> float:
        """Share of the fits that reach the target; NaN without any."""
        hits = [value >= target - SAME and not n for value, n in zip(self.loglik, self.narrow, strict=True)]
        return sum(hits) / len(hits) if hits else math.nan


def run(
    problem: Problem, rivals: Sequence[Rival], known: dict[str, Any] | None, seeds: int, patience: float
) -> dict[str, Any]:
    """Every rival on one problem."""
    climber = Climber(problem)
    target, tallies = -math.inf if known is None else float(known["loglik"]), {r.name: Tally() for r in rivals}
    better: dict[str, Any] | None = None
    for one in rivals:
        # Libraries load and threads start before anything is timed.
        _tried(one, Problem("", "", problem.x[: 20 * problem.k], 2, problem.shape, ""), 0)
    for seed in range(seeds):
        for one in rivals:
            tally = tallies[one.name]
            if not one.name.startswith("jensen") and sum(tally.seconds) > patience:
                continue
            fitted, seconds = _tried(one, problem, seed)
            end = End(-math.inf, -math.inf, False) if fitted is None else climber.from_parameters(fitted.params)
            tally.failed += fitted is None
            tally.seconds.append(seconds)
            tally.loglik.append(end.loglik)
            tally.narrow.append(end.narrow)
            if fitted is not None and fitted.passes is not None:
                tally.passes.append(fitted.passes)
            if not end.narrow and end.loglik > target + SAME:
                print(f"BETTER: {problem.name}, {one.name}, seed {seed}: {end.loglik:.4f} is sound and above the best "
                      f"known, {target:.4f}", file=sys.stderr, flush=True)  # fmt: skip
                target = end.loglik
                better = {"loglik": round(end.loglik, 6), "objective": round(end.objective, 6),
                          "from": f"{one.name} in a run of this benchmark", **best.identity(problem)}  # fmt: skip
    rows = {name: _row(tally, target) for name, tally in tallies.items()}
    told = ", ".join(f"{name} {row['share']:.0%}" for name, row in rows.items())
    print(f"{problem.name}: {told}", file=sys.stderr, flush=True)
    return {"name": problem.name, "source": problem.source, "note": problem.note, "n": problem.n, "d": problem.d,
            "k": problem.k, "shape": problem.shape, "best": target, "better": better, "rivals": rows}  # fmt: skip


def _tried(one: Rival, problem: Problem, seed: int) -> tuple[Fitted | None, float]:
    """A fit and its seconds; None where the library gives up."""
    began = time.perf_counter()
    try:
        fitted = one.fit(problem, seed)
    except (ValueError, subprocess.SubprocessError):
        return None, time.perf_counter() - began
    return fitted, fitted.seconds


def _row(tally: Tally, target: float) -> dict[str, Any]:
    return {
        "seeds": len(tally.seconds), "share": tally.there(target), "narrow": sum(tally.narrow), "failed": tally.failed,
        "seconds": statistics.median(tally.seconds), "all_seconds": tally.seconds, "loglik": tally.loglik,
        "passes": statistics.median(tally.passes) if tally.passes else None,
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------ the page


def page(results: Sequence[dict[str, Any]], machine: dict[str, Any], missing: dict[str, str]) -> str:
    """The results as Markdown."""
    names = list(results[0]["rivals"])
    ours = next((name for name in names if name.startswith("jensen")), names[0])
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [
        "# Reaching the best optimum", "",
        "Whole fits from seeds, libraries in turn in one run; `python -m benchmarks.optimum` says how they are judged.",
        f"{machine['processor']}, {machine['cores']} cores; Python {machine['python']}, {versions}.", "",
        *(f"Skipped: {name}, because {reason}." for name, reason in missing.items()), "",
        "## Share of seeds that reach the best optimum known, within 0.05 nats", "",
    ]  # fmt: skip
    shares = [
        [r["name"], f"{r['n']:,}", str(r["d"]), str(r["k"]), r["shape"], f"{r['best']:,.3f}",
         *(_share(r["rivals"][name]) for name in names)]
        for r in results
    ]  # fmt: skip
    means = {name: statistics.fmean(r["rivals"][name]["share"] for r in results) for name in names}
    least = {name: min(r["rivals"][name]["share"] for r in results) for name in names}
    shares += [[label, *[""] * 5, *(f"{of[name]:.1%}" for name in names)]
               for label, of in (("mean", means), ("least", least))]  # fmt: skip
    lines += [*_table(["problem", "n", "d", "K", "shape", "best known", *names], shares), ""]
    lines += ["In brackets: of how many seeds, where not all; n: narrow ends; f: failures.", ""]
    lines += ["## Median seconds of a fit", ""]
    ratio = f"{REFERENCE} / {ours}"
    times = [[r["name"], *(f"{r['rivals'][name]['seconds']:.3g}" for name in names), _ratio(r, ours),
              _passes(r, ours), {True: "yes", False: "no", None: "-"}[in_time(r, ours)]] for r in results]  # fmt: skip
    lines += [*_table(["problem", *names, ratio, f"passes, {ours}", "in time"], times), ""]
    low = [r["name"] for r in results if r["rivals"][ours]["share"] < SHARE]
    late = [r["name"] for r in results if in_time(r, ours) is False]
    lines += [
        f"{ours}: {means[ours]:.1%} on average (wanted: {MEAN_SHARE:.0%}). "
        f"Below {SHARE:.0%}: {', '.join(low) or 'none'}.",
        f"In time is less than {REFERENCE} takes above {FEW_ROWS:,} rows, and {SECONDS} s below. "
        f"Not in time: {', '.join(late) or 'none'}.",
        "", "## The problems", "",
        *(f"- {r['name']}: {r['note']}. {r['source'].rstrip('.')}." for r in results),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def in_time(result: dict[str, Any], ours: str) -> bool | None:
    """Whether the time that is wanted is kept; None where it takes a rival that was not there."""
    rivals = result["rivals"]
    if result["n"] > FEW_ROWS:
        return bool(_paired(result, ours) > 1.0) if REFERENCE in rivals else None
    return bool(rivals[ours]["seconds"] < SECONDS)


def _paired(result: dict[str, Any], ours: str) -> float:
    theirs, own = (result["rivals"][name]["all_seconds"] for name in (REFERENCE, ours))
    return float(statistics.median(b / a for a, b in zip(own, theirs, strict=False)))


def _ratio(result: dict[str, Any], ours: str) -> str:
    return f"{_paired(result, ours):.2f}" if REFERENCE in result["rivals"] else "-"


def _passes(result: dict[str, Any], ours: str) -> str:
    passes = result["rivals"][ours]["passes"]
    return "-" if passes is None else f"{passes:,.0f}"


def _share(row: dict[str, Any]) -> str:
    marks = [f"n {row['narrow']}" if row["narrow"] else "", f"f {row['failed']}" if row["failed"] else ""]
    marks.append(f"of {row['seeds']}" if row["fewer"] else "")
    told = ", ".join(filter(None, marks))
    return f"{row['share']:.0%}" + (f" ({told})" if told else "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows)]


# ------------------------------------------------------------------------------------------------ the command line


def compare(problems: Sequence[Problem], options: argparse.Namespace) -> None:
    """All rivals on all problems, and the page."""
    rivals = [rival(name) for name in options.rivals]
    missing = {one.name: one.missing for one in rivals if one.missing}
    for name, reason in missing.items():
        print(f"skipped: {name}, because {reason}", file=sys.stderr)
    rivals = [one for one in rivals if not one.missing]
    if not rivals:
        raise SystemExit("no rival is left")
    known, results = best.read(), []
    for problem in problems:
        record = known.get(problem.name)
        if not best.is_of(record, problem):
            print(f"{problem.name}: no optimum is known for these data; run --find", file=sys.stderr)
            record = None
        result = run(problem, rivals, record, options.seeds, options.patience)
        for row in result["rivals"].values():
            row["fewer"] = row["seeds"] < options.seeds
        results.append(result)
        if options.update and result["better"] is not None:
            known[problem.name] = result["better"]
            best.write(known, [one.name for one in all_problems()])
    machine = describe()
    text = page(results, machine, missing)
    if options.json:
        numbers = {"machine": machine, "missing": missing, "problems": results}
        options.json.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    else:
        print(text)


def find_all(problems: Sequence[Problem], options: argparse.Namespace) -> None:
    """Long runs on all problems; the file is written after each."""
    order = [one.name for one in all_problems()]
    for problem in problems:
        began = time.perf_counter()
        found = best.find(problem, options.starts, options.swaps, options.budget)
        records = best.read()
        records[problem.name] = best.merge(records.get(problem.name), found, problem)
        best.write(records, order)
        print(f"{problem.name}, {time.perf_counter() - began:.1f} s: {json.dumps(found)}", file=sys.stderr, flush=True)


def main() -> None:
    """Run what the command line asks for."""

    def listed(names: str) -> list[str]:
        return names.split(",")

    parser = argparse.ArgumentParser(prog="python -m benchmarks.optimum", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=50, help="seeds of each problem (default: 50)")
    parser.add_argument("--problems", type=listed, help="problems, separated by commas (default: all)")
    parser.add_argument("--rivals", type=listed, default=list(RIVALS), help=f"default: {','.join(RIVALS)}")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds for a rival on a problem (default: 60)")
    parser.add_argument("--write", metavar="PATH", type=Path, help="write the page there")
    parser.add_argument("--json", metavar="PATH", type=Path, help="write the numbers there")
    parser.add_argument("--update", action="store_true", help="keep better optima that the run finds in the file")
    parser.add_argument("--find", action="store_true", help="long runs that make the file of the best optima known")
    parser.add_argument("--starts", type=int, default=600, help="of --find: starts at most (default: 600)")
    parser.add_argument("--swaps", type=int, default=300, help="of --find: swaps of a chain at most (default: 300)")
    parser.add_argument("--budget", type=float, default=25.0, help="of --find: seconds a problem (default: 25)")
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error("--seeds must be at least 1")
    problems = all_problems()
    if options.problems:
        unknown = set(options.problems) - {problem.name for problem in problems}
        if unknown:
            raise SystemExit(
                f"there is no problem {', '.join(sorted(unknown))}; expected {', '.join(p.name for p in problems)}"
            )
        problems = [problem for problem in problems if problem.name in options.problems]
    warnings.simplefilter("ignore")
    (find_all if options.find else compare)(problems, options)


if __name__ == "__main__":
    main()
