"""The conjugate prior: its M-step in the textbook's form, its defaults, and what the objective says of it."""

import numpy as np
import pytest
from mixtures import fixed_em, start_from
from scipy.stats import invwishart, multivariate_normal

from jensen import ConjugatePrior, GaussianMixture, datasets
from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.fit.mixture import mixture_of
from jensen.fit.settings import MixtureSettings
from jensen.fit.summary import summarise

X = datasets.load("iris").data
N, D = X.shape
LABELS = np.repeat([0, 1, 2], 50)


def model_of(name, prior, n_components=3, x=X):
    source = ArraySource(x)
    return mixture_of(MixtureSettings(n_components, name, 0.0, prior=prior), source, summarise(source, 0))


def step(name, prior):
    """The M-step from hard labels, written out as Fraley & Raftery (2007, table 3) do."""
    model = model_of(name, prior)
    return model, start_from(model, X, LABELS)


def about(labels=LABELS, k=3):
    means = np.stack([X[labels == j].mean(axis=0) for j in range(k)])
    scatter = np.stack([(X[labels == j] - means[j]).T @ (X[labels == j] - means[j]) for j in range(k)])
    return np.full(k, 50.0), means, scatter


def test_ellipsoidal_defaults_are_those_of_fraley_and_raftery():
    kappa, nu, centre = 0.01, D + 2, X.mean(axis=0)
    scale = np.cov(X.T) / 3 ** (2 / D)
    counts, means, scatter = about()
    _, found = step("VVV", ConjugatePrior())
    np.testing.assert_allclose(found["means"], (50 * means + kappa * centre) / (50 + kappa), rtol=1e-12)
    pull = (50 * kappa / (50 + kappa)) * np.einsum("ki,kj->kij", means - centre, means - centre)
    np.testing.assert_allclose(found["covariances"], (scale + pull + scatter) / (nu + 50 + D + 2), rtol=1e-12)
    # One covariance for all has one prior, and every mean pulls on it.
    _, tied = step("EEE", ConjugatePrior())
    expected = (scale + (pull + scatter).sum(axis=0)) / (nu + D + 1 + N + 3)
    np.testing.assert_allclose(tied["covariances"], expected, rtol=1e-12)


def test_shapes_along_the_axes_take_a_scalar():
    kappa, nu, centre = 0.01, D + 2, X.mean(axis=0)
    variance = X.var(axis=0, ddof=1).mean() / 3 ** (2 / D)
    counts, means, scatter = about()
    pull = (50 * kappa / (50 + kappa)) * (means - centre) ** 2
    total = pull + np.diagonal(scatter, axis1=1, axis2=2)
    _, diag = step("VVI", ConjugatePrior())
    np.testing.assert_allclose(diag["covariances"], (variance + total) / (nu + 50 + 3), rtol=1e-12)
    _, round_ = step("VII", ConjugatePrior())
    np.testing.assert_allclose(
        round_["covariances"], (variance + total.sum(axis=1)) / (nu + 50 * D + D + 2), rtol=1e-12
    )
    _, same = step("EEI", ConjugatePrior())
    np.testing.assert_allclose(same["covariances"][0], (variance + total.sum(axis=0)) / (nu + N + 3 + 2), rtol=1e-12)
    _, ball = step("EII", ConjugatePrior())
    np.testing.assert_allclose(ball["covariances"], (variance + total.sum()) / (nu + N * D + 3 * D + 2), rtol=1e-12)


def test_the_objective_is_the_log_posterior_but_for_a_constant():
    prior = ConjugatePrior(shrinkage=0.5, mean=[5.0, 3.0, 4.0, 1.0], dof=8.0, scale=np.diag([1.0, 2.0, 3.0, 0.5]))
    model, params = step("VVV", prior)
    other = params.replace(means=params["means"] + 0.3, covariances=params["covariances"] * 1.7)

    def posterior(at):
        joint = [
            w * multivariate_normal(m, s).pdf(X)
            for w, m, s in zip(at["weights"], at["means"], at["covariances"], strict=True)
        ]
        of_prior = sum(
            invwishart(8.0, prior.scale).logpdf(s) + multivariate_normal(prior.mean, s / 0.5).logpdf(m)
            for m, s in zip(at["means"], at["covariances"], strict=True)
        )
        return np.log(np.sum(joint, axis=0)).sum() + of_prior

    def objective(at):
        return model.objective(at, ArraySource(X).fold(model.expect, at))

    assert objective(params) - objective(other) == pytest.approx(posterior(params) - posterior(other), rel=1e-11)


@pytest.mark.parametrize("name", ["VVV", "EEE", "VVI", "VII", "EII", "EEI", "VEV", "VVE", "EVI", "EVV"])
def test_the_end_is_a_fixed_point_of_the_m_step(name):
    model = model_of(name, ConjugatePrior())
    params = fixed_em(model, X, start_from(model, X, LABELS), 4000).params
    again = model.maximize(params, ArraySource(X).fold(model.expect, params))
    for key, value in params.values.items():
        np.testing.assert_allclose(again[key], value, rtol=1e-10, atol=1e-10)


def test_a_component_without_rows_falls_back_on_the_prior():
    model = model_of("VVV", ConjugatePrior(), 4)
    params = start_from(model, X, LABELS)
    scale = np.cov(X.T) / 4 ** (2 / D)
    np.testing.assert_allclose(params["covariances"][3], scale / (2 * D + 4), rtol=1e-10)
    assert model.faults(params, ArraySource(X).fold(model.expect, params)) == ()


def test_what_spoils_plain_fits_does_no_harm():
    x = np.concatenate([X, X[:1], X[:1], X[:1] + 1e-9])
    model = GaussianMixture(9, prior="conjugate", reg_covar=0, random_state=0, n_init=5).fit(x)
    assert model.fit_result_.is_sound
    assert np.diff(model.fit_result_.trace).min() >= -1e-12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shrinkage": -1}, "shrinkage of the prior must be a number of at least 0, got -1"),
        ({"dof": np.inf}, "dof of the prior must be a number"),
        ({"dof": 1.0}, "dof of the prior must be above d - 1 = 3, got 1"),
        ({"mean": [1.0]}, r"mean of the prior must be finite and of shape \(4,\), got shape \(1,\)"),
        ({"scale": np.ones((2, 2))}, r"scale of the prior must be finite and of shape \(4, 4\)"),
        ({"scale": -np.eye(4)}, "scale of the prior must be symmetric, without negative eigenvalues"),
    ],
)
def test_unusable_priors_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        GaussianMixture(2, prior=ConjugatePrior(**arguments)).fit(X)


def test_a_ratio_is_refused_where_the_shape_has_none():
    with pytest.raises(InputError, match="eigenvalue_ratio goes with EII, .* and covariance_type is VEV"):
        GaussianMixture(2, covariance_type="VEV", eigenvalue_ratio=10.0).fit(X)
