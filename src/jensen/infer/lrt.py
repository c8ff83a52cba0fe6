"""The bootstrap likelihood-ratio test of the number of components (McLachlan 1987).

Twice the gain of one component more has no chi-squared distribution, as K components lie on the boundary of K + 1.
Its distribution is found by drawing data from the fit of K components and fitting both numbers anew, again and again.
What is fitted is the same every time: EM from the fit of K components, and from splits of them (`jensen.infer.splits`),
so that the statistic is the same function of the data and of every draw, and never negative.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from threading import Event
from typing import Any, Literal

import numpy as np

from jensen.core.block import Array
from jensen.core.status import Status
from jensen.data.anything import as_source
from jensen.data.arrays import ArraySource
from jensen.data.frames import to_matrix
from jensen.data.pool import map_ordered, single_threaded_blas, threads
from jensen.errors import InputError, NumericalFailure
from jensen.families.shapes.table import covariance_shape
from jensen.fit.mixture import fit_mixture, mixture_of
from jensen.fit.result import MixtureFit
from jensen.fit.search.account import SAME_OPTIMUM
from jensen.fit.settings import MixtureSettings
from jensen.fit.starts.draw import from_given
from jensen.fit.summary import DataSummary, summarise
from jensen.infer.lrt_record import BootstrapLRT, ComponentTest
from jensen.infer.resampling import resampling
from jensen.infer.splits import Ladder, Stopped, duplicated
from jensen.numerics.streams import fresh_seed, stream
from jensen.solve.loop import Limits

Observer = Callable[[int, int, int], None]
# The statistic of a draw, why there is none, or nothing where there was no time for it.
_Drawn = float | str | None

# Nats still to come at which the data's own statistic is known; draws are content with less.
_EXACT = 1e-6
# Of all draws, how many may fail before it is said aloud.
_BEARABLE = 0.05
_IN_A_ROW = 8
_DEGENERATE, _SINGULAR = "degenerate even with one component", "singular in the computation"


def bootstrap_lrt(
    X: Any,
    n_components: Iterable[int] = range(1, 10),
    *,
    covariance_type: str = "full",
    n_boot: int = 999,
    level: float = 0.05,
    sample_weight: Any = None,
    reg_covar: Literal["auto"] | float = "auto",
    seed: int | None = None,
    max_time: float = np.inf,
    observer: Observer | None = None,
) -> BootstrapLRT:
    """Test K against K + 1 components of a Gaussian mixture by the parametric bootstrap, for K = 1, 2, ... in turn.

    The p-value of a test is (1 + #{T* >= T}) / (1 + B), where T is twice the gain of the log-likelihood and T* the same
    in B sets of rows drawn from the fit of K components (McLachlan 1987). The first test whose p-value is above the
    level ends the sequence, and its K is what the data support. Both fits of every draw go the same way as those of
    the data: EM from where they were drawn, then from splits of each component. Degenerate optima do not count, and
    narrow components must bring their price, in the data and in the draws.

    Parameters
    ----------
    X : array-like of shape (n,) or (n, d), or data frame
        Rows of finite numbers.
    n_components : iterable of int, default=range(1, 10)
        Numbers of components, one after another without a gap: the first is tested first, and the last is only tested
        against.
    covariance_type : str, default="full"
        Shape of the covariances, as `jensen.GaussianMixture` takes it.
    n_boot : int, default=999
        B, draws for each test, at least 1 / level - 1.
    level : float, default=0.05
        Between 0 and 1.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows, at least 0: weight 2 is the row twice. Draws have as many rows as the weights sum to,
        rounded.
    reg_covar : "auto" or float, default="auto"
        Of every fit, see `jensen.GaussianMixture`; draws take what it is for the data.
    seed : int, optional
        Seed of all random numbers; a fresh one by default. Results do not depend on the number of threads.
    max_time : float, default=inf
        Seconds after which no further draw is begun.
    observer : callable (int, int, int) -> None, optional
        Told K, the number of draws made, and B, after each.

    Returns
    -------
    BootstrapLRT
        Also where the time was over, or a person interrupted: the tests so far, and the last one with the draws it has.

    Raises
    ------
    InputError
        If an argument cannot be used; the message names it.
    NumericalFailure
        If the first number of components cannot be fitted.
    KeyboardInterrupt
        If it comes before any draw.
    """
    began = time.perf_counter()
    source = _rows(X, sample_weight)
    numbers = _numbers(n_components, source)
    label = covariance_shape(covariance_type, source.x.shape[1]).label
    if isinstance(n_boot, bool) or not (isinstance(n_boot, int | np.integer) and n_boot >= 1):
        raise InputError(f"n_boot must be an integer of at least 1, got {n_boot!r}")
    if not (isinstance(level, float | np.floating) and 0.0 < level < 1.0):
        raise InputError(f"level must be a number between 0 and 1, such as 0.05, got {level!r}")
    if (1 + n_boot) * level < 1.0:
        raise InputError(
            f"n_boot={n_boot} draws leave no p-value below {1 / (1 + n_boot):.3g}, and no test could reach the level "
            f"{level:g}: ask for at least {int(np.ceil(1 / level)) - 1}"
        )
    if seed is not None and (isinstance(seed, bool) or not (isinstance(seed, int | np.integer) and seed >= 0)):
        raise InputError(f"seed must be an integer of at least 0 or None, got {seed!r}")
    if not (isinstance(max_time, int | float) and max_time >= 0.0):
        raise InputError(f"max_time must be seconds, at least 0, got {max_time!r}")
    seed = fresh_seed() if seed is None else int(seed)
    settings = MixtureSettings(1, label, _checked_ridge(reg_covar), n_init="auto", seed=seed)
    asked = _Asked(settings, int(n_boot), float(level), seed, began + max_time, observer)
    sequence = _Sequence(source, asked)
    with single_threaded_blas(), np.errstate(all="ignore"):
        status = sequence.run(numbers)
    tests, notes = tuple(sequence.tests), list(sequence.notes)
    if not tests and status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    if tests and abs(source.weight - round(source.weight)) > 1e-9 * source.weight:
        n = round(source.weight)
        notes.append(
            f"the weights sum to {source.weight:.6g}: draws have {n} rows that weigh {source.weight / n:.6g} each"
        )
    return BootstrapLRT(
        tests=tests,
        n_components=sequence.supported or numbers[0],
        level=float(level),
        n_boot=int(n_boot),
        covariance_type=label,
        seed=seed,
        status=status,
        seconds=time.perf_counter() - began,
        notes=tuple(notes),
    )


def _rows(X: Any, sample_weight: Any) -> ArraySource:
    """The rows and their weights."""
    if len(getattr(X, "shape", ())) == 1 or (isinstance(X, list | tuple) and np.ndim(X) == 1):
        X = np.asarray(X).reshape(-1, 1)
    source: ArraySource = as_source(to_matrix(X, label="X").data, sample_weight)
    if round(source.weight) < 2:
        raise InputError(
            f"sample_weight sums to {source.weight:.6g}, but a row of weight w counts as w rows, so that fewer than "
            "two would be drawn: multiply the weights so that they sum to the number of rows observed"
        )
    return source


def _numbers(n_components: Any, source: ArraySource) -> list[int]:
    """The numbers of components, without a gap; those above the number of rows are left out."""
    numbers = list(n_components) if isinstance(n_components, Iterable) else []
    sound = bool(numbers) and all(isinstance(k, int | np.integer) and not isinstance(k, bool) for k in numbers)
    if not sound or numbers[0] < 1 or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise InputError(
            "n_components must be whole numbers from 1 on, one after another without a gap, such as range(1, 10), got "
            f"{n_components!r}"
        )
    possible = [int(k) for k in numbers if k <= source.n_counting]
    if len(possible) < 2:
        raise InputError(
            f"n_components must have at least two numbers that the rows allow, got {n_components!r} for "
            f"{source.n_counting} rows"
        )
    return possible


def _checked_ridge(reg_covar: Any) -> Any:
    is_number = isinstance(reg_covar, int | float | np.number) and not isinstance(reg_covar, bool)
    if not ((isinstance(reg_covar, str) and reg_covar == "auto") or (is_number and 0.0 <= reg_covar < np.inf)):
        raise InputError(f"reg_covar must be 'auto' or a number of at least 0, got {reg_covar!r}")
    return reg_covar


@dataclass(frozen=True, eq=False)
class _Asked:
    """What was asked for, checked."""

    settings: MixtureSettings
    n_boot: int
    level: float
    seed: int
    deadline: float
    observer: Observer | None


class _Sequence:
    """The tests as they come."""

    def __init__(self, source: ArraySource, asked: _Asked) -> None:
        self.source, self.asked = source, asked
        self.data: DataSummary = summarise(source, asked.seed)
        self.tests, self.notes = list[ComponentTest](), list[str]()
        self.supported = 0

    def run(self, numbers: list[int]) -> Status:
        """One test after another; how the sequence ended."""
        try:
            null = self.sound(self.fit(numbers[0]))
            for k in numbers[:-1]:
                if not null.is_sound:
                    self.notes.append(f"no sound fit of {_many(k)} was found: {'; '.join(null.faults[:2])}")
                    break
                self.supported = k
                test = self.test(null)
                if test is None:
                    break
                self.tests.append(test)
                if not test.is_complete:
                    return test.status
                if test.p_value > self.asked.level:
                    break
                null, self.supported = test.alternative, k + 1
        except KeyboardInterrupt:
            return Status.INTERRUPTED
        except Stopped:
            return Status.OUT_OF_TIME
        return Status.CONVERGED

    def fit(self, k: int, **settings: Any) -> MixtureFit:
        """The best fit of K components to the data."""
        left = self.asked.deadline - time.perf_counter()
        if left <= 0.0:
            raise Stopped
        settings = {"n_components": k, "max_time": left, **settings}
        found = fit_mixture(self.source, replace(self.asked.settings, **settings), data=self.data)
        if found.status is Status.INTERRUPTED:
            raise KeyboardInterrupt
        if found.status is Status.OUT_OF_TIME:
            raise Stopped
        return found

    def sound(self, found: MixtureFit) -> MixtureFit:
        """The fit, or one from fewer components where a search found none that is sound, as draws are fitted."""
        if found.is_sound:
            return found
        ended = replace(self.ladder(found, Event()), tol=_EXACT).fit(self.source, found.params, found.n_components)
        return found if ended is None else self.fit(found.n_components, warm_start=ended.params, n_init=1)

    def test(self, null: MixtureFit) -> ComponentTest | None:
        """K against K + 1; None where K + 1 cannot be fitted."""
        source, k, cancel = self.source, null.n_components, Event()
        ladder = self.ladder(null, cancel)
        own = replace(ladder, tol=_EXACT)
        before = own.fit(source, null.params, k)
        if before is None:
            self.notes.append(f"the fit of {_many(k)} is degenerate")
            return None
        best = own.best(source, before, k)
        statistic = 0.0 if best is None else 2.0 * (best.objective - before.objective)
        reached = ladder.templates[k + 1] if best is None else best.params
        alternative, notes = self.alternative(null, reached, statistic)
        draws, failed, status = self.draws(ladder, null, cancel)
        if not len(draws):
            if status is Status.INTERRUPTED:
                raise KeyboardInterrupt
            if status is Status.OUT_OF_TIME:
                raise Stopped
            self.notes.append(f"no draw from {_many(k)} could be fitted")
            return None
        n_failed = sum(failed.values())
        if n_failed > _BEARABLE * (len(draws) + n_failed):
            told = ", ".join(f"{count} {reason}" for reason, count in failed.items())
            notes.append(
                f"{n_failed} of {len(draws) + n_failed} draws were left out ({told}), and the rest is no fair sample"
            )
        return ComponentTest(k, statistic, draws, null, alternative, failed, status, tuple(notes))

    def ladder(self, null: MixtureFit, cancel: Event) -> Ladder:
        """What fits up to one component more than a fit to any rows."""
        source, k = self.source, null.n_components
        asked = (replace(self.asked.settings, n_components=j) for j in range(1, k + 2))
        models = {settings.n_components: mixture_of(settings, source, self.data) for settings in asked}
        shares = source.collect(null.model.responsibilities, null.params)
        given = {j: np.column_stack([shares[:, : j - 1], shares[:, j - 1 :].sum(axis=1)]) for j in range(1, k + 1)}
        given[k + 1] = duplicated(source, shares)
        templates = {j: from_given(models[j], self.data, source.with_arrays(responsibilities=given[j])) for j in models}
        return Ladder(models, templates, self.data.informative, Limits(deadline=self.asked.deadline, cancel=cancel))

    def alternative(self, null: MixtureFit, reached: Any, statistic: float) -> tuple[MixtureFit, list[str]]:
        """The best fit of K + 1 components, from a search and from the splits, and what to know about it."""
        k, notes = null.n_components + 1, list[str]()
        fit: MixtureFit | None = None
        try:
            fit = self.fit(k)
        except NumericalFailure:
            pass
        gain = 0.0 if fit is None else 2.0 * (fit.objective - null.objective)
        if fit is None or not fit.is_sound or gain < statistic - 2.0 * SAME_OPTIMUM:
            return self.fit(k, warm_start=reached, n_init=1), notes
        if gain > statistic + 0.1:
            notes.append(
                f"{k} against {k - 1}: a search gains {gain:.4g}, where splits, by which all draws go too, gain "
                f"{statistic:.4g}; the test counts the splits"
            )
        return fit, notes

    def draws(self, ladder: Ladder, null: MixtureFit, cancel: Event) -> tuple[Array, dict[str, int], Status]:
        """The statistics of the draws, why some have none, and how it ended."""
        asked, k = self.asked, null.n_components
        resample = resampling("parametric", null.model, null.params, self.source)

        def one(index: int) -> _Drawn:
            try:
                if cancel.is_set() or time.perf_counter() > asked.deadline:
                    return None
                with np.errstate(all="ignore"):
                    rows = resample(stream(asked.seed, "lrt", k, index))
                    value = ladder.statistic(rows, null.params, k)
                    return _DEGENERATE if value is None else value
            except Stopped:
                return None
            except (NumericalFailure, np.linalg.LinAlgError):
                return _SINGULAR

        found, failed, status = list[float](), Counter[str](), Status.CONVERGED
        try:
            # Closed at once, so that nothing runs on behind a result that was cut short.
            with closing(self._each(one, cancel)) as values:
                for number, value in enumerate(values, start=1):
                    if value is None:
                        status = Status.OUT_OF_TIME
                        break
                    if isinstance(value, str):
                        failed[value] += 1
                    else:
                        found.append(value)
                    if asked.observer is not None:
                        asked.observer(k, number, asked.n_boot)
        except KeyboardInterrupt:
            status = Status.INTERRUPTED
        return np.array(found), dict(failed), status

    def _each(self, one: Callable[[int], _Drawn], cancel: Event) -> Generator[_Drawn, None, None]:
        """Draws in their order: small data take a draw to a thread, large data the threads to their blocks."""
        numbers = range(self.asked.n_boot)
        if self.source.n_blocks >= 2 * threads():
            yield from map(one, numbers)
        else:
            yield from map_ordered(one, numbers, len(numbers), cancel, _IN_A_ROW)


def _many(k: int) -> str:
    return f"{k} component{'s' * (k != 1)}"
