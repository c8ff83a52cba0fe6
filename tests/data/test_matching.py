"""New data meet a model: by name where there are names, by position where there are none."""

import numpy as np
import pytest

from jensen.data.matching import read_matching
from jensen.errors import InputError

NAMES = ("eruptions", "waiting")


def csv(path, text):
    path.write_text(text)
    return path


def test_order_of_the_columns_does_not_matter(tmp_path):
    path = csv(tmp_path / "d.csv", "waiting,note,eruptions\n79,a,3.6\n")
    assert read_matching(path, NAMES, 2).data.tolist() == [[3.6, 79.0]]


def test_other_columns_are_not_looked_at(tmp_path):
    path = csv(tmp_path / "d.csv", "waiting,age,eruptions\n79,,3.6\n62,1,3.0\n")
    assert read_matching(path, NAMES, 2).data.shape == (2, 2)


def test_missing_column_is_named_with_a_hint(tmp_path):
    path = csv(tmp_path / "d.csv", "wating,eruptions\n79,3.6\n")
    with pytest.raises(InputError, match=r"no column 'waiting'.*Did you mean 'wating'"):
        read_matching(path, NAMES, 2)


def test_other_names_are_not_taken_for_the_models(tmp_path):
    path = csv(tmp_path / "d.csv", "a,b\n79,3.6\n")
    with pytest.raises(InputError, match="no columns 'eruptions', 'waiting'"):
        read_matching(path, NAMES, 2)


def test_files_without_names_go_by_position(tmp_path):
    headless = csv(tmp_path / "d.csv", "3.6,79\n1.8,54\n")
    np.save(tmp_path / "d.npy", np.array([[3.6, 79.0], [1.8, 54.0]]))
    for path in (headless, tmp_path / "d.npy"):
        assert read_matching(path, NAMES, 2).data.tolist() == [[3.6, 79.0], [1.8, 54.0]]


@pytest.mark.parametrize("names", [None, ("x1", "x2")])
def test_models_without_names_go_by_position(tmp_path, names):
    path = csv(tmp_path / "d.csv", "note,a,b\nu,3.6,79\n")
    assert read_matching(path, names, 2).data.tolist() == [[3.6, 79.0]]


def test_names_that_look_like_stand_ins_are_still_names(tmp_path):
    assert read_matching(csv(tmp_path / "d.csv", "x2,x1\n79,3.6\n"), ("x1", "x2"), 2).data.tolist() == [[3.6, 79.0]]
    with pytest.raises(InputError, match="no column 'x2'"):
        read_matching(csv(tmp_path / "e.csv", "x1,b\n79,3.6\n"), ("x1", "x2"), 2)


@pytest.mark.parametrize("names", [None, NAMES])
def test_number_of_columns_must_fit(tmp_path, names):
    np.save(tmp_path / "d.npy", np.zeros((4, 3)))
    with pytest.raises(InputError, match="3 numeric columns, the model 2"):
        read_matching(tmp_path / "d.npy", names, 2)


def test_unusable_values_in_the_models_columns_are_refused(tmp_path):
    with pytest.raises(InputError, match="missing values"):
        read_matching(csv(tmp_path / "d.csv", "eruptions,waiting\n3.6,\n1,2\n"), NAMES, 2)


def test_bundled_data_have_names():
    assert read_matching("faithful", NAMES[::-1], 2).data.shape == (272, 2)
