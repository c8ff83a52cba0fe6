"""A canonical order of components, so that runs can be compared: the likelihood itself knows no labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jensen.core.block import Array
from jensen.core.model import Checked
from jensen.core.parameters import Parameters
from jensen.errors import InputError
from jensen.fit.em import boundary_entries

if TYPE_CHECKING:
    from jensen.fit.record import Fit


def by_component(model: Any, params: Parameters) -> Mapping[str, Array]:
    """What every component has of its own, by name, each of shape (K, ...).

    A model says it by its method ``by_component``; for one that does not, these are the arrays among its parameters,
    if all of them are of the same length.

    Parameters
    ----------
    model : object
        The model.
    params : Parameters
        Its parameters.

    Returns
    -------
    mapping of str to ndarray
        Empty where components cannot be told.
    """
    own = getattr(model, "by_component", None)
    if own is not None:
        return {str(name): np.asarray(value) for name, value in own(params).items()}
    arrays = {name: value for name, value in params.values.items() if value.ndim}
    return arrays if len({len(value) for value in arrays.values()}) == 1 else {}


def exchangeable(model: Any) -> bool:
    """Whether a model's components can be put in another order without a change of the likelihood.

    They cannot where the rows bring labels, nor where some components are constrained: such models do not declare
    ``permuted``.
    """
    return callable(getattr(model, "permuted", None))


def component_order(model: Any, params: Parameters, by: str) -> tuple[int, ...]:
    """The canonical order of components.

    Parameters
    ----------
    model : object
        The model.
    params : Parameters
        Its parameters.
    by : str
        ``"weights"``: heaviest first. Another name of `by_component`: smallest first; of vectors and matrices the
        first entry counts, then the second, and so on. Ties keep their order.

    Returns
    -------
    tuple of int
        Number of the component that comes first, second, ...

    Raises
    ------
    InputError
        If there is no such name.
    """
    own = by_component(model, params)
    if by not in own:
        raise InputError(f"by must be one of {', '.join(own) or '(no parameter has components)'}, got {by!r}")
    keys = own[by].reshape(len(own[by]), -1)
    if by == "weights":
        keys = -keys
    # The last key of a lexicographic sort counts most.
    return tuple(int(k) for k in np.lexsort(keys.T[::-1]))


def ordered(fit: Fit, by: str = "weights") -> Fit:
    """The same fit with its components in a canonical order; see `jensen.fit.record.Fit.ordered`."""
    if not exchangeable(fit.model):
        name = type(fit.model).__name__
        raise InputError(
            f"{name} does not declare permuted(params, order), so that its components cannot be put in another order; "
            "where labels or constraints name the components, there is none"
        )
    order = component_order(fit.model, fit.params, by)
    if order == tuple(range(len(order))):
        return fit
    params = fit.model.permuted(fit.params, order)
    checked = Checked(fit.model)
    # Only a family knows how its statistics are laid out: a pass over the data is the same for every model.
    statistics = fit.source.fold(checked.stages[0].expect, params)
    return replace(
        fit,
        params=params,
        statistics=statistics,
        objective=checked.objective(params, statistics),
        passes=fit.passes + 1,
        # EM never leaves the boundary: entries that began there are there now.
        boundary=boundary_entries(params) if fit.boundary else (),
    )
