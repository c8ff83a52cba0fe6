"""Streams are keyed: the same key gives the same numbers, any other key others."""

import numpy as np

from jensen.numerics.streams import fresh_seed, stream


def test_streams_are_keyed():
    keys = [(0, "start", 0), (0, "start", 1), (1, "start", 0), (0, "sample", 0)]
    drawn = [stream(*key).random(4) for key in keys]
    for i, key in enumerate(keys):
        np.testing.assert_array_equal(stream(*key).random(4), drawn[i])
        assert all(not np.array_equal(drawn[i], other) for other in drawn[:i])


def test_streams_do_not_touch_the_global_state():
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    stream(0, "start").random(10)
    assert np.random.random() == expected  # noqa: NPY002


def test_fresh_seeds_differ():
    assert len({fresh_seed() for _ in range(10)}) == 10
