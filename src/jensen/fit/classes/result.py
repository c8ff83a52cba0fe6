"""Discriminant analysis with Gaussian densities: one Gaussian for each class, or a mixture for each.

The posterior of class c is proportional to tau_c f_c(x). With one Gaussian for each class, all covariances have one of
the fourteen shapes, chosen by BIC (Bensmail & Celeux 1996). With mixtures, every class has a number of components and a
shape of its own, chosen by BIC on its rows (Fraley & Raftery 2002, section 5.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from jensen.core import criteria
from jensen.core.block import AnyArray, Array
from jensen.core.printed import CardLike, Printed
from jensen.core.status import Status
from jensen.families.gaussian import Gaussian
from jensen.families.shapes.table import covariance_shape
from jensen.fit.classes.gaussians import CLASS_CRITERIA, ClassCriterion, ShapeFit, chosen_shape, fit_shapes
from jensen.fit.classes.rows import ClassRows
from jensen.fit.fitted import FittedMixture
from jensen.kernels.portable import Layout
from jensen.models.mixture import Mixture
from jensen.numerics.logspace import log_of_shares

Kind = Literal["edda", "mixture"]


@dataclass(frozen=True, eq=False)
class DiscriminantFit(Printed):
    """Densities and shares of classes, and how they were found.

    Attributes
    ----------
    kind : {"edda", "mixture"}
        One Gaussian for each class, or a mixture.
    names : tuple of C str
        The classes, as messages call them.
    priors : ndarray of shape (C,)
        tau, the shares of the classes.
    mixtures : tuple of C FittedMixture
        The density of each class; of one component under ``edda``.
    covariance_types : tuple of C str
        The shape of each class; under ``edda`` all the same.
    class_weight : ndarray of shape (C,)
        Sum of the weights of the labelled rows of each class.
    weight : float
        Sum of the weights of all rows: the n of the criteria.
    n_rows, n_unlabelled : int
        Number of rows, and of those without a label.
    loglik : float
        Sum of log(tau_c f_c(x)) over labelled rows and of log sum_c tau_c f_c(x) over the others.
    n_free : int
        Number of free parameters; shares count where they are estimated.
    status : Status
        How the fit ended.
    n_iter : int
        M-steps of the best run over unlabelled rows; 0 without any, and under ``mixture``.
    trace : tuple of float
        Penalised log-likelihood at the start and after every M-step of that run.
    cells : tuple of dict
        What was tried; see `table`.
    warnings : tuple of str
        What a user should know before using the result, each with its remedy.
    """

    kind: Kind
    names: tuple[str, ...]
    priors: Array
    mixtures: tuple[FittedMixture, ...]
    covariance_types: tuple[str, ...]
    class_weight: Array
    weight: float
    n_rows: int
    n_unlabelled: int
    loglik: float
    n_free: int
    status: Status
    n_iter: int = 0
    trace: tuple[float, ...] = field(default=(), repr=False)
    cells: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    warnings: tuple[str, ...] = ()

    @property
    def bic(self) -> float:
        """BIC of the labelled likelihood; smaller is better."""
        return criteria.bic(self.loglik, self.n_free, self.weight)

    @property
    def n_components(self) -> tuple[int, ...]:
        """Number of components of each class."""
        return tuple(mixture.n_components for mixture in self.mixtures)

    def table(self) -> list[dict[str, Any]]:
        """One record for each shape, or for each class, number of components and shape; smaller BIC is better.

        Keys are ``covariance_type``, mclust's ``name``, ``loglik, n_free``, the criteria, ``status, n_iter, sound,
        reason`` and, under ``mixture``, ``class`` and ``n_components`` among others; ``reason`` says why there is none
        to rely on.
        """
        return [dict(cell) for cell in self.cells]

    def log_joint(self, x: AnyArray) -> Array:
        """log(tau_c f_c(x_i)) of rows (n, d), shape (n, C)."""
        return np.stack([mixture.row_loglik(x) for mixture in self.mixtures], axis=1) + log_of_shares(self.priors)

    def __repr__(self) -> str:
        what = "mixtures" if self.kind == "mixture" else f"Gaussians, {self.covariance_types[0]}"
        return f"DiscriminantFit({len(self.names)} classes, {what}; BIC {self.bic:.6g})"

    def _card(self) -> CardLike:
        from jensen.report.printed import discriminant_card

        return discriminant_card(self)


def fit_edda(
    rows: ClassRows,
    shapes: Sequence[str],
    *,
    criterion: ClassCriterion = "bic",
    reg_covar: Literal["auto"] | float = "auto",
    priors: Array | None = None,
    feature_names: tuple[str, ...] | None = None,
) -> DiscriminantFit:
    """One Gaussian for each class, the shape of the covariances by a criterion.

    Parameters
    ----------
    rows : ClassRows
        Rows, some of them perhaps without a label.
    shapes : sequence of str
        Shapes to choose from.
    criterion : str, default="bic"
        What the best has least of.
    reg_covar : "auto" or float, default="auto"
        R, as in a mixture; ``auto`` goes by the variances within classes.
    priors : ndarray of shape (C,), optional
        Shares of the classes to hold; estimated by default.
    feature_names : tuple of str, optional
        Names of the columns, for the record.

    Raises
    ------
    InputError
        If no shape can be estimated; the message gives the reasons.
    """
    fits = fit_shapes(rows, shapes, *rows.ridge(reg_covar), priors=priors)
    best = chosen_shape(fits, criterion)
    params, status = best.params, best.status
    assert params is not None and status is not None
    labelled = rows.moments("spherical").counts
    layout = Gaussian(rows.n_classes, rows.n_features, best.covariance_type).layout
    mixtures = []
    for c in range(rows.n_classes):
        covariances = params["covariances"] if layout == "tied" else params["covariances"][c : c + 1]
        mixtures.append(single_gaussian(layout, params["means"][c : c + 1], covariances, feature_names))
    return DiscriminantFit(
        kind="edda",
        names=rows.names,
        priors=params["weights"],
        mixtures=tuple(mixtures),
        covariance_types=(best.covariance_type,) * rows.n_classes,
        class_weight=labelled,
        weight=best.weight,
        n_rows=rows.source.n_rows,
        n_unlabelled=rows.n_unlabelled,
        loglik=best.loglik,
        n_free=best.n_free,
        status=status,
        n_iter=best.n_iter,
        trace=best.trace,
        cells=tuple(record_of(fit) for fit in fits),
        warnings=() if status.is_converged else (status.message,),
    )


def single_gaussian(
    layout: Layout, means: Array, covariances: Array, feature_names: tuple[str, ...] | None
) -> FittedMixture:
    """One Gaussian as a mixture; of one component, any shape is what its layout can hold."""
    if layout == "tied":
        layout, covariances = "full", covariances[None]
    model = Mixture(Gaussian(1, means.shape[1], layout))
    params = model.parameters(weights=np.ones(1), means=means, covariances=covariances)
    return FittedMixture(layout, params, feature_names)


def record_of(fit: ShapeFit) -> dict[str, Any]:
    """A shape's entry in a table."""
    there = fit.params is not None
    return {
        "covariance_type": fit.covariance_type,
        "name": covariance_shape(fit.covariance_type).name,
        "loglik": fit.loglik if there else None,
        "n_free": fit.n_free if there else None,
        **{name: fit.value(name) if there else None for name in CLASS_CRITERIA},
        "status": None if fit.status is None else fit.status.value,
        "n_iter": fit.n_iter if there else None,
        "sound": fit.is_sound,
        "reason": fit.reason,
    }
