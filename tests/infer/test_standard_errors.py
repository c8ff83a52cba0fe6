"""Laws that standard errors obey, whatever the data."""

import numpy as np
import pytest
from examples import example
from hypothesis import given
from hypothesis import strategies as st
from mixtures import SHAPES, table
from scipy.linalg import block_diag

import jensen
from jensen import ConjugatePrior
from jensen.core.model import Checked
from jensen.data.arrays import ArraySource
from jensen.errors import ContractError, InputError
from jensen.families.gaussian import Gaussian
from jensen.families.shapes import SHAPES as SHAPES_OF_MCLUST
from jensen.fit.mixture import mixture_of
from jensen.fit.settings import MixtureSettings
from jensen.fit.starts.draw import from_given
from jensen.fit.summary import summarise
from jensen.infer.coordinates import Coordinates
from jensen.infer.local import MOST_EXACT, ByObjective, Exact, way_for
from jensen.infer.polish import to_rest
from jensen.models.mixture import Mixture


def one_of(shape, k, d, scale=1.0):
    unit = np.eye(d) * scale if shape in ("full", "tied") else np.full(d, scale)
    return {"full": np.tile(unit, (k, 1, 1)), "tied": unit, "diag": np.tile(unit, (k, 1))}.get(shape, np.full(k, scale))


def fit_of(x, shape="full", weight=None, order=(0, 1), **options):
    """Two components on rows whose groups differ in the first column."""
    d = x.shape[1]
    low = x[:, 0] < np.median(x[:, 0])
    means = np.array([x[low].mean(axis=0), x[~low].mean(axis=0)])[list(order)]
    spread = x.var(axis=0).mean() / 4
    start = {"weights": [0.5, 0.5], "means": means, "covariances": one_of(shape, 2, d, spread)}
    return jensen.em(Mixture(Gaussian(2, d, shape)), x, start, sample_weight=weight, **options)


def rows(seed, n=60, d=2):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) + np.where(rng.random(n) < 0.4, 3.0, 0.0)[:, None] * np.eye(d)[0]


@given(st.integers(0, 30), st.sampled_from(SHAPES))
def test_louis_agrees_with_differences_of_the_objective(seed, shape):
    fit = fit_of(rows(seed), shape)
    exact = Exact(fit.model.information, fit.source)
    rest = to_rest(exact, fit.params)
    if not (rest.is_zero and rest.spectrum.shares.min() > 1e-2):
        return  # too little is known for differences to be judged
    there = ByObjective(Checked(fit.model), fit.source).at(rest.local.coordinates.params)
    white = rest.spectrum.directions
    # In the metric of the complete-data information, so that all entries count alike.
    np.testing.assert_allclose(white.T @ there.observed @ white, np.diag(rest.spectrum.shares), atol=1e-6)
    np.testing.assert_allclose(white.T @ there.score, 0.0, atol=1e-6)


