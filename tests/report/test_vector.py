"""Figures as SVG within a page: nothing is lost but bytes."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from jensen.report.vector import _form, _simpler, _telling, drawn  # noqa: E402


def scatter(n, sizes=None, text="x"):
    x = np.random.default_rng(0).uniform(0.0, 1.0, (n, 2))

    def draw(sheet):
        ax = sheet.axes(5.0, 4.0)
        ax.scatter(*x.T, s=np.full(n, 9.0) if sizes is None else sizes, color="#0072B2", marker="o")
        ax.set_xlim(0, 1)
        ax.set_ylim(0, 1)
        ax.set_xlabel(text)

    return x, draw


def parts(svg, tag):
    return [element for element in ElementTree.fromstring(svg).iter() if element.tag == tag]


def test_every_mark_stays_at_its_place():
    x, draw = scatter(50)
    svg = drawn(draw, "a", "words")
    # Circles have curves, and ticks have none.
    circles = {f"#{path.get('id')}" for path in parts(svg, "path") if path.get("id") and "C" in path.get("d")}
    marks = [use for use in parts(svg, "use") if use.get("href") in circles]
    at = np.array([[float(use.get("x")), float(use.get("y"))] for use in marks])
    assert len(at) == 50
    # Places are an affine map of the values, y downwards.
    for column, sign in ((0, 1.0), (1, -1.0)):
        slope, start = np.polyfit(x[:, column], at[:, column], 1)
        assert np.sign(slope) == sign
        np.testing.assert_allclose(slope * x[:, column] + start, at[:, column], atol=0.02)


def test_marks_of_different_sizes_keep_them():
    _, draw = scatter(12, sizes=np.linspace(1.0, 100.0, 12))
    widths = set()
    for path in parts(drawn(draw, "a", "words"), "path"):
        numbers = [float(number) for number in re.findall(r"-?\d+\.?\d*", path.get("d", ""))]
        if len(numbers) > 40:
            widths.add(round(max(numbers[::2]) - min(numbers[::2]), 1))
    assert len(widths) == 12


def test_no_style_no_foreign_names_and_ids_of_its_own():
    _, draw = scatter(5)
    one, two = (drawn(draw, name, "words") for name in ("one", "two"))
    assert "style" not in one and "xmlns" not in one and "xlink" not in one and "DejaVu" not in one
    ids = [re.findall(r'\bid="([^"]+)"', svg) for svg in (one, two)]
    assert ids[0] and not set(ids[0]) & set(ids[1]) and len(set(ids[0])) == len(ids[0])
    for svg, name in ((one, "one"), (two, "two")):
        targets = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg)
        assert targets and all((a or b).startswith(f"{name}-") for a, b in targets)


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "\"&'", "]]><![CDATA[", "a < b"])
def test_texts_stay_texts(text):
    _, draw = scatter(3, text=text)
    svg = drawn(draw, "a", text)
    assert "<script" not in svg
    assert text in [element.text for element in parts(svg, "text")]
    assert ElementTree.fromstring(svg).get("aria-label") == text


def test_many_marks_become_an_image():
    _, draw = scatter(3_000)
    svg = drawn(draw, "a", "words")
    assert len(parts(svg, "image")) == 1 and len(svg) < 200_000


def test_a_line_keeps_what_can_be_seen():
    x = np.linspace(0.0, 400.0, 2_000)
    points = np.stack([x, 100.0 + 50.0 * np.sin(x / 20.0)], axis=1)
    kept = points[_telling(points)]
    assert len(kept) < 400
    # Within 0.04 across the line, whose slope is at most 2.5.
    assert np.abs(np.interp(x, *kept.T) - points[:, 1]).max() < 0.04 * np.hypot(1.0, 2.5)
    text = "M " + " L ".join(f"{a:.6f} {b:.6f}" for a, b in points) + " \nz"
    numbers = np.array(re.findall(r"-?[\d.]+", _simpler(text)), dtype=float).reshape(-1, 2)
    np.testing.assert_allclose(numbers, kept, atol=0.006)
    assert _simpler(text).endswith("z")


def test_equal_forms_are_told_apart_from_others():
    (one, at), (two, elsewhere) = (_form(f"M {x} 1 L {x + 2} 1 L {x + 2} 3 z") for x in (1, 101))
    assert one == two == "M # # L # # L # # z"
    np.testing.assert_array_equal(at, elsewhere)
    np.testing.assert_array_equal(at, [0, 0, 2, 0, 2, 2])
