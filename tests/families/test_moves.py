"""Moves of components: what merging, heating and measuring them must give, by the moments and by the density itself."""

import numpy as np
import pytest
from mixtures import SHAPES, mixture, start_from, table
from scipy.special import xlogy
from scipy.stats import multivariate_normal

from jensen.data.arrays import ArraySource
from jensen.families.gaussian import Gaussian
from jensen.families.moves import (
    brought_by_common_covariance,
    cheapest_merges,
    components_of,
    heated,
    log_determinants,
    merge_losses,
    merged_pairs,
    narrow_components,
    with_components,
)
from jensen.fit.result import full_covariances

K, D, WEIGHT = 4, 3, 250.0
EVERY = np.ones(D, dtype=bool)


def lopsided(shape, seed=0, n_components=K, d=D):
    """Parameters no two of whose components are alike."""
    rng = np.random.default_rng(seed)
    mixing = 0.3 * rng.standard_normal((n_components, d, d)) + np.eye(d)
    full = mixing @ np.swapaxes(mixing, 1, 2) * rng.uniform(0.3, 3.0, n_components)[:, None, None]
    diagonals = np.diagonal(full, axis1=1, axis2=2)
    covariances = {"full": full, "tied": full[0], "diag": diagonals, "spherical": diagonals[:, 0]}[shape]
    return mixture(n_components, d, shape).parameters(
        weights=rng.dirichlet(np.full(n_components, 3.0)),
        means=2.0 * rng.standard_normal((n_components, d)),
        covariances=covariances,
    )


def points_of(shape, params, k):
    """Weighted rows whose mean and covariance are those of component k, exactly."""
    weight, covariance = params["weights"][k], full_covariances(shape, params)[k]
    steps = np.sqrt(D) * np.linalg.cholesky(covariance).T
    return params["means"][k] + np.concatenate([steps, -steps]), np.full(2 * D, weight / (2 * D))


def in_layout(shape, covariance):
    """A covariance matrix in the layout that one component of the shape has."""
    if shape in ("full", "tied"):
        return covariance
    return np.diagonal(covariance) if shape == "diag" else np.trace(covariance) / len(covariance)


def as_matrix(shape, covariance):
    return covariance if np.ndim(covariance) == 2 else np.eye(D) * covariance


