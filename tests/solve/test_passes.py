"""Rules that judge many points at once stop where they would, had they seen them one by one."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jensen.core.contracts import Info
from jensen.solve.stopping import AitkenRule, MeanChangeRule

CLIMBS = st.builds(
    lambda seed, n, rate, size, jitter: climb(seed, n, rate, size, jitter),
    st.integers(0, 10**6),
    st.integers(2, 60),
    st.sampled_from([0.05, 0.5, 0.9, 0.99]),
    st.sampled_from([1e-9, 1e-4, 1.0]),
    st.sampled_from([0.0, 1e-13, 1e-7]),
)


def climb(seed, n, rate, size, jitter):
    rng = np.random.default_rng(seed)
    return (-600.0 - size * rate ** np.arange(n) / (1 - rate) + jitter * rng.standard_normal(n)).tolist()


def one_by_one(rule, objectives, before):
    for number, objective in enumerate(objectives):
        if rule.update(Info(number, objective, objective - before)) is not None:
            return number
        before = objective
    return len(objectives)


@pytest.mark.parametrize("make", [lambda: AitkenRule(100.0), lambda: MeanChangeRule(1e-6, 100.0)])
@given(CLIMBS, st.integers(0, 8), st.integers(1, 20))
def test_the_same_point_stops_a_run(make, objectives, seen, step):
    one, other = make(), make()
    first = one_by_one(one, objectives[1 : 1 + seen], objectives[0])
    assert one_by_one(other, objectives[1 : 1 + seen], objectives[0]) == first
    if first < seen:
        return
    expected = one_by_one(copy.copy(one), objectives[1 + seen :], objectives[seen] if seen < len(objectives) else 0.0)
    # In pieces, as bursts bring them.
    found, at = 0, 1 + seen
    while at < len(objectives):
        piece = objectives[at : at + step]
        by = other.passes(piece, objectives[at - 1])
        found += by
        if by < len(piece):
            assert other.update(Info(0, piece[by], piece[by] - objectives[at + by - 1])) is not None
            break
        at += step
    assert found == expected
