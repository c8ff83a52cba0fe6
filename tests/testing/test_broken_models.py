"""Every broken model is caught, and the method that is broken is named."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import xlogy

import jensen
from jensen.errors import InputError
from jensen.testing import MODEL_CHECKS, ConformanceError, check_model

HEADS = np.array([5.0, 9.0, 8.0, 4.0, 7.0, 2.0, 10.0, 3.0])
START = {"share": 0.4, "bias": [0.75, 0.4]}


@dataclass
class Counts:
    """Statistics of a class of one's own."""

    weight: float
    loglik: float
    sets: np.ndarray
    heads: np.ndarray

    def merge(self, other):
        return type(self)(
            self.weight + other.weight, self.loglik + other.loglik, self.sets + other.sets, self.heads + other.heads
        )


class Coins(jensen.LatentModel):
    """Two coins, the first chosen with chance `share`; rows are heads in ten tosses. Nothing is wrong with it."""

    domains = {"share": jensen.domains.Interval(()), "bias": jensen.domains.Interval((2,))}
    record = Counts

    def log_joint(self, params, heads):
        shares = np.array([params["share"], 1 - params["share"]])
        return np.log(shares) + heads * np.log(params["bias"]) + (10 - heads) * np.log1p(-params["bias"])

    def posterior(self, log_joint, loglik):
        return np.exp(log_joint - loglik[:, None])

    def expect(self, params, block):
        log_joint = self.log_joint(params, block.x)
        loglik = np.logaddexp.reduce(log_joint, axis=1)
        share = self.posterior(log_joint, loglik) * block.weights[:, None]
        return self.record(
            block.total_weight, float(block.weights @ loglik), share.sum(axis=0), (share * block.x).sum(axis=0)
        )

    def maximize(self, params, s):
        return {"share": s.sets[0] / s.weight, "bias": s.heads / (10 * s.sets)}

    def complete(self, params, s):
        shares = np.array([params["share"], 1 - params["share"]])
        tails = 10 * s.sets - s.heads
        return float((xlogy(s.sets, shares) + xlogy(s.heads, params["bias"]) + xlogy(tails, 1 - params["bias"])).sum())

    def row_loglik(self, params, block):
        return np.logaddexp.reduce(self.log_joint(params, block.x), axis=1)

    def sample(self, params, n, rng):
        return rng.binomial(10, np.where(rng.random(n) < params["share"], *params["bias"]))[:, None].astype(float)

    def by_component(self, params):
        return {"weights": np.array([params["share"], 1 - params["share"]]), "bias": params["bias"]}

    def permuted(self, params, order):
        own = self.by_component(params)
        return params.replace(share=own["weights"][list(order)][0], bias=own["bias"][list(order)])


def without(model, *names):
    """The same class with some capabilities taken away."""
    return type(model.__name__, (model,), dict.fromkeys(names))


BROKEN = {}


def broken(method, *said):
    """Note a model that is to be caught under a name, with these words."""

    def note(model):
        BROKEN[model.__name__] = (model, method, said)
        return model

    return note


@broken("maximize", "EM step 5 took the objective from", "expected no fall")
class MStepTosses(Coins):
    def maximize(self, params, s):
        return {"share": s.sets[0] / s.weight, "bias": s.heads / (10.01 * s.sets)}


@broken("maximize", "slope where the M-step ends", "share")
class MStepIgnoresShare(Coins):
    def maximize(self, params, s):
        return {"bias": s.heads / (10 * s.sets)}


@broken("maximize", "took the objective from", "expected no fall")
class MStepFalls(Coins):
    def maximize(self, params, s):
        return {"share": s.sets[0] / s.weight, "bias": 1 - s.heads / (10 * s.sets)}


@broken("maximize", "comes to rest where the objective still has a slope", "share")
class MStepIgnoresShareUndeclared(Coins):
    complete = None

    def maximize(self, params, s):
        return {"bias": s.heads / (10 * s.sets)}


@broken("maximize", "outside its domain", "between 0 and 1")
class MStepLeaves(Coins):
    def maximize(self, params, s):
        return {"bias": s.heads / s.sets}


@broken("maximize", "ContractError", "maximize")
class MStepReturnsNumber(Coins):
    def maximize(self, params, s):
        return 0.5


class ForgetsHeads(Counts):
    def merge(self, other):
        return type(self)(self.weight + other.weight, self.loglik + other.loglik, self.sets + other.sets, self.heads)


