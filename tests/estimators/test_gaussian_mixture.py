"""GaussianMixture: scikit-learn's conventions, and what goes beyond them."""

import copy
import inspect
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn.mixture
from mixtures import SHAPES
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV

import jensen
from jensen import GaussianMixture, JensenWarning
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.fit.starts.draw import START_KINDS
from jensen.infer.projection import projection

FAITHFUL = np.asarray(jensen.datasets.load("faithful").data)
IRIS = np.asarray(jensen.datasets.load("iris").data)
PARAMETERS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")


def parameters_of(model):
    return [getattr(model, name) for name in PARAMETERS]


def assert_same(one, two, rtol=0.0):
    for name, left, right in zip(PARAMETERS, parameters_of(one), parameters_of(two), strict=True):
        np.testing.assert_allclose(left, right, rtol=rtol, atol=0, err_msg=name)


# ------------------------------------------------------------------------------------------ scikit-learn's face


def test_arguments_are_those_of_scikit_learn():
    ours = inspect.signature(GaussianMixture).parameters
    theirs = inspect.signature(sklearn.mixture.GaussianMixture).parameters
    own = [(p.name, p.kind) for p in ours.values()]
    assert own[: len(theirs)] == [(p.name, p.kind) for p in theirs.values()]
    assert {kind for _, kind in own[len(theirs) :]} == {inspect.Parameter.KEYWORD_ONLY}
    differing = {name for name in theirs if ours[name].default != theirs[name].default}
    assert differing == {"tol", "reg_covar", "max_iter", "n_init", "init_params"}


@pytest.mark.parametrize("shape", SHAPES)
def test_fitted_attributes_belong_together(shape):
    model = GaussianMixture(2, covariance_type=shape, random_state=0).fit(FAITHFUL)
    theirs = sklearn.mixture.GaussianMixture(2, covariance_type=shape, random_state=0).fit(FAITHFUL)
    for name in PARAMETERS:
        ours, expected = getattr(model, name), getattr(theirs, name)
        assert (ours.shape, ours.dtype, ours.flags.writeable) == (expected.shape, expected.dtype, True), name
    assert model.converged_ is True
    assert model.n_features_in_ == 2
    if shape in ("full", "tied"):
        products = model.covariances_ @ model.precisions_
        np.testing.assert_allclose(products, np.broadcast_to(np.eye(2), products.shape), atol=1e-10)
        assert (np.tril(model.precisions_cholesky_, -1) == 0).all()
    else:
        np.testing.assert_allclose(model.covariances_ * model.precisions_, 1.0)


def test_lower_bound_belongs_to_the_parameters_and_never_falls():
    model = GaussianMixture(3, reg_covar=1e-4, random_state=0).fit(IRIS)
    fit = model.fit_result_
    statistics = ArraySource(IRIS).fold(fit.model.expect, fit.params)
    assert model.lower_bound_ == pytest.approx(statistics.loglik / len(IRIS), rel=1e-13)
    assert model.lower_bound_ < model.score(IRIS)
    assert model.lower_bounds_[-1] == model.lower_bound_
    assert len(model.lower_bounds_) == model.n_iter_
    assert (np.diff(model.lower_bounds_) >= -1e-10).all()
    plain = GaussianMixture(3, reg_covar=0, random_state=0).fit(IRIS)
    assert plain.lower_bound_ == pytest.approx(plain.score(IRIS), rel=1e-13)


def test_fit_leaves_the_arguments_alone():
    given = {
        "init_params": [0, 1] * 136,
        "weights_init": [0.5, 0.5],
        "means_init": [[2, 50], [4, 80]],
        "precisions_init": [[[1, 0], [0, 1]]] * 2,
        "random_state": np.random.RandomState(0),
    }
    before = copy.deepcopy({name: value for name, value in given.items() if name != "random_state"})
    model = GaussianMixture(2, **given).fit(FAITHFUL)
    assert all(getattr(model, name) is value for name, value in given.items())
    assert all(given[name] == value for name, value in before.items())


