"""Fit a Gaussian mixture: ridge, starts, restarts, and the assessment of the best."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.contracts import Run, StoppingRule
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.data.pool import single_threaded_blas
from jensen.errors import InputError
from jensen.families.gaussian import Gaussian
from jensen.families.shapes.ratio import WITH_RATIO
from jensen.families.shapes.table import covariance_shape
from jensen.fit.account import Account, StartRecord
from jensen.fit.mixture_search import KINDS, search_mixture
from jensen.fit.noise import NoiseOutliers, box_around
from jensen.fit.outliers import NoOutliers, Outliers
from jensen.fit.priors import ConjugatePrior
from jensen.fit.restarts import EndObserver, StartObserver, run_starts, with_memory
from jensen.fit.result import MixtureFit, full_covariances
from jensen.fit.soundness import Degenerate, verdict
from jensen.fit.starts import START_KINDS, StartKind, UserStart, draw_start, from_given
from jensen.fit.summary import DataSummary, summarise
from jensen.fit.trimming import TrimmedOutliers
from jensen.kernels.portable import Layout
from jensen.models.mixture import Mixture
from jensen.numerics.streams import fresh_seed, stream
from jensen.solve.loop import Limits, run
from jensen.solve.stopping import AitkenRule, MeanChangeRule
from jensen.solve.variants import Accelerate, Plain

DEFAULT_MAX_ITER = 10_000
# Components closer than this, in their own standard deviations and relative spread, are one and the same.
_COINCIDENT = 1e-3


@dataclass(frozen=True, eq=False)
class MixtureSettings:
    """How a mixture is to be fitted. The public edge has checked every value.

    Attributes
    ----------
    n_components : int
        K, at least 1.
    covariance_type : str, default="full"
        Shape of the covariances: ``full, tied, diag, spherical`` or one of mclust's fourteen names.
    reg_covar : "auto" or float or ndarray of shape (d,), default="auto"
        R of the ridge: 1e-6 times the columns' robust variances, a number times the identity, or its diagonal.
    tol : "auto" or float, default="auto"
        The rule on the gain still to come, or scikit-learn's on the change per row.
    max_iter : "auto" or int, default="auto"
        M-steps at most; 10,000.
    accelerate : {"auto", "off", "squarem", "anderson", "quasi-newton"}, default="auto"
        Extrapolation of EM's steps. ``auto`` sets in where EM is slow, and never under scikit-learn's rule: that one
        takes every step for one of EM's.
    n_init : "auto" or int, default=1
        Number of starts; ``auto`` searches, see `jensen.fit.search`.
    init : str or ndarray or callable, default="auto"
        A kind of start; labels (n,), responsibilities (n, K), or a function (X, K, rng) that returns either. ``auto``:
        all kinds in turn in a search, ``kmeans`` otherwise.
    weights, means, covariances : ndarray or None
        Parameters that replace the start's. If all three are given, nothing is drawn.
    warm_start : Parameters or None
        Parameters to go on from; nothing is drawn.
    besides : tuple of (str, Parameters)
        Starts that a search takes before those that it draws, with their kinds.
    history : tuple of float, default=()
        Last objectives of the fit that `warm_start` ended, for the rule on the gain still to come.
    seed : int or None
        Seed of all random streams; None takes a fresh one.
    max_time : float, default=inf
        Seconds after which no further pass is begun.
    degenerate : {"avoid", "allow"}, default="avoid"
        Whether sound optima come before degenerate and narrow ones, or the objective alone decides.
    equal_weights : bool, default=False
        Whether every weight is 1/K.
    prior : ConjugatePrior or None
        Of means and covariances; the objective includes it.
    eigenvalue_ratio : float, default=inf
        Largest over smallest eigenvalue of all covariances, at most; at least 1.
    noise : bool or float, default=False
        Whether a component of noise takes what belongs to no Gaussian; a number is the volume it spreads over.
    trim : float, default=0.0
        Share of the rows that is left out, those of lowest density; below 1.
    """

    n_components: int
    covariance_type: str = "full"
    reg_covar: Literal["auto"] | float | Array = "auto"
    tol: Literal["auto"] | float = "auto"
    max_iter: Literal["auto"] | int = "auto"
    accelerate: Accelerate = "auto"
    n_init: Literal["auto"] | int = 1
    init: Literal["auto"] | StartKind | AnyArray | UserStart = "auto"
    weights: Array | None = None
    means: Array | None = None
    covariances: Array | None = None
    warm_start: Parameters | None = None
    besides: tuple[tuple[str, Parameters], ...] = ()
    history: tuple[float, ...] = ()
    seed: int | None = None
    max_time: float = np.inf
    degenerate: Degenerate = "avoid"
    equal_weights: bool = False
    prior: ConjugatePrior | None = None
    eigenvalue_ratio: float = np.inf
    noise: bool | float = False
    trim: float = 0.0


def fit_mixture(
    source: ArraySource,
    settings: MixtureSettings,
    *,
    data: DataSummary | None = None,
    feature_names: tuple[str, ...] | None = None,
    observer: StartObserver | None = None,
    on_end: EndObserver | None = None,
) -> MixtureFit:
    """Fit a Gaussian mixture by EM.

    Parameters
    ----------
    source : ArraySource
        Finite rows, with weights or without.
    settings : MixtureSettings
        What to fit, and how.
    data : DataSummary, optional
        From ``summarise(source, seed)``, for callers that fit the same data many times.
    feature_names : tuple of str, optional
        Names of the columns, for the record.
    observer : callable (int, Info) -> None, optional
        Told of every point of every start.
    on_end : callable (StartRecord) -> None, optional
        Told of every start that has ended.

    Returns
    -------
    MixtureFit
        The best sound result of all starts, or the best degenerate one if there is no sound one.

    Raises
    ------
    InputError
        If a start that the user brings has the wrong shape or values.
    NumericalFailure
        If no start has a density, which takes parameters of the user's that are not positive definite.
    """
    # Held once for the whole fit: taking it is dear where a pass is short.
    with single_threaded_blas():
        return _fit(source, settings, data, feature_names, observer, on_end)


def _fit(
    source: ArraySource,
    settings: MixtureSettings,
    data: DataSummary | None,
    feature_names: tuple[str, ...] | None,
    observer: StartObserver | None,
    on_end: EndObserver | None,
) -> MixtureFit:
    began = time.perf_counter()
    seed = fresh_seed() if settings.seed is None else settings.seed
    data = summarise(source, seed) if data is None else data
    outliers = outliers_of(settings, mixture_of(settings, source, data), source)
    model, rows = outliers.model, outliers.over(source)
    max_iter = DEFAULT_MAX_ITER if settings.max_iter == "auto" else settings.max_iter
    accelerate = acceleration_of(settings)
    limits, rule = Limits(max_iter, began + settings.max_time), rule_of(settings, rows.weight)
    account: Account | None = None
    if _searches(settings, max_iter):

        def finish(start: Parameters, n_iter: int) -> Run[Any]:
            left = replace(limits, max_iter=max(max_iter - n_iter, 0))
            last = rule()
            return run(Plain(accelerate).solver(model, last), with_memory(model, rows), start, last, left)

        make = _makers(outliers, source, data, settings, seed)
        best, account = search_mixture(
            outliers.gaussians, source, data, seed, make, finish, settings.accelerate, limits, settings.degenerate,
            isinstance(settings.tol, str), observer, on_end, outliers,
        )  # fmt: skip
        records = account.starts
    else:
        best, records = run_starts(
            model,
            rows,
            _starts(outliers, source, data, settings, seed),
            rule,
            limits,
            observer,
            on_end,
            accelerate,
            lambda ended: verdict(model, ended, data.informative, settings.degenerate),
        )
    return as_fit(outliers, source, data, best, records, account, seed, feature_names, time.perf_counter() - began)


def as_fit(
    fitted: Mixture | Outliers,
    source: ArraySource,
    data: DataSummary,
    best: Run[Any],
    records: tuple[StartRecord, ...],
    account: Account | None,
    seed: int,
    feature_names: tuple[str, ...] | None,
    seconds: float,
) -> MixtureFit:
    """The record of a run on all the rows, with the plain likelihood at its end."""
    outliers: Outliers = NoOutliers(fitted) if isinstance(fitted, Mixture) else fitted
    family: Gaussian = outliers.gaussians.family  # type: ignore[assignment]
    plain = outliers.plain()
    assessment = plain.over(source).fold(plain.model.assess, best.params)
    return MixtureFit(
        model=outliers.mixture,
        params=best.params,
        objective=best.objective,
        loglik=assessment.loglik,
        map_loglik=assessment.map_loglik,
        weight=outliers.over(source).weight,
        n_rows=source.n_rows,
        status=best.status,
        detail=best.detail,
        n_iter=best.n_iter,
        passes=best.passes,
        trace=best.trace,
        extrapolations=best.extrapolations,
        starts=records,
        account=account,
        faults=outliers.mixture.faults(best.params, best.statistics),
        coinciding=coinciding_components(family.layout, best.params),
        constant_columns=tuple(int(j) for j in np.flatnonzero(~data.informative)),
        seed=seed,
        feature_names=feature_names,
        seconds=seconds,
        threshold=plain.threshold(source, best.params),
    )


def mixture_of(settings: MixtureSettings, source: ArraySource, data: DataSummary) -> Mixture:
    """The model that is to be fitted.

    Raises
    ------
    InputError
        If a constraint is asked of a shape that does not have it.
    """
    ridge, d, ratio = _ridge(settings, data), source.x.shape[1], settings.eigenvalue_ratio
    kind = covariance_shape(settings.covariance_type, d)
    if ratio < np.inf and kind.name not in WITH_RATIO:
        raise InputError(
            f"eigenvalue_ratio goes with {', '.join(WITH_RATIO)}, and covariance_type is {kind.label}: "
            "choose one of these, or a prior"
        )
    prior = None if settings.prior is None else settings.prior.pseudo_data(kind, settings.n_components, source)
    floor = _collapse_floor(data)
    family = Gaussian(settings.n_components, d, kind.label, ridge, floor, prior, ratio)
    return Mixture(family, settings.equal_weights)


def outliers_of(settings: MixtureSettings, model: Mixture, source: ArraySource) -> Outliers:
    """How rows that belong to no component of a Gaussian mixture are treated.

    Raises
    ------
    InputError
        If noise and trimming are asked for together, too few rows are left, or noise has no volume.
    """
    noise, trim = settings.noise, settings.trim
    if trim > 0 and (1.0 - trim) * source.n_counting < model.n_components:
        raise InputError(f"trim={trim:g} leaves fewer rows of {source.n_counting} than components: trim less")
    if noise is False:
        return TrimmedOutliers(model, trim) if trim > 0 else NoOutliers(model)
    if trim > 0:
        raise InputError("noise and trim both say what becomes of outliers: leave one of them out")
    if noise is not True and not 0 < noise < np.inf:
        raise InputError(f"noise as a number is a volume, positive and finite, got {noise:g}")
    if model.equal_weights:
        raise InputError("equal_weights=True does not go with noise, whose weight is free: leave one of them out")
    return NoiseOutliers(model, box_around(source, None if noise is True else float(noise)))


def _ridge(settings: MixtureSettings, data: DataSummary) -> Array:
    reg = settings.reg_covar
    if isinstance(reg, str):
        return data.auto_ridge()
    return np.broadcast_to(np.asarray(reg, dtype=np.float64), data.centre.shape)


def _collapse_floor(data: DataSummary) -> Array:
    """Variances that mark a collapse: the automatic R, whatever R is.

    A component is not degenerate for being as smooth as it was asked to be; without R nothing keeps it from collapsing.
    """
    return np.where(data.informative, data.auto_ridge(), 0.0)


def acceleration_of(settings: MixtureSettings) -> Accelerate:
    """How runs are accelerated: never by itself under scikit-learn's rule, which takes every step for one of EM's."""
    return "off" if settings.accelerate == "auto" and not isinstance(settings.tol, str) else settings.accelerate


def rule_of(settings: MixtureSettings, weight: float) -> Callable[[], StoppingRule]:
    """Makes a stopping rule for one run on rows of a weight."""
    tol = settings.tol
    if isinstance(tol, str):
        return lambda: AitkenRule(weight, settings.history)
    return lambda: MeanChangeRule(tol, weight)


def _searches(settings: MixtureSettings, max_iter: int) -> bool:
    """Whether there is something to search: several components or outliers, and no start that the user brings."""
    given = (settings.weights, settings.means, settings.covariances, settings.warm_start)
    drawn = isinstance(settings.init, str) or callable(settings.init)
    free = drawn and all(value is None for value in given)
    several = settings.n_components > 1 or settings.trim > 0 or settings.noise is not False
    return settings.n_init == "auto" and several and max_iter > 0 and free


def _makers(
    outliers: Outliers, source: ArraySource, data: DataSummary, settings: MixtureSettings, seed: int
) -> Callable[[DataSummary], Callable[[int], tuple[str, Parameters]]]:
    """From the table of a search, how start number i is made; a user's function sees all the rows."""
    init = settings.init
    kinds, besides = KINDS if isinstance(init, str) and init == "auto" else (init,), settings.besides

    def on(table: DataSummary) -> Callable[[int], tuple[str, Parameters]]:
        def make(index: int) -> tuple[str, Parameters]:
            if index < len(besides):
                return besides[index]
            kind = kinds[(index - len(besides)) % len(kinds)]
            rng = stream(seed, "start", index)
            if isinstance(kind, str):
                return kind, outliers.around(*_drawn(kind, outliers, source, table, rng, index))
            return "callable", outliers.around(*_drawn(kind, outliers, source, data, rng, index))

        return make

    return on


