"""What is recorded is the run of the solver, and F and the log-likelihood are what their definitions say."""

import numpy as np
import pytest
from climbs import small_mixtures, small_problem
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import jensen
from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.fit.mixture import fit_mixture
from jensen.fit.search.mixtures import KINDS
from jensen.fit.settings import MixtureSettings
from jensen.solve.loop import Limits, run
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Plain
from jensen.watch.record import recorded

METHODS = ("off", "squarem", "anderson", "quasi-newton")


def kept(problem, method="off", most=10_000, max_iter=60):
    model, x, weight, start = problem
    source = ArraySource(x, weight)
    rule = AitkenRule(source.weight)
    return recorded(Plain(method).solver(model, rule), model, source, start, rule, Limits(max_iter), most)


@given(small_mixtures(), st.sampled_from(METHODS))
@settings(max_examples=60)
def test_the_record_is_the_run_of_the_solver(problem, method):
    model, x, weight, start = problem
    record = kept(problem, method)
    source = ArraySource(x, weight)
    rule = AitkenRule(source.weight)
    plain = run(Plain(method).solver(model, rule), source, start, rule, Limits(60))
    e_steps = [frame.loglik for frame in record.frames if frame.kind == "E"]
    # EM goes in bursts where nobody watches: its M-steps then agree to rounding.
    assert len(e_steps) == len(plain.trace)
    np.testing.assert_allclose(e_steps, plain.trace, rtol=1e-9, atol=1e-9)
    assert record.run.n_iter == plain.n_iter and record.run.extrapolations == plain.extrapolations
    assert record.frames[-1].passes == plain.passes
    refused = sum(frame.kind == "refused" for frame in record.frames)
    leaps = sum(frame.kind == "leap" for frame in record.frames)
    assert (leaps + refused, leaps) == plain.extrapolations


def test_a_start_is_that_of_a_fit_under_the_same_seed():
    data = jensen.datasets.load("faithful")
    recording = jensen.watch.mixture(data, 3, n_starts=3, random_state=7)
    for index, one in enumerate(recording.comparisons):
        assert one.kind == KINDS[index]
    settings = MixtureSettings(3, init=KINDS[0], n_init=1, accelerate="off", seed=7)
    fit = fit_mixture(ArraySource(data.data), settings)
    heights = [frame.loglik for frame in recording.comparisons[0].plain.frames if frame.kind == "E"]
    np.testing.assert_allclose(heights, fit.trace, rtol=1e-10)


