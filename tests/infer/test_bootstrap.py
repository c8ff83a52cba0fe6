"""The bootstrap: it agrees with the analytic standard errors, refuses what cannot be known, and survives bad draws."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
import pytest
from examples import example
from mixtures import mixture, table

import jensen
from jensen import datasets
from jensen.data.arrays import ArraySource
from jensen.errors import InputError, JensenWarning, NumericalFailure
from jensen.infer.resampling import Reweighted, resampling
from jensen.solve.em import EM
from jensen.testing import check_source

FAITHFUL = datasets.load("faithful").data
TOSSES = [1, 1, 0, 1, 0, 0, 1, 0, 1, 1]


def by_labels(model, x, labels):
    """The start from labels."""
    given = ArraySource(x, labels=np.asarray(labels))
    somewhere = model.parameters(**{n: d.from_free(np.zeros(d.size)) for n, d in model.domains.items()})
    return model.maximize(somewhere, given.fold(model.expect_given, somewhere))


@pytest.fixture(scope="module")
def faithful():
    model = mixture(2, 2, "full")
    return jensen.em(model, FAITHFUL, by_labels(model, FAITHFUL, FAITHFUL[:, 0] > 3))


@pytest.fixture(scope="module")
def coins():
    return jensen.em(jensen.models.ThreeCoins(), TOSSES, {"pi": 0.4, "p": 0.6, "q": 0.7})


# ------------------------------------------------------------------------------------------------ the figures


@pytest.mark.parametrize(("kind", "analytic"), [("parametric", "observed"), ("nonparametric", "sandwich")])
def test_faithful_within_15_percent_of_the_analytic_errors(faithful, kind, analytic):
    found, expected = faithful.bootstrap(400, kind, seed=0), faithful.standard_errors(analytic)
    assert found.n_used == 400 and not found.failed and not found.refused
    for name in faithful.params.domains:
        np.testing.assert_allclose(found[name], expected[name], rtol=0.15)
    assert found.entries == expected.entries
    intervals = found.confint()
    for name, value in faithful.params.values.items():
        lower, upper = np.moveaxis(intervals[name], -1, 0)
        assert (lower < value).all() and (value < upper).all()
        np.testing.assert_allclose(upper - lower, 2 * 1.96 * expected[name], rtol=0.25)


@pytest.mark.parametrize("kind", ["parametric", "nonparametric"])
def test_a_mean_and_a_variance_by_formula(kind):
    x = np.random.default_rng(1).normal(3.0, 2.0, (50, 1))
    model = mixture(1, 1, "diag")
    fit = jensen.em(model, x, {"weights": [1.0], "means": [[0.0]], "covariances": [[1.0]]})
    found = fit.bootstrap(2000, kind, seed=3)
    variance, fourth = x.var(), ((x - x.mean()) ** 4).mean()
    kurtosis = 3.0 if kind == "parametric" else fourth / variance**2
    # The Monte Carlo error of 2000 draws is 1.6 %.
    assert found["means"].item() == pytest.approx(np.sqrt(variance / 50), rel=0.06)
    assert found["covariances"].item() == pytest.approx(variance * np.sqrt((kurtosis - 1) / 50), rel=0.08)
    assert found["weights"].item() == 0.0
    assert found.covariance[1, 1] == pytest.approx(found["means"].item() ** 2)


@pytest.mark.parametrize("kind", ["parametric", "nonparametric"])
def test_three_coins_know_one_combination_alone(coins, kind):
    found = coins.bootstrap(400, kind, seed=1)
    assert found.refused == dict.fromkeys(("pi", "p", "q"), "not identified")
    assert np.isnan([found[name] for name in ("pi", "p", "q")]).all() and np.isnan(found.covariance).all()
    assert np.isnan(found.confint()["pi"]).all()
    (combination,) = found.combinations
    assert combination.value == pytest.approx(0.6)
    assert combination.standard_error == pytest.approx(np.sqrt(0.24 / 10), rel=0.1)
    assert np.isnan(found.standard_error_of(lambda params: params["pi"]).standard_error)
    assert "not identified" in repr(found) and "pi*p + (1-pi)*q" in repr(found)


# ------------------------------------------------------------------------------------------------ streams and weights


@pytest.mark.parametrize("kind", ["parametric", "nonparametric"])
def test_draws_come_from_streams_of_their_own(faithful, kind):
    few, many = faithful.bootstrap(5, kind, seed=7), faithful.bootstrap(12, kind, seed=7)
    np.testing.assert_array_equal(few.draws, many.draws[:5])
    assert (faithful.bootstrap(5, kind, seed=8).draws != few.draws).any()
    assert faithful.bootstrap(2, kind).seed != faithful.bootstrap(2, kind).seed


def test_threads_change_no_bit(threads):
    x = table(0, 2000, 2, 2)
    source = ArraySource(x, block_rows=300)
    model = mixture(2, 2, "diag")
    fit = jensen.em(model, source, by_labels(model, x, x[:, 0] > np.median(x[:, 0])))
    draws = []
    for n in (1, 3):
        threads(n)
        draws.append(fit.bootstrap(4, "nonparametric", seed=0).draws)
    np.testing.assert_array_equal(*draws)


def test_a_row_of_weight_w_is_w_rows():
    x, rng = table(2, 60, 1, 2), np.random.default_rng(0)
    weight = rng.integers(0, 4, 60).astype(float)
    model = mixture(1, 1, "spherical")
    start = {"weights": [1.0], "means": [[0.0]], "covariances": [1.0]}
    weighted = jensen.em(model, x, start, sample_weight=weight)
    repeated = jensen.em(model, np.repeat(x, weight.astype(int), axis=0), start)
    for kind, tolerance in (("parametric", 1e-9), ("nonparametric", 0.1)):
        one, other = (fit.bootstrap(800, kind, seed=0) for fit in (weighted, repeated))
        for name in ("means", "covariances"):
            np.testing.assert_allclose(one[name], other[name], rtol=tolerance)


def test_weights_that_sum_to_no_whole_number_keep_their_sum():
    x, weight = table(2, 40, 1, 2), np.linspace(0.1, 1.02, 40)
    assert weight.sum() % 1 > 0.1
    model = mixture(1, 1, "spherical")
    params = model.parameters(weights=[1.0], means=[[0.0]], covariances=[1.0])
    for kind in ("parametric", "nonparametric"):
        drawn = resampling(kind, model, params, ArraySource(x, weight))(np.random.default_rng(0))
        assert drawn.weight == pytest.approx(weight.sum())
    assert drawn.n_rows == 40


def test_rows_are_drawn_in_proportion_to_their_weights():
    weight = np.random.default_rng(0).integers(0, 4, 30).astype(float)
    source = ArraySource(np.arange(30.0)[:, None], weight)
    params = jensen.models.ThreeCoins().parameters(pi=0.5, p=0.5, q=0.5)
    resample = resampling("nonparametric", None, params, source)
    drawn = np.mean([resample(np.random.default_rng(i)).row_weight for i in range(3000)], axis=0)
    # Each count is about Poisson: 3000 of them give a mean within 5 sqrt(w / 3000).
    assert (np.abs(drawn - weight) <= 5 * np.sqrt(weight / 3000)).all()


def test_weights_that_sum_to_1_are_refused():
    model = mixture(1, 1, "spherical")
    start = {"weights": [1.0], "means": [[0.0]], "covariances": [1.0]}
    fit = jensen.em(model, table(2, 40, 1, 2), start, sample_weight=np.full(40, 1 / 40))
    with pytest.raises(InputError, match="the weights sum to 1, but a row of weight w counts as w rows"):
        fit.bootstrap(10)


# ------------------------------------------------------------------------------------------------ labels


@dataclass(frozen=True)
class Relabelling(EM):
    """EM that begins with its components in another order."""

    def init(self, params):
        return super().init(self.model.permuted(params, (1, 0)))


@dataclass(frozen=True)
class Relabels:
    """The variant of it."""

    name: str = "relabels"

    def solver(self, model, rule):
        return Relabelling(model)

    def source(self, source):
        return source


@pytest.mark.parametrize("kind", ["parametric", "nonparametric"])
def test_components_that_change_their_numbers_are_matched(faithful, kind):
    plain = faithful.bootstrap(30, kind, seed=0)
    relabelled = replace(faithful, variant=Relabels()).bootstrap(30, kind, seed=0)
    assert (plain.relabelled, relabelled.relabelled) == (0, 30)
    np.testing.assert_allclose(relabelled.draws, plain.draws, rtol=2e-3, atol=2e-4)
    assert "in 30 draws components were given other numbers, by shares of the rows" in repr(relabelled)


@pytest.fixture(scope="module")
def overlapping():
    """Two components where one would do."""
    x = np.random.default_rng(6).standard_normal((40, 1))
    model = mixture(2, 1, "tied", 0.01)
    start = {"weights": [0.8, 0.2], "means": [[0.4], [-1.2]], "covariances": [[0.6]]}
    return jensen.em(model, x, start)


def test_labels_that_cannot_be_matched_are_refused(overlapping):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = overlapping.bootstrap(60, seed=0)
    assert any("the components cannot be matched: in" in str(one.message) for one in told)
    assert 3 < found.ambiguous < found.n_used
    assert found.refused["means[0, 0]"] == found.refused["weights[1]"] == "labels cannot be matched"
    assert np.isnan(found["means"]).all() and np.isnan(found["weights"]).all()
    # What does not depend on labels is known.
    assert np.isfinite(found["covariances"]).all()
    assert np.isfinite(found.covariance[-1:, -1:]).all() and np.isnan(found.covariance[0]).all()
    mean = found.standard_error_of(lambda params: params["weights"] @ params["means"], "mean")
    np.testing.assert_allclose(mean.standard_error, 1 / np.sqrt(40), rtol=0.3)
    first = found.standard_error_of(lambda params: params["means"][0, 0], "first")
    assert np.isnan(first.standard_error) and first.reason == "labels cannot be matched"
    assert "labels cannot be matched" in repr(found)


def test_a_model_without_permuted_keeps_its_labels():
    poisson = example("poisson_mixture")
    start = {"p": 0.3, "rates": [0.5, 6.0]}
    counts = np.random.default_rng(0).poisson(np.where(np.arange(200) < 60, 0.5, 6.0))
    found = jensen.em(poisson.PoissonMixture(), counts, start).bootstrap(20, seed=0)
    assert found.matched_by == "" and found.relabelled == found.ambiguous == 0
    assert np.isfinite(found["rates"]).all()


# ------------------------------------------------------------------------------------------------ draws that fail


class Fickle(example("poisson_mixture").PoissonMixture):
    """Draws 3, 6, 9, ... have no density; the last ones are interrupted."""

    every, interrupt_at = 3, 10**9

    def __init__(self):
        self.drawn = 0

    def sample(self, params, n, rng):
        self.drawn += 1
        if self.drawn == self.interrupt_at:
            raise KeyboardInterrupt
        rows = super().sample(params, n, rng)
        return -rows - 1.0 if self.drawn % self.every == 0 else rows

    def expect(self, params, block):
        if (block.x < 0).any():
            raise NumericalFailure("no deaths below 0")
        return super().expect(params, block)


def fickle(**settings):
    model = type("Fickle", (Fickle,), settings)()
    counts = np.random.default_rng(0).poisson(np.where(np.arange(200) < 60, 0.5, 6.0))
    return jensen.em(model, counts, {"p": 0.3, "rates": [0.5, 6.0]})


def test_draws_that_fail_are_counted_and_told():
    with pytest.warns(JensenWarning, match="10 of 30 draws were left out"):
        found = fickle().bootstrap(30, seed=0)
    assert found.n_used == 20
    assert found.failed == {"without a density at the fit's parameters": 10}
    assert "20 of 30 draws used" in repr(found)
    quiet = fickle(every=25).bootstrap(30, seed=0)
    assert quiet.n_used == 29 and "1 draws were left out" in repr(quiet)


def test_no_draws_at_all_are_an_error():
    with pytest.raises(NumericalFailure, match="fewer than two draws could be refitted: 5 without a density"):
        fickle(every=1).bootstrap(5, seed=0)


def test_draws_that_degenerate_are_counted():
    x = np.concatenate([np.random.default_rng(0).normal(0, 1, (60, 1)), [[8.0], [8.3], [8.8], [9.1]]])
    model = mixture(2, 1, "full", 1e-6)
    fit = jensen.em(model, x, by_labels(model, x, x[:, 0] > 5))
    with pytest.warns(JensenWarning, match="draws were left out"):
        found = fit.bootstrap(100, "nonparametric", seed=0)
    assert set(found.failed) == {"degenerate"} and 5 < found.failed["degenerate"] < 60
    assert found.n_used == 100 - found.failed["degenerate"]


def test_an_interrupt_returns_what_there_is():
    with pytest.warns(JensenWarning, match="interrupted after 11 of 100 draws"):
        found = fickle(every=10**6, interrupt_at=12).bootstrap(100, seed=0)
    assert found.n_used == 11
    np.testing.assert_array_equal(found.draws, fickle(every=10**6).bootstrap(11, seed=0).draws)
    with pytest.raises(KeyboardInterrupt):
        fickle(every=10**6, interrupt_at=2).bootstrap(100, seed=0)


def test_an_interrupt_within_a_refit_returns_what_there_is():
    class InPass(Fickle):
        passes = 0

        def expect(self, params, block):
            if self.drawn == 12:
                type(self).passes += 1
                if self.passes == 2:
                    raise KeyboardInterrupt
            return super().expect(params, block)

    counts = np.random.default_rng(0).poisson(np.where(np.arange(200) < 60, 0.5, 6.0))
    fit = jensen.em(type("InPass", (InPass,), {"every": 10**6})(), counts, {"p": 0.3, "rates": [0.5, 6.0]})
    with pytest.warns(JensenWarning, match="interrupted after 11 of 100 draws"):
        assert fit.bootstrap(100, seed=0).n_used == 11


def test_entries_on_the_boundary_are_refused():
    with pytest.warns(JensenWarning, match="boundary"):
        fit = jensen.em(jensen.models.ThreeCoins(), TOSSES, {"pi": 0.0, "p": 0.3, "q": 0.5})
    found = fit.bootstrap(400, seed=0)
    assert found.refused == {"pi": "held on the boundary", "p": "not identified"}
    assert found["q"] == pytest.approx(np.sqrt(0.24 / 10), rel=0.1)


# ------------------------------------------------------------------------------------------------ what it takes


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"n_draws": 1}, "n_draws must be an integer of at least 2, got 1"),
        ({"n_draws": 10.0}, "n_draws"),
        ({"n_draws": True}, "n_draws"),
        ({"kind": "wild"}, "kind must be 'parametric' or 'nonparametric', got 'wild'"),
        ({"seed": -1}, "seed must be an integer of at least 0 or None, got -1"),
        ({"seed": "x"}, "seed"),
    ],
)
def test_bad_settings(faithful, settings, said):
    with pytest.raises(InputError, match=said):
        faithful.bootstrap(**settings)


@pytest.mark.parametrize("level", [0.0, 1.0, 95, "high"])
def test_bad_levels(coins, level):
    with pytest.raises(InputError, match="level"):
        coins.bootstrap(4, seed=0).confint(level)


def test_a_model_that_cannot_sample():
    fit = jensen.em(example("two_coins").TwoCoins(), [5, 9, 8, 4, 7], {"bias": [0.6, 0.5]})
    with pytest.raises(InputError, match="TwoCoins does not declare sample.*kind='nonparametric'"):
        fit.bootstrap(10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JensenWarning)
        assert np.isfinite(fit.bootstrap(40, "nonparametric", seed=0)["bias"]).all()


def test_data_beside_the_rows_cannot_be_drawn(faithful):
    beside = replace(faithful, source=faithful.source.with_arrays(day=np.arange(272)))
    with pytest.raises(InputError, match=r"the data have day beside the rows.*sample does not draw"):
        beside.bootstrap(10)
    assert beside.bootstrap(3, "nonparametric", seed=0).n_used == 3


def test_known_labels_stay_with_their_rows():
    labels = np.where(np.arange(272) % 3 == 0, (FAITHFUL[:, 0] > 3).astype(int), -1)
    model = mixture(2, 2, "full")
    fit = jensen.em(model, FAITHFUL, by_labels(model, FAITHFUL, FAITHFUL[:, 0] > 3), labels=labels)
    found = fit.bootstrap(20, "nonparametric", seed=0)
    assert found.n_used == 20 and found.matched_by == ""
    with pytest.raises(InputError, match="kind='nonparametric'"):
        fit.bootstrap(10)


def test_functions_of_the_parameters(faithful):
    found = faithful.bootstrap(50, seed=0)
    gap = found.standard_error_of(lambda params: params["means"][1] - params["means"][0], "gap")
    assert gap.name == "gap"
    means = found.draws[:, 2:6].reshape(50, 2, 2)
    np.testing.assert_allclose(gap.standard_error, (means[:, 1] - means[:, 0]).std(axis=0, ddof=1))
    np.testing.assert_allclose(gap.value, faithful.params["means"][1] - faithful.params["means"][0])
    with pytest.raises(InputError, match="function"):
        found.standard_error_of("gap")


def test_what_is_held_does_not_move():
    model = mixture(2, 2, "full")
    start = by_labels(model, FAITHFUL, FAITHFUL[:, 0] > 3)
    fit = jensen.em(model, FAITHFUL, start, fixed={"means": [True, False], "weights": True})
    found = fit.bootstrap(100, seed=0)
    assert (found["weights"] == 0).all() and (found["means"][0] == 0).all()
    np.testing.assert_allclose(found["means"][1], fit.standard_errors()["means"][1], rtol=0.3)
    equal = jensen.em(model, FAITHFUL, start, equal=["covariances"]).bootstrap(20, seed=0)
    np.testing.assert_allclose(equal["covariances"][0], equal["covariances"][1], rtol=1e-12)


def test_it_prints_well(faithful):
    text = repr(faithful.bootstrap(50, seed=0))
    first, header, *rows = text.splitlines()
    assert first == "Parametric bootstrap, 50 of 50 draws used, seed 0"
    assert "standard error" in header and "95 % of draws" in header
    assert rows[0].split()[:2] == ["weights[0]", "0.355873"] and " to " in rows[0]
    assert "covariances[0, 0, 1]" not in text
    assert text.endswith("good to about 10 %")


def test_another_source_under_other_weights():
    x, weight = table(0, 30, 2, 2), np.random.default_rng(0).integers(0, 3, 30).astype(float)
    plain = Reweighted(ArraySource(x, block_rows=7), weight)
    assert "fold" in check_source(plain).passed
    model = mixture(2, 2, "diag")
    params = model.parameters(weights=[0.5, 0.5], means=[[0, 0], [1, 1]], covariances=np.ones((2, 2)))
    expected = ArraySource(x, weight, block_rows=7).fold(model.expect, params)
    assert plain.fold(model.expect, params).loglik == expected.loglik
    assert plain.weight == weight.sum() and plain.n_rows == 30
