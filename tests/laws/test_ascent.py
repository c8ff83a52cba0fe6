"""The penalised objective never falls, whatever the data, the shape and the start."""

import numpy as np
import pytest
from hypothesis import given, settings
from mixtures import SHAPES, fit, mixture, problems

from jensen import datasets
from jensen.core.status import Status
from jensen.data.arrays import ArraySource


def largest_fall(trace):
    """The largest fall of a trace, as a share of its objective."""
    trace = np.asarray(trace)
    return max(0.0, float((-np.diff(trace) / np.maximum(np.abs(trace[1:]), 1.0)).max(initial=0.0)))


def worst_condition(result):
    """The largest condition number of the correlation matrices."""
    matrices = result.covariance_matrices()
    unit = 1.0 / np.sqrt(np.diagonal(matrices, axis1=1, axis2=2))
    return np.linalg.cond(matrices * unit[:, :, None] * unit[:, None, :]).max()


@given(problems())
@settings(max_examples=400)
def test_no_trace_falls(problem):
    x, weight, n_components, shape, kind, seed = problem
    result = fit(x, n_components, weight, covariance_type=shape, init=kind, seed=seed, max_iter=200)
    assert largest_fall(result.trace) <= 1e-10
    # A lone far outlier can leave a covariance without digits; then a fall is noticed and the run ends before it.
    assert result.status is not Status.OBJECTIVE_FELL or worst_condition(result) > 1e12
    # What is reported belongs together: the objective at these parameters, and the plain log-likelihood of them.
    source = ArraySource(x, weight)
    assert result.objective == result.trace[-1]
    assert source.fold(result.model.expect, result.params).loglik == pytest.approx(
        result.objective, rel=1e-12, abs=1e-9
    )
    plain = mixture(n_components, x.shape[1], shape)
    assert source.fold(plain.assess, result.params).loglik == result.loglik
    assert result.loglik >= result.objective - 1e-12 * max(1.0, abs(result.objective))


@pytest.mark.parametrize("reg_covar", [0.0, 1e-6, 1e-2, "auto"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["faithful", "iris", "galaxies"])
def test_no_trace_of_published_data_falls(name, shape, reg_covar):
    result = fit(datasets.load(name).data, 4, covariance_type=shape, reg_covar=reg_covar, init="random", max_iter=300)
    assert largest_fall(result.trace) <= 1e-10


@given(problems())
@settings(max_examples=150)
def test_without_a_ridge_a_collapse_keeps_the_last_sound_parameters(problem):
    x, weight, n_components, shape, _, seed = problem
    rng = np.random.default_rng(seed)
    model = mixture(n_components, x.shape[1], shape)
    spread = float(x.var()) or 1.0
    d = x.shape[1]
    unit = {"full": np.eye(d), "tied": np.eye(d), "diag": np.ones(d), "spherical": 1.0}[shape]
    covariances = spread * np.asarray(unit)
    start = model.parameters(
        weights=np.full(n_components, 1 / n_components),
        means=x[rng.choice(len(x), n_components, replace=False)],
        covariances=covariances if shape == "tied" else np.stack([covariances] * n_components),
    )
    result = fit(x, n_components, weight, covariance_type=shape, reg_covar=0.0, max_iter=200, **start.values)
    assert largest_fall(result.trace) <= 1e-10
    assert result.params.is_finite and np.isfinite(result.loglik)
    if result.status is Status.DEGENERATE:
        assert result.detail and not result.is_sound
