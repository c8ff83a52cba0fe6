"""Flat directions are found, named and kept out of the answers; boundaries are held; saddles are no maxima."""

import numpy as np
import pytest
from examples import example

import jensen
from jensen.core.domains import Interval, PositiveDefinite, Real, Simplex
from jensen.core.parameters import Parameters
from jensen.families.gaussian import Gaussian
from jensen.infer.coordinates import AT_BOUND, Coordinates
from jensen.infer.identify import FlatDirection
from jensen.infer.spectrum import spectrum
from jensen.models.mixture import Mixture

TOSSES = [1, 1, 0, 1, 0, 0, 1, 0, 1, 1]
WAITING = jensen.datasets.load("faithful").data[:, 1]


class Sieves(jensen.LatentModel):
    """A grain is seen if it passes two sieves; only a * b is known, and where a grain was stopped is hidden."""

    domains = {"a": Interval(()), "b": Interval(())}

    def expect(self, params, block):
        a, b, seen = float(params["a"]), float(params["b"]), block.x[:, 0]
        yes, no = block.weights @ seen, block.weights @ (1 - seen)
        by_second = no * a * (1 - b) / (1 - a * b)
        return jensen.Sums(
            weight=block.total_weight,
            loglik=yes * np.log(a * b) + no * np.log1p(-a * b),
            passed=[yes + by_second, yes],
            stopped=[no - by_second, by_second],
        )

    def maximize(self, params, s):
        a, b = s.passed / (s.passed + s.stopped)
        return {"a": a, "b": b}


class KnownSieves(Sieves):
    identified = {"a*b": lambda params: params["a"] * params["b"], "a": lambda params: params["a"]}

    def complete(self, params, s):
        chance = np.array([params["a"], params["b"]])
        return s.passed @ np.log(chance) + s.stopped @ np.log1p(-chance)


@pytest.mark.parametrize("model", [Sieves(), KnownSieves()], ids=["objective", "Oakes"])
def test_differences_find_the_rank(model):
    fit = jensen.em(model, [1] * 3 + [0] * 7, {"a": 0.5, "b": 0.8})
    report = fit.identifiability()
    assert (report.rank, report.n_free) == (1, 2)
    (direction,) = report.flat
    # a b stays as it is.
    a, b = (float(fit.standard_errors().params[name]) for name in "ab")
    assert b * direction.entries["a"] + a * direction.entries["b"] == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(fit.standard_errors()["a"])
    assert fit.em_rate().overall == pytest.approx(1.0, abs=1e-5)


def test_identified_combinations_are_checked():
    fit = jensen.em(KnownSieves(), [1] * 3 + [0] * 7, {"a": 0.5, "b": 0.8})
    product, alone = fit.identifiability().combinations
    assert product.value == pytest.approx(0.3, abs=1e-9)
    assert product.standard_error == pytest.approx(np.sqrt(0.3 * 0.7 / 10), rel=1e-6)
    # The model calls it identified, and it is not.
    assert np.isnan(alone.standard_error) and alone.reason == "not identified"


def test_flat_directions_read_well():
    assert str(FlatDirection({"pi": 1.0})) == "pi can move by itself without changing the likelihood"
    told = str(FlatDirection({"pi": 0.61, "p": -0.2, "q": 0.3}))
    assert told.startswith("pi, p and q can move together along (+0.61 pi, -0.2 p, +0.3 q)")
    many = str(FlatDirection({f"m[{i}]": 0.1 for i in range(9)}))
    assert "and 3 more can move together" in many


def test_each_direction_moves_few_entries():
    start = {"pi": 0.4, "p": 0.6, "q": 0.7}
    report = jensen.em(jensen.models.ThreeCoins(), TOSSES, start).identifiability()
    first, second = (set(direction.entries) for direction in report.flat)
    assert len(first) == len(second) == 2 and first - second and second - first
    for direction in report.flat:
        assert np.linalg.norm(list(direction.entries.values())) == pytest.approx(1.0)


def test_spectrum_in_the_metric_of_the_complete_data():
    rng = np.random.default_rng(0)
    root, turn = rng.standard_normal((4, 4)), np.linalg.qr(rng.standard_normal((4, 4)))[0]
    shares = np.array([0.0, 1e-10, 0.3, 0.9])
    complete = root @ root.T
    factor = np.linalg.cholesky(complete) @ turn
    observed = factor @ np.diag(shares) @ factor.T
    found = spectrum(observed, complete)
    np.testing.assert_allclose(found.shares, shares, atol=1e-12)
    assert found.rank == 2 and found.is_maximum and found.is_relative
    np.testing.assert_allclose(found.directions.T @ complete @ found.directions, np.eye(4), atol=1e-9)
    # Whatever the units, the rank is the same.
    unit = np.array([1e-8, 1.0, 1e5, 1e9])
    scaled = spectrum(observed * unit[:, None] * unit, complete * unit[:, None] * unit)
    np.testing.assert_allclose(scaled.shares, shares, atol=1e-10)
    # The worse the method, the less is told from nothing.
    assert (
        spectrum(observed, complete, error=1e-2).rank == 1 or spectrum(observed, complete, error=1e-2).threshold > 0.05
    )
    # A gradient in the identified space has the variance of a pseudo-inverse.
    gradient = factor @ np.array([0.0, 0.0, 1.0, 2.0])
    assert (found.roots(gradient[None])[0] ** 2).sum() == pytest.approx(1 / 0.3 + 4 / 0.9, rel=1e-9)
    assert found.parts(gradient[None])[1][0] and not found.parts((factor @ np.ones(4))[None])[1][0]


def test_spectrum_without_complete_information_of_some_coordinate():
    found = spectrum(np.diag([4.0, 0.0]), np.diag([4.0, 0.0]))
    assert found.rank == 1 and found.is_maximum


