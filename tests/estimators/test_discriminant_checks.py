"""scikit-learn's checks of every estimator, on the classifier; none is expected to fail."""

import pytest
from sklearn.utils.estimator_checks import check_estimator

from jensen import MixtureDiscriminantAnalysis

# The checks bring classes of few rows.
pytestmark = pytest.mark.filterwarnings("ignore::jensen.JensenWarning", "ignore::sklearn.exceptions.SkipTestWarning")

CASES = {
    "edda": {"kind": "edda"},
    "edda, with a mark of unlabelled rows": {"kind": "edda", "unlabelled": -9},
    "edda, equal shares": {"kind": "edda", "priors": "equal"},
    "mixture": {"n_components": [1, 2], "covariance_type": ["EII", "diag"], "n_init": 1},
    "mixture of one": {"n_components": 1, "covariance_type": "EEI"},
}


@pytest.mark.parametrize("arguments", CASES.values(), ids=CASES)
def test_all_checks(arguments):
    results = check_estimator(MixtureDiscriminantAnalysis(**arguments, random_state=0), on_skip=None)
    skipped = {result["check_name"] for result in results if result["status"] == "skipped"}
    assert skipped <= {"check_array_api_input"}
    assert "check_sample_weight_equivalence_on_dense_data" in {result["check_name"] for result in results}
