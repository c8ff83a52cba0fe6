"""The bundled data sets are what their sources published."""

import hashlib
from importlib.resources import files

import numpy as np
import pytest

from jensen import datasets
from jensen.errors import InputError, JensenError

FIRST_ROWS = {
    "faithful": ([3.6, 79.0], (272, 2)),
    "iris": ([5.1, 3.5, 1.4, 0.2], (150, 4)),
    "galaxies": ([9.172], (82, 1)),
}


@pytest.mark.parametrize("name", datasets.names())
def test_data_are_read_only_and_described(name):
    found = datasets.load(name)
    first, shape = FIRST_ROWS[name]
    assert found.data.shape == shape
    assert found.data.dtype == np.float64
    assert found.data[0].tolist() == first
    assert len(found.feature_names) == shape[1]
    assert found.description and found.source
    with pytest.raises(ValueError, match="read-only"):
        found.data[0, 0] = 1.0


@pytest.mark.parametrize("name", datasets.names())
def test_file_has_the_checksum_that_the_readme_states(name):
    room = files("jensen.datasets")
    digest = hashlib.sha256(room.joinpath("csv", f"{name}.csv").read_bytes()).hexdigest()
    assert f"{digest}  {name}.csv" in room.joinpath("README.md").read_text(encoding="utf-8")


def test_iris_has_its_species_and_fishers_own_values():
    iris = datasets.load("iris")
    assert iris.target_name == "Species"
    assert [str(name) for name in np.unique(iris.target)] == ["setosa", "versicolor", "virginica"]
    assert not iris.target.flags.writeable
    assert iris.data[34].tolist() == [4.9, 3.1, 1.5, 0.2]
    assert iris.data[37].tolist() == [4.9, 3.6, 1.4, 0.1]


def test_galaxies_has_the_value_of_the_mass_copy():
    assert datasets.load("galaxies").data[77, 0] == 26.690


def test_numpy_takes_a_data_set():
    faithful = datasets.load("faithful")
    assert np.asarray(faithful) is faithful.data
    assert np.asarray(faithful, dtype=np.float32).dtype == np.float32
    np.testing.assert_array_equal(np.mean(faithful, axis=0), faithful.data.mean(axis=0))


def test_repr_is_short():
    assert repr(datasets.load("galaxies")) == "Dataset('galaxies': 82 rows, 1 column: velocity)"


@pytest.mark.parametrize("name", ["faithfull", "", None, 3])
def test_unknown_name_lists_the_names(name):
    with pytest.raises(InputError, match="faithful, iris, galaxies") as caught:
        datasets.load(name)
    assert isinstance(caught.value, JensenError | ValueError)
