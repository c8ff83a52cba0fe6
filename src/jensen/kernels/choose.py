"""Which kernel runs the hot pass: the native one where it was built, for this machine's instruction set, or NumPy.

The choice is made once, at the first pass. ``JENSEN_ISA`` forces one: ``avx512``, ``avx2``, ``base`` (whatever every
machine of the architecture has), or ``portable`` for NumPy.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.contracts import RowPass
from jensen.errors import InputError, NumericalFailure
from jensen.kernels import portable
from jensen.kernels.mstep import LAYOUT_CODES, MStep
from jensen.kernels.portable import Layout

# Beyond these, the numerical work outweighs the calls, and LAPACK does the M-step better.
FEW_FEATURES = 16
# The same of components, for the rules that take Newton steps in all of them at once.
_NEWTON, _FEW_COMPONENTS = ("VEI", "VEE", "VEV"), 64
# What the native module returns where an M-step cannot begin at the old covariances.
NO_START = -2


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
    chosen = choice()
    if chosen.module is None or ridge.size > FEW_FEATURES:
        return None
    whitening, constants, penalty = np.empty(covariances.shape), np.empty(n_components), np.empty(n_components)
    failed = chosen.module.factors(chosen.isa, LAYOUT_CODES[shape], covariances, ridge, whitening, constants, penalty)
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
    if module is None or not is_small(step, *old[0].shape):
        return None
    weights, means, covariances = np.empty(len(moments[0])), np.empty(old[0].shape), np.empty(old[1].shape)
    failed = module.maximize(*step.arguments, *old, *moments, weights, means, covariances)
    if failed == NO_START:
        return None
    if failed >= 0:
        raise NumericalFailure(not_positive_definite(failed, len(means)))
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


def native_merge_losses(
    layout: Layout, weight: float, weights: Array, means: Array, covariances: Array
) -> Array | None:
    """Losses of merging pairs i < j, row after row: the native twin of ``families.moves.merge_losses``.

    None where NumPy does it better, or a covariance is not positive definite.
    """
    module, (n_components, d) = choice().module, means.shape
    if module is None or d > FEW_FEATURES:
        return None
    losses = np.empty(n_components * (n_components - 1) // 2)
    given = (np.ascontiguousarray(array) for array in (weights, means, covariances))
    return losses if module.merge_losses(LAYOUT_CODES[layout], weight, *given, losses) else None


def is_small(step: MStep, n_components: int, d: int) -> bool:
    """Whether the native M-step is the faster one."""
    return d <= FEW_FEATURES and (step.rule not in _NEWTON or n_components <= _FEW_COMPONENTS)


def not_positive_definite(failed: int, n_components: int) -> str:
    """What the native M-step says of itself by a number, in words."""
    if failed < n_components:
        return f"covariance of component [{failed}] is not positive definite"
    return "the part of the covariances that is common to all components is not positive definite"


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
