"""The bound after every half step: it touches the log-likelihood after exact E-steps, and lies below it elsewhere."""

import warnings

import numpy as np
import pytest
from climbs import small_mixtures, small_problem
from examples import example
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

import jensen
from jensen.errors import ContractError, InputError
from jensen.models import ThreeCoins
from jensen.solvers import Annealed, Hard, Incremental, Stochastic, Truncated

TOSSES = [1, 1, 0, 1, 0, 0, 1, 0, 1, 1]


def traced(model, data, start, **settings):
    """A fit with its bound, quietly where it is not run to the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jensen.JensenWarning)
        return jensen.em(model, data, start, trace_bound=True, **{"max_iter": 15, **settings})


def size(fit, half_step):
    """What the sums behind a gap amount to."""
    return max(abs(half_step.loglik), fit.source.weight)


@given(small_mixtures(), st.sampled_from([None, Incremental(3), Truncated(2), Hard()]))
@settings(max_examples=100)
def test_gaps_are_never_negative_and_vanish_after_exact_e_steps(problem, solver):
    model, x, weight, start = problem
    fit = traced(model, x, start, sample_weight=weight, solver=solver)
    assert [step.kind for step in fit.bound] == ["E", *["M", "E"] * fit.n_iter]
    values = np.array([step.free_energy for step in fit.bound])
    # F never falls in either half.
    assert (np.diff(values) >= -1e-10 * np.maximum(np.abs(values[1:]), fit.source.weight)).all()
    for step in fit.bound:
        assert step.gap == step.loglik - step.free_energy
        assert step.gap >= -1e-10 * size(fit, step)
        if solver is None and step.kind == "E":
            assert abs(step.gap) <= 1e-10 * size(fit, step)


def test_the_gap_after_an_m_step_is_the_divergence_by_definition():
    model, x, weight, start = small_problem(3, n=30, spread=0.7, weighted=True)
    fit = traced(model, x, start, sample_weight=weight, max_iter=1)
    logs = [log_softmax(model.log_joint(params, fit.source.block(0)), axis=0) for params in (start, fit.params)]
    divergence = weight @ (np.exp(logs[0]) * (logs[0] - logs[1])).sum(axis=0)
    assert fit.bound[1].kind == "M" and fit.bound[1].gap == pytest.approx(divergence, rel=1e-9)


@pytest.mark.parametrize("solver", [None, Incremental(3), Truncated(2), Hard(), Annealed()], ids=repr)
def test_log_likelihoods_are_those_of_all_data(solver):
    model, x, _, start = small_problem(3, n=30, spread=0.7)
    fit = traced(model, x, start, solver=solver, max_iter=8)
    block = fit.source.block(0)
    assert fit.bound[0].loglik == pytest.approx(model.expect(start, block).loglik, rel=1e-12)
    assert fit.bound[-1].loglik == pytest.approx(model.expect(fit.params, block).loglik, rel=1e-12)
    for m, e in zip(fit.bound[1::2], fit.bound[2::2], strict=True):
        assert m.loglik == e.loglik
    assert any(step.gap > 1e-3 for step in fit.bound if step.kind == "M")


def test_the_gap_of_hard_em_is_that_of_its_labels():
    model, x, _, start = small_problem(4, n=30, spread=0.7)
    fit = traced(model, x, start, solver=Hard())
    joint = model.log_joint(fit.params, fit.source.block(0))
    last = fit.bound[-1]
    # KL of a point mass is minus the logarithm of its posterior.
    share = np.exp(joint.max(axis=0) - np.logaddexp.reduce(joint, axis=0))
    assert last.gap == pytest.approx(-np.log(share).sum(), rel=1e-9)


def test_an_m_step_opens_the_gap_and_the_next_e_step_closes_it():
    model, x, _, start = small_problem(5, spread=0.5)
    fit = traced(model, x, start)
    for m, e in zip(fit.bound[1::2], fit.bound[2::2], strict=True):
        assert (m.kind, e.kind) == ("M", "E") and m.iteration == e.iteration
        assert m.loglik == e.loglik and m.gap > 0 >= e.gap - 1e-9
        assert e.free_energy - m.free_energy == pytest.approx(m.gap, abs=1e-9)
    assert fit.bound[-1].free_energy == pytest.approx(fit.objective, rel=1e-13)


def test_a_wrong_entropy_shows_as_a_gap():
    class Wrong(ThreeCoins):
        def statistics_from(self, params, block, responsibilities, bound):
            sums = super().statistics_from(params, block, responsibilities, bound)
            sums.entropy *= 1.01
            return sums

    start = {"pi": 0.4, "p": 0.6, "q": 0.7}
    right, wrong = (traced(model, TOSSES, start).bound[0].gap for model in (ThreeCoins(), Wrong()))
    assert abs(right) < 1e-13 and abs(wrong) > 1e-3


@pytest.mark.parametrize(
    ("name", "model", "data", "start"),
    [
        ("linkage", "Linkage", [[125, 18, 20, 34]], {"t": 0.5}),
        ("blood_groups", "BloodGroups", [[186, 38, 13, 284]], {"alleles": [0.3, 0.2, 0.5]}),
        ("two_coins", "TwoCoins", [5, 9, 8, 4, 7], {"bias": [0.6, 0.5]}),
        ("poisson_mixture", "PoissonMixture", [0, 1, 1, 2, 3, 5, 5, 8], {"p": 0.5, "rates": [1.0, 3.0]}),
    ],
)
def test_models_of_the_user_need_complete_alone(name, model, data, start):
    fit = traced(getattr(example(name), model)(), data, start)
    assert all(step.gap == 0.0 for step in fit.bound if step.kind == "E")
    assert all(step.gap >= -1e-12 for step in fit.bound)
    assert fit.bound[1].gap > 1e-6


def test_coins_may_have_weights():
    weight = np.arange(10.0) / 3
    fit = traced(ThreeCoins(), TOSSES, {"pi": 0.4, "p": 0.6, "q": 0.7}, sample_weight=weight)
    assert all(abs(step.gap) < 1e-13 for step in fit.bound if step.kind == "E")


def test_exact_solvers_take_no_further_pass():
    class Counted(ThreeCoins):
        passes = 0

        def log_joint(self, params, block):
            type(self).passes += 1
            return super().log_joint(params, block)

    fit = traced(Counted(), TOSSES, {"pi": 0.4, "p": 0.6, "q": 0.7})
    assert Counted.passes == fit.passes


def test_the_end_of_stochastic_em_is_no_m_step():
    model, x, _, start = small_problem(6, spread=0.5)
    fit = traced(model, x, start, solver=Stochastic(draws=4), max_iter=10)
    kinds = "".join(step.kind for step in fit.bound)
    assert kinds == "E" + "ME" * 4 + "E" + "ME" * 6
    assert all(step.gap > 1e-3 for step in fit.bound[:9])
    assert all(abs(step.gap) < 1e-9 for step in fit.bound[9:] if step.kind == "E")


def test_without_the_asking_nothing_is_recorded():
    assert jensen.em(ThreeCoins(), TOSSES, {"pi": 0.4, "p": 0.6, "q": 0.7}).bound == ()


def test_what_is_missing_is_named():
    class Bare:
        domains = {"t": jensen.domains.Real(())}

        def expect(self, params, block):
            return jensen.Sums(weight=1, loglik=0)

        def maximize(self, params, statistics):
            return {}

    with pytest.raises(
        ContractError, match=r"Bare has no method complete\(params, statistics\), which trace_bound needs"
    ):
        jensen.em(Bare(), [1.0], {"t": 0.0}, trace_bound=True)

    class NoEntropy(ThreeCoins):
        def statistics_from(self, params, block, responsibilities, bound):
            sums = super().statistics_from(params, block, responsibilities, bound)
            sums.entropy = None
            return sums

    start = {"pi": 0.4, "p": 0.6, "q": 0.7}
    # What the objective leaves for the entropy is right wherever the objective is F.
    for solver in (None, Truncated(1), Incremental(2)):
        assert traced(NoEntropy(), TOSSES, start, solver=solver).bound[0].gap >= -1e-12
    with pytest.raises(ContractError, match="NoEntropy: statistics have no entropy"):
        jensen.em(NoEntropy(), TOSSES, start, trace_bound=True, solver=Stochastic())
    with pytest.raises(InputError, match="trace_bound follows E- and M-steps"):
        jensen.em(ThreeCoins(), TOSSES, start, trace_bound=True, accelerate="squarem")


def test_the_example_prints_it(capsys):
    example("free_energy").main()
    printed = capsys.readouterr().out
    assert "EM:" in printed and "incremental EM, 4 blocks:" in printed and "gap" in printed
