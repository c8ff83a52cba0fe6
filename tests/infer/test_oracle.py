"""Standard errors of tiny mixtures against second derivatives taken with 40 digits."""

import mpmath
import numpy as np
import pytest

import jensen
from jensen.families.gaussian import Gaussian
from jensen.models.mixture import Mixture

ROWS = np.array(
    [[0.1, 0.4], [-0.6, 0.2], [0.5, -0.3], [0.0, 1.1], [-1.0, -0.8], [0.7, 0.6]]
    + [[3.1, 2.2], [4.0, 3.9], [2.5, 3.4], [3.6, 2.6], [4.4, 3.0], [2.9, 4.1]]
)
WEIGHT = np.array([1.0, 2.0, 1.0, 1.0, 3.0, 1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0])


def names(shape):
    """The parameters of the oracle: one weight, means, and the entries of one triangle of each covariance."""
    free = ["w"] + [f"m{k}{j}" for k in range(2) for j in range(2)]
    per = {"full": ["00", "10", "11"], "diag": ["00", "11"]}[shape]
    return free + [f"c{k}{entry}" for k in range(2) for entry in per]


def vector(shape, params):
    """Their values."""
    covariances = params["covariances"]
    entries = [
        [covariances[k][0][0], covariances[k][1][0], covariances[k][1][1]] if shape == "full" else covariances[k]
        for k in range(2)
    ]
    return [float(params["weights"][0]), *np.ravel(params["means"]).tolist(), *np.ravel(entries).tolist()]


def loglik(shape, values):
    """The log-likelihood by the textbook, in mpmath."""
    w, m = values[0], [values[1:3], values[3:5]]
    per = 3 if shape == "full" else 2
    total = mpmath.mpf(0)
    for row, weight in zip(ROWS, WEIGHT, strict=True):
        density = mpmath.mpf(0)
        for k, share in enumerate((w, 1 - w)):
            c = values[5 + k * per : 5 + (k + 1) * per]
            a, b, d = c if shape == "full" else (c[0], mpmath.mpf(0), c[1])
            x, y = mpmath.mpf(float(row[0])) - m[k][0], mpmath.mpf(float(row[1])) - m[k][1]
            det = a * d - b * b
            form = (d * x * x - 2 * b * x * y + a * y * y) / det
            density += share * mpmath.exp(-form / 2) / (2 * mpmath.pi * mpmath.sqrt(det))
        total += mpmath.mpf(float(weight)) * mpmath.log(density)
    return total


def hessian(shape, values):
    """Second derivatives by central differences of 40 digits, whose error is far below anything tested."""
    h, n = mpmath.mpf(10) ** -10, len(values)
    values = [mpmath.mpf(value) for value in values]

    def at(*moves):
        moved = list(values)
        for i, step in moves:
            moved[i] += step
        return loglik(shape, moved)

    out = mpmath.matrix(n, n)
    for i in range(n):
        for j in range(i + 1):
            corners = at((i, h), (j, h)) - at((i, h), (j, -h)) - at((i, -h), (j, h)) + at((i, -h), (j, -h))
            out[i, j] = out[j, i] = corners / (4 * h * h)
    return out


@pytest.mark.parametrize("shape", ["full", "diag"])
def test_tiny_mixtures(shape):
    model = Mixture(Gaussian(2, 2, shape))
    one = np.eye(2) if shape == "full" else np.ones(2)
    start = {"weights": [0.5, 0.5], "means": [[0.0, 0.0], [3.0, 3.0]], "covariances": [one, one]}
    fit = jensen.em(model, ROWS, start, sample_weight=WEIGHT)
    errors = fit.standard_errors()
    with mpmath.workdps(40):
        values = vector(shape, errors.params)
        covariance = mpmath.inverse(-hessian(shape, values))
        theirs = [float(mpmath.sqrt(covariance[i, i])) for i in range(len(values))]
    assert len(theirs) == len(names(shape)) == errors.params.n_free
    np.testing.assert_allclose(vector(shape, errors.values), theirs, rtol=1e-6)
    # A function: the difference of the first means, whose gradient is known.
    gap = fit.standard_error_of(lambda params: params["means"][1, 0] - params["means"][0, 0], "gap")
    variance = float(covariance[1, 1] + covariance[3, 3] - 2 * covariance[1, 3])
    assert gap.standard_error == pytest.approx(np.sqrt(variance), rel=1e-6)
