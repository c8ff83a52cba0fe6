"""`MixtureDiscriminantAnalysis`: a classifier by Gaussian densities of the classes."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from jensen.core.block import AnyArray, Array
from jensen.errors import InputError, JensenWarning
from jensen.estimators.classes import check_labels, check_priors, components_of, shapes_of, split_classes
from jensen.estimators.crossvalidation import CrossValidation, cross_validate
from jensen.estimators.gaussian_mixture import GaussianMixture
from jensen.estimators.inputs import check_rows, check_sample_weight, seed_of
from jensen.fit.classes.gaussians import CLASS_CRITERIA, ClassCriterion
from jensen.fit.classes.mixtures import fit_class_mixtures
from jensen.fit.classes.result import DiscriminantFit, Kind, fit_edda
from jensen.fit.classes.rows import ClassRows, labels_beside
from jensen.fit.fitted import FittedMixture
from jensen.fit.summary import summarise
from jensen.numerics.logspace import normalise_logs
from jensen.numerics.streams import fresh_seed

# The caller of `fit` is three calls above `_warn`, behind scikit-learn's wrapper.
_CALLER_OF_FIT = 4


class MixtureDiscriminantAnalysis(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Discriminant analysis by a Gaussian mixture for each class, or by one Gaussian for each.

    A row goes to the class c of largest tau_c f_c(x). What mclust calls ``MclustDA`` and ``EDDA``, and with unlabelled
    rows ``MclustSSC``. n rows, d features, C classes.

    Parameters
    ----------
    kind : {"mixture", "edda"}, default="mixture"
        ``"mixture"``: a mixture for each class, its number of components and its covariance shape chosen by BIC on the
        rows of the class (Fraley & Raftery 2002). ``"edda"``: one Gaussian for each class, with covariances of one
        shape chosen by BIC on all rows (Bensmail & Celeux 1996); linear and quadratic discriminant analysis are two of
        its fourteen.
    n_components : "auto", int, sequence of int or dict, default="auto"
        Numbers of components to choose from, under ``"mixture"``; ``"auto"`` is 1 to 5. A dict has an entry for each
        class.
    covariance_type : str, sequence of str or dict, default="all"
        Shapes to choose from: ``"all"`` fourteen, names as in `GaussianMixture`, or under ``"mixture"`` a dict with an
        entry for each class.
    criterion : {"bic", "aic", "aicc", "caic", "sabic"}, default="bic"
        What the chosen shape, or mixture, has least of; see `jensen.select`.
    priors : None, "equal" or array-like of shape (C,), default=None
        Shares tau of the classes, in the order of ``classes_``. None estimates them, from the weights of the rows.
    unlabelled : object, default=None
        The value in `y` that marks a row whose class is not known, such as -1 (the mark of ``sklearn.semi_supervised``)
        or NaN. Such rows take part in the fit under ``"edda"``, by EM. None: every value is a class, also -1.
    reg_covar : "auto" or float, default="auto"
        Variance added to every covariance, which the objective accounts for. ``"auto"``: none to a single Gaussian
        whose rows are all labelled, 1e-6 times each column's variance within the classes where some are not, and in
        mixtures of several components what `GaussianMixture` adds. A number, at least 0: the same for every column.
    n_init : "auto" or int, default="auto"
        Starts of each mixture, as in `GaussianMixture`.
    random_state : int, RandomState instance, Generator or None, default=None
        Seed of the starts, and of the folds of `cv_error`.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        The classes, sorted; those of which a row has positive weight.
    priors_ : ndarray of shape (C,)
        Their shares.
    means_ : ndarray of shape (C, d)
        Their means.
    n_components_ : ndarray of shape (C,)
        Their numbers of components.
    covariance_type_ : str, or list of C str
        The shape, under ``"edda"``; one for each class, under ``"mixture"``.
    mixtures_ : list of C GaussianMixture
        The density of each class, fitted, to be looked at or drawn from.
    fit_result_ : DiscriminantFit
        The record, which prints as a summary; ``table()`` has every shape with its BIC, or why there is none.
    n_features_in_, feature_names_in_ : int, ndarray of shape (d,)
        d, and the names of the columns, where `X` has them.

    Notes
    -----
    Where labelled rows are few, a shape that they leave undetermined is set aside with its reason; only where none is
    left does ``fit`` fail. Selection by BIC is part of the fit: `cv_error` repeats it in every fold.

    Examples
    --------
    >>> import jensen
    >>> iris = jensen.datasets.load("iris")
    >>> model = jensen.MixtureDiscriminantAnalysis(kind="edda").fit(iris.data, iris.target)
    >>> model.covariance_type_, round(1 - model.score(iris.data, iris.target), 3)
    ('VEV', 0.02)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "kind": [StrOptions(set(get_args(Kind)))],
        "n_components": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left"), "array-like", dict],
        "covariance_type": [str, "array-like", dict],
        "criterion": [StrOptions(set(CLASS_CRITERIA))],
        "priors": [StrOptions({"equal"}), "array-like", None],
        "unlabelled": "no_validation",
        "reg_covar": [StrOptions({"auto"}), Interval(Real, 0.0, None, closed="left")],
        "n_init": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        kind: Kind = "mixture",
        *,
        n_components: Any = "auto",
        covariance_type: Any = "all",
        criterion: ClassCriterion = "bic",
        priors: Any = None,
        unlabelled: Any = None,
        reg_covar: Literal["auto"] | float = "auto",
        n_init: Literal["auto"] | int = "auto",
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
    ) -> None:
        self.kind = kind
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.criterion = criterion
        self.priors = priors
        self.unlabelled = unlabelled
        self.reg_covar = reg_covar
        self.n_init = n_init
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the densities of the classes.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Finite rows.
        y : array-like of shape (n,)
            Their classes, two at least: strings, integers, booleans; or `unlabelled`.
        sample_weight : array-like of shape (n,), default=None
            Weights, at least 0: a row of weight 2 counts as two equal rows, one of weight 0 as none.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If an argument or the data are unusable, no row has a label, or no density of a class can be estimated; the
            message gives the reasons.
        """
        rows = check_rows(self, X, reset=True)
        weight = check_sample_weight(sample_weight, len(rows))
        values, known = check_labels(y, len(rows), self.unlabelled)
        if weight is not None and not weight.all():
            counts = weight > 0
            rows, values, known, weight = rows[counts], values[counts], known[counts], weight[counts]
        self._keep(*self._fitted(rows, values, known, weight))
        self._warn()
        return self

    def _fitted(
        self, rows: AnyArray, values: AnyArray, known: AnyArray, weight: Array | None
    ) -> tuple[AnyArray, DiscriminantFit]:
        """The classes, and the fit to rows of positive weight."""
        if not known.any():
            raise InputError("y has no labelled row of positive weight: label some rows of each class")
        classes, labels = split_classes(values, known)
        listed, d = classes.tolist(), rows.shape[1]
        priors, shapes = check_priors(self.priors, len(classes)), shapes_of(self.covariance_type, listed, d)
        n_components = components_of(self.n_components, listed)
        self._check_kind(known)
        seed = seed_of(self.random_state)
        seed = fresh_seed() if seed is None else seed
        source = labels_beside(rows, labels, weight)
        of_classes = ClassRows(source, tuple(str(one) for one in listed), summarise(source, seed))
        names = getattr(self, "feature_names_in_", None)
        feature_names = None if names is None else tuple(names)
        if self.kind == "edda":
            return classes, fit_edda(
                of_classes,
                shapes[0],
                criterion=self.criterion,
                reg_covar=self.reg_covar,
                priors=priors,
                feature_names=feature_names,
            )
        return classes, fit_class_mixtures(
            of_classes,
            n_components,
            shapes,
            criterion=self.criterion,
            reg_covar=self.reg_covar,
            priors=priors,
            n_init="auto" if isinstance(self.n_init, str) else int(self.n_init),
            seed=seed,
            feature_names=feature_names,
        )

    def _check_kind(self, known: AnyArray) -> None:
        """Refuse what goes with the other kind alone."""
        if self.kind == "mixture":
            if not known.all():
                raise InputError(
                    f"y has {np.count_nonzero(~known)} unlabelled rows, which kind='mixture' cannot use: take "
                    "kind='edda', or leave them out"
                )
            return
        if isinstance(self.covariance_type, dict):
            raise InputError("covariance_type by class goes with kind='mixture'; kind='edda' has one for all classes")
        if not (isinstance(self.n_components, str) or np.array_equal(self.n_components, 1)):
            raise InputError(
                f"kind='edda' has one Gaussian for each class, got n_components={self.n_components!r}: take "
                "kind='mixture', or leave n_components at 'auto'"
            )

    def _keep(self, classes: AnyArray, found: DiscriminantFit) -> None:
        """Set every fitted attribute."""
        self.classes_, self.fit_result_, self.priors_ = classes, found, found.priors
        self.n_components_ = np.array(found.n_components)
        self.means_ = np.stack([one.params["weights"] @ one.params["means"] for one in found.mixtures])
        edda = found.kind == "edda"
        self.covariance_type_ = found.covariance_types[0] if edda else list(found.covariance_types)
        self.mixtures_ = [_as_estimator(mixture) for mixture in found.mixtures]

    def _warn(self) -> None:
        found = self.fit_result_
        category = JensenWarning if found.status.is_converged else ConvergenceWarning
        for text in found.warnings:
            warnings.warn(text[:1].upper() + text[1:], category, stacklevel=_CALLER_OF_FIT)

    # ------------------------------------------------------------------------------------------- using the fit

    def _repr_html_inner(self) -> str:
        """scikit-learn's diagram, and below it what was fitted; in a pipeline, the diagram alone."""
        diagram: str = super()._repr_html_inner()
        return diagram + self._summary_in_html()

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        bundle: dict[str, str] = super()._repr_mimebundle_(**options)
        if "text/html" in bundle:
            bundle["text/html"] += self._summary_in_html()
        return bundle

    def _summary_in_html(self) -> str:
        return self.fit_result_._repr_html_() if hasattr(self, "fit_result_") else ""

    def predict(self, X: Any) -> AnyArray:
        """The most probable class of each row of `X` (n, d), shape (n,)."""
        joint = self._log_joint(X)
        return np.asarray(self.classes_[joint.argmax(axis=1)])

    def predict_proba(self, X: Any) -> Array:
        """The posterior probability of each class for each row of `X` (n, d), shape (n, C)."""
        joint = np.ascontiguousarray(self._log_joint(X).T)
        normalise_logs(joint)
        return np.ascontiguousarray(joint.T)

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of `predict_proba`, shape (n, C), without loss where a probability underflows."""
        joint = self._log_joint(X)
        return np.asarray(joint - np.logaddexp.reduce(joint, axis=1)[:, None])

    def decision_function(self, X: Any) -> Array:
        """log(tau_c f_c(x)), shape (n, C); of two classes, how much more the second has than the first, shape (n,)."""
        joint = self._log_joint(X)
        return joint[:, 1] - joint[:, 0] if len(self.classes_) == 2 else joint

    def score_samples(self, X: Any) -> Array:
        """The log-density log sum_c tau_c f_c(x_i) at each row of `X` (n, d), shape (n,)."""
        return np.asarray(np.logaddexp.reduce(self._log_joint(X), axis=1))

    def cv_error(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        cv: Any = 10,
        reselect: bool = True,
    ) -> CrossValidation:
        """Error and Brier score of predictions for rows that the fit did not see, by stratified cross-validation.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`. Unlabelled rows take part in every fit and in no score.
        cv : int or array-like of shape (n,), default=10
            Number of folds, 2 or more, drawn from `random_state` with the classes spread evenly; as many as there are
            labelled rows leave one out. Or the fold of each row, integers.
        reselect : bool, default=True
            Whether shapes and numbers of components are chosen anew in every fold, as an honest estimate takes. False
            keeps those of the fitted model, as mclust does, which has seen all the rows.

        Returns
        -------
        CrossValidation

        Raises
        ------
        InputError
            If a fold leaves too little to fit; the message names it.
        sklearn.exceptions.NotFittedError
            If `reselect` is False and the estimator has not been fitted.
        """
        seed = seed_of(self.random_state)
        seed = fresh_seed() if seed is None else seed
        arguments = {**self._arguments(reselect), "random_state": seed}
        return cross_validate(lambda: type(self)(**arguments), X, y, sample_weight, cv, self.unlabelled, seed)

    def _arguments(self, reselect: bool) -> dict[str, Any]:
        """The constructor's arguments for the fits of a cross-validation."""
        arguments: dict[str, Any] = self.get_params(deep=False)
        if reselect:
            return arguments
        check_is_fitted(self)
        if self.kind == "edda":
            return {**arguments, "covariance_type": self.covariance_type_}
        listed = self.classes_.tolist()
        return {
            **arguments,
            "n_components": dict(zip(listed, self.n_components_.tolist(), strict=True)),
            "covariance_type": dict(zip(listed, self.covariance_type_, strict=True)),
        }

    def _log_joint(self, X: Any) -> Array:
        check_is_fitted(self)
        return self.fit_result_.log_joint(check_rows(self, X, reset=False))


def _as_estimator(mixture: FittedMixture) -> GaussianMixture:
    """A class's density as an estimator."""
    params = mixture.params
    return GaussianMixture.from_parameters(
        params["weights"],
        params["means"],
        params["covariances"],
        covariance_type=mixture.covariance_type,
        feature_names=mixture.feature_names,
    )
