"""Standard errors, EM's rate and identifiability against values computed elsewhere, at 30 to 40 digits."""

import numpy as np
import pytest
from examples import example
from mixtures import SHAPES
from references import read_json

import jensen
from jensen.core.model import Checked
from jensen.families.gaussian import Gaussian
from jensen.infer.local import ByObjective, ByScores
from jensen.infer.polish import to_rest
from jensen.infer.rate import rate_by_differences, rate_by_power
from jensen.models.mixture import Mixture

REFERENCE = read_json("standard_errors.json")
POISSON = read_json("poisson_mixture_mle.json")
WAITING = jensen.datasets.load("faithful").data[:, 1]
POISSON_RATE = 0.995666223226078
TOSSES = [1, 1, 0, 1, 0, 0, 1, 0, 1, 1]


def waiting_fit(shape, **options):
    """Two components on the waiting times."""
    one = {"full": [[[30.0]], [[30.0]]], "tied": [[30.0]], "diag": [[30.0], [30.0]], "spherical": [30.0, 30.0]}[shape]
    start = {"weights": [0.4, 0.6], "means": [[55.0], [80.0]], "covariances": one}
    return jensen.em(Mixture(Gaussian(2, 1, shape)), WAITING, start, **options)


def poisson_fit(model=None):
    module = example("poisson_mixture")
    model = model or module.PoissonMixture()
    return jensen.em(model, np.arange(10), {"p": 0.5, "rates": [1.0, 3.0]}, sample_weight=module.DAYS)


def linkage_fit():
    return jensen.em(example("linkage").Linkage(), [[125, 18, 20, 34]], {"t": 0.5})


def flat(values):
    return np.concatenate([np.ravel(value) for value in values.values()])


@pytest.mark.parametrize("shape", SHAPES)
def test_waiting_times(shape):
    theirs = REFERENCE["faithful_waiting_E2" if shape == "tied" else "faithful_waiting_V2"]
    errors = waiting_fit(shape).standard_errors()
    # They leave out the second weight.
    np.testing.assert_allclose(np.delete(flat(errors.params.values), 1), theirs["theta"], rtol=1e-8)
    np.testing.assert_allclose(np.delete(flat(errors.values), 1), theirs["se"], rtol=1e-8)
    assert errors.method == "exact (Louis)" and not errors.notes and not errors.refused
    # The covariance between the entries is the inverse of their information.
    inside = np.delete(np.delete(errors.covariance, 1, 0), 1, 1)
    np.testing.assert_allclose(inside @ theirs["observed_information"], np.eye(len(inside)), atol=1e-7)


@pytest.mark.parametrize("way", [ByScores, ByObjective])
def test_poisson_mixture_by_differences(way):
    fit = poisson_fit()
    rest = to_rest(way(Checked(fit.model), fit.source), fit.params)
    coordinates = rest.local.coordinates
    errors = np.linalg.norm(rest.spectrum.roots(coordinates.jacobian), axis=1)
    np.testing.assert_allclose(coordinates.flat, [float(POISSON[name]) for name in ("p", "mu1", "mu2")], rtol=1e-8)
    np.testing.assert_allclose(errors, POISSON["se"], rtol=1e-7)


def test_poisson_mixture_takes_the_way_of_oakes():
    errors = poisson_fit().standard_errors()
    assert errors.method == "differences of the EM map (Oakes)"
    np.testing.assert_allclose(errors.covariance, POISSON["cov"], rtol=1e-6)


def test_a_model_without_complete_is_differentiated_by_its_objective():
    whole = example("poisson_mixture").PoissonMixture

    class Bare(jensen.LatentModel):
        domains = whole.domains
        _log_joint, expect, maximize = whole._log_joint, whole.expect, whole.maximize

    errors = poisson_fit(Bare()).standard_errors()
    assert errors.method == "differences of the objective"
    np.testing.assert_allclose(flat(errors.values), POISSON["se"], rtol=1e-6)
    with pytest.raises(jensen.JensenError, match="row_loglik"):
        poisson_fit(Bare()).standard_errors("sandwich")


def test_linkage():
    theirs = REFERENCE["linkage_DLR1977"]
    fit = linkage_fit()
    assert float(fit.standard_errors().params["t"]) == pytest.approx(theirs["mle"], rel=1e-10)
    assert float(fit.standard_errors()["t"]) == pytest.approx(theirs["se"], rel=1e-8)
    assert fit.em_rate().overall == pytest.approx(theirs["rate"], abs=1e-9)
    assert fit.em_rate().by_parameter["t"] == pytest.approx(theirs["rate"], abs=1e-9)
    assert fit.em_rate().overall == pytest.approx(1 - theirs["observed_info"] / theirs["complete_info"], abs=1e-9)


def test_em_rate_of_the_poisson_mixture_on_all_three_ways():
    fit = poisson_fit()
    analysis = fit._analysis
    coordinates, model = analysis.rest.local.coordinates, Checked(fit.model)
    theirs = sorted((float(value) for value in POISSON["EM_rate_eigs"]), reverse=True)
    by_information = fit.em_rate()
    by_map = rate_by_differences(model, fit.source, coordinates, analysis.known)
    by_power = rate_by_power(model, fit.source, coordinates)
    np.testing.assert_allclose(by_information.eigenvalues, theirs, atol=1e-7)
    np.testing.assert_allclose(by_map.eigenvalues, theirs, atol=1e-7)
    assert by_power.overall == pytest.approx(POISSON_RATE, abs=1e-6)
    # var_com and var_obs of the same parameters come from two sides.
    for name in ("p", "rates"):
        np.testing.assert_allclose(by_map.by_parameter[name], by_information.by_parameter[name], atol=1e-6)
    assert by_information.iterations_per_digit == pytest.approx(-1 / np.log10(POISSON_RATE), rel=1e-4)


STARTS = [(0.5, 0.5, 0.5), (0.4, 0.6, 0.7), (0.6, 0.5, 0.5), (0.46, 0.55, 0.67)]
STARTS += [tuple(at) for at in np.random.default_rng(0).uniform(0.05, 0.95, (10, 3)).round(3).tolist()]


@pytest.mark.parametrize("start", STARTS, ids=str)
def test_three_coins_know_what_they_do_not_know(start):
    fit = jensen.em(jensen.models.ThreeCoins(), TOSSES, dict(zip(("pi", "p", "q"), start, strict=True)))
    report, errors = fit.identifiability(), fit.standard_errors()
    assert (report.rank, report.n_free, len(report.flat)) == (1, 3, 2)
    assert set(errors.refused) == {"pi", "p", "q"} and np.isnan(flat(errors.values)).all()
    (known,) = errors.combinations
    assert known.name == "pi*p + (1-pi)*q" and not known.reason
    assert known.value == pytest.approx(0.6, abs=1e-12)
    assert known.standard_error == pytest.approx(np.sqrt(0.24 / 10), abs=1e-10)
    # Along each flat direction the chance of heads stays as it is, to first order.
    pi, p, q = (float(errors.params[name]) for name in ("pi", "p", "q"))
    for direction in report.flat:
        slope = {"pi": p - q, "p": pi, "q": 1 - pi}
        assert sum(slope[name] * part for name, part in direction.entries.items()) == pytest.approx(0.0, abs=1e-9)
    told = str(fit.diagnose())
    assert "rank 1 of 3" in told and "without changing" in told.replace("\n  ", " ")
    assert np.isnan(fit.standard_error_of(lambda params: params["p"] - params["q"], "p - q").standard_error)
    assert fit.em_rate().overall == 1.0
