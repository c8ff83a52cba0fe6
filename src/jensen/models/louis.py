"""The observed information of a mixture by Louis's identity.

With r_ik the responsibilities, s_ik the gradient of log(pi_k f_k(x_i)) and s_i = sum_k r_ik s_ik (Louis 1982, eq. 3.2,
for independent rows):
    I_obs = sum_ik w_i r_ik (-d2 log(pi_k f_k) - s_ik s_ik') + sum_i w_i s_i s_i',
    I_com = sum_ik w_i r_ik (-d2 log(pi_k f_k)).
Between the weights the first two terms of I_obs cancel exactly, and r_ik / pi_k is f_k / p, so that a weight of 0 does
no harm to what is observed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jensen.core.block import Array, Block
from jensen.core.information import Information
from jensen.core.parameters import Parameters
from jensen.numerics.logspace import normalise_logs

# Scores of about this many numbers are held at a time.
_SCORES = 1 << 21


def louis(family: Any, params: Parameters, log_weights: Array, block: Block) -> Information:
    """Score and information of a block, in natural coordinates: the weights, then the family's.

    Parameters
    ----------
    family : Family
        With ``derivatives(params, block)``, an iterable of `ComponentDerivatives`; its plain density is taken.
    params : Parameters
        Where.
    log_weights : ndarray of shape (K,)
        log pi_k.
    block : Block
        The rows.
    """
    size = sum(value.size for value in params.values.values())
    rows = max(1, _SCORES // size)
    parts = [_part(family, params, log_weights, _cut(block, i, i + rows), size) for i in range(0, block.n_rows, rows)]
    total = parts[0]
    for part in parts[1:]:
        total = total.merge(part)
    return total


def _cut(block: Block, start: int, end: int) -> Block:
    arrays = {name: array[start:end] for name, array in block.arrays.items()}
    weight = None if block.weight is None else block.weight[start:end]
    return Block(arrays, weight, block.number, block.first_row + start)


def _part(family: Any, params: Parameters, log_weights: Array, block: Block, size: int) -> Information:
    log_density = np.ascontiguousarray(family.log_density(params, block).T)
    shares = log_density + log_weights[:, None]
    loglik = normalise_logs(shares)
    # f_k / p may overflow where a weight is next to nothing: such a row then has no finite information.
    with np.errstate(over="ignore"):
        ratios = np.exp(log_density - loglik)
    weights, n_components = params["weights"], len(log_weights)
    row_weight, row_scores = block.weights, np.zeros((block.n_rows, size))
    row_scores[:, :n_components] = ratios.T
    used = np.zeros(size, dtype=bool)
    used[:n_components] = True
    observed, complete = np.zeros((size, size)), np.zeros((size, size))
    counts = ratios @ row_weight
    known = np.divide(counts, weights, out=np.zeros_like(counts), where=weights > 0)
    complete[np.arange(n_components), np.arange(n_components)] = known
    for k, (slots, scores, curvature) in enumerate(family.derivatives(params, block)):
        at = n_components + slots
        weighted = row_weight * shares[k]
        expected = curvature(weighted)
        complete[np.ix_(at, at)] += expected
        observed[np.ix_(at, at)] += expected - _gram(scores, weighted)
        cross = (row_weight * ratios[k]) @ scores
        observed[k, at] -= cross
        observed[at, k] -= cross
        row_scores[:, at] += scores * shares[k][:, None]
        used[at] = True
    # Entries that nobody names, such as upper triangles, would cost as much as the others.
    narrow = row_scores[:, used]
    score, outer = np.zeros(size), np.zeros((size, size))
    score[used] = row_weight @ narrow
    outer[np.ix_(used, used)] = _gram(narrow, row_weight)
    observed += outer
    return Information(float(row_weight @ loglik), score, observed, complete, outer)


def _gram(rows: Array, weight: Array) -> Array:
    """Sum of w r r' over rows (n, q); of one matrix with itself, NumPy computes a triangle alone."""
    scaled = rows * np.sqrt(weight)[:, None]
    return np.asarray(scaled.T @ scaled)
