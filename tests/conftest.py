"""Settings and fixtures of the whole suite."""

import os
import time

import pytest
from hypothesis import settings

import jensen
from jensen.data import pool

# The same examples in every run, and no limit on the time of one: a shared machine is not a failure.
settings.register_profile("steady", derandomize=True, deadline=None, max_examples=40)
settings.load_profile("steady")

# Pictures go to no screen.
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture
def threads():
    """`jensen.threads`, whose setting is forgotten after the test."""
    yield jensen.threads
    pool._POOL.size = None


@pytest.fixture
def leap(monkeypatch):
    """Make the clock leap an hour ahead: a time limit that ends at an event of the run, on machines of any speed."""
    ahead, real = [0.0], time.perf_counter
    monkeypatch.setattr(time, "perf_counter", lambda: real() + sum(ahead))
    return lambda: ahead.append(3600.0)
