"""What a choice among mixtures found: one cell for each number of components with each shape, and the best of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.families.shapes.table import SHAPES, covariance_shape
from jensen.fit.result import MixtureFit

Criterion = Literal["bic", "icl", "aic", "aicc", "caic", "sabic", "heldout"]
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)
CRITERION_NAMES = {
    "bic": "BIC", "icl": "ICL", "aic": "AIC", "aicc": "AICc", "caic": "CAIC", "sabic": "sample-size-adjusted BIC",
    "heldout": "-2 held-out log-likelihood",
}  # fmt: skip
# Cells closer than this: the data do not decide, or barely (Kass & Raftery 1995 on 2 log of a Bayes factor).
UNDECIDED, WEAK = 2.0, 6.0


@dataclass(frozen=True, eq=False)
class Cell:
    """One number of components with one shape, and what became of it.

    Attributes
    ----------
    n_components : int
        K.
    covariance_type : str
        Shape of the covariances, as a fit calls it.
    fit : MixtureFit or None
        The best fit; None if there is none.
    reason : str
        Why there is no fit, or no sound one; empty if there is.
    confirmed : bool
        Whether it was searched as if it were alone, or every start was run to its end; otherwise only the starts that
        all cells get, and a criterion is an upper bound.
    seconds : float
        Wall time spent on the cell.
    source : ArraySource or None
        The rows, for `entropy`, which takes a pass over them.
    heldout : float
        Log-likelihood of the rows when they were held out; NaN where that was not asked for or could not be had.
    """

    n_components: int
    covariance_type: str
    fit: MixtureFit | None = None
    reason: str = ""
    confirmed: bool = False
    seconds: float = 0.0
    source: ArraySource | None = field(default=None, repr=False)
    heldout: float = np.nan

    @classmethod
    def of(cls, k: int, label: str, fit: MixtureFit, seconds: float, source: ArraySource) -> Cell:
        """A cell that has a fit, with what is wrong with it."""
        reason = "" if fit.is_sound else "degenerate: " + "; ".join(fit.faults[:2])
        return cls(k, label, fit, reason, seconds=seconds, source=source)

    @classmethod
    def unreached(cls, k: int, label: str, status: Status) -> Cell:
        """A cell that the search did not come to, since it ended early."""
        return cls(k, label, reason=f"not reached: {status.message.split(':')[0]}")

    @cached_property
    def entropy(self) -> float:
        """-sum_ik w_i r_ik log r_ik, noise as one of the k, without trimmed rows; NaN without a fit."""
        if self.fit is None or self.source is None:
            return np.nan
        fitted, weight = self.fit.fitted, self.source.row_weights
        shares = self.source.collect(fitted.model.responsibilities, fitted.params)
        if fitted.threshold is not None:
            weight = weight * (fitted.row_loglik(self.source.x) >= fitted.threshold)
        logs = np.log(np.maximum(shares, np.finfo(np.float64).tiny))
        return max(-float(weight @ (shares * logs).sum(axis=1)), 0.0)

    @property
    def name(self) -> str:
        """mclust's name of it, such as ``VEV,3``."""
        kind = covariance_shape(self.covariance_type)
        if self.fit is not None and self.fit.n_features == 1:
            return f"{kind.volume},{self.n_components}"
        return f"{kind.name},{self.n_components}"

    @property
    def is_sound(self) -> bool:
        """Whether there is a fit and nothing about it is degenerate."""
        return self.fit is not None and self.fit.is_sound

    @property
    def bic(self) -> float:
        """BIC of the fit, smaller is better; infinite if there is none."""
        return self.value("bic")

    def value(self, criterion: Criterion) -> float:
        """A criterion of the fit, smaller is better; infinite if there is none, or it does not apply."""
        if self.fit is None:
            return np.inf
        if criterion == "heldout":
            return np.inf if np.isnan(self.heldout) else -2.0 * self.heldout
        return float(getattr(self.fit, criterion))


def check_any_fit(cells: Iterable[Cell]) -> None:
    """Refuse a choice among nothing.

    Raises
    ------
    InputError
        If no cell has a fit; the message gives the reasons.
    """
    cells = list(cells)
    if all(cell.fit is None for cell in cells):
        reasons = dict.fromkeys(cell.reason for cell in cells)
        raise InputError(f"no mixture could be fitted: {'; '.join(reasons)}")


