"""Every model of the project and of `examples/` keeps its contract."""

import numpy as np
import pytest
from examples import example
from mixtures import SHAPES, mixture, table

import jensen
from jensen.models.constrained import Constrained
from jensen.models.posterior import ByParts, Labelled
from jensen.testing import MODEL_CHECKS, check_model

X = table(0, 60, 2, 2)
WEIGHT = np.linspace(0.0, 2.0, 60)
TOSSES = [1, 1, 0, 1, 0, 0, 1, 0, 1, 1]


def covariances(shape):
    return {"full": [np.eye(2) + 1.0] * 2, "tied": np.eye(2) + 1.0, "diag": [[1, 2], [3, 1]], "spherical": [1, 2]}[
        shape
    ]


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("shape", SHAPES)
def test_gaussian_mixtures(shape, weight):
    start = {"weights": [0.4, 0.6], "means": [[0, 0], [1, 1]], "covariances": covariances(shape)}
    report = check_model(mixture(2, 2, shape), X, start, sample_weight=weight)
    assert report.passed == MODEL_CHECKS
    # With a ridge the objective is penalised, and the density of the rows is not.
    report = check_model(mixture(2, 2, shape, 0.2), X, start, sample_weight=weight, skip=["row_loglik"])
    assert set(report.skipped) == {"row_loglik"}


@pytest.mark.parametrize("start", [(0.4, 0.6, 0.7), (0.5, 0.5, 0.5), (0.9, 0.2, 0.3)])
def test_three_coins(start):
    params = dict(zip(("pi", "p", "q"), start, strict=True))
    assert check_model(jensen.models.ThreeCoins(), TOSSES, params).passed == MODEL_CHECKS


@pytest.mark.parametrize(
    ("name", "model", "data", "params"),
    [
        ("linkage", "Linkage", [[125, 18, 20, 34]], {"t": 0.5}),
        ("two_coins", "TwoCoins", [5, 9, 8, 4, 7], {"bias": [0.6, 0.5]}),
        ("blood_groups", "BloodGroups", [[186, 38, 13, 284]], {"alleles": [0.3, 0.2, 0.5]}),
        ("poisson_mixture", "PoissonMixture", np.arange(10), {"p": 0.4, "rates": [1.0, 3.0]}),
    ],
)
def test_examples(name, model, data, params):
    report = check_model(getattr(example(name), model)(), data, params)
    assert {"fisher", "maximum", "fixed point", "row weights"} <= set(report.passed)


@pytest.mark.parametrize("shape", SHAPES)
def test_known_labels(shape):
    start = {"weights": [0.4, 0.6], "means": [[0, 0], [1, 1]], "covariances": covariances(shape)}
    labels = np.where(np.arange(60) % 3 == 0, np.arange(60) % 2, -1)
    for model, data in (
        (Labelled(mixture(2, 2, shape)), {"x": X, "labels": labels}),
        (ByParts(mixture(2, 2, shape)), X),
    ):
        report = check_model(model, data, start, sample_weight=WEIGHT)
        assert set(report.skipped) == {"sample", "permuted"}


@pytest.mark.parametrize(
    "constraints",
    [
        {"fixed": {"weights": True}},
        {"fixed": {"means": [True, False]}},
        {"fixed": {"covariances": [False, True]}},
        {"equal": ["weights"]},
        {"equal": ["covariances"]},
        {"equal": ["means"], "fixed": {"weights": True}},
    ],
    ids=str,
)
def test_constraints(constraints):
    start = {"weights": [0.4, 0.6], "means": [[0, 0], [1, 1]], "covariances": covariances("full")}
    model = Constrained(mixture(2, 2, "full"), start, **constraints)
    report = check_model(model, X, model.parameters(**start), sample_weight=WEIGHT)
    assert set(report.skipped) == {"permuted"}


def test_a_likelihood_without_bound_is_no_fault_of_the_m_step():
    """Without a ridge a component collapses onto two equal rows."""
    rows = np.concatenate([np.random.default_rng(0).standard_normal(20), [9.0, 9.0]])
    start = {"weights": [0.9, 0.1], "means": [[0.0], [8.0]], "covariances": [[1.0], [4.0]]}
    report = check_model(mixture(2, 1, "diag"), rows, start)
    assert "no bound" in report.skipped["fixed point"] and "ascent" in report.passed
