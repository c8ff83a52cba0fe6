"""Fraley & Raftery's conjugate prior, with its defaults from the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from jensen.core.block import Array
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.families.moments import GaussianStatistics
from jensen.families.shapes.prior import PseudoData
from jensen.families.shapes.table import CovarianceShape
from jensen.kernels.portable import weighted_moments

_EMPTY = Parameters({}, {})


@dataclass(frozen=True, eq=False)
class ConjugatePrior:
    """A normal prior on means and an inverse Wishart or gamma one on covariances (Fraley & Raftery 2007, section 3).

    mu_k given Sigma_k is N(mean, Sigma_k / shrinkage). Sigma_k is inverse Wishart with `dof` degrees of freedom and
    scale matrix `scale`; of shapes along the axes, each variance is inverse gamma with dof/2 and scale/2. A covariance
    that all components share has one prior. As in mclust, what is not given comes from the data.

    Parameters
    ----------
    shrinkage : float, default=0.01
        kappa, at least 0: how many rows the prior mean counts for; 0 leaves the means alone.
    mean : array-like of shape (d,), default=None
        mu_P; the mean of the data.
    dof : float, default=None
        nu, above d - 1 (above 0 for shapes along the axes); d + 2.
    scale : array-like of shape (d, d) or float, default=None
        Lambda, in squared units of the columns; the covariance of the data over K^(2/d). Shapes along the axes take the
        mean of its diagonal.

    Examples
    --------
    >>> import jensen
    >>> X = jensen.datasets.load("iris").data
    >>> prior = jensen.ConjugatePrior(shrinkage=0.1)
    >>> model = jensen.GaussianMixture(8, prior=prior, n_init=3, random_state=0).fit(X)
    >>> model.fit_result_.is_sound
    True
    """

    shrinkage: float = 0.01
    mean: Any = None
    dof: float | None = None
    scale: Any = None

    def __post_init__(self) -> None:
        given: tuple[tuple[str, Any], ...] = (
            ("shrinkage", self.shrinkage),
            ("dof", 1.0 if self.dof is None else self.dof),
        )
        for name, value in given:
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < np.inf:
                raise InputError(f"{name} of the prior must be a number of at least 0, got {value!r}")

    def pseudo_data(self, kind: CovarianceShape, n_components: int, source: ArraySource) -> PseudoData:
        """What the prior adds to each component's statistics.

        Parameters
        ----------
        kind : CovarianceShape
            Of the covariances.
        n_components : int
            K.
        source : ArraySource
            The data, for what is not given.

        Raises
        ------
        InputError
            If an argument does not fit the data.
        """
        d = source.x.shape[1]
        centre, covariance = _moments(source)
        if self.mean is not None:
            centre = _numbers(self.mean, "mean", (d,))
        dof = d + 2.0 if self.dof is None else float(self.dof)
        scale = covariance * n_components ** (-2.0 / d) if self.scale is None else self._given_scale(d)
        along_axes = kind.orientation == "I"
        if not along_axes and dof <= d - 1:
            raise InputError(f"dof of the prior must be above d - 1 = {d - 1}, got {dof:g}")
        # The prior of a mean brings one more factor |Sigma_k|^(-1/2).
        pulls = 1.0 if self.shrinkage > 0 else 0.0
        count, variance = dof + 2.0, float(np.trace(scale) / d)
        if kind.layout in ("full", "tied"):
            count, part = dof + d + 1.0, scale
        elif kind.layout == "diag":
            part = np.full(d, variance)
        else:
            # One variance for d columns: what it weighs counts d times.
            count, part = (dof + 2.0) / d, np.array([variance])
        if kind.is_common:
            count, part = count / n_components, part / n_components
        return PseudoData(count + pulls, part, float(self.shrinkage), centre)

    def _given_scale(self, d: int) -> Array:
        scale = np.asarray(self.scale, dtype=np.float64)
        scale = scale * np.eye(d) if scale.ndim == 0 else _numbers(self.scale, "scale", (d, d))
        if not np.allclose(scale, scale.T) or np.linalg.eigvalsh(scale)[0] < 0:
            raise InputError("scale of the prior must be symmetric, without negative eigenvalues")
        return np.asarray(scale)


def _numbers(value: Any, name: str, shape: tuple[int, ...]) -> Array:
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise InputError(f"{name} of the prior must be finite and of shape {shape}, got shape {array.shape}")
    return array


def _moments(source: ArraySource) -> tuple[Array, Array]:
    """Mean and covariance of the weighted rows; as in mclust, the sum of weights less 1 divides where it can."""
    d = source.x.shape[1]
    row = np.asarray(source.x[:1], dtype=np.float64)

    def moments(_: Any, block: Any) -> GaussianStatistics:
        return GaussianStatistics(*weighted_moments(block.x, block.weights[:, None], "full", row), row, "full")

    means, scatter = source.fold(moments, _EMPTY).centred()
    weight = source.weight
    return means[0], scatter[0].reshape(d, d) / (weight - 1.0 if weight >= 2.0 else weight)
