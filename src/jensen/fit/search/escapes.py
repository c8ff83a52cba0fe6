"""Where an optimum of a Gaussian mixture may be left for a higher one.

Every component is split by a short EM of its own on its own rows, which says what a second component is worth there;
every pair is merged on paper, which says what one component less costs. What gains more than it costs is tried first
(split and merge, Ueda et al. 2000). Besides: components moved to rows that the mixture explains badly (random swap,
Zhao et al. 2012), the death of one that overlaps or starves and its birth where the need is greatest, and annealing.
"""

from __future__ import annotations

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.errors import NumericalFailure
from jensen.families.gaussian import Gaussian
from jensen.families.moves import (
    components_of,
    heated,
    merge_losses,
    merged_pairs,
    with_components,
)
from jensen.fit.search.landscape import Together, serially
from jensen.fit.search.regrouping import regrouped, regroupings, shaken
from jensen.fit.search.splitting import Split, Splits
from jensen.models.mixture import Mixture
from jensen.numerics.order import draw_by_weight

# Moves of each kind in a batch.
_SPLITS, _SWAPS, _DEATHS, _DRAWN, _ALL_PAIRS = 8, 1, 1, 8, 24
# And in one that draws.
_DRAWN_SWAPS, _REGROUPED, _SHAKEN = 2, 4, 2
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
) -> list[tuple[str, Parameters]] | None:
    """Parameters to climb from, with the kind of move that led there; the promising ones first.

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
        Applies a function to the components, in threads or not.
    known : Splits, optional
        What the search knows of components that it has met.

    Returns
    -------
    list of (str, Parameters) or None
        None where it is plain that nothing leads higher; empty for one component.

    Raises
    ------
    KeyboardInterrupt
        If a component's own run is interrupted.
    """
    family: Gaussian = model.family  # type: ignore[assignment]
    k = family.n_components
    if k < 2:
        return []
    density = source.collect(model.row_loglik, params)
    weight = source.row_weights
    if source.n_rows * k > _LARGEST:
        return _swaps(family, params, source.x, weight, density, rng, _DRAWN)
    resp = source.collect(model.responsibilities, params)
    if drawn:
        found = _swaps(family, params, source.x, weight, density, rng, _DRAWN_SWAPS)
        return found + _drawn_anew(model, source, params, weight, resp, rng, together, _REGROUPED)
    splits = (Splits() if known is None else known).of_all(model, source, params, weight, resp, rng, together)
    moves = _moves(family, params, float(weight.sum()), splits)
    if _is_plain(splits, moves, resp.max(axis=1), weight):
        return None
    found = _split_and_merge(family, params, splits, moves)
    found += _births(family, params, weight, resp, splits)
    found += _swaps(family, params, source.x, weight, density, rng, _SWAPS)
    found += _drawn_anew(model, source, params, weight, resp, rng, together, 0)
    annealed = _annealed(model, source, params)
    return found + ([("annealing", annealed)] if annealed is not None else [])


def gaussian_regroupings(
    model: Mixture, source: ArraySource, params: Parameters, rng: np.random.Generator, together: Together = serially
) -> list[Parameters]:
    """Groups of neighbours fitted anew, the likeliest first; none where responsibilities are too many to be held.

    Parameters
    ----------
    model, source, params, rng, together
        As for `gaussian_escapes`.
    """
    if source.n_rows * model.n_components > _LARGEST:
        return []
    resp = source.collect(model.responsibilities, params)
    return [moved for _, moved in regroupings(model, source, source.row_weights, resp, params, rng, together)]


# Components i and j that become one, k that becomes two, what that seems to gain, and whether it may: where components
# overlap, the loss on paper is too high.
_Planned = tuple[int, int, int, float, bool]


def _moves(family: Gaussian, params: Parameters, weight: float, splits: list[Split | None]) -> list[_Planned]:
    """The cheapest merges with the splits of other components, by what they gain together."""
    first, second, losses = merge_losses(family.layout, params, weight)
    found = [
        (int(first[at]), int(second[at]), k, split.gain - float(losses[at]), split.gain > _LIKELY * float(losses[at]))
        for at in np.argsort(losses, kind="stable")[: 2 * family.n_components]
        for k, split in enumerate(splits)
        if split is not None and k not in (first[at], second[at])
    ]
    return sorted(found, key=lambda move: -move[3])


def _is_plain(splits: list[Split | None], moves: list[_Planned], surest: Array, weight: Array) -> bool:
    """Whether components lie so far apart, and are so round, that every merge costs many times what a split brings.

    Where rows belong to one component for certain, losses on paper are those of the likelihood.
    """
    if not moves or float(weight @ (1.0 - surest)) > _UNSURE * float(weight.sum()):
        return False
    worth = max(split.gain for split in splits if split is not None)
    return moves[0][3] < -_PLAIN * max(worth, 1.0)


def _split_and_merge(
    family: Gaussian, params: Parameters, splits: list[Split | None], moves: list[_Planned]
) -> list[tuple[str, Parameters]]:
    """The best moves one by one, and those that do not touch one another together."""
    found = list[tuple[str, Parameters]]()
    few = len(moves) <= _ALL_PAIRS
    chosen = moves if few else [move for move in moves if move[4]][:_SPLITS]
    # Where several components sit wrong, moves that do not touch one another go together.
    apart, used = list[_Planned](), set[int]()
    for move in moves:
        if move[3] > 0 and not used & set(move[:3]):
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
    source: ArraySource,
    params: Parameters,
    weight: Array,
    resp: Array,
    rng: np.random.Generator,
    together: Together,
    n_groups: int,
) -> list[tuple[str, Parameters]]:
    """Groups of components fitted anew, and runs with other weights."""
    kinds = ["regrouping"] * n_groups + ["other weights"] * _SHAKEN
    seeds = rng.integers(2**63, size=len(kinds))

    def drawn(i: int) -> Parameters | None:
        own = np.random.default_rng(seeds[i])
        if kinds[i] == "regrouping":
            found = regrouped(model, source, weight, resp, params, own)
            return None if found is None else found[1]
        return shaken(model, source, weight, params, own)

    found = zip(kinds, together(drawn, range(len(kinds))), strict=True)
    return [(kind, moved) for kind, moved in found if moved is not None]


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
