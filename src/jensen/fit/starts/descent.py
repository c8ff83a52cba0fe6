"""Starts from above: many more components than wanted, merged one after another while EM lets the others settle.

A mixture of several times K components has few bad optima, and merging on paper keeps what it knows: what is left at K
components has mostly found the groups that a start of K components must be lucky to find.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from jensen.core.parameters import Parameters
from jensen.errors import NumericalFailure
from jensen.families.gaussian import Gaussian
from jensen.families.moves import components_of, merge_losses, merged_pairs
from jensen.models.mixture import Mixture

# Components to begin with: so many times K, or as many as leave each this many times d + 1 rows.
_TIMES, _ROWS = 6.0, 3.0
# With fewer than so many times K there is little to merge.
_WORTH = 2.0
# Of more than so many times K, this share is merged at once, after one step of EM; below, one pair after two.
_MANY, _SHARE = 1.5, 0.15
_STEPS_AMONG_MANY, _STEPS = 1, 2

# A short run of EM of a mixture, from parameters, for so many steps: where it ends, and the passes over all the rows.
Steps = Callable[[Mixture, Parameters, int], tuple[Parameters, float]]


def components_above(model: Mixture, weight: float) -> int:
    """Components that a descent begins with; 0 where the rows do not allow enough of them.

    None either for a common covariance, of which merges tell little: there, a descent earns no more than it costs.

    Parameters
    ----------
    model : Mixture
        Of K Gaussian components.
    weight : float
        Sum of the rows' weights.
    """
    family: Gaussian = model.family  # type: ignore[assignment]
    k = family.n_components
    many = int(min(_TIMES * k, weight / (_ROWS * (family.n_features + 1))))
    return many if k > 1 and many >= _WORTH * k and not family.kind.is_common else 0


def enlarged(model: Mixture, n_components: int) -> Mixture:
    """The same model with another number of components."""
    return replace(model, family=model.family.of(n_components))  # type: ignore[attr-defined]


def descended(model: Mixture, params: Parameters, weight: float, steps: Steps) -> tuple[Parameters, float]:
    """Parameters of K components from those of more, and the passes it took, each for its share of K components.

    Parameters
    ----------
    model : Mixture
        Of K Gaussian components.
    params : Parameters
        More components of the same family.
    weight : float
        Sum of the rows' weights.
    steps : callable (Mixture, Parameters, int) -> (Parameters, float)
        A short run of EM.

    Raises
    ------
    NumericalFailure
        If a mixture on the way has no density.
    """
    k, passes = model.n_components, 0.0
    while len(params["weights"]) > k:
        size = len(params["weights"])
        many = size > _MANY * k
        params, spent = steps(enlarged(model, size), params, _STEPS_AMONG_MANY if many else _STEPS)
        passes += spent * size / k
        params = merged(model, params, weight, max(1, min(int(_SHARE * size), size - k)) if many else 1)
    return params, passes


def merged(model: Mixture, params: Parameters, weight: float, n_pairs: int) -> Parameters:
    """The cheapest pairs of components as one each (`merge_losses`), so many of them, none of which share a component.

    Parameters
    ----------
    model : Mixture
        Of Gaussian components; their number is that of `params`.
    params : Parameters
        The components.
    weight : float
        Sum of the rows' weights.
    n_pairs : int
        Pairs; fewer where no others are left.
    """
    family: Gaussian = model.family  # type: ignore[assignment]
    layout = family.layout
    weights, means, covariances = components_of(layout, params)
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second, losses = merge_losses(layout, params, weight)
    if not np.isfinite(losses).all():
        raise NumericalFailure("a component that was to be merged has no volume")
    left = np.ones(len(weights), dtype=bool)
    touched = np.zeros(len(weights), dtype=bool)
    for at in np.argsort(losses, kind="stable"):
        i, j = int(first[at]), int(second[at])
        if touched[i] or touched[j]:
            continue
        pair = merged_pairs(layout, params, first[at : at + 1], second[at : at + 1])
        weights[i], means[i], covariances[i] = pair[0][0], pair[1][0], pair[2][0]
        touched[[i, j]], left[j] = True, False
        if left.sum() <= len(left) - n_pairs:
            break
    fewer = enlarged(model, int(left.sum()))
    weights, covariances = weights[left] / weights[left].sum(), covariances[left]
    own = covariances
    if layout != family.shape or layout == "tied":
        start = np.tensordot(weights, covariances, axes=1) if layout == "tied" else covariances
        own = fewer.family.in_shape(weights, covariances, start)  # type: ignore[attr-defined]
    return fewer.allowed(fewer.parameters(weights=weights, means=means[left], covariances=own))
