"""Crossings: two solutions as one of up to 2 K components, of which pairs are merged until K are left.

What both agree in stays; where they differ, the merges choose anew from the parts of both. So what one of them found
here and the other there comes together (Gribel & Vidal 2019, for clusters).
"""

from __future__ import annotations

import numpy as np

from jensen.core.parameters import Parameters
from jensen.families.gaussian import Gaussian
from jensen.families.moves import components_of, variances_of
from jensen.fit.starts.descent import enlarged, merged
from jensen.models.mixture import Mixture

# Means as near as this, in standard deviations, are those of one component.
_ALIKE = 0.15


def united(model: Mixture, one: Parameters, other: Parameters) -> Parameters | None:
    """Both solutions' components, each with half of its weight; those that both have are one.

    Parameters
    ----------
    model : Mixture
        Of K Gaussian components.
    one, other : Parameters
        Two solutions.

    Returns
    -------
    Parameters or None
        K + 1 to 2 K components; None where both have all.
    """
    family: Gaussian = model.family  # type: ignore[assignment]
    layout, k = family.layout, family.n_components
    (weights, means, covariances), (more, others, _) = (components_of(layout, params) for params in (one, other))
    scale = np.sqrt(variances_of(layout, covariances, family.n_features))
    apart = (np.abs(means[:, None] - others[None]) / scale[:, None]).max(axis=2)
    nearest, back = apart.argmin(axis=1), apart.argmin(axis=0)
    twins = [(i, k + int(j)) for i, j in enumerate(nearest) if apart[i, j] < _ALIKE and back[j] == i]
    if len(twins) == k:
        return None
    own = one["covariances"], other["covariances"]
    larger = enlarged(model, 2 * k)
    both = larger.parameters(
        weights=0.5 * np.concatenate([weights, more]),
        means=np.concatenate([means, others]),
        covariances=0.5 * (own[0] + own[1]) if layout == "tied" else np.concatenate(own),
    )
    if twins:
        return merged(model, both, twins)
    # What a shape makes common differs between the two.
    spread: Gaussian = larger.family  # type: ignore[assignment]
    if layout == family.shape:
        return both
    return both.replace(covariances=spread.in_shape(both["weights"], both["covariances"], both["covariances"]))
