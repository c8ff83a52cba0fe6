"""The bootstrap likelihood-ratio test: known statistics, a fair p-value, the same bits, and results cut short."""

from dataclasses import replace

import numpy as np
import pytest
from mixtures import fit, table
from scipy.stats import kstest

import jensen
from jensen import datasets
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.families.shapes import SHAPES
from jensen.fit.result import MixtureFit
from jensen.infer import lrt
from jensen.infer.lrt import bootstrap_lrt

FAITHFUL, IRIS, GALAXIES = (datasets.load(name).data for name in ("faithful", "iris", "galaxies"))


@pytest.fixture(scope="module")
def faithful():
    return bootstrap_lrt(FAITHFUL, range(1, 4), n_boot=39, seed=0)


# ------------------------------------------------------------------------------------------------ the statistic


def test_iris_has_the_statistics_of_mclust():
    # mclustBootstrapLRT(iris, modelName = "VVV"): 331.11985 and 68.33750. Its third one, 27.03, is of a poor optimum.
    found = bootstrap_lrt(IRIS, range(1, 5), n_boot=19, seed=0)
    np.testing.assert_allclose(found.statistics[:2], [331.11985, 68.33750], rtol=1e-4)
    assert found.statistics[2] > 44.0


def equal_variance_gain(x, n_starts=40):
    """Twice what a second Gaussian of the same variance gains on one column: EM from many starts, written out."""
    rng, n = np.random.default_rng(0), len(x)

    def loglik(weights, means, variance):
        parts = weights * np.exp(-0.5 * (x[:, None] - means) ** 2 / variance) / np.sqrt(2 * np.pi * variance)
        return float(np.log(parts.sum(axis=1)).sum()), parts / parts.sum(axis=1, keepdims=True)

    alone = loglik(np.ones(1), np.array([x.mean()]), x.var())[0]
    best = -np.inf
    for _ in range(n_starts):
        weights, means, variance = np.array([0.5, 0.5]), rng.choice(x, 2, replace=False), x.var() / 4
        for _ in range(300):
            value, resp = loglik(weights, means, variance)
            weights = resp.mean(axis=0)
            means = resp.T @ x / (n * weights)
            variance = float((resp * (x[:, None] - means) ** 2).sum() / n)
        best = max(best, value)
    return 2 * (best - alone)


def test_galaxies_of_equal_variance_gain_what_they_can():
    # mclust starts badly here and finds -0.032.
    found = bootstrap_lrt(GALAXIES, range(1, 3), covariance_type="E", n_boot=39, seed=0)
    assert found.statistics[0] == pytest.approx(equal_variance_gain(GALAXIES.ravel()), rel=1e-4)
    assert found.statistics[0] > 19.0
    assert found.covariance_type == "EII"


@pytest.mark.parametrize("shape", SHAPES)
def test_no_statistic_is_negative_in_any_shape(shape):
    x = table(3, 90, 2, 2, spread=1.0)
    found = bootstrap_lrt(x, range(1, 4), covariance_type=shape, n_boot=19, level=0.99, seed=0)
    assert len(found.tests) == 2 and (found.statistics >= 0.0).all()
    assert all((test.draws >= 0.0).all() and len(test.draws) == 19 for test in found.tests)
    for test in found.tests:
        # The fits that are told are those of the table, and the larger one is never the worse.
        gain = 2 * (test.alternative.objective - test.null.objective)
        assert gain >= test.statistic - 5e-3 and gain >= -1e-8
        assert test.alternative.n_components == test.null.n_components + 1


def test_the_statistic_is_that_of_the_fits(faithful):
    two, one = (fit(FAITHFUL, k, n_init="auto") for k in (2, 1))
    assert faithful.statistics[0] == pytest.approx(2 * (two.objective - one.objective), abs=1e-4)
    assert faithful.tests[0].null.loglik == pytest.approx(one.loglik)
    assert faithful.tests[0].alternative is faithful.tests[1].null


def test_units_of_columns_change_no_p_value():
    scaled = bootstrap_lrt(FAITHFUL[:120] * [1e5, 1e-5], range(1, 3), n_boot=19, seed=0)
    found = bootstrap_lrt(FAITHFUL[:120], range(1, 3), n_boot=19, seed=0)
    np.testing.assert_allclose(scaled.statistics, found.statistics, rtol=1e-6)
    np.testing.assert_allclose(scaled.tests[0].draws, found.tests[0].draws, atol=0.01)


