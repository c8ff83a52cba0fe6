"""Which rows a search over mixtures looks at, and what all the rows have to say in the end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from jensen.core.contracts import Run, Source
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import NumericalFailure
from jensen.families.gaussian import Gaussian
from jensen.fit.search.account import Account
from jensen.fit.summary import DataSummary
from jensen.models.mixture import Mixture
from jensen.numerics.order import draw_distinct
from jensen.numerics.streams import stream
from jensen.solve.loop import Limits, run
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Plain

# Rows of a search: as many for each component times d + 1, and the fewest.
_ROWS_PER_NUMBER, _FEWEST_ROWS = 50, 8_192
# Below this, a sample is no saving.
_WORTH_A_SAMPLE = 2.0
# Optima of a sample that all the data decide between, and the steps that each gets.
_FINALISTS, _FINAL_STEPS = 3, 4


def pass_work(model: Mixture, n_rows: int) -> int:
    """Multiplications of a pass over so many rows, about."""
    d = model.family.n_features  # type: ignore[attr-defined]
    return int(n_rows * model.n_components * (d + 1) * (d + 2))


def search_rows(source: ArraySource, data: DataSummary, model: Mixture, seed: int) -> tuple[DataSummary, bool]:
    """The rows of the search, and whether they are all of them."""
    family: Gaussian = model.family  # type: ignore[assignment]
    size = max(_FEWEST_ROWS, _ROWS_PER_NUMBER * family.n_components * (family.n_features + 1))
    whole = bool(np.isclose(data.weight.sum(), data.total_weight, rtol=1e-12))
    if len(data.rows) <= _WORTH_A_SAMPLE * size:
        return data, whole
    rng = stream(seed, "rows of the search", 0)
    chosen = np.sort(draw_distinct(np.ones(len(data.rows)), rng, size))
    return replace(data, rows=np.ascontiguousarray(data.rows[chosen]), weight=data.weight[chosen]), False


def final(source: Source, model: Any, account: Account, limits: Limits, best: Run[Any]) -> tuple[Run[Any], int]:
    """Of the best optima of a sample, the one that a few steps on all the rows favour, and its number."""
    first = account.optima[0]
    slack = 3.0 * np.sqrt(first.params.n_free) + 2.0
    rivals = [
        (number, optimum)
        for number, optimum in enumerate(account.optima[:_FINALISTS])
        if not optimum.faults and optimum.objective - optimum.price > first.objective - first.price - slack
    ]
    if len(rivals) < 2:
        return best, 0
    found = [(-np.inf, 0, best)]
    for number, optimum in rivals:
        rule = AitkenRule(source.weight)
        few = replace(limits, max_iter=_FINAL_STEPS)
        try:
            ended = run(Plain("off").solver(model, rule), source, optimum.params, rule, few)
        except NumericalFailure:
            continue
        if ended.status is Status.INTERRUPTED:
            return replace(best, status=Status.INTERRUPTED), 0
        found.append((ended.objective - optimum.price, -number, ended))
    _, number, best = max(found, key=lambda one: one[:2])
    return best, -number


def evaluated(model: Any, source: Source, best: Run[Any]) -> Run[Any]:
    """A run that was interrupted, with the objective and the statistics of all the rows."""
    statistics = source.fold(model.expect, best.params)
    objective = model.objective(best.params, statistics)
    return replace(best, statistics=statistics, objective=objective, trace=(*best.trace[:-1], objective))
