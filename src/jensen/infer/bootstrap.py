"""The bootstrap (Efron 1979): refit to data drawn anew, again and again, and see how much the parameters move.

Every draw is refitted from the fit's own parameters, by the same solver, and its components are matched to the fit's
before anything is averaged. Where that cannot be done, what depends on labels is refused.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.information import entry_names, told_entries
from jensen.core.model import Checked
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.data.pool import single_threaded_blas
from jensen.errors import InputError, JensenWarning, NumericalFailure
from jensen.infer.matching import depends_on_labels, matcher
from jensen.infer.resampling import BootstrapKind, Resample, resampling
from jensen.infer.standard_errors import NOT_IDENTIFIED, ON_BOUNDARY, Estimate
from jensen.numerics.streams import fresh_seed, stream
from jensen.solve.loop import Limits, run
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Plain

if TYPE_CHECKING:
    from jensen.fit.record import Fit

LABELS_LOST = "labels cannot be matched"
# Of all draws, how many may have another assignment about as good, or fail, before it is said aloud.
_BEARABLE = 0.05
_SHOWN = 60
# Nats that a refit may leave: sqrt(2e-5) is half a hundredth of a standard error.
_TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """What became of the parameters in the bootstrap's draws; ``bootstrap["name"]`` has the parameter's shape.

    Attributes
    ----------
    params : Parameters
        The estimate: the fit's parameters.
    kind : {"parametric", "nonparametric"}
        Draws from the model, or of the rows.
    seed : int
        Draw b came from the stream (seed, "bootstrap", b).
    n_draws : int
        Draws that were asked for.
    draws : ndarray of shape (B, P)
        Natural entries of every draw used, components matched.
    entries : tuple of str
        Names of the P entries.
    values : mapping of str to ndarray
        Standard errors by parameter, in natural shapes; NaN where they are refused.
    covariance : ndarray of shape (P, P)
        Between the entries over the draws; NaN where refused.
    refused : mapping of str to str
        Entries without figures, and why.
    combinations : tuple of Estimate
        What the model declares as ``identified``.
    failed : mapping of str to int
        Draws that were not used, by reason.
    matched_by : str
        What components were matched by; empty if there was nothing to match.
    relabelled : int
        Draws whose components were given other numbers.
    ambiguous : int
        Draws in which another assignment was about as good.
    notes : tuple of str
        What a user should know, each in a sentence.
    """

    params: Parameters
    kind: BootstrapKind
    seed: int
    n_draws: int
    draws: Array = field(repr=False)
    entries: tuple[str, ...] = field(repr=False)
    values: Mapping[str, Array]
    covariance: Array = field(repr=False)
    refused: Mapping[str, str]
    combinations: tuple[Estimate, ...]
    failed: Mapping[str, int]
    matched_by: str
    relabelled: int
    ambiguous: int
    notes: tuple[str, ...]
    _refusal: Callable[[Callable[[Parameters], Any]], str] = field(repr=False)

    def __getitem__(self, name: str) -> Array:
        return self.values[name]

    def __repr__(self) -> str:
        title = f"{self.kind.capitalize()} bootstrap, {self.n_used} of {self.n_draws} draws used, seed {self.seed}"
        rows = [(c.name, f"{float(c.value):.6g}", c.reason or f"{c.standard_error:.4g}", "") for c in self.combinations]
        return "\n".join([title, *self.confint()._lines(rows), *(f"Note: {note}" for note in self.notes)])

    @property
    def n_used(self) -> int:
        """Draws that were used."""
        return len(self.draws)

    def confint(self, level: float = 0.95) -> PercentileIntervals:
        """Percentile intervals of every entry (Efron 1981): quantiles of the draws.

        Parameters
        ----------
        level : float, default=0.95
            Coverage, between 0 and 1.

        Raises
        ------
        InputError
            If the level is none.
        """
        if not (isinstance(level, int | float) and 0.0 < level < 1.0):
            raise InputError(f"level must be a number between 0 and 1, such as 0.95, got {level!r}")
        ends = np.quantile(self.draws, [0.5 * (1.0 - level), 0.5 * (1.0 + level)], axis=0)
        ends[:, [name in self.refused for name in self.entries]] = np.nan
        lower, upper = (_shaped(end, self.params) for end in ends)
        return PercentileIntervals(self, level, lower, upper)

    def standard_error_of(self, function: Callable[[Parameters], Any], name: str | None = None) -> Estimate:
        """A function of the parameters with its standard error over the draws.

        Parameters
        ----------
        function : callable (Parameters) -> float or ndarray
            Such as ``lambda params: params["rates"][1] - params["rates"][0]``; it need not be smooth.
        name : str, optional
            What to call it.

        Raises
        ------
        InputError
            If it is not callable.
        """
        if not callable(function):
            raise InputError(f"function must be callable with the parameters, got {function!r}")
        value = np.asarray(function(self.params), dtype=np.float64)
        told = str(getattr(function, "__name__", "function")) if name is None else name
        reason = self._refusal(function)
        over = [np.asarray(function(_record(draw, self.params)), dtype=np.float64) - value for draw in self.draws]
        errors = np.full(value.shape, np.nan) if reason else np.std(over, axis=0, ddof=1)
        if value.ndim == 0:
            return Estimate(told, float(value), float(errors), reason)
        return Estimate(told, value, errors, reason)


@dataclass(frozen=True, eq=False)
class PercentileIntervals:
    """Percentile intervals by parameter; ``intervals["name"]`` has the parameter's shape and a last axis of two.

    Attributes
    ----------
    bootstrap : Bootstrap
        Where they come from.
    level : float
        Coverage.
    lower, upper : mapping of str to ndarray
        Ends by parameter, in natural shapes; NaN where they are refused.
    """

    bootstrap: Bootstrap
    level: float
    lower: Mapping[str, Array]
    upper: Mapping[str, Array]

    def __getitem__(self, name: str) -> Array:
        return np.stack([self.lower[name], self.upper[name]], axis=-1)

    def __repr__(self) -> str:
        return "\n".join([f"{100 * self.level:g} % percentile intervals", *self._lines([])])

    def _lines(self, more: list[tuple[str, str, str, str]]) -> list[str]:
        """A table of estimates, standard errors and intervals."""
        found, told = self.bootstrap, told_entries(self.bootstrap.params.domains)
        value, error, low, high = (_flat(of) for of in (found.params.values, found.values, self.lower, self.upper))
        rows = [
            (name, f"{value[i]:.6g}", *self._told(name, error[i], low[i], high[i]))
            for i, name in enumerate(found.entries)
            if told[i]
        ] + more
        table = [("", "estimate", "standard error", f"{100 * self.level:g} % of draws"), *rows[:_SHOWN]]
        widths = [max(len(row[i]) for row in table) for i in range(4)]
        lines = [f"  {a:<{widths[0]}}  {b:>{widths[1]}}  {c:<{widths[2]}}  {d}".rstrip() for a, b, c, d in table]
        return lines + ([f"  ... and {len(rows) - _SHOWN} more"] if len(rows) > _SHOWN else [])

    def _told(self, name: str, error: float, low: float, high: float) -> tuple[str, str]:
        reason = self.bootstrap.refused.get(name, "")
        return (reason, "") if reason else (f"{error:.4g}", f"{low:.6g} to {high:.6g}")


def bootstrap(fit: Fit, n_draws: int = 400, kind: BootstrapKind = "parametric", seed: int | None = None) -> Bootstrap:
    """The bootstrap of a fit; see `jensen.fit.record.Fit.bootstrap`."""
    if not (isinstance(n_draws, int | np.integer) and not isinstance(n_draws, bool) and n_draws >= 2):
        raise InputError(f"n_draws must be an integer of at least 2, got {n_draws!r}")
    if kind not in get_args(BootstrapKind):
        raise InputError(f"kind must be 'parametric' or 'nonparametric', got {kind!r}")
    if seed is not None and not (isinstance(seed, int | np.integer) and seed >= 0):
        raise InputError(f"seed must be an integer of at least 0 or None, got {seed!r}")
    seed = fresh_seed() if seed is None else int(seed)
    refits = _Refits(fit)
    with single_threaded_blas(), np.errstate(all="ignore"):
        refits.draw(resampling(kind, fit.model, fit.params, fit.source), int(n_draws), seed)
    if len(refits.draws) < 2:
        raise NumericalFailure(f"fewer than two draws could be refitted: {_counted(refits.failed)}")
    return _summarised(fit, refits, int(n_draws), kind, seed)


class _Refits:
    """The draws of one bootstrap as they come."""

    def __init__(self, fit: Fit) -> None:
        self.fit, self.model = fit, Checked(fit.model)
        self.variant = fit.variant or Plain()
        self.match, self.matched_by = matcher(fit.model, fit.source, fit.params)
        self.draws, self.failed = list[Array](), Counter[str]()
        self.relabelled = self.ambiguous = 0
        self.interrupted = False

    def draw(self, resample: Resample, n_draws: int, seed: int) -> None:
        """Make the draws, until all are made or a person interrupts."""
        try:
            for index in range(n_draws):
                found = self._refit(resample(stream(seed, "bootstrap", index)))
                if self.interrupted:
                    return
                if isinstance(found, str):
                    self.failed[found] += 1
                else:
                    self.draws.append(_flat(self._labelled(found).values))
        except KeyboardInterrupt:
            self.interrupted = True
            if len(self.draws) < 2:
                raise

    def _refit(self, source: Any) -> Parameters | str:
        """The parameters of a draw, or why there are none."""
        rule = AitkenRule(source.weight, tol=max(_TOLERANCE, 1e-9 * source.weight))
        try:
            cut = self.variant.source(source)
            result = run(self.variant.solver(self.model, rule), cut, self.fit.params, rule, Limits())
        except (NumericalFailure, FloatingPointError, np.linalg.LinAlgError):
            return "without a density at the fit's parameters"
        if result.status is Status.INTERRUPTED:
            self.interrupted = True
            if len(self.draws) < 2:
                raise KeyboardInterrupt
            return "interrupted"
        if result.status is Status.DEGENERATE or not result.params.is_finite:
            return "degenerate"
        faults = getattr(self.fit.model, "faults", None)
        if faults is not None and faults(result.params, result.statistics):
            return "degenerate"
        return result.params if result.status.is_converged else "not converged"

    def _labelled(self, params: Parameters) -> Parameters:
        """The parameters with their components in the fit's order."""
        if self.match is None:
            return params
        match = self.match(params)
        self.ambiguous += match.is_ambiguous
        self.relabelled += not match.is_identity
        permuted: Parameters = params if match.is_identity else self.fit.model.permuted(params, match.order)
        return permuted


