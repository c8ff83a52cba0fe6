"""Partial M-steps: ECM, ECME, parameter expansion and guarded Newton steps end where EM ends, none ever falling."""

from dataclasses import dataclass

import numpy as np
import pytest
from mixtures import NeverStop
from scipy.optimize import minimize, minimize_scalar
from scipy.special import digamma, gammaln, polygamma
from scipy.stats import gamma, t

import jensen
from jensen.core.contracts import Stage
from jensen.core.model import Checked
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.solve.em import EM
from jensen.solve.loop import Limits, run

# ------------------------------------------------------------------------------------------------ the t distribution


@dataclass
class Distances:
    """Squared distances of rows, which the likelihood of nu needs one by one."""

    weight: float
    loglik: float
    rows: np.ndarray

    def merge(self, other):
        return Distances(
            self.weight + other.weight, self.loglik + other.loglik, np.concatenate([self.rows, other.rows])
        )


class StudentT(jensen.LatentModel):
    """x = mu + s z / sqrt(u), u ~ Gamma(nu/2, nu/2) hidden; nu is estimated, or given.

    Parameters
    ----------
    way : {"EM", "ECM", "ECME", "PX-EM"}
        How to take the M-step.
    nu : float, optional
        The degrees of freedom where they are known.
    """

    def __init__(self, way, nu=None):
        self.way, self.nu = way, nu
        self.domains = {"mu": jensen.domains.Real(()), "variance": jensen.domains.Positive(())}
        if nu is None:
            self.domains["nu"] = jensen.domains.Positive(())

    @property
    def stages(self):
        if self.way == "ECM":
            return (Stage(self.expect, self.location_and_scale), Stage(self.expect, self.freedom))
        if self.way == "ECME":
            return (Stage(self.expect, self.location_and_scale), Stage(self.distances, self.freedom_by_likelihood))
        return (Stage(self.expect, self.maximize),)

    def _read(self, params, block):
        nu = self.nu if self.nu is not None else params["nu"]
        residual = block.x[:, 0] - params["mu"]
        loglik = t.logpdf(residual / np.sqrt(params["variance"]), nu) - 0.5 * np.log(params["variance"])
        return nu, residual, residual**2 / params["variance"], loglik.sum()

    def expect(self, params, block):
        nu, residual, distance, loglik = self._read(params, block)
        u = (nu + 1) / (nu + distance)
        logs = digamma((nu + 1) / 2) - np.log((nu + distance) / 2)
        return jensen.Sums(
            weight=len(u), loglik=loglik, u=u.sum(), log_u=logs.sum(), first=u @ residual, second=u @ residual**2
        )

    def distances(self, params, block):
        _, _, distance, loglik = self._read(params, block)
        return Distances(len(distance), loglik, distance)

    def location_and_scale(self, params, s):
        shift = s.first / s.u
        # Parameter expansion lets u have a scale of its own, which divides by the sum of u in the place of n
        # (Liu, Rubin & Wu 1998; Kent, Tyler & Vardi 1994).
        divisor = s.u if self.way == "PX-EM" else s.weight
        return {"mu": params["mu"] + shift, "variance": (s.second - s.first * shift) / divisor}

    def freedom(self, params, s):
        def minus_q(log_nu):
            half = 0.5 * np.exp(log_nu)
            return -(s.weight * (half * np.log(half) - gammaln(half)) + half * (s.log_u - s.u))

        return {"nu": np.exp(minimize_scalar(minus_q, bounds=(-3, 8), method="bounded", options={"xatol": 1e-12}).x)}

    def freedom_by_likelihood(self, params, s):
        def minus_l(log_nu):
            nu = np.exp(log_nu)
            constants = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu)
            return -(s.weight * constants - 0.5 * (nu + 1) * np.log1p(s.rows / nu).sum())

        return {"nu": np.exp(minimize_scalar(minus_l, bounds=(-3, 8), method="bounded", options={"xatol": 1e-12}).x)}

    def maximize(self, params, s):
        found = self.location_and_scale(params, s)
        return found if self.nu is not None else {**found, **self.freedom(params, s)}


X = np.random.default_rng(3).standard_t(3.0, size=400) * 2.0 + 1.0


def steps(model, start, x=X, max_iter=4000, stop=1e-10):
    return jensen.em(model, x, start, accelerate="off", max_iter=max_iter, stop=stop)


def test_known_freedom_em_and_px_em_end_alike_and_px_em_sooner():
    start = {"mu": 0.0, "variance": 30.0}
    fits = {way: steps(StudentT(way, nu=1.0), start) for way in ("EM", "PX-EM")}
    best = minimize(lambda free: -t.logpdf(X, 1.0, free[0], np.exp(free[1])).sum(), [0.0, 0.0], method="BFGS")
    for fit in fits.values():
        assert fit.status is Status.CONVERGED
        assert (np.diff(fit.trace) >= -1e-10).all()
        assert fit.params["mu"] == pytest.approx(best.x[0], abs=1e-5)
        assert np.sqrt(fit.params["variance"]) == pytest.approx(np.exp(best.x[1]), rel=1e-5)
        assert fit.objective == pytest.approx(-best.fun, rel=1e-12)
    assert fits["PX-EM"].n_iter < 0.7 * fits["EM"].n_iter


