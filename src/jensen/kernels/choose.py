"""Which kernel runs the hot pass: the native one where it was built, for this machine's instruction set, or NumPy.

The choice is made once, at the first pass. ``JENSEN_ISA`` forces one: ``avx512``, ``avx2``, ``base`` (whatever every
machine of the architecture has), or ``portable`` for NumPy.
"""

from __future__ import annotations

import math
import os
from collections import deque
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.contracts import RowPass
from jensen.errors import InputError, NumericalFailure
from jensen.kernels import portable
from jensen.kernels.mstep import LAYOUT_CODES, MStep
from jensen.kernels.portable import Layout


@dataclass(frozen=True)
class Choice:
    """The kernel in use, and why.

    Attributes
    ----------
    kernel : {"native", "portable"}
        C++ or NumPy.
    isa : str
        Instruction set of the native kernel; ``""`` for NumPy.
    reason : str
        Why this one, in words.
    available : tuple of str
        Instruction sets that the native kernel was built for and this machine runs, widest first.
    module : module or None
        The native module.
    """

    kernel: str
    isa: str
    reason: str
    available: tuple[str, ...]
    module: ModuleType | None


@cache
def choice() -> Choice:
    """The kernel that passes of this process use.

    Raises
    ------
    InputError
        If ``JENSEN_ISA`` names an instruction set that is not there.
    """
    wanted = os.environ.get("JENSEN_ISA", "").strip().lower()
    try:
        import jensen.kernels._native as module
    except ImportError as error:
        if wanted not in ("", "portable"):
            raise InputError(
                f"JENSEN_ISA asks for {wanted!r}, but the native kernel is not there ({error}); "
                "install Jensen where a C++ compiler is, or unset JENSEN_ISA"
            ) from None
        return Choice("portable", "", f"the native kernel was not built ({error})", (), None)
    available = tuple(module.available())
    if wanted == "portable":
        return Choice("portable", "", "JENSEN_ISA asks for it", available, None)
    if not wanted:
        return Choice("native", available[0], "the widest that this machine runs", available, module)
    if wanted not in available:
        raise InputError(f"JENSEN_ISA must be one of {', '.join((*available, 'portable'))} here, got {wanted!r}")
    return Choice("native", wanted, "JENSEN_ISA asks for it", available, module)


def gaussian_moments(
    x: AnyArray,
    weight: Array | None,
    shape: Layout,
    centres: Array,
    whitening: Array,
    offsets: Array,
    last: AnyArray | None = None,
) -> tuple[Array, Array, Array, float]:
    """E-step and expected moments in one pass; see `jensen.kernels.portable.gaussian_moments`.

    `last` (n,) of int32 is what the native kernel remembers of the rows from pass to pass of one run, -1 at first: with
    it, components that lie apart are pruned, if that pays. NumPy's kernel leaves it alone.
    """
    chosen = choice()
    if chosen.module is None:
        return portable.gaussian_moments(x, weight, shape, centres, whitening, offsets)
    counts, first, scatter = np.zeros(len(centres)), np.zeros(centres.shape), np.zeros(whitening.shape)
    loglik = chosen.module.moments(
        chosen.isa, x, weight, LAYOUT_CODES[shape], centres, whitening, offsets, counts, first, scatter, last
    )
    return counts, first, scatter, loglik


def remembers(shape: Layout, n_components: int, d: int) -> bool:
    """Whether passes gain by an array `last` that a run keeps between them."""
    return choice().module is not None and shape in ("full", "tied") and d > 8 and n_components >= 16


def gaussian_rows(
    x: AnyArray, shape: Layout, centres: Array, whitening: Array, offsets: Array, wanted: RowPass
) -> AnyArray:
    """What a mixture says of each row; see `jensen.kernels.portable.gaussian_rows`."""
    chosen = choice()
    if chosen.module is None:
        return portable.gaussian_rows(x, shape, centres, whitening, offsets, wanted)
    n = x.shape[0]
    density = np.empty((2, n)) if wanted == "density" else None
    responsibilities = np.empty((n, len(centres))) if wanted == "responsibilities" else None
    labels = np.empty(n, dtype=np.int64) if wanted == "labels" else None
    code = LAYOUT_CODES[shape]
    chosen.module.rows(chosen.isa, x, code, centres, whitening, offsets, density, responsibilities, labels)
    found = density if density is not None else responsibilities if responsibilities is not None else labels
    assert found is not None
    return found


