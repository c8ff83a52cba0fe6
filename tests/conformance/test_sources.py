"""Every source keeps its contract, and broken ones are caught by name."""

from dataclasses import replace

import numpy as np
import pytest

from jensen.data.anything import as_source
from jensen.data.arrays import ArraySource
from jensen.testing import SOURCE_CHECKS, ConformanceError, check_source

X = np.random.default_rng(0).standard_normal((23, 2))
WEIGHT = np.linspace(0.0, 2.0, 23)


@pytest.mark.parametrize(
    "source",
    [
        ArraySource(X),
        ArraySource(X, WEIGHT, block_rows=5),
        ArraySource(np.asfortranarray(X), block_rows=23),
        ArraySource(X.astype(np.float32), WEIGHT, block_rows=1, single=True),
        ArraySource(np.arange(46).reshape(23, 2)[::-1], block_rows=4),
        ArraySource(X, block_rows=6).with_arrays(labels=np.arange(23) % 3),
        ArraySource(X, WEIGHT).in_blocks(4),
        as_source([0, 1, 1, 0]),
        as_source({"heads": [1, 2, 3], "tosses": [10, 10, 10]}, [1, 2, 0]),
    ],
    ids=lambda source: f"{source.n_rows} rows in {source.n_blocks}",
)
def test_array_sources(source):
    assert check_source(source).passed == SOURCE_CHECKS


def test_any_number_of_threads(threads):
    threads(3)
    assert check_source(ArraySource(X, WEIGHT, block_rows=2)).passed == SOURCE_CHECKS


class Backwards(ArraySource):
    def _map(self, block_pass, params, numbers):
        return super()._map(block_pass, params, list(numbers)[::-1])


class ForgetsSelection(ArraySource):
    def fold(self, block_pass, params, blocks=None):
        return super().fold(block_pass, params)


class ForgetsLast(ArraySource):
    def map_ordered(self, block_pass, params):
        return self._map(block_pass, params, range(self.n_blocks - 1))


class WrongWeight(ArraySource):
    weight = property(lambda self: float(self.n_rows) + 1.0, lambda self, value: None)


class WrongRows(ArraySource):
    n_rows = property(lambda self: len(self.x), None)

    def block(self, number):
        block = super().block(number)
        return replace(block, arrays={"x": block.x[:-1]}, weight=block.weight[:-1])


class Moody(ArraySource):
    def block(self, number):
        block = super().block(number)
        return replace(block, arrays={"x": block.x + np.random.default_rng().random()})


class Misnumbered(ArraySource):
    def block(self, number):
        return replace(super().block(number), number=0)


class OtherParameters(ArraySource):
    def fold(self, block_pass, params, blocks=None):
        return super().fold(block_pass, params.replace(), blocks)


class Swallows(ArraySource):
    def fold(self, block_pass, params, blocks=None):
        try:
            return super().fold(block_pass, params, blocks)
        except Exception:
            return None


class Adds(ArraySource):
    def fold(self, block_pass, params, blocks=None):
        found = super().fold(block_pass, params, blocks)
        found.total[:] += 1.0
        return found


@pytest.mark.parametrize(
    ("source", "method", "said"),
    [
        (Backwards, "fold", "in this order"),
        (ForgetsSelection, "fold", r"expected \[0\]"),
        (ForgetsLast, "map_ordered", "expected 0 to 4"),
        (WrongWeight, "weight", "sum of the weights"),
        (WrongRows, "block", "first_row"),
        (Moody, "block", "other bits"),
        (Misnumbered, "block", "the number 0; expected 1"),
        (OtherParameters, "fold", "other parameters"),
        (Swallows, "fold", "swallowed"),
        (Adds, "fold", "the blocks themselves"),
    ],
)
def test_what_is_broken_is_named(source, method, said):
    with pytest.raises(ConformanceError, match=said) as caught:
        check_source(source(X, WEIGHT, block_rows=5))
    assert caught.value.method == f"{source.__name__}.{method}"


def test_a_missing_method_is_named():
    with pytest.raises(ConformanceError, match="has no n_rows"):
        check_source(object())
