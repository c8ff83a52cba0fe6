"""Partial E-steps on random Gaussian mixtures: passes of incremental EM, and where annealed and stochastic EM end.

python -m benchmarks.free_energy [problems]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from jensen.core.block import Array
from jensen.core.contracts import Info
from jensen.core.model import Checked
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.families.gaussian import Gaussian
from jensen.models.mixture import Mixture
from jensen.solve.loop import Limits, run
from jensen.solve.stopping import AitkenRule
from jensen.solvers import Annealed, Hard, Incremental, Plain, Stochastic

BLOCKS = (2, 4, 8, 16, 32, 64)
# How near the optimum of plain EM, in nats, and above which rate a problem counts.
NEAR, SLOW = 1.0, 0.9
_MANY = 20_000
CLIMBS = {
    "EM": Plain("off"),
    "annealed": Annealed(),
    "annealed, no draws": Annealed(seed=None),
    "stochastic, 100 draws": Stochastic(draws=100),
    "hard": Hard(),
}


class Reach:
    """Stop where the objective is reached."""

    def __init__(self, target: float) -> None:
        self.target = target

    def update(self, info: Info) -> Status | None:
        """CONVERGED at the target."""
        return Status.CONVERGED if info.objective >= self.target else None


def problem(seed: int, sizes: tuple[int, ...], spreads: tuple[float, ...]) -> tuple[Mixture, Array, Parameters]:
    """Overlapping correlated groups, as many components, and a start at random rows."""
    rng = np.random.default_rng([seed, 4])
    n, d, k = int(rng.choice(sizes)), int(rng.choice([1, 2, 4])), int(rng.choice([2, 3, 4]))
    centres = rng.choice(spreads) * rng.standard_normal((k, d))
    mixing = rng.standard_normal((k, d, d)) / np.sqrt(d)
    group = rng.integers(k, size=n)
    x = centres[group] + np.einsum("nij,nj->ni", mixing[group], rng.standard_normal((n, d)))
    model = Mixture(Gaussian(k, d, "full", np.full(d, 1e-4 * x.var())))
    means = x[rng.choice(n, k, replace=False)]
    covariances = [np.atleast_2d(np.cov(x.T))] * k
    return model, x, model.parameters(weights=np.full(k, 1 / k), means=means, covariances=covariances)


def shares_of_passes(n_problems: int) -> Iterator[list[float]]:
    """Passes of incremental EM over those of EM, to within `NEAR` of EM's end, for each number of blocks."""
    for seed in range(n_problems):
        model, x, start = problem(seed, (500, 1000, 4000), (0.7, 1.2, 2.0))
        solver = Plain("off").solver(model, AitkenRule(len(x), tol=1e-9))
        trace = np.array(run(solver, ArraySource(x), start, AitkenRule(len(x), tol=1e-9), Limits(_MANY)).trace)
        gains, near = np.diff(trace), int(np.argmax(trace >= trace[-1] - NEAR))
        # The last ratios that rounding does not touch.
        sound = np.flatnonzero(gains[:-1] > 1e-9 * abs(trace[-1]))
        if sound.size == 0 or near < 1 or not SLOW < gains[sound[-1] + 1] / gains[sound[-1]] < 1:
            continue
        found = []
        for n_blocks in BLOCKS:
            variant, reach = Incremental(n_blocks), Reach(trace[-1] - NEAR)
            source = variant.source(ArraySource(x))
            result = run(variant.solver(Checked(model), reach), source, start, reach, Limits(4 * near * n_blocks))
            found.append(result.passes / (near + 1) if result.status is Status.CONVERGED else np.inf)
        yield found


def ends(n_problems: int) -> dict[str, list[tuple[float, float]]]:
    """Objective at the end, and passes, of each way to climb from a poor start."""
    out: dict[str, list[tuple[float, float]]] = {name: [] for name in CLIMBS}
    for seed in range(n_problems):
        model, x, start = problem(seed, (300,), (2.0, 4.0))
        for name, variant in CLIMBS.items():
            rule = AitkenRule(len(x))
            result = run(variant.solver(Checked(model), rule), ArraySource(x), start, rule, Limits(_MANY))
            # A bound of another kind is compared by the log-likelihood.
            out[name].append((ArraySource(x).fold(model.expect, result.params).loglik, result.passes))
    return out


def main() -> None:
    """Print both tables."""
    n_problems = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    found = np.array(list(shares_of_passes(n_problems)))
    print(
        f"Incremental EM: passes to within {NEAR:g} nat, over those of EM; {len(found)} problems of rate above {SLOW}\n"
    )
    print("| blocks | median | 90 % | worst | at most 0.65 |\n|---|---|---|---|---|")
    for n_blocks, shares in zip(BLOCKS, found.T, strict=True):
        low, high = np.quantile(shares, [0.5, 0.9])
        print(f"| {n_blocks} | {low:.3f} | {high:.3f} | {shares.max():.3f} | {(shares <= 0.65).mean():.0%} |")
    climbed = {name: np.array(values) for name, values in ends(n_problems).items()}
    best = np.max([values[:, 0] for values in climbed.values()], axis=0)
    plain = climbed["EM"][:, 0]
    print(f"\nFrom {n_problems} poor starts: how often at the best end of all, above and below EM's by 0.01 nats\n")
    print("| solver | at the best | above EM | below EM | median passes |\n|---|---|---|---|---|")
    for name, values in climbed.items():
        reached, passes = values.T
        shares = [(reached > best - 0.01).mean(), (reached > plain + 0.01).mean(), (reached < plain - 0.01).mean()]
        print(f"| {name} | {' | '.join(f'{share:.0%}' for share in shares)} | {np.median(passes):g} |")


if __name__ == "__main__":
    main()
