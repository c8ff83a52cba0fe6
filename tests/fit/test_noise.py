"""A component of noise: its box, the rows that fits begin without, and whole fits against a plain EM."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixtures import fit, mixture, table
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from jensen import ConjugatePrior, datasets
from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.families.shapes import SHAPES
from jensen.fit.outliers.cleaning import neighbour_distances, noise_by_neighbours, thinnest
from jensen.fit.outliers.noise import NoiseOutliers, box_around

seeds = st.integers(0, 2**16)

# ------------------------------------------------------------------------------------------ the box


def hypvol(x):
    """mclust's: the smaller of the boxes along the columns and along the principal components of centred columns."""
    axes = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2]
    return min(np.ptp(x, axis=0).prod(), np.ptp((x - x.mean(axis=0)) @ axes.T, axis=0).prod())


def inside(box, x):
    along = np.linalg.solve(box.edges.T, (x - box.corner).T).T
    return along.min() >= -1e-9 and along.max() <= 1 + 1e-9


@pytest.mark.parametrize("d", [2, 3, 5])
@pytest.mark.parametrize("slant", [0.0, 0.99])
def test_the_box_of_standardised_columns_is_that_of_mclust(d, slant):
    rng = np.random.default_rng(d)
    x = rng.standard_normal((80, d)) @ np.linalg.cholesky((1 - slant) * np.eye(d) + slant * np.ones((d, d))).T
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    box = box_around(ArraySource(x))
    assert math.exp(box.log_volume) == pytest.approx(hypvol(x), rel=1e-10)
    assert abs(np.linalg.det(box.edges)) == pytest.approx(hypvol(x), rel=1e-10)
    assert inside(box, x)
    # Slanted data have a slanted box.
    assert np.array_equal(box.edges, np.diag(np.diag(box.edges))) == (slant == 0.0) or slant == 0.0


def test_faithful_has_a_slanted_box():
    x = datasets.load("faithful").data
    box = box_around(ArraySource(x))
    assert inside(box, x) and box.edges[0, 1] != 0
    # The principal components of the columns as they are follow the one of larger numbers.
    assert math.exp(box.log_volume) < hypvol(x)


@given(seeds, st.sampled_from([1, 2, 4]))
def test_the_box_follows_units_origin_order_and_weights(seed, d):
    x = table(seed, 40, d, 2)
    rng = np.random.default_rng(seed)
    unit, origin = 10.0 ** rng.integers(-6, 7, d) * rng.choice([-1, 1], d), rng.normal(size=d)
    one, other = box_around(ArraySource(x)), box_around(ArraySource(rng.permutation(x) * unit + origin))
    assert other.log_volume == pytest.approx(one.log_volume + np.log(np.abs(unit)).sum(), abs=1e-7)
    times = rng.integers(0, 3, 40)
    times[:3] = 1
    weighted = box_around(ArraySource(x, times.astype(float), block_rows=7))
    repeated = box_around(ArraySource(np.repeat(x, times, axis=0)))
    assert weighted.log_volume == pytest.approx(repeated.log_volume, abs=1e-9)
    assert inside(weighted, x[times > 0])


def test_collinear_columns_have_the_box_along_the_columns():
    x = np.random.default_rng(0).standard_normal((50, 1)) * [1.0, 2.0]
    box = box_around(ArraySource(x))
    assert math.exp(box.log_volume) == pytest.approx(np.ptp(x, axis=0).prod(), rel=1e-12)


def test_a_given_volume_is_the_volume():
    x = table(1, 60, 3, 2)
    box = box_around(ArraySource(x), 7.5)
    assert box.log_volume == math.log(7.5)
    assert np.linalg.det(box.edges) == pytest.approx(7.5, rel=1e-12)
    np.testing.assert_allclose(box.corner + 0.5 * box.edges.sum(axis=0), (x.min(axis=0) + x.max(axis=0)) / 2)


def test_constant_columns_need_a_volume():
    x = np.column_stack([np.arange(30.0), np.ones(30)])
    with pytest.raises(InputError, match="column 1 is constant"):
        box_around(ArraySource(x))
    box = box_around(ArraySource(x), 100.0)
    assert (box.sample(50, np.random.default_rng(0))[:, 1] == 1.0).all()


