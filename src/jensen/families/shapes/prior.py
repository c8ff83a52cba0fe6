"""A conjugate prior on means and covariances, as what it adds to the statistics of an M-step.

Where mu_k given Sigma_k is N(mu_P, Sigma_k / kappa) and Sigma_k is inverse Wishart with nu degrees of freedom and scale
Lambda, the log-density of both is, up to a constant,

    -1/2 (a log|Sigma_k| + tr(Sigma_k^-1 (Lambda + kappa (mu_k - mu_P)(mu_k - mu_P)'))),    a = nu + d + 2

(Fraley & Raftery 2007, section 3). Added to the expected log-likelihood of n_k rows of mean xbar_k and scatter W_k
about it, this has its maximum over mu_k at a weighted mean, and what is left for Sigma_k is again that of some count
and some scatter. Every M-step of a shape therefore maximises a posterior too, once it is given these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jensen.core.block import Array
from jensen.kernels.portable import Layout


@dataclass(frozen=True, eq=False)
class PseudoData:
    """What a conjugate prior adds to each component: a count, a scatter, and a pull on its mean.

    A covariance that components share has one prior: its count and scatter are then divided by K before they get here.

    Attributes
    ----------
    count : float
        a, at least 0.
    scatter : ndarray
        Lambda, positive semidefinite: (d, d) for the layouts ``full`` and ``tied``, its diagonal (d,) for ``diag``, its
        trace (1,) or () for ``spherical``.
    strength : float
        kappa, at least 0; 0 lets the means alone.
    centre : ndarray of shape (d,)
        mu_P.
    """

    count: float
    scatter: Array
    strength: float
    centre: Array

    def counts_with(self, counts: Array) -> Array:
        """n_k + a, shape (K,)."""
        return np.asarray(counts + self.count)

    def means_with(self, counts: Array, means: Array) -> Array:
        """(n_k xbar_k + kappa mu_P) / (n_k + kappa).

        Parameters
        ----------
        counts : ndarray of shape (K,)
            n_k.
        means : ndarray of shape (K, d)
            xbar_k; without pull, a component without rows keeps what is here.
        """
        if self.strength == 0:
            return means
        pull = self.strength / (counts + self.strength)
        return np.asarray(means + pull[:, None] * (self.centre - means))

    def scatter_with(self, layout: Layout, counts: Array, means: Array, scatter: Array) -> Array:
        """W_k + n_k kappa / (n_k + kappa) (xbar_k - mu_P)(xbar_k - mu_P)' + Lambda.

        Parameters
        ----------
        layout : {"full", "tied", "diag", "spherical"}
            Of the scatter; for ``tied`` all terms are sums over components.
        counts : ndarray of shape (K,)
            n_k.
        means : ndarray of shape (K, d)
            xbar_k, not yet pulled.
        scatter : ndarray
            W_k about xbar_k: (K, d, d), (d, d), (K, d) or (K,).
        """
        pulled = np.zeros_like(counts)
        if self.strength > 0:
            pulled = counts * self.strength / (counts + self.strength)
        away = means - self.centre
        if layout == "full":
            return np.asarray(scatter + np.einsum("k,ki,kj->kij", pulled, away, away) + self.scatter)
        if layout == "tied":
            return np.asarray(scatter + np.einsum("k,ki,kj->ij", pulled, away, away) + len(counts) * self.scatter)
        squares = pulled[:, None] * away**2
        return np.asarray(scatter + (squares if layout == "diag" else squares.sum(axis=1)) + self.scatter)

    def log_density(self, layout: Layout, means: Array, whitening: Array) -> float:
        """Sum over components of the prior's log-density, without its constant.

        Parameters
        ----------
        layout : {"full", "tied", "diag", "spherical"}
            Of the covariances.
        means : ndarray of shape (K, d)
            mu_k, pulled.
        whitening : ndarray
            Inverse lower Cholesky factors (K, d, d) or (d, d), or inverse standard deviations (K, d) or (K,).
        """
        n_components, d = means.shape
        away = means - self.centre
        if layout in ("full", "tied"):
            times = n_components if layout == "tied" else 1
            logs = times * float(np.log(np.diagonal(whitening, axis1=-2, axis2=-1)).sum())
            inside = times * float(np.sum(whitening @ self.scatter * whitening))
            inside += self.strength * float(np.sum((whitening @ away[:, :, None]) ** 2))
        else:
            squares, each = away**2, 1
            if layout == "spherical":
                squares, each = squares.sum(axis=1), d
            logs = each * float(np.log(whitening).sum())
            inside = float(np.sum(whitening**2 * (self.scatter + self.strength * squares)))
        return self.count * logs - 0.5 * inside


def with_ridge(layout: Layout, counts: Array, scatter: Array, ridge: Array) -> Array:
    """W_k + n_k R, or the sum over components for ``tied``: how a ridge enters the M-step of every shape.

    Parameters
    ----------
    layout : {"full", "tied", "diag", "spherical"}
        Of the scatter.
    counts : ndarray of shape (K,)
        n_k, of rows alone.
    scatter : ndarray
        (K, d, d), (d, d), (K, d) or (K,).
    ridge : ndarray of shape (d,)
        Diagonal of R.
    """
    if layout == "full":
        return np.asarray(scatter + counts[:, None, None] * np.diag(ridge))
    if layout == "tied":
        return np.asarray(scatter + counts.sum() * np.diag(ridge))
    return np.asarray(scatter + (counts[:, None] * ridge if layout == "diag" else counts * ridge.sum()))
