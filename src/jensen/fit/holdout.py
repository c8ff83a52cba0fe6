"""The log-likelihood of rows that were held out, by cross-validation."""

from __future__ import annotations

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.families.gaussian import Gaussian
from jensen.fit.mixture import DEFAULT_MAX_ITER, acceleration_of, rule_of
from jensen.fit.settings import MixtureSettings
from jensen.models.mixture import Mixture
from jensen.numerics.order import row_keys
from jensen.solve.loop import Limits, run
from jensen.solve.variants import Plain


def folds_of(x: AnyArray, n_folds: int, seed: int) -> AnyArray:
    """The fold of each row, 0 to n_folds - 1, shape (n,): by the row's values, so that equal rows go together.

    Parameters
    ----------
    x : ndarray of shape (n, d)
        Rows.
    n_folds : int
        At least 2.
    seed : int
        Another seed gives other folds.
    """
    keys = row_keys(np.asarray(x, dtype=np.float64), seed)
    return np.asarray(np.unique(keys, return_inverse=True)[1] % n_folds)


def held_out(
    model: Mixture,
    source: ArraySource,
    params: Parameters,
    settings: MixtureSettings,
    folds: AnyArray,
    deadline: float = np.inf,
) -> float:
    """Sum over folds of the log-likelihood of its rows under a fit to all other rows.

    Every fit goes on from that of all the rows: which optimum is meant is then the same in all folds.

    Parameters
    ----------
    model : Mixture
        What is fitted.
    source : ArraySource
        All the rows.
    params : Parameters
        Its optimum on all the rows.
    settings : MixtureSettings
        How to climb.
    folds : ndarray of shape (n,)
        From `folds_of`.
    deadline : float, default=inf
        As in `Limits`.

    Raises
    ------
    NumericalFailure
        If a fold's fit has no density.
    """
    family: Gaussian = model.family  # type: ignore[assignment]
    plain = Mixture(family.unregularised(), model.equal_weights)
    weight: Array = np.ones(source.n_rows) if source.row_weight is None else source.row_weight
    total = 0.0
    for number in np.unique(folds):
        own = folds == number
        kept = ArraySource(source.x, np.where(own, 0.0, weight))
        left = ArraySource(source.x, np.where(own, weight, 0.0))
        rule = rule_of(settings, kept.weight)()
        solver = Plain(acceleration_of(settings)).solver(model, rule)
        ended = run(solver, kept, params, rule, Limits(DEFAULT_MAX_ITER, deadline))
        total += left.fold(plain.assess, ended.params).loglik
    return total


def classification_entropy(model: Mixture, source: ArraySource, params: Parameters) -> float:
    """-sum_ik w_i r_ik log r_ik of the plain density's responsibilities, at least 0."""
    family: Gaussian = model.family  # type: ignore[assignment]
    plain = Mixture(family.unregularised(), model.equal_weights)
    shares = source.collect(plain.responsibilities, params)
    logs = np.log(np.maximum(shares, np.finfo(np.float64).tiny))
    weight = np.ones(source.n_rows) if source.row_weight is None else source.row_weight
    return max(-float(weight @ (shares * logs).sum(axis=1)), 0.0)
