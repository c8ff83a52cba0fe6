"""Every domain maps its values one to one onto free vectors, and its Jacobian is the derivative of that."""

import numpy as np
import pytest

from jensen.core.domains import Interval, Positive, PositiveDefinite, Real, Simplex


def covariances(*stack, d=3):
    roots = np.random.default_rng(0).standard_normal((*stack, d, d))
    return roots @ np.swapaxes(roots, -1, -2) + np.eye(d)


# Domain, a value inside, and values outside with a word of the reason.
CASES = {
    "real": (Real((2, 3)), np.arange(6.0).reshape(2, 3), [(np.full((2, 3), np.nan), "finite")]),
    "positive": (Positive((3,)), np.array([1e-200, 1.0, 1e200]), [(np.array([1.0, 0.0, 1.0]), "positive")]),
    "interval": (Interval((2,), -1.0, 3.0), np.array([-0.5, 2.9]), [(np.array([0.0, 3.1]), "between -1 and 3")]),
    "simplex": (
        Simplex(4),
        np.array([0.1, 0.2, 0.3, 0.4]),
        [(np.array([-0.1, 0.2, 0.4, 0.5]), "at least 0"), (np.full(4, 0.3), "sum to 1, not 1.2")],
    ),
    "stack": (PositiveDefinite(3, (2,)), covariances(2), [(np.zeros((2, 3, 3)), "positive definite")]),
    "matrix": (
        PositiveDefinite(2),
        covariances(d=2),
        [(np.array([[1.0, 0.5], [0.0, 1.0]]), "symmetric"), (np.full((2, 2), np.inf), "finite")],
    ),
}
each = pytest.mark.parametrize("domain, value, outside", CASES.values(), ids=CASES)


@each
def test_round_trip_from_both_ends(domain, value, outside):
    free = domain.to_free(value)
    assert free.shape == (domain.size,) and value.shape == domain.shape
    np.testing.assert_allclose(domain.from_free(free), value, rtol=1e-12)
    anywhere = np.random.default_rng(1).standard_normal(domain.size)
    inside = domain.from_free(anywhere)
    assert domain.check(inside) is None
    np.testing.assert_allclose(domain.to_free(inside), anywhere, rtol=1e-11, atol=1e-13)


@each
def test_jacobian_is_the_derivative(domain, value, outside):
    free = np.random.default_rng(2).standard_normal(domain.size)
    step = 1e-5
    numeric = np.column_stack(
        [
            (domain.from_free(free + step * unit) - domain.from_free(free - step * unit)).ravel() / (2 * step)
            for unit in np.eye(domain.size)
        ]
    )
    np.testing.assert_allclose(domain.jacobian(domain.from_free(free)), numeric, rtol=1e-7, atol=1e-8)


@each
def test_check_gives_the_reason(domain, value, outside):
    assert domain.check(value) is None
    for wrong, reason in outside:
        assert reason in domain.check(wrong)


def test_edges_have_finite_coordinates():
    assert np.isfinite(Simplex(3).to_free(np.array([0.0, 0.4, 0.6]))).all()
    assert np.isfinite(Interval((2,)).to_free(np.array([0.0, 1.0]))).all()
    np.testing.assert_array_equal(Interval((2,)).from_free(np.array([-1e4, 1e4])), [0.0, 1.0])
    np.testing.assert_array_equal(Simplex(2).from_free(np.array([1e4])), [1.0, 0.0])


def test_small_matrices_must_be_symmetric_in_their_own_units():
    small = 1e-12 * np.array([[2.0, 1.0], [0.5, 2.0]])
    assert PositiveDefinite(2).check(small) == "every matrix must be symmetric"
