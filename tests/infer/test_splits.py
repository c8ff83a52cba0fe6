"""Splits of components, and the climbs from them: laws of the coordinates, and the same ends as the loop's."""

from dataclasses import replace
from threading import Event

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixtures import fit, table

from jensen.core.contracts import Run
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import NumericalFailure
from jensen.families.shapes import SHAPES
from jensen.fit.mixture import mixture_of
from jensen.fit.settings import MixtureSettings
from jensen.fit.starts.draw import from_given
from jensen.fit.summary import summarise
from jensen.infer import splits
from jensen.infer.splits import (
    Ladder,
    Stopped,
    climb,
    duplicated,
    invariant_coordinates,
    leads_to,
    split_responsibilities,
)
from jensen.solve.loop import Limits, run
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Plain


def ladder_of(x, k, weight=None, **settings):
    """The ladder up to k + 1 components of some rows, and the fit of k."""
    source = ArraySource(x, weight)
    data = summarise(source, 0)
    models = {j: mixture_of(MixtureSettings(j, **settings), source, data) for j in range(1, k + 2)}
    null = fit(x, k, weight, n_init="auto", **settings)
    shares = source.collect(null.model.responsibilities, null.params)
    given_to = {j: np.column_stack([shares[:, : j - 1], shares[:, j - 1 :].sum(axis=1)]) for j in range(1, k + 1)}
    given_to[k + 1] = duplicated(source, shares)
    templates = {j: from_given(models[j], data, source.with_arrays(responsibilities=given_to[j])) for j in models}
    return Ladder(models, templates, data.informative, Limits(), 1e-6), source, null


# ------------------------------------------------------------------------------------------------ splits


@given(st.integers(0, 2**16), st.integers(1, 4))
def test_affine_maps_change_invariant_coordinates_by_signs_alone(seed, d):
    rng = np.random.default_rng(seed)
    x, share = rng.standard_exponential((60, d)), rng.random(60)
    turn = rng.standard_normal((d, d)) + 2 * np.eye(d)
    found, moved = invariant_coordinates(x, share), invariant_coordinates(x @ turn + 5.0, share)
    np.testing.assert_allclose(share @ found, 0.0, atol=1e-9)
    np.testing.assert_allclose((share[:, None] * found).T @ found / share.sum(), np.eye(d), atol=1e-9)
    kurtosis = (share * (found**2).sum(axis=1)) @ found**2
    assert (np.diff(kurtosis) >= -1e-9).all()
    if np.linalg.cond(turn) < 100 and np.diff(kurtosis).min(initial=1.0) > 1.0:
        np.testing.assert_allclose(np.abs(moved), np.abs(found), atol=1e-6)


def test_the_first_axis_is_the_one_that_hides_two_groups():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 3))
    x[:200, 1] += 5.0
    mixed = x @ rng.standard_normal((3, 3))
    first = invariant_coordinates(mixed, np.ones(400))[:, 0]
    low, high = sorted((first[:200].mean(), first[200:].mean()))
    assert low < -0.8 and high > 0.8


def test_what_does_not_vary_is_left_out():
    x = np.random.default_rng(0).standard_normal((30, 2))
    flat = np.column_stack([x, np.ones(30), x[:, 0]])
    assert invariant_coordinates(flat, np.ones(30)).shape == (30, 2)
    assert invariant_coordinates(np.ones((5, 2)), np.ones(5)) is None
    assert invariant_coordinates(x, np.zeros(30)) is None


@given(st.integers(0, 2**16), st.integers(1, 4), st.integers(1, 6))
def test_splits_share_out_one_component(seed, k, d):
    rng = np.random.default_rng(seed)
    x, resp = rng.standard_normal((40, d)), rng.dirichlet(np.ones(k), 40)
    found = list(split_responsibilities(x, None, resp))
    assert len(found) == k * (1 + 3 * min(d, 4))
    for number, split in enumerate(found):
        whole = number // (1 + 3 * min(d, 4))
        assert (split >= 0.0).all()
        np.testing.assert_allclose(split[:, whole] + split[:, -1], resp[:, whole], atol=1e-15)
        np.testing.assert_array_equal(np.delete(split[:, :-1], whole, axis=1), np.delete(resp, whole, axis=1))
        assert 0.0 < split[:, -1].sum() < resp[:, whole].sum()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_duplicate_has_the_same_likelihood(shape):
    x, weight = table(5, 120, 2, 3, spread=1.5), np.random.default_rng(0).integers(0, 3, 120).astype(float)
    ladder, source, null = ladder_of(x, 2, weight, covariance_type=shape)
    twice = ladder.templates[3]
    assert twice["weights"][-1] == pytest.approx(null.params["weights"].max() / 2, rel=1e-3)
    height = source.fold(ladder.models[3].expect, twice).loglik
    # An M-step from the fit of K, which has converged: never below it but for rounding, and hardly above it.
    assert -1e-8 < height - null.objective < 1e-3


