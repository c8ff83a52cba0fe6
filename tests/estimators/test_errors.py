"""Standard errors, intervals and the diagnosis on the estimator are those of the core."""

import numpy as np
import pytest
from mixtures import SHAPES
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import jensen
from jensen import GaussianMixture
from jensen.families.gaussian import Gaussian
from jensen.models.mixture import Mixture

FAITHFUL = np.asarray(jensen.datasets.load("faithful").data)


@pytest.mark.parametrize("shape", SHAPES)
def test_they_are_those_of_the_core(shape):
    estimator = GaussianMixture(2, covariance_type=shape, random_state=0).fit(FAITHFUL)
    start = {"weights": estimator.weights_, "means": estimator.means_, "covariances": estimator.covariances_}
    fit = jensen.em(Mixture(Gaussian(2, 2, shape)), FAITHFUL, start)
    for kind in ("observed", "sandwich"):
        ours, theirs = estimator.standard_errors(FAITHFUL, kind=kind), fit.standard_errors(kind)
        for name in ("weights", "means", "covariances"):
            assert ours[name].shape == getattr(estimator, f"{name}_").shape
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-7)
    # The penalty moves a fit by less than anybody sees.
    np.testing.assert_allclose(ours.params["means"], estimator.means_, rtol=1e-4)
    assert not ours.notes


def test_weights_and_intervals():
    weight = np.random.default_rng(0).integers(1, 4, len(FAITHFUL))
    repeated = np.repeat(FAITHFUL, weight, axis=0)
    ours = GaussianMixture(2, random_state=0).fit(FAITHFUL, sample_weight=weight)
    errors = ours.standard_errors(FAITHFUL, sample_weight=weight)
    np.testing.assert_allclose(errors["means"], ours.standard_errors(repeated)["means"], rtol=1e-6)
    intervals = ours.confint(FAITHFUL, weight, level=0.5, scale="free")
    np.testing.assert_allclose(intervals["means"].mean(axis=-1), errors.params["means"], rtol=1e-9)
    assert intervals.level == 0.5


def test_diagnosis_tells_of_the_run():
    good = GaussianMixture(2, random_state=0).fit(FAITHFUL).diagnose(FAITHFUL)
    assert good.is_sound and "iterations" in good["end"]
    with pytest.warns(ConvergenceWarning):
        stopped = GaussianMixture(3, random_state=0, max_iter=2, n_init=1).fit(FAITHFUL)
    told = stopped.diagnose(FAITHFUL)
    assert not told.is_sound and "max_iter" in told["end"] and told.to_gain > 0
    given = GaussianMixture.from_parameters(
        stopped.weights_, stopped.means_, stopped.covariances_, covariance_type="full"
    )
    assert "no run is on record" in given.diagnose(FAITHFUL)["end"]


@pytest.mark.filterwarnings("ignore::jensen.JensenWarning")
def test_a_degenerate_fit_is_told_and_its_errors_refused():
    x = np.array([[0.0, 0.0], [0.0, 1e-9], [1.0, 2.0], [3.0, 1.0], [2.0, 5.0], [4.0, 4.0]])
    estimator = GaussianMixture(3, random_state=0).fit(x)
    told = estimator.diagnose(x)
    assert not told.is_sound and "effective rows" in told["components"]
    assert "reg_covar" in told["components"]
    errors = estimator.standard_errors(x)
    assert np.isnan(errors["covariances"]).all() and errors.notes


def test_single_precision_and_bad_input():
    estimator = GaussianMixture(2, random_state=0).fit(FAITHFUL.astype(np.float32))
    errors = estimator.standard_errors(FAITHFUL.astype(np.float32))
    np.testing.assert_allclose(
        errors["means"], GaussianMixture(2, random_state=0).fit(FAITHFUL).standard_errors(FAITHFUL)["means"], rtol=1e-4
    )
    with pytest.raises(NotFittedError):
        GaussianMixture().standard_errors(FAITHFUL)
    with pytest.raises(ValueError, match="features"):
        estimator.standard_errors(FAITHFUL[:, :1])
    with pytest.raises(ValueError, match="sample_weight"):
        estimator.diagnose(FAITHFUL, [1.0])
    with pytest.raises(ValueError, match="kind"):
        estimator.confint(FAITHFUL, kind="wrong")


def test_too_large_a_mixture_is_refused_with_a_way_out():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((150, 63))
    model = GaussianMixture(1).fit(x)
    with pytest.raises(ValueError, match="simpler covariance"):
        model.standard_errors(x)
    assert "beyond" in model.diagnose(x)["information"]
