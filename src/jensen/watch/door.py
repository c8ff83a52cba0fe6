"""The public door of the room: a recording from data in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.data.frames import to_matrix
from jensen.data.table import Table, check_weights
from jensen.datasets import Dataset
from jensen.errors import InputError
from jensen.families.shapes.table import covariance_shape
from jensen.fit.selection.grid import select_mixture
from jensen.fit.selection.table import SelectionObserver
from jensen.fit.settings import MixtureSettings
from jensen.solve.variants import Accelerate
from jensen.watch.recording import Recording

# Numbers of components that are compared where none is asked for; one has nothing to show.
_SEARCHED = range(2, 10)


def mixture(
    X: Any,
    n_components: int | None = None,
    *,
    covariance_type: str = "full",
    sample_weight: Any = None,
    columns: Sequence[str | int] | str | int | None = None,
    axes: Sequence[str] | str | None = None,
    n_starts: int = 6,
    accelerate: Accelerate = "auto",
    random_state: int | None = None,
) -> Recording:
    """Record EM for a Gaussian mixture from several starts, plain and accelerated, to be watched.

    Parameters
    ----------
    X : array-like or data frame, n rows and d columns
        Finite numbers; a bundled data set.
    n_components : int, optional
        K, at least 1; by default the number from 2 to 9 with the smallest BIC.
    covariance_type : str, default="full"
        ``full, tied, diag, spherical``, or one of mclust's fourteen names.
    sample_weight : array-like of shape (n,), optional
        Weights of the rows, at least 0.
    columns : str, int or a sequence of them, optional
        Columns to fit; by default all numeric ones.
    axes : str or sequence of str, optional
        One or two columns to show first. By default the two columns; of more, the two directions in which components
        differ most.
    n_starts : int, default=6
        Starts, at least 1; number i is start i of a search under the same seed.
    accelerate : {"auto", "squarem", "anderson", "quasi-newton"}, default="auto"
        What plain EM is compared with; ``auto`` is ``quasi-newton``, which fits turn to where EM is slow.
    random_state : int, optional
        Seed of all random draws; by default a fresh one.

    Returns
    -------
    Recording
        Shown by notebooks, by ``serve()`` in a browser, and by ``export(path)`` as a file.

    Raises
    ------
    InputError
        If an argument cannot be used; the message says which, and what to do.
    """
    table = to_matrix(X, columns=columns)
    if sample_weight is not None:
        weight = np.asarray(sample_weight, dtype=np.float64)
        if weight.shape != (table.n_rows,):
            raise InputError(
                f"sample_weight must have the shape ({table.n_rows},), one for each row; got {weight.shape}"
            )
        table = replace(table, weights=check_weights(weight, "sample_weight"))
    for name, value, least in (
        ("n_starts", n_starts, 1),
        ("n_components", n_components, 1),
        ("random_state", random_state, 0),
    ):
        if value is not None and not (
            isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= least
        ):
            raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")
    methods = ("auto", "squarem", "anderson", "quasi-newton")
    if accelerate not in methods:
        raise InputError(f"accelerate must be one of {', '.join(methods)}; got {accelerate!r}")
    settings = MixtureSettings(
        n_components=n_components or 0,
        covariance_type=covariance_shape(covariance_type, table.n_features).label,
        seed=random_state,
        accelerate=accelerate,
    )
    name = X.name if isinstance(X, Dataset) else "your data"
    return recording_of(table, settings, name=name, n_starts=n_starts, shown=[axes] if isinstance(axes, str) else axes)


def recording_of(
    table: Table,
    settings: MixtureSettings,
    *,
    name: str,
    n_starts: int,
    shown: Sequence[str] | None,
    observer: SelectionObserver | None = None,
) -> Recording:
    """A recording of a table, whose number of components is chosen if the settings have none.

    Parameters
    ----------
    table : Table
        The data.
    settings : MixtureSettings
        With ``n_components`` of 0, the number from 2 to 9 with the smallest BIC is taken, and said.
    name : str
        What a page calls the data.
    n_starts : int
        Starts to draw.
    shown : sequence of str or None
        Columns to show first.
    observer : callable, optional
        Told of the search for the number.

    Raises
    ------
    KeyboardInterrupt
        If the search or a run is interrupted.
    """
    notes = list[str]()
    if settings.n_components == 0:
        source = ArraySource(table.data, table.weights)
        most = min(max(_SEARCHED), max(source.n_counting, 1))
        counts = [count for count in _SEARCHED if count <= most] or [1]
        searched = replace(settings, n_components=counts[0], accelerate="auto", n_init="auto", max_time=math.inf)
        selection = select_mixture(source, counts, [settings.covariance_type], searched, observer=observer)
        if selection.status is Status.INTERRUPTED:
            raise KeyboardInterrupt
        best = selection.best.n_components
        settings = replace(settings, n_components=best)
        notes.append(f"{best} components have the smallest BIC of {counts[0]} to {counts[-1]}.")
    return Recording(table, settings, n_starts=n_starts, name=name, shown=shown, notes=notes)
