"""Strict JSON: what anybody may have written is parsed, or refused with a reason."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jensen.store.strict_json import MAX_DEPTH, Malformed, parse

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
documents = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(documents)
def test_what_was_written_is_read(document):
    try:
        assert parse(json.dumps(document), "it") == document
    except Malformed as fault:
        assert "nests" in str(fault)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 2}', "'a' twice"),
        ('[{"b": {"a": 1, "a": 1}}]', "'a' twice"),
        ("[NaN]", "NaN"),
        ("[-Infinity]", "-Infinity"),
        ("1e999", "beyond every float"),
        ("[" * 100_000, "nests too deeply"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "deeper than"),
        ("9" * 5000, "no valid JSON"),
        ("", "no valid JSON"),
        ("{} {}", "no valid JSON"),
        (b"\xff\xfe", "no valid JSON"),
    ],
)
def test_what_is_refused(text, reason):
    with pytest.raises(Malformed, match=reason):
        parse(text, "it")


def test_deepest_allowed_nesting():
    assert parse("[" * MAX_DEPTH + "]" * MAX_DEPTH, "it") is not None