def _summarised(fit: Fit, refits: _Refits, n_draws: int, kind: BootstrapKind, seed: int) -> Bootstrap:
    names, draws = entry_names(fit.params.domains), np.array(refits.draws)
    refused, notes = _not_known(fit)
    by_label: Callable[..., AnyArray] | None = None
    if refits.ambiguous > _BEARABLE * len(draws):
        by_label = depends_on_labels(fit.model, fit.params, stream(seed, "labels"))
        moved = by_label(lambda params: _flat(params.values))
        refused = {name: LABELS_LOST for name, depends in zip(names, moved, strict=True) if depends} | refused

    def refusal(function: Callable[[Parameters], Any]) -> str:
        if NOT_IDENTIFIED in refused.values() and (known := fit.standard_error_of(function).reason):
            return known
        return LABELS_LOST if by_label is not None and by_label(function).any() else ""

    bad = np.array([name in refused for name in names])
    # About the estimate first, so that what is held has a standard error of exactly 0.
    covariance = np.atleast_2d(np.cov((draws - _flat(fit.params.values)).T))
    covariance[bad] = covariance[:, bad] = np.nan
    loud = _loud_notes(refits, n_draws, LABELS_LOST in refused.values())
    for note in loud:
        warnings.warn(note, JensenWarning, stacklevel=4)
    result = Bootstrap(
        params=fit.params,
        kind=kind,
        seed=seed,
        n_draws=n_draws,
        draws=draws,
        entries=names,
        values=_shaped(np.sqrt(np.diagonal(covariance)), fit.params),
        covariance=covariance,
        refused=refused,
        combinations=(),
        failed=dict(refits.failed),
        matched_by=refits.matched_by,
        relabelled=refits.relabelled,
        ambiguous=refits.ambiguous,
        notes=(*loud, *notes, *_quiet_notes(refits)),
        _refusal=refusal,
    )
    declared: Mapping[str, Any] = getattr(fit.model, "identified", None) or {}
    combinations = tuple(result.standard_error_of(function, name) for name, function in declared.items())
    object.__setattr__(result, "combinations", combinations)
    return result


