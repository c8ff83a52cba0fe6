"""A diagnosis in prose: how a fit ended, how sure it is, and what a person can do about it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jensen.core.domains import PositiveDefinite, Simplex
from jensen.core.parameters import Parameters
from jensen.errors import InputError, NumericalFailure
from jensen.families.gaussian import Gaussian
from jensen.fit.coinciding import coinciding_components
from jensen.infer.analysis import Analysis
from jensen.infer.identify import Identifiability
from jensen.infer.rate import EMRate

_WIDTH = 80
# A gain still to come below this, in nats, is nothing.
_NOTHING = 1e-4
# A way shorter than this, in standard errors, is none that the data could tell.
_UNSEEN = 0.1
_SLOW, _VERY_SLOW = 0.9, 0.99
# A correlation matrix with an eigenvalue below this is near-singular.
_NEARLY_SINGULAR = 1e-6
# A share that stands for fewer rows than this is tiny.
_FEW_ROWS = 5.0
# Components whose parameters differ by less than this share of their size are one.
_COINCIDENT = 1e-9
_TOLD, _SHOWN = 3, 8


@dataclass(frozen=True)
class Account:
    """What a diagnosis is told of the run.

    Attributes
    ----------
    message : str
        How it ended.
    is_converged : bool
        Whether that is convergence.
    n_iter : int or None
        Iterations, where known.
    faults : tuple of str
        What is degenerate, each in a clause without a full stop.
    extrapolations : tuple of int
        Extrapolated points that were tried, and those that were accepted.
    weight : float
        Weight of the rows, by which shares are judged; infinite if unknown.
    advice : str
        What to do about faults.
    """

    message: str
    is_converged: bool
    n_iter: int | None = None
    faults: tuple[str, ...] = ()
    extrapolations: tuple[int, int] = (0, 0)
    weight: float = np.inf
    advice: str = "Try fewer components, a simpler model, or other starts"


@dataclass(frozen=True)
class Finding:
    """One paragraph.

    Attributes
    ----------
    topic : str
        What it is about.
    text : str
        Whole sentences.
    is_serious : bool
        Whether the result should not be used before something is done about it.
    """

    topic: str
    text: str
    is_serious: bool = False


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What a person should know of a fit; prints as short paragraphs.

    Attributes
    ----------
    findings : tuple of Finding
        The paragraphs.
    identifiability : Identifiability or None
        The report behind them; None where the information could not be had.
    rate : EMRate or None
        EM's rate, likewise.
    to_gain : float or None
        What the objective gained when the fit was run on to a score of zero, in nats.
    """

    findings: tuple[Finding, ...]
    identifiability: Identifiability | None = field(default=None, repr=False)
    rate: EMRate | None = field(default=None, repr=False)
    to_gain: float | None = None

    @property
    def is_sound(self) -> bool:
        """Whether nothing serious was found."""
        return not any(finding.is_serious for finding in self.findings)

    def __getitem__(self, topic: str) -> str:
        for finding in self.findings:
            if finding.topic == topic:
                return finding.text
        raise KeyError(topic)

    def __repr__(self) -> str:
        found = "sound" if self.is_sound else "serious"
        return f"Diagnosis({found}: {', '.join(finding.topic for finding in self.findings)})"

    def _repr_html_(self) -> str:
        from jensen.report.printed import diagnosis_card

        return diagnosis_card(self).html()

    def __str__(self) -> str:
        lines = [
            textwrap.fill(f"{finding.topic}: {finding.text}", _WIDTH, subsequent_indent="  ", break_on_hyphens=False)
            for finding in self.findings
        ]
        return "\n".join(lines)


