"""Models whose M-steps are partial: each stage must climb, and together they must come to rest at a maximum."""

import numpy as np
import pytest

import jensen
from jensen.core.contracts import Stage
from jensen.testing import ConformanceError, check_model

ROWS = np.random.default_rng(0).normal(1.0, 2.0, 40)
START = {"mean": 0.0, "variance": 1.0}


class Normal(jensen.LatentModel):
    """A mean and a variance, each maximised while the other is held (Meng & Rubin 1993)."""

    domains = {"mean": jensen.domains.Real(()), "variance": jensen.domains.Positive(())}

    @property
    def stages(self):
        return Stage(self.expect, self.maximize), Stage(self.expect, self.maximize_variance)

    def expect(self, params, block):
        x, w = block.x[:, 0], block.weights
        z2 = (x - params["mean"]) ** 2 / params["variance"]
        loglik = -0.5 * w @ (np.log(2 * np.pi * params["variance"]) + z2)
        return jensen.Sums(weight=w.sum(), loglik=loglik, one=w @ x, two=w @ x**2)

    def maximize(self, params, s):
        return {"mean": s.one / s.weight}

    def scatter(self, params, s):
        return s.two - 2 * params["mean"] * s.one + s.weight * params["mean"] ** 2

    def maximize_variance(self, params, s):
        return {"variance": self.scatter(params, s) / s.weight}

    def complete(self, params, s):
        return float(-0.5 * (s.weight * np.log(params["variance"]) + self.scatter(params, s) / params["variance"]))


class Newton(Normal):
    """One Newton step for the variance on the log scale, which may overshoot."""

    sign = 1.0

    @property
    def stages(self):
        return (Stage(self.expect, self.maximize, guarded=True),)

    def maximize(self, params, s):
        mean = s.one / s.weight
        share = self.scatter({"mean": mean}, s) / s.weight / params["variance"]
        return {"mean": mean, "variance": params["variance"] * np.exp(self.sign * (share - 1.0) / share)}


class HalfWay(Normal):
    """Both stages climb, but the second stops at a half of the way's end."""

    def maximize_variance(self, params, s):
        return {"variance": max(params["variance"], 0.5 * self.scatter(params, s) / s.weight)}


class Backwards(Newton):
    sign = -1.0

    def maximize(self, params, s):
        return {"mean": params["mean"], "variance": super().maximize(params, s)["variance"]}


class SecondFalls(Normal):
    def maximize_variance(self, params, s):
        return {"variance": 3.0 * self.scatter(params, s) / s.weight}


class ForgetsVariance(Normal):
    @property
    def stages(self):
        return (Stage(self.expect, self.maximize),)

    complete = None


def test_stages_and_guarded_steps_pass():
    for model in (Normal(), Newton()):
        report = check_model(model, ROWS, START)
        assert {"ascent", "fisher", "fixed point"} <= set(report.passed)
        assert "partial" in report.skipped["maximum"]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (HalfWay, "comes to rest where the objective still has a slope"),
        (Backwards, "lowers complete however often it is halved"),
        (SecondFalls, "EM step 2 took the objective from"),
        (ForgetsVariance, "comes to rest where the objective still has a slope"),
    ],
)
def test_wrong_stages_are_named(model, said):
    with pytest.raises(ConformanceError, match=said) as caught:
        check_model(model(), ROWS, {"mean": 0.0, "variance": 3.0})
    assert caught.value.method == f"{model.__name__}.maximize"
