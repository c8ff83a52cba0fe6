"""The native kernel equals NumPy's on every instruction set, whatever the data, and refuses what it cannot read."""

import threading
import time
from functools import cache
from zlib import crc32

import numpy as np
import pytest
from mixtures import SHAPES, NeverStop, mixture, start_from, table

from jensen.core.contracts import Info
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import NumericalFailure
from jensen.fit.starts import kmeans
from jensen.kernels import choose, portable
from jensen.numerics.cholesky import lower_factors, triangular_inverses
from jensen.solve.em import EM
from jensen.solve.loop import Limits, run
from jensen.solve.stopping import AitkenRule

native = pytest.importorskip("jensen.kernels._native")
ISAS = tuple(native.available())
DTYPES = (np.float64, np.float32)


def select(monkeypatch, isa):
    """Let every pass of a test use one instruction set."""
    monkeypatch.setattr(choose, "choice", lambda: choose.Choice("native", isa, "a test asks for it", ISAS, native))


@pytest.fixture(params=ISAS)
def isa(request, monkeypatch):
    """The instruction set in use."""
    select(monkeypatch, request.param)
    return request.param


# --------------------------------------------------------------------------------------------- problems


def problem(shape, n, d, n_components, *, hostile=False, weighted=False, empty=False, dtype=np.float64, seed=0):
    """Arguments of a pass whose rows were drawn from the components themselves.

    Hostile: components over 1e5 standard deviations, or all of them 1e7 off, and variances that differ by 1e4.
    """
    rng = np.random.default_rng([seed, n, d, n_components, crc32(shape.encode())])
    spread = (1e5 if seed % 3 else 10.0) if hostile else 2.0
    means = spread * (rng.random((n_components, d)) - 0.5 if hostile else rng.standard_normal((n_components, d)))
    if hostile and seed % 3 == 0:
        means += 1e7
    roots = rng.standard_normal((n_components, d, d)) / np.sqrt(d)
    matrices = roots @ roots.transpose(0, 2, 1) + (1.0 if hostile else 0.3) * np.eye(d)
    if hostile:
        matrices *= 10.0 ** rng.uniform(0, 4, n_components)[:, None, None]
    if shape == "tied":
        matrices[:] = matrices[0]
    elif shape != "full":
        diagonals = np.diagonal(matrices, axis1=1, axis2=2)
        if shape == "spherical":
            diagonals = np.broadcast_to(diagonals[:, :1], diagonals.shape)
        matrices = diagonals[:, :, None] * np.eye(d)
    lower = lower_factors(matrices)
    inverse = triangular_inverses(lower)
    diagonal = np.diagonal(inverse, axis1=1, axis2=2)
    whitening = {"full": inverse, "tied": inverse[0], "diag": diagonal, "spherical": diagonal[:, 0]}[shape]
    group = rng.integers(n_components, size=n)
    x = (means[group] + np.einsum("nij,nj->ni", lower[group], rng.standard_normal((n, d)))).astype(dtype)
    shares = rng.dirichlet(np.ones(n_components))
    if empty:
        shares[0] = 0.0 if n_components > 1 else 1.0
        means[-1] += 3.0 * spread
    with np.errstate(divide="ignore"):
        offsets = np.log(diagonal).sum(axis=1) - 0.9 * d + np.log(shares)
    weight = rng.integers(0, 4, n) * rng.random(n) if weighted else None
    centres = means + 0.1 * rng.standard_normal(means.shape)
    return x, weight, shape, centres, np.ascontiguousarray(whitening), offsets


EDGES = (1, 2, 3, 7, 15, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025, 2049)
COMPONENTS = (1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 33, 64, 100, 257, 300)


@cache
def settings(shape, hostile):
    """Every d from 1 to 70, with numbers of rows around the sub-blocks' edges and of components from 1 to 300."""
    rng = np.random.default_rng([7, hostile, crc32(shape.encode())])
    found = []
    for d in range(1, 71):
        n_components = int(rng.choice(COMPONENTS))
        n = max(int(rng.choice([edge for edge in EDGES if edge * n_components * d * d < 3e7] or [1])), 1)
        found.append(
            dict(n=n, d=d, n_components=n_components, hostile=hostile, seed=d, weighted=d % 2 == 0, empty=d % 5 < 2)
        )
    return [
        *found,
        *(
            dict(n=n, d=d, n_components=k, hostile=hostile, seed=1, weighted=False, empty=False)
            for n, d, k in [(700, 3, 300), (300, 12, 300), (1, 1, 1)]
        ),
    ]


@cache
def reference(shape, dtype, index, hostile):
    """A problem, and what NumPy makes of it."""
    given = problem(shape, dtype=dtype, **settings(shape, hostile)[index])
    return given, portable.gaussian_moments(*given)


def norms(matrices, shape):
    """Norm of each component's scatter, or of the one of all."""
    if shape == "spherical":
        return np.abs(matrices)
    return np.linalg.norm(matrices, axis=(-2, -1)) if shape in ("full", "tied") else np.linalg.norm(matrices, axis=-1)


