"""The same model in scikit-learn's own class."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from jensen.errors import InputError

if TYPE_CHECKING:
    from jensen.estimators.gaussian_mixture import GaussianMixture

# Attributes that scikit-learn's class does not have.
_OWN = {"fit_result_", "noise_weight_", "outliers_"}
_KINDS = ("kmeans", "k-means++", "random", "random_from_data")


def exported(model: GaussianMixture) -> Any:
    """A fitted ``sklearn.mixture.GaussianMixture`` with the parameters of `model`.

    Arguments that scikit-learn does not know are left out, values that it does not know become its defaults:
    ``"auto"``, kinds of start, starts of one's own, a ``Generator``. Shapes that scikit-learn lacks go as the layout in
    which they are stored, which holds the same covariances.

    Raises
    ------
    InputError
        If there is noise.
    """
    from sklearn.mixture import GaussianMixture as Theirs

    if model._fitted.box is not None:
        raise InputError("scikit-learn has no component of noise: fit with noise=False, or trim, to export the mixture")
    arguments = {**model.get_params(deep=False), "covariance_type": model._fitted.layout}
    known = inspect.signature(Theirs).parameters
    unknown = {name for name in arguments if name not in known}
    unknown |= {name for name, value in arguments.items() if isinstance(value, str) and value == "auto"}
    if not isinstance(model.init_params, str) or model.init_params not in _KINDS:
        unknown.add("init_params")
    if isinstance(model.random_state, np.random.Generator):
        unknown.add("random_state")
    theirs = Theirs(**{name: value for name, value in arguments.items() if name not in unknown})
    for name, value in vars(model).items():
        if name.endswith("_") and name not in _OWN:
            setattr(theirs, name, np.copy(value) if isinstance(value, np.ndarray) else value)
    return theirs
