"""Lines of Python that make a fit again."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

_UNTOLD = "  # and arguments that are no numbers or words, as they were given"


def fit_recipe(model: Any, seed: Any) -> list[str]:
    """Lines that fit an estimator again: its arguments where they are not the defaults, with the seed that was drawn.

    Parameters
    ----------
    model : GaussianMixture
        The estimator.
    seed : int or None
        Of the fit, where it is known.
    """
    given = {name: value for name, value in model.get_params(deep=False).items() if name != "verbose"}
    call, untold = _call(type(model), given, seed)
    return ["import jensen", "", f"model = jensen.{call}.fit(X){_UNTOLD if untold else ''}", *_REST]


def select_recipe(select: Callable[..., Any], given: Mapping[str, Any], seed: Any) -> list[str]:
    """Lines that make a choice again.

    Parameters
    ----------
    select : callable
        ``jensen.select``.
    given : mapping
        Its arguments.
    seed : int or None
        Of the search.
    """
    call, untold = _call(select, given, seed, "X")
    lines = [f"selection = jensen.{call}{_UNTOLD if untold else ''}", "model = selection.best"]
    return ["import jensen", "", *lines, *_REST]


_REST = ["labels = model.predict(X)", 'model.report("report.html", X)']


def _call(function: Callable[..., Any], given: Mapping[str, Any], seed: Any, *first: str) -> tuple[str, bool]:
    """A call with what is not a default, and whether something cannot be written."""
    parameters = inspect.signature(function).parameters
    told, untold = list(first), False
    for name, value in given.items():
        if name == "random_state":
            value = seed if type(seed) is int else None
        if name not in parameters or _is_default(value, parameters[name].default):
            continue
        if _is_plain(value):
            told.append(f"{name}={value!r}" if value != float("inf") else f'{name}=float("inf")')
        else:
            untold = True
    return f"{function.__name__}({', '.join(told)})", untold


def _is_default(value: Any, default: Any) -> bool:
    return value is default or (_is_plain(value) and type(value) is type(default) and value == default)


def _is_plain(value: Any) -> bool:
    """Whether the printed value is a line of Python that makes it again."""
    if isinstance(value, list | tuple):
        return all(_is_plain(part) for part in value)
    return value is None or type(value) in (bool, int, float, str, range)
