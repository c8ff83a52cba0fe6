"""Do domains map their values onto free coordinates and back?"""

from __future__ import annotations

import numpy as np

from jensen.core.block import Array
from jensen.core.parameters import Parameters
from jensen.testing.report import Suite, shown

_CLOSE = 1e-7


def check_domains(suite: Suite, params: Parameters, unit: Array, rng: np.random.Generator) -> None:
    """Check that every domain inverts its own map, keeps inside itself, and knows the map's derivatives.

    Parameters
    ----------
    suite : Suite
        Whom to blame.
    params : Parameters
        A point inside the domains.
    unit : ndarray of shape (n_free,)
        How far free coordinates may sensibly move.
    rng : Generator
        Where random points come from.

    Raises
    ------
    ConformanceError
        If one does not; the message names the parameter and the method.
    """
    start = 0
    for name, domain in params.domains.items():
        own, value = unit[start : start + domain.size], params[name]
        start += domain.size

        def blamed(method: str, fault: str, name: str = name) -> Exception:
            return suite.blame(f"domains['{name}'].{method}", fault)

        here = suite.call(f"domains['{name}'].to_free", domain.to_free, value)
        if np.shape(here) != (domain.size,):
            raise blamed("to_free", f"returned the shape {np.shape(here)}; expected ({domain.size},)")
        for move in (0.0, 0.5, 2.0):
            free = here + move * own * rng.standard_normal(domain.size)
            there = np.asarray(suite.call(f"domains['{name}'].from_free", domain.from_free, free))
            if there.shape != domain.shape:
                raise blamed("from_free", f"returned the shape {there.shape}; expected {domain.shape}")
            if move == 0.0 and not _close(there, value):
                raise blamed("from_free", f"to_free and back made {shown(there)} of {shown(value)}; expected the same")
            fault = domain.check(there)
            if fault is not None:
                raise blamed("from_free", f"left the domain at the coordinates {shown(free)}: {fault}")
            back = np.asarray(domain.to_free(there))
            if not _close(back, free):
                raise blamed("to_free", f"made {shown(back)} of the value at {shown(free)}; expected the same")
            _check_jacobian(suite, name, domain, free, own)
        if np.shape(domain.boundary(value)) != domain.shape:
            raise blamed("boundary", f"returned the shape {np.shape(domain.boundary(value))}; expected {domain.shape}")


def _check_jacobian(suite: Suite, name: str, domain: object, free: Array, unit: Array) -> None:
    value = domain.from_free(free)  # type: ignore[attr-defined]
    found = np.asarray(suite.call(f"domains['{name}'].jacobian", domain.jacobian, value))  # type: ignore[attr-defined]
    if found.shape != (value.size, free.size):
        raise suite.blame(
            f"domains['{name}'].jacobian", f"has the shape {found.shape}; expected ({value.size}, {free.size})"
        )
    for j in range(free.size):
        move = np.zeros(free.size)
        move[j] = 1e-5 * unit[j]
        up, down = domain.from_free(free + move), domain.from_free(free - move)  # type: ignore[attr-defined]
        slope = np.ravel(up - down) / 2e-5
        given = found[:, j] * unit[j]
        # Rounding of the values themselves, over the step, bounds what differences can see.
        noise = 1e-5 * max(float(np.abs(slope).max()), float(np.abs(given).max())) + 1e-10 * float(np.abs(value).max())
        if not (np.abs(slope - given) <= noise).all():
            raise suite.blame(
                f"domains['{name}'].jacobian",
                f"says {shown(given)} of free coordinate {j}, but differences say {shown(slope)}; expected the same",
            )


def _close(found: Array, expected: Array) -> bool:
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    return bool((np.abs(found - expected) <= _CLOSE * scale).all())