def _drawn(
    init: Any, outliers: Outliers, source: ArraySource, data: DataSummary, rng: np.random.Generator, index: int
) -> tuple[Parameters, float]:
    """Gaussians of a kind, by a user's function, or from a user's labels or responsibilities; and what is outlying."""
    model = outliers.gaussians
    if isinstance(init, str):
        table, outlying = outliers.cleaned(data, index, rng)
        return draw_start(init, model, table, rng), outlying  # type: ignore[arg-type]
    own = init(source.x, model.n_components, rng) if callable(init) else init
    given = with_user_start(source, own, model.n_components, not isinstance(outliers, NoOutliers))
    labels = given.arrays.get("labels")
    outlying = 0.0 if labels is None else float(source.row_weights @ (labels < 0)) / source.weight
    return from_given(model, data, given), outlying


def _starts(
    outliers: Outliers, source: ArraySource, data: DataSummary, settings: MixtureSettings, seed: int
) -> list[tuple[str, Callable[[], Parameters]]]:
    """The kind of each start, and how its parameters are made."""
    given = {
        name: value for name in ("weights", "means", "covariances") if (value := getattr(settings, name)) is not None
    }
    if settings.warm_start is not None:
        warm = settings.warm_start
        return [("warm start", lambda: warm)]
    if len(given) == 3:
        return [("parameters", lambda: outliers.around(outliers.gaussians.parameters(**given), 0.0))]
    init = "kmeans" if isinstance(settings.init, str) and settings.init == "auto" else settings.init

    def make(index: int) -> Parameters:
        params, outlying = _drawn(init, outliers, source, data, stream(seed, "start", index), index)
        return outliers.around(params.replace(**given), outlying)

    if isinstance(init, str):
        kind: str = init
    else:
        kind = "callable" if callable(init) else "given"
    # An array brings the same start every time, so one run says all.
    several = isinstance(init, str) or callable(init)
    n_init = settings.n_init if several and not isinstance(settings.n_init, str) else 1
    return [(kind, lambda index=index: make(index)) for index in range(n_init)]  # type: ignore[misc]


