"""Restarts: recorded, independent of threads, and never won by a degenerate run."""

import numpy as np
import pytest
from mixtures import fit, mixture, table

from jensen import datasets
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import NumericalFailure
from jensen.fit.mixture import fit_mixture
from jensen.fit.search.restarts import run_starts
from jensen.fit.settings import MixtureSettings
from jensen.fit.starts.draw import START_KINDS
from jensen.solve.loop import Limits
from jensen.solve.stopping import AitkenRule

X = table(0, 200, 2, 4, spread=2.0)


@pytest.mark.parametrize("kind", START_KINDS)
def test_every_start_is_recorded_and_the_best_sound_one_kept(kind, threads):
    threads(2)
    result = fit(X, 4, init=kind, n_init=6)
    assert [(s.index, s.kind) for s in result.starts] == [(i, kind) for i in range(6)]
    best = max((s for s in result.starts if s.is_sound), key=lambda s: s.objective - s.price)
    assert result.objective == best.objective
    # Start 3 does not depend on the others.
    alone = fit(X, 4, init=kind, n_init=4).starts[3]
    assert (alone.objective, alone.n_iter) == (result.starts[3].objective, result.starts[3].n_iter)


def test_a_degenerate_run_of_higher_objective_does_not_win():
    galaxies = datasets.load("galaxies").data
    result = fit(galaxies, 6, n_init=6, init="random", max_iter=300, seed=1)
    degenerate = [s for s in result.starts if not s.is_sound]
    assert degenerate, "the case has lost its point: choose another seed"
    assert max(s.objective for s in degenerate) > result.objective
    assert result.is_sound and result.faults == ()


def test_a_start_without_density_is_recorded_and_only_all_of_them_are_an_error():
    model = mixture(2, 2, "full")
    good = model.parameters(weights=[0.5, 0.5], means=X[:2], covariances=np.tile(np.eye(2), (2, 1, 1)))
    bad = good.replace(covariances=-good["covariances"])
    source, rule = ArraySource(X), lambda: AitkenRule(len(X))
    best, records = run_starts(model, source, [("bad", lambda: bad), ("good", lambda: good)], rule, Limits())
    assert best.status is Status.CONVERGED
    assert records[0].objective == -np.inf and "not positive definite" in records[0].faults[0]
    with pytest.raises(NumericalFailure, match="not positive definite"):
        run_starts(model, source, [("bad", lambda: bad)], rule, Limits())


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_interrupt_keeps_the_best_so_far(threads, n_threads):
    threads(n_threads)

    def interrupt(index, info):
        if index == 1 and info.iteration == 3:
            raise KeyboardInterrupt

    result = fit_mixture(ArraySource(X), MixtureSettings(4, n_init=8, init="random", seed=0), observer=interrupt)
    assert result.status is Status.INTERRUPTED
    assert 1 <= len(result.starts) < 8
    assert np.isfinite(result.loglik)


def test_out_of_time_ends_after_the_first_point(threads):
    threads(1)
    result = fit(X, 4, n_init=5, max_time=0.0)
    assert result.status is Status.OUT_OF_TIME
    assert len(result.starts) == 1 and result.n_iter == 0 and np.isfinite(result.loglik)
