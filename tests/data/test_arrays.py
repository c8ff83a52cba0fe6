"""Arrays as blocks: cut by the data alone, and merged in order."""

from dataclasses import dataclass

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource

NOTHING = Parameters({}, {})


@dataclass(frozen=True)
class Seen:
    """A mergeable value that tells what was merged with what."""

    text: str

    def merge(self, other):
        return Seen(f"({self.text}{other.text})")


def test_blocks_cover_the_rows_once_and_merge_from_the_left(threads):
    x = np.arange(22.0).reshape(11, 2)
    source = ArraySource(x, np.arange(11.0), block_rows=3, label=np.arange(11))
    assert (source.n_rows, source.n_blocks, source.weight) == (11, 4, 55.0)
    blocks = [source.block(i) for i in range(4)]
    assert [(b.number, b.first_row, b.n_rows) for b in blocks] == [(0, 0, 3), (1, 3, 3), (2, 6, 3), (3, 9, 2)]
    np.testing.assert_array_equal(np.concatenate([b.x for b in blocks]), x)
    np.testing.assert_array_equal(np.concatenate([b.weight for b in blocks]), np.arange(11))
    np.testing.assert_array_equal(np.concatenate([b.arrays["label"] for b in blocks]), np.arange(11))
    for n in (1, 2, 4):
        threads(n)
        assert source.fold(lambda params, block: Seen(str(block.number)), NOTHING) == Seen("(((01)2)3)")
        np.testing.assert_array_equal(source.collect(lambda params, block: block.x[:, 0], NOTHING), x[:, 0])


# At most 131,072 numbers to a block, and the last no much smaller than the others.
SIZES = [(131_072, 1), (10**6, 1), (10**6, 8), (10**4, 1000), (10**4, 16), (10**4, 8)]


def test_blocks_are_cut_by_the_shape_of_the_data(threads):
    cuts = []
    for n in (1, 4):
        threads(n)
        sources = [ArraySource(np.empty((n_rows, d))) for n_rows, d in SIZES]
        cuts.append([(source.n_blocks, source.block_rows) for source in sources])
    assert cuts[0] == cuts[1] == [(1, 131_072), (8, 125_056), (62, 16_192), (20, 512), (2, 5_056), (1, 16_384)]


LAYOUTS = {
    "F order": lambda x: np.asfortranarray(x),
    "strided": lambda x: np.repeat(x, 2, axis=0)[::2],
    "reversed": lambda x: x[::-1].copy()[::-1],
    "integers": lambda x: x.astype(np.int16),
    "big endian": lambda x: x.astype(">f8"),
    "bytes from file": lambda x: np.frombuffer(b"?" + x.tobytes(), dtype=np.float64, offset=1).reshape(x.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_any_layout_gives_the_same_aligned_rows(layout):
    x = np.arange(20.0).reshape(10, 2)
    other = layout(x)
    other.flags.writeable = False
    for i in range(3):
        taken = ArraySource(other, block_rows=4).block(i).x
        assert taken.flags.c_contiguous and taken.flags.aligned and taken.dtype == np.float64
        assert taken.dtype.isnative
        np.testing.assert_array_equal(taken, x[4 * i : 4 * i + 4])


def test_rows_in_order_are_not_copied():
    x = np.ones((10, 2))
    block = ArraySource(x, block_rows=4).block(1)
    assert np.shares_memory(block.x, x) and block.weight is None


def test_float32_is_taken_in_double_precision_unless_asked_otherwise():
    x = np.ones((10, 2), dtype=np.float32)
    source = ArraySource(x, block_rows=4)
    assert source.block(1).x.dtype == np.float64
    single = source.in_single_precision()
    assert single.block(1).x.dtype == np.float32 and np.shares_memory(single.block(1).x, x)
    assert single.with_arrays(a=np.ones(10)).block(0).x.dtype == np.float32
    assert ArraySource(x.astype(np.float64)).in_single_precision().block(0).x.dtype == np.float64


def test_more_arrays_beside_the_rows():
    source = ArraySource(np.ones((4, 1)), np.ones(4), block_rows=2, a=np.arange(4))
    more = source.with_arrays(b=np.arange(4) * 2)
    assert more.block_rows == 2 and more.row_weight is source.row_weight
    assert set(more.block(1).arrays) == {"x", "a", "b"} and set(source.block(1).arrays) == {"x", "a"}


def test_an_error_in_a_pass_comes_out(threads):
    def fail(params, block):
        if block.number == 2:
            raise ZeroDivisionError(f"block {block.number}")
        return Seen("")

    for n in (1, 2):
        threads(n)
        with pytest.raises(ZeroDivisionError, match="block 2"):
            ArraySource(np.ones((40, 1)), block_rows=4).fold(fail, NOTHING)


def test_a_failed_merge_leaves_no_work_and_no_limit_behind(threads):
    class Fails:
        def merge(self, other):
            raise KeyboardInterrupt

    def blas_threads():
        return [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]

    threads(2)
    with threadpool_limits(2, "blas"):
        # The error is held, as a notebook holds the last one, and its frames with it.
        with pytest.raises(KeyboardInterrupt) as held:
            ArraySource(np.ones((40, 1)), block_rows=4).fold(lambda params, block: Fails(), NOTHING)
        assert held.tb is not None
        assert set(blas_threads()) == {2}
