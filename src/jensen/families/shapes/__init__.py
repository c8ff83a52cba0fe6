"""The fourteen covariance shapes of mclust: a table of them, and one M-step for each from the same statistics."""

from __future__ import annotations

from jensen.families.shapes.mstep import complete_objective, maximize_shape
from jensen.families.shapes.table import (
    ALIASES,
    SHAPES,
    CovarianceShape,
    contains,
    covariance_shape,
    n_covariance_parameters,
)

__all__ = [
    "ALIASES",
    "SHAPES",
    "CovarianceShape",
    "complete_objective",
    "contains",
    "covariance_shape",
    "maximize_shape",
    "n_covariance_parameters",
]
