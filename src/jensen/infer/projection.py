"""The projection in which the components of a Gaussian mixture differ most (Scrucca 2010).

With the weights f_k, the means mu_k about the overall mean mu, the covariances Sigma_k about their average S, and the
marginal covariance Sigma of a row,

    M_I = sum_k f_k (mu_k - mu)(mu_k - mu)',    M_II = sum_k f_k (Sigma_k - S) Sigma^-1 (Sigma_k - S),
    M = 2 c M_I Sigma^-1 M_I + 2 (1 - c) M_II,

the directions solve M v = l Sigma v with v' Sigma v = 1. At c = 1/2 this is the kernel of Scrucca (2010, section 2.2);
c = 1 looks at the means alone and gives the directions of linear discriminant analysis (Scrucca 2014). All is done in
coordinates in which Sigma is the identity, so that nothing is inverted and columns may have any scale.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from jensen.core.block import Array
from jensen.errors import InputError, NumericalFailure
from jensen.numerics.cholesky import lower_factors, symmetric

# Eigenvalues up to this show no structure. They have no units: at c = 1/2 means alone bring 1 at most.
_NO_STRUCTURE = float(np.sqrt(np.finfo(np.float64).eps))
# Loadings this close to the largest one, as a share of it, count as large: rounding must not turn a sign.
_AS_LARGE = 1e-6


@dataclass(frozen=True, eq=False)
class Projection:
    """Directions that show how the components of a mixture differ, the most telling one first.

    Attributes
    ----------
    directions : ndarray of shape (d, q)
        Coefficients of the columns. Projected rows are uncorrelated and have the variance 1 under the mixture. The
        sign makes the largest loading positive.
    eigenvalues : ndarray of shape (q,)
        What each direction shows of the structure, descending.
    from_means, from_covariances : ndarray of shape (q,)
        The parts of `eigenvalues` that differences of means and of covariances bring.
    balance : float
        c: 0.5 where both count alike, 1 where means count alone.
    centre : ndarray of shape (d,)
        The overall mean, which is projected to 0.
    scale : ndarray of shape (d,)
        Marginal standard deviations of the columns.
    weights : ndarray of shape (K,)
        Of the components.
    means : ndarray of shape (K, q)
        Of the projected components.
    covariances : ndarray of shape (K, q, q)
        Of the projected components.
    """

    directions: Array = field(repr=False)
    eigenvalues: Array
    from_means: Array
    from_covariances: Array
    balance: float
    centre: Array = field(repr=False)
    scale: Array = field(repr=False)
    weights: Array = field(repr=False)
    means: Array = field(repr=False)
    covariances: Array = field(repr=False)

    @property
    def loadings(self) -> Array:
        """The directions for columns in standard deviations, each of length 1, shape (d, q): they have no units."""
        loadings = self.directions * self.scale[:, None]
        return np.asarray(loadings / np.linalg.norm(loadings, axis=0))

    @property
    def shares(self) -> Array:
        """What each direction shows of all the structure, shape (q,), summing to 1."""
        return np.asarray(self.eigenvalues / self.eigenvalues.sum())

    def transform(self, X: Any) -> Array:
        """Rows in the projection.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows in the columns that the mixture was fitted to.

        Returns
        -------
        ndarray of shape (n, q)

        Raises
        ------
        InputError
            If the shape is another one.
        """
        rows, d = np.asarray(X, dtype=np.float64), len(self.centre)
        if rows.ndim != 2 or rows.shape[1] != d:
            raise InputError(f"X must have the shape (n, {d}), one column for each of the mixture's, got {rows.shape}")
        # Centred before they are multiplied, so that an offset of the columns costs no digits.
        return np.asarray((rows - self.centre) @ self.directions)

    def __repr__(self) -> str:
        (d, q), k = self.directions.shape, len(self.weights)
        shape = f"{k} component{'s' * (k != 1)} in {d} column{'s' * (d != 1)}"
        if q == 0:
            return f"Projection of {shape}: the components do not differ, no direction shows anything"
        rows: list[tuple[str, ...]] = [("direction", "eigenvalue", "of means", "of covariances", "share so far")]
        parts = (self.eigenvalues, self.from_means, self.from_covariances)
        for j, told in enumerate(np.cumsum(self.shares)):
            rows.append((str(j + 1), *(f"{max(part[j], 0.0):.4f}" for part in parts), f"{100 * told:.1f} %"))
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        table = ["  " + "  ".join(f"{c:>{w}}" for c, w in zip(row, widths, strict=True)) for row in rows]
        title = f"Projection of {shape} to {q} direction{'s' * (q != 1)} (Scrucca 2010), balance {self.balance:g}"
        return "\n".join([title, *table])


def projection(
    weights: Any,
    means: Any,
    covariances: Any,
    *,
    balance: float = 0.5,
    n_directions: int | None = None,
    mean: Any = None,
    covariance: Any = None,
) -> Projection:
    """The directions in which the components of a Gaussian mixture differ most.

    The coordinates of rows in the projection are the same, up to signs, for data under any invertible affine map.
    Where eigenvalues are equal, so are all directions between theirs, and one basis of them is as good as another.

    Parameters
    ----------
    weights : array-like of shape (K,)
        Weights of the components, at least 0 and not all 0; only their shares count.
    means : array-like of shape (K, d)
        Their means.
    covariances : array-like of shape (K, d, d)
        Their covariance matrices, whatever the layout of the fit: ``covariance_matrices`` of a fit brings them.
    balance : float, default=0.5
        c, from 0 to 1 (lambda of Scrucca 2014): 0.5 counts differences of means and of covariances alike, 1 means
        alone, the default of mclust since version 6; then there are K - 1 directions at most.
    n_directions : int, optional
        Directions at most, at least 1; by default all that show anything, which are d at most.
    mean : array-like of shape (d,), optional
        The overall mean; the mixture's by default. mclust takes the mean of the data.
    covariance : array-like of shape (d, d), optional
        The marginal covariance of a row; the mixture's by default, which in a fit by maximum likelihood without
        constraints is the data's. mclust takes the covariance of the data (divided by n).

    Returns
    -------
    Projection

    Raises
    ------
    InputError
        If a shape or a value cannot be, or the marginal covariance is singular.
    """
    shares, mu, sigma = _checked(weights, means, covariances)
    if not (isinstance(balance, int | float | np.number) and 0.0 <= balance <= 1.0):
        raise InputError(f"balance must be a number from 0 (covariances alone) to 1 (means alone), got {balance!r}")
    is_count = isinstance(n_directions, int | np.integer) and not isinstance(n_directions, bool) and n_directions >= 1
    if n_directions is not None and not is_count:
        raise InputError(f"n_directions must be an integer of at least 1 or None, got {n_directions!r}")
    d = mu.shape[1]
    centre = shares @ mu if mean is None else _array(mean, (d,), "mean")
    about, average = mu - centre, np.tensordot(shares, sigma, axes=1)
    between = (shares[:, None] * about).T @ about
    marginal = average + between if covariance is None else _array(covariance, (d, d), "covariance")
    scale, lower = _factor(symmetric(marginal))
    # In the coordinates z = L^-1 (x - mu) / scale the marginal covariance is the identity.
    inside = solve_triangular(lower, (np.sqrt(shares)[:, None] * about / scale).T, lower=True)
    of_means = 2.0 * balance * _squared(inside @ inside.T)
    of_covariances = np.zeros((d, d))
    if balance < 1.0:
        for share, difference in zip(shares, sigma - average, strict=True):
            half = solve_triangular(lower, difference / scale / scale[:, None], lower=True)
            whole = symmetric(solve_triangular(lower, half.T, lower=True))
            of_covariances += 2.0 * (1.0 - balance) * share * _squared(whole)
    values, vectors = np.linalg.eigh(of_means + of_covariances)
    order = np.argsort(-values, kind="stable")[: d if n_directions is None else n_directions]
    order = order[values[order] > _NO_STRUCTURE]
    unit = vectors[:, order]
    # L'^-1 leads back to the columns, which then are in units of their standard deviations.
    loadings = _signed(solve_triangular(lower, unit, lower=True, trans="T"))
    directions = loadings / scale[:, None]
    return Projection(
        directions=directions,
        eigenvalues=values[order],
        from_means=np.einsum("ij,ik,kj->j", unit, of_means, unit),
        from_covariances=np.einsum("ij,ik,kj->j", unit, of_covariances, unit),
        balance=float(balance),
        centre=centre,
        scale=scale,
        weights=shares,
        means=about @ directions,
        covariances=symmetric(np.einsum("di,kde,ej->kij", directions, sigma, directions)),
    )


def _checked(weights: Any, means: Any, covariances: Any) -> tuple[Array, Array, Array]:
    """Shares (K,), means (K, d) and covariances (K, d, d) as float64, or an error that says what is wrong."""
    mu = np.asarray(means, dtype=np.float64)
    if mu.ndim != 2 or 0 in mu.shape:
        raise InputError(f"means must have the shape (K, d), got {mu.shape}")
    k, d = mu.shape
    shares, sigma = _array(weights, (k,), "weights"), _array(covariances, (k, d, d), "covariances")
    if not (shares.min() >= 0.0 and shares.sum() > 0.0):
        raise InputError("weights must be at least 0, and not all 0")
    return shares / shares.sum(), _array(mu, (k, d), "means"), symmetric(sigma)


def _array(value: Any, shape: tuple[int, ...], name: str) -> Array:
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape:
        raise InputError(f"{name} must have the shape {shape}, got {array.shape}")
    if not np.isfinite(array).all():
        raise InputError(f"{name} must be finite")
    return array


def _factor(marginal: Array) -> tuple[Array, Array]:
    """Standard deviations of the columns, and the Cholesky factor of their correlations."""
    variances = np.diagonal(marginal)
    if not (variances > 0.0).all():
        raise InputError(f"column {int(np.argmin(variances))} does not vary under the mixture; leave it out")
    scale = np.sqrt(variances)
    try:
        return scale, lower_factors(marginal / scale / scale[:, None])
    except NumericalFailure:
        raise InputError(
            "the marginal covariance is singular: some column is a combination of others; leave it out"
        ) from None


def _squared(matrix: Array) -> Array:
    return np.asarray(matrix @ matrix.T)


def _signed(loadings: Array) -> Array:
    """Loadings (d, q) with the largest of each direction positive; of those as large, the first."""
    sizes = np.abs(loadings)
    first = np.argmax(sizes >= (1.0 - _AS_LARGE) * sizes.max(axis=0, initial=0.0), axis=0)
    return np.asarray(loadings * np.sign(loadings[first, np.arange(loadings.shape[1])]))
