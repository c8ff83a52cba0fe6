"""What follows a fit on an estimator: how sure it is, clusters of components, and the projection that shows them."""

from __future__ import annotations

from typing import Any, Literal

from jensen.core.block import AnyArray
from jensen.errors import InputError
from jensen.estimators.inputs import check_sample_weight
from jensen.fit.fitted import FittedMixture
from jensen.fit.result import full_covariances
from jensen.infer.analysis import Analysis
from jensen.infer.diagnose import Diagnosis
from jensen.infer.merging import Combination, combine
from jensen.infer.mixtures import mixture_analysis, mixture_diagnosis
from jensen.infer.projection import Projection, projection
from jensen.infer.standard_errors import ConfidenceIntervals, StandardErrors


class AfterFit:
    """Methods of an estimator that has a ``FittedMixture`` and checks rows."""

    _fitted: FittedMixture

    def _rows(self, X: Any) -> AnyArray:
        raise NotImplementedError

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
