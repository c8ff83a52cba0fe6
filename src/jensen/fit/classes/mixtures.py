"""A mixture for each class: its number of components and its covariance shape by a criterion on the rows of the class.

A search on few rows finds components that are alike by the rounding of a column, of which every criterion thinks much.
Those thinner than the rounding of the data are set aside here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from jensen.core.block import Array
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.families.gaussian import Gaussian
from jensen.families.whitening import floor_ratios
from jensen.fit.classes.gaussians import ClassCriterion, ShapeFit, best_shape, fit_shapes, told_of
from jensen.fit.classes.result import DiscriminantFit, record_of, single_gaussian
from jensen.fit.classes.rows import ClassRows, flat_directions, labels_beside
from jensen.fit.fitted import FittedMixture
from jensen.fit.result import MixtureFit
from jensen.fit.selection.grid import select_mixture
from jensen.fit.settings import MixtureSettings
from jensen.fit.summary import summarise
from jensen.models.posterior import LABELS
from jensen.numerics.logspace import log_of_shares

# Values of a column closer than this share of its range are one value.
_SAME = 1e-9
# Shapes of one covariance for all classes.
_COMMON = ("EII", "EEI", "tied")
_FLAT = "a component is thinner than the rounding of the data"


def fit_class_mixtures(
    rows: ClassRows,
    n_components: Sequence[Sequence[int]],
    shapes: Sequence[Sequence[str]],
    *,
    criterion: ClassCriterion = "bic",
    reg_covar: Literal["auto"] | float = "auto",
    priors: Array | None = None,
    n_init: Literal["auto"] | int = "auto",
    seed: int = 0,
    feature_names: tuple[str, ...] | None = None,
) -> DiscriminantFit:
    """A mixture for each class, its number of components and its shape by a criterion on the rows of the class.

    Parameters
    ----------
    rows : ClassRows
        Rows, all of them labelled.
    n_components : sequence of C sequences of int
        Numbers of components to choose from, for each class.
    shapes : sequence of C sequences of str
        Shapes to choose from, for each class.
    criterion, reg_covar, priors, feature_names
        As in `fit_edda`.
    n_init : "auto" or int, default="auto"
        Starts of a mixture; ``auto`` searches.
    seed : int, default=0
        Seed of the starts.

    Raises
    ------
    InputError
        If a class has no sound mixture; the message names it and gives the reasons.
    """
    asked = _Asked(
        MixtureSettings(1, reg_covar=reg_covar, n_init=n_init, seed=seed),
        criterion,
        *rows.ridge(reg_covar),
        rounding_variances(rows.data.rows),
        feature_names,
    )
    found = [_fit_class(rows, c, n_components[c], shapes[c], asked) for c in range(rows.n_classes)]
    class_weight = rows.moments("spherical").counts
    shares = class_weight / class_weight.sum() if priors is None else priors
    return DiscriminantFit(
        kind="mixture",
        names=rows.names,
        priors=shares,
        mixtures=tuple(one.mixture for one in found),
        covariance_types=tuple(one.mixture.covariance_type for one in found),
        class_weight=class_weight,
        weight=rows.source.weight,
        n_rows=rows.source.n_rows,
        n_unlabelled=0,
        loglik=sum(one.loglik for one in found) + float(class_weight @ log_of_shares(shares)),
        n_free=sum(one.n_free for one in found) + (rows.n_classes - 1 if priors is None else 0),
        status=next((one.status for one in found if not one.status.is_converged), Status.CONVERGED),
        cells=tuple(cell for one in found for cell in one.cells),
        warnings=tuple(
            f"class {name}: {text}" for name, one in zip(rows.names, found, strict=True) for text in one.told
        ),
    )


@dataclass(frozen=True, eq=False)
class _Asked:
    """What is asked of the mixture of every class."""

    settings: MixtureSettings
    criterion: ClassCriterion
    ridge: Array
    floor: Array
    grain: Array
    feature_names: tuple[str, ...] | None


@dataclass(frozen=True, eq=False)
class _ClassMixture:
    """A mixture for one class, and its criterion on the rows of the class."""

    mixture: FittedMixture
    loglik: float
    n_free: int
    value: float
    status: Status = Status.CONVERGED
    is_flat: bool = False
    told: tuple[str, ...] = ()
    cells: list[dict[str, Any]] = field(default_factory=list)


def _fit_class(
    rows: ClassRows, c: int, n_components: Sequence[int], shapes: Sequence[str], asked: _Asked
) -> _ClassMixture:
    """The best mixture of the rows of class c: one Gaussian, in closed form, or several by EM."""
    of_class = rows.source.arrays[LABELS] == c
    weight = None if rows.source.row_weight is None else rows.source.row_weight[of_class]
    source = labels_beside(rows.source.x[of_class], np.zeros(int(of_class.sum()), dtype=np.intp), weight)
    alone = ClassRows(source, (rows.names[c],), summarise(source))
    still = [j for j in range(rows.n_features) if rows.data.informative[j] and not alone.data.informative[j]]
    found, cells, reasons = list[_ClassMixture](), list[dict[str, Any]](), list[str]()
    if 1 in n_components:
        fits = fit_shapes(alone, shapes, asked.ridge, asked.floor)
        cells += [{"n_components": 1, **record_of(fit)} for fit in fits]
        reasons.append(told_of(fits))
        best = best_shape(fits, asked.criterion)
        if best is not None:
            found.append(_gaussian(best, 0, asked))
        if still:
            found += _shared(rows, c, source, still, asked)
    several = [k for k in n_components if k > 1]
    if several and still:
        reasons.append(_unvaried(still))
    elif several and source.weight < rows.n_features + 1:
        reasons.append(f"several components take d + 1 = {rows.n_features + 1} rows at least")
    elif several:
        mixtures, tried = _several(source, several, shapes, asked)
        found += mixtures
        cells += tried
        reasons += [] if mixtures else ["no sound mixture was found"]
    if not found:
        raise InputError(
            f"class {rows.names[c]} has {_counted(source.n_rows)}, from which no mixture of "
            f"{', '.join(map(str, n_components))} component{'s' * (list(n_components) != [1])} can be estimated: "
            f"{'; '.join(reasons)}. Allow 1 component or simpler shapes, leave the class out, or take kind='edda', "
            "whose classes share what the covariance shape makes common"
        )
    chosen = min(found, key=lambda one: (one.is_flat, one.value))
    return replace(chosen, cells=[{"class": rows.names[c], **cell} for cell in cells])


def _gaussian(fit: ShapeFit, c: int, asked: _Asked) -> _ClassMixture:
    """The Gaussian of class c as a mixture."""
    assert fit.params is not None
    means, covariances = fit.params["means"][c : c + 1], fit.params["covariances"]
    layout = Gaussian(1, means.shape[1], fit.covariance_type).layout
    own = covariances if layout == "tied" else covariances[c : c + 1]
    mixture = single_gaussian(layout, means, own, asked.feature_names)
    return _ClassMixture(mixture, fit.loglik, fit.n_free, fit.value(asked.criterion))


def _shared(rows: ClassRows, c: int, source: ArraySource, still: list[int], asked: _Asked) -> list[_ClassMixture]:
    """One Gaussian about the mean of class c with the covariance within all classes; none if that is singular too."""
    best = best_shape(fit_shapes(rows, _COMMON, asked.ridge, asked.floor), asked.criterion)
    if best is None:
        return []
    told = (
        f"{_unvaried(still)}: it takes the covariance within all classes, {best.covariance_type}. Drop what does not "
        "vary, or take kind='edda'"
    )
    mixture = _gaussian(best, c, asked).mixture
    # What is borrowed costs the class nothing.
    own = ShapeFit(
        best.covariance_type,
        source.weight,
        mixture.params,
        loglik=mixture.assess(source.x, source.row_weight).loglik,
        n_free=rows.n_features,
    )
    return [_ClassMixture(mixture, own.loglik, own.n_free, own.value(asked.criterion), told=(told,))]


def _several(
    source: ArraySource, n_components: Sequence[int], shapes: Sequence[str], asked: _Asked
) -> tuple[list[_ClassMixture], list[dict[str, Any]]]:
    """The best mixture of several components that is not thinner than the data can tell, and what was tried.

    If all are, it is the best of them, with a word of it.
    """
    try:
        selection = select_mixture(
            source, n_components, shapes, asked.settings, criterion=asked.criterion, feature_names=asked.feature_names
        )
    except InputError:
        return [], []
    if selection.status is Status.INTERRUPTED:
        raise KeyboardInterrupt("the fit was interrupted")
    cells: list[dict[str, Any]] = [dict(cell) for cell in selection.table()]
    entry = dict(zip(map(id, selection.cells), cells, strict=True))
    chosen: MixtureFit | None = None
    for cell in selection.ranked():
        assert cell.fit is not None
        if not _is_flat(cell.fit, source, asked.grain):
            chosen = cell.fit
            break
        entry[id(cell)].update(sound=False, reason=_FLAT)
    is_flat, chosen = chosen is None, chosen or selection.best
    if is_flat and not chosen.is_sound:
        return [], cells
    told = (*((f"{_FLAT}: allow fewer components, or raise reg_covar",) if is_flat else ()), *chosen.warnings)
    value = float(getattr(chosen, asked.criterion))
    return [_ClassMixture(chosen.fitted, chosen.loglik, chosen.n_free, value, chosen.status, is_flat, told)], cells


def _is_flat(fit: MixtureFit, source: ArraySource, grain: Array) -> bool:
    """Whether a component is thinner than its data can tell.

    A search finds components on rows that are alike by the rounding of a column, of which BIC thinks much. They are
    thinner in some direction than rounding itself, or a shape has widened what its own rows do not fill.
    """
    ratios = floor_ratios(fit.family.layout, fit.params["covariances"], grain, grain > 0)
    if ratios is not None and (ratios < 1.0).any():
        return True
    if fit.family.kind.shape != "V":
        return False
    components = source.fold(fit.model.expect, fit.params).components
    return bool(flat_directions(fit.family, components).any())


def rounding_variances(rows: Array) -> Array:
    """Variance of the rounding of each column, h^2 / 12 for the least step h between different values; shape (d,).

    Differences that are rounding of floats are no steps; a constant column has none and gets 0.
    """
    found = np.zeros(rows.shape[1])
    for j, column in enumerate(rows.T):
        values = np.unique(column)
        steps = np.diff(values)
        steps = steps[steps > _SAME * (values[-1] - values[0])]
        found[j] = steps.min() ** 2 / 12.0 if steps.size else 0.0
    return found


def _counted(n_rows: int) -> str:
    return f"{n_rows} row{'s' * (n_rows != 1)}"


def _unvaried(columns: list[int]) -> str:
    return f"its rows do not vary in column{'s' * (len(columns) > 1)} {', '.join(map(str, columns))}"