def disagreement(found, expected, shape, n, least=1e-100):
    """The largest difference of two passes, relative to each component's counts, scatter and their mean.

    Components with less than a share `least` of the rows are judged as if they had it.
    """
    counts, first, scatter, loglik = expected
    # Exponentials vanish below -700, or -87: shares that floats can hardly tell from 0 have no digits to agree on.
    sizes = norms(scatter, shape)
    total = np.max(sizes) + 1e-100
    lift = np.maximum(counts, least * n) / np.maximum(counts, 1e-300) if shape != "tied" else 1.0
    sizes = np.maximum(sizes * lift, least * total)
    trace = np.trace(scatter) if shape == "tied" else sizes if shape == "spherical" else sizes * np.sqrt(first.shape[1])
    floor = np.maximum(counts, least * n) + 1e-100
    errors = [
        np.abs(found[0] - counts) / floor,
        np.linalg.norm(found[1] - first, axis=1) / (np.sqrt(floor) * np.sqrt(np.maximum(trace, least * total))),
        norms(found[2] - scatter, shape) / sizes,
        abs(found[3] - loglik) / (abs(loglik) + n),
    ]
    assert all(np.isfinite(error).all() for error in errors)
    return max(float(np.max(error)) for error in errors)


# --------------------------------------------------------------------------------------------- agreement


@pytest.mark.parametrize("hostile", [False, True], ids=["ordinary", "hostile"])
@pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_one_pass_agrees_with_numpy(shape, dtype, hostile, isa):
    double = dtype == np.float64
    tolerance, least = 1e-10 if double else 1e-3 if hostile else 1e-5, 1e-100 if double else 1e-2
    for index, setting in enumerate(settings(shape, hostile)):
        given, expected = reference(shape, dtype, index, hostile)
        found = choose.gaussian_moments(*given)
        # A few rows alone, 1e5 standard deviations from the common origin, feel the grid of single precision.
        few = 2.0 if not double and hostile and setting["n"] < 16 else 1.0
        assert disagreement(found, expected, shape, setting["n"], least) < few * tolerance, setting


@pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_scatter_is_symmetric(shape, dtype, isa):
    if shape not in ("full", "tied"):
        pytest.skip("no matrices")
    for d in (1, 5, 8, 9, 30):
        scatter = choose.gaussian_moments(*problem(shape, 100, d, 4, dtype=dtype))[2]
        np.testing.assert_array_equal(scatter, np.swapaxes(scatter, -1, -2))


@pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_rows_agree_with_numpy(shape, dtype, isa):
    tolerance = 1e-11 if dtype == np.float64 else 2e-4
    for n, d, n_components in [
        (1, 1, 1),
        (65, 2, 5),
        (129, 5, 3),
        (257, 8, 17),
        (130, 9, 4),
        (77, 23, 40),
        (300, 33, 300),
    ]:
        x, _, _, *rest = problem(shape, n, d, n_components, dtype=dtype, empty=n_components > 2)
        for wanted in ("density", "responsibilities", "labels"):
            expected = portable.gaussian_rows(x, shape, *rest, wanted)
            found = choose.gaussian_rows(x, shape, *rest, wanted)
            assert found.shape == expected.shape and found.dtype == expected.dtype
            if wanted == "labels":
                joint = np.sort(portable.gaussian_log_joint(x, shape, *rest), axis=1)
                clear = np.ones(n, dtype=bool) if n_components == 1 else joint[:, -1] - joint[:, -2] > 1e-3
                np.testing.assert_array_equal(found[clear], expected[clear])
                assert clear.mean() > 0.95
            else:
                np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
            if wanted == "responsibilities":
                np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-6 if dtype == np.float32 else 1e-14)


@pytest.mark.parametrize("apart", [1.0, 1e3])
def test_distances_keep_their_digits_where_a_common_covariance_is_thin(apart, isa):
    # A direction in which components of a millionth of its width lie up to 1e9 standard deviations apart.
    rng = np.random.default_rng(1)
    n, d, n_components = 200, 3, 4
    axes = np.linalg.qr(rng.standard_normal((d, d)))[0]
    root = axes * [1.0, 1.0, 1e-6]
    whitening = triangular_inverses(lower_factors((root @ root.T)[None]))[0]
    centres, group = apart * rng.standard_normal((n_components, d)), rng.integers(n_components, size=n)
    x, offsets = centres[group] + rng.standard_normal((n, d)) @ root.T, np.full(n_components, -3.0)
    about = x.astype(np.longdouble)[:, None] - centres
    joint = -3.0 - 0.5 * ((about @ whitening.T.astype(np.longdouble)) ** 2).sum(axis=2)
    best = joint.max(axis=1)
    expected = (best + np.log(np.exp(joint - best[:, None]).sum(axis=1))).sum()
    found = choose.gaussian_moments(x, None, "tied", centres, whitening, offsets)[3]
    assert found == pytest.approx(float(expected), rel=2e-11)


