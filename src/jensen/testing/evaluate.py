"""What the checks of a model take from it, and how they compare what they took."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jensen.core.block import Array, Block
from jensen.core.model import Checked
from jensen.core.parameters import Parameters
from jensen.core.sums import Sums
from jensen.errors import ConformanceError, InputError, NumericalFailure
from jensen.testing.data import Rows
from jensen.testing.differences import moved, units
from jensen.testing.report import Suite, leaves, shown
from jensen.testing.scores import free_names

# Sums over other blocks agree to this share; random points are this many.
ROUNDING = 1e-8
_NO_DENSITY = (NumericalFailure, np.linalg.LinAlgError, FloatingPointError)
_POINTS = 3
# Derivatives per unit of weight, in units of one row's standard deviations.
_FLAT = 1e-5


class Outside(ConformanceError):
    """An M-step left a domain."""


class Evaluated:
    """A model on rows: every value that is taken from it is taken here, so that a failure has its method's name."""

    def __init__(self, suite: Suite, model: Checked, rows: Rows, start: Parameters, rng: np.random.Generator) -> None:
        self.suite, self.model, self.rows, self.start, self.rng = suite, model, rows, start, rng
        # Few rows are taken again, so that there is something to cut.
        self.several = rows if rows.n >= 5 else rows.taken(np.arange(10) % rows.n)
        self.total = float(rows.weights.sum())
        value = self.value(start)
        if not math.isfinite(value):
            raise InputError(f"the objective at params is {value}; take a point where it is finite")
        self.unit = units(self.at(self.value), start.to_free(), self.total)
        self._points: list[Parameters] | None = None

    # ------------------------------------------------------------------------------------- what is evaluated

    def expect(self, params: Parameters, block: Block) -> Any:
        return self.suite.call("expect", self.model.stages[0].expect, params, block)

    def folded(self, rows: Rows, params: Parameters, cuts: int = 1) -> Any:
        return rows.fold(self.expect, params, cuts)

    def objective(self, params: Parameters, statistics: Any) -> float:
        return float(self.suite.call("objective", self.model.objective, params, statistics))

    def value(self, params: Parameters) -> float:
        """The objective; NaN where there is none."""
        try:
            return self.objective(params, self.folded(self.rows, params))
        except ConformanceError as error:
            # Random points may lie outside the region where a density exists: that is no fault.
            if isinstance(error.__cause__, _NO_DENSITY):
                return math.nan
            raise

    def at(self, function: Callable[[Parameters], float]) -> Callable[[Array], float]:
        """The same function of free coordinates."""
        return lambda free: function(self.start.from_free(free))

    def complete(self, params: Parameters, statistics: Any) -> float:
        return float(self.suite.call("complete", self.model.complete, params, statistics))

    def complete_at(self, statistics: Any) -> Callable[[Array], float]:
        """Q of some statistics, as a function of free coordinates."""
        return self.at(lambda params: self.complete(params, statistics))

    def step(self, params: Parameters, number: int) -> Parameters:
        """One E- and M-step of the stage whose turn it is; a guarded one halved until Q does not fall."""
        stage = self.model.stages[number % len(self.model.stages)]
        statistics = self.suite.call("expect", self.rows.fold, stage.expect, params)
        found: Parameters = self.suite.call("maximize", stage.maximize, params, statistics)
        self.inside(found)
        if not stage.guarded:
            return found
        reached, here = self.complete(params, statistics), params.to_free()
        move = found.to_free() - here
        for halving in range(40):
            trial = found if halving == 0 else params.from_free(here + move / 2**halving)
            if self.complete(trial, statistics) >= reached:
                return trial
        raise self.suite.blame("maximize", "a guarded step lowers complete however often it is halved")

    def follow(self, params: Parameters, number: int) -> Parameters | None:
        """One step on a way of several, or None where it leads beyond the density.

        A likelihood without bound may pull EM there, which is no fault of the M-step; but its first step is checked.
        """
        try:
            found = self.step(params, number)
        except ConformanceError as error:
            if number == 0 or not (isinstance(error, Outside) or isinstance(error.__cause__, _NO_DENSITY)):
                raise
            return None
        return found

    def points(self) -> list[Parameters]:
        """The parameters given, and random ones around them where the objective is finite."""
        if self._points is None:
            found = [self.start]
            for _ in range(10 * _POINTS):
                trial = moved(self.start, self.unit, self.rng)
                sound = trial.is_finite and math.isfinite(self.value(trial))
                if len(found) <= _POINTS and sound and self.follow(trial, 1) is not None:
                    found.append(trial)
            self._points = found
        return self._points

    @property
    def has_complete(self) -> bool:
        return callable(getattr(self.model.model, "complete", None))

    # ------------------------------------------------------------------------------------- comparing

    def inside(self, params: Parameters) -> None:
        for name, domain in params.domains.items():
            fault = domain.check(params[name]) if np.isfinite(params[name]).all() else "it is not finite"
            if fault is not None:
                raise Outside(
                    f"{self.suite.name}.maximize",
                    f"returned '{name}' = {shown(params[name])} outside its domain: {fault}",
                )

    def flat(self, method: str, slope: Array, error: Array, fault: str) -> None:
        """Blame a method for a slope that is not 0."""
        excess = np.abs(slope) - (_FLAT * self.total + 10.0 * error)
        worst = int(np.argmax(np.where(np.isfinite(excess), excess, np.inf)))
        if not excess[worst] <= 0.0:
            name = free_names(self.start)[worst]
            raise self.suite.blame(method, f"{fault} by {slope[worst]:.6g} along {name}; expected 0")

    def same(self, method: str, one: Any, other: Any, what: str) -> None:
        """Blame a method where two statistics say different things."""
        first, second = self._said(one), self._said(other)
        for name, value in first.items():
            scale = max(1.0 if name.startswith("M-step") else self.total, float(np.abs(value).max(initial=0.0)))
            if not (np.abs(value - second[name]) <= ROUNDING * scale).all():
                raise self.suite.blame(
                    method,
                    f"the statistics {what} differ in {name}: {shown(value)} against {shown(second[name])}; "
                    "expected the same",
                )

    def _said(self, statistics: Any) -> Mapping[str, Array]:
        """What statistics say to others, whatever their representation."""
        found = {"weight": np.asarray(float(statistics.weight)), "loglik": np.asarray(float(statistics.loglik))}
        if isinstance(statistics, Sums):
            found.update(leaves(statistics))
        top = self.suite.call("maximize", self.model.stages[0].maximize, self.start, statistics)
        if self.has_complete:
            found["complete at the parameters"] = np.asarray(self.complete(self.start, statistics))
        return {**found, **{f"M-step of '{name}'": value for name, value in top.values.items()}}
