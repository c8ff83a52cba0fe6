"""Incremental EM: F never falls, totals come from a tree of merges, and slow problems take fewer passes."""

import warnings
from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from climbs import climb, falls, small_mixtures, small_problem
from examples import example
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import NeverStop, mixture, table
from scipy.special import softmax

import jensen
from jensen.core.block import Block
from jensen.core.contracts import Stage
from jensen.core.model import Checked
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import ContractError, InputError, NumericalFailure
from jensen.solve.em import EM
from jensen.solve.incremental import IncrementalEM, MergeTree
from jensen.solve.loop import Limits, run
from jensen.solve.stopping import AtRest
from jensen.solvers import Incremental


@given(small_mixtures(), st.sampled_from([1, 2, 3, 5, 12]), st.booleans())
@settings(max_examples=150)
def test_f_never_falls_and_lies_below_the_log_likelihood(problem, n_blocks, shuffle):
    model, x, weight, start = problem
    result, infos = climb(Incremental(n_blocks, shuffle), model, x, start, weight, max_iter=40)
    assert falls(infos) <= 1e-10
    assert result.status is not Status.OBJECTIVE_FELL
    loglik = model.expect(result.params, Block({"x": x}, weight)).loglik
    assert result.objective <= loglik + 1e-10 * abs(loglik)


def test_f_by_brute_force():
    # F of the shares that each block got when it was last seen, row by row.
    model, x, _, _ = small_problem(1, n=10, d=1, n_components=2)
    start = model.parameters(weights=[0.4, 0.6], means=[[-1.0], [2.0]], covariances=[[[2.0]], [[3.0]]])
    source, solver = ArraySource(x, block_rows=4), IncrementalEM(Checked(model))
    state, shares = solver.init(start), {}
    for _ in range(8):
        expect, params, blocks = solver.ask(state)
        for number in range(3) if blocks is None else blocks:
            block = source.block(number)
            shares[number] = softmax(model.log_joint(params, block), axis=0)
        statistics = source.fold(expect, params) if blocks is None else source.fold(expect, params, blocks)
        state, info = solver.tell(state, params, statistics)
        q = np.concatenate([shares[number] for number in range(3)], axis=1)
        joint = model.log_joint(params, Block({"x": x}))
        assert info.objective == pytest.approx((q * (joint - np.log(q))).sum(), rel=1e-12)


def test_one_block_is_em():
    model, x, weight, start = small_problem(2, weighted=True)
    one, infos = climb(Incremental(1), model, x, start, weight, max_iter=20)
    plain = run(EM(model), ArraySource(x, weight), start, NeverStop(), Limits(max_iter=20))
    np.testing.assert_allclose(one.trace, plain.trace, rtol=1e-12)
    assert one.passes == plain.passes == 21 and all(info.plain for info in infos)


class Text(str):
    """A word that merges by being joined, with brackets that show how."""

    def merge(self, other):
        return Text(f"({self}{other})")


@pytest.mark.parametrize("n_leaves", [1, 2, 3, 5, 8, 11])
def test_the_tree_merges_in_order_and_anew_only_above_a_changed_leaf(n_leaves):
    leaves = [Text(chr(97 + i)) for i in range(n_leaves)]
    tree = MergeTree.of(leaves)
    assert [c for c in tree.total if c.isalpha()] == list(leaves)
    for number in range(n_leaves):
        changed = tree.replaced(number, Text("Z"))
        expected = MergeTree.of([*leaves[:number], Text("Z"), *leaves[number + 1 :]])
        assert changed.total == expected.total
        fresh = sum(a is not b for a, b in zip(tree.nodes, changed.nodes, strict=True))
        assert fresh <= 1 + max(0, n_leaves - 1).bit_length()
        # The old tree is what it was: a run that ends in a failed step still has it.
        assert tree.total == MergeTree.of(leaves).total


