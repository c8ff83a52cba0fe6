"""Acceleration never lets the objective fall, and ends where plain EM ends or somewhere else that is an end."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from climbs import climb, falls, small_mixtures
from hypothesis import given, settings
from hypothesis import strategies as st

from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.solve.loop import Limits, run
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Plain


def _study():
    """The module of the study, which is no part of the package."""
    path = Path(__file__).parents[2] / "benchmarks" / "acceleration.py"
    spec = importlib.util.spec_from_file_location("study_of_acceleration", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


STUDY = _study()
METHODS = [method for method in STUDY.METHODS if method != STUDY.NO_BURSTS]
ways = st.sampled_from(METHODS)


@given(small_mixtures(), ways)
@settings(max_examples=150)
def test_no_trace_falls(problem, accelerate):
    model, x, weight, start = problem
    result, infos = climb(Plain(accelerate), model, x, start, weight, max_iter=100)
    assert falls(infos) <= 1e-10
    assert result.status is not Status.OBJECTIVE_FELL
    assert result.objective == infos[-1].objective == result.trace[-1]
    # The objective belongs to the parameters.
    assert ArraySource(x, weight).fold(model.expect, result.params).loglik == pytest.approx(
        result.objective, rel=1e-12, abs=1e-9
    )
    tried, accepted = result.extrapolations
    assert result.passes == 1 + result.n_iter + tried - accepted and accepted <= tried


@given(small_mixtures(), ways)
@settings(max_examples=60)
def test_where_it_ends_plain_em_has_nothing_to_add(problem, accelerate):
    model, x, weight, start = problem
    source = ArraySource(x, weight)
    rule = AitkenRule(source.weight)
    end = run(Plain(accelerate).solver(model, rule), source, start, rule, Limits(max_iter=5000))
    if end.status.is_converged:
        on = run(Plain("off").solver(model, rule), source, end.params, AitkenRule(source.weight, tol=1e-9))
        assert on.objective - end.objective < 1e-4


def test_runs_are_the_same_to_the_bit_each_time():
    one = STUDY.problem(6)
    rule = AitkenRule(one.source.weight)
    for accelerate in METHODS:
        runs = [run(Plain(accelerate).solver(one.model, rule), one.source, one.start, rule) for _ in range(2)]
        assert runs[0].trace == runs[1].trace


@pytest.fixture(scope="module")
def rows():
    """The first problems of the study, which `python -m benchmarks.acceleration` runs in full."""
    return STUDY.study(30, repeats=1)


@pytest.mark.parametrize("accelerate", STUDY.METHODS)
def test_what_the_study_shows(rows, accelerate):
    change = np.array([row[accelerate].limit - row["off"].limit for row in rows])
    other = np.abs(change) > STUDY.SAME
    assert -change[~other].min() <= 1e-8
    assert other.mean() <= 0.1
    slow = [row[accelerate].passes / row["off"].passes for row in rows if row["rate"] > 0.95]
    assert len(slow) >= 5
    # On data as small as these, `auto` leaves most of EM in bursts.
    assert accelerate == "auto" or np.median(slow) < (0.25 if accelerate in ("quasi-newton", STUDY.NO_BURSTS) else 0.5)
    easy = [row[accelerate].passes / row["off"].passes for row in rows if row["off"].passes < 50]
    assert accelerate != "auto" or np.median(easy) == 1.0
