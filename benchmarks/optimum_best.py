"""The best optima known, by long runs that share no search with the library: what is sound, the runs, and the file.

A solution is *narrow* where a fit says that it is degenerate, or where a component of fewer than 20 (d + 1) effective
rows has in some direction less than a sixteenth of the variance that the median component has in its thinnest one (a
quarter of the deviation), both in units of the pooled covariance. That is a convention, which calls a spike on few rows
no group: it sets aside the three components of Old Faithful at -1114.44, where a component holds 35
eruptions of much the same length, for the -1119.21 to which k-means leads. No narrow solution is ever the best known
one; the file tells how high they were seen.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.linalg import solve_triangular

from benchmarks.data import Array, Parameters
from benchmarks.optimum_problems import Problem
from jensen.data.arrays import ArraySource
from jensen.errors import NumericalFailure
from jensen.fit.mixture import fit_mixture
from jensen.fit.settings import MixtureSettings
from jensen.fit.summary import DataSummary, summarise

PATH = Path(__file__).with_name("optima.json")
# Ends nearer than this, in nats, are the same optimum.
SAME = 0.05
_FEW_ROWS, _THIN = 20, 16.0
_CHAINS = 2
# A swap is given up if it is this many nats behind after so many iterations.
_PROBE, _BEHIND = 25, 50.0
# The kinds of single starts; what a search of the library's own may add stays out.
_KINDS = ("kmeans", "k-means++", "random", "random_from_data")
_ABOUT = (
    "Best sound optima known: plain log-likelihood and penalised objective in nats, found by "
    "`python -m benchmarks.optimum --find`: single starts of every kind, chains of random swaps (a component moved to "
    "a random row, the mixture refitted, kept where better) from the best start and from a random one, and made data's "
    "own parameters. 'from' says which of them was the first to find it."
)


@dataclass(frozen=True)
class End:
    """Where a climb ends.

    Attributes
    ----------
    loglik, objective : float
        Plain and penalised log-likelihood in nats; minus infinity where there is no density.
    narrow : bool
        Degenerate, or with a narrow component.
    params : Parameters or None
        The parameters there.
    """

    loglik: float
    objective: float
    narrow: bool
    params: Parameters | None = None


class Climber:
    """Climbs one problem by EM, from anywhere, until nothing is left to gain."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.source = ArraySource(problem.x)

    @cached_property
    def _summary(self) -> DataSummary:
        return summarise(self.source, 0)

    def from_start(self, kind: str, seed: int) -> End:
        """From a start of that kind."""
        return self._end(init=kind, seed=seed)

    def from_parameters(self, params: Parameters, max_iter: int | Literal["auto"] = "auto") -> End:
        """From parameters, which is how the end of every library is judged."""
        given = {"weights": params.weights, "means": params.means, "covariances": params.covariances}
        return self._end(**given, max_iter=max_iter)

    def _end(self, **settings: Any) -> End:
        problem = self.problem
        try:
            asked = MixtureSettings(problem.k, problem.shape, n_init=1, **settings)  # type: ignore[arg-type]
            fit = fit_mixture(self.source, asked, data=self._summary)
        except NumericalFailure:
            return End(-np.inf, -np.inf, True)
        params = Parameters(*(np.array(fit.params[name]) for name in ("weights", "means", "covariances")))
        narrow = not fit.is_sound or has_narrow_component(params.weights, fit.covariance_matrices(), problem.n)
        return End(fit.loglik, fit.objective, narrow, params)


def has_narrow_component(weights: Array, covariances: Array, n: int) -> bool:
    """Whether a component of few rows is far thinner than the others are; `covariances` (K, d, d)."""
    d = covariances.shape[1]
    factor = np.linalg.cholesky(np.tensordot(weights, covariances, axes=1))
    half = np.array([solve_triangular(factor, covariance, lower=True) for covariance in covariances])
    whitened = np.array([solve_triangular(factor, matrix.T, lower=True) for matrix in half])
    thinnest = np.linalg.eigvalsh(whitened)[:, 0]
    return bool(((weights * n < _FEW_ROWS * (d + 1)) & (_THIN * thinnest < np.median(thinnest))).any())


# ------------------------------------------------------------------------------------------------ long runs


