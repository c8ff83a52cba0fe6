"""A fitted mixture to be used: what a fit, a model file and given parameters have in common."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.families.gaussian import Gaussian
from jensen.families.noise import Box, Noisy
from jensen.families.shapes.table import covariance_shape
from jensen.kernels.portable import Layout
from jensen.models.mixture import Assessment, Mixture


@dataclass(frozen=True, eq=False)
class FittedMixture:
    """Parameters of a Gaussian mixture, and what can be done with them. Densities are plain, without the ridge.

    Attributes
    ----------
    covariance_type : str
        Shape of the covariances: scikit-learn's name, or mclust's where it has none.
    params : Parameters
        ``weights`` (K,), or (K + 1,) with noise, ``means`` (K, d), ``covariances``.
    feature_names : tuple of str or None
        Names of the columns.
    equal_weights : bool, default=False
        Whether the weights were not estimated.
    box : Box or None
        Where a component of noise comes from, whose weight is the last; None without noise.
    threshold : float or None
        Log-density below which a row is an outlier; None where none is.
    """

    covariance_type: str
    params: Parameters
    feature_names: tuple[str, ...] | None = None
    equal_weights: bool = False
    box: Box | None = None
    threshold: float | None = None

    @classmethod
    def from_arrays(
        cls,
        covariance_type: str,
        weights: AnyArray,
        means: AnyArray,
        covariances: AnyArray,
        feature_names: tuple[str, ...] | None = None,
        equal_weights: bool = False,
        box: Box | None = None,
        threshold: float | None = None,
    ) -> FittedMixture:
        """From arrays of the right shapes; values are checked.

        Raises
        ------
        InputError
            If a shape or a value is outside its domain; the message names the parameter.
        """
        n_components, d = np.shape(means)
        model = _mixture(n_components, d, covariance_type, equal_weights, box)
        params = model.parameters(weights=weights, means=means, covariances=covariances)
        params.check()
        return cls(covariance_type, params, feature_names, equal_weights, box, threshold)

    @property
    def n_components(self) -> int:
        """K, the number of Gaussian components."""
        return len(self.params["means"])

    @property
    def n_features(self) -> int:
        """d."""
        return int(self.params["means"].shape[1])

    @property
    def layout(self) -> Layout:
        """How the covariances are stored."""
        return covariance_shape(self.covariance_type, self.n_features).layout

    @cached_property
    def model(self) -> Mixture:
        """The mixture, without regularisation."""
        return _mixture(self.n_components, self.n_features, self.covariance_type, self.equal_weights, self.box)

    def row_loglik(self, x: AnyArray) -> Array:
        """log p(x_i) of rows (n, d), shape (n,)."""
        return ArraySource(x).collect(self.model.row_loglik, self.params)

    def responsibilities(self, x: AnyArray) -> Array:
        """Posterior probability of each component of rows (n, d), shape (n, K); with noise (n, K + 1), its own last."""
        return ArraySource(x).collect(self.model.responsibilities, self.params)

    def labels(self, x: AnyArray) -> AnyArray:
        """Most probable component of rows (n, d), shape (n,), integers from 0; -1 for noise and outliers."""
        found = _outlying(ArraySource(x).collect(self.model.labels, self.params), self.n_components)
        if self.threshold is not None:
            found[self.row_loglik(x) < self.threshold] = -1
        return found

    def assess(self, x: AnyArray, weight: Array | None = None) -> Assessment:
        """Log-likelihood of weighted rows (n, d), and how sure their classification is."""
        return ArraySource(x, weight).fold(self.model.assess, self.params)

    def assess_kept(self, x: AnyArray, weight: Array | None = None) -> Assessment:
        """The same of the rows that are above the threshold, if there is one: what criteria are about."""
        if self.threshold is None:
            return self.assess(x, weight)
        kept = (self.row_loglik(x) >= self.threshold).astype(np.float64)
        return self.assess(x, kept if weight is None else kept * weight)

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Array, AnyArray]:
        """Draw n rows and their components, -1 for noise, grouped by component; shapes (n, d) and (n,)."""
        rows, labels = self.model.sample(self.params, n, rng)
        return rows, _outlying(labels, self.n_components)


def _mixture(n_components: int, d: int, covariance_type: str, equal_weights: bool, box: Box | None) -> Mixture:
    """The mixture, without regularisation."""
    gaussian = Gaussian(n_components, d, covariance_type, np.zeros(d))
    return Mixture(gaussian if box is None else Noisy(gaussian, box), equal_weights)


def _outlying(labels: AnyArray, n_components: int) -> AnyArray:
    """Labels with -1 in place of the number of the noise."""
    return np.where(labels == n_components, -1, labels)
