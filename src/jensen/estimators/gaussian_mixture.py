"""`GaussianMixture`: scikit-learn's conventions over Jensen's core."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from jensen.core import criteria
from jensen.core.block import AnyArray, Array
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.errors import InputError
from jensen.estimators.afterwards import AfterFit
from jensen.estimators.exchange import exported
from jensen.estimators.inputs import (
    as_numbers,
    check_enough_rows,
    check_means,
    check_rows,
    check_sample_weight,
    check_weights,
    covariances_from_precisions,
    seed_of,
)
from jensen.estimators.telling import ProgressPrinter, warn_of
from jensen.families.shapes.table import ALIASES, LETTERS, SHAPES, covariance_shape
from jensen.families.whitening import whiten
from jensen.fit.fitted import FittedMixture
from jensen.fit.mixture import fit_mixture
from jensen.fit.priors import ConjugatePrior
from jensen.fit.result import MixtureFit
from jensen.fit.search.soundness import Degenerate
from jensen.fit.settings import MixtureSettings
from jensen.fit.starts.draw import START_KINDS, StartKind, UserStart
from jensen.models.mixture import Assessment
from jensen.numerics.streams import fresh_seed, stream
from jensen.solve.variants import Accelerate

# What the rule of "auto" needs of a fit that a warm start continues.
_HISTORY = 4


class GaussianMixture(AfterFit, DensityMixin, BaseEstimator):  # type: ignore[misc]
    """Gaussian mixture fitted by EM; a drop-in for ``sklearn.mixture.GaussianMixture``.

    Arguments, attributes and methods are scikit-learn's; five defaults differ (`tol`, `reg_covar`, `max_iter`,
    `n_init`, `init_params`), for the reasons given with them. Beyond scikit-learn: `sample_weight` in ``fit``,
    ``score`` and the criteria, ``icl``, ``from_parameters``, ``to_sklearn``, starts of the user's own, and the whole
    record of a fit in ``fit_result_``.
    n rows, d features and K components stand for ``n_samples``, ``n_features`` and ``n_components``.

    Parameters
    ----------
    n_components : int, default=1
        K, at least 1, at most the number of rows of positive weight.
    covariance_type : str, default="full"
        ``"full"``, ``"tied"``, ``"diag"``, ``"spherical"``: a covariance for each component, one for all, a diagonal
        one or a single variance for each. Or one of mclust's fourteen names, whose letters say whether volume, shape
        and orientation are equal (E), variable (V) or those of the axes (I): ``EII VII EEI VEI EVI VVI EEE VEE EVE
        VVE EEV VEV EVV VVV``, with ``E`` and ``V`` for one column. ``VVV, EEE, VVI, VII`` are scikit-learn's four.
    tol : "auto" or float, default="auto"
        When to stop. ``"auto"``: when the log-likelihood still to be gained, by Aitken's extrapolation, is below
        max(1e-6, 1e-9 n). A number, at least 0: scikit-learn's rule, when the mean objective per row changes by less.
        scikit-learn's 1e-3 stops where EM is slow, not where it is done.
    reg_covar : "auto" or float, default="auto"
        Variance added to every covariance in the M-step, which the objective accounts for. ``"auto"``: 1e-6 times
        each column's robust variance, so that the units of a column change nothing. A number, at least 0: the same
        for every column; scikit-learn's 1e-6 is much for small units and nothing for large ones.
    max_iter : "auto" or int, default="auto"
        Iterations at most; ``"auto"`` is 10,000, since the rule above ends a fit well before. 0 gives the start.
    n_init : "auto" or int, default="auto"
        Number of starts; the best sound result is kept. ``"auto"`` searches: rounds of diverse starts, and escapes
        from what they found, until rounds agree; ``fit_result_.account`` tells. Arrays and parameters of one's own are
        one start, which is not searched.
    init_params : str, array-like or callable, default="auto"
        Where to start: ``"kmeans"`` clusters; ``"k-means++"`` seeds, or ``"random_from_data"`` rows, as means; a
        ``"random"`` partition of a few rows; ``"adaptive"``, ``"hierarchical"`` or ``"local"`` clusters. ``"auto"``:
        all of these in a search, ``"kmeans"`` for a given number of starts. An array of labels (n,), from 0 to K - 1,
        or of responsibilities (n, K) is a start of one's own, as is a function ``(X, K, rng)`` that returns either;
        `rng` is a ``numpy.random.Generator``.
    weights_init : array-like of shape (K,), default=None
        Weights to start from; they sum to 1.
    means_init : array-like of shape (K, d), default=None
        Means to start from.
    precisions_init : array-like, default=None
        Precisions to start from, inverses of the covariances, in the layout of ``covariances_``.
    random_state : int, RandomState instance, Generator or None, default=None
        Seed of the starts and of ``sample``. None takes fresh entropy; ``fit_result_.seed`` tells which.
    warm_start : bool, default=False
        Go on from the parameters of the last fit; `n_init` and the start are then ignored.
    verbose : int, default=0
        1 prints starts and iterations, 2 also times and gains.
    verbose_interval : int, default=10
        Iterations between two lines.
    accelerate : {"auto", "off", "squarem", "anderson", "quasi-newton"}, default="auto"
        Extrapolation of EM's steps; the objective never falls, but another optimum than plain EM's may be reached.
        ``"auto"``: where EM is slow, after 20 iterations, and never with a number as `tol`.
    degenerate : {"avoid", "allow"}, default="avoid"
        Whether sound optima come before degenerate ones, and before those with a component far narrower than the
        others that does not bring enough; or the objective alone decides.
    max_time : float, default=inf
        Seconds after which no further pass is begun; the best so far is kept, with a warning.
    equal_weights : bool, default=False
        Whether every weight is 1/K; then none is estimated.
    prior : ConjugatePrior, "conjugate" or None, default=None
        A prior on means and covariances, which smooths small components; ``"conjugate"`` takes Fraley & Raftery's
        defaults. The objective includes it.
    eigenvalue_ratio : float, default=inf
        The largest eigenvalue of any covariance over the smallest of any, at most (Hathaway 1985); at least 1. For EII,
        VII, EEI, VVI, EEE, EEV and VVV. It compares columns, so scale them first.
    noise : bool or float, default=False
        Whether a further component, uniform over a box around the data, takes rows that belong to no Gaussian, as
        mclust's ``noise`` does. A number is the volume of the box, in units of the columns. ``n_components`` does not
        count it.
    trim : float, default=0.0
        Share of the rows to leave out, below 1: those of lowest density, anew at every iteration (tclust). What is
        maximised is the likelihood of the others. `eigenvalue_ratio` goes well with it.

    Attributes
    ----------
    weights_ : ndarray of shape (K,)
        Shares of the components; with noise, they and ``noise_weight_`` sum to 1.
    noise_weight_ : float
        Share of the noise; 0 without it.
    outliers_ : ndarray of shape (n,) of bool
        Rows of the fit that are noise or were trimmed; not there without either.
    means_ : ndarray of shape (K, d)
        Means of the components.
    covariances_ : ndarray
        Covariances: (K, d, d) full, (d, d) tied, (K, d) diag, (K,) spherical; of mclust's shapes, (K,) EII,
        (K, d) EEI, VEI and EVI, and (K, d, d) the others.
    precisions_ : ndarray
        Their inverses, in the same layout.
    precisions_cholesky_ : ndarray
        Upper triangular factors U of the precisions U U', or their square roots, in the same layout.
    converged_ : bool
        Whether the best run converged.
    n_iter_ : int
        Iterations of the best run.
    lower_bound_ : float
        Mean penalised log-likelihood per unit of weight *at the attributes above*; it never falls during a fit.
    lower_bounds_ : list of float
        The same after each iteration of the best run.
    n_features_in_ : int
        d.
    feature_names_in_ : ndarray of shape (d,)
        Names of the columns, where `X` has them.
    fit_result_ : MixtureFit
        The whole record: every start, how each ended, plain and penalised log-likelihood, criteria, faults, seed. Not
        there on a model that was loaded or made from parameters.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        If the best run was stopped by `max_iter`.
    JensenWarning
        If the result is degenerate, components coincide, or the objective fell; the message names the remedy.

    Notes
    -----
    float32 data give float32 attributes, as in scikit-learn; sums and predictions use float64 throughout.
    ``score``, ``predict``, ``bic`` and the like use the plain density, without `reg_covar`'s penalty.
    Interrupting a fit (``KeyboardInterrupt``) leaves the best parameters so far in the attributes.

    Examples
    --------
    >>> import jensen
    >>> X = jensen.datasets.load("faithful").data
    >>> model = jensen.GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> sorted(model.weights_.round(2).tolist())
    [0.36, 0.64]
    >>> bool(model.predict([[2.0, 50.0]]) == model.predict([[4.5, 80.0]]))
    False
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions({*ALIASES, *SHAPES, *LETTERS})],
        "tol": [StrOptions({"auto"}), Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [StrOptions({"auto"}), Interval(Real, 0.0, None, closed="left")],
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
        "accelerate": [StrOptions(set(get_args(Accelerate)))],
        "n_init": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions({"auto", *START_KINDS}), "array-like", callable],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "random_state": ["random_state", np.random.Generator],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "degenerate": [StrOptions(set(get_args(Degenerate)))],
        "max_time": [Interval(Real, 0.0, None, closed="both")],
        "equal_weights": ["boolean"],
        "prior": [ConjugatePrior, StrOptions({"conjugate"}), None],
        "eigenvalue_ratio": [Interval(Real, 1.0, None, closed="both")],
        "noise": ["boolean", Interval(Real, 0.0, None, closed="neither")],
        "trim": [Interval(Real, 0.0, 1.0, closed="left")],
    }

    _fitted: FittedMixture
    _history: tuple[float, ...]
    _info: dict[str, Any]
    outliers_: AnyArray

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: Literal["auto"] | float = "auto",
        reg_covar: Literal["auto"] | float = "auto",
        max_iter: Literal["auto"] | int = "auto",
        n_init: Literal["auto"] | int = "auto",
        init_params: Literal["auto"] | StartKind | UserStart | AnyArray = "auto",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        accelerate: Accelerate = "auto",
        degenerate: Degenerate = "avoid",
        max_time: float = np.inf,
        equal_weights: bool = False,
        prior: ConjugatePrior | Literal["conjugate"] | None = None,
        eigenvalue_ratio: float = np.inf,
        noise: bool | float = False,
        trim: float = 0.0,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.accelerate = accelerate
        self.degenerate = degenerate
        self.max_time = max_time
        self.equal_weights = equal_weights
        self.prior = prior
        self.eigenvalue_ratio = eigenvalue_ratio
        self.noise = noise
        self.trim = trim

    @classmethod
    def from_parameters(
        cls,
        weights: Any,
        means: Any,
        covariances: Any,
        *,
        covariance_type: str,
        feature_names: Sequence[str] | None = None,
    ) -> Self:
        """A mixture with given parameters, ready to predict, score and sample.

        Parameters
        ----------
        weights : array-like of shape (K,)
            Shares, at least 0, with sum 1.
        means : array-like of shape (K, d)
            Means.
        covariances : array-like
            Positive definite, in the layout of ``covariances_``.
        covariance_type : str
            Which shape, as in the constructor.
        feature_names : sequence of d str, optional
            Names of the columns.

        Raises
        ------
        InputError
            If a shape or a value is outside its domain; the message names the parameter.
        """
        centres = as_numbers(means, "means")
        if centres.ndim != 2 or 0 in centres.shape:
            raise InputError(f"means must have the shape (n_components, n_features), got {centres.shape}")
        shape = covariance_shape(covariance_type, centres.shape[1]).label
        names = None if feature_names is None else tuple(feature_names)
        if names is not None and (len(names) != centres.shape[1] or not all(isinstance(n, str) for n in names)):
            raise InputError(f"feature_names must be {centres.shape[1]} strings, one per column of means, got {names}")
        shares, matrices = as_numbers(weights, "weights"), as_numbers(covariances, "covariances")
        fitted = FittedMixture.from_arrays(shape, shares, centres, matrices, names)
        model = cls(fitted.n_components, covariance_type=covariance_type)
        model._use(fitted, np.dtype(np.float64))
        return model

    # ------------------------------------------------------------------------------------------------ fitting

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the mixture.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Finite rows, two at least.
        y : ignored
        sample_weight : array-like of shape (n,), default=None
            Weights, at least 0: a row of weight 2 counts as two equal rows, one of weight 0 as none.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If an argument or the data are unusable; the message says what was expected.
        KeyboardInterrupt
            If the fit is interrupted. The best parameters so far are in the attributes by then.
        """
        self._fit(X, sample_weight)
        return self

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> AnyArray:
        """Fit the mixture and return the most probable component of each row, shape (n,).

        Parameters
        ----------
        X : array-like of shape (n, d)
            Finite rows, two at least.
        y : ignored
        sample_weight : array-like of shape (n,), default=None
            Weights for the fit, at least 0.
        """
        rows = self._fit(X, sample_weight)
        return self._fitted.labels(rows)

    def _fit(self, X: Any, sample_weight: Any) -> AnyArray:
        """Fit, note the result, warn of what deserves a second look, and return the validated rows."""
        rows = check_rows(self, X, reset=True)
        weight = check_sample_weight(sample_weight, len(rows))
        check_enough_rows(self.n_components, weight, len(rows))
        settings = self._settings(rows.shape[1])
        source = ArraySource(rows, weight)
        names = getattr(self, "feature_names_in_", None)
        printer = ProgressPrinter(self.verbose, self.verbose_interval, source.weight) if self.verbose else None
        result = fit_mixture(
            source,
            settings,
            feature_names=None if names is None else tuple(names),
            observer=None if printer is None else printer.point,
            on_end=None if printer is None else printer.end,
        )
        self._keep(result, rows.dtype)
        self._tell_outliers(rows)
        if result.status is Status.INTERRUPTED:
            raise KeyboardInterrupt("the fit was interrupted; the estimator has the best parameters so far")
        if self.max_iter != 0:
            warn_of(result)
        return rows

    def _settings(self, n_features: int) -> MixtureSettings:
        """The core's settings from the constructor's arguments, which stay as they are."""
        n_components, kind = int(self.n_components), covariance_shape(self.covariance_type, n_features)
        weights, means, covariances = self.weights_init, self.means_init, self.precisions_init
        own_start = isinstance(self.init_params, str) or callable(self.init_params)
        noise = bool(self.noise) if isinstance(self.noise, bool | np.bool_) else float(self.noise)
        warm = self._fitted if self.warm_start and hasattr(self, "_fitted") else None
        if warm is not None:
            before = (warm.n_components, warm.n_features, warm.covariance_type)
            now = (n_components, n_features, kind.label)
            if before != now or warm.equal_weights != self.equal_weights:
                raise InputError(
                    "warm_start=True goes on from (n_components, n_features, covariance_type) = "
                    f"{before}, which does not fit {now}; set warm_start=False to start afresh"
                )
            if (warm.box is None) == (noise is not False):
                raise InputError("warm_start=True goes on with noise or without, as before; set warm_start=False")
        return MixtureSettings(
            n_components=n_components,
            covariance_type=kind.label,
            reg_covar=self.reg_covar,
            tol=self.tol,
            max_iter=self.max_iter,
            accelerate=self.accelerate,
            n_init="auto" if isinstance(self.n_init, str) else int(self.n_init),
            init=self.init_params if own_start else np.asarray(self.init_params),
            weights=None if weights is None else self._starting_weights(weights, n_components),
            means=None if means is None else check_means(means, n_components, n_features),
            covariances=None
            if covariances is None
            else covariances_from_precisions(covariances, kind.layout, n_components, n_features),
            warm_start=None if warm is None else warm.params,
            history=() if warm is None else getattr(self, "_history", ()),
            seed=seed_of(self.random_state),
            max_time=float(self.max_time),
            degenerate=self.degenerate,
            equal_weights=bool(self.equal_weights),
            prior=ConjugatePrior() if isinstance(self.prior, str) else self.prior,
            eigenvalue_ratio=float(self.eigenvalue_ratio),
            noise=noise,
            trim=float(self.trim),
        )

    def _starting_weights(self, weights: Any, n_components: int) -> Array:
        given = check_weights(weights, n_components)
        if self.equal_weights and not np.allclose(given, 1.0 / n_components):
            raise InputError("weights_init must be equal under equal_weights=True; leave one of the two out")
        return given

    def _keep(self, result: MixtureFit, dtype: np.dtype[Any]) -> None:
        """Set every fitted attribute from a fit."""
        self._use(result.fitted, dtype)
        self.converged_ = result.status.is_converged
        self.n_iter_ = result.n_iter
        self.lower_bound_ = result.objective / result.weight
        self.lower_bounds_ = [objective / result.weight for objective in result.trace[1:]]
        self.fit_result_ = result
        before: tuple[float, ...] = getattr(self, "_history", ())
        # Equal to the bit means the same data at the same parameters: the gains before and after are one series.
        continued = before[-1:] == result.trace[:1]
        # Gains of extrapolated steps say nothing of what is to come.
        if result.extrapolations[1]:
            self._history = ()
            return
        self._history = ((before if continued else result.trace[:1]) + result.trace[1:])[-_HISTORY:]

    def _tell_outliers(self, rows: AnyArray) -> None:
        """Set ``outliers_``, or remove that of an earlier fit."""
        if hasattr(self, "outliers_"):
            del self.outliers_
        if self._fitted.box is not None or self._fitted.threshold is not None:
            self.outliers_ = self._fitted.labels(rows) < 0

    def _use(self, fitted: FittedMixture, dtype: np.dtype[Any]) -> None:
        """Set the attributes that parameters alone determine; `dtype` is that of the data."""
        params = fitted.params
        # For full and tied covariances L L', whitening is L^-1: the precision is U U' with U its transpose.
        whitening, _ = whiten(fitted.layout, params)
        matrices = fitted.layout in ("full", "tied")
        factors = np.swapaxes(whitening, -1, -2) if matrices else whitening
        precisions = factors @ whitening if matrices else whitening**2
        if max(np.abs(params["covariances"]).max(), np.abs(precisions).max()) > np.finfo(dtype).max:
            dtype = np.dtype(np.float64)  # squares of what float32 holds may be beyond it
        self._fitted = fitted
        weights, k = params["weights"], fitted.n_components
        self.weights_ = weights[:k].astype(dtype)
        self.noise_weight_ = float(weights[k:].sum())
        self.means_ = params["means"].astype(dtype)
        self.covariances_ = params["covariances"].astype(dtype)
        self.precisions_cholesky_ = factors.astype(dtype, order="C")
        self.precisions_ = precisions.astype(dtype)
        self.n_features_in_ = fitted.n_features
        if fitted.feature_names is not None:
            self.feature_names_in_ = np.array(fitted.feature_names, dtype=object)

    # ------------------------------------------------------------------------------------------- using the fit

    def predict(self, X: Any) -> AnyArray:
        """The most probable component of each row of `X` (n, d), integers from 0, shape (n,).

        Outliers have the label -1, as elsewhere in scikit-learn: rows that are most probably noise, or, of a trimmed
        fit, rows where the density is lower than at every row that was kept.
        """
        rows = self._rows(X)
        return self._fitted.labels(rows)

    def predict_proba(self, X: Any) -> AnyArray:
        """The posterior probability of each component for each row of `X` (n, d), shape (n, K).

        With noise, (n, K + 1): its probability comes last, which is where the label -1 points. Of a trimmed fit, the
        rows of outliers sum to 1 as well: they say which component would be nearest.
        """
        rows = self._rows(X)
        return self._fitted.responsibilities(rows).astype(np.result_type(rows, self.means_), copy=False)

    def score_samples(self, X: Any) -> AnyArray:
        """The log-density log p(x_i) at each row of `X` (n, d), shape (n,)."""
        rows = self._rows(X)
        return self._fitted.row_loglik(rows).astype(np.result_type(rows, self.means_), copy=False)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The mean log-density of the rows of `X` (n, d) per unit of weight.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : ignored
        sample_weight : array-like of shape (n,), default=None
            Weights, at least 0, not all 0.
        """
        assessment = self._assess(X, sample_weight)
        return assessment.loglik / assessment.weight

    def bic(self, X: Any, sample_weight: Any = None) -> float:
        """The Bayesian information criterion on `X` (n, d); smaller is better. n is the sum of `sample_weight` (n,).

        Noise counts one parameter, its weight; mclust counts the volume too. The criteria of a trimmed fit are about
        the rows that are no outliers.
        """
        assessment = self._assess_kept(X, sample_weight)
        return criteria.bic(assessment.loglik, self._n_parameters(), assessment.weight)

    def aic(self, X: Any, sample_weight: Any = None) -> float:
        """Akaike's information criterion on `X` (n, d), weighted by `sample_weight` (n,); smaller is better."""
        return criteria.aic(self._assess_kept(X, sample_weight).loglik, self._n_parameters())

    def icl(self, X: Any, sample_weight: Any = None) -> float:
        """The integrated completed likelihood on `X` (n, d); smaller is better, mclust's has the opposite sign.

        It is the BIC plus twice how unsure the classification is, -sum_i w_i log max_k r_ik, so that it prefers
        components that are apart.
        """
        assessment = self._assess_kept(X, sample_weight)
        return criteria.icl(assessment.loglik, self._n_parameters(), assessment.weight, assessment.map_loglik)

    def sample(self, n_samples: int = 1) -> tuple[Array, AnyArray]:
        """Draw rows from the mixture, grouped by component.

        Parameters
        ----------
        n_samples : int, default=1
            How many, at least 1. With an int as `random_state`, every call draws the same.

        Returns
        -------
        X : ndarray of shape (n_samples, d)
        y : ndarray of shape (n_samples,)
            The component of each row; -1 for noise, which is drawn from its box.
        """
        check_is_fitted(self)
        if not isinstance(n_samples, int | np.integer) or n_samples < 1:
            raise InputError(f"Invalid value for 'n_samples': {n_samples!r}. Sampling takes an integer of at least 1")
        seed = seed_of(self.random_state)
        return self._fitted.sample(int(n_samples), stream(fresh_seed() if seed is None else seed, "sample"))

    def to_sklearn(self) -> Any:
        """A fitted ``sklearn.mixture.GaussianMixture`` with the same parameters.

        What scikit-learn does not know (``"auto"``, starts of one's own) becomes its default there.

        Raises
        ------
        InputError
            If there is noise, which scikit-learn has no place for.
        """
        check_is_fitted(self)
        return exported(self)

    def _rows(self, X: Any) -> AnyArray:
        check_is_fitted(self)
        return check_rows(self, X, reset=False)

    def _assess(self, X: Any, sample_weight: Any) -> Assessment:
        rows = self._rows(X)
        return self._fitted.assess(rows, check_sample_weight(sample_weight, len(rows)))

    def _assess_kept(self, X: Any, sample_weight: Any) -> Assessment:
        """What criteria are about: the rows above the threshold of a trimmed fit, else all."""
        rows = self._rows(X)
        return self._fitted.assess_kept(rows, check_sample_weight(sample_weight, len(rows)))

    def _n_parameters(self) -> int:
        """Number of free parameters, under scikit-learn's name for it."""
        check_is_fitted(self)
        return self._fitted.params.n_free

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there are parameters to work with."""
        return hasattr(self, "_fitted")
