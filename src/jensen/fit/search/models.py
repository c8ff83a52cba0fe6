"""The search for the best optimum of any model: it needs the model's contract and a function that draws starts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jensen.core.block import Array, Block
from jensen.core.contracts import Info, Run
from jensen.core.parameters import Parameters
from jensen.fit.search.account import SAME_OPTIMUM
from jensen.fit.search.climbing import RECENT, Climbing, faults_of, matched
from jensen.fit.search.landscape import Drawn, Verdict, Ways
from jensen.numerics.logspace import normalise_logs
from jensen.numerics.streams import stream
from jensen.solve.loop import Limits
from jensen.solve.variants import Variant

# Nats still to come at which a run of the search ends.
_TOLERANCE = 1e-4
# Of the escapes that a model declares, so many go first.
_FIRST = 5
# Components that are drawn anew in a batch of escapes, and the share of rows that they take.
_REDRAWN, _TAKEN = 6, (0.05, 0.5)
# Parameters of one optimum agree to this, in units of the larger of 1 and their size.
_NEAR = 0.05


@dataclass(eq=False)
class ModelLandscape(Climbing):
    """Any model on its data; see `jensen.fit.search.landscape.Landscape`.

    A model may declare ``escapes(params, source, rng) -> [(kind, Parameters), ...]``. Without that, a component of one
    that declares ``n_components``, ``log_joint`` and ``statistics_from`` is drawn anew; other models have starts alone.

    Attributes
    ----------
    model : object
        What is fitted.
    source : Source
        The data.
    variant : Variant
        How runs climb to an optimum; short runs are plain EM.
    draws : callable (int) -> Parameters
        Start number i.
    seed : int
        Escapes of batch j draw from the stream (seed, "escape", j).
    limits : Limits
        Of every run.
    observer : callable (Info) -> None, optional
        Told of the points of every start.
    recent : deque of Run
        The last runs.
    interrupted : bool
        Whether one of them was interrupted.
    tolerance : float
        Nats still to come at which a run ends.
    slack : float
        Nats by which optima differ.
    """

    model: Any
    source: Any
    variant: Variant
    draws: Callable[[int], Parameters]
    seed: int
    limits: Limits
    observer: Callable[[Info], None] | None = None
    recent: deque[Run[Any]] = field(default_factory=lambda: deque(maxlen=RECENT))
    interrupted: bool = False
    tolerance: float = _TOLERANCE
    slack: float = SAME_OPTIMUM

    @property
    def n_rows(self) -> int:
        """Rows of the data."""
        return int(getattr(self.source, "n_rows", 0))

    def draw(self, index: int) -> Drawn:
        """The start that the user's function draws."""
        return Drawn("drawn", self.draws(index))

    def told(self, index: int | None) -> Callable[[Info], None] | None:
        """The observer, of every start."""
        return None if index is None else self.observer

    def escapes(self, run: Run[Any], number: int, drawn: bool) -> Ways | None:
        """The model's own, or components drawn anew."""
        rng = stream(self.seed, "escape", number)
        own = getattr(self.model, "escapes", None)
        if callable(own):
            found = own(run.params, self.source, rng)
            # A model may return records of parameters, or mappings, as for a start.
            if found is None:
                return None
            tried = [(str(kind), self._record(params)) for kind, params in found]
            return Ways([tried[:_FIRST], tried[_FIRST:]])
        parts = all(hasattr(self.model, name) for name in ("n_components", "log_joint", "statistics_from", "maximize"))
        if not parts:
            return Ways(())
        redrawn = redrawn_components(self.model, self.source, run.params, rng)
        return Ways([[(kind, self._record(params)) for kind, params in redrawn]])

    def regroupings(
        self, run: Run[Any], number: int, nearest: bool = False
    ) -> Generator[Sequence[Parameters], None, None]:
        """None: what is near what is not known here."""
        yield from ()

    def _record(self, params: Any) -> Parameters:
        return params if isinstance(params, Parameters) else self.model.start(params)

    def judge(self, run: Run[Any]) -> Verdict:
        """The model's faults, if it declares them."""
        return Verdict(faults_of(self.model, run))

    def loglik(self, run: Run[Any]) -> float:
        """The objective: what else a model has is not known here."""
        return run.objective

    def same(self, one: Parameters, other: Parameters) -> bool:
        """Whether the parameters agree, in some order of the components where the model has one."""
        by = getattr(self.model, "by_component", None)
        if not callable(by):
            return _far(one.values, other.values) < _NEAR
        left, right = by(one), by(other)
        flat = [np.column_stack([np.reshape(v, (len(v), -1)) for v in values.values()]) for values in (left, right)]
        size = np.maximum(1.0, np.abs(flat[0]).max(axis=0))
        return matched(flat[0] / size, flat[1] / size, _NEAR)


def _far(one: Any, other: Any) -> float:
    gaps = [np.abs(one[k] - other[k]) / np.maximum(1.0, np.abs(one[k])) for k in one]
    return max((float(np.max(gap, initial=0.0)) for gap in gaps), default=0.0)


def redrawn_components(
    model: Any, source: Any, params: Parameters, rng: np.random.Generator
) -> list[tuple[str, Parameters]]:
    """One M-step after a component, chosen at random, gave its rows up for some that the model explains badly.

    Parameters
    ----------
    model : object
        With ``n_components``, ``log_joint``, ``statistics_from`` and ``maximize``, such as a mixture of any family.
    source : Source
        The data.
    params : Parameters
        An optimum.
    rng : numpy.random.Generator
        Chooses the components, and how many rows they take.

    Returns
    -------
    list of (str, Parameters)
        Those of six M-steps that had a result; empty for one component.
    """
    k = int(model.n_components)
    if k < 2:
        return []

    def logs(at: Parameters, block: Block) -> Array:
        return np.asarray(normalise_logs(np.array(model.log_joint(at, block), dtype=np.float64)))

    density = np.concatenate(list(source.map_ordered(logs, params)))
    found = list[tuple[str, Parameters]]()
    for _ in range(_REDRAWN):
        chosen, threshold = int(rng.integers(k)), float(np.quantile(density, rng.uniform(*_TAKEN)))

        def given(at: Parameters, block: Block, chosen: int = chosen, threshold: float = threshold) -> Any:
            joint = np.array(model.log_joint(at, block), dtype=np.float64)
            joint[chosen] = -np.inf
            rows = normalise_logs(joint)
            taken = ~(rows > threshold)
            joint[:, taken] = 0.0
            joint[chosen, taken] = 1.0
            if block.weight is not None:
                joint *= block.weight
            return model.statistics_from(at, block, np.ascontiguousarray(joint.T), 0.0)

        try:
            found.append(("component drawn anew", model.maximize(params, source.fold(given, params))))
        except (ArithmeticError, ValueError, np.linalg.LinAlgError):
            continue
    return found