# ------------------------------------------------------------------------------------------ guesses


@given(seeds)
def test_distances_to_neighbours_are_those_of_repeated_rows(seed):
    rng = np.random.default_rng(seed)
    z, times = rng.standard_normal((25, 2)), rng.integers(1, 4, 25)
    repeated = np.repeat(z, times, axis=0)
    apart = np.sort(np.linalg.norm(repeated[:, None] - repeated[None], axis=2), axis=1)
    # The k-th of the others: the row itself comes first.
    unit = times.mean()
    found = neighbour_distances(z, times.astype(float), 6.0)
    # Weight 1 is a row where rows weigh 1 on average.
    if (times == 1).all():
        np.testing.assert_allclose(np.repeat(found, times), apart[:, 6], rtol=1e-9)
    heap = np.array([np.cumsum(times[np.argsort(np.linalg.norm(z - row, axis=1))]) for row in z], dtype=float)
    heap -= np.minimum(times, unit)[:, None]
    expected = [
        np.sort(np.linalg.norm(z - row, axis=1))[np.argmax(one >= 6.0)] for row, one in zip(z, heap, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("d", [1, 2, 5, 30])
def test_noise_is_told_by_neighbours(d):
    rng = np.random.default_rng(d)
    x = np.vstack([rng.normal(0, 1, (150, d)), rng.normal(6, 0.5, (150, d)), rng.uniform(-6, 10, (100, d))])
    found = noise_by_neighbours((x - x.mean(axis=0)) / x.std(axis=0), np.ones(400))
    assert found[:300].mean() < 0.15 and found[300:].mean() > 0.65


def test_equal_rows_are_no_noise():
    assert not noise_by_neighbours(np.zeros((20, 2)), np.ones(20)).any()


def test_the_thinnest_rows():
    found = thinnest(np.array([3.0, 1.0, 2.0, 0.0]), np.array([1.0, 1.0, 2.0, 1.0]), 0.4)
    assert found.tolist() == [False, True, False, True]


# ------------------------------------------------------------------------------------------ whole fits


def noisy_groups(seed=0):
    """Two groups and 20 % of noise."""
    rng = np.random.default_rng(seed)
    groups = [rng.normal([-3, 0], 0.5, (120, 2)), rng.normal([3, 4], 0.8, (120, 2))]
    return np.vstack([*groups, rng.uniform([-7, -7], [7, 9], (60, 2))])


def plain_em(x, volume, weights, means, covariances, ridge, n_steps):
    """EM of Gaussians, a ridge and noise as simply as it can be written; the penalised log-likelihood at its end."""
    n_components = len(means)
    for _ in range(n_steps):
        logs = [
            multivariate_normal(m, c).logpdf(x) - 0.5 * np.trace(np.linalg.solve(c, ridge))
            for m, c in zip(means, covariances, strict=True)
        ]
        joint = np.column_stack([*logs, np.full(len(x), -np.log(volume))]) + np.log(weights)
        rows = logsumexp(joint, axis=1)
        shares = np.exp(joint - rows[:, None])
        counts = shares.sum(axis=0)
        weights = counts / counts.sum()
        means = [shares[:, k] @ x / counts[k] for k in range(n_components)]
        covariances = [
            (shares[:, k, None] * (x - means[k])).T @ (x - means[k]) / counts[k] + ridge for k in range(n_components)
        ]
    return rows.sum()


@pytest.mark.parametrize("seed", range(3))
def test_two_groups_in_noise(seed):
    x = noisy_groups(seed)
    result = fit(x, 2, n_init="auto", noise=True)
    assert result.is_sound and result.params["weights"].shape == (3,)
    order = np.argsort(result.params["means"][:, 0])
    np.testing.assert_allclose(result.params["weights"][[*order, 2]], [0.4, 0.4, 0.2], atol=0.04)
    np.testing.assert_allclose(result.params["means"][order], [[-3, 0], [3, 4]], atol=0.2)
    labels = result.fitted.labels(x)
    assert (labels[240:] == -1).mean() > 0.85 and (labels[:240] == -1).mean() < 0.03
    # No other start of a plain EM leads higher, and the best of them ends there.
    rng, volume, ridge = np.random.default_rng(seed), math.exp(result.box.log_volume), np.diag(result.family.ridge)
    ends = [
        plain_em(x, volume, [0.3, 0.3, 0.4], list(x[rng.choice(300, 2)]), [np.eye(2)] * 2, ridge, 150)
        for _ in range(12)
    ]
    assert max(ends) == pytest.approx(result.objective, abs=1e-3)
    # The plain mixture of two spends a component on the noise.
    alone = fit(x, 2, n_init="auto")
    assert alone.bic > result.bic + 100


def test_faithful_with_uniform_rows():
    x = datasets.load("faithful").data
    rng = np.random.default_rng(1)
    far = rng.uniform(x.min(axis=0) - [1, 20], x.max(axis=0) + [1, 20], (30, 2))
    result = fit(np.vstack([x, far]), 2, n_init="auto", noise=True)
    clean = fit(x, 2, n_init="auto")
    for one, other in zip(
        result.params["means"][np.argsort(result.params["means"][:, 0])],
        clean.params["means"][np.argsort(clean.params["means"][:, 0])],
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=0.03)
    labels = result.fitted.labels(np.vstack([x, far]))
    assert (labels[272:] == -1).sum() >= 18 and (labels[:272] == -1).sum() <= 8
    assert result.params["weights"][2] == pytest.approx(0.1, abs=0.04)


@pytest.mark.parametrize("shape", list(SHAPES))
def test_every_shape_climbs(shape):
    x = noisy_groups()
    result = fit(x, 2, n_init=2, noise=True, covariance_type=shape)
    trace = np.array(result.trace)
    assert np.diff(trace).min() >= -1e-11 * np.abs(trace).max() and result.is_sound
    assert result.params["weights"][2] == pytest.approx(0.2, abs=0.08)
    assert result.n_free == fit(x, 2, n_init=1, covariance_type=shape, max_iter=1).n_free + 1


@pytest.mark.parametrize("outliers", [{"noise": True}, {"trim": 0.2}])
@pytest.mark.parametrize(
    "asked",
    [{"prior": ConjugatePrior()}, {"eigenvalue_ratio": 3.0}, {"reg_covar": 0.5}, {"tol": 1e-5}, {"n_init": "auto"}],
)
def test_what_else_is_asked_for(asked, outliers):
    result = fit(noisy_groups(), 2, **{"n_init": 2, "accelerate": "squarem", **asked, **outliers})
    trace = np.array(result.trace)
    assert np.diff(trace).min() >= -1e-11 * np.abs(trace).max() and result.status.is_converged
    values = np.linalg.eigvalsh(result.covariance_matrices())
    assert values.max() <= asked.get("eigenvalue_ratio", np.inf) * values.min() * (1 + 1e-9)
    labels = result.fitted.labels(noisy_groups())
    assert (labels[240:] == -1).mean() > 0.7 and (labels[:240] == -1).mean() < 0.1


@given(seeds)
def test_weights_are_repetition(seed):
    x = noisy_groups(seed)[::3]
    times = np.random.default_rng(seed).integers(0, 3, len(x))
    asked = {"n_init": 2, "noise": True, "max_iter": 30}
    weighted = fit(x, 2, times.astype(float), **asked)
    repeated = fit(np.repeat(x, times, axis=0), 2, **asked)
    assert weighted.objective == pytest.approx(repeated.objective, rel=1e-8)
    np.testing.assert_array_equal(weighted.fitted.labels(x), repeated.fitted.labels(x))


@pytest.mark.parametrize("noise", [True, 300.0])
def test_units_of_the_columns(noise):
    """The density goes by the units, the shares do not; a given volume is in units of the columns."""
    x, unit = noisy_groups(), np.array([1e-4, -30.0])
    one = fit(x, 2, n_init="auto", noise=noise)
    other = fit(x * unit, 2, n_init="auto", noise=True if noise is True else noise * np.abs(unit).prod())
    assert other.loglik == pytest.approx(one.loglik - 300 * np.log(np.abs(unit)).sum(), rel=1e-8)
    np.testing.assert_allclose(other.params["weights"], one.params["weights"], rtol=1e-4)
    np.testing.assert_allclose(other.params["means"], one.params["means"] * unit, rtol=1e-3)


def test_order_of_rows_changes_nothing():
    x = noisy_groups()
    order = np.random.default_rng(0).permutation(len(x))
    one, other = (fit(rows, 2, n_init="auto", noise=True) for rows in (x, x[order]))
    assert other.loglik == pytest.approx(one.loglik, rel=1e-9)
    np.testing.assert_array_equal(other.fitted.labels(x), one.fitted.labels(x))


def test_one_group_is_searched_too():
    x = np.vstack([noisy_groups()[:120], np.random.default_rng(0).uniform(-30, 30, (60, 2))])
    result = fit(x, 1, n_init="auto", noise=True)
    assert result.account is not None
    assert result.params["weights"][1] == pytest.approx(1 / 3, abs=0.03)


def test_labels_may_say_what_is_noise():
    x = noisy_groups()
    labels = np.repeat([0, 1, -1], [120, 120, 60])
    result = fit(x, 2, init=labels, noise=True, max_iter=0)
    np.testing.assert_allclose(result.params["weights"], [0.4, 0.4, 0.2], rtol=1e-12)
    np.testing.assert_allclose(result.params["means"], [x[:120].mean(axis=0), x[120:240].mean(axis=0)], rtol=1e-9)
    with pytest.raises(InputError, match="between 0 and"):
        fit(x, 2, init=labels)


def test_parameters_of_the_users_own():
    x = noisy_groups()
    given = {"weights": np.array([0.5, 0.5]), "means": x[[0, 130]], "covariances": np.stack([np.eye(2)] * 2)}
    result = fit(x, 2, noise=True, **given)
    assert len(result.starts) == 1 and result.params["weights"][2] == pytest.approx(0.2, abs=0.04)


def test_large_data_are_sampled_and_finished_on_all_rows():
    rng = np.random.default_rng(7)
    x = np.vstack([rng.normal(c, 1.0, (12_000, 2)) for c in (0.0, 7.0)] + [rng.uniform(-20, 30, (6_000, 2))])
    result = fit(x, 2, n_init="auto", noise=True)
    assert result.account.sampled
    assert result.params["weights"][2] == pytest.approx(0.2, abs=0.01)


def test_without_noise_in_the_data_little_is_found():
    rng = np.random.default_rng(3)
    x = np.vstack([rng.normal(c, 1.0, (200, 2)) for c in (0.0, 9.0)])
    noisy, plain = fit(x, 2, n_init="auto", noise=True), fit(x, 2, n_init="auto")
    assert noisy.params["weights"][2] < 0.03
    assert noisy.loglik >= plain.loglik - 1e-6 and noisy.bic > plain.bic


def test_equal_weights_are_refused():
    with pytest.raises(InputError, match="equal_weights"):
        fit(noisy_groups(), 2, noise=True, equal_weights=True)


def test_escapes_see_the_rows_without_their_noise():
    x = noisy_groups()
    weight = np.random.default_rng(0).random(len(x))
    result = fit(x, 2, weight, n_init=2, noise=True)
    outliers = NoiseOutliers(mixture(2, 2, "full"), result.box)
    rows, params = outliers.inliers(ArraySource(x, weight), result.params)
    shares = result.model.responsibilities(result.params, ArraySource(x).block(0))
    np.testing.assert_allclose(rows.row_weight, weight * shares[:, :2].sum(axis=1), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(params["weights"], result.params["weights"][:2] / result.params["weights"][:2].sum())
    back = outliers.around(params, 1.0 - rows.weight / weight.sum())
    np.testing.assert_allclose(back["weights"], result.params["weights"], rtol=1e-3)


def test_an_optimum_of_noise_alone_is_left_alone():
    """Where the noise takes every row, nothing is left to split or to merge."""
    x = noisy_groups()
    result = fit(x, 2, noise=1e-6, n_init="auto")
    assert result.params["weights"][2] == pytest.approx(1.0, abs=1e-6) and not result.is_sound
