"""What must be true of every search: of its threads, its rows, their weights and units, and of what it is worth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import SHAPES, fit, table

from jensen.data.arrays import ArraySource
from jensen.fit.mixture import fit_mixture
from jensen.fit.settings import MixtureSettings

shapes = st.sampled_from(SHAPES)
seeds = st.integers(0, 2**16)
# Overlapping groups: rounds go on, and escapes are tried.
HARD = {shape: table(4, 3000, 4, 4, spread=0.7) for shape in SHAPES}
WEIGHT = np.random.default_rng(0).random(3000)


def search(x, n_components, weight=None, **given):
    """A fit by default."""
    return fit(x, n_components, weight, n_init="auto", **given)


def small(seed, n=60):
    """Rows of three groups that overlap a little."""
    return table(seed, n, 2, 3, spread=3.0)


def same_place(one, other, abs=1e-3, shift=0.0):
    """Whether two searches found one height; runs of a search stop at a tolerance, which is all they may differ by."""
    assert one.is_sound == other.is_sound
    return other.objective == pytest.approx(one.objective + shift, rel=1e-9, abs=abs)


def same_clusters(one, other):
    """Whether labels are the same but for their names: starts that reach one optimum differ in those."""
    return len(set(zip(one, other, strict=True))) == len(set(one)) == len(set(other))


def told(account):
    """An account as numbers, without times."""
    starts = [(s.index, s.kind, s.objective, s.status, s.n_iter, s.faults, s.optimum) for s in account.starts]
    optima = [(o.objective, o.loglik, o.n_starts, o.n_escapes) for o in account.optima]
    return starts, optima, account.moves, account.rounds, account.confirmed, account.passes, account.ending


# ------------------------------------------------------------------------------------------------ threads and seeds


@pytest.mark.parametrize(("shape", "block_rows"), [*((shape, None) for shape in SHAPES), ("full", 400)])
def test_threads_give_the_same_bits(shape, block_rows, threads):
    source, found = ArraySource(HARD[shape], WEIGHT, block_rows=block_rows), []
    for n in (1, 2, 4):
        threads(n)
        found.append(fit_mixture(source, MixtureSettings(4, shape, n_init="auto", seed=1)))
    one, *others = found
    assert one.account.moves and one.account.rounds >= 2, "the case has lost its point: nothing was tried"
    for other in others:
        assert (other.trace, other.loglik, other.map_loglik) == (one.trace, one.loglik, one.map_loglik)
        assert told(other.account) == told(one.account)
        for name, value in one.params.values.items():
            np.testing.assert_array_equal(other.params[name], value)


def test_small_data_give_the_same_bits_with_any_threads_too(threads):
    found = []
    for n in (1, 4):
        threads(n)
        found.append(search(table(1, 800, 2, 6, spread=2.0), 6, covariance_type="diag"))
    assert found[0].trace == found[1].trace and told(found[0].account) == told(found[1].account)


def test_the_seed_decides():
    x = table(3, 200, 2, 4, spread=1.0)
    one, same, other = (search(x, 4, seed=seed) for seed in (1, 1, 2))
    assert told(one.account) == told(same.account) and one.trace == same.trace
    assert told(one.account) != told(other.account)
    fresh = search(x, 4, seed=None)
    assert told(search(x, 4, seed=fresh.seed).account) == told(fresh.account)


# ------------------------------------------------------------------------------------------------ rows and weights


@given(seeds, shapes)
@settings(max_examples=15)
def test_order_of_rows(seed, shape):
    x = small(seed)
    order = np.random.default_rng(seed).permutation(len(x))
    one, other = (search(rows, 3, covariance_type=shape) for rows in (x, x[order]))
    assert same_place(one, other, abs=1e-6) and same_clusters(one.fitted.labels(x), other.fitted.labels(x))
    assert [s.kind for s in one.starts] == [s.kind for s in other.starts]


@given(seeds, shapes)
@settings(max_examples=15)
def test_a_weight_is_that_many_rows_and_none_is_no_row(seed, shape):
    x, times = small(seed), np.random.default_rng(seed).integers(0, 4, 60)
    weighted = search(x, 3, times.astype(float), covariance_type=shape)
    repeated = search(np.repeat(x, times, axis=0), 3, covariance_type=shape)
    without = search(x[times > 0], 3, times[times > 0].astype(float), covariance_type=shape)
    assert same_place(weighted, repeated) and same_place(weighted, without)


@given(seeds, shapes, st.sampled_from([(1e-6, 1e-6), (1e6, 1e6), (1e-6, 1e3), (1.0, 1e6)]))
@settings(max_examples=15)
def test_units(seed, shape, units):
    units = np.full(2, units[0]) if shape == "spherical" else np.array(units)
    x = small(seed)
    one, other = (search(data, 3, covariance_type=shape) for data in (x, x * units))
    assert same_place(one, other, shift=-len(x) * np.log(units).sum())
    assert same_clusters(one.fitted.labels(x), other.fitted.labels(x * units))


@given(seeds, shapes)
@settings(max_examples=10)
def test_origin(seed, shape):
    x = np.round(small(seed) * 2.0**20) / 2.0**20
    one, other = (search(data, 3, covariance_type=shape) for data in (x, x + 1e6))
    assert same_place(one, other)


# ------------------------------------------------------------------------------------------------ what it is worth


def standing(result):
    """What the library prefers: sound ends, then the objective less the price of narrow components."""
    start = result.account.optima[0] if result.account is not None else max(result.starts, key=lambda s: s.objective)
    return result.is_sound, result.objective - start.price


@given(seeds, shapes, st.sampled_from([2, 3, 5]), st.sampled_from([0.5, 2.0, 6.0]), st.sampled_from([40, 120]))
@settings(max_examples=30)
def test_never_worse_than_a_single_start(seed, shape, n_components, spread, n):
    x = table(seed, n, 2, 3, spread=spread)
    one = fit(x, n_components, covariance_type=shape, init="kmeans", n_init=1)
    sound, height = standing(search(x, n_components, covariance_type=shape))
    was_sound, before = standing(one)
    assert sound >= was_sound
    if sound == was_sound:
        assert height >= before - 1e-3


@given(seeds, st.sampled_from(["full", "diag"]))
@settings(max_examples=8)
def test_no_worse_than_thirty_starts_of_three_kinds(seed, shape):
    x = table(seed, 150, 2, 4, spread=3.0)
    found = search(x, 4, covariance_type=shape)
    for init in ("kmeans", "random", "random_from_data"):
        many = fit(x, 4, covariance_type=shape, init=init, n_init=10)
        assert standing(found) >= (many.is_sound, standing(many)[1] - 1e-3)


@given(seeds, shapes)
@settings(max_examples=15)
def test_what_is_reported_belongs_together(seed, shape):
    x = small(seed)
    result = search(x, 4, covariance_type=shape)
    account, source = result.account, ArraySource(x)
    assert result.objective == result.trace[-1] and len(result.trace) > 1
    assert (np.diff(result.trace) >= -1e-10 * max(1.0, abs(result.objective))).all()
    assert source.fold(result.model.expect, result.params).loglik == pytest.approx(result.objective, rel=1e-12)
    assert result.objective == pytest.approx(account.optima[0].objective, abs=1e-3)
    assert [o.standing for o in account.optima] == sorted((o.standing for o in account.optima), reverse=True)
    assert sum(o.n_starts for o in account.optima) == sum(s.optimum is not None for s in account.starts)
    for optimum in account.optima:
        optimum.params.check()
        assert source.fold(result.model.expect, optimum.params).loglik == pytest.approx(optimum.objective, rel=1e-9)
    # One optimum is told once, whatever the order of its components.
    heights = np.array([o.objective for o in account.optima])
    assert len(heights) < 2 or np.abs(np.diff(np.sort(heights))).min() > 1e-5
