"""The laws of EM hold for every covariance shape, with priors, constraints and equal weights too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import fit, fixed_em, start_from, table

from jensen import ConjugatePrior
from jensen.data.arrays import ArraySource
from jensen.families.shapes import SHAPES
from jensen.families.shapes.ratio import WITH_RATIO
from jensen.fit.mixture import mixture_of
from jensen.fit.result import full_covariances
from jensen.fit.settings import MixtureSettings
from jensen.fit.summary import summarise

NAMES = list(SHAPES)
ASKED = {
    "plain": {"reg_covar": 0.0},
    "ridge": {"reg_covar": 0.3},
    "prior": {"reg_covar": 0.0, "prior": ConjugatePrior()},
    "both": {"reg_covar": 0.2, "prior": ConjugatePrior(shrinkage=3.0, dof=9.0)},
    "equal": {"reg_covar": 0.0, "equal_weights": True},
    "ratio": {"reg_covar": 0.0, "eigenvalue_ratio": 4.0},
}
AFFINE = {"EEE", "VEE", "EVV", "VVV"}
TURNING = {"EII", "VII", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"}
COLUMNS = {"EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVV", "VVV"}


def model_of(name, x, n_components, weight=None, **asked):
    source = ArraySource(x, weight)
    return mixture_of(MixtureSettings(n_components, name, **asked), source, summarise(source, 0))


def some_labels(n, n_components, seed):
    return np.random.default_rng(seed).permutation(np.arange(n) % n_components)


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("name", NAMES)
@given(st.integers(0, 10**6))
@settings(max_examples=4, deadline=None)
def test_the_objective_never_falls_and_is_that_of_the_parameters(name, asked, seed):
    if asked == "ratio" and name not in WITH_RATIO:
        return
    rng = np.random.default_rng(seed)
    n_components, d = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    x = table(seed % 1000, 30 * n_components + 10 * d, d, n_components, spread=float(rng.choice([0.5, 1.0, 3.0])))
    model = model_of(name, x, n_components, **ASKED[asked])
    result = fixed_em(model, x, start_from(model, x, some_labels(len(x), n_components, seed)), 25)
    trace = np.array(result.trace)
    assert np.diff(trace).min() >= -1e-11 * np.abs(trace).max()
    params = result.params
    params.check()
    again = model.objective(params, ArraySource(x).fold(model.expect, params))
    assert again == pytest.approx(result.objective, rel=1e-13)
    if asked == "equal":
        assert set(params["weights"]) == {1.0 / n_components}
    if asked == "ratio":
        values = np.linalg.eigvalsh(full_covariances(model.family.layout, params))
        assert values.max() <= 4.0 * values.min() * (1 + 1e-12)


@pytest.mark.parametrize("asked", ["plain", "both"])
@pytest.mark.parametrize("name", NAMES)
def test_an_m_step_is_a_maximum(name, asked):
    """No point nearby, in the shape's own free coordinates, has a higher expected objective; the slope there is 0."""
    x = table(3, 90, 3, 3, spread=1.0)
    model = model_of(name, x, 3, **ASKED[asked])
    params = start_from(model, x, some_labels(90, 3, 0))
    statistics = ArraySource(x).fold(model.expect, params)
    best = model.maximize(params, statistics)
    peak, free = model.complete(best, statistics), best.to_free()
    rng = np.random.default_rng(1)
    for size in (1e-1, 1e-2, 1e-3):
        for _ in range(20):
            step = size * rng.standard_normal(free.size)
            assert model.complete(best.from_free(free + step), statistics) < peak
    slope = [
        (model.complete(best.from_free(free + h), statistics) - model.complete(best.from_free(free - h), statistics))
        / 2e-5
        for h in 1e-5 * np.eye(free.size)
    ]
    np.testing.assert_allclose(slope, 0.0, atol=2e-5 * len(x))


