"""Tables on disk: every format comes back to the same bits, and no damaged file gets through."""

import gzip
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jensen.data.files import check_output, read_table, write_table
from jensen.data.frames import to_matrix
from jensen.errors import InputError

ENDINGS = [".csv", ".tsv", ".parquet", ".arrow", ".feather"]
COLUMNS = {"a": np.array([0.1, 1 / 3, 1e-300]), "b": np.array([1, -2, 3])}


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# --------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_written_reads_back_to_the_bit(tmp_path, ending):
    path = tmp_path / f"t{ending}"
    write_table(path, {**COLUMNS, "label": np.array(["x", 'y"', "z,"])})
    table = read_table(path)
    assert table.feature_names == ("a", "b")
    assert table.data.tobytes("C") == np.column_stack(list(COLUMNS.values())).tobytes("C")
    assert table.set_aside == (("label", "text, such as 'x'"),)


def test_npy_is_mapped_and_its_columns_numbered(tmp_path):
    path = tmp_path / "t.npy"
    write_table(path, {**COLUMNS, "w": np.array([1.0, 2.0, 3.0])})
    assert read_table(path).feature_names == ("x1", "x2", "x3")
    table = read_table(str(path), columns="x2", weights="x3")
    assert table.feature_names == ("x2",) and table.data[:, 0].tolist() == [1, -2, 3]
    write_table(path, {"only": COLUMNS["a"]})
    assert np.load(path).shape == (3,)
    assert read_table(path).data.shape == (3, 1)


def test_bundled_name_is_read():
    table = read_table("galaxies")
    assert table.data.shape == (82, 1) and table.feature_names == ("velocity",)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b\n1,2\n3,4\n", ("a", "b")),
        ("a,b\r\n1,2\r\n3,4\r\n", ("a", "b")),
        ("\ufeffa,b\n1,2\n3,4", ("a", "b")),
        ("\n\na, b\n 1, 2\n3,4\n", ("a", "b")),
        ('"a","b"\n1,2\n3,4\n', ("a", "b")),
        ("a;b\n1;2\n3;4\n", ("a", "b")),
        ("a\tb\n1\t2\n3\t4\n", ("a", "b")),
        ("1,2\n3,4\n", ("x1", "x2")),
        ("\ufeff1,2\n3,4\n", ("x1", "x2")),
        ('"","a","b"\n"1",1,2\n"2",3,4\n', ("a", "b")),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_csv_dialects(tmp_path, text, names, packed):
    path = tmp_path / ("t.csv.gz" if packed else "t.CSV")
    write(path, gzip.compress(text.encode()) if packed else text)
    table = read_table(path)
    assert table.feature_names == names
    assert table.data.tolist() == [[1, 2], [3, 4]]


def test_row_names_and_late_text_are_set_aside_with_a_reason(tmp_path):
    rows = "".join(f"{i},{i % 7},{i % 5}\n" for i in range(25_000)) + "25000,?,1\n"
    table = read_table(write(tmp_path / "t.csv", ",a,b\n" + rows))
    assert table.feature_names == ("b",)
    assert dict(table.set_aside) == {
        "": "numbers under no name, most likely the rows' own",
        "a": "text, such as '?'",
    }


def test_arrow_stream_is_read_too(tmp_path):
    path = tmp_path / "t.arrow"
    content = pa.table(COLUMNS)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, content.schema) as writer:
        writer.write_table(content)
    assert read_table(path).feature_names == ("a", "b")


