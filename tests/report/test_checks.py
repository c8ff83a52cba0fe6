"""The check of fit: uniform under the model, against exact distribution functions, and far from it under another."""

import numpy as np
import pytest
from scipy import stats

import jensen
from jensen.report.checks import calibration
from jensen.report.view import View

MEANS = np.array([[0.0, 0.0, 0.0], [3.0, 1.0, -1.0]])
COVARIANCES = np.array([np.diag([1.0, 2.0, 0.5]), [[1.0, 0.6, 0.0], [0.6, 1.0, 0.0], [0.0, 0.0, 1.0]]])


def view(model, X, weight=None):
    return View.of(model._fitted, np.asarray(X, dtype=float), weight)


def made(d, shift=0.0):
    return jensen.GaussianMixture.from_parameters(
        [0.3, 0.7], MEANS[:, :d] + shift, COVARIANCES[:, :d, :d], covariance_type="full"
    )


def drawn(model, n, seed=0):
    return model._fitted.sample(n, np.random.default_rng(seed))[0]


def test_of_one_column_it_is_the_distribution_function():
    X = np.linspace(-4.0, 7.0, 301)[:, None]
    found = calibration(view(made(1), X))
    expected = 0.3 * stats.norm.cdf(X[:, 0]) + 0.7 * stats.norm.cdf(X[:, 0] - 3.0)
    np.testing.assert_allclose(found.uniform, expected, atol=2e-5)


def test_of_one_component_it_is_chi_squared():
    model = jensen.GaussianMixture.from_parameters([1.0], MEANS[1:], COVARIANCES[1:], covariance_type="full")
    X = drawn(model, 400)
    away = X - MEANS[1]
    distances = np.einsum("ij,jk,ik->i", away, np.linalg.inv(COVARIANCES[1]), away)
    found = calibration(view(model, X))
    np.testing.assert_allclose(found.uniform, np.sort(stats.chi2.sf(distances, 3)), atol=0.006)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_rows_of_the_model_are_uniform_and_others_are_not(d):
    X = drawn(made(d), 2_000)
    found = calibration(view(made(d), X))
    assert stats.kstest(found.uniform, "uniform").pvalue > 0.01
    assert found.distance == pytest.approx(stats.kstest(found.uniform, "uniform").statistic)
    moved = calibration(view(made(d, shift=1.0), X))
    assert moved.distance > 3.0 * 1.3581 / np.sqrt(moved.n)


@pytest.mark.parametrize("d", [1, 2])
def test_noise_counts(d):
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(0.0, 1.0, (1_500, d)), rng.uniform(-9.0, 9.0, (500, d))])
    model = jensen.GaussianMixture(1, noise=True, n_init=1, random_state=0).fit(X)
    found = calibration(view(model, X))
    assert found.distance < 1.3581 / np.sqrt(found.n)
    # Noise has one density: its rows must not gather in one place.
    assert np.histogram(found.uniform, 20, (0.0, 1.0))[0].max() < 160


def test_trimmed_rows_are_left_out():
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(0.0, 1.0, (950, 2)), rng.uniform(20.0, 30.0, (50, 2))])
    model = jensen.GaussianMixture(1, trim=0.05, n_init=1, random_state=0).fit(X)
    found = calibration(view(model, X))
    assert len(found.values) == 1_000 - model.outliers_.sum()
    assert found.distance < 1.3581 / np.sqrt(found.n)


@pytest.mark.parametrize("d", [1, 3])
def test_a_weight_is_so_many_rows(d):
    X = np.random.default_rng(0).normal(1.0, 2.0, (60, d))
    weight = np.arange(60) % 3
    one = calibration(view(made(d), X, weight.astype(float)))
    all_rows = calibration(view(made(d), np.repeat(X, weight, axis=0)))
    assert one.distance == pytest.approx(all_rows.distance, abs=1e-12)
    assert one.n == pytest.approx(all_rows.n)
    bars = [np.histogram(f.uniform, 7, (0.0, 1.0), weights=f.shares)[0] for f in (one, all_rows)]
    np.testing.assert_allclose(*bars, atol=1e-12)


def test_the_picture_shows_both_panels():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    X = drawn(made(2), 3_000)
    ax = made(2).plot(X, "fit")
    bars, quantiles = ax.child_axes
    heights, edges, _ = next(patch for patch in bars.patches if hasattr(patch, "get_data")).get_data()
    assert heights @ np.diff(edges) == pytest.approx(1.0)
    x, y = quantiles.lines[-1].get_data()
    assert (np.diff(x) >= 0).all() and (np.diff(y) >= 0).all()
    inner = slice(len(x) // 20, None)
    assert np.abs(x - y)[inner].max() < 0.2
    assert quantiles.get_title(loc="right").endswith("of 3,000 rows, evenly by rank")
    plt.close("all")
