"""Held and equal parameters: the M-step is exact among those that satisfy the constraints, and Q never falls."""

import copy
import pickle

import numpy as np
import pytest
from climbs import climb, falls, small_problem
from examples import example
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import SHAPES
from references import data, labels, read_csv
from scipy.optimize import minimize

import jensen
from jensen.core.block import Block
from jensen.core.constraints import Alike, Held
from jensen.core.contracts import Stage
from jensen.core.domains import Interval, Positive, PositiveDefinite, Real, Simplex
from jensen.core.status import Status
from jensen.errors import ContractError, InputError
from jensen.families import Gaussian
from jensen.models import Constrained, Labelled, Mixture, ThreeCoins
from jensen.solvers import Annealed, Hard, Incremental, Plain, Truncated

# K = 3, d = 2: what is asked, and how many parameters it takes away, by shape.
ASKED = {
    "weights": ({"weights": True}, ()),
    "weights, some": ({"weights": [True, False, False]}, ()),
    "weights, equal": ({}, ("weights",)),
    "means": ({"means": True}, ()),
    "means, some": ({"means": [True, False, True]}, ()),
    "means, entries": ({"means": [[True, False], [False, False], [False, True]]}, ()),
    "means, equal": ({}, ("means",)),
    "covariances": ({"covariances": True}, ()),
    "all but the weights": ({"means": True, "covariances": True}, ()),
    "means and covariances, some": ({"means": [True, False, False], "weights": [False, True, False]}, ("covariances",)),
    "means and weights, equal": ({}, ("means", "weights")),
}


def asked(name, shape):
    """What `jensen.em` takes for a name above; a shared covariance cannot be equal to others."""
    fixed, equal = ASKED[name]
    return {"fixed": fixed, "equal": tuple(one for one in equal if not (one == "covariances" and shape == "tied"))}


def problem_and_model(seed, shape, name, **more):
    model, x, weight, start = small_problem(seed, shape=shape, **more)
    return Constrained(model, start, **asked(name, shape)), x, weight, start


@given(
    st.integers(0, 1000),
    st.sampled_from(SHAPES),
    st.sampled_from(list(ASKED)),
    st.booleans(),
    st.sampled_from([Plain("off"), Incremental(3), Truncated(2), Hard(), Annealed(seed=None, steps=5)]),
)
@settings(max_examples=200)
def test_ascent_and_the_constraints_hold(seed, shape, name, weighted, variant):
    model, x, weight, start = problem_and_model(seed, shape, name, weighted=weighted)
    first = model.parameters(**start.values)
    result, infos = climb(variant, model, x, first, weight, max_iter=25)
    assert falls(infos) <= 1e-10
    assert result.status is not Status.OBJECTIVE_FELL
    result.params.check()
    fixed, equal = (asked(name, shape)[part] for part in ("fixed", "equal"))
    for one in fixed:
        mask = model.constraints.fixed[one]
        np.testing.assert_array_equal(result.params[one][mask], first[one][mask])
    for one in equal:
        assert np.ptp(result.params[one], axis=0).max() <= 1e-14 * np.abs(result.params[one]).max()


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("shape", SHAPES)
def test_no_parameters_that_satisfy_the_constraints_have_a_higher_q(shape, name):
    model, x, weight, start = problem_and_model(7, shape, name, weighted=True)
    params = model.parameters(**start.values)
    statistics = model.expect(params, Block({"x": x}, weight))
    found = model.maximize(params, statistics)
    reached = model.complete(found, statistics)
    assert reached >= model.complete(params, statistics)
    free = found.to_free()
    assert free.size == found.n_free

    def q(free):
        return model.complete(found.from_free(free), statistics)

    if free.size:
        slope = np.array([(q(free + step) - q(free - step)) / 2e-5 for step in 1e-5 * np.eye(free.size)])
        assert np.abs(slope).max() <= 1e-5 * abs(reached)
        rng = np.random.default_rng(0)
        for size in (1e-3, 1e-2, 0.1):
            assert all(q(free + size * step) <= reached for step in rng.standard_normal((20, free.size)))
        # Another optimiser, from elsewhere, gets no further.
        other = minimize(lambda free: -q(free), params.to_free() + 0.05, method="BFGS")
        assert -other.fun <= reached + 1e-7 * abs(reached)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("weights", {"full": 15, "tied": 9, "diag": 12, "spherical": 9}),
        ("weights, some", {"full": 16, "tied": 10, "diag": 13, "spherical": 10}),
        ("weights, equal", {"full": 15, "tied": 9, "diag": 12, "spherical": 9}),
        ("means", {"full": 11, "tied": 5, "diag": 8, "spherical": 5}),
        ("means, some", {"full": 13, "tied": 7, "diag": 10, "spherical": 7}),
        ("means, entries", {"full": 15, "tied": 9, "diag": 12, "spherical": 9}),
        ("means, equal", {"full": 13, "tied": 7, "diag": 10, "spherical": 7}),
        ("covariances", {"full": 8, "tied": 8, "diag": 8, "spherical": 8}),
        ("all but the weights", {"full": 2, "tied": 2, "diag": 2, "spherical": 2}),
    ],
)
def test_free_parameters_are_counted(name, counts):
    for shape, count in counts.items():
        model, x, _, start = small_problem(8, shape=shape)
        fit = jensen.em(model, x, start, **asked(name, shape), stop=1e-3)
        assert fit.n_free == count


