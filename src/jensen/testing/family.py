"""Does a family of components do what its contract says, and are its short cuts equal to the long way?"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, get_args

import numpy as np

from jensen.core.block import AnyArray, Array, Block
from jensen.core.contracts import RowPass
from jensen.core.domains import Simplex
from jensen.core.parameters import Parameters
from jensen.errors import InputError
from jensen.numerics.logspace import normalise_logs
from jensen.testing.data import Rows, as_rows
from jensen.testing.differences import gradient, moved, units
from jensen.testing.domains import check_domains
from jensen.testing.report import Report, Suite, shown
from jensen.testing.scores import DRAWS, check_scores, free_names

FAMILY_CHECKS = (
    "domains",
    "repeatable",
    "log_density",
    "log_penalty",
    "statistics",
    "maximize",
    "sample",
    "fused",
    "rows",
    "burst",
    "by_component",
    "faults",
)
_INNER, _CLOSE, _FLAT = 200, 1e-8, 1e-5


def check_family(
    family: Any,
    x: Any,
    params: Any,
    *,
    sample_weight: Any = None,
    rng: np.random.Generator | int | None = 0,
    skip: Collection[str] = (),
) -> Report:
    """Check that a component family keeps its contract, on rows and parameters that are typical for it.

    The density must be that of the draws; statistics must add up over blocks; the M-step must climb to where
    sum_ik r_ik (log f_k(x_i) - penalty_k) has no slope; and fused passes and bursts must equal their parts.

    Parameters
    ----------
    family : Family
        What is checked.
    x : array-like of shape (n,) or (n, d), mapping of row-aligned arrays, or Source
        Some tens to hundreds of rows.
    params : mapping of str to array-like, or Parameters
        The family's parameters, inside their domains.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.
    rng : Generator or int, default=0
        Where shares, random points and draws come from.
    skip : collection of str, default=()
        Checks to leave out, by the names in ``FAMILY_CHECKS``.

    Returns
    -------
    Report

    Raises
    ------
    ConformanceError
        At the first fault; it names the method, and says what was found and what was expected.
    InputError
        If the rows or the parameters are unusable.
    """
    suite = Suite(family, FAMILY_CHECKS, skip)
    suite.require("family", "n_components", "domains", *FAMILY_CHECKS[2:])
    start = params if isinstance(params, Parameters) else Parameters(params, family.domains)
    start.check()
    checks = _Checks(suite, family, as_rows(x, sample_weight), start, np.random.default_rng(rng))
    return suite.run(checks)


class _Checks:
    """The checks, each a method under its name: None if it passed, or why it could not be made."""

    def __init__(self, suite: Suite, family: Any, rows: Rows, start: Parameters, rng: np.random.Generator) -> None:
        self.suite, self.family, self.rows_, self.start, self.rng = suite, family, rows, start, rng
        self.block, self.k, self.n = rows.blocks(1)[0], int(family.n_components), rows.n
        # Shares of rows, weights included; every component has some of each row.
        self.shares = rng.dirichlet(np.ones(self.k), self.n) * rows.weights[:, None]
        self.total = float(self.shares.sum())
        if not math.isfinite(self.value(start)):
            raise InputError("the density at params is not finite; take parameters where it is")
        self.unit = units(self.at(self.value), start.to_free(), self.total)

    def value(self, params: Parameters, block: Block | None = None) -> float:
        """What the M-step maximises: sum_ik r_ik (log f_k(x_i) - penalty_k)."""
        density = self.density(params, self.block if block is None else block)
        return float((self.shares * (density - self.penalty(params))).sum())

    def at(self, function: Callable[[Parameters], float]) -> Callable[[Array], float]:
        return lambda free: function(self.start.from_free(free))

    def density(self, params: Parameters, block: Block) -> Array:
        found = np.asarray(self.suite.call("log_density", self.family.log_density, params, block))
        if found.shape != (block.n_rows, self.k):
            raise self.suite.blame(
                "log_density", f"has the shape {found.shape}; expected (n, K) = ({block.n_rows}, {self.k})"
            )
        return found

    def penalty(self, params: Parameters) -> Array:
        return np.asarray(self.suite.call("log_penalty", self.family.log_penalty, params))

    def top(self, params: Parameters, statistics: Any) -> Parameters:
        """The M-step, as a record."""
        found = self.suite.call("maximize", self.family.maximize, params, statistics)
        try:
            record = params.replace(**found)
        except (TypeError, InputError) as error:
            raise self.suite.blame("maximize", f"returned no parameters of the family: {error}") from error
        for name, domain in record.domains.items():
            fault = domain.check(record[name])
            if fault is not None:
                raise self.suite.blame(
                    "maximize", f"returned '{name}' = {shown(record[name])} outside its domain: {fault}"
                )
        return record

    # ------------------------------------------------------------------------------------- parts

    def domains(self) -> None:
        check_domains(self.suite, self.start, self.unit, self.rng)

    def repeatable(self) -> None:
        suite, family, start, block = self.suite, self.family, self.start, self.block
        suite.pure("log_density", family.log_density, start, block)
        suite.pure("log_penalty", family.log_penalty, start)
        statistics = suite.pure("statistics", family.statistics, start, block, self.shares)
        suite.pure("maximize", family.maximize, start, statistics)
        suite.pure("fused", family.fused, start, self._logs(), block)

    def log_density(self) -> None:
        whole = self.density(self.start, self.block)
        parts = [self.density(self.start, block) for block in self.rows_.blocks(3)]
        if not _close(np.concatenate(parts), whole):
            raise self.suite.blame("log_density", "of a row depends on the rows beside it; expected each row by itself")
        unweighted = self.density(self.start, self.rows_.weighted(None).blocks(1)[0])
        if not _close(unweighted, whole):
            raise self.suite.blame("log_density", "depends on the weights of the rows; expected the plain density")

    def log_penalty(self) -> None:
        found = self.penalty(self.start)
        if found.shape != (self.k,) or not np.isfinite(found).all():
            raise self.suite.blame("log_penalty", f"returned {shown(found)}; expected ({self.k},) finite numbers")

    def statistics(self) -> None:
        whole = self.family.statistics(self.start, self.block, self.shares)
        counts = np.asarray(whole.counts)
        if counts.shape != (self.k,) or not _close(counts, self.shares.sum(axis=0)):
            raise self.suite.blame(
                "statistics", f"has the counts {shown(counts)}; expected the sums {shown(self.shares.sum(axis=0))}"
            )
        for cuts in (2, 5):
            blocks = self.rows_.blocks(cuts)
            parts = [
                self.family.statistics(self.start, b, self.shares[b.first_row : b.first_row + b.n_rows]) for b in blocks
            ]
            merged = parts[0]
            for part in parts[1:]:
                merged = merged.merge(part)
            self._same("statistics().merge", whole, merged, f"of the rows in one block and in {cuts}")
        order = self.rng.permutation(self.n)
        shuffled = self.family.statistics(self.start, self.rows_.taken(order).blocks(1)[0], self.shares[order])
        self._same("statistics", whole, shuffled, "of the rows shuffled")
        twice = self.family.statistics(self.start, self.block, 2.0 * self.shares)
        self._same("statistics", twice, whole.merge(whole), "of shares twice as large and of the rows twice")

    def maximize(self) -> None:
        for params in (self.start, moved(self.start, self.unit, self.rng)):
            before = self.value(params)
            # One M-step is the maximum of most families; those with inner latents climb to it in several.
            for _ in range(_INNER):
                found = self.top(params, self.family.statistics(params, self.block, self.shares))
                after = self.value(found)
                if not after >= before - 1e-10 * max(abs(before), self.total):
                    raise self.suite.blame(
                        "maximize",
                        f"took the expected log-density, less the penalty, from {before:.10g} to {after:.10g}; "
                        "expected no fall",
                    )
                step = np.abs((found.to_free() - params.to_free()) / self.unit).max()
                params, before = found, after
                if step <= 1e-9:
                    break
            slope, error = gradient(self.at(self.value), params.to_free(), self.unit)
            excess = np.abs(slope) - (_FLAT * self.total + 10.0 * error)
            worst = int(np.argmax(np.where(np.isfinite(excess), excess, np.inf)))
            if not excess[worst] <= 0.0:
                raise self.suite.blame(
                    "maximize",
                    "the expected log-density, less the penalty, still has a slope where the M-step ends: "
                    f"{slope[worst]:.6g} along {free_names(self.start)[worst]}; expected 0",
                )

    def sample(self) -> None:
        for component in range(self.k):
            self._sample(component)

    def _sample(self, component: int) -> None:
        seed, width = int(self.rng.integers(2**31)), self.block.x.shape[1]
        draw = partial(self.suite.call, "sample", self.family.sample, self.start, component)
        drawn, none = np.asarray(draw(DRAWS, np.random.default_rng(seed))), np.asarray(draw(0, self.rng))
        if drawn.shape != (DRAWS, width) or none.shape != (0, width):
            raise self.suite.blame(
                "sample", f"drew the shapes {drawn.shape} and {none.shape}; expected {(DRAWS, width)} and {(0, width)}"
            )
        if drawn.tobytes() != np.asarray(draw(DRAWS, np.random.default_rng(seed))).tobytes():
            raise self.suite.blame("sample", "gave other draws for the same generator; expected all chance from rng")
        (block,) = Rows({"x": drawn.astype(np.float64)}).blocks(1)

        def log_density(params: Parameters) -> Array:
            return self.density(params, block)[:, component]

        fault = f"draws of component {component} do not follow log_density"
        check_scores(self.suite, log_density, self.start, self.unit, fault)

    # ------------------------------------------------------------------------------------- short cuts

    def fused(self) -> str | None:
        logs, found = self._logs(), None
        for rows in (self.rows_, self.rows_.weighted(self.rng.uniform(0.0, 2.0, self.n))):
            (block,) = rows.blocks(1)
            found = self.suite.call("fused", self.family.fused, self.start, logs, block)
            if found is None:
                return "the family has no fused pass here"
            statistics, loglik = found
            by_parts, expected = self._by_parts(self.start, logs, block)
            if not abs(loglik - expected) <= _CLOSE * max(abs(expected), self.total):
                raise self.suite.blame("fused", f"has the log-likelihood {loglik:.10g}; its parts have {expected:.10g}")
            self._same("fused", by_parts, statistics, "of the fused pass and of its parts")
        return None

    def rows(self) -> str | None:
        logs, made = self._logs(), 0
        joint = (self.density(self.start, self.block) + logs).T.copy()
        labels, peak = joint.argmax(axis=0), joint.max(axis=0)
        loglik = normalise_logs(joint)
        expected = {"density": np.stack([loglik, peak]), "responsibilities": joint.T, "labels": labels}
        for wanted in get_args(RowPass):
            found = self.suite.call("rows", self.family.rows, self.start, logs, self.block, wanted)
            if found is not None:
                made += 1
                if np.shape(found) != expected[wanted].shape or not _close(np.asarray(found), expected[wanted]):
                    raise self.suite.blame("rows", f"for '{wanted}' is not what log_density gives")
        return None if made else "the family has no pass for rows"

    def burst(self) -> str | None:
        if not all([self._burst(equal_weights) for equal_weights in (False, True)]):
            return "the family takes no bursts here"
        return None

    def _burst(self, equal_weights: bool) -> bool:
        """Whether the family takes a burst, which must be single steps, with weights that are n_k / n or stay equal."""
        weights = np.full(self.k, 1.0 / self.k)
        domains = {"weights": Simplex(self.k), **self.family.domains}
        params = Parameters({"weights": weights, **self.start.values}, domains)
        log_prior = getattr(self.family, "log_prior", lambda params: 0.0)
        trail = self.suite.call("burst", self.family.burst, params, None, self.block, 3, equal_weights)
        if trail is None:
            return False
        marks = np.asarray(trail.marks)[: int(trail.done) + 1]
        if marks.shape != (int(trail.done) + 1, 3) or (marks[:, [0, 2]] != 1.0).any() or any(trail.extrapolations):
            raise self.suite.blame("burst", "has marks that are not those of plain steps, though none may leap")
        for step in range(min(4, int(trail.done) + 1)):
            statistics, expected = self._by_parts(params, np.log(params["weights"]), self.block)
            expected += float(log_prior(params))
            reached, moments = self.suite.call("on_trail", self.family.on_trail, params, trail, step)
            if not abs(trail.objective[step] - expected) <= _CLOSE * max(abs(expected), self.total):
                raise self.suite.blame(
                    "burst",
                    f"has the objective {trail.objective[step]:.10g} after step {step}; single steps {expected:.10g}",
                )
            if not all(_close(reached[name], params[name]) for name in params.domains):
                raise self.suite.blame("burst", f"is at other parameters after step {step} than single steps")
            self._same("on_trail", statistics, moments, f"after step {step} and of a single step")
            counts = np.asarray(statistics.counts)
            params = self.top(params, statistics).replace(weights=weights if equal_weights else counts / counts.sum())
        return True

    def by_component(self) -> None:
        found = self.suite.call("by_component", self.family.by_component, self.start)
        alike = int(getattr(self.family, "n_alike", self.k))
        wrong = [name for name, value in found.items() if np.shape(value)[:1] != (alike,)]
        if wrong:
            raise self.suite.blame("by_component", f"returned '{wrong[0]}' not along ({alike}, ...)")

    def faults(self) -> None:
        statistics = self.family.statistics(self.start, self.block, self.shares)
        found = self.suite.call("faults", self.family.faults, self.start, statistics)
        if not isinstance(found, tuple) or not all(isinstance(fault, str) for fault in found):
            raise self.suite.blame("faults", f"returned {found!r}; expected a tuple of sentences")

    # ------------------------------------------------------------------------------------- comparing

    def _logs(self) -> Array:
        shares = np.arange(1.0, self.k + 1.0)
        return np.asarray(np.log(shares / shares.sum()))

    def _by_parts(self, params: Parameters, logs: Array, block: Block) -> tuple[Any, float]:
        joint = (self.density(params, block) - self.penalty(params) + logs).T.copy()
        loglik = normalise_logs(joint)
        statistics = self.family.statistics(params, block, joint.T * block.weights[:, None])
        return statistics, float(block.weights @ loglik)

    def _same(self, method: str, one: Any, other: Any, what: str) -> None:
        """Blame a method where two statistics say different things."""
        pairs = [("counts", np.asarray(one.counts), np.asarray(other.counts))]
        first, second = (self.suite.call("maximize", self.family.maximize, self.start, s) for s in (one, other))
        pairs += [(f"the M-step of '{name}'", first[name], second[name]) for name in first]
        for name, value, found in pairs:
            if not _close(found, value):
                raise self.suite.blame(
                    method, f"the statistics {what} differ in {name}: {shown(value)} against {shown(found)}"
                )


def _close(found: AnyArray, expected: AnyArray) -> bool:
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    return bool((np.abs(found - expected) <= _CLOSE * scale).all())