def diagnose(analysis: Analysis, account: Account) -> Diagnosis:
    """Look at a fit from every side.

    Parameters
    ----------
    analysis : Analysis
        Of the fit.
    account : Account
        How the run went.
    """
    findings = [_end(account)]
    tried, accepted = account.extrapolations
    if accepted:
        findings.append(
            Finding(
                "acceleration",
                f"The run took {accepted} of {tried} extrapolated points, none of which lowered the objective. They "
                "may lead to another optimum than plain EM's: accelerate='off' from the same start tells.",
            )
        )
    report = rate = to_gain = None
    try:
        rest = analysis.rest
    except (InputError, NumericalFailure, np.linalg.LinAlgError) as error:
        findings.append(Finding("information", f"It could not be had: {error}."))
    else:
        findings.append(_gain(analysis, account.is_converged))
        # Rank and rate belong to a point of zero score.
        if rest.is_zero:
            to_gain, report, rate = rest.gained, analysis.identifiability, analysis.rate
            findings += _rate(rate, report)
            findings += _identified(report)
            findings += _boundary(report)
    grave = (*account.faults, *near_degenerate(analysis.model, analysis.params))
    # Where the model has named components that rest on few rows, their shares need not be named again.
    faults = grave if account.faults else (*grave, *tiny_shares(analysis.params, account.weight))
    if faults:
        told = "; ".join(faults[:_TOLD]) + (f"; and {len(faults) - _TOLD} more" if len(faults) > _TOLD else "")
        findings.append(Finding("components", f"{told[:1].upper()}{told[1:]}. {account.advice}.", bool(grave)))
    return Diagnosis(tuple(findings), report, rate, to_gain)


def _end(account: Account) -> Finding:
    plural = "" if account.n_iter == 1 else "s"
    took = "" if account.n_iter is None else f" ({account.n_iter} iteration{plural})"
    return Finding("end", f"{account.message[:1].upper()}{account.message[1:]}{took}.", not account.is_converged)


def _gain(analysis: Analysis, is_converged: bool) -> Finding:
    rest = analysis.rest
    if not rest.is_zero:
        advice = (
            "The plain log-likelihood, without a penalty such as reg_covar, may have no maximum near here: use fewer "
            "components or a simpler model."
            if is_converged
            else "Fit on: it is far from an optimum, or the likelihood grows without bound."
        )
        return Finding("to gain", f"No point of zero score was reached from here ({rest.reason}). {advice}", True)
    if rest.gained < _NOTHING and rest.distance < 0.01:
        return Finding("to gain", "Nothing: the score is zero, to all that matters.")
    if rest.distance < _UNSEEN:
        advice = "That is less than the data can tell."
    elif is_converged:
        advice = (
            "The run had converged, but what it climbed is not the plain log-likelihood: there is a penalty such as "
            "reg_covar, or the bound of its solver. Standard errors are those of the plain maximum."
        )
    else:
        advice = "Fit on."
    return Finding(
        "to gain",
        f"Running on to a score of zero gains {rest.gained:.3g} nats and moves the parameters by {rest.distance:.2g} "
        f"standard errors. {advice}",
        rest.distance >= 1.0 and not is_converged,
    )


def _rate(rate: EMRate, report: Identifiability) -> Iterator[Finding]:
    if report.rank < report.n_free:
        # The eigenvalue of 1 says that a direction is flat; EM does not move along it.
        inner = np.sort(1.0 - report.shares[report.shares > report.threshold])
        if inner.size == 0 or rate.eigenvalues.size < report.n_free:
            return
        overall = float(rate.eigenvalues[report.n_free - report.rank])
    else:
        overall = rate.overall
    if not 0.0 < overall < 1.0:
        return
    if overall < 1e-3:
        yield Finding("rate", "Next to no information is missing: EM is done in a few iterations.")
        return
    per_digit = -1.0 / np.log10(overall)
    text = f"{100 * overall:.3g} % of the information is missing in the direction where most is"
    text += (
        f", so that plain EM takes {per_digit:.0f} iterations for each decimal digit."
        if per_digit >= 1.5
        else (", so that plain EM gains a decimal digit or more in each iteration.")
    )
    if overall > _VERY_SLOW:
        text += " That is very slow: trust no stopping rule that looks at single gains, and accelerate."
    elif overall > _SLOW:
        text += " That is slow: acceleration pays."
    yield Finding("rate", text)


