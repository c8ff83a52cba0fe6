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
from jensen.fit.account import Account
from jensen.fit.mixture_search import KINDS, search_mixture
from jensen.fit.restarts import EndObserver, StartObserver, run_starts, with_memory
from jensen.fit.result import MixtureFit, full_covariances
from jensen.fit.soundness import Degenerate, verdict
from jensen.fit.starts import START_KINDS, StartKind, UserStart, draw_start, from_given
from jensen.fit.summary import DataSummary, summarise
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
    history : tuple of float, default=()
        Last objectives of the fit that `warm_start` ended, for the rule on the gain still to come.
    seed : int or None
        Seed of all random streams; None takes a fresh one.
    max_time : float, default=inf
        Seconds after which no further pass is begun.
    degenerate : {"avoid", "allow"}, default="avoid"
        Whether sound optima come before degenerate and narrow ones, or the objective alone decides.
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
    history: tuple[float, ...] = ()
    seed: int | None = None
    max_time: float = np.inf
    degenerate: Degenerate = "avoid"


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
    ridge = _ridge(settings, data)
    family = Gaussian(
        settings.n_components, source.x.shape[1], settings.covariance_type, ridge, _collapse_floor(ridge, data)
    )
    model = Mixture(family)
    max_iter = DEFAULT_MAX_ITER if settings.max_iter == "auto" else settings.max_iter
    accelerate = "off" if settings.accelerate == "auto" and not isinstance(settings.tol, str) else settings.accelerate
    limits, rule = Limits(max_iter, began + settings.max_time), _rule(settings, source.weight)
    account: Account | None = None
    if _searches(settings, max_iter):

        def finish(start: Parameters, n_iter: int) -> Run[Any]:
            left = replace(limits, max_iter=max(max_iter - n_iter, 0))
            last = rule()
            return run(Plain(accelerate).solver(model, last), with_memory(model, source), start, last, left)

        make = _makers(model, source, data, settings, seed)
        best, account = search_mixture(
            model, source, data, seed, make, finish, settings.accelerate, limits, settings.degenerate,
            isinstance(settings.tol, str), observer, on_end,
        )  # fmt: skip
        records = account.starts
    else:
        best, records = run_starts(
            model,
            source,
            _starts(model, source, data, settings, seed),
            rule,
            limits,
            observer,
            on_end,
            accelerate,
            lambda ended: verdict(model, ended, data.informative, settings.degenerate),
        )
    plain = Mixture(family.unregularised())
    assessment = source.fold(plain.assess, best.params)
    return MixtureFit(
        model=model,
        params=best.params,
        objective=best.objective,
        loglik=assessment.loglik,
        map_loglik=assessment.map_loglik,
        weight=source.weight,
        n_rows=source.n_rows,
        status=best.status,
        detail=best.detail,
        n_iter=best.n_iter,
        passes=best.passes,
        trace=best.trace,
        extrapolations=best.extrapolations,
        starts=records,
        account=account,
        faults=model.faults(best.params, best.statistics),
        coinciding=coinciding_components(family.layout, best.params),
        constant_columns=tuple(int(j) for j in np.flatnonzero(~data.informative)),
        seed=seed,
        feature_names=feature_names,
        seconds=time.perf_counter() - began,
    )


def _ridge(settings: MixtureSettings, data: DataSummary) -> Array:
    reg = settings.reg_covar
    if isinstance(reg, str):
        return data.auto_ridge()
    return np.broadcast_to(np.asarray(reg, dtype=np.float64), data.centre.shape)


def _collapse_floor(ridge: Array, data: DataSummary) -> Array:
    """Variances that mark a collapse: R, or the automatic R where the user wants more smoothing than that.

    A component is not degenerate for being as smooth as it was asked to be.
    """
    return np.where(data.informative, np.minimum(ridge, data.auto_ridge()), 0.0)


def _rule(settings: MixtureSettings, weight: float) -> Callable[[], StoppingRule]:
    tol = settings.tol
    if isinstance(tol, str):
        return lambda: AitkenRule(weight, settings.history)
    return lambda: MeanChangeRule(tol, weight)


def _searches(settings: MixtureSettings, max_iter: int) -> bool:
    """Whether there is something to search: several components, and no start that the user brings."""
    given = (settings.weights, settings.means, settings.covariances, settings.warm_start)
    drawn = isinstance(settings.init, str) or callable(settings.init)
    free = drawn and all(value is None for value in given)
    return settings.n_init == "auto" and settings.n_components > 1 and max_iter > 0 and free


def _makers(
    model: Mixture, source: ArraySource, data: DataSummary, settings: MixtureSettings, seed: int
) -> Callable[[DataSummary], Callable[[int], tuple[str, Parameters]]]:
    """From the table of a search, how start number i is made; a user's function sees all the rows."""
    init = settings.init
    kinds = KINDS if isinstance(init, str) and init == "auto" else (init,)

    def on(table: DataSummary) -> Callable[[int], tuple[str, Parameters]]:
        def make(index: int) -> tuple[str, Parameters]:
            kind = kinds[index % len(kinds)]
            rng = stream(seed, "start", index)
            if isinstance(kind, str):
                return kind, _drawn(kind, model, source, table, rng)
            return "callable", _drawn(kind, model, source, data, rng)

        return make

    return on


def _drawn(init: Any, model: Mixture, source: ArraySource, data: DataSummary, rng: np.random.Generator) -> Parameters:
    """A start of a kind, by a user's function, or from a user's labels or responsibilities."""
    if isinstance(init, str):
        return draw_start(init, model, data, rng)  # type: ignore[arg-type]
    own = init(source.x, model.n_components, rng) if callable(init) else init
    return from_given(model, data, with_user_start(source, own, model.n_components))


def _starts(
    model: Mixture, source: ArraySource, data: DataSummary, settings: MixtureSettings, seed: int
) -> list[tuple[str, Callable[[], Parameters]]]:
    """The kind of each start, and how its parameters are made."""
    given = {
        name: value for name in ("weights", "means", "covariances") if (value := getattr(settings, name)) is not None
    }
    if settings.warm_start is not None:
        warm = settings.warm_start
        return [("warm start", lambda: warm)]
    if len(given) == 3:
        return [("parameters", lambda: model.parameters(**given))]
    init = "kmeans" if isinstance(settings.init, str) and settings.init == "auto" else settings.init

    def make(index: int) -> Parameters:
        return _drawn(init, model, source, data, stream(seed, "start", index)).replace(**given)

    if isinstance(init, str):
        kind: str = init
    else:
        kind = "callable" if callable(init) else "given"
    # An array brings the same start every time, so one run says all.
    several = isinstance(init, str) or callable(init)
    n_init = settings.n_init if several and not isinstance(settings.n_init, str) else 1
    return [(kind, lambda index=index: make(index)) for index in range(n_init)]  # type: ignore[misc]


def with_user_start(source: ArraySource, start: Any, n_components: int) -> ArraySource:
    """The source with a user's labels or responsibilities beside its rows, checked.

    Parameters
    ----------
    source : ArraySource
        n rows.
    start : array-like
        Labels (n,), integers from 0 to K - 1, or responsibilities (n, K), at least 0, with rows that sum to 1.
    n_components : int
        K.

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
        if labels.min() < 0 or labels.max() >= n_components:
            raise InputError(
                f"init_params as labels must lie between 0 and n_components - 1 = {n_components - 1}, "
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
