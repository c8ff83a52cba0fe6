"""The pool: how many threads, in which order, and what happens when something goes wrong."""

import gc
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from jensen.data.pool import map_ordered, single_threaded_blas
from jensen.errors import InputError


def outside(code, **env):
    """Run Python code in a fresh process and return what it prints."""
    environ = {k: v for k, v in os.environ.items() if k not in ("JENSEN_NUM_THREADS", "OMP_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", code], env=environ | env, capture_output=True, text=True, timeout=60)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_number_of_threads_is_set_and_told(threads):
    assert threads(np.int64(2)) == threads() == 2
    assert threads(3) == threads() == 3
    for wrong in (0, -1, 1.5, True, "2"):
        with pytest.raises(InputError, match="threads must be a positive integer"):
            threads(wrong)
    assert threads() == 3


def test_another_number_of_threads_leaves_work_in_progress_alone(threads):
    threads(2)
    results = map_ordered(lambda n: n, range(50), 50)
    assert next(results) == 0
    threads(3)
    assert list(map_ordered(lambda n: n, range(5), 5)) == [0, 1, 2, 3, 4]
    assert list(results) == list(range(1, 50))
    del results
    gc.collect()
    deadline = time.monotonic() + 10
    while sum(thread.name.startswith("jensen") for thread in threading.enumerate()) > 3:
        assert time.monotonic() < deadline, "threads of the old pool are still there"
        time.sleep(0.01)


@pytest.mark.parametrize(
    "env, expected",
    [
        ({"JENSEN_NUM_THREADS": "3", "OMP_NUM_THREADS": "1"}, "3"),
        ({"OMP_NUM_THREADS": "5"}, "5"),
        ({"OMP_NUM_THREADS": "4,2"}, "4"),
        ({"JENSEN_NUM_THREADS": "", "OMP_NUM_THREADS": "many"}, None),
        ({}, None),
    ],
)
def test_environment_is_honoured(env, expected):
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert outside("import jensen; print(jensen.threads())", **env) == (expected or str(available))


def test_a_wrong_environment_is_named():
    said = outside("import jensen; jensen.threads()", JENSEN_NUM_THREADS="two")
    assert "JENSEN_NUM_THREADS must be a positive integer, got 'two'" in said


@pytest.mark.parametrize("n", [1, 2, 4])
def test_results_come_in_order_and_few_are_in_flight(threads, n):
    threads(n)
    begun, most = [], 0
    for done, value in enumerate(
        map_ordered(lambda i: (begun.append(i), time.sleep(0.001 * (i % 3)))[0] or i, range(30), 30)
    ):
        assert value == done
        most = max(most, len(begun) - done)
    assert most <= n + 2


def test_nested_use_neither_deadlocks_nor_takes_more_threads(threads):
    threads(2)
    names = set()

    def inner(i):
        names.add(threading.current_thread().name)
        return i

    def outer(i):
        return sum(map_ordered(inner, range(5), 5))

    assert list(map_ordered(outer, range(6), 6)) == [10] * 6
    assert len(names) <= 2


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_nothing_keeps_running_after_an_error_or_interrupt(threads, error):
    threads(2)
    running, begun = [], []

    def work(i):
        begun.append(i)
        running.append(i)
        time.sleep(0.01)
        running.remove(i)

    with pytest.raises(error):
        for i, _ in enumerate(map_ordered(work, range(100), 100)):
            if i == 2:
                raise error
    # A generator that is dropped closes, in an interrupt as in an error: `finally` has waited.
    assert running == []
    count = len(begun)
    time.sleep(0.05)
    assert len(begun) == count < 10


def test_cancel_is_set_when_the_caller_gives_up(threads):
    threads(2)
    cancel = threading.Event()
    results = map_ordered(lambda i: cancel.wait(0.001), range(50), 50, cancel)
    next(results)
    results.close()
    assert cancel.is_set()
    calm = threading.Event()
    assert len(list(map_ordered(lambda i: i, range(9), 9, calm))) == 9 and not calm.is_set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_pool_and_blas_guard_survive_a_fork():
    code = """
import os, warnings, numpy as np, jensen
from jensen.data.arrays import ArraySource
from jensen.data.pool import single_threaded_blas
from jensen.core.parameters import Parameters
warnings.simplefilter("ignore")
class Sum(float):
    def merge(self, other): return Sum(self + other)
jensen.threads(2)
source = ArraySource(np.ones((100, 1)), block_rows=7)
fold = lambda: source.fold(lambda params, block: Sum(block.x.sum()), Parameters({}, {}))
assert fold() == 100
with single_threaded_blas():
    child = os.fork()
    if child == 0:
        os._exit(0 if fold() == 100 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert fold() == 100
print("well")
"""
    assert outside(code) == "well"


def test_blas_is_single_threaded_inside_and_as_before_outside():
    np.ones((2, 2)) @ np.ones((2, 2))

    def blas_threads():
        return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}

    with threadpool_limits(2, "blas"):
        before = blas_threads()
        with single_threaded_blas():
            assert blas_threads() == {1}
            with single_threaded_blas():
                pass
            assert blas_threads() == {1}
        assert blas_threads() == before
        with pytest.raises(ZeroDivisionError), single_threaded_blas():
            raise ZeroDivisionError
        assert blas_threads() == before
