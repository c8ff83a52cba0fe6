"""Escapes by groups: some neighbouring components are fitted anew on their own rows; or all of them to other weights.

Optima of much the same height often differ in how three or four neighbours share their rows, which no single split and
merge changes; or in what a few rows decide, which other weights of the rows undo (Elidan et al. 2002).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.families.gaussian import Gaussian
from jensen.families.moves import components_of, merge_losses, variances_of, with_components
from jensen.fit.search.climbing import matched
from jensen.fit.search.landscape import Together, serially
from jensen.fit.search.together import Problem, ShortEnd, Starts, all_short_ends, short_ends_of_all
from jensen.fit.starts.descent import enlarged
from jensen.fit.starts.draw import spread_out
from jensen.fit.starts.kmeans import nearest_labels, seed_rows_again
from jensen.models.mixture import Mixture
from jensen.numerics.order import draw_distinct

# Sizes of a group, and what its neighbours are chosen by: the merge's loss times the exponential of so much noise.
_SIZES, _NOISE = (3, 5), 0.3
# Steps on the rows of a group, and the gain to come at which they end; rows for each of its components at most.
_LOCAL_STEPS, _LOCAL_TOL, _LOCAL_ROWS = 16, 0.01, 1_024
# Nats and spreads within which a group has come back to where it was.
_ALIKE, _NEAR = 2.0, 0.2
# Steps with other weights.
_SHAKEN_STEPS = 8
# Of groups by plan: how large, how many for each component, and among how many of its neighbours.
_SIZE, _GROUPS, _NEIGHBOURS = 3, 4, 9
# How often the nearest are fitted, one of so many; the nearer half of them; and the rest, which have few ends.
_NEAREST, _MANY_FITS, _FITS, _FEW_FITS = 8, 80, 20, 5
# Groups that are fitted before their ends are tried, of the nearest and of the others: where these lead higher, further
# ones are not needed.
_FIRST_PORTION, _PORTION = 2, 8
# Steps of a fit, and the gain to come at which it ends; nats that tell ends apart.
_FIT_STEPS, _FIT_TOL, _APART = 60, 0.3, 0.5
# Nats that a group may lose, since the components around it make up for much; and where it has few ends.
_LOST, _MORE_LOST = 30.0, 60.0


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
        own = np.zeros(family.n_components, dtype=bool)
        own[which] = True
        rows = np.flatnonzero(own[labels])
        share = weight[rows] * resp[rows][:, which].sum(axis=1)
        if len(rows) > size * _LOCAL_ROWS:
            some = np.sort(draw_distinct(share, rng, size * _LOCAL_ROWS))
            rows, share = rows[some], share[some]
        if share.sum() < 2 * size * (d + 1) or np.count_nonzero(share) <= size:
            return None
        x, few = np.asarray(source.x[rows], dtype=np.float64), enlarged(model, size)
        z = x - x.mean(axis=0)
        scale = np.sqrt(np.einsum("ij,ij->j", z, z) / len(z))
        z /= np.where(scale > 0, scale, 1.0)
        weights, means, covariances = components_of(family.layout, params)
        before = few.parameters(
            weights=weights[which] / weights[which].sum(),
            means=means[which],
            covariances=covariances[0] if family.layout == "tied" else covariances[which],
        )
        return cls(few, which, ArraySource(x.astype(source.dtype), share, single=source.dtype == np.float32), z, before)

    def seeds(self, rng: np.random.Generator, times: int) -> AnyArray:
        """Rows to start from, by k-means++, shape (times, m)."""
        return seed_rows_again(self.standardised, self.local.row_weights, len(self.which), rng, times)

    def about(self, seeds: AnyArray) -> Array:
        """Variances (d,) of the rows about the nearest of these."""
        x, z, weight = self.local.x, self.standardised, self.local.row_weights
        about = x - x[seeds][nearest_labels(z, z[seeds])]
        family: Gaussian = self.model.family  # type: ignore[assignment]
        return np.asarray(weight @ about**2 / weight.sum() + family.ridge)

    def started(self, seeds: AnyArray, variances: Array) -> Starts:
        """Components on these rows (times, m), each time, of equal weights and with these variances."""
        covariances = spread_out(self.model, variances)
        return Starts(
            self.before,
            np.full(seeds.shape, 1.0 / seeds.shape[1]),
            self.local.x[seeds],
            np.broadcast_to(covariances, (len(seeds), *covariances.shape)),
        )

    @property
    def spread(self) -> Array:
        """Variances (d,) within the components as they are now, on average."""
        family: Gaussian = self.model.family  # type: ignore[assignment]
        weights, _, covariances = components_of(family.layout, self.before)
        return np.asarray(weights @ variances_of(family.layout, covariances, family.n_features))

    def within(self, model: Mixture, params: Parameters, own: Parameters) -> Parameters:
        """The whole with other components in the group's place, of the same weight together."""
        family: Gaussian = model.family  # type: ignore[assignment]
        weights, means, covariances = components_of(family.layout, params)
        own_weights, own_means, own_covariances = components_of(family.layout, own)
        weights[self.which] = weights[self.which].sum() * own_weights
        means[self.which], covariances[self.which] = own_means, own_covariances
        return with_components(family, params, weights, means, covariances)


