"""Several starts, each recorded, and the best sound one kept."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Any

import numpy as np

from jensen.core.contracts import Info, Run, StoppingRule
from jensen.core.observers import as_attentive
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.data.pool import map_ordered, single_threaded_blas, threads
from jensen.errors import NumericalFailure
from jensen.families.gaussian import MEMORY, Gaussian
from jensen.families.noise import Noisy
from jensen.fit.search.account import StartRecord
from jensen.fit.search.landscape import Verdict
from jensen.models.mixture import Mixture
from jensen.solve.loop import Limits, run
from jensen.solve.variants import Accelerate, Plain

# Starts times rows times components below which handing starts to threads costs more than it gains.
_WORTH_A_THREAD = 50_000

StartObserver = Callable[[int, Info], None]


EndObserver = Callable[[StartRecord], None]


def with_memory(model: Mixture, source: ArraySource) -> ArraySource:
    """The source with a place for notes of one run, where the family's passes gain by it."""
    family = model.family
    if not (isinstance(family, Gaussian | Noisy) and family.remembers):
        return source
    return source.with_arrays(**{MEMORY: np.full(source.n_rows, -1, dtype=np.int32)})


def run_starts(
    model: Mixture,
    source: ArraySource,
    starts: Sequence[tuple[str, Callable[[], Parameters]]],
    rule: Callable[[], StoppingRule],
    limits: Limits,
    observer: StartObserver | None = None,
    on_end: EndObserver | None = None,
    accelerate: Accelerate = "off",
    judge: Callable[[Run[Any]], Verdict] | None = None,
) -> tuple[Run[Any], tuple[StartRecord, ...]]:
    """Run EM from every start and return the best run with the record of all.

    Sound runs come before degenerate ones, then the higher objective (less the price of narrow components), then the
    earlier start. Small data take one
    start to a thread, large data the threads to the blocks of one start after another; results are the same. An
    interrupt ends all runs, and the best so far is returned with the status INTERRUPTED.

    Parameters
    ----------
    model : Mixture
        What is fitted.
    source : ArraySource
        The data.
    starts : sequence of (str, callable)
        The kind of each start, and a function that makes its parameters.
    rule : callable
        Makes a stopping rule for one run.
    limits : Limits
        Of every run; the deadline is common to all.
    observer : callable (int, Info) -> None, optional
        Told of every point of every start; may be called from several threads.
    on_end : callable (StartRecord) -> None, optional
        Told of every start that has ended, in the thread that ran it.
    accelerate : {"auto", "off", "squarem", "anderson", "quasi-newton"}, default="off"
        Acceleration of every run.
    judge : callable (Run) -> Verdict, optional
        What speaks against a run's end; by default, the model's faults.

    Raises
    ------
    NumericalFailure
        If no start has a density.
    KeyboardInterrupt
        If it comes before any start has been evaluated.
    """
    cancel = Event()
    limits = replace(limits, cancel=cancel)
    ended: list[tuple[Run[Any] | None, StartRecord, float]] = []

    def one(index: int) -> None:
        if ended and (cancel.is_set() or time.perf_counter() > limits.deadline):
            return
        kind, make = starts[index]
        began = time.perf_counter()
        told = None if observer is None else as_attentive(observer, partial(observer, index))
        result: Run[Any] | None = None
        verdict = Verdict()
        objective, status, n_iter = -np.inf, Status.DEGENERATE, 0
        try:
            stop = rule()
            solver = Plain(accelerate).solver(model, stop)
            result = run(solver, with_memory(model, source), make(), stop, limits, told)
        except NumericalFailure as failure:
            verdict = Verdict((str(failure),))
        else:
            verdict = Verdict(model.faults(result.params, result.statistics)) if judge is None else judge(result)
            objective, status, n_iter = result.objective, result.status, result.n_iter
        if status is Status.INTERRUPTED:
            cancel.set()
        seconds = time.perf_counter() - began
        passes = 0.0 if result is None else result.passes
        record = StartRecord(index, kind, objective, status, n_iter, verdict.faults, seconds, passes, verdict.price)
        ended.append((result, record, verdict.price))
        if on_end is not None:
            on_end(record)

    interrupted = False
    with single_threaded_blas():
        try:
            if len(starts) * source.n_rows * model.n_components < _WORTH_A_THREAD:
                deque(map(one, range(len(starts))), maxlen=0)
            elif source.n_blocks < 2 * threads():
                deque(map_ordered(one, range(len(starts)), len(starts), cancel), maxlen=0)
            else:
                deque(map(one, range(len(starts))), maxlen=0)
        except KeyboardInterrupt:
            interrupted = True
            if all(result is None for result, _, _ in ended):
                raise
    ended.sort(key=lambda one: one[1].index)
    records = tuple(record for _, record, _ in ended)
    runs = [(result, record, price) for result, record, price in ended if result is not None]
    if not runs:
        raise NumericalFailure(records[0].faults[0])
    best, _, _ = max(runs, key=lambda one: (one[1].is_sound, one[1].objective - one[2], -one[1].index))
    if interrupted or cancel.is_set():
        best = replace(best, status=Status.INTERRUPTED)
    return best, records
