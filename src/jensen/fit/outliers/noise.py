"""A component of noise: the box that its rows come from, and how fits begin with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from jensen.core.block import Array, Block
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.families.gaussian import Gaussian
from jensen.families.noise import Box, Noisy
from jensen.fit.outliers.contract import gaussian_part, guess, unregularised
from jensen.fit.summary import DataSummary
from jensen.models.mixture import Mixture

# Principal components of standardised columns whose variance is below this share of the largest have no box.
_FLAT = 1e-10
# The weight of the noise at a start, at least and at most.
_LEAST, _MOST = 0.02, 0.8
_EMPTY = Parameters({}, {})


@dataclass(frozen=True, eq=False)
class NoiseOutliers:
    """A component of noise takes the rows that belong to no Gaussian; see `jensen.fit.outliers.contract.Outliers`.

    Attributes
    ----------
    gaussians : Mixture
        The Gaussian components alone.
    box : Box
        Of the noise.
    """

    gaussians: Mixture
    box: Box

    @cached_property
    def model(self) -> Mixture:
        """The mixture with the noise as its last component."""
        family: Gaussian = self.gaussians.family  # type: ignore[assignment]
        return Mixture(Noisy(family, self.box))

    @property
    def mixture(self) -> Mixture:
        """The same."""
        return self.model

    def over(self, source: ArraySource) -> ArraySource:
        """The source as it is."""
        return source

    def plain(self) -> NoiseOutliers:
        """The same without regularisation."""
        return NoiseOutliers(unregularised(self.gaussians), self.box)

    def inliers(self, source: ArraySource, params: Parameters) -> tuple[ArraySource, Parameters]:
        """Every row by what of it is not noise."""

        def shares(at: Parameters, block: Block) -> Array:
            return block.weights * (1.0 - self.model.responsibilities(at, block)[:, -1])

        return source.weighted(source.collect(shares, params)), gaussian_part(self.model, params)[1]

    def cleaned(self, data: DataSummary, index: int, rng: np.random.Generator) -> tuple[DataSummary, float]:
        """Without rows that seem to be noise."""
        return guess(self.gaussians, data, index, rng)

    def around(self, params: Parameters, outlying: float) -> Parameters:
        """The Gaussians with noise of that weight, within bounds that leave room for both."""
        noise = min(max(outlying, _LEAST), _MOST)
        weights = np.append((1.0 - noise) * params["weights"], noise)
        return self.model.parameters(weights=weights, means=params["means"], covariances=params["covariances"])

    def escapes(self, source: ArraySource, params: Parameters) -> list[tuple[str, Parameters]]:
        """None: the weight of the noise moves freely."""
        return []

    def threshold(self, source: ArraySource, params: Parameters) -> None:
        """The noise has a label, whatever the density."""
        return None


@dataclass(frozen=True, eq=False)
class _Range:
    """Extremes of the columns of some rows."""

    low: Array
    high: Array

    def merge(self, other: Self) -> Self:
        return type(self)(np.minimum(self.low, other.low), np.maximum(self.high, other.high))


def box_around(source: ArraySource, volume: float | None = None) -> Box:
    """A box around the rows of positive weight.

    The smaller of the box along the columns and the one along the principal components, after mclust's ``hypvol``
    (Fraley & Raftery 1998). The components are those of the standardised columns, so that the box follows
    the units of the columns; mclust takes the columns as they are.

    Parameters
    ----------
    source : ArraySource
        Finite rows.
    volume : float, optional
        V, if it is given: the box along the columns is then blown up to it, or shrunk, about its centre.

    Raises
    ------
    InputError
        If a column is constant and no volume is given.
    """
    upright = _extremes(source, np.eye(source.x.shape[1]), np.zeros(source.x.shape[1]), np.ones(source.x.shape[1]))
    lengths = upright.high - upright.low
    if volume is not None:
        return _of_volume(upright, lengths, float(np.log(volume)))
    if not (lengths > 0).all():
        names = ", ".join(str(j) for j in np.flatnonzero(~(lengths > 0)))
        raise InputError(
            f"noise=True takes the volume of the data, which is 0: column {names} is constant. Leave it out, or give "
            "the volume as a number"
        )
    log_volume = float(np.log(lengths).sum())
    box = Box(upright.low, np.diag(lengths), log_volume)
    mean, scale, axes = _principal_axes(source)
    if axes is None:
        return box
    turned = _extremes(source, axes, mean, scale)
    spans = turned.high - turned.low
    if not (spans > 0).all():
        return box
    log_turned = float(np.log(spans).sum() + np.log(scale).sum())
    if log_turned >= log_volume:
        return box
    return Box(mean + scale * (axes @ turned.low), spans[:, None] * axes.T * scale, log_turned)


def _of_volume(upright: _Range, lengths: Array, log_volume: float) -> Box:
    """The box along the columns with a volume of its own; a constant column has no length in it."""
    long = lengths > 0
    if long.any():
        lengths = lengths * np.exp((log_volume - np.log(lengths[long]).sum()) / np.count_nonzero(long))
    return Box(0.5 * (upright.low + upright.high) - 0.5 * lengths, np.diag(lengths), log_volume)


def _extremes(source: ArraySource, axes: Array, mean: Array, scale: Array) -> _Range:
    """Extremes of the standardised rows along axes (d, m)."""

    def extremes(_: Parameters, block: Block) -> _Range:
        x = np.asarray(block.x, dtype=np.float64)
        counting = x if block.weight is None else x[block.weight > 0]
        along = ((counting - mean) / scale) @ axes
        return _Range(along.min(axis=0, initial=np.inf), along.max(axis=0, initial=-np.inf))

    return source.fold(extremes, _EMPTY)


def _principal_axes(source: ArraySource) -> tuple[Array, Array, Array | None]:
    """Mean, standard deviations (d,), and principal axes (d, d) in columns; None where there are too few directions."""
    d = source.x.shape[1]
    one = Mixture(Gaussian(1, d, "full"))
    start = one.parameters(
        weights=np.ones(1), means=np.asarray(source.x[:1], dtype=np.float64), covariances=np.eye(d)[None]
    )
    labelled = source.with_arrays(labels=np.zeros(source.n_rows, dtype=np.intp))
    means, scatter = labelled.fold(one.expect_given, start).components.centred()
    covariance = scatter[0] / source.weight
    scale = np.sqrt(np.diagonal(covariance))
    if d == 1 or not (scale > 0).all():
        return means[0], scale, None
    values, axes = np.linalg.eigh(covariance / np.outer(scale, scale))
    return means[0], scale, axes if values[0] > _FLAT * values[-1] else None
