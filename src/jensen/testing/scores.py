"""Do draws follow a density? Its scores, averaged over draws, say so."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from jensen.core.block import Array
from jensen.core.parameters import Parameters
from jensen.testing.report import Suite

# Draws, by which a bias of a tenth of a score's deviation is seen.
DRAWS = 4000
_STEP, _BEYOND = 1e-3, 6.0
# A mean score as small as this may come from the differences.
_NOTHING = 1e-5


def check_scores(
    suite: Suite, log_density: Callable[[Parameters], Array], params: Parameters, unit: Array, fault: str
) -> None:
    """Check that the scores of draws at the parameters they were drawn at have the mean 0.

    The mean of the scores is 0 under the density drawn from, whatever it is; by chance it lies beyond six of its
    standard errors once in 5e8 times.

    Parameters
    ----------
    suite : Suite
        Whose ``sample`` is blamed.
    log_density : callable (Parameters) -> ndarray of shape (DRAWS,)
        Of each draw.
    params : Parameters
        Where they were drawn.
    unit : ndarray of shape (n_free,)
        Units of the free coordinates.
    fault : str
        What to say of draws that do not.

    Raises
    ------
    ConformanceError
        If the mean is too far from 0.
    """
    free = params.to_free()
    for j, name in enumerate(free_names(params)):
        move = np.zeros(free.size)
        move[j] = _STEP * unit[j]
        scores = (log_density(params.from_free(free + move)) - log_density(params.from_free(free - move))) / (2 * _STEP)
        z = float(scores.mean()) * math.sqrt(len(scores)) / max(float(scores.std()), 1e-300)
        if not math.isfinite(z) or (abs(z) > _BEYOND and abs(scores.mean()) > _NOTHING):
            raise suite.blame(
                "sample",
                f"{fault}: the mean score of {name} over {len(scores)} draws is {z:.1f} standard errors from 0; "
                f"expected at most {_BEYOND:g}",
            )


def free_names(params: Parameters) -> list[str]:
    """A name for every free coordinate: the parameter's, with a number where it has several."""
    return [
        name if domain.size == 1 else f"{name} (free coordinate {j})"
        for name, domain in params.domains.items()
        for j in range(domain.size)
    ]
