"""The log-likelihood of rows that were held out, by cross-validation."""

from __future__ import annotations

import numpy as np

from jensen.core.block import AnyArray
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.families.gaussian import Gaussian
from jensen.fit.mixture import acceleration_of, rule_of
from jensen.fit.selection.runs import Stopped
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
    limits: Limits,
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
    limits : Limits
        Of every fold's fit.

    Raises
    ------
    NumericalFailure
        If a fold's fit has no density.
    Stopped
        If the time is over or somebody interrupts before all folds are fitted.
    """
    family: Gaussian = model.family  # type: ignore[assignment]
    plain = Mixture(family.unregularised(), model.equal_weights)
    weight, total = source.row_weights, 0.0
    for number in np.unique(folds):
        own = folds == number
        kept = ArraySource(source.x, np.where(own, 0.0, weight))
        left = ArraySource(source.x, np.where(own, weight, 0.0))
        rule = rule_of(settings, kept.weight)()
        solver = Plain(acceleration_of(settings)).solver(model, rule)
        ended = run(solver, kept, params, rule, limits)
        if ended.status in (Status.INTERRUPTED, Status.OUT_OF_TIME):
            raise Stopped(ended.status)
        total += left.fold(plain.assess, ended.params).loglik
    return total
