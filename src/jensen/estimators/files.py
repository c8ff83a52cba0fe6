"""Save an estimator to a model file, and load it again. No code is run by either."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from jensen.core.status import Status
from jensen.errors import InputError, ModelFileError
from jensen.estimators.gaussian_mixture import GaussianMixture
from jensen.store import Json, ModelRecord, fit_info, read_model, write_model


def save(model: GaussianMixture, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator to a model file, whole or not at all.

    Parameters
    ----------
    model : GaussianMixture
        Fitted, loaded, or made from parameters.
    path : path-like
        Where to; the name should end in ``.safetensors``. A file that is there is replaced.

    Raises
    ------
    InputError
        If `model` is something else, or the path cannot be written.
    ModelFileError
        If the model cannot be described in a file, for repeated feature names say.
    sklearn.exceptions.NotFittedError
        If the estimator has not been fitted.

    Notes
    -----
    The file holds the float64 parameters, the names of the columns, how the fit went, and those arguments of the
    constructor that are numbers or words; arrays and functions to start from are left out, as is a generator of
    random numbers.
    """
    if not isinstance(model, GaussianMixture):
        raise InputError(f"model must be a jensen.GaussianMixture, got {type(model).__name__}")
    check_is_fitted(model)
    settings = _plain_settings(model)
    fit = getattr(model, "fit_result_", None)
    info = {**getattr(model, "_info", {}), "settings": settings} if fit is None else fit_info(fit, settings)
    write_model(path, ModelRecord(model._fitted, info))


def load(path: str | os.PathLike[str]) -> GaussianMixture:
    """Read an estimator from a model file, whoever wrote it: ``jensen.save`` or the command line.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    GaussianMixture
        Ready to predict, score and sample. ``converged_``, ``n_iter_`` and ``lower_bound_`` are there if the file
        tells of a fit; ``fit_result_`` and ``lower_bounds_`` are not.

    Raises
    ------
    ModelFileError
        If there is no such file, or it is damaged, from elsewhere, or from a newer version.
    """
    record = read_model(path)
    fitted, info = record.fitted, dict(record.info)
    model = GaussianMixture()
    settings = info.get("settings")
    known = model.get_params(deep=False)
    if isinstance(settings, dict):
        model.set_params(**{name: value for name, value in settings.items() if name in known})
    model.set_params(n_components=fitted.n_components, covariance_type=fitted.covariance_type)
    try:
        model._validate_params()
    except ValueError as error:
        raise ModelFileError(f"{os.fspath(path)} has settings that cannot be used: {error}. Save it again.") from None
    model._use(fitted, np.dtype(np.float64))
    model._info = info
    for name, value in _outcome(info).items():
        setattr(model, name, value)
    return model


def _plain_settings(model: GaussianMixture) -> dict[str, Json]:
    """The constructor's arguments that JSON can hold."""
    arguments = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in model.get_params(deep=False).items()
    }
    return {name: value for name, value in arguments.items() if _is_plain(value)}


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _outcome(info: dict[str, Any]) -> dict[str, Any]:
    """Fitted attributes from what a file tells of its fit, as far as it makes sense."""
    found: dict[str, Any] = {}
    status, n_iter = info.get("status"), info.get("n_iter")
    if any(status == member.value for member in Status):
        found["converged_"] = Status(status).is_converged
    if type(n_iter) is int and n_iter >= 0:
        found["n_iter_"] = n_iter
    objective, weight = info.get("objective"), info.get("weight")
    if isinstance(objective, int | float) and isinstance(weight, int | float) and weight > 0:
        found["lower_bound_"] = objective / weight
    return found