def _not_known(fit: Fit) -> tuple[dict[str, str], list[str]]:
    """Entries that the likelihood does not tell, or that cannot move, and notes.

    Refits that begin at the estimate stay where they are along a flat direction: they would make it look known.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", JensenWarning)
            errors = fit.standard_errors()
    except (InputError, NumericalFailure, np.linalg.LinAlgError) as error:
        return {}, [f"whether the parameters are identified was not checked: {error}"]
    known = (NOT_IDENTIFIED, ON_BOUNDARY)
    refused = {name: reason for name, reason in errors.refused.items() if reason in known}
    flat = [name for name, reason in refused.items() if reason == NOT_IDENTIFIED]
    told = f"{', '.join(flat[:6])}{', ...' if len(flat) > 6 else ''}"
    return refused, [f"the likelihood is flat along {told}: see fit.identifiability()"] if flat else []


def _loud_notes(refits: _Refits, n_draws: int, lost: bool) -> list[str]:
    found, used, failed = list[str](), len(refits.draws), sum(refits.failed.values())
    if lost:
        found.append(
            f"the components cannot be matched: in {refits.ambiguous} of {used} draws another assignment agrees about "
            f"as well with the fit, by {refits.matched_by}. Figures that depend on labels are refused: fit fewer "
            "components, or ask for functions that do not depend on labels by standard_error_of"
        )
    if failed > _BEARABLE * (used + failed):
        found.append(
            f"{failed} of {used + failed} draws were left out ({_counted(refits.failed)}): the others are no fair "
            "sample, and standard errors are likely too small"
        )
    if refits.interrupted:
        found.append(f"interrupted after {used + failed} of {n_draws} draws")
    return found


def _quiet_notes(refits: _Refits) -> list[str]:
    found, used, failed = list[str](), len(refits.draws), sum(refits.failed.values())
    if 0 < failed <= _BEARABLE * (used + failed):
        found.append(f"{failed} draws were left out ({_counted(refits.failed)})")
    if refits.relabelled:
        found.append(f"in {refits.relabelled} draws components were given other numbers, by {refits.matched_by}")
    # The standard error of a standard deviation of normal draws.
    found.append(f"the standard errors themselves are good to about {100 / np.sqrt(2 * (used - 1)):.2g} %")
    return found


def _counted(failed: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in failed.items())


def _flat(values: Mapping[str, Array]) -> Array:
    return np.concatenate([np.ravel(value) for value in values.values()])


def _shaped(flat: Array, params: Parameters) -> dict[str, Array]:
    """Natural entries (P,) by parameter."""
    ends = np.cumsum([value.size for value in params.values.values()])[:-1]
    parts = np.split(flat, ends)
    return {name: part.reshape(params[name].shape) for name, part in zip(params.values, parts, strict=True)}


def _record(flat: Array, params: Parameters) -> Parameters:
    return Parameters(_shaped(flat, params), params.domains)
