"""Component families: one file each, the same sections in the same order."""

from __future__ import annotations

from jensen.families.gaussian import Gaussian
from jensen.families.noise import Box, Noisy

__all__ = ["Box", "Gaussian", "Noisy"]
