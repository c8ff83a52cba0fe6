"""Pseudo-data are the conjugate prior: its density, and the place where the posterior is highest."""

import numpy as np
import pytest
from scipy.stats import invwishart, multivariate_normal

from jensen.families.shapes import maximize_shape
from jensen.families.shapes.prior import PseudoData, with_ridge
from jensen.numerics.cholesky import lower_factors, triangular_inverses

D, K = 3, 4
LAYOUTS = {"full": "VVV", "tied": "EEE", "diag": "VVI", "spherical": "VII"}


def laid_out(layout, matrices):
    """What a layout keeps of matrices (K, d, d); sums for ``tied``."""
    diagonals = np.diagonal(matrices, axis1=-2, axis2=-1)
    return {"full": matrices, "tied": matrices.sum(axis=0), "diag": diagonals, "spherical": diagonals.sum(axis=-1)}[
        layout
    ]


def block_of(layout, matrix):
    return laid_out(layout, matrix[None])[()] if layout == "tied" else laid_out(layout, matrix[None])[0]


def whitened(layout, covariances):
    """Whitening factors of matrices (K, d, d) that have a layout."""
    inverse = triangular_inverses(lower_factors(covariances))
    diagonal = np.diagonal(inverse, axis1=1, axis2=2)
    return {"full": inverse, "tied": inverse[0], "diag": diagonal, "spherical": diagonal[:, 0]}[layout]


def problem(seed=0):
    """Rows, responsibilities, a prior's (nu, Lambda, kappa, mu_P)."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((40, D)) @ rng.standard_normal((D, D)) + rng.standard_normal(D)
    responsibilities = rng.dirichlet(np.ones(K), size=40)
    root = rng.standard_normal((D, D))
    return x, responsibilities, (D + 2.5, root @ root.T + np.eye(D), 0.3, rng.standard_normal(D))


def random_covariances(rng):
    roots = rng.standard_normal((K, D, D))
    return roots @ np.swapaxes(roots, 1, 2) + np.eye(D)


def test_the_log_density_is_that_of_a_normal_inverse_wishart():
    _, _, (nu, scale, kappa, centre) = problem()
    rng = np.random.default_rng(1)
    prior = PseudoData(nu + D + 2, scale, kappa, centre)

    def theirs(means, covariances):
        return sum(
            invwishart.logpdf(one, df=nu, scale=scale) + multivariate_normal.logpdf(mean, centre, one / kappa)
            for mean, one in zip(means, covariances, strict=True)
        )

    first, second = ((rng.standard_normal((K, D)), random_covariances(rng)) for _ in range(2))
    ours = [prior.log_density("full", means, whitened("full", at)) for means, at in (first, second)]
    assert ours[1] - ours[0] == pytest.approx(theirs(*second) - theirs(*first), rel=1e-10)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_says_the_same_of_the_covariances_that_all_can_hold(layout):
    rng = np.random.default_rng(2)
    scale, centre, means = np.diag(rng.uniform(1.0, 2.0, D)), rng.standard_normal(D), rng.standard_normal((K, D))
    covariances = np.broadcast_to(1.7 * np.eye(D), (K, D, D))
    expected = PseudoData(2.5, scale, 0.4, centre).log_density("full", means, whitened("full", covariances))
    prior = PseudoData(2.5, block_of(layout, scale), 0.4, centre)
    assert prior.log_density(layout, means, whitened(layout, covariances)) == pytest.approx(expected, rel=1e-13)
    counts, scatter = rng.uniform(1.0, 5.0, K), random_covariances(rng)
    full = PseudoData(2.5, scale, 0.4, centre).scatter_with("full", counts, means, scatter)
    given = prior.scatter_with(layout, counts, means, laid_out(layout, scatter))
    np.testing.assert_allclose(given, laid_out(layout, full), rtol=1e-13)
    ridge = rng.uniform(0.1, 1.0, D)
    ridged = with_ridge(layout, counts, laid_out(layout, scatter), ridge)
    np.testing.assert_allclose(ridged, laid_out(layout, with_ridge("full", counts, scatter, ridge)), rtol=1e-13)


@pytest.mark.parametrize("strength", [0.0, 0.3])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_has_a_higher_posterior(layout, strength):
    x, responsibilities, (_, scale, _, centre) = problem()
    ridge, counts = np.array([0.2, 0.1, 0.4]), responsibilities.sum(axis=0)
    prior = PseudoData(3.5, block_of(layout, scale), strength, centre)

    def posterior(means, covariances):
        # Straight from the rows; each counts as a ball N(x, R).
        inverses = np.linalg.inv(covariances)
        joint = np.stack([multivariate_normal.logpdf(x, means[k], covariances[k]) for k in range(K)], axis=1)
        joint -= 0.5 * np.einsum("j,kjj->k", ridge, inverses)
        return (responsibilities * joint).sum() + prior.log_density(layout, means, whitened(layout, covariances))

    xbar = responsibilities.T @ x / counts[:, None]
    away = x[:, None, :] - xbar
    scatter = laid_out(layout, np.einsum("nk,nki,nkj->kij", responsibilities, away, away))
    totals = prior.scatter_with(layout, counts, xbar, with_ridge(layout, counts, scatter, ridge))
    means = prior.means_with(counts, xbar)
    weights = prior.counts_with(counts)
    if layout == "full":
        covariances = totals / weights[:, None, None]
    elif layout == "tied":
        covariances = np.broadcast_to(totals / weights.sum(), (K, D, D))
    else:
        values = totals / weights[:, None] if layout == "diag" else np.repeat(totals / (weights * D), D).reshape(K, D)
        covariances = values[:, :, None] * np.eye(D)
    best = posterior(means, covariances)
    rng = np.random.default_rng(3)
    for length in (1e-3, 0.1):
        for _ in range(20):
            step = length * rng.standard_normal((K, D))
            assert posterior(means + step, covariances) < best
            push = np.abs(rng.standard_normal((K, D, D)))
            there = maximize_shape(LAYOUTS[layout], np.ones(K), covariances * (1.0 + length * push * push[:, :, :1]))
            there = there + length**2 * np.eye(D)
            if (np.linalg.eigvalsh(there) > 0).all():
                assert posterior(means, there) < best


def test_without_a_prior_nothing_changes_and_without_rows_the_prior_is_all():
    rng = np.random.default_rng(5)
    counts, means, scatter = np.array([3.0, 0.0]), rng.standard_normal((2, D)), random_covariances(rng)[:2]
    none = PseudoData(0.0, np.zeros((D, D)), 0.0, rng.standard_normal(D))
    np.testing.assert_array_equal(none.means_with(counts, means), means)
    np.testing.assert_array_equal(none.scatter_with("full", counts, means, scatter), scatter)
    np.testing.assert_array_equal(none.counts_with(counts), counts)
    assert none.log_density("full", means, whitened("full", scatter)) == 0.0
    scatter[1] = 0.0
    some = PseudoData(2.0, np.eye(D), 0.5, rng.standard_normal(D))
    np.testing.assert_allclose(some.means_with(counts, means)[1], some.centre, rtol=1e-14)
    np.testing.assert_array_equal(some.scatter_with("full", counts, means, scatter)[1], np.eye(D))
