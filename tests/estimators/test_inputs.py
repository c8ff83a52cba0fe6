"""Bad input: each a clear error that names the argument, what came and what was expected."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from mixtures import SHAPES

import jensen
from jensen import GaussianMixture, JensenError

X = np.asarray(jensen.datasets.load("faithful").data)
N, D = X.shape


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        ("n_components", 0, r"n_components.* in the range \[1, inf\). Got 0"),
        ("n_components", 1.5, "n_components.* an int"),
        ("covariance_type", "VVF", "covariance_type.*'full'.*Got 'VVF'"),
        ("tol", -1.0, "tol.*Got -1.0"),
        ("tol", "small", "tol.*'auto'.*Got 'small'"),
        ("reg_covar", -1e-6, "reg_covar"),
        ("max_iter", -1, "max_iter"),
        ("max_iter", 10.0, "max_iter"),
        ("n_init", 0, "n_init"),
        ("init_params", "best", "init_params.*'kmeans'.*Got 'best'"),
        ("random_state", -1, "random_state"),
        ("warm_start", "no", "warm_start"),
        ("verbose", -1, "verbose"),
        ("verbose_interval", 0, "verbose_interval"),
    ],
)
def test_arguments_outside_their_domain(argument, value, expected):
    with pytest.raises(ValueError, match=expected):
        GaussianMixture(**{"n_components": 2, argument: value}).fit(X)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (np.where(X > 90, np.nan, X), r"X has missing values \(NaN or null\) in column 1 \(6 rows\).*drop those rows"),
        (np.where(X > 90, np.inf, X), r"X has infinite values in column 1 \(6 rows\).*Drop those rows"),
        (np.ma.masked_greater(X, 90), "X has masked values.*drop them"),
        ([["a", "b"], ["c", "d"]], "X cannot be read as numbers.*expected a table.*Leave out what is no number"),
        ([[1.0, 2.0], [3.0]], "X cannot be read as numbers.*expected a table"),
        (np.empty((0, 2)), r"X is too small.*0 sample\(s\).*minimum of 2.*Check that all its rows and columns came"),
        (np.empty((5, 0)), r"X is too small.*0 feature\(s\)"),
        (X[:1], r"X is too small.*1 sample\(s\).*minimum of 2"),
        (X[:, 0], "Expected 2D array, got 1D array"),
        (np.zeros((3, 2, 2)), "dim 3"),
        (X + 1j, "X cannot be read as numbers.*Complex data not supported"),
    ],
)
def test_unusable_rows(rows, expected):
    with pytest.raises(ValueError, match=expected):
        GaussianMixture().fit(rows)


def test_missing_values_are_told_by_the_names_of_their_columns():
    frame = pd.DataFrame({"height": [1.0, 2.0, 4.0], "age": pd.array([1, None, 3], dtype="Int64")})
    with pytest.raises(JensenError, match=r"X has missing values \(NaN or null\) in column 'age' \(1 row\)"):
        GaussianMixture().fit(frame)


def test_objects_that_are_no_numbers():
    rows = X.astype(object)
    rows[0, 0] = {"a": 1}
    with pytest.raises(TypeError, match="X cannot be read as numbers.*not 'dict'"):
        GaussianMixture().fit(rows)


def test_sparse_rows():
    with pytest.raises(TypeError, match="Sparse data was passed"):
        GaussianMixture().fit(scipy.sparse.csr_array(X))


def test_rows_of_another_width_or_unusable_ones_after_the_fit():
    model = GaussianMixture(2, random_state=0).fit(X)
    with pytest.raises(ValueError, match="X has 1 features, but GaussianMixture is expecting 2"):
        model.predict(X[:, :1])
    with pytest.raises(ValueError, match="X has missing values .* in 2 columns"):
        model.score(X * np.nan)


def test_more_components_than_rows():
    with pytest.raises(ValueError, match="Expected n_samples >= n_components but got n_components = 4, n_samples = 3"):
        GaussianMixture(4).fit(X[:3])
    weight = np.zeros(N)
    weight[:3] = 1.0
    with pytest.raises(ValueError, match=r"n_samples = 3 \(rows of positive sample_weight\)"):
        GaussianMixture(4).fit(X, sample_weight=weight)
    weight[1:] = 0.0
    with pytest.raises(ValueError, match=r"Found 1 sample\(s\) \(rows of positive sample_weight\)"):
        GaussianMixture(1).fit(X, sample_weight=weight)


@pytest.mark.parametrize("use", ["fit", "fit_predict", "score", "bic", "aic", "icl"])
@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (np.zeros(N), "sample_weight is zero for every row"),
        (np.linspace(-1, 1, N), "Negative values in sample_weight: the smallest is -1"),
        (np.ones(N + 1), rf"sample_weight must have one entry per row, shape \({N},\), got shape \({N + 1},\)"),
        (np.ones((N, 1)), rf"got shape \({N}, 1\)"),
        (2.0, rf"sample_weight must have one entry per row, shape \({N},\), got shape \(\)"),
        (np.where(X[:, 1] > 90, np.nan, 1), rf"sample_weight is NaN or infinite in 6 of {N} rows; expected finite"),
        (["heavy"] * N, "sample_weight cannot be read as numbers.*expected an array of real numbers"),
    ],
)
def test_unusable_weights(use, weight, expected):
    model = GaussianMixture(2, random_state=0).fit(X)
    with pytest.raises(ValueError, match=expected):
        getattr(model, use)(X, sample_weight=weight)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([[0.5], [0.5]], r"'weights' should have the shape of \(2,\), but got \(2, 1\)"),
        ([1.5, -0.5], r"'weights' should be in the range \[0, 1\], but got max value 1.50000, min value -0.50000"),
        ([0.5, 0.4], r"'weights' should be normalized, but got sum\(weights\) = 0.90000"),
        ([0.5, np.nan], "weights_init contains NaN"),
    ],
)
def test_unusable_starting_weights(weights, expected):
    with pytest.raises(ValueError, match=expected):
        GaussianMixture(2, weights_init=weights).fit(X)


def test_unusable_starting_means():
    with pytest.raises(ValueError, match=r"'means' should have the shape of \(2, 2\), but got \(3, 2\)"):
        GaussianMixture(2, means_init=np.zeros((3, 2))).fit(X)


@pytest.mark.parametrize("shape", SHAPES)
def test_unusable_starting_precisions(shape):
    good = {"full": (2, D, D), "tied": (D, D), "diag": (2, D), "spherical": (2,)}[shape]
    with pytest.raises(ValueError, match=f"'{shape} precision' should have the shape of"):
        GaussianMixture(2, covariance_type=shape, precisions_init=np.ones((*good, 1))).fit(X)
    with pytest.raises(ValueError, match=f"'{shape} precision' should be .*positive"):
        GaussianMixture(2, covariance_type=shape, precisions_init=-np.ones(good)).fit(X)


def test_a_starting_precision_that_is_not_symmetric():
    with pytest.raises(ValueError, match="symmetric, positive-definite"):
        GaussianMixture(2, covariance_type="tied", precisions_init=[[1.0, 0.5], [0.0, 1.0]]).fit(X)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (np.arange(N), "between 0 and n_components - 1 = 1, got values from 0 to 271"),
        (np.full(N, 0.5), "labels must be integers"),
        (np.full((N, 3), 1 / 3), rf"labels of shape \({N},\) or responsibilities of shape \({N}, 2\), got shape"),
        (np.full((N, 2), 0.4), "must sum to 1 in every row"),
        (np.array(["a", "b"] * (N // 2)), "labels must be integers, got dtype <U1"),
        (lambda rows, n_components, rng: np.zeros(3, dtype=int), r"got shape \(3,\)"),
    ],
)
def test_unusable_starts_of_ones_own(start, expected):
    with pytest.raises(JensenError, match=expected):
        GaussianMixture(2, init_params=start).fit(X)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"weights": [0.5, 0.4]}, "'weights'"),
        ({"weights": [1.0]}, r"'weights' should have the shape \(2,\)"),
        ({"means": [0.0, 1.0]}, r"means must have the shape \(n_components, n_features\), got \(2,\)"),
        ({"means": [[0.0], [np.nan]]}, "'means'.*finite"),
        ({"covariances": [[[1.0]], [[-1.0]]]}, "'covariances'"),
        ({"means": [[0.0], [1.0, 2.0]]}, "means cannot be read as numbers"),
        ({"weights": ["half", "half"]}, "weights cannot be read as numbers"),
        ({"covariances": np.array([[[1.0]], [[1.0 + 1.0j]]])}, "covariances cannot be read as numbers.*Complex"),
        ({"covariance_type": "round"}, "covariance_type must be one of full"),
        ({"feature_names": ["a", "b"]}, "feature_names must be 1 strings"),
    ],
)
def test_unusable_parameters(change, expected):
    good = {
        "weights": [0.5, 0.5],
        "means": [[0.0], [1.0]],
        "covariances": [[[1.0]], [[1.0]]],
        "covariance_type": "full",
    }
    assert GaussianMixture.from_parameters(**good).predict([[0.1]]) == [0]
    with pytest.raises(JensenError, match=expected):
        GaussianMixture.from_parameters(**{**good, **change})


@pytest.mark.parametrize("n_samples", [0, 2.5, "ten"])
def test_numbers_of_samples_that_are_none(n_samples):
    with pytest.raises(ValueError, match=f"Invalid value for 'n_samples': {n_samples!r}"):
        GaussianMixture().fit(X).sample(n_samples)