@pytest.mark.parametrize("shape", SHAPES)
def test_a_merged_pair_has_the_moments_of_the_two(shape):
    params = lopsided(shape)
    first, second = np.triu_indices(K, 1)
    weights, means, covariances = merged_pairs(shape, params, first, second)
    for at, (i, j) in enumerate(zip(first, second, strict=True)):
        (left, a), (right, b) = points_of(shape, params, i), points_of(shape, params, j)
        rows, share = np.concatenate([left, right]), np.concatenate([a, b])
        about = rows - np.average(rows, axis=0, weights=share)
        covariance = (share[:, None] * about).T @ about / share.sum()
        assert weights[at] == pytest.approx(share.sum(), rel=1e-12)
        np.testing.assert_allclose(means[at], np.average(rows, axis=0, weights=share), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(covariances[at], in_layout(shape, covariance), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_loss_of_a_merge_is_that_of_the_labelled_likelihood(shape):
    params = lopsided(shape, seed=1)
    weights, means, covariances = components_of(shape, params)

    def loglik(points, share, mean, covariance):
        rows, each = points
        density = multivariate_normal(mean, as_matrix(shape, covariance)).logpdf(rows)
        return WEIGHT * float(each @ (np.log(share) + density))

    first, second, losses = merge_losses(shape, params, WEIGHT)
    merged = merged_pairs(shape, params, first, second)
    assert list(zip(first, second, strict=True)) == [(i, j) for i in range(K) for j in range(i + 1, K)]
    for at, (i, j) in enumerate(zip(first, second, strict=True)):
        before = sum(loglik(points_of(shape, params, k), weights[k], means[k], covariances[k]) for k in (i, j))
        one = [part[at] for part in merged]
        # A common covariance stays what it is.
        one[2] = params["covariances"] if shape == "tied" else one[2]
        after = sum(loglik(points_of(shape, params, k), *one) for k in (i, j))
        assert losses[at] == pytest.approx(before - after, rel=1e-9, abs=1e-9)


def at_rest(shape, seed, n_components=5):
    """A mixture about where EM ends, with its rows, their weights and responsibilities."""
    x = table(seed, 400, D, n_components, spread=1.5)
    weight = np.random.default_rng(seed).integers(1, 4, len(x)).astype(float)
    model, source = mixture(n_components, D, shape, 0.0), ArraySource(x, weight)
    params = start_from(model, x, np.random.default_rng(seed).integers(n_components, size=len(x)), weight)
    for _ in range(200):
        params = model.maximize(params, source.fold(model.expect, params))
    return model, source, params, source.collect(model.responsibilities, params)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", SHAPES)
def test_a_merge_loses_no_more_than_it_is_said_to(shape, seed):
    model, source, params, resp = at_rest(shape, seed)
    before = source.fold(model.expect, params).loglik
    first, second, losses = cheapest_merges(shape, params, source.row_weights, resp, 10)
    assert len(losses) == 10 and (np.diff(losses) >= 0).all() and losses.min() > -1e-3
    for i, j, loss in zip(first, second, losses, strict=True):
        weights, means, covariances = components_of(shape, params)
        pair = merged_pairs(shape, params, np.array([i]), np.array([j]))
        left = np.delete(np.arange(5), j)
        weights[i], means[i] = pair[0][0], pair[1][0]
        covariances[i] = params["covariances"] if shape == "tied" else pair[2][0]
        density = np.column_stack(
            [np.log(weights[k]) + multivariate_normal(means[k], as_matrix(shape, covariances[k])).logpdf(source.x)
             for k in left]
        )  # fmt: skip
        after = source.row_weights @ np.logaddexp.reduce(density, axis=1)
        assert before - after <= loss + 1e-3 * abs(loss) + 0.1, (i, j)


@pytest.mark.parametrize("n_pairs", [1, 3, 6])
def test_the_cheapest_merges_are_those_of_brute_force(n_pairs):
    _, source, params, resp = at_rest("full", 16)
    weight = source.row_weights
    first, second, losses = merge_losses("full", params, source.weight)
    both = resp[:, first] + resp[:, second]
    one, other = resp[:, first], resp[:, second]
    entropy = weight @ (xlogy(both, both) - xlogy(one, one) - xlogy(other, other))
    order = np.argsort(losses + entropy)[:n_pairs]
    found = cheapest_merges("full", params, weight, resp, n_pairs)
    assert list(zip(*found[:2], strict=True)) == list(zip(first[order], second[order], strict=True))
    np.testing.assert_allclose(found[2], (losses + entropy)[order], rtol=1e-6)
    # To the labels alone, others would be cheaper.
    assert (entropy >= 0).all() and (np.argsort(losses) != np.argsort(losses + entropy)).any()


def test_a_common_covariance_follows_a_merge_and_a_split():
    rng = np.random.default_rng(3)
    mixing = rng.standard_normal((D, D))
    covariance, u, v = mixing @ mixing.T + np.eye(D), rng.standard_normal((4, D)), 0.5 * rng.standard_normal((5, D))
    found = brought_by_common_covariance(covariance, WEIGHT, u, v)
    for (i, j), value in np.ndenumerate(found):
        after = covariance + np.outer(u[i], u[i]) - np.outer(v[j], v[j])
        logs = np.linalg.slogdet(covariance)[1] - np.linalg.slogdet(after)[1]
        stays = u[i] @ np.linalg.solve(covariance, u[i]) - v[j] @ np.linalg.solve(covariance, v[j])
        assert value == pytest.approx(0.5 * WEIGHT * (logs + stays), rel=1e-10)
        # What is best for the likelihood brings no loss.
        assert value >= 0
    # Splits that take more than there is leave something.
    assert np.isfinite(brought_by_common_covariance(covariance, WEIGHT, u, 100.0 * v)).all()


def test_components_without_volume_are_not_merged():
    params = lopsided("full")
    covariances = params["covariances"].copy()
    covariances[1] = 0.0
    resp = np.full((20, K), 1.0 / K)
    first, second, losses = cheapest_merges("full", params.replace(covariances=covariances), np.ones(20), resp, 9)
    assert len(losses) == 3 and np.isfinite(losses).all() and 1 not in {*first, *second}


@pytest.mark.parametrize("shape", SHAPES)
def test_to_merge_components_that_coincide_costs_nothing(shape):
    params = lopsided(shape)
    means, covariances = params["means"].copy(), params["covariances"].copy()
    means[2] = means[0]
    if shape != "tied":
        covariances[2] = covariances[0]
    params = params.replace(means=means, covariances=covariances)
    first, second, losses = merge_losses(shape, params, WEIGHT)
    pair = (first == 0) & (second == 2)
    a, b = params["weights"][[0, 2]]
    # Nothing but what the labels themselves were worth, which a mixture does not know.
    assert losses[pair] == pytest.approx(WEIGHT * (a * np.log(a / (a + b)) + b * np.log(b / (a + b))), rel=1e-10)
    assert losses[pair] < 0 and losses.argmin() == np.flatnonzero(pair)[0]
    # What lies far apart is dear, the dearer the farther.
    far = params.replace(means=means * [[1.0], [1.0], [1.0], [50.0]])
    assert (merge_losses(shape, far, WEIGHT)[2][second == 3] > losses[second == 3]).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_components_that_are_put_back_are_the_same(shape):
    params = lopsided(shape)
    again = with_components(Gaussian(K, D, shape), params, *components_of(shape, params))
    for name, value in params.values.items():
        np.testing.assert_allclose(again[name], value, rtol=1e-12, err_msg=name)
    weights, means, covariances = components_of(shape, params)
    for copied in (weights, means, covariances):
        copied[:] = 0.0  # they are the caller's own
    assert params["weights"].min() > 0


def test_weights_are_normalised_and_tied_covariances_averaged_by_weight():
    params = lopsided("tied")
    weights, means, covariances = components_of("tied", params)
    weights = np.array([1.0, 3.0, 0.0, 0.0])
    covariances[1] *= 2.0
    found = with_components(Gaussian(K, D, "tied"), params, weights, means, covariances)
    np.testing.assert_allclose(found["weights"], [0.25, 0.75, 0.0, 0.0])
    np.testing.assert_allclose(found["covariances"], 1.75 * params["covariances"], rtol=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_heat_takes_responsibilities_to_a_power(shape, temperature):
    params, model = lopsided(shape, seed=2), mixture(K, D, shape)
    source = ArraySource(table(3, 50, D, 3))
    cold = source.collect(model.responsibilities, params)
    hot = source.collect(model.responsibilities, heated(shape, params, temperature))
    # The logarithms: of small responsibilities, too.
    logs = np.log(np.maximum(cold, 1e-300)) / temperature
    expected = np.exp(logs - logs.max(axis=1, keepdims=True))
    np.testing.assert_allclose(hot, expected / expected.sum(axis=1, keepdims=True), rtol=1e-8, atol=1e-12)
    assert (hot.max(axis=1) <= cold.max(axis=1) + 1e-12).all()
    heated(shape, params, temperature).check()


@pytest.mark.parametrize("shape", SHAPES)
def test_determinants_are_those_of_the_matrices(shape):
    params = lopsided(shape)
    found = log_determinants(shape, components_of(shape, params)[2], D)
    np.testing.assert_allclose(found, np.linalg.slogdet(full_covariances(shape, params))[1], rtol=1e-12)


# ------------------------------------------------------------------------------------------------ narrow components


def test_how_narrow_a_full_component_is_does_not_depend_on_the_axes():
    params = lopsided("full")
    rng = np.random.default_rng(4)
    ratios = [ratio for _, ratio in narrow_components("full", params, EVERY, np.inf)]
    assert len(ratios) == K and len(set(ratios)) == K
    for _ in range(5):
        matrix = rng.standard_normal((D, D)) * [[1e-6], [1.0], [1e6]]
        turned = params.replace(covariances=matrix @ params["covariances"] @ matrix.T)
        found = narrow_components("full", turned, EVERY, np.inf)
        np.testing.assert_allclose([ratio for _, ratio in found], ratios, rtol=1e-8)


@pytest.mark.parametrize("shape", ["full", "diag", "spherical"])
def test_a_narrow_component_is_found(shape):
    params = lopsided(shape)
    assert narrow_components(shape, params, EVERY, 1 / 100) == []
    covariances = params["covariances"].copy()
    if shape == "full":
        # Narrow in one direction that is no axis: no variance tells.
        values, vectors = np.linalg.eigh(covariances[2])
        covariances[2] = vectors @ np.diag([values[0] * 1e-4, *values[1:]]) @ vectors.T
    elif shape == "diag":
        covariances[2, 1] *= 1e-4
    else:
        covariances[2] *= 1e-4
    found = narrow_components(shape, params.replace(covariances=covariances), EVERY, 1 / 100)
    assert [k for k, _ in found] == [2]
    average = np.tensordot(params["weights"], full_covariances(shape, params.replace(covariances=covariances)), axes=1)
    own = full_covariances(shape, params.replace(covariances=covariances))[2]
    assert found[0][1] == pytest.approx(np.linalg.eigvals(np.linalg.solve(average, own)).real.min(), rel=1e-6)


def test_where_nothing_can_be_narrow():
    for shape in SHAPES:
        assert narrow_components(shape, lopsided(shape, n_components=1), EVERY, np.inf) == []
        assert narrow_components(shape, lopsided(shape), ~EVERY, np.inf) == []
    assert narrow_components("tied", lopsided("tied"), EVERY, np.inf) == []


@pytest.mark.parametrize("shape", ["full", "diag"])
def test_columns_that_do_not_vary_do_not_count(shape):
    params = lopsided(shape)
    unit = np.ones(D)
    unit[1] = 1e-8
    scale = unit if shape == "diag" else np.outer(np.sqrt(unit), np.sqrt(unit))
    covariances = params["covariances"].copy()
    covariances[0] *= scale
    params = params.replace(covariances=covariances)
    assert [k for k, _ in narrow_components(shape, params, EVERY, 1e-4)] == [0]
    assert narrow_components(shape, params, np.array([True, False, True]), 1e-4) == []
