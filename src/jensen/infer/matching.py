"""Which component of one fit is which of another: labels are matched, or it is said that they cannot be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.optimize import linear_sum_assignment

from jensen.core.block import AnyArray, Array, Block
from jensen.core.parameters import Parameters
from jensen.fit.ordering import by_component, exchangeable

# Another assignment that agrees this well, relative to the best, is about as good.
AMBIGUOUS = 0.9


@dataclass(frozen=True)
class Match:
    """The best assignment of components, and how good the next one is.

    Attributes
    ----------
    order : tuple of int
        ``order[k]`` is the component that corresponds to number k.
    rivalry : float
        Agreement of the best other assignment as a share of this one's, over the components that it changes; 0 where
        there is no other.
    """

    order: tuple[int, ...]
    rivalry: float

    @property
    def is_identity(self) -> bool:
        """Whether every component keeps its number."""
        return self.order == tuple(range(len(self.order)))

    @property
    def is_ambiguous(self) -> bool:
        """Whether another assignment is about as good."""
        return self.rivalry >= AMBIGUOUS


def assign(agreement: Array) -> Match:
    """The assignment that agrees best (Kuhn 1955), and its closest rival.

    The rival is the best of the assignments that lack one pair of the best one, which is one of K more assignments.

    Parameters
    ----------
    agreement : ndarray of shape (K, K)
        At least 0; how well component j (row) of the reference agrees with component k (column).
    """
    size = len(agreement)
    _, best = linear_sum_assignment(agreement, maximize=True)
    rivalry, every = 0.0, np.arange(size)
    for j in range(size if size > 1 else 0):
        without = agreement.copy()
        without[j, best[j]] = -float(size) * (1.0 + float(agreement.max()))
        _, other = linear_sum_assignment(without, maximize=True)
        changed = other != best
        mine = float(agreement[every, best][changed].sum())
        rivalry = max(rivalry, float(agreement[every, other][changed].sum()) / mine if mine > 0 else 1.0)
    return Match(tuple(int(k) for k in best), rivalry)


@dataclass(frozen=True, eq=False)
class _Products:
    """Inner products of the shares of two fits over rows."""

    cross: Array
    first: Array
    second: Array

    def merge(self, other: Self) -> Self:
        return type(self)(self.cross + other.cross, self.first + other.first, self.second + other.second)


def agreement_of_shares(model: Any, source: Any, reference: Parameters, params: Parameters) -> Array:
    """Cosines between the components' shares of the rows at two parameters, shape (K, K).

    1 where a component of one has the rows of a component of the other, in the same proportions.

    Parameters
    ----------
    model : object
        With ``responsibilities(params, block) -> (n, K)``.
    source : Source
        The rows.
    reference, params : Parameters
        Rows and columns of the result.
    """

    def products(at: Parameters, block: Block) -> _Products:
        mine, theirs = model.responsibilities(reference, block), model.responsibilities(at, block)
        weighted = mine if block.weight is None else mine * block.weight[:, None]
        other = theirs if block.weight is None else theirs * block.weight[:, None]
        return _Products(weighted.T @ theirs, (weighted * mine).sum(axis=0), (other * theirs).sum(axis=0))

    found: _Products = source.fold(products, params)
    return np.asarray(found.cross / np.sqrt(np.maximum(np.outer(found.first, found.second), 1e-300)))


def agreement_of_parameters(mine: Array, theirs: Array, unit: Array) -> Array:
    """exp(-|a_j - b_k|^2 / 2) between the components' own parameters (K, m), in units (m,), shape (K, K)."""
    apart = (mine[:, None, :] - theirs[None, :, :]) / unit
    # The mean, not the sum: many entries would make every assignment but the best impossible.
    return np.asarray(np.exp(-0.5 * (apart**2).mean(axis=-1)))


def matcher(model: Any, source: Any, reference: Parameters) -> tuple[Callable[[Parameters], Match] | None, str]:
    """How to match the components of other fits of the same data to those of one, and what is compared.

    By the rows' shares, where the model declares ``responsibilities``; else by the components' own parameters, in units
    of their spread between the components. Without ``permuted`` there is nothing to match.

    Parameters
    ----------
    model : object
        What was fitted.
    source : Source
        The data.
    reference : Parameters
        The parameters whose components keep their numbers.

    Returns
    -------
    callable (Parameters) -> Match, or None
        The matching.
    str
        What it goes by.
    """
    own = by_component(model, reference)
    n_components = len(next(iter(own.values()))) if own else 0
    if not exchangeable(model) or n_components < 2:
        return None, ""
    if callable(getattr(model, "responsibilities", None)):
        alike = slice(n_components)  # components of another kind, such as noise, come last and keep their places
        return (
            lambda params: assign(agreement_of_shares(model, source, reference, params)[alike, alike]),
            "shares of the rows",
        )
    mine = _flat(own)
    unit = mine.std(axis=0)
    unit = np.where(unit > 0, unit, np.maximum(np.abs(mine).mean(axis=0), 1e-300))

    def match(params: Parameters) -> Match:
        return assign(agreement_of_parameters(mine, _flat(by_component(model, params)), unit))

    return match, "parameters"


def depends_on_labels(
    model: Any, params: Parameters, rng: np.random.Generator
) -> Callable[[Callable[..., Any]], AnyArray]:
    """A test of functions of the parameters: which of their values change if components change their numbers.

    It is made at a random point near the parameters, where no two components are alike by chance.

    Parameters
    ----------
    model : object
        With ``permuted``.
    params : Parameters
        A point inside the domains.
    rng : Generator
        Where the random point comes from.

    Returns
    -------
    callable (function) -> ndarray of bool
        Of the shape of the function's values.
    """
    point = params.from_free(params.to_free() + 0.1 * rng.standard_normal(params.n_free))
    n_components = len(next(iter(by_component(model, params).values())))
    swaps = list[Parameters]()
    for k in range(n_components - 1):
        order = list(range(n_components))
        order[k], order[k + 1] = order[k + 1], order[k]
        swaps.append(model.permuted(point, order))

    def test(function: Callable[..., Any]) -> AnyArray:
        here = np.asarray(function(point), dtype=np.float64)
        moved = np.zeros(here.shape, dtype=bool)
        for swapped in swaps:
            moved |= ~np.isclose(np.asarray(function(swapped), dtype=np.float64), here, rtol=1e-9, atol=0.0)
        return moved

    return test


def _flat(own: Any) -> Array:
    """What components have of their own, (K, m)."""
    return np.concatenate([np.reshape(value, (len(value), -1)) for value in own.values()], axis=1)
