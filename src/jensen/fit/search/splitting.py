"""What a second component would be worth in the place of one: a short EM of two on the rows that are most probably its.

A search comes to the same component again and again, with others around it. What was found of it then holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.families.gaussian import Gaussian
from jensen.families.moves import components_of, log_determinants, variances_of
from jensen.fit.search.landscape import Together, serially
from jensen.fit.search.together import Problem, ShortEnd, Starts, all_short_ends
from jensen.models.mixture import Mixture
from jensen.numerics.order import draw_by_weight

# Steps of the EM of two, and the gain to come at which they end.
_STEPS, _TOL = 16, 0.01
# Rows of a component that its split looks at, and the share of them that may stand aside.
_ROWS, _ASIDE = 1_024, 0.1
# Standard deviations, and logarithms of weights and of variances, within which a component is one that was met before.
_ALIKE = 0.05


@dataclass(frozen=True, eq=False)
class Split:
    """What a second component would be worth on one component's rows, and the two.

    Attributes
    ----------
    gain : float
        Nats.
    weights, means, covariances : ndarray
        Of the two; weights sum to 1.
    """

    gain: float
    weights: Array
    means: Array
    covariances: Array

    def between(self, share: float) -> Array:
        """What the two take from a common covariance is v v', v of shape (d,), where they have this weight together."""
        v: Array = np.sqrt(share * self.weights[0] * self.weights[1]) * (self.means[0] - self.means[1])
        return v


class Splits:
    """The splits of the components that a search has met.

    Attributes
    ----------
    met : ndarray of shape (m, 1 + d + numbers of a covariance)
        Logarithm of the weight, mean and covariance of each.
    found : list of Split or None
        Their splits; None where there is no sound one.
    """

    def __init__(self) -> None:
        self.met: Array | None = None
        self.found = list[Split | None]()

    def of_all(
        self,
        model: Mixture,
        source: ArraySource,
        params: Parameters,
        weight: Array,
        resp: Array,
        rng: np.random.Generator,
        together: Together = serially,
    ) -> list[Split | None]:
        """The splits of all components of a mixture, of which only those that are new are looked at.

        Parameters
        ----------
        model : Mixture
            Of K Gaussian components.
        source : ArraySource
            n rows.
        params : Parameters
            Where the mixture is.
        weight : ndarray of shape (n,)
            Weights of the rows.
        resp : ndarray of shape (n, K)
            Responsibilities.
        rng : numpy.random.Generator
            Seeds.
        together : callable
            Applies a function to short runs, in threads or not.

        Raises
        ------
        KeyboardInterrupt
            If a component's own run is interrupted.
        """
        family: Gaussian = model.family  # type: ignore[assignment]
        k, d = family.n_components, family.n_features
        weights, means, covariances = components_of(family.layout, params)
        logs = np.log(np.maximum(weights, 1e-300))
        variances = variances_of(family.layout, covariances, d)
        now = np.column_stack([logs, means, covariances.reshape(k, -1)])
        known = [self._known(row, spread, family.layout) for row, spread in zip(now, np.sqrt(variances), strict=True)]
        new = [j for j in range(k) if known[j] is None]
        labels, uniforms = resp.argmax(axis=1), rng.random((k, 2))
        common = params["covariances"] if family.layout == "tied" else None
        parts = list[Part | None]()

        def problems() -> Iterator[Problem]:
            for j in new:
                part = Part.of(model, source, weight * resp[:, j], labels == j, uniforms[j])
                parts.append(part)
                if part is not None:
                    yield part.two, part.local, part.starts

        ends = iter(all_short_ends(problems(), _STEPS, _TOL, together))
        looked = [None if part is None else part.split(next(ends), common) for part in parts]
        first = len(self.found)
        self.met = now[new] if self.met is None else np.concatenate([self.met, now[new]])
        self.found += looked
        for number, j in enumerate(new):
            known[j] = first + number
        return [self.found[number] for number in known if number is not None]

    def _known(self, component: Array, spread: Array, layout: str) -> int | None:
        """The number of a component that is this one but for a hair."""
        if self.met is None:
            return None
        between = np.outer(spread, spread).ravel() if layout in ("full", "tied") else spread**2
        scale = np.concatenate([[1.0], spread, between if layout != "spherical" else between[:1]])
        alike = (np.abs(self.met - component) <= _ALIKE * scale).all(axis=1)
        return int(alike.argmax()) if alike.any() else None


