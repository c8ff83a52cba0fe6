"""The fused pass equals the textbook, however the work is cut."""

import numpy as np
import pytest
from mixtures import SHAPES, table
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from jensen.core.block import Block
from jensen.families.gaussian import Gaussian
from jensen.families.whitening import whiten
from jensen.kernels import portable
from jensen.models.mixture import Mixture


def problem(shape, n_components=5, d=3):
    """A model with a ridge, parameters for it, and the covariances as matrices."""
    rng = np.random.default_rng(7)
    roots = rng.standard_normal((n_components, d, d))
    matrices = roots @ roots.transpose(0, 2, 1) + np.eye(d)
    variances = matrices[:, 0, 0]
    covariances = {
        "full": matrices,
        "tied": matrices[0],
        "diag": np.diagonal(matrices, axis1=1, axis2=2),
        "spherical": variances,
    }[shape]
    matrices = {
        "full": matrices,
        "tied": np.tile(matrices[0], (n_components, 1, 1)),
        "diag": np.stack([np.diag(np.diag(m)) for m in matrices]),
        "spherical": variances[:, None, None] * np.eye(d),
    }[shape]
    model = Mixture(Gaussian(n_components, d, shape, rng.random(d)))
    weights = rng.dirichlet(np.ones(n_components))
    means = 3 * rng.standard_normal((n_components, d))
    return model, model.parameters(weights=weights, means=means, covariances=covariances), matrices


def brute_force(model, params, matrices, x, weight):
    """Counts, first moments, scatter and log-likelihood by loops and SciPy."""
    ridge = np.diag(model.family.ridge)
    logs = np.column_stack(
        [
            np.log(pi) + multivariate_normal(mean, cov).logpdf(x) - 0.5 * np.trace(ridge @ np.linalg.inv(cov))
            for pi, mean, cov in zip(params["weights"], params["means"], matrices, strict=True)
        ]
    )
    rows = logsumexp(logs, axis=1)
    r = np.exp(logs - rows[:, None]) * weight[:, None]
    centred = x[:, None] - params["means"]
    scatter = np.einsum("nk,nki,nkj->kij", r, centred, centred)
    shapes = {
        "full": scatter,
        "tied": scatter.sum(axis=0),
        "diag": np.diagonal(scatter, axis1=1, axis2=2),
        "spherical": np.trace(scatter, axis1=1, axis2=2),
    }
    return r.sum(axis=0), np.einsum("nk,nki->ki", r, centred), shapes[model.family.shape], float(rows @ weight)


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("scratch", [1 << 17, 1], ids=["one group", "many groups"])
@pytest.mark.parametrize("shape", SHAPES)
def test_fused_pass_equals_parts_and_brute_force(shape, scratch, weighted, monkeypatch):
    monkeypatch.setattr(portable, "_SCRATCH", scratch)
    model, params, matrices = problem(shape)
    x = table(3, 300, 3, 4)
    weight = np.random.default_rng(1).integers(0, 3, 300).astype(float) if weighted else None
    block = Block({"x": x}, weight)
    fused, parts = model.expect(params, block), model.expect_by_parts(params, block)
    expected = brute_force(model, params, matrices, x, np.ones(300) if weight is None else weight)
    assert fused.weight == parts.weight == (300 if weight is None else weight.sum())
    for found in (fused, parts):
        got = (found.components.counts, found.components.first, found.components.scatter, found.loglik)
        for value, target in zip(got, expected, strict=True):
            np.testing.assert_allclose(value, target, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_density_is_scipys(shape):
    model, params, matrices = problem(shape)
    x = table(3, 40, 3, 4)
    expected = np.column_stack(
        [multivariate_normal(mean, cov).logpdf(x) for mean, cov in zip(params["means"], matrices, strict=True)]
    )
    np.testing.assert_allclose(model.family.log_density(params, Block({"x": x})), expected, rtol=1e-11)
    whitening, _ = whiten(shape, params)
    assert whitening is whiten(shape, params)[0]
    assert whitening.shape == portable.scatter_shape(shape, *params["means"].shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_float32_rows_are_summed_in_float64(shape):
    model, params, _ = problem(shape)
    x = table(3, 300, 3, 4).astype(np.float32)
    whitening, offsets = whiten(shape, params)
    single = portable.gaussian_moments(x, None, shape, params["means"], whitening, offsets)
    double = portable.gaussian_moments(x.astype(np.float64), None, shape, params["means"], whitening, offsets)
    for one, other in zip(single, double, strict=True):
        np.testing.assert_array_equal(one, other)


def test_rows_beyond_every_density_stay_finite():
    for shape in SHAPES:
        model, params, _ = problem(shape)
        found = model.expect(params, Block({"x": np.array([[1e80, -1e80, 1e80], [0.0, 0.0, 0.0]])}))
        assert np.isfinite(found.loglik) and np.isfinite(found.components.scatter).all()