@pytest.mark.parametrize("name", NAMES)
def test_weight_is_repetition_and_zero_is_none(name):
    x = table(5, 60, 2, 2, spread=2.0)
    weight = np.random.default_rng(0).integers(0, 4, 60).astype(float)
    labels = some_labels(60, 2, 1)
    times = weight.astype(int)
    asked = {"reg_covar": 0.1, "prior": ConjugatePrior()}
    weighted, repeated = (
        model_of(name, x, 2, weight, **asked),
        model_of(name, np.repeat(x, times, axis=0), 2, **asked),
    )
    one = fixed_em(weighted, ArraySource(x, weight), start_from(weighted, x, labels, weight), 15)
    rows = np.repeat(x, times, axis=0)
    other = fixed_em(repeated, rows, start_from(repeated, rows, np.repeat(labels, times)), 15)
    assert one.objective == pytest.approx(other.objective, rel=1e-10)
    np.testing.assert_allclose(one.params["covariances"], other.params["covariances"], rtol=1e-8, atol=1e-9)


def changed(kind, x):
    """The data under a change that some shapes do not notice, and log|det| of it."""
    rng, d = np.random.default_rng(2), x.shape[1]
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    matrix = {
        "affine": rng.standard_normal((d, d)) + 2.0 * rotation,
        "turned": 7.0 * rotation,
        "columns": np.diag(10.0 ** rng.uniform(-3, 3, d)),
        "permuted": np.eye(d)[rng.permutation(d)],
    }[kind]
    return x @ matrix.T + 100.0 * rng.standard_normal(d), np.linalg.slogdet(matrix)[1]


CHANGES = [
    (kind, name)
    for kind, names in (("affine", AFFINE), ("turned", TURNING), ("columns", COLUMNS), ("permuted", set(NAMES)))
    for name in NAMES
    if name in names
]


@pytest.mark.parametrize(("kind", "name"), CHANGES)
def test_equivariance_from_the_same_start(kind, name):
    x = table(7, 150, 3, 3, spread=1.5)
    labels = some_labels(150, 3, 4)
    y, size = changed(kind, x)
    runs = []
    for rows in (x, y):
        model = model_of(name, rows, 3, reg_covar=0.0)
        runs.append(fixed_em(model, rows, start_from(model, rows, labels), 30))
    one, other = runs
    assert other.objective + len(x) * size == pytest.approx(one.objective, rel=1e-8)
    np.testing.assert_allclose(other.params["weights"], one.params["weights"], rtol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_components_may_be_permuted_and_threads_change_no_bit(name, threads):
    x = table(9, 400, 2, 3, spread=1.0)
    model = model_of(name, x, 3, reg_covar=0.0)
    labels, order = some_labels(400, 3, 0), np.array([2, 0, 1])
    source = ArraySource(x, block_rows=64)
    start = start_from(model, x, labels)
    one = fixed_em(model, source, start, 20)
    other = fixed_em(model, x, start_from(model, x, order[labels]), 20)
    assert other.objective == pytest.approx(one.objective, rel=1e-11)
    np.testing.assert_allclose(other.params["means"][order], one.params["means"], rtol=1e-7)
    threads(1)
    one = fixed_em(model, source, start, 20)
    threads(4)
    again = fixed_em(model, source, start, 20)
    for key, value in one.params.values.items():
        np.testing.assert_array_equal(again.params[key], value)


@pytest.mark.parametrize("asked", ["plain", "prior", "equal"])
@pytest.mark.parametrize("name", NAMES)
def test_a_search_ends_in_a_sound_fit_of_the_shape(name, asked):
    x = table(11, 200, 2, 3, spread=4.0)
    found = fit(x, 3, covariance_type=name, n_init="auto", seed=0, **ASKED[asked])
    assert found.is_sound and found.status.is_converged
    found.params.check()
    single = fit(x, 3, covariance_type=name, n_init=3, seed=0, **ASKED[asked])
    assert found.objective >= single.objective - 1e-2
