"""Standard errors of models under constraints are those of the free parameters that are left."""

import pickle

import numpy as np
import pytest
from references import read_json

import jensen
from jensen.core.model import Checked
from jensen.families.gaussian import Gaussian
from jensen.infer.local import ByObjective
from jensen.infer.polish import to_rest
from jensen.models.mixture import Mixture

WAITING = jensen.datasets.load("faithful").data[:, 1]
START = {"weights": [0.4, 0.6], "means": [[55.0], [80.0]], "covariances": [[[30.0]], [[30.0]]]}


def fit(**constraints):
    return jensen.em(Mixture(Gaussian(2, 1)), WAITING, START, **constraints)


def test_equal_variances_are_a_shared_one():
    theirs = read_json("standard_errors.json")["faithful_waiting_E2"]
    errors = fit(equal=["covariances"]).standard_errors()
    ours = [errors["weights"][0], *errors["means"][:, 0], errors["covariances"][0, 0, 0]]
    np.testing.assert_allclose(np.array(ours, dtype=float), theirs["se"], rtol=1e-7)
    assert errors.method == "exact (Louis)"
    np.testing.assert_array_equal(errors["covariances"][0], errors["covariances"][1])


@pytest.mark.parametrize(
    "fixed", [{"weights": True}, {"means": np.array([True, False])}, {"covariances": np.array([False, True])}]
)
def test_held_entries_leave_the_others(fixed):
    held = fit(fixed=fixed)
    errors = held.standard_errors()
    rest = to_rest(ByObjective(Checked(held.model), held.source), held.params)
    theirs = np.linalg.norm(rest.spectrum.roots(rest.local.coordinates.jacobian), axis=1)
    ours = np.concatenate([np.ravel(value) for value in errors.values.values()])
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-12)
    assert held.n_free < 5 and (ours == 0.0).any() and not errors.refused


def test_nothing_free_is_nothing_unknown():
    told = jensen.em(
        jensen.models.ThreeCoins(),
        [1, 0, 1],
        {"pi": 0.4, "p": 0.6, "q": 0.7},
        fixed={"pi": True, "p": True, "q": True},
    )
    assert float(told.standard_errors()["p"]) == 0.0 and told.identifiability().rank == 0
    assert told.diagnose().is_sound and told.em_rate().overall == 0.0


def test_a_held_coin_makes_the_others_known():
    # With pi and q known, p is identified, and its variance is that of the heads over pi squared.
    told = jensen.em(
        jensen.models.ThreeCoins(),
        [1, 1, 0, 1, 0, 0, 1, 0, 1, 1],
        {"pi": 0.5, "p": 0.5, "q": 0.7},
        fixed={"pi": True, "q": True},
    )
    errors = told.standard_errors()
    assert float(errors.params["p"]) == pytest.approx(0.5, abs=1e-7)
    assert float(errors["p"]) == pytest.approx(np.sqrt(0.24 / 10) / 0.5, rel=1e-7)


def test_a_fit_that_was_asked_can_still_be_pickled():
    told = fit()
    errors = told.standard_errors()
    again = pickle.loads(pickle.dumps(told))
    np.testing.assert_array_equal(again.standard_errors()["means"], errors["means"])


def test_power_iteration_serves_models_of_many_parameters():
    class Many(jensen.LatentModel):
        """Means of 120 columns, of which each row shows a known share: EM's rate is the largest hidden share."""

        domains = {"m": jensen.domains.Real((120,))}
        hidden = np.linspace(0.1, 0.8, 120)

        def expect(self, params, block):
            seen, n = 1 - self.hidden, block.n_rows
            total = block.x.sum(axis=0)
            loglik = -0.5 * (seen * (block.x - params["m"]) ** 2).sum()
            return jensen.Sums(weight=n, loglik=loglik, total=seen * total + self.hidden * n * params["m"])

        def maximize(self, params, s):
            return {"m": s.total / s.weight}

    rows = np.random.default_rng(0).standard_normal((20, 120))
    told = jensen.em(Many(), rows, {"m": np.zeros(120)}, accelerate="off", stop=1e-12)
    rate = told.em_rate()
    assert rate.overall == pytest.approx(0.8, abs=2e-3) and "power" in rate.method
    assert np.isnan(rate.by_parameter["m"]).all()
