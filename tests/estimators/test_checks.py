"""scikit-learn's checks of every estimator, sample-weight equivalence included; none is expected to fail."""

from itertools import product

import pytest
from mixtures import SHAPES
from sklearn.utils.estimator_checks import check_estimator

from jensen import GaussianMixture
from jensen.fit.starts.draw import START_KINDS

# The checks bring data on which no such mixture is sound: fewer rows than columns, more components than groups.
pytestmark = pytest.mark.filterwarnings("ignore::jensen.JensenWarning", "ignore::sklearn.exceptions.SkipTestWarning")

N_COMPONENTS = (1, 2, 3, 5)
# Several starts go through the same code whatever their kind: each kind meets each K once, with another shape.
CASES = [(k, shape, start, 1) for k, shape, start in product(N_COMPONENTS, SHAPES, START_KINDS)] + [
    (k, SHAPES[(i + j) % 4], start, 3) for i, k in enumerate(N_COMPONENTS) for j, start in enumerate(START_KINDS)
]


@pytest.mark.parametrize(("n_components", "shape", "start", "n_init"), CASES)
def test_all_checks(n_components, shape, start, n_init):
    # Some checks leave the seed as it is. On their grid of 12 rows one start in twenty is nearly on a saddle, where EM
    # crawls beyond any limit and says so; with fresh entropy that warning would come now and then.
    estimator = GaussianMixture(n_components, covariance_type=shape, init_params=start, n_init=n_init, random_state=0)
    results = check_estimator(estimator, on_skip=None)
    skipped = {result["check_name"] for result in results if result["status"] == "skipped"}
    assert skipped <= {"check_array_api_input"}
    assert "check_sample_weight_equivalence_on_dense_data" in {result["check_name"] for result in results}
