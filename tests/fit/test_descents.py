"""Descents on their way at once: those of native code are those of Python, and what fails says so."""

from dataclasses import replace

import numpy as np
import pytest
from mixtures import SHAPES, mixture, start_from, table

from jensen.data.arrays import ArraySource
from jensen.errors import NumericalFailure
from jensen.fit.search import above as module
from jensen.fit.search.above import Descents
from jensen.fit.starts.descent import enlarged
from jensen.kernels.choose import native_kernels
from jensen.models.mixture import Mixture
from jensen.solve.loop import Limits

native = pytest.mark.skipif(native_kernels() is None, reason="the native kernel is not there, or not chosen")
# So little that steps do not end early, which those of native code never do.
TOLERANCE = 1e-300


def problem(shape, seed=0, d=3, k=4, many=15, weighted=True, **more):
    x = table(seed, 500, d, 7, spread=2.0)
    weight = np.random.default_rng(seed).integers(1, 4, len(x)).astype(float) if weighted else None
    model = mixture(k, d, shape, 1e-3)
    model = Mixture(replace(model.family, **more.get("family", {})), equal_weights=more.get("equal_weights", False))
    rows = ArraySource(x, weight)
    first = np.argsort(np.argsort(x[:, 0])) * many // len(x)
    return model, rows, start_from(enlarged(model, many), x, first, weight)


def both(model, rows, params, n_steps, passed=None):
    """What native code makes of it, and Python; with the passes."""
    found = []
    for flies in (True, False):
        descents = Descents(model, Limits(), TOLERANCE)
        with pytest.MonkeyPatch.context() as patch:
            if not flies:
                patch.setattr(module, "ready_descent", lambda *args: None)
            descents.begin(params, rows, rows if passed is None else passed, n_steps)
        assert (descents._flight is not None) == flies
        found.append(descents.take())
    return found


CASES = [(shape, {}) for shape in (*SHAPES, "EEI", "VEI", "EEV", "VEV", "EVV")]
CASES += [("full", {"equal_weights": True}), ("full", {"family": {"ratio": 4.0}}), ("tied", {"family": {"ratio": 3.0}})]
CASES += [("diag", {"weighted": False}), ("full", {"many": 5}), ("spherical", {"family": {"ratio": 2.0}})]


@native
@pytest.mark.parametrize("n_steps", [2, 4])
@pytest.mark.parametrize(("shape", "more"), CASES)
def test_native_descents_are_those_of_python(shape, more, n_steps):
    model, rows, params = problem(shape, **more)
    (one, passes), (other, more_passes) = both(model, rows, params, n_steps)
    # Python takes a pass more for each run of EM, whose objective nobody asks for.
    assert 0.0 < passes < more_passes
    one.check()
    assert len(one["weights"]) == model.n_components
    for name in one.values:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-7, atol=1e-9)


@native
def test_merged_components_have_no_common_axes_to_begin_at():
    model, rows, params = problem("VVE")
    descents = Descents(model, Limits(), TOLERANCE)
    descents.begin(params, rows, rows, 2)
    assert descents._flight is None and len(descents.take()[0]["weights"]) == 4


@native
def test_single_precision_leads_about_there():
    model, rows, params = problem("full")
    single = ArraySource(rows.x.astype(np.float32), rows.row_weight, single=True)
    for one, other in zip(both(model, rows, params, 4), both(model, rows, params, 4, single), strict=True):
        np.testing.assert_allclose(one[0]["means"], other[0]["means"], atol=1e-3)


@native
def test_descents_come_in_the_order_in_which_they_were_begun():
    model, rows, _ = problem("full")
    starts = [problem("full", many=many)[2] for many in (15, 5, 30, 9, 5)]
    alone = [both(model, rows, start, 2)[0][0] for start in starts]
    descents = Descents(model, Limits(), TOLERANCE)
    for start in starts:
        descents.begin(start, rows, rows, 2)
    for expected in alone:
        found, _ = descents.take()
        assert all((found[name] == expected[name]).all() for name in found.values)


@pytest.mark.parametrize("flies", [True, False])
def test_a_descent_without_density_is_a_numerical_failure(flies, monkeypatch):
    if not flies:
        monkeypatch.setattr(module, "ready_descent", lambda *args: None)
    model, rows, params = problem("full")
    descents = Descents(model, Limits(), 1e-4)
    descents.begin(params.replace(covariances=np.zeros_like(params["covariances"])), rows, rows, 2)
    with pytest.raises(NumericalFailure, match="no density"):
        descents.take()
