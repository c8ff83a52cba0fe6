"""A choice among mixtures with noise, or on trimmed rows: every cell for itself."""

import numpy as np
import pytest
from mixtures import fit

from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.fit.mixture import fit_mixture
from jensen.fit.selection import alone
from jensen.fit.selection.grid import select_mixture
from jensen.fit.settings import MixtureSettings


def rows(seed=0):
    rng = np.random.default_rng(seed)
    groups = [rng.normal([-3, 0], 0.5, (80, 2)), rng.normal([3, 4], 0.8, (80, 2))]
    return np.vstack([*groups, rng.uniform([-7, -7], [7, 9], (40, 2))])


def chosen(counts=(1, 2, 3), shapes=("full", "EII"), **asked):
    return select_mixture(
        ArraySource(rows()), counts, shapes, MixtureSettings(1, seed=0, **{"n_init": "auto", **asked})
    )


@pytest.mark.parametrize("asked", [{"noise": True}, {"noise": 300.0}, {"trim": 0.2}])
def test_two_groups_are_chosen(asked):
    found = chosen(**asked)
    assert found.best.n_components == 2 and found.best.is_sound
    assert [(cell.n_components, cell.covariance_type) for cell in found.cells] == [
        (k, shape) for k in (1, 2, 3) for shape in ("full", "EII")
    ]
    assert found.best_cell.confirmed and all(np.isfinite(cell.bic) for cell in found.cells)
    # The leading cells are searched as if they were alone.
    same = fit(rows(), 2, covariance_type=found.best.covariance_type, n_init="auto", **asked)
    assert found.best.objective >= same.objective - 1e-3
    assert found.best.fitted.box is not None or found.best.threshold is not None
    labels = found.best.fitted.labels(rows())
    assert (labels[160:] == -1).mean() > 0.7


def test_the_entropy_is_that_of_the_shares():
    cell = chosen((2,), ("full",), noise=True).cells[0]
    shares = cell.fit.fitted.responsibilities(rows())
    assert cell.entropy == pytest.approx(-(shares * np.log(np.maximum(shares, 1e-300))).sum(), rel=1e-9)
    trimmed = chosen((2,), ("full",), trim=0.2).cells[0]
    shares = trimmed.fit.fitted.responsibilities(rows())[trimmed.fit.fitted.labels(rows()) >= 0]
    assert trimmed.entropy == pytest.approx(-(shares * np.log(np.maximum(shares, 1e-300))).sum(), rel=1e-9)


def test_a_number_of_starts_is_not_searched():
    found = chosen(n_init=2, noise=True)
    assert not found.searched and found.n_starts == 2 and all(cell.confirmed for cell in found.cells)
    assert len(found.best.starts) == 2


def test_the_time_limit_leaves_cells_out(leap):
    settings = MixtureSettings(1, seed=0, n_init="auto", trim=0.2)

    def watch(task, start, info):
        if task.n_components == 2:
            leap()

    found = select_mixture(ArraySource(rows()), range(1, 9), ("full",), settings, observer=watch, max_time=1800.0)
    assert found.status is Status.OUT_OF_TIME
    assert [cell.reason.startswith("not reached") for cell in found.cells] == 2 * [False] + 6 * [True]
    assert found.best.params.is_finite


@pytest.mark.parametrize(("at", "n_fitted"), [(3, 2), (7, 6)], ids=["explore", "confirm"])
def test_an_interrupt_between_fits_keeps_the_cells(at, n_fitted, monkeypatch):
    calls = []

    def interrupted(*args, **kwargs):
        calls.append(args)
        if len(calls) == at:
            raise KeyboardInterrupt
        return fit_mixture(*args, **kwargs)

    monkeypatch.setattr(alone, "fit_mixture", interrupted)
    found = chosen(noise=True)
    assert found.status is Status.INTERRUPTED and found.best.is_sound
    assert sum(cell.fit is not None for cell in found.cells) == n_fitted
    calls.clear()
    at = 1
    with pytest.raises(KeyboardInterrupt):
        chosen(noise=True)


def test_what_cannot_be_fitted_is_said():
    found = chosen((2, 190), ("full",), trim=0.2, n_init=1)
    assert "trim=0.2 leaves fewer rows" in found.cells[1].reason and found.best.n_components == 2
    with pytest.raises(InputError, match="no mixture could be fitted"):
        chosen((190,), ("full",), trim=0.2)
    with pytest.raises(InputError, match="cv does not go with noise"):
        select_mixture(ArraySource(rows()), (1,), ("full",), MixtureSettings(1, noise=True), cv=3)
    constant = ArraySource(np.column_stack([rows(), np.ones(200)]))
    with pytest.raises(InputError, match="column 2 is constant"):
        select_mixture(constant, (1, 2), ("full",), MixtureSettings(1, noise=True))


def test_observers_see_every_cell():
    told = []
    select_mixture(
        ArraySource(rows()), (1, 2), ("full",), MixtureSettings(1, seed=0, n_init="auto", noise=True),
        observer=lambda task, start, info: told.append((task.round, task.n_components)),
    )  # fmt: skip
    assert {("explore", 1), ("explore", 2), ("confirm", 2)} <= set(told)
