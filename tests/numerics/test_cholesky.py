"""Factors of stacks of matrices."""

import numpy as np
import pytest

from jensen.errors import NumericalFailure
from jensen.numerics.cholesky import lower_factors, symmetric, triangular_inverses

ROOTS = np.random.default_rng(0).standard_normal((4, 3, 3))
MATRICES = ROOTS @ ROOTS.transpose(0, 2, 1)


@pytest.mark.parametrize("matrices", [MATRICES, MATRICES[0]], ids=["stack", "one"])
def test_inverse_of_the_factor(matrices):
    factors = lower_factors(matrices)
    np.testing.assert_allclose(factors @ np.swapaxes(factors, -1, -2), matrices, rtol=1e-12, atol=1e-13)
    inverses = triangular_inverses(factors)
    np.testing.assert_array_equal(inverses, np.tril(inverses))
    np.testing.assert_allclose(inverses @ factors, np.broadcast_to(np.eye(3), matrices.shape), atol=1e-10)


def test_failure_names_the_component():
    stack = MATRICES.copy()
    stack[[1, 3]] = -np.eye(3)
    with pytest.raises(NumericalFailure, match=r"component \[1, 3\] is not positive definite"):
        lower_factors(stack)


def test_symmetric_part():
    np.testing.assert_array_equal(symmetric(np.array([[1.0, 2.0], [4.0, 3.0]])), [[1.0, 3.0], [3.0, 3.0]])
