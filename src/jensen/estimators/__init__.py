"""The scikit-learn face: estimators, thin skins over the core, and their files."""

from __future__ import annotations

from jensen.estimators.discriminant import MixtureDiscriminantAnalysis
from jensen.estimators.files import load, save
from jensen.estimators.gaussian_mixture import GaussianMixture
from jensen.estimators.selecting import Selection, select

__all__ = ["GaussianMixture", "MixtureDiscriminantAnalysis", "Selection", "load", "save", "select"]
