"""The problems of `benchmarks.optimum`: real data with their sources, and made ones from seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.data import Array, Parameters
from jensen.datasets import load


@dataclass(frozen=True, eq=False)
class Problem:
    """Rows, and the mixture to be fitted to them.

    Attributes
    ----------
    name : str
        What the command line and the file of optima call it.
    source : str
        Where the data come from.
    x : ndarray of shape (n, d)
        Rows, in columns whose variance is far above 1e-6, so that no library's ridge matters.
    k : int
        Components, at least 2.
    shape : {"full", "tied", "diag", "spherical"}
        Shape of the covariances.
    note : str
        What is hard about it.
    truth : Parameters or None
        What the rows were drawn from, covariances in the layout of the shape.
    """

    name: str
    source: str
    x: Array
    k: int
    shape: str
    note: str
    truth: Parameters | None = None

    @property
    def n(self) -> int:
        return len(self.x)

    @property
    def d(self) -> int:
        return int(self.x.shape[1])

    @property
    def fingerprint(self) -> float:
        """A number that tells whether the data are the same; signs, as those of principal components, may differ."""
        return float(np.abs(self.x).sum())


def all_problems() -> list[Problem]:
    """Every problem."""
    return [*_real(), *_made()]


def _real() -> list[Problem]:
    from sklearn.datasets import load_breast_cancer, load_digits, load_wine

    faithful, iris, galaxies = (load(name) for name in ("faithful", "iris", "galaxies"))
    wine, cancer, digits = load_wine(), load_breast_cancer(), load_digits()
    chosen = [list(cancer.feature_names).index(f"worst {name}") for name in ("texture", "area", "smoothness")]
    mangasarian = "Mangasarian, Street and Wolberg (1995), Operations Research 43, 570-577; from scikit-learn"
    forina = "Forina et al. (1988), PARVUS, by UCI's wine; from scikit-learn"
    alpaydin = "Alpaydin and Kaynak (1998), UCI's optical digits, the test part; from scikit-learn"
    x, leading = faithful.data, _leading(digits.data, 8)
    return [
        Problem("faithful-2-full", faithful.source, x, 2, "full", "easy"),
        Problem("faithful-3-full", faithful.source, x, 3, "full", "a narrow optimum lies above the sound one"),
        Problem("faithful-4-diag", faithful.source, x, 4, "diag", "slow EM along a flat ridge"),
        Problem("iris-2-full", iris.source, iris.data, 2, "full", "easy"),
        Problem("iris-3-full", iris.source, iris.data, 3, "full", "two species overlap; few rows"),
        Problem("iris-3-tied", iris.source, iris.data, 3, "tied", "two species overlap"),
        Problem("galaxies-2-tied", galaxies.source, galaxies.data, 2, "tied", "unequal sizes, few rows"),
        Problem("galaxies-3-full", galaxies.source, galaxies.data, 3, "full", "unequal sizes, spikes at close pairs"),
        Problem("wine-3-diag", forina, _standardised(wine.data), 3, "diag", "13 standardised columns, few rows"),
        Problem("cancer-3-full", mangasarian, _standardised(cancer.data[:, chosen]), 3, "full",
                "worst texture, area and smoothness, standardised; no clear groups"),
        Problem("digits-10-full", alpaydin, leading, 10, "full",
                "8 leading principal components in units of the first; many optima of much the same height"),
        Problem("digits-10-diag", alpaydin, leading, 10, "diag", "the same, with diagonal covariances"),
    ]  # fmt: skip


def _standardised(x: Array) -> Array:
    return np.asarray((x - x.mean(axis=0)) / x.std(axis=0))


def _leading(x: Array, d: int) -> Array:
    """Leading principal components, the first of variance 1."""
    left, values, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    return np.asarray(left[:, :d] * values[:d] / values[0] * np.sqrt(len(x)))


def _made() -> list[Problem]:
    centres = 4.0 * np.array([(i, j) for i in range(5) for j in range(5)], dtype=np.float64)
    round_ = np.tile(np.eye(2), (25, 1, 1))
    equal = np.full(25, 1 / 25)
    problems = [
        _drawn("grid-25-spherical", 1, 2_500, "spherical", equal, centres, round_, "round groups, 4 deviations apart"),
        _drawn("grid-25-full", 2, 5_000, "full", equal, centres, round_, "the same, free covariances"),
        _overlapping("overlap-2-full", 3, 2_000, 2, 5, "full", 2.5),
        _overlapping("overlap-4-full", 4, 4_000, 4, 10, "full", 2.0),
        _overlapping("overlap-8-full", 5, 6_000, 8, 20, "full", 1.75),
        _overlapping("overlap-16-diag", 6, 10_000, 16, 50, "diag", 1.0),
        _overlapping("overlap-8-tied", 7, 4_000, 8, 10, "tied", 1.0),
    ]  # fmt: skip
    rng = np.random.default_rng(8)
    shares = np.array([0.5, 0.2, 0.12, 0.08, 0.05, 0.03, 0.01, 0.01])
    problems.append(_drawn("unequal-full", 8, 5_000, "full", shares, 3.0 * rng.standard_normal((8, 3)),
                           _random_covariances(rng, 8, 3), "shares from 50 % down to 1 %"))  # fmt: skip
    rng = np.random.default_rng(9)
    long = _turned(rng, 8, 2, np.array([1.0, 0.1]))
    problems.append(_drawn("elongated-full", 9, 3_000, "full", np.full(8, 1 / 8), rng.uniform(-2.5, 2.5, (8, 2)), long,
                           "ten times as long as wide, in random directions, crossing"))  # fmt: skip
    return [*problems, _noisy()]


def _drawn(
    name: str, seed: int, n: int, shape: str, weights: Array, means: Array, covariances: Array, note: str
) -> Problem:
    """Rows from a mixture with covariances (K, d, d)."""
    rng = np.random.default_rng([seed, 1])
    group = rng.choice(len(weights), size=n, p=weights)
    noise = rng.standard_normal((n, means.shape[1]))
    x = means[group] + np.einsum("nij,nj->ni", np.linalg.cholesky(covariances)[group], noise)
    truth = Parameters(weights, means, in_layout(covariances, shape))
    return Problem(name, f"made, seed {seed}", x, len(weights), shape, note, truth)


def _overlapping(name: str, seed: int, n: int, d: int, k: int, shape: str, apart: float) -> Problem:
    """Groups of random covariances about random centres, `apart` deviations from the origin in each column."""
    rng = np.random.default_rng(seed)
    means, covariances = apart * rng.standard_normal((k, d)), _random_covariances(rng, k, d)
    if shape == "tied":
        covariances = np.tile(covariances[0], (k, 1, 1))
    elif shape == "diag":
        covariances = covariances * np.eye(d)
    weights = rng.dirichlet(np.full(k, 10.0))
    return _drawn(name, seed, n, shape, weights, means, covariances, f"overlapping groups in {d} dimensions")


def _noisy() -> Problem:
    """Groups and 10 % of uniform noise, which gets a component of its own."""
    rng = np.random.default_rng([10, 1])
    n, k, side = 3_000, 6, 8.0
    means, covariances = rng.uniform(-6.0, 6.0, (k, 2)), 0.5 * _random_covariances(rng, k, 2)
    group = rng.integers(k, size=n)
    x = means[group] + np.einsum("nij,nj->ni", np.linalg.cholesky(covariances)[group], rng.standard_normal((n, 2)))
    stray = rng.random(n) < 0.1
    x[stray] = rng.uniform(-side, side, (int(stray.sum()), 2))
    broad = side**2 / 3.0 * np.eye(2)
    truth = Parameters(
        np.append(np.full(k, 0.9 / k), 0.1), np.vstack([means, np.zeros(2)]), np.concatenate([covariances, broad[None]])
    )
    note = "6 groups and 10 % of uniform noise, with a broad component for it"
    return Problem("noise-full", "made, seed 10", x, k + 1, "full", note, truth)


def _random_covariances(rng: np.random.Generator, k: int, d: int) -> Array:
    """Variances between 0.37 and 2.7, in random directions."""
    return _turned(rng, k, d, np.exp(rng.uniform(-1.0, 1.0, (k, d)) / 2.0))


def _turned(rng: np.random.Generator, k: int, d: int, deviations: Array) -> Array:
    """Covariances of given standard deviations (d,) or (K, d) along random axes."""
    axes: Sequence[Array] = [np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(k)]
    factors = np.array(axes) * np.broadcast_to(deviations, (k, d))[:, None, :]
    return np.asarray(factors @ factors.transpose(0, 2, 1))


def in_layout(covariances: Array, shape: str) -> Array:
    """Covariances (K, d, d) in the layout of a shape; their mean for a tied one."""
    if shape == "full":
        return covariances
    if shape == "tied":
        return np.asarray(covariances.mean(axis=0))
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    return variances.copy() if shape == "diag" else np.asarray(variances.mean(axis=1))
