"""GaussianMixture by default: it searches, finds the known optima whatever the seed, and says what it found."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import jensen
from jensen import GaussianMixture
from jensen.core.status import Status
from jensen.fit.search.mixtures import KINDS
from jensen.fit.starts.draw import START_KINDS

SEEDS = range(5)
DATA = {name: np.asarray(jensen.datasets.load(name).data) for name in ("faithful", "iris", "galaxies")}
FAITHFUL, IRIS = DATA["faithful"], DATA["iris"]


def fitted(x, n_components, shape="full", seed=0, **settings):
    """The record of a fit by default."""
    return GaussianMixture(n_components, covariance_type=shape, random_state=seed, **settings).fit(x).fit_result_


def narrowest(fit):
    """The smallest of the components' eigenvalues, in units of the largest."""
    values = np.linalg.eigvalsh(fit.covariance_matrices())
    return values.min() / values.max()


# ------------------------------------------------------------------------------------------------ known optima


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("name", "n_components", "shape", "loglik"),
    [
        ("iris", 3, "tied", -256.354),
        ("iris", 3, "full", -180.185),
        ("galaxies", 2, "tied", -230.352),
        ("faithful", 2, "full", -1130.264),
        ("faithful", 3, "full", -1119.214),
    ],
)
def test_known_optima_are_found_with_every_seed(name, n_components, shape, loglik, seed):
    fit = fitted(DATA[name], n_components, shape, seed)
    assert fit.loglik == pytest.approx(loglik, abs=1e-3)
    assert fit.status is Status.CONVERGED and fit.is_sound and fit.warnings == ()
    account = fit.account
    assert account.ending == "agreed" and account.is_sure and account.n_rows <= len(DATA[name])
    assert account.optima[0].loglik == pytest.approx(fit.loglik, abs=1e-3)
    assert fit.n_agreeing == account.optima[0].n_starts == sum(s.optimum == 0 for s in fit.starts)
    assert account.starts == fit.starts and f"{fit.n_agreeing} of {len(fit.starts)} starts" in str(account)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_narrow_component_is_set_aside_and_told(seed):
    fit = fitted(FAITHFUL, 3, seed=seed)
    text = str(fit.account)
    assert "-1119.21" in text and "Set aside: -1114.44 (component " in text and "is narrow, 0.03 of" in text
    assert "degenerate='allow' takes what is highest" in text
    aside = fit.account.set_aside[0]
    assert aside.faults == () and aside.narrow and aside.loglik == pytest.approx(-1114.44, abs=5e-3)
    assert aside.objective - aside.price < fit.account.optima[0].objective < aside.objective
    allowed = fitted(FAITHFUL, 3, seed=seed, degenerate="allow")
    assert allowed.loglik == pytest.approx(-1114.44, abs=5e-3)
    assert "Set aside" not in str(allowed.account) and allowed.account.set_aside == ()
    assert narrowest(allowed) < narrowest(fit)


def test_a_narrow_group_that_is_there_is_not_set_aside():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.standard_normal((300, 2)) * 3.0, 0.05 * rng.standard_normal((100, 2)) + 1.0])
    for seed in SEEDS:
        fit = fitted(x, 2, seed=seed)
        assert sorted(fit.params["weights"].round(1)) == [0.3, 0.7] or sorted(
            fit.params["weights"].round(2)
        ) == pytest.approx([0.25, 0.75], abs=0.03)
        assert narrowest(fit) < 1e-3 and fit.is_sound


def test_one_round_is_enough_where_all_starts_agree():
    fit = fitted(FAITHFUL, 2)
    assert fit.account.rounds == 1 and fit.n_agreeing == len(fit.starts) == 12


CENTRES = 6.0 * np.array([(i, j) for i in range(5) for j in range(5)])
GRID = np.repeat(CENTRES, 100, axis=0) + np.random.default_rng(0).standard_normal((2500, 2))


@pytest.mark.parametrize("shape", ["full", "spherical"])
def test_many_round_clusters_are_all_found(shape):
    best = fitted(GRID, 25, shape, means_init=CENTRES, weights_init=np.full(25, 0.04)).objective
    for seed in SEEDS:
        fit = fitted(GRID, 25, shape, seed)
        assert fit.objective == pytest.approx(best, abs=1e-3)
        nearest = np.linalg.norm(fit.params["means"][:, None] - CENTRES, axis=2).argmin(axis=1)
        assert sorted(nearest) == list(range(25))


