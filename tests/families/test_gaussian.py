"""Gaussian components: one EM step against 50 digits, the laws of their statistics, and what counts as a fault."""

import mpmath as mp
import numpy as np
import pytest
from mixtures import SHAPES, fixed_em, mixture, table

from jensen.core.block import Block
from jensen.data.arrays import ArraySource
from jensen.errors import InputError, NumericalFailure
from jensen.families.gaussian import Gaussian
from jensen.families.moments import GaussianStatistics
from jensen.families.shapes import covariance_shape

RIDGES = {"plain": [0.0, 0.0], "ridge": [0.05, 0.3]}
WEIGHTS = {"unweighted": None, "weighted": np.array([1.0, 0.0, 2.5, 0.1, 3.0, 1.0, 0.7, 2.0])}


def model_and_start(shape, ridge):
    """A mixture of two components in two dimensions, and lopsided parameters for it."""
    model = mixture(2, 2, shape)
    model = type(model)(Gaussian(2, 2, shape, np.array(ridge)))
    full = np.array([[[1.0, 0.4], [0.4, 2.0]], [[0.5, -0.1], [-0.1, 0.3]]])
    covariances = {
        "full": full,
        "tied": full[0],
        "diag": np.diagonal(full, axis1=1, axis2=2),
        "spherical": np.array([0.8, 0.4]),
    }[shape]
    return model, model.parameters(weights=[0.3, 0.7], means=[[0.0, 1.0], [2.0, -1.0]], covariances=covariances)


def oracle(shape, ridge, params, x, weight):
    """One EM step in 50 digits by textbook formulas: inverses, determinants and raw second moments."""
    with mp.workdps(50):
        n, d = x.shape
        x, r = mp.matrix(x.tolist()), mp.diag(ridge)
        w = [mp.mpf(v) for v in (np.ones(n) if weight is None else weight)]
        sigma = params["covariances"]
        if shape == "tied":
            stack = [mp.matrix(sigma.tolist())] * 2
        elif shape == "spherical":
            stack = [mp.eye(d) * float(v) for v in sigma]
            r = mp.eye(d) * (sum(map(mp.mpf, ridge)) / d)
        else:
            stack = [mp.matrix(s.tolist()) if shape == "full" else mp.diag(s.tolist()) for s in sigma]
        objective, joint = mp.mpf(0), []
        for i in range(n):
            terms = []
            for k, cov in enumerate(stack):
                step = x[i, :].T - mp.matrix(params["means"][k].tolist())
                inverse = cov**-1
                distance = (step.T * inverse * step)[0] + sum((r * inverse)[j, j] for j in range(d))
                density = mp.exp(-distance / 2) / mp.sqrt((2 * mp.pi) ** d * mp.det(cov))
                terms.append(mp.mpf(float(params["weights"][k])) * density)
            objective += w[i] * mp.log(sum(terms))
            joint.append([t / sum(terms) * w[i] for t in terms])
        counts = [sum(row[k] for row in joint) for k in range(2)]
        means = [sum((joint[i][k] * x[i, :] for i in range(n)), mp.zeros(1, d)) / counts[k] for k in range(2)]
        scatter = [
            sum((joint[i][k] * x[i, :].T * x[i, :] for i in range(n)), mp.zeros(d)) - counts[k] * means[k].T * means[k]
            for k in range(2)
        ]
        if shape == "tied":
            covariances = [(scatter[0] + scatter[1]) / sum(counts) + r]
        else:
            covariances = [scatter[k] / counts[k] + r for k in range(2)]
        covariances = np.array([[[float(c[i, j]) for j in range(d)] for i in range(d)] for c in covariances])
        diagonal = np.diagonal(covariances, axis1=1, axis2=2)
        layout = {"full": covariances, "tied": covariances[0], "diag": diagonal, "spherical": diagonal.mean(axis=1)}
        weights = np.array([float(c / sum(counts)) for c in counts])
        return float(objective), weights, np.array([[float(v) for v in m] for m in means]), layout[shape]


@pytest.mark.parametrize("ridge", RIDGES.values(), ids=RIDGES)
@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_one_step_has_the_first_12_of_50_digits(shape, weight, ridge):
    x = table(1, 8, 2, 2, spread=1.0)
    model, start = model_and_start(shape, ridge)
    result = fixed_em(model, ArraySource(x, weight), start, 1)
    objective, weights, means, covariances = oracle(shape, ridge, start, x, weight)
    assert result.trace[0] == pytest.approx(objective, rel=1e-12)
    np.testing.assert_allclose(result.params["weights"], weights, rtol=1e-12)
    np.testing.assert_allclose(result.params["means"], means, rtol=1e-12)
    np.testing.assert_allclose(result.params["covariances"], covariances, rtol=1e-12)
    assert result.trace[1] == pytest.approx(oracle(shape, ridge, result.params, x, weight)[0], rel=1e-12)


# --------------------------------------------------------------------------------------------- statistics


def statistics(shape, x, responsibilities, shift):
    family = Gaussian(2, x.shape[1], shape, np.zeros(x.shape[1]))
    model, params = model_and_start(shape, [0.0, 0.0])
    return family.statistics(params.replace(means=shift), Block({"x": x}), responsibilities)


def assert_same(one, other, rtol=1e-12):
    for name in ("counts", "first", "scatter", "shift"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=rtol, atol=rtol, err_msg=name)


