"""Latent structures; each knows families only by their contract."""

from __future__ import annotations

from jensen.models.constrained import Constrained
from jensen.models.mixture import Mixture
from jensen.models.posterior import Labelled
from jensen.models.three_coins import ThreeCoins

__all__ = ["Constrained", "Labelled", "Mixture", "ThreeCoins"]
