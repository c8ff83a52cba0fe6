"""Native M-steps of all shapes, with ridge, prior and eigenvalue ratio, are NumPy's; and bursts of them are EM."""

import itertools

import numpy as np
import pytest
from mixtures import NeverStop, start_from, table

from jensen.data.arrays import ArraySource
from jensen.errors import NumericalFailure
from jensen.families.gaussian import Gaussian
from jensen.families.moments import GaussianStatistics
from jensen.families.shapes import SHAPES, complete_objective, covariance_shape, maximize_shape
from jensen.families.shapes.prior import PseudoData, with_ridge
from jensen.families.shapes.ratio import WITH_RATIO, within_ratio
from jensen.kernels import choose, flights, portable
from jensen.kernels.mstep import RULES, MStep
from jensen.models.mixture import Mixture
from jensen.numerics.cholesky import log_diagonals, lower_factors, triangular_inverses
from jensen.solve.em import EM
from jensen.solve.loop import Limits, run

native = pytest.importorskip("jensen.kernels._native")
NAMES = list(SHAPES)
REGULARISED = [
    (name, how)
    for name in NAMES
    for how in ("plain", "ridge", "prior", "ratio", "all")
    if how != "ratio" or name in WITH_RATIO
]


@pytest.fixture(autouse=True)
def widest(monkeypatch):
    """The native kernel, whatever JENSEN_ISA says."""
    isas = tuple(native.available())
    chosen = choose.Choice("native", isas[0], "a test asks for it", isas, native)
    for module in (choose, flights):
        monkeypatch.setattr(module, "choice", lambda: chosen)


def burst_of(x, weight, step, steps, start, moments, *more):
    """The points of a burst; None where it cannot be, or may not begin at its start."""
    known = None if moments is None else tuple(array[None] for array in moments)
    ready = flights.ready_bursts(x, weight, step, steps, tuple(array[None] for array in start), known, *more)
    return None if ready is None else ready.taken()


# --------------------------------------------------------------------------------------------- problems


def laid_out(layout, matrices, summed=False):
    """What a layout keeps of matrices (K, d, d): of covariances, or of scatters, of which it keeps sums."""
    diagonals = np.diagonal(matrices, axis1=1, axis2=2)
    tied, spherical = (matrices.sum(axis=0), diagonals.sum(axis=1)) if summed else (matrices[0], diagonals[:, 0])
    return np.array({"full": matrices, "tied": tied, "diag": diagonals, "spherical": spherical}[layout])


def as_matrices(layout, values, n_components, d, summed=False):
    """Matrices (K, d, d) of which a layout keeps these values."""
    if layout in ("full", "tied"):
        share = n_components if layout == "tied" and summed else 1
        return np.broadcast_to(values / share, (n_components, d, d))
    share = d if layout == "spherical" and summed else 1
    return (values.reshape(n_components, -1) / share)[:, :, None] * np.eye(d)


def m_step(name, d, regularised, rng, n_components=1):
    """An M-step of a shape; of those without an eigenvalue ratio, it is left out."""
    layout, with_all = covariance_shape(name).layout, regularised == "all"
    given = {}
    if regularised == "prior" or with_all:
        root = rng.standard_normal((1, d, d))
        pseudo = laid_out(layout, root @ np.swapaxes(root, 1, 2) + np.eye(d), summed=True)
        pseudo = pseudo if layout == "tied" else pseudo[0]
        given = dict(count=d + 2.5, scatter=pseudo, strength=0.3, centre=rng.standard_normal(d))
    if name in WITH_RATIO and (regularised == "ratio" or with_all):
        given["ratio"] = float(rng.choice([1.0, 2.0, 20.0]))
    ridge = rng.uniform(0.01, 0.5, d) if regularised == "ridge" or with_all else np.zeros(d)
    return MStep(layout, name, ridge, **given)


def moments_of(layout, counts, scatter, rng, off=1.0):
    """Old means, and moments about them of components of given scatters (K, d, d) about their own means."""
    n_components, d = scatter.shape[:2]
    old, moves = rng.standard_normal((2, n_components, d))
    first = counts[:, None] * off * moves
    shifted = scatter + np.einsum("ki,kj->kij", first, off * moves)
    return old, (counts, first, laid_out(layout, shifted, summed=True))