@pytest.mark.parametrize("shape", ["full", "tied"])
def test_a_row_that_no_component_reaches_counts_for_nothing(shape, isa):
    x, _, _, centres, whitening, offsets = problem(shape, 40, 3, 6)
    alone = choose.gaussian_moments(x, None, shape, centres, whitening, offsets)[:3]
    far = np.concatenate([x, np.full((1, 3), 1e160)])
    for found, expected in zip(
        choose.gaussian_moments(far, None, shape, centres, whitening, offsets), alone, strict=False
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_first_among_equal_components_gives_the_label(shape, dtype, isa):
    for d in (2, 11):
        x, _, _, centres, whitening, offsets = problem(shape, 200, d, 3, dtype=dtype)
        twice = np.concatenate([whitening] * 3) if shape != "tied" else whitening
        labels = choose.gaussian_rows(x, shape, np.tile(centres, (3, 1)), twice, np.tile(offsets, 3), "labels")
        assert labels.max() < 3
        expected = choose.gaussian_rows(x, shape, centres, whitening, offsets, "labels")
        np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_weights_are_repetitions(shape, isa):
    for d in (1, 4, 8, 13):
        x, _, _, *rest = problem(shape, 150, d, 5)
        times = np.random.default_rng(d).integers(0, 4, 150)
        weighted = choose.gaussian_moments(x, times.astype(float), shape, *rest)
        repeated = choose.gaussian_moments(np.repeat(x, times, axis=0), None, shape, *rest)
        assert disagreement(weighted, repeated, shape, times.sum()) < 1e-12


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_weights_of_one_among_others_weigh_as_they_should(dtype, isa):
    x, _, shape, centres, whitening, offsets = problem("full", 700, 3, 4, dtype=dtype)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    plain = choose.gaussian_moments(x, None, shape, centres, whitening, offsets)
    weight = np.ones(700)
    ones = choose.gaussian_moments(x, weight, shape, centres, whitening, offsets)
    assert disagreement(ones, plain, shape, 700) < tolerance
    for heavy in ([5], [*range(40, 90)], [*range(0, 700, 9)], [699]):
        weight[:] = 1.0
        weight[heavy] = np.arange(len(heavy)) % 3 * 1.5
        found = choose.gaussian_moments(x, weight, shape, centres, whitening, offsets)
        expected = portable.gaussian_moments(x, weight, shape, centres, whitening, offsets)
        assert disagreement(found, expected, shape, 700) < tolerance


@pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("shape", SHAPES)
def test_rows_that_no_component_reaches_have_no_share(shape, weighted, dtype, isa):
    far = 1e200 if dtype == np.float64 else 1e30
    for d in (1, 3, 8, 9, 20):
        x, _, _, *rest = problem(shape, 70, d, 4, dtype=dtype)
        weight = np.ones(70) if weighted else None
        expected = choose.gaussian_moments(x, weight, shape, *rest)
        with_far = np.insert(x, [0, 3, 3, 40, 70], far * (-1) ** np.arange(d), axis=0)
        with np.errstate(over="ignore"):
            if weighted:
                # Without weight, such rows are nothing at all.
                none = np.insert(weight, [0, 3, 3, 40, 70], 0.0)
                found = choose.gaussian_moments(with_far, none, shape, *rest)
                assert disagreement(found, expected, shape, 70) < (1e-12 if dtype == np.float64 else 1e-5)
                weight = np.insert(weight, [0, 3, 3, 40, 70], 1.0)
            found = choose.gaussian_moments(with_far, weight, shape, *rest)
            assert found[3] < -1e37 and np.isfinite(found[3])
            assert disagreement((*found[:3], 0.0), (*expected[:3], 0.0), shape, 70) < 1e-5
            density = choose.gaussian_rows(with_far, shape, *rest, "density")
            responsibilities = choose.gaussian_rows(with_far, shape, *rest, "responsibilities")
        assert np.isfinite(density).all() and np.isfinite(responsibilities).all()
        assert responsibilities[0].sum() == 0.0 and density[0, 0] < -1e37


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
@pytest.mark.parametrize("shape", ["full", "tied"])
def test_pruning_changes_rounding_alone(shape, dtype, weighted, isa):
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    for n, d, n_components, hostile in [
        (1, 9, 16, True),
        (900, 9, 16, True),
        (1500, 17, 70, True),
        (700, 12, 20, False),
    ]:
        given = problem(shape, n, d, n_components, hostile=hostile, weighted=weighted, dtype=dtype, seed=1, empty=True)
        plain, memory = choose.gaussian_moments(*given), np.full(n, -1, dtype=np.int32)
        for _ in range(3):
            # 1e-16 of each row is left out; a component that has no more than that of any row, wholly.
            assert disagreement(choose.gaussian_moments(*given, memory), plain, shape, n, 1e-3) < tolerance
        # From notes of other parameters, as after an M-step.
        memory[:] = np.random.default_rng(0).permutation(np.maximum(memory, 0))
        assert disagreement(choose.gaussian_moments(*given, memory), plain, shape, n, 1e-3) < tolerance
        labels = choose.gaussian_rows(given[0], *given[2:], "labels")
        assert memory[0] == -2 or (memory == labels).mean() > 0.99


# --------------------------------------------------------------------------------------------- the exp


@cache
def exact_exp():
    """Numbers from -700 to 0 and their exponentials, rounded from 40 digits."""
    mpmath = pytest.importorskip("mpmath")
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [-700 * rng.random(4000), -rng.random(4000), -(10.0 ** rng.uniform(-20, 2.8, 4000)), [0.0, -0.0, -700.0]]
    )
    with mpmath.workdps(40):
        high = [mpmath.exp(mpmath.mpf(float(value))) for value in x]
        values = np.array([float(value) for value in high])
        # What rounding to a float leaves over, in units of the last place.
        rest = np.array([float(a - mpmath.mpf(float(b))) for a, b in zip(high, values, strict=True)])
    return x, values, rest


def test_exp_is_within_two_units_of_the_last_place(isa):
    x, values, rest = exact_exp()
    out = np.empty_like(x)
    native.exp_nonpositive(isa, x, out)
    assert (np.abs((out - values) - rest) / np.spacing(values)).max() <= 2.0
    single = x[x >= -87].astype(np.float32)
    out = np.empty_like(single)
    native.exp_nonpositive(isa, single, out)
    exact = np.exp(single.astype(np.float64))
    assert (np.abs(out - exact) / np.spacing(exact.astype(np.float32))).max() <= 2.0


@pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
def test_exp_rises_to_one_and_vanishes_far_below(dtype, isa):
    near = np.concatenate([-np.geomspace(1e-3, 1e-30, 3000), -np.arange(2000, 0, -1) * np.finfo(dtype).eps / 4, [0.0]])
    near = np.sort(near).astype(dtype)
    out = np.empty_like(near)
    native.exp_nonpositive(isa, near, out)
    assert (np.diff(out) >= 0).all() and out[-1] == 1.0 and out.max() == 1.0
    edge = -700.0 if dtype == np.float64 else -87.0
    below = np.array(
        [np.nextafter(dtype(edge), dtype(-np.inf)), edge - 1, 2 * edge, -1e30, -np.inf, np.nan], dtype=dtype
    )
    out = np.ones_like(below)
    native.exp_nonpositive(isa, below, out)
    np.testing.assert_array_equal(out, 0.0)
    native.exp_nonpositive(isa, np.full(1, edge, dtype), out[:1])
    assert out[0] >= np.finfo(dtype).tiny


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
def test_logarithms_of_sums_are_good_to_the_last_digits(weighted, isa):
    mpmath = pytest.importorskip("mpmath")
    # Components in one place and of one spread differ by their offsets alone: sums from 1 to K, and shares near 0.
    rng = np.random.default_rng(0)
    n, k = 41, 7
    x, centres, whitening = np.zeros((n, 1)), np.zeros((k, 1)), np.zeros((k, 1, 1))
    for scale in (1e-12, 1e-3, 1.0, 30.0):
        offsets = rng.standard_normal(k) * scale
        exact = float(mpmath.log(mpmath.fsum(mpmath.exp(mpmath.mpf(float(v))) for v in offsets)))
        density = np.empty((2, n))
        native.rows(isa, x, 0, centres, whitening, offsets, density, None, None)
        np.testing.assert_allclose(density[0], exact, rtol=1e-15, atol=5e-16)
        weight = rng.random(n) if weighted else None
        out = np.zeros(k), np.zeros((k, 1)), np.zeros((k, 1, 1))
        loglik = native.moments(isa, x, weight, 0, centres, whitening, offsets, *out, None)
        np.testing.assert_allclose(loglik, exact * (n if weight is None else weight.sum()), rtol=2e-15, atol=1e-14)


# --------------------------------------------------------------------------------------------- bursts


def both_ways(model, source, start, max_iter):
    """A run whose steps come in bursts, and one that takes them one by one."""
    found = []
    for burst in (model.burst, None):
        rule = NeverStop() if max_iter == 13 else AitkenRule(source.weight)
        found.append(run(EM(model, burst), source, start, rule, Limits(max_iter=max_iter)))
    return found


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("max_iter", [5000, 13])
@pytest.mark.parametrize("d", [1, 2, 5, 9])
@pytest.mark.parametrize("shape", SHAPES)
def test_bursts_change_rounding_alone(shape, d, max_iter, weighted, isa):
    x = table(d, 150, d, 3, spread=2.0)
    weight = np.random.default_rng(d).integers(0, 3, 150).astype(float) if weighted else None
    model = mixture(3, d, shape, 1e-6)
    burst, steps = both_ways(model, ArraySource(x, weight), start_from(model, x, np.arange(150) % 3, weight), max_iter)
    assert burst.status == steps.status
    assert burst.status == (Status.OUT_OF_ITERATIONS if max_iter == 13 else Status.CONVERGED)
    assert burst.n_iter == steps.n_iter and burst.passes == steps.passes
    np.testing.assert_allclose(burst.trace, steps.trace, rtol=1e-12)
    assert burst.objective == burst.trace[-1]
    for name, value in steps.params.values.items():
        np.testing.assert_allclose(burst.params[name], value, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("d", [2, 5, 9])
@pytest.mark.parametrize("shape", SHAPES)
def test_bursts_on_rows_of_several_parts_change_rounding_alone(shape, d, isa):
    # Some 256 rows go together, which a burst keeps from its first step on.
    x = table(d, 700, d, 3, spread=2.0)
    weight = np.random.default_rng(d).integers(0, 3, 700).astype(float)
    model = mixture(3, d, shape, 1e-6)
    burst, steps = both_ways(model, ArraySource(x, weight), start_from(model, x, np.arange(700) % 3, weight), 13)
    np.testing.assert_allclose(burst.trace, steps.trace, rtol=1e-12)


@pytest.mark.parametrize("d", [1, 2, 5, 9])
@pytest.mark.parametrize("shape", SHAPES)
def test_one_maximisation_is_that_of_numpy(shape, d, monkeypatch):
    x = table(d, 150, d, 3)
    model = mixture(3, d, shape, 1e-6)
    params = start_from(model, x, np.arange(150) % 3)
    found = model.expect(params, ArraySource(x).block(0))
    # A component without rows keeps its covariance.
    found.components.counts[1], found.components.first[1] = 0.0, 0.0
    native_step = model.maximize(params, found)
    monkeypatch.setattr("jensen.families.gaussian.native_maximize", lambda *_: None)
    for name, value in model.maximize(params, found).values.items():
        np.testing.assert_allclose(native_step[name], value, rtol=1e-12, atol=1e-12)


def test_a_start_without_a_density_fails_in_a_burst_as_in_a_step():
    model = mixture(2, 2, "full", 0.0)
    x = np.random.default_rng(0).standard_normal((50, 2))
    bad = model.parameters(weights=[0.5, 0.5], means=np.zeros((2, 2)), covariances=[np.eye(2), np.ones((2, 2))])
    for burst in (model.burst, None):
        with pytest.raises(NumericalFailure, match=r"component \[1\]"):
            run(EM(model, burst), ArraySource(x), bad, NeverStop(), Limits(3))


@pytest.mark.parametrize("shape", ["full", "diag", "spherical"])
def test_a_collapse_ends_a_burst_as_it_ends_single_steps(shape, isa):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.standard_normal((60, 2)), np.full((8, 2), 5.0)])
    model = mixture(2, 2, shape, 0.0)
    labels = np.r_[np.zeros(60, int), np.ones(8, int)]
    labels[[0, 1, 2]] = 1
    burst, steps = both_ways(model, ArraySource(x), start_from(model, x, labels), 500)
    assert burst.status == steps.status == Status.DEGENERATE
    assert burst.detail == steps.detail
    # How many steps it takes from a variance of 1e-30 to one that is no more is a matter of rounding.
    common = min(burst.n_iter, steps.n_iter)
    assert common >= 2 and max(burst.n_iter, steps.n_iter) <= common + 3
    np.testing.assert_allclose(burst.trace[:common], steps.trace[:common], rtol=1e-12)
    assert all(np.isfinite(value).all() for value in burst.params.values.values())


