"""One Gaussian for each class, with covariances of any shape: rows of known class, and rows without a label.

Where every class is known, the maximum of sum_i w_i log(tau_c f_c(x_i)), c being the class of row i, is the M-step from
the labels, without iteration (Bensmail & Celeux 1996, eigenvalue decomposition discriminant analysis). A row without a
label adds log sum_c tau_c f_c(x_i), and EM climbs, the labelled rows held (McLachlan & Peel 2000, section 2.19; Dean,
Murphy & Downey 2006).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from jensen.core import criteria
from jensen.core.block import Array, Block
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.data.pool import single_threaded_blas
from jensen.errors import InputError, NumericalFailure
from jensen.families.gaussian import Gaussian
from jensen.fit.asked import under_constraints
from jensen.fit.classes.rows import ClassRows, fault, template, undetermined
from jensen.models.mixture import Mixture, MixtureStatistics
from jensen.models.posterior import LABELS, Labelled
from jensen.numerics.logspace import normalise_logs
from jensen.solve.loop import Limits, run, unless_interrupted
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Plain

# Criteria that look at the likelihood of the rows with their labels.
ClassCriterion = Literal["bic", "aic", "aicc", "caic", "sabic"]
CLASS_CRITERIA: tuple[ClassCriterion, ...] = get_args(ClassCriterion)
# Shapes that a change of units of the columns leaves what they are: classifiers to start from.
SCALE_FREE = ("EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVV", "VVV")
# Responsibilities (n, C) for the rows of a block.
Shares = Callable[[Block], Array]


@dataclass(frozen=True, eq=False)
class ShapeFit:
    """One covariance shape for all classes, and what became of it.

    Attributes
    ----------
    covariance_type : str
        The shape.
    weight : float
        Sum of the rows' weights: the n of the criteria.
    params : Parameters or None
        ``weights`` (C,), the shares of the classes, ``means`` (C, d) and ``covariances`` in the layout of the shape;
        None if there is no maximum.
    objective : float
        Penalised log-likelihood at `params`: log(tau_c f_c(x)) of labelled rows, log sum_c tau_c f_c(x) of the others.
    loglik : float
        The same without the penalty.
    n_free : int
        Number of free parameters.
    status : Status or None
        How the best run ended; CONVERGED where all rows are labelled, which takes no run.
    n_iter : int
        M-steps of the best run; 0 where all rows are labelled.
    trace : tuple of float
        `objective` at the start and after every M-step of the best run.
    reason : str
        Why the shape is not to be relied on, or why there is no fit; empty for a sound one.
    """

    covariance_type: str
    weight: float
    params: Parameters | None = None
    objective: float = -np.inf
    loglik: float = -np.inf
    n_free: int = 0
    status: Status | None = None
    n_iter: int = 0
    trace: tuple[float, ...] = ()
    reason: str = ""

    @property
    def is_sound(self) -> bool:
        """Whether there is a fit to rely on."""
        return self.params is not None and not self.reason

    def value(self, criterion: ClassCriterion) -> float:
        """A criterion; smaller is better, infinite if there is no fit."""
        if self.params is None:
            return np.inf
        if criterion == "aic":
            return criteria.aic(self.loglik, self.n_free)
        return float(getattr(criteria, criterion)(self.loglik, self.n_free, self.weight))


def fit_shapes(
    rows: ClassRows,
    shapes: Sequence[str],
    ridge: Array,
    floor: Array,
    *,
    priors: Array | None = None,
    limits: Limits | None = None,
) -> tuple[ShapeFit, ...]:
    """Fit one Gaussian for each class under each of some shapes.

    Parameters
    ----------
    rows : ClassRows
        The rows and their classes.
    shapes : sequence of str
        Names of covariance shapes.
    ridge, floor : ndarray of shape (d,)
        R, and the variances of collapse, as from ``rows.ridge``.
    priors : ndarray of shape (C,), optional
        Shares of the classes, positive, with sum 1, to be held; by default they are estimated.
    limits : Limits, optional
        Of each run over unlabelled rows.

    Returns
    -------
    tuple of ShapeFit
        In the order of `shapes`; those without a maximum say why.
    """
    with single_threaded_blas():
        first = tuple(_from_labels(rows, shape, ridge, floor, priors) for shape in shapes)
        if not rows.n_unlabelled:
            return first
        several = _several(rows, ridge, floor, priors)
        return tuple(
            _climbed(rows, fit, Gaussian(rows.n_classes, rows.n_features, fit.covariance_type, ridge, floor),
                     several, priors, limits or Limits())
            for fit in first
        )  # fmt: skip


def best_shape(fits: Sequence[ShapeFit], criterion: ClassCriterion) -> ShapeFit | None:
    """The sound fit of the least criterion; None if there is none."""
    return min((fit for fit in fits if fit.is_sound), key=lambda fit: fit.value(criterion), default=None)


def chosen_shape(fits: Sequence[ShapeFit], criterion: ClassCriterion) -> ShapeFit:
    """The sound fit of the least criterion.

    Raises
    ------
    InputError
        If no shape has one; the message gives the reasons.
    """
    best = best_shape(fits, criterion)
    if best is None:
        raise InputError(
            f"no covariance shape can be estimated. {told_of(fits)}. Choose a simpler covariance_type, such as EII or "
            "tied, drop columns that do not vary within a class, or raise reg_covar"
        )
    return best


def told_of(fits: Sequence[ShapeFit]) -> str:
    """Why shapes have no sound fit, each reason once."""
    reasons = dict.fromkeys(fit.reason for fit in fits)
    return "; ".join(
        f"{', '.join(fit.covariance_type for fit in fits if fit.reason == reason)}: {reason}" for reason in reasons
    )


def _from_labels(rows: ClassRows, shape: str, ridge: Array, floor: Array, priors: Array | None) -> ShapeFit:
    """The M-step from the labelled rows."""
    family = Gaussian(rows.n_classes, rows.n_features, shape, ridge, floor)
    model, components = Mixture(family), rows.moments(family.layout)
    weight = float(components.counts.sum())
    reason = undetermined(rows, family, components)
    if reason:
        return ShapeFit(family.shape, weight, reason=reason)
    statistics = MixtureStatistics(components, weight, np.nan)
    try:
        params = model.maximize(_beginning(rows, model), statistics)
        params = params if priors is None else params.replace(weights=priors)
        objective = model.complete(params, statistics)
        loglik = Mixture(family.unregularised()).complete(params, statistics)
    except NumericalFailure as failure:
        return ShapeFit(family.shape, weight, reason=_without_maximum(failure))
    n_free = params.n_free - (0 if priors is None else rows.n_classes - 1)
    reason = fault(rows, family, params, components)
    return ShapeFit(
        family.shape, weight, params, objective, loglik, n_free, Status.CONVERGED, 0, (objective,), reason
    )  # fmt: skip


def _beginning(rows: ClassRows, model: Mixture) -> Parameters:
    """Means of the labelled rows, and the classes' own covariances for searches of common axes to begin from.

    Covariances that have no axes in common make shapes with one orientation look in several places.
    """
    family: Gaussian = model.family  # type: ignore[assignment]
    components = rows.moments(family.layout)
    means, scatter = components.centred()
    params = template(model, means, rows.data)
    if family.layout != "full":
        return params
    own = scatter / components.counts[:, None, None] + np.diag(family.ridge)
    return params.replace(covariances=own)


# ------------------------------------------------------------------------------------------ unlabelled rows


def _several(rows: ClassRows, ridge: Array, floor: Array, priors: Array | None) -> list[Shares]:
    """Responsibilities to start from: by the best classifier of the labelled rows, the nearest mean, and equal ones."""
    diagonal = Mixture(Gaussian(rows.n_classes, rows.n_features, "diag"))
    nearest = template(diagonal, rows.moments("diag").centred()[0], rows.data)
    several = [_by_classifier(rows, "diag", nearest, ridge), _equal(rows.n_classes)]
    known = best_shape([_from_labels(rows, shape, ridge, floor, priors) for shape in SCALE_FREE], "bic")
    if known is not None and known.params is not None:
        several.insert(0, _by_classifier(rows, known.covariance_type, known.params, ridge))
    return several


def _by_classifier(rows: ClassRows, shape: str, params: Parameters, ridge: Array) -> Shares:
    """Responsibilities (n, C) under some parameters, labelled rows held."""
    model = Labelled(Mixture(Gaussian(rows.n_classes, rows.n_features, shape, ridge)))

    def shares(block: Block) -> Array:
        joint = model.log_joint(params, block)
        normalise_logs(joint)
        return np.ascontiguousarray(joint.T)

    return shares


def _equal(n_classes: int) -> Shares:
    """Responsibilities (n, C) that know nothing of unlabelled rows."""

    def shares(block: Block) -> Array:
        labels = block.arrays[LABELS]
        return np.where(labels[:, None] < 0, 1.0 / n_classes, labels[:, None] == np.arange(n_classes))

    return shares


def _m_step_from(rows: ClassRows, model: Mixture, shares: Shares) -> Parameters:
    """The M-step from responsibilities; the second time, moments are about the means of the first."""

    def expect(params: Parameters, block: Block) -> MixtureStatistics:
        given = shares(block)
        if block.weight is not None:
            given = given * block.weight[:, None]
        return model.statistics_from(params, block, given, np.nan)

    params = _beginning(rows, model)
    for _ in range(2):
        statistics = rows.source.fold(expect, params)
        reason = undetermined(rows, model.family, statistics.components)  # type: ignore[arg-type]
        if reason:
            raise NumericalFailure(reason)
        params = model.maximize(params, statistics)
    return params


def _climbed(
    rows: ClassRows,
    first: ShapeFit,
    family: Gaussian,
    several: Sequence[Shares],
    priors: Array | None,
    limits: Limits,
) -> ShapeFit:
    """EM from the shape's fit to the labelled rows, and from several responsibilities; the best end."""
    model, failure = Mixture(family), NumericalFailure("no start has a density")
    starts = [first.params] if first.is_sound and first.params is not None else []
    for shares in several:
        try:
            starts.append(_m_step_from(rows, model, shares))
        except NumericalFailure as error:
            failure = error
    best: ShapeFit | None = None
    for start in starts:
        try:
            found = _run(rows, model, start, priors, limits)
        except NumericalFailure as error:
            failure = error
            continue
        if best is None or (found.is_sound, found.objective) > (best.is_sound, best.objective):
            best = found
    return best or ShapeFit(family.shape, rows.source.weight, reason=_without_maximum(failure))


def _run(rows: ClassRows, model: Mixture, start: Parameters, priors: Array | None, limits: Limits) -> ShapeFit:
    """EM from one start."""
    family: Gaussian = model.family  # type: ignore[assignment]
    fitted, begun = Labelled(model), start
    if priors is not None:
        fitted, (begun,) = under_constraints(fitted, [start.replace(weights=priors)], {"weights": True}, ())
    rule = AitkenRule(rows.source.weight)
    ended = unless_interrupted(run(Plain("auto").solver(fitted, rule), rows.source, begun, rule, limits))
    params = model.parameters(**ended.params.values)
    plain = Labelled(Mixture(family.unregularised()))
    loglik = rows.source.fold(plain.expect, params).loglik
    reason = fault(rows, family, params, ended.statistics.components)
    if ended.status is Status.DEGENERATE and not reason:
        reason = ended.detail
    return ShapeFit(
        family.shape, rows.source.weight, params, ended.objective, loglik, ended.params.n_free, ended.status,
        ended.n_iter, ended.trace, reason,
    )  # fmt: skip


def _without_maximum(failure: NumericalFailure) -> str:
    """A failure as a reason."""
    text = str(failure)
    return f"{text} (components are the classes in their order, from 0)" if "component" in text else text