def test_nothing_asked_is_the_model_itself():
    model, x, _, start = small_problem(9)
    assert jensen.em(model, x, start, fixed={}, equal=()).model is model
    none = Constrained(model, start, fixed={"means": False})
    statistics = model.expect(start, Block({"x": x}))
    for name, value in model.maximize(start, statistics).values.items():
        np.testing.assert_allclose(none.maximize(none.parameters(**start.values), statistics)[name], value, rtol=1e-12)


def test_a_covariance_is_taken_about_the_mean_that_is_held():
    x = np.array([[1.0], [2.0], [6.0]])
    model = Mixture(Gaussian(1, 1))
    start = {"weights": [1.0], "means": [[0.0]], "covariances": [[[1.0]]]}
    fit = jensen.em(model, x, start, fixed={"means": True})
    assert fit.params["covariances"].item() == pytest.approx(41 / 3, rel=1e-14)
    assert fit.params["means"].item() == 0.0


def test_a_mean_whose_partner_is_held_is_the_regression_on_it():
    # Of a bivariate normal with one mean known, the other moves along the regression (Anderson 1957).
    x = np.random.default_rng(0).multivariate_normal([0, 0], [[1, 0.8], [0.8, 2]], size=50)
    start = {"weights": [1.0], "means": [[0.5, 0.0]], "covariances": [np.eye(2)]}
    fit = jensen.em(Mixture(Gaussian(1, 2)), x, start, fixed={"means": [[True, False]]})
    centre, scatter = x.mean(axis=0), np.cov(x.T, bias=True)
    expected = centre[1] + scatter[0, 1] / scatter[0, 0] * (0.5 - centre[0])
    np.testing.assert_allclose(fit.params["means"], [[0.5, expected]], rtol=1e-9)


def test_held_weights_leave_the_others_what_is_left():
    model, x, _, start = small_problem(10)
    first = start.replace(weights=[0.6, 0.3, 0.1])
    params = Constrained(model, first, fixed={"weights": [True, False, False]}).parameters(**first.values)
    constrained = Constrained(model, first, fixed={"weights": [True, False, False]})
    statistics = model.expect(first, Block({"x": x}))
    found, counts = constrained.maximize(params, statistics)["weights"], statistics.components.counts
    np.testing.assert_allclose(found, [0.6, *(0.4 * counts[1:] / counts[1:].sum())], rtol=1e-13)


