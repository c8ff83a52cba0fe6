"""Tables in memory become one numeric matrix, or an error that says why not."""

import datetime
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from jensen import datasets
from jensen.data.frames import to_matrix
from jensen.errors import InputError

COLUMNS = {
    "height": [1.5, 2.5, 3.5],
    "count": [1, 2, 3],
    "flag": [True, False, True],
    "city": ["Bern", "Oslo", "Rome"],
    "day": [datetime.date(2020, 1, day) for day in (1, 2, 3)],
    "w": [1.0, 0.0, 2.0],
}
FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
EXPECTED = np.array([[1.5, 1.0, 1.0], [2.5, 2.0, 0.0], [3.5, 3.0, 1.0]])

every_frame = pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES.keys())


# ---------------------------------------------------------------------------------------------------- arrays


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floating_arrays_are_not_copied(dtype):
    X = np.arange(6, dtype=dtype).reshape(3, 2)
    X.flags.writeable = False
    table = to_matrix(X)
    assert np.shares_memory(table.data, X)
    assert table.data.dtype == dtype
    assert table.feature_names is None and table.weights is None and table.set_aside == ()
    assert (table.n_rows, table.n_features) == (3, 2)


@pytest.mark.parametrize("dtype", ["i1", "u8", "i8", "?", "f2", ">f8", "g", "O"])
def test_other_numbers_become_float64(dtype):
    X = np.array([[0, 1], [1, 0]]).astype(dtype)
    table = to_matrix(X)
    assert table.data.dtype == np.float64 and table.data.dtype.isnative
    np.testing.assert_array_equal(table.data, [[0, 1], [1, 0]])


def test_memory_map_stays_on_disk(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((5, 2)))
    X = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.shares_memory(to_matrix(X).data, X)


def test_lists_names_and_positions():
    rows = [[1, 2, 5], [3, 4, 6]]
    assert to_matrix(rows).data.tolist() == rows
    table = to_matrix(rows, columns=[1, 0], weights=2)
    assert table.data.tolist() == [[2, 1], [4, 3]]
    assert table.weights.tolist() == [5, 6]
    named = to_matrix(rows, names=["a", "b", "c"], columns="b", weights="c")
    assert named.feature_names == ("b",) and named.data.tolist() == [[2], [4]]


def test_bundled_data_set_keeps_its_names_and_sets_its_labels_aside():
    table = to_matrix(datasets.load("iris"), columns=["Petal.Width"])
    assert table.feature_names == ("Petal.Width",)
    assert table.set_aside == (("Species", "labels, known beforehand"),)


@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(2, 6), st.integers(1, 4)),
        elements=st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_every_road_leads_to_the_same_bits(X):
    names = [f"c{j}" for j in range(X.shape[1])]
    columns = {name: X[:, j] for j, name in enumerate(names)}
    for road in (X.tolist(), np.asfortranarray(X), *(make(columns) for make in FRAMES.values())):
        assert to_matrix(road).data.tobytes("C") == X.tobytes("C")


def test_masked_array_without_a_masked_value_is_an_array():
    assert to_matrix(np.ma.masked_invalid(np.ones((3, 2)))).data.tolist() == [[1, 1]] * 3


# ---------------------------------------------------------------------------------------------------- frames


@every_frame
def test_numeric_columns_are_used_and_others_set_aside(make):
    table = to_matrix(make(COLUMNS), weights="w")
    np.testing.assert_array_equal(table.data, EXPECTED)
    assert table.data.dtype == np.float64
    assert table.feature_names == ("height", "count", "flag")
    assert [name for name, _ in table.set_aside] == ["city", "day"]
    assert table.set_aside[0][1] == "text, such as 'Bern'"
    assert table.weights.tolist() == [1, 0, 2] and table.weights.dtype == np.float64


@every_frame
def test_columns_come_in_the_order_asked_for(make):
    table = to_matrix(make(COLUMNS), columns=["count", "height"])
    assert table.feature_names == ("count", "height")
    assert table.set_aside == ()
    np.testing.assert_array_equal(table.data, EXPECTED[:, [1, 0]])


@every_frame
def test_single_precision_survives_only_alone(make):
    single = {"a": np.float32([1, 2]), "b": np.float32([3, 4])}
    assert to_matrix(make(single)).data.dtype == np.float32
    assert to_matrix(make({**single, "c": np.float64([1, 2])})).data.dtype == np.float64


def test_decimals_and_nullable_numbers_are_numbers():
    frame = pd.DataFrame({"a": pd.array([1, 2], dtype="Int64"), "b": pd.array([True, False], dtype="boolean")})
    assert to_matrix(frame).data.tolist() == [[1, 1], [2, 0]]
    table = pa.table({"d": pa.array([decimal.Decimal("1.5"), decimal.Decimal("2.5")])})
    assert to_matrix(table).data.tolist() == [[1.5], [2.5]]


@every_frame
def test_integers_beyond_the_exact_floats_are_rounded(make):
    # Such as identifiers, or nanoseconds since 1970.
    X = make({"a": [1, 2**63 - 1, 3], "b": [1, 2, 4]})
    np.testing.assert_array_equal(to_matrix(X).data, [[1.0, 1.0], [2.0**63, 2.0], [3.0, 4.0]])