def test_unknown_freedom_all_ways_end_alike():
    start = {"mu": 0.0, "variance": 30.0, "nu": 20.0}
    fits = {way: steps(StudentT(way), start) for way in ("EM", "ECM", "ECME", "PX-EM")}
    nu, mu, scale = t.fit(X)
    at_least = t.logpdf(X, nu, mu, scale).sum()
    for fit in fits.values():
        assert fit.status is Status.CONVERGED and fit.ascends == "log-likelihood"
        assert (np.diff(fit.trace) >= -1e-9).all()
        assert fit.objective >= at_least - 1e-6
        assert fit.objective == pytest.approx(fits["EM"].objective, abs=1e-6)
        for name in ("mu", "variance", "nu"):
            assert float(fit.params[name]) == pytest.approx(float(fits["EM"].params[name]), rel=1e-3)
    assert fits["PX-EM"].n_iter < fits["EM"].n_iter
    # A cycle of ECME has two passes; the likelihood's own nu is worth more than that.
    assert fits["ECME"].passes < 0.5 * fits["ECM"].passes


def test_stages_take_turns():
    model = StudentT("ECM")
    fit = run(
        EM(Checked(model)),
        ArraySource(X[:, None]),
        model.parameters(mu=0.0, variance=1.0, nu=4.0),
        NeverStop(),
        Limits(1),
    )
    # The first stage leaves nu alone.
    assert fit.params["nu"] == 4.0 and fit.params["mu"] != 0.0


# ------------------------------------------------------------------------------------------------ guarded Newton steps


class GammaMixture(jensen.LatentModel):
    """Two gamma laws; rates have a closed form given the shapes, and shapes take one Newton step, or many."""

    domains = {
        "weights": jensen.domains.Simplex(2),
        "shapes": jensen.domains.Positive((2,)),
        "means": jensen.domains.Positive((2,)),
    }

    def __init__(self, guarded, newton=1):
        self.guarded, self.newton = guarded, newton

    @property
    def stages(self):
        return (Stage(self.expect, self.maximize, self.guarded),)

    def expect(self, params, block):
        x, (a, m) = block.x, (params["shapes"], params["means"])
        joint = np.log(params["weights"]) + gamma.logpdf(x, a, scale=m / a)
        rows = np.logaddexp.reduce(joint, axis=1)
        share = np.exp(joint - rows[:, None])
        return jensen.Sums(
            weight=len(x),
            loglik=rows.sum(),
            entropy=-(share * (joint - rows[:, None])).sum(),
            n=share.sum(0),
            x=(share * x).sum(0),
            log_x=(share * np.log(x)).sum(0),
        )

    def maximize(self, params, s):
        means, a = s.x / s.n, params["shapes"].copy()
        c = np.log(means) - s.log_x / s.n
        for _ in range(self.newton):
            # Zero of log a - psi(a) - c; far from it, the step leads out of the domain.
            a = a - (np.log(a) - digamma(a) - c) / (1 / a - polygamma(1, a))
        return {"weights": s.n / s.n.sum(), "means": means, "shapes": a}

    def complete(self, params, s):
        a, m = params["shapes"], params["means"]
        terms = s.n * (np.log(params["weights"]) + a * np.log(a / m) - gammaln(a)) + (a - 1) * s.log_x - a / m * s.x
        return terms.sum()


def gammas():
    rng = np.random.default_rng(5)
    return np.concatenate([rng.gamma(2.0, 1.0, 150), rng.gamma(9.0, 1.5, 100)])


NEAR = {"weights": [0.5, 0.5], "shapes": [1.0, 1.0], "means": [1.0, 12.0]}
FAR = {**NEAR, "shapes": [12.0, 12.0]}


def test_a_newton_step_overshoots_without_the_guard():
    model = GammaMixture(guarded=False)
    start = model.parameters(**FAR)
    statistics = model.expect(start, ArraySource(gammas()[:, None]).block(0))
    assert (model.maximize(start, statistics)["shapes"] < 0).any()


@pytest.mark.parametrize("start", [NEAR, FAR], ids=["near", "far"])
def test_a_guarded_newton_step_climbs_to_where_exact_m_steps_end(start):
    one = steps(GammaMixture(guarded=True), start, gammas(), stop=1e-9)
    exact = steps(GammaMixture(guarded=False, newton=40), NEAR, gammas(), stop=1e-9)
    assert np.diff(exact.trace).min() >= -1e-9
    assert one.status is Status.CONVERGED
    assert (np.diff(one.trace) >= -1e-10 * abs(one.objective)).all()
    assert one.objective == pytest.approx(exact.objective, abs=1e-6)
    for name in ("weights", "shapes", "means"):
        np.testing.assert_allclose(one.params[name], exact.params[name], rtol=1e-3)


def test_the_bound_of_a_partial_m_step_rises_and_stays_below():
    fit = jensen.em(GammaMixture(guarded=True), gammas(), FAR, trace_bound=True)
    assert (np.diff([step.free_energy for step in fit.bound]) >= -1e-9).all()
    assert all(abs(step.gap) <= 1e-10 * abs(step.loglik) for step in fit.bound if step.kind == "E")
    assert all(step.gap >= -1e-9 for step in fit.bound)


@pytest.mark.parametrize("wrong", [np.nan, -5.0, 1e300])
def test_a_guarded_step_that_leads_nowhere_is_left(wrong):
    class Nowhere(GammaMixture):
        def maximize(self, params, s):
            return {"shapes": [wrong, 1.0]}

    model = Nowhere(guarded=True)
    start = model.parameters(**NEAR)
    result = run(EM(Checked(model)), ArraySource(gammas()[:, None]), start, NeverStop(), Limits(max_iter=3))
    assert result.status is Status.OUT_OF_ITERATIONS and result.n_iter == 3
    assert (np.diff(result.trace) >= -1e-10 * abs(result.objective)).all()
