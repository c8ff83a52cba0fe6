"""A diagnosis says what is so, and what to do."""

import numpy as np
import pytest
from examples import example
from mixtures import table

import jensen
from jensen.families.gaussian import Gaussian
from jensen.infer.diagnose import Account, diagnose, near_degenerate
from jensen.models.mixture import Mixture

WAITING = jensen.datasets.load("faithful").data[:, 1]
START = {"weights": [0.4, 0.6], "means": [[55.0], [80.0]], "covariances": [[[30.0]], [[30.0]]]}


def poisson(**options):
    module = example("poisson_mixture")
    start = {"p": 0.5, "rates": [1.0, 3.0]}
    return jensen.em(module.PoissonMixture(), np.arange(10), start, sample_weight=module.DAYS, **options)


def test_a_sound_fit():
    told = jensen.em(Mixture(Gaussian(2, 1)), WAITING, START).diagnose()
    assert told.is_sound and told.to_gain < 1e-3
    assert told["end"].startswith("Converged") and told["to gain"].startswith("Nothing")
    assert "All 5 free parameters are identified" in told["identifiability"]
    assert max(map(len, str(told).splitlines())) <= 80
    with pytest.raises(KeyError):
        told["components"]


def test_missing_information_is_put_in_words():
    told = poisson().diagnose()
    assert "99.6 % of the information is missing" in told["rate"]
    assert "530 iterations for each decimal digit" in told["rate"] and "very slow" in told["rate"]
    assert told.rate.overall == pytest.approx(0.995666, abs=1e-6)


def test_a_fit_that_was_stopped():
    with pytest.warns(jensen.JensenWarning):
        fit = poisson(max_iter=3)
    told = fit.diagnose()
    assert not told.is_sound and "max_iter" in told["end"]
    assert told.to_gain == pytest.approx(poisson().objective - fit.objective, abs=1e-5)
    assert "Fit on" in told["to gain"]


def test_three_coins_say_it_by_themselves():
    start = {"pi": 0.4, "p": 0.6, "q": 0.7}
    told = jensen.em(jensen.models.ThreeCoins(), [1, 1, 0, 1, 0, 0, 1, 0, 1, 1], start).diagnose()
    text = told["identifiability"]
    assert "rank 1 of 3" in text and "depends on where it began" in text
    assert "pi*p + (1-pi)*q = 0.6 (standard error 0.1549)" in text


def test_components_that_are_nearly_nothing():
    x = np.concatenate([WAITING, [300.0, 301.0]])
    start = {"weights": [0.9, 0.1], "means": [[70.0], [300.0]], "covariances": [[[100.0]], [[1.0]]]}
    told = jensen.em(Mixture(Gaussian(2, 1)), x, {**start}).diagnose()
    # Two rows are d + 1, so that the family finds no fault.
    assert "eights[1] stands for only 2 rows" in told["components"] and told.is_sound
    x = table(1, 60, 2, 1)
    x[:, 1] = x[:, 0] * (1 + 1e-6 * np.arange(60) % 7e-6)
    one = {"weights": [1.0], "means": [x.mean(axis=0)], "covariances": [np.eye(2)]}
    told = jensen.em(Mixture(Gaussian(1, 2)), x, one).diagnose()
    assert "covariances[0] is nearly singular" in told["components"].replace("Covariances", "covariances")


def test_coincidence_is_judged_in_the_components_own_spread():
    model = Mixture(Gaussian(2, 1))
    far = {"weights": [0.5, 0.5], "means": [[1e6], [1e6 + 1.0]], "covariances": [[[0.01]], [[0.01]]]}
    assert near_degenerate(model, model.parameters(**far)) == ()
    same = {**far, "covariances": [[[1e8]], [[1e8]]]}
    assert near_degenerate(model, model.parameters(**same)) == ("components 0, 1 coincide",)


def test_models_of_ones_own_are_compared_by_their_shares():
    class Own:
        domains = {"shares": jensen.domains.Simplex(3), "rates": jensen.domains.Positive((3,))}

    params = jensen.em(  # any record with these domains will do
        type(
            "Still",
            (jensen.LatentModel,),
            {
                "domains": Own.domains,
                "expect": lambda self, params, block: jensen.Sums(weight=3, loglik=0.0),
                "maximize": lambda self, params, s: {},
            },
        )(),
        [1.0, 2.0, 3.0],
        {"shares": [0.5, 0.3, 0.2], "rates": [2.0, 1.0, 2.0]},
    ).params
    assert near_degenerate(Own(), params) == ("components 0, 2 coincide",)


def test_shares_that_are_no_components_are_left_alone():
    told = jensen.em(example("blood_groups").BloodGroups(), [[186, 38, 13, 284]], {"alleles": [0.3, 0.2, 0.5]})
    assert "rows" not in str(told.diagnose()) and told.diagnose().is_sound


def test_what_cannot_be_computed_is_said():
    class Many(jensen.LatentModel):
        domains = {"m": jensen.domains.Real((20,))}

        def expect(self, params, block):
            return jensen.Sums(weight=1, loglik=-(params["m"] ** 2).sum())

        def maximize(self, params, s):
            return {"m": np.zeros(20)}

    told = jensen.em(Many(), [0.0], {"m": np.zeros(20)}).diagnose()
    assert "20 free parameters" in told["information"] and told.rate is None


def test_an_acceleration_that_may_have_led_elsewhere_is_told():
    fit = jensen.em(Mixture(Gaussian(2, 1)), WAITING, START)
    told = diagnose(fit._analysis, Account("converged", True, 3, extrapolations=(7, 5)))
    assert "5 of 7 extrapolated points" in told["acceleration"] and "accelerate='off'" in told["acceleration"]