def test_totals_stay_those_of_the_blocks_after_many_sweeps():
    model, x, _, start = small_problem(3, n=100)
    solver, source = IncrementalEM(Checked(model)), ArraySource(x, block_rows=10)
    state = solver.init(start)
    for _ in range(400):
        expect, params, blocks = solver.ask(state)
        statistics = source.fold(expect, params) if blocks is None else source.fold(expect, params, blocks)
        state, _ = solver.tell(state, params, statistics)
    leaves = state.tree.nodes[len(state.tree.nodes) // 2 :][: state.tree.n_leaves]
    total = reduce(lambda a, b: a.merge(b), leaves)
    found, expected = (share.statistics.components.about(np.zeros((3, 2))) for share in (state.tree.total, total))
    np.testing.assert_allclose(found.scatter, expected.scatter, rtol=1e-13)
    assert state.tree.total.statistics.weight == 100.0


def test_rules_see_whole_sweeps():
    model, x, _, start = small_problem(4)
    result, infos = climb(Incremental(5), model, x, start, max_iter=20)
    assert [info.iteration for info in infos if info.plain] == [0, 5, 10, 15, 20]
    sweeps = [info for info in infos if info.plain]
    for before, after in pairwise(sweeps):
        assert after.gain == after.objective - before.objective
    assert result.passes == 5


def test_a_fall_in_the_last_step_of_a_sweep_is_not_hidden():
    class Falling(jensen.models.ThreeCoins):
        """F rises by 10 in the first step of a sweep, and falls by 1 in the second."""

        def complete(self, params, statistics):
            return next(values) if statistics.weight == 2 else 0.0

    values = iter([0.0, 10.0, 9.0])
    model = Checked(Falling())
    source, start = ArraySource(np.array([[0.0], [1.0]]), block_rows=1), model.start({"pi": 0.4, "p": 0.6, "q": 0.7})
    solver = IncrementalEM(model)
    infos = []
    result = run(solver, source, start, NeverStop(), Limits(max_iter=9), infos.append)
    assert result.status is Status.OBJECTIVE_FELL and result.n_iter == 1
    assert [info.iteration for info in infos] == [0, 1]


@pytest.mark.parametrize("seed", [26, 33, 44, 54])
def test_slow_problems_take_at_most_0_65_of_the_passes(seed):
    model, x, start = slow_problem(seed)
    source = ArraySource(x)
    batch = run(EM(model, model.burst), source, start, NeverStop(), Limits(max_iter=4000))
    trace = np.array(batch.trace)
    gains = np.diff(trace)
    near = int(np.argmax(trace >= trace[-1] - 1.0))
    assert gains[near + 1] / gains[near] > 0.9
    variant = Incremental()
    result = run(
        variant.solver(Checked(model), NeverStop()),
        variant.source(source),
        start,
        Reach(trace[-1] - 1.0),
        Limits(max_iter=100_000),
    )
    assert result.status is Status.CONVERGED
    assert result.passes <= 0.65 * (near + 1)
    assert (np.diff(result.trace) >= -1e-10 * abs(trace[-1])).all()


class Reach:
    """Stop where an objective is reached."""

    def __init__(self, target):
        self.target = target

    def update(self, info):
        return Status.CONVERGED if info.objective >= self.target else None


def slow_problem(seed):
    """Overlapping components, from a poor start."""
    rng = np.random.default_rng(seed)
    n, d, k = (int(rng.choice(choices)) for choices in ([500, 1000, 4000], [1, 2, 4], [2, 3, 4]))
    x = table(seed, n, d, k, spread=rng.choice([0.7, 1.2, 2.0]))
    model = mixture(k, d, "full", 1e-4 * x.var())
    means = x[rng.choice(n, k, replace=False)]
    return (
        model,
        x,
        model.parameters(weights=np.full(k, 1 / k), means=means, covariances=[np.atleast_2d(np.cov(x.T))] * k),
    )


def test_the_end_is_that_of_em():
    model, x, _, start = small_problem(5, n=200, spread=1.0)
    incremental = jensen.em(model, x, start, solver=Incremental(8), stop=1e-9)
    batch = jensen.em(model, x, start, accelerate="off", stop=1e-9)
    assert incremental.objective == pytest.approx(batch.objective, abs=1e-6)
    np.testing.assert_allclose(incremental.params["means"], batch.params["means"], atol=1e-3)
    assert incremental.ascends == "free energy" and "8 blocks" in str(incremental)


def test_a_model_with_complete_up_to_constants_is_served():
    # `complete` of these examples leaves out what no parameter touches; F is right all the same.
    poisson = example("poisson_mixture")
    rng = np.random.default_rng(0)
    deaths = np.where(rng.random(600) < 0.4, rng.poisson(1.2, 600), rng.poisson(4.0, 600))
    start = {"p": 0.5, "rates": [1.0, 3.0]}
    batch = jensen.em(poisson.PoissonMixture(), deaths, start, accelerate="off")
    fit = jensen.em(poisson.PoissonMixture(), deaths, start, solver=Incremental())
    assert fit.objective == pytest.approx(batch.objective, abs=1e-4)
    assert fit.passes < batch.passes and (np.diff(fit.trace) > -1e-8).all()


def test_blocks_are_dealt_by_the_seed_or_cut_in_order():
    x = np.arange(100.0)[:, None]
    source = ArraySource(x, np.arange(100.0) + 1, mark=np.arange(100))
    dealt = Incremental(4, seed=1).source(source)
    assert dealt.n_blocks == 4 and dealt.block(0).n_rows == 25
    rows = np.concatenate([dealt.block(b).x for b in range(4)]).ravel()
    assert sorted(rows) == list(range(100)) and (rows != x.ravel()).any()
    for b in range(4):
        block = dealt.block(b)
        np.testing.assert_array_equal(block.arrays["mark"], block.x.ravel())
        np.testing.assert_array_equal(block.weight, block.x.ravel() + 1)
    assert (Incremental(4, seed=2).source(source).x != dealt.x).any()
    np.testing.assert_array_equal(Incremental(4, seed=1).source(source).x, dealt.x)
    np.testing.assert_array_equal(Incremental(4, shuffle=False).source(source).x, x)
    assert Incremental().source(source).n_blocks == 5
    assert Incremental().source(ArraySource(x[:10])).n_blocks == 1


def test_a_source_brings_its_own_blocks():
    model, x, _, start = small_problem(6)
    own = ArraySource(x, block_rows=7)
    fit = jensen.em(model, own, start, solver=Incremental())
    assert fit.source is own
    assert fit.passes * 9 == pytest.approx(fit.n_iter + 9)
    # With an array, the fit keeps the rows in the order in which they came.
    np.testing.assert_array_equal(jensen.em(model, x, start, solver=Incremental()).source.x, x)


def test_an_interrupt_or_a_failure_within_a_sweep_keeps_the_last_point():
    class Ends(jensen.models.ThreeCoins):
        calls, error = 0, KeyboardInterrupt()

        def expect(self, params, block):
            self.calls += 1
            if self.calls == 9:
                raise self.error
            return super().expect(params, block)

        def __setattr__(self, name, value):
            object.__setattr__(self, name, value)

    for error, status in ((KeyboardInterrupt(), Status.INTERRUPTED), (NumericalFailure("gone"), Status.DEGENERATE)):
        model = Ends()
        model.error = error
        with pytest.warns(jensen.JensenWarning):
            # Four blocks at the start, and four more steps.
            fit = jensen.em(model, [1, 1, 0, 1] * 3, {"pi": 0.4, "p": 0.6, "q": 0.1}, solver=Incremental(4), stop=0.0)
        assert fit.status is status and fit.n_iter == 4 and fit.passes == 2
        assert fit.objective == fit.trace[-1] and len(fit.trace) == 5


def test_steps_of_sweeps_are_measured_for_rules_that_look_at_them():
    model, x, _, start = small_problem(7, n=100)
    fit = jensen.em(model, x, start, solver=Incremental(4), stop=AtRest(1e-9))
    assert fit.status is Status.CONVERGED
    moved = model.maximize(fit.params, model.expect(fit.params, Block({"x": x}))).to_free() - fit.params.to_free()
    assert np.abs(moved).max() < 1e-7


def test_what_a_model_lacks_is_named():
    class Bare:
        domains = {"t": jensen.domains.Real(())}

        def expect(self, params, block):
            return jensen.Sums(weight=1, loglik=0)

        def maximize(self, params, statistics):
            return {}

    with pytest.raises(ContractError, match="Bare has no method complete.*Incremental"):
        jensen.em(Bare(), [1.0], {"t": 0.0}, solver=Incremental())

    class Stages(Bare):
        stages = (Stage(Bare().expect, Bare().maximize),) * 2

        def complete(self, params, statistics):
            return 0.0

    with pytest.raises(ContractError, match="Incremental needs a model of one stage, and Stages has 2"):
        jensen.em(Stages(), [1.0], {"t": 0.0}, solver=Incremental())


def test_more_blocks_than_rows_are_refused():
    model, x, _, start = small_problem(8, n=12)
    with pytest.raises(InputError, match="n_blocks must be at most the number of rows, 12, got 13"):
        jensen.em(model, x, start, solver=Incremental(13))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert jensen.em(model, x, start, solver=Incremental(12), max_iter=24).passes == 3
