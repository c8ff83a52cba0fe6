"""The three coins of the textbooks: coin A chooses coin B or C, and only the last toss is seen.

P(y) = pi p^y (1 - p)^(1 - y) + (1 - pi) q^y (1 - q)^(1 - y); which coin was tossed is hidden. The tosses tell of
pi p + (1 - pi) q alone: every point of that surface is a maximum, and where EM ends depends on where it began.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import xlogy

from jensen.core.block import Array, Block
from jensen.core.domains import Domain, Interval
from jensen.core.information import Information
from jensen.core.model import LatentModel
from jensen.core.parameters import Parameters
from jensen.core.sums import Sums
from jensen.errors import InputError


@dataclass(frozen=True)
class ThreeCoins(LatentModel):
    """Coin A shows heads with probability ``pi`` and then B is tossed, else C; ``p`` and ``q`` are their heads.

    Rows are single tosses, 0 or 1. Parameters are three probabilities, ``pi``, ``p`` and ``q``.

    Examples
    --------
    >>> import jensen
    >>> tosses = [1, 1, 0, 1, 0, 0, 1, 0, 1, 1]
    >>> fit = jensen.em(jensen.models.ThreeCoins(), tosses, {"pi": 0.4, "p": 0.6, "q": 0.7})
    >>> [round(float(fit.params[name]), 4) for name in ("pi", "p", "q")]
    [0.4064, 0.5368, 0.6432]
    """

    domains: ClassVar[Mapping[str, Domain]] = {"pi": Interval(()), "p": Interval(()), "q": Interval(())}
    separable: ClassVar[tuple[str, ...]] = ("pi", "p", "q")
    identified: ClassVar[Mapping[str, Callable[[Parameters], float]]] = {
        "pi*p + (1-pi)*q": lambda params: float(params["pi"] * params["p"] + (1 - params["pi"]) * params["q"])
    }

    def expect(self, params: Parameters, block: Block) -> Sums:
        """E-step: each toss belongs to coin B with probability pi f_B(y) / P(y)."""
        heads, weight = _heads(block), block.weights
        joint = _joint(params, heads)
        total = joint.sum(axis=0)
        share = np.divide(joint[0], total, out=np.full_like(total, 0.5), where=total > 0)
        with np.errstate(divide="ignore"):
            loglik = np.where(weight > 0, weight * np.log(total), 0.0).sum()
        return self.statistics_from(params, block, weight[:, None] * np.stack([share, 1.0 - share], axis=1), loglik)

    def log_joint(self, params: Parameters, block: Block) -> Array:
        """log P(coin, y) of each toss, shape (2, n), B first."""
        with np.errstate(divide="ignore"):
            return np.log(_joint(params, _heads(block)))

    def statistics_from(self, params: Parameters, block: Block, responsibilities: Array, bound: float) -> Sums:
        """Expected counts under any shares (n, 2) of the two coins, already multiplied by the tosses' weights."""
        heads, weight = _heads(block), block.weights
        by_b = responsibilities[:, 0]
        entropy = xlogy(weight, weight).sum() - xlogy(responsibilities, responsibilities).sum()
        return Sums(
            weight=block.total_weight,
            loglik=bound,
            entropy=entropy,
            b=by_b.sum(),
            b_heads=by_b @ heads,
            heads=weight @ heads,
        )

    def maximize(self, params: Parameters, statistics: Sums) -> Parameters:
        """M-step: shares of the expected counts; a coin that is never tossed keeps its own."""
        b, n = float(statistics.b), statistics.weight
        heads_b, heads_c = float(statistics.b_heads), float(statistics.heads - statistics.b_heads)
        p = heads_b / b if b > 0 else params["p"]
        q = heads_c / (n - b) if n > b else params["q"]
        # Rounding may carry a share past 1 by a unit in the last place.
        return params.replace(pi=min(b / n, 1.0), p=np.clip(p, 0.0, 1.0), q=np.clip(q, 0.0, 1.0))

    def complete(self, params: Parameters, statistics: Sums) -> float:
        """E_q log p(x, z) of the expected counts."""
        pi, p, q = (params[name] for name in ("pi", "p", "q"))
        b, heads_b = statistics.b, statistics.b_heads
        c, heads_c = statistics.weight - b, statistics.heads - heads_b
        value = xlogy(b, pi) + xlogy(c, 1 - pi) + xlogy(heads_b, p) + xlogy(b - heads_b, 1 - p)
        return float(value + xlogy(heads_c, q) + xlogy(c - heads_c, 1 - q))

    def row_loglik(self, params: Parameters, block: Block) -> Array:
        """log P(y) of each toss, shape (n,)."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(_joint(params, _heads(block)).sum(axis=0)))

    def information(self, params: Parameters, block: Block) -> Information:
        """Score and information of the tosses by Louis's identity; P(y) is linear in each of pi, p and q."""
        pi, p, q = (float(params[name]) for name in ("pi", "p", "q"))
        heads, weight = _heads(block), block.weights
        joint = _joint(params, heads)
        total = joint.sum(axis=0)
        score, observed, complete, outer = np.zeros(3), np.zeros((3, 3)), np.zeros((3, 3)), np.zeros((3, 3))
        for face, b, c, slope in ((1.0, p, q, 1.0), (0.0, 1 - p, 1 - q, -1.0)):
            n, chance = float(weight[heads == face].sum()), pi * b + (1 - pi) * c
            if n == 0.0 or chance == 0.0:
                continue
            s = np.array([b - c, slope * pi, slope * (1 - pi)]) / chance
            curved = np.array([[0.0, slope, -slope], [slope, 0.0, 0.0], [-slope, 0.0, 0.0]]) / chance
            score += n * s
            outer += n * np.outer(s, s)
            observed += n * (np.outer(s, s) - curved)
            # Of r / pi^2 one pi cancels, and so on: a coin that is never tossed does no harm.
            parts = [(b, pi), (c, 1 - pi)], [(pi, b)], [(1 - pi, c)]
            known = [sum(top / below for top, below in part if below > 0) / chance for part in parts]
            complete += n * np.diag(known)
        with np.errstate(divide="ignore"):
            loglik = np.where(weight > 0, weight * np.log(total), 0.0).sum()
        return Information(float(loglik), score, observed, complete, outer)

    def responsibilities(self, params: Parameters, block: Block) -> Array:
        """Probability of coin B and of coin C given each toss, shape (n, 2)."""
        joint = _joint(params, _heads(block))
        total = joint.sum(axis=0)
        return np.asarray(np.divide(joint, total, out=np.full_like(joint, 0.5), where=total > 0).T)

    def by_component(self, params: Parameters) -> Mapping[str, Array]:
        """Of coin B and coin C: how often each is chosen, ``weights``, and how often it shows ``heads``."""
        pi = params["pi"]
        return {"weights": np.array([pi, 1 - pi]), "heads": np.array([params["p"], params["q"]])}

    def permuted(self, params: Parameters, order: Sequence[int]) -> Parameters:
        """The same coins as they are, ``(0, 1)``, or with B and C swapped, ``(1, 0)``."""
        own = self.by_component(params)
        (pi, _), (p, q) = own["weights"][list(order)], own["heads"][list(order)]
        return params.replace(pi=pi, p=p, q=q)

    def sample(self, params: Parameters, n: int, rng: np.random.Generator) -> Array:
        """Toss n times, shape (n, 1)."""
        chance = np.where(rng.random(n) < params["pi"], params["p"], params["q"])
        return (rng.random(n) < chance).astype(np.float64)[:, None]


def _heads(block: Block) -> Array:
    """The tosses (n,), checked."""
    x = np.asarray(block.x, dtype=np.float64)
    if x.shape[1] != 1 or not ((x == 0.0) | (x == 1.0)).all():
        raise InputError("the tosses of ThreeCoins are one column of 0 and 1: heads is 1")
    return x[:, 0]


def _joint(params: Parameters, heads: Array) -> Array:
    """P(coin, y) of each toss, shape (2, n), B first."""
    pi, p, q = (float(params[name]) for name in ("pi", "p", "q"))
    return np.stack([pi * np.where(heads == 1, p, 1 - p), (1 - pi) * np.where(heads == 1, q, 1 - q)])