# --------------------------------------------------------------------------------------------- starts


def twins(function, *arguments):
    """What the native start and NumPy's answer; the stream of random numbers is made anew for each."""
    found = []
    for module in (native, None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kmeans, "native_kernels", lambda module=module: module)
            found.append(function(*(argument() if callable(argument) else argument for argument in arguments)))
    return found


@pytest.mark.parametrize("n, d, n_centres", [(1, 1, 1), (9, 2, 2), (200, 1, 7), (300, 3, 12), (400, 10, 30)])
def test_starts_equal_numpys(n, d, n_centres, isa):
    for seed in range(5):
        rng = np.random.default_rng([seed, n, d])
        z, weight = rng.standard_normal((n, d)), rng.random(n) + 0.1
        seeds, expected = twins(kmeans.seed_rows, z, weight, n_centres, lambda seed=seed: np.random.default_rng(seed))
        np.testing.assert_array_equal(seeds, expected)
        np.testing.assert_array_equal(*twins(kmeans.lloyd, z, weight, z[seeds]))
        if n > n_centres:
            # One centre that no row is near, and two that coincide.
            centres = np.concatenate([z[seeds], z[:1] + 1e6, z[seeds][:1]])
            np.testing.assert_array_equal(*twins(kmeans.lloyd, z, weight, centres))


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("shape", SHAPES)
def test_labelled_moments_are_the_textbooks(shape, weighted, isa):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((200, 4)) + 1e7
    weight = rng.integers(0, 3, 200).astype(float) if weighted else None
    labels = rng.integers(-1, 4, 200)  # component 4 has no rows
    if weighted:
        x[0], weight[0], labels[0] = 1e200, 0.0, 2
    counts, means, scatter = choose.native_labelled_moments(x, weight, labels, shape, 5)
    share = (labels[:, None] == np.arange(5)) * (1.0 if weight is None else weight[:, None])
    np.testing.assert_allclose(counts, share.sum(axis=0))
    np.testing.assert_allclose(
        means[:4], 1e7 + (share.T @ np.where(x < 1e100, x - 1e7, 0.0))[:4] / counts[:4, None], rtol=1e-15
    )
    np.testing.assert_array_equal(means[4], 0.0)
    expected = portable.weighted_moments(np.where(x < 1e100, x, 0.0), share, shape, means)[2]
    np.testing.assert_allclose(scatter, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())


def test_column_moments_pass_over_rows_without_weight(isa):
    x = np.random.default_rng(0).standard_normal((50, 3))
    weight = np.random.default_rng(1).random(50)
    expected = choose.native_column_moments(x, weight)
    found = choose.native_column_moments(np.insert(x, [0, 7], 1e200, axis=0), np.insert(weight, [0, 7], 0.0))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


# --------------------------------------------------------------------------------------------- arrays


@pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
def test_read_only_and_mapped_rows_are_read(dtype, isa, tmp_path):
    x, weight, shape, *rest = problem("full", 300, 3, 4, weighted=True, dtype=dtype)
    expected = choose.gaussian_moments(x, weight, shape, *rest)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for array in (x, weight, *rest):
        array.flags.writeable = False
    for rows in (x, mapped):
        for one, other in zip(choose.gaussian_moments(rows, weight, shape, *rest), expected, strict=True):
            np.testing.assert_array_equal(one, other)
        assert choose.gaussian_rows(rows, shape, *rest, "labels").shape == (300,)


def arguments_of_moments(**changes):
    x, weight, _, centres, whitening, offsets = problem("full", 20, 3, 4, weighted=True)
    given = dict(isa=ISAS[-1], x=x, weight=weight, shape=0, centres=centres, whitening=whitening, offsets=offsets)
    given.update(counts=np.zeros(4), first=np.zeros((4, 3)), scatter=np.zeros((4, 3, 3)), last=None)
    return {**given, **changes}


BAD_MOMENTS = {
    "an unknown instruction set": dict(isa="mmx"),
    "an unknown shape": dict(shape=4),
    "a negative shape": dict(shape=-1),
    "integer rows": dict(x=np.zeros((20, 3), dtype=np.int64)),
    "rows in Fortran order": dict(x=np.asfortranarray(np.zeros((20, 3)))),
    "every other column": dict(x=np.zeros((20, 6))[:, ::2]),
    "rows without columns": dict(x=np.zeros(60)),
    "too many columns": dict(x=np.zeros((20, 4))),
    "no columns": dict(x=np.zeros((20, 0))),
    "short weights": dict(weight=np.ones(19)),
    "long weights": dict(weight=np.ones(21)),
    "centres of no dimension": dict(centres=np.array(1.0)),
    "centres of one dimension": dict(centres=np.zeros(12)),
    "too few centres": dict(centres=np.zeros((3, 3))),
    "no centres": dict(centres=np.zeros((0, 3))),
    "small factors": dict(whitening=np.zeros((4, 3))),
    "short offsets": dict(offsets=np.zeros(3)),
    "short counts": dict(counts=np.zeros(3)),
    "small first moments": dict(first=np.zeros((4, 2))),
    "small scatter": dict(scatter=np.zeros((4, 3, 2))),
    "single counts": dict(counts=np.zeros(4, dtype=np.float32)),
    "strided scatter": dict(scatter=np.zeros((4, 3, 6))[:, :, ::2]),
    "read-only counts": dict(counts=np.broadcast_to(0.0, 4)),
    "short notes": dict(last=np.full(19, -1, dtype=np.int32)),
    "notes of 64 bits": dict(last=np.full(20, -1)),
    "notes of unknown components": dict(last=np.full(20, 4, dtype=np.int32)),
    "notes for some rows": dict(last=np.array([0] + [-1] * 19, dtype=np.int32)),
    "no rows at all": dict(x=None),
}


