"""Escapes by groups: some neighbouring components are fitted anew on their own rows; or all of them to other weights.

Optima of much the same height often differ in how three or four neighbours share their rows, which no single split and
merge changes; or in what a few rows decide, which other weights of the rows undo (Elidan et al. 2002).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import cast

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.families.gaussian import Gaussian
from jensen.families.moves import components_of, merge_losses, variances_of, with_components
from jensen.fit.search.climbing import matched
from jensen.fit.search.together import ShortEnd, short_ends, short_ends_of_all
from jensen.fit.starts.descent import enlarged
from jensen.fit.starts.draw import spread_out
from jensen.fit.starts.kmeans import nearest_labels, seed_rows
from jensen.models.mixture import Mixture
from jensen.numerics.order import draw_distinct

# Sizes of a group, and what its neighbours are chosen by: the merge's loss times the exponential of so much noise.
_SIZES, _NOISE = (3, 5), 0.3
# Steps on the rows of a group; rows for each of its components at most.
_LOCAL_STEPS, _LOCAL_ROWS = 16, 1_024
# Nats and spreads within which a group has come back to where it was.
_ALIKE, _NEAR = 2.0, 0.2
# Steps with other weights.
_SHAKEN_STEPS = 8
# Of groups by plan: how large, how many for each component, among how many of its neighbours, and how often fitted.
_SIZE, _GROUPS, _NEIGHBOURS, _FITS = 3, 4, 9, 12
# Groups that are fitted before their ends are tried: where these lead higher, the others are not needed.
_PORTION = 8
# Their steps, and the gain to come at which these end; nats that tell ends apart, and that a group may lose, since
# the components around it make up for much.
_FIT_STEPS, _FIT_TOL, _APART, _LOST = 60, 0.1, 0.3, 60.0


@dataclass(frozen=True, eq=False)
class _Group:
    """Some components, and the rows that are most probably theirs.

    Attributes
    ----------
    model : Mixture
        Of as many components.
    which : ndarray of shape (m,)
        Their numbers in the whole.
    local : ArraySource
        Rows, weighted by how probably they are of the group.
    standardised : ndarray
        The rows in standard deviations.
    before : Parameters
        What the components are now.
    """

    model: Mixture
    which: AnyArray
    local: ArraySource
    standardised: Array
    before: Parameters

    @classmethod
    def of(
        cls, model: Mixture, source: ArraySource, weight: Array, resp: Array, labels: AnyArray, params: Parameters,
        which: AnyArray, rng: np.random.Generator,
    ) -> _Group | None:  # fmt: skip
        """The components `which`, by responsibilities (n, K) and labels (n,) of rows; None where these are too few."""
        family: Gaussian = model.family  # type: ignore[assignment]
        size, d = len(which), family.n_features
        rows = np.flatnonzero(np.isin(labels, which))
        share = weight[rows] * resp[rows][:, which].sum(axis=1)
        if len(rows) > size * _LOCAL_ROWS:
            some = np.sort(draw_distinct(share, rng, size * _LOCAL_ROWS))
            rows, share = rows[some], share[some]
        if share.sum() < 2 * size * (d + 1) or np.count_nonzero(share) <= size:
            return None
        x, few = np.asarray(source.x[rows], dtype=np.float64), enlarged(model, size)
        scale = x.std(axis=0)
        weights, means, covariances = components_of(family.layout, params)
        before = few.parameters(
            weights=weights[which] / weights[which].sum(),
            means=means[which],
            covariances=covariances[0] if family.layout == "tied" else covariances[which],
        )
        z = (x - x.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
        return cls(few, which, ArraySource(x, share), z, before)

    def seeds(self, rng: np.random.Generator) -> AnyArray:
        """Rows to start from, by k-means++."""
        return seed_rows(self.standardised, self.local.row_weights, len(self.which), rng)

    def about(self, seeds: AnyArray) -> Array:
        """Variances (d,) of the rows about the nearest of these."""
        x, z, weight = self.local.x, self.standardised, self.local.row_weights
        about = x - x[seeds][nearest_labels(z, z[seeds])]
        family: Gaussian = self.model.family  # type: ignore[assignment]
        return np.asarray(weight @ about**2 / weight.sum() + family.ridge)

    def started(self, seeds: AnyArray, variances: Array) -> Parameters:
        """Components on these rows, of equal weights and with these variances."""
        equal = np.full(len(self.which), 1.0 / len(self.which))
        covariances = spread_out(self.model, variances)
        return self.before.replace(weights=equal, means=self.local.x[seeds], covariances=covariances)

    def within(self, model: Mixture, params: Parameters, own: Parameters) -> Parameters:
        """The whole with other components in the group's place, of the same weight together."""
        family: Gaussian = model.family  # type: ignore[assignment]
        weights, means, covariances = components_of(family.layout, params)
        own_weights, own_means, own_covariances = components_of(family.layout, own)
        weights[self.which] = weights[self.which].sum() * own_weights
        means[self.which], covariances[self.which] = own_means, own_covariances
        return with_components(family, params, weights, means, covariances)


