"""Impartial trimming: against all subsets, against linear programming, and the laws of any fit."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import NeverStop, fit, mixture, start_from, table
from scipy.optimize import linprog
from scipy.special import logsumexp

from jensen import datasets
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.families.gaussian import Gaussian
from jensen.fit.outliers import cleaning
from jensen.fit.outliers.trimming import Trimmed, TrimmedOutliers, TrimmedSource, best_weights, edge_density
from jensen.models.mixture import Mixture
from jensen.solve.em import EM
from jensen.solve.loop import Limits, run
from jensen.solve.variants import Plain

# ------------------------------------------------------------------------------------------ the rows that are kept


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.0, 0.5, 1.0, 2.0])), min_size=1, max_size=12),
    st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9]),
)
def test_best_weights_solve_the_linear_programme(rows, share):
    density, weight = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    if not weight.any():
        weight[0] = 1.0
    total = (1.0 - share) * weight.sum()
    best = linprog(-density, A_eq=[np.ones(len(density))], b_eq=[total], bounds=[(0.0, w) for w in weight])
    found = best_weights(density, weight, share)
    assert (found >= 0).all() and (found <= weight).all()
    assert found.sum() == pytest.approx(total, rel=1e-12)
    assert found @ density == pytest.approx(-best.fun, abs=1e-9)
    # Equal densities are treated alike, in whatever order they stand.
    order = np.random.default_rng(0).permutation(len(density))
    np.testing.assert_allclose(best_weights(density[order], weight[order], share), found[order], atol=1e-12)
    for level in np.unique(density):
        shares = found[(density == level) & (weight > 0)] / weight[(density == level) & (weight > 0)]
        assert np.ptp(shares) <= 1e-12 if shares.size else True


@given(st.integers(0, 2**16), st.sampled_from([0.0, 0.05, 0.1, 0.2, 1 / 3, 0.45]))
def test_weights_are_repetition(seed, share):
    rng = np.random.default_rng(seed)
    density, times = rng.integers(0, 6, 15).astype(float), rng.integers(0, 4, 15)
    times[0] = 1
    weighted = best_weights(density, times.astype(float), share)
    repeated = best_weights(np.repeat(density, times), None, share)
    sums = np.zeros(15)
    np.add.at(sums, np.repeat(np.arange(15), times), repeated)
    np.testing.assert_allclose(weighted, sums, atol=1e-12)
    assert edge_density(density, times.astype(float), share) == edge_density(np.repeat(density, times), None, share)


@pytest.mark.parametrize("n", [100, 272, 1000, 4999])
def test_a_share_of_whole_rows_leaves_no_row_in_part(n):
    density = np.random.default_rng(n).random(n)
    for share in (0.01, 0.05, 0.1, 0.3):
        if abs(share * n - round(share * n)) < 1e-9:
            assert (best_weights(density, None, share) == 0).sum() == round(share * n)


# ------------------------------------------------------------------------------------------ ascent


def climbed(x, weight, share, shape, ridge, seed, accelerate=None):
    model = mixture(3, x.shape[1], shape, ridge)
    start = start_from(model, x, np.random.default_rng(seed).integers(0, 3, len(x)), weight)
    source = TrimmedSource(ArraySource(x, weight, block_rows=32), model, share)
    climbed = Trimmed(model)
    solver = EM(climbed) if accelerate is None else Plain(accelerate).solver(climbed, NeverStop())
    return model, run(solver, source, start, NeverStop(), Limits(40))


@given(st.integers(0, 2**16), st.sampled_from([0.03, 0.1, 0.4]), st.sampled_from(["full", "tied", "diag", "EVE"]))
@settings(max_examples=25)
def test_the_trimmed_likelihood_never_falls_and_is_that_of_the_parameters(seed, share, shape):
    x = table(seed, 80, 2, 3, spread=2.0)
    x[:5] *= 30.0
    weight = np.random.default_rng(seed).integers(0, 3, 80).astype(float) if seed % 2 else None
    model, result = climbed(x, weight, share, shape, 2.0, seed, None if seed % 3 else "squarem")
    trace = np.array(result.trace)
    assert np.diff(trace).min() >= -1e-11 * np.abs(trace).max()
    # By its definition: densities with their penalty, the best of them, summed.
    penalised = logsumexp(model.log_joint(result.params, ArraySource(x).block(0)), axis=0)
    own = np.ones(80) if weight is None else weight
    assert best_weights(penalised, own, share) @ penalised == pytest.approx(result.objective, rel=1e-10)
    assert result.statistics.weight == pytest.approx((1 - share) * own.sum(), rel=1e-12)


def test_nothing_trimmed_is_plain_em():
    x = table(5, 90, 2, 3)
    model = mixture(3, 2, "full", 1e-3)
    start = start_from(model, x, np.arange(90) % 3)
    one = run(EM(Trimmed(model)), TrimmedSource(ArraySource(x), model, 0.0), start, NeverStop(), Limits(20))
    other = run(EM(Mixture(Gaussian(3, 2, "full", np.full(2, 1e-3)))), ArraySource(x), start, NeverStop(), Limits(20))
    np.testing.assert_allclose(one.trace, other.trace, rtol=1e-12)
    np.testing.assert_allclose(one.params["covariances"], other.params["covariances"], rtol=1e-8)


# ------------------------------------------------------------------------------------------ against all subsets


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_one_component_is_the_best_of_all_subsets(seed, d):
    """With one component and no ridge, the best subset is that of smallest determinant (Rousseeuw 1985)."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((11, d))
    x[:2] += 6.0
    best = -np.inf
    for kept in itertools.combinations(range(11), 8):
        rows = x[list(kept)]
        about = rows - rows.mean(axis=0)
        best = max(best, -4.0 * (np.log(np.linalg.det(about.T @ about / 8)) + d * np.log(2 * np.pi) + d))
    result = fit(x, 1, trim=3 / 11, reg_covar=0.0, n_init="auto")
    assert result.loglik == pytest.approx(best, rel=1e-7)
    assert result.weight == pytest.approx(8.0) and (result.fitted.labels(x) == -1).sum() == 3


