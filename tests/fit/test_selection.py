"""The choice of K and shape: sound, honest about what was run, and no cell below one that it contains."""

import gc
import weakref

import numpy as np
import pytest
from mixtures import table as rows_of
from references import read_csv

from jensen import ConjugatePrior, datasets
from jensen.core import criteria
from jensen.core.observers import Glance
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.families.shapes import SHAPES, contains
from jensen.fit.mixture import fit_mixture
from jensen.fit.result import full_covariances
from jensen.fit.selection import grid, holdout
from jensen.fit.selection.grid import MIN_CONFIRMED, select_mixture
from jensen.fit.settings import MixtureSettings
from jensen.kernels.choose import native_kernels

FOUR = ("full", "tied", "diag", "spherical")


def source_of(name):
    data = datasets.load(name).data
    return ArraySource(data.reshape(len(data), -1))


def by_name(selection):
    return {cell.name: cell for cell in selection.cells}


@pytest.fixture(scope="module", params=["faithful", "iris"])
def whole(request):
    """All 126 cells, without a ridge, as mclust has them."""
    settings = MixtureSettings(1, reg_covar=0.0, n_init="auto", seed=1)
    return request.param, select_mixture(source_of(request.param), range(1, 10), list(SHAPES), settings)


@pytest.fixture(scope="module")
def search():
    return select_mixture(source_of("faithful"), range(1, 6), FOUR, MixtureSettings(1, n_init=5, seed=1))


# --------------------------------------------------------------------------------------------- against mclust


def test_every_cell_is_as_good_as_that_of_mclust(whole):
    name, selection = whole
    cells = by_name(selection)
    compared = 0
    for row in read_csv(f"mclust_BIC_{name}.csv"):
        for shape in SHAPES:
            cell = cells[f"{shape},{row['G']}"]
            if row[shape].strip() == "NA" or not cell.is_sound:
                continue
            n_free, n = cell.fit.n_free, cell.fit.weight
            theirs = 0.5 * (float(row[shape]) + n_free * np.log(n))
            assert cell.fit.loglik >= theirs - 1e-6, cell.name
            compared += 1
    assert compared > 110


def test_the_choice_is_that_of_mclust_and_says_how_sure_it_is(whole):
    name, selection = whole
    if name == "faithful":
        assert selection.best_cell.name == "EEE,3"
        assert selection.best.bic == pytest.approx(2314.2957, abs=1e-3)
    else:
        assert selection.best_cell.name == "VEV,2"
        assert "VEV,2 and VEV,3 differ by 0.8: the data do not decide." in selection.words()
        assert selection.best.bic == pytest.approx(561.7285, abs=1e-3)


def test_more_freedom_never_gives_less_likelihood(whole):
    assert violations(whole[1]) == []


def test_icl_is_that_of_mclust_in_our_sign(whole):
    if whole[0] != "faithful":
        return
    cells, same = by_name(whole[1]), 0
    bics = {row["G"]: row for row in read_csv("mclust_BIC_faithful.csv")}
    for row in read_csv("mclust_ICL_faithful.csv"):
        for shape in SHAPES:
            cell = cells[f"{shape},{row['G']}"]
            # Where both are at the same optimum, to the digits that mclust's tolerance leaves.
            if abs(float(bics[row["G"]][shape]) + cell.bic) < 1e-4:
                assert cell.fit.icl == pytest.approx(-float(row[shape]), abs=0.05)
                same += 1
    assert same > 20


def violations(selection, prior=False):
    """Pairs of sound cells where the one that contains the other has the lower objective."""
    cells, found = {cell.name: cell for cell in selection.cells if cell.is_sound}, []
    for name, cell in cells.items():
        shape, k = name.split(",")
        above = [f"{other},{k}" for other in SHAPES if other != shape and contains(other, shape)]
        for other in [*above, *([] if prior else [f"{shape},{int(k) + 1}"])]:
            if other in cells and cells[other].fit.objective < cell.fit.objective - 1e-8:
                found.append((name, other, cells[other].fit.objective - cell.fit.objective))
    return found


DATA = {
    "overlapping": rows_of(1, 150, 2, 4, spread=1.0),
    "apart": rows_of(2, 200, 3, 3, spread=6.0),
    "few rows": rows_of(3, 40, 2, 2, spread=2.0),
    "wide": rows_of(4, 120, 6, 2, spread=2.0),
    "rounded": np.round(rows_of(5, 150, 2, 3, spread=2.0)),
    "one group": rows_of(6, 120, 2, 1),
    "units": rows_of(7, 150, 2, 3) * [1e-6, 1e5],
    "galaxies": datasets.load("galaxies").data.reshape(-1, 1),
    "faithful": datasets.load("faithful").data,
    "iris": datasets.load("iris").data,
}


