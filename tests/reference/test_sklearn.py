"""EM from fixed parameters passes through the same values as scikit-learn's, and ends where it ends."""

import numpy as np
import pytest
from mixtures import fixed_em, mixture
from references import data, read_csv, read_json

from jensen.data.arrays import ArraySource

ROWS = read_csv("sklearn_fixed_start.csv")
FITS = read_json("sklearn_fixed_start_params.json")["fits"]


def start_of(model, shape, init):
    """Parameters from weights, means and precisions."""
    precisions = np.asarray(init["precisions"])
    covariances = 1.0 / precisions if shape in ("diag", "spherical") else np.linalg.inv(precisions)
    return model.parameters(weights=init["weights"], means=init["means"], covariances=covariances)


def check(params, theirs, rtol):
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(params[name], theirs[name], rtol=rtol, atol=rtol * 1e-3, err_msg=name)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['start']}-{row['cov']}-{row['reg_covar']}")
def test_trace_and_end(row):
    x, shape, ridge = data(row["start"]), row["cov"], float(row["reg_covar"])
    theirs = FITS[f"{row['start']}/{shape}/{ridge:g}"]
    model = mixture(len(theirs["weights"]), x.shape[1], shape, ridge)
    start, n_iter, loglik = start_of(model, shape, theirs["init"]), int(row["n_iter"]), float(row["loglik"])
    if ridge == 0.0:
        result = fixed_em(model, x, start, n_iter)
        for pairs in (1, 2, 5):
            assert result.trace[pairs] == pytest.approx(float(row[f"ll_after_{pairs}"]), rel=1e-8)
        assert result.objective == pytest.approx(loglik, rel=1e-8)
        check(result.params, theirs, 1e-6)
    else:
        # Their E-step knows no penalty, so the paths differ by the ridge; the ends agree.
        result = fixed_em(model, x, start, 1000)
        plain = ArraySource(x).fold(mixture(model.n_components, x.shape[1], shape).assess, result.params)
        assert plain.loglik == pytest.approx(loglik, rel=1e-8)
        check(result.params, theirs, 1e-4)