@given(small_mixtures())
@settings(max_examples=60)
def test_the_bound_touches_after_e_and_rises_with_m(problem):
    frames = kept(problem).frames
    assert "".join(frame.kind[0] for frame in frames) == "sE" + "ME" * (len(frames) // 2 - 1)
    slack = 1e-10 * max(abs(frames[1].loglik), len(problem[1]))
    assert frames[0].free_energy is None and frames[0].shares is None
    for before, frame in zip(frames[1:-1], frames[2:], strict=True):
        assert frame.free_energy <= frame.loglik + slack
        assert frame.free_energy >= before.free_energy - slack
        if frame.kind == "E":
            assert abs(frame.gap) <= slack and frame.shares is frame.params
        else:
            assert frame.shares is before.params and frame.loglik >= before.loglik - slack


def by_definition(x, weight, params, shares):
    """F and the log-likelihood of a full mixture, without a ridge, from their definitions."""

    def log_joint(at):
        columns = [
            multivariate_normal(mean, cov, allow_singular=False).logpdf(x)
            for mean, cov in zip(at["means"], at["covariances"], strict=True)
        ]
        return np.stack(columns, axis=1).reshape(len(x), -1) + np.log(at["weights"])

    here, there = log_joint(params), log_joint(shares)
    logs = there - logsumexp(there, axis=1, keepdims=True)
    q = np.exp(logs)
    return weight @ (q * (here - logs)).sum(axis=1), weight @ logsumexp(here, axis=1)


@pytest.mark.parametrize("method", ["off", "quasi-newton"])
def test_bound_and_likelihood_are_those_of_the_definitions(method):
    data = jensen.datasets.load("faithful").data
    weight = 0.5 + np.arange(len(data)) % 3
    settings = MixtureSettings(3, reg_covar=0.0, init="random", seed=3, max_iter=25, accelerate=method)
    table = jensen.data.table.Table(data, weights=weight)
    recording = jensen.watch.Recording(table, settings, n_starts=4)
    one = recording.comparisons[3]
    frames = (one.accelerated if method != "off" else one.plain).frames
    assert len(frames) > 20
    for frame in frames[1:]:
        if frame.kind == "refused":
            continue
        bound, loglik = by_definition(data, weight, frame.params, frame.shares)
        assert frame.free_energy == pytest.approx(bound, rel=1e-10)
        assert frame.loglik == pytest.approx(loglik, rel=1e-10)
    gaps = [frame.gap for frame in frames if frame.kind == "M"]
    assert max(gaps) > 0.1 and min(gaps) > 0


def test_of_a_long_run_the_first_steps_and_the_last_are_kept():
    problem = small_problem(3, n=60, spread=0.4)
    whole, some = kept(problem, max_iter=200), kept(problem, most=30, max_iter=200)
    assert whole.n_steps == some.n_steps == whole.n_kept > 60
    assert 10 <= some.n_kept <= 32
    numbers = [frame.iteration for frame in some.frames if frame.kind == "E"]
    assert numbers[:10] == list(range(10)) and numbers[-1] == some.run.n_iter
    steps = np.diff(numbers[10:-1])
    assert (steps == steps[0]).all() and steps[0] > 1
    every = {frame.iteration: frame for frame in whole.frames if frame.kind == "M"}
    for frame in some.frames:
        if frame.kind == "M":
            assert frame.free_energy == every[frame.iteration].free_energy


def test_a_leap_where_there_is_no_density_is_a_refused_one():
    class Falls:
        """The solver whose extrapolations all fail."""

        def __init__(self, solver):
            self.solver = solver

        def __getattr__(self, name):
            return getattr(self.solver, name)

        def tell(self, state, params, statistics):
            if state.proposal is not None:
                raise FloatingPointError("no density")
            return self.solver.tell(state, params, statistics)

    model, x, weight, start = small_problem(5, n=60, spread=0.4)
    source = ArraySource(x, weight)
    rule = AitkenRule(source.weight)
    solver = Falls(Plain("squarem").solver(model, rule))
    record = recorded(solver, model, source, start, rule, Limits(20), 300)
    refused = [frame for frame in record.frames if frame.kind == "refused"]
    assert refused and all(frame.loglik is None and frame.free_energy is None for frame in refused)
    assert record.run.passes == record.frames[-1].passes


def test_a_moved_mean_starts_where_it_was_put():
    recording = jensen.watch.mixture(jensen.datasets.load("iris"), 3, n_starts=1, random_state=1)
    seen = recording.comparisons[0].plain.frames[4]
    for onto in ([1, 3], [4, 5], [0]):
        places = recording.axes.points(seen.params["means"])[:, onto]
        places[1] += 0.25
        moved = recording.moved(0, False, 4, onto, places)
        start = moved.plain.frames[0].params
        np.testing.assert_allclose(recording.axes.points(start["means"])[:, onto], places, atol=1e-9)
        others = [j for j in range(4) if j not in onto]
        same = seen.params["means"][:, others]
        if max(onto) < 4:
            np.testing.assert_allclose(start["means"][:, others], same, atol=1e-12)
        else:
            assert not np.allclose(start["means"], seen.params["means"])
        np.testing.assert_array_equal(start["means"][[0, 2]].round(9), seen.params["means"][[0, 2]].round(9))
        np.testing.assert_array_equal(start["covariances"], seen.params["covariances"])
        assert moved.plain.frames[1].free_energy == moved.plain.run.trace[0]
    assert [one.number for one in recording.comparisons] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("number", "frame", "onto", "places", "words"),
    [
        (9, 0, [0, 1], np.zeros((3, 2)), "there is no start 9"),
        (-1, 0, [0, 1], np.zeros((3, 2)), "there is no start -1"),
        (0, 10_000, [0, 1], np.zeros((3, 2)), "there is no frame 10000"),
        (0, 0, [0, 0], np.zeros((3, 2)), "different axes"),
        (0, 0, [0, 7], np.zeros((3, 2)), "different axes"),
        (0, 0, [], np.zeros((3, 0)), "different axes"),
        (0, 0, [0, 1], np.zeros((2, 2)), "expected 3 means with 2 finite numbers"),
        (0, 0, [0, 1], np.full((3, 2), np.nan), "expected 3 means with 2 finite numbers"),
        (0, 0, [0, 1], np.full((3, 2), 1e9), "Move it nearer"),
    ],
)
def test_what_cannot_be_moved_is_refused(faithful, number, frame, onto, places, words):
    before = len(faithful.comparisons)
    with pytest.raises(InputError, match=words):
        faithful.moved(number, False, frame, onto, places)
    assert len(faithful.comparisons) == before


def test_errors_say_what_to_do():
    X = np.array([[0.0, 1.0], [0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    with pytest.raises(InputError, match="4 components for 3 different rows .* ask for no more"):
        jensen.watch.mixture(X, 4)
    with pytest.raises(InputError, match="axes: there is no column 'z'"):
        jensen.watch.mixture(X, 2, axes=["z"])
    with pytest.raises(InputError, match=r"sample_weight must have the shape \(4,\)"):
        jensen.watch.mixture(X, 2, sample_weight=[1.0])
    with pytest.raises(InputError, match="n_starts must be a whole number of at least 1, got 0"):
        jensen.watch.mixture(X, 2, n_starts=0)
    with pytest.raises(InputError, match="accelerate must be one of"):
        jensen.watch.mixture(X, 2, accelerate="fast")


def test_the_number_of_components_is_chosen_and_said():
    recording = jensen.watch.mixture(jensen.datasets.load("faithful"), n_starts=1, random_state=0)
    assert recording.model.n_components == 2
    assert recording.notes == ["2 components have the smallest BIC of 2 to 9."]


def test_weights_are_copies():
    X = jensen.datasets.load("galaxies").data[::3]
    weight = 1.0 + np.arange(len(X)) % 3
    one = jensen.watch.mixture(X, 2, sample_weight=weight, n_starts=2, random_state=4)
    other = jensen.watch.mixture(np.repeat(X, weight.astype(int), axis=0), 2, n_starts=2, random_state=4)
    for a, b in zip(one.comparisons, other.comparisons, strict=True):
        np.testing.assert_allclose(a.plain.run.trace, b.plain.run.trace, rtol=1e-10)