def problem(seed, d, n_components, kind="ordinary"):
    """Counts and scatters of components that differ; all alike, nearly flat, or some without rows."""
    rng = np.random.default_rng([seed, d, n_components, len(kind)])
    counts = rng.uniform(5.0, 60.0, n_components)
    roots = rng.standard_normal((n_components, d, d)) + 2.0 * np.eye(d)
    roots *= np.exp(0.5 * rng.standard_normal((n_components, 1, d)))
    if kind == "equal":
        roots[:] = roots[0]
    elif kind == "flat":
        roots[:, -1] *= 1e-3
    scatter = counts[:, None, None] * (roots @ np.swapaxes(roots, 1, 2))
    if kind == "empty":
        counts[0] = 0.0
        counts[2:4] = 0.0
        scatter[counts == 0] = 0.0
    return counts, scatter


def twin(step, old, covariances, moments):
    """The same M-step in NumPy, from the pieces of `jensen.families.shapes`; covariances as (K, d, d), and n_k + a."""
    (n_components, d), layout = old.shape, step.layout
    counts, first, scatter = moments
    means, scatter = GaussianStatistics(counts, first, scatter, old, layout).centred()
    scatter = with_ridge(layout, counts, scatter, step.ridge)
    if step.scatter is not None:
        prior = PseudoData(step.count, step.scatter, step.strength, step.centre)
        scatter = prior.scatter_with(layout, counts, means, scatter)
        means, counts = prior.means_with(counts, means), prior.counts_with(counts)
    matrices = as_matrices(layout, scatter, n_components, d, summed=True)
    previous = as_matrices(layout, covariances, n_components, d)
    weights = counts if layout != "tied" else np.full(n_components, counts.mean())
    found = maximize_shape(step.rule, weights, matrices, previous)
    if step.ratio < np.inf:
        found = within_ratio(step.rule, weights, found, step.ratio)
    return means, found, (weights, matrices)


def condition(matrices):
    values = np.linalg.eigvalsh(matrices)
    return float((values[:, -1] / np.maximum(values[:, 0], 1e-300)).max())


# --------------------------------------------------------------------------------------------- one M-step


def test_rules_are_the_shapes():
    assert RULES == tuple(SHAPES)


