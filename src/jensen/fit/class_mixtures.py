"""A mixture for each class: its number of components and its covariance shape by a criterion on the rows of the class.

A search on few rows finds components that are alike by the rounding of a column, of which every criterion thinks much.
Those thinner than the rounding of the data are set aside here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from jensen.core.block import Array
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.families.gaussian import Gaussian
from jensen.families.shapes.table import covariance_shape
from jensen.families.whitening import floor_ratios
from jensen.fit.class_gaussians import ClassCriterion, best_shape, fit_shapes, told_of
from jensen.fit.class_rows import ClassRows, flat_directions, labels_beside
from jensen.fit.discriminant import DiscriminantFit, record_of, single_gaussian
from jensen.fit.fitted import FittedMixture
from jensen.fit.grid import select_mixture
from jensen.fit.mixture import MixtureSettings
from jensen.fit.result import MixtureFit
from jensen.fit.selection import Selection
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
    ridge, floor = rows.ridge(reg_covar)
    settings = MixtureSettings(1, reg_covar=ridge, n_init=n_init, seed=seed)
    asked = _Asked(settings, criterion, floor, rounding_variances(rows.data.rows), feature_names)
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
    floor: Array
    grain: Array
    feature_names: tuple[str, ...] | None


@dataclass(frozen=True, eq=False)
class _ClassMixture:
    """The mixture of one class."""

    mixture: FittedMixture
    loglik: float
    n_free: int
    status: Status
    cells: list[dict[str, Any]]
    told: tuple[str, ...] = ()


def _fit_class(
    rows: ClassRows, c: int, n_components: Sequence[int], shapes: Sequence[str], asked: _Asked
) -> _ClassMixture:
    """The best mixture of the rows of class c."""
    of_class = rows.source.arrays[LABELS] == c
    weight = None if rows.source.row_weight is None else rows.source.row_weight[of_class]
    source = labels_beside(rows.source.x[of_class], np.zeros(int(of_class.sum()), dtype=np.intp), weight)
    reasons = list[str]()
    # On fewer rows no mixture is sound; one Gaussian may be.
    if source.weight >= rows.n_features + 1:
        try:
            selection = select_mixture(
                source, n_components, shapes, asked.settings, criterion=asked.criterion,
                feature_names=asked.feature_names,
            )  # fmt: skip
        except InputError as error:
            reasons.append(str(error))
        else:
            if selection.status is Status.INTERRUPTED:
                raise KeyboardInterrupt("the fit was interrupted")
            if selection.best.is_sound:
                return _settled(rows, c, source, selection, asked)
            reasons.extend(selection.best.faults)
    else:
        reasons.append(f"a mixture takes d + 1 = {rows.n_features + 1} rows")
    if 1 in n_components:
        alone = ClassRows(source, (rows.names[c],), summarise(source))
        ridge = np.broadcast_to(np.asarray(asked.settings.reg_covar, dtype=np.float64), (rows.n_features,))
        fits = fit_shapes(alone, shapes, ridge, asked.floor)
        best = best_shape(fits, asked.criterion)
        if best is not None and best.params is not None:
            layout = Gaussian(1, rows.n_features, best.covariance_type).layout
            mixture = single_gaussian(layout, best.params["means"], best.params["covariances"], asked.feature_names)
            cells = [{"class": rows.names[c], "n_components": 1, **record_of(fit)} for fit in fits]
            return _ClassMixture(mixture, best.loglik, best.n_free, Status.CONVERGED, cells)
        shared = _shared(rows, c, source, asked)
        if shared is not None:
            return shared
        reasons = [told_of(fits)]
    raise InputError(
        f"class {rows.names[c]} has {_counted(source.n_rows)}, from which no mixture of "
        f"{', '.join(map(str, n_components))} component{'s' * (list(n_components) != [1])} can be estimated: "
        f"{'; '.join(dict.fromkeys(reasons))}. Allow 1 component or simpler shapes, leave the class out, or take "
        "kind='edda', whose classes share what the covariance shape makes common"
    )


def _shared(rows: ClassRows, c: int, source: ArraySource, asked: _Asked) -> _ClassMixture | None:
    """One Gaussian about the mean of class c with the covariance within all classes; None if that is singular too."""
    ridge = np.broadcast_to(np.asarray(asked.settings.reg_covar, dtype=np.float64), (rows.n_features,))
    best = best_shape(fit_shapes(rows, _COMMON, ridge, asked.floor), asked.criterion)
    if best is None or best.params is None:
        return None
    layout, covariances = Gaussian(1, rows.n_features, best.covariance_type).layout, best.params["covariances"]
    own = covariances if layout == "tied" else covariances[c : c + 1]
    mixture = single_gaussian(layout, best.params["means"][c : c + 1], own, asked.feature_names)
    told = (
        f"{_counted(source.n_rows)} determine no covariance; the class has the one within all classes, "
        f"{best.covariance_type}. Take kind='edda', or leave the class out"
    )
    loglik = mixture.assess(source.x, source.row_weight).loglik
    n_free = rows.n_features + covariance_shape(best.covariance_type).n_parameters(rows.n_features, 1)
    cell = {"class": rows.names[c], "n_components": 1, **record_of(best), "sound": False, "reason": told}
    return _ClassMixture(mixture, loglik, n_free, Status.CONVERGED, [cell], (told,))


def _settled(rows: ClassRows, c: int, source: ArraySource, selection: Selection, asked: _Asked) -> _ClassMixture:
    """The best of a selection that is not thinner than the data can tell; if all are, the best, with a word of it."""
    cells = [{"class": rows.names[c], **cell} for cell in selection.table()]
    best: MixtureFit = selection.best
    told: tuple[str, ...] = (f"{_FLAT}: allow fewer components, or raise reg_covar",)
    entry = dict(zip(map(id, selection.cells), cells, strict=True))
    for cell in selection.ranked():
        assert cell.fit is not None
        if not _is_flat(cell.fit, source, asked.grain):
            best, told = cell.fit, ()
            break
        entry[id(cell)].update(sound=False, reason=_FLAT)
    still = [str(j) for j in best.constant_columns if rows.data.informative[j]]
    if still:
        what = f"columns {', '.join(still)} do" if len(still) > 1 else f"column {still[0]} does"
        told += (f"{what} not vary, and any other value is held to be impossible: drop it, or raise reg_covar",)
    mixture = best.fitted
    if best.n_components == 1:
        means, covariances = best.params["means"], best.params["covariances"]
        mixture = single_gaussian(best.family.layout, means, covariances, asked.feature_names)
    return _ClassMixture(mixture, best.loglik, best.n_free, best.status, cells, (*told, *best.warnings))


def _is_flat(fit: MixtureFit, source: ArraySource, grain: Array) -> bool:
    """Whether a component is thinner than its data can tell.

    A search finds components on rows that are alike by the rounding of a column, of which BIC thinks much. They are
    thinner in some direction than rounding itself, or a shape has widened what its own rows do not fill.
    """
    if fit.n_components == 1:
        return False
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