@pytest.mark.parametrize("what", BAD_MOMENTS)
def test_arrays_that_do_not_fit_are_refused(what):
    native.moments(**arguments_of_moments())
    with pytest.raises((TypeError, ValueError)):
        native.moments(**arguments_of_moments(**BAD_MOMENTS[what]))


def test_outputs_that_cannot_be_written_are_refused():
    x, _, _, centres, whitening, offsets = problem("diag", 20, 3, 4)
    given = (ISAS[-1], x, 2, centres, whitening, offsets)
    good = [np.zeros((2, 20)), np.zeros((20, 4)), np.zeros(20, dtype=np.int64)]
    native.rows(*given, *good)
    bad = [
        [np.zeros((2, 19)), np.zeros((2, 20), dtype=np.float32), np.zeros((20, 2)).T],
        [np.zeros((20, 3)), np.zeros((20, 4), dtype=np.float32), np.zeros((4, 20)).T],
        [np.zeros(19, dtype=np.int64), np.zeros(20, dtype=np.int32), np.zeros(40, dtype=np.int64)[::2]],
    ]
    for at, arrays in enumerate(bad):
        for array in arrays:
            with pytest.raises((TypeError, ValueError)):
                native.rows(*given, *[array if i == at else None for i in range(3)])


def test_other_functions_refuse_arrays_that_do_not_fit():
    z, ones, labels = np.zeros((9, 2)), np.ones(9), np.zeros(9, dtype=np.int64)
    isa, moments = ISAS[-1], (np.zeros(3), np.zeros((3, 2)), np.zeros((3, 2, 2)))
    calls = [
        (native.seed_rows, z, ones[:8], 2, np.zeros(9), np.zeros(3, dtype=np.int64)),
        (native.seed_rows, z, ones, 2, np.zeros(4), np.zeros(3, dtype=np.int64)),
        (native.seed_rows, z, ones, 0, np.zeros(9), np.zeros(3, dtype=np.int64)),
        (native.seed_rows, z[:0], ones, 2, np.zeros(9), np.zeros(3, dtype=np.int64)),
        (native.seed_rows, z, ones, 2, np.zeros(9), np.zeros(3, dtype=np.int32)),
        (native.lloyd, isa, z, ones[:8], 5, 0.0, np.zeros((3, 2)), labels),
        (native.lloyd, isa, z, ones, 5, 0.0, np.zeros(3), labels),
        (native.lloyd, isa, z, ones, 5, 0.0, np.zeros((0, 2)), labels),
        (native.lloyd, isa, z, ones, 5, 0.0, np.zeros((3, 2)), labels[:8]),
        (native.lloyd, isa, z[:0], ones, 5, 0.0, np.zeros((3, 2)), labels),
        (native.labelled_moments, z, None, labels + 3, 0, *moments),
        (native.labelled_moments, z, None, labels[:8], 0, *moments),
        (native.labelled_moments, z, ones[:8], labels, 0, *moments),
        (native.labelled_moments, z, None, labels, 0, *moments[:2], np.zeros((3, 2))),
        (native.labelled_moments, z, None, labels, 7, *moments),
        (native.column_moments, z, None, np.zeros(1), *np.zeros((3, 2))),
        (native.column_moments, z, ones[:8], *np.zeros((4, 2))),
        (native.row_keys, z, 1, np.zeros(1, dtype=np.uint64), np.zeros(9, dtype=np.uint64)),
        (native.row_keys, z, 1, np.zeros(2, dtype=np.uint64), np.zeros(8, dtype=np.uint64)),
        (native.factors, ISAS[-1], 0, np.zeros((3, 2)), np.zeros(2), np.zeros((3, 2, 2)), np.zeros(3), np.zeros(3)),
        (native.factors, ISAS[-1], 0, np.zeros((3, 2, 2)), np.zeros(2), np.zeros((3, 2)), np.zeros(3), np.zeros(3)),
        (native.factors, ISAS[-1], 4, np.zeros((3, 2, 2)), np.zeros(2), np.zeros((3, 2, 2)), np.zeros(3), np.zeros(3)),
        (native.factors, ISAS[-1], 0, np.zeros((3, 2, 2)), np.zeros(2), np.zeros((3, 2, 2)), np.zeros(3), np.zeros(2)),
        (native.exp_nonpositive, isa, np.zeros(5), np.zeros(4)),
        (native.exp_nonpositive, isa, np.zeros(5), np.zeros(5, dtype=np.float32)),
        (native.exp_nonpositive, "mmx", np.zeros(5), np.zeros(5)),
    ]
    for function, *arguments in calls:
        with pytest.raises((TypeError, ValueError)):
            function(*arguments)


# The parts of a burst, in the order in which they are handed over.
BURST = ("shape", "rule", "ridge", "count", "scatter", "strength", "centre", "ratio", "equal_weights", "n_components")
BURST += ("steps", "from_start", "enough", "leap_after", "records", "trace")