def native_factors(
    shape: Layout, covariances: Array, ridge: Array, n_components: int
) -> tuple[Array, Array, Array, int] | None:
    """Whitening factors, constants -d/2 log(2 pi) - log|L_k| and penalties tr(R Sigma_k^-1)/2 of few features.

    A burst takes them from the same code, so that a run goes on from where another ended, bit by bit. The last value
    is the component that has no Cholesky factor, or -1. None where the kernel or LAPACK does it otherwise.
    """
    module = choice().module
    if module is None or ridge.size > FEW_FEATURES:
        return None
    whitening, constants, penalty = np.empty(covariances.shape), np.empty(n_components), np.empty(n_components)
    failed = module.factors(LAYOUT_CODES[shape], covariances, ridge, whitening, constants, penalty)
    return whitening, constants, penalty, failed


def native_maximize(
    step: MStep, old: tuple[Array, Array], moments: tuple[Array, Array, Array]
) -> tuple[Array, Array] | None:
    """Means and covariances that maximise, of few features, from the code that a burst takes them from.

    Parameters
    ----------
    step : MStep
        What to maximise within.
    old : tuple of ndarray
        Means, about which the moments are, and covariances, which a component without rows keeps.
    moments : tuple of ndarray
        Counts (K,), first moments (K, d) and scatter.

    Returns
    -------
    tuple of ndarray or None
        None where there is no native kernel, NumPy does it better, or the old covariances are nothing to begin at.

    Raises
    ------
    NumericalFailure
        If the likelihood has no maximum.
    """
    module = choice().module
    if module is None or not _is_small(step, *old[0].shape):
        return None
    weights, means, covariances = np.empty(len(moments[0])), np.empty(old[0].shape), np.empty(old[1].shape)
    failed = module.maximize(*step.arguments, *old, *moments, weights, means, covariances)
    if failed == _NO_START:
        return None
    if failed >= 0:
        raise NumericalFailure(_not_positive_definite(failed, len(means)))
    return means, covariances


def native_smallest_ratios(matrices: Array, unit: Array) -> Array | None:
    """Smallest eigenvalues (K,) of matrices (K, d, d) in units of a positive definite one (d, d).

    None where LAPACK does it better, or there are none.
    """
    module, found = choice().module, np.empty(len(matrices))
    if module is None or len(unit) > FEW_FEATURES:
        return None
    known = module.smallest_ratios(np.ascontiguousarray(matrices), np.ascontiguousarray(unit), found)
    return found if known else None


def _is_small(step: MStep, n_components: int, d: int) -> bool:
    """Whether the native M-step is the faster one."""
    return d <= FEW_FEATURES and (step.rule not in _NEWTON or n_components <= _FEW_COMPONENTS)


def _not_positive_definite(failed: int, n_components: int) -> str:
    """What the native M-step says of itself by a number, in words."""
    if failed < n_components:
        return f"covariance of component [{failed}] is not positive definite"
    return "the part of the covariances that is common to all components is not positive definite"


@dataclass(frozen=True, eq=False)
class GaussianTrail:
    """Points of consecutive EM steps, the start in front.

    Attributes
    ----------
    records : ndarray of shape (points, numbers)
        A row for each point: weights, means, covariances, counts, first moments and scatter, one after another; then
        the objective, whether a plain step led there, the ratio of gains to come, and the passes that it took. Point t
        is in row t, or where there are fewer, in row t modulo their number: the last ones alone are kept.
    trace : ndarray of shape (steps + 1,) or None
        The objectives of all points, where not all are kept.
    shapes : tuple of tuple of int
        Shapes of these arrays, in the same order.
    done : int
        Points after the start; -1 if the start has no density.
    failed : int
        The component whose covariance was not positive definite after `done` steps, K if it was what all have in
        common, or -1.
    extrapolations : tuple of int
        Leaps that were tried, and those that were accepted.
    """

    records: Array
    trace: Array | None
    shapes: tuple[tuple[int, ...], ...]
    done: int
    failed: int
    extrapolations: tuple[int, int]

    @property
    def failure(self) -> str:
        """What ended the steps, in words; nothing if all were taken."""
        return "" if self.failed < 0 else _not_positive_definite(self.failed, self.shapes[0][0])

    @property
    def is_over(self) -> bool:
        """Whether it took fewer steps than it might, and none failed."""
        return self.failed < 0 and self.done < len(self.objective) - 1

    @property
    def objective(self) -> Array:
        """Penalised log-likelihoods; that of the start is no number unless its E-step was asked for."""
        return self.records[:, -_MARKS] if self.trace is None else self.trace

    @property
    def marks(self) -> Array:
        """Of each point, 1 for a plain step and 0 for a leap; the ratio of gains, or no number; the passes."""
        return self.records[:, 1 - _MARKS :]

    def point(self, step: int) -> list[Array]:
        """Weights, means, covariances, counts, first moments and scatter of one point, read-only and its own."""
        row, found, at = self.records[step % len(self.records)].copy(), list[Array](), 0
        row.flags.writeable = False
        for shape in self.shapes:
            end = at + math.prod(shape)
            found.append(row[at:end].reshape(shape))
            at = end
        return found


