"""Cross-validation of a classifier: folds with the classes spread evenly, the error and the Brier score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.errors import InputError
from jensen.estimators.classes import check_labels, split_classes
from jensen.estimators.inputs import check_rows, check_sample_weight
from jensen.numerics.streams import stream


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """How well a classifier predicts rows that it has not seen.

    Attributes
    ----------
    error : float
        Share of the weight of the labelled rows that is predicted wrongly.
    error_se : float
        Its standard error, from the differences between folds.
    brier : float
        Brier score: mean of sum_c (p_c - y_c)^2 / 2, from 0 to 1; p are the predicted probabilities, y is 1 for the
        class of the row and 0 for the others (Brier 1950, halved).
    brier_se : float
        Its standard error.
    classes : ndarray of shape (C,)
        The classes.
    predictions : ndarray of shape (n,)
        The class predicted for each row by the fit without its fold; rows without a fold have what `y` has.
    probabilities : ndarray of shape (n, C)
        The probabilities predicted; NaN for unlabelled rows.
    folds : ndarray of shape (n,)
        The fold of each row, from 0; -1 for rows that are in every fit and in no score.
    n_folds : int
        Number of folds.
    """

    error: float
    error_se: float
    brier: float
    brier_se: float
    classes: AnyArray = field(repr=False)
    predictions: AnyArray = field(repr=False)
    probabilities: Array = field(repr=False)
    folds: AnyArray = field(repr=False)
    n_folds: int

    def __str__(self) -> str:
        return (
            f"{self.n_folds}-fold cross-validation: error {self.error:.2%} (standard error {self.error_se:.2%}), "
            f"Brier score {self.brier:.4f} ({self.brier_se:.4f})"
        )


def cross_validate(
    make: Callable[[], Any], X: Any, y: Any, sample_weight: Any, cv: Any, unlabelled: Any, seed: int
) -> CrossValidation:
    """Fit without each fold in turn, and predict it.

    Parameters
    ----------
    make : callable () -> classifier
        An estimator to fit, a new one at each call, with ``predict_proba`` and ``classes_``.
    X, y, sample_weight
        As for its ``fit``.
    cv : int or array-like of shape (n,)
        Number of folds, or the fold of each row.
    unlabelled : object
        The mark of a row without a label; None for none.
    seed : int
        Of the folds.

    Raises
    ------
    InputError
        If the folds are not to be had, or one leaves too little to fit; the message names it.
    """
    rows = check_rows(make(), X, reset=True)
    values, known = check_labels(y, len(rows), unlabelled)
    weight = check_sample_weight(sample_weight, len(rows))
    counts = known if weight is None else known & (weight > 0)
    classes, labels = split_classes(values, counts)
    folds = _checked_folds(cv, labels, seed)
    scores = np.ones(len(rows)) if weight is None else weight
    probabilities, predictions = np.full((len(rows), len(classes)), np.nan), values.copy()
    numbers = np.unique(folds[folds >= 0])
    parts = np.empty((len(numbers), 3))
    for i, number in enumerate(numbers):
        test = folds == number
        try:
            fitted = make().fit(rows[~test], values[~test], None if weight is None else weight[~test])
        except InputError as failure:
            raise InputError(f"without fold {number} of {len(numbers)}: {failure}") from None
        # A class of which no row was left has no probability.
        shares = np.zeros((int(test.sum()), len(classes)))
        shares[:, np.searchsorted(classes, fitted.classes_)] = fitted.predict_proba(rows[test])
        probabilities[test], predictions[test] = shares, classes[shares.argmax(axis=1)]
        truth = labels[test][:, None] == np.arange(len(classes))
        own = scores[test]
        wrong = shares.argmax(axis=1) != labels[test]
        parts[i] = own.sum(), own @ wrong / own.sum(), own @ ((shares - truth) ** 2).sum(axis=1) / (2.0 * own.sum())
    (error, error_se), (brier, brier_se) = (_mean_and_error(parts[:, 0], parts[:, column]) for column in (1, 2))
    return CrossValidation(
        error, error_se, brier, brier_se, classes, predictions, probabilities, folds, len(numbers)
    )  # fmt: skip


def stratified_folds(labels: AnyArray, n_folds: int, rng: np.random.Generator) -> AnyArray:
    """The fold of each row (n,), from 0, the rows of each class spread evenly; -1 where the label is -1.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Classes, integers from 0; -1 for a row in no fold.
    n_folds : int
        At least 1.
    rng : numpy.random.Generator
        Shuffles the rows of each class.
    """
    folds = np.full(len(labels), -1, dtype=np.intp)
    dealt = 0
    for c in range(labels.max() + 1):
        rows = rng.permutation(np.flatnonzero(labels == c))
        # Each class goes on where the last one stopped, so that sizes of folds differ by one at most.
        folds[rows] = (dealt + np.arange(len(rows))) % n_folds
        dealt += len(rows)
    return folds


def _checked_folds(cv: Any, labels: AnyArray, seed: int) -> AnyArray:
    """The fold of each row (n,), from a number of folds or from a user's own."""
    n_labelled = int(np.count_nonzero(labels >= 0))
    if isinstance(cv, int | np.integer) and not isinstance(cv, bool):
        if not 2 <= cv <= n_labelled:
            raise InputError(f"cv must lie between 2 folds and the number of labelled rows, {n_labelled}, got {cv}")
        return stratified_folds(labels, int(cv), stream(seed, "folds"))
    given = np.asarray(cv)
    if given.shape != labels.shape or given.dtype.kind not in "iu":
        raise InputError(f"cv must be a number of folds, or an integer for each of the {len(labels)} rows, got {cv!r}")
    folds = np.where(labels >= 0, np.unique(given, return_inverse=True)[1], -1)
    if len(np.unique(folds[folds >= 0])) < 2:
        raise InputError("cv puts all labelled rows into one fold: give two folds or more")
    return folds


def _mean_and_error(weight: Array, values: Array) -> tuple[float, float]:
    """The weighted mean of folds' values (V,), and its standard error, the folds being independent draws."""
    mean = float(weight @ values / weight.sum())
    n_folds = len(values)
    variance = float(weight @ (values - mean) ** 2) / (weight.sum() * (n_folds - 1) / n_folds)
    return mean, float(np.sqrt(variance / n_folds))
