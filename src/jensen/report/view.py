"""A fitted mixture with its rows, as pictures need them: labels, doubts, and shadows on one or two directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.data.frames import default_names
from jensen.errors import InputError
from jensen.fit.fitted import FittedMixture
from jensen.fit.result import full_covariances
from jensen.infer.analysis import Analysis
from jensen.infer.mixtures import mixture_analysis
from jensen.infer.projection import projection
from jensen.infer.standard_errors import StandardErrors
from jensen.report.drawing import short_names

# Responsibilities held at a time, in numbers: those of ten million rows would be gigabytes, and out of the cache.
_CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class Shadow:
    """A mixture and its rows on q = 1 or 2 directions.

    Attributes
    ----------
    rows : ndarray of shape (n, q)
        Coordinates of the rows; n = 0 where there are none.
    weights : ndarray of shape (K,)
        Of the Gaussian components; with noise, they sum to less than 1.
    means : ndarray of shape (K, q)
        Of the components.
    covariances : ndarray of shape (K, q, q)
        Of the components.
    names : tuple of q str
        What the directions are called.
    """

    rows: AnyArray
    weights: Array
    means: Array
    covariances: Array
    names: tuple[str, ...]

    @cached_property
    def gaussians(self) -> FittedMixture:
        """The mixture of the Gaussians alone, on these directions."""
        return FittedMixture.from_arrays("full", self.weights / self.weights.sum(), self.means, self.covariances)

    @cached_property
    def spreads(self) -> Array:
        """Standard deviations of the components, shape (K, q)."""
        return np.asarray(np.sqrt(np.diagonal(self.covariances, axis1=1, axis2=2)))

    def log_density(self, at: Array) -> Array:
        """Of the Gaussians alone at points (m, q), whose weights are taken to sum to 1; shape (m,)."""
        return self.gaussians.row_loglik(at)

    def limits(self, share: float = 0.1) -> Array:
        """Where a picture of rows and components ends, shape (q, 2).

        It holds the rows, but none that lie further from all components than these from one another: a row at 1e6 must
        not make the others a dot. Components reach beyond the rows by no more than a share of their range.
        """
        reach = 3.0 * self.spreads
        core = np.stack([(self.means - reach).min(axis=0), (self.means + reach).max(axis=0)], axis=1)
        if len(self.rows) == 0:
            ends = core
        else:
            seen = np.array([[column.min(), column.max()] for column in self.rows.T], dtype=np.float64)
            span = core[:, 1] - core[:, 0]
            seen = np.stack([np.maximum(seen[:, 0], core[:, 0] - span), np.minimum(seen[:, 1], core[:, 1] + span)], 1)
            # Rows that are nothing to the mixture leave the components to say where the picture is.
            seen = np.where((seen[:, 1] > seen[:, 0])[:, None], seen, core)
            beyond = share * (seen[:, 1] - seen[:, 0])
            low = np.minimum(seen[:, 0], np.maximum(core[:, 0], seen[:, 0] - beyond))
            high = np.maximum(seen[:, 1], np.minimum(core[:, 1], seen[:, 1] + beyond))
            ends = np.stack([low, high], axis=1)
        pad = 0.03 * (ends[:, 1] - ends[:, 0])
        return np.asarray(ends + np.stack([-pad, pad], axis=1))

    def outside(self, limits: Array) -> int:
        """How many rows the limits (q, 2) leave out."""
        out = np.zeros(len(self.rows), dtype=bool)
        for column, (low, high) in zip(self.rows.T, limits, strict=True):
            out |= (column < low) | (column > high)
        return int(np.count_nonzero(out))


@dataclass(frozen=True, eq=False)
class View:
    """A fitted mixture and weighted rows.

    Attributes
    ----------
    fitted : FittedMixture
        The mixture.
    rows : ndarray of shape (n, d)
        Its rows; n = 0 where there are none.
    weight : ndarray of shape (n,) or None
        Their weights, all positive.
    unasked : str, default=""
        Why there is no analysis of the parameters, where it was not asked for.
    """

    fitted: FittedMixture
    rows: AnyArray
    weight: Array | None = None
    unasked: str = ""

    @classmethod
    def of(cls, fitted: FittedMixture, rows: AnyArray | None, weight: Array | None, unasked: str = "") -> View:
        """The view of rows (n, d) or None with weights (n,) or None; rows of weight 0 are left out."""
        if rows is None:
            rows = np.empty((0, fitted.n_features))
        if weight is not None and not weight.all():
            rows, weight = rows[weight > 0], weight[weight > 0]
        return cls(fitted, rows, weight, unasked)

    @property
    def full_names(self) -> tuple[str, ...]:
        """Of the columns: ``x1`` and so on where they have none."""
        return tuple(self.fitted.feature_names or default_names(self.fitted.n_features))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns, short enough for a picture."""
        return short_names(self.full_names)

    @property
    def total(self) -> float:
        """The sum of the rows' weights, which stands for their number."""
        return float(len(self.rows) if self.weight is None else self.weight.sum())

    @property
    def weights(self) -> Array:
        """Of the Gaussian components, shape (K,)."""
        return np.asarray(self.fitted.params["weights"][: self.fitted.n_components])

    @property
    def outliers(self) -> str:
        """What the label -1 means here; empty where no row can have it."""
        return "noise" if self.fitted.box is not None else "trimmed" if self.fitted.threshold is not None else ""

    @cached_property
    def covariances(self) -> Array:
        """Of the components as full matrices, shape (K, d, d)."""
        return full_covariances(self.fitted.layout, self.fitted.params)

    @cached_property
    def spreads(self) -> Array:
        """Standard deviations of the components, shape (K, d)."""
        return np.asarray(np.sqrt(np.diagonal(self.covariances, axis1=1, axis2=2)))

    @cached_property
    def labels(self) -> AnyArray:
        """The component of each row, -1 for outliers; shape (n,)."""
        return self.fitted.labels(self.rows) if len(self.rows) else np.empty(0, dtype=np.intp)

    def chunks(self) -> Sequence[slice]:
        """Slices of the rows whose responsibilities are held at a time."""
        size = max(1, _CHUNK // len(self.fitted.params["weights"]))
        return [slice(first, first + size) for first in range(0, len(self.rows), size)]

    @cached_property
    def analysis(self) -> Analysis:
        """What the rows say of the parameters.

        Raises
        ------
        InputError
            If rows were trimmed, or it was not asked for.
        """
        if self.unasked:
            raise InputError(self.unasked)
        return mixture_analysis(self.fitted, self.rows, self.weight)

    @cached_property
    def errors(self) -> StandardErrors:
        """Standard errors of the parameters; an InputError as for `analysis`, or beyond 2,000 free ones."""
        return self.analysis.standard_errors()

    @cached_property
    def doubts(self) -> Array:
        """One minus the largest responsibility of each row, shape (n,): 0 where there is no doubt, at most 1 - 1/K."""
        found = np.empty(len(self.rows))
        for part in self.chunks():
            found[part] = 1.0 - self.fitted.responsibilities(self.rows[part]).max(axis=1)
        return np.maximum(found, 0.0)

    def on_columns(self, columns: Sequence[int]) -> Shadow:
        """The shadow on one or two columns."""
        chosen = list(columns)
        return Shadow(
            self.rows if chosen == list(range(self.fitted.n_features)) else self.rows[:, chosen],
            self.weights,
            np.asarray(self.fitted.params["means"][:, chosen]),
            np.asarray(self.covariances[:, chosen][:, :, chosen]),
            tuple(self.names[j] for j in chosen),
        )

    def projected(self) -> Shadow:
        """The shadow on the two directions in which components differ most, or the one in which they differ at all.

        Where they differ in none, or there is but one: on the two leading principal components of the mixture's
        correlations.
        """
        means = self.fitted.params["means"]
        found = projection(self.weights, means, self.covariances)
        directions, kind = found.directions[:, :2], "direction"
        if directions.shape[1] == 0:
            shares = self.weights / self.weights.sum()
            about = means - found.centre
            marginal = np.tensordot(shares, self.covariances, axes=1) + (shares[:, None] * about).T @ about
            vectors = np.linalg.eigh(marginal / found.scale / found.scale[:, None])[1][:, ::-1][:, :2]
            directions, kind = vectors / found.scale[:, None], "principal component"
        told = [f"{100 * share:.0f} % of the structure" for share in found.shares] if kind == "direction" else None
        coordinates = np.empty((len(self.rows), directions.shape[1]))
        for part in self.chunks():
            coordinates[part] = (self.rows[part] - found.centre) @ directions
        return Shadow(
            coordinates,
            self.weights,
            (means - found.centre) @ directions,
            np.asarray(np.einsum("di,kde,ej->kij", directions, self.covariances, directions)),
            tuple(f"{kind} {j + 1}" + (f" ({told[j]})" if told else "") for j in range(directions.shape[1])),
        )

    def chosen(self, columns: Sequence[int | str] | None) -> list[int]:
        """Numbers of the columns that the user names, by name or number; all by default.

        Raises
        ------
        InputError
            If one is unknown or comes twice, or there is none.
        """
        d, names = self.fitted.n_features, self.full_names
        if columns is None:
            return list(range(d))
        asked = [columns] if isinstance(columns, str | int | np.integer) else list(columns)
        found = list[int]()
        for column in asked:
            if isinstance(column, str) and column in names:
                found.append(names.index(column))
            elif isinstance(column, int | np.integer) and not isinstance(column, bool) and 0 <= column < d:
                found.append(int(column))
            else:
                raise InputError(
                    f"columns must be names or numbers from 0 to {d - 1} of the model's columns, got {column!r}"
                )
        if not found or len(set(found)) < len(found):
            raise InputError(f"columns must be different ones, at least one, got {columns!r}")
        return found
