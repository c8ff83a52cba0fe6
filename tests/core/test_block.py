"""A block knows its size and weight."""

import numpy as np

from jensen.core.block import Block


def test_weight_of_rows():
    x = np.zeros((3, 2))
    assert (Block({"x": x}).n_rows, Block({"x": x}).total_weight) == (3, 3.0)
    assert Block({"x": x}, np.array([0.5, 0.0, 2.0])).total_weight == 2.5
