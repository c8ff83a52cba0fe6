"""Noise and trimming through the estimator: labels, probabilities, criteria, files, and what is refused."""

import pickle
import warnings

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import clone

import jensen
from jensen import GaussianMixture
from jensen.errors import InputError
from jensen.estimators.selecting import select


def data(seed=0):
    rng = np.random.default_rng(seed)
    groups = [rng.normal([-3, 0], 0.5, (120, 2)), rng.normal([3, 4], 0.8, (120, 2))]
    return np.vstack([*groups, rng.uniform([-7, -7], [7, 9], (60, 2))])


@pytest.fixture(scope="module")
def noisy():
    return GaussianMixture(2, noise=True, random_state=0).fit(data())


@pytest.fixture(scope="module")
def trimmed():
    return GaussianMixture(2, trim=0.2, random_state=0).fit(data())


# ------------------------------------------------------------------------------------------ noise


def test_attributes(noisy):
    assert noisy.weights_.shape == (2,) and noisy.means_.shape == (2, 2) and noisy.covariances_.shape == (2, 2, 2)
    assert noisy.weights_.sum() + noisy.noise_weight_ == pytest.approx(1.0, abs=1e-12)
    assert noisy.noise_weight_ == pytest.approx(0.2, abs=0.04)
    np.testing.assert_array_equal(noisy.outliers_, noisy.predict(data()) == -1)
    assert GaussianMixture(1, random_state=0).fit(data()).noise_weight_ == 0.0


def test_the_label_of_noise_points_at_its_probability(noisy):
    x = data()
    proba, labels = noisy.predict_proba(x), noisy.predict(x)
    assert proba.shape == (300, 3)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    np.testing.assert_array_equal(proba[np.arange(300), labels], proba.max(axis=1))
    np.testing.assert_array_equal(noisy.fit_predict(x), labels)
    assert set(labels) == {-1, 0, 1}


def test_densities_are_those_of_the_attributes(noisy):
    x = data()
    volume = np.exp(noisy.fit_result_.box.log_volume)
    logs = [multivariate_normal(m, c).logpdf(x) for m, c in zip(noisy.means_, noisy.covariances_, strict=True)]
    joint = np.column_stack([*logs, np.full(len(x), -np.log(volume))])
    rows = logsumexp(joint + np.log(np.append(noisy.weights_, noisy.noise_weight_)), axis=1)
    np.testing.assert_allclose(noisy.score_samples(x), rows, rtol=1e-10)
    assert noisy.score(x) == pytest.approx(rows.mean())
    # One weight, two means, two covariances, and the weight of the noise.
    assert noisy.bic(x) == pytest.approx(-2 * rows.sum() + (1 + 4 + 6 + 1) * np.log(300))
    assert noisy.bic(x) == pytest.approx(noisy.fit_result_.bic)


def test_a_volume_is_taken_as_it_is():
    model = GaussianMixture(2, noise=500.0, n_init=2, random_state=0).fit(data())
    assert model.fit_result_.box.log_volume == np.log(500.0)
    # 1 is a volume, True is none.
    assert GaussianMixture(2, noise=1, n_init=1, random_state=0, max_iter=0).fit(data()).fit_result_.box.log_volume == 0


def test_draws(noisy):
    x, labels = noisy.sample(3000)
    assert set(labels) == {-1, 0, 1} and (labels == -1).mean() == pytest.approx(noisy.noise_weight_, abs=0.03)
    # Grouped by component, the noise last.
    assert (np.diff(np.where(labels < 0, 2, labels)) >= 0).all()
    assert (np.abs(x[labels == -1]) <= [7, 9]).all()


def test_standard_errors(noisy):
    errors = noisy.standard_errors(data())
    assert errors["weights"].shape == (3,) and not errors.refused
    # The share of noise is about binomial.
    assert errors["weights"][2] == pytest.approx(np.sqrt(0.2 * 0.8 / 300), rel=0.3)
    assert "All 12 free parameters are identified" in str(noisy.diagnose(data()))


def test_labels_of_a_start_may_name_the_noise():
    start = np.repeat([0, 1, -1], [120, 120, 60])
    model = GaussianMixture(2, noise=True, init_params=start).fit(data())
    assert model.noise_weight_ == pytest.approx(0.2, abs=0.04)
    with pytest.raises(ValueError, match="between 0 and"):
        GaussianMixture(2, init_params=start).fit(data())


def test_warm_start_goes_on_with_the_noise(noisy):
    again = clone(noisy).set_params(warm_start=True).fit(data())
    before = again.lower_bound_
    again.fit(data())
    assert len(again.fit_result_.starts) == 1 and again.lower_bound_ >= before
    with pytest.raises(InputError, match="warm_start"):
        again.set_params(noise=False).fit(data())


@pytest.mark.parametrize("shape", ["full", "tied", "EEI", "VEV", "EII"])
def test_shapes_and_single_precision(shape):
    x = data().astype(np.float32)
    model = GaussianMixture(2, covariance_type=shape, noise=True, n_init=2, random_state=0).fit(x)
    assert model.weights_.dtype == np.float32 and model.predict_proba(x).dtype == np.float32
    assert (model.predict(x)[240:] == -1).mean() > 0.8


# ------------------------------------------------------------------------------------------ trimming


