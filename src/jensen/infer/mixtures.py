"""What is asked after the fit of a Gaussian mixture, whose data come anew."""

from __future__ import annotations

from jensen.core.block import AnyArray, Array
from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.fit.fitted import FittedMixture
from jensen.fit.result import MixtureFit
from jensen.infer.analysis import Analysis
from jensen.infer.diagnose import Account, Diagnosis, diagnose


def mixture_analysis(fitted: FittedMixture, x: AnyArray, weight: Array | None = None) -> Analysis:
    """What weighted rows (n, d) say of the parameters of a mixture, by its plain density.

    Raises
    ------
    InputError
        If rows were trimmed: what is asked after the fit is about the likelihood of all rows.
    """
    if fitted.threshold is not None:
        raise InputError(
            "standard errors and the diagnosis are about the likelihood of all rows, and trim leaves some out; for the "
            "others, fit X[~model.outliers_] with trim=0, which takes the outliers as known"
        )
    return Analysis(fitted.model, fitted.params, ArraySource(x, weight))


def mixture_diagnosis(analysis: Analysis, result: MixtureFit | None = None) -> Diagnosis:
    """The diagnosis of a mixture; without the record of its fit, of its parameters alone."""
    if result is None:
        return diagnose(analysis, Account("the parameters were given, or come from a file: no run is on record", True))
    advice = "Lower n_components, choose a simpler covariance_type, raise reg_covar, or try more starts"
    account = Account(
        result.message,
        result.status.is_converged,
        result.n_iter,
        result.faults,
        result.extrapolations,
        result.weight,
        advice,
    )
    return diagnose(analysis, account)