# ------------------------------------------------------------------------------------------------ climbs


@pytest.mark.parametrize("shape", SHAPES)
def test_climbs_end_where_the_loop_ends(shape):
    x = table(2, 150, 2, 3, spread=1.0)
    ladder, source, _ = ladder_of(x, 2, covariance_type=shape)
    model = ladder.models[3]
    start = fit(x, 3, covariance_type=shape, max_iter=2).params
    found = climb(model, source, start, Limits(), 1e-6)
    rule = AitkenRule(source.weight, tol=1e-6)
    expected = run(Plain("off").solver(model, rule), source, start, rule, Limits())
    assert found.status is Status.CONVERGED
    assert found.objective == pytest.approx(expected.objective, abs=1e-4)
    # The objective is that of the parameters.
    assert source.fold(model.expect, found.params).loglik == pytest.approx(found.objective, abs=1e-8)


def test_a_climb_in_two_parts_is_the_whole_one():
    ladder, source, _ = ladder_of(np.random.default_rng(0).standard_normal((150, 2)), 2)
    start = ladder.templates[3].replace(means=ladder.templates[3]["means"] + [[0.3, 0.0], [0.0, 0.0], [0.0, -0.3]])
    short = climb(ladder.models[3], source, start, Limits(max_iter=32), 1e-9)
    assert short.n_iter == 32 and short.status is Status.OUT_OF_ITERATIONS and len(short.trace) == 4
    again = run(Plain("off").solver(ladder.models[3], never := Never()), source, start, never, Limits(max_iter=32))
    assert short.objective == pytest.approx(again.objective, abs=1e-9)
    rest = climb(ladder.models[3], source, short.params, Limits(), 1e-9, before=short)
    whole = climb(ladder.models[3], source, start, Limits(), 1e-9)
    assert rest.objective == pytest.approx(whole.objective, abs=1e-8)
    assert rest.objective > short.objective


class Never:
    """A rule that never stops."""

    def update(self, info):
        return None


class Bursts:
    """A model whose bursts are written down."""

    def __init__(self, *trails):
        self.trails = iter(trails)

    def burst(self, params, statistics, block, steps):
        objectives, failure = next(self.trails)
        return Trail(objectives, failure)


class Trail:
    def __init__(self, objectives, failure=""):
        self.objectives, self.failure = objectives, failure

    def point(self, index):
        return f"point at {self.objectives[index]}", "statistics"


ROWS = ArraySource(np.zeros((5, 1)))


@pytest.mark.parametrize("end", [np.nan, -3.0, -np.inf])
def test_a_climb_ends_before_what_is_unsound(end):
    found = climb(Bursts(([-4.0, -2.0, -1.0, end, 0.0], "")), ROWS, "start", Limits(), 1e-6)
    assert found.status is Status.DEGENERATE and found.objective == -1.0 and found.params == "point at -1.0"


def test_a_climb_that_fails_keeps_what_it_has():
    found = climb(Bursts(([-4.0, -2.0], "singular")), ROWS, "start", Limits(), 1e-6)
    assert found.status is Status.DEGENERATE and found.objective == -2.0 and found.n_iter == 1
    later = climb(Bursts(([-4.0, -2.0, -1.5, -1.4], ""), ([], "singular")), ROWS, "start", Limits(), 1e-6)
    assert later.status is Status.DEGENERATE and later.objective == -1.4
    with pytest.raises(NumericalFailure, match="singular"):
        climb(Bursts(([], "singular")), ROWS, "start", Limits(), 1e-6)
    with pytest.raises(NumericalFailure, match="not finite"):
        climb(Bursts(([np.nan, 1.0], "")), ROWS, "start", Limits(), 1e-6)


