"""The whole fit of a mixture: what its parts do not show by themselves."""

import pytest

from jensen import datasets
from jensen.data.arrays import ArraySource
from jensen.fit.mixture import fit_mixture
from jensen.fit.settings import MixtureSettings


@pytest.mark.parametrize("reg_covar", [1e-3, 1e-2, 0.1])
def test_a_ridge_that_smooths_on_purpose_is_no_collapse(reg_covar):
    fit = fit_mixture(ArraySource(datasets.load("iris").data), MixtureSettings(3, reg_covar=reg_covar, seed=0))
    assert fit.is_sound
