"""Does a model do what its contract says? Each check names the method that does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import numpy as np

from jensen.core.block import Array, Block
from jensen.core.model import Checked
from jensen.core.parameters import Parameters
from jensen.core.sums import Sums
from jensen.errors import ConformanceError, ContractError, InputError, NumericalFailure
from jensen.testing.data import Rows, as_rows
from jensen.testing.differences import gradient, moved, units
from jensen.testing.domains import check_domains
from jensen.testing.report import Report, Suite, leaves, shown

MODEL_CHECKS = (
    "domains",
    "repeatable",
    "weight",
    "row order",
    "row weights",
    "blocks",
    "merge",
    "row_loglik",
    "fisher",
    "sample",
    "permuted",
    "ascent",
    "maximum",
    "fixed point",
)
_POINTS, _STEPS, _DRAWS, _MANY_STEPS = 3, 8, 4000, 2000
# A fall beyond this share of the objective is no rounding; sums over other blocks agree to the second.
_FALL, _ROUNDING = 1e-10, 1e-8
# Derivatives per unit of weight, in units of one row's standard deviations.
_FLAT = 1e-5


def check_model(
    model: Any,
    data: Any,
    params: Any,
    *,
    sample_weight: Any = None,
    rng: np.random.Generator | int | None = 0,
    skip: Collection[str] = (),
) -> Report:
    """Check that a latent-variable model keeps its contract, on data and parameters that are typical for it.

    The E-step must be a pure function whose statistics add up over blocks, in which a row of weight 2 is the row
    twice; its log-likelihood must be that of ``row_loglik`` and ``sample``; and the M-step must climb, to the top of
    ``complete`` where the model declares it, and to a point without slope (Dempster, Laird & Rubin 1977, theorem 1;
    Fisher's identity).

    Parameters
    ----------
    model : LatentModel, or any object with ``domains``, and ``stages`` or ``expect`` and ``maximize``
        What is checked.
    data : array-like of shape (n,) or (n, d), mapping of row-aligned arrays, or Source
        A few to a few hundred rows: they are passed over some thousands of times.
    params : mapping of str to array-like, or Parameters
        A point inside the domains with a finite objective.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.
    rng : Generator or int, default=0
        Where random points and draws come from.
    skip : collection of str, default=()
        Checks to leave out, by the names in ``MODEL_CHECKS``: ``"row_loglik"`` where the objective has a penalty that
        the plain density lacks.

    Returns
    -------
    Report

    Raises
    ------
    ConformanceError
        At the first fault; it names the method, and says what was found and what was expected.
    InputError
        If the data or the parameters are unusable, or on their boundary.

    Examples
    --------
    >>> import jensen
    >>> report = check_model(jensen.models.ThreeCoins(), [1, 1, 0, 1, 0], {"pi": 0.4, "p": 0.6, "q": 0.7})
    >>> "maximum" in report.passed
    True
    """
    suite = Suite(model, MODEL_CHECKS, skip)
    try:
        checked = Checked(model)
    except ContractError as error:
        raise ConformanceError(suite.name, str(error)) from error
    start = checked.start(params)
    if any(domain.boundary(start[name]).any() for name, domain in start.domains.items()):
        raise InputError("params must lie inside their domains: EM never leaves the boundary")
    checks = _Checks(suite, checked, as_rows(data, sample_weight), start, np.random.default_rng(rng))
    for name in MODEL_CHECKS:
        suite.make(name, getattr(checks, name.replace(" ", "_")))
    return suite.report()


class _Checks:
    """The checks, each a method under its name: None if it passed, or why it could not be made."""

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
            if isinstance(error.__cause__, NumericalFailure | np.linalg.LinAlgError | FloatingPointError):
                return math.nan
            raise

    def at(self, function: Callable[[Parameters], float]) -> Callable[[Array], float]:
        """The same function of free coordinates."""
        return lambda free: function(self.start.from_free(free))

    def _complete_of(self, statistics: Any, params: Parameters) -> float:
        return self.complete(params, statistics)

    def complete(self, params: Parameters, statistics: Any) -> float:
        return float(self.suite.call("complete", self.model.complete, params, statistics))

    def step(self, params: Parameters, number: int) -> Parameters:
        """One E- and M-step of the stage whose turn it is; a guarded one halved until Q does not fall."""
        stage = self.model.stages[number % len(self.model.stages)]
        statistics = self.rows.fold(stage.expect, params)
        found: Parameters = self.suite.call("maximize", stage.maximize, params, statistics)
        self._inside(found)
        if not stage.guarded:
            return found
        reached, here = self.complete(params, statistics), params.to_free()
        move = found.to_free() - here
        for halving in range(40):
            trial = found if halving == 0 else params.from_free(here + move / 2**halving)
            if self.complete(trial, statistics) >= reached:
                return trial
        raise self.suite.blame("maximize", "a guarded step lowers complete however often it is halved")

    def points(self) -> list[Parameters]:
        """The parameters given, and random ones around them where the objective is finite."""
        if self._points is None:
            found = [self.start]
            for _ in range(10 * _POINTS):
                trial = moved(self.start, self.unit, self.rng)
                if len(found) <= _POINTS and trial.is_finite and math.isfinite(self.value(trial)):
                    found.append(trial)
            self._points = found
        return self._points

    @property
    def has_complete(self) -> bool:
        return callable(getattr(self.model.model, "complete", None))

    # ------------------------------------------------------------------------------------- the E-step

    def domains(self) -> None:
        check_domains(self.suite, self.start, self.unit, self.rng)

    def repeatable(self) -> None:
        suite, (block,) = self.suite, self.rows.blocks(1)
        for stage in self.model.stages:
            statistics = suite.pure(_name(stage.expect), stage.expect, self.start, block)
            suite.pure(_name(stage.maximize), stage.maximize, self.start, statistics)
            suite.pure("objective", self.model.objective, self.start, statistics)
        for name in ("row_loglik", "responsibilities"):
            if callable(getattr(self.model.model, name, None)):
                suite.pure(name, getattr(self.model, name), self.start, block)

    def weight(self) -> None:
        for rows in (self.rows, self.rows.weighted(self.rng.uniform(0.5, 2.0, self.rows.n))):
            found, expected = float(self.folded(rows, self.start).weight), float(rows.weights.sum())
            if not abs(found - expected) <= _ROUNDING * expected:
                raise self.suite.blame(
                    "expect", f"says a weight of {found:.10g}; expected the sum of the rows' weights, {expected:.10g}"
                )

    def row_order(self) -> None:
        rows = self.several
        shuffled = rows.taken(self.rng.permutation(rows.n))
        self._same("expect", self.folded(rows, self.start), self.folded(shuffled, self.start), "of the rows shuffled")

    def row_weights(self) -> None:
        rows = self.several
        for count in (2, 0):
            times = np.ones(rows.n, dtype=int)
            times[self.rng.permutation(rows.n)[: rows.n // 2]] = count
            weighted = rows.weighted(rows.weights * times)
            repeated = rows.weighted(rows.weights).taken(np.repeat(np.arange(rows.n), times))
            told = "of rows of weight 2 and of the rows twice" if count else "of rows of weight 0 and without the rows"
            self._same("expect", self.folded(weighted, self.start), self.folded(repeated, self.start), told)

    def blocks(self) -> None:
        whole = self.folded(self.several, self.start)
        for cuts in (2, 5):
            parts = self.folded(self.several, self.start, cuts)
            # Sums add up by themselves: what differs is what was summed.
            method = "expect" if isinstance(parts, Sums) else f"expect().merge of {type(parts).__name__}"
            self._same(method, whole, parts, f"of the rows in one block and in {cuts}")

    def merge(self) -> None:
        first, second, third = (self.expect(self.start, block) for block in self.several.blocks(3))
        method = f"expect().merge of {type(first).__name__}"
        both = self.suite.pure(method, lambda a, b: a.merge(b), first, second)
        other = second.merge(third)
        self._same(method, both.merge(third), first.merge(other), "of (a + b) + c and a + (b + c)")

    # ------------------------------------------------------------------------------------- the density

    def row_loglik(self) -> str | None:
        if not callable(getattr(self.model.model, "row_loglik", None)):
            return "the model declares no row_loglik"
        for params in self.points():
            (block,) = self.rows.blocks(1)
            found = np.asarray(self.suite.call("row_loglik", self.model.row_loglik, params, block))
            if found.shape != (self.rows.n,):
                raise self.suite.blame("row_loglik", f"has the shape {found.shape}; expected ({self.rows.n},)")
            total, loglik = float(block.weights @ found), float(self.expect(params, block).loglik)
            if abs(total - loglik) > _ROUNDING * max(abs(loglik), self.total):
                raise self.suite.blame(
                    "row_loglik", f"sums to {total:.10g}, but the loglik of expect is {loglik:.10g}; expected the same"
                )
        return None

    def fisher(self) -> str | None:
        if not self.has_complete:
            return "the model declares no complete"
        for params in self.points():
            statistics = self.folded(self.rows, params)
            slope, error = gradient(self.at(self.value), params.to_free(), self.unit)
            inner, inner_error = gradient(self.at(partial(self._complete_of, statistics)), params.to_free(), self.unit)
            self._flat(
                "complete",
                slope - inner,
                error + inner_error,
                "its slope at the parameters of the E-step is not that of the objective (Fisher's identity), so that "
                "complete, or the shares or the loglik of expect, are those of another density; it differs",
            )
        return None

    def sample(self) -> str | None:
        model = self.model.model
        if not (callable(getattr(model, "sample", None)) and callable(getattr(model, "row_loglik", None))):
            return "the model does not declare both sample and row_loglik"
        drawn = self.suite.call("sample", self.model.sample, self.start, _DRAWS, self.rng)
        rows = as_rows(drawn[0] if isinstance(drawn, tuple) else drawn)
        if rows.n != _DRAWS:
            raise self.suite.blame("sample", f"drew {rows.n} rows; expected {_DRAWS}")
        if (missing := set(self.rows.arrays) - set(rows.arrays)) and self.rows.arrays.keys() > rows.arrays.keys():
            return f"the draws have no {', '.join(sorted(missing))}"
        (block,), free = rows.blocks(1), self.start.to_free()
        for j, name in enumerate(free_names(self.start)):
            move = np.zeros(free.size)
            move[j] = 1e-3 * self.unit[j]
            up, down = (
                np.asarray(self.suite.call("row_loglik", self.model.row_loglik, self.start.from_free(free + m), block))
                for m in (move, -move)
            )
            scores = (up - down) / 2e-3
            spread = float(scores.std())
            # The mean of the scores is 0 at the parameters drawn from; by chance it is beyond 6 once in 5e8 times.
            z = float(scores.mean()) * math.sqrt(_DRAWS) / max(spread, 1e-300)
            if not math.isfinite(spread) or (abs(z) > 6.0 and abs(scores.mean()) > 1e-5):
                raise self.suite.blame(
                    "sample",
                    f"its draws do not follow the density of row_loglik: the mean score of {name} over {_DRAWS} draws "
                    f"is {z:.1f} standard errors from 0; expected at most 6",
                )
        return None

    def permuted(self) -> str | None:
        model = self.model.model
        if not (callable(getattr(model, "permuted", None)) and callable(getattr(model, "by_component", None))):
            return "the model does not declare both permuted and by_component"
        own = self.suite.call("by_component", model.by_component, self.start)
        lengths = {name: len(value) if np.ndim(value) else 0 for name, value in own.items()}
        if len(set(lengths.values())) != 1:
            raise self.suite.blame("by_component", f"returned arrays of the lengths {lengths}; expected K in each")
        order = np.roll(np.arange(next(iter(lengths.values()))), 1)
        found = self.suite.call("permuted", model.permuted, self.start, tuple(int(k) for k in order))
        for name, value in model.by_component(found).items():
            if not np.allclose(value, np.asarray(own[name])[order], rtol=_ROUNDING, atol=0):
                raise self.suite.blame(
                    "permuted",
                    f"made {shown(value)} of '{name}' = {shown(own[name])}; expected the order {shown(order)}",
                )
        before, after = self.value(self.start), self.value(found)
        if not abs(before - after) <= _ROUNDING * max(abs(before), self.total):
            raise self.suite.blame(
                "permuted", f"took the objective from {before:.10g} to {after:.10g}; expected the same in any order"
            )
        return None

    # ------------------------------------------------------------------------------------- the M-step

    def ascent(self) -> None:
        for params in self.points():
            before = self.value(params)
            for number in range(_STEPS * len(self.model.stages)):
                params = self.step(params, number)
                after = self.value(params)
                if not after >= before - _FALL * max(abs(before), self.total, 1.0):
                    raise self.suite.blame(
                        "maximize",
                        f"EM step {number + 1} took the objective from {before:.10g} to {after:.10g}; expected no fall",
                    )
                before = after

    def maximum(self) -> str | None:
        if not self.has_complete:
            return "the model declares no complete"
        in_parts = len(self.model.stages) > 1 or self.model.stages[0].guarded
        for params in self.points():
            statistics = self.folded(self.rows, params)
            top = self.step(params, 0)
            gain = self.complete(top, statistics) - self.complete(params, statistics)
            if not gain >= -_FALL * max(abs(self.complete(params, statistics)), self.total):
                raise self.suite.blame("maximize", f"lowers complete by {-gain:.6g}; expected no fall")
            if in_parts:
                continue
            slope, error = gradient(self.at(partial(self._complete_of, statistics)), top.to_free(), self.unit)
            self._flat("maximize", slope, error, "complete still has a slope where the M-step ends")
        return "M-steps are partial: that Q does not fall was checked" if in_parts else None

    def fixed_point(self) -> str | None:
        params, stages = self.start, len(self.model.stages)
        first = last = math.nan
        for number in range(_MANY_STEPS):
            here = params.to_free()
            for stage in range(stages):
                params = self.step(params, stage)
            last = float(np.abs((params.to_free() - here) / self.unit).max())
            first = first if number else last
            if last <= 1e-9:
                break
        if any(domain.boundary(params[name]).any() for name, domain in params.domains.items()):
            return "EM ends on the boundary from these parameters"
        # EM's step is the slope over the complete information: where steps vanish, so must the slope.
        if not last <= 1e-4:
            return f"EM does not come to rest within {_MANY_STEPS} steps from these parameters"
        slope, error = gradient(self.at(self.value), params.to_free(), self.unit)
        start, _ = gradient(self.at(self.value), self.start.to_free(), self.unit)
        steepness = float(np.abs(start).max()) / max(first, 1e-12)
        self._flat(
            "maximize",
            slope,
            error + 100.0 * last * max(steepness, self.total),
            "EM comes to rest where the objective still has a slope, so that the M-step maximises something else, or "
            "not everything",
        )
        return None

    # ------------------------------------------------------------------------------------- comparing

    def _inside(self, params: Parameters) -> None:
        for name, domain in params.domains.items():
            fault = domain.check(params[name]) if np.isfinite(params[name]).all() else "it is not finite"
            if fault is not None:
                raise self.suite.blame(
                    "maximize", f"returned '{name}' = {shown(params[name])} outside its domain: {fault}"
                )

    def _flat(self, method: str, slope: Array, error: Array, fault: str) -> None:
        """Blame a method for a slope that is not 0."""
        excess = np.abs(slope) - (_FLAT * self.total + 10.0 * error)
        worst = int(np.argmax(np.where(np.isfinite(excess), excess, np.inf)))
        if not excess[worst] <= 0.0:
            name = free_names(self.start)[worst]
            raise self.suite.blame(method, f"{fault} by {slope[worst]:.6g} along {name}; expected 0")

    def _same(self, method: str, one: Any, other: Any, what: str) -> None:
        """Blame a method where two statistics say different things."""
        first, second = self._said(one), self._said(other)
        for name, value in first.items():
            scale = max(1.0 if name.startswith("M-step") else self.total, float(np.abs(value).max(initial=0.0)))
            if not (np.abs(value - second[name]) <= _ROUNDING * scale).all():
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


def free_names(params: Parameters) -> list[str]:
    """A name for every free coordinate: the parameter's, with a number where it has several."""
    return [
        name if domain.size == 1 else f"{name} (free coordinate {j})"
        for name, domain in params.domains.items()
        for j in range(domain.size)
    ]


def _name(method: Any) -> str:
    return str(getattr(method, "__name__", "expect"))
