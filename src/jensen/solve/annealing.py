"""Deterministic annealing: q is proportional to p(x, z)^beta, and beta rises to 1 (Ueda & Nakano 1998)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from jensen.core.block import Array, Block
from jensen.core.contracts import Expect, Info, Point, Request, Source, StoppingRule
from jensen.core.parameters import Parameters
from jensen.errors import InputError
from jensen.numerics.logspace import normalise_logs
from jensen.solve.em import Evaluated, largest_step, maximized
from jensen.solve.partial import CONDITIONAL, Shares, check_count, require, under_shares
from jensen.solve.stochastic import drawn
from jensen.solve.stopping import AtRest
from jensen.solve.variants import AsItIs


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

    def ahead(self, state: AnnealedState, source: Source, most: int) -> None:
        """None: every step is a pass."""
        return None

    def best(self, state: AnnealedState) -> Point | None:
        """The last point whose objective is known; before beta is 1, the objective is that F_beta."""
        return state.point


@dataclass(frozen=True)
class Annealed(AsItIs):
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