@pytest.mark.parametrize("row", read_csv("mclust_equalpro_faithful_G2.csv"), ids=lambda row: row["model"])
def test_equal_weights_as_mclust_has_them(row):
    shape, equal = {
        "EEE": ("tied", ["weights"]),
        "VVV": ("full", ["weights"]),
        "EII": ("spherical", ["weights", "covariances"]),
    }[row["model"]]
    x = data("faithful_G2")
    model = Mixture(Gaussian(2, 2, shape))
    fit = jensen.em(model, x, from_labels(model, x), equal=equal, stop=1e-9)
    assert fit.objective == pytest.approx(float(row["loglik"]), abs=1e-6)


def from_labels(model, x):
    """The M-step from the published labels."""
    d = {"full": [np.eye(2)] * 2, "tied": np.eye(2), "spherical": [1.0, 1.0]}[model.family.shape]
    zero = model.parameters(weights=[0.5, 0.5], means=np.zeros((2, 2)), covariances=d)
    return model.maximize(zero, model.expect_given(zero, Block({"x": x, "labels": labels("faithful_G2")})))


def test_labels_and_constraints_and_the_bound_go_together():
    model, x, _, start = small_problem(11)
    known = np.where(np.arange(60) % 4 == 0, np.arange(60) % 3, -1)
    fit = jensen.em(model, x, start, labels=known, fixed={"means": [True, False, False]}, trace_bound=True)
    assert isinstance(fit.model, Constrained) and isinstance(fit.model.model, Labelled)
    assert (np.diff([step.free_energy for step in fit.bound]) > -1e-9).all()
    assert all(abs(step.gap) < 1e-9 for step in fit.bound if step.kind == "E")
    np.testing.assert_array_equal(fit.params["means"][0], start["means"][0])


def test_bursts_of_the_plain_model_are_not_taken():
    model, x, _, start = small_problem(12)
    constrained = Constrained(model, start, equal=["weights"])
    assert not hasattr(constrained, "burst")
    assert hasattr(constrained, "row_loglik") and constrained.n_components == 3


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["copy", "pickle"]
)
def test_wrapped_models_can_be_copied(copied):
    model, x, _, start = small_problem(16)
    constrained = Constrained(Labelled(model), start, fixed={"means": [True, False, False]})
    params = constrained.parameters(**start.values)
    block = Block({"x": x, "labels": np.full(60, -1)})
    again = copied(constrained)
    assert again.expect(params, block).loglik == constrained.expect(params, block).loglik
    assert again.parameters(**start.values).n_free == params.n_free


# ------------------------------------------------------------------------------------------------ models of the user


def test_three_coins_of_which_two_are_known():
    tosses = np.array([1.0, 1, 0, 1, 0, 0, 1, 0, 1, 1])
    start = {"pi": 0.4, "p": 0.6, "q": 0.2}
    for held in ("pi", "q"):
        fit = jensen.em(ThreeCoins(), tosses, start, fixed={held: True, "p": True}, stop=1e-12)
        pi, p, q = (float(fit.params[name]) for name in ("pi", "p", "q"))
        assert fit.n_free == 1 and p == 0.6 and {"pi": pi, "q": q}[held] == start[held]
        if held == "pi":
            # pi p + (1 - pi) q = 0.6 and p = 0.6 leave q = 0.6.
            assert q == pytest.approx(0.6, abs=1e-6)


@pytest.mark.parametrize("held", [{"p": True}, {"rates": [True, False]}, {"p": True, "rates": [False, True]}])
def test_a_model_with_complete_is_maximised_over_what_is_free(held):
    poisson = example("poisson_mixture")
    start = {"p": 0.3, "rates": [1.25, 2.5]}
    fit = jensen.em(poisson.PoissonMixture(), np.arange(10), start, sample_weight=poisson.DAYS, fixed=held, stop=1e-9)
    assert fit.status is Status.CONVERGED and (np.diff(fit.trace) >= -1e-9).all()
    assert fit.n_free == 3 - sum(int(np.sum(mask)) for mask in held.values())
    # No neighbour that satisfies the constraints is better.
    free, source = fit.params.to_free(), fit.source
    for step in 1e-3 * np.vstack([np.eye(free.size), -np.eye(free.size)]):
        assert source.fold(fit.model.expect, fit.params.from_free(free + step)).loglik < fit.objective


