"""What a person asks of a fit beside its model: known labels, held or equal parameters, the bound after half steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jensen.core.parameters import Parameters
from jensen.errors import InputError
from jensen.models.constrained import Constrained
from jensen.models.posterior import LABELS, ByParts, Labelled, checked_labels
from jensen.solve.variants import Plain


def with_labels(model: Any, source: Any, labels: Any) -> tuple[Any, Any]:
    """A model and a source of rows some of whose components are known.

    Parameters
    ----------
    model : object
        The model.
    source : Source
        Its rows; one that the user made must take further arrays by ``with_arrays``.
    labels : array-like of shape (n,) or None
        Components from 0, or -1 for unknown; None for none at all.

    Raises
    ------
    InputError
        If the labels do not fit.
    ContractError
        If the model does not declare ``log_joint`` and ``statistics_from``.
    """
    if labels is None:
        return model, source
    if not callable(getattr(source, "with_arrays", None)):
        raise InputError("labels go with arrays; a source brings them itself, as the row-aligned array 'labels'")
    wrapped = Labelled(model)
    given = checked_labels(labels, source.n_rows, getattr(model, "n_components", None))
    if (given < 0).all():
        return model, source
    return wrapped, source.with_arrays(**{LABELS: given})


def under_constraints(
    model: Any, starts: list[Parameters], fixed: Mapping[str, Any] | None, equal: Sequence[str]
) -> tuple[Any, list[Parameters]]:
    """A model whose parameters are held or equal, and starts that satisfy it.

    Parameters
    ----------
    model : object
        The model.
    starts : list of Parameters
        Of the model; the first says what held values are.
    fixed : mapping of str to bool or array-like of bool, or None
        What is held.
    equal : sequence of str
        What is equal along its first axis; starts are averaged.

    Raises
    ------
    InputError
        If a name or a mask does not fit, or starts differ in what is held.
    """
    if not fixed and not equal:
        return model, starts
    if fixed is not None and not isinstance(fixed, Mapping):
        raise InputError(f"fixed must be a mapping of parameter names to True or masks, got {type(fixed).__name__}")
    constrained = Constrained(model, starts[0], fixed=fixed, equal=equal)
    for number, one in enumerate(starts):
        for name, mask in constrained.constraints.fixed.items():
            if not np.array_equal(one[name][mask], starts[0][name][mask]):
                raise InputError(f"fixed: start {number} holds other values of '{name}' than start 0")
    return constrained, [constrained.parameters(**one.values) for one in starts]


def by_parts(model: Any) -> Any:
    """The model with the entropy in its statistics, where it can be computed by itself: for traces of the bound."""
    parts = hasattr(model, "log_joint") and hasattr(model, "statistics_from")
    return ByParts(model) if parts else model


def chosen(solver: Any, accelerate: Any, trace_bound: bool) -> Any:
    """The way to climb that a person asked for.

    Parameters
    ----------
    solver : Variant or None
        One of `jensen.solvers`; None for EM.
    accelerate : str
        How EM is accelerated; one that is asked for goes with EM alone.
    trace_bound : bool
        Whether half steps are looked at, which an extrapolation has not.

    Raises
    ------
    InputError
        If the solver is none, or these do not go together.
    """
    if solver is None:
        solver = Plain("off" if trace_bound and accelerate == "auto" else accelerate)
    elif isinstance(solver, type) or not all(callable(getattr(solver, m, None)) for m in ("solver", "source")):
        raise InputError(f"solver must be one of jensen.solvers, such as jensen.solvers.Incremental(), got {solver!r}")
    elif accelerate not in ("auto", "off"):
        raise InputError(f"accelerate={accelerate!r} goes with EM alone, not with a solver; got solver={solver!r}")
    if trace_bound and getattr(solver, "accelerate", "off") != "off":
        raise InputError("trace_bound follows E- and M-steps: use accelerate='off', or a solver without extrapolation")
    return solver