# Beyond these, the numerical work outweighs the calls, and LAPACK does the M-step better.
FEW_FEATURES = 16
# The same of components, for the rules that take Newton steps in all of them at once.
_NEWTON, _FEW_COMPONENTS = ("VEI", "VEE", "VEV"), 64
# What the native module returns where an M-step cannot begin at the old covariances.
_NO_START = -2
# The last numbers of a record.
_MARKS = 4
_BURST_NUMBERS = 1 << 17
_BURST_WORK = 1 << 22


@dataclass(frozen=True, eq=False)
class GaussianBursts:
    """Many EM steps from one or more starts, on a block so small that the calls cost more than the work.

    Attributes
    ----------
    x, weight
        All the rows (n, d), in either precision, and their weights (n,) or None.
    arguments : tuple
        The same bursts for the native module.
    records : ndarray of shape (starts, points, numbers)
        Room for their points; see `GaussianTrail`.
    trace : ndarray of shape (starts, steps + 1) or None
        And for the objectives, where only the last points are kept.
    shapes : tuple of tuple of int
        See `GaussianTrail`.
    """

    x: AnyArray
    weight: Array | None
    arguments: tuple[Any, ...]
    records: Array
    trace: Array | None
    shapes: tuple[tuple[int, ...], ...]

    def taken(self) -> GaussianTrail | None:
        """The points from the first start; None where no M-step of the rule may begin there."""
        flight = Flight(0)
        flight.add(self)
        return flight.take()


