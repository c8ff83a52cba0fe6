"""``jensen.select``: the number of components and the shape of the covariances, chosen in one call."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any, Literal

import numpy as np

from jensen.core.block import AnyArray
from jensen.core.observers import Glance
from jensen.core.printed import CardLike, Printed
from jensen.data.arrays import ArraySource
from jensen.data.frames import frame_of, kind_of_frame, to_matrix
from jensen.errors import InputError, JensenWarning
from jensen.estimators.gaussian_mixture import GaussianMixture
from jensen.estimators.inputs import check_sample_weight, seed_of
from jensen.estimators.recipes import select_recipe
from jensen.families.shapes.table import covariance_shape
from jensen.fit.priors import ConjugatePrior
from jensen.fit.search.soundness import Degenerate
from jensen.fit.selection.grid import select_mixture
from jensen.fit.selection.table import CRITERIA, Cell, Criterion, shapes_asked
from jensen.fit.selection.table import Selection as Found
from jensen.fit.settings import MixtureSettings
from jensen.fit.starts.draw import StartKind
from jensen.fit.starts.given import with_user_start
from jensen.solve.variants import Accelerate


class Selection(Printed):
    """What `jensen.select` found: every mixture that was fitted, and the best.

    Attributes
    ----------
    best : GaussianMixture
        The fitted mixture of the smallest criterion among the sound ones.
    table : data frame
        A row for each cell, of the kind of frame that came, else of the first installed of pandas, polars and pyarrow:
        ``n_components, covariance_type, name, loglik, n_free``, the criteria (all: smaller is better), ``heldout,
        entropy, status, n_iter, sound, confirmed, reason, seconds``.
    criterion : str
        What was compared.
    status : Status
        How the search ended: converged, interrupted, or out of time.
    seconds : float
        Wall time.
    warnings : tuple of str
        What was found in the data, and what to do about it.
    set_aside : tuple of (str, str)
        Columns of a frame that were not used, and why.
    """

    def __init__(
        self,
        found: Found,
        dtype: Any,
        backend: Any,
        set_aside: tuple[tuple[str, str], ...] = (),
        given: Mapping[str, Any] | None = None,
    ) -> None:
        self._found, self._dtype, self._backend, self.set_aside = found, dtype, backend, set_aside
        self._given = dict(given or {})
        self.criterion, self.status, self.seconds = found.criterion, found.status, found.seconds
        self.warnings = found.warnings

    @property
    def best(self) -> GaussianMixture:
        """The fitted mixture of the smallest criterion among the sound ones."""
        return self._estimator(self._found.best_cell)

    @property
    def best_name(self) -> str:
        """mclust's name of the best, such as ``VEV,2``."""
        return self._found.best_cell.name

    def __getitem__(self, key: tuple[int, str]) -> GaussianMixture:
        """The fitted mixture of a number of components and a shape, such as ``selection[3, "VEV"]``.

        Raises
        ------
        InputError
            If it was not asked for, or has no fit; the message says why.
        """
        n_components, name = key
        kind = covariance_shape(name)
        for cell in self._found.cells:
            if cell.n_components == n_components and covariance_shape(cell.covariance_type).name == kind.name:
                if cell.fit is None:
                    raise InputError(f"{cell.name} has no fit: {cell.reason}")
                return self._estimator(cell)
        raise InputError(f"{n_components} components of shape {name} are not among the {len(self)} cells")

    def __len__(self) -> int:
        return len(self._found.cells)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return iter([(cell.n_components, cell.covariance_type) for cell in self._found.cells])

    @property
    def table(self) -> Any:
        """A data frame with a row for each cell."""
        return frame_of(self._found.table(), self._backend)

    def top(self, n: int = 5) -> Any:
        """The best sound cells as a data frame, with how far each is behind.

        Parameters
        ----------
        n : int, default=5
            How many at most, at least 1.
        """
        if not _is_count(n, 1):
            raise InputError(f"n must be an integer of at least 1, got {n!r}")
        ranked = self._found.ranked()[: int(n)]
        values = [cell.value(self.criterion) for cell in ranked]
        columns = {
            "name": [cell.name for cell in ranked],
            self.criterion: values,
            "behind": [value - values[0] for value in values],
            "loglik": [cell.fit.loglik for cell in ranked if cell.fit is not None],
            "n_free": [cell.fit.n_free for cell in ranked if cell.fit is not None],
        }
        records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return frame_of(records, self._backend)

    def words(self) -> str:
        """What was chosen and how sure that is, in sentences."""
        notes = [f"{text[:1].upper()}{text[1:]}." for text in self.warnings]
        notes += [f"Column {name!r} was set aside: {reason}." for name, reason in self.set_aside]
        return " ".join([self._found.words(), *notes])

    def plot(self, ax: Any = None) -> Any:
        """Draw the criterion over the number of components, a line for each shape, the best marked.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib Axes
        """
        from jensen.report.curves import criterion_curves

        return criterion_curves(self._found, ax)

    def report(
        self,
        path: str | os.PathLike[str],
        X: Any = None,
        *,
        sample_weight: Any = None,
        title: str | None = None,
        level: float = 0.95,
        intervals: Literal["auto", True, False] = "auto",
    ) -> None:
        """Write a page that tells the best mixture and how it was chosen; see `GaussianMixture.report`.

        Parameters
        ----------
        path, X, sample_weight, title, level, intervals
            As there; `X` has the columns that were used.
        """
        self.best.report(
            path, X, sample_weight=sample_weight, selection=self, title=title, level=level, intervals=intervals
        )

    def _recipe(self, seed: Any) -> list[str]:
        """Lines that make the choice again."""
        return select_recipe(select, self._given, seed)

    def __repr__(self) -> str:
        cell = self._found.best_cell
        value = f"{self.criterion.upper().replace('AICC', 'AICc')} {cell.value(self.criterion):.6g}"
        return f"Selection({len(self)} mixtures; best {cell.name}, {value})"

    def _card(self) -> CardLike:
        from jensen.report.printed import selection_card

        return selection_card(self._found, self.words())

    def _estimator(self, cell: Cell) -> GaussianMixture:
        fit = cell.fit
        assert fit is not None
        model = GaussianMixture(fit.n_components, covariance_type=fit.covariance_type, noise=fit.box is not None)
        model._keep(fit, self._dtype)
        return model


