"""A matplotlib figure as SVG that stands inside a page: small, without styles of its own, its texts still texts.

Matplotlib writes style attributes, which a strict content-security policy forbids, and ids that two pictures share.
Here they become presentation attributes, and ids of the picture's own. What a column is called stays the text of a
``<text>``: it is escaped where the tree is written, and nowhere put together by hand.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.report.drawing import Sheet

# More marks than this in a figure become one image: each takes some fifty bytes.
_MOST_MARKS = 2_000
_DPI = 120
# A style is kept as attributes of these names; what else matplotlib writes says nothing here.
_KEPT = {
    "fill", "fill-opacity", "fill-rule", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray",
    "stroke-dashoffset", "stroke-linejoin", "stroke-linecap", "stroke-miterlimit", "opacity", "text-anchor",
    "font-size", "font-weight", "font-style", "image-rendering",
}  # fmt: skip
_NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]?\d+)?")
_TARGET = re.compile(r"^#(.+)$|url\(#(.+?)\)")
# A run of straight lines: where it begins, and eight points or more.
_RUN = re.compile(r"M [-\d.]+ [-\d.]+\s*(?:L [-\d.]+ [-\d.]+\s*){8,}")
# Points this close to a line, in points of print, are on it.
_UNSEEN = 0.04
_NUMBER_AT = re.compile(r"-?\d+(?:\.\d+)?")
_MARKS = ("use", "path")
# Numbers of marks of one form differ by less than this, in points.
_ROUNDING = 0.03
# A mark is compared with so many forms that came last.
_FORMS = 32
# Marks a group of neighbours while it is made.
_LOOK = "look"
_HREF = "{http://www.w3.org/1999/xlink}href"
_SETTINGS = {
    "svg.fonttype": "none",
    "savefig.transparent": True,
    "figure.dpi": 100,
    "text.usetex": False,
    "axes.formatter.use_locale": False,
}


def drawn(draw: Any, name: str, label: str) -> str:
    """An inline SVG of what a function draws.

    Parameters
    ----------
    draw : callable (Sheet) -> object
        Draws into a figure of a size of its choice.
    name : str
        What ids begin with; another one for every picture of a page.
    label : str
        What the picture shows, for those who do not see it.

    Returns
    -------
    str
        An ``<svg>`` element, safe to stand in a page as it is.
    """
    from matplotlib import style

    sheet, stream = Sheet(), io.BytesIO()
    # What a user has set for pictures of their own is not for this page.
    with warnings.catch_warnings(), style.context(["default", _SETTINGS]):
        # Texts are drawn by the reader's fonts, which have more glyphs than the one that measures them.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        warnings.filterwarnings("ignore", message=r".*constrained_layout not applied", category=UserWarning)
        draw(sheet)
        _rasterise(sheet.figure)
        sheet.figure.savefig(stream, format="svg", dpi=_DPI, metadata={"Date": None})
    return _inline(ElementTree.fromstring(stream.getvalue()), name, label)


def _rasterise(figure: Any) -> None:
    """Make images of marks where there are many of them."""
    from matplotlib.collections import PathCollection

    marks = figure.findobj(PathCollection)
    if sum(len(collection.get_offsets()) for collection in marks) > _MOST_MARKS:
        for collection in marks:
            collection.set_rasterized(True)


def _inline(root: Any, name: str, label: str) -> str:
    """The text of an SVG tree, cleaned."""
    width, height = (float(number) for number in root.get("viewBox").split()[2:])
    names = {target: f"{name}-{number}" for number, target in enumerate(dict.fromkeys(_targets(root)))}
    clean = ElementTree.Element(
        "svg",
        {
            "viewBox": f"0 0 {width:g} {height:g}",
            "width": f"{width * 4 / 3:.0f}",
            "height": f"{height * 4 / 3:.0f}",
            "role": "img",
            "aria-label": label,
            "stroke-linejoin": "round",
        },
    )
    clean.extend(_gathered([part for child in root for part in _cleaned(child, names)]))
    _stamped(clean, name)
    return ElementTree.tostring(clean, encoding="unicode")


def _targets(root: Any) -> Iterator[str]:
    """Ids that something refers to."""
    for element in root.iter():
        for value in element.attrib.values():
            yield from (first or second for first, second in _TARGET.findall(value))


def _cleaned(element: Any, names: dict[str, str]) -> list[Any]:
    """What stands for an element: itself without what is not needed, what it holds, or nothing."""
    tag = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
    if tag in ("", "metadata", "style"):
        return []
    attributes = _attributes(element, names)
    children = _gathered([part for child in element for part in _cleaned(child, names)])
    if tag == "g" and not attributes:
        return children
    if tag in ("g", "defs") and not children:
        return []
    is_seen = attributes.get("fill") != "none" or "stroke" in attributes
    if tag == "path" and not ((is_seen and attributes.get("d")) or "id" in attributes):
        return []
    made = ElementTree.Element(tag, attributes)
    made.text = element.text if tag in ("text", "tspan") else None
    made.extend(children)
    return [made]


def _attributes(element: Any, names: dict[str, str]) -> dict[str, str]:
    """The attributes of an element, its style among them, numbers to a hundredth of a point."""
    found: dict[str, str] = {}
    for key, value in element.attrib.items():
        if key == "style":
            found |= _presentation(value)
        elif key == "id":
            found |= {"id": names[value]} if value in names else {}
        elif key == "transform":
            found |= {} if re.match(r"rotate\(-?0[ )]", value) else {"transform": _rounded(value, 4)}
        elif key == _HREF:
            found["href"] = f"#{names[value[1:]]}" if value.startswith("#") else value
        elif key == "clip-path":
            found[key] = f"url(#{names[value[5:-1]]})"
        elif key == "d":
            found[key] = _simpler(value)
        elif key in ("x", "y", "width", "height"):
            found[key] = _rounded(value, 2)
    return found


def _presentation(style: str) -> dict[str, str]:
    """A style as presentation attributes; the family of a font is the page's."""
    found: dict[str, str] = {}
    for declaration in style.split(";"):
        key, _, value = (part.strip() for part in declaration.partition(":"))
        if key == "font":
            size = re.search(r"[\d.]+px", value)
            found |= {"font-size": size.group()} if size else {}
            found |= {"font-weight": "bold"} if re.search(r"\b(bold|700)\b", value) else {}
        elif key in _KEPT:
            found[key] = _rounded(value, 2)
    return found