def with_user_start(source: ArraySource, start: Any, n_components: int, outliers: bool = False) -> ArraySource:
    """The source with a user's labels or responsibilities beside its rows, checked.

    Parameters
    ----------
    source : ArraySource
        n rows.
    start : array-like
        Labels (n,), integers from 0 to K - 1, or responsibilities (n, K), at least 0, with rows that sum to 1.
    n_components : int
        K.
    outliers : bool, default=False
        Whether rows may have the label -1, which is no component.

    Raises
    ------
    InputError
        If the shape or a value is another one.
    """
    array, n = np.asarray(start), source.n_rows
    if array.shape == (n,) and (n_components > 1 or array.dtype.kind in "iub"):
        if array.dtype.kind not in "iub":
            if not (array.dtype.kind == "f" and (array == np.floor(array)).all()):
                raise InputError(f"init_params as labels must be integers, got dtype {array.dtype}")
        labels = array.astype(np.intp)
        least = -1 if outliers else 0
        if labels.min() < least or labels.max() >= n_components:
            raise InputError(
                f"init_params as labels must lie between {least} and n_components - 1 = {n_components - 1}, "
                f"got values from {labels.min()} to {labels.max()}"
            )
        return source.with_arrays(labels=labels)
    if array.shape != (n, n_components):
        raise InputError(
            f"init_params as an array must be labels of shape ({n},) or responsibilities of shape "
            f"({n}, {n_components}), got shape {array.shape}"
        )
    responsibilities = array.astype(np.float64)
    if not (np.isfinite(responsibilities).all() and (responsibilities >= 0).all()):
        raise InputError("init_params as responsibilities must be finite and at least 0")
    if not np.allclose(responsibilities.sum(axis=1), 1.0, atol=1e-6):
        raise InputError("init_params as responsibilities must sum to 1 in every row; divide each row by its sum")
    return source.with_arrays(responsibilities=responsibilities)


def coinciding_components(layout: Layout, params: Parameters) -> tuple[tuple[int, ...], ...]:
    """Groups of components with the same mean and covariance, to one thousandth of their own spread."""
    means = params["means"]
    # Means that differ settle most cases, before any covariance is looked at.
    nearest = np.sort(means[:, 0])
    if not (np.diff(nearest) <= _COINCIDENT * np.sqrt(params["covariances"].max())).any():
        return ()
    covariances = full_covariances(layout, params)
    deviations = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    group = np.arange(len(means))
    for k in range(1, len(means)):
        close = np.flatnonzero((np.abs(means[:k] - means[k]) < _COINCIDENT * deviations[k]).all(axis=1))
        for j in close:
            unit = 1.0 / deviations[k]
            difference = (covariances[j] - covariances[k]) * unit[:, None] * unit
            if np.abs(difference).max() < _COINCIDENT:
                group[k] = group[j]
                break
    found = [tuple(int(k) for k in np.flatnonzero(group == g)) for g in np.unique(group)]
    return tuple(members for members in found if len(members) > 1)


__all__ = [
    "DEFAULT_MAX_ITER",
    "START_KINDS",
    "MixtureSettings",
    "coinciding_components",
    "fit_mixture",
    "with_user_start",
]