# ------------------------------------------------------------------------------------------------ the p-value


def test_the_p_value_counts_the_data_as_a_draw(faithful):
    for test in faithful.tests:
        reached = sum(draw >= test.statistic for draw in test.draws)
        assert test.n_reached == reached and test.p_value == (1 + reached) / 40
    assert faithful.p_values[0] == 1 / 40


def test_under_the_null_p_values_are_uniform():
    values = []
    for seed in range(40):
        x = np.random.default_rng([seed, 1]).standard_normal(40)
        found = bootstrap_lrt(x, range(1, 3), covariance_type="E", n_boot=19, seed=seed)
        values.append(found.p_values[0])
    values = np.array(values)
    # A p-value is k / 20, k uniform: spread over its step, it is uniform.
    spread = values - np.random.default_rng(0).random(40) / 20
    assert kstest(spread, "uniform").pvalue > 0.01
    assert np.mean(values <= 0.05) <= 0.15


def test_two_groups_are_found_and_a_third_is_not():
    rng = np.random.default_rng(4)
    x = np.concatenate([rng.normal(-3, 1, 60), rng.normal(3, 1, 60)])
    found = bootstrap_lrt(x, covariance_type="E", n_boot=39, seed=0)
    assert found.n_components == 2 and found.p_values[0] == 1 / 40 and found.p_values[1] > 0.05
    assert found.fit.n_components == 2 and isinstance(found.fit, MixtureFit)
    np.testing.assert_allclose(np.sort(found.fit.params["means"].ravel()), [-3, 3], atol=0.5)
    assert found.conclusion == "The data support 2 components, at the level 0.05."


def test_groups_that_a_draw_leaves_out_do_not_spoil_it():
    # Three of 82 rows make the third component: many draws have none of it, and then three are fitted all the same.
    found = bootstrap_lrt(GALAXIES, range(3, 5), covariance_type="V", n_boot=39, seed=0)
    assert found.tests[0].null.params["weights"].min() < 0.05
    assert len(found.tests[0].draws) == 39 and not found.tests[0].failed


# ------------------------------------------------------------------------------------------------ the same bits


def test_threads_change_no_bit(threads, faithful):
    for n in (1, 2):
        threads(n)
        again = bootstrap_lrt(FAITHFUL, range(1, 4), n_boot=39, seed=0)
        np.testing.assert_array_equal(again.statistics, faithful.statistics)
        for one, other in zip(again.tests, faithful.tests, strict=True):
            np.testing.assert_array_equal(one.draws, other.draws)


def test_draws_come_from_streams_of_their_own(faithful):
    few = bootstrap_lrt(FAITHFUL, range(1, 3), n_boot=19, seed=0)
    np.testing.assert_array_equal(few.tests[0].draws, faithful.tests[0].draws[:19])
    other = bootstrap_lrt(FAITHFUL, range(1, 3), n_boot=19, seed=1)
    assert (other.tests[0].draws != few.tests[0].draws).any() and other.seed == 1


def test_a_row_of_weight_w_is_w_rows():
    x, weight = table(1, 80, 1, 2), np.random.default_rng(0).integers(0, 3, 80).astype(float)
    weighted = bootstrap_lrt(x, range(1, 3), n_boot=19, seed=0, sample_weight=weight)
    repeated = bootstrap_lrt(np.repeat(x, weight.astype(int), axis=0), range(1, 3), n_boot=19, seed=0)
    np.testing.assert_allclose(weighted.statistics, repeated.statistics, rtol=1e-6)
    np.testing.assert_allclose(weighted.tests[0].draws, repeated.tests[0].draws, atol=0.01)
    assert not weighted.notes


def test_weights_of_no_whole_sum_are_told():
    x = table(1, 60, 1, 2)
    found = bootstrap_lrt(x, range(1, 3), n_boot=19, seed=0, sample_weight=np.full(60, 1.01))
    assert found.notes == ("the weights sum to 60.6: draws have 61 rows that weigh 0.993443 each",)
    assert "Note: the weights sum to 60.6" in str(found)


