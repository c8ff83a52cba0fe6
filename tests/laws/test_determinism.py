"""The number of threads never changes a bit; another cut of the blocks changes rounding alone."""

import numpy as np
import pytest
from mixtures import SHAPES, START_KINDS, fixed_em, mixture, start_from, table

from jensen.data.arrays import ArraySource
from jensen.fit.mixture import fit_mixture
from jensen.fit.settings import MixtureSettings

X = table(0, 3000, 3, 4)
WEIGHT = np.random.default_rng(0).random(3000)


@pytest.mark.parametrize("kind", START_KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_threads_give_the_same_bits(shape, kind, threads):
    settings = MixtureSettings(4, shape, init=kind, n_init=3, max_iter=10, seed=0)
    found = []
    for block_rows in (250, None):  # blocks to the threads, then starts to the threads
        for n in (1, 2, 4):
            threads(n)
            found.append(fit_mixture(ArraySource(X, WEIGHT, block_rows=block_rows), settings))
    for one, *others in (found[:3], found[3:]):
        for other in others:
            assert (other.trace, other.loglik, other.map_loglik) == (one.trace, one.loglik, one.map_loglik)
            assert [s.objective for s in other.starts] == [s.objective for s in one.starts]
            for name, value in one.params.values.items():
                np.testing.assert_array_equal(other.params[name], value)


@pytest.mark.parametrize("shape", SHAPES)
def test_block_sizes_change_rounding_alone(shape):
    model = mixture(4, 3, shape, 1e-3)
    start = start_from(model, X, np.arange(len(X)) % 4, WEIGHT)
    one, *others = (
        fixed_em(model, ArraySource(X, WEIGHT, block_rows=rows), start, 10) for rows in (None, 7, 1000, 2999)
    )
    for other in others:
        assert other.objective == pytest.approx(one.objective, rel=1e-12)
        for name, value in one.params.values.items():
            np.testing.assert_allclose(other.params[name], value, rtol=1e-12, atol=1e-12)


def test_the_seed_decides():
    source = ArraySource(X)
    one, same, other = (fit_mixture(source, MixtureSettings(4, seed=s, init="random", max_iter=3)) for s in (1, 1, 2))
    assert one.trace == same.trace != other.trace
    fresh = fit_mixture(source, MixtureSettings(4, init="random", max_iter=3))
    again = fit_mixture(source, MixtureSettings(4, init="random", max_iter=3, seed=fresh.seed))
    assert fresh.trace == again.trace
