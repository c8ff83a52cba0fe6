"""Sums of exponentials at both ends of what floats can hold."""

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from jensen.numerics.logspace import LOG_FLOOR, log_of_shares, normalise_logs


@pytest.mark.parametrize("offset", [0.0, -1e5, 1e5])
def test_equals_scipy(offset):
    logs = 10 * np.random.default_rng(0).standard_normal((4, 50)) + offset
    shares = logs.copy()
    np.testing.assert_allclose(normalise_logs(shares), logsumexp(logs, axis=0), rtol=1e-14)
    np.testing.assert_allclose(shares, softmax(logs, axis=0), rtol=1e-12)
    np.testing.assert_allclose(shares.sum(axis=0), 1.0, rtol=1e-14)


def test_a_row_without_density_has_no_component_and_a_finite_log():
    logs = np.array([[-np.inf, 0.0], [-np.inf, -np.inf]])
    rows = normalise_logs(logs)
    assert rows[1] == 0.0 and np.isfinite(rows[0]) and rows[0] <= LOG_FLOOR
    np.testing.assert_array_equal(logs, [[0.0, 1.0], [0.0, 0.0]])


def test_no_share_has_the_log_minus_infinity():
    np.testing.assert_array_equal(log_of_shares(np.array([0.0, 1.0])), [-np.inf, 0.0])