@pytest.mark.parametrize("seed", range(3))
def test_two_components_are_the_best_of_all_subsets(seed):
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(0.0, 1.0, 5), rng.normal(8.0, 1.5, 4), [30.0]])[:, None]
    asked = {"reg_covar": 0.3, "n_init": "auto", "degenerate": "allow"}
    every = [fit(x[list(kept)], 2, **asked).objective for kept in itertools.combinations(range(10), 8)]
    assert fit(x, 2, trim=0.2, **asked).objective == pytest.approx(max(every), rel=1e-6)


# ------------------------------------------------------------------------------------------ whole fits


def contaminated(seed=0, n_outliers=20):
    rng = np.random.default_rng(seed)
    x = np.vstack([rng.normal([0, 0], 1.0, (120, 2)), rng.normal([8, 3], [1.5, 0.7], (80, 2))])
    return np.vstack([x, rng.normal([60, -90], 25.0, (n_outliers, 2))])


def test_gross_outliers_that_break_the_plain_fit():
    x = contaminated()
    plain, trimmed = fit(x, 2, n_init="auto"), fit(x, 2, n_init="auto", trim=20 / 220)
    # One of two components spreads over the outliers: the groups are one.
    assert np.ptp(plain.fitted.labels(x[:200])) == 0
    labels = trimmed.fitted.labels(x)
    assert (labels[200:] == -1).all() and (labels[:200] >= 0).all()
    assert len({*labels[:120]}) == len({*labels[120:200]}) == 1
    order = np.argsort(trimmed.params["means"][:, 0])
    np.testing.assert_allclose(trimmed.params["means"][order], [[0, 0], [8, 3]], atol=0.4)
    np.testing.assert_allclose(trimmed.params["weights"][order], [0.6, 0.4], atol=0.02)
    assert trimmed.weight == pytest.approx(200) and trimmed.n_rows == 220


@pytest.mark.parametrize("kind", ["kmeans", "random", "random_from_data"])
def test_a_given_number_of_starts(kind):
    x = contaminated(1)
    result = fit(x, 2, n_init=6, init=kind, trim=0.1)
    assert (result.fitted.labels(x)[200:] == -1).all() and len(result.starts) == 6


def test_with_the_constraint_on_eigenvalues():
    """Without it a component may sit on few rows; with it the trimmed likelihood has no spikes (tclust)."""
    x = contaminated(2)
    result = fit(x, 3, n_init="auto", trim=0.1, eigenvalue_ratio=5.0, reg_covar=0.0, degenerate="allow")
    values = np.linalg.eigvalsh(result.covariance_matrices())
    assert values.max() <= 5.0 * values.min() * (1 + 1e-9)
    assert (result.fitted.labels(x)[200:] == -1).all()


@pytest.mark.parametrize("scale", [(1e-3, 1e3), (1.0, -1.0)])
def test_units_of_the_columns(scale):
    x = contaminated(3)
    one, other = fit(x, 2, n_init="auto", trim=0.1), fit(x * scale, 2, n_init="auto", trim=0.1)
    assert other.loglik == pytest.approx(one.loglik - one.weight * np.log(np.abs(scale)).sum(), rel=1e-6)
    np.testing.assert_array_equal(one.fitted.labels(x) == -1, other.fitted.labels(x * scale) == -1)


def test_weights_are_repetition_in_whole_fits():
    x = contaminated(4)
    times = np.random.default_rng(4).integers(0, 3, len(x))
    weighted = fit(x, 2, times.astype(float), n_init="auto", trim=0.1)
    repeated = fit(np.repeat(x, times, axis=0), 2, n_init="auto", trim=0.1)
    assert weighted.objective == pytest.approx(repeated.objective, rel=1e-7)
    assert weighted.threshold == pytest.approx(repeated.threshold, rel=1e-4)
    np.testing.assert_array_equal(weighted.fitted.labels(x[times > 0]), repeated.fitted.labels(x[times > 0]))