def test_two_coins_of_one_bias_are_one_coin():
    fit = jensen.em(example("two_coins").TwoCoins(), [5, 9, 8, 4, 7], {"bias": [0.6, 0.5]}, equal=["bias"])
    np.testing.assert_allclose(fit.params["bias"], 0.66, atol=1e-8)
    assert fit.n_free == 1


def test_values_are_put_back_where_parameters_separate():
    class Quick(ThreeCoins):
        def complete(self, params, statistics):
            raise AssertionError("no optimiser is needed")

    class Slow(ThreeCoins):
        separable = ()

    start, tosses = {"pi": 0.4, "p": 0.6, "q": 0.2}, [1, 1, 0, 1, 0, 0, 1, 0, 1, 1]
    for fixed in ({"p": True}, {"pi": True}, {"pi": True, "q": True}):
        quick, slow = (jensen.em(model, tosses, start, fixed=fixed, stop=1e-12) for model in (Quick(), Slow()))
        assert quick.objective == pytest.approx(slow.objective, abs=1e-9)
        for name in start:
            assert quick.params[name] == pytest.approx(slow.params[name], abs=1e-5)


class Normal(jensen.LatentModel):
    """A normal law, whose variance depends on which mean it is taken about."""

    domains = {"mean": Real(()), "variance": Positive(())}
    astray = 0.0

    def expect(self, params, block):
        x, (m, v) = block.x[:, 0], (params["mean"], params["variance"])
        loglik = -0.5 * (np.log(v) + (x - m) ** 2 / v).sum()
        return jensen.Sums(weight=len(x), loglik=loglik, first=x.sum(), second=x @ x)

    def maximize(self, params, s):
        mean = s.first / s.weight
        return {"mean": mean, "variance": (s.second / s.weight - mean**2) * np.exp(self.astray)}

    def complete(self, params, s):
        m, v = params["mean"], params["variance"]
        return -0.5 * (s.weight * np.log(v) + (s.second - 2 * m * s.first + s.weight * m * m) / v)


@pytest.mark.parametrize("astray", [0.0, 3.0, -200.0], ids=["as it is", "wrong", "far astray"])
def test_an_m_step_that_forgets_what_is_held_is_put_right(astray):
    model = Normal()
    model.astray = astray
    x = np.array([1.0, 2.0, 6.0])
    constrained = Constrained(model, {"mean": 0.0, "variance": 5.0}, fixed={"mean": True})
    params = constrained.parameters(mean=0.0, variance=5.0)
    statistics = model.expect(params, Block({"x": x[:, None]}))
    found = constrained.maximize(params, statistics)
    assert constrained.complete(found, statistics) >= constrained.complete(params, statistics)
    assert float(found["variance"]) == pytest.approx(41 / 3, rel=1e-8) and found["mean"] == 0.0


# ------------------------------------------------------------------------------------------------ domains


@pytest.mark.parametrize(
    "domain",
    [
        Held(Real((2, 3)), np.arange(6.0).reshape(2, 3), np.array([[True, False, False], [False, True, False]])),
        Held(Positive((3,)), np.array([1.0, 2.0, 3.0]), np.array([False, True, False])),
        Held(Interval((2,), -1.0, 3.0), np.array([0.5, 2.0]), np.array([True, False])),
        Held(Simplex(4), np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, True, False, False])),
        Held(Simplex(3), np.array([0.2, 0.3, 0.5]), np.array([False, True, True])),
        Held(
            PositiveDefinite(2, (3,)),
            np.stack([np.eye(2) * s for s in (1, 2, 3)]),
            np.array([[[True]], [[False]], [[False]]]) & np.ones((1, 2, 2), bool),
        ),
        Held(Real((2,)), np.ones(2), np.ones(2, dtype=bool)),
        Alike(Real((2,)), 3),
        Alike(PositiveDefinite(2), 2),
        Alike(Positive(()), 4),
    ],
    ids=lambda domain: f"{type(domain).__name__} {domain.domain if isinstance(domain, Held) else domain.one}",
)
def test_free_coordinates_go_there_and_back_and_the_jacobian_is_their_derivative(domain):
    free = np.random.default_rng(0).standard_normal(domain.size)
    value = domain.from_free(free)
    assert value.shape == domain.shape and domain.check(value) is None
    np.testing.assert_allclose(domain.to_free(value), free, rtol=1e-10, atol=1e-12)
    steps = 1e-6 * np.eye(domain.size)
    slopes = [np.ravel(domain.from_free(free + s) - domain.from_free(free - s)) / 2e-6 for s in steps]
    expected = np.array(slopes).T if slopes else np.zeros((value.size, 0))
    np.testing.assert_allclose(domain.jacobian(value), expected, rtol=1e-6, atol=1e-8)
    assert not domain.boundary(value).any() and domain.boundary(value).shape == domain.shape


