"""`jensen.em`: what it takes, how it ends, and what it says of starts, models and data that are not right."""

import time
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from examples import example
from mixtures import mixture, table

import jensen
from jensen.core.contracts import Stage
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import ContractError, InputError, JensenWarning, NumericalFailure
from jensen.solve.stopping import AtRest, MeanChangeRule

HEADS = [5, 9, 8, 4, 7]
START = {"bias": [0.6, 0.5]}
TwoCoins = example("two_coins").TwoCoins


def quiet(*args, **settings):
    """A fit whose warnings do not matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JensenWarning)
        return jensen.em(*args, **settings)


def belongs_together(fit, model=None, data=HEADS):
    """Whether the objective and the statistics of a fit are those at its parameters."""
    model = model or TwoCoins()
    again = ArraySource(np.reshape(np.asarray(data, dtype=float), (len(data), -1))).fold(model.expect, fit.params)
    return again.loglik == pytest.approx(fit.objective, abs=1e-12) and fit.statistics.loglik == fit.objective


# ------------------------------------------------------------------------------------------------ a good fit


def test_the_record_of_a_fit():
    fit = jensen.em(TwoCoins(), HEADS, START)
    assert fit.status is Status.CONVERGED and not fit.warnings
    assert belongs_together(fit)
    assert fit.trace[-1] == fit.objective and (np.diff(fit.trace) >= -1e-12).all()
    assert fit.passes >= fit.n_iter > 5 and fit.seconds > 0
    assert fit.ascends == "log-likelihood" and fit.boundary == () and fit.n_free == 2
    assert [end.objective for end in fit.starts] == [fit.objective]
    text = str(fit)
    assert text.startswith("Fit of TwoCoins: converged") and "bias" in text and "0.7967" in text


def test_a_mixture_goes_through_the_same_door():
    x, model = table(0, 80, 2, 2), mixture(2, 2, "diag")
    start = {"weights": [0.5, 0.5], "means": [x[0], x[1]], "covariances": np.ones((2, 2)) * x.var(axis=0)}
    fit = jensen.em(model, x, start)
    assert fit.status.is_converged
    assert fit.objective == pytest.approx(ArraySource(x).fold(model.expect, fit.params).loglik, rel=1e-12)


@pytest.mark.parametrize(
    "data",
    [
        HEADS,
        tuple(HEADS),
        np.array(HEADS),
        np.array(HEADS, dtype=np.float32)[:, None],
        [[h] for h in HEADS],
        pd.DataFrame({"heads": HEADS}),
        pl.DataFrame({"heads": HEADS}),
        pd.Series(HEADS),
        {"x": HEADS},
        {"heads": HEADS},
        ArraySource(np.array(HEADS, dtype=float)[:, None]),
        ArraySource(np.array(HEADS)[:, None], block_rows=2),
    ],
    ids=lambda data: type(data).__name__,
)
def test_data_of_many_kinds(data):
    fit = jensen.em(TwoCoins(), data, START)
    np.testing.assert_allclose(fit.params["bias"], [0.79679, 0.51958], atol=2e-4)


def test_a_mapping_brings_every_array():
    class Tosses(jensen.LatentModel):
        domains = {"rate": jensen.domains.Positive(())}

        def expect(self, params, block):
            n, mean = block.arrays["events"], params["rate"] * block.arrays["exposure"]
            assert block.x.shape == (len(n), 1)
            loglik = block.weights @ (n * np.log(mean) - mean)
            return jensen.Sums(
                weight=block.total_weight,
                loglik=loglik,
                events=block.weights @ n,
                exposure=block.weights @ block.arrays["exposure"],
            )

        def maximize(self, params, s):
            return {"rate": s.events / s.exposure}

    fit = jensen.em(Tosses(), {"events": [1.0, 2.0, 6.0], "exposure": [1.0, 1.0, 2.0]}, {"rate": 1.0})
    assert fit.params["rate"] == pytest.approx(9 / 4)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "row"),
        ([1.0, np.nan], "finite|missing|NaN"),
        (["a", "b"], "number"),
        ({}, "empty mapping"),
        ({"x": [1, 2], "y": [1]}, "same number of rows"),
        ({"x": 3.0}, "same number of rows"),
        (None, "data"),
        (3.0, "data"),
        (np.zeros((2, 2, 2)), "data"),
    ],
)
def test_data_that_are_none(data, said):
    with pytest.raises(InputError, match=said):
        jensen.em(TwoCoins(), data, START)


def test_weights_are_repetitions():
    weighted = jensen.em(TwoCoins(), HEADS, START, sample_weight=[2, 0, 1, 1, 3], stop=AtRest())
    repeated = jensen.em(TwoCoins(), np.repeat(HEADS, [2, 0, 1, 1, 3]), START, stop=AtRest())
    np.testing.assert_allclose(weighted.params["bias"], repeated.params["bias"], atol=1e-9)
    assert weighted.objective == pytest.approx(repeated.objective, abs=1e-11)


@pytest.mark.parametrize("weight", [[1.0], [1, 1, 1, 1, -1], [1, 1, 1, 1, np.nan], np.zeros(5), ["a"] * 5, 2.0])
def test_bad_weights(weight):
    with pytest.raises(InputError, match="sample_weight"):
        jensen.em(TwoCoins(), HEADS, START, sample_weight=weight)


def test_a_source_brings_its_own_weights():
    with pytest.raises(InputError, match="source brings the weights"):
        jensen.em(TwoCoins(), ArraySource(np.ones((5, 1))), START, sample_weight=np.ones(5))


# ------------------------------------------------------------------------------------------------ starts


def test_the_best_of_several_starts():
    starts = [{"bias": [0.5, 0.5]}, START, {"bias": [0.5, 0.6]}]
    fit = jensen.em(TwoCoins(), HEADS, starts)
    assert len(fit.starts) == 3
    assert fit.objective == max(end.objective for end in fit.starts) > fit.starts[0].objective + 0.4


def test_a_start_without_density_leaves_the_others():
    starts = [{"bias": [0.0, 0.0]}, START]
    with np.errstate(all="ignore"):
        fit = jensen.em(TwoCoins(), HEADS, starts)
        assert fit.starts[0].status is Status.DEGENERATE and fit.starts[0].objective == -np.inf
        with pytest.raises(NumericalFailure, match="start"):
            jensen.em(TwoCoins(), HEADS, starts[:1])


def test_a_start_may_be_a_record():
    first = quiet(TwoCoins(), HEADS, START, max_iter=3)
    assert jensen.em(TwoCoins(), HEADS, first.params).trace[0] == first.objective


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ({"bias": [0.6, 1.5]}, "'bias' is outside its domain: every entry must lie between 0 and 1"),
        ({"bias": [0.6, np.nan]}, "'bias' is outside its domain"),
        ({"bias": [0.6]}, r"shape \(2,\), but got \(1,\)"),
        ({"bias": ["a", "b"]}, "start has values that are no numbers"),
        ({"bias": [0.6, 0.5], "rate": 1.0}, "start must have the parameters bias; got bias, rate"),
        ({}, "start must have the parameters bias; got"),
        ([], "start is an empty sequence"),
        (0.6, "start must be a mapping of parameter names to values, with bias; got float 0.6"),
        ("bias", "start must be a mapping"),
        (None, "start must be a mapping"),
        ([[0.6, 0.5]], "start must be a mapping"),
    ],
)
def test_bad_starts(start, said):
    with pytest.raises(InputError, match=said):
        jensen.em(TwoCoins(), HEADS, start)


def test_a_start_on_the_boundary_is_kept_with_a_warning():
    x = table(0, 40, 1, 2)
    start = {"weights": [0.0, 1.0], "means": [[0.0], [1.0]], "covariances": [1.0, 1.0]}
    with pytest.warns(JensenWarning, match=r"on the boundary at weights\[0\], which EM never leaves"):
        fit = jensen.em(mixture(2, 1, "spherical"), x, start)
    assert fit.params["weights"][0] == 0.0 and fit.boundary == ("weights[0]",)
    assert fit.params["means"][1] == pytest.approx(x.mean())


# ------------------------------------------------------------------------------------------------ M-steps gone wrong


class Derailed(TwoCoins):
    """Right for some M-steps; then it returns something else."""

    def __init__(self, instead, after=4):
        self.instead, self.after, self.calls = instead, after, 0

    def maximize(self, params, s):
        self.calls += 1
        return self.instead if self.calls > self.after else super().maximize(params, s)


@pytest.fixture(scope="module")
def four_steps():
    return quiet(TwoCoins(), HEADS, START, max_iter=4, accelerate="off")


@pytest.mark.parametrize("accelerate", ["off", "auto"])
@pytest.mark.parametrize(
    ("instead", "status", "said"),
    [
        ({"bias": [0.1, 0.9]}, Status.OBJECTIVE_FELL, "by .* at iteration 5"),
        ({"bias": [np.nan, 0.5]}, Status.DEGENERATE, "not finite: 'bias'"),
        ({"bias": [np.inf, 0.5]}, Status.DEGENERATE, "not finite: 'bias'"),
        ({"bias": [0.0, 0.0]}, Status.DEGENERATE, "the objective became"),
        ({"bias": [1.2, 0.5]}, Status.DEGENERATE, "M-step of Derailed returned 'bias' = .* between 0 and 1"),
    ],
)
def test_an_m_step_that_is_worse_or_not_finite(instead, status, said, accelerate, four_steps):
    with np.errstate(all="ignore"), pytest.warns(JensenWarning, match=said):
        fit = jensen.em(Derailed(instead), HEADS, START, accelerate=accelerate)
    assert fit.status is status and fit.n_iter == 4
    np.testing.assert_array_equal(fit.params["bias"], four_steps.params["bias"])
    assert belongs_together(fit)
    assert fit.message in " ".join(str(fit).split())


def test_an_m_step_that_raises_a_numerical_error(four_steps):
    class Raises(Derailed):
        def maximize(self, params, s):
            if self.calls == self.after:
                raise np.linalg.LinAlgError("singular matrix")
            return super().maximize(params, s)

    with pytest.warns(JensenWarning, match="singular matrix"):
        fit = jensen.em(Raises(None), HEADS, START, accelerate="off")
    assert fit.status is Status.DEGENERATE
    np.testing.assert_array_equal(fit.params["bias"], four_steps.params["bias"])


def test_an_m_step_that_leaves_its_domain_while_it_climbs_is_named():
    class TooManyShares(jensen.LatentModel):
        """Shares that sum to more than 1 have a higher likelihood."""

        domains = {"shares": jensen.domains.Simplex(2)}

        def expect(self, params, block):
            counts = block.weights @ block.x
            return jensen.Sums(weight=block.total_weight, loglik=counts @ np.log(params["shares"]), counts=counts)

        def maximize(self, params, s):
            return {"shares": s.counts / s.counts.max()}

    with pytest.raises(ContractError, match=r"TooManyShares\.maximize returned 'shares' = .* must sum to 1"):
        jensen.em(TooManyShares(), [[3, 1]], {"shares": [0.5, 0.5]})


def test_rounding_outside_a_domain_is_forgiven():
    class OneUlp(jensen.LatentModel):
        domains = {"p": jensen.domains.Interval(())}

        def expect(self, params, block):
            return jensen.Sums(weight=block.total_weight, loglik=-((params["p"] - 1.0) ** 2))

        def maximize(self, params, s):
            return {"p": np.nextafter(1.0, 2.0)}

    assert jensen.em(OneUlp(), [1.0], {"p": 0.5}).status.is_converged


# ------------------------------------------------------------------------------------------------ broken contracts


class Bare:
    """An object that is no LatentModel, and keeps the contract."""

    domains = TwoCoins.domains

    def expect(self, params, block):
        return TwoCoins().expect(params, block)

    def maximize(self, params, s):
        return TwoCoins().maximize(params, s)


def test_a_model_needs_no_base_class():
    assert jensen.em(Bare(), HEADS, START).objective == jensen.em(TwoCoins(), HEADS, START).objective


class Bad:
    """Statistics that lack something."""

    def __init__(self, **values):
        self.__dict__.update(values)

    def __repr__(self):
        return "Bad()"


def returns(value):
    return lambda self, *args: value


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"domains": None}, r"Broken\.domains must be a mapping"),
        ({"domains": {}}, r"Broken\.domains must be a mapping"),
        ({"domains": {"bias": 2}}, r"Broken\.domains\['bias'\] must be a domain.* got int 2"),
        ({"expect": None}, "Broken has no method expect"),
        ({"maximize": 3}, "Broken has no method maximize"),
        ({"stages": ()}, r"Broken\.stages must be a sequence of at least one Stage"),
        ({"stages": [len]}, r"Broken\.stages must be a sequence of at least one Stage"),
        ({"stages": (Stage(len, len, guarded=True),)}, "needs? the method complete"),
        (
            {"expect": returns(None)},
            r"Broken\..* must return statistics .* but returned NoneType None, which has no merge",
        ),
        ({"expect": returns(-3.0)}, r"returned float -3.0, which has no merge"),
        ({"expect": returns(Bad(merge=len, weight=1.0))}, "has no loglik"),
        ({"expect": returns(Bad(merge=len, loglik=1.0))}, "has no weight"),
        ({"expect": returns(Bad(merge=len, weight=1.0, loglik="x"))}, "whose loglik is no number: str 'x'"),
        ({"expect": returns(Bad(merge=len, weight=None, loglik=0.0))}, "whose weight is no number: NoneType None"),
        ({"expect": returns(Bad(merge=len, weight=np.nan, loglik=0.0))}, "whose weight is NaN"),
        ({"objective": returns("high")}, r"Broken\.objective must return a number, but returned str 'high'"),
        ({"objective": returns(None)}, r"Broken\.objective must return a number, but returned NoneType None"),
        ({"maximize": returns(None)}, r"must return Parameters, or a mapping .* but returned NoneType None"),
        ({"maximize": returns(0.5)}, "but returned float 0.5"),
        ({"maximize": returns({"bais": [0.5, 0.5]})}, "returned values that are no parameters: .*bais"),
        ({"maximize": returns({"bias": [0.5]})}, r"no parameters: parameter 'bias' should have the shape \(2,\)"),
        ({"maximize": returns({"bias": "x"})}, "no parameters"),
        (
            {"maximize": returns(jensen.models.ThreeCoins().parameters(pi=0.5, p=0.5, q=0.5))},
            "parameters of other names or shapes",
        ),
    ],
)
def test_every_way_to_break_the_contract_is_named(broken, said):
    model = type("Broken", (Bare,), broken)()
    with pytest.raises(ContractError, match=said):
        jensen.em(model, HEADS, START)


@pytest.mark.parametrize("merged", [None, 3])
def test_a_merge_that_gives_no_statistics_is_named(merged):
    class Statistics(Bad):
        def merge(self, other):
            return merged

    model = type("Broken", (Bare,), {"expect": returns(Statistics(weight=1.0, loglik=-1.0))})()
    with pytest.raises(ContractError, match=r"merge of what Broken\.expect returned"):
        jensen.em(model, ArraySource(np.ones((4, 1)), block_rows=2), START)


def test_sums_that_differ_between_blocks_are_named():
    class Ragged(TwoCoins):
        def expect(self, params, block):
            return jensen.Sums(weight=1.0, loglik=0.0, rows=np.zeros(block.n_rows))

    with pytest.raises(ContractError, match=r"'rows' of shape \(2,\) for one block and \(1,\) for another"):
        jensen.em(Ragged(), ArraySource(np.ones((3, 1)), block_rows=2), START)


def test_errors_of_the_user_come_out_as_they_are():
    class Typo(TwoCoins):
        def maximize(self, params, s):
            return {"bias": s.haeds / s.sets}

    with pytest.raises(AttributeError, match="haeds"):
        jensen.em(Typo(), HEADS, START)


# ------------------------------------------------------------------------------------------------ limits


class Interrupted(TwoCoins):
    """A person presses Ctrl-C in a pass."""

    def __init__(self, at):
        self.at, self.passes = at, 0

    def expect(self, params, block):
        self.passes += 1
        if self.passes == self.at:
            raise KeyboardInterrupt
        return super().expect(params, block)


def test_an_interrupt_keeps_the_best_so_far(four_steps):
    with pytest.warns(JensenWarning, match="interrupted"):
        fit = jensen.em(Interrupted(6), HEADS, START, accelerate="off")
    assert fit.status is Status.INTERRUPTED and fit.n_iter == 4
    np.testing.assert_array_equal(fit.params["bias"], four_steps.params["bias"])
    with pytest.raises(KeyboardInterrupt):
        jensen.em(Interrupted(1), HEADS, START)


def test_an_interrupt_ends_all_starts():
    fit = quiet(Interrupted(6), HEADS, [START, START, START], accelerate="off")
    assert fit.status is Status.INTERRUPTED and len(fit.starts) == 1


def test_max_iter():
    fit = quiet(TwoCoins(), HEADS, START, max_iter=0)
    assert fit.status is Status.OUT_OF_ITERATIONS and fit.n_iter == 0 and fit.passes == 1
    np.testing.assert_array_equal(fit.params["bias"], START["bias"])
    assert belongs_together(fit)
    with pytest.warns(JensenWarning, match="raise max_iter"):
        assert jensen.em(TwoCoins(), HEADS, START, max_iter=np.int64(2)).n_iter == 2


def test_max_time():
    class Slow(TwoCoins):
        def expect(self, params, block):
            time.sleep(0.02)
            return super().expect(params, block)

    fit = quiet(Slow(), HEADS, START, max_time=0.05)
    assert fit.status is Status.OUT_OF_TIME and 1 <= fit.passes < 10
    assert quiet(TwoCoins(), HEADS, START, max_time=0).n_iter == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_iter": -1}, "max_iter must be an integer of at least 0, got -1"),
        ({"max_iter": 2.5}, "max_iter"),
        ({"max_time": -1.0}, "max_time must be a number of seconds of at least 0, got -1.0"),
        ({"max_time": np.nan}, "max_time"),
        ({"max_time": None}, "max_time"),
        ({"stop": -1e-6}, "stop as a number is a tolerance in nats of at least 0"),
        ({"stop": np.nan}, "stop"),
        ({"stop": "soon"}, "stop must be a stopping rule"),
        ({"observers": print}, "observers must be a sequence of functions"),
        ({"observers": [3]}, "observers must be a sequence of functions"),
        ({"accelerate": "turbo"}, "accelerate"),
    ],
)
def test_bad_settings(settings, said):
    with pytest.raises(InputError, match=said):
        jensen.em(TwoCoins(), HEADS, START, **settings)


def test_a_rule_of_the_users():
    loose = jensen.em(TwoCoins(), HEADS, START, stop=1.0)
    own = jensen.em(TwoCoins(), HEADS, START, stop=MeanChangeRule(1e-3, 5.0))
    tight = jensen.em(TwoCoins(), HEADS, START, stop=AtRest(1e-12))
    assert loose.n_iter < own.n_iter < tight.n_iter
    np.testing.assert_allclose(tight.params["bias"], [0.7967890669226467, 0.519583120145135], atol=1e-11)


def test_rules_begin_anew_with_every_start():
    fit = jensen.em(TwoCoins(), HEADS, [START, START], stop=AtRest(1e-8))
    assert fit.starts[0].n_iter == fit.starts[1].n_iter


def test_observers_see_every_point():
    first, second = [], []
    fit = jensen.em(TwoCoins(), HEADS, START, observers=[first.append, second.append])
    assert first == second
    assert tuple(info.objective for info in first) == fit.trace
    assert first[0].iteration == 0 and first[0].gain == np.inf


def test_an_observer_may_interrupt():
    def impatient(info):
        if info.iteration == 3:
            raise KeyboardInterrupt

    fit = quiet(TwoCoins(), HEADS, START, observers=[impatient], accelerate="off")
    assert fit.status is Status.INTERRUPTED and fit.n_iter == 3


def test_every_start_has_a_stopping_rule_of_its_own():
    class After:
        """Stop at the third point that it is told of."""

        told = 0

        def update(self, info):
            self.told += 1
            return Status.CONVERGED if self.told == 3 else None

    starts = [{"pi": 0.4, "p": 0.6, "q": 0.7}, {"pi": 0.3, "p": 0.2, "q": 0.9}]
    fit = jensen.em(jensen.models.ThreeCoins(), [1, 0, 1], starts, accelerate="off", stop=After())
    assert [end.n_iter for end in fit.starts] == [2, 2]