def regrouped(
    model: Mixture, source: ArraySource, weight: Array, resp: Array, params: Parameters, rng: np.random.Generator
) -> tuple[float, Parameters] | None:
    """A random component and some neighbours, fitted from k-means++ seeds on the rows that are most probably theirs.

    Parameters
    ----------
    model : Mixture
        Of K Gaussian components.
    source : ArraySource
        n rows.
    weight : ndarray of shape (n,)
        Their weights.
    resp : ndarray of shape (n, K)
        Responsibilities at `params`.
    params : Parameters
        An optimum.
    rng : numpy.random.Generator
        Chooses the group, and seeds.

    Returns
    -------
    tuple of float and Parameters, or None
        What the group's own rows gain, and the whole; None where the group has too few rows, or no sound end.

    Raises
    ------
    KeyboardInterrupt
        If the group's own run is interrupted.
    """
    k = model.n_components
    nearness = _nearness(model, params, float(weight.sum()))
    size, chosen = min(int(rng.integers(*_SIZES)), k), int(rng.integers(k))
    by = nearness[chosen] * np.exp(_NOISE * rng.standard_normal(k))
    by[chosen] = -np.inf
    which = np.sort(np.argsort(by, kind="stable")[:size])
    group = _Group.of(model, source, weight, resp, resp.argmax(axis=1), params, which, rng)
    if group is None:
        return None
    seeds = group.seeds(rng)
    variances = group.about(seeds)
    start, scale = group.started(seeds, variances), np.sqrt(variances)
    ended = _climbed(group.model, group.local, start, _LOCAL_STEPS, 0.01)
    if ended is None:
        return None
    height, reached = ended
    gain = height - group.model.objective(group.before, group.local.fold(group.model.expect, group.before))
    if abs(gain) < _ALIKE and matched(reached["means"] / scale, group.before["means"] / scale, _NEAR):
        return None
    return float(gain), group.within(model, params, reached)


