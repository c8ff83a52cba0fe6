"""The deaths of The Times: plain EM follows the reference path, and accelerated EM needs a fraction of the passes."""

import ast

import numpy as np
import pytest
from examples import example
from mixtures import NeverStop
from references import read_csv, read_json

import jensen
from jensen.core.status import Status
from jensen.solve.stopping import AtRest

DEATHS = example("poisson_mixture")
PATH, MLE = read_csv("poisson_mixture_em_path.csv"), read_json("poisson_mixture_mle.json")
THEIRS = read_csv("squarem_poisson.csv")
STARTS = sorted({row["start"] for row in THEIRS})
# Passes at most, from every start, until nothing above 1e-9 nats is to come.
ACCELERATED = {"anderson": 60, "squarem": 130, "quasi-newton": 60, "auto": 60}


def fit(start, **settings):
    p, one, other = start
    start = {"p": p, "rates": [one, other]}
    return jensen.em(DEATHS.PoissonMixture(), np.arange(10), start, sample_weight=DEATHS.DAYS, **settings)


def numbers(text):
    return [float(word) for word in text.split()]


@pytest.mark.parametrize("row", PATH, ids=lambda row: f"{row['start']}-{row['iter']}")
@pytest.mark.filterwarnings("ignore:stopped at max_iter")
def test_plain_em_follows_the_path(row):
    end = fit(ast.literal_eval(row["start"]), accelerate="off", stop=NeverStop(), max_iter=int(row["iter"]))
    assert end.n_iter == int(row["iter"]) == len(end.trace) - 1
    found = [end.params["p"], *end.params["rates"], end.objective]
    np.testing.assert_allclose(found, [float(row[name]) for name in ("p", "mu1", "mu2", "loglik")], rtol=1e-10)


@pytest.mark.parametrize("accelerate", ACCELERATED)
@pytest.mark.parametrize("start", STARTS)
def test_acceleration_needs_few_passes(start, accelerate):
    end = fit(numbers(start), accelerate=accelerate, stop=1e-9)
    assert end.status is Status.CONVERGED
    assert end.passes <= ACCELERATED[accelerate]
    assert end.objective == pytest.approx(float(MLE["loglik"]), abs=1e-8)
    assert np.diff(end.trace).min() >= -1e-10
    plain = [float(row["fpevals"]) for row in THEIRS if row["start"] == start and row["method"] == "EM fpiter"]
    assert end.passes < min(plain) / 20
    tried, accepted = end.extrapolations
    assert 0 < accepted <= tried
    # Every pass is the start, a point of the run or a refused point.
    assert end.passes == 1 + end.n_iter + tried - accepted
    assert f"{accepted} of {tried} extrapolations accepted" in " ".join(str(end).split())


@pytest.mark.parametrize("accelerate", ["off", *ACCELERATED])
@pytest.mark.parametrize("start", STARTS)
def test_run_on_to_rest_the_parameters_are_the_maximum(start, accelerate):
    end = fit(numbers(start), accelerate=accelerate, stop=AtRest())
    assert end.status.is_converged
    found = [end.params["p"], *end.params["rates"]]
    np.testing.assert_allclose(found, [float(MLE[name]) for name in ("p", "mu1", "mu2")], rtol=0, atol=1e-9)


@pytest.mark.parametrize("accelerate", ACCELERATED)
@pytest.mark.parametrize("start", STARTS)
def test_the_default_rule_leaves_no_more_than_it_says(start, accelerate):
    assert float(MLE["loglik"]) - fit(numbers(start), accelerate=accelerate).objective < 1.996e-6
