"""Rows whose component is known: their posterior is fixed, and their density is the joint one."""

import numpy as np
import pytest
from climbs import climb, falls, small_mixtures, small_problem
from examples import example
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import SHAPES
from scipy.special import logsumexp

import jensen
from jensen.core.block import Block
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import ContractError, InputError
from jensen.models import Labelled, Mixture, ThreeCoins
from jensen.models.posterior import ByParts
from jensen.solvers import Annealed, Hard, Incremental, Plain, Stochastic, Truncated


def some_labels(seed, n, n_components, share=0.4):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(n) < share, rng.integers(n_components, size=n), -1)


@given(
    small_mixtures(),
    st.integers(0, 100),
    st.sampled_from([Plain("off"), Incremental(3), Truncated(2), Hard(), Annealed(seed=None, steps=5)]),
)
@settings(max_examples=120)
def test_what_is_promised_never_falls_with_labels_either(problem, seed, variant):
    model, x, weight, start = problem
    labels = some_labels(seed, len(x), model.n_components)
    result, infos = climb(variant, Labelled(model), x, start, weight, labels=labels)
    assert falls(infos) <= 1e-10
    assert result.status is not Status.OBJECTIVE_FELL


@pytest.mark.parametrize("shape", SHAPES)
def test_the_log_likelihood_by_its_definition(shape):
    model, x, weight, start = small_problem(1, shape=shape, weighted=True)
    labels = some_labels(2, len(x), 3)
    block = Block({"x": x, "labels": labels}, weight)
    joint = model.log_joint(start, block)
    rows = np.where(labels >= 0, joint[labels, np.arange(len(x))], logsumexp(joint, axis=0))
    statistics = Labelled(model).expect(start, block)
    assert statistics.loglik == pytest.approx(weight @ rows, rel=1e-13)
    share = np.exp(joint - logsumexp(joint, axis=0))
    share[:, labels >= 0] = np.eye(3)[labels[labels >= 0]].T
    np.testing.assert_allclose(statistics.components.counts, share @ weight, rtol=1e-12)
    np.testing.assert_allclose(Labelled(model).row_loglik(start, block), rows, rtol=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_e_step_in_two_parts_is_the_one_by_the_joint_density(shape):
    model, x, weight, start = small_problem(2, shape=shape, weighted=True)
    for share in (0.0, 0.3, 1.0):
        block = Block({"x": x, "labels": some_labels(3, len(x), 3, share)}, weight)
        found = Labelled(model).expect(start, block)
        expected = ByParts(Labelled(model)).expect(start, block)
        assert found.loglik == pytest.approx(expected.loglik, rel=1e-13) and found.weight == expected.weight
        np.testing.assert_allclose(found.components.counts, expected.components.counts, rtol=1e-11)
        np.testing.assert_allclose(found.components.first, expected.components.first, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found.components.scatter, expected.components.scatter, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_when_all_are_known_one_m_step_is_all(shape):
    model, x, weight, start = small_problem(3, shape=shape, weighted=True)
    labels = np.arange(len(x)) % 3
    fit = jensen.em(model, x, start, sample_weight=weight, labels=labels, accelerate="off")
    once = model.maximize(start, model.expect_given(start, Block({"x": x, "labels": labels}, weight)))
    for name, value in once.values.items():
        np.testing.assert_allclose(fit.params[name], value, rtol=1e-10, atol=1e-12)
    assert fit.trace[1] == pytest.approx(fit.objective, rel=1e-13)


def test_when_none_is_known_it_is_the_plain_model():
    model, x, _, start = small_problem(4)
    fit = jensen.em(model, x, start, labels=np.full(len(x), -1), accelerate="off")
    plain = jensen.em(model, x, start, accelerate="off")
    assert fit.trace == plain.trace and fit.model is model


def test_labels_settle_which_component_is_which():
    x = np.concatenate([np.random.default_rng(0).normal(at, 1.0, 80) for at in (-4.0, 4.0)])
    model = Mixture(jensen.families.Gaussian(2, 1))
    start = {"weights": [0.5, 0.5], "means": [[0.0], [0.0]], "covariances": [[[9.0]], [[9.0]]]}
    labels = np.full(160, -1)
    labels[:8], labels[-8:] = 1, 0
    # From the middle, labels alone part the components; a support of one component needs more of a hint.
    for solver in (None, Incremental(4), Truncated(2), Stochastic(draws=20)):
        fit = jensen.em(model, x, start, labels=labels, solver=solver)
        assert fit.params["means"][0, 0] > 3.5 and fit.params["means"][1, 0] < -3.5
        assert isinstance(fit.model, Labelled)


def test_weight_two_is_the_row_twice_and_its_label_too():
    model, x, weight, start = small_problem(5, weighted=True)
    labels = some_labels(6, len(x), 3)
    times = weight.astype(int)
    weighted = jensen.em(model, x, start, sample_weight=weight, labels=labels, accelerate="off")
    repeated = jensen.em(model, np.repeat(x, times, axis=0), start, labels=np.repeat(labels, times), accelerate="off")
    np.testing.assert_allclose(weighted.trace, repeated.trace, rtol=1e-10)


def test_a_known_coin():
    # All tosses known: shares and heads are counted.
    tosses, coin = np.array([1.0, 1, 0, 1, 0, 0, 1, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 1, 1, 1, 1, 0])
    fit = jensen.em(ThreeCoins(), tosses, {"pi": 0.5, "p": 0.5, "q": 0.4}, labels=coin)
    assert [float(fit.params[name]) for name in ("pi", "p", "q")] == pytest.approx([0.4, 0.75, 0.5], abs=1e-12)


def test_capabilities_that_know_no_labels_are_hidden():
    model = Labelled(small_problem(7)[0])
    for name in ("burst", "sample", "information", "permuted", "expect_given"):
        assert not hasattr(model, name)
    assert model.n_components == 3 and callable(model.complete)


def test_the_bound_is_traced_with_labels():
    model, x, _, start = small_problem(8)
    fit = jensen.em(model, x, start, labels=some_labels(9, len(x), 3), trace_bound=True)
    assert all(abs(step.gap) < 1e-9 for step in fit.bound if step.kind == "E")
    assert all(step.gap > 0 for step in fit.bound[1:10:2])


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (np.zeros(59, dtype=int), r"one entry per row, shape \(60,\), got shape \(59,\)"),
        (np.zeros(60), "labels must be integers, with -1 for unknown, got dtype float64"),
        (np.full(60, -2), "labels must be at least -1 and below the number of components, 3, got -2"),
        (np.full(60, 3), "got 3"),
    ],
)
def test_bad_labels_are_told(labels, told):
    model, x, _, start = small_problem(10)
    with pytest.raises(InputError, match=told):
        jensen.em(model, x, start, labels=labels)


