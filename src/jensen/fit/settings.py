"""How a mixture is to be fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.parameters import Parameters
from jensen.fit.priors import ConjugatePrior
from jensen.fit.search.soundness import Degenerate
from jensen.fit.starts.draw import StartKind, UserStart
from jensen.solve.variants import Accelerate


@dataclass(frozen=True, eq=False)
class MixtureSettings:
    """How a mixture is to be fitted. The public edge has checked every value.

    Attributes
    ----------
    n_components : int
        K, at least 1.
    covariance_type : str, default="full"
        Shape of the covariances: ``full, tied, diag, spherical`` or one of mclust's fourteen names.
    reg_covar : "auto" or float or ndarray of shape (d,), default="auto"
        R of the ridge: 1e-6 times the columns' robust variances, a number times the identity, or its diagonal.
    tol : "auto" or float, default="auto"
        The rule on the gain still to come, or scikit-learn's on the change per row.
    max_iter : "auto" or int, default="auto"
        M-steps at most; 10,000.
    accelerate : {"auto", "off", "squarem", "anderson", "quasi-newton"}, default="auto"
        Extrapolation of EM's steps. ``auto`` sets in where EM is slow, and never under scikit-learn's rule: that one
        takes every step for one of EM's.
    n_init : "auto" or int, default=1
        Number of starts; ``auto`` searches, see `jensen.fit.search.rounds`.
    init : str or ndarray or callable, default="auto"
        A kind of start; labels (n,), responsibilities (n, K), or a function (X, K, rng) that returns either. ``auto``:
        all kinds in turn in a search, ``kmeans`` otherwise.
    weights, means, covariances : ndarray or None
        Parameters that replace the start's. If all three are given, nothing is drawn.
    warm_start : Parameters or None
        Parameters to go on from; nothing is drawn.
    besides : tuple of (str, Parameters)
        Starts that a search takes in place of the first ones that it would draw, with their kinds.
    history : tuple of float, default=()
        Last objectives of the fit that `warm_start` ended, for the rule on the gain still to come.
    seed : int or None
        Seed of all random streams; None takes a fresh one.
    max_time : float, default=inf
        Seconds after which no further pass is begun.
    degenerate : {"avoid", "allow"}, default="avoid"
        Whether sound optima come before degenerate and narrow ones, or the objective alone decides.
    equal_weights : bool, default=False
        Whether every weight is 1/K.
    prior : ConjugatePrior or None
        Of means and covariances; the objective includes it.
    eigenvalue_ratio : float, default=inf
        Largest over smallest eigenvalue of all covariances, at most; at least 1.
    noise : bool or float, default=False
        Whether a component of noise takes what belongs to no Gaussian; a number is the volume it spreads over.
    trim : float, default=0.0
        Share of the rows that is left out, those of lowest density; below 1.
    """

    n_components: int
    covariance_type: str = "full"
    reg_covar: Literal["auto"] | float | Array = "auto"
    tol: Literal["auto"] | float = "auto"
    max_iter: Literal["auto"] | int = "auto"
    accelerate: Accelerate = "auto"
    n_init: Literal["auto"] | int = 1
    init: Literal["auto"] | StartKind | AnyArray | UserStart = "auto"
    weights: Array | None = None
    means: Array | None = None
    covariances: Array | None = None
    warm_start: Parameters | None = None
    besides: tuple[tuple[str, Parameters], ...] = ()
    history: tuple[float, ...] = ()
    seed: int | None = None
    max_time: float = np.inf
    degenerate: Degenerate = "avoid"
    equal_weights: bool = False
    prior: ConjugatePrior | None = None
    eigenvalue_ratio: float = np.inf
    noise: bool | float = False
    trim: float = 0.0

    @property
    def mixes_starts(self) -> bool:
        """Whether the kinds of starts are left to what draws them: ``init="auto"``."""
        return isinstance(self.init, str) and self.init == "auto"
