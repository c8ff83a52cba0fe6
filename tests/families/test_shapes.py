"""Each M-step of a covariance shape is the maximum within its shape, and what follows from that."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.optimize import minimize

from jensen.errors import InputError, NumericalFailure
from jensen.families.mstep import covariances_about
from jensen.families.shapes import (
    ALIASES,
    SHAPES,
    complete_objective,
    contains,
    covariance_shape,
    maximize_shape,
    n_covariance_parameters,
)
from jensen.families.shapes.axes import common_axes

COMMON_AXES = ("EVE", "VVE")
NAMES = list(SHAPES)


def problem(seed, d, n_components, spread=1.0):
    """Counts and scatters of components that differ in volume, shape and orientation."""
    rng = np.random.default_rng([seed, d, n_components])
    counts = rng.uniform(5.0, 60.0, n_components)
    roots = rng.standard_normal((n_components, d, d)) + 2.0 * np.eye(d)
    roots *= np.exp(spread * rng.standard_normal((n_components, 1, d)))
    return counts, counts[:, None, None] * (roots @ np.swapaxes(roots, 1, 2))


def blank(name, d, n_components):
    """Unknowns of a shape by letter, (number of blocks, size of a block) for volume, shape and orientation."""
    blocks = {"I": 0, "E": 1, "V": n_components}
    return [(blocks[letter], size) for letter, size in zip(name, (1, d - 1, d * (d - 1) // 2), strict=True)]


def covariances_at(name, free, d, n_components, around=None):
    """Covariances of a shape from its free numbers, the identity at zero or those `around` (eigenvalues, axes)."""
    logs, axes = np.zeros((n_components, d)), np.broadcast_to(np.eye(d), (n_components, d, d))
    if around is not None:
        logs, axes = np.log(around[0]), around[1]
    parts, at = [], 0
    for blocks, size in blank(name, d, n_components):
        part = free[at : at + blocks * size].reshape(blocks, size) if blocks else np.zeros((1, size))
        parts.append(np.broadcast_to(part, (n_components, size)))
        at += blocks * size
    assert at == len(free)
    volume, shape, turn = parts
    logs = logs + volume + np.concatenate([shape, -shape.sum(axis=1, keepdims=True)], axis=1)
    skew = np.zeros((n_components, d, d))
    skew[:, *np.triu_indices(d, 1)] = turn
    axes = axes @ np.stack([expm(one - one.T) for one in skew])
    return (axes * np.exp(logs)[:, None, :]) @ np.swapaxes(axes, 1, 2)


def taken_apart(name, covariances):
    """Eigenvalues (K, d) and axes (K, d, d) of covariances of a shape, common axes where it has them."""
    d = covariances.shape[-1]
    if name[2] == "V":
        return np.linalg.eigh(covariances)
    axes = common_axes(covariances) if name[2] == "E" else np.eye(d)
    within = axes.T @ covariances @ axes
    values = np.diagonal(within, axis1=1, axis2=2)
    np.testing.assert_allclose(within, values[:, :, None] * np.eye(d), atol=1e-9 * np.abs(within).max())
    return values, np.broadcast_to(axes, covariances.shape)


def assert_has_shape(name, covariances):
    values, _ = taken_apart(name, covariances)
    volumes = np.exp(np.log(values).mean(axis=1, keepdims=True))
    shapes = values / volumes
    if name[0] == "E":
        np.testing.assert_allclose(volumes, np.broadcast_to(volumes[0], volumes.shape), rtol=1e-9)
    if name[1] == "E":
        np.testing.assert_allclose(shapes, np.broadcast_to(shapes[0], shapes.shape), rtol=1e-8)
    if name[1] == "I":
        np.testing.assert_allclose(shapes, 1.0, rtol=1e-9)


@pytest.mark.parametrize(("d", "n_components"), [(2, 2), (2, 3), (3, 2), (3, 3), (6, 4)])
@pytest.mark.parametrize("name", NAMES)
def test_no_change_within_the_shape_is_better(name, d, n_components):
    counts, scatter = problem(0, d, n_components)
    found = maximize_shape(name, counts, scatter)
    assert_has_shape(name, found)
    best = complete_objective(counts, scatter, found)
    around = taken_apart(name, found)
    rng = np.random.default_rng(1)
    size = n_covariance_parameters(name, d, n_components)
    for length in (1e-4, 1e-2, 0.3):
        for _ in range(8):
            step = length * rng.standard_normal(size)
            for free in (step, -step):
                there = covariances_at(name, free, d, n_components, around)
                assert complete_objective(counts, scatter, there) <= best + 1e-11 * abs(best)


@pytest.mark.parametrize("n_components", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_a_general_optimiser_finds_nothing_better_and_the_same(name, n_components):
    counts, scatter = problem(3, 2, n_components)
    ours = complete_objective(counts, scatter, maximize_shape(name, counts, scatter))
    rng = np.random.default_rng(2)
    theirs = -np.inf
    for _ in range(6):
        start = rng.standard_normal(n_covariance_parameters(name, 2, n_components))
        done = minimize(
            lambda free: -complete_objective(counts, scatter, covariances_at(name, free, 2, n_components)), start
        )
        theirs = max(theirs, -done.fun)
        if abs(theirs - ours) < 1e-5:
            break
    assert ours >= theirs - 1e-8
    assert ours == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("seed", [0, 1, 2, 16, 38])
@pytest.mark.parametrize(("d", "n_components"), [(2, 2), (2, 3), (3, 2), (3, 3), (4, 3), (5, 4)])
@pytest.mark.parametrize("name", COMMON_AXES)
def test_no_other_axes_lead_higher(name, d, n_components, seed):
    counts, scatter = problem(seed, d, n_components)
    best = complete_objective(counts, scatter, maximize_shape(name, counts, scatter))
    rng = np.random.default_rng(seed)
    for _ in range(5):
        axes = np.linalg.qr(rng.standard_normal((d, d)))[0]
        previous = (axes * rng.uniform(0.5, 2.0, (n_components, 1, d))) @ axes.T
        found = complete_objective(counts, scatter, maximize_shape(name, counts, scatter, previous))
        assert found >= complete_objective(counts, scatter, previous)
        assert found <= best + 1e-8


@pytest.mark.parametrize("name", COMMON_AXES)
def test_in_two_dimensions_no_angle_is_better(name):
    angles = np.linspace(0.0, np.pi / 2, 20_000)
    columns = np.array([[np.cos(angles), np.sin(angles)], [-np.sin(angles), np.cos(angles)]])
    for seed, spread in itertools.product(range(10), (0.3, 1.0, 3.0)):
        counts, scatter = problem(seed, 2, 2 + seed % 4, spread)
        logs = np.log(np.einsum("ija,kjl,ila->kia", columns, scatter, columns, optimize=True)).sum(axis=1)
        if name == "EVE":
            over = 2.0 * counts.sum() * np.log(np.exp(logs / 2).sum(axis=0) / counts.sum())
        else:
            over = counts @ (logs - 2.0 * np.log(counts)[:, None])
        best = -0.5 * (over.min() + 2.0 * counts.sum())
        ours = complete_objective(counts, scatter, maximize_shape(name, counts, scatter))
        assert ours >= best - 1e-9 * abs(best)
        assert ours == pytest.approx(best, abs=0.1)


@pytest.mark.parametrize("name", COMMON_AXES)
def test_common_axes_that_exist_are_found_and_a_ridge_between_valleys_is_left(name):
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    counts, values = rng.uniform(1.0, 9.0, 4), rng.uniform(0.1, 10.0, (4, 5))
    scatter = (axes * values[:, None, :]) @ axes.T
    found = axes.T @ maximize_shape(name, counts, scatter) @ axes
    np.testing.assert_allclose(found, np.diagonal(found, axis1=1, axis2=2)[:, :, None] * np.eye(5), atol=1e-9)
    # Halfway between the axes of two components nothing pulls to either side.
    counts, scatter = np.ones(2), np.array([[[4.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 4.0]]])
    half = np.array([[1.0, 1.0], [-1.0, 1.0]]) / np.sqrt(2)
    previous = (half * np.array([1.0, 2.0])) @ half.T
    found = maximize_shape(name, counts, scatter, np.stack([previous, previous]))
    np.testing.assert_allclose(found, scatter, atol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_the_maximum_is_a_fixed_point_and_scatter_of_the_shape_is_met_exactly(name):
    counts, scatter = problem(5, 4, 3)
    found = maximize_shape(name, counts, scatter)
    again = maximize_shape(name, counts, counts[:, None, None] * found)
    np.testing.assert_allclose(again, found, rtol=1e-9, atol=1e-10 * np.abs(found).max())
    np.testing.assert_allclose(
        maximize_shape(name, counts, scatter, found), found, rtol=1e-9, atol=1e-10 * np.abs(found).max()
    )


@given(
    name=st.sampled_from(NAMES),
    d=st.integers(1, 5),
    n_components=st.integers(1, 4),
    seed=st.integers(0, 2**20),
    spread=st.sampled_from([0.1, 1.0, 3.0]),
)
@settings(max_examples=200)
def test_no_step_falls(name, d, n_components, seed, spread):
    previous = maximize_shape(name, *problem(seed + 1, d, n_components, spread))
    counts, scatter = problem(seed, d, n_components, spread)
    found = maximize_shape(name, counts, scatter, previous)
    assert_has_shape(name, found)
    before, after = (complete_objective(counts, scatter, at) for at in (previous, found))
    assert after >= before - 1e-12 * abs(before)


# --------------------------------------------------------------------------------------------- nesting, names


@pytest.mark.parametrize("seed", range(4))
def test_more_freedom_is_never_worse(seed):
    d, n_components = 2 + seed, 4 - seed % 2
    counts, scatter = problem(seed, d, n_components)
    found = {name: maximize_shape(name, counts, scatter) for name in NAMES}
    for wide, narrow in itertools.permutations(NAMES, 2):
        if contains(wide, narrow):
            at = found[wide] if wide not in COMMON_AXES else maximize_shape(wide, counts, scatter, found[narrow])
            lower = complete_objective(counts, scatter, found[narrow])
            assert complete_objective(counts, scatter, at) >= lower - 1e-8, (wide, narrow)


def test_which_contains_which():
    assert all(contains("VVV", name) and contains(name, "EII") and contains(name, name) for name in NAMES)
    assert contains("VVI", "VEI") and contains("EVE", "EVI") and contains("full", "tied") and contains("V", "E")
    assert not contains("EVV", "VII") and not contains("VEV", "EVI") and not contains("VVI", "EEE")
    for wide, narrow in itertools.permutations(NAMES, 2):
        if contains(wide, narrow):
            assert n_covariance_parameters(wide, 3, 4) > n_covariance_parameters(narrow, 3, 4)


def test_names():
    assert ALIASES == {"full": "VVV", "tied": "EEE", "diag": "VVI", "spherical": "VII"}
    assert covariance_shape("E", 1).name == "EII" and covariance_shape("V", 1).name == "VII"
    with pytest.raises(InputError, match="or of mclust's EII, VII.*got 'EVF'"):
        covariance_shape("EVF")
    with pytest.raises(InputError, match="for one column and there are 2"):
        maximize_shape("V", *problem(0, 2, 2))


@pytest.mark.parametrize("name", ["E", "V", *NAMES])
def test_one_dimension_has_a_volume_and_nothing_else(name):
    counts, scatter = problem(0, 1, 3)
    expected = np.full_like(scatter, scatter.sum() / counts.sum())
    if name[0] == "V":
        expected = scatter / counts[:, None, None]
    np.testing.assert_allclose(maximize_shape(name, counts, scatter), expected, rtol=1e-12)
    assert n_covariance_parameters(name, 1, 3) == (1 if name[0] == "E" else 3)


@pytest.mark.parametrize("name", NAMES)
def test_one_component_is_as_free_as_its_letters(name):
    counts, scatter = problem(0, 3, 1)
    expected = scatter / counts[0]
    if name[2] == "I":
        expected = np.diag(np.diagonal(expected[0]))[None]
    if name[1] == "I":
        expected = np.eye(3)[None] * np.trace(expected[0]) / 3
    np.testing.assert_allclose(maximize_shape(name, counts, scatter), expected, rtol=1e-9, atol=1e-12)


# --------------------------------------------------------------------------------------------- at the edges


@pytest.mark.parametrize("alias", ALIASES)
def test_a_ridge_on_the_scatter_is_that_of_the_gaussian_family(alias):
    counts, scatter = problem(0, 3, 4)
    ridge = np.array([0.1, 2.0, 0.5])
    diagonals = np.diagonal(scatter, axis1=1, axis2=2)
    layout = {"full": scatter, "tied": scatter.sum(axis=0), "diag": diagonals, "spherical": diagonals.sum(axis=1)}
    theirs = covariances_about(covariance_shape(alias), counts, layout[alias], ridge, layout[alias])
    if alias == "spherical":
        theirs = theirs[:, None] * np.ones(3)
    if alias in ("diag", "spherical"):
        theirs = theirs[:, :, None] * np.eye(3)
    ours = maximize_shape(alias, counts, scatter + counts[:, None, None] * np.diag(ridge))
    np.testing.assert_allclose(ours, np.broadcast_to(theirs, ours.shape), rtol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_a_component_without_rows_keeps_its_covariance_or_takes_that_of_the_largest(name):
    counts, scatter = problem(0, 3, 4)
    previous = maximize_shape(name, *problem(1, 3, 4))
    counts[2], scatter[2] = 0.0, 0.0
    found = maximize_shape(name, counts, scatter, previous)
    assert_has_shape(name, found)
    others = [0, 1, 3]
    alone = maximize_shape(name, counts[others], scatter[others], previous[others])
    np.testing.assert_allclose(found[others], alone, rtol=1e-12)
    free = name in ("VVV", "VVI", "VII")
    np.testing.assert_array_equal(found[2], previous[2] if free else found[np.argmax(counts)])
    with pytest.raises(InputError, match=r"component \[2\] are 0"):
        maximize_shape(name, counts, scatter)
    np.testing.assert_array_equal(maximize_shape(name, np.zeros(4), np.zeros((4, 3, 3)), previous), previous)


@pytest.mark.parametrize("ridge", [1e-2, 1e-6])
@pytest.mark.parametrize("name", NAMES)
def test_too_few_rows_for_a_covariance_and_a_ridge(name, ridge):
    rng = np.random.default_rng(0)
    counts, roots = np.array([2.0, 1.0, 30.0]), rng.standard_normal((3, 4, 30))
    roots[0, :, 2:], roots[1, :, :] = 0.0, 0.0
    scatter = roots @ np.swapaxes(roots, 1, 2) + counts[:, None, None] * ridge * np.eye(4)
    found = maximize_shape(name, counts, scatter)
    best = complete_objective(counts, scatter, found)
    assert np.isfinite(best)
    assert_has_shape(name, found)
    again = complete_objective(counts, scatter, maximize_shape(name, counts, scatter, found))
    assert again >= best - 1e-9 * abs(best)


@pytest.mark.parametrize("name", ["VEI", "EVI", "VEE", "EVE", "VVE", "VEV", "EVV"])
def test_a_likelihood_without_bound_is_a_numerical_failure(name):
    counts, scatter = problem(0, 2, 3)
    scatter[1] = 0.0
    with pytest.raises(NumericalFailure, match=r"component \[1\] is not positive definite"):
        maximize_shape(name, counts, scatter)
    if name in ("VEI", "VEE", "VEV"):
        with pytest.raises(NumericalFailure, match="common to all components"):
            maximize_shape(name, counts, np.broadcast_to(np.diag([1.0, 0.0]), (3, 2, 2)))
