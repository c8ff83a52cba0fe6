"""Extrapolations, on maps whose fixed point and rate are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jensen.solve.extrapolation import Anderson, Image, QuasiNewton, Squarem, slowest_rate, units


def linear(seed, eigenvalues):
    """A linear map of given eigenvalues about a fixed point, and that point."""
    rng = np.random.default_rng(seed)
    p = len(eigenvalues)
    basis = np.linalg.qr(rng.standard_normal((p, p)))[0] + 0.2 * rng.standard_normal((p, p))
    matrix = basis @ np.diag(eigenvalues) @ np.linalg.solve(basis, np.eye(p))
    fixed = rng.standard_normal(p)
    return lambda x: fixed + matrix @ (x - fixed), fixed


def unit_of(images):
    """What the solver measures in after some images."""
    unit = None
    for image in images:
        unit = units(image, unit)
    return unit


def plain_images(step, x, n):
    """Images of consecutive plain steps."""
    images = []
    for _ in range(n):
        images.append(Image(x, step(x)))
        x = images[-1].fx
    return images


@given(st.integers(0, 2**16))
@pytest.mark.parametrize("method", [Anderson(), QuasiNewton()])
def test_a_linear_map_is_solved_once_every_direction_is_known(method, seed):
    step, fixed = linear(seed, [0.95, 0.6, 0.2])
    points = fixed + np.eye(4, 3) + 0.1 * np.random.default_rng(seed).standard_normal((4, 3))
    images = [Image(x, step(x)) for x in points]
    assert method.propose(images, unit_of(images)) == pytest.approx(fixed, abs=1e-8)


@given(st.floats(0.1, 0.999), st.floats(-5.0, 5.0))
@pytest.mark.parametrize("method", [Squarem(), Anderson(), QuasiNewton()])
def test_in_one_dimension_two_steps_tell_the_end(method, rate, fixed):
    images = plain_images(lambda x: fixed + rate * (x - fixed), np.array([fixed + 1.0]), 2)
    assert method.propose(images, unit_of(images)) == pytest.approx(fixed, abs=1e-9)


@pytest.mark.parametrize("method", [Squarem(), Anderson(), QuasiNewton()])
def test_units_of_the_coordinates_do_not_matter(method):
    step, _ = linear(1, [0.98, 0.7, 0.3, 0.1])
    images = plain_images(step, np.array([1.0, -2.0, 3.0, 0.5]), 3)
    scale = np.array([1.0, 2.0**20, 2.0**-20, 4.0])
    scaled = [Image(images[0].x * scale, images[0].fx * scale)]
    for image in images[1:]:
        scaled.append(Image(scaled[-1].fx, image.fx * scale))
    here, there = method.propose(images, unit_of(images)), method.propose(scaled, unit_of(scaled))
    np.testing.assert_allclose(there, here * scale, rtol=1e-8)
    assert slowest_rate(scaled, unit_of(scaled)) == pytest.approx(slowest_rate(images, unit_of(images)), rel=1e-8)


@pytest.mark.parametrize("eigenvalues", [[0.9, 0.5, 0.1], [0.999, 0.9, 0.2], [1.05, 0.6, 0.1]])
def test_the_rate_is_the_largest_eigenvalue(eigenvalues):
    step, fixed = linear(2, eigenvalues)
    points = fixed + np.random.default_rng(0).standard_normal((4, 3))
    images = [Image(x, step(x)) for x in points]
    assert slowest_rate(images, unit_of(images)) == pytest.approx(eigenvalues[0], rel=1e-6)
    assert slowest_rate(images[:1], unit_of(images)) == 0.0


def test_newtons_step_does_not_lead_back_to_a_saddle():
    step, fixed = linear(3, [1.05, 0.6, 0.1])
    images = [Image(x, step(x)) for x in fixed + np.random.default_rng(0).standard_normal((4, 3))]
    assert QuasiNewton().propose(images, unit_of(images)) is None


def test_squarem_needs_consecutive_steps_and_waits_until_its_length_has_settled():
    # What is fast hides what is slow at first, and fades.
    images = plain_images(lambda x: np.array([0.99, 0.5]) * x, np.array([0.1, 1.0]), 30)
    apart = [images[0], images[2]]
    assert Squarem().propose(apart, unit_of(apart)) is None
    # A single pair is always taken; three in a row only where a further step would not change the length much.
    assert Squarem().propose(images[:2], unit_of(images)) is not None
    taken = [Squarem().propose(images[i : i + 3], unit_of(images[: i + 3])) is not None for i in range(27)]
    assert not taken[0] and taken[-1]


@pytest.mark.parametrize("method", [Squarem(), Anderson(), QuasiNewton()])
def test_where_nothing_moves_nothing_is_proposed(method):
    still = np.array([1.0, 2.0])
    images = plain_images(lambda x: still, still, 3)
    assert method.propose(images, unit_of(images)) is None
    assert method.propose(images[:1], unit_of(images[:1])) is None
