"""A model file gives back the very bits that went in, or a ModelFileError; never anything else."""

import json
import os
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import load_file, save

import jensen
from jensen import datasets
from jensen.data.arrays import ArraySource
from jensen.errors import InputError, ModelFileError
from jensen.families.noise import Box
from jensen.fit.fitted import FittedMixture
from jensen.fit.mixture import fit_mixture
from jensen.fit.settings import MixtureSettings
from jensen.store import SCHEMA, ModelRecord, fit_info, read_model, write_model
from jensen.store.files import MAX_HEADER

SHAPES = ("full", "tied", "diag", "spherical")
INFO = {"seed": 7, "loglik": -1.5, "faults": [], "settings": {"tol": "auto"}, "note": 'ä"\ud800\x1b[31m'}


def mixture(shape="full", k=2, d=3, seed=0, names=None):
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(k, d, d))
    full = factors @ factors.transpose(0, 2, 1) + 0.1 * np.eye(d)
    full = 0.5 * (full + full.transpose(0, 2, 1))
    covariances = {
        "full": full,
        "tied": full[0],
        "diag": np.diagonal(full, axis1=1, axis2=2),
        "spherical": full[:, 0, 0],
    }[shape]
    return FittedMixture.from_arrays(shape, rng.dirichlet(np.ones(k)), rng.normal(size=(k, d)), covariances, names)


def equal(a, b):
    same_bits = all(a.fitted.params[n].tobytes() == b.fitted.params[n].tobytes() for n in a.fitted.params.values)
    return (
        same_bits
        and a.fitted.covariance_type == b.fitted.covariance_type
        and a.fitted.feature_names == b.fitted.feature_names
        and (a.info, a.library) == (b.info, b.library)
    )