@pytest.mark.parametrize("kind", ["observed", "sandwich"])
@pytest.mark.parametrize("shape", SHAPES)
def test_weights_are_repetitions(shape, kind):
    x, weight = rows(3), np.random.default_rng(0).integers(0, 3, 60)
    weighted = fit_of(x, shape, weight.astype(float)).standard_errors(kind)
    repeated = fit_of(np.repeat(x, weight, axis=0), shape).standard_errors(kind)
    for name in weighted.values:
        np.testing.assert_allclose(weighted[name], repeated[name], rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_order_of_components_changes_nothing(shape):
    x = rows(4)
    ours, theirs = (fit_of(x, shape, order=order).standard_errors() for order in ((0, 1), (1, 0)))
    for name in ours.values:
        shared = shape == "tied" and name == "covariances"
        np.testing.assert_allclose(ours[name], theirs[name] if shared else theirs[name][::-1], rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_units_and_origin_carry_over(shape, scale):
    x = rows(5)
    ours, theirs = fit_of(x, shape).standard_errors(), fit_of((x + 50.0) * scale, shape).standard_errors()
    np.testing.assert_allclose(theirs["weights"], ours["weights"], rtol=1e-6)
    np.testing.assert_allclose(theirs["means"], ours["means"] * scale, rtol=1e-6)
    np.testing.assert_allclose(theirs["covariances"], ours["covariances"] * scale**2, rtol=1e-6)


def test_blocks_change_nothing():
    x = rows(6)
    whole = fit_of(x).standard_errors()
    fit = fit_of(x)
    source = fit.source.in_blocks(7)
    parts = jensen.em(fit.model, source, fit.params).standard_errors("sandwich")
    np.testing.assert_allclose(
        parts.covariance, fit_of(x).standard_errors("sandwich").covariance, rtol=1e-6, atol=1e-12
    )
    assert source.n_blocks == 7 and whole.kind == "observed"


def test_one_gaussian_has_the_textbook_errors():
    x = rows(7, d=1)
    n, s2 = len(x), float(x.var())
    fit = jensen.em(Mixture(Gaussian(1, 1)), x, {"weights": [1.0], "means": [[0.0]], "covariances": [[[1.0]]]})
    errors = fit.standard_errors()
    assert float(errors["means"][0, 0]) == pytest.approx(np.sqrt(s2 / n), rel=1e-9)
    assert float(errors["covariances"][0, 0, 0]) == pytest.approx(s2 * np.sqrt(2 / n), rel=1e-9)
    assert float(errors["weights"][0]) == 0.0
    # The sandwich of a variance is that of the fourth moment.
    fourth = float(((x - x.mean()) ** 4).mean())
    robust = fit.standard_errors("sandwich")
    assert float(robust["covariances"][0, 0, 0]) == pytest.approx(np.sqrt((fourth - s2**2) / n), rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_sandwich_is_what_its_name_says(shape):
    fit = fit_of(rows(11), shape)
    errors = fit.standard_errors("sandwich")
    found = fit.source.fold(fit.model.information, errors.params)
    jacobian = block_diag(*[domain.jacobian(errors.params[name]) for name, domain in errors.params.domains.items()])
    bread, meat = jacobian.T @ found.observed @ jacobian, jacobian.T @ found.outer @ jacobian
    covariance = np.linalg.solve(bread, np.linalg.solve(bread, meat).T)
    np.testing.assert_allclose(errors.free_covariance, covariance, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(errors.covariance, jacobian @ covariance @ jacobian.T, rtol=1e-6, atol=1e-9)


def test_sandwich_by_row_loglik_agrees_with_scores():
    # The same coins, once with their scores declared and once by differences of row_loglik.
    class Half(jensen.models.ThreeCoins):
        information = None

    x, start = [1, 1, 0, 1, 0, 0, 1, 0, 1, 1], {"pi": 0.4, "p": 0.6, "q": 0.7}
    exact, numeric = (jensen.em(model, x, start) for model in (jensen.models.ThreeCoins(), Half()))
    for kind in ("observed", "sandwich"):
        ours, theirs = (fit.standard_errors(kind).combinations[0] for fit in (exact, numeric))
        assert ours.standard_error == pytest.approx(theirs.standard_error, rel=1e-6)
    assert numeric.identifiability().rank == 1
    module = example("poisson_mixture")
    fit = jensen.em(module.PoissonMixture(), np.arange(10), {"p": 0.4, "rates": [1.0, 3.0]}, sample_weight=module.DAYS)
    model, params = fit.model, fit.standard_errors().params
    mean, spread = [(np.asarray(module.DAYS) @ np.arange(10) ** power) / sum(module.DAYS) for power in (1, 2)]
    # At a maximum the mean is that of the data, whose standard error needs no model.
    overall = fit.standard_error_of(lambda p: p["p"] * p["rates"][0] + (1 - p["p"]) * p["rates"][1], "mean", "sandwich")
    assert overall.value == pytest.approx(mean, rel=1e-7)
    assert overall.standard_error == pytest.approx(np.sqrt((spread - mean**2) / sum(module.DAYS)), rel=1e-6)
    assert model is fit.model and params.is_finite


def test_a_fit_that_has_not_converged_is_run_on():
    x = rows(8)
    done = fit_of(x).standard_errors()
    with pytest.warns(jensen.JensenWarning):
        early = fit_of(x, max_iter=2)
    errors = early.standard_errors()
    for name in done.values:
        np.testing.assert_allclose(errors[name], done[name], rtol=1e-6)
    assert any("running on moved it" in note for note in errors.notes) and "Note:" in str(errors)


def test_penalty_does_not_enter():
    # Standard errors are of the plain likelihood, at its own maximum.
    x = rows(9)
    plain = fit_of(x).standard_errors()
    smooth = jensen.em(Mixture(Gaussian(2, 2, "full", np.full(2, 1e-3))), x, plain.params)
    for name in plain.values:
        np.testing.assert_allclose(smooth.standard_errors()[name], plain[name], rtol=1e-6)


def test_intervals():
    errors = fit_of(rows(10)).standard_errors()
    intervals = errors.confint(0.9)
    half = 1.6448536269514722 * errors["means"]
    np.testing.assert_allclose(intervals["means"][..., 0], errors.params["means"] - half, rtol=1e-12)
    np.testing.assert_allclose(intervals["means"][..., 1], errors.params["means"] + half, rtol=1e-12)
    free = errors.confint(0.9, "free")
    for name, low, high in (("weights", 0.0, 1.0), ("covariances", 0.0, np.inf)):
        ends, value = free[name], errors.params[name]
        diagonal = ... if name == "weights" else (slice(None), [0, 1], [0, 1])
        assert (ends[diagonal][..., 0] > low).all() and (ends[diagonal][..., 1] < high).all()
        assert (ends[..., 0] < value).all() and (ends[..., 1] > value).all()
    # On the logarithm of a variance the interval is symmetric by ratio.
    variance, ends = errors.params["covariances"][0, 0, 0], free["covariances"][0, 0, 0]
    assert variance / ends[0] == pytest.approx(ends[1] / variance, rel=1e-12)
    assert "90 % confidence intervals" in str(intervals)


def test_natural_intervals_are_cut_at_the_bounds():
    fit = jensen.em(example("linkage").Linkage(), [[1, 0, 1, 3]], {"t": 0.5})
    low, high = fit.confint()["t"]
    assert 0.0 <= low < high == 1.0
    low, high = fit.confint(scale="free")["t"]
    assert 0.0 < low < high < 1.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda fit: fit.standard_errors("robust"), "kind must be"),
        (lambda fit: fit.confint(95), "level must be"),
        (lambda fit: fit.confint(scale="log"), "scale must be"),
        (lambda fit: fit.standard_error_of(3.0), "function must be callable"),
    ],
)
def test_bad_questions(call, words):
    with pytest.raises(InputError, match=words):
        call(jensen.em(example("linkage").Linkage(), [[125, 18, 20, 34]], {"t": 0.5}))


def test_functions_of_several_values():
    fit = jensen.em(example("linkage").Linkage(), [[125, 18, 20, 34]], {"t": 0.5})
    found = fit.standard_error_of(lambda params: np.array([params["t"], 2 * params["t"], 0.0]))
    error = float(fit.standard_errors()["t"])
    np.testing.assert_allclose(found.standard_error, [error, 2 * error, 0.0], rtol=1e-8, atol=1e-12)


def test_a_wrong_complete_is_found_out():
    class Wrong(example("linkage").Linkage):
        def complete(self, params, s):
            return s.yes * np.log(params["t"])  # where are those of 1 - t?

    with pytest.raises(ContractError, match="Wrong.complete is not .*Fisher"):
        jensen.em(Wrong(), [[125, 18, 20, 34]], {"t": 0.5}).standard_errors()


def test_a_wrong_information_is_found_out():
    class Wrong(jensen.models.ThreeCoins):
        def information(self, params, block):
            return 3.0

    with pytest.raises(ContractError, match="information must return"):
        jensen.em(Wrong(), [1, 0, 1], {"pi": 0.5, "p": 0.4, "q": 0.6}).standard_errors()


def test_too_many_parameters_are_refused():
    with pytest.raises(InputError, match="2001 free parameters .* 2000"):
        way_for(Mixture(Gaussian(2, 2)), None, MOST_EXACT + 1)

    class Bare(jensen.LatentModel):
        domains = {"m": jensen.domains.Real((16,))}

        def expect(self, params, block):
            return jensen.Sums(weight=1, loglik=-(params["m"] ** 2).sum())

        def maximize(self, params, s):
            return {"m": np.zeros(16)}

    fit = jensen.em(Bare(), [0.0], {"m": np.zeros(16)})
    with pytest.raises(InputError, match="16 free parameters .* 15 .* complete"):
        fit.standard_errors()


def test_printing_names_every_entry_once():
    text = str(fit_of(table(0, 80, 2, 2)).standard_errors())
    assert "covariances[0, 1, 0]" in text and "covariances[0, 0, 1]" not in text and "exact (Louis)" in text


def test_entries_that_are_held_are_said_to_be():
    x = np.random.default_rng(0).normal([[0.0], [5.0]] * 40, 1.0)
    model = jensen.models.Mixture(jensen.families.Gaussian(2, 1, "spherical"))
    start = {"weights": [0.5, 0.5], "means": [[0.0], [5.0]], "covariances": [1.0, 1.0]}
    errors = jensen.em(model, x, start, fixed={"weights": True}).standard_errors()
    assert (errors["weights"] == 0.0).all()
    assert "held fixed" in repr(errors).splitlines()[2]


@pytest.mark.parametrize("asked", ["plain", "ridge and prior", "equal"])
@pytest.mark.parametrize("name", list(SHAPES_OF_MCLUST))
def test_slopes_are_those_of_the_expected_objective(name, asked):
    """By every free coordinate, against central differences, away from the maximum."""
    x = np.random.default_rng(1).normal(size=(80, 3)) * [1.0, 2.0, 0.5]
    source = ArraySource(x)
    prior = {"reg_covar": 0.3, "prior": ConjugatePrior(2.0)}
    more = {"plain": {}, "ridge and prior": prior, "equal": {"equal_weights": True}}
    settings = MixtureSettings(3, name, **{"reg_covar": 0.0, **more[asked]})
    model = mixture_of(settings, source, summarise(source, 0))
    params = from_given(model, summarise(source, 0), source.with_arrays(labels=np.arange(80) % 3))
    statistics = source.fold(model.expect, params)
    at = Coordinates(params)
    found = at.pulled_back(model.slope(params, statistics), np.zeros(at.size))
    for j, step in enumerate(1e-5 * np.eye(at.size)):
        there, back = (model.complete(at.moved(sign * step), statistics) for sign in (1, -1))
        assert found[j] == pytest.approx((there - back) / 2e-5, rel=1e-6, abs=1e-4)
