"""Arguments at the public edge, checked once and turned into what the core takes.

Where scikit-learn's tests check an error's words, these are its words.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from jensen.core.block import AnyArray, Array
from jensen.data.table import check_values
from jensen.errors import InputError
from jensen.kernels.portable import Layout, scatter_shape
from jensen.numerics.cholesky import is_positive_definite, lower_factors, symmetric, triangular_inverses

_FLOATS = (np.float64, np.float32)
# Beginnings of what NumPy says, through scikit-learn, of things that are no numbers.
_NO_NUMBERS = ("could not convert", "float() argument", "setting an array element", "cannot convert", "Complex data")


@contextmanager
def _naming(name: str, expected: str) -> Iterator[None]:
    """Name the argument and the remedy where the checks of scikit-learn, which a block runs, do not."""
    try:
        yield
    except (TypeError, ValueError) as error:
        # Some end in the values themselves.
        text = str(error).partition("\n")[0]
        if text.startswith(_NO_NUMBERS):
            kind = InputError if isinstance(error, ValueError) else TypeError
            raise kind(
                f"{name} cannot be read as numbers ({text}); expected {expected}. Leave out what is no number, or "
                "convert it"
            ) from None
        if "sample(s)" in text or "feature(s)" in text:
            raise InputError(f"{name} is too small. {text} Check that all its rows and columns came") from None
        raise


def check_rows(estimator: Any, X: Any, *, reset: bool) -> AnyArray:
    """Finite rows (n, d) as float64 or float32, after scikit-learn's checks of an estimator's `X`.

    Parameters
    ----------
    estimator : BaseEstimator
        Whose `X` it is; it notes the number and the names of the columns, or compares them.
    X : array-like of shape (n, d)
        The rows.
    reset : bool
        Whether to note the columns, and expect two rows for a fit; else they are compared, and one row will do.

    Raises
    ------
    InputError
        If there are too few rows, or a value is missing, infinite or no number; the message names the columns.
    TypeError or ValueError
        If `X` is sparse or no table, or its columns are other ones than those of the fit.
    """
    if np.ma.is_masked(X):
        raise InputError("X has masked values. Incomplete rows cannot be used yet: drop them, or fill the values in")
    min_rows = 2 if reset else 1
    with _naming("X", "a table of n rows and d numeric columns"):
        rows = validate_data(
            estimator, X, reset=reset, dtype=_FLOATS, ensure_min_samples=min_rows, ensure_all_finite=False
        )
    names = getattr(estimator, "feature_names_in_", None)
    check_values(rows, None if names is None else tuple(names), min_rows=min_rows, label="X")
    return np.asarray(rows)


def check_sample_weight(sample_weight: Any, n_rows: int) -> Array | None:
    """Weights of the rows as float64, shape (n,), or None if there are none.

    Raises
    ------
    InputError
        If the shape is not (n_rows,), or a weight is negative or no finite number, or all are zero.
    """
    if sample_weight is None:
        return None
    weight = as_numbers(sample_weight, "sample_weight")
    if weight.shape != (n_rows,):
        raise InputError(f"sample_weight must have one entry per row, shape ({n_rows},), got shape {weight.shape}")
    if not np.isfinite(weight).all():
        raise InputError(
            f"sample_weight is NaN or infinite in {np.count_nonzero(~np.isfinite(weight))} of {n_rows} rows; expected "
            "finite numbers, at least 0. Drop those rows, or give them a weight"
        )
    if weight.min() < 0:
        raise InputError(
            f"Negative values in sample_weight: the smallest is {weight.min():g}. A weight is at least 0; "
            "0 leaves its row out"
        )
    if not weight.any():
        raise InputError("sample_weight is zero for every row: give at least two rows a positive weight")
    return weight


def as_numbers(value: Any, name: str) -> Array:
    """An array of real numbers as float64, or an InputError that names the argument."""
    with _naming(name, "an array of real numbers"):
        return np.asarray(
            check_array(
                value,
                dtype=np.float64,
                ensure_2d=False,
                allow_nd=True,
                ensure_all_finite=False,
                ensure_min_samples=0,
                ensure_min_features=0,
            )
        )


def check_enough_rows(n_components: int, weight: Array | None, n_rows: int) -> None:
    """Raise an InputError if fewer rows count than are needed: two, and one for each component."""
    counted = n_rows if weight is None else int(np.count_nonzero(weight))
    of_weight = "" if weight is None else " (rows of positive sample_weight)"
    if counted < n_components:
        raise InputError(
            f"Expected n_samples >= n_components but got n_components = {n_components}, "
            f"n_samples = {counted}{of_weight}. Lower n_components, or bring more rows"
        )
    if counted < 2:
        raise InputError(f"Found {counted} sample(s){of_weight} while a minimum of 2 is required: bring more rows")


def check_weights(weights: Any, n_components: int) -> Array:
    """Starting weights on the simplex, float64, shape (K,).

    Raises
    ------
    InputError
        If the shape is another one, an entry is outside [0, 1], or their sum is not 1 to 1e-8 (1e-6 for float32).
    """
    given = check_array(weights, dtype=_FLOATS, ensure_2d=False, allow_nd=True, input_name="weights_init")
    _check_shape(given, (n_components,), "weights")
    if (given < 0).any() or (given > 1).any():
        raise InputError(
            "The parameter 'weights' should be in the range [0, 1], but got "
            f"max value {given.max():.5f}, min value {given.min():.5f}"
        )
    values = np.asarray(given, dtype=np.float64)
    total = values.sum()
    if abs(total - 1.0) > (1e-6 if given.dtype == np.float32 else 1e-8):
        raise InputError(f"The parameter 'weights' should be normalized, but got sum(weights) = {total:.5f}")
    return np.asarray(values / total)


def check_means(means: Any, n_components: int, n_features: int) -> Array:
    """Starting means, float64, shape (K, d); an InputError for another shape."""
    given = check_array(means, dtype=_FLOATS, ensure_2d=False, allow_nd=True, input_name="means_init")
    _check_shape(given, (n_components, n_features), "means")
    return np.asarray(given, dtype=np.float64)


def covariances_from_precisions(precisions: Any, layout: Layout, n_components: int, n_features: int) -> Array:
    """Starting covariances from the precisions that a user gives, in a layout, float64.

    Raises
    ------
    InputError
        If the array's shape is not that of the layout, or a precision is not symmetric and positive definite.
    """
    given = check_array(precisions, dtype=_FLOATS, ensure_2d=False, allow_nd=True, input_name="precisions_init")
    _check_shape(given, scatter_shape(layout, n_components, n_features), f"{layout} precision")
    values = np.asarray(given, dtype=np.float64)
    if layout in ("diag", "spherical"):
        if not (values > 0).all():
            raise InputError(f"'{layout} precision' should be positive, but got the smallest value {values.min():g}")
        return np.asarray(1.0 / values)
    matrices = symmetric(values)
    sound = np.allclose(values, np.swapaxes(values, -1, -2)) and all(
        is_positive_definite(matrix) for matrix in matrices.reshape(-1, n_features, n_features)
    )
    if not sound:
        raise InputError(f"'{layout} precision' should be symmetric, positive-definite")
    # P = L L' has the inverse L^-T L^-1, without any general matrix inverse.
    whitening = triangular_inverses(lower_factors(matrices))
    return np.asarray(np.swapaxes(whitening, -1, -2) @ whitening)


def _check_shape(value: AnyArray, shape: tuple[int, ...], name: str) -> None:
    if value.shape != shape:
        raise InputError(f"The parameter '{name}' should have the shape of {shape}, but got {value.shape}")


def seed_of(random_state: Any) -> int | None:
    """The seed that a `random_state` stands for.

    Parameters
    ----------
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None
        A generator gives another seed at every call; None gives None, for which a fit takes a fresh seed.
    """
    if random_state is None:
        return None
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(np.iinfo(np.int32).max))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(np.iinfo(np.int32).max))
    return int(random_state)
