"""EM with the fourteen covariance shapes passes through the values of R's mclust, and turns with the data."""

import numpy as np
import pytest
from references import data, labels, read_csv, read_json

from jensen.families.shapes import SHAPES, maximize_shape, n_covariance_parameters

ROWS = read_csv("mclust_fixed_start.csv")
PARAMETERS = read_json("mclust_fixed_start_params.json")
BEST_VVE = read_csv("vve_maximum_likelihood.csv")
# mclust ends its inner iterations early for these.
INNER = {"VEI", "VEE", "EVE", "VEV"}
AFFINE = {"EEE", "VEE", "EVV", "VVV"}
TURNING = {"EII", "VII", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"}
COLUMNS = {"EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVV", "VVV"}


def given(start, hardness):
    """Responsibilities to begin with: one-hot labels, or softened."""
    hard = np.eye(int(start[-1]))[labels(start)]
    return hardness * hard + (1.0 - hardness) / hard.shape[1]


def em(name, x, responsibilities, n_pairs):
    """Yield the log-likelihood and the parameters after each of so many pairs of M-step and E-step."""
    covariances = None
    for _ in range(n_pairs):
        counts = responsibilities.sum(axis=0)
        means = responsibilities.T @ x / counts[:, None]
        centred = x - means[:, None]
        scatter = np.einsum("nk,kni,knj->kij", responsibilities, centred, centred, optimize=True)
        covariances = maximize_shape(name, counts, scatter, covariances)
        lower = np.linalg.cholesky(covariances)
        whitened = np.linalg.solve(lower, np.swapaxes(centred, 1, 2))
        constants = np.log(counts / len(x)) - np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
        joint = constants[:, None] - 0.5 * (whitened**2).sum(axis=1) - 0.5 * x.shape[1] * np.log(2 * np.pi)
        rows = np.logaddexp.reduce(joint, axis=0)
        responsibilities = np.exp(joint - rows).T
        yield rows.sum(), counts / len(x), means, covariances


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['start']}-{row['z']}-{row['model']}")
def test_path_and_end_are_those_of_mclust(row):
    name, n_iter = row["model"], int(row["iter"])
    start = given(row["start"], 1.0 if row["z"] == "hard" else 0.8)
    steps = list(em(name, data(row["start"]), start, max(n_iter, 10)))
    rtol = 1e-6 if name in INNER else 1e-8
    for pairs in (1, 2, 5, 10):
        assert steps[pairs - 1][0] == pytest.approx(float(row[f"ll_it{pairs}"]), rel=rtol)
    loglik, weights, means, covariances = steps[n_iter - 1]
    # Ends do not depend on inner tolerances.
    assert loglik == pytest.approx(float(row["loglik"]), rel=1e-11)
    if row["z"] == "hard":
        theirs = PARAMETERS[f"{row['start']}/{name}"]
        np.testing.assert_allclose(weights, theirs["pro"], rtol=1e-6)
        np.testing.assert_allclose(means, np.transpose(theirs["mean"]), rtol=1e-6)
        size = np.abs(covariances).max()
        sigma = np.moveaxis(np.asarray(theirs["variance"]["sigma"]), 2, 0)
        np.testing.assert_allclose(covariances, sigma, rtol=1e-6, atol=1e-6 * size)


@pytest.mark.parametrize("hardness", [1.0, 0.8])
@pytest.mark.parametrize("row", BEST_VVE, ids=lambda row: row["start"])
def test_vve_is_the_maximum(row, hardness):
    trace = np.array([step[0] for step in em("VVE", data(row["start"]), given(row["start"], hardness), 400)])
    assert trace[-1] >= float(row["loglik"]) - 1e-6
    assert trace[-1] == pytest.approx(float(row["loglik"]), rel=1e-8)
    assert np.diff(trace).min() >= -1e-11 * abs(trace[-1])


def test_numbers_of_free_parameters_are_those_of_mclust():
    rows = read_csv("mclust_nparams.csv")
    assert [row["model"] for row in rows] == list(SHAPES)
    for row in rows:
        for case in list(row)[1:]:
            d, n_components = int(case[1]), int(case[3])
            ours = n_covariance_parameters(row["model"], d, n_components) + n_components * d + n_components - 1
            assert ours == int(row[case]), (row["model"], case)


# --------------------------------------------------------------------------------------------- equivariance


def matrices(d):
    """A matrix of each kind that some shapes do not notice, and the shapes."""
    rng = np.random.default_rng(d)
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return {
        "affine": (rng.standard_normal((d, d)) + 2.0 * rotation, AFFINE),
        "rotation": (rotation, TURNING),
        "scale": (1e3 * np.eye(d), set(SHAPES)),
        "columns": (np.diag(10.0 ** rng.uniform(-3, 3, d)), COLUMNS),
    }


CASES = [(kind, name) for kind, (_, names) in matrices(2).items() for name in SHAPES if name in names]


@pytest.mark.parametrize("start", ["faithful_G3", "iris_G3"])
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_what_a_shape_does_not_notice(kind, name, start):
    x = data(start)
    matrix = matrices(x.shape[1])[kind][0]
    *_, (loglik, weights, means, covariances) = em(name, x, given(start, 0.9), 12)
    *_, (loglik_there, weights_there, means_there, covariances_there) = em(name, x @ matrix.T, given(start, 0.9), 12)
    shift = len(x) * np.linalg.slogdet(matrix)[1]
    assert loglik_there + shift == pytest.approx(loglik, rel=1e-8)
    np.testing.assert_allclose(weights_there, weights, rtol=1e-8)
    np.testing.assert_allclose(np.linalg.solve(matrix, means_there.T).T, means, rtol=1e-8)
    back = np.linalg.solve(matrix, np.swapaxes(np.linalg.solve(matrix, covariances_there), 1, 2))
    np.testing.assert_allclose(back, covariances, rtol=1e-8, atol=1e-8 * np.abs(covariances).max())


@pytest.mark.parametrize(("kind", "names"), [("rotation", TURNING), ("columns", COLUMNS), ("affine", AFFINE)])
def test_and_what_it_does_notice(kind, names):
    x, start = data("iris_G3"), given("iris_G3", 0.9)
    matrix = matrices(4)[kind][0]
    shift = len(x) * np.linalg.slogdet(matrix)[1]
    for name in set(SHAPES) - names:
        here, there = (list(em(name, rows, start, 3))[-1][0] for rows in (x, x @ matrix.T))
        assert abs(there + shift - here) > 1e-3, name
