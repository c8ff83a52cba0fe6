"""Escapes from an optimum: they are sound, lead from a bad optimum to the best, and none is tried where it is plain."""

import numpy as np
import pytest
from mixtures import SHAPES, mixture, start_from, table

from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.families.gaussian import Gaussian
from jensen.fit.search.escapes import gaussian_escapes
from jensen.solve.loop import run
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Plain

CENTRES = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 12.0], [11.0, 11.0]])
TRUTH = np.repeat(np.arange(4), 60)
X = CENTRES[TRUTH] + np.random.default_rng(0).standard_normal((240, 2))
SPLIT = "split and merge"


def climbed(model, source, start):
    """EM to its end."""
    rule = AitkenRule(source.weight)
    return run(Plain("off").solver(model, rule), source, start, rule)


def best_and_trapped(shape, weight=None, x=X):
    """The model, the source, and two optima: one component to a cluster; two on one of them, one across two."""
    model, source = mixture(4, 2, shape, 1e-4), ArraySource(x, weight)
    best = climbed(model, source, start_from(model, x, TRUTH, weight))
    halves = (x[:, 1] > np.median(x[TRUTH == 0, 1])).astype(int)
    wrong = np.where(TRUTH == 0, halves, np.where(TRUTH == 1, 2, 3))
    return model, source, best, climbed(model, source, start_from(model, x, wrong, weight))


def escapes(model, source, params, seed=0, **settings):
    found = gaussian_escapes(model, source, params, np.random.default_rng(seed), **settings)
    return None if found is None else [move for portion in found.portions for move in portion]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_bad_optimum_is_left_for_the_best(shape, weighted):
    weight = np.random.default_rng(1).integers(1, 4, len(X)).astype(float) if weighted else None
    model, source, best, trapped = best_and_trapped(shape, weight)
    assert trapped.status is Status.CONVERGED and trapped.objective < best.objective - 50
    found = escapes(model, source, trapped.params)
    # The move that promises most goes first, and it is the right one: one step of EM is almost there.
    assert found[0][0] == SPLIT
    reached = climbed(model, source, found[0][1])
    assert reached.objective == pytest.approx(best.objective, abs=1e-4)
    assert reached.trace[2] > trapped.objective


@pytest.mark.parametrize("shape", SHAPES)
def test_every_proposal_is_a_mixture(shape):
    model, source, _, trapped = best_and_trapped(shape)
    kinds = set()
    for drawn in (False, True):
        found = escapes(model, source, trapped.params, drawn=drawn)
        assert 5 <= len(found) <= 40
        for kind, params in found:
            params.check()
            assert params["weights"].sum() == pytest.approx(1.0, rel=1e-12) and params["weights"].min() > 0
            assert np.isfinite(source.fold(model.expect, params).loglik)
            kinds.add(kind)
    assert kinds >= {SPLIT, "birth and death", "swap", "annealing"}


@pytest.mark.parametrize("shape", SHAPES)
def test_where_it_is_plain_nothing_is_tried(shape):
    model, source, best, _ = best_and_trapped(shape)
    # A common covariance follows what is merged and split, so that it is unlikely at most.
    found = gaussian_escapes(model, source, best.params, np.random.default_rng(0))
    assert found is None if shape != "tied" else found.unlikely and not list(found.portions)
    # Draws are what a search asks for where plans are used up: then it is not plain.
    kinds = {kind for kind, _ in escapes(model, source, best.params, drawn=True)}
    assert {"swap", "other weights"} <= kinds <= {"swap", "other weights", "regrouping"}


def test_clusters_that_overlap_are_never_plain():
    x = X - 0.8 * CENTRES[TRUTH]
    model, source, best, _ = best_and_trapped("full", x=x)
    assert escapes(model, source, best.params)


def test_a_cluster_that_is_two_is_never_plain():
    # Far apart as they are, every one is bent: two components fit it much better than one.
    rng = np.random.default_rng(2)
    x = np.concatenate([centre + np.column_stack([u, 4.0 * u**2]) for centre in ((0.0, 0.0), (30.0, 0.0), (60.0, 0.0))
                        for u in [rng.uniform(-3, 3, 100)]])  # fmt: skip
    model, source = mixture(3, 2, "full", 1e-4), ArraySource(x)
    best = climbed(model, source, start_from(model, x, np.repeat(np.arange(3), 100)))
    assert {kind for kind, _ in escapes(model, source, best.params)} >= {SPLIT, "swap"}


