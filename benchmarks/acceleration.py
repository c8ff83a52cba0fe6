"""Accelerated against plain EM on random Gaussian mixtures: passes, time, and where each ends.

python -m benchmarks.acceleration [problems]
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.data.pool import single_threaded_blas
from jensen.families.gaussian import Gaussian
from jensen.fit.starts.draw import draw_start
from jensen.fit.summary import summarise
from jensen.models.mixture import Mixture
from jensen.solve.accelerated import Accelerated
from jensen.solve.auto import Auto
from jensen.solve.em import EM
from jensen.solve.extrapolation import QuasiNewton
from jensen.solve.loop import Limits, run
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Plain

# Without bursts `auto` does what it does for other models and for large data: there passes are what counts, and its
# times are set beside those of plain EM without bursts.
NO_BURSTS, PLAIN_NO_BURSTS = "auto, no bursts", "off, no bursts"
METHODS = ("auto", NO_BURSTS, "squarem", "anderson", "quasi-newton")
SHAPES, STARTS = ("full", "tied", "diag", "spherical"), ("kmeans", "random_from_data", "random")
# Ends further apart than this, in nats, are different optima.
SAME = 1e-4
# EM is easy where it needs fewer iterations than this, and slow where its rate is above that.
EASY, SLOW = 50, 0.95
_TIGHT, _MANY = 1e-10, Limits(max_iter=100_000)


@dataclass(frozen=True)
class Problem:
    """Data, a model and a start."""

    model: Mixture
    source: ArraySource
    start: Parameters


@dataclass(frozen=True)
class Outcome:
    """What became of one way to climb one problem.

    Attributes
    ----------
    passes, seconds : float
        With the default rule.
    end : float
        Objective at its default end, and `limit` that where plain EM leads from there.
    status : str
        How it ended.
    extrapolations : tuple of int
        Tried and accepted.
    """

    passes: float
    seconds: float
    end: float
    limit: float
    status: str
    extrapolations: tuple[int, int]


def problem(seed: int) -> Problem:
    """100 to 3000 rows in 1 to 6 columns of any units, from 2 to 6 groups that overlap more or less."""
    rng = np.random.default_rng(seed)
    n, d, k = int(np.exp(rng.uniform(np.log(100), np.log(3000)))), int(rng.integers(1, 7)), int(rng.integers(2, 7))
    apart, shape, kind = rng.choice([0.5, 1.0, 2.0, 4.0]), str(rng.choice(SHAPES)), str(rng.choice(STARTS))
    centres, mixing = apart * rng.standard_normal((k, d)), rng.standard_normal((k, d, d)) / np.sqrt(d)
    group = rng.choice(k, size=n, p=rng.dirichlet(np.full(k, 5.0)))
    x = centres[group] + np.einsum("nij,nj->ni", mixing[group], rng.standard_normal((n, d)))
    source = ArraySource(x * np.exp(rng.uniform(-5.0, 5.0, d)))
    summary = summarise(source)
    model = Mixture(Gaussian(k, d, shape, summary.auto_ridge()))  # type: ignore[arg-type]
    return Problem(model, source, draw_start(kind, model, summary, rng))  # type: ignore[arg-type]


def climb(one: Problem, accelerate: Any, repeats: int = 1) -> Outcome:
    """The run with the default rule, timed at its best of `repeats`, and plain EM from its end."""
    found = min(
        (_run(one, one.start, accelerate, AitkenRule(one.source.weight)) for _ in range(repeats)),
        key=lambda result: result.seconds,
    )
    on = _run(one, found.params, "off", AitkenRule(one.source.weight, tol=_TIGHT))
    return Outcome(found.passes, found.seconds, found.objective, on.objective, found.status.value, found.extrapolations)


def rate(one: Problem) -> float:
    """EM's rate at the end: gains are quadratic in steps, so it is the root of their ratio."""
    gains = np.diff(_run(one, one.start, "off", AitkenRule(one.source.weight)).trace)
    gains = gains[-6:]
    return float((gains[-1] / gains[0]) ** (0.5 / 5)) if len(gains) == 6 and gains.min() > 0 else 0.0


def _run(one: Problem, start: Parameters, accelerate: Any, rule: AitkenRule) -> Any:
    if accelerate == NO_BURSTS:
        climber: Any = Auto(EM(one.model), Accelerated(one.model, QuasiNewton()), rule.tolerance)
    elif accelerate == PLAIN_NO_BURSTS:
        climber = EM(one.model)
    else:
        climber = Plain(accelerate).solver(one.model, rule)
    return run(climber, one.source, start, rule, _MANY)


def study(problems: int, repeats: int = 3, first: int = 0) -> list[dict[str, Any]]:
    """Every method on every problem."""
    rows = []
    with single_threaded_blas():
        for seed in range(first, first + problems):
            one = problem(seed)
            ways = ("off", PLAIN_NO_BURSTS, *METHODS)
            rows.append({"rate": rate(one), **{method: climb(one, method, repeats) for method in ways}})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """A page of Markdown."""
    slow = [row for row in rows if row["rate"] > SLOW]
    easy = [row for row in rows if row["off"].passes < EASY]
    long = [row for row in rows if row["off"].seconds > 0.02]
    lines = [
        f"{len(rows)} problems: EM's rate is above {SLOW} in {len(slow)}, {len(easy)} are easy (fewer than {EASY} "
        f"iterations), and {len(long)} take EM more than 20 ms.",
        "",
        "| acceleration | same basin: lower by at most | other basin | better | worse | still to gain, at most "
        "| passes, slow: median | mean | time, easy: median | time, over 20 ms: median | accepted |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for method in METHODS:
        change = np.array([row[method].limit - row["off"].limit for row in rows])
        left = max(row[method].limit - row[method].end for row in rows)
        other = np.abs(change) > SAME
        lower = max(0.0, float(-change[~other].min()))
        passes = [row[method].passes / row["off"].passes for row in slow]
        beside = PLAIN_NO_BURSTS if method == NO_BURSTS else "off"
        times = [[row[method].seconds / row[beside].seconds for row in some] for some in (easy, long)]
        tried, accepted = np.sum([row[method].extrapolations for row in rows], axis=0)
        lines.append(
            f"| {method} | {lower:.1e} | {other.mean():.1%} | {(change > SAME).sum()} | {(change < -SAME).sum()} "
            f"| {left:.1e} | {np.median(passes):.3f} | {np.mean(passes):.3f} | {np.median(times[0]):.2f} "
            f"| {np.median(times[1]) if long else np.nan:.2f} | {accepted / max(tried, 1):.0%} of {tried} |"
        )
    plain = max(row["off"].limit - row["off"].end for row in rows)
    return "\n".join([*lines, "", f"Plain EM leaves at most {plain:.1e} nats to gain at its end."])


if __name__ == "__main__":
    print(table(study(int(sys.argv[1]) if len(sys.argv) > 1 else 200)))