def test_a_model_or_a_start_that_allows_no_labels_is_told():
    with pytest.raises(ContractError, match="Linkage has no method log_joint, which known labels"):
        jensen.em(example("linkage").Linkage(), [[125, 18, 20, 34]], {"t": 0.5}, labels=[0])
    model, x, _, start = small_problem(11)
    labels = np.full(60, -1)
    labels[7] = 2
    off = start.replace(weights=[0.5, 0.5, 0.0])
    with pytest.raises(InputError, match="a row has the label 2, but component 2 gives it no density"):
        jensen.em(model, x, off, labels=labels)


class RowsOnly(ArraySource):
    """A source that takes no further arrays."""

    with_arrays = None


def test_labels_beside_a_source_are_its_own_affair():
    model, x, _, start = small_problem(12)
    labels = some_labels(13, 60, 3)
    with pytest.raises(InputError, match="labels go with arrays"):
        jensen.em(model, RowsOnly(x), start, labels=labels)
    brought = jensen.em(Labelled(model), ArraySource(x, labels=labels), start)
    assert brought.objective == jensen.em(model, x, start, labels=labels).objective


def test_a_source_with_labels_beside_it_keeps_its_blocks():
    model, x, _, start = small_problem(14)
    fit = jensen.em(model, ArraySource(x, block_rows=20), start, labels=some_labels(15, 60, 3), solver=Incremental())
    assert fit.passes == 1 + fit.n_iter / 3