def parts(content):
    """Header and numbers of a safetensors file."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header, numbers):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.safetensors"
    write_model(path, ModelRecord(mixture(names=("a", "b", "c")), INFO))
    return path


# ------------------------------------------------------------------------------------------------ round trips


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    shape=st.sampled_from(SHAPES),
    k=st.integers(1, 5),
    d=st.integers(1, 4),
    data=st.data(),
)
def test_round_trip_is_exact(tmp_path, shape, k, d, data):
    names = data.draw(st.none() | st.lists(st.text(), min_size=d, max_size=d, unique=True).map(tuple))
    means = data.draw(arrays(np.float64, (k, d), elements=st.floats(allow_nan=False, allow_infinity=False)))
    base = mixture(shape, k, d, seed=data.draw(st.integers(0, 1000)), names=names)
    scale = data.draw(st.floats(1e-200, 1e200))
    fitted = FittedMixture.from_arrays(shape, base.params["weights"], means, base.params["covariances"] * scale, names)
    record = ModelRecord(fitted, INFO)
    path = tmp_path / "m.safetensors"
    write_model(path, record)
    assert equal(read_model(path), record)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(shape=st.sampled_from(SHAPES), d=st.integers(1, 4), seed=st.integers(0, 1000), names=st.booleans())
def test_round_trip_with_noise_and_a_threshold_is_exact(tmp_path, shape, d, seed, names):
    rng = np.random.default_rng(seed)
    base = mixture(shape, 3, d, seed).params
    box = Box(rng.normal(size=d), rng.normal(size=(d, d)), float(rng.normal() * 100))
    told = tuple("abcd"[:d]) if names else None
    fitted = FittedMixture.from_arrays(
        shape, rng.dirichlet(np.ones(4)), base["means"], base["covariances"], told, False, box, float(rng.normal())
    )
    record = ModelRecord(fitted, INFO)
    write_model(tmp_path / "m.safetensors", record)
    again = read_model(tmp_path / "m.safetensors")
    assert equal(again, record) and again.fitted.threshold == fitted.threshold
    assert again.fitted.box.log_volume == box.log_volume
    assert again.fitted.box.corner.tobytes() == box.corner.tobytes()
    assert again.fitted.box.edges.tobytes() == box.edges.tobytes()
    x = 3.0 * rng.normal(size=(50, d))
    np.testing.assert_array_equal(again.fitted.labels(x), fitted.labels(x))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"noise": {"log_volume": 1.0, "corner": [0.0] * 3}}, "must state"),
        ({"noise": None}, "must state"),
        ({"noise": {"log_volume": 1.0, "corner": [0.0] * 2, "edges": [[0.0] * 3] * 3}}, "3 of them as corner"),
        ({"noise": {"log_volume": 1.0, "corner": [0.0] * 3, "edges": [[0.0] * 3] * 2}}, "3 x 3 as edges"),
        ({"noise": {"log_volume": 10**400, "corner": [0.0] * 3, "edges": [[0.0] * 3] * 3}}, "a number as log_volume"),
        ({"noise": {"log_volume": True, "corner": [0.0] * 3, "edges": [[0.0] * 3] * 3}}, "a number as log_volume"),
        ({"threshold": "low"}, "threshold must be a number"),
        ({"threshold": None}, "threshold must be a number"),
    ],
)
def test_a_wrong_description_of_outliers_is_refused(tmp_path, change, words):
    box = Box(np.zeros(3), np.eye(3), 0.0)
    base = mixture(k=2).params
    fitted = FittedMixture.from_arrays(
        "full", [0.3, 0.3, 0.4], base["means"], base["covariances"], None, False, box, -3.0
    )
    path = tmp_path / "m.safetensors"
    write_model(path, ModelRecord(fitted))
    header, numbers = parts(path.read_bytes())
    document = json.loads(header["__metadata__"]["jensen"])
    assert document["schema"] == 2
    header["__metadata__"]["jensen"] = json.dumps({**document, **change})
    path.write_bytes(joined(header, numbers))
    with pytest.raises(ModelFileError, match=words):
        read_model(path)
    # Without its noise, the file has a weight too many.
    header["__metadata__"]["jensen"] = json.dumps({name: value for name, value in document.items() if name != "noise"})
    path.write_bytes(joined(header, numbers))
    with pytest.raises(ModelFileError, match="weights have the shape"):
        read_model(path)


def test_negative_zero_and_subnormal_means_survive(tmp_path):
    fitted = FittedMixture.from_arrays("spherical", [1.0], [[-0.0, 5e-324]], [1.0])
    write_model(tmp_path / "m", ModelRecord(fitted))
    means = read_model(tmp_path / "m").fitted.params["means"]
    assert np.signbit(means[0, 0]) and means[0, 1] == 5e-324


def test_a_fit_with_its_history(tmp_path):
    source = ArraySource(datasets.load("faithful").data)
    fit = fit_mixture(source, MixtureSettings(2, seed=3, n_init=2), feature_names=("eruptions", "waiting"))
    info = fit_info(fit, {"n_init": 2})
    write_model(tmp_path / "m.safetensors", ModelRecord(fit.fitted, info))
    record = read_model(tmp_path / "m.safetensors")
    assert record.info == info == json.loads(json.dumps(info, allow_nan=False))
    assert (record.info["seed"], record.info["status"], record.info["settings"]) == (3, "converged", {"n_init": 2})
    assert record.library == f"jensen {jensen.__version__}"
    assert np.array_equal(record.fitted.labels(source.x), fit.fitted.labels(source.x))


def test_other_software_reads_the_file(good):
    tensors = load_file(good)
    assert set(tensors) == {"weights", "means", "covariances"}
    assert np.array_equal(tensors["means"], mixture().params["means"])


def test_good_file_survives_a_failed_write(good):
    before = good.read_bytes()
    for info in ({"x": float("nan")}, {"x": object()}, {"x": [[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}):
        with pytest.raises(ModelFileError, match="was not written"):
            write_model(good, ModelRecord(mixture(), info))
    with pytest.raises(ModelFileError, match="more than"):
        write_model(good, ModelRecord(mixture(), {"x": "y" * MAX_HEADER}))
    assert good.read_bytes() == before
    assert os.listdir(good.parent) == [good.name]


def test_unwritable_path_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no folder"):
        write_model(tmp_path / "missing" / "m.safetensors", ModelRecord(mixture()))


# ------------------------------------------------------------------------------------------------ damage


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(data=st.data())
def test_mutated_bytes_load_or_raise_a_model_file_error(good, data):
    content = bytearray(good.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = good.with_name("mutated")
    path.write_bytes(content)
    try:
        fitted = read_model(path).fitted
    except ModelFileError:
        return
    assert np.isfinite(fitted.row_loglik(np.zeros((1, 3)))).all()


def test_every_truncation_is_refused(good):
    content = good.read_bytes()
    path = good.with_name("short")
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(ModelFileError, match="short"):
            read_model(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=200))
def test_random_bytes_are_refused(tmp_path, content):
    path = tmp_path / "random"
    path.write_bytes(content)
    with pytest.raises(ModelFileError):
        read_model(path)


def test_longer_file_is_refused(good):
    good.write_bytes(good.read_bytes() + b"\0")
    with pytest.raises(ModelFileError, match="bytes of numbers"):
        read_model(good)


# ------------------------------------------------------------------------------------------------ from elsewhere


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda p: None, "no such model file"),
        (lambda p: p.mkdir(), "is a folder"),
        (lambda p: os.mkfifo(p), "no regular file"),
        (lambda p: p.write_bytes(b""), "is empty"),
        (lambda p: p.write_text("eruptions,waiting\n3.6,79\n"), "another format"),
        (lambda p: p.write_bytes(save({"a": np.zeros(3)})), "from elsewhere"),
        (lambda p: p.write_bytes(save({"a": np.zeros(3)}, metadata={"format": "pt"})), "from elsewhere"),
        (lambda p: p.write_bytes(struct.pack("<Q", 1 << 60) + b"{}"), "another format"),
        (lambda p: p.write_bytes(struct.pack("<Q", 1 << 20) + b"{}"), "header of 1048576 bytes"),
        (lambda p: p.write_bytes(struct.pack("<Q", 2) + b"[]"), "no JSON object"),
    ],
)
def test_what_is_no_model_file(tmp_path, make, reason):
    path = tmp_path / "thing.safetensors"
    make(path)
    with pytest.raises(ModelFileError, match=reason) as caught:
        read_model(path)
    assert "thing.safetensors" in str(caught.value)


def test_path_with_a_null_byte_is_refused():
    with pytest.raises(ModelFileError):
        read_model("a\0b")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_file_closed_to_reading(good):
    good.chmod(0)
    with pytest.raises(ModelFileError, match="ermission"):
        read_model(good)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": SCHEMA + 1}, "Upgrade jensen"),
        ({"schema": "1"}, "version number"),
        ({"schema": True}, "version number"),
        ({"extra": 1}, r"unknown fields \['extra'\]"),
        ({"library": 3}, "library must be text"),
        ({"family": "poisson mixture"}, "poisson"),
        ({"covariance_type": "VVF"}, "covariance_type"),
        ({"covariance_type": ["full"]}, "covariance_type"),
        ({"covariance_type": "diag"}, r"covariances have the shape \[2, 3, 3\], expected \[2, 3\]"),
        ({"parameters": ["means"]}, "parameters"),
        ({"feature_names": ["a", "b"]}, "2 feature names for 3"),
        ({"feature_names": ["a", "b", 3]}, "list of text"),
        ({"feature_names": ["a", "b", "a"]}, "repeat"),
        ({"feature_names": "abc"}, "list of text"),
        ({"info": []}, "info an object"),
    ],
)
def test_description_that_does_not_fit(good, change, reason):
    header, numbers = parts(good.read_bytes())
    document = {**json.loads(header["__metadata__"]["jensen"]), **change}
    header["__metadata__"]["jensen"] = json.dumps(document)
    good.write_bytes(joined(header, numbers))
    with pytest.raises(ModelFileError, match=reason):
        read_model(good)


def test_missing_field_is_named(good):
    header, numbers = parts(good.read_bytes())
    document = json.loads(header["__metadata__"]["jensen"])
    del document["feature_names"]
    header["__metadata__"]["jensen"] = json.dumps(document)
    good.write_bytes(joined(header, numbers))
    with pytest.raises(ModelFileError, match="does not state.*feature_names"):
        read_model(good)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dtype": "F32"}, "expected F64"),
        ({"shape": [2, -3]}, "no counts"),
        ({"shape": [2, 3.0]}, "no counts"),
        ({"shape": [1 << 40, 1 << 40]}, "have the shape"),
        ({"shape": [0, 3]}, r"expected \[K, d\]"),
        ({"shape": [6]}, r"expected \[K, d\]"),
        ({"data_offsets": [0, 48, 96]}, "no counts"),
        ({"data_offsets": [0, 1 << 62]}, "does not fit"),
        ({"other": 1}, "as safetensors do"),
    ],
)
def test_tensor_that_does_not_fit(good, change, reason):
    header, numbers = parts(good.read_bytes())
    header["means"].update(change)
    good.write_bytes(joined(header, numbers))
    with pytest.raises(ModelFileError, match=reason):
        read_model(good)


def test_unknown_tensor_and_metadata_are_refused(good):
    header, numbers = parts(good.read_bytes())
    header["more"] = {"dtype": "F64", "shape": [0], "data_offsets": [len(numbers)] * 2}
    good.write_bytes(joined(header, numbers))
    with pytest.raises(ModelFileError, match="tensors are"):
        read_model(good)
    del header["more"]
    header["__metadata__"]["format"] = "pt"
    good.write_bytes(joined(header, numbers))
    with pytest.raises(ModelFileError, match="unknown metadata"):
        read_model(good)


@pytest.mark.parametrize(
    ("name", "at", "value", "reason"),
    [
        ("weights", 0, 0.9, "sum to 1"),
        ("weights", 0, -0.1, "at least 0"),
        ("weights", 0, np.nan, "at least 0"),
        ("means", 0, np.inf, "finite"),
        ("covariances", 0, -1.0, "positive definite"),
        ("covariances", 1, 50.0, "symmetric"),
        ("covariances", 0, np.nan, "finite"),
    ],
)
def test_values_outside_their_domain(good, name, at, value, reason):
    header, numbers = parts(good.read_bytes())
    begin = header[name]["data_offsets"][0] + 8 * at
    good.write_bytes(joined(header, numbers[:begin] + struct.pack("<d", value) + numbers[begin + 8 :]))
    with pytest.raises(ModelFileError, match=reason):
        read_model(good)
