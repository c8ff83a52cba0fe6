"""Rows that belong to no component: none, those that a component of noise takes, or a share that is trimmed.

Starts and escapes know Gaussian components alone. Given how much each row counts for these, all that is left is a
weighted Gaussian mixture: a start is drawn from rows that seem to belong to groups, an escape moves Gaussians on the
rows as they count at an optimum, and what comes of it is put back among the outliers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from jensen.core.block import AnyArray
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.families.noise import Noisy
from jensen.fit.outliers.cleaning import (
    first_density,
    neighbour_distances,
    noise_by_neighbours,
    sampled,
    thinnest,
    without,
)
from jensen.fit.summary import DataSummary
from jensen.models.mixture import Mixture
from jensen.numerics.order import draw_distinct

# Shares of the rows of lowest density that are taken for noise, in turn, where it is not said how many they are.
_SHARES = (0.1, 0.02, 0.25, 0.45)
# Neighbours by which rows that are to be trimmed are told.
_NEIGHBOURS = 8.0
# Rows of a start on few of them: as many for each number of a component, so that chance may leave outliers out.
_FEW = 3


class Outliers(Protocol):
    """How rows that belong to no component are treated."""

    @property
    def gaussians(self) -> Mixture:
        """The Gaussian components alone."""
        ...

    @property
    def model(self) -> Any:
        """What is climbed: a mixture, or what stands in its place."""
        ...

    @property
    def mixture(self) -> Mixture:
        """The mixture that a fit ends in."""
        ...

    def over(self, source: ArraySource) -> Any:
        """The source of passes of `model`."""
        ...

    def plain(self) -> Outliers:
        """The same for the plain density, without ridge, prior and constraint."""
        ...

    def inliers(self, source: ArraySource, params: Parameters) -> tuple[ArraySource, Parameters]:
        """The rows with the weights by which they count for the Gaussians, and the parameters of these."""
        ...

    def cleaned(self, data: DataSummary, index: int, rng: np.random.Generator) -> tuple[DataSummary, float]:
        """The rows that start number `index` is drawn from, and the share of the others."""
        ...

    def around(self, params: Parameters, outlying: float) -> Parameters:
        """Parameters of `model` with these Gaussians and a share of outliers."""
        ...

    def escapes(self, source: ArraySource, params: Parameters) -> list[tuple[str, Parameters]]:
        """Places to climb from, with the kind of move, that come of other rows being outliers."""
        ...

    def threshold(self, source: ArraySource, params: Parameters) -> float | None:
        """The log-density below which a row is an outlier, where that is what tells outliers."""
        ...


@dataclass(frozen=True, eq=False)
class NoOutliers:
    """Every row belongs to a component; see `Outliers`."""

    gaussians: Mixture

    @property
    def model(self) -> Mixture:
        """The Gaussian mixture."""
        return self.gaussians

    @property
    def mixture(self) -> Mixture:
        """The same."""
        return self.gaussians

    def over(self, source: ArraySource) -> ArraySource:
        """The source as it is."""
        return source

    def plain(self) -> NoOutliers:
        """The same without regularisation."""
        return NoOutliers(unregularised(self.gaussians))

    def inliers(self, source: ArraySource, params: Parameters) -> tuple[ArraySource, Parameters]:
        """All of them."""
        return source, params

    def cleaned(self, data: DataSummary, index: int, rng: np.random.Generator) -> tuple[DataSummary, float]:
        """The whole table."""
        return data, 0.0

    def around(self, params: Parameters, outlying: float) -> Parameters:
        """The parameters as they are."""
        return params

    def escapes(self, source: ArraySource, params: Parameters) -> list[tuple[str, Parameters]]:
        """None: no row is an outlier."""
        return []

    def threshold(self, source: ArraySource, params: Parameters) -> None:
        """No density is too low."""
        return None


def unregularised(mixture: Mixture) -> Mixture:
    """The same mixture with the plain likelihood as its objective."""
    return Mixture(mixture.family.unregularised(), mixture.equal_weights)  # type: ignore[attr-defined]


def gaussian_part(model: Any, params: Parameters) -> tuple[Mixture, Parameters]:
    """The Gaussian components of what is climbed, as a mixture of their own."""
    mixture = getattr(model, "mixture", model)
    family = mixture.family
    if not isinstance(family, Noisy):
        return mixture, params
    alone = Mixture(family.gaussian, mixture.equal_weights)
    weights = params["weights"][: family.n_alike]
    total = weights.sum()
    weights = weights / total if total > 0 else np.full(len(weights), 1.0 / len(weights))
    return alone, alone.parameters(weights=weights, means=params["means"], covariances=params["covariances"])


def guess(
    model: Mixture, data: DataSummary, index: int, rng: np.random.Generator, share: float | None = None
) -> tuple[DataSummary, float]:
    """A table without rows that seem to be outliers, and their share of the weight.

    In turn: rows far from their neighbours; rows of low density after a short fit to all; none, or, of a known share,
    all but a few rows drawn at random (Fritz, Garcia-Escudero & Mayo-Iscar 2013).

    Parameters
    ----------
    model : Mixture
        Of Gaussian components.
    data : DataSummary
        The table.
    index : int
        Which guess it is.
    rng : numpy.random.Generator
        For the sample among which neighbours are looked for, and the start of the short fit.
    share : float, optional
        How much of the weight the outliers have; by default, what the rows say, or several shares in turn.
    """
    table, outlying = data, np.zeros(len(data.rows), dtype=bool)
    size = _FEW * model.n_components * (data.rows.shape[1] + 1)
    if index % 3 == 2 and share is not None and size < len(data.rows):
        outlying[:] = True
        outlying[draw_distinct(data.weight, rng, size)] = False
        return without(data, outlying), share
    if index % 3 == 0:
        table = sampled(data, rng)
        outlying = _far_from_neighbours(table, share)
    elif index % 3 == 1:
        density = first_density(model, data, rng)
        if density is not None:
            outlying = thinnest(density, data.weight, _SHARES[index // 3 % len(_SHARES)] if share is None else share)
    left = float(table.weight[~outlying].sum())
    if np.count_nonzero(~outlying) < model.n_components * (data.rows.shape[1] + 1):
        return data, 0.0
    return without(table, outlying), 1.0 - left / float(table.weight.sum())


def _far_from_neighbours(table: DataSummary, share: float | None) -> AnyArray:
    if share is None:
        return noise_by_neighbours(table.standardised, table.weight)
    beyond = min(_NEIGHBOURS, len(table.rows) / 4.0) * float(table.weight.mean())
    return thinnest(-neighbour_distances(table.standardised, table.weight, beyond), table.weight, share)
