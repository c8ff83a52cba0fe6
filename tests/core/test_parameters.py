"""Parameters are a frozen record with domains."""

import numpy as np
import pytest

from jensen.core.domains import Positive, Real, Simplex
from jensen.core.parameters import Parameters
from jensen.errors import InputError

DOMAINS = {"weights": Simplex(3), "means": Real((3, 2)), "variances": Positive((3,))}


@pytest.fixture
def params():
    return Parameters(
        {"weights": [0.2, 0.3, 0.5], "means": np.arange(6).reshape(3, 2), "variances": [1, 2, 3]}, DOMAINS
    )


def test_values_are_copies_that_nobody_can_write_to(params):
    mine = np.ones((3, 2))
    held = params.replace(means=mine)
    mine[0, 0] = 7.0
    assert held["means"][0, 0] == 1.0 and params["means"][0, 0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        held["means"][0, 0] = 7.0
    with pytest.raises(TypeError):
        held.values["means"] = mine


def test_free_vector_round_trip(params):
    free = params.to_free()
    assert free.shape == (params.n_free,) == (2 + 6 + 3,)
    back = params.from_free(free)
    for name in DOMAINS:
        np.testing.assert_allclose(back[name], params[name], rtol=1e-14, atol=1e-15)


def test_names_and_shapes_are_checked_at_once_and_values_on_demand(params):
    with pytest.raises(InputError, match="'means' should have the shape \\(3, 2\\), but got \\(2, 3\\)"):
        params.replace(means=np.zeros((2, 3)))
    with pytest.raises(InputError, match="do not match the expected"):
        params.replace(mean=np.zeros((3, 2)))
    params.check()
    bad = params.replace(variances=[1.0, -1.0, 1.0])
    assert bad.is_finite and not params.replace(means=np.full((3, 2), np.nan)).is_finite
    with pytest.raises(InputError, match="'variances' is outside its domain: every entry must be positive"):
        bad.check()


def test_derived_is_computed_once_for_each_record(params):
    calls = []

    def compute(record):
        calls.append(record)
        return object()

    assert params.derived("thing", compute) is params.derived("thing", compute)
    other = params.replace(means=np.zeros((3, 2)))
    assert other.derived("thing", compute) is not params.derived("thing", compute)
    assert calls == [params, other]


def test_repr_is_short(params):
    assert repr(params) == "Parameters(weights[3], means[3, 2], variances[3])"