@dataclass(frozen=True, eq=False)
class Part:
    """A component's rows, and where a mixture of two begins there: along its axis, from two rows, from far out.

    Attributes
    ----------
    two : Mixture
        Of two components.
    local : ArraySource
        Some of the rows, in the precision of the search's.
    starts : Starts
        Where its short runs begin.
    about : ndarray of shape (m, d)
        The rows about their mean.
    mean : ndarray of shape (d,)
        Where that is.
    alone : float
        The log-likelihood of one component.
    scale : float
        Weight of all the component's rows, in units of these.
    """

    two: Mixture
    local: ArraySource
    starts: Starts
    about: Array
    mean: Array
    alone: float
    scale: float

    @classmethod
    def of(cls, model: Mixture, source: ArraySource, share: Array, own: AnyArray, uniforms: Array) -> Part | None:
        """The part of a component, or None where the rows are too few.

        Parameters
        ----------
        model : Mixture
            Of Gaussian components.
        source : ArraySource
            n rows.
        share : ndarray of shape (n,)
            Their weights times the component's responsibilities.
        own : ndarray of shape (n,) of bool
            The rows whose most probable component it is.
        uniforms : ndarray of shape (2,)
            Numbers in [0, 1) that choose the two rows, and some of many.
        """
        family: Gaussian = model.family  # type: ignore[assignment]
        rows = np.flatnonzero(own)
        if len(rows) > _ROWS:
            # As evenly as may be, from a place that is drawn.
            rows = rows[((np.arange(_ROWS) + uniforms[0]) * (len(rows) / _ROWS)).astype(np.intp)]
        d = family.n_features
        if len(rows) < 2 * (d + 1):
            return None
        x, weight = np.asarray(source.x[rows], dtype=np.float64), share[rows]
        total = float(weight.sum())
        if total < 2 * (d + 1):
            return None
        mean = weight @ x / total
        about = x - mean
        covariance = (weight[:, None] * about).T @ about / total + np.diag(family.ridge)
        layout = {"full": covariance, "tied": covariance, "diag": np.diag(covariance)}
        one = np.asarray(layout.get(family.layout, np.diag(covariance).mean()))
        logs = float(log_determinants(family.layout, one[None], d)[0])
        values, vectors = np.linalg.eigh(covariance)
        along = np.array([[-0.8], [0.8]]) * (vectors[:, -1] * np.sqrt(values[-1]))
        # A few rows that stand together far from the others are met from there alone.
        aside = _aside(about @ vectors / np.sqrt(values), weight)
        remote = weight[aside] @ x[aside] / weight[aside].sum()
        spread = np.broadcast_to(0.5 * one, one.shape if family.layout == "tied" else (2, *one.shape))
        two = Mixture(family.of(2))
        means = np.stack([mean + along, x[draw_by_weight(weight, uniforms)], np.stack([mean, remote])])
        starts = Starts(
            two.parameters(weights=[0.5, 0.5], means=means[0], covariances=spread),
            np.array([[0.5, 0.5], [0.5, 0.5], [1.0 - _ASIDE, _ASIDE]]),
            means,
            np.broadcast_to(spread, (3, *spread.shape)),
        )
        local = ArraySource(x.astype(source.dtype), weight, single=source.dtype == np.float32)
        alone = -0.5 * total * (d * np.log(2 * np.pi) + logs + d)
        return cls(two, local, starts, about, mean, alone, float(share.sum()) / total)

    def split(self, ends: list[ShortEnd | None], common: Array | None) -> Split | None:
        """The best of the ends, or None where none is sound.

        Parameters
        ----------
        ends : list of ShortEnd or None
            Of the short runs.
        common : ndarray of shape (d, d) or None
            The covariance that all components share, if they do: what the two are worth is what they bring with it.
        """
        family: Gaussian = self.two.family  # type: ignore[assignment]
        for ended in sorted((end for end in ends if end is not None), key=lambda end: -end.objective):
            params = ended.sound(self.two)
            if params is not None:
                break
        else:
            return None
        weights, means, covariances = components_of(family.layout, params)
        if common is None:
            return Split(self.scale * (ended.objective - self.alone), weights, means, covariances)
        white = np.linalg.cholesky(common)
        z, centres = np.linalg.solve(white, self.about.T).T, np.linalg.solve(white, (means - self.mean).T).T
        apart = -0.5 * ((z[:, None, :] - centres) ** 2).sum(axis=2)
        gains = np.logaddexp.reduce(np.log(weights) + apart, axis=1) + 0.5 * (z**2).sum(axis=1)
        return Split(self.scale * float(self.local.row_weights @ gains), weights, means, covariances)


def _aside(z: Array, weight: Array) -> AnyArray:
    """Numbers of the rows around the one that lies farthest out but for a few, of whitened rows (m, d)."""
    out = np.argsort((z**2).sum(axis=1), kind="stable")
    far = out[np.searchsorted(np.cumsum(weight[out]), (1.0 - _ASIDE / 4.0) * weight.sum())]
    near = np.argsort(((z - z[far]) ** 2).sum(axis=1), kind="stable")
    return near[: 1 + int(np.searchsorted(np.cumsum(weight[near]), _ASIDE * weight.sum()))]
