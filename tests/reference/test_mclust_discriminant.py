"""Discriminant analysis agrees with R's mclust: one Gaussian for each class, and rows without a label."""

import numpy as np
import pytest
from references import data, labels, read_csv
from sklearn.datasets import load_breast_cancer

from jensen import MixtureDiscriminantAnalysis

EDDA = read_csv("mclust_edda.csv")
SEMI_SUPERVISED = read_csv("mclust_ssc.csv")
MIXTURES = read_csv("mclust_da.csv")
# mclust's VVE is no maximum: its orientation step leaves out the volumes.
NO_MAXIMUM = "VVE"
# Equal responsibilities, at which mclust begins, lead to a lower optimum.
LOWER = ("iris_G3", "EEV")


def known(name):
    """Rows and their classes."""
    if name == "wdbc":
        cells = load_breast_cancer()
        columns = [list(cells.feature_names).index(c) for c in ("mean texture", "worst area", "worst smoothness")]
        return cells.data[:, columns], cells.target_names[cells.target]
    if name == "iris_sepal":
        return data("iris_G3")[:, :1], labels("iris_G3")
    return data(name), labels(name)


@pytest.mark.parametrize("row", EDDA, ids=lambda row: f"{row['data']}-{row['model']}")
def test_one_gaussian_for_each_class(row):
    x, y = known(row["data"])
    model = MixtureDiscriminantAnalysis("edda", covariance_type=row["model"], reg_covar=0.0).fit(x, y)
    # mclust's is the log-likelihood of the rows alone, and it does not count the shares.
    loglik, n_free = model.score_samples(x).sum(), model.fit_result_.n_free - (len(model.classes_) - 1)
    assert n_free == int(row["df"])
    if row["model"] == NO_MAXIMUM:
        known_loglik = model.fit_result_.loglik
        for other in ("EVE", "VEE", "VVI", "EEE"):
            nested = MixtureDiscriminantAnalysis("edda", covariance_type=other, reg_covar=0.0).fit(x, y)
            assert known_loglik >= nested.fit_result_.loglik - 1e-9
        return
    # mclust ends its inner iterations early for these.
    rel = 1e-8 if row["model"] in ("EVE", "VEE") else 1e-10
    assert loglik == pytest.approx(float(row["loglik"]), rel=rel)
    assert 2 * loglik - n_free * np.log(len(x)) == pytest.approx(float(row["bic"]), rel=rel)
    assert 1.0 - model.score(x, y) == pytest.approx(float(row["error"]), abs=1e-12)
    truth = np.asarray(y)[:, None] == model.classes_
    brier = ((model.predict_proba(x) - truth) ** 2).sum() / (2 * len(x))
    assert brier == pytest.approx(float(row["brier"]), rel=1e4 * rel)


@pytest.mark.parametrize(
    "row",
    [row for row in EDDA if row["loo_error"] and row["model"] in ("EEE", "VVV", "VEV", "VVI")],
    ids=lambda row: row["model"],
)
def test_leaving_one_out(row):
    x, y = known(row["data"])
    model = MixtureDiscriminantAnalysis("edda", covariance_type=row["model"], reg_covar=0.0, priors="equal")
    found = model.cv_error(x, y, cv=len(x))
    for name in ("error", "error_se", "brier", "brier_se"):
        assert getattr(found, name) == pytest.approx(float(row[f"loo_{name}"]), rel=1e-5), name


@pytest.mark.parametrize("row", SEMI_SUPERVISED, ids=lambda row: f"{row['data']}-{row['model']}")
def test_rows_without_a_label(row):
    x, y = known(row["data"])
    some = np.where(np.arange(len(x)) % int(row["every"]) == 0, y, -1)
    model = MixtureDiscriminantAnalysis("edda", covariance_type=row["model"], reg_covar=0.0, unlabelled=-1).fit(x, some)
    found = model.fit_result_
    assert found.n_free == int(row["df"])
    # mclust stops when an iteration gains less than 1e-5.
    assert found.loglik >= float(row["loglik"]) - 1e-7
    if (row["data"], row["model"]) == LOWER:
        assert found.loglik > float(row["loglik"]) + 0.5
    elif row["model"] != NO_MAXIMUM:
        assert found.loglik == pytest.approx(float(row["loglik"]), abs=1e-3)
        assert -found.bic == pytest.approx(float(row["bic"]), abs=2e-3)
        assert 1.0 - model.score(x, y) == pytest.approx(float(row["error"]), abs=1e-12)


@pytest.mark.parametrize("name", ["iris_G3", "wdbc"])
def test_a_mixture_for_each_class(name):
    x, y = known(name)
    chosen = [row for row in MIXTURES if row["data"] == name]
    classes = np.unique(y).tolist()
    model = MixtureDiscriminantAnalysis(
        n_components=dict(zip(classes, [int(row["G"]) for row in chosen], strict=True)),
        covariance_type=dict(zip(classes, [row["model"].replace("XXX", "VVV") for row in chosen], strict=True)),
        random_state=0,
    ).fit(x, y)
    for c, mixture, row in zip(model.classes_, model.mixtures_, chosen, strict=True):
        # mclust stops early, by up to a tenth of a nat here.
        loglik = mixture.score(x[y == c]) * np.sum(y == c)
        assert -1e-4 < loglik - float(row["loglik"]) < 0.1
    assert model.score_samples(x).sum() >= float(chosen[0]["rows_loglik"]) - 1e-3
    assert 1.0 - model.score(x, y) == pytest.approx(float(chosen[0]["error"]), abs=1e-12)
