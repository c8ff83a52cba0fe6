"""A fitted mixture to be used: what a fit, a model file and given parameters have in common."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.families.gaussian import Gaussian
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
        ``weights`` (K,), ``means`` (K, d), ``covariances``.
    feature_names : tuple of str or None
        Names of the columns.
    """

    covariance_type: str
    params: Parameters
    feature_names: tuple[str, ...] | None = None

    @classmethod
    def from_arrays(
        cls,
        covariance_type: str,
        weights: AnyArray,
        means: AnyArray,
        covariances: AnyArray,
        feature_names: tuple[str, ...] | None = None,
    ) -> FittedMixture:
        """From arrays of the right shapes; values are checked.

        Raises
        ------
        InputError
            If a shape or a value is outside its domain; the message names the parameter.
        """
        n_components, d = np.shape(means)
        model = Mixture(Gaussian(n_components, d, covariance_type, np.zeros(d)))
        params = model.parameters(weights=weights, means=means, covariances=covariances)
        params.check()
        return cls(covariance_type, params, feature_names)

    @property
    def n_components(self) -> int:
        """K."""
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
        d = self.n_features
        return Mixture(Gaussian(self.n_components, d, self.covariance_type, np.zeros(d)))

    def row_loglik(self, x: AnyArray) -> Array:
        """log p(x_i) of rows (n, d), shape (n,)."""
        return ArraySource(x).collect(self.model.row_loglik, self.params)

    def responsibilities(self, x: AnyArray) -> Array:
        """Posterior probability of each component for rows (n, d), shape (n, K)."""
        return ArraySource(x).collect(self.model.responsibilities, self.params)

    def labels(self, x: AnyArray) -> AnyArray:
        """Most probable component of rows (n, d), shape (n,), integers from 0."""
        return ArraySource(x).collect(self.model.labels, self.params)

    def assess(self, x: AnyArray, weight: Array | None = None) -> Assessment:
        """Log-likelihood of weighted rows (n, d), and how sure their classification is."""
        return ArraySource(x, weight).fold(self.model.assess, self.params)

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Array, AnyArray]:
        """Draw n rows and their components, grouped by component; shapes (n, d) and (n,)."""
        return self.model.sample(self.params, n, rng)
