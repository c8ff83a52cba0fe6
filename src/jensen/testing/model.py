"""Does a model do what its contract says? Each check names the method that does not."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np

from jensen.core.block import Array
from jensen.core.model import Checked
from jensen.core.parameters import Parameters
from jensen.core.sums import Sums
from jensen.errors import ConformanceError, ContractError, InputError
from jensen.testing.data import as_rows
from jensen.testing.differences import gradient
from jensen.testing.domains import check_domains
from jensen.testing.evaluate import ROUNDING, Evaluated
from jensen.testing.report import Report, Suite, shown
from jensen.testing.scores import DRAWS, check_scores

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
_STEPS, _MANY_STEPS = 8, 2000
# A fall beyond this share of the objective is no rounding.
_FALL = 1e-10


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
    return suite.run(checks)


class _Checks(Evaluated):
    """The checks, each a method under its name: None if it passed, or why it could not be made."""

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
            if not abs(found - expected) <= ROUNDING * expected:
                raise self.suite.blame(
                    "expect", f"says a weight of {found:.10g}; expected the sum of the rows' weights, {expected:.10g}"
                )

    def row_order(self) -> None:
        rows = self.several
        shuffled = rows.taken(self.rng.permutation(rows.n))
        self.same("expect", self.folded(rows, self.start), self.folded(shuffled, self.start), "of the rows shuffled")

    def row_weights(self) -> None:
        rows = self.several
        for count in (2, 0):
            times = np.ones(rows.n, dtype=int)
            times[self.rng.permutation(rows.n)[: rows.n // 2]] = count
            weighted = rows.weighted(rows.weights * times)
            repeated = rows.weighted(rows.weights).taken(np.repeat(np.arange(rows.n), times))
            told = "of rows of weight 2 and of the rows twice" if count else "of rows of weight 0 and without the rows"
            self.same("expect", self.folded(weighted, self.start), self.folded(repeated, self.start), told)

    def blocks(self) -> None:
        whole = self.folded(self.several, self.start)
        for cuts in (2, 5):
            parts = self.folded(self.several, self.start, cuts)
            # Sums add up by themselves: what differs is what was summed.
            method = "expect" if isinstance(parts, Sums) else f"expect().merge of {type(parts).__name__}"
            self.same(method, whole, parts, f"of the rows in one block and in {cuts}")

    def merge(self) -> None:
        first, second, third = (self.expect(self.start, block) for block in self.several.blocks(3))
        method = f"expect().merge of {type(first).__name__}"
        both = self.suite.pure(method, lambda a, b: a.merge(b), first, second)
        other = second.merge(third)
        self.same(method, both.merge(third), first.merge(other), "of (a + b) + c and a + (b + c)")

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
            if abs(total - loglik) > ROUNDING * max(abs(loglik), self.total):
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
            inner, inner_error = gradient(self.complete_at(statistics), params.to_free(), self.unit)
            self.flat(
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
        drawn = self.suite.call("sample", self.model.sample, self.start, DRAWS, self.rng)
        rows = as_rows(drawn[0] if isinstance(drawn, tuple) else drawn)
        if rows.n != DRAWS:
            raise self.suite.blame("sample", f"drew {rows.n} rows; expected {DRAWS}")
        missing = set(self.rows.arrays) - set(rows.arrays)
        if missing:
            return f"the draws have no {', '.join(sorted(missing))}"
        (block,) = rows.blocks(1)

        def row_loglik(params: Parameters) -> Array:
            return np.asarray(self.suite.call("row_loglik", self.model.row_loglik, params, block))

        check_scores(self.suite, row_loglik, self.start, self.unit, "its draws do not follow the density of row_loglik")
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
            if not np.allclose(value, np.asarray(own[name])[order], rtol=ROUNDING, atol=0):
                raise self.suite.blame(
                    "permuted",
                    f"made {shown(value)} of '{name}' = {shown(own[name])}; expected the order {shown(order)}",
                )
        before, after = self.value(self.start), self.value(found)
        if not abs(before - after) <= ROUNDING * max(abs(before), self.total):
            raise self.suite.blame(
                "permuted", f"took the objective from {before:.10g} to {after:.10g}; expected the same in any order"
            )
        return None

    # ------------------------------------------------------------------------------------- the M-step

    def ascent(self) -> None:
        for params in self.points():
            before = self.value(params)
            for number in range(_STEPS * len(self.model.stages)):
                found = self.follow(params, number)
                after = math.nan if found is None else self.value(found)
                if found is None or (number > 0 and math.isnan(after)):
                    break
                params = found
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
            slope, error = gradient(self.complete_at(statistics), top.to_free(), self.unit)
            self.flat("maximize", slope, error, "complete still has a slope where the M-step ends")
        return "M-steps are partial: that Q does not fall was checked" if in_parts else None

    def fixed_point(self) -> str | None:
        params, stages = self.start, len(self.model.stages)
        first = last = math.nan
        for number in range(_MANY_STEPS):
            here = params.to_free()
            for stage in range(stages):
                found = self.follow(params, number * stages + stage)
                if found is None:
                    return "EM leaves the region where the density exists: its likelihood may have no bound"
                params = found
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
        self.flat(
            "maximize",
            slope,
            error + 100.0 * last * max(steepness, self.total),
            "EM comes to rest where the objective still has a slope, so that the M-step maximises something else, or "
            "not everything",
        )
        return None


def _name(method: Any) -> str:
    return str(getattr(method, "__name__", "expect"))