@pytest.mark.parametrize("asked", ["plain", "ridge", "prior"])
@pytest.mark.parametrize("name", DATA)
def test_nesting(name, asked):
    x = DATA[name]
    settings = {
        "plain": {"reg_covar": 0.0},
        "ridge": {},
        # One prior for all cells: a default one depends on K.
        "prior": {
            "reg_covar": 0.0,
            "prior": ConjugatePrior(0.1, x.mean(axis=0), x.shape[1] + 4, np.diag(x.var(axis=0))),
        },
    }[asked]
    shapes = ["EII", "VII"] if x.shape[1] == 1 else list(SHAPES)
    if asked == "prior":
        shapes = [shape for shape in shapes if shape[2] != "I" and shape != "EEE"]
        if not shapes:
            return
    settings = MixtureSettings(1, n_init=1, seed=0, **settings)
    selection = select_mixture(ArraySource(x), range(1, 5), shapes, settings)
    assert violations(selection, asked == "prior") == []
    assert any(cell.is_sound for cell in selection.cells)


# --------------------------------------------------------------------------------------------- four shapes, and records


def test_faithful_is_three_components_of_one_shape(search):
    # mclust 6 on the same data: EEE with 3 components, BIC -2314.316 in its sign.
    assert (search.best.n_components, search.best.covariance_type) == (3, "tied")
    assert search.best.bic == pytest.approx(2314.3, abs=0.1)
    assert search.best.is_sound and search.status is Status.CONVERGED


def test_a_search_of_the_lead_says_what_it_found():
    found = select_mixture(source_of("faithful"), [2, 3, 4], FOUR, MixtureSettings(1, n_init="auto", seed=1))
    ranked = sorted(found.cells, key=lambda cell: cell.bic)
    assert all(cell.confirmed for cell in ranked[:MIN_CONFIRMED])
    assert not all(cell.confirmed for cell in found.cells) and found.searched
    assert "starts ended at -1126.32" in str(found.best.account)
    alone = fit_mixture(source_of("faithful"), MixtureSettings(3, "tied", n_init="auto", seed=1))
    assert found.best.objective == pytest.approx(alone.objective, abs=1e-3)


def test_every_cell_is_converged_and_says_from_where(search):
    assert len(search.cells) == 20 and all(cell.confirmed for cell in search.cells)
    assert all(cell.fit.status.is_converged for cell in search.cells)
    assert {len(cell.fit.starts) for cell in search.cells if cell.n_components == 1} == {1}
    kinds = {start.kind for cell in search.cells for start in cell.fit.starts}
    assert "merges" in kinds and len(kinds) > 2


def test_threads_change_no_bit(threads):
    found = []
    for n in (1, 4):
        threads(n)
        settings = MixtureSettings(1, n_init=2, seed=3)
        found.append(select_mixture(source_of("iris"), [1, 2, 3, 4], ["EII", "VEI", "EVE", "VVV"], settings))
    for one, other in zip(found[0].cells, found[1].cells, strict=True):
        assert one.fit.objective == other.fit.objective and one.fit.trace == other.fit.trace


def test_weights_are_repetitions():
    x, weight = datasets.load("faithful").data, np.random.default_rng(0).integers(0, 3, 272)
    settings = MixtureSettings(1, n_init=1, seed=1)
    one = select_mixture(ArraySource(x, weight.astype(float)), [1, 2, 3], ["VEV", "EEE"], settings)
    other = select_mixture(ArraySource(np.repeat(x, weight, axis=0)), [1, 2, 3], ["VEV", "EEE"], settings)
    for a, b in zip(one.cells, other.cells, strict=True):
        assert a.bic == pytest.approx(b.bic, rel=1e-9)
        assert a.entropy == pytest.approx(b.entropy, rel=1e-5, abs=1e-8)


