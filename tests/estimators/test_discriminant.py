"""The classifier: agreement with scikit-learn's own, what it says of classes, unlabelled rows, cross-validation."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from jensen import JensenError, JensenWarning, MixtureDiscriminantAnalysis
from jensen.datasets import load
from jensen.estimators.crossvalidation import stratified_folds

IRIS, SPECIES = load("iris").data, load("iris").target
# Unbalanced: 50, 30 and 12 rows.
FEW = np.concatenate([np.arange(50), np.arange(50, 80), np.arange(100, 112)])


def edda(shape="all", **more):
    return MixtureDiscriminantAnalysis("edda", covariance_type=shape, **{"reg_covar": 0.0, **more})


@pytest.mark.parametrize("rows", [np.arange(150), FEW], ids=["iris", "unbalanced"])
@pytest.mark.parametrize(
    ("shape", "theirs"),
    [
        ("EEE", LinearDiscriminantAnalysis(solver="lsqr")),
        ("VVI", GaussianNB(var_smoothing=0.0)),
    ],
    ids=["linear", "naive Bayes"],
)
def test_scikit_learn_has_two_of_the_shapes(rows, shape, theirs):
    x, y = IRIS[rows], SPECIES[rows]
    ours, theirs = edda(shape).fit(x, y), theirs.fit(x, y)
    np.testing.assert_allclose(ours.predict_proba(IRIS), theirs.predict_proba(IRIS), rtol=1e-7, atol=1e-12)
    np.testing.assert_array_equal(ours.predict(IRIS), theirs.predict(IRIS))


def test_quadratic_discriminant_analysis():
    x, y = IRIS[FEW], SPECIES[FEW]
    ours, theirs = edda("VVV").fit(x, y), QuadraticDiscriminantAnalysis(store_covariance=True).fit(x, y)
    # Earlier releases of scikit-learn divide by n - 1: its parameters then give our posterior by the formula alone.
    counts, logs = ours.fit_result_.class_weight, np.log(theirs.priors_)
    for c, (n, mixture) in enumerate(zip(counts, ours.mixtures_, strict=True)):
        covariance, about = theirs.covariance_[c], x[y == theirs.classes_[c]]
        if np.allclose(covariance, np.cov(about.T)):
            covariance = covariance * (n - 1) / n
        np.testing.assert_allclose(mixture.covariances_[0], covariance, rtol=1e-9)
        theirs.covariance_[c] = covariance
    away = IRIS[:, None] - theirs.means_
    distances = np.einsum("nci,cij,ncj->nc", away, np.linalg.inv(theirs.covariance_), away)
    joint = logs - 0.5 * np.linalg.slogdet(theirs.covariance_)[1] - 0.5 * distances
    proba = np.exp(joint - logsumexp(joint, axis=1)[:, None])
    np.testing.assert_allclose(ours.predict_proba(IRIS), proba, rtol=1e-7, atol=1e-12)


def test_what_a_fit_knows():
    model = edda(reg_covar="auto").fit(IRIS, SPECIES)
    assert list(model.classes_) == ["setosa", "versicolor", "virginica"]
    np.testing.assert_allclose(model.priors_, 1 / 3)
    np.testing.assert_allclose(model.means_, [IRIS[SPECIES == c].mean(axis=0) for c in model.classes_], rtol=1e-12)
    assert model.covariance_type_ == "VEV" and list(model.n_components_) == [1, 1, 1]
    table = model.fit_result_.table()
    assert len(table) == 14 and min(table, key=lambda row: row["bic"])["covariance_type"] == "VEV"
    assert model.fit_result_.bic == min(row["bic"] for row in table)
    proba = model.predict_proba(IRIS)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    np.testing.assert_allclose(model.predict_log_proba(IRIS), np.log(np.maximum(proba, 1e-300)), atol=1e-6)
    np.testing.assert_array_equal(model.predict(IRIS), model.classes_[proba.argmax(axis=1)])
    assert model.score(IRIS, SPECIES) == (model.predict(IRIS) == SPECIES).mean() == 147 / 150
    joint = model.decision_function(IRIS)
    np.testing.assert_allclose(model.score_samples(IRIS), logsumexp(joint, axis=1))
    densities = np.stack([mixture.score_samples(IRIS) for mixture in model.mixtures_], axis=1)
    np.testing.assert_allclose(joint, densities + np.log(model.priors_), rtol=1e-12)
    x, _ = model.mixtures_[0].sample(5)
    assert x.shape == (5, 4)


def test_probabilities_that_underflow_have_logarithms():
    model = edda("EEE").fit(IRIS, SPECIES)
    far = IRIS[:1] + 1e4
    logs = model.predict_log_proba(far)
    assert np.isfinite(logs).all() and logs.min() < -1e4 and logs.max() == 0.0


def test_two_classes_have_one_decision():
    two = SPECIES != "setosa"
    model = edda("EEE").fit(IRIS[two], SPECIES[two])
    decision = model.decision_function(IRIS)
    assert decision.shape == (150,)
    proba = model.predict_proba(IRIS)
    np.testing.assert_allclose(1 / (1 + np.exp(-decision)), proba[:, 1], rtol=1e-9)


@pytest.mark.parametrize(
    "names",
    [["a", "b", "c"], [10, -1, 3], [1.0, 2.0, 7.0], np.array(["x", "yy", "zzz"], dtype=object)],
    ids=["strings", "integers", "whole floats", "objects"],
)
def test_classes_of_any_kind(names):
    of = np.unique(SPECIES, return_inverse=True)[1]
    y = np.asarray(names)[of]
    model = edda("VVV").fit(IRIS, y)
    assert model.classes_.dtype == y.dtype and set(model.predict(IRIS)) <= set(y)
    assert model.score(IRIS, y) > 0.9
    assert edda("VVV").fit(IRIS, of == 1).predict(IRIS).dtype == bool


def test_frames_and_their_names():
    frame = pd.DataFrame(IRIS, columns=list("abcd"), index=np.arange(150) * 2)
    model = edda("VVV").fit(frame, pd.Series(SPECIES, index=frame.index))
    assert list(model.feature_names_in_) == list("abcd")
    assert list(model.mixtures_[0].feature_names_in_) == list("abcd")
    assert model.score(frame, SPECIES) > 0.95
    assert model.cv_error(frame, pd.Series(SPECIES), cv=5).error < 0.05


def test_weights():
    weight = np.random.default_rng(0).integers(0, 3, 150).astype(float)
    times = weight.astype(int)
    one = edda(reg_covar="auto").fit(IRIS, SPECIES, weight)
    two = edda(reg_covar="auto").fit(np.repeat(IRIS, times, axis=0), np.repeat(SPECIES, times))
    np.testing.assert_allclose(one.predict_proba(IRIS), two.predict_proba(IRIS), rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(one.priors_, two.priors_)
    # A class without weight is no class.
    assert list(edda("EEE").fit(IRIS, SPECIES, (SPECIES != "setosa") * 1.0).classes_) == ["versicolor", "virginica"]


def test_shares_that_are_given():
    model = edda("EEE", priors=[0.98, 0.01, 0.01]).fit(IRIS, SPECIES)
    np.testing.assert_array_equal(model.priors_, [0.98, 0.01, 0.01])
    equal = edda("EEE", priors="equal").fit(IRIS[FEW], SPECIES[FEW])
    np.testing.assert_array_equal(equal.priors_, [1 / 3] * 3)
    assert edda("EEE").fit(IRIS[FEW], SPECIES[FEW]).priors_[0] == pytest.approx(50 / 92)


def test_a_mixture_for_each_class():
    model = MixtureDiscriminantAnalysis(
        n_components={"setosa": 1, "versicolor": [1, 2], "virginica": 2},
        covariance_type={"setosa": "full", "versicolor": ["EII", "full"], "virginica": "tied"},
        random_state=0,
    ).fit(IRIS, SPECIES)
    assert model.n_components_[0] == 1 and model.n_components_[2] == 2
    assert model.covariance_type_[0] == "full" and model.covariance_type_[2] == "tied"
    assert model.mixtures_[2].means_.shape == (2, 4)
    np.testing.assert_allclose(model.means_[2], IRIS[SPECIES == "virginica"].mean(axis=0), rtol=1e-5)
    kept = model.cv_error(IRIS, SPECIES, cv=3, reselect=False)
    assert kept.n_folds == 3 and kept.error < 0.1
    assert {row["class"] for row in model.fit_result_.table()} == set(model.classes_)


def test_one_column():
    model = edda().fit(IRIS[:, :1], SPECIES)
    assert [row["covariance_type"] for row in model.fit_result_.table()] == ["EII", "spherical"]
    assert MixtureDiscriminantAnalysis(n_components=[1, 2], random_state=0).fit(IRIS[:, 2:3], SPECIES).score(
        IRIS[:, 2:3], SPECIES
    ) > 0.9  # fmt: skip


# ------------------------------------------------------------------------------------------ unlabelled rows


def some_labelled(every, offset=0, mark=-1):
    y = SPECIES.astype(object)
    y[np.arange(150) % every != offset] = mark
    return y


def test_all_labelled_is_the_same_as_without_a_mark():
    one, two = edda(unlabelled=-1).fit(IRIS, SPECIES), edda().fit(IRIS, SPECIES)
    np.testing.assert_array_equal(one.predict_proba(IRIS), two.predict_proba(IRIS))
    assert one.fit_result_.n_unlabelled == 0


def test_unlabelled_rows_are_worth_something():
    # Three labelled rows of each class; by fives of offsets, so that no luck decides.
    errors = []
    for offset in range(5):
        y = some_labelled(17, offset)
        known = y != -1
        alone = edda(["EII", "EEI", "EEE", "VEE"], reg_covar="auto").fit(IRIS[known], y[known].astype(str))
        with_rest = edda(reg_covar="auto", unlabelled=-1).fit(IRIS, y)
        assert with_rest.fit_result_.n_unlabelled == 150 - known.sum()
        errors.append([1 - model.score(IRIS[~known], SPECIES[~known]) for model in (alone, with_rest)])
    alone, with_rest = np.mean(errors, axis=0)
    assert with_rest < 0.04 and with_rest < alone - 0.01


@pytest.mark.parametrize("mark", [-1, "?", np.nan, 99], ids=str)
def test_marks_of_unlabelled_rows(mark):
    expected = edda("VEE", unlabelled=-1).fit(IRIS, some_labelled(5))
    found = edda("VEE", unlabelled=mark).fit(IRIS, some_labelled(5, mark=mark))
    np.testing.assert_array_equal(found.classes_, expected.classes_)
    np.testing.assert_array_equal(found.predict_proba(IRIS), expected.predict_proba(IRIS))
    codes = np.unique(SPECIES, return_inverse=True)[1]
    numbers = edda("VEE", unlabelled=-1).fit(IRIS, np.where(np.arange(150) % 5 == 0, codes, -1))
    assert list(numbers.classes_) == [0, 1, 2]
    np.testing.assert_array_equal(numbers.predict_proba(IRIS), expected.predict_proba(IRIS))


def test_without_a_mark_minus_one_is_a_class():
    codes = np.unique(SPECIES, return_inverse=True)[1] - 1
    assert list(edda("EEE").fit(IRIS, codes).classes_) == [-1, 0, 1]


def test_scoring_leaves_unlabelled_rows_out():
    y = some_labelled(3)
    found = edda("VEE", unlabelled=-1, random_state=0).cv_error(IRIS, y, cv=5)
    assert (found.folds[y == -1] == -1).all() and np.isnan(found.probabilities[y == -1]).all()
    assert (found.predictions[y == -1] == -1).all()
    assert found.error == np.mean(found.predictions[y != -1] != y[y != -1])


# ------------------------------------------------------------------------------------------ cross-validation


def test_cross_validation_is_of_rows_not_seen():
    model = edda("EEE", random_state=0)
    found = model.cv_error(IRIS, SPECIES, cv=10)
    for fold in range(10):
        test = found.folds == fold
        assert [np.sum(SPECIES[test] == c) for c in found.classes] == [5, 5, 5]
        again = edda("EEE").fit(IRIS[~test], SPECIES[~test])
        np.testing.assert_allclose(found.probabilities[test], again.predict_proba(IRIS[test]), rtol=1e-12)
        np.testing.assert_array_equal(found.predictions[test], again.predict(IRIS[test]))
    wrong = found.predictions != SPECIES
    by_fold = np.array([wrong[found.folds == fold].mean() for fold in range(10)])
    assert found.error == wrong.mean() == pytest.approx(by_fold.mean())
    assert found.error_se == pytest.approx(by_fold.std(ddof=1) / np.sqrt(10))
    truth = SPECIES[:, None] == found.classes
    assert found.brier == pytest.approx(((found.probabilities - truth) ** 2).sum(axis=1).mean() / 2)
    assert str(found).startswith("10-fold cross-validation: error 2.")


def test_cross_validation_is_repeatable_and_does_not_touch_the_model():
    model = edda("EEE", random_state=3)
    one, two = (model.cv_error(IRIS, SPECIES) for _ in range(2))
    np.testing.assert_array_equal(one.folds, two.folds)
    assert one.error == two.error and not hasattr(model, "classes_")
    assert not np.array_equal(one.folds, clone(model).set_params(random_state=4).cv_error(IRIS, SPECIES).folds)


def test_folds_and_weights_of_ones_own():
    folds = np.arange(150) % 3 + 5
    weight = np.where(SPECIES == "setosa", 2.0, 1.0)
    found = edda("EII").cv_error(IRIS, SPECIES, weight, cv=folds)
    np.testing.assert_array_equal(found.folds, folds - 5)
    assert found.error == pytest.approx(weight @ (found.predictions != SPECIES) / weight.sum())


def test_selection_is_repeated_in_every_fold_unless_told_otherwise():
    model = edda(reg_covar="auto", random_state=0).fit(IRIS, SPECIES)
    kept = model.cv_error(IRIS, SPECIES, cv=4, reselect=False)
    same = edda("VEV", reg_covar="auto", random_state=0).cv_error(IRIS, SPECIES, cv=4)
    np.testing.assert_array_equal(kept.probabilities, same.probabilities)
    with pytest.raises(NotFittedError):
        edda().cv_error(IRIS, SPECIES, reselect=False)


def test_folds_are_even_and_a_class_may_be_missing_from_a_fit():
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat([0, 1, 2, -1], [31, 17, 1, 6]))
    folds = stratified_folds(labels, 5, rng)
    assert (folds[labels == -1] == -1).all()
    sizes = np.bincount(folds[labels >= 0])
    assert sizes.max() - sizes.min() <= 1
    for c, n in ((0, 31), (1, 17)):
        of_class = np.bincount(folds[labels == c], minlength=5)
        assert of_class.sum() == n and of_class.max() - of_class.min() <= 1
    # The one row of a class is predicted by fits that do not know the class.
    y = np.append(SPECIES, "new")
    found = edda("EEE").cv_error(np.vstack([IRIS, [[9.0, 9, 9, 9]]]), y, cv=5)
    assert found.predictions[-1] != "new" and found.probabilities[-1, list(found.classes).index("new")] == 0.0


def test_in_scikit_learns_hands():
    model = edda("all", reg_covar="auto", random_state=0)
    assert cross_val_score(model, IRIS, SPECIES, cv=3).mean() > 0.95
    search = GridSearchCV(model, {"covariance_type": ["EII", "VVV"]}, cv=3).fit(IRIS, SPECIES)
    assert search.best_params_ == {"covariance_type": "VVV"}
    pipeline = make_pipeline(StandardScaler(), edda("VVV")).fit(IRIS, SPECIES)
    np.testing.assert_array_equal(pipeline.predict(IRIS), edda("VVV").fit(IRIS, SPECIES).predict(IRIS))
    fitted = model.fit(IRIS, SPECIES)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(IRIS), fitted.predict_proba(IRIS))


# ------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("arguments", "y", "told"),
    [
        ({}, None, "requires y to be passed"),
        ({}, SPECIES[:-1], "one class per row, 150, got 149"),
        ({}, ["a"] * 150, "y has one class, 'a'.*two or more.*GaussianMixture"),
        ({}, np.linspace(0, 1, 150), "continuous"),
        ({}, np.where(np.arange(150) < 9, np.nan, 1.0), "NaN"),
        ({"unlabelled": -1}, np.full(150, -1), "no labelled row, every one is unlabelled=-1"),
        ({"unlabelled": -1}, np.where(np.arange(150) < 9, "-1", SPECIES), "become the string '-1'.*dtype=object"),
        ({"priors": [0.5, 0.5]}, SPECIES, "one share for each of the 3 classes"),
        ({"priors": [0.5, 0.5, 0.5]}, SPECIES, "above 0 and sum to 1"),
        ({"priors": [1.0, 0.0, 0.0]}, SPECIES, "above 0 and sum to 1"),
        ({"priors": "flat"}, SPECIES, "priors"),
        ({"covariance_type": "VVX"}, SPECIES, "covariance_type must be one of .*got 'VVX'"),
        ({"covariance_type": []}, SPECIES, "empty"),
        ({"covariance_type": {"setosa": "EEE"}}, SPECIES, "lacks 'versicolor'"),
        ({"kind": "edda", "covariance_type": dict.fromkeys(SPECIES, "EEE")}, SPECIES, "goes with kind='mixture'"),
        ({"kind": "edda", "n_components": 2}, SPECIES, "one Gaussian for each class, got n_components=2"),
        ({"n_components": [0, 1]}, SPECIES, "integers of at least 1"),
        ({"n_components": [1.5]}, SPECIES, "integers of at least 1"),
        ({"unlabelled": "setosa"}, SPECIES, "50 unlabelled rows, which kind='mixture' cannot use"),
        ({"kind": "lda"}, SPECIES, "kind"),
        ({"criterion": "icl"}, SPECIES, "criterion"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(arguments, y, told):
    with pytest.raises(ValueError, match=told):
        MixtureDiscriminantAnalysis(**arguments).fit(IRIS, y)


def test_refused_folds():
    for cv, told in ((1, "between 2 folds"), (151, "between 2 folds"), ("ten", "number of folds"),
                     (np.zeros(150, dtype=int), "into one fold")):  # fmt: skip
        with pytest.raises(JensenError, match=told):
            edda("EEE").cv_error(IRIS, SPECIES, cv=cv)
    y = np.where(np.arange(150) < 149, "a", "b")
    with pytest.raises(JensenError, match="without fold . of 5: y has one class"):
        edda("EII").cv_error(IRIS, y, cv=5)


def test_warnings_name_the_class():
    x, y = np.vstack([IRIS, [[9.0, 9, 9, 9]]]), np.append(SPECIES, "new")
    with pytest.warns(JensenWarning, match="Class new: its rows do not vary in columns 0, 1, 2, 3"):
        model = MixtureDiscriminantAnalysis(n_components=1).fit(x, y)
    assert model.predict(x[-1:])[0] == "new"
