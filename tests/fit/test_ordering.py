"""A canonical order of components: the same fit, wherever its components ended."""

import numpy as np
import pytest
from examples import example
from mixtures import SHAPES, mixture, table

import jensen
from jensen.core.domains import Positive, Simplex
from jensen.core.model import LatentModel
from jensen.core.parameters import Parameters
from jensen.errors import InputError, JensenWarning
from jensen.fit.ordering import by_component, component_order

X = table(3, 120, 2, 3)
TOSSES = [1, 1, 0, 1, 0, 0, 1, 0, 1, 1]


def start(shape, order=(0, 1, 2)):
    at = list(order)
    covariances = {
        "full": np.stack([np.eye(2) * s for s in (9.0, 4.0, 6.0)])[at],
        "tied": np.eye(2) * 5.0,
        "diag": np.array([[9.0, 5.0], [4.0, 6.0], [6.0, 6.0]])[at],
        "spherical": np.array([9.0, 4.0, 6.0])[at],
    }[shape]
    return {"weights": np.array([0.2, 0.5, 0.3])[at], "means": X[:3][at], "covariances": covariances}


@pytest.mark.parametrize("by", ["weights", "means"])
@pytest.mark.parametrize("shape", SHAPES)
def test_runs_from_permuted_starts_agree_once_ordered(shape, by):
    model = mixture(3, 2, shape)
    fits = [jensen.em(model, X, start(shape, order)) for order in ((0, 1, 2), (2, 0, 1), (1, 0, 2))]
    first, *others = [fit.ordered(by) for fit in fits]
    for other in others:
        for name, value in first.params.values.items():
            np.testing.assert_allclose(other.params[name], value, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(other.statistics.components.counts, first.statistics.components.counts, rtol=1e-7)
    key = -first.params["weights"] if by == "weights" else first.params["means"][:, 0]
    assert (np.diff(key) >= 0).all()
    assert any((fit.params["weights"] != first.params["weights"]).any() for fit in fits)


def test_what_belongs_together_stays_together():
    model = mixture(3, 2, "full")
    fit = jensen.em(model, X, start("full", (2, 0, 1)))
    ordered = fit.ordered()
    assert ordered.params is not fit.params
    again = fit.source.fold(model.expect, ordered.params)
    assert ordered.objective == ordered.statistics.loglik == again.loglik
    assert ordered.objective == pytest.approx(fit.objective, rel=1e-13)
    assert ordered.passes == fit.passes + 1
    np.testing.assert_allclose(ordered.statistics.components.counts, 120 * ordered.params["weights"], rtol=1e-3)
    assert ordered.trace == fit.trace and ordered.status is fit.status


def test_a_fit_in_order_is_itself():
    fit = jensen.em(mixture(3, 2, "diag"), X, start("diag")).ordered()
    assert fit.ordered() is fit


def test_three_coins_swap():
    fit = jensen.em(jensen.models.ThreeCoins(), TOSSES, {"pi": 0.4, "p": 0.6, "q": 0.7})
    swapped = fit.ordered("weights")
    assert swapped.params["pi"] == 1 - fit.params["pi"]
    assert (swapped.params["p"], swapped.params["q"]) == (fit.params["q"], fit.params["p"])
    assert swapped.objective == pytest.approx(fit.objective, abs=1e-14)
    assert swapped.statistics.b == pytest.approx(10 * swapped.params["pi"])
    # p is the smaller one already.
    assert fit.ordered("heads") is fit


def test_a_boundary_is_renamed():
    first = {"weights": [0.0, 1.0], "means": X[:2], "covariances": [1.0, 1.0]}
    with pytest.warns(JensenWarning, match="boundary"):
        fit = jensen.em(mixture(2, 2, "spherical"), X, first)
    assert fit.boundary == ("weights[0]",)
    assert fit.ordered().boundary == ("weights[1]",)


def test_a_users_model_may_declare_its_order():
    class Swappable(example("poisson_mixture").PoissonMixture):
        def permuted(self, params, order):
            p = params["p"] if tuple(order) == (0, 1) else 1 - params["p"]
            return params.replace(p=p, rates=params["rates"][list(order)])

    days = example("poisson_mixture").DAYS
    fit = jensen.em(Swappable(), np.arange(10), {"p": 0.6, "rates": [3.0, 1.0]}, sample_weight=days, max_iter=10**5)
    rates = fit.ordered("rates").params["rates"]
    assert rates[0] == fit.params["rates"][1] < rates[1]
    with pytest.raises(InputError, match="by must be one of rates, got 'weights'"):
        fit.ordered()


def test_what_has_no_order_is_refused():
    fit = jensen.em(example("two_coins").TwoCoins(), [5, 9, 8, 4, 7], {"bias": [0.6, 0.5]})
    with pytest.raises(InputError, match="TwoCoins does not declare permuted"):
        fit.ordered()
    known = np.where(np.arange(120) < 9, np.arange(120) % 3, -1)
    labelled = jensen.em(mixture(3, 2, "diag"), X, start("diag"), labels=known)
    with pytest.raises(InputError, match="labels or constraints"):
        labelled.ordered()
    held = jensen.em(mixture(3, 2, "diag"), X, start("diag"), fixed={"means": [True, False, False]})
    with pytest.raises(InputError, match="labels or constraints"):
        held.ordered()
    with pytest.raises(InputError, match="by must be one of weights, means, got 'covariances'"):
        jensen.em(mixture(3, 2, "tied"), X, start("tied")).ordered("covariances")


def test_ties_and_vectors():
    params = Parameters({"rates": [[2.0, 1.0], [1.0, 5.0], [2.0, 0.5], [1.0, 5.0]]}, {"rates": Positive((4, 2))})
    assert component_order(object(), params, "rates") == (1, 3, 2, 0)


def test_components_that_cannot_be_told():
    domains = {"shares": Simplex(2), "rates": Positive((3,))}
    params = Parameters({"shares": [0.5, 0.5], "rates": [1.0, 2.0, 3.0]}, domains)
    assert by_component(LatentModel, params) == {}