class Averages(Counts):
    def merge(self, other):
        both = super().merge(other)
        both.loglik = (self.loglik + other.loglik) / 2
        return both


class Forgetful(Counts):
    """Right for two parts of equal weight, but not associative."""

    def merge(self, other):
        both = super().merge(other)
        both.heads = both.heads * (1.0 + 1e-3 * (self.weight - other.weight))
        return both


class InPlace(Counts):
    def merge(self, other):
        self.heads += other.heads
        self.sets += other.sets
        self.weight, self.loglik = self.weight + other.weight, self.loglik + other.loglik
        return self


@broken("expect().merge of ForgetsHeads", "in one block and in 2")
class MergeForgets(Coins):
    record = ForgetsHeads


@broken("expect().merge of Averages", "loglik")
class MergeAverages(Coins):
    record = Averages


@broken("expect().merge of Forgetful", "statistics")
class MergeNotAssociative(Coins):
    record = Forgetful


@broken("expect().merge of InPlace", "changed its argument")
class MergeInPlace(Coins):
    record = InPlace


@broken("expect", "a weight of 1", "sum of the rows' weights")
class SaysWeightOne(Coins):
    def expect(self, params, block):
        s = super().expect(params, block)
        s.weight = 1.0
        return s


@broken("expect", "rows of weight 2 and of the rows twice")
class IgnoresWeights(Coins):
    def expect(self, params, block):
        s = super().expect(params, jensen.core.block.Block(block.arrays))
        s.weight = block.total_weight
        return s


@broken("expect", "rows of weight 0 and without the rows")
class CountsRowsOfWeightZero(Coins):
    def expect(self, params, block):
        s = super().expect(params, block)
        s.sets = s.sets + 0.5 * np.count_nonzero(block.weights == 0)
        return s


@broken("expect", "rows shuffled")
class MindsTheOrder(Coins):
    def expect(self, params, block):
        s = super().expect(params, block)
        s.heads = s.heads + 1e-3 * block.x[0, 0]
        return s


@broken("expect", "in one block and in 2")
class CountsBlocks(Coins):
    def expect(self, params, block):
        s = super().expect(params, block)
        return jensen.Sums(weight=s.weight, loglik=s.loglik, sets=s.sets + 1e-3, heads=s.heads)


@broken("expect", "of the rows twice")
class SumsOfMeans(Coins):
    def expect(self, params, block):
        s = super().expect(params, block)
        return jensen.Sums(weight=s.weight, loglik=s.loglik, sets=s.sets, heads=s.heads / block.n_rows)


@broken("row_loglik", "but the loglik of expect is")
class RowsOfAnotherDensity(Coins):
    def row_loglik(self, params, block):
        return super().row_loglik(params, block) - np.log(params["share"])


@broken("row_loglik", "has the shape (8, 2)")
class RowsOfShape(Coins):
    def row_loglik(self, params, block):
        return self.log_joint(params, block.x)


@broken("complete", "Fisher's identity")
class PosteriorTooSure(Coins):
    def posterior(self, log_joint, loglik):
        share = np.exp(1.1 * (log_joint - loglik[:, None]))
        return share / share.sum(axis=1, keepdims=True)


@broken("complete", "Fisher's identity")
class DensityTooSmall(Coins):
    """The log-likelihood forgets the chance of the coin."""

    row_loglik = None

    def expect(self, params, block):
        s = super().expect(params, block)
        s.loglik = float(np.logaddexp.reduce(self.log_joint({**params.values, "share": 0.5}, block.x), axis=1).sum())
        s.loglik = s.loglik if block.weight is None else super().expect(params, block).loglik
        return s


@broken("sample", "do not follow the density", "share")
class SamplesFair(Coins):
    def sample(self, params, n, rng):
        return super().sample(params.replace(share=0.5), n, rng)


@broken("sample", "drew 7 rows")
class SamplesSeven(Coins):
    def sample(self, params, n, rng):
        return super().sample(params, 7, rng)


@broken("permuted", "expected the order 1, 0")
class PermutesTheOtherWay(Coins):
    def permuted(self, params, order):
        return params


@broken("permuted", "took the objective from", "in any order")
class PermutesHalf(Coins):
    def by_component(self, params):
        return {"bias": params["bias"]}

    def permuted(self, params, order):
        return params.replace(bias=params["bias"][list(order)])


