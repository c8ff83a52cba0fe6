"""Estimators in model files."""

import numpy as np
import pandas as pd
import pytest
from mixtures import SHAPES
from sklearn.exceptions import NotFittedError

import jensen
from jensen import GaussianMixture, JensenError
from jensen.store import ModelRecord, read_model, write_model

X = pd.DataFrame(jensen.datasets.load("faithful").data, columns=["eruptions", "waiting"])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_model_comes_back_as_it_was(tmp_path, shape):
    model = GaussianMixture(2, covariance_type=shape, n_init=np.int64(2), tol=1e-4, random_state=3).fit(X)
    jensen.save(model, tmp_path / "model.safetensors")
    loaded = jensen.load(tmp_path / "model.safetensors")
    assert loaded.get_params() == model.get_params()
    for name in ("weights_", "means_", "covariances_", "precisions_", "feature_names_in_"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(model, name), err_msg=name)
    for name in ("converged_", "n_iter_", "lower_bound_", "n_features_in_"):
        assert getattr(loaded, name) == getattr(model, name), name
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(loaded.sample(5)[0], model.sample(5)[0])
    assert not hasattr(loaded, "fit_result_")


def test_what_is_known_of_a_fit_survives_a_second_saving(tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    jensen.save(GaussianMixture(2, random_state=3).fit(X), first)
    jensen.save(jensen.load(first), second)
    assert read_model(second).info == read_model(first).info
    assert read_model(second).info["seed"] == 3


def test_float64_parameters_of_float32_data(tmp_path):
    model = GaussianMixture(2, random_state=0).fit(X.astype(np.float32))
    jensen.save(model, tmp_path / "model.safetensors")
    loaded = jensen.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.means_, model.fit_result_.params["means"])
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_starts_of_ones_own_and_generators_stay_behind(tmp_path):
    model = GaussianMixture(2, init_params=np.arange(272) % 2, random_state=np.random.default_rng(0)).fit(X)
    jensen.save(model, tmp_path / "model.safetensors")
    loaded = jensen.load(tmp_path / "model.safetensors")
    assert loaded.init_params == "auto" and loaded.random_state is None


def test_given_parameters_have_no_history(tmp_path):
    model = GaussianMixture.from_parameters([1.0], [[0.0]], [1.0], covariance_type="VII")
    jensen.save(model, tmp_path / "model.safetensors")
    loaded = jensen.load(tmp_path / "model.safetensors")
    assert loaded.covariance_type == "spherical"
    assert not hasattr(loaded, "converged_")
    assert loaded.score([[0.0]]) == pytest.approx(-0.5 * np.log(2 * np.pi))


def test_a_file_that_tells_nonsense_of_its_fit_is_still_a_model(tmp_path):
    fitted = GaussianMixture.from_parameters([1.0], [[0.0]], [1.0], covariance_type="spherical")._fitted
    info = {"status": "splendid", "n_iter": -1, "objective": "high", "weight": 0, "settings": {"colour": "red"}}
    write_model(tmp_path / "model.safetensors", ModelRecord(fitted, info))
    loaded = jensen.load(tmp_path / "model.safetensors")
    assert not any(hasattr(loaded, name) for name in ("converged_", "n_iter_", "lower_bound_", "colour"))


def test_settings_outside_their_domain_are_refused(tmp_path):
    fitted = GaussianMixture.from_parameters([1.0], [[0.0]], [1.0], covariance_type="spherical")._fitted
    write_model(tmp_path / "model.safetensors", ModelRecord(fitted, {"settings": {"n_init": -1}}))
    with pytest.raises(JensenError, match="settings that cannot be used: The 'n_init' parameter"):
        jensen.load(tmp_path / "model.safetensors")


def test_only_a_fitted_estimator_is_saved(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(NotFittedError):
        jensen.save(GaussianMixture(), path)
    with pytest.raises(JensenError, match="model must be a jensen.GaussianMixture, got dict"):
        jensen.save({}, path)
    assert not path.exists()
    with pytest.raises(JensenError, match="no such model file"):
        jensen.load(path)
