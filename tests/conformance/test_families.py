"""Every family keeps its contract, by either kernel, and broken ones are caught by name."""

from dataclasses import replace

import numpy as np
import pytest
from mixtures import SHAPES, table

from jensen.families.gaussian import Gaussian
from jensen.kernels import choose
from jensen.testing import FAMILY_CHECKS, ConformanceError, check_family

X = table(0, 60, 2, 2)
WEIGHT = np.linspace(0.0, 2.0, 60)


def params(shape):
    covariances = {
        "full": [np.eye(2) + 1.0] * 2,
        "tied": np.eye(2) + 1.0,
        "diag": [[1, 2], [3, 1]],
        "spherical": [1, 2],
    }
    return {"means": [[0, 0], [1, 1]], "covariances": covariances[shape]}


@pytest.mark.parametrize("kernel", ["chosen", "portable"])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
@pytest.mark.parametrize("shape", SHAPES)
def test_gaussian(shape, ridge, kernel, monkeypatch):
    if kernel == "portable":
        monkeypatch.setattr(choose, "choice", lambda: choose.Choice("portable", "", "for this test", (), None))
    report = check_family(Gaussian(2, 2, shape, np.array([ridge, 0.1])), X, params(shape), sample_weight=WEIGHT)
    assert set(FAMILY_CHECKS) - set(report.passed) <= {"burst"}


class Damped(Gaussian):
    """Goes half the way to the means, and then where the covariances are best: it climbs in many steps."""

    half = 0.5

    def maximize(self, params, statistics):
        means = params["means"] + self.half * (statistics.centred()[0] - params["means"])
        scatter = statistics.about(means).scatter
        return {"means": means, "covariances": scatter / statistics.counts[:, None] + self.ridge}


def test_an_m_step_may_climb_in_several_steps():
    report = check_family(Damped(2, 2, "diag", np.array([0.1, 0.2])), X, params("diag"), skip=["burst"])
    assert "maximize" in report.passed
    # One that never arrives is found.
    with pytest.raises(ConformanceError, match="still has a slope where the M-step ends"):
        check_family(type("Stuck", (Damped,), {"half": 0.0})(2, 2, "diag"), X, params("diag"))


def wrong_density(self, params, block):
    # The row that is missing is half a log-determinant.
    return Gaussian.log_density(self, params, block) + 0.01 * params["covariances"][:, 0, 0]


def wrong_density_of_rows(self, params, block):
    return Gaussian.log_density(self, params, block) + block.x.mean()


def wrong_density_by_weight(self, params, block):
    return Gaussian.log_density(self, params, block) * block.weights[:, None]


def wrong_maximize(self, params, statistics):
    found = Gaussian.maximize(self, params, statistics)
    return {**found, "covariances": found["covariances"] * (1 + 1 / statistics.counts[:, None, None])}


def stuck_maximize(self, params, statistics):
    return {"covariances": Gaussian.maximize(self, params, statistics)["covariances"]}


def wrong_sample(self, params, component, n, rng):
    return Gaussian.sample(self, params, 0, n, rng)


def own_chance(self, params, component, n, rng):
    return Gaussian.sample(self, params, component, n, np.random.default_rng())


def wrong_fused(self, params, log_weights, block):
    statistics, loglik = Gaussian.fused(self, params, log_weights, block)
    return statistics, loglik + 1e-3


def unweighted_fused(self, params, log_weights, block):
    return Gaussian.fused(self, params, log_weights, replace(block, weight=None))


def wrong_rows(self, params, log_weights, block, wanted):
    return Gaussian.rows(self, params, 0.0 * log_weights, block, wanted)


def wrong_counts(self, params, block, shares):
    found = Gaussian.statistics(self, params, block, shares)
    return replace(found, counts=found.counts + 1.0)


def wrong_merge(self, params, block, shares):
    class Statistics(type(Gaussian.statistics(self, params, block, shares))):
        def merge(self, other):
            return replace(super().merge(other), scatter=self.scatter)

    found = Gaussian.statistics(self, params, block, shares)
    return Statistics(found.counts, found.first, found.scatter, found.shift, found.layout)


def wrong_penalty(self, params):
    return 2.0 * Gaussian.log_penalty(self, params)


def wrong_faults(self, params, counts):
    return "one sentence"


def wrong_burst(self, *arguments):
    return Gaussian.burst(replace(self, ridge=2.0 * self.ridge), *arguments)


def burst_of_own_weights(self, params, statistics, block, steps, equal_weights):
    return Gaussian.burst(self, params, statistics, block, steps)


@pytest.mark.parametrize(
    ("method", "wrong", "blamed"),
    [
        ("log_density", wrong_density, "maximize"),
        ("log_density", wrong_density_of_rows, "log_density"),
        ("log_density", wrong_density_by_weight, "log_density"),
        ("log_penalty", wrong_penalty, "maximize"),
        ("maximize", wrong_maximize, "maximize"),
        ("maximize", stuck_maximize, "maximize"),
        ("sample", wrong_sample, "sample"),
        ("sample", own_chance, "sample"),
        ("fused", wrong_fused, "fused"),
        ("fused", unweighted_fused, "fused"),
        ("rows", wrong_rows, "rows"),
        ("statistics", wrong_counts, "statistics"),
        ("statistics", wrong_merge, "statistics().merge"),
        ("faults", wrong_faults, "faults"),
        ("by_component", lambda self, params: {"rates": np.ones(3)}, "by_component"),
    ],
)
def test_what_is_broken_is_named(method, wrong, blamed):
    family = type("Broken", (Gaussian,), {method: wrong})(2, 2, "full", np.array([0.1, 0.2]))
    with pytest.raises(ConformanceError) as caught:
        check_family(family, X, params("full"), sample_weight=WEIGHT)
    assert caught.value.method == f"Broken.{blamed}"


@pytest.mark.skipif(choose.native_kernels() is None, reason="bursts are native")
@pytest.mark.parametrize("wrong", [wrong_burst, burst_of_own_weights])
def test_a_burst_that_is_not_single_steps_is_named(wrong):
    family = type("Broken", (Gaussian,), {"burst": wrong})(2, 2, "full", np.array([0.1, 0.2]))
    with pytest.raises(ConformanceError, match=r"Broken\.burst: has the objective"):
        check_family(family, X, params("full"))


@pytest.mark.skipif(choose.native_kernels() is None, reason="bursts are native")
def test_a_burst_that_leaps_unasked_is_named():
    def leaping(self, *arguments):
        trail = Gaussian.burst(self, *arguments)
        trail.records[1, -3] = 0.0
        return trail

    family = type("Broken", (Gaussian,), {"burst": leaping})(2, 2, "full", np.array([0.1, 0.2]))
    with pytest.raises(ConformanceError, match=r"Broken\.burst: has marks"):
        check_family(family, X, params("full"))


def test_a_missing_method_is_named():
    with pytest.raises(ConformanceError, match="has no log_density"):
        check_family(type("Empty", (), {"n_components": 2, "domains": {}})(), X, {})
