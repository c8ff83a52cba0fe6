"""What follows a fit on an estimator: how sure it is, clusters of components, and the projection that shows them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from sklearn.utils.validation import check_is_fitted

from jensen.core.block import AnyArray
from jensen.errors import InputError
from jensen.estimators.inputs import check_sample_weight
from jensen.estimators.recipes import fit_recipe
from jensen.fit.fitted import FittedMixture
from jensen.fit.result import full_covariances
from jensen.infer.analysis import Analysis
from jensen.infer.diagnose import Diagnosis
from jensen.infer.merging import Combination, combine
from jensen.infer.mixtures import mixture_analysis, mixture_diagnosis
from jensen.infer.projection import Projection, projection
from jensen.infer.standard_errors import ConfidenceIntervals, StandardErrors
from jensen.store import fit_info

if TYPE_CHECKING:
    from jensen.report.mixture import Kind


class AfterFit:
    """Methods of an estimator that has a ``FittedMixture`` and checks rows."""

    _fitted: FittedMixture

    def _rows(self, X: Any) -> AnyArray:
        raise NotImplementedError

    def _repr_html_inner(self) -> str:
        """scikit-learn's diagram, and below it what was fitted; in a pipeline, the diagram alone."""
        diagram: str = super()._repr_html_inner()  # type: ignore[misc]
        return diagram + self._summary_in_html()

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        bundle: dict[str, str] = super()._repr_mimebundle_(**options)  # type: ignore[misc]
        if "text/html" in bundle:
            bundle["text/html"] += self._summary_in_html()
        return bundle

    def _summary_in_html(self) -> str:
        from jensen.report.printed import mixture_card

        fitted = getattr(self, "_fitted", None)
        return "" if fitted is None else mixture_card(fitted, getattr(self, "fit_result_", None)).html()

    def standard_errors(
        self, X: Any, sample_weight: Any = None, kind: Literal["observed", "sandwich"] = "observed"
    ) -> StandardErrors:
        """Standard errors of weights, means and covariances, by the observed information of the rows of `X`.

        They belong to the maximum of the plain likelihood next to the attributes, which ``params`` of the record holds:
        the penalty of `reg_covar` and the stopping rule leave a fit a little beside it.

        Parameters
        ----------
        X : array-like of shape (n, d)
            The rows of the fit, which the estimator does not keep.
        sample_weight : array-like of shape (n,), default=None
            Their weights.
        kind : {"observed", "sandwich"}, default="observed"
            ``sandwich`` holds for a wrong model too.

        Returns
        -------
        StandardErrors
            ``errors["weights"]``, ``errors["means"]`` and ``errors["covariances"]`` have the shapes of the attributes;
            NaN where one is refused, and the record prints why.

        Raises
        ------
        InputError
            Beyond 2,000 free parameters, or if `X` does not fit the estimator.
        """
        return self._analysis(X, sample_weight).standard_errors(kind)

    def confint(
        self,
        X: Any,
        sample_weight: Any = None,
        level: float = 0.95,
        kind: Literal["observed", "sandwich"] = "observed",
        scale: Literal["natural", "free"] = "natural",
    ) -> ConfidenceIntervals:
        """Wald confidence intervals of weights, means and covariances.

        Parameters
        ----------
        X, sample_weight, kind
            As in `standard_errors`.
        level : float, default=0.95
            Coverage, between 0 and 1.
        scale : {"natural", "free"}, default="natural"
            ``natural``: symmetric about the estimate, cut at its bounds. ``free``: on the logit of a weight and the
            logarithm of a variance, which never reaches them.
        """
        return self._analysis(X, sample_weight).standard_errors(kind).confint(level, scale)

    def diagnose(self, X: Any, sample_weight: Any = None) -> Diagnosis:
        """How the fit ended, how sure it is, and what to do: short paragraphs.

        Parameters
        ----------
        X : array-like of shape (n, d)
            The rows of the fit.
        sample_weight : array-like of shape (n,), default=None
            Their weights.
        """
        return mixture_diagnosis(self._analysis(X, sample_weight), getattr(self, "fit_result_", None))

    def _analysis(self, X: Any, sample_weight: Any) -> Analysis:
        rows = self._rows(X)
        return mixture_analysis(self._fitted, rows, check_sample_weight(sample_weight, len(rows)))

    def combine(self, X: Any, sample_weight: Any = None) -> Combination:
        """Merge components into clusters by entropy (Baudry et al. 2010); the density stays what it is.

        Parameters
        ----------
        X : array-like of shape (n, d)
            The rows whose classification counts.
        sample_weight : array-like of shape (n,), default=None
            Their weights.

        Returns
        -------
        Combination
            For every number of clusters, which components they are made of, with ``labels(k)`` of the rows; printed, it
            says how many the entropies suggest.
        """
        rows = self._rows(X)
        if self._fitted.box is not None:
            raise InputError("components are not merged beside noise: its rows belong to no cluster; fit without noise")
        return combine(self._fitted.responsibilities(rows), check_sample_weight(sample_weight, len(rows)))

    def projection(self, balance: float = 0.5, n_directions: int | None = None) -> Projection:
        """The directions in which the components differ most (Scrucca 2010), from the parameters alone.

        Parameters
        ----------
        balance : float, default=0.5
            From 0, differences of covariances alone, to 1, those of means alone: linear discriminant analysis.
        n_directions : int, default=None
            How many; all that show something.

        Returns
        -------
        Projection
            ``transform(X)`` projects rows.
        """
        params = self._fitted.params
        weights, means = params["weights"][: len(params["means"])], params["means"]
        matrices = full_covariances(self._fitted.layout, params)
        return projection(weights / weights.sum(), means, matrices, balance=balance, n_directions=n_directions)

    def plot(
        self,
        X: Any = None,
        kind: Kind = "clusters",
        ax: Any = None,
        *,
        sample_weight: Any = None,
        columns: Sequence[int | str] | None = None,
        level: float = 0.95,
    ) -> Any:
        """Draw the fit; needs matplotlib, ``pip install 'jensen[plot]'``.

        Parameters
        ----------
        X : array-like of shape (n, d), default=None
            The rows. ``"trace"`` needs none, and ``"density"`` can do without. More than 20,000 are counted or averaged
            in bins, as the picture then says.
        kind : str, default="clusters"
            ``"clusters"``: one column has the densities over a histogram, two have the rows by component with
            ellipses of 50 and 95 %, up to six every pair of columns, more the projection. ``"projection"``: the two
            directions in which components differ most. ``"density"``: contours of it. ``"uncertainty"``: how doubtful
            each row's component is. ``"responsibilities"``: of all rows, as a strip. ``"fit"``: whether the rows may
            come from the mixture. ``"profiles"``: each component against the whole. ``"estimates"``: weights and means
            with confidence intervals. ``"trace"``: the objective over the iterations, and the ends of all starts.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.
        columns : sequence of int or str, default=None
            Which columns to show, by number or name; all by default. For clusters, density, uncertainty, profiles and
            estimates.
        level : float, default=0.95
            Coverage of the intervals of profiles and estimates.

        Returns
        -------
        matplotlib Axes
            The axes drawn into. Pictures of several panels have them in its ``child_axes``.

        Raises
        ------
        InputError
            If matplotlib is missing, the kind is unknown, an argument does not go with it, or `X` is needed and is not
            there or does not fit the estimator.
        """
        from jensen.report.mixture import plot_mixture

        check_is_fitted(self)
        rows = None if X is None else self._rows(X)
        weight = None if rows is None else check_sample_weight(sample_weight, len(rows))
        record = getattr(self, "fit_result_", None)
        return plot_mixture(self._fitted, rows, weight, kind=kind, ax=ax, columns=columns, level=level, record=record)

    def report(
        self,
        path: str | os.PathLike[str],
        X: Any = None,
        *,
        sample_weight: Any = None,
        selection: Any = None,
        title: str | None = None,
        level: float = 0.95,
        intervals: Literal["auto", True, False] = "auto",
    ) -> None:
        """Write a page that tells the fit to anybody: one HTML file, which needs no network and runs no code.

        It has the answer in words, pictures, the components in numbers with intervals, how sure all that is, how the
        number of components was chosen, warnings with remedies, and how to do it again. Needs matplotlib and jinja2,
        ``pip install 'jensen[report]'``.

        Parameters
        ----------
        path : path-like
            Where to; it ends in ``.html``. A file that is there is replaced, once the page is complete.
        X : array-like of shape (n, d), default=None
            The rows of the fit, which the estimator does not keep. Without them there are no pictures of rows, no
            intervals and no check of the fit.
        sample_weight : array-like of shape (n,), default=None
            Their weights.
        selection : Selection, default=None
            What `jensen.select` returned, so that the choice of K is told.
        title : str, default=None
            Of the page.
        level : float, default=0.95
            Coverage of the intervals, between 0 and 1.
        intervals : "auto" or bool, default="auto"
            Whether to compute intervals and what the data say of the parameters; ``"auto"``: where that takes less
            than about half a minute.

        Raises
        ------
        InputError
            If a package is missing, the path cannot be written, or `X` is not what was fitted. Nothing is written.
        """
        from jensen.report.page import Origin, check_report, write_report

        check_is_fitted(self)
        check_report(path)
        rows = None if X is None else self._rows(X)
        weight = None if rows is None else check_sample_weight(sample_weight, len(rows))
        found = getattr(selection, "_found", None)
        if selection is not None and found is None:
            raise InputError(f"selection must be what jensen.select returned, got {type(selection).__name__}")
        record: Any = getattr(self, "fit_result_", None)
        info = getattr(self, "_info", {}) if record is None else fit_info(record)
        seed = info.get("seed")
        lines = fit_recipe(self, seed) if selection is None else selection._recipe(seed)
        set_aside = () if selection is None else selection.set_aside
        write_report(
            path, self._fitted, rows, weight, record=record, info=info, selection=found, title=title, level=level,
            intervals=intervals, origin=Origin(set_aside=tuple(set_aside), recipe=tuple(lines)),
        )  # fmt: skip
