"""Stochastic EM and deterministic annealing: E-steps that leave the nearest optimum alone at first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from jensen.core.block import Array, Block
from jensen.core.contracts import Burst, Expect, Info, Point, Request, Source, StoppingRule
from jensen.core.parameters import Parameters
from jensen.errors import InputError
from jensen.numerics.logspace import normalise_logs
from jensen.numerics.streams import stream
from jensen.solve.em import EM, EMState, Evaluated, largest_step, maximized
from jensen.solve.partial import CONDITIONAL, Shares, check_count, exact, require, under_shares
from jensen.solve.stopping import AtRest

# --------------------------------------------------------------------------------------------- stochastic EM


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

    def ahead(self, state: StochasticState, source: Source) -> Iterator[tuple[StochasticState, Info]] | None:
        """Bursts of plain EM, once the draws are over."""
        steps = None if state.end is None else self._em.ahead(state.end, source)
        return None if steps is None else (self._ended(state, inner, info) for inner, info in steps)

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
class Stochastic:
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

    def source(self, source: Source) -> Source:
        """The data as they are."""
        return source


# --------------------------------------------------------------------------------------------- annealing


def tempered(beta: float) -> Shares:
    """q proportional to p(x, z)^beta, and log(sum_z p(x, z)^beta) / beta of each row."""

    def shares(joint: Array, block: Block) -> tuple[Array, Array]:
        joint *= beta
        rows = normalise_logs(joint)
        return joint, rows / beta

    return shares


class AnnealedState(NamedTuple):
    """What annealing carries from one pass to the next.

    Attributes
    ----------
    start : Parameters
        Where the run began.
    level : int
        Which beta is next.
    steps : int
        Points evaluated at that beta, the drawn one included; -1 before that.
    point : Point or None
        The last evaluated point.
    """

    start: Parameters
    level: int = 0
    steps: int = -1
    point: Point | None = None


@dataclass(frozen=True)
class AnnealedEM:
    """The solver of `Annealed`, with the same attributes, and the model.

    Attributes
    ----------
    model : Model
        With ``log_joint`` and ``statistics_from``.
    betas : sequence of float
        Rising to 1.
    steps : int
        M-steps at each beta below 1, at most.
    tol : float
        Gain for each unit of weight below which the next beta follows.
    seed : int or None
        Of the draws; None for none.
    measured : bool
        Whether to measure steps.
    """

    model: Any
    betas: Sequence[float]
    steps: int
    tol: float
    seed: int | None = None
    measured: bool = False

    @property
    def ascends(self) -> str:
        """F_beta = E_q log p(x, z) + H(q) / beta, as long as beta stays the same."""
        return "free energy"

    def init(self, params: Parameters) -> AnnealedState:
        """The state at the start, before anything is evaluated."""
        return AnnealedState(params)

    def ask(self, state: AnnealedState) -> Request:
        """The M-step from the last point, and the E-step at the present beta; its first one is drawn."""
        beta, point = self.betas[state.level], state.point
        expect: Expect
        if beta == 1.0:
            expect = self.model.stages[0].expect
        elif self._draws(state):
            assert self.seed is not None
            expect = under_shares(self.model, drawn(tempered(beta), self.seed, "annealed E-step", state.level))
        else:
            expect = under_shares(self.model, tempered(beta))
        return Request(expect, state.start if point is None else maximized(self.model, point, 0))

    def _draws(self, state: AnnealedState) -> bool:
        return state.steps < 0 and self.seed is not None and self.betas[state.level] < 1.0

    def tell(self, state: AnnealedState, params: Parameters, statistics: Any) -> tuple[AnnealedState, Info]:
        """Note F_beta; its gain is infinite where another F_beta, or a draw, came before."""
        before, beta = state.point, self.betas[state.level]
        objective = float(self.model.objective(params, statistics))
        iteration = 0 if before is None else before.iteration + 1
        point = Evaluated(params, statistics, objective, iteration)
        if self._draws(state):
            info = Info(iteration, objective, np.inf, plain=False)
            return AnnealedState(state.start, state.level, 0, point), info
        gain, step, steps = np.inf, None, max(state.steps, 0)
        if steps > 0 and before is not None:
            gain = objective - before.objective
            if self.measured and beta == 1.0:
                step = largest_step(before.params.to_free(), params.to_free())
        over = beta < 1.0 and steps > 0 and (gain <= self.tol * statistics.weight or steps >= self.steps)
        level, steps = (state.level + 1, -1) if over else (state.level, steps + 1)
        return AnnealedState(state.start, level, steps, point), Info(
            iteration, objective, gain, beta == 1.0, None, step
        )

    def ahead(self, state: AnnealedState, source: Source) -> None:
        """None: every step is a pass."""
        return None

    def best(self, state: AnnealedState) -> Point | None:
        """The last point whose objective is known; before beta is 1, the objective is that F_beta."""
        return state.point


@dataclass(frozen=True)
class Annealed:
    """Deterministic annealing (Ueda & Nakano 1998): q is proportional to p(x, z)^beta, and beta rises to 1.

    A small beta smooths the objective, so that the end depends less on the start. Components that come to coincide at a
    small beta would never part again by themselves: each beta below 1 begins with one E-step whose components are
    drawn. Within a beta, F_beta never falls; at beta = 1 it is plain EM. For models that declare ``log_joint`` and
    ``statistics_from``.

    Attributes
    ----------
    betas : sequence of float
        Rising, above 0; a last 1 is added where it is missing.
    steps : int, default=200
        M-steps at each beta below 1, at most.
    tol : float, default=1e-5
        Nats for each unit of weight: the next beta follows a smaller gain.
    seed : int or None, default=0
        Of the stream that draws, at least 0; None for the paper's algorithm, without draws.
    """

    betas: Sequence[float] = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    steps: int = 200
    tol: float = 1e-5
    seed: int | None = 0

    def __post_init__(self) -> None:
        check_count("Annealed", "steps", self.steps)
        if self.seed is not None:
            check_count("Annealed", "seed", self.seed, least=0)
        betas = np.asarray(self.betas, dtype=np.float64)
        if betas.ndim != 1 or betas.size == 0 or not ((betas > 0) & (betas <= 1)).all() or (np.diff(betas) <= 0).any():
            raise InputError(f"Annealed: betas must rise within (0, 1], got {self.betas!r}")
        if not 0 <= self.tol < np.inf:
            raise InputError(f"Annealed: tol must be a finite number of at least 0, got {self.tol!r}")

    @property
    def name(self) -> str:
        """``annealed EM``, and the first beta."""
        return f"annealed EM from beta {self.betas[0]:g}"

    def solver(self, model: Any, rule: StoppingRule) -> AnnealedEM:
        """The solver; the model must have one stage."""
        require(model, "Annealed", *CONDITIONAL)
        betas = [float(beta) for beta in self.betas]
        rising = tuple(betas if betas[-1] == 1.0 else [*betas, 1.0])
        return AnnealedEM(model, rising, int(self.steps), float(self.tol), self.seed, isinstance(rule, AtRest))

    def source(self, source: Source) -> Source:
        """The data as they are."""
        return source