def regroupings(
    model: Mixture,
    source: ArraySource,
    weight: Array,
    resp: Array,
    params: Parameters,
    rng: np.random.Generator,
    in_vain: int = 0,
) -> Iterator[list[tuple[float, Parameters]]]:
    """Every group of three neighbours, fitted some times from seeds: all that it may be else, the nearest groups first.

    Parameters
    ----------
    model, source, weight, resp, params
        As for `regrouped`.
    rng : numpy.random.Generator
        Seeds.
    in_vain : int, default=0
        How many times these led nowhere: each time the nearer half is fitted again, which has more ends.

    Yields
    ------
    list of (float, Parameters)
        Different ends of some groups, the likeliest first, with what the groups' own rows gain by them. The others
        follow when EM goes on, so that the way to a higher optimum may begin with a loss.

    Raises
    ------
    KeyboardInterrupt
        If a group's own run is interrupted.
    """
    groups = _neighbours(_nearness(model, params, float(weight.sum())))
    groups = groups[: max(len(groups) >> in_vain, 1)]
    seeds = rng.integers(2**63, size=len(groups))
    labels, family = resp.argmax(axis=1), cast(Gaussian, model.family)

    def begun(numbers: Iterable[int]) -> Iterator[tuple[Mixture, ArraySource, list[Parameters]]]:
        """Groups with where they are, and where else they may be sought."""
        for i in numbers:
            own = np.random.default_rng(seeds[i])
            group = _Group.of(model, source, weight, resp, labels, params, np.array(groups[i]), own)
            if group is None:
                continue
            begun_groups.append(group)
            # Variances as they are now: those about the seeds take longer to find than some steps.
            _, _, covariances = components_of(family.layout, group.before)
            variances = group.before["weights"] @ variances_of(family.layout, covariances, family.n_features)
            starts = [group.started(group.seeds(own), variances) for _ in range(_FITS)]
            yield group.model, group.local, [group.before, *starts]

    def others(group: _Group, here: ShortEnd, ends: list[ShortEnd]) -> Iterator[tuple[float, Parameters]]:
        """Ends that differ, as the whole with what the group's own rows gain."""
        if here is None or group.model.faults(*here[1:]):
            return
        height, *_ = here
        heights = [height]
        for ended in ends:
            if ended is None or ended[0] < height - _LOST or min(abs(ended[0] - other) for other in heights) <= _APART:
                continue
            reached, fitted, statistics = ended
            if not group.model.faults(fitted, statistics):
                heights.append(reached)
                yield reached - height, group.within(model, params, fitted)

    begun_groups = deque[_Group]()
    for at in range(0, len(groups), _PORTION):
        portion = begun(range(at, min(at + _PORTION, len(groups))))
        found = [
            end
            for here, *ends in short_ends_of_all(portion, _FIT_STEPS, _FIT_TOL)
            for end in others(begun_groups.popleft(), here, ends)
        ]
        yield sorted(found, key=lambda end: -end[0])


def _nearness(model: Mixture, params: Parameters, weight: float) -> Array:
    """What merging each pair would cost on paper, shape (K, K); infinite on the diagonal."""
    family: Gaussian = model.family  # type: ignore[assignment]
    first, second, losses = merge_losses(family.layout, params, weight)
    nearness = np.full((family.n_components, family.n_components), np.inf)
    nearness[first, second] = nearness[second, first] = losses
    return nearness


def _neighbours(nearness: Array) -> list[tuple[int, ...]]:
    """Groups of components that lie near one another, the nearest first."""
    k = len(nearness)
    if k <= _SIZE:
        return []
    near = np.argsort(nearness, axis=1, kind="stable")[:, : min(_NEIGHBOURS, k - 1)]
    groups = {tuple(sorted((i, *some))) for i in range(k) for some in combinations(near[i].tolist(), _SIZE - 1)}

    def span(group: tuple[int, ...]) -> tuple[float, tuple[int, ...]]:
        losses = sorted(float(nearness[pair]) for pair in combinations(group, 2))
        return sum(losses[: _SIZE - 1]), group

    return sorted(groups, key=span)[: _GROUPS * k]


def shaken(
    model: Mixture, source: ArraySource, weight: Array, params: Parameters, rng: np.random.Generator
) -> Parameters | None:
    """Some steps of EM with every row's weight w drawn anew, from a gamma distribution of mean and variance w.

    As in the Bayesian bootstrap (Rubin 1981). The sum over w rows of weight 1 has that distribution, so that weights
    mean copies here, too. None where this has no sound end.
    """
    drawn = rng.gamma(weight)
    if not drawn.sum() > 0:
        return None
    ended = _climbed(model, source.weighted(drawn * (weight.sum() / drawn.sum())), params, _SHAKEN_STEPS, 0.01)
    return None if ended is None else ended[1]


def _climbed(
    model: Mixture, source: ArraySource, start: Parameters, n_iter: int, tol: float
) -> tuple[float, Parameters] | None:
    """The objective and the parameters at the end of a short run; None if it is degenerate."""
    (ended,) = short_ends(model, source, [start], n_iter, tol)
    return None if ended is None or model.faults(*ended[1:]) else ended[:2]