def test_large_data_go_by_the_loop(monkeypatch, faithful):
    monkeypatch.setattr("jensen.models.mixture.Mixture.burst", lambda *_: None)
    found = bootstrap_lrt(FAITHFUL, range(1, 3), n_boot=9, level=0.2, seed=0)
    np.testing.assert_allclose(found.statistics, faithful.statistics[:1], atol=1e-4)
    # Accelerated runs may end in another optimum once in a while.
    close = np.abs(found.tests[0].draws - faithful.tests[0].draws[:9]) < 0.02
    assert close.sum() >= 7


# ------------------------------------------------------------------------------------------------ cut short


class Interrupts:
    """Presses Ctrl-C after some draws of the test of K."""

    def __init__(self, k, after):
        self.k, self.after, self.told = k, after, []

    def __call__(self, k, done, wanted):
        self.told.append((k, done, wanted))
        if (k, done) == (self.k, self.after):
            raise KeyboardInterrupt


@pytest.mark.parametrize("n", [1, 2])
def test_an_interrupt_keeps_the_draws(threads, n, faithful):
    threads(n)
    found = bootstrap_lrt(FAITHFUL, range(1, 4), n_boot=39, seed=0, observer=Interrupts(2, 10))
    assert found.status is Status.INTERRUPTED and [test.is_complete for test in found.tests] == [True, False]
    np.testing.assert_array_equal(found.tests[1].draws, faithful.tests[1].draws[:10])
    assert found.n_components == 2
    assert found.conclusion == "The data support at least 2 components: the test of 3 against 2 was interrupted."
    assert "after 10 draws" in str(found)


def test_an_interrupt_in_the_first_test():
    found = bootstrap_lrt(FAITHFUL, n_boot=39, seed=0, observer=Interrupts(1, 3))
    assert len(found.tests) == 1 and found.conclusion.startswith("Nothing is decided: the test of 2 against 1 was")


