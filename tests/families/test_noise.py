"""Gaussians with a component of uniform noise: the contract, and EM against a plain computation of its own."""

import math

import numpy as np
import pytest
from mixtures import NeverStop, table
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import jensen
from jensen.core.block import Block
from jensen.data.arrays import ArraySource
from jensen.families.gaussian import Gaussian
from jensen.families.noise import Box, Noisy
from jensen.families.shapes import SHAPES
from jensen.fit.ordering import component_order
from jensen.fit.result import full_covariances
from jensen.infer.analysis import Analysis
from jensen.infer.matching import matcher
from jensen.kernels import choose
from jensen.models.mixture import Mixture
from jensen.solve.em import EM
from jensen.solve.loop import Limits, run
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Plain
from jensen.testing import FAMILY_CHECKS, MODEL_CHECKS, check_family, check_model

X = table(0, 60, 2, 2)
WEIGHT = np.linspace(0.0, 2.0, 60)
BOX = Box(np.array([-6.0, -9.0]), np.array([[12.0, 1.0], [0.0, 20.0]]), math.log(240.0))
EYE = np.eye(2)
NAMES = list(SHAPES)


def family(name, ridge=0.0, n_components=2):
    return Noisy(Gaussian(n_components, 2, name, np.array([ridge, ridge / 3])), BOX)


def start(name, n_components=2):
    """Overlapping components with covariances of any shape."""
    gaussian = Gaussian(n_components, 2, name)
    k = gaussian.n_components
    # Axes well away from where two of them could change places.
    turn = np.array([[math.cos(0.3), -math.sin(0.3)], [math.sin(0.3), math.cos(0.3)]])
    matrices = (1.0 + np.arange(k))[:, None, None] * (turn * [3.0, 1.0]) @ turn.T
    diagonal = np.diagonal(matrices, axis1=1, axis2=2)
    given = {"full": matrices, "tied": matrices, "diag": diagonal, "spherical": diagonal[:, 0]}[gaussian.layout]
    blank = np.broadcast_to(EYE, (k, 2, 2)) if gaussian.layout == "full" else given
    covariances = gaussian.in_shape(np.ones(k) / k, given, blank)
    return {"means": np.arange(2.0 * k).reshape(k, 2) - k, "covariances": covariances}


def skipped(name):
    """Orientations apart from shapes have several coordinates: their domains have tests of their own."""
    return ("domains",) if name in ("EVE", "VVE", "EEV", "VEV") else ()


@pytest.mark.parametrize("kernel", ["chosen", "portable"])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
@pytest.mark.parametrize("name", NAMES)
def test_the_family_keeps_its_contract(name, ridge, kernel, monkeypatch):
    if kernel == "portable":
        monkeypatch.setattr(choose, "choice", lambda: choose.Choice("portable", "", "for this test", (), None))
    report = check_family(family(name, ridge), X, start(name), sample_weight=WEIGHT, skip=skipped(name))
    assert set(FAMILY_CHECKS) - set(report.passed) == {"burst", *skipped(name)}


@pytest.mark.parametrize("name", NAMES)
def test_the_mixture_keeps_its_contract(name):
    model = Mixture(family(name))
    # Few rows of noise let its weight vanish: a box of the data keeps EM inside.
    rows = np.vstack([X, BOX.sample(20, np.random.default_rng(0))])
    report = check_model(model, rows, {"weights": [0.4, 0.3, 0.3], **start(name)}, skip=skipped(name))
    assert set(MODEL_CHECKS) - set(report.passed) <= {"fixed point", *skipped(name)}


# ------------------------------------------------------------------------------------------ against plain NumPy


