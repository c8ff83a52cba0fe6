"""The choice of K and shape: sound, honest about what was run, and the same as fitting the winner alone."""

import numpy as np
import pytest

from jensen import datasets
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.fit.mixture import MixtureSettings, fit_mixture
from jensen.fit.selection import MIN_CONFIRMED, select_mixture

SHAPES = ("full", "tied", "diag", "spherical")


def faithful():
    return ArraySource(datasets.load("faithful").data)


@pytest.fixture(scope="module")
def search():
    return select_mixture(faithful(), range(1, 6), SHAPES, MixtureSettings(1, n_init=5, seed=1))


def test_faithful_is_three_components_of_one_shape(search):
    # mclust 6 on the same data: EEE with 3 components, BIC -2314.316 in its sign.
    assert (search.best.n_components, search.best.covariance_type) == (3, "tied")
    assert search.best.bic == pytest.approx(2314.3, abs=0.1)
    assert search.best.is_sound and search.status is Status.CONVERGED


def test_winner_is_what_its_cell_gives_alone(search):
    alone = fit_mixture(faithful(), MixtureSettings(3, "tied", n_init=5, seed=1))
    assert search.best.objective == alone.objective
    assert all(np.array_equal(search.best.params[name], alone.params[name]) for name in alone.params.values)
    assert len(search.best.starts) == 5


def test_every_cell_is_converged_and_the_lead_is_confirmed(search):
    assert len(search.cells) == 20
    assert all(cell.fit.status.is_converged for cell in search.cells)
    ranked = sorted(search.cells, key=lambda cell: cell.bic)
    assert all(cell.confirmed for cell in ranked[:MIN_CONFIRMED])
    assert not all(cell.confirmed for cell in search.cells)


def test_one_component_needs_one_start(search):
    assert {len(cell.fit.starts) for cell in search.cells if cell.n_components == 1} == {1}


def test_table_has_a_record_for_each_cell(search):
    table = search.table()
    assert [row["n_components"] for row in table] == [k for k in range(1, 6) for _ in SHAPES]
    assert min(table, key=lambda row: row["bic"])["covariance_type"] == "tied"


def test_more_components_than_rows_is_a_reason_and_not_an_error():
    source = ArraySource(np.random.default_rng(0).normal(size=(3, 1)))
    search = select_mixture(source, [1, 2, 3, 4, 5], ["full"], MixtureSettings(1, n_init=2, seed=1))
    assert [bool(cell.reason) for cell in search.cells] == [False, False, False, True, True]
    assert "more components than the 3 rows" in search.cells[3].reason
    with pytest.raises(InputError, match="more components than the 3 rows"):
        select_mixture(source, [9], ["full"], MixtureSettings(1, seed=1))


def test_degenerate_cell_wins_only_when_nothing_else_is_there():
    source = ArraySource(np.random.default_rng(0).normal(size=(30, 2)))
    settings = MixtureSettings(1, n_init=2, seed=1)
    both = select_mixture(source, [1, 20], ["full"], settings)
    assert both.best.n_components == 1
    assert not both.cells[1].is_sound and both.cells[1].bic < both.cells[0].bic
    alone = select_mixture(source, [20], ["full"], settings)
    assert alone.best.n_components == 20 and not alone.best.is_sound


@pytest.mark.parametrize("after", ["screen", "converge", "confirm"])
def test_interrupt_keeps_the_table_so_far(after):
    def observer(task, start, info):
        if task.round == after and task.n_components == 3 and info.iteration == 1:
            raise KeyboardInterrupt

    search = select_mixture(
        faithful(), [2, 3, 4], ["full", "tied"], MixtureSettings(1, n_init=2, seed=1), observer=observer
    )
    assert search.status is Status.INTERRUPTED
    assert search.best.is_sound
    assert all(cell.fit is not None or "interrupted" in cell.reason for cell in search.cells)
    assert not any(cell.fit and cell.fit.status is Status.OUT_OF_ITERATIONS for cell in search.cells)


def test_interrupt_before_anything_is_fitted_goes_through(monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("jensen.fit.selection.summarise", stop)
    with pytest.raises(KeyboardInterrupt):
        select_mixture(faithful(), [2, 3], ["full"], MixtureSettings(1, seed=1))


def test_time_limit_ends_the_search_with_what_there_is():
    rows = np.random.default_rng(0).normal(size=(20_000, 4))
    search = select_mixture(
        ArraySource(rows), range(1, 10), SHAPES, MixtureSettings(1, n_init=10, seed=1), max_time=0.5
    )
    assert search.status is Status.OUT_OF_TIME
    assert search.seconds < 5.0
    assert search.best.n_components >= 1
    assert any("time limit" in cell.reason for cell in search.cells)


def test_few_iterations_asked_for_are_not_exceeded():
    search = select_mixture(faithful(), [2, 3, 4, 5], ["full"], MixtureSettings(1, n_init=2, seed=1, max_iter=3))
    assert all(cell.fit.n_iter <= 3 for cell in search.cells)
    assert all(cell.confirmed for cell in search.cells)