def test_trimmed_rows_are_outliers(trimmed):
    x = data()
    assert trimmed.outliers_.sum() == 60 and trimmed.noise_weight_ == 0.0
    np.testing.assert_array_equal(trimmed.predict(x) == -1, trimmed.outliers_)
    density = trimmed.score_samples(x)
    assert density[trimmed.outliers_].max() < density[~trimmed.outliers_].min()
    # The same rows one at a time, and rows that are new.
    np.testing.assert_array_equal([trimmed.predict(row[None])[0] for row in x[::7]], trimmed.predict(x)[::7])
    assert trimmed.predict([[-3.0, 0.0], [0.0, 50.0]]).tolist()[1] == -1
    assert trimmed.predict_proba(x).shape == (300, 2)


def test_criteria_of_a_trimmed_fit_are_about_the_rows_that_are_kept(trimmed):
    x = data()
    density = np.sort(trimmed.score_samples(x))[60:]
    assert trimmed.bic(x) == pytest.approx(-2 * density.sum() + 11 * np.log(240), rel=1e-10)
    assert trimmed.bic(x) == pytest.approx(trimmed.fit_result_.bic, rel=1e-10)
    assert trimmed.aic(x) == pytest.approx(trimmed.fit_result_.aic, rel=1e-10)
    assert trimmed.icl(x) == pytest.approx(trimmed.fit_result_.icl, rel=1e-10)
    assert trimmed.lower_bound_ == pytest.approx(trimmed.fit_result_.objective / 240)
    assert trimmed.score(x) == pytest.approx(trimmed.score_samples(x).mean())


def test_nothing_trimmed_is_the_plain_fit():
    x = data()
    one, other = (GaussianMixture(2, random_state=0, **more).fit(x) for more in ({}, {"trim": 0.0}))
    assert one.lower_bound_ == other.lower_bound_ and not hasattr(other, "outliers_")


def test_standard_errors_of_a_trimmed_fit_are_refused(trimmed):
    with pytest.raises(InputError, match="trim leaves some out"):
        trimmed.standard_errors(data())


def test_outliers_of_an_earlier_fit_are_forgotten():
    model = GaussianMixture(2, trim=0.1, n_init=1, random_state=0).fit(data())
    assert hasattr(model, "outliers_")
    assert not hasattr(model.set_params(trim=0.0).fit(data()), "outliers_")


# ------------------------------------------------------------------------------------------ both


@pytest.mark.parametrize("asked", [{"noise": True}, {"noise": 300.0}, {"trim": 0.1}])
def test_files_pickles_and_clones(asked, tmp_path):
    x = data()
    model = GaussianMixture(2, n_init=2, random_state=0, **asked).fit(x)
    jensen.save(model, tmp_path / "m.safetensors")
    loaded = jensen.load(tmp_path / "m.safetensors")
    for other in (loaded, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.predict(x), model.predict(x))
        np.testing.assert_array_equal(other.predict_proba(x), model.predict_proba(x))
        assert other.bic(x) == model.bic(x) and other.noise_weight_ == model.noise_weight_
        np.testing.assert_array_equal(other.sample(5)[0], model.sample(5)[0])
    assert loaded.get_params()["noise"] == asked.get("noise", False) and loaded.trim == asked.get("trim", 0.0)
    np.testing.assert_array_equal(clone(model).fit(x).predict(x), model.predict(x))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"noise": 0.0}, "'noise' parameter"),
        ({"noise": -1.0}, "'noise' parameter"),
        ({"noise": np.nan}, "'noise' parameter"),
        ({"noise": np.inf}, "noise"),
        ({"noise": "yes"}, "'noise' parameter"),
        ({"trim": 1.0}, "'trim' parameter"),
        ({"trim": -0.1}, "'trim' parameter"),
        ({"noise": True, "trim": 0.1}, "noise and trim"),
        ({"noise": True, "equal_weights": True}, "equal_weights"),
        ({"trim": 0.995}, "trim=0.995 leaves"),
    ],
)
def test_what_is_wrong_is_said(asked, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2, **asked).fit(data())


def test_scikit_learn_knows_no_noise(noisy, trimmed):
    with pytest.raises(InputError, match="no component of noise"):
        noisy.to_sklearn()
    theirs = trimmed.to_sklearn()
    assert not hasattr(theirs, "outliers_") and not hasattr(theirs, "noise_weight_")
    np.testing.assert_allclose(theirs.score_samples(data()), trimmed.score_samples(data()))


def test_constant_columns_and_noise():
    x = np.column_stack([data(), np.ones(300)])
    with pytest.raises(InputError, match="column 2 is constant"):
        GaussianMixture(2, noise=True).fit(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert GaussianMixture(2, noise=250.0, n_init=1, random_state=0).fit(x).fit_result_.params.is_finite


@pytest.mark.parametrize("asked", [{"noise": True}, {"trim": 0.2}])
def test_a_selection(asked):
    found = select(data(), [1, 2, 3], ["full", "VEE"], random_state=0, **asked)
    assert found.best_name in ("VVV,2", "VEE,2")
    assert (found.best.predict(data())[240:] == -1).mean() > 0.8
    with pytest.raises(ValueError, match="'trim' parameter"):
        select(data(), 2, trim=2.0)