def test_clone_pickle_and_copy():
    model = GaussianMixture(2, init_params=np.arange(272) % 2, random_state=1).fit(FAITHFUL)
    fresh = clone(model)
    assert not hasattr(fresh, "weights_")
    assert_same(fresh.fit(FAITHFUL), model)
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert_same(twin, model)
        np.testing.assert_array_equal(twin.predict_proba(FAITHFUL), model.predict_proba(FAITHFUL))
        assert twin.fit_result_.status is Status.CONVERGED


def test_grid_search_finds_the_two_groups():
    grid = {"n_components": [1, 2], "covariance_type": ["full", "tied"]}
    search = GridSearchCV(GaussianMixture(random_state=0), grid, cv=3).fit(FAITHFUL, sample_weight=np.ones(272))
    assert search.best_params_["n_components"] == 2


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table])
def test_feature_names_come_from_frames(kind):
    frame = kind({"eruptions": FAITHFUL[:, 0], "waiting": FAITHFUL[:, 1]})
    model = GaussianMixture(2, random_state=0).fit(frame)
    assert list(model.feature_names_in_) == ["eruptions", "waiting"]
    assert model.fit_result_.feature_names == ("eruptions", "waiting")
    assert_same(model, GaussianMixture(2, random_state=0).fit(FAITHFUL))
    swapped = kind({"waiting": FAITHFUL[:, 1], "eruptions": FAITHFUL[:, 0]})
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(swapped)