# ---------------------------------------------------------------------------------------------- hostile files


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", r"is empty"),
        ("t.csv", b"\n\n", r"cannot be read as .csv"),
        ("t.csv", b"a,b\n", r"has no rows"),
        ("t.csv", b"a,b\n1,2\n", r"has 1 row; expected at least 2"),
        ("t.csv", b"a,b\n1,2\n3\n", r"cannot be read as .csv: .*Expected 2 columns, got 1"),
        ("t.csv", b"a,a\n1,2\n3,4\n", r"two columns named 'a'"),
        ("t.csv", b"a\xff,b\n1,2\n3,4\n", r"no text in UTF-8"),
        ("t.csv", "a,b\n1,2\n3,4\n".encode("utf-16"), r"no text in UTF-8. Save it as UTF-8"),
        ("t.csv", b"a,b\n1,\n3,4\n", r"missing values .* column 'b' \(1 row\)"),
        ("t.csv", b"a,b\n1,NA\n3,4\n", r"missing values .* column 'b' \(1 row\)"),
        ("t.csv", b"a,b\n1,1e400\n3,4\n", r"infinite values in column 'b'"),
        ("t.csv", b"name\nx\ny\n", r"no numeric column.*'name' holds text"),
        ("t.csv", b"\x00\x01\x02\x03", r"t.csv"),
        ("t.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 5000, mtime=0)[:-20], r"cannot be read as .csv.gz"),
        ("t.csv.gz", b"a,b\n1,2\n3,4\n", r"cannot be read as .csv.gz"),
        ("t.parquet", b"PAR1" + b"x" * 64 + b"PAR1", r"cannot be read as .parquet"),
        ("t.parquet", b"a,b\n1,2\n", r"cannot be read as .parquet"),
        ("t.arrow", b"ARROW1\0\0" + b"x" * 64, r"cannot be read as .arrow"),
        ("t.feather", b"a,b\n1,2\n", r"cannot be read as .feather"),
        ("t.npy", b"a,b\n1,2\n", r"cannot be read as .npy"),
        ("t.npy", b"\x93NUMPY\x01\x00", r"cannot be read as .npy"),
        ("t.xlsx", b"PK\x03\x04", r"end in '.xlsx' are unknown; expected .csv"),
        ("t", b"1,2\n", r"end in 'nothing' are unknown"),
        ("t.pkl", b"cos\nsystem\n(S'echo'\ntR.", r"end in '.pkl' are unknown"),
    ],
)
def test_damaged_files_are_refused_with_cause(tmp_path, name, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read_table(write(tmp_path / name, content))
    assert name in str(caught.value)
    # A user sees one error, not the parser's beneath it.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def npy_header(header: str) -> bytes:
    padded = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded + bytes(80)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (70368744177664, 1)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 1)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1" + "0" * 40 + ", 1)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (2, 1)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2",
        "__import__('os').abort()",
    ],
)
def test_npy_headers_that_lie_are_refused_before_memory_is_asked_for(tmp_path, header):
    with pytest.raises(InputError, match="cannot be read as .npy"):
        read_table(write(tmp_path / "t.npy", npy_header(header)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(ending=st.sampled_from([*ENDINGS, ".npy"]), data=st.data())
def test_any_damage_is_an_input_error_or_a_table(tmp_path, ending, data):
    path = tmp_path / f"t{ending}"
    write_table(path, COLUMNS)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    write(path, bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        table = read_table(path)
    except InputError:
        return
    assert np.isfinite(table.data).all()


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(InputError, match=r"no such file.*Did you mean 'faithful'\?"):
        read_table("faithfull")
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(InputError, match="is a folder"):
        read_table(tmp_path)
    with pytest.raises(InputError, match="t.csv"):
        read_table("a\0t.csv")
    with pytest.raises(InputError, match="no such file|cannot be read"):
        read_table("x" * 5000 + ".csv")


# --------------------------------------------------------------------------------------------------- writing


def test_csv_text_is_plain(tmp_path):
    write_table(tmp_path / "t.csv", {"label": np.array([0, 1]), "p,1": np.array([0.25, 1.0])})
    assert (tmp_path / "t.csv").read_text() == 'label,"p,1"\n0,0.25\n1,1\n'


@pytest.mark.parametrize(
    "columns", [{}, {"a": np.ones(2), "b": np.ones(3)}, {"a": np.ones((2, 2))}, {"a": np.array(1.0)}]
)
def test_columns_that_do_not_fit_leave_the_old_file(tmp_path, columns):
    path = write(tmp_path / "t.csv", "old")
    with pytest.raises(InputError, match="columns: expected arrays of one dimension and equal length"):
        write_table(path, columns)
    assert path.read_text() == "old"


def test_outputs_are_refused_before_the_work(tmp_path):
    with pytest.raises(InputError, match="end in '.xlsx'"):
        check_output(tmp_path / "t.xlsx")
    with pytest.raises(InputError, match="no folder"):
        check_output(tmp_path / "none" / "t.csv")
    check_output(tmp_path / "t.csv")
    assert list(tmp_path.iterdir()) == []


def test_numpy_file_cannot_hide_objects(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.array([[{}], [{}]], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read as .npy"):
        read_table(write(tmp_path / "t.npy", buffer.getvalue()))


def test_no_frame_library_is_loaded_for_files(tmp_path):
    # pyarrow loads pandas for its own conversions to and from NumPy, where it is installed.
    program = f"""
import sys
import numpy as np
from jensen.data.files import read_table, write_table
for ending in ("csv", "parquet", "arrow", "npy"):
    write_table({str(tmp_path / "t.")!r} + ending, {{"a": np.arange(3), "b": np.ones(3, np.float32)}})
    assert read_table({str(tmp_path / "t.")!r} + ending).data.tolist() == [[0, 1], [1, 1], [2, 1]]
assert not {{"pandas", "polars"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_slices_and_nulls_of_arrow_columns_are_read_from_their_buffers(tmp_path):
    column = pa.chunked_array(
        [pa.array([1.5, None, 2.5]), pa.array([9.0, 3.5, 4.5]).slice(1), pa.array([], pa.float64())]
    )
    pq.write_table(pa.table({"a": column, "b": pa.array(range(5), pa.int8())}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"'a' \(1 row\)"):
        read_table(tmp_path / "t.parquet")
    table = pa.table({"a": column, "b": pa.array(range(5), pa.int8())})
    assert to_matrix(table.slice(2)).data.tolist() == [[2.5, 2.0], [3.5, 3.0], [4.5, 4.0]]