def test_held_entries_on_the_boundary_are_meant_to_be_there():
    domain = Held(Interval((2,)), np.array([0.0, 0.5]), np.array([True, False]))
    assert not domain.boundary(np.array([0.0, 0.5])).any()
    assert domain.boundary(np.array([0.0, 1.0])).tolist() == [False, True]
    assert "held" in domain.check(np.array([0.1, 0.5]))
    tosses = [1, 1, 0, 1, 0]
    fit = jensen.em(ThreeCoins(), tosses, {"pi": 0.5, "p": 1.0, "q": 0.3}, fixed={"p": True})
    assert fit.boundary == () and fit.params["p"] == 1.0


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"fixed": {"mean": True}}, "fixed: the model has no parameter 'mean'; it has weights, means, covariances"),
        ({"fixed": {"means": [True]}}, r"'means' must be True, or a mask of bool of shape \(3, 2\)"),
        ({"fixed": {"means": [1, 0, 1]}}, "got dtype int64"),
        ({"fixed": {"covariances": np.eye(2, dtype=bool)[None].repeat(3, 0)}}, "of each matrix of 'covariances' all"),
        ({"fixed": "weights"}, "fixed must be a mapping"),
        ({"equal": ["variance"]}, "equal: the model has no parameter 'variance'"),
        ({"equal": ["means"], "fixed": {"means": True}}, "'means' is in both fixed and equal"),
    ],
)
def test_what_cannot_be_asked_is_told(settings, told):
    model, x, _, start = small_problem(13)
    with pytest.raises(InputError, match=told):
        jensen.em(model, x, start, **settings)


def test_what_has_no_first_axis_cannot_be_equal():
    with pytest.raises(InputError, match="'pi' has no first axis"):
        jensen.em(ThreeCoins(), [1, 0], {"pi": 0.5, "p": 0.5, "q": 0.5}, equal=["pi"])
    model, x, _, start = small_problem(14, shape="tied")
    with pytest.raises(InputError, match="'covariances' has no first axis"):
        jensen.em(model, x, start, equal=["covariances"])


def test_starts_must_agree_on_what_is_held():
    model, x, _, start = small_problem(15)
    other = start.replace(means=start["means"] + 1.0)
    with pytest.raises(InputError, match="start 1 holds other values of 'means' than start 0"):
        jensen.em(model, x, [start, other], fixed={"means": [True, False, False]})
    fit = jensen.em(model, x, [start, other], fixed={"weights": True})
    assert len(fit.starts) == 2


def test_models_without_a_way_are_told():
    class Bare:
        domains = {"t": Real((2,))}
        expect = maximize = staticmethod(lambda *_: None)

    with pytest.raises(ContractError, match="Bare has no method complete.*constraints"):
        Constrained(Bare(), {"t": [0.0, 1.0]}, fixed={"t": [True, False]})

    class Stages(Bare):
        stages = (Stage(Bare.expect, Bare.maximize),) * 2

    with pytest.raises(ContractError, match="constraints need a model of one stage, and Stages has 2"):
        Constrained(Stages(), {"t": [0.0, 1.0]}, fixed={"t": True})
    with pytest.raises(InputError, match="lacks"):
        Constrained(ThreeCoins(), {"pi": 0.5}, fixed={"pi": True})
