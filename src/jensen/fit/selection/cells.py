"""A cell of a choice among mixtures while the search is on: its ends, and what it may not fall below."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from jensen.core.contracts import Run
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.families.shapes.table import SHAPES, CovarianceShape
from jensen.families.whitening import in_layout
from jensen.fit.result import full_covariances
from jensen.fit.search.landscape import Verdict
from jensen.fit.selection.table import Cell
from jensen.fit.settings import MixtureSettings
from jensen.models.mixture import Mixture

# A cell lies below another if it does by more than this share of the objective, and more than this.
_BELOW, _LEAST = 1e-12, 1e-9


@dataclass(frozen=True)
class End:
    """Where a run ended, and what speaks against it, which is asked of few."""

    kind: str
    run: Run[Any]
    judge: Callable[[Run[Any]], Verdict]

    @cached_property
    def verdict(self) -> Verdict:
        """Faults, narrow components and their price."""
        return self.judge(self.run)

    @property
    def is_sound(self) -> bool:
        return not self.verdict.faults and self.run.status is not Status.DEGENERATE

    @property
    def standing(self) -> tuple[bool, float]:
        return self.is_sound, self.run.objective - self.verdict.price


@dataclass(eq=False)
class CellState:
    """A cell while the search is on."""

    kind: CovarianceShape
    settings: MixtureSettings
    model: Mixture
    ends: list[End] = field(default_factory=list)
    best: End | None = None
    cell: Cell | None = None
    reason: str = ""
    seconds: float = 0.0
    sampled: bool = False  # whether its ends are on some of the rows
    least: float = -np.inf  # the highest objective of a cell that this one contains
    solvers: dict[float, Any] = field(default_factory=dict)  # of its runs, by the weight of the rows

    @property
    def name(self) -> tuple[int, str]:
        """K and the shape."""
        return self.k, self.kind.name

    @property
    def k(self) -> int:
        return self.settings.n_components

    def take(self, end: End) -> None:
        """Note an end, and keep the best."""
        self.ends.append(end)
        self.settle()

    def settle(self) -> None:
        """Keep the best end; narrow components have a price, but not below the cells that this one contains."""
        above = [end for end in self.ends if end.is_sound and end.run.objective >= self.least - slack_of(self.least)]
        self.best = max(above or self.ends, key=lambda end: end.standing, default=None)

    def is_above(self) -> bool:
        """Whether it has a sound end that is no lower than any cell that it contains."""
        best = self.best
        return best is not None and best.is_sound and best.run.objective >= self.least - slack_of(self.least)


def slack_of(objective: float) -> float:
    return _LEAST + _BELOW * abs(objective) if objective > -np.inf else 0.0


def largest_contained(kind: CovarianceShape, asked: Iterable[CovarianceShape]) -> list[CovarianceShape]:
    """The largest of the asked shapes that are special cases of one."""
    inside = [other for other in asked if other.name != kind.name and kind.contains(other)]
    return [one for one in inside if not any(other.name != one.name and other.contains(one) for other in inside)]


def reshaped(params: Parameters, other: CellState, state: CellState) -> Parameters:
    """The parameters of a shape in a shape that contains it."""
    matrices = full_covariances(other.kind.layout, params)
    return state.model.parameters(
        weights=params["weights"], means=params["means"], covariances=in_layout(state.kind.layout, matrices)
    )


def explained(failure: str) -> str:
    """Why a cell has no fit, with what would give it one."""
    if "positive definite" in failure or "singular" in failure or "scatter" in failure:
        return f"{failure}: too few rows in some direction for this shape; a prior or reg_covar would give it a fit"
    return failure


def levels_of(shapes: Iterable[CovarianceShape]) -> dict[str, int]:
    """By name, the length of the longest chain of shapes within shapes that ends with one."""
    found: dict[str, int] = {}
    for shape in shapes:
        inside = [found[name] for name in found if shape.contains(SHAPES[name])]
        found[shape.name] = 1 + max(inside, default=-1)
    return found
