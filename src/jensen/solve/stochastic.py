"""Stochastic EM: components are drawn from the posterior, so that a run can leave saddles and poor optima."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from jensen.core.block import Array, Block
from jensen.core.contracts import Burst, Expect, Info, Point, Request, Source, StoppingRule
from jensen.core.parameters import Parameters
from jensen.numerics.streams import stream
from jensen.solve.em import EM, EMState, Evaluated, maximized
from jensen.solve.partial import CONDITIONAL, Shares, check_count, exact, require, under_shares
from jensen.solve.stopping import AtRest
from jensen.solve.variants import AsItIs


def drawn(shares: Shares, seed: int, purpose: str, iteration: int) -> Shares:
    """One component for each row, drawn from its shares; the rows' bounds stay what they are.

    Parameters
    ----------
    shares : callable
        What to draw from; see `jensen.solve.partial.under_shares`.
    seed : int
        At least 0.
    purpose : str
        Of the stream, which is keyed by (seed, purpose, iteration, block).
    iteration : int
        At least 0.
    """

    def draw(joint: Array, block: Block) -> tuple[Array, Array]:
        share, bounds = shares(joint, block)
        heap = np.cumsum(share, axis=0)
        uniform = stream(seed, purpose, iteration, block.number).random(block.n_rows)
        # Below the last sum, which rounding may leave short of 1, a component of no mass is never met.
        chosen = np.minimum((heap <= uniform * heap[-1]).sum(axis=0), len(share) - 1)
        return (np.arange(len(share))[:, None] == chosen).astype(np.float64), bounds

    return draw


class StochasticState(NamedTuple):
    """What stochastic EM carries from one pass to the next.

    Attributes
    ----------
    start : Parameters
        Where to draw next if there is no point to take an M-step from.
    iteration : int
        M-steps so far.
    point, last, best : Point or None
        Where the next M-step starts; the last evaluated point; the one of the highest log-likelihood.
    end : EMState or None
        Plain EM from the best point, once the draws are over.
    """

    start: Parameters
    iteration: int = 0
    point: Point | None = None
    last: Point | None = None
    best: Point | None = None
    end: EMState | None = None


@dataclass(frozen=True)
class StochasticEM:
    """The solver of `Stochastic`.

    Attributes
    ----------
    model : Model
        With ``log_joint`` and ``statistics_from``.
    seed, draws : int
        See `Stochastic`.
    burst : callable or None
        The model's own, for the end.
    measured : bool
        Whether to measure steps at the end.
    """

    model: Any
    seed: int
    draws: int
    burst: Burst | None = None
    measured: bool = False
    # The objective is the log-likelihood itself, which tracers need not ask for again.
    exact = True

    @property
    def ascends(self) -> str:
        """Nothing: a draw may lower anything."""
        return ""

    @property
    def _em(self) -> EM:
        return EM(self.model, self.burst, self.measured)

    def init(self, params: Parameters) -> StochasticState:
        """The state at the start, before anything is evaluated."""
        return StochasticState(params)

    def ask(self, state: StochasticState) -> Request:
        """The M-step from the last draw, and a new draw there; in the end, those of plain EM."""
        if state.end is not None:
            return self._em.ask(state.end)
        if state.point is None:
            return Request(self._expect(state.iteration), state.start)
        return Request(self._expect(state.iteration + 1), maximized(self.model, state.point, 0))

    def _expect(self, iteration: int) -> Expect:
        return under_shares(self.model, drawn(exact, self.seed, "stochastic E-step", iteration))

    def tell(self, state: StochasticState, params: Parameters, statistics: Any) -> tuple[StochasticState, Info]:
        """Note the log-likelihood of the parameters that were asked for."""
        if state.end is not None:
            inner, info = self._em.tell(state.end, params, statistics)
            return self._ended(state, inner, info)
        iteration = state.iteration + (state.point is not None)
        point = Evaluated(params, statistics, float(self.model.objective(params, statistics)), iteration)
        gain = np.inf if state.last is None else point.objective - state.last.objective
        best = point if state.best is None or point.objective > state.best.objective else state.best
        end = self._em.init(best.params) if iteration >= self.draws else None
        told = StochasticState(state.start, iteration, point, point, best, end)
        return told, Info(iteration, point.objective, gain, plain=False)

    def _ended(self, state: StochasticState, inner: EMState, info: Info) -> tuple[StochasticState, Info]:
        return state._replace(end=inner, last=inner.point), info._replace(iteration=state.iteration + info.iteration)

    def refuse(self, state: StochasticState, failure: Exception) -> StochasticState | None:
        """After a draw that leaves a component without a density: another draw at the best point."""
        if state.best is None or state.end is not None:
            return None
        iteration = state.iteration + 1
        end = self._em.init(state.best.params) if iteration >= self.draws else None
        return StochasticState(state.best.params, iteration, None, state.best, state.best, end)

    def ahead(self, state: StochasticState, source: Source, most: int) -> None:
        """None: draws are no steps of EM, and few are left when they are over."""
        return None

    def last(self, state: StochasticState) -> Point | None:
        """The last evaluated point."""
        return state.last

    def best(self, state: StochasticState) -> Point | None:
        """The point of the highest log-likelihood so far."""
        end = None if state.end is None else state.end.point
        if end is None:
            return state.best
        return Evaluated(end.params, end.statistics, end.objective, state.iteration + end.iteration)


@dataclass(frozen=True)
class Stochastic(AsItIs):
    """Stochastic EM (Celeux & Diebolt 1985): components are drawn from the posterior, the best point is kept.

    It promises nothing, and can leave saddles and poor optima. After the draws, plain EM goes on from the point of the
    highest log-likelihood. For models that declare ``log_joint`` and ``statistics_from``; a row is drawn as a whole,
    whatever its weight.

    Attributes
    ----------
    seed : int, default=0
        At least 0. Streams are keyed by (seed, purpose, iteration, block): threads change nothing.
    draws : int, default=100
        M-steps before plain EM takes over, at least 1.
    """

    seed: int = 0
    draws: int = 100

    def __post_init__(self) -> None:
        check_count("Stochastic", "seed", self.seed, least=0)
        check_count("Stochastic", "draws", self.draws)

    @property
    def name(self) -> str:
        """``stochastic EM``, and the number of draws."""
        return f"stochastic EM, {self.draws} draws"

    def solver(self, model: Any, rule: StoppingRule) -> StochasticEM:
        """The solver; the model must have one stage."""
        require(model, "Stochastic", *CONDITIONAL)
        burst, measured = getattr(model, "burst", None), isinstance(rule, AtRest)
        return StochasticEM(model, int(self.seed), int(self.draws), burst, measured)