def test_a_list_of_lists_is_a_table():
    assert_same(
        GaussianMixture(2, random_state=0).fit(FAITHFUL.tolist()), GaussianMixture(2, random_state=0).fit(FAITHFUL)
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_float32_in_float32_out_but_float64_inside(shape):
    rows = FAITHFUL.astype(np.float32)
    model = GaussianMixture(2, covariance_type=shape, random_state=0).fit(rows)
    exact = GaussianMixture(2, covariance_type=shape, random_state=0).fit(rows.astype(np.float64))
    assert {value.dtype for value in parameters_of(model)} == {np.dtype(np.float32)}
    assert model.score_samples(rows).dtype == model.predict_proba(rows).dtype == np.float32
    assert model.score_samples(FAITHFUL).dtype == np.float64
    assert model.fit_result_.params["means"].dtype == np.float64
    for ours, expected in zip(parameters_of(model), parameters_of(exact), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert model.score(FAITHFUL) == pytest.approx(exact.score(FAITHFUL), rel=1e-9)


@pytest.mark.parametrize("unit", [1e25, 1e-25])
def test_squares_beyond_float32_give_float64_attributes(unit):
    rows = (FAITHFUL * unit).astype(np.float32)
    model = GaussianMixture(2, random_state=0).fit(rows)
    assert all(np.isfinite(value).all() and value.any() for value in parameters_of(model))
    np.testing.assert_array_equal(model.predict(rows), GaussianMixture(2, random_state=0).fit_predict(FAITHFUL))


@pytest.mark.parametrize(("name", "shape"), [("VVV", "full"), ("EEE", "tied"), ("VVI", "diag"), ("VII", "spherical")])
def test_names_of_mclust_mean_the_same(name, shape):
    ours = GaussianMixture(2, covariance_type=name, random_state=0).fit(FAITHFUL)
    assert_same(ours, GaussianMixture(2, covariance_type=shape, random_state=0).fit(FAITHFUL))
    assert ours.covariance_type == name


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score", "score_samples", "bic", "aic", "icl"])
def test_nothing_works_before_a_fit(method):
    with pytest.raises(NotFittedError, match="This GaussianMixture instance is not fitted yet"):
        getattr(GaussianMixture(), method)(FAITHFUL)
    for use in (GaussianMixture().sample, GaussianMixture().to_sklearn, GaussianMixture()._n_parameters):
        with pytest.raises(NotFittedError):
            use()


# ---------------------------------------------------------------------------------------------------- weights


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("start", START_KINDS)
def test_a_weight_is_that_many_rows(shape, start):
    weight = np.arange(len(IRIS)) % 3
    rows = np.repeat(IRIS, weight, axis=0)
    model = GaussianMixture(2, covariance_type=shape, init_params=start, random_state=3, tol=0, max_iter=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        weighted, repeated = clone(model).fit(IRIS, sample_weight=weight), clone(model).fit(rows)
    assert_same(weighted, repeated, rtol=1e-10)
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_, rel=1e-12)
    for criterion in ("score", "bic", "aic", "icl"):
        ours = getattr(weighted, criterion)(IRIS, sample_weight=weight)
        assert ours == pytest.approx(getattr(weighted, criterion)(rows), rel=1e-12)


def test_criteria_are_those_of_the_record():
    weight = np.linspace(0.0, 2.0, 272)
    model = GaussianMixture(2, random_state=0).fit(FAITHFUL, sample_weight=weight)
    fit = model.fit_result_
    assert fit.weight == pytest.approx(272.0)
    found = [getattr(model, name)(FAITHFUL, sample_weight=weight) for name in ("bic", "aic", "icl")]
    assert found == pytest.approx([fit.bic, fit.aic, fit.icl], rel=1e-13)
    assert model.icl(FAITHFUL, sample_weight=weight) > model.bic(FAITHFUL, sample_weight=weight)


def test_fit_predict_is_fit_then_predict():
    weight = np.arange(272) % 2
    labels = GaussianMixture(2, random_state=0).fit_predict(FAITHFUL, sample_weight=weight)
    model = GaussianMixture(2, random_state=0).fit(FAITHFUL, sample_weight=weight)
    np.testing.assert_array_equal(labels, model.predict(FAITHFUL))
    np.testing.assert_array_equal(labels, model.predict_proba(FAITHFUL).argmax(axis=1))


# ----------------------------------------------------------------------------------------------------- starts


@pytest.mark.parametrize("shape", SHAPES)
def test_parameters_to_start_from_are_the_start(shape):
    model = GaussianMixture(3, covariance_type=shape, random_state=0).fit(IRIS)
    given = {
        "weights_init": model.weights_,
        "means_init": model.means_,
        "precisions_init": model.precisions_,
    }
    start = GaussianMixture(3, covariance_type=shape, max_iter=0, **given).fit(IRIS)
    assert_same(start, model, rtol=1e-8)
    assert (start.n_iter_, start.converged_, start.lower_bounds_) == (0, False, [])
    assert start.lower_bound_ == pytest.approx(model.lower_bound_, rel=1e-12)
    assert [record.kind for record in start.fit_result_.starts] == ["parameters"]
    for name, value in given.items():
        one = GaussianMixture(3, covariance_type=shape, max_iter=0, random_state=0, **{name: value}).fit(IRIS)
        np.testing.assert_allclose(getattr(one, name.replace("_init", "_")), value, rtol=1e-8)


def test_labels_responsibilities_and_a_function_start_alike():
    labels = (FAITHFUL[:, 0] > 3).astype(int)
    seen = []

    def by_function(rows, n_components, rng):
        seen.append((rows.shape, n_components, isinstance(rng, np.random.Generator)))
        return labels

    expected = GaussianMixture(2, init_params=labels).fit(FAITHFUL)
    for start in (labels.tolist(), pd.Series(labels), np.eye(2)[labels], by_function):
        assert_same(GaussianMixture(2, n_init=1, init_params=start).fit(FAITHFUL), expected)
    assert seen == [((272, 2), 2, True)]


def test_a_function_is_asked_for_every_start():
    def at_random(rows, n_components, rng):
        return rng.integers(n_components, size=len(rows))

    model = GaussianMixture(2, init_params=at_random, n_init=3, random_state=0).fit(FAITHFUL)
    assert [record.kind for record in model.fit_result_.starts] == ["callable"] * 3
    assert len({record.n_iter for record in model.fit_result_.starts}) > 1


def test_random_state_is_the_seed():
    def means(random_state):
        return (
            GaussianMixture(3, init_params="random_from_data", random_state=random_state, max_iter=0).fit(IRIS).means_
        )

    np.testing.assert_array_equal(means(5), means(5))
    for make in (np.random.RandomState, np.random.default_rng):
        np.testing.assert_array_equal(means(make(5)), means(make(5)))
        advancing = make(5)
        assert (means(advancing) != means(advancing)).any()
    assert (means(None) != means(None)).any()


@pytest.mark.filterwarnings("ignore::jensen.JensenWarning")  # one random start in 25 ends on five rows
def test_the_seed_of_a_fit_is_in_its_record():
    model = GaussianMixture(3, init_params="random").fit(IRIS)
    again = GaussianMixture(3, init_params="random", random_state=model.fit_result_.seed).fit(IRIS)
    assert_same(again, model)


def test_sample():
    model = GaussianMixture(2, random_state=0).fit(FAITHFUL)
    rows, labels = model.sample(5000)
    assert rows.shape == (5000, 2) and rows.dtype == np.float64
    assert (np.diff(labels) >= 0).all()
    for k in range(2):
        np.testing.assert_allclose(rows[labels == k].mean(axis=0), model.means_[k], rtol=0.02)
        np.testing.assert_allclose(np.cov(rows[labels == k].T), model.covariances_[k], rtol=0.2, atol=0.1)
    np.testing.assert_array_equal(model.sample(5000)[0], rows)
    model.set_params(random_state=np.random.RandomState(0))
    assert (model.sample(9)[0] != model.sample(9)[0]).any()


# ------------------------------------------------------------------------------------------------- warm starts


def test_a_warm_start_goes_on_where_the_last_fit_ended():
    through = GaussianMixture(3, random_state=0, max_iter=9, tol=0, n_init=1)
    parts = GaussianMixture(3, random_state=0, max_iter=3, tol=0, n_init=1, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        through.fit(IRIS)
        bounds = [bound for _ in range(3) for bound in parts.fit(IRIS).lower_bounds_]
    assert_same(parts, through)
    assert bounds == through.lower_bounds_
    assert [record.kind for record in parts.fit_result_.starts] == ["warm start"]


@pytest.mark.parametrize("tol", ["auto", 1e-3])
def test_single_steps_converge_after_as_many_as_one_fit(tol):
    through = GaussianMixture(3, random_state=0, tol=tol, n_init=1).fit(IRIS.astype(np.float32))
    steps = GaussianMixture(3, random_state=0, tol=tol, max_iter=1, n_init=1, warm_start=True)
    n_steps = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        while n_steps < 500 and not getattr(steps, "converged_", False):
            steps.fit(IRIS.astype(np.float32))
            n_steps += 1
    assert n_steps == through.n_iter_
    assert_same(steps, through)


def test_gains_on_other_data_do_not_count():
    model = GaussianMixture(3, random_state=0, warm_start=True).fit(IRIS)
    n_first = model.n_iter_
    assert model.fit(IRIS).n_iter_ == 1
    fresh = clone(model).fit(IRIS[::-1] * 2)
    assert model.fit(IRIS * 2).n_iter_ > 2
    assert fresh.n_iter_ >= n_first - 1


def test_a_warm_start_of_another_kind_is_refused():
    model = GaussianMixture(2, random_state=0, warm_start=True).fit(FAITHFUL)
    with pytest.raises(
        ValueError, match=r"\(2, 2, 'full'\), which does not fit \(3, 2, 'full'\); set warm_start=False"
    ):
        model.set_params(n_components=3).fit(FAITHFUL)
    with pytest.raises(ValueError, match="does not fit"):
        model.set_params(n_components=2).fit(IRIS)


# ------------------------------------------------------------------------------------- parameters in and out


@pytest.mark.parametrize("shape", SHAPES)
def test_from_parameters_and_to_sklearn_agree(shape):
    fitted = GaussianMixture(3, covariance_type=shape, random_state=0).fit(IRIS)
    names = ["a", "b", "c", "d"]
    given = (fitted.weights_.tolist(), fitted.means_.tolist(), fitted.covariances_.tolist())
    model = GaussianMixture.from_parameters(*given, covariance_type=shape, feature_names=names)
    assert_same(model, fitted)
    assert list(model.feature_names_in_) == names
    assert not hasattr(model, "fit_result_") and not hasattr(model, "converged_")
    frame = pd.DataFrame(IRIS, columns=names)
    theirs = model.to_sklearn()
    assert type(theirs) is sklearn.mixture.GaussianMixture
    np.testing.assert_array_equal(model.predict(frame), theirs.predict(frame))
    np.testing.assert_allclose(model.predict_proba(frame), theirs.predict_proba(frame), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(model.score_samples(frame), theirs.score_samples(frame), rtol=1e-10)
    assert model.bic(frame) == pytest.approx(theirs.bic(frame), rel=1e-12)
    assert model.aic(frame) == pytest.approx(theirs.aic(frame), rel=1e-12)


def test_to_sklearn_keeps_what_scikit_learn_knows():
    given = {"tol": 1e-4, "n_init": 2, "verbose_interval": 7, "random_state": 5, "covariance_type": "VVI"}
    theirs = GaussianMixture(2, **given).fit(FAITHFUL).to_sklearn()
    expected = {**given, "covariance_type": "diag", "max_iter": 100, "reg_covar": 1e-6}
    assert {name: theirs.get_params()[name] for name in expected} == expected
    assert theirs.converged_ and theirs.n_features_in_ == 2
    own_start = GaussianMixture(2, init_params=np.arange(272) % 2, random_state=np.random.default_rng(0)).fit(FAITHFUL)
    assert own_start.to_sklearn().init_params == "kmeans"
    assert own_start.to_sklearn().fit(FAITHFUL).n_iter_ > 0


def test_given_parameters_may_be_fitted_further():
    model = GaussianMixture.from_parameters(
        [0.5, 0.5], [[2, 50], [4, 80]], [[[1, 0], [0, 40]]] * 2, covariance_type="full"
    )
    model.set_params(warm_start=True).fit(FAITHFUL)
    assert [record.kind for record in model.fit_result_.starts] == ["warm start"]
    assert model.converged_


# ------------------------------------------------------------------------------------------- what a fit tells


def test_a_fit_stopped_by_max_iter_warns_as_scikit_learn_does():
    with pytest.warns(ConvergenceWarning, match="Best performing initialization did not converge") as caught:
        GaussianMixture(2, max_iter=1, random_state=0).fit(FAITHFUL)
    assert [record.filename for record in caught] == [__file__]
    assert "raise max_iter" in str(caught[0].message)


def test_a_degenerate_fit_and_coinciding_components_warn():
    rows = np.repeat([[0.0, 0.0], [1.0, 1.0]], 5, axis=0)
    with pytest.warns(JensenWarning) as caught:
        model = GaussianMixture(4, random_state=0).fit(rows)
    texts = [str(record.message) for record in caught]
    assert any(text.startswith("The fit is degenerate") for text in texts)
    assert any("coincide" in text for text in texts)
    assert {record.filename for record in caught} == {__file__}
    assert np.isfinite(model.predict_proba(rows)).all()


def test_a_start_alone_is_quiet():
    rows = np.repeat([[0.0, 0.0], [1.0, 1.0]], 5, axis=0)
    assert GaussianMixture(4, max_iter=0, random_state=0).fit(rows).n_iter_ == 0


def test_verbose_prints_what_scikit_learn_prints(capsys):
    GaussianMixture(2, init_params="random", random_state=2, verbose=1, verbose_interval=5).fit(FAITHFUL)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["Initialization 0", "  Iteration 5", "  Iteration 10"]
    assert lines[-1] == "Initialization converged."
    model = GaussianMixture(2, init_params="random", random_state=2, verbose=2, verbose_interval=5).fit(FAITHFUL)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Initialization 0"
    assert "time lapse" in lines[1] and "ll change" in lines[1]
    assert lines[-1].endswith(f"lower bound {model.lower_bound_:.5f}.")


def test_starts_side_by_side_print_one_after_another(capsys, threads):
    threads(3)
    model = GaussianMixture(3, init_params="random", n_init=6, random_state=0, verbose=1).fit(IRIS)
    expected = []
    for record in model.fit_result_.starts:
        tens = [f"  Iteration {i}" for i in range(10, record.n_iter + 1, 10)]
        expected += [f"Initialization {record.index}", *tens, "Initialization converged."]
    assert capsys.readouterr().out.splitlines() == expected


def test_an_interrupt_keeps_the_best_parameters_so_far(monkeypatch):
    passes, fold = [], ArraySource.fold

    def interrupted(self, block_pass, params):
        if block_pass.__name__ == "expect":
            passes.append(params)
            if len(passes) == 4:
                raise KeyboardInterrupt
        return fold(self, block_pass, params)

    monkeypatch.setattr(ArraySource, "fold", interrupted)
    # More than one block: on one, the kernel may take many steps without a fold.
    monkeypatch.setattr("jensen.data.arrays._MIN_BLOCK_ROWS", 100)
    monkeypatch.setattr("jensen.data.arrays._BLOCK_NUMBERS", 200)
    model = GaussianMixture(2, random_state=0, n_init=1)
    with pytest.raises(KeyboardInterrupt):
        model.fit(FAITHFUL)
    np.testing.assert_array_equal(model.means_, passes[2]["means"])
    assert (model.n_iter_, model.converged_) == (2, False)
    assert model.fit_result_.status is Status.INTERRUPTED
    assert len(model.predict(FAITHFUL)) == 272


# ------------------------------------------------------------------------------------------------- acceleration


def slow_data():
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(centre, 1.0, (1500, 4)) for centre in (0.0, 1.5, 2.2, 3.0)])


@pytest.mark.filterwarnings("ignore:The best optimum was reached once")
def test_slow_fits_are_accelerated_and_never_fall():
    x = slow_data()
    plain = GaussianMixture(4, random_state=0, accelerate="off", max_iter=3000).fit(x).fit_result_
    fast = GaussianMixture(4, random_state=0).fit(x).fit_result_
    assert plain.extrapolations == (0, 0) and fast.extrapolations[1] > 0
    assert fast.passes < 0.5 * plain.passes
    assert fast.status.is_converged and fast.objective > plain.objective - 1e-3
    assert (np.diff(fast.trace) >= -1e-10 * abs(fast.objective)).all()


def test_scikit_learns_rule_sees_plain_steps_alone():
    model = GaussianMixture(4, random_state=0, n_init=1, tol=1e-5, max_iter=1000).fit(slow_data())
    assert model.n_iter_ > 30
    assert model.fit_result_.extrapolations == (0, 0)


def test_components_are_merged_and_projected():
    model = GaussianMixture(5, covariance_type="diag", random_state=0).fit(IRIS)
    merged = model.combine(IRIS)
    assert merged.n_clusters == 3 and set(merged.labels(2)) == {0, 1}
    np.testing.assert_allclose(merged.responsibilities(1).sum(axis=1), 1.0)
    view = model.projection(balance=1.0, n_directions=2)
    assert view.transform(IRIS).shape == (150, 2)
    fit = model.fit_result_
    other = projection(fit.params["weights"], fit.params["means"], fit.covariance_matrices(), balance=1.0)
    np.testing.assert_allclose(view.directions, other.directions[:, :2])
    noisy = GaussianMixture(2, noise=True, random_state=0, n_init=1).fit(IRIS)
    assert noisy.projection().transform(IRIS).shape[0] == 150
    with pytest.raises(InputError, match="not merged beside noise"):
        noisy.combine(IRIS)
