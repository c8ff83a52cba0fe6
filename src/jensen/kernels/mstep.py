"""What an M-step of Gaussian components maximises within, as kernels take it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from jensen.core.block import Array
from jensen.kernels.portable import Layout

LAYOUT_CODES = {"full": 0, "tied": 1, "diag": 2, "spherical": 3}
# Their positions are their codes.
RULES = ("EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV")


@dataclass(frozen=True, eq=False)
class MStep:
    """The covariance rule, and what regularises it.

    Attributes
    ----------
    layout : {"full", "tied", "diag", "spherical"}
        Of the covariances and the scatter; the one in which the rule's covariances are kept.
    rule : str
        One of `RULES`, mclust's name of the shape.
    ridge : ndarray of shape (d,)
        Diagonal of R.
    count, scatter, strength, centre
        A prior's pseudo-data, as in `jensen.families.shapes.prior.PseudoData`; none by default.
    ratio : float, default=inf
        The largest eigenvalue over the smallest, at most. For the rules EII, VII, EEI, VVI, EEE, EEV and VVV alone.
    equal_weights : bool, default=False
        Whether mixing proportions are 1/K.
    """

    layout: Layout
    rule: str
    ridge: Array
    count: float = 0.0
    scatter: Array | None = None
    strength: float = 0.0
    centre: Array | None = None
    ratio: float = math.inf
    equal_weights: bool = False

    @cached_property
    def arguments(self) -> tuple[Any, ...]:
        """The same for the native module."""
        ridge, scatter, centre = (
            None if given is None else np.ascontiguousarray(given, dtype=np.float64)
            for given in (self.ridge, self.scatter, self.centre)
        )
        return (
            LAYOUT_CODES[self.layout],
            RULES.index(self.rule),
            ridge,
            self.count,
            scatter,
            self.strength,
            centre,
            self.ratio,
            self.equal_weights,
        )
