"""Whatever climbed, standard errors belong to the maximum of the likelihood."""

import numpy as np
import pytest
from examples import example

import jensen
from jensen.families.gaussian import Gaussian
from jensen.models.mixture import Mixture

WAITING = jensen.datasets.load("faithful").data[:, 1]
START = {"weights": [0.4, 0.6], "means": [[55.0], [80.0]], "covariances": [[[30.0]], [[30.0]]]}


def fit(model=None, **options):
    return jensen.em(model or Mixture(Gaussian(2, 1)), WAITING, START, **options)


@pytest.mark.parametrize("name", ["Hard", "Incremental", "Stochastic", "Annealed"])
def test_other_ways_to_climb(name):
    expected = fit().standard_errors()
    told = fit(solver=getattr(jensen.solvers, name)())
    errors = told.standard_errors()
    for parameter in errors.values:
        np.testing.assert_allclose(errors[parameter], expected[parameter], rtol=1e-7)
    # Hard EM ends elsewhere, and is told so.
    assert any("running on moved it" in note for note in errors.notes) == (name == "Hard")
    found = told.diagnose()
    assert found.rate is not None
    assert ("not the plain log-likelihood" in found["to gain"]) == (name == "Hard")


def test_a_family_without_derivatives_goes_by_differences():
    class Plainer(Gaussian):
        @property
        def derivatives(self):
            raise AttributeError("derivatives")

    errors, expected = fit(Mixture(Plainer(2, 1))).standard_errors(), fit().standard_errors()
    assert errors.method == "differences of the EM map (Oakes)"
    for parameter in errors.values:
        np.testing.assert_allclose(errors[parameter], expected[parameter], rtol=1e-6)


def test_known_labels_leave_less_to_be_missed():
    # Labels in the overlap tell what the rows alone do not.
    labels = np.where(WAITING < 67, 0, 1)
    labelled, plain = fit(labels=labels), fit()
    assert labelled.em_rate().overall == pytest.approx(0.0, abs=1e-6)
    errors = labelled.standard_errors()
    n, inside = len(WAITING), WAITING[labels == 0]
    share = inside.size / n
    # With every label known these are the textbook's.
    assert float(errors["weights"][0]) == pytest.approx(np.sqrt(share * (1 - share) / n), rel=1e-6)
    assert float(errors["means"][0, 0]) == pytest.approx(inside.std() / np.sqrt(inside.size), rel=1e-6)
    assert plain.em_rate().overall > 0.5


def test_the_rate_of_several_stages_is_that_of_a_whole_cycle():
    class Twice(example("linkage").Linkage):
        @property
        def stages(self):
            return super().stages * 2

    counts, start = [[125, 18, 20, 34]], {"t": 0.5}
    once, twice = (jensen.em(model, counts, start).em_rate() for model in (example("linkage").Linkage(), Twice()))
    assert twice.overall == pytest.approx(once.overall**2, rel=1e-6) and "EM map" in twice.method
