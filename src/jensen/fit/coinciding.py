"""Components that are one and the same."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from jensen.core.parameters import Parameters
from jensen.fit.result import full_covariances
from jensen.kernels.portable import Layout

# Components closer than this, in their own standard deviations and relative spread, are one and the same.
_COINCIDENT = 1e-3


def coinciding_components(layout: Layout, params: Parameters) -> tuple[tuple[int, ...], ...]:
    """Groups of components with the same mean and covariance, to one thousandth of their own spread."""
    means = params["means"]
    # Means that differ settle most cases, before any covariance is looked at; of few, Python's own sort is quicker.
    along = sorted(means[:, 0].tolist())
    near = _COINCIDENT * math.sqrt(params["covariances"].max())
    if not any(right - left <= near for left, right in pairwise(along)):
        return ()
    covariances = full_covariances(layout, params)
    deviations = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    group = np.arange(len(means))
    for k in range(1, len(means)):
        close = np.flatnonzero((np.abs(means[:k] - means[k]) < _COINCIDENT * deviations[k]).all(axis=1))
        for j in close:
            unit = 1.0 / deviations[k]
            difference = (covariances[j] - covariances[k]) * unit[:, None] * unit
            if np.abs(difference).max() < _COINCIDENT:
                group[k] = group[j]
                break
    found = [tuple(int(k) for k in np.flatnonzero(group == g)) for g in np.unique(group)]
    return tuple(members for members in found if len(members) > 1)