@pytest.mark.parametrize("shape", SHAPES)
def test_parts_about_any_shift_merge_to_the_whole(shape):
    rng = np.random.default_rng(0)
    x, r = rng.standard_normal((20, 2)), rng.random((20, 2))
    here, there = rng.standard_normal((2, 2, 2))
    whole = statistics(shape, x, r, here)
    assert_same(whole.about(there), statistics(shape, x, r, there))
    assert_same(whole.about(there).about(here), whole)
    parts = [statistics(shape, x[s], r[s], at) for s, at in [(slice(7), here), (slice(7, 9), there)]]
    last = statistics(shape, x[9:], r[9:], there)
    assert_same(parts[0].merge(parts[1]).merge(last), whole)
    assert_same(parts[0].merge(parts[1].merge(last)), whole)
    nothing = statistics(shape, x[:0], r[:0], there)
    assert_same(whole.merge(nothing), whole)
    assert_same(nothing.merge(whole), whole.about(there))


@pytest.mark.parametrize("shape", SHAPES)
def test_scatter_is_about_the_mean_and_survives_a_far_origin(shape):
    rng = np.random.default_rng(0)
    x, r = rng.standard_normal((20, 2)), rng.random((20, 2))
    centre = np.full((2, 2), 2.0**26)
    means, scatter = statistics(shape, x + 2.0**26, r, centre).centred()
    near_means, near_scatter = statistics(shape, (x + 2.0**26) - 2.0**26, r, np.zeros((2, 2))).centred()
    np.testing.assert_allclose(means - centre, near_means, atol=1e-7)
    np.testing.assert_allclose(scatter, near_scatter, rtol=1e-12)


def test_a_component_without_rows_keeps_its_parameters():
    for shape in SHAPES:
        model, start = model_and_start(shape, [0.0, 0.0])
        x = np.random.default_rng(0).standard_normal((9, 2))
        share = np.column_stack([np.ones(9), np.zeros(9)])
        found = model.family.maximize(start, model.family.statistics(start, Block({"x": x}), share))
        np.testing.assert_array_equal(found["means"][1], start["means"][1])
        if shape != "tied":
            np.testing.assert_array_equal(found["covariances"][1], start["covariances"][1])


# --------------------------------------------------------------------------------------------- the rest


def test_names():
    names = {"VVV": "full", "EEE": "tied", "VVI": "diag", "VII": "spherical"}
    for mclust, shape in names.items():
        assert covariance_shape(mclust).label == covariance_shape(shape).label == shape
    for wrong in ("vvv", "round", None, 3):
        with pytest.raises(InputError, match="covariance_type must be one of full, tied, diag, spherical"):
            covariance_shape(wrong)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_singular_covariance_is_a_numerical_failure_that_names_it(shape):
    model, start = model_and_start(shape, [0.0, 0.0])
    singular = start["covariances"].copy()
    singular[-1] = 0.0
    with pytest.raises(NumericalFailure, match="not positive definite"):
        model.expect(start.replace(covariances=singular), Block({"x": np.zeros((3, 2))}))


@pytest.mark.parametrize("shape", SHAPES)
def test_samples_have_the_moments(shape):
    model, params = model_and_start(shape, [0.0, 0.0])
    rows = model.family.sample(params, 1, 20_000, np.random.default_rng(0))
    np.testing.assert_allclose(rows.mean(axis=0), params["means"][1], atol=0.03)
    expected = {
        "full": params["covariances"][-1],
        "tied": params["covariances"],
        "diag": np.diag(np.atleast_1d(params["covariances"][-1])),
        "spherical": np.eye(2) * params["covariances"][-1],
    }
    if shape == "tied":
        expected["full"] = params["covariances"]
    np.testing.assert_allclose(np.cov(rows.T), expected[shape], atol=0.05)


def test_faults_name_starved_and_nearly_singular_components():
    ridge = np.array([1e-3, 1e-3])

    def counted(counts):
        return GaussianStatistics(np.array(counts), np.zeros((2, 2)), np.zeros((2, 2, 2)), np.zeros((2, 2)), "full")

    for shape in SHAPES:
        model, params = model_and_start(shape, ridge)
        assert model.family.faults(params, counted([3.0, 5.0])) == ()
        # What all components share, all rows estimate.
        count, least = (1.9, "2") if shape == "tied" else (2.9, "d + 1 = 3")
        (starved,) = model.family.faults(params, counted([count, 5.0]))
        assert f"component 0 rests on {count} effective rows, fewer than {least}" in starved
        (hardly,) = model.family.faults(params, counted([np.ceil(count) - 1e-9, 5.0]))
        assert "rests on just under" in hardly
        thin = params["covariances"].copy()
        if shape == "tied":
            thin[-1] = thin[:, -1] = 5e-3 * np.eye(2)[-1]
        else:
            thin[-1] = 5e-3 * (np.eye(2) if shape == "full" else 1.0)
        (singular,) = model.family.faults(params.replace(covariances=thin), counted([9.0, 9.0]))
        assert "nearly singular: an eigenvalue is only 5 times its floor" in singular
    # A constant column sits at its floor in every fit, which is no fault.
    model, params = model_and_start("diag", ridge)
    flat = params.replace(covariances=[[1.0, 1e-3], [1.0, 1e-3]])
    blind = Gaussian(2, 2, "diag", ridge, np.where([True, False], ridge, 0.0))
    assert len(model.family.faults(flat, counted([9.0, 9.0]))) == 2
    assert blind.faults(flat, counted([9.0, 9.0])) == ()


def test_statistics_are_a_value():
    one = GaussianStatistics(np.zeros(1), np.zeros((1, 2)), np.zeros(1), np.zeros((1, 2)), "spherical")
    with pytest.raises(AttributeError):
        one.counts = np.ones(1)
