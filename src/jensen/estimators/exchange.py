"""The same model in scikit-learn's own class."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jensen.estimators.gaussian_mixture import GaussianMixture

_KINDS = ("kmeans", "k-means++", "random", "random_from_data")


def exported(model: GaussianMixture) -> Any:
    """A fitted ``sklearn.mixture.GaussianMixture`` with the parameters of `model`.

    Arguments that scikit-learn does not know are left out, values that it does not know become its defaults:
    ``"auto"``, kinds of start, starts of one's own, a ``Generator``. Shapes that scikit-learn lacks go as the layout in
    which they are stored, which holds the same covariances.
    """
    from sklearn.mixture import GaussianMixture as Theirs

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
        if name.endswith("_") and name != "fit_result_":
            setattr(theirs, name, np.copy(value) if isinstance(value, np.ndarray) else value)
    return theirs