def test_table_has_a_record_for_each_cell_with_every_criterion(search):
    table = search.table()
    assert [row["n_components"] for row in table] == [k for k in range(1, 6) for _ in FOUR]
    assert min(table, key=lambda row: row["bic"])["covariance_type"] == "tied"
    for row, cell in zip(table, search.cells, strict=True):
        loglik, p, n = cell.fit.loglik, cell.fit.n_free, 272.0
        assert row["aicc"] == pytest.approx(-2 * loglik + 2 * p + 2 * p * (p + 1) / (n - p - 1))
        assert row["caic"] == pytest.approx(-2 * loglik + p * (np.log(n) + 1))
        assert row["sabic"] == pytest.approx(-2 * loglik + p * np.log((n + 2) / 24))
        resp = cell.fit.fitted.responsibilities(datasets.load("faithful").data)
        entropy = -(resp * np.log(np.maximum(resp, 1e-300))).sum()
        assert row["entropy"] == pytest.approx(entropy, rel=1e-9, abs=1e-9)
    assert criteria.aicc(-10.0, 8, 9.0) == np.inf


def test_entropy_is_that_of_the_fit_that_a_search_found():
    rng = np.random.default_rng(0)
    groups = ([0, 0], 1.0), ([4, 0], 0.6), ([0, 4], 1.5), ([3, 3], 0.3), ([1.5, 1.5], 0.4), ([-2, 2], 0.5)
    x = np.vstack([rng.normal(mean, scale, (60, 2)) for mean, scale in groups])
    found = select_mixture(ArraySource(x), [2, 8], ["full", "EII", "VEI"], MixtureSettings(1, n_init="auto", seed=1))
    assert any(cell.fit.account is not None for cell in found.cells)
    for cell in found.cells:
        shares = cell.fit.fitted.responsibilities(x)
        assert cell.entropy == pytest.approx(-(shares * np.log(np.maximum(shares, 1e-300))).sum(), rel=1e-9, abs=1e-9)


def test_a_criterion_that_does_not_apply_never_wins():
    source = ArraySource(rows_of(0, 12, 2, 2, spread=9.0))
    found = select_mixture(source, [1, 2, 3], ["VVV"], MixtureSettings(1, n_init=1, seed=0), criterion="aicc")
    assert found.best.n_components == 1
    assert found.cells[1].fit is not None and found.cells[1].value("aicc") == np.inf
    assert "VVV,1 has the smallest AICc" in found.words()


def test_held_out_rows_are_those_of_a_plain_cross_validation():
    source = source_of("faithful")
    found = select_mixture(
        source, [1, 2, 3, 6], ["VVV"], MixtureSettings(1, n_init=2, seed=1), criterion="heldout", cv=8
    )
    held = [cell.heldout for cell in found.cells]
    assert all(held[i] < cell.fit.loglik for i, cell in enumerate(found.cells))
    assert np.argmax(held) == [1, 2, 3, 6].index(found.best.n_components) and held[0] < held[1]
    # One component has nothing to search for: the folds can be done by hand.
    x = source.x
    from jensen.numerics.order import row_keys

    folds = np.unique(row_keys(x, 1), return_inverse=True)[1] % 8
    total = 0.0
    for fold in range(8):
        kept, left = x[folds != fold], x[folds == fold]
        fit = fit_mixture(ArraySource(kept), MixtureSettings(1, "full", seed=1))
        total += fit.fitted.assess(left).loglik
    assert held[0] == pytest.approx(total, rel=1e-4)


# --------------------------------------------------------------------------------------------- bad input, early ends


def test_more_components_than_rows_is_a_reason_and_not_an_error():
    source = ArraySource(np.random.default_rng(0).normal(size=(3, 1)))
    search = select_mixture(source, [1, 2, 3, 4, 5], ["full"], MixtureSettings(1, n_init=2, seed=1))
    assert [bool(cell.fit) for cell in search.cells] == [True, True, True, False, False]
    assert "more components than the 3 rows" in search.cells[3].reason
    with pytest.raises(InputError, match="more components than the 3 rows"):
        select_mixture(source, [9], ["full"], MixtureSettings(1, seed=1))
    twice = ArraySource(np.repeat([[0.0], [1.0], [5.0]], 4, axis=0))
    search = select_mixture(twice, [2, 4], ["EII"], MixtureSettings(1, n_init=1, seed=1))
    assert "more components than the 3 different rows" in search.cells[1].reason


def test_collinear_columns_are_named_and_other_shapes_are_fitted():
    x = datasets.load("iris").data
    x = np.column_stack([x, x[:, 0] + 2.0 * x[:, 3]])
    names = ("a", "b", "c", "d", "e")
    settings = MixtureSettings(1, n_init=1, seed=1)
    found = select_mixture(ArraySource(x), [1, 2], ["EEI", "VVV", "VEV"], settings, feature_names=names)
    assert [cell.fit is None for cell in found.cells] == [False, True, True] * 2
    assert "collinear columns ('e' is" in found.cells[1].reason or "collinear columns ('" in found.cells[1].reason
    assert "a prior or reg_covar" in found.cells[1].reason and found.warnings
    smoothed = select_mixture(ArraySource(x), [2], ["VEV"], MixtureSettings(1, reg_covar=0.01, n_init=1, seed=1))
    assert smoothed.best.is_sound


