"""`import jensen` is light, and every name it promises is there."""

import json
import subprocess
import sys

import pytest

import jensen

HEAVY = [
    "sklearn",
    "scipy",
    "pyarrow",
    "rich",
    "pandas",
    "polars",
    "click",
    "jinja2",
    "matplotlib",
    "narwhals",
    "numpy",
]


def modules_after(statement):
    """Return the names of all modules loaded in a fresh interpreter after a statement."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_is_light():
    assert not modules_after("import jensen") & set(HEAVY)


def test_bundled_data_need_numpy_alone():
    loaded = modules_after("import jensen; jensen.datasets.load('faithful')")
    assert not loaded & (set(HEAVY) - {"numpy"})


@pytest.mark.parametrize("name", jensen.__all__)
def test_every_public_name_is_there(name):
    assert getattr(jensen, name) is not None
    assert name in dir(jensen)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="GausianMixture"):
        jensen.GausianMixture  # noqa: B018
