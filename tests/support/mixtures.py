"""What many tests need: a mixture in one call, EM for an exact number of iterations, and awkward data."""

import numpy as np
from hypothesis import strategies as st

from jensen.data.arrays import ArraySource
from jensen.families.gaussian import Gaussian
from jensen.fit.mixture import fit_mixture
from jensen.fit.settings import MixtureSettings
from jensen.fit.starts.draw import START_KINDS, from_given
from jensen.fit.starts.given import with_user_start
from jensen.fit.summary import summarise
from jensen.models.mixture import Mixture
from jensen.solve.em import EM
from jensen.solve.loop import Limits, run

__all__ = ["SHAPES", "START_KINDS", "fit", "fixed_em", "mixture", "problems", "start_from", "table"]

# The layouts, each with the shape that is all it can hold; the laws are tested on these and on `BENT`.
SHAPES = ("full", "tied", "diag", "spherical")


class NeverStop:
    """A rule that leaves the end of a run to its limits."""

    def update(self, info):
        return None


def mixture(n_components, n_features, shape, ridge=0.0):
    """A Gaussian mixture with R = ridge, a number or a diagonal."""
    return Mixture(Gaussian(n_components, n_features, shape, np.broadcast_to(float(ridge), n_features)))


def start_from(model, x, given, weight=None):
    """The M-step from labels or responsibilities."""
    source = ArraySource(x, weight)
    return from_given(model, summarise(source), with_user_start(source, given, model.n_components))


def fixed_em(model, source, start, n_iter):
    """Exactly `n_iter` iterations of plain EM."""
    if not isinstance(source, ArraySource):
        source = ArraySource(source)
    return run(EM(model), source, start, NeverStop(), Limits(max_iter=n_iter))


def fit(x, n_components, weight=None, **settings):
    """Fit with the library's defaults, and seed 0."""
    return fit_mixture(ArraySource(x, weight), MixtureSettings(n_components, **{"seed": 0, **settings}))


def table(seed, n, d, n_groups, spread=4.0):
    """Rows (n, d) of overlapping correlated groups."""
    rng = np.random.default_rng(seed)
    centres = spread * rng.standard_normal((n_groups, d))
    mixing = rng.standard_normal((n_groups, d, d)) / np.sqrt(d)
    group = rng.integers(n_groups, size=n)
    return centres[group] + np.einsum("nij,nj->ni", mixing[group], rng.standard_normal((n, d)))


@st.composite
def problems(draw):
    """Awkward data for a fit: (x, weight or None, n_components, shape, kind of start, seed)."""
    n = draw(st.sampled_from([2, 3, 5, 12, 40, 80]))
    d = draw(st.sampled_from([1, 2, 3, 6]))
    n_components = min(n, draw(st.sampled_from([1, 2, 3, 5])))
    seed = draw(st.integers(0, 2**16))
    x = table(seed, n, d, n_components, spread=draw(st.sampled_from([0.1, 3.0, 1e4])))
    if draw(st.booleans()):
        x = np.round(x)  # ties, and often fewer different rows than components
    if draw(st.booleans()):
        x[:, 0] = x[0, 0]  # a constant column
    if draw(st.booleans()):
        x[-1] *= 1e5  # an outlier
    x *= draw(st.sampled_from([1e-6, 1.0, 1e6]))
    weight = np.random.default_rng(seed).integers(0, 3, n).astype(float) if draw(st.booleans()) else None
    if weight is not None:
        weight[: n_components + 1] = 1.0
    return x, weight, n_components, draw(st.sampled_from(SHAPES)), draw(st.sampled_from(START_KINDS)), seed
