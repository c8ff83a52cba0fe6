"""The projection: against the eigenproblem as it is written, discriminant analysis, 40 digits, and its laws."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixtures import SHAPES, fit
from scipy.linalg import eigh

from jensen import datasets
from jensen.errors import InputError
from jensen.infer.projection import projection

IRIS = datasets.load("iris").data


def components(seed, k, d):
    """Weights, means and covariances drawn at random."""
    rng = np.random.default_rng(seed)
    half = rng.standard_normal((k, d, d))
    return rng.dirichlet(np.ones(k)), rng.standard_normal((k, d)), half @ np.swapaxes(half, 1, 2) + 0.3 * np.eye(d)


def kernel(weights, means, covariances, balance=0.5):
    """M and Sigma as they are written, with an inverse."""
    mu, average = weights @ means, np.tensordot(weights, covariances, axes=1)
    first = sum(f * np.outer(m - mu, m - mu) for f, m in zip(weights, means, strict=True))
    sigma = average + first
    inverse = np.linalg.inv(sigma)
    second = sum(f * (s - average) @ inverse @ (s - average) for f, s in zip(weights, covariances, strict=True))
    return 2 * balance * first @ inverse @ first + 2 * (1 - balance) * second, sigma


def same_up_to_sign(found, expected, rtol=1e-7):
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found * signs, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


@given(st.integers(0, 2**16), st.integers(2, 4), st.integers(1, 5), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_the_eigenproblem_as_it_is_written(seed, k, d, balance):
    parts = components(seed, k, d)
    found = projection(*parts, balance=balance)
    matrix, sigma = kernel(*parts, balance)
    values, vectors = eigh(matrix, sigma)
    q = len(found.eigenvalues)
    np.testing.assert_allclose(found.eigenvalues, values[::-1][:q], rtol=1e-8, atol=1e-10)
    assert (values[::-1][q:] < 1e-7).all()
    v = found.directions
    np.testing.assert_allclose(matrix @ v, sigma @ v * found.eigenvalues, atol=1e-9 * np.abs(matrix).max())
    np.testing.assert_allclose(v.T @ sigma @ v, np.eye(q), atol=1e-9)
    np.testing.assert_allclose(found.from_means + found.from_covariances, found.eigenvalues, rtol=1e-9, atol=1e-12)
    if balance == 1.0:
        assert q <= k - 1 and (found.from_covariances == 0.0).all()


def test_iris_as_scipy_computes_it():
    fitted = fit(IRIS, 3, n_init="auto")
    parts = fitted.params["weights"], fitted.params["means"], fitted.covariance_matrices()
    found = projection(*parts)
    values, vectors = eigh(*kernel(*parts))
    np.testing.assert_allclose(found.eigenvalues, values[::-1], rtol=1e-9)
    same_up_to_sign(found.directions, vectors[:, ::-1])
    # Full covariances by maximum likelihood: the mixture's mean and covariance are the data's, but for the ridge.
    z = found.transform(IRIS)
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=1e-6)
    np.testing.assert_allclose(np.cov(z.T, bias=True), np.eye(4), atol=1e-4)
    data = projection(*parts, mean=IRIS.mean(axis=0), covariance=np.cov(IRIS.T, bias=True))
    np.testing.assert_allclose(data.eigenvalues, found.eigenvalues, rtol=1e-4)


def test_forty_digits():
    weights, means, covariances = components(7, 3, 3)
    # Columns whose scales differ by 1e8, and lie far off.
    scale, offset = np.array([1e-4, 1.0, 1e4]), np.array([3e-2, -1e3, 1e7])
    found = projection(weights, means * scale + offset, covariances * scale * scale[:, None])
    with mpmath.workdps(40):
        f = [mpmath.mpf(float(w)) for w in weights]
        total = mpmath.fsum(f)
        f = [w / total for w in f]
        mus = [mpmath.matrix((m * scale + offset).tolist()) for m in means]
        sigmas = [mpmath.matrix((s * scale * scale[:, None]).tolist()) for s in covariances]
        mu, average, first, second = (mpmath.zeros(3, n) for n in (1, 3, 3, 3))
        for w, m, s in zip(f, mus, sigmas, strict=True):
            mu, average = mu + w * m, average + w * s
        for w, m in zip(f, mus, strict=True):
            first = first + w * (m - mu) * (m - mu).T
        inverse = mpmath.inverse(average + first)
        for w, s in zip(f, sigmas, strict=True):
            second = second + w * (s - average) * inverse * (s - average)
        values = mpmath.eig(inverse * (first * inverse * first + second), left=False, right=False)
        expected = sorted((float(mpmath.re(value)) for value in values), reverse=True)
    # The offset of the last column costs seven digits of its means before anything is computed.
    np.testing.assert_allclose(found.eigenvalues, expected, rtol=1e-8)


@pytest.mark.parametrize("balance", [0.5, 1.0])
def test_two_components_of_one_covariance_give_the_discriminant(balance):
    _, means, covariances = components(2, 2, 4)
    common = covariances[0]
    found = projection([0.3, 0.7], means, np.stack([common, common]), balance=balance)
    assert found.directions.shape == (4, 1)
    fisher = np.linalg.solve(common, means[1] - means[0])
    cosine = fisher @ found.directions[:, 0] / np.linalg.norm(fisher) / np.linalg.norm(found.directions)
    assert abs(cosine) == pytest.approx(1.0, abs=1e-12)
    # The share of the variance along it that is between the groups, squared.
    gap = 0.21 * (fisher @ (means[1] - means[0])) ** 2
    between = gap / (gap + fisher @ common @ fisher)
    assert found.eigenvalues[0] == pytest.approx(2 * balance * between**2, rel=1e-9)


def test_the_first_direction_is_the_best_of_many():
    parts = components(11, 3, 3)
    found, (matrix, sigma) = projection(*parts), kernel(*parts)
    tried = np.random.default_rng(0).standard_normal((3, 20_000))
    ratios = np.einsum("in,ij,jn->n", tried, matrix, tried) / np.einsum("in,ij,jn->n", tried, sigma, tried)
    assert 0.99 * found.eigenvalues[0] < ratios.max() <= found.eigenvalues[0] * (1 + 1e-12)


@given(st.integers(0, 2**16), st.integers(2, 4), st.integers(1, 4))
def test_affine_maps_change_coordinates_by_signs_alone(seed, k, d):
    weights, means, covariances = components(seed, k, d)
    rng = np.random.default_rng(seed + 1)
    turn, shift = rng.standard_normal((d, d)) + 2 * np.eye(d), 10 * rng.standard_normal(d)
    if np.linalg.cond(turn) > 100:
        return
    rows = rng.standard_normal((20, d))
    found = projection(weights, means, covariances)
    moved = projection(weights, means @ turn + shift, turn.T @ covariances @ turn)
    np.testing.assert_allclose(moved.eigenvalues, found.eigenvalues, rtol=1e-6, atol=1e-9)
    gaps = np.abs(np.diff(np.append(found.eigenvalues, 0.0)))
    if gaps.min(initial=1.0) > 1e-3:
        same_up_to_sign(moved.transform(rows @ turn + shift), found.transform(rows), 1e-6)


@given(st.integers(0, 2**16))
def test_units_of_columns_and_orders_of_components_change_nothing(seed):
    weights, means, covariances = components(seed, 3, 3)
    scale, order = np.array([1e-6, 1.0, 1e6]), [2, 0, 1]
    rows = np.random.default_rng(seed).standard_normal((10, 3))
    found = projection(weights, means, covariances)
    scaled = projection(weights[order], (means * scale)[order], (covariances * scale * scale[:, None])[order])
    # Signs included: they come from loadings, which have no units.
    np.testing.assert_allclose(scaled.loadings, found.loadings, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(scaled.transform(rows * scale), found.transform(rows), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_fits_of_every_shape(shape):
    fitted = fit(IRIS, 3, covariance_type=shape)
    found = projection(fitted.params["weights"], fitted.params["means"], fitted.covariance_matrices())
    assert 2 <= found.directions.shape[1] <= 4
    assert (np.diff(found.eigenvalues) <= 0.0).all()
    assert found.shares.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(np.linalg.norm(found.loadings, axis=0), 1.0)
    # The projected components are those of the projected mixture: its mean is 0 and its covariance the identity.
    q = found.directions.shape[1]
    np.testing.assert_allclose(found.weights @ found.means, 0.0, atol=1e-9)
    spread = np.tensordot(found.weights, found.covariances, axes=1) + (found.weights * found.means.T) @ found.means
    np.testing.assert_allclose(spread, np.eye(q), atol=1e-9)
    np.testing.assert_allclose(found.transform(fitted.params["means"]), found.means, atol=1e-9)


def test_signs_and_number_of_directions():
    parts = components(3, 3, 4)
    whole, two = projection(*parts), projection(*parts, n_directions=2)
    np.testing.assert_array_equal(two.directions, whole.directions[:, :2])
    largest = np.abs(whole.loadings).argmax(axis=0)
    assert (whole.loadings[largest, np.arange(4)] > 0).all()
    # Two loadings of one size: the first is positive, whatever rounding says.
    even = projection([0.5, 0.5], [[1.0, -1.0], [-1.0, 1.0]], np.stack([np.eye(2)] * 2))
    assert even.directions[0, 0] > 0 > even.directions[1, 0]


def test_what_is_printed():
    fitted = fit(IRIS, 3, covariance_type="tied", n_init="auto")
    printed = repr(projection(fitted.params["weights"], fitted.params["means"], fitted.covariance_matrices()))
    assert printed.startswith("Projection of 3 components in 4 columns to 2 directions (Scrucca 2010), balance 0.5")
    assert printed.splitlines()[2].split() == ["1", "0.9394", "0.9394", "0.0000", "94.1", "%"]
    assert "nan" not in printed


def test_one_component_shows_nothing():
    found = projection([1.0], [[1.0, 2.0]], [np.eye(2)])
    assert found.directions.shape == (2, 0) and found.transform([[1.0, 2.0]]).shape == (1, 0)
    assert "do not differ" in repr(found)


GOOD = {"weights": [0.5, 0.5], "means": np.eye(2), "covariances": np.stack([np.eye(2)] * 2)}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"weights": [1.0]}, r"weights must have the shape \(2,\)"),
        ({"weights": [1.5, -0.5]}, "at least 0"),
        ({"weights": [0.0, 0.0]}, "not all 0"),
        ({"means": [1.0, 2.0]}, r"shape \(K, d\)"),
        ({"means": [[np.nan, 0.0], [0.0, 1.0]]}, "means must be finite"),
        ({"covariances": np.eye(2)}, r"covariances must have the shape \(2, 2, 2\)"),
        ({"balance": 1.5}, "balance must be"),
        ({"balance": "means"}, "balance must be"),
        ({"n_directions": 0}, "n_directions must be"),
        ({"n_directions": True}, "n_directions must be"),
        ({"mean": [1.0]}, r"mean must have the shape \(2,\)"),
        ({"covariance": np.diag([1.0, 0.0])}, "column 1 does not vary"),
        ({"covariance": np.ones((2, 2))}, "singular"),
    ],
)
def test_what_cannot_be_is_refused(wrong, said):
    with pytest.raises(InputError, match=said):
        projection(**(GOOD | wrong))


def test_rows_of_another_width_are_refused():
    with pytest.raises(InputError, match=r"shape \(n, 2\)"):
        projection(**GOOD).transform(np.zeros((3, 4)))
