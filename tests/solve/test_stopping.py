"""Stopping rules, on sequences whose end is known."""

import numpy as np
import pytest

from jensen.core.contracts import Info
from jensen.core.status import Status
from jensen.solve.stopping import AitkenRule, AtRest, MeanChangeRule


def stop(rule, objectives):
    """The status, and the iteration at which the rule gives it."""
    before = -np.inf
    for iteration, objective in enumerate(objectives):
        status = rule.update(Info(iteration, objective, objective - before))
        before = objective
        if status is not None:
            return status, iteration
    return None, len(objectives)


@pytest.mark.parametrize("rate", [0.0, 0.5, 0.9, 0.99, 0.999])
def test_what_is_left_is_below_the_tolerance_and_not_far_below(rate):
    left = 100.0 * rate ** np.arange(40_000)
    status, iteration = stop(AitkenRule(weight=50.0), -left)
    assert status is Status.CONVERGED
    assert left[iteration] < 1e-6
    # Twice running, and no later: two iterations earlier more was left.
    assert rate == 0.0 or left[iteration - 2] >= 1e-6


def test_tolerance_follows_the_weight_of_large_data():
    left = 1e6 * 0.9 ** np.arange(1000)
    _, small = stop(AitkenRule(weight=1e3), -left)
    _, large = stop(AitkenRule(weight=1e9), -left)
    assert left[large] < 1.0 <= left[large - 2]
    assert left[small] < 1e-6


def test_a_plateau_with_growing_gains_is_not_the_end():
    # Leaving a saddle: gains grow from far below the tolerance.
    assert stop(AitkenRule(weight=100.0), np.cumsum(1e-8 * 1.5 ** np.arange(30))) == (None, 30)


def test_gains_that_drown_in_rounding_end_the_run():
    objective = -1e14 + 0.0625 * (np.arange(50) % 2)  # last bits flicker
    assert stop(AitkenRule(weight=1.0), objective) == (Status.ROUNDING_LIMIT, 2)


def test_no_gain_at_all_is_convergence():
    assert stop(AitkenRule(weight=10.0), [-5.0] * 10) == (Status.CONVERGED, 2)


def test_mean_change_is_scikit_learns_rule():
    objectives = [-100.0, -90.0, -89.0, -88.95]
    assert stop(MeanChangeRule(tol=1e-2, weight=10.0), objectives) == (Status.CONVERGED, 3)
    assert stop(MeanChangeRule(tol=1e-3, weight=10.0), objectives) == (None, 4)
    assert stop(MeanChangeRule(tol=0.0, weight=10.0), [-1.0] * 5) == (None, 5)


def plain(objective, gain, ratio=None, step=None):
    return Info(1, objective, gain, ratio=ratio, step=step)


def test_the_largest_of_the_last_ratios_counts():
    rule = AitkenRule(weight=1.0)
    # Slow once: 1e-5 * 0.99 / 0.01 is still to come, whatever the ratio right after an extrapolation says.
    assert rule.update(plain(-1.0, 1e-3, 0.99)) is None
    for _ in range(4):
        assert rule.update(plain(-1.0, 1e-7, 0.1)) is None
    # Forgotten after five further ones; then twice running.
    assert rule.update(plain(-1.0, 1e-7, 0.1)) is None
    assert rule.update(plain(-1.0, 1e-7, 0.1)) is Status.CONVERGED


def test_extrapolated_points_say_nothing():
    rule = AitkenRule(weight=1.0)
    for _ in range(5):
        assert rule.update(Info(1, -1.0, 0.0, plain=False)) is None
    mean = MeanChangeRule(1e-3, 1.0)
    assert mean.update(Info(1, -1.0, 0.0, plain=False)) is None


@pytest.mark.parametrize("rate", [0.0, 0.5, 0.99, 0.999])
@pytest.mark.parametrize("known", [True, False])
def test_at_rest_the_steps_still_to_come_are_below_the_tolerance(rate, known):
    rule, left = AtRest(1e-8), 1.0
    for _ in range(60_000):
        step, left = left * (1.0 - rate), left * rate
        if rule.update(plain(-1.0, 0.0, rate**2 if known else None, step)):
            break
    assert left <= 1e-8
    # Not long after, either.
    assert rate < 0.9 or left >= 1e-8 * rate**3


def test_at_rest_steps_within_rounding_are_the_end():
    rule = AtRest(1e-10)
    statuses = [rule.update(plain(-1.0, 0.0, step=step)) for step in (1e-3, 1e-15, 3e-15, 2e-15)]
    assert statuses[-2:] == [Status.ROUNDING_LIMIT] * 2 and statuses[0] is None
    # Noise of larger sums: above what is always noise, and no longer falling.
    rule = AtRest(1e-10)
    statuses = [rule.update(plain(-1.0, 0.0, step=step)) for step in (4e-13, 5e-13, 6e-13)]
    assert statuses[-1] is Status.ROUNDING_LIMIT
    assert AtRest().update(plain(-1.0, 0.0)) is None
