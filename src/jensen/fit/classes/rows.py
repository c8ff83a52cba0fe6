"""Rows of known and of unknown class, and what a covariance shape asks of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.families.gaussian import NEARLY_SINGULAR, Gaussian
from jensen.families.moments import GaussianStatistics
from jensen.families.whitening import floor_ratios
from jensen.fit.starts.draw import spread_out
from jensen.fit.summary import DataSummary
from jensen.kernels.portable import Layout
from jensen.models.mixture import Mixture
from jensen.models.posterior import LABELS

# Spread within classes below this many units of rounding of a column is none.
_ROUNDING = 16.0 * np.finfo(np.float64).eps
# The automatic ridge, as a share of the variances within classes.
_RIDGE = 1e-6
# What is below ten times its floor is degenerate: rounding, and what is not clear of the automatic ridge.
_ROUNDED, _UNCLEAR = 1e-11, 0.2 * _RIDGE


@dataclass(frozen=True, eq=False)
class ClassRows:
    """Rows of C classes, some of them perhaps without a label.

    Attributes
    ----------
    source : ArraySource
        n rows of positive weight, with the array `LABELS` (n,) beside them: classes from 0, or -1 where unknown. Every
        class has a row.
    names : tuple of C str
        What messages call the classes.
    data : DataSummary
        Of all the rows.
    """

    source: ArraySource
    names: tuple[str, ...]
    data: DataSummary

    @property
    def n_classes(self) -> int:
        """C."""
        return len(self.names)

    @property
    def n_features(self) -> int:
        """d."""
        return int(self.source.x.shape[1])

    @cached_property
    def n_unlabelled(self) -> int:
        """Number of rows without a label."""
        return int(np.count_nonzero(self.source.arrays[LABELS] < 0))

    @cached_property
    def _moments(self) -> dict[Layout, GaussianStatistics]:
        return {}

    def moments(self, layout: Layout) -> GaussianStatistics:
        """Counts, means and scatter of the labelled rows of each class, in a layout; taken once."""
        if layout not in self._moments:
            model = Mixture(Gaussian(self.n_classes, self.n_features, layout))
            params = template(model, np.tile(self.data.centre, (self.n_classes, 1)), self.data)
            # Taken twice: the moments of the second time are about the means of the first, which makes them exact.
            for _ in range(2):
                components: GaussianStatistics = self.source.fold(model.expect_given, params).components
                params = params.replace(means=components.centred()[0])
            self._moments[layout] = components
        return self._moments[layout]

    def ridge(self, reg_covar: Literal["auto"] | float) -> tuple[Array, Array]:
        """R and the variances of collapse, each (d,).

        Where all rows are labelled, nothing can collapse that the rows determine, and the automatic R is 0 but in
        constant columns. Else it is 1e-6 times the variance of each column within the classes, or times its robust
        variance over all rows if that is less: classes that lie far apart do not raise it.
        """
        components = self.moments("diag")
        within = components.centred()[1].sum(axis=0) / components.counts.sum()
        seen = within > (_ROUNDING * np.abs(self.data.rows).max(axis=0)) ** 2
        robust, varies = self.data.robust_variance, self.data.informative
        spread = np.where(seen & varies, np.minimum(within, robust), robust)
        auto = np.where(varies & (self.n_unlabelled == 0), 0.0, _RIDGE * spread)
        ridge = auto if isinstance(reg_covar, str) else np.full(self.n_features, float(reg_covar))
        # A class is not degenerate for being as smooth as it was asked to be.
        share = _UNCLEAR if self.n_unlabelled and ridge.any() else _ROUNDED
        return ridge, np.where(varies, share * spread, 0.0)


def labels_beside(x: AnyArray, labels: AnyArray, weight: Array | None) -> ArraySource:
    """Rows (n, d) with their classes (n,), integers from 0 or -1, and weights."""
    return ArraySource(x, weight).with_arrays(**{LABELS: labels})


def template(model: Mixture, means: Array, data: DataSummary) -> Parameters:
    """Equal shares, means (C, d) and the spread of all the rows: where moments are taken and searches begin."""
    shares = np.full(model.n_components, 1.0 / model.n_components)
    return model.parameters(weights=shares, means=means, covariances=spread_out(model, data.scale**2))


def fault(rows: ClassRows, family: Gaussian, params: Parameters, components: GaussianStatistics) -> str:
    """Why parameters are not to be relied on; empty if they are.

    Classes are given, not looked for: a few rows are no fault where the shape leaves them enough to estimate.
    """
    floor, kind = _floor(family), family.kind
    columns = floor > 0
    ratios = floor_ratios(family.layout, params["covariances"], floor, columns)
    if ratios is None:
        return ""
    thin = np.flatnonzero(ratios < NEARLY_SINGULAR)
    if thin.size:
        who = "all classes" if kind.is_common and rows.n_classes > 1 else f"class {rows.names[thin[0]]}"
        more = f" and {thin.size - 1} more" if thin.size > 1 and not kind.is_common else ""
        return f"the covariance of {who}{more} is nearly singular"
    return undetermined(rows, family, components)


def undetermined(rows: ClassRows, family: Gaussian, components: GaussianStatistics) -> str:
    """Why classes lie in too few directions for a shape; empty if they do not, or the shape does not mind.

    Variances of one's own take scatter along every axis, and where axes may turn, in every direction: the likelihood
    has no bound where there is none. With a common form but orientations of one's own, one direction may lack, since it
    is known from the others; two could be turned at will.
    """
    kind = family.kind
    if kind.orientation != "V" and kind.shape != "V":
        return ""
    without = flat_directions(family, components)
    bad = np.flatnonzero(without > (1 if kind.shape == "E" else 0))
    if not bad.size:
        return ""
    n_columns = int((_floor(family) > 0).sum())
    what = "columns" if kind.orientation == "I" else "directions"
    return f"the rows of class {rows.names[bad[0]]} vary in {n_columns - without[bad[0]]} of {n_columns} {what} only"


def flat_directions(family: Gaussian, components: GaussianStatistics) -> AnyArray:
    """In how many directions, or columns where covariances are along the axes, components have no scatter; (K,).

    A covariance does not tell: what a shape makes common may widen it where its own rows are all alike. R counts as
    scatter where variances are a component's own; an axis it does not tell.
    """
    floor, counts = _floor(family), np.maximum(components.counts, np.finfo(np.float64).tiny)
    columns = floor > 0
    if not columns.any() or components.layout not in ("full", "diag"):
        return np.zeros(len(counts), dtype=np.intp)
    scatter = components.centred()[1]
    lift = family.ridge / np.where(columns, floor, 1.0) * (family.kind.shape == "V")
    if components.layout == "diag":
        spread: Array = scatter[:, columns] / floor[columns] / counts[:, None] + lift[columns]
    else:
        unit = 1.0 / np.sqrt(floor[columns])
        inside = scatter[:, columns][:, :, columns] * unit[:, None] * unit / counts[:, None, None]
        spread = np.asarray(np.linalg.eigvalsh(inside + np.diag(lift[columns])))
    return np.asarray((spread < NEARLY_SINGULAR).sum(axis=1))


def _floor(family: Gaussian) -> Array:
    return family.ridge if family.floor is None else family.floor