def select(
    X: Any,
    n_components: int | Iterable[int] = range(1, 10),
    covariance_type: str | Iterable[str] = "all",
    criterion: Criterion = "bic",
    *,
    sample_weight: Any = None,
    columns: Sequence[str | int] | None = None,
    n_init: Literal["auto"] | int = "auto",
    init_params: Literal["auto"] | StartKind | Mapping[int, Any] = "auto",
    reg_covar: Literal["auto"] | float = "auto",
    tol: Literal["auto"] | float = "auto",
    max_iter: Literal["auto"] | int = "auto",
    accelerate: Accelerate = "auto",
    equal_weights: bool = False,
    prior: ConjugatePrior | Literal["conjugate"] | None = None,
    eigenvalue_ratio: float = np.inf,
    noise: bool | float = False,
    trim: float = 0.0,
    degenerate: Degenerate = "avoid",
    cv: int | None = None,
    max_time: float = np.inf,
    random_state: Any = None,
    progress: Literal["auto"] | bool = "auto",
) -> Selection:
    """Fit mixtures with every number of components and every shape of covariances, and choose among them.

    No cell lies below one that it contains: a shape below a special case of it, or a mixture below the same with one
    component less. With `noise` or `trim`, every cell is fitted for itself.

    Parameters
    ----------
    X : array-like or data frame of shape (n, d)
        Finite rows, two at least. Columns of a frame that are not numeric are set aside.
    n_components : int or iterable of int, default=range(1, 10)
        Numbers of components, each at least 1.
    covariance_type : str or iterable of str, default="all"
        Shapes, under scikit-learn's names or mclust's; ``"all"`` is all fourteen, or the two that differ in one column.
    criterion : {"bic", "icl", "aic", "aicc", "caic", "sabic", "heldout"}, default="bic"
        What the best has least of. ``"heldout"`` is minus twice the cross-validated log-likelihood, and needs `cv`.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows; their sum is the n of every criterion.
    columns : sequence of str or int, default=None
        Columns to use; all numeric ones by default.
    n_init : "auto" or int, default="auto"
        ``"auto"``: cuts of model-based hierarchical clusterings and drawn starts for every cell, and a search for those
        in the lead. A number is that of starts, the first a cut, and nothing is searched.
    init_params : str or mapping of int to array-like of shape (n,), default="auto"
        Another kind of start, as in `GaussianMixture`; or for numbers of components K the labels of the rows, from 0 to
        K - 1, that mixtures of K components start from before anything else, such as the cuts of a hierarchical
        clustering. With ``n_init=1`` they start from these alone.
    reg_covar, tol, max_iter, accelerate, equal_weights, prior, eigenvalue_ratio, noise, trim, degenerate
        As in `GaussianMixture`. Shapes that a constraint does not go with are left out with a reason.
    cv : int, default=None
        Folds of a cross-validation, at least 2: every cell then has its held-out log-likelihood.
    max_time : float, default=inf
        Seconds after which no further pass is begun; what was reached by then is returned, with a warning.
    random_state : int, RandomState instance, Generator or None, default=None
        Seed of all draws.
    progress : "auto" or bool, default="auto"
        Whether to show a bar, on stderr where that is a terminal, or in a notebook.

    Returns
    -------
    Selection

    Raises
    ------
    InputError
        If an argument or the data are unusable, or no cell can be fitted; the message says why.
    KeyboardInterrupt
        If it comes before anything was fitted; later, the selection holds what was reached.

    Examples
    --------
    >>> import jensen
    >>> X = jensen.datasets.load("faithful").data
    >>> selection = jensen.select(X, [1, 2, 3], ["tied", "full"], n_init=2, random_state=0)
    >>> selection.best_name
    'EEE,3'
    """
    # Before anything else has a name: what was asked, for whoever makes the choice again.
    given = {name: value for name, value in locals().items() if name not in ("X", "progress")}
    table = to_matrix(X, columns=columns)
    weight = check_sample_weight(sample_weight, len(table.data))
    counts, shapes = _counts(n_components), shapes_asked(covariance_type, table.n_features)
    if criterion not in CRITERIA:
        raise InputError(f"criterion must be one of {', '.join(CRITERIA)}, got {criterion!r}")
    if cv is not None and not (_is_count(cv, 2) and cv <= len(table.data)):
        raise InputError(f"cv must be an integer from 2 to the {len(table.data)} rows, got {cv!r}")
    if criterion == "heldout" and cv is None:
        raise InputError("criterion='heldout' needs a number of folds: give cv, such as cv=10")
    # The estimator's own checks of what the two have in common.
    common = {
        "n_init": n_init, "init_params": init_params, "reg_covar": reg_covar, "tol": tol, "max_iter": max_iter,
        "accelerate": accelerate, "equal_weights": equal_weights, "prior": prior, "eigenvalue_ratio": eigenvalue_ratio,
        "noise": noise, "trim": trim, "degenerate": degenerate, "random_state": random_state, "max_time": max_time,
    }  # fmt: skip
    partitions = dict[int, AnyArray]()
    if isinstance(init_params, Mapping):
        partitions, common["init_params"] = _partitions(init_params, ArraySource(table.data)), "auto"
    elif not isinstance(init_params, str):
        raise InputError(
            "init_params must be a kind of start here, or a mapping from numbers of components to labels of the rows: "
            "one array or function fits one number of components"
        )
    GaussianMixture(**common)._validate_params()
    settings = MixtureSettings(
        n_components=1,
        reg_covar=reg_covar,
        tol=tol,
        max_iter=max_iter,
        accelerate=accelerate,
        n_init=n_init if isinstance(n_init, str) else int(n_init),
        init=common["init_params"],
        seed=seed_of(random_state),
        degenerate=degenerate,
        equal_weights=bool(equal_weights),
        prior=ConjugatePrior() if isinstance(prior, str) else prior,
        eigenvalue_ratio=float(eigenvalue_ratio),
        noise=bool(noise) if isinstance(noise, bool | np.bool_) else float(noise),
        trim=float(trim),
    )
    from jensen.report.progress import Progress, can_show

    source = ArraySource(table.data, weight)
    shown = progress is True or (progress == "auto" and can_show())
    with Progress(shown, 0) as bar:
        found = select_mixture(
            source, counts, shapes, settings, criterion=criterion, feature_names=table.feature_names,
            observer=Glance(bar.on_search) if shown else None, max_time=float(max_time), cv=cv,
            given=partitions,
        )  # fmt: skip
    for text in found.warnings:
        warnings.warn(text[:1].upper() + text[1:], JensenWarning, stacklevel=2)
    if not found.status.is_converged:
        text = f"The selection was cut short: {found.status.message}; what was reached by then is compared"
        warnings.warn(text, JensenWarning, stacklevel=2)
    return Selection(found, table.data.dtype, kind_of_frame(X), table.set_aside, given)


def _is_count(value: Any, least: int) -> bool:
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= least


def _partitions(init_params: Mapping[int, Any], source: ArraySource) -> dict[int, AnyArray]:
    """Labels of the rows by the number of components, checked."""
    found = dict[int, AnyArray]()
    for k, labels in init_params.items():
        if not _is_count(k, 1):
            raise InputError(f"init_params as a mapping must have numbers of components as its keys, got {k!r}")
        try:
            checked = with_user_start(source, labels, int(k)).arrays
        except InputError as error:
            raise InputError(str(error).replace("init_params", f"init_params[{k}]", 1)) from None
        if "labels" not in checked:
            raise InputError(f"init_params[{k}] must be labels of shape ({source.n_rows},), got responsibilities")
        found[int(k)] = checked["labels"]
    return found


def _counts(n_components: Any) -> list[int]:
    given = [n_components] if isinstance(n_components, Integral) else n_components
    try:
        counts = list(given)
    except TypeError:
        raise InputError(f"n_components must be an integer or several, got {n_components!r}") from None
    if not counts or not all(_is_count(k, 1) for k in counts):
        raise InputError(f"n_components must be integers of at least 1, got {n_components!r}")
    return [int(k) for k in dict.fromkeys(counts)]