def test_upward_directions_are_no_maximum():
    assert not spectrum(np.diag([1.0, -0.5]), np.eye(2)).is_maximum


# --------------------------------------------------------------------------------------------- boundaries


@pytest.mark.parametrize(
    ("start", "held", "known"),
    [((0.0, 0.5, 0.5), "pi", ("q",)), ((1.0, 0.3, 0.4), "pi", ("p",)), ((0.5, 1.0, 0.2), "p", ())],
)
def test_coins_on_the_boundary(start, held, known):
    with pytest.warns(jensen.JensenWarning, match="boundary"):
        fit = jensen.em(jensen.models.ThreeCoins(), TOSSES, dict(zip(("pi", "p", "q"), start, strict=True)))
    errors, report = fit.standard_errors(), fit.identifiability()
    assert report.held == (held,) and (report.rank, report.n_free) == (1, 2)
    assert errors.refused[held] == "held on the boundary"
    assert set(errors.values) - set(errors.refused) == set(known)
    for name in known:
        assert float(errors[name]) == pytest.approx(np.sqrt(0.024), rel=1e-9)
    assert errors.combinations[0].standard_error == pytest.approx(np.sqrt(0.024), rel=1e-9)
    assert f"{held} is on the boundary" in fit.diagnose()["boundary"]


@pytest.mark.parametrize("dead", [0, 1, 2])
def test_a_component_without_weight_is_held_wherever_it_stands(dead):
    alive = [k for k in range(3) if k != dead]
    weights, means = np.zeros(3), np.full((3, 1), 70.0)
    weights[alive], means[alive] = [0.4, 0.6], [[55.0], [80.0]]
    model = Mixture(Gaussian(3, 1))
    with pytest.warns(jensen.JensenWarning, match="boundary"):
        fit = jensen.em(model, WAITING, {"weights": weights, "means": means, "covariances": np.full((3, 1, 1), 30.0)})
    two = Mixture(Gaussian(2, 1))
    alone = jensen.em(two, WAITING, {"weights": [0.4, 0.6], "means": [[55.0], [80.0]], "covariances": [[[30.0]]] * 2})
    ours, theirs = fit.standard_errors(), alone.standard_errors()
    np.testing.assert_allclose(ours["weights"][alive], theirs["weights"], rtol=1e-7)
    np.testing.assert_allclose(ours["means"][alive], theirs["means"], rtol=1e-7)
    assert ours.refused[f"weights[{dead}]"] == "held on the boundary" and float(ours.params["weights"][dead]) == 0.0
    assert ours.refused[f"means[{dead}, 0]"] == "not identified"
    assert fit.identifiability().rank == 5


def test_a_maximum_on_the_boundary_is_reached_and_held():
    # No recombinants were counted: the likelihood rises all the way to t = 0, where EM only creeps.
    fit = jensen.em(example("linkage").Linkage(), [[100, 60, 60, 0]], {"t": 0.3})
    errors = fit.standard_errors()
    assert errors.refused == {"t": "held on the boundary"} and float(errors.params["t"]) < AT_BOUND
    assert errors.notes


def test_coordinates_leave_out_what_cannot_move():
    domains = {"s": Simplex(3), "p": Interval((2,)), "m": Real((1,)), "c": PositiveDefinite(2)}
    inside = Parameters({"s": [0.2, 0.3, 0.5], "p": [0.4, 0.6], "m": [1.0], "c": np.eye(2)}, domains)
    assert Coordinates(inside).size == inside.n_free and Coordinates(inside).held == ()
    edge = inside.replace(s=[0.4, 0.6, 0.0], p=[1.0, 0.5])
    there = Coordinates(edge)
    assert there.size == inside.n_free - 2 and there.held == ("s[2]", "p[0]")
    near = inside.replace(s=[0.4, 0.6 - 1e-13, 1e-13], p=[1.0 - 1e-13, 0.5])
    assert Coordinates(near).held == there.held
    moved = there.moved(np.full(there.size, 0.1))
    assert float(moved["s"][2]) == 0.0 and float(moved["p"][0]) == 1.0 and float(moved["p"][1]) > 0.5
    # What is left moves the shares that are left.
    step = 1e-6 * np.eye(there.size)[0]
    change = (there.moved(step)["s"] - there.moved(-step)["s"]) / 2e-6
    np.testing.assert_allclose(change, there.jacobian[:3, 0], atol=1e-9)


# --------------------------------------------------------------------------------------------- saddles, collapse


def test_coinciding_components_are_a_saddle():
    model = Mixture(Gaussian(2, 1))
    same = {"weights": [0.4, 0.6], "means": [[60.0], [60.0]], "covariances": [[[100.0]], [[100.0]]]}
    fit = jensen.em(model, WAITING, same)
    assert not fit.identifiability().is_maximum
    errors = fit.standard_errors()
    assert np.isnan(errors.covariance).all() and "saddle" in errors.notes[0]
    told = fit.diagnose()
    assert "saddle" in told["identifiability"] and "omponents 0, 1 coincide" in told["components"]
    assert not told.is_sound


def test_a_collapse_has_no_point_of_zero_score():
    model = Mixture(Gaussian(2, 1, "full", np.full(1, 1e-6)))
    start = {"weights": [0.1, 0.9], "means": [[43.0], [70.0]], "covariances": [[[1e-4]], [[180.0]]]}
    fit = jensen.em(model, WAITING, start)
    errors = fit.standard_errors()
    assert len(errors.refused) == len(errors.entries) and "zero score" in errors.notes[0]
    told = fit.diagnose()
    assert "no maximum near here" in told["to gain"] and told.identifiability is None and not told.is_sound