def _gathered(elements: list[Any]) -> list[Any]:
    """Neighbours with what they have in common said once: groups of the same attributes, and marks of the same look."""
    found: list[Any] = []
    for element in elements:
        attributes = {_LOOK: _look(element)} if element.tag in _MARKS else element.attrib
        before = found[-1] if found and found[-1].tag == "g" else None
        if before is not None and element.tag in ("g", *_MARKS) and before.attrib == attributes:
            before.extend([element] if element.tag in _MARKS else element)
        elif element.tag in _MARKS:
            run = ElementTree.Element("g", attributes)
            run.append(element)
            found.append(run)
        else:
            found.append(element)
    return [part for element in found for part in _opened(element)]


def _look(element: Any) -> str:
    """What marks that may share a group have in common: everything but their place."""
    return repr((element.tag, sorted((k, v) for k, v in element.attrib.items() if k not in ("d", "x", "y", "href"))))


def _opened(run: Any) -> list[Any]:
    """A run of marks as a group that says their look once, or as it was where there are few."""
    if _LOOK not in run.attrib:
        return [run]
    del run.attrib[_LOOK]
    if len(run) < 3 or any("id" in mark.attrib or "transform" in mark.attrib for mark in run):
        return list(run)
    for key, value in run[0].attrib.items():
        if key not in ("d", "x", "y", "href"):
            run.set(key, value)
    for mark in run:
        for key in run.attrib:
            del mark.attrib[key]
    return [run]


def _stamped(root: Any, name: str) -> None:
    """Draw paths of one form as uses of it: circles of rows, say."""
    forms: list[tuple[str, Array, list[Any]]] = []
    for path in root.iter("path"):
        if set(path.attrib) == {"d"}:
            letters, offsets = _form(path.get("d"))
            # Marks of one form differ by rounding; those of weighted rows may all have forms of their own.
            late = [f for f in forms[-_FORMS:] if f[0] == letters]
            alike = (f for f in late if np.abs(f[1] - offsets).max(initial=0.0) < _ROUNDING)
            form = next(alike, None)
            if form is None:
                forms.append(form := (letters, offsets, []))
            form[2].append(path)
    defined = ElementTree.Element("defs")
    for letters, offsets, paths in forms:
        if len(paths) < 3:
            continue
        number = f"{name}-f{len(defined)}"
        numbers = iter(offsets)
        d = re.sub("#", lambda _, rest=numbers: _short(next(rest)), letters)  # type: ignore[misc]
        ElementTree.SubElement(defined, "path", {"id": number, "d": d})
        for path in paths:
            x, y = _NUMBER_AT.findall(path.get("d"))[:2]
            path.tag, path.attrib = "use", {"href": f"#{number}", "x": x, "y": y}
    if len(defined):
        root.insert(0, defined)


def _form(path: str) -> tuple[str, Array]:
    """A path as seen from its first point: its letters, with a # for each number, and these."""
    numbers = np.array(_NUMBER_AT.findall(path), dtype=np.float64).reshape(-1, 2)
    return _NUMBER_AT.sub("#", path), np.ravel(numbers - numbers[0])


def _simpler(path: str) -> str:
    """A path whose straight runs have no more points than the eye can tell."""
    pieces = _RUN.split(path)
    runs = _RUN.findall(path)
    found = [_rounded(pieces[0], 2)]
    for run, after in zip(runs, pieces[1:], strict=True):
        points = np.array(run.replace("M", " ").replace("L", " ").split(), dtype=np.float64).reshape(-1, 2)
        kept = points[_telling(points)]
        found += ["M", *(f"{_short(x)} {_short(y)}L" for x, y in kept)]
        found[-1] = found[-1][:-1]
        found.append(_rounded(after, 2))
    return " ".join("".join(found).split())


def _telling(points: Array) -> AnyArray:
    """Which points of a line (n, 2) it needs: those from which the others are nowhere far (Douglas & Peucker 1973)."""
    kept = np.zeros(len(points), dtype=bool)
    kept[[0, -1]] = True
    parts = [(0, len(points) - 1)]
    while parts:
        first, last = parts.pop()
        if last - first < 2:
            continue
        inner, along = points[first + 1 : last] - points[first], points[last] - points[first]
        length = float(np.hypot(*along))
        away = np.abs(inner[:, 0] * along[1] - inner[:, 1] * along[0]) / length if length else np.hypot(*inner.T)
        if away.max() > _UNSEEN:
            furthest = first + 1 + int(away.argmax())
            kept[furthest] = True
            parts += [(first, furthest), (furthest, last)]
    return kept


def _short(value: float, decimals: int = 2) -> str:
    """A number with so many decimals at most, without zeros at its end."""
    text = f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _rounded(text: str, decimals: int) -> str:
    """The text with its numbers rounded."""
    return _NUMBER.sub(lambda found: _short(float(found.group()), decimals), text)
