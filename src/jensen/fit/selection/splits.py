"""A mixture of K components as one of K + 1: a component twice, or in two halves along its main axis."""

from __future__ import annotations

import numpy as np

from jensen.core.block import Array
from jensen.core.parameters import Parameters
from jensen.families.gaussian import Gaussian
from jensen.families.whitening import in_layout
from jensen.fit.result import full_covariances
from jensen.models.mixture import Mixture

# Halves stand this many standard deviations to both sides of the middle, along the main axis.
_APART = 0.7


def duplicated(model: Mixture, params: Parameters, component: int = 0) -> Parameters:
    """The same density with one component more: a component twice, with half its weight each.

    Parameters
    ----------
    model : Mixture
        Of K + 1 Gaussian components.
    params : Parameters
        K components of the same shape.
    component : int, default=0
        Which stands twice.
    """
    family: Gaussian = model.family  # type: ignore[assignment]
    matrices = full_covariances(family.layout, params)
    return _with(model, params, matrices, component, np.zeros(params["means"].shape[1]), None)


def split_starts(model: Mixture, params: Parameters) -> list[Parameters]:
    """Every component in turn in two halves along its main axis, with the mean and the covariance that it had.

    Parameters
    ----------
    model, params
        As for `duplicated`.
    """
    family: Gaussian = model.family  # type: ignore[assignment]
    matrices = full_covariances(family.layout, params)
    found = list[Parameters]()
    for k, (matrix, values, axes) in enumerate(zip(matrices, *np.linalg.eigh(matrices), strict=True)):
        # Of a sphere, another axis for each component.
        at = k % len(values) if family.layout == "spherical" else -1
        step = _APART * np.sqrt(values[at]) * axes[:, at]
        found.append(_with(model, params, matrices, k, step, matrix - np.outer(step, step)))
    return found


def _with(
    model: Mixture, params: Parameters, matrices: Array, k: int, step: Array, covariance: Array | None
) -> Parameters:
    family: Gaussian = model.family  # type: ignore[assignment]
    again = [*range(len(matrices)), k]
    weights, means, matrices = params["weights"][again], params["means"][again], matrices[again]
    weights[[k, -1]] *= 0.5
    means[k] -= step
    means[-1] += step
    if covariance is None:
        inside = in_layout(family.layout, matrices)
    else:
        matrices[[k, -1]] = covariance
        average = np.tensordot(weights, matrices, axes=1)
        previous = in_layout(family.layout, np.broadcast_to(average, matrices.shape))
        each = matrices if family.layout in ("full", "tied") else in_layout(family.layout, matrices)
        if family.layout == "spherical":
            each = np.trace(matrices, axis1=1, axis2=2) / family.n_features
        inside = family.in_shape(weights, each, previous)
    return model.parameters(weights=weights / weights.sum(), means=means, covariances=inside)
