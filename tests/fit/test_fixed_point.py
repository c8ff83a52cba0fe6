"""A bare map, run to its fixed point."""

import numpy as np
import pytest
from scipy.special import gammaln

import jensen
from jensen.core.status import Status
from jensen.errors import ContractError, InputError, NumericalFailure

ACCELERATIONS = ["auto", "off", "squarem", "anderson", "quasi-newton"]
DAYS, X = np.array([162.0, 267, 271, 185, 111, 61, 27, 8, 3, 1]), np.arange(10)
START = {"p": 0.5, "rates": [1.0, 3.0]}
MAXIMUM = {"p": 0.3598853969849348, "rates": [1.256095101224338, 2.663404356632473]}
DOMAINS = {"p": jensen.domains.Interval(()), "rates": jensen.domains.Positive((2,))}


def log_joint(t):
    shares, rates = np.array([t["p"], 1 - t["p"]])[:, None], np.asarray(t["rates"])[:, None]
    return np.log(shares) + X * np.log(rates) - rates - gammaln(X + 1)


def update(t):
    joint = log_joint(t)
    z = np.exp(joint - np.logaddexp(*joint)) * DAYS
    return {"p": z[0].sum() / DAYS.sum(), "rates": (z * X).sum(axis=1) / z.sum(axis=1)}


def objective(t):
    return DAYS @ np.logaddexp(*log_joint(t))


@pytest.mark.parametrize("domains", [None, DOMAINS], ids=["reals", "domains"])
@pytest.mark.parametrize("accelerate", ACCELERATIONS)
def test_with_an_objective(accelerate, domains):
    calls = []

    def counted(t):
        calls.append(t)
        return update(t)

    found = jensen.fixed_point(counted, START, objective, domains=domains, accelerate=accelerate)
    assert found.status is Status.CONVERGED
    assert found.n_updates == len(calls)
    assert found.n_updates < (2000 if accelerate == "off" else 150)
    assert found.objective == found.trace[-1] == objective(found.x)
    assert found.objective == pytest.approx(-1989.945859882964, abs=2e-6)
    assert np.diff(found.trace).min() >= -1e-9
    change = [np.abs(update(found.x)[name] - value).max() for name, value in found.x.items()]
    assert found.residual == pytest.approx(max(change), abs=1e-15)


@pytest.mark.parametrize("domains", [None, DOMAINS], ids=["reals", "domains"])
@pytest.mark.parametrize("accelerate", ACCELERATIONS)
def test_without_an_objective(accelerate, domains):
    found = jensen.fixed_point(update, START, domains=domains, accelerate=accelerate)
    assert found.status.is_converged and found.objective is None
    for name, value in MAXIMUM.items():
        np.testing.assert_allclose(found.x[name], value, rtol=0, atol=1e-8)
    assert found.n_updates < (6000 if accelerate == "off" else 400)


def test_a_vector_goes_in_and_out_and_the_map_may_write_to_it():
    def halve(x):
        x *= 0.5
        return x

    found = jensen.fixed_point(halve, [4.0, -8.0], accelerate="off", stop=1e-9)
    np.testing.assert_allclose(found.x, 0.0, atol=1e-8)
    assert found.message.startswith("converged")


def test_observers_limits_and_interrupts():
    seen = []
    found = jensen.fixed_point(update, START, objective, max_iter=7, observers=[seen.append], accelerate="off")
    assert found.status is Status.OUT_OF_ITERATIONS and found.n_iter == 7 == len(seen) - 1
    assert jensen.fixed_point(update, START, max_time=0.0).status is Status.OUT_OF_TIME

    def interrupted(t):
        if abs(t["p"] - 0.5) > 0.04:
            raise KeyboardInterrupt
        return update(t)

    assert jensen.fixed_point(interrupted, START, objective).status is Status.INTERRUPTED


def test_a_map_that_falls_or_leaves_the_numbers_is_told():
    found = jensen.fixed_point(lambda x: x + 1.0, [0.0], lambda x: -abs(float(x[0]) - 2.4))
    assert found.status is Status.OBJECTIVE_FELL and found.x == 2.0
    found = jensen.fixed_point(lambda x: x * 2.0 if x < 100 else x * np.nan, [1.0], lambda x: float(x[0]))
    assert found.status is Status.DEGENERATE and np.isfinite(found.x).all()
    with pytest.raises(NumericalFailure):
        jensen.fixed_point(lambda x: x, [1.0], lambda x: np.nan)


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        (dict(update=lambda x: [1.0, 2.0], start=[1.0]), ContractError, "update must return what it takes"),
        (dict(update=lambda x: x["p"], start={"p": 1.0}), ContractError, "must return a mapping"),
        (dict(update=lambda x: {"q": 1.0}, start={"p": 1.0}), ContractError, "what it takes"),
        (dict(update=lambda x: x, start=[1.0], objective=lambda x: "high"), ContractError, "must return a number"),
        (dict(update=lambda x: x, start=["a"]), InputError, "start is no set of numbers"),
        (dict(update=lambda x: x, start=[2.0], domains=jensen.domains.Interval((1,))), InputError, "outside"),
        (dict(update=lambda x: x, start=[2.0], domains={}), InputError, "domains must be"),
        (dict(update=3, start=[1.0]), InputError, "must be functions"),
        (dict(update=lambda x: x, start=[1.0], accelerate="on"), InputError, "accelerate must be one of"),
        (dict(update=lambda x: x, start=[1.0], stop=0), InputError, "positive"),
        (dict(update=lambda x: x, start=[1.0], stop="soon"), InputError, "stopping rule"),
        (dict(update=lambda x: x, start=[1.0], max_iter=-1), InputError, "max_iter"),
    ],
)
def test_bad_input(arguments, error, words):
    with pytest.raises(error, match=words):
        jensen.fixed_point(**arguments)
