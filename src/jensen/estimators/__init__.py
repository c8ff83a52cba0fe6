"""The scikit-learn face: estimators, thin skins over the core, and their files."""

from __future__ import annotations

from jensen.estimators.files import load, save
from jensen.estimators.gaussian_mixture import GaussianMixture

__all__ = ["GaussianMixture", "load", "save"]
