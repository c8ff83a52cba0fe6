"""Nothing of the size of rows times components is held during a fit."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import numpy as np
from jensen.data.arrays import ArraySource
from jensen.fit.mixture import fit_mixture
from jensen.fit.settings import MixtureSettings

def fit(x):
    return fit_mixture(ArraySource(x), MixtureSettings(16, max_iter=2, seed=0))

def resident(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024

rng = np.random.default_rng(0)
fit(rng.standard_normal((2000, 8)))  # a warm-up loads what is loaded lazily
x = rng.standard_normal((1_000_000, 8))
open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew
before = resident("VmRSS")
fit(x)
print(resident("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_peak_beyond_a_million_rows_is_below_64_mebibytes():
    env = os.environ | {"JENSEN_NUM_THREADS": "2"}  # each thread has scratch of its own
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 64