def test_a_shape_that_cannot_be_estimated_says_what_would_help():
    x = np.repeat(rows_of(0, 4, 2, 4, spread=9.0), 5, axis=0)
    found = select_mixture(ArraySource(x), [1, 4], ["EVV", "EEE"], MixtureSettings(1, reg_covar=0.0, n_init=1, seed=0))
    cell = by_name(found)["EVV,4"]
    assert not cell.is_sound and ("prior" in cell.reason or "degenerate" in cell.reason)
    assert found.best_cell.is_sound


def test_a_ratio_is_a_reason_for_shapes_that_have_none():
    settings = MixtureSettings(1, n_init=1, seed=0, eigenvalue_ratio=5.0)
    found = select_mixture(source_of("iris"), [2], ["VEV", "VVV"], settings)
    assert "eigenvalue_ratio goes with" in found.cells[0].reason
    values = np.linalg.eigvalsh(full_covariances("full", found.best.params))
    assert values.max() <= 5.0 * values.min() * (1 + 1e-9)


def test_degenerate_cell_wins_only_when_nothing_else_is_there():
    source = ArraySource(np.random.default_rng(0).normal(size=(30, 2)))
    settings = MixtureSettings(1, n_init=2, seed=1)
    both = select_mixture(source, [1, 20], ["full"], settings)
    assert both.best.n_components == 1 and "degenerate: " in both.cells[1].reason
    assert not both.cells[1].is_sound and both.cells[1].bic < both.cells[0].bic
    alone = select_mixture(source, [20], ["full"], settings)
    assert alone.best.n_components == 20 and not alone.best.is_sound
    assert alone.words() == "No cell is sound. The least degenerate is VVV,20."


@pytest.mark.parametrize("after", ["explore", "compare", "confirm"])
def test_interrupt_keeps_the_table_so_far(after):
    def observer(task, start, info):
        if task.round == after and task.n_components == 4 and info.iteration == 1:
            raise KeyboardInterrupt

    settings = MixtureSettings(1, n_init="auto", seed=1)
    search = select_mixture(source_of("faithful"), [2, 3, 4], ["full", "tied"], settings, observer=observer)
    assert search.status is Status.INTERRUPTED
    assert search.best.is_sound
    assert all(cell.fit is not None or "interrupted" in cell.reason for cell in search.cells)


@pytest.mark.parametrize("n", [1, 2])
def test_interrupt_while_rows_are_held_out_keeps_the_cells(n, threads, monkeypatch):
    threads(n)
    real, calls = holdout.run, []

    def interrupted(solver, source, start, rule, limits=None, observer=None):
        def tell(info):
            calls.append(info)
            if len(calls) == 2:
                raise KeyboardInterrupt

        return real(solver, source, start, rule, limits, tell)

    monkeypatch.setattr(holdout, "run", interrupted)
    found = select_mixture(source_of("faithful"), [1, 2], ["full"], MixtureSettings(1, n_init=2, seed=1), cv=3)
    assert found.status is Status.INTERRUPTED and found.best.is_sound
    assert any(np.isnan(cell.heldout) for cell in found.cells)


def test_time_that_ends_while_rows_are_held_out_leaves_no_part_of_a_sum(leap, monkeypatch):
    settings = MixtureSettings(1, n_init=2, seed=1)
    whole = select_mixture(source_of("faithful"), [1, 2], ["full"], settings, cv=3)
    real = holdout.run

    def late(*args):
        leap()
        return real(*args)

    monkeypatch.setattr(holdout, "run", late)
    found = select_mixture(source_of("faithful"), [1, 2], ["full"], settings, cv=3, max_time=1800.0)
    assert found.status is Status.OUT_OF_TIME and found.best.is_sound
    assert np.isnan([cell.heldout for cell in found.cells]).any()
    for cell, other in zip(found.cells, whole.cells, strict=True):
        assert np.isnan(cell.heldout) or cell.heldout == other.heldout


