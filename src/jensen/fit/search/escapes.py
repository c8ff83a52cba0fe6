"""Where an optimum of a Gaussian mixture may be left for a higher one.

Every component is split by a short EM of its own on its own rows, which says what a second component is worth there;
every pair is merged on paper, which says what one component less costs. What gains more than it costs is tried first
(split and merge, Ueda et al. 2000). Besides: components moved to rows that the mixture explains badly (random swap,
Zhao et al. 2012), the death of one that overlaps or starves and its birth where the need is greatest, and annealing.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.errors import NumericalFailure
from jensen.families.gaussian import Gaussian
from jensen.families.moves import (
    between,
    brought_by_common_covariance,
    cheapest_merges,
    components_of,
    heated,
    merge_losses,
    merged_pairs,
    with_components,
)
from jensen.fit.search.landscape import Together, Ways, serially
from jensen.fit.search.regrouping import regrouped, regroupings, shaken
from jensen.fit.search.splitting import Split, Splits
from jensen.models.mixture import Mixture
from jensen.numerics.order import draw_by_weight

# Planned moves that go first, and moves of each kind in a batch.
_FIRST = 5
_SPLITS, _SWAPS, _DEATHS, _DRAWN, _ALL_PAIRS = 8, 1, 1, 8, 24
# And in one that draws.
_DRAWN_SWAPS, _REGROUPED, _SHAKEN = 2, 4, 2
# Runs with other weights before groups by plan.
_SHAKES = 8
_HEAT = (4.0, 2.0)
# Rows times components whose responsibilities are held at once; beyond, components are drawn anew.
_LARGEST = 1 << 22
# Mean uncertainty of rows that belong to one component for certain; and how many times what the best split brings
# every merge must cost for an optimum to be plain.
_UNSURE, _PLAIN = 0.15, 2.0
# Share of a merge's loss on paper that a split must bring to be tried.
_LIKELY = 0.3


def gaussian_escapes(
    model: Mixture,
    source: ArraySource,
    params: Parameters,
    rng: np.random.Generator,
    drawn: bool = False,
    together: Together = serially,
    known: Splits | None = None,
    rough: ArraySource | None = None,
) -> Ways | None:
    """Parameters to climb from, with the kind of move that led there, in portions; the promising ones first.

    Parameters
    ----------
    model : Mixture
        Of Gaussian components.
    source : ArraySource
        The rows of the search.
    params : Parameters
        The optimum.
    rng : numpy.random.Generator
        For the swaps, and the splits' starts.
    drawn : bool, default=False
        Whether to draw swaps alone, more of them.
    together : callable
        Applies a function to short runs, in threads or not.
    known : Splits, optional
        What the search knows of components that it has met.
    rough : ArraySource, optional
        The same rows for runs that lead no further than away; by default `source`.

    Returns
    -------
    Ways or None
        None where it is plain that nothing leads higher; no portions for one component, and where it is unlikely.
        What comes after the first portion is made when it is asked for.

    Raises
    ------
    KeyboardInterrupt
        If a component's own run is interrupted.
    """
    family: Gaussian = model.family  # type: ignore[assignment]
    k, rough = family.n_components, source if rough is None else rough
    if k < 2:
        return Ways(())
    density = source.collect(model.row_loglik, params)
    weight = source.row_weights
    if source.n_rows * k > _LARGEST:
        return Ways([_swaps(family, params, source.x, weight, density, rng, _DRAWN)])
    resp = source.collect(model.responsibilities, params)
    anew = (model, rough, params, weight, resp, rng, together)
    if drawn:
        found = _swaps(family, params, source.x, weight, density, rng, _DRAWN_SWAPS)
        return Ways([found + _drawn_anew(*anew, _REGROUPED)])
    splits = (Splits() if known is None else known).of_all(model, rough, params, weight, resp, rng, together)
    moves, worth = _moves(family, params, weight, resp, splits)
    unsure = float(weight @ (1.0 - resp.max(axis=1))) / float(weight.sum())
    if moves and unsure <= _UNSURE and moves[0][3] < -_PLAIN * max(worth, 1.0):
        # What merges lose at most says that escapes are unlikely. What they lose by labels alone, that there are none;
        # but where a covariance follows them.
        least = merge_losses(family.layout, params, float(weight.sum()))[2].min()
        plain = least - worth > _PLAIN * max(worth, 1.0) and not family.kind.is_common
        return None if plain else Ways((), unlikely=True)
    planned = _split_and_merge(family, params, splits, moves)

    def portions() -> Iterator[list[tuple[str, Parameters]]]:
        yield planned[:_FIRST]
        found = planned[_FIRST:] + _births(family, params, weight, resp, splits)
        found += _swaps(family, params, source.x, weight, density, rng, _SWAPS)
        found += _drawn_anew(*anew, 0)
        annealed = _annealed(model, source, params)
        yield found + ([("annealing", annealed)] if annealed is not None else [])

    return Ways(portions())


def gaussian_regroupings(
    model: Mixture,
    source: ArraySource,
    params: Parameters,
    rng: np.random.Generator,
    rough: ArraySource,
    nearest: bool = False,
) -> Generator[list[Parameters], None, None]:
    """Runs with other weights, and groups of neighbours fitted anew, some at a time.

    None where responsibilities are too many to be held.

    Parameters
    ----------
    model, source, params, rng, rough
        As for `gaussian_escapes`.
    """
    if source.n_rows * model.n_components > _LARGEST:
        return
    weight, resp = source.row_weights, source.collect(model.responsibilities, params)
    # What a few rows decide is soon undone.
    yield shaken(model, rough, weight, params, rng.spawn(_SHAKES))
    with closing(regroupings(model, rough, weight, resp, params, rng, nearest)) as portions:
        for portion in portions:
            yield [moved for _, moved in portion]


# Components i and j that become one, k that becomes two, and what that seems to gain.
_Planned = tuple[int, int, int, float]


def _moves(
    family: Gaussian, params: Parameters, weight: Array, resp: Array, splits: list[Split | None]
) -> tuple[list[_Planned], float]:
    """The cheapest merges with the splits of other components, by what they gain together, and the best split's worth.

    Where there are many, those whose split brings little of what the merge loses are left out, but for the first.
    """
    first, second, losses = cheapest_merges(family.layout, params, weight, resp, 2 * family.n_components)
    worth = np.array([-np.inf if split is None else split.gain for split in splits])
    gains = np.where(np.isfinite(worth), worth, 0.0) - losses[:, None]
    if family.layout == "tied":
        n, none = float(weight.sum()), np.zeros((1, family.n_features))
        merged, shares = between(params, first, second), params["weights"]
        parted = np.array([none[0] if split is None else split.between(shares[k]) for k, split in enumerate(splits)])
        gains += brought_by_common_covariance(params["covariances"], n, merged, parted)
        worth += brought_by_common_covariance(params["covariances"], n, none, parted)[0]
    each = np.arange(len(splits))
    possible = np.isfinite(worth) & (each != first[:, None]) & (each != second[:, None])
    at, k = np.nonzero(possible)
    if len(at) > _ALL_PAIRS:
        # The others make up for some of a loss.
        likely = possible & (worth > _LIKELY * losses[:, None])
        likely.flat[np.where(possible, gains, -np.inf).argmax()] = True
        at, k = np.nonzero(likely)
    order = np.argsort(-gains[at, k], kind="stable")
    found = zip(first[at], second[at], k, gains[at, k], strict=True)
    moves = [(int(i), int(j), int(split), float(gain)) for i, j, split, gain in found]
    return [moves[number] for number in order], float(worth.max())


def _split_and_merge(
    family: Gaussian, params: Parameters, splits: list[Split | None], moves: list[_Planned]
) -> list[tuple[str, Parameters]]:
    """The best moves one by one, and those that do not touch one another together."""
    found = list[tuple[str, Parameters]]()
    chosen = moves if len(moves) <= _ALL_PAIRS else moves[:_SPLITS]
    # Where several components sit wrong, moves that do not touch one another go together.
    apart, used = list[_Planned](), set[int]()
    for move in moves:
        if move[3] > 0 and used.isdisjoint(move[:3]):
            apart.append(move)
            used |= set(move[:3])
    for several in ([apart] if len(apart) > 1 else []) + [[move] for move in chosen]:
        weights, means, covariances = components_of(family.layout, params)
        for i, j, k, *_ in several:
            pair = merged_pairs(family.layout, params, np.array([i]), np.array([j]))
            weights[i], means[i], covariances[i] = pair[0][0], pair[1][0], pair[2][0]
            _put(splits[k], weights, means, covariances, k, j)
        kind = "split and merge" if len(several) == 1 else "several splits and merges"
        found.append((kind, with_components(family, params, weights, means, covariances)))
    return found


def _put(split: Split | None, weights: Array, means: Array, covariances: Array, k: int, free: int) -> None:
    """Component k becomes two: one in its place, one in a place that is free."""
    assert split is not None
    mass = weights[k]
    for at, part in ((k, 0), (free, 1)):
        weights[at], means[at], covariances[at] = mass * split.weights[part], split.means[part], split.covariances[part]


def _drawn_anew(
    model: Mixture,
    rough: ArraySource,
    params: Parameters,
    weight: Array,
    resp: Array,
    rng: np.random.Generator,
    together: Together,
    n_groups: int,
) -> list[tuple[str, Parameters]]:
    """Groups of components fitted anew, and runs with other weights."""
    streams = [np.random.default_rng(seed) for seed in rng.integers(2**63, size=n_groups + _SHAKEN)]
    groups = regrouped(model, rough, weight, resp, params, streams[:n_groups], together) if n_groups else []
    found = [("regrouping", moved) for _, moved in groups]
    return found + [("other weights", m) for m in shaken(model, rough, weight, params, streams[n_groups:], together)]


def _births(
    family: Gaussian, params: Parameters, weight: Array, resp: Array, splits: list[Split | None]
) -> list[tuple[str, Parameters]]:
    """The component that the others could best do without dies; the one that gains most by it is split."""
    with np.errstate(divide="ignore"):
        losses = -(weight @ np.maximum(np.log1p(-np.minimum(resp, 1.0)), -50.0))
    gains = np.array([-np.inf if split is None else split.gain for split in splits])
    found = list[tuple[str, Parameters]]()
    for dying in np.argsort(losses)[:_DEATHS]:
        best = np.where(np.arange(len(gains)) == dying, -np.inf, gains)
        k = int(best.argmax())
        if not np.isfinite(best[k]):
            continue
        weights, means, covariances = components_of(family.layout, params)
        _put(splits[k], weights, means, covariances, k, int(dying))
        found.append(("birth and death", with_components(family, params, weights, means, covariances)))
    return found


def _swaps(
    family: Gaussian,
    params: Parameters,
    rows: AnyArray,
    weight: Array,
    density: Array,
    rng: np.random.Generator,
    n: int,
) -> list[tuple[str, Parameters]]:
    """A component chosen at random moves to a row, half of them to rows that the mixture explains badly."""
    found, k = list[tuple[str, Parameters]](), family.n_components
    need = weight * (np.quantile(density, 0.9) - np.minimum(density, np.quantile(density, 0.9)))
    for number in range(n):
        weights, means, covariances = components_of(family.layout, params)
        dying, uniform = int(rng.integers(k)), rng.random(1)
        by = need if number % 2 and need.any() else weight
        x = np.asarray(rows[draw_by_weight(by, uniform)[0]], dtype=np.float64)
        covariances[dying] = np.tensordot(weights, covariances, axes=1)
        means[dying], weights[dying] = x, 1.0 / k
        found.append(("swap", with_components(family, params, weights, means, covariances)))
    return found


def _annealed(model: Mixture, source: ArraySource, params: Parameters) -> Parameters | None:
    """A few steps at falling temperatures: components that sit where they are for no good reason let go."""
    family: Gaussian = model.family  # type: ignore[assignment]
    try:
        for temperature in _HEAT:
            warm = heated(family.layout, params, temperature)
            params = model.maximize(warm, source.fold(model.expect, warm))
    except NumericalFailure:
        return None
    return params
