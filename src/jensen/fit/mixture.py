"""Fit a Gaussian mixture: ridge, starts, restarts, and the assessment of the best."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from jensen.core.block import Array
from jensen.core.contracts import Run, StoppingRule
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.data.pool import single_threaded_blas
from jensen.errors import InputError
from jensen.families.gaussian import Gaussian
from jensen.families.shapes.ratio import WITH_RATIO
from jensen.families.shapes.table import covariance_shape
from jensen.fit.coinciding import coinciding_components
from jensen.fit.outliers.contract import NoOutliers, Outliers
from jensen.fit.outliers.noise import NoiseOutliers, box_around
from jensen.fit.outliers.trimming import TrimmedOutliers
from jensen.fit.result import MixtureFit
from jensen.fit.search.account import Account, StartRecord
from jensen.fit.search.mixtures import KINDS, search_mixture
from jensen.fit.search.restarts import EndObserver, StartObserver, run_starts, with_memory
from jensen.fit.search.soundness import verdict
from jensen.fit.settings import MixtureSettings
from jensen.fit.starts.draw import draw_start, from_given
from jensen.fit.starts.given import with_user_start
from jensen.fit.summary import DataSummary, summarise
from jensen.models.mixture import Mixture
from jensen.numerics.streams import fresh_seed, stream
from jensen.solve.loop import Limits, run
from jensen.solve.stopping import AitkenRule, MeanChangeRule
from jensen.solve.variants import Accelerate, Plain

DEFAULT_MAX_ITER = 10_000


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
            isinstance(settings.tol, str), observer, on_end, outliers, settings.mixes_starts,
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
    faults: tuple[str, ...] | None = None,
) -> MixtureFit:
    """The record of a run on all the rows, with the plain likelihood at its end; its faults where they are known."""
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
        faults=outliers.mixture.faults(best.params, best.statistics) if faults is None else faults,
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
    kinds, besides = KINDS if settings.mixes_starts else (init,), settings.besides

    def on(table: DataSummary) -> Callable[[int], tuple[str, Parameters]]:
        def make(index: int) -> tuple[str, Parameters]:
            if index < len(besides):
                return besides[index]
            # The others are those of a search without them.
            kind = kinds[index % len(kinds)]
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