def test_interrupt_before_anything_is_fitted_goes_through(monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("jensen.fit.selection.grid.summarise", stop)
    with pytest.raises(KeyboardInterrupt):
        select_mixture(source_of("faithful"), [2, 3], ["full"], MixtureSettings(1, seed=1))


def test_time_limit_ends_the_search_with_what_there_is(leap):
    settings = MixtureSettings(1, n_init=10, seed=1)

    def watch(task, start, info):
        if task.n_components == 2:
            leap()

    search = select_mixture(source_of("faithful"), range(1, 10), FOUR, settings, observer=watch, max_time=1800.0)
    assert search.status is Status.OUT_OF_TIME
    assert search.best.n_components >= 1
    assert any("time limit" in cell.reason for cell in search.cells)


def test_few_iterations_asked_for_are_not_exceeded():
    settings = MixtureSettings(1, n_init=2, seed=1, max_iter=3)
    search = select_mixture(source_of("faithful"), [2, 3, 4, 5], ["full"], settings)
    assert all(cell.fit.n_iter <= 3 for cell in search.cells)


def test_cells_begin_where_larger_ones_lead(whole):
    _, selection = whole
    kinds = {
        k: {start.kind for cell in selection.cells if cell.n_components == k for start in cell.fit.starts}
        for k in range(1, 10)
    }
    down = [k for k, of in kinds.items() if "merge" in of]
    # From nine components down, some cells of most sizes; nothing comes down to the largest.
    assert len(down) > 3 and max(down) < 9
    # A number is that of starts.
    settings = MixtureSettings(1, n_init=2, seed=1)
    for cell in select_mixture(source_of("iris"), range(1, 5), FOUR, settings).cells:
        assert "merge" not in {start.kind for start in cell.fit.starts}


def test_a_pair_that_became_one_leads_higher(monkeypatch):
    settings = MixtureSettings(1, reg_covar=0.0, n_init="auto", seed=1)
    found = []
    for descend in (grid._Grid._descend, lambda self, states: None):
        monkeypatch.setattr(grid._Grid, "_descend", descend)
        monkeypatch.setattr(grid._Grid, "_confirm", lambda self, states: None)
        cells = by_name(select_mixture(source_of("iris"), range(1, 8), list(SHAPES), settings))
        found.append({name: cell.fit.objective for name, cell in cells.items() if cell.is_sound})
    gains = [found[0][name] - before for name, before in found[1].items() if name in found[0]]
    assert min(gains) > -1e-6 and max(gains) > 0.1


def test_a_choice_is_the_same_whoever_watches():
    found, told = [], {True: 0, False: 0}

    def watch(all_points):
        def see(task, start, info):
            told[all_points] += 1

        return see if all_points else Glance(see)

    for observer in (None, watch(False), watch(True)):
        settings = MixtureSettings(1, n_init="auto", seed=1)
        cells = select_mixture(source_of("faithful"), [1, 2, 3, 4], FOUR, settings, observer=observer).cells
        found.append([(cell.fit.objective, cell.fit.n_iter, cell.fit.status) for cell in cells])
    assert found[0] == found[1] == found[2]
    # Whoever glances does not make runs show every point.
    assert 0 < told[False] <= told[True]
    assert native_kernels() is None or 4 * told[False] < told[True]


def test_what_a_sample_found_is_told_of_all_the_rows():
    x = rows_of(0, 30_000, 2, 3, spread=3.0)

    def observer(task, start, info):
        if task.round == "finish" and task.n_components == 3:
            raise KeyboardInterrupt

    settings = MixtureSettings(1, n_init=1, seed=1)
    for watch in (None, observer):
        found = select_mixture(ArraySource(x), [2, 3], ["EEE", "VVV"], settings, observer=watch)
        for cell in found.cells:
            source = ArraySource(x)
            statistics = source.fold(cell.fit.model.expect, cell.fit.params)
            assert cell.fit.objective == pytest.approx(statistics.loglik, rel=1e-12)
            assert cell.fit.trace[-1] == cell.fit.objective
    assert found.status is Status.INTERRUPTED


def test_a_choice_leaves_nothing_to_the_garbage_collector(monkeypatch):
    seen, real = [], grid.CellState

    def noted(*args, **settings):
        state = real(*args, **settings)
        seen.append(weakref.ref(state))
        return state

    monkeypatch.setattr(grid, "CellState", noted)
    gc.disable()
    try:
        found = select_mixture(source_of("iris"), [1, 2, 3], ["EII", "VVV"], MixtureSettings(1, n_init=1, seed=1))
        assert len(seen) == 6 and all(state() is None for state in seen) and found.best is not None
    finally:
        gc.enable()