class _LongRun:
    """One problem's search, and what it has seen."""

    def __init__(self, problem: Problem, deadline: float) -> None:
        self.climber, self.problem, self.deadline = Climber(problem), problem, deadline
        self.best, self.origin = End(-np.inf, -np.inf, True), ""
        self.narrow = -np.inf

    def see(self, end: End, origin: str) -> End:
        """Note an end; the best keeps the name of the first that came within 0.05 of it."""
        if end.narrow:
            self.narrow = max(self.narrow, end.loglik)
        elif end.loglik > self.best.loglik:
            if end.loglik > self.best.loglik + SAME:
                self.origin = origin
            self.best = end
        return end

    def starts(self, most: int, until: float) -> list[tuple[str, End]]:
        """Single starts, kinds in turn."""
        ends: list[tuple[str, End]] = []
        for index in range(most):
            if time.perf_counter() > until:
                break
            kind = _KINDS[index % len(_KINDS)]
            ends.append((kind, self.see(self.climber.from_start(kind, 1_000_000 + index), f"a start by {kind}")))
        return ends

    def swaps(self, end: End, rng: np.random.Generator, most: int, until: float, origin: str) -> tuple[End, int]:
        """Random swaps from an end on: the last end, and how many were tried."""
        tried = 0
        while tried < most and time.perf_counter() < until and end.params is not None:
            tried += 1
            new = self.climber.from_parameters(self._swapped(end.params, rng), _PROBE)
            if new.params is None or new.loglik < end.loglik - _BEHIND:
                continue
            new = self.see(self.climber.from_parameters(new.params), origin)
            if not new.narrow and (end.narrow or new.loglik > end.loglik):
                end = new
        return end, tried

    def _swapped(self, params: Parameters, rng: np.random.Generator) -> Parameters:
        k = self.problem.k
        moved, row = int(rng.integers(k)), int(rng.integers(self.problem.n))
        weights, means, covariances = (np.array(a) for a in (params.weights, params.means, params.covariances))
        if self.problem.shape != "tied":
            covariances[moved] = np.tensordot(weights, covariances, axes=1)
        means[moved], weights[moved] = self.problem.x[row], 1.0 / k
        return Parameters(weights / weights.sum(), means, covariances)


def find(problem: Problem, starts: int, swaps: int, budget: float) -> dict[str, Any]:
    """The best sound optimum by many starts and random swaps.

    Parameters
    ----------
    problem : Problem
        What to fit.
    starts : int
        Single starts at most, kinds in turn.
    swaps : int
        Random swaps at most in each chain.
    budget : float
        Seconds, a half for the starts.
    """
    began = time.perf_counter()
    search = _LongRun(problem, began + budget)
    if problem.truth is not None:
        truth = search.see(search.climber.from_parameters(problem.truth), "the parameters behind the data")
    ends = search.starts(starts, began + budget / 2)
    chains, tried = [], 0
    for chain in range(_CHAINS):
        rng = np.random.default_rng([chain, 2])
        # The first goes on from the best start, the others from one of their own.
        first = max((end for _, end in ends if not end.narrow), key=lambda end: end.loglik, default=search.best)
        if chain > 0:
            first = search.climber.from_start("random_from_data", 2_000_000 + chain)
        left = search.deadline - time.perf_counter()
        until = time.perf_counter() + left / (_CHAINS - chain)
        end, count = search.swaps(first, rng, swaps, until, "random swaps")
        chains.append(end)
        tried += count

    def there(end: End) -> bool:
        return not end.narrow and end.loglik >= search.best.loglik - SAME

    return {
        "loglik": round(search.best.loglik, 6),
        "objective": round(search.best.objective, 6),
        "from": search.origin,
        "starts": dict(Counter(kind for kind, _ in ends)),
        "starts_there": dict(Counter(kind for kind, end in ends if there(end))),
        "swaps": tried,
        "chains_there": f"{sum(map(there, chains))} of {_CHAINS}",
        **({"truth_there": there(truth)} if problem.truth is not None else {}),
        "narrow_seen_up_to": None if np.isinf(search.narrow) else round(search.narrow, 3),
        **identity(problem),
    }


# ------------------------------------------------------------------------------------------------ the file


def identity(problem: Problem) -> dict[str, Any]:
    """What must be the same for an optimum to be this problem's."""
    return {"n": problem.n, "d": problem.d, "k": problem.k, "shape": problem.shape,
            "sum_of_magnitudes": round(problem.fingerprint, 3)}  # fmt: skip


def read() -> dict[str, dict[str, Any]]:
    """The records by name of the problem; empty where there is no file."""
    if not PATH.exists():
        return {}
    found: dict[str, dict[str, Any]] = json.loads(PATH.read_text(encoding="utf-8"))["optima"]
    return found


def write(records: dict[str, dict[str, Any]], order: list[str]) -> None:
    """The file anew, problems in their order."""
    kept = {name: records[name] for name in order if name in records}
    PATH.write_text(json.dumps({"about": _ABOUT, "optima": kept}, indent=2) + "\n", encoding="utf-8")


def is_of(record: dict[str, Any] | None, problem: Problem) -> bool:
    """Whether a record belongs to these very data."""
    if record is None:
        return False
    same = all(record[key] == value for key, value in identity(problem).items() if key != "sum_of_magnitudes")
    return same and bool(np.isclose(record["sum_of_magnitudes"], problem.fingerprint, rtol=1e-6))


def merge(old: dict[str, Any] | None, new: dict[str, Any], problem: Problem) -> dict[str, Any]:
    """The higher of two records; of the same optimum, the one of the longer run."""
    if old is None or not is_of(old, problem) or new["loglik"] > old["loglik"] + SAME:
        return new
    if new["loglik"] >= old["loglik"] - SAME and _effort(new) >= _effort(old):
        return new
    print(f"{problem.name}: kept {old['loglik']:.3f}, not {new['loglik']:.3f}", file=sys.stderr, flush=True)
    return old


def _effort(record: dict[str, Any]) -> int:
    return int(sum(record.get("starts", {}).values()) + record.get("swaps", 0))
