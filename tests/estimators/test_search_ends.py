"""A search that ends early, by the clock, by a person or by the data, leaves an estimator that can be used."""

import _thread
import importlib
import signal

import numpy as np
import pytest
from mixtures import table
from sklearn.exceptions import ConvergenceWarning

import jensen
import jensen.fit.search.mixtures as module
from jensen import GaussianMixture, JensenWarning
from jensen.core.status import Status
from jensen.families.gaussian import Gaussian
from jensen.fit import mixture
from jensen.fit.search.landscape import Plan, Ways

IRIS = np.asarray(jensen.datasets.load("iris").data)
# So many rows that starts are dropped; of the last ones, clusters so far apart that it is plain where they are.
LARGE = table(0, 3000, 3, 6, spread=1.0)
PLAIN = table(1, 3000, 2, 4, spread=30.0)


@pytest.mark.parametrize("x", [IRIS, LARGE, PLAIN], ids=["small", "large", "plain"])
def test_out_of_time_keeps_the_best_so_far(x):
    with pytest.warns(ConvergenceWarning, match="stopped at the time limit") as caught:
        model = GaussianMixture(4, random_state=0, max_time=0.0, covariance_type="tied").fit(x)
    assert len(caught) == 1
    fit = model.fit_result_
    assert fit.status is Status.OUT_OF_TIME and fit.account.ending == "time" and fit.account.rounds == 1
    assert not model.converged_ and model.n_iter_ == 0 and len(model.predict(x)) == len(x)
    assert "The time limit ended the search early" in str(fit.account)
    # The best of the starts, each of which has been looked at once.
    assert len(fit.starts) in (6, 12) and fit.objective >= max(s.objective for s in fit.starts) - 1e-6


def interrupts(real, at):
    """The function, in call number `at` of which a person presses Ctrl-C."""
    calls = []

    def interrupted(*args, **settings):
        calls.append(1)
        if len(calls) == at:
            raise KeyboardInterrupt
        return real(*args, **settings)

    return interrupted


def assert_usable(model, x):
    assert model.fit_result_.status is Status.INTERRUPTED and not model.converged_
    assert np.isfinite(model.predict_proba(x)).all()
    assert model.fit_result_.account.ending == "interrupted"
    assert model.lower_bound_ * len(x) == pytest.approx(model.fit_result_.objective)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("x", [IRIS, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("place", ["draw_start", "gaussian_escapes", "verdict"])
def test_an_interrupt_leaves_the_best_so_far(place, x, n_threads, threads, monkeypatch):
    threads(n_threads)
    # In the second round of starts, in the first escapes, or where the first end is judged.
    room, second = (mixture, 20 if len(x) == len(IRIS) else 5) if place == "draw_start" else (module, 1)
    monkeypatch.setattr(room, place, interrupts(getattr(room, place), second))
    monkeypatch.setattr("jensen.fit.search.rounds._UNANIMOUS", 10_000)
    if place == "draw_start":
        monkeypatch.setattr(module, "gaussian_escapes", lambda *args, **settings: Ways(()))
    model = GaussianMixture(4, random_state=0)
    with pytest.raises(KeyboardInterrupt, match="has the best parameters so far"):
        model.fit(x)
    assert_usable(model, x)


def test_the_signal_itself_ends_a_search(monkeypatch):
    real = module.gaussian_escapes

    def signalled(*args, **settings):
        _thread.interrupt_main()
        return real(*args, **settings)

    monkeypatch.setattr(module, "gaussian_escapes", signalled)
    model = GaussianMixture(4, random_state=0)
    # A shell starts what it puts in the background with interrupts ignored, and Python then leaves them so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            model.fit(IRIS)
    finally:
        signal.signal(signal.SIGINT, before)
    assert_usable(model, IRIS)


@pytest.mark.parametrize("where", ["jensen.fit.search.together", "jensen.fit.search.climbing"])
def test_an_interrupt_in_a_run_is_not_swallowed(where, threads, monkeypatch):
    # A loop that is interrupted ends with a status: whoever calls it must look.
    threads(1)
    # The runs of escapes are no loops where they go in bursts.
    monkeypatch.setattr(Gaussian, "in_bursts", lambda self, block: False)
    place = importlib.import_module(where)
    real, rung = place.run, []

    def interrupted(solver, source, start, rule, limits, observer=None):
        def told(info):
            rung.append(info)
            if len(rung) == 2:
                raise KeyboardInterrupt

        return real(solver, source, start, rule, limits, told)

    monkeypatch.setattr(place, "run", interrupted)
    model = GaussianMixture(4, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(IRIS)
    # Nothing was begun after it.
    assert len(rung) == 2
    assert_usable(model, IRIS)


# ------------------------------------------------------------------------------------------------ awkward data


def test_fewer_different_rows_than_components_end_soon_and_are_told():
    x = np.repeat(table(0, 3, 2, 2), 10, axis=0)
    with pytest.warns(JensenWarning) as caught:
        model = GaussianMixture(5, random_state=0).fit(x)
    assert any(str(record.message).startswith("The fit is degenerate") for record in caught)
    account = model.fit_result_.account
    assert account.ending in ("degenerate", "agreed") and account.rounds <= 3
    assert np.isfinite(model.lower_bound_)


def test_an_optimum_that_was_reached_once_is_warned_of(monkeypatch):
    monkeypatch.setattr("jensen.fit.search.mixtures.Plan", lambda *args: Plan(1, True, 1, 2))
    monkeypatch.setattr("jensen.fit.search.mixtures.gaussian_escapes", lambda *args, **settings: Ways(()))
    with pytest.warns(JensenWarning, match="^The best optimum was reached once in 1 rounds"):
        GaussianMixture(3, random_state=0).fit(IRIS)
