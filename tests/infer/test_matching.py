"""Labels are matched by what components hold, and it is said when they cannot be."""

from itertools import permutations

import numpy as np
import pytest
from examples import example
from hypothesis import given
from hypothesis import strategies as st
from mixtures import SHAPES, mixture, table

import jensen
from jensen.data.arrays import ArraySource
from jensen.infer.matching import agreement_of_shares, assign, depends_on_labels, matcher

X = table(5, 90, 2, 3)


def params_of(shape, model):
    covariances = {
        "full": np.stack([np.eye(2) * s for s in (1.0, 2.0, 3.0)]),
        "tied": np.eye(2),
        "diag": np.array([[1.0, 2.0], [2.0, 2.0], [3.0, 1.0]]),
        "spherical": np.array([1.0, 2.0, 3.0]),
    }[shape]
    return model.parameters(weights=[0.2, 0.5, 0.3], means=[[0, 0], [4, 4], [-4, 4]], covariances=covariances)


@given(st.integers(2, 5), st.integers(0, 2**16))
def test_the_best_assignment_and_its_rival_by_brute_force(size, seed):
    agreement = np.random.default_rng(seed).random((size, size))
    match = assign(agreement)
    totals = {order: sum(agreement[k, order[k]] for k in range(size)) for order in permutations(range(size))}
    assert match.order == max(totals, key=totals.get)
    # The runner-up is among those that lack one pair of the best; its changed pairs are worse than the best ones.
    ranked = sorted(totals, key=totals.get)
    second = ranked[-2]
    changed = [k for k in range(size) if second[k] != match.order[k]]
    rival = sum(agreement[k, second[k]] for k in changed) / sum(agreement[k, match.order[k]] for k in changed)
    assert rival - 1e-12 <= match.rivalry <= 1.0 + 1e-12


def test_one_component_has_no_rival():
    assert assign(np.ones((1, 1))).rivalry == 0.0
    assert assign(np.eye(3)).rivalry == 0.0
    assert assign(np.zeros((2, 2))).is_ambiguous
    assert assign(np.ones((3, 3))).is_ambiguous


@pytest.mark.parametrize("order", [(1, 2, 0), (2, 1, 0), (0, 1, 2)])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_permutation_is_undone(shape, order):
    model = mixture(3, 2, shape)
    params = params_of(shape, model)
    shuffled = model.permuted(params, order)
    match, by = matcher(model, ArraySource(X, block_rows=20), params)
    found = match(shuffled)
    assert by == "shares of the rows" and not found.is_ambiguous
    assert found.is_identity == (order == (0, 1, 2))
    back = model.permuted(shuffled, found.order)
    for name in params.domains:
        np.testing.assert_array_equal(back[name], params[name])


def test_shares_agree_by_weighted_rows_in_any_blocks():
    model = mixture(3, 2, "diag")
    params = params_of("diag", model)
    other = params.replace(means=params["means"] + 0.5)
    weight = np.random.default_rng(0).integers(0, 3, 90).astype(float)
    whole = agreement_of_shares(model, ArraySource(X, weight), params, other)
    blocks = agreement_of_shares(model, ArraySource(X, weight, block_rows=7), params, other)
    repeated = agreement_of_shares(model, ArraySource(np.repeat(X, weight.astype(int), axis=0)), params, other)
    np.testing.assert_allclose(blocks, whole, rtol=1e-12)
    np.testing.assert_allclose(repeated, whole, rtol=1e-12)
    source = ArraySource(X)
    mine = model.responsibilities(params, source.block(0))
    theirs = model.responsibilities(other, source.block(0))
    cosines = mine.T @ theirs / np.outer(np.linalg.norm(mine, axis=0), np.linalg.norm(theirs, axis=0))
    np.testing.assert_allclose(agreement_of_shares(model, source, params, other), cosines, rtol=1e-12)


def test_components_that_share_every_row_are_ambiguous():
    model = mixture(2, 2, "spherical")
    alike = model.parameters(weights=[0.3, 0.7], means=np.zeros((2, 2)), covariances=[1.0, 1.0])
    match, _ = matcher(model, ArraySource(X), alike)
    assert match(alike).is_ambiguous


class Swappable(example("poisson_mixture").PoissonMixture):
    """Without shares of rows: components are matched by their parameters."""

    def by_component(self, params):
        return {"weights": np.array([params["p"], 1 - params["p"]]), "rates": params["rates"]}

    def permuted(self, params, order):
        own = self.by_component(params)
        return params.replace(p=own["weights"][list(order)][0], rates=own["rates"][list(order)])


def test_without_shares_parameters_are_compared():
    model = Swappable()
    params = model.parameters(p=0.3, rates=[1.0, 4.0])
    match, by = matcher(model, None, params)
    assert by == "parameters"
    assert match(model.parameters(p=0.6, rates=[3.5, 1.5])).order == (1, 0)
    assert match(model.parameters(p=0.4, rates=[1.4, 3.0])).order == (0, 1)
    assert match(model.parameters(p=0.5, rates=[2.5, 2.5])).is_ambiguous


@pytest.mark.parametrize("name", ["two_coins", "linkage"])
def test_without_permuted_there_is_nothing_to_match(name):
    (model,) = [v for v in vars(example(name)).values() if isinstance(v, type) and issubclass(v, jensen.LatentModel)]
    params = model().parameters(**({"bias": [0.2, 0.6]} if name == "two_coins" else {"t": 0.5}))
    assert matcher(model(), None, params) == (None, "")


def test_what_depends_on_labels():
    model = mixture(3, 2, "tied")
    params = params_of("tied", model)
    test = depends_on_labels(model, params, np.random.default_rng(0))
    assert test(lambda p: p["means"]).all() and test(lambda p: p["weights"]).all()
    assert not test(lambda p: p["covariances"]).any()
    assert not test(lambda p: p["weights"] @ p["means"]).any()
    assert not test(lambda p: np.ptp(p["means"][:, 0]))
    coins = jensen.models.ThreeCoins()
    test = depends_on_labels(coins, coins.parameters(pi=0.5, p=0.5, q=0.5), np.random.default_rng(0))
    assert not test(coins.identified["pi*p + (1-pi)*q"]) and test(lambda p: p["pi"])
