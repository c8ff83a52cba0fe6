"""EM from fixed starts passes through the same values as R's mclust."""

import numpy as np
import pytest
from mixtures import fit, fixed_em, mixture, start_from
from references import data, in_shape, labels, read_csv, read_json

from jensen.data.arrays import ArraySource

ROWS = read_csv("mclust_fixed_start.csv")
WEIGHTED = read_csv("mclust_weighted_faithful.csv")
EQUAL = read_csv("mclust_equalpro_faithful_G2.csv")
BEST_VVE = read_csv("vve_maximum_likelihood.csv")
# mclust ends its inner iterations early for these.
INNER = {"VEI", "VEE", "EVE", "VEV"}
# The table does not say how many iterations mclust took; at these, and no others, all its digits are met.
WEIGHTED_ITERATIONS = {"EEE": 8, "VVI": 8, "VVV": 25, "EII": 11, "VEV": 14}
PARAMETERS = read_json("mclust_fixed_start_params.json")


def given(row):
    """The start z of a row: labels, or softened responsibilities."""
    hard, n_components = labels(row["start"]), int(row["G"])
    return hard if row["z"] == "hard" else 0.8 * np.eye(n_components)[hard] + 0.2 / n_components


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['start']}-{row['z']}-{row['model']}")
def test_trace_parameters_and_optimum(row):
    x, shape, n_components = data(row["start"]), row["model"], int(row["G"])
    model, n_iter = mixture(n_components, x.shape[1], shape), int(row["iter"])
    start = start_from(model, x, given(row))

    # The start is the first M-step already, and the objective at it is that of the first pair.
    result, rtol = fixed_em(model, x, start, max(n_iter, 10) - 1), 1e-6 if shape in INNER else 1e-8
    for pairs in (1, 2, 5, 10):
        assert result.trace[pairs - 1] == pytest.approx(float(row[f"ll_it{pairs}"]), rel=rtol)
    assert result.trace[n_iter - 1] == pytest.approx(float(row["loglik"]), rel=1e-8)

    if row["z"] == "hard":
        theirs = PARAMETERS[f"{row['start']}/{row['model']}"]
        ours = fixed_em(model, x, start, n_iter - 1).params
        np.testing.assert_allclose(ours["weights"], theirs["pro"], rtol=1e-6)
        np.testing.assert_allclose(ours["means"], np.transpose(theirs["mean"]), rtol=1e-6)
        covariances = in_shape(shape, np.moveaxis(theirs["variance"]["sigma"], 2, 0))
        np.testing.assert_allclose(ours["covariances"], covariances, rtol=1e-6, atol=1e-6 * np.abs(covariances).max())

    converged = fit(x, n_components, covariance_type=shape, reg_covar=0.0, init=given(row))
    assert converged.status.is_converged
    assert converged.objective == pytest.approx(converged.loglik, rel=1e-13)
    assert converged.objective >= float(row["loglik"]) * (1 + 1e-8)


@pytest.mark.parametrize("row", WEIGHTED, ids=lambda row: row["model"])
def test_case_weights(row):
    x, shape = data("faithful_G2"), row["model"]
    weight = (np.arange(len(x)) % 5 + 1) / 5
    model = mixture(2, 2, shape)
    start = start_from(model, x, labels("faithful_G2"), weight)
    result = fixed_em(model, ArraySource(x, weight), start, WEIGHTED_ITERATIONS[row["model"]])
    value = {name: float(text) for name, text in row.items() if name != "model"}
    assert result.objective == pytest.approx(value["loglik"], rel=1e-10)
    means = [[value["m11"], value["m21"]], [value["m12"], value["m22"]]]
    matrices = [[[value[f"s{k}_11"], value[f"s{k}_12"]], [value[f"s{k}_12"], value[f"s{k}_22"]]] for k in (1, 2)]
    assert result.params["weights"][0] == pytest.approx(value["pro1"], rel=1e-10)
    np.testing.assert_allclose(result.params["means"], means, rtol=1e-10)
    np.testing.assert_allclose(result.params["covariances"], in_shape(shape, matrices), rtol=1e-10)


def test_bic_and_numbers_of_free_parameters():
    for row in read_csv("mclust_nparams.csv"):
        for case in list(row)[1:]:
            d, n_components = int(case[1]), int(case[3])
            model = mixture(n_components, d, row["model"])
            assert sum(domain.size for domain in model.domains.values()) == int(row[case])
    x = data("faithful_G2")
    row = next(row for row in ROWS if (row["start"], row["model"], row["z"]) == ("faithful_G2", "VVV", "hard"))
    assert fit(x, 2, reg_covar=0.0, init=labels("faithful_G2")).bic == pytest.approx(-float(row["BIC"]), rel=1e-8)


@pytest.mark.parametrize("row", EQUAL, ids=lambda row: row["model"])
def test_equal_proportions(row):
    found = fit(
        data("faithful_G2"), 2, covariance_type=row["model"], reg_covar=0.0, equal_weights=True,
        init=labels("faithful_G2"), tol=0.0, max_iter=300, n_init=1,
    )  # fmt: skip
    assert found.loglik == pytest.approx(float(row["loglik"]), rel=1e-10)
    assert set(found.params["weights"]) == {0.5}
    assert found.n_free == mixture(2, 2, row["model"]).parameters(**found.params.values).n_free - 1


@pytest.mark.parametrize("row", BEST_VVE, ids=lambda row: row["start"])
def test_vve_is_the_maximum(row):
    found = fit(
        data(row["start"]), int(row["start"][-1]), covariance_type="VVE", reg_covar=0.0, init=labels(row["start"])
    )
    assert found.loglik == pytest.approx(float(row["loglik"]), rel=1e-8)