def test_an_interrupt_before_any_draw_is_passed_on(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(lrt, "fit_mixture", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bootstrap_lrt(FAITHFUL, n_boot=19)


def test_the_observer_is_told_of_every_draw():
    observer = Interrupts(0, 0)
    bootstrap_lrt(FAITHFUL, range(1, 3), n_boot=20, seed=0, observer=observer)
    assert observer.told == [(1, done, 20) for done in range(1, 21)]


def test_the_time_limit_keeps_the_draws(leap, threads, faithful):
    threads(1)

    def watch(n_components, done, n_draws):
        if done == 7:
            leap()

    found = bootstrap_lrt(FAITHFUL, range(1, 4), n_boot=39, seed=0, max_time=1800.0, observer=watch)
    assert found.status is Status.OUT_OF_TIME and len(found.tests) == 1
    np.testing.assert_array_equal(found.tests[0].draws, faithful.tests[0].draws[:7])
    assert found.conclusion == "Nothing is decided: the test of 2 against 1 was cut short by the time limit."


def test_no_time_is_no_test():
    found = bootstrap_lrt(FAITHFUL, max_time=0.0, seed=0)
    assert found.tests == () and found.status is Status.OUT_OF_TIME and found.n_components == 1
    assert "No test was made: the time limit came first." in str(found)
    with pytest.raises(InputError, match="no test was made"):
        _ = found.fit


def test_a_search_without_a_sound_fit_gives_way_to_fewer_components(monkeypatch):
    params = fit(GALAXIES, 3, covariance_type="spherical", n_init="auto").params
    searched = lrt.fit_mixture

    def sunk(source, settings, **asked):
        found = searched(source, settings, **asked)
        return found if settings.warm_start is not None else replace(found, params=params, faults=("sunk",))

    # The rows without the third group, which one row is left of.
    x = np.sort(GALAXIES.ravel())[2:-3]
    monkeypatch.setattr(lrt, "fit_mixture", sunk)
    found = bootstrap_lrt(x, range(3, 5), covariance_type="spherical", n_boot=19, seed=0)
    assert len(found.tests) == 1 and found.tests[0].null.is_sound and not found.notes


def test_too_few_rows_for_one_component_are_told():
    found = bootstrap_lrt(np.random.default_rng(0).standard_normal((8, 12)), n_boot=19, seed=0)
    assert found.tests == () and found.status is Status.CONVERGED and found.conclusion == "No test was made."
    assert found.notes[0].startswith("no sound fit of 1 component was found: component 0 rests on 8 effective rows")


# ------------------------------------------------------------------------------------------------ words


def test_what_is_printed(faithful):
    lines = [line for line in str(faithful).splitlines() if line]
    assert lines[0] == "Bootstrap likelihood-ratio tests, full covariances, 39 draws each, seed 0"
    assert lines[1].split() == ["components", "statistic", "95", "%", "of", "draws", "p-value"]
    assert lines[2].split()[:4] == ["2", "against", "1", "319.1"] and lines[2].endswith("0.025")
    assert lines[3].startswith("3 against 2")
    assert str(faithful.tests[0]) == "2 against 1: T = 319.1, 0 of 39 draws reach it, p = 0.025"


def test_the_table(faithful):
    rows = faithful.table()
    assert [row["n_components"] for row in rows] == [1, 2] and [row["against"] for row in rows] == [2, 3]
    assert rows[0]["p_value"] == 0.025 and rows[0]["n_draws"] == 39 and rows[0]["complete"]
    assert rows[0]["loglik_against"] == rows[1]["loglik"] == faithful.tests[1].null.loglik


def test_conclusions(faithful):
    first, second = faithful.tests
    always = replace(faithful, tests=(first, replace(second, draws=np.zeros(39))), n_components=3)
    assert always.conclusion == "The data support at least 3 components, at the level 0.05: every test was significant."
    one = replace(faithful, tests=(replace(first, draws=np.full(39, 1e3)),), n_components=1)
    assert one.conclusion == "The data support 1 component, at the level 0.05."


def test_a_search_that_finds_more_is_told(monkeypatch):
    monkeypatch.setattr(lrt.Ladder, "best", lambda *_: None)
    found = bootstrap_lrt(FAITHFUL, range(1, 3), n_boot=19, seed=0)
    assert found.statistics[0] == 0.0 and found.p_values[0] == 1.0
    assert (
        "2 against 1: a search gains 319.1, where splits, by which all draws go too, gain 0" in found.tests[0].notes[0]
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"n_components": 3}, "one after another without a gap"),
        ({"n_components": [1, 3]}, "one after another without a gap"),
        ({"n_components": range(0, 3)}, "from 1 on"),
        ({"n_components": "123"}, "whole numbers"),
        ({"n_components": [2]}, "at least two numbers"),
        ({"n_components": range(5, 9), "X": [[1.0], [2.0], [3.0]]}, "for 3 rows"),
        ({"covariance_type": "round"}, "covariance_type"),
        ({"n_boot": 0}, "n_boot must be"),
        ({"n_boot": 2.5}, "n_boot must be"),
        ({"n_boot": 9}, "ask for at least 19"),
        ({"level": 1.5}, "level must be"),
        ({"level": "5 %"}, "level must be"),
        ({"seed": -1}, "seed must be"),
        ({"max_time": -1.0}, "max_time must be"),
        ({"reg_covar": -1.0}, "reg_covar must be"),
        ({"reg_covar": "none"}, "reg_covar must be"),
        ({"sample_weight": [1.0]}, "sample_weight"),
        ({"X": [[np.nan], [1.0]]}, "X has missing values"),
        ({"X": np.ones((30, 1)), "sample_weight": np.full(30, 0.01)}, "fewer than two"),
    ],
)
def test_what_cannot_be_is_refused(wrong, said):
    with pytest.raises(InputError, match=said):
        bootstrap_lrt(**({"X": FAITHFUL} | wrong))


def test_data_frames_and_columns():
    frame = datasets.load("galaxies")
    whole = bootstrap_lrt(frame, range(1, 3), n_boot=19, seed=0)
    column = bootstrap_lrt(GALAXIES.ravel().tolist(), range(1, 3), n_boot=19, seed=0)
    assert whole.statistics[0] == column.statistics[0]
    assert jensen.bootstrap_lrt is bootstrap_lrt


def test_constant_columns_change_nothing():
    x = FAITHFUL[:100]
    wide = np.column_stack([x, np.ones(100)])
    found = bootstrap_lrt(wide, range(1, 3), covariance_type="diag", n_boot=19, seed=0)
    assert found.statistics[0] == pytest.approx(
        bootstrap_lrt(x, range(1, 3), covariance_type="diag", n_boot=19, seed=0).statistics[0], rel=1e-6
    )
    assert ArraySource(wide).n_rows == 100
