"""Random numbers from streams keyed by (seed, purpose, index).

Restart 7 does not depend on restart 6, nor on the number of threads: each draws from a stream of its own.
"""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, purpose: str, index: int = 0, *more: int) -> np.random.Generator:
    """The stream of one purpose and index under a seed.

    Parameters
    ----------
    seed : int
        At least 0.
    purpose : str
        What the numbers are for, such as ``"start"``.
    index : int, default=0
        Which of the like tasks, such as the number of the restart.
    *more : int
        Further indices, such as iteration and block.
    """
    key = [seed, zlib.crc32(purpose.encode()), index, *more]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def fresh_seed() -> int:
    """A seed from the operating system, for runs that name none; results record it."""
    return int(np.random.SeedSequence().generate_state(1, np.uint32)[0])
