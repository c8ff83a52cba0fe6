"""The default rule stops where going on would change nothing that anybody can see."""

import numpy as np
import pytest
from mixtures import fit, fixed_em

from jensen import datasets


def overlapping():
    """Two unit Gaussians two standard deviations apart, a quarter and three quarters of 3000 rows."""
    rng = np.random.default_rng(0)
    return np.where(rng.random(3000) < 0.25, rng.normal(-1, 1, 3000), rng.normal(1, 1, 3000))[:, None]


CASES = {
    "faithful K=2": ("faithful", 2, "full"),
    "faithful K=3": ("faithful", 3, "full"),
    "faithful K=3 diag": ("faithful", 3, "diag"),
    "iris K=3 diag": ("iris", 3, "diag"),
    "galaxies K=4": ("galaxies", 4, "spherical"),
    "overlapping": ("overlapping", 2, "full"),
}


@pytest.mark.parametrize("name, n_components, shape", CASES.values(), ids=CASES)
def test_default_fit_is_where_thousands_of_iterations_end(name, n_components, shape):
    x = overlapping() if name == "overlapping" else datasets.load(name).data
    result = fit(x, n_components, covariance_type=shape)
    assert result.status.is_converged and result.is_sound
    on = fixed_em(result.model, x, result.params, 3000)
    for parameter, value in on.params.values.items():
        np.testing.assert_allclose(result.params[parameter], value, rtol=1e-3, err_msg=parameter)
    # What was left to gain is what the rule promises, up to what rounding leaves of it.
    assert on.objective - result.objective <= 1.05 * max(1e-6, 1e-9 * len(x))


def test_scikit_learns_rule_is_there_and_stops_early():
    x = datasets.load("faithful").data
    early, converged = fit(x, 3, tol=1e-3), fit(x, 3)
    assert early.status.is_converged and early.n_iter < converged.n_iter / 3
    assert converged.objective > early.objective + 0.01
    assert fit(x, 3, tol=0.0, max_iter=7).n_iter == 7
