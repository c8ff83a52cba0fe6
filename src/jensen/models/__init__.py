"""Latent structures; each knows families only by their contract."""

from __future__ import annotations

from jensen.models.mixture import Mixture
from jensen.models.three_coins import ThreeCoins

__all__ = ["Mixture", "ThreeCoins"]
