"""What a classifier is told of classes: labels, unlabelled rows, shares, and choices for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from jensen.core.block import AnyArray, Array
from jensen.errors import InputError
from jensen.estimators.inputs import as_numbers
from jensen.fit.selection.table import shapes_asked

# Numbers of components that are tried for each class; mclust's.
AUTO_COMPONENTS = range(1, 6)


def check_labels(y: Any, n_rows: int, unlabelled: Any) -> tuple[AnyArray, AnyArray]:
    """The classes of some rows as they came, and which rows have one.

    Parameters
    ----------
    y : array-like of shape (n,)
        Classes: strings, integers or whole numbers, booleans.
    n_rows : int
        n.
    unlabelled : object
        The value that marks a row without a label; None where every value is a class.

    Returns
    -------
    y : ndarray of shape (n,)
    known : ndarray of shape (n,) of bool

    Raises
    ------
    InputError
        If `y` is missing, has another length, or cannot hold the value `unlabelled`.
    ValueError
        If `y` is no vector of classes: continuous, infinite, missing values.
    """
    if y is None:
        raise InputError("a classifier requires y to be passed, but the target y is None. Give the class of each row")
    values = column_or_1d(y, warn=True)
    if len(values) != n_rows:
        raise InputError(f"y must have one class per row, {n_rows}, got {len(values)}")
    if unlabelled is None:
        known = np.ones(n_rows, dtype=bool)
    else:
        if values.dtype.kind in "US" and not isinstance(unlabelled, str) and (values == str(unlabelled)).any():
            raise InputError(
                f"y is an array of strings, in which unlabelled={unlabelled!r} has become the string "
                f"{str(unlabelled)!r}: make it an array of dtype=object, or say unlabelled={str(unlabelled)!r}"
            )
        missing = values != values if unlabelled != unlabelled else values == unlabelled
        known = ~np.broadcast_to(np.asarray(missing, dtype=bool), (n_rows,))
        if not known.any():
            raise InputError(f"y has no labelled row, every one is unlabelled={unlabelled!r}: label some of each class")
    assert_all_finite(values[known], input_name="y")
    check_classification_targets(values[known])
    return values, known


def split_classes(y: AnyArray, known: AnyArray) -> tuple[AnyArray, AnyArray]:
    """The classes, sorted, and the class of each row as an integer (n,), -1 where it is not known.

    Raises
    ------
    InputError
        If there is only one class.
    """
    classes, of_known = np.unique(y[known], return_inverse=True)
    if len(classes) < 2:
        raise InputError(
            f"y has one class, {classes.tolist()[0]!r}, among rows of positive weight; a classifier needs two or more. "
            "For one group of rows, take GaussianMixture"
        )
    labels = np.full(len(y), -1, dtype=np.intp)
    labels[known] = of_known
    return classes, labels


def check_priors(priors: Any, n_classes: int) -> Array | None:
    """Shares of the classes, shape (C,), or None if they are to be estimated.

    Raises
    ------
    InputError
        If there is not one for each class, one is not above 0, or they do not sum to 1.
    """
    if priors is None:
        return None
    if isinstance(priors, str):
        if priors == "equal":
            return np.full(n_classes, 1.0 / n_classes)
        raise InputError(f"priors must be None, 'equal', or a share for each class, got {priors!r}")
    shares = as_numbers(priors, "priors")
    if shares.shape != (n_classes,):
        raise InputError(f"priors must have one share for each of the {n_classes} classes, got shape {shares.shape}")
    if not (np.isfinite(shares).all() and (shares > 0).all() and abs(shares.sum() - 1.0) <= 1e-6):
        raise InputError(f"priors must be above 0 and sum to 1, got {shares.tolist()}; divide them by their sum")
    return np.asarray(shares / shares.sum())


def components_of(n_components: Any, classes: Sequence[Any]) -> list[list[int]]:
    """Numbers of components to choose from, for each class.

    Parameters
    ----------
    n_components : "auto", int, sequence of int, or mapping of class to one of these
        ``auto`` is `AUTO_COMPONENTS`.
    classes : sequence of C objects
        The classes.

    Raises
    ------
    InputError
        If it is something else, or the mapping lacks a class.
    """
    return [_numbers(one) for one in _for_each(n_components, classes, "n_components")]


def shapes_of(covariance_type: Any, classes: Sequence[Any], d: int) -> list[list[str]]:
    """Names of covariance shapes to choose from, for each class.

    Parameters
    ----------
    covariance_type : "all", str, sequence of str, or mapping of class to one of these
        ``all`` are the fourteen; of one column there are two.
    classes : sequence of C objects
        The classes.
    d : int
        Number of columns.

    Raises
    ------
    InputError
        If a name is unknown, or the mapping lacks a class.
    """
    return [shapes_asked(one, d) for one in _for_each(covariance_type, classes, "covariance_type")]


def _for_each(value: Any, classes: Sequence[Any], name: str) -> list[Any]:
    if not isinstance(value, Mapping):
        return [value] * len(classes)
    missing = [one for one in classes if one not in value]
    if missing:
        raise InputError(f"{name} as a mapping must have every class, and lacks {missing[0]!r}")
    return [value[one] for one in classes]


def _numbers(value: Any) -> list[int]:
    if isinstance(value, str):
        if value != "auto":
            raise InputError(f"n_components must be 'auto', an integer or integers, got {value!r}")
        return list(AUTO_COMPONENTS)
    given = np.unique(np.atleast_1d(np.asarray(value)))
    if given.ndim != 1 or given.dtype.kind not in "iu" or not given.size or given[0] < 1:
        raise InputError(f"n_components must be 'auto', or integers of at least 1, got {value!r}")
    return [int(k) for k in given]