@broken("expect", "raised ContractError", "has no loglik")
class NoLoglik(Coins):
    def expect(self, params, block):
        return type("Bare", (), {"weight": 1.0, "merge": None})()


@broken("expect", "changed its argument Block")
class WritesIntoRows(Coins):
    def expect(self, params, block):
        found = super().expect(params, block)
        block.x[:] = np.round(block.x + 1)
        return found


@broken("maximize", "changed its argument Counts")
class WritesIntoStatistics(Coins):
    def maximize(self, params, s):
        s.sets /= s.weight
        return {"share": s.sets[0], "bias": s.heads / (10 * s.sets * s.weight)}


@broken("expect", "different values for the same arguments")
class Dithers(Coins):
    rng = np.random.default_rng(0)

    def expect(self, params, block):
        s = super().expect(params, block)
        s.heads = s.heads + 1e-9 * self.rng.random(2)
        return s


@broken("maximize", "raised ZeroDivisionError")
class Raises(Coins):
    def maximize(self, params, s):
        return 1 / 0


class WrongBack(jensen.domains.Interval):
    def from_free(self, free):
        return super().from_free(1.01 * free)


class WrongSlope(jensen.domains.Interval):
    def jacobian(self, value):
        return 1.1 * super().jacobian(value)


@broken("domains['bias'].from_free", "expected the same")
class DomainDoesNotInvert(Coins):
    domains = {"share": jensen.domains.Interval(()), "bias": WrongBack((2,))}


@broken("domains['bias'].jacobian", "differences say")
class DomainOfWrongSlope(Coins):
    domains = {"share": jensen.domains.Interval(()), "bias": WrongSlope((2,))}


def test_the_right_model_passes_every_check():
    report = check_model(Coins(), HEADS, START)
    assert report.passed == MODEL_CHECKS and not report.skipped
    assert "passes 14 checks" in str(report)


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named(name):
    model, method, said = BROKEN[name]
    with pytest.raises(ConformanceError) as caught:
        check_model(model(), HEADS, START)
    assert caught.value.method == f"{name}.{method}"
    for words in said:
        assert words in str(caught.value)


def test_what_a_model_does_not_declare_is_not_checked_and_said():
    report = check_model(without(Coins, "complete", "row_loglik", "sample", "permuted")(), HEADS, START)
    assert set(report.skipped) == {"fisher", "maximum", "row_loglik", "sample", "permuted"}
    assert "not checked: fisher (the model declares no complete)" in str(report)


def test_checks_can_be_left_out():
    model = BROKEN["SamplesFair"][0]()
    assert "left out" in check_model(model, HEADS, START, skip=["sample"]).skipped["sample"]
    with pytest.raises(InputError, match="samples"):
        check_model(model, HEADS, START, skip=["samples"])


def test_a_point_on_the_boundary_is_refused():
    with pytest.raises(InputError, match="inside"):
        check_model(Coins(), HEADS, {"share": 0.0, "bias": [0.5, 0.6]})


def test_a_model_without_methods_is_named():
    with pytest.raises(ConformanceError, match="Bare.*maximize"):
        check_model(type("Bare", (), {"domains": Coins.domains, "expect": lambda self, p, b: None})(), HEADS, START)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_units_of_the_data_change_nothing(unit):
    """A mean and a deviation in any unit: steps and tolerances follow."""

    class Normal(jensen.LatentModel):
        domains = {"mean": jensen.domains.Real(()), "variance": jensen.domains.Positive(())}
        factor = 1.0

        def expect(self, params, block):
            z2 = (block.x[:, 0] - params["mean"]) ** 2 / params["variance"]
            loglik = -0.5 * (np.log(2 * np.pi * params["variance"]) + z2)
            return jensen.Sums(
                weight=block.total_weight,
                loglik=block.weights @ loglik,
                one=block.weights @ block.x[:, 0] / unit,
                two=block.weights @ (block.x[:, 0] / unit) ** 2,
            )

        def maximize(self, params, s):
            mean = s.one / s.weight
            return {"mean": unit * mean, "variance": unit**2 * self.factor * (s.two / s.weight - mean**2)}

    rows = unit * np.random.default_rng(0).normal(1.0, 2.0, 30)
    start = {"mean": 0.5 * unit, "variance": 3.0 * unit**2}
    check_model(Normal(), rows, start)
    wrong = type("Wrong", (Normal,), {"factor": 30 / 29})
    with pytest.raises(ConformanceError, match=r"Wrong\.maximize"):
        check_model(wrong(), rows, start)
