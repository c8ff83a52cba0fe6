"""Sums of exponentials that neither overflow nor underflow."""

from __future__ import annotations

import math

import numpy as np

from jensen.core.block import Array

# Below this no density is told from zero; a row there keeps a finite log-likelihood, so that nothing becomes NaN.
LOG_FLOOR = -1e300


def normalise_logs(log_joint: Array) -> Array:
    """Turn log joint densities into responsibilities, in place, and return the log of their sums.

    Parameters
    ----------
    log_joint : ndarray of shape (K, n)
        log(pi_k f_k(x_i)); minus infinity is allowed. Holds the responsibilities afterwards.

    Returns
    -------
    ndarray of shape (n,)
        log sum_k exp(log_joint[k, i]), at least `LOG_FLOOR`.
    """
    peak = np.maximum(log_joint.max(axis=0), LOG_FLOOR)
    np.subtract(log_joint, peak, out=log_joint)
    np.exp(log_joint, out=log_joint)
    total = log_joint.sum(axis=0)
    # A row at the floor has no mass anywhere: its responsibilities stay 0 rather than 0 / 0.
    np.divide(log_joint, np.maximum(total, np.finfo(np.float64).tiny), out=log_joint)
    return np.asarray(peak + np.log(np.maximum(total, np.finfo(np.float64).tiny)))


def log_of_shares(shares: Array) -> Array:
    """Natural logarithms of shares, with log 0 = minus infinity and no warning.

    By the C library's function, as in compiled kernels: NumPy's own may differ in the last bit.
    """
    return np.array([math.log(share) if share > 0.0 else -math.inf for share in shares])
