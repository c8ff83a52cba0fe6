"""``jensen.select``: any table in, a table and a fitted mixture out, and words that say how sure the choice is."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import jensen
from jensen import datasets
from jensen.errors import InputError, JensenWarning

IRIS = datasets.load("iris")
NAMES = list(IRIS.feature_names)
FAITHFUL = datasets.load("faithful").data


@pytest.fixture(scope="module")
def selection():
    frame = pd.DataFrame(IRIS.data, columns=NAMES).assign(species=IRIS.target)
    return jensen.select(frame, [1, 2, 3], ["VEV", "EEE", "full"], random_state=0, n_init=2)


def test_the_best_is_a_fitted_mixture(selection):
    best = selection.best
    assert isinstance(best, jensen.GaussianMixture) and selection.best_name == "VEV,2"
    assert list(best.feature_names_in_) == NAMES
    frame = pd.DataFrame(IRIS.data, columns=NAMES)
    assert np.bincount(best.predict(frame)).tolist() in ([50, 100], [100, 50])
    assert best.bic(frame) == pytest.approx(561.7285, abs=1e-3)
    assert best.fit_result_.n_free == 26 and best.covariance_type == "VEV"
    assert selection[3, "tied"].covariances_.shape == (4, 4)


def test_words_name_near_ties_and_what_was_set_aside(selection):
    text = selection.words()
    assert "VEV,2 has the smallest BIC, 561.73." in text
    assert "VEV,2 and VEV,3 differ by 0.8: the data do not decide." in text
    assert "Column 'species' was set aside" in text
    assert repr(selection).startswith("Selection(9 mixtures; best VEV,2, BIC ")


@pytest.mark.parametrize(
    ("make", "kind"), [(pd.DataFrame, pd.DataFrame), (pl.DataFrame, pl.DataFrame), (pa.table, pa.Table)]
)
def test_tables_are_of_the_kind_that_came(make, kind):
    rows = make({"a": FAITHFUL[:, 0], "b": FAITHFUL[:, 1]})
    found = jensen.select(rows, [1, 2], "EEE", random_state=0, n_init=1)
    assert isinstance(found.table, kind) and isinstance(found.top(), kind)
    assert list(found.best.feature_names_in_) == ["a", "b"]


def test_the_table_has_all_cells_and_the_top_the_best(selection):
    table, top = selection.table, selection.top(2)
    assert len(table) == len(selection) == 9
    assert table["covariance_type"].tolist()[:3] == ["VEV", "tied", "full"]
    assert {"loglik", "n_free", "bic", "icl", "aic", "aicc", "caic", "sabic", "heldout", "entropy"} <= set(
        table.columns
    )
    assert top["name"].tolist() == ["VEV,2", "VEV,3"] and top["behind"].tolist()[0] == 0.0
    assert table["bic"].min() == top["bic"].iloc[0]


def test_all_shapes_are_fourteen_and_two_in_one_column():
    assert len(jensen.select(FAITHFUL, 1, random_state=0, n_init=1)) == 14
    one = jensen.select(datasets.load("galaxies").data.reshape(-1, 1), [3, 4], random_state=0)
    assert len(one) == 4 and one.best_name == "V,3"
    assert "V,3 and V,4 differ by 1.8" in one.words()


def test_weights_are_repetitions():
    weight = np.random.default_rng(0).integers(0, 3, len(FAITHFUL))
    asked = {"n_components": [2, 3], "covariance_type": ["EEE", "VVI"], "n_init": 1, "random_state": 0}
    one = jensen.select(FAITHFUL, sample_weight=weight, **asked)
    other = jensen.select(np.repeat(FAITHFUL, weight, axis=0), **asked)
    assert one.best_name == other.best_name
    np.testing.assert_allclose(*[[row["bic"] for row in s._found.table()] for s in (one, other)], rtol=1e-9)


def test_collinear_columns_are_warned_of():
    frame = pd.DataFrame(FAITHFUL, columns=["a", "b"]).assign(c=lambda f: f.a + 3 * f.b)
    with pytest.warns(JensenWarning, match="Columns are collinear: '.' is "):
        found = jensen.select(frame, [1, 2], ["EEI", "VVV"], random_state=0, n_init=1)
    assert found.best_name == "EEI,2"
    with pytest.raises(InputError, match="VVV,2 has no fit: collinear columns"):
        found[2, "full"]


def test_held_out_likelihood_on_request():
    found = jensen.select(FAITHFUL, [1, 2], "VVV", criterion="heldout", cv=4, random_state=0, n_init=1)
    assert found.best_name == "VVV,2" and "held-out" in found.words()
    assert found.table["heldout"].max() < found.table["loglik"].max()


def test_time_is_kept_and_said():
    with pytest.warns(JensenWarning, match="The selection was cut short: stopped at the time limit"):
        found = jensen.select(FAITHFUL, range(1, 9), max_time=0.0, random_state=0)
    assert found.best.weights_.sum() == pytest.approx(1.0)


def test_the_curves_are_drawn():
    pytest.importorskip("matplotlib").use("Agg")
    found = jensen.select(FAITHFUL, [1, 2, 3], ["EEE", "VVV", "EII"], random_state=0, n_init=1)
    ax = found.plot()
    assert [text.get_text() for text in ax.get_legend().get_texts()][-1] == "best: EEE,3"
    assert ax.get_ylabel() == "BIC (smaller is better)"
    assert found.plot(ax) is ax


def test_partitions_are_started_from_before_anything_else():
    # Where a start lies in the wrong optimum, a choice with that start alone does too, and a search does not.
    x = IRIS.data
    species = np.unique(IRIS.target, return_inverse=True)[1]
    wrong = np.arange(150) % 3
    asked = dict(n_components=3, covariance_type="EEE", reg_covar=0.0, random_state=0)
    led = {}
    starts = {"wrong": wrong, "species": species, "series": pd.Series(species), "float": species * 1.0}
    for name, labels in starts.items():
        (cell,) = jensen.select(x, n_init=1, init_params={3: labels}, **asked)._found.cells
        led[name] = cell.fit.loglik
        alone = jensen.GaussianMixture(
            3, covariance_type="EEE", init_params=np.asarray(labels), reg_covar=0.0, n_init=1
        )
        assert cell.fit.loglik == pytest.approx(alone.fit(x).fit_result_.loglik, abs=1e-6)
    assert led["species"] == led["series"] == led["float"] == pytest.approx(-256.354, abs=1e-3)
    assert led["wrong"] < led["species"] - 1.0
    searched = jensen.select(x, init_params={3: wrong}, **asked)
    assert searched.best.fit_result_.loglik == pytest.approx(led["species"], abs=1e-3)
    # Numbers without a partition have the starts that they have else, and a weight of 0 is no row.
    asked = {**asked, "n_components": [2, 3], "covariance_type": ["EEE", "EII"]}
    some, usual = (jensen.select(x, n_init=1, init_params=given, **asked) for given in ({3: wrong}, "auto"))
    lower, upper = ([cell.fit.loglik for cell in found._found.cells] for found in (some, usual))
    assert lower[:2] == upper[:2] and lower[2:] != upper[2:]
    weight, more = np.r_[np.ones(150), 0.0], np.r_[x, x[:1] + 9.0]
    padded = jensen.select(more, n_init=1, init_params={3: np.r_[wrong, 0]}, sample_weight=weight, **asked)
    assert [cell.fit.loglik for cell in padded._found.cells] == pytest.approx(lower, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_components": 0}, "n_components must be integers of at least 1, got 0"),
        ({"n_components": []}, "n_components must be integers of at least 1"),
        ({"n_components": "many"}, "n_components must be integers"),
        ({"covariance_type": "VVF"}, "covariance_type must be one of full"),
        ({"covariance_type": "E"}, "covariance_type 'E' is for one column and there are 2"),
        ({"covariance_type": []}, "covariance_type is empty"),
        ({"criterion": "DIC"}, "criterion must be one of bic, icl"),
        ({"criterion": "heldout"}, "needs a number of folds"),
        ({"cv": 1}, "cv must be an integer from 2 to the 272 rows, got 1"),
        ({"sample_weight": [1.0]}, "sample_weight must have one entry per row"),
        ({"n_init": 0}, "n_init"),
        ({"reg_covar": -1}, "reg_covar"),
        ({"init_params": np.zeros(272, int)}, "init_params must be a kind of start here, or a mapping"),
        ({"init_params": {2: np.zeros(271, int)}}, r"init_params\[2\] as an array must be labels of shape \(272,\)"),
        ({"init_params": {2: np.full(272, 2)}}, r"init_params\[2\] as labels must lie between 0 and .* = 1"),
        ({"init_params": {2: np.full((272, 2), 0.5)}}, r"init_params\[2\] must be labels .*, got responsibilities"),
        ({"init_params": {"2": np.zeros(272, int)}}, "numbers of components as its keys, got '2'"),
        ({"init_params": {2: np.zeros(272, int)}, "noise": True}, "do not go with noise or trim"),
        ({"n_components": 400}, "more components than the 272 rows"),
        ({"columns": ["a"]}, "a"),
    ],
)
def test_unusable_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        jensen.select(FAITHFUL, **{"n_components": 2, "covariance_type": "EEE", "random_state": 0, **arguments})