def regrouped(
    model: Mixture,
    source: ArraySource,
    weight: Array,
    resp: Array,
    params: Parameters,
    streams: Sequence[np.random.Generator],
    together: Together = serially,
) -> list[tuple[float, Parameters]]:
    """Random components and some neighbours, fitted from k-means++ seeds on the rows that are most probably theirs.

    Parameters
    ----------
    model : Mixture
        Of K Gaussian components.
    source : ArraySource
        n rows, in single precision if that will do.
    weight : ndarray of shape (n,)
        Their weights.
    resp : ndarray of shape (n, K)
        Responsibilities at `params`.
    params : Parameters
        An optimum.
    streams : sequence of numpy.random.Generator
        Each chooses a group, and its seeds.
    together : callable
        Applies a function to short runs, in threads or not.

    Returns
    -------
    list of (float, Parameters)
        What a group's own rows gain, and the whole; none of a group that has too few rows, has no sound end, or has
        come back to where it was.

    Raises
    ------
    KeyboardInterrupt
        If a group's own run is interrupted.
    """
    k, labels = model.n_components, resp.argmax(axis=1)
    nearness = _nearness(model, params, float(weight.sum()))
    groups = list[tuple[_Group, Array]]()

    def problems() -> Iterator[Problem]:
        for rng in streams:
            size, chosen = min(int(rng.integers(*_SIZES)), k), int(rng.integers(k))
            by = nearness[chosen] * np.exp(_NOISE * rng.standard_normal(k))
            by[chosen] = -np.inf
            which = np.sort(np.argsort(by, kind="stable")[:size])
            group = _Group.of(model, source, weight, resp, labels, params, which, rng)
            if group is None:
                continue
            seeds = group.seeds(rng, 1)
            variances = group.about(seeds[0])
            groups.append((group, np.sqrt(variances)))
            yield group.model, group.local, group.started(seeds, variances)

    found = list[tuple[float, Parameters]]()
    ends = all_short_ends(problems(), _LOCAL_STEPS, _LOCAL_TOL, together)
    for (group, scale), (ended,) in zip(groups, ends, strict=True):
        reached = None if ended is None else ended.sound(group.model)
        if ended is None or reached is None:
            continue
        here = group.model.objective(group.before, group.local.fold(group.model.expect, group.before))
        gain = float(ended.objective - here)
        back = abs(gain) < _ALIKE and matched(reached["means"] / scale, group.before["means"] / scale, _NEAR)
        if not back:
            found.append((gain, group.within(model, params, reached)))
    return found