@pytest.mark.parametrize("shape", SHAPES)
def test_one_component_cannot_escape(shape):
    model, source = mixture(1, 2, shape), ArraySource(X)
    params = climbed(model, source, start_from(model, X, np.zeros(len(X), dtype=int))).params
    assert escapes(model, source, params) == [] == escapes(model, source, params, drawn=True)


def test_swaps_move_one_component_to_a_row():
    model, source, _, trapped = best_and_trapped("full")
    seen = set()
    for seed in range(16):
        for kind, params in escapes(model, source, trapped.params, seed, drawn=True):
            if kind != "swap":
                continue
            moved = np.flatnonzero((params["means"] != trapped.params["means"]).any(axis=1))
            assert len(moved) == 1
            assert (X == params["means"][moved[0]]).all(axis=1).any()
            seen.add(int(moved[0]))
    assert seen == set(range(4))


def test_half_of_the_swaps_go_where_the_mixture_explains_badly():
    # Ten rows far from both components: three of a hundred.
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.standard_normal((320, 2)), rng.standard_normal((10, 2)) * 0.1 + 40.0])
    model, source = mixture(2, 2, "full", 1e-4), ArraySource(x)
    params = model.parameters(weights=[0.5, 0.5], means=[[-1.0, 0.0], [1.0, 0.0]], covariances=[np.eye(2)] * 2)
    far = sum(
        bool((proposal["means"] > 30).all(axis=1).any())
        for seed in range(10)
        for _, proposal in escapes(model, source, params, seed, drawn=True)
    )
    assert far >= 25  # of 80


def test_escapes_are_drawn_from_their_stream_alone(monkeypatch):
    model, source, _, trapped = best_and_trapped("full")

    def same(one, other):
        return all(
            a[0] == b[0] and all((a[1][name] == b[1][name]).all() for name in a[1].values)
            for a, b in zip(one, other, strict=True)
        )

    first, backwards = escapes(model, source, trapped.params), []

    def together(function, items):
        done = {item: function(item) for item in reversed(items)}
        backwards.append(len(items))
        return [done[item] for item in items]

    # Bursts need no threads of Python; other runs are the same in any order.
    assert same(first, escapes(model, source, trapped.params, together=together)) and not backwards
    with monkeypatch.context() as patched:
        patched.setattr(Gaussian, "in_bursts", lambda self, block: False)
        alone = escapes(model, source, trapped.params)
        assert same(alone, escapes(model, source, trapped.params, together=together)) and backwards == [12, 2]
    drawn = [escapes(model, source, trapped.params, seed, drawn=True) for seed in (0, 0, 1)]
    assert same(drawn[0], drawn[1]) and not same(drawn[0], drawn[2])


def test_many_wrong_components_move_at_once():
    # Six clusters: two of them have two components each, the other four share two.
    rng = np.random.default_rng(4)
    centres = np.array([[20.0 * i, 30.0 * j] for i in range(3) for j in range(2)])
    truth = np.repeat(np.arange(6), 60)
    x = centres[truth] + rng.standard_normal((360, 2))
    model, source = mixture(6, 2, "full", 1e-4), ArraySource(x)
    best = climbed(model, source, start_from(model, x, truth))
    half = (x[:, 0] > centres[truth, 0]).astype(int)
    wrong = np.where(truth == 0, half, np.where(truth == 5, 2 + half, 4 + (truth > 2)))
    trapped = climbed(model, source, start_from(model, x, wrong))
    found = escapes(model, source, trapped.params)
    assert found[0][0] == "several splits and merges"
    assert climbed(model, source, found[0][1]).objective == pytest.approx(best.objective, abs=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("case", ["few rows", "rounded", "collinear"])
def test_awkward_data_give_sound_proposals_or_none(shape, case):
    x = table(5, 12 if case == "few rows" else 80, 2, 3)
    x = np.round(x) if case == "rounded" else np.column_stack([x[:, 0]] * 2) if case == "collinear" else x
    model, source = mixture(3, 2, shape, 1e-6), ArraySource(x)
    params = climbed(model, source, start_from(model, x, np.arange(len(x)) % 3)).params
    for _, proposal in escapes(model, source, params) or []:
        proposal.check()
