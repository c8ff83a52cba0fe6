"""The thread pool on which passes over arrays run, and the single-threaded BLAS beneath it.

Passes are split into blocks by the data and merged in block order, so the number of threads never changes a bit of
a result. Parallelism inside BLAS would: it is held at one thread while passes run.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from operator import index
from typing import Any, TypeVar

from jensen.errors import InputError

T = TypeVar("T")
U = TypeVar("U")

_MARK = threading.local()
# Every thread should get this many tasks, lest one wait for another.
_TASKS_EACH = 4


class _Pool:
    """One executor for the process, made at first use and made anew after a fork or a change of size."""

    def __init__(self) -> None:
        self.reset()
        self.size: int | None = None

    def reset(self) -> None:
        """Forget the executor and the BLAS guard, as a forked child must: their threads and locks are the parent's."""
        self.executor: ThreadPoolExecutor | None = None
        self.executor_size = 0
        self.lock = threading.Lock()
        self.blas_users = 0
        self.blas_limit: Any = None
        self.blas_controller: Any = None

    def get(self, size: int) -> ThreadPoolExecutor:
        with self.lock:
            if self.executor is None or self.executor_size != size:
                # Calls in progress keep the old executor, whose threads end when the last of them lets go of it.
                self.executor = ThreadPoolExecutor(size, "jensen", initializer=_mark_worker)
                self.executor_size = size
            return self.executor


_POOL = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOL.reset)


def _mark_worker() -> None:
    _MARK.inside = True


def threads(n: int | None = None) -> int:
    """Set or tell the number of threads that passes use.

    Without a call, it is ``JENSEN_NUM_THREADS``, else ``OMP_NUM_THREADS`` (so that nested use under joblib or Dask
    does not oversubscribe), else the number of processors available to the process. Results do not depend on it.

    Parameters
    ----------
    n : int, optional
        At least 1; None leaves the setting alone.

    Returns
    -------
    int
        The number now in use.

    Raises
    ------
    InputError
        If `n`, or the environment variable, is not a positive integer.
    """
    if n is not None:
        # Integers of NumPy are as good as Python's own.
        size = index(n) if hasattr(n, "__index__") and not isinstance(n, bool) else 0
        if size < 1:
            raise InputError(f"threads must be a positive integer, got {n!r}")
        _POOL.size = size
    return threads_and_source()[0]


def threads_and_source() -> tuple[int, str]:
    """The number of threads that passes use, and in words where it comes from; see `threads`."""
    if _POOL.size is not None:
        return _POOL.size, "set by jensen.threads"
    own = os.environ.get("JENSEN_NUM_THREADS", "").strip()
    if own:
        if not own.isdigit() or int(own) < 1:
            raise InputError(f"the environment variable JENSEN_NUM_THREADS must be a positive integer, got {own!r}")
        return int(own), "JENSEN_NUM_THREADS"
    # OpenMP allows a list of numbers, one for each level of nesting; the first is ours.
    omp = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if omp.isdigit() and int(omp) >= 1:
        return int(omp), "OMP_NUM_THREADS"
    available = getattr(os, "sched_getaffinity", None)
    return len(available(0)) if available is not None else os.cpu_count() or 1, "processors available to this process"


def helpers() -> int:
    """Threads besides the caller's own that native code may use; none inside a worker, which is one of many."""
    return 0 if getattr(_MARK, "inside", False) else threads() - 1


def map_ordered(
    function: Callable[[T], U],
    items: Iterable[T],
    n_items: int,
    cancel: threading.Event | None = None,
    in_a_row: int = 1,
) -> Iterator[U]:
    """Apply `function` to each item on the pool and yield the results in order.

    At most one task more than there are threads is in flight, which bounds memory. A call from inside a worker runs
    serially, so nested passes neither deadlock nor oversubscribe.

    Parameters
    ----------
    function : callable
        Called with one item, in any thread.
    items : iterable
        Taken one by one, in the calling thread.
    n_items : int
        How many there are; a single one is not worth a thread.
    cancel : Event, optional
        Set when the caller is interrupted or gives up, for work that can end early.
    in_a_row : int, default 1
        Items that a thread may take at a time, where there are many: to hand over costs as much as little work does.
    """
    size = min(threads(), n_items)
    if size <= 1 or getattr(_MARK, "inside", False):
        yield from map(function, items)
        return
    executor = _POOL.get(threads())
    waiting: deque[Future[list[U]]] = deque()
    in_a_row = max(1, min(in_a_row, n_items // (_TASKS_EACH * size)))
    rest = iter(items)
    try:
        while task := list(islice(rest, in_a_row)):
            waiting.append(executor.submit(_each, function, task))
            # Lets a thread begin that waits for Python to be free, which may take as long as many small items.
            time.sleep(0)
            if len(waiting) > size:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        # After an error or an interrupt nothing of this call may keep running behind the caller's back.
        if cancel is not None and waiting:
            cancel.set()
        for future in waiting:
            future.cancel()
        for future in waiting:
            if not future.cancelled():
                future.exception()


def _each(function: Callable[[T], U], items: list[T]) -> list[U]:
    return [function(item) for item in items]


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Hold BLAS at one thread; the first of several holders sets the limit, the last one lifts it.

    The setting is the process's own, which is why holders are counted: one fit that ends must not hand several
    threads to another that runs.
    """
    with _POOL.lock:
        if _POOL.blas_users == 0:
            if _POOL.blas_controller is None:
                from threadpoolctl import ThreadpoolController

                _POOL.blas_controller = ThreadpoolController()
            _POOL.blas_limit = _POOL.blas_controller.limit(limits=1, user_api="blas")
        _POOL.blas_users += 1
    try:
        yield
    finally:
        with _POOL.lock:
            _POOL.blas_users -= 1
            if _POOL.blas_users == 0:
                _POOL.blas_limit.restore_original_limits()