def regroupings(
    model: Mixture,
    source: ArraySource,
    weight: Array,
    resp: Array,
    params: Parameters,
    rng: np.random.Generator,
    nearest: bool = False,
) -> Generator[list[tuple[float, Parameters]], None, None]:
    """Every group of three neighbours, fitted some times from seeds: all that it may be else, the nearest groups first.

    These are fitted most often: they have more ends, and some lie close together.

    Parameters
    ----------
    model, source, weight, resp, params
        As for `regrouped`.
    rng : numpy.random.Generator
        Seeds.
    nearest : bool, default=False
        Whether to leave it at the nearest groups.

    Yields
    ------
    list of (float, Parameters)
        Ends of some groups that did not come before, the likeliest first, with what the groups' own rows gain by them.
        The others follow when EM goes on, so that the way to a higher optimum may begin with a loss. While the caller
        goes on from there, other groups are fitted.

    Raises
    ------
    KeyboardInterrupt
        If a group's own run is interrupted.
    """
    groups = _neighbours(_nearness(model, params, float(weight.sum())))
    n_nearest = -(-len(groups) // _NEAREST)
    times = [_MANY_FITS if i < n_nearest else _FITS if 2 * i < len(groups) else _FEW_FITS for i in range(len(groups))]
    seeds = rng.integers(2**63, size=len(groups))
    labels = resp.argmax(axis=1)
    waiting = deque[_Group]()

    def begun() -> Iterator[Problem]:
        """Groups with where they are, and where else they may be sought."""
        for which, fits, seed in zip(groups[: -(-n_nearest // 2) if nearest else None], times, seeds, strict=False):
            own = np.random.default_rng(seed)
            group = _Group.of(model, source, weight, resp, labels, params, np.array(which), own)
            if group is None:
                continue
            waiting.append(group)
            # Variances as they are now: those about the seeds take longer to find than some steps.
            yield group.model, group.local, group.started(group.seeds(own, fits), group.spread).behind(group.before)

    def others(here: ShortEnd | None, ends: list[ShortEnd | None]) -> Iterator[tuple[float, Parameters]]:
        """Ends that differ, as the whole with what the group's own rows gain."""
        group = waiting.popleft()
        if here is None or here.sound(group.model) is None:
            return
        scale, least = np.sqrt(group.spread), here.objective - (_LOST if len(ends) > _FEW_FITS else _MORE_LOST)
        known = [(here.objective, group.before["means"] / scale)]
        for ended in ends:
            if ended is None or ended.objective < least:
                continue
            means, reached = ended.means() / scale, ended.objective
            if any(abs(reached - height) <= _APART and matched(means, there, _NEAR) for height, there in known):
                continue
            fitted = ended.sound(group.model)
            if fitted is not None:
                known.append((reached, means))
                yield reached - here.objective, group.within(model, params, fitted)

    fitted, done = short_ends_of_all(begun(), _FIT_STEPS, _FIT_TOL), 0
    with closing(fitted):
        while portion := list(islice(fitted, _FIRST_PORTION if done < n_nearest else _PORTION)):
            done += len(portion)
            found = [end for here, *ends in portion for end in others(here, ends)]
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
    model: Mixture,
    source: ArraySource,
    weight: Array,
    params: Parameters,
    streams: Sequence[np.random.Generator],
    together: Together = serially,
) -> list[Parameters]:
    """Some steps of EM with every row's weight w drawn anew, from a gamma distribution of mean and variance w.

    As in the Bayesian bootstrap (Rubin 1981). The sum over w rows of weight 1 has that distribution, so that weights
    mean copies here, too. Nothing from a stream where this has no sound end.
    """

    def problems() -> Iterator[Problem]:
        for rng in streams:
            drawn = rng.gamma(weight)
            if drawn.sum() > 0:
                yield model, source.weighted(drawn * (weight.sum() / drawn.sum())), Starts.of([params])

    ends = all_short_ends(problems(), _SHAKEN_STEPS, _LOCAL_TOL, together)
    reached = [None if ended is None else ended.sound(model) for (ended,) in ends]
    return [params for params in reached if params is not None]