@pytest.mark.parametrize("d", [1, 2, 3, 5, 7, 8, 9, 16])
def test_factors_are_those_of_the_textbook(isa, d):
    rng = np.random.default_rng(d)
    roots = rng.standard_normal((3, d, d)) * 10.0 ** rng.uniform(-2.0, 2.0, (3, d, 1))
    # Variances so small and so large that the product of their roots has no place among the floats.
    covariances = roots @ roots.transpose(0, 2, 1) * np.array([1e-200, 1.0, 1e200])[:, None, None]
    ridge = rng.uniform(0.5, 1.0, d) * np.trace(covariances[1]) / d
    whitening, constants, penalty, failed = choose.native_factors("full", covariances, ridge, 3)
    assert failed == -1
    for k, covariance in enumerate(covariances):
        scale = covariance[0, 0]
        factor = np.linalg.cholesky(covariance / scale) * np.sqrt(scale)
        np.testing.assert_allclose(whitening[k] @ factor, np.eye(d), atol=1e-9)
        assert (np.triu(whitening[k], 1) == 0).all()
        half = np.log(np.diagonal(factor)).sum()
        assert constants[k] == pytest.approx(-0.5 * d * np.log(2 * np.pi) - half, rel=1e-12)
        assert penalty[k] == pytest.approx(0.5 * ((whitening[k] ** 2).sum(axis=0) @ ridge), rel=1e-12)
    (tied, constant, price, _) = choose.native_factors("tied", covariances[1].copy(), ridge, 2)
    np.testing.assert_array_equal(tied, whitening[1])
    assert (constant == constants[1]).all() and (price == penalty[1]).all()


@pytest.mark.parametrize("d", [1, 3, 16])
def test_factors_of_variances_are_those_of_the_textbook(isa, d):
    variances = 10.0 ** np.random.default_rng(d).uniform(-2.0, 2.0, (3, d)) * np.array([[1e-200], [1.0], [1e200]])
    whitening, constants, penalty, failed = choose.native_factors("diag", variances, np.ones(d), 3)
    assert failed == -1
    np.testing.assert_allclose(whitening, variances**-0.5, rtol=1e-14)
    np.testing.assert_allclose(constants, -0.5 * (d * np.log(2 * np.pi) + np.log(variances).sum(axis=1)), rtol=1e-13)
    np.testing.assert_allclose(penalty, 0.5 * (1.0 / variances).sum(axis=1), rtol=1e-13)


@pytest.mark.parametrize("d", [1, 4, 8, 11])
@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_factors_tell_which_matrix_has_none(isa, d, bad):
    covariances = np.stack([np.eye(d)] * 6)
    covariances[3, -1, -1] = covariances[5, 0, 0] = bad
    assert choose.native_factors("full", covariances, np.ones(d), 6)[3] == 3


def take_burst(starts=1, points=5, **changes):
    k, d, steps = 3, 2, 4
    x = np.random.default_rng(0).standard_normal((30, d))
    records = np.zeros((starts, points, 2 * (k + k * d + k * d * d) + 4))
    # Weights, means and covariances of the start; the E-step there is asked for.
    records[:, 0, : k + k * d + k * d * d] = np.r_[np.ones(k), np.arange(k * d), np.tile(np.eye(d).ravel(), k)]
    step = dict(shape=0, rule=13, ridge=np.ones(d), count=1.0, scatter=np.eye(d), strength=0.5, centre=np.zeros(d))
    given = dict(isa=ISAS[-1], x=x, weight=None, **step, ratio=np.inf, equal_weights=False, n_components=k, steps=steps)
    given = {**given, "from_start": True, "enough": 0.0, "leap_after": -1, "records": records, "trace": None, **changes}
    parts = tuple(given[name] for name in BURST)
    flight = native.Flight(given.get("helpers", 0))
    for _ in range(given.get("n", 1)):
        flight.add_bursts(given["isa"], given["x"], given["weight"], parts)
    return flight.take(0, len(flight))


def test_bursts_refuse_arrays_that_do_not_fit():
    assert take_burst() == [(4, -1, 0, 0)] and len(take_burst(n=2)) == 2 and take_burst(n=0) == []
    assert take_burst(helpers=2) == [(4, -1, 0, 0)] and take_burst(starts=3) == [(4, -1, 0, 0)] * 3
    trace = np.zeros((2, 5))
    assert take_burst(starts=2, points=2, trace=trace) == [(4, -1, 0, 0)] * 2
    assert (trace[0] == trace[1]).all() and (np.diff(trace[0]) > 0).all()
    x = np.random.default_rng(0).standard_normal((30, 2)).astype(np.float32)
    assert take_burst(x=x) == [(4, -1, 0, 0)]
    for bad in (
        dict(points=4),
        dict(points=1, trace=trace[:1]),
        dict(points=2, trace=trace[:1], leap_after=1),
        dict(points=2, trace=trace[:1].astype(np.float32)),
    ):
        with pytest.raises((TypeError, ValueError, RuntimeError)):
            take_burst(**bad)
    d, k = 2, 3
    bad = [
        ("ridge", np.ones(d - 1)),
        ("scatter", np.eye(d)[:-1]),
        ("centre", np.zeros(d - 1)),
        ("records", np.zeros(99)),
    ]
    bad += [("steps", 5), ("steps", -1), ("shape", 4), ("shape", -1), ("weight", np.ones(29)), ("rule", 14)]
    bad += [("n_components", k + 1), ("n_components", 0), ("x", np.zeros((30, 2), dtype=np.int64)), ("isa", "mmx")]
    bad += [("x", np.zeros((30, 1))), ("rule", -1), ("rule", 6), ("shape", 2), ("centre", None), ("steps", None)]
    bad += [("records", np.zeros((5, 50), dtype=np.float32)), ("ridge", np.ones(d, dtype=np.float32)), ("count", "1")]
    for name, value in bad:
        with pytest.raises((TypeError, ValueError, RuntimeError)):
            take_burst(**{name: value})
    with pytest.raises((TypeError, ValueError)):
        native.Flight(0).add_bursts(ISAS[-1], np.zeros((3, 2)), None, (0, 13))
    with pytest.raises(IndexError):
        native.Flight(0).take(0, 1)


