"""Information criteria, as plain functions of results. Smaller is better throughout, as in scikit-learn.

mclust reports the opposite sign: its BIC is minus ours. The number of observations is the sum of the weights.
"""

from __future__ import annotations

import math


def bic(loglik: float, n_free: int, n: float) -> float:
    """Bayesian information criterion, -2 l + p log n (Schwarz 1978)."""
    return -2.0 * loglik + n_free * math.log(n)


def aic(loglik: float, n_free: int) -> float:
    """Akaike's information criterion, -2 l + 2 p (Akaike 1974)."""
    return -2.0 * loglik + 2.0 * n_free


def icl(loglik: float, n_free: int, n: float, map_loglik: float) -> float:
    """Integrated completed likelihood in mclust's hard form (Biernacki, Celeux & Govaert 2000).

    Parameters
    ----------
    loglik : float
        Log-likelihood l.
    n_free : int
        Number of free parameters p.
    n : float
        Sum of the weights.
    map_loglik : float
        sum_i w_i log max_k r_ik, at most 0: how sure the classification is.
    """
    return bic(loglik, n_free, n) - 2.0 * map_loglik


def aicc(loglik: float, n_free: int, n: float) -> float:
    """AIC with the correction for few rows, AIC + 2 p (p + 1) / (n - p - 1) (Hurvich & Tsai 1989).

    Infinite where n is not above p + 1: there it does not apply.
    """
    left = n - n_free - 1.0
    return aic(loglik, n_free) + 2.0 * n_free * (n_free + 1.0) / left if left > 0 else math.inf


def caic(loglik: float, n_free: int, n: float) -> float:
    """Consistent AIC, -2 l + p (log n + 1) (Bozdogan 1987)."""
    return bic(loglik, n_free, n) + n_free


def sabic(loglik: float, n_free: int, n: float) -> float:
    """Sample-size-adjusted BIC, -2 l + p log((n + 2) / 24) (Sclove 1987)."""
    return -2.0 * loglik + n_free * math.log((n + 2.0) / 24.0)
