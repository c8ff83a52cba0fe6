"""What a user waits for: whole fits by the estimators of Jensen and scikit-learn, start included."""

from __future__ import annotations

import math
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from benchmarks.data import Array, loglik, overlapping, separated
from benchmarks.libraries import Jensen

SHAPES = ("full", "tied", "diag", "spherical")
# Iterations of a start before it is given up, and starts at most.
_PATIENCE, _MAX_STARTS = 10, 20


def estimator(name: str) -> Any:
    """The class ``GaussianMixture`` of a library."""
    if name == "jensen":
        import jensen

        return jensen.GaussianMixture
    from sklearn.mixture import GaussianMixture

    return GaussianMixture


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _paired(works: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each, all in turn, after a warm-up."""
    for work in works.values():
        work()
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            found[name].append(_seconds(work))
    return found


def _against(times: dict[str, list[float]], ours: str, theirs: str) -> float:
    return statistics.median(b / a for a, b in zip(times[ours], times[theirs], strict=True))


def run_large(divisor: int, n_seeds: int, n_defaults: int) -> dict[str, Any]:
    """The wait for scikit-learn's objective and for the default fits: 1,000,000 x 8, K=16."""
    warnings.simplefilter("ignore")
    x = overlapping(1_000_000 // divisor, 8, 16).x
    for name in ("jensen", "scikit-learn"):
        estimator(name)(16, max_iter=2, random_state=0).fit(x[:5000])
    seeds = [_one_seed(x, seed, seed < n_defaults) for seed in range(n_seeds)]
    defaults = seeds[:n_defaults]
    return {
        "n": len(x), "d": 8, "k": 16, "seeds": seeds,
        "sklearn": statistics.median(row["sklearn"] for row in seeds),
        "to_objective": statistics.median(row["to_objective"] for row in seeds),
        "ratio_to_objective": statistics.median(row["sklearn"] / row["to_objective"] for row in seeds),
        "default": statistics.median(row["default"] for row in defaults),
        "ratio_default": statistics.median(row["sklearn"] / row["default"] for row in defaults),
    }  # fmt: skip


def _one_seed(x: Array, seed: int, with_default: bool) -> dict[str, float]:
    print(f"whole fit of {len(x)} rows, seed {seed}", file=sys.stderr, flush=True)
    theirs = estimator("scikit-learn")(16, random_state=seed)
    row = {"sklearn": _seconds(lambda: theirs.fit(x)), "sklearn_iterations": theirs.n_iter_}
    target = theirs.score(x) * len(x)

    def ours(start: int, n_iter: int) -> Any:
        return estimator("jensen")(16, random_state=1000 * start + seed, tol=0.0, max_iter=n_iter).fit(x)

    # A start that is not there after some iterations is given up for the next; its time counts.
    row["to_objective"] = 0.0
    for start in range(_MAX_STARTS):
        trace = ours(start, _PATIENCE).fit_result_.trace
        # The trace is penalised, which is never above the plain log-likelihood: an iteration less may do.
        n_iter = next((i for i, value in enumerate(trace) if value >= target), _PATIENCE + 1)
        while n_iter > 0 and ours(start, n_iter - 1).fit_result_.loglik >= target:
            n_iter -= 1
        reached = n_iter <= _PATIENCE
        steps = min(n_iter, _PATIENCE)
        row["to_objective"] += statistics.median(_seconds(lambda: ours(start, steps)) for _ in range(3))  # noqa: B023
        if reached:
            row |= {"starts": start + 1, "iterations": steps}
            break
    else:
        row |= {"starts": _MAX_STARTS, "iterations": _PATIENCE, "to_objective": math.inf}
    if with_default:
        model = estimator("jensen")(16, random_state=seed)
        row["default"] = _seconds(lambda: model.fit(x))
        row |= {"default_iterations": model.n_iter_, "gain_per_row": (model.fit_result_.loglik - target) / len(x)}
    return row


def run_iris(repeats: int) -> dict[str, Any]:
    """Iris, K=3, from given parameters, 20 iterations."""
    from sklearn.datasets import load_iris

    warnings.simplefilter("ignore")
    x = load_iris().data
    means = x[np.random.default_rng(0).choice(len(x), 3, replace=False)]
    precisions = np.tile(2 * np.eye(4), (3, 1, 1))
    start = {"weights_init": np.full(3, 1 / 3), "means_init": means, "precisions_init": precisions}

    def fit(name: str) -> Any:
        return estimator(name)(3, tol=0.0, max_iter=20, reg_covar=0.0, **start).fit(x)

    ours, theirs = fit("jensen"), fit("scikit-learn")
    scores = [model.score(x) for model in (ours, theirs)]
    if ours.n_iter_ != 20 or theirs.n_iter_ != 20 or abs(scores[0] - scores[1]) > 1e-6 * abs(scores[1]):
        raise SystemExit(f"the two disagree on iris: {scores}")
    times = _paired({name: lambda name=name: fit(name) for name in ("jensen", "scikit-learn")}, repeats)  # type: ignore[misc]
    seconds = {name: statistics.median(values) for name, values in times.items()}
    return {"seconds": seconds, "ratio": _against(times, "jensen", "scikit-learn")}


def run_small(repeats: int) -> dict[str, Any]:
    """Old Faithful, 272 x 2: nine K by four shapes, four starts each, the same stopping rule."""
    from jensen.data.arrays import ArraySource
    from jensen.datasets import load
    from jensen.fit.mixture import fit_mixture
    from jensen.fit.settings import MixtureSettings
    from jensen.fit.summary import summarise

    warnings.simplefilter("ignore")
    x = load("faithful").data
    cells, rule = list(product(range(1, 10), SHAPES)), {"tol": 1e-3, "max_iter": 100, "n_init": 4}

    def through(name: str) -> None:
        kind = estimator(name)
        for k, shape in cells:
            kind(k, covariance_type=shape, random_state=0, **rule).fit(x)

    def core() -> None:
        source = ArraySource(x)
        data = summarise(source, 0)
        for k, shape in cells:
            fit_mixture(source, MixtureSettings(k, shape, seed=0, **rule), data=data)  # type: ignore[arg-type]

    # The plain log-likelihood of both; their own lower bounds count the ridge in different ways.
    def scores(name: str) -> Array:
        kind = estimator(name)
        return np.array([kind(k, covariance_type=s, random_state=0, **rule).fit(x).score(x) for k, s in cells])

    ours, theirs = scores("jensen"), scores("scikit-learn")
    works = {name: lambda name=name: through(name) for name in ("jensen", "scikit-learn")}
    times = _paired({**works, "jensen core": core}, repeats)
    return {
        "seconds": {name: statistics.median(values) for name, values in times.items()},
        "ratio": _against(times, "jensen", "scikit-learn"),
        "ratio_core": _against(times, "jensen core", "scikit-learn"),
        "jensen_not_worse": int((ours >= theirs - 1e-3).sum()),
        "sklearn_not_worse": int((theirs >= ours - 1e-3).sum()),
        "cells": len(cells),
    }


def run_pruning(divisor: int, repeats: int) -> dict[str, Any]:
    """Iterations on components apart and overlapping, d=16, K=256, with and without pruning, in one thread."""
    from jensen.kernels.choose import choice

    n, found = 200_000 // divisor, {}
    if choice().module is None:
        return {}
    for name, make in (("separated", separated), ("overlapping", overlapping)):
        print(f"pruning, {name}", file=sys.stderr, flush=True)
        problem, reached = make(n, 16, 256), {}
        runners = {on: Jensen(pruned=on == "with").prepare(problem, 1) for on in ("with", "without")}
        turns = []
        for _ in range(repeats):
            seconds = {}
            for on, runner in runners.items():
                # The first passes learn where the rows belong.
                short, long = runner(2), runner(8)
                seconds[on] = (long.seconds - short.seconds) / (long.n_iter - short.n_iter)
                reached[on] = loglik(problem, long.params)
            turns.append(seconds)
        found[name] = {
            "seconds": {on: statistics.median(turn[on] for turn in turns) for on in runners},
            "ratio": statistics.median(turn["without"] / turn["with"] for turn in turns),
            "difference": abs(reached["with"] / reached["without"] - 1.0),
        }
    return {"n": n, "d": 16, "k": 256, **found}