# The parts of a descent behind the number of components.
DESCENT = ("wanted", "many", "share", "among_many", "n_steps", "params", "passes")


def take_descent(**changes):
    k, d, n = 5, 2, 60
    params = np.r_[np.ones(k) / k, np.arange(k * d, dtype=float), np.tile(np.eye(d).ravel(), k)]
    step = dict(shape=0, rule=13, ridge=np.ones(d), count=0.0, scatter=None, strength=0.0, centre=None)
    given = dict(isa=ISAS[-1], x=np.random.default_rng(0).standard_normal((n, d)), weight=None, **step, ratio=np.inf)
    given |= dict(equal_weights=False, n_components=k, wanted=3, many=1.5, share=0.2, among_many=1, n_steps=2)
    given |= dict(params=params, passes=np.zeros(1)) | changes
    flight = native.Flight(0)
    parts = tuple(given[name] for name in (*BURST[:10], *DESCENT))
    flight.add_descent(given["isa"], given["x"], given["weight"], parts)
    flight.take(0, 1)
    return given["passes"][0]


def test_descents_refuse_what_does_not_fit():
    # One step of five components, then two steps and the responsibilities of four.
    assert take_descent() == pytest.approx((5 + 3 * 4) / 3)
    assert take_descent(wanted=5) == 0.0
    assert take_descent(x=np.random.default_rng(0).standard_normal((60, 2)).astype(np.float32)) > 0.0
    bad = [("wanted", 0), ("wanted", 6), ("among_many", -1), ("n_steps", -1), ("params", np.ones(34)), ("share", "1")]
    bad += [("passes", np.zeros(0)), ("params", np.ones(35, dtype=np.float32)), ("weight", np.ones(59)), ("rule", 14)]
    bad += [("n_components", 6), ("n_components", 0), ("x", np.zeros((30, 1))), ("isa", "mmx"), ("shape", 1)]
    for name, value in bad:
        with pytest.raises((TypeError, ValueError, RuntimeError)):
            take_descent(**{name: value})
    with pytest.raises((TypeError, ValueError, RuntimeError)):
        native.Flight(0).add_descent(ISAS[-1], np.zeros((3, 2)), None, (0, 13))
    # Nothing has a density there.
    flat = np.r_[np.ones(5) / 5, np.arange(10.0), np.zeros(20)]
    assert take_descent(params=flat) == -1.0


# --------------------------------------------------------------------------------------------- threads


def test_other_threads_run_while_a_pass_runs(isa):
    x = np.random.default_rng(0).standard_normal((60_000, 16))
    given = problem("full", 1, 16, 64)[2:]

    def longest_wait():
        """As a part of the pass's time, the longest in which this thread could do nothing."""
        began, ended = threading.Event(), threading.Event()

        def work():
            began.set()
            choose.gaussian_moments(x, None, *given)
            ended.set()

        worker = threading.Thread(target=work)
        worker.start()
        began.wait()
        start = last = time.perf_counter()
        longest = 0.0
        while not ended.is_set():
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
        worker.join()
        return longest / max(last - start, 1e-9)

    # Were the lock held, nothing would happen here until the pass is over, ever; a busy machine may halt one pass.
    assert any(longest_wait() < 0.5 for _ in range(10))


@pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_threads_change_no_bit(shape, dtype, isa, threads):
    for d in (3, 11):
        x = table(1, 1500, d, 4).astype(dtype)
        model = mixture(4, d, shape, 1e-3)
        start = start_from(model, x, np.arange(len(x)) % 4)
        source = ArraySource(x, block_rows=190, single=True)
        found = []
        for n in (1, 2, 3):
            threads(n)
            found.append(run(EM(model, model.burst), source, start, NeverStop(), Limits(max_iter=4)))
        for other in found[1:]:
            assert other.trace == found[0].trace
            for name, value in found[0].params.values.items():
                np.testing.assert_array_equal(other.params[name], value)


def pairs(objectives):
    return zip(objectives, [-np.inf, *objectives[:-1]], strict=True)


@pytest.mark.parametrize("enough", [1e-8, 1e-4, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_burst_that_has_enough_is_the_beginning_of_a_longer_one(shape, enough):
    x = table(0, 200, 2, 3, spread=2.0)
    model = mixture(3, 2, shape)
    start, block = start_from(model, x, np.arange(200) % 3), ArraySource(x).block(0)
    whole = model.burst(start, None, block, 400)
    short = model.burst(start, None, block, 400, enough)
    n = len(short.objectives)
    assert n < len(whole.objectives) and short.objectives == whole.objectives[:n] and not short.failure
    # It ends at the point where the rule that the loop asks does.
    rule = AitkenRule(1.0, tol=enough)
    stops = [rule.update(Info(i, v, v - b)) for i, (v, b) in enumerate(pairs(whole.objectives))]
    assert next(i for i, status in enumerate(stops) if status is not None) == n - 1
    # From moments in the middle, the gain that led there is not told, and the rule takes two more to be sure.
    params, statistics = whole.point(n // 2)
    later = model.burst(params, statistics, block, 400, enough)
    assert n - n // 2 - 1 <= len(later.objectives) <= max(n - n // 2 + 1, 4)