@pytest.mark.parametrize(("name", "regularised"), REGULARISED)
def test_one_m_step_is_that_of_numpy(name, regularised):
    kinds = ("ordinary", "equal", "flat", "empty")
    for d, n_components, kind in itertools.product((1, 2, 3, 4, 5, 6), (1, 2, 3, 4, 5), kinds):
        rng = np.random.default_rng([d, n_components, len(kind), len(regularised)])
        counts, scatter = problem(1, d, n_components, kind)
        if not (counts > 0).any():
            continue
        step = m_step(name, d, regularised, rng)
        # What comes before is near, as in EM: EVE and VVE have several minima, and end in that downhill of it.
        near = scatter * np.exp(0.1 * rng.standard_normal((n_components, 1, 1))) + 0.1 * np.trace(
            scatter.sum(axis=0)
        ) * np.eye(d)
        covariances = laid_out(step.layout, maximize_shape(name, np.maximum(counts, 1.0), near))
        old, moments = moments_of(step.layout, counts, scatter, rng, off=0.1)
        means, expected, weighted = twin(step, old, covariances, moments)
        found = choose.native_maximize(step, (old, covariances), moments)
        np.testing.assert_allclose(found[0], means, rtol=1e-13, atol=1e-13)
        matrices = as_matrices(step.layout, found[1], n_components, d)
        # Small eigenvalues are known to rounding of the large ones.
        tolerance = max(1e-10, 1e-14 * condition(expected))
        sizes = np.abs(expected).max(axis=(1, 2), keepdims=True)
        assert (np.abs(matrices - expected) <= tolerance * sizes + 1e-15).all(), (d, n_components, kind)
        best = complete_objective(*weighted, expected)
        assert complete_objective(*weighted, matrices) == pytest.approx(best, rel=1e-10, abs=1e-9)
        assert np.array_equal(matrices, np.swapaxes(matrices, 1, 2))
        if step.ratio < np.inf:
            values = np.linalg.eigvalsh(matrices)
            assert values.max() <= step.ratio * values.min() * (1 + 1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_sixteen_features_and_a_far_start(name):
    counts, scatter = problem(3, 16, 3)
    rng = np.random.default_rng(0)
    step = m_step(name, 16, "ridge", rng)
    # From spheres, with everything still to find.
    covariances = laid_out(step.layout, np.stack([1e6 * np.eye(16)] * 3))
    old, moments = moments_of(step.layout, counts, scatter, rng)
    _, expected, weighted = twin(step, old, covariances, moments)
    found = choose.native_maximize(step, (old, covariances), moments)[1]
    best, ours = (complete_objective(*weighted, at) for at in (expected, as_matrices(step.layout, found, 3, 16)))
    if name in ("EVE", "VVE"):
        # Far from a minimum, rounding may choose among several: it is one of them.
        again = choose.native_maximize(step, (old, found), moments)[1]
        np.testing.assert_allclose(again, found, rtol=0, atol=1e-9 * np.abs(found).max())
        assert ours == pytest.approx(best, rel=0.01)
    else:
        kept = laid_out(step.layout, expected)
        np.testing.assert_allclose(found, kept, rtol=0, atol=1e-10 * np.abs(kept).max())
        assert ours == pytest.approx(best, rel=1e-11)


def awkward(d):
    """Scatters whose eigenvalues coincide, vanish, or differ by many orders, and some with many zeros."""
    rng, ones = np.random.default_rng(d), np.ones((d, d))
    chain = 2.0 * np.eye(d) - np.eye(d, k=1) - np.eye(d, k=-1)
    graded = np.diag(10.0 ** np.arange(0, -d, -1.0))
    orthogonal = np.linalg.qr(rng.standard_normal((d, d)))[0]
    yield from (np.eye(d), np.diag(np.arange(d, 0.0, -1.0)), ones, np.eye(d) + ones, chain, chain @ chain)
    yield from (np.kron(np.eye(d), ones[:2, :2])[:d, :d], np.fliplr(np.eye(d)) + 2.0 * np.eye(d), 1e-160 * chain)
    yield from (graded + 1e-9 * ones, orthogonal @ graded @ orthogonal.T, graded[::-1, ::-1], np.zeros((d, d)))
    yield from (orthogonal @ np.diag(np.arange(d) % 2.0) @ orthogonal.T, 1e150 * (chain + ones))


@pytest.mark.parametrize("d", [1, 2, 3, 4, 7, 12, 16])
def test_eigenvectors_of_awkward_matrices(d):
    step, zero = MStep("full", "EEV", np.zeros(d)), np.zeros((2, d))
    start = np.stack([np.eye(d)] * 2)
    for scatter in awkward(d):
        scatter = 0.5 * (scatter + scatter.T)
        size = np.abs(scatter).max() + 1e-300
        # One component is put together again from its eigenvectors.
        found = choose.native_maximize(step, (zero[:1], start[:1]), (np.ones(1), zero[:1], scatter[None]))[1]
        np.testing.assert_allclose(found[0] / size, scatter / size, rtol=0, atol=1e-14 * d)
        # Of two, the eigenvalues go together by their order, along the first one's axes and the second's.
        other = size * np.diag(np.arange(1.0, d + 1))
        both = np.stack([other, scatter])
        found = choose.native_maximize(step, (zero, start), (np.ones(2), zero, both))[1][0]
        expected = (np.linalg.eigvalsh(scatter) + size * np.arange(1.0, d + 1)) / 2
        np.testing.assert_allclose(found / size, np.diag(expected) / size, rtol=0, atol=1e-14 * d)


@pytest.mark.parametrize("name", ["VVV", "EEE", "VVI", "VII"])
def test_a_regularisation_by_nothing_changes_no_bit(name):
    counts, scatter = problem(4, 3, 4, "empty")
    rng = np.random.default_rng(0)
    plain = m_step(name, 3, "ridge", rng)
    nothing = np.zeros({"full": (3, 3), "tied": (3, 3), "diag": (3,), "spherical": (1,)}[plain.layout])
    same = MStep(plain.layout, name, plain.ridge, 0.0, nothing, 0.0, np.ones(3), 1e300)
    covariances = laid_out(plain.layout, np.stack([np.eye(3)] * 4))
    old, moments = moments_of(plain.layout, counts, scatter, rng)
    for one, other in zip(
        *(choose.native_maximize(step, (old, covariances), moments) for step in (plain, same)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["EVE", "VVE"])
def test_without_common_axes_to_begin_at_numpy_searches(name):
    counts, scatter = problem(5, 3, 2)
    step = MStep("full", name, np.zeros(3))
    old, moments = moments_of("full", counts, scatter, np.random.default_rng(0))
    covariances = scatter / counts[:, None, None]
    assert choose.native_maximize(step, (old, covariances), moments) is None
    x = np.random.default_rng(0).standard_normal((30, 3))
    assert burst_of(x, None, step, 3, (np.ones(2) / 2, old, covariances), None) is None


@pytest.mark.parametrize("name", ["EVE", "VVE"])
def test_a_ridge_between_valleys_is_left(name):
    # Halfway between the axes of two components nothing pulls to either side.
    counts, scatter = np.ones(2), np.array([[[4.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 4.0]]])
    half = np.array([[1.0, 1.0], [-1.0, 1.0]]) / np.sqrt(2)
    previous = np.stack([(half * np.array([1.0, 2.0])) @ half.T] * 2)
    step, zero = MStep("full", name, np.zeros(2)), np.zeros((2, 2))
    found = choose.native_maximize(step, (zero, previous), (counts, zero, scatter))
    np.testing.assert_allclose(found[1], scatter, atol=1e-8)


# --------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("name", NAMES)
def test_singular_scatters_fail_as_in_numpy_or_give_what_it_gives(name):
    for d, n_components in itertools.product((1, 2, 4), (1, 2, 3)):
        for spoil in ("one", "all", "line", "far"):
            counts, scatter = problem(6, d, n_components)
            if spoil == "one":
                scatter[-1] = 0.0
            elif spoil == "all":
                scatter[:] = 0.0
            elif spoil == "line":
                scatter[:] = 1.0
            else:
                scatter[0] *= 1e-280
            step, old = MStep(covariance_shape(name).layout, name, np.zeros(d)), np.zeros((n_components, d))
            covariances = laid_out(step.layout, np.stack([np.eye(d)] * n_components))
            moments = (counts, np.zeros_like(old), laid_out(step.layout, scatter, summed=True))
            try:
                expected = twin(step, old, covariances, moments)[1]
                lower_factors(expected)
            except NumericalFailure:
                expected = None
            try:
                found = choose.native_maximize(step, (old, covariances), moments)[1]
            except NumericalFailure as failure:
                assert "not positive definite" in str(failure)
                assert expected is None or spoil == "line"
            else:
                assert np.isfinite(found).all()
                if expected is not None:
                    kept = laid_out(step.layout, expected)
                    np.testing.assert_allclose(found, kept, rtol=0, atol=1e-10 * np.abs(kept).max())


@pytest.mark.parametrize("regularised", ["plain", "all"])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_is_no_number_gets_through_unseen(name, regularised):
    rng = np.random.default_rng(0)
    step = m_step(name, 3, regularised, rng)
    sound = laid_out(step.layout, np.stack([np.eye(3)] * 2))
    for bad in (np.nan, np.inf, -np.inf, 1e308):
        for where in ("scatter", "first", "counts"):
            counts, scatter = problem(7, 3, 2)
            old, moments = moments_of(step.layout, counts, scatter, rng)
            moments = [array.copy() for array in moments]
            moments[["counts", "first", "scatter"].index(where)].flat[0] = bad
            try:
                found = choose.native_maximize(step, (old, sound), tuple(moments))
            except NumericalFailure:
                continue
            failed = choose.native_factors(step.layout, found[1], step.ridge, 2)[3]
            assert failed >= 0 or np.isfinite(found[1]).all()
            assert failed >= 0 or np.isfinite(found[0]).all() or where != "scatter"


@pytest.mark.parametrize("name", NAMES)
def test_where_nothing_has_rows_everything_stays(name):
    step = MStep(covariance_shape(name).layout, name, np.zeros(2))
    covariances = laid_out(step.layout, maximize_shape(name, *problem(0, 2, 3)))
    old, moments = moments_of(step.layout, np.zeros(3), np.zeros((3, 2, 2)), np.random.default_rng(0))
    if step.layout == "tied":
        return  # 0 / 0: there is no row at all, and its one covariance is of nothing
    found = choose.native_maximize(step, (old, covariances), moments)
    np.testing.assert_array_equal(found[0], old)
    np.testing.assert_array_equal(found[1], covariances)


# --------------------------------------------------------------------------------------------- bursts


def rows(seed, d, n_groups, n=80):
    rng = np.random.default_rng([seed, d])
    group = np.arange(n) % n_groups
    mixing = rng.standard_normal((n_groups, d, d)) / np.sqrt(d)
    x = 2.0 * rng.standard_normal((n_groups, d))[group]
    return x + np.einsum("nij,nj->ni", mixing[group], rng.standard_normal((n, d)))


def first_point(step, x, n_components, rng):
    """Weights, means and covariances of the shape to begin at."""
    responsibilities = rng.dirichlet(np.full(n_components, 0.3), size=len(x))
    d, counts = x.shape[1], responsibilities.sum(axis=0)
    means = responsibilities.T @ x / counts[:, None]
    away = x[:, None, :] - means
    scatter = np.einsum("nk,nki,nkj->kij", responsibilities, away, away) + counts[:, None, None] * 0.1 * np.eye(d)
    found = maximize_shape(step.rule, counts, scatter)
    if step.ratio < np.inf:
        found = within_ratio(step.rule, counts, found, step.ratio)
    weights = np.full(n_components, 1.0 / n_components) if step.equal_weights else counts / counts.sum()
    return weights, means, laid_out(step.layout, found)


def e_step(step, x, weight, point):
    """Moments and objective in NumPy: penalised log-likelihood and log-prior."""
    weights, means, covariances = point
    (n_components, d), layout = means.shape, step.layout
    matrices = as_matrices(layout, covariances, n_components, d)
    lower = lower_factors(matrices)
    inverse = triangular_inverses(lower)
    penalty = 0.5 * np.einsum("kij,j->k", inverse**2, step.ridge)
    offsets = np.log(weights) - 0.5 * d * np.log(2 * np.pi) - log_diagonals(lower) - penalty
    diagonal = np.diagonal(inverse, axis1=1, axis2=2)
    whitening = {"full": inverse, "tied": inverse[0], "diag": diagonal, "spherical": diagonal[:, 0]}[layout]
    *moments, objective = portable.gaussian_moments(x, weight, layout, means, whitening, offsets)
    if step.scatter is not None:
        prior = PseudoData(step.count, step.scatter, step.strength, step.centre)
        objective += prior.log_density(layout, means, whitening)
    return tuple(moments), objective


@pytest.mark.parametrize(("name", "regularised"), REGULARISED)
def test_a_burst_is_em_step_by_step_and_never_falls(name, regularised):
    for d, n_components, weighted in [(1, 2, False), (2, 3, True), (3, 2, False), (4, 3, False), (5, 4, True)]:
        rng = np.random.default_rng([d, n_components, len(regularised)])
        x = rows(1, d, n_components)
        weight = rng.integers(1, 4, len(x)).astype(float) if weighted else None
        step = m_step(name, d, regularised, rng)
        if weighted:
            step = MStep(**{**{field: getattr(step, field) for field in step.__match_args__}, "equal_weights": True})
        point = first_point(step, x, n_components, rng)
        trail = burst_of(x, weight, step, 15, point, None)
        assert (trail.done, trail.failed, trail.failure) == (15, -1, "")
        fall = np.diff(trail.objective).min()
        assert fall >= -1e-11 * np.abs(trail.objective).max(), (d, n_components)
        for t in range(16):
            moments, objective = e_step(step, x, weight, point)
            there = trail.point(t)[:3]
            assert trail.objective[t] == pytest.approx(objective, rel=1e-10)
            for name_, ours, theirs in zip(("weights", "means", "covariances"), point, there, strict=True):
                size = np.abs(theirs).max()
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9 * size, err_msg=f"{name_} {d} {t}")
            means, matrices, _ = twin(step, point[1], point[2], moments)
            shares = np.full(n_components, 1.0 / n_components) if weighted else moments[0] / moments[0].sum()
            point = (shares, means, laid_out(step.layout, matrices))


@pytest.mark.parametrize("name", NAMES)
def test_bursts_go_on_from_where_others_ended(name):
    x, rng = rows(2, 3, 3), np.random.default_rng(3)
    step = m_step(name, 3, "all", rng)
    point = first_point(step, x, 3, rng)
    whole = burst_of(x, None, step, 12, point, None)
    half = burst_of(x, None, step, 6, point, None)
    weights, means, covariances, *moments = half.point(6)
    rest = burst_of(x, None, step, 6, (weights, means, covariances), tuple(moments))
    np.testing.assert_array_equal(rest.records[1:], whole.records[7:])


@pytest.mark.parametrize(("name", "regularised"), REGULARISED)
def test_a_run_of_a_mixture_is_the_same_in_bursts_in_steps_and_in_numpy(name, regularised, monkeypatch):
    x, step = table(0, 90, 3, 3), m_step(name, 3, regularised, np.random.default_rng(4))
    prior = None
    if step.scatter is not None:
        prior = PseudoData(step.count, step.scatter, step.strength, step.centre)
    family = Gaussian(3, 3, name, np.maximum(step.ridge, 1e-6), prior=prior, ratio=step.ratio)
    model = Mixture(family, equal_weights=regularised == "all")
    start = start_from(model, x, np.arange(90) % 3)
    taken = []

    def counted(*arguments):
        taken.append(native_maximize(*arguments))
        return taken[-1]

    native_maximize = choose.native_maximize
    monkeypatch.setattr("jensen.families.gaussian.native_maximize", counted)
    source, found = ArraySource(x), []
    for burst in (model.burst, None):
        found.append(run(EM(model, burst), source, start, NeverStop(), Limits(max_iter=11)))
    assert len(taken) >= 11 and not any(one is None for one in taken)
    monkeypatch.setattr("jensen.families.gaussian.native_maximize", lambda *_: None)
    found.append(run(EM(model, None), source, start, NeverStop(), Limits(max_iter=11)))
    for one in found[1:]:
        np.testing.assert_allclose(found[0].trace, one.trace, rtol=1e-11)
        for at, value in one.params.values.items():
            np.testing.assert_allclose(found[0].params[at], value, rtol=0, atol=1e-9 * np.abs(value).max())


@pytest.mark.parametrize("name", ["VII", "VEI", "VVI", "VEE", "VVE", "VEV", "VVV"])
def test_a_collapse_ends_a_burst_and_is_named(name):
    # Eight equal rows, and a component that ends on them alone.
    x = np.concatenate([np.random.default_rng(0).standard_normal((60, 2)), np.full((8, 2), 9.0)])
    step = MStep(covariance_shape(name).layout, name, np.zeros(2))
    start = (np.array([0.9, 0.1]), np.array([[0.0, 0.0], [9.0, 9.0]]), laid_out(step.layout, np.stack([np.eye(2)] * 2)))
    trail = burst_of(x, None, step, 60, start, None)
    assert 0 <= trail.done < 60 and trail.failed in (0, 1, 2)
    assert "not positive definite" in trail.failure
    assert np.isfinite(np.delete(trail.records[: trail.done + 1], -2, axis=1)).all()


@pytest.mark.parametrize("name", WITH_RATIO)
def test_a_ratio_or_a_prior_saves_from_collapse(name):
    x = np.concatenate([np.random.default_rng(0).standard_normal((60, 2)), np.full((8, 2), 9.0)])
    layout = covariance_shape(name).layout
    prior = m_step(name, 2, "prior", np.random.default_rng(1))
    for step in (MStep(layout, name, np.zeros(2), ratio=50.0), prior):
        sound = laid_out(layout, np.stack([np.eye(2)] * 2))
        trail = burst_of(x, None, step, 40, (np.array([0.9, 0.1]), x[[0, -1]], sound), None)
        # The ratio of gains to come is told of accelerated runs alone.
        assert trail.done == 40 and np.isfinite(np.delete(trail.records, -2, axis=1)).all()
        assert np.diff(trail.objective).min() >= -1e-11 * np.abs(trail.objective).max()
