"""Labels or responsibilities that a user starts from, checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from jensen.data.arrays import ArraySource
from jensen.errors import InputError


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
