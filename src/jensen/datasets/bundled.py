"""Read the bundled data sets. README.md beside this file gives their sources and checksums."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jensen.errors import InputError


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A small data set with its source.

    NumPy takes it wherever it takes an array: ``np.mean(jensen.datasets.load("faithful"), axis=0)``.

    Attributes
    ----------
    name : str
        The name under which ``load`` finds it.
    data : ndarray of shape (n, d), float64
        The measurements, read-only.
    feature_names : tuple of d str
        Names of the columns.
    target : ndarray of shape (n,) or None
        Known groups of the rows, read-only; None where there are none.
    target_name : str or None
        What the groups are.
    description : str
        What was measured, and in which units.
    source : str
        The original publication.
    """

    name: str
    data: NDArray[np.float64]
    feature_names: tuple[str, ...]
    target: NDArray[np.str_] | None
    target_name: str | None
    description: str
    source: str

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the measurements, shape (n, d)."""
        return np.array(self.data, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        n, d = self.data.shape
        return f"Dataset({self.name!r}: {n} rows, {d} column{'s' * (d > 1)}: {', '.join(self.feature_names)})"


@dataclass(frozen=True)
class _Entry:
    """What the file of a data set does not say itself."""

    feature_names: tuple[str, ...]
    target_name: str | None
    description: str
    source: str


_ENTRIES = {
    "faithful": _Entry(
        feature_names=("eruptions", "waiting"),
        target_name=None,
        description="Old Faithful geyser: duration of the eruption and waiting time to the next, in minutes.",
        source="Azzalini, A. and Bowman, A. W. (1990). A look at some data on the Old Faithful geyser. "
        "Applied Statistics 39, 357-365.",
    ),
    "iris": _Entry(
        feature_names=("Sepal.Length", "Sepal.Width", "Petal.Length", "Petal.Width"),
        target_name="Species",
        description="Sepals and petals of 50 flowers from each of three species of iris, in centimetres.",
        source="Fisher, R. A. (1936). The use of multiple measurements in taxonomic problems. "
        "Annals of Eugenics 7, 179-188. His printed values, rows 35 and 38 included.",
    ),
    "galaxies": _Entry(
        feature_names=("velocity",),
        target_name=None,
        description="Velocities of 82 galaxies in the Corona Borealis region, in 1000 km/s.",
        source="Roeder, K. (1990). Density estimation with confidence sets exemplified by superclusters and "
        "voids in the galaxies. JASA 85, 617-624, after Postman, Huchra and Geller (1986). With the 26.690 "
        "of R's MASS package, where Roeder printed 26.960.",
    ),
}


def names() -> tuple[str, ...]:
    """Return the names that ``load`` knows."""
    return tuple(_ENTRIES)


def load(name: str) -> Dataset:
    """Load a bundled data set; no network is needed.

    Parameters
    ----------
    name : {"faithful", "iris", "galaxies"}
        The data set.

    Returns
    -------
    Dataset
        The measurements with their names, groups where they are known, and source.

    Raises
    ------
    InputError
        There is no such data set.

    Examples
    --------
    >>> load("faithful")
    Dataset('faithful': 272 rows, 2 columns: eruptions, waiting)
    """
    if not isinstance(name, str) or name not in _ENTRIES:
        raise InputError(f"name: no bundled data set is called {name!r}; expected one of {', '.join(_ENTRIES)}.")
    entry = _ENTRIES[name]
    text = files("jensen.datasets").joinpath("csv", f"{name}.csv").read_text(encoding="utf-8")
    rows = list(csv.reader(text.splitlines()))[1:]
    d = len(entry.feature_names)
    data = np.array([row[:d] for row in rows], dtype=np.float64)
    target = np.array([row[d] for row in rows]) if entry.target_name else None
    for array in (data, target):
        if array is not None:
            array.flags.writeable = False
    return Dataset(name, data, entry.feature_names, target, entry.target_name, entry.description, entry.source)
