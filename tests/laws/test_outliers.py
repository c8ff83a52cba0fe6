"""Whatever the data: with noise or trimming, the objective never falls and what is reported belongs together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import fit, problems

from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.fit.outliers.trimming import TrimmedSource, best_weights

ASKED = st.sampled_from([{"noise": True}, {"noise": 3.0}, {"trim": 0.1}, {"trim": 0.4}, {"trim": 0.9}])


@given(problems(), ASKED, st.sampled_from(["auto", 2]))
@settings(max_examples=60)
def test_awkward_data(problem, asked, n_init):
    x, weight, n_components, shape, kind, seed = problem
    start = {"init": kind} if n_init == 2 else {}
    asked = {**asked, **start, "n_init": n_init, "covariance_type": shape, "seed": seed, "max_iter": 60}
    try:
        result = fit(x, n_components, weight, **asked)
    except InputError as error:
        assert "constant" in str(error) or "fewer rows" in str(error)
        return
    trace = np.array(result.trace)
    assert (np.diff(trace) >= -1e-10 * np.maximum(np.abs(trace[1:]), 1.0)).all()
    assert result.params.is_finite and np.isfinite(result.loglik)
    labels, own = result.fitted.labels(x), np.ones(len(x)) if weight is None else weight
    assert labels.min() >= -1 and labels.max() < n_components
    density = result.fitted.row_loglik(x)
    if "trim" not in asked:
        assert own @ density == pytest.approx(result.loglik, rel=1e-9, abs=1e-6)
        return
    share = asked["trim"]
    assert result.weight == pytest.approx((1 - share) * own.sum())
    assert best_weights(density, weight, share) @ density == pytest.approx(result.loglik, rel=1e-9, abs=1e-6)
    assert own[labels == -1].sum() <= share * own.sum() * (1 + 1e-12)


@given(problems(), ASKED)
@settings(max_examples=25)
def test_any_blocking_and_any_order_give_the_same(problem, asked):
    """From one start: passes over other blocks agree to rounding, and rows may stand in any order."""
    x, weight, n_components, shape, _, seed = problem
    labels = np.arange(len(x)) % n_components
    order = np.random.default_rng(seed).permutation(len(x))
    given_ = {"covariance_type": shape, "max_iter": 3, "reg_covar": float(x.var()) * 0.1 + 1e-12, **asked}
    try:
        one = fit(x, n_components, weight, init=labels, **given_)
    except InputError:
        return
    other = fit(x[order], n_components, None if weight is None else weight[order], init=labels[order], **given_)
    assert other.objective == pytest.approx(one.objective, rel=1e-6)
    source = ArraySource(x, weight, block_rows=5)
    cut = TrimmedSource(source, one.model, asked["trim"]) if "trim" in asked else source
    assert cut.fold(one.model.expect, one.params).loglik == pytest.approx(one.objective, rel=1e-10)