def ready_bursts(
    x: AnyArray,
    weight: Array | None,
    step: MStep,
    steps: int,
    starts: tuple[Array, Array, Array],
    moments: tuple[Array, Array, Array] | None = None,
    enough: float = 0.0,
    leap_after: int | None = None,
    ends_only: bool = False,
) -> GaussianBursts | None:
    """Many EM steps in one call, for a block so small that the calls cost more than the work.

    Leaps are quasi-Newton steps (Zhou, Alexander & Lange 2011) from the last three secants, in the metric of the
    complete-data information; each follows a plain step, and is a point only if it is no lower than that one.

    Parameters
    ----------
    x : ndarray of shape (n, d)
        All the rows; objectives of float32 rows are good to some seven digits.
    weight : ndarray of shape (n,) or None
        Weights of the rows.
    step : MStep
        What M-steps maximise within.
    steps : int
        M-steps, each with the E-step after it, and leaps.
    starts : tuple of ndarray
        Weights (starts, K), means (starts, K, d) and covariances (starts, ...).
    moments : tuple of ndarray or None
        Counts, first moments and scatter at each start, of the same shapes; None to take the E-steps there first.
    enough : float, default=0
        Nats: steps end where less was to gain twice running, by Aitken's extrapolation; 0 takes them all.
    leap_after : int, optional
        Plain steps before the first leap, which comes only where plain steps are slow; by default none leap.
    ends_only : bool, default=False
        Whether to keep the last two points of each burst alone, which takes less room; for bursts without leaps.

    Returns
    -------
    GaussianBursts or None
        For `Flight`. None where there is no native kernel, or the problem is too large to gain by it.
    """
    n_starts, n_components, _ = starts[1].shape
    if not takes_bursts(x, step, n_components):
        return None
    given = [array.reshape(n_starts, -1) for array in (*starts, *(moments or ()))]
    length = 2 * sum(array.shape[1] for array in given[:3]) + _MARKS
    if not ends_only:
        steps = min(steps, _BURST_NUMBERS // length)
    if steps < 1:
        return None
    trace = np.empty((n_starts, steps + 1)) if ends_only else None
    records, at = np.empty((n_starts, 2 if ends_only else steps + 1, length)), 0
    for array in given:
        records[:, 0, at : at + array.shape[1]] = array
        at += array.shape[1]
    leap_after = -1 if leap_after is None else leap_after
    arguments = (*step.arguments, n_components, steps, moments is None, enough, leap_after, records, trace)
    shapes = (*(array.shape[1:] for array in starts), (n_components,), starts[1].shape[1:], starts[2].shape[1:])
    return GaussianBursts(x, weight, arguments, records, trace, shapes)


def takes_bursts(x: AnyArray, step: MStep, n_components: int) -> bool:
    """Whether a block (n, d) is so small that calls cost about as much as the work, and the kernel native."""
    n, d = x.shape
    work = n * n_components * (d + 1) * (d + 2)
    small = work <= _BURST_WORK and _is_small(step, n_components, d)
    return choice().module is not None and small


class Flight:
    """Bursts under way, on threads that need nothing of Python.

    Parameters
    ----------
    helpers : int
        Threads at most, besides the one that asks. They begin where there is enough to do.
    """

    def __init__(self, helpers: int) -> None:
        self._isa, self._waiting = choice().isa, deque[tuple[GaussianBursts, int]]()
        module = choice().module
        assert module is not None
        self._bursts, self._taken = module.Bursts(helpers), 0

    def add(self, bursts: GaussianBursts) -> None:
        """Begin bursts as soon as threads are free, in the order in which they are added."""
        self._bursts.add(self._isa, bursts.x, bursts.weight, bursts.arguments)
        self._waiting.extend((bursts, number) for number in range(len(bursts.records)))

    def take(self) -> GaussianTrail | None:
        """The points of the next one; None where no M-step of the rule may begin at its start."""
        bursts, number = self._waiting.popleft()
        self._taken += 1
        done, failed, tried, accepted = self._bursts.take(self._taken - 1)
        if done == _NO_START:
            return None
        trace = None if bursts.trace is None else bursts.trace[number]
        return GaussianTrail(bursts.records[number], trace, bursts.shapes, done, failed, (tried, accepted))


def native_kernels() -> ModuleType | None:
    """The native module, if it is in use."""
    return choice().module


def native_seeds(z: Array, weight: Array, n_candidates: int, uniforms: Array, n_centres: int) -> AnyArray:
    """Positions (times, K) of rows z (n, d) that seed K centres, so many times; the twin of ``fit.kmeans.seed_rows``.

    One row of `uniforms` is for each time.
    """
    chosen, seeds = choice(), np.empty((len(uniforms), n_centres), dtype=np.int64)
    assert chosen.module is not None
    chosen.module.seed_rows(chosen.isa, np.ascontiguousarray(z), weight, n_candidates, uniforms, seeds)
    return seeds


def native_lloyd(z: Array, weight: Array, max_iter: int, rest: float, centres: Array) -> AnyArray:
    """Labels (n,) after Lloyd's iterations from centres (K, d); the native twin of ``fit.kmeans.lloyd``."""
    chosen, labels = choice(), np.empty(len(z), dtype=np.int64)
    assert chosen.module is not None
    chosen.module.lloyd(chosen.isa, np.ascontiguousarray(z), weight, max_iter, rest, centres.copy(), labels)
    return labels


def native_labelled_moments(
    x: Array, weight: Array | None, labels: AnyArray, shape: Layout, n_components: int
) -> tuple[Array, Array, Array]:
    """Counts (K,), means (K, d), and scatter about those means, of labelled rows; labels below 0 are left out.

    A label without rows has 0 for everything.
    """
    module, d = choice().module, x.shape[1]
    assert module is not None
    counts, means = np.zeros(n_components), np.zeros((n_components, d))
    scatter = np.zeros(portable.scatter_shape(shape, n_components, d))
    contiguous, codes = np.ascontiguousarray(x), labels.astype(np.int64)
    module.labelled_moments(contiguous, weight, codes, LAYOUT_CODES[shape], counts, means, scatter)
    return counts, means, scatter


def native_column_moments(x: Array, weight: Array | None) -> tuple[float, Array, Array, Array, Array]:
    """Sum of the weights, and each column's mean, squares about it, and extremes, over rows of positive weight."""
    module, d = choice().module, x.shape[1]
    assert module is not None
    mean, squares, low, high = np.empty((4, d))
    return module.column_moments(x, weight, mean, squares, low, high), mean, squares, low, high


def native_row_keys(x: Array, seed: int, multipliers: AnyArray) -> AnyArray:
    """The native twin of ``numerics.order.row_keys``."""
    module, keys = choice().module, np.empty(len(x), dtype=np.uint64)
    assert module is not None
    module.row_keys(x, seed, multipliers, keys)
    return keys


def native_hierarchy(z: Array, weight: Array, criterion: str, floor: float, share: float) -> tuple[AnyArray, Array]:
    """Merges (m - 1, 2) and their costs (m - 1,) of rows z (m, d) of weights (m,); see ``fit.hierarchy``.

    Parameters
    ----------
    z : ndarray of shape (m, d)
        Transformed rows.
    weight : ndarray of shape (m,)
        Their weights, positive.
    criterion : {"EII", "VVV", "affine"}
        What is kept small.
    floor : float
        The constant beside the trace of ``"VVV"``, or on the diagonal of ``"affine"``.
    share : float
        Costs are equal that differ by no more than this share of the least.
    """
    module, steps = choice().module, len(z) - 1
    assert module is not None
    merges, costs = np.empty((steps, 2), dtype=np.int64), np.empty(steps)
    code = {"EII": 0, "VVV": 1, "affine": 2}[criterion]
    module.hierarchy(z, weight, code, floor, share, merges, costs)
    return merges, costs
