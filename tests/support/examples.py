"""The models of `examples/`, for the tests."""

import importlib.util
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "examples"


@cache
def example(name):
    """The module of one example."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