def test_the_threshold_is_that_of_the_rows():
    x = datasets.load("faithful").data
    result = fit(x, 2, trim=0.1, n_init="auto")
    density = result.fitted.row_loglik(x)
    # 27.2 rows of 272 are left out: 27, and a part of the next.
    assert (density < result.threshold).sum() == 27
    np.testing.assert_array_equal(result.fitted.labels(x) == -1, density < result.threshold)
    kept = np.sort(density)[27:]
    assert result.loglik == pytest.approx(kept.sum() - 0.2 * kept[0], rel=1e-6)
    # New rows are outliers where the density is below it.
    np.testing.assert_array_equal(result.fitted.labels(np.array([[3.0, 200.0], [4.4, 80.0]])) == -1, [True, False])


def test_large_data_are_sampled_and_finished_on_all_rows():
    rng = np.random.default_rng(7)
    x = np.vstack([rng.normal(c, 1.0, (12_000, 2)) for c in (0.0, 7.0)] + [rng.uniform(-200, 200, (2_000, 2))])
    result = fit(x, 2, n_init="auto", trim=2_000 / 26_000)
    assert result.account.sampled and result.weight == pytest.approx(24_000)
    labels = result.fitted.labels(x)
    assert (labels == -1).sum() == 2_000 and (labels[24_000:] == -1).mean() > 0.99


def test_noise_and_trimming_do_not_go_together():
    with pytest.raises(InputError, match="noise and trim"):
        fit(contaminated(), 2, noise=True, trim=0.1)


def test_rows_that_are_left_out_may_be_all_that_a_group_has():
    """More is trimmed than there are outliers: the fit is sound, on the core of the groups."""
    x = contaminated(5, 4)
    result = fit(x, 2, n_init="auto", trim=0.3)
    assert result.is_sound and (result.fitted.labels(x) == -1).sum() == 61


def test_plain_densities_and_penalised_ones():
    """A large ridge is part of the objective, and not of the log-likelihood that is told."""
    x = contaminated(6)
    result = fit(x, 2, n_init=2, trim=0.1, reg_covar=0.5)
    plain = TrimmedOutliers(result.model, 0.1).plain()
    density = ArraySource(x).collect(plain.gaussians.row_loglik, result.params)
    assert result.loglik == pytest.approx(best_weights(density, None, 0.1) @ density, rel=1e-10)
    assert result.objective < result.loglik


def test_the_rows_are_chosen_by_what_the_objective_sums():
    """A ridge takes more from a narrow component: its rows are then not those of highest plain density."""
    x = np.concatenate([np.linspace(-0.3, 0.3, 10), np.linspace(8.0, 12.0, 10)])[:, None]
    model = mixture(2, 1, "spherical", 0.5)
    params = model.parameters(weights=[0.5, 0.5], means=[[0.0], [10.0]], covariances=[0.1, 4.0])
    source = TrimmedSource(ArraySource(x), model, 0.5)
    penalised = logsumexp(model.log_joint(params, ArraySource(x).block(0)), axis=0)
    np.testing.assert_allclose(source.kept(params).row_weight, best_weights(penalised, None, 0.5))
    assert source.kept(params).row_weight[:10].sum() == 0.0
    plain = TrimmedOutliers(model, 0.5).plain()
    assert plain.over(ArraySource(x)).kept(params).row_weight[:10].sum() == 10.0


@pytest.mark.parametrize("seed", [1, 4, 9])
def test_the_search_finds_what_many_starts_find(seed):
    """Which rows are trimmed has many local optima: escapes let rows at the edge come in and go."""
    x = table(seed, 200, 3, 4, spread=2.0 if seed % 2 else 4.0)
    rng = np.random.default_rng(seed)
    x = np.vstack([x, rng.uniform(x.min(axis=0) - 1, x.max(axis=0) + 1, (40, 3))])
    found = fit(x, 4, n_init="auto", trim=0.15)
    others = [fit(x, 4, n_init=10, init=kind, seed=1, trim=0.15) for kind in ("random", "kmeans", "local")]
    assert found.is_sound and found.objective >= max(one.objective for one in others if one.is_sound) - 0.05
    assert found.account.rounds >= 3
    kinds = {move.kind for move in found.account.moves}
    assert {"less trimmed", "more trimmed"} <= kinds


def test_an_interrupt_of_a_first_guess_ends_the_fit(monkeypatch):
    real = cleaning.run

    def interrupted(solver, source, start, rule, limits=None):
        def tell(info):
            if info.iteration == 1:
                raise KeyboardInterrupt

        return real(solver, source, start, rule, limits, tell)

    monkeypatch.setattr(cleaning, "run", interrupted)
    x = np.random.default_rng(0).normal(size=(100, 2))
    assert fit(x, 2, n_init="auto", trim=0.05).status is Status.INTERRUPTED
