"""Small random mixtures, and runs of a solver whose every point is kept."""

from itertools import pairwise

import numpy as np
from hypothesis import strategies as st
from mixtures import SHAPES, NeverStop, mixture, start_from, table

from jensen.core.model import Checked
from jensen.data.arrays import ArraySource
from jensen.solve.loop import Limits, run

__all__ = ["climb", "falls", "small_mixtures", "small_problem"]


def small_problem(seed, n=60, d=2, n_components=3, shape="full", weighted=False, spread=2.0):
    """A model with a ridge, rows, weights or None, and a start from random labels."""
    x = table(seed, n, d, n_components, spread=spread)
    rng = np.random.default_rng(seed)
    weight = rng.integers(0, 3, n).astype(float) if weighted else None
    if weighted:
        weight[: 2 * n_components] = 1.0
    model = mixture(n_components, d, shape, 1e-2 * x.var())
    labels = rng.integers(n_components, size=n)
    labels[:n_components] = np.arange(n_components)
    return model, x, weight, start_from(model, x, labels, weight)


@st.composite
def small_mixtures(draw):
    """The same, drawn by hypothesis."""
    return small_problem(
        draw(st.integers(0, 2**16)),
        n=draw(st.sampled_from([12, 30, 80])),
        d=draw(st.sampled_from([1, 2, 3])),
        n_components=draw(st.sampled_from([2, 3, 5])),
        shape=draw(st.sampled_from(SHAPES)),
        weighted=draw(st.booleans()),
        spread=draw(st.sampled_from([0.2, 1.0, 4.0])),
    )


def climb(variant, model, x, start, weight=None, max_iter=60, **arrays):
    """A run of so many M-steps, and the infos of its points."""
    source, infos = variant.source(ArraySource(x, weight, **arrays)), []
    solver = variant.solver(Checked(model), NeverStop())
    return run(solver, source, start, NeverStop(), Limits(max_iter=max_iter), infos.append), infos


def falls(infos):
    """The largest fall between points of one objective, as a share of it; an infinite gain begins another objective."""
    gains = [info.objective - before.objective for before, info in pairwise(infos) if np.isfinite(info.gain)]
    return max([-gain / max(abs(infos[-1].objective), 1.0) for gain in gains], default=0.0)


class OneBlock:
    """A source of one block without content, for models that carry their own data."""

    n_blocks = n_rows = 1

    def fold(self, block_pass, params, blocks=None):
        return block_pass(params, None)
