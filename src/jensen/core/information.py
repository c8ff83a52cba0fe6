"""What some rows say of the parameters: score and information, that add up over blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.domains import Domain, PositiveDefinite


@dataclass(frozen=True, eq=False)
class Information:
    """Derivatives of the log-likelihood of some rows, in natural coordinates: what ``information`` of a model returns.

    Coordinates are the entries of all parameters, flattened, one parameter after another in the order of the model's
    ``domains``; P in number. Derivatives take every entry as free, shares as if they need not sum to 1; the domains'
    Jacobians restrict them afterwards. For a symmetric matrix the triangles may each have their part, or the lower one
    the whole and the upper one zeros.

    Attributes
    ----------
    loglik : float
        Weighted log-likelihood of the rows.
    score : ndarray of shape (P,)
        sum_i w_i s_i, where s_i is the gradient of log p(x_i).
    observed : ndarray of shape (P, P)
        -sum_i w_i d2 log p(x_i).
    complete : ndarray of shape (P, P)
        -sum_i w_i E[d2 log p(x_i, z_i) | x_i]: what would be known if nothing were hidden (Louis 1982).
    outer : ndarray of shape (P, P)
        sum_i w_i s_i s_i', for the sandwich.
    """

    loglik: float
    score: Array
    observed: Array
    complete: Array
    outer: Array

    def merge(self, other: Self) -> Self:
        """Of both parts together."""
        return type(self)(
            self.loglik + other.loglik,
            self.score + other.score,
            self.observed + other.observed,
            self.complete + other.complete,
            self.outer + other.outer,
        )


class ComponentDerivatives(NamedTuple):
    """Derivatives of the log-density of one component, of a family's `derivatives`.

    Attributes
    ----------
    slots : ndarray of shape (p,) of int
        The component's entries among those of all the family's parameters, flattened one after another. Components
        that share a parameter name the same slots.
    scores : ndarray of shape (n, p)
        Gradient of log f_k at each row.
    curvature : callable (ndarray of shape (n,)) -> ndarray of shape (p, p)
        sum_i w_i (-d2 log f_k(x_i)) for any weights w of the rows.
    """

    slots: AnyArray
    scores: Array
    curvature: Callable[[Array], Array]


def entry_names(domains: Mapping[str, Domain]) -> tuple[str, ...]:
    """Names of all entries of all parameters, such as ``p`` and ``means[0, 1]``, in the order of the coordinates."""
    return tuple(
        f"{name}[{', '.join(map(str, index))}]" if index else name
        for name, domain in domains.items()
        for index in np.ndindex(domain.shape)
    )


def told_entries(domains: Mapping[str, Domain]) -> AnyArray:
    """Which entries (P,) a person should be told of: of a symmetric matrix, one triangle."""
    parts = list[AnyArray]()
    for domain in domains.values():
        kind = innermost(domain)
        told = np.tri(kind.dimension, dtype=bool) if isinstance(kind, PositiveDefinite) else np.ones((), dtype=bool)
        parts.append(np.ravel(np.broadcast_to(told, domain.shape)))
    return np.concatenate(parts)


def innermost(domain: Domain) -> Domain:
    """The domain under constraints that hold some entries, or keep them equal: of what kind the entries are."""
    inner = getattr(domain, "domain", None) or getattr(domain, "one", None)
    return domain if inner is None else innermost(inner)
