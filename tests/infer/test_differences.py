"""Differences agree with derivatives in closed form, and know how far off they are."""

import numpy as np
import pytest

from jensen.infer.differences import curvature_scale, first_derivative, hessian, second_derivative


@pytest.mark.parametrize("at", [0.0, 0.7, -1.3])
def test_first_and_second_derivatives(at):
    value, error = first_derivative(lambda t: np.array([np.exp(at + t), np.sin(at + t)]), 0.4)
    exact = np.array([np.exp(at), np.cos(at)])
    np.testing.assert_allclose(value, exact, rtol=1e-8, atol=1e-9)
    assert (np.abs(value - exact) <= error + 1e-15).all() and (error < 1e-5).all()
    second, _ = second_derivative(lambda t: np.exp(at + t), np.exp(at), 0.4)
    assert float(second) == pytest.approx(np.exp(at), rel=1e-8)


def test_extrapolation_gains_many_digits():
    plain = (np.exp(0.4) - np.exp(-0.4)) / 0.8
    value, _ = first_derivative(np.exp, 0.4)
    assert abs(float(value) - 1.0) < 1e-6 * abs(plain - 1.0)


def test_error_estimates_see_a_kink():
    _, error = first_derivative(lambda t: np.cbrt(t - 0.05), 0.4)
    assert float(error) > 1e-3


def test_hessian_of_a_quadratic():
    rng = np.random.default_rng(0)
    root = rng.standard_normal((4, 4))
    found, error = hessian(lambda u: float(u @ root @ root.T @ u) / 2 + u.sum(), 4, 0.5)
    np.testing.assert_allclose(found, root @ root.T, atol=1e-11)
    assert error < 1e-10


def test_hessian_with_mixed_terms():
    def function(u):
        return float(np.exp(u[0] * u[1]) + np.sin(u[0] + 2 * u[2]) + u[1] ** 3)

    found, _ = hessian(function, 3, 0.2)
    np.testing.assert_allclose(found, [[0, 1, 0], [1, 0, 0], [0, 0, 0]], atol=1e-7)


@pytest.mark.parametrize("width", [1e-6, 1.0, 1e6])
def test_scale_is_a_standard_error(width):
    scale = curvature_scale(lambda t: -0.5 * (t / width) ** 2, 0.0, guess=width * 0.03)
    assert scale == pytest.approx(width, rel=1e-6)


def test_scale_of_a_flat_function_is_the_guess():
    assert curvature_scale(lambda t: 3.0, 3.0, guess=0.1) == 0.1
