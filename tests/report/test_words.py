"""Names that are cut can still be told apart, and no line is wider than the terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jensen.report.words import display_width, distinct, left, right, shortened, wrapped

SENTENCES = st.text(alphabet=st.sampled_from("ab c中é\u0301ｗ-_\t"), max_size=120)


def by_hand(text):
    """Columns of a terminal, character by character."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in ("W", "F") else 1 for c in text
    )


@given(st.lists(SENTENCES, unique=True, min_size=1, max_size=12), st.integers(8, 30))
def test_distinct_names_fit_and_differ(names, width):
    shown = distinct(names, width)
    assert all(by_hand(name) <= width for name in shown)
    assert len(set(shown)) == len(names)
    assert all(
        name == full for name, full in zip(shown, names, strict=True) if by_hand(full) <= width and "\t" not in full
    )


def test_names_lose_what_all_of_them_share():
    names = [
        f"measurement of the {part} region (arbitrary units)" for part in ("frontal left", "frontal right", "stem")
    ]
    assert distinct(names, 22) == ["…frontal left…", "…frontal right…", "…stem…"]
    assert distinct([*names, "age"], 22)[-1] == "age"
    assert distinct(["waiting", "eruptions"], 22) == ["waiting", "eruptions"]


def test_names_that_differ_in_the_middle_of_a_long_word_are_numbered_or_keep_both_ends():
    assert distinct(["x" * 30 + "1", "x" * 30 + "2"], 9) == ["xxxx…xxx1", "xxxx…xxx2"]
    assert distinct(["x" * 30 + c + "x" * 30 for c in "ab"], 9) == ["xxxxxxx…1", "xxxxxxx…2"]


@given(SENTENCES, st.integers(6, 40))
def test_wrapped_keeps_the_words_within_the_width(text, width):
    lines = wrapped(text, width, "* ", "  ").split("\n")
    assert all(by_hand(line) <= width for line in lines)
    shown = text.replace("\t", "\\t")
    assert "".join(line[2:] for line in lines).replace(" ", "") == shown.replace(" ", "")


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("中文", 4), ("e\u0301", 1), ("…", 1)])
def test_width_is_that_of_the_terminal(text, width):
    assert display_width(text) == width
    assert right(text, 6) == " " * (6 - width) + text
    assert left(text, 6) == text + " " * (6 - width)


def test_wide_names_are_cut_by_what_they_take():
    assert shortened("中文名字", 5) == "中文…"