def plain_em(x, weight, weights, means, covariances, volume, n_steps):
    """EM of Gaussians with covariances of their own and uniform noise, as simply as it can be written."""
    for _ in range(n_steps + 1):
        logs = [multivariate_normal(m, c).logpdf(x) for m, c in zip(means, covariances, strict=True)]
        joint = np.column_stack([*logs, np.full(len(x), -np.log(volume))]) + np.log(weights)
        rows = logsumexp(joint, axis=1)
        last = (float(weight @ rows), weights, means, covariances)
        shares = np.exp(joint - rows[:, None]) * weight[:, None]
        counts = shares.sum(axis=0)
        weights = counts / counts.sum()
        means = [shares[:, k] @ x / counts[k] for k in range(len(means))]
        covariances = [(shares[:, k, None] * (x - means[k])).T @ (x - means[k]) / counts[k] for k in range(len(means))]
    return last


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_em_is_that_of_plain_numpy(weight):
    model, values = Mixture(family("full")), start("full")
    shares = np.array([0.4, 0.4, 0.2])
    result = run(EM(model), ArraySource(X, weight), model.parameters(weights=shares, **values), NeverStop(), Limits(30))
    given = np.ones(len(X)) if weight is None else weight
    loglik, weights, means, covariances = plain_em(
        X, given, shares, list(values["means"]), list(values["covariances"]), 240.0, 30
    )
    assert result.objective == pytest.approx(loglik, rel=1e-12)
    np.testing.assert_allclose(result.params["weights"], weights, rtol=1e-9)
    np.testing.assert_allclose(result.params["means"], means, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(result.params["covariances"], covariances, rtol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_those_of_the_formula(name):
    model, values = Mixture(family(name)), start(name)
    weights = np.array([0.5, 0.2, 0.3])
    params = model.parameters(weights=weights, **values)
    far = np.vstack([X, [[1e3, -1e3]]])
    matrices = full_covariances(model.family.gaussian.layout, params)
    logs = [multivariate_normal(m, c).logpdf(far) for m, c in zip(values["means"], matrices, strict=True)]
    joint = np.column_stack([*logs, np.full(len(far), -math.log(240.0))]) + np.log(weights)
    block = Block({"x": far})
    np.testing.assert_allclose(model.row_loglik(params, block), logsumexp(joint, axis=1), rtol=1e-12)
    found = model.responsibilities(params, block)
    np.testing.assert_allclose(found, np.exp(joint - logsumexp(joint, axis=1)[:, None]), rtol=1e-9, atol=1e-14)
    # A row beyond the box is noise, not an error.
    assert found[-1, -1] == 1.0 and model.labels(params, block)[-1] == 2


def test_single_precision_and_many_features():
    for d in (3, 12):
        x = table(1, 700, d, 3).astype(np.float32)
        gaussian = Gaussian(3, d, "tied", np.full(d, 1e-3))
        model = Mixture(Noisy(gaussian, Box(np.zeros(d), np.eye(d), 3.0 * d)))
        params = model.parameters(weights=np.full(4, 0.25), means=x[:3].astype(float), covariances=np.eye(d))
        single = ArraySource(x, single=True).fold(model.expect, params)
        double = ArraySource(x.astype(float)).fold(model.expect_by_parts, params)
        assert single.loglik == pytest.approx(double.loglik, rel=1e-5)
        np.testing.assert_allclose(single.components.counts, double.components.counts, rtol=1e-3, atol=1e-2)
        np.testing.assert_allclose(
            single.components.gaussian.centred()[0], double.components.gaussian.centred()[0], atol=1e-3
        )


# ------------------------------------------------------------------------------------------ what follows a fit


def fitted(name="full"):
    rng = np.random.default_rng(3)
    x = np.vstack([rng.normal([-3, 0], 0.5, (80, 2)), rng.normal([3, 4], 0.8, (80, 2)), BOX.sample(60, rng)])
    model, rule = Mixture(family(name)), AitkenRule(len(x))
    begin = model.parameters(weights=[0.4, 0.4, 0.2], **{**start(name), "means": [[-3, 0], [3, 4]]})
    return model, x, run(Plain("auto").solver(model, rule), ArraySource(x), begin, rule)


def test_noise_is_told_from_the_groups():
    model, x, result = fitted()
    np.testing.assert_allclose(result.params["weights"], [80 / 220, 80 / 220, 60 / 220], atol=0.03)
    labels = model.labels(result.params, Block({"x": x}))
    assert (
        (labels[:80] == 0).mean() > 0.97 and (labels[80:160] == 1).mean() > 0.97 and (labels[160:] == 2).mean() > 0.85
    )


@pytest.mark.parametrize("name", ["full", "EEI", "VEI"])
def test_standard_errors_agree_with_differences(name):
    """Louis's identity with a component that has no parameters, against differences of the log-likelihood."""
    model, x, result = fitted(name)
    analysis = Analysis(model, result.params, ArraySource(x))
    errors = analysis.standard_errors()
    assert not errors.refused and errors["weights"].shape == (3,)
    free, source = result.params.to_free(), ArraySource(x)

    def loglik(at):
        return source.fold(model.assess, result.params.from_free(at)).loglik

    step, size = 1e-4, free.size
    hessian = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            total = 0.0
            for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                moved = free.copy()
                moved[i] += a * step
                moved[j] += b * step
                total += a * b * loglik(moved)
            hessian[i, j] = total / (4 * step * step)
    jacobian = result.params.domains["weights"].jacobian(result.params["weights"])
    covariance = jacobian @ np.linalg.inv(-hessian)[:2, :2] @ jacobian.T
    np.testing.assert_allclose(errors["weights"], np.sqrt(np.diag(covariance)), rtol=1e-3)


def test_only_the_gaussians_change_places():
    model, x, result = fitted()
    params = result.params
    turned = model.permuted(params, (1, 0))
    np.testing.assert_array_equal(turned["weights"], params["weights"][[1, 0, 2]])
    np.testing.assert_array_equal(turned["means"], params["means"][::-1])
    source = ArraySource(x)
    assert source.fold(model.assess, turned).loglik == pytest.approx(result.objective, rel=1e-12)
    match, _ = matcher(model, source, params)
    assert match(turned).order == (1, 0)
    assert len(component_order(model, params, "weights")) == 2


def test_draws():
    model, _, result = fitted()
    x, labels = model.sample(result.params, 5000, np.random.default_rng(0))
    noise = x[labels == 2]
    inside = (noise - BOX.corner) @ np.linalg.inv(BOX.edges)
    assert inside.min() >= 0.0 and inside.max() <= 1.0
    np.testing.assert_allclose(inside.mean(axis=0), 0.5, atol=0.03)
    assert len(noise) / 5000 == pytest.approx(result.params["weights"][2], abs=0.03)


def test_what_is_expected_and_its_entropy_make_the_likelihood():
    """F(q, theta) = Q + H is the log-likelihood where q is the posterior, with all that is constant in Q."""
    model = Mixture(family("VVI", 0.2))
    params = model.parameters(weights=[0.4, 0.3, 0.3], **start("VVI"))
    statistics = model.expect_by_parts(params, Block({"x": X}))
    assert model.complete(params, statistics) + statistics.entropy == pytest.approx(statistics.loglik, rel=1e-12)


@pytest.mark.skipif(choose.native_kernels() is None, reason="pruning is native")
@pytest.mark.parametrize("name", ["full", "tied"])
def test_pruning_does_no_harm(name):
    """Rows that a component of noise takes, and rows that it does not, are what they are without notes."""
    rng = np.random.default_rng(0)
    centres = 15.0 * rng.standard_normal((20, 10))
    x = np.vstack([*(rng.normal(c, 1.0, (60, 10)) for c in centres), rng.uniform(-40, 40, (300, 10))])
    noisy = Noisy(Gaussian(20, 10, name), Box(np.full(10, -40.0), 80.0 * np.eye(10), 10 * math.log(80.0)))
    assert noisy.remembers
    model = Mixture(noisy)
    shared = np.eye(10) if name == "tied" else np.tile(np.eye(10), (20, 1, 1))
    begin = model.parameters(weights=np.full(21, 1 / 21), means=centres, covariances=shared)
    source = ArraySource(x)
    noted = source.with_arrays(memory=np.full(len(x), -1, dtype=np.int32))
    one, other = (run(EM(model), rows, begin, NeverStop(), Limits(6)) for rows in (source, noted))
    np.testing.assert_allclose(one.trace, other.trace, rtol=1e-12)
    np.testing.assert_allclose(one.params["covariances"], other.params["covariances"], rtol=1e-8, atol=1e-10)
    assert (noted.arrays["memory"] >= 0).any()


def test_the_one_door_takes_it():
    model, x, result = fitted()
    begin = {"weights": [0.4, 0.4, 0.2], **start("full"), "means": [[-3, 0], [3, 4]]}
    fit = jensen.em(model, x, begin)
    assert fit.objective == pytest.approx(result.objective, abs=1e-4)
    assert not fit.standard_errors().refused and len(fit.ordered("weights").params["weights"]) == 3
    held = jensen.em(model, x, begin, fixed={"weights": [False, False, True]})
    assert held.params["weights"][2] == 0.2
    known = jensen.em(model, x, begin, labels=np.where(np.arange(220) < 215, -1, 2))
    assert known.objective < fit.objective
    assert fit.bootstrap(8, seed=1)["weights"].shape == (3,)
