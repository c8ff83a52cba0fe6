"""The data of the benchmarks, made from seeds, and the judge that compares results."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# The judge looks at no more rows: parameters that agree there to 1e-6 agree.
_JUDGED_ROWS = 5_000


@dataclass(frozen=True)
class Parameters:
    """Weights (K,), means (K, d), and covariances in the layout of their shape."""

    weights: Array
    means: Array
    covariances: Array


@dataclass(frozen=True)
class Problem:
    """Rows, and the parameters that every library starts from."""

    x: Array
    start: Parameters
    shape: str

    @property
    def n(self) -> int:
        return len(self.x)

    @property
    def d(self) -> int:
        return int(self.x.shape[1])

    @property
    def k(self) -> int:
        return len(self.start.weights)

    def astype(self, dtype: Any) -> Problem:
        """The same problem with its rows in another precision."""
        return replace(self, x=self.x.astype(dtype))

    def head(self, n: int) -> Problem:
        """The first n rows."""
        return replace(self, x=self.x[:n].copy())


def overlapping(n: int, d: int, k: int, shape: str = "full", seed: int = 0) -> Problem:
    """Rows of k overlapping groups, and rough parameters to start from."""
    rng = np.random.default_rng(seed)
    centres = 2.0 * rng.standard_normal((k, d))
    x = centres[rng.integers(k, size=n)] + rng.standard_normal((n, d))
    return Problem(x, _rough(rng, centres, shape, 0.3, 1.5), shape)


def separated(n: int, d: int, k: int, shape: str = "full", seed: int = 0) -> Problem:
    """Rows of k groups that lie far apart, in random order, and parameters close to the groups'."""
    rng = np.random.default_rng(seed)
    centres = 10.0 * rng.standard_normal((k, d))
    x = centres[rng.integers(k, size=n)] + rng.standard_normal((n, d))
    return Problem(x, _rough(rng, centres, shape, 0.1, 1.2), shape)


def _rough(rng: np.random.Generator, centres: Array, shape: str, noise: float, spread: float) -> Parameters:
    k, d = centres.shape
    unit = {"full": np.tile(np.eye(d), (k, 1, 1)), "tied": np.eye(d), "diag": np.ones((k, d)), "spherical": np.ones(k)}
    return Parameters(np.full(k, 1.0 / k), centres + noise * rng.standard_normal((k, d)), spread * unit[shape])


def loglik(problem: Problem, params: Parameters) -> float:
    """Mean log-likelihood of the first rows, by plain NumPy: no library judges itself."""
    from scipy.linalg import solve_triangular
    from scipy.special import logsumexp

    x, d = problem.x[:_JUDGED_ROWS].astype(np.float64), problem.d
    covariances = params.covariances.astype(np.float64)
    joint = np.empty((problem.k, len(x)))
    for k, mean in enumerate(params.means):
        covariance = covariances if problem.shape == "tied" else covariances[k]
        if covariance.ndim == 2:
            lower = np.linalg.cholesky(covariance)
            z, spread = solve_triangular(lower, (x - mean).T, lower=True), np.diag(lower)
        else:
            spread = np.broadcast_to(np.sqrt(covariance), d)
            z = ((x - mean) / spread).T
        joint[k] = -np.log(spread).sum() - 0.5 * np.einsum("ij,ij->j", z, z)
    with np.errstate(divide="ignore"):
        joint += np.log(params.weights.astype(np.float64))[:, None]
    return float(logsumexp(joint, axis=0).mean() - 0.5 * d * np.log(2.0 * np.pi))