def test_a_climb_stops_where_it_is_told():
    cancelled = Event()
    cancelled.set()
    for limits in (Limits(deadline=0.0), Limits(cancel=cancelled)):
        with pytest.raises(Stopped):
            climb(Bursts(), ROWS, "start", limits, 1e-6)


@pytest.mark.parametrize(
    ("status", "cancelled", "raised"),
    [
        (Status.INTERRUPTED, False, KeyboardInterrupt),
        (Status.INTERRUPTED, True, Stopped),
        (Status.OUT_OF_TIME, False, Stopped),
    ],
)
def test_interrupts_in_the_loop_are_passed_on(monkeypatch, status, cancelled, raised):
    ladder, source, null = ladder_of(table(2, 60, 1, 2), 1)
    cancel = Event()

    def ended(*_, **__):
        if cancelled:
            cancel.set()
        return Run(null.params, None, 0.0, status, 0, 0.0, (0.0,))

    monkeypatch.setattr(splits, "run", ended)
    with pytest.raises(raised):
        climb(ladder.models[1], source.in_blocks(2), null.params, Limits(cancel=cancel), 1e-6)


def test_where_a_run_leads():
    # Gains of 1, 1/2, 1/4, ... from 0 on lead to 2.
    assert leads_to((0.0, 1.0, 1.5)) == pytest.approx(2.0)
    assert leads_to((1.0, 1.5, 1.5)) == 1.5 and leads_to((3.0,)) == 3.0


# ------------------------------------------------------------------------------------------------ the ladder


def test_the_best_of_three_is_found_from_two():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((240, 2)) + np.repeat([[0.0, 0.0], [4.0, 0.0], [2.0, 4.0]], 80, axis=0)
    ladder, source, null = ladder_of(x, 2)
    found = ladder.best(source, ladder.fit(source, null.params, 2), 2)
    assert found.objective == pytest.approx(fit(x, 3, n_init="auto").objective, abs=1e-3)
    gain = 2 * (found.objective - null.objective)
    assert ladder.statistic(source, null.params, 2) == pytest.approx(gain, abs=1e-4)


def test_weights_are_rows():
    x, weight = table(1, 80, 2, 2, spread=1.0), np.random.default_rng(1).integers(0, 3, 80).astype(float)
    ladder, source, null = ladder_of(x, 1, weight)
    repeated = ArraySource(np.repeat(x, weight.astype(int), axis=0))
    expected = ladder.statistic(repeated, null.params, 1)
    assert ladder.statistic(source, null.params, 1) == pytest.approx(expected, abs=1e-4)


def test_rows_without_a_group_are_fitted_from_fewer_components(monkeypatch):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, (60, 1)), rng.normal(50, 1, (5, 1))])
    ladder, _, null = ladder_of(x, 2)
    alone = ArraySource(rng.standard_exponential((65, 1)))
    found = ladder.fit(alone, null.params, 2)
    assert found is not None and found.params["means"].max() < 10.0
    assert not ladder.models[2].faults(found.params, found.statistics)
    one = ladder.fit(alone, ladder.templates[1], 1)
    best = ladder.best(alone, one, 1)
    assert found.objective == pytest.approx(best.objective, abs=1e-4) and best.objective > one.objective + 1.0
    assert ladder.statistic(alone, null.params, 2) >= 0.0
    # Where nothing beats the duplicate, it is what there is.
    monkeypatch.setattr(Ladder, "best", lambda *_: None)
    assert ladder.fit(alone, null.params, 2).objective == pytest.approx(one.objective, abs=1e-8)
    assert ladder.statistic(alone, null.params, 2) == 0.0


def test_rows_that_are_all_one_have_no_statistic():
    ladder, _, null = ladder_of(table(2, 60, 1, 2), 1)
    assert ladder.statistic(ArraySource(np.ones((40, 1))), null.params, 1) is None


def test_nothing_that_is_degenerate_counts(monkeypatch):
    ladder, source, null = ladder_of(table(2, 60, 1, 2), 1)
    before = ladder.fit(source, null.params, 1)
    assert ladder.best(source, before, 1) is not None
    monkeypatch.setattr("jensen.models.mixture.Mixture.faults", lambda *_: ("sunk",))
    assert replace(ladder).best(source, before, 1) is None