@pytest.mark.filterwarnings("ignore::jensen.JensenWarning")  # a start alone may leave components on a few rows
def test_escapes_lead_to_all_clusters_from_starts_that_never_do():
    best = fitted(GRID, 25, "spherical", means_init=CENTRES, weights_init=np.full(25, 0.04)).objective
    for seed in SEEDS:
        alone = fitted(GRID, 25, "spherical", seed, init_params="random_from_data", n_init=1)
        fit = fitted(GRID, 25, "spherical", seed, init_params="random_from_data")
        assert alone.objective < best - 100 and fit.objective == pytest.approx(best, abs=1e-3)
        assert any(move.accepted for move in fit.account.moves) and fit.account.optima[0].n_escapes >= 1
        assert " led higher in " in str(fit.account)


# ------------------------------------------------------------------------------------------------ when it searches


def test_all_kinds_of_start_take_part_or_the_one_that_is_asked_for():
    kinds = [start.kind for start in fitted(IRIS, 3).starts]
    assert kinds == [KINDS[i % len(KINDS)] for i in range(len(kinds))] and set(kinds) >= {"kmeans", "random", "local"}
    for kind in START_KINDS:
        fit = fitted(IRIS, 2, init_params=kind)
        assert {start.kind for start in fit.starts} == {kind} and fit.account is not None


def test_a_function_is_asked_for_every_start_of_a_search():
    seen = []

    def at_random(rows, n_components, rng):
        seen.append(rng.random())
        return rng.integers(n_components, size=len(rows))

    fit = fitted(IRIS, 3, "tied", init_params=at_random)
    assert {start.kind for start in fit.starts} == {"callable"} and len(fit.starts) == len(set(seen)) >= 12
    # Each of these starts is near a saddle of the whole; the escapes lead away from it.
    assert fit.loglik == pytest.approx(-256.354, abs=1e-3)


def test_a_number_of_starts_means_what_it_meant():
    fit = fitted(IRIS, 3, n_init=10)
    assert fit.account is None and len(fit.starts) == 10 and {start.kind for start in fit.starts} == {"kmeans"}
    assert all(start.optimum is None for start in fit.starts)
    assert fitted(IRIS, 3, n_init=1).account is None


@pytest.mark.parametrize(
    "settings",
    [
        {"means_init": IRIS[[0, 60, 120]]},
        {"weights_init": [0.2, 0.3, 0.5]},
        {"precisions_init": [np.eye(4)] * 3},
        {"init_params": np.arange(150) % 3},
        {"max_iter": 0},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_a_start_of_ones_own_is_not_searched(settings):
    fit = fitted(IRIS, 3, **settings)
    assert fit.account is None and len(fit.starts) == 1


def test_one_component_and_warm_starts_are_not_searched():
    assert fitted(IRIS, 1).account is None
    model = GaussianMixture(3, random_state=0, warm_start=True).fit(IRIS)
    assert model.fit_result_.account is not None
    first = model.fit_result_.objective
    model.fit(IRIS)
    assert model.fit_result_.account is None and model.fit_result_.objective == pytest.approx(first, abs=1e-6)


def test_max_iter_and_the_rule_are_those_of_every_run():
    with pytest.warns(ConvergenceWarning, match="raise max_iter"):
        model = GaussianMixture(10, random_state=0, max_iter=2, covariance_type="spherical").fit(GRID[:1000])
    assert model.n_iter_ <= 2 and max(start.n_iter for start in model.fit_result_.starts) <= 2
    # Under scikit-learn's rule the search finds the place, and plain steps on all the rows end there.
    model = GaussianMixture(3, random_state=0, tol=1e-3).fit(IRIS)
    assert model.fit_result_.extrapolations == (0, 0) and model.n_iter_ >= 1
    assert model.fit_result_.loglik == pytest.approx(-180.185, abs=0.05)


@pytest.mark.parametrize(("x", "k", "shape"), [(IRIS, 3, "full"), (GRID, 25, "spherical"), (FAITHFUL, 3, "diag")])
def test_the_trace_is_that_of_the_best_run(x, k, shape):
    for seed in SEEDS:
        model = GaussianMixture(k, covariance_type=shape, random_state=seed, accelerate="off").fit(x)
        assert len(model.lower_bounds_) == model.n_iter_ and model.lower_bounds_[-1] == model.lower_bound_
        assert (np.diff(model.fit_result_.trace) >= -1e-10 * abs(model.fit_result_.objective)).all()


def test_starts_that_fell_behind_are_printed_as_such(capsys):
    GaussianMixture(25, covariance_type="spherical", random_state=2, verbose=1).fit(GRID)
    lines = capsys.readouterr().out.splitlines()
    ends = [line for line in lines if "verge" in line]
    assert ends and set(ends) == {"Initialization converged."}
    assert sum(line.endswith("fell behind.") for line in lines) == 5 * len(ends)