def _identified(report: Identifiability) -> Iterator[Finding]:
    if not report.is_maximum:
        yield Finding(
            "identifiability",
            "The fit is at a saddle, not at a maximum: some direction leads upwards, and EM stays only because its "
            "start was symmetric. Start elsewhere.",
            True,
        )
    elif report.n_free == 0:
        yield Finding("identifiability", "No parameter is free.")
    elif report.rank == report.n_free:
        all_of_them = "The one free parameter is" if report.n_free == 1 else f"All {report.n_free} free parameters are"
        yield Finding("identifiability", f"{all_of_them} identified by the data; information: {report.method}.")
    else:
        told = [f"{direction}." for direction in report.flat[:_TOLD]]
        if len(report.flat) > _TOLD:
            told.append(f"There are {len(report.flat) - _TOLD} more such directions.")
        known = [f"What the data do tell: {combination}." for combination in report.combinations]
        text = (
            f"The information has rank {report.rank} of {report.n_free}: where the fit ended depends on where it "
            "began. "
            + " ".join(told + known)
            + " Standard errors along such directions are refused. Fix a parameter, or report what is identified."
        )
        yield Finding("identifiability", text, True)


def _boundary(report: Identifiability) -> Iterator[Finding]:
    if report.held:
        who = f"{', '.join(report.held[:_SHOWN])}{', ...' if len(report.held) > _SHOWN else ''}"
        who += " is" if len(report.held) == 1 else " are"
        yield Finding(
            "boundary",
            f"{who} on the boundary and held fixed: no standard error there, and the usual tests do not "
            "hold. EM never leaves a boundary; if the start put it there, start inside.",
        )


def tiny_shares(params: Parameters, weight: float) -> tuple[str, ...]:
    """Shares of a simplex that stand for few of the rows' weight, each in a clause."""
    return tuple(
        f"{name}[{k}] stands for only {params[name][k] * weight:.2g} rows"
        for name, domain in params.domains.items()
        if isinstance(domain, Simplex)
        for k in np.flatnonzero(params[name] * weight < min(_FEW_ROWS, 0.5 * weight / domain.n_shares))
    )


def near_degenerate(model: Any, params: Parameters) -> tuple[str, ...]:
    """Near-singular matrices and coinciding components, each in a clause."""
    found = list[str]()
    for name, domain in params.domains.items():
        if isinstance(domain, PositiveDefinite):
            found += _near_singular(name, params[name])
    family = getattr(model, "family", None)
    groups: Sequence[tuple[int, ...]] = (
        coinciding_components(family.layout, params) if isinstance(family, Gaussian) else _coinciding(params)
    )
    found += [f"components {', '.join(map(str, group))} coincide" for group in groups]
    return tuple(found)


def _near_singular(name: str, value: Any) -> Iterator[str]:
    matrices = value.reshape(-1, *value.shape[-2:])
    unit = 1.0 / np.sqrt(np.diagonal(matrices, axis1=1, axis2=2))
    smallest = np.linalg.eigvalsh(matrices * unit[:, :, None] * unit[:, None, :])[:, 0]
    for k in np.flatnonzero(smallest < _NEARLY_SINGULAR):
        index = np.unravel_index(k, value.shape[:-2]) if value.ndim > 2 else ()
        where = f"[{', '.join(str(int(i)) for i in index)}]" if index else ""
        yield f"{name}{where} is nearly singular: its columns are almost dependent"


def _coinciding(params: Parameters) -> list[tuple[int, int]]:
    """Pairs of components that are one: every parameter with an entry for each share is the same in both."""
    shares = [domain for domain in params.domains.values() if isinstance(domain, Simplex)]
    if len(shares) != 1 or shares[0].n_shares < 2:
        return []
    k = shares[0].n_shares
    stacked = [
        params[name].reshape(k, -1)
        for name, domain in params.domains.items()
        if not isinstance(domain, Simplex) and domain.shape[:1] == (k,) and domain.size
    ]
    if not stacked:
        return []
    pairs = list[tuple[int, int]]()
    scales = [np.abs(values).max(axis=0) + np.finfo(np.float64).tiny for values in stacked]
    for first in range(k):
        for second in range(first + 1, k):
            gaps = [(np.abs(v[first] - v[second]) / s).max() for v, s in zip(stacked, scales, strict=True)]
            if max(gaps) < _COINCIDENT:
                pairs.append((first, second))
    return pairs