def test_other_kinds_are_set_aside_with_a_reason():
    frame = pl.DataFrame(
        {
            "x": [1.0, 2.0],
            "grade": pl.Series(["a", "b"], dtype=pl.Categorical),
            "mixed": pl.Series([object(), object()], dtype=pl.Object),
            "empty": [None, None],
            "nested": [[1], [2]],
            "digits": ["1", "2"],
            "mostly": ["1", "?"],
        }
    )
    reasons = dict(to_matrix(frame).set_aside)
    assert reasons["grade"] == "categories"
    assert reasons["mixed"].startswith("objects, such as")
    assert reasons["empty"] == "no values"
    assert reasons["nested"].startswith("values of type List")
    assert reasons["digits"] == "text that reads as numbers"
    assert reasons["mostly"] == "text, such as '?'"


def test_frame_with_numbered_columns_has_no_names():
    table = to_matrix(pd.DataFrame(np.ones((3, 2))), columns=[1])
    assert table.feature_names is None and table.n_features == 1


def test_record_batch_and_other_arrow_objects_are_read():
    batch = pa.record_batch({"a": [1.0, 2.0]})
    assert to_matrix(batch).feature_names == ("a",)


# ---------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones(3), r"X has 1 dimension.*reshape"),
        (np.ones((2, 2, 2)), r"3 dimensions, of shape \(2, 2, 2\)"),
        (3.0, r"X is a float; expected a table"),
        (None, r"X is a NoneType; expected a table"),
        ({"a": [1, 2]}, r"X is a dict; expected a table"),
        ([[1, 2], [3]], r"cannot be read as an array"),
        ([["a", 1], ["b", 2]], r"X holds text; expected real numbers"),
        (np.array([[1 + 2j], [3]]), r"complex numbers"),
        (np.array([["2020-01-01"], ["2020-01-02"]], dtype="M8[D]"), r"dates"),
        (np.array([[object()], [1]]), r"Python objects"),
        (sparse.csr_matrix(np.eye(2)), r"sparse.*toarray"),
        (np.ones((0, 2)), r"X has no rows"),
        (np.ones((2, 0)), r"no numeric column"),
        (np.ones((1, 2)), r"X has 1 row; expected at least 2"),
        ([[1.0, np.nan], [np.nan, np.nan]], r"missing values .* in 2 columns: 0 \(1 row\), 1 \(2 rows\)"),
        ([[1.0, None], [2.0, 3.0]], r"missing values .* in column 1 \(1 row\)"),
        (np.ma.masked_greater([[1.0], [2.0]], 1.5), r"missing values"),
        ([[np.inf], [1.0]], r"infinite values in column 0 \(1 row\)"),
        (pd.Series([1.0, 2.0]), r"a single column.*to_frame"),
        (pl.LazyFrame({"a": [1]}), r"lazy frame.*collect"),
        (pd.DataFrame({"a": []}), r"X has no rows"),
        (pl.DataFrame({"city": ["Bern", "Oslo"]}), r"no numeric column.*'city' holds text, such as 'Bern'"),
        (pd.DataFrame(np.ones((2, 2)), columns=["a", "a"]), r"same name.*'a'"),
        (pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), r"same name.*'a'"),
    ],
)
def test_unusable_data_are_refused_with_cause(X, message):
    with pytest.raises(InputError, match=message):
        to_matrix(X)


@every_frame
def test_missing_values_name_column_and_count(make):
    with pytest.raises(InputError, match=r"in column 'b' \(2 rows\).*drop those rows, or fill"):
        to_matrix(make({"a": [1.0, 2.0, 3.0], "b": [None, 5.0, None]}))
    with pytest.raises(InputError, match=r"in column 'n' \(1 row\)"):
        to_matrix(pd.DataFrame({"n": pd.array([1, None], dtype="Int64")}))


@every_frame
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"columns": ["hight"]}, r"columns: X has no column 'hight'. Did you mean 'height'\?"),
        ({"columns": ["height", "height"]}, r"columns: 'height' is named more than once"),
        ({"columns": [9]}, r"columns: X has no column 9; expected a position from 0 to 5"),
        ({"columns": [-1]}, r"columns: X has no column -1"),
        ({"columns": [1.5]}, r"columns: 1.5 is a float"),
        ({"columns": []}, r"no numeric column"),
        ({"columns": ["city"]}, r"columns: column 'city' of X holds text, such as 'Bern'; expected numbers"),
        ({"weights": "city"}, r"weights: column 'city' of X holds text"),
        ({"weights": "weigth"}, r"weights: X has no column 'weigth'"),
        ({"weights": "w", "columns": ["w"]}, r"columns: 'w' is also named as weights"),
    ],
)
def test_columns_that_cannot_be_used_are_named(make, asked, message):
    with pytest.raises(InputError, match=message):
        to_matrix(make(COLUMNS), **asked)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, -1.0, -2.0], r"weights: column 'w' is negative in 2 rows, first in row 1"),
        ([0.0, 0.0, 0.0], r"weights: column 'w' is 0 in every row"),
        ([1.0, np.nan, 1.0], r"weights: column 'w' is missing in 1 row, first in row 1"),
        ([1.0, np.inf, 1.0], r"weights: column 'w' is infinite in 1 row"),
    ],
)
def test_unfit_weights_are_refused(weights, message):
    with pytest.raises(InputError, match=message):
        to_matrix(pd.DataFrame({"x": [1.0, 2.0, 3.0], "w": weights}), weights="w")


def test_arrays_have_no_names_to_ask_for():
    with pytest.raises(InputError, match="has no column names"):
        to_matrix(np.ones((3, 2)), columns=["a"])
    with pytest.raises(InputError, match="names: 1 names came for the 2 columns"):
        to_matrix(np.ones((3, 2)), names=["a"])


def test_one_row_is_enough_to_predict():
    assert to_matrix([[1.0, 2.0]], min_rows=1).n_rows == 1