@dataclass(frozen=True, eq=False)
class Selection:
    """All cells of a search and the best of them.

    Attributes
    ----------
    cells : tuple of Cell
        By number of components, then shape, in the order asked for.
    status : Status
        CONVERGED when the search ran to its end, else INTERRUPTED or OUT_OF_TIME.
    n_starts : int
        Starts of each cell, besides those that cells give one another.
    seconds : float
        Wall time of the whole search.
    searched : bool
        Whether the leading cells were searched for their best optimum, beyond these starts.
    criterion : str
        What the best has least of.
    warnings : tuple of str
        What was found in the data, and what to do about it.
    linked : bool
        Whether cells went on from those that they contain, so that more freedom never gives less likelihood.
    """

    cells: tuple[Cell, ...]
    status: Status
    n_starts: int
    seconds: float
    searched: bool = False
    criterion: Criterion = "bic"
    warnings: tuple[str, ...] = field(default=())
    linked: bool = True

    @property
    def best_cell(self) -> Cell:
        """The sound cell of the least criterion; if there is none, the degenerate one with fewest faults."""
        return min(self.cells, key=lambda cell: rank(cell, self.criterion))

    @property
    def best(self) -> MixtureFit:
        """The fit of the best cell; ``is_sound`` says whether it is a fit to rely on."""
        fit = self.best_cell.fit
        assert fit is not None
        return fit

    def ranked(self) -> list[Cell]:
        """Sound cells to which the criterion applies, the best first."""
        found = [cell for cell in self.cells if cell.is_sound and np.isfinite(cell.value(self.criterion))]
        return sorted(found, key=lambda cell: cell.value(self.criterion))

    def table(self) -> list[dict[str, str | int | float | bool | None]]:
        """One record for each cell: K, shape, criteria, how the fit ended, time, and why there is none."""
        return [_record(cell) for cell in self.cells]

    def words(self) -> str:
        """What was chosen, and how sure that is, in sentences."""
        ranked, name = self.ranked(), CRITERION_NAMES[self.criterion]
        if not ranked:
            return f"No cell is sound. The least degenerate is {self.best_cell.name}."
        best = ranked[0]
        text = f"{best.name} has the smallest {name}, {best.value(self.criterion):.2f}."
        same = [cell for cell in ranked[1:] if _are_one(cell, best)]
        # With one component many shapes are one mixture, which is told once.
        others = list[Cell]()
        for cell in ranked[1:]:
            if cell not in same and not any(_are_one(cell, other) for other in others):
                others.append(cell)
        if same:
            text += f" {_listed([cell.name for cell in same])} {'are' if len(same) > 1 else 'is'} the same mixture."
        gaps = [(cell, cell.value(self.criterion) - best.value(self.criterion)) for cell in others]
        near = [(cell, gap) for cell, gap in gaps if gap < UNDECIDED]
        weak = [(cell, gap) for cell, gap in gaps if UNDECIDED <= gap < WEAK]
        for cell, gap in near:
            text += f" {best.name} and {cell.name} differ by {gap:.1f}: the data do not decide."
        if weak:
            told = _listed([f"{cell.name} ({gap:.1f} behind)" for cell, gap in weak])
            text += f" The evidence against {told} is weak."
        if not near and not weak and gaps:
            text += f" The next is {gaps[0][0].name}, {gaps[0][1]:.1f} behind."
        return text


def shapes_asked(asked: str | Iterable[str], n_features: int) -> list[str]:
    """Names of shapes as fits call them, each once; ``"all"`` means those that differ: in one column, two do.

    Raises
    ------
    InputError
        If a name is unknown, or there is none.
    """
    names = [asked] if isinstance(asked, str) else list(asked)
    if names == ["all"]:
        return ["EII", "VII"] if n_features == 1 else list(SHAPES)
    if not names:
        raise InputError("covariance_type is empty: name a shape, or 'all'")
    return list(dict.fromkeys(covariance_shape(name, n_features).label for name in names))


def _record(cell: Cell) -> dict[str, str | int | float | bool | None]:
    fit = cell.fit
    of_fit: Mapping[str, Any] = dict.fromkeys(("loglik", "n_free", *CRITERIA[:-1]))
    if fit is not None:
        of_fit = {"loglik": fit.loglik, "n_free": fit.n_free, **{name: getattr(fit, name) for name in CRITERIA[:-1]}}
    return {
        "n_components": cell.n_components,
        "covariance_type": cell.covariance_type,
        "name": cell.name,
        **of_fit,
        "heldout": None if np.isnan(cell.heldout) else cell.heldout,
        "entropy": None if np.isnan(cell.entropy) else cell.entropy,
        "status": None if fit is None else fit.status.value,
        "n_iter": None if fit is None else fit.n_iter,
        "sound": cell.is_sound,
        "confirmed": cell.confirmed,
        "reason": cell.reason,
        "seconds": cell.seconds,
    }


def _are_one(cell: Cell, other: Cell) -> bool:
    """Whether two shapes are the same mixture: with one component, or one column, many are."""
    one, two = cell.fit, other.fit
    assert one is not None and two is not None
    return (
        cell.n_components == other.n_components
        and one.n_free == two.n_free
        and abs(one.loglik - two.loglik) <= 1e-9 * abs(two.loglik)
    )


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def rank(cell: Cell, criterion: Criterion = "bic") -> tuple[bool, bool, int, float]:
    """Sound cells first, by the criterion. Degenerate likelihoods are unbounded: there, faults count first."""
    n_faults = len(cell.fit.faults) if cell.fit is not None else 0
    return cell.fit is None, not cell.is_sound, n_faults, cell.value(criterion)


SelectionObserver = Callable[["Task", int, Any], None]
Round = Literal["explore", "compare", "finish", "confirm", "hold out"]


@dataclass(frozen=True)
class Task:
    """What a search is doing, for those who watch.

    Attributes
    ----------
    round : {"explore", "compare", "finish", "confirm", "hold out"}
        The round.
    number, n_tasks : int
        Which of how many cells of the round, from 0.
    n_components : int
        K of the cell.
    covariance_type : str
        Shape of the cell.
    """

    round: Round
    number: int
    n_tasks: int
    n_components: int
    covariance_type: str
