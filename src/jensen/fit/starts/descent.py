"""Starts from above: more components than wanted, merged one after another while EM lets the others settle.

Merging on paper keeps what a mixture knows. A few components more than K already free those that would otherwise sit
between two groups; several times K leave few bad optima where groups are odd. What is left at K components has mostly
found the groups that a start of K components must be lucky to find.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.errors import NumericalFailure
from jensen.families.gaussian import Gaussian
from jensen.families.moves import cheapest_merges, components_of, merge_losses, merged_pairs
from jensen.kernels.flights import GaussianDescent
from jensen.kernels.portable import Layout
from jensen.models.mixture import Mixture


class Height(NamedTuple):
    """Where a descent begins.

    Attributes
    ----------
    times : float
        Components, in units of K.
    worth : float
        Fewest, in the same units; with fewer there is little to merge.
    steps : int
        Of EM before each merge of one pair.
    """

    times: float
    worth: float
    steps: int


NEAR, FAR = Height(1.25, 1.0, 4), Height(6.0, 2.0, 2)
# Rows of each component at the beginning, in units of d + 1; and components far above, at most.
_ROWS, _MOST = 3.0, 100
# Of more than so many times K, this share is merged at once, after one step of EM; below, one pair after some.
_MANY, _SHARE = 1.5, 0.15
_STEPS_AMONG_MANY = 1

# A short run of EM of a mixture, from parameters, for so many steps: where it ends, and the passes over all the rows.
Steps = Callable[[Mixture, Parameters, int], tuple[Parameters, float]]


def components_above(model: Mixture, weight: float, height: Height) -> int:
    """Components that a descent begins with; 0 where the rows do not allow enough of them.

    Parameters
    ----------
    model : Mixture
        Of K Gaussian components.
    weight : float
        Sum of the rows' weights.
    height : Height
        How many are wanted.
    """
    family: Gaussian = model.family  # type: ignore[assignment]
    k = family.n_components
    many = int(min(max(height.times * k, k + 1), weight / (_ROWS * (family.n_features + 1))))
    # Far above, merges tell little of a common covariance; and among very many components EM costs more than it brings.
    useless = height is FAR and (family.kind.is_common or many > _MOST)
    return many if 1 < k < many and many >= height.worth * k and not useless else 0


def enlarged(model: Mixture, n_components: int) -> Mixture:
    """The same model with another number of components."""
    return replace(model, family=model.family.of(n_components))  # type: ignore[attr-defined]


def descended(
    model: Mixture, params: Parameters, rows: ArraySource, steps: Steps, n_steps: int
) -> tuple[Parameters, float]:
    """Parameters of K components from those of more, and the passes it took, each for its share of K components.

    Parameters
    ----------
    model : Mixture
        Of K Gaussian components.
    params : Parameters
        More components of the same family.
    rows : ArraySource
        The rows.
    steps : callable (Mixture, Parameters, int) -> (Parameters, float)
        A short run of EM.
    n_steps : int
        Of EM before each merge of one pair.

    Raises
    ------
    NumericalFailure
        If a mixture on the way has no density.
    """
    k, passes = model.n_components, 0.0
    layout = model.family.layout  # type: ignore[attr-defined]
    while len(params["weights"]) > k:
        size = len(params["weights"])
        larger, many = enlarged(model, size), size > _MANY * k
        params, spent = steps(larger, params, _STEPS_AMONG_MANY if many else n_steps)
        if many:
            pairs = _disjoint(layout, params, rows.weight, min(max(int(_SHARE * size), 1), size - k))
        else:
            resp = rows.collect(larger.responsibilities, params)
            first, second, _ = cheapest_merges(layout, params, rows.row_weights, resp, 1)
            pairs, spent = list(zip(first, second, strict=True)), spent + 1.0
        if not pairs:
            raise NumericalFailure("a component that was to be merged has no volume")
        passes += spent * size / k
        params = merged(model, params, pairs)
    return params, passes


def ready_descent(model: Mixture, params: Parameters, rows: ArraySource, n_steps: int) -> GaussianDescent | None:
    """The same for native code, not begun; None where that would be slower, or is not there.

    Its steps before a merge do not end early, and no pass is taken for an objective that nobody asks for.
    """
    family: Gaussian = model.family  # type: ignore[assignment]
    if rows.n_blocks != 1:
        return None
    steps = (_STEPS_AMONG_MANY, n_steps)
    return family.ready_descent(params, rows.block(0), model.equal_weights, _MANY, _SHARE, steps)


def _disjoint(layout: Layout, params: Parameters, weight: float, n_pairs: int) -> list[tuple[int, int]]:
    """The cheapest pairs on paper, none of which share a component, so many of them; fewer where no others are left."""
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second, losses = merge_losses(layout, params, weight)
    if not np.isfinite(losses).all():
        return []
    pairs, touched = list[tuple[int, int]](), set[int]()
    for at in np.argsort(losses, kind="stable"):
        pair = int(first[at]), int(second[at])
        if touched.isdisjoint(pair):
            pairs.append(pair)
            touched.update(pair)
        if len(pairs) == n_pairs:
            break
    return pairs


def merged(model: Mixture, params: Parameters, pairs: Sequence[tuple[int, int]]) -> Parameters:
    """Pairs of components, none of which share one, as one each with the moments of the two.

    Parameters
    ----------
    model : Mixture
        Of Gaussian components; their number is that of `params`.
    params : Parameters
        The components.
    pairs : sequence of (int, int)
        Their numbers.
    """
    family: Gaussian = model.family  # type: ignore[assignment]
    layout = family.layout
    weights, means, covariances = components_of(layout, params)
    first, second = (np.array(of) for of in zip(*pairs, strict=True))
    weights[first], means[first], covariances[first] = merged_pairs(layout, params, first, second)
    left = np.delete(np.arange(len(weights)), second)
    fewer = enlarged(model, len(left))
    weights, covariances = weights[left] / weights[left].sum(), covariances[left]
    own = covariances
    if layout != family.shape or layout == "tied":
        start = np.tensordot(weights, covariances, axes=1) if layout == "tied" else covariances
        own = fewer.family.in_shape(weights, covariances, start)  # type: ignore[attr-defined]
    return fewer.allowed(fewer.parameters(weights=weights, means=means[left], covariances=own))
