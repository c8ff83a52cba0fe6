"""What a page is told, and that nothing in it can be taken for anything else."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import zlib
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest

import jensen
from jensen.errors import InputError
from jensen.watch.document import document, told
from jensen.watch.page import framed, in_script, page, policy

ASSETS = files("jensen.watch") / "assets"


def unpacked(text, dtype, shape):
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype).reshape(shape)


def scripts_of(html):
    """The scripts of a page as a browser finds them, with their types."""

    class Reader(HTMLParser):
        def __init__(self):
            super().__init__()
            self.found, self.inside = [], False

        def handle_starttag(self, tag, attributes):
            if tag == "script":
                self.inside = True
                self.found.append([dict(attributes).get("type"), ""])

        def handle_endtag(self, tag):
            self.inside &= tag != "script"

        def handle_data(self, text):
            if self.inside:
                self.found[-1][1] += text

    reader = Reader()
    reader.feed(html)
    return reader.found


@pytest.mark.parametrize(("name", "k"), [("faithful", 3), ("galaxies", 3), ("iris", 2)])
def test_a_page_is_told_what_was_recorded(name, k):
    data = jensen.datasets.load(name)
    recording = jensen.watch.mixture(data, k, n_starts=2, random_state=1)
    told_of, n, axes = document(recording), len(data.data), len(recording.axes.names)
    assert (told_of["nRows"], told_of["nDrawn"], told_of["nComponents"]) == (n, n, k)
    places = unpacked(told_of["rows"], "<f8", (n, axes))
    d = data.data.shape[1]
    np.testing.assert_allclose(places[:, :d], data.data, rtol=1e-12)
    for start, one in zip(told_of["starts"], recording.comparisons, strict=True):
        for run, kept in zip(start["runs"], (one.plain, one.accelerated), strict=True):
            frames = kept.frames
            assert len(run["kinds"]) == len(frames) and run["loglik"] == [frame.loglik for frame in frames]
            means = unpacked(run["means"], "<f8", (-1, k, axes))
            covariances = unpacked(run["covariances"], "<f8", (-1, k, axes, axes))
            shares = unpacked(run["responsibilities"], "<u1", (-1, n, k))
            seen = None
            for at, number, changed, frame in zip(run["at"], run["shares"], run["changed"], frames, strict=True):
                np.testing.assert_allclose(means[at][:, :d], frame.params["means"], rtol=1e-12)
                full = recording.covariances(frame.params)
                np.testing.assert_allclose(covariances[at][:, :d, :d], full, rtol=1e-12)
                if frame.shares is None:
                    assert number == -1
                else:
                    joint = recording.model.log_joint(frame.shares, recording.source.block(0)).T
                    exact = np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None])
                    labels = exact.argmax(axis=1)
                    assert changed == (0 if seen is None else np.count_nonzero(labels != seen))
                    seen = labels
                    assert abs(shares[number] / 100.0 - exact).max() <= 0.5 / 100.0 + 1e-9


def test_directions_are_of_the_best_end_and_shown_first():
    recording = jensen.watch.mixture(jensen.datasets.load("iris"), 3, n_starts=2, random_state=1)
    axes = recording.axes
    assert [axes.names[j] for j in axes.shown] == ["direction 1", "direction 2"]
    chosen = jensen.watch.mixture(
        jensen.datasets.load("iris"), 3, axes=["Petal.Width", "Sepal.Length"], n_starts=1, random_state=1
    ).axes
    assert [chosen.names[j] for j in chosen.shown] == ["Petal.Width", "Sepal.Length"]


def test_of_many_rows_a_sample_is_drawn_and_said():
    x = np.random.default_rng(0).normal(size=(5000, 2))
    x[:2500] += 4.0
    recording = jensen.watch.mixture(x, 2, n_starts=1, random_state=3)
    told_of = document(recording)
    assert told_of["nDrawn"] == 1500 and len(set(recording.drawn.tolist())) == 1500
    assert "1,500 of 5,000 rows are drawn, at random; EM runs on all of them." in told_of["notes"]
    assert recording.source.n_rows == 5000
    again = jensen.watch.mixture(x, 2, n_starts=1, random_state=3)
    np.testing.assert_array_equal(recording.drawn, again.drawn)


def test_rows_without_weight_are_not_drawn_and_others_have_a_size():
    x = jensen.datasets.load("faithful").data
    weight = np.arange(len(x)) % 4 * 1.0
    told_of = document(jensen.watch.mixture(x, 2, sample_weight=weight, n_starts=1, random_state=0))
    assert told_of["nDrawn"] == np.count_nonzero(weight)
    sizes = unpacked(told_of["sizes"], "<f4", (-1,))
    np.testing.assert_allclose(sizes**2 / sizes[0] ** 2, weight[weight > 0] / weight[1], rtol=1e-6)


def test_a_row_far_from_all_others_is_left_outside_and_said():
    x = np.append(jensen.datasets.load("galaxies").data, [[1e5]], axis=0)
    told_of = document(jensen.watch.mixture(x, 3, n_starts=1, random_state=0))
    assert told_of["axes"][0]["high"] == pytest.approx(x[:-1].max())
    assert told_of["notes"][-1].startswith("1 row lies so far from all others")
    bins = told_of["bins"]
    assert np.dot(bins["heights"], np.diff(bins["edges"])) == pytest.approx((len(x) - 1) / len(x))


def test_names_are_text_and_nothing_else(hostile):
    html = hostile.html()
    (kind, text), *scripts = scripts_of(html)
    assert kind == "application/json" and len(scripts) == 2 and "alert(1)" not in "".join(s for _, s in scripts)
    found = json.loads(text)
    assert found["name"] == hostile.name and found["axes"][0]["name"] == hostile.name
    assert html.count("<!--") == 0 and "\u2028" not in text and text.isascii()
    assert "49" not in re.search("<title>(.*?)</title>", html, re.S)[1]
    inside = re.search(r'srcdoc="([^"]*)"', framed(html))
    assert inside is not None and "<" not in inside[1]


def test_json_in_a_script_is_the_same_json(hostile):
    value = {hostile.name: [hostile.name, 1.5, None]}
    text = in_script(value)
    assert json.loads(text) == value and not set("<>&") & set(text)
    with pytest.raises(ValueError, match="Out of range"):
        in_script(np.nan)


@pytest.mark.parametrize("served", [False, True])
def test_the_policy_allows_our_own_scripts_alone(served, faithful):
    html = page(document(faithful), served=served)
    hashes = re.findall(r"'sha256-([\w+/=]+)'", policy(served))
    texts = [text for kind, text in scripts_of(html) if kind is None] + [
        re.search("<style>(.*?)</style>", html, re.S)[1]
    ]
    assert hashes == [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
    assert "unsafe" not in policy(served) and "default-src 'none'" in policy(served)
    assert f"connect-src '{'self' if served else 'none'}'" in policy(served)
    assert not re.search(r"\b(?:src|href)=\"(?!data:)", html.replace(texts[0], ""))


def test_an_export_is_written_aside_and_then_replaces(tmp_path, faithful, monkeypatch):
    path = tmp_path / "em.html"
    path.write_text("before")
    faithful.export(path)
    assert path.read_text(encoding="utf-8") == faithful.html() and os.listdir(tmp_path) == ["em.html"]
    monkeypatch.setattr(type(faithful), "html", lambda self: 1 / 0)
    path.write_text("before")
    with pytest.raises(ZeroDivisionError):
        faithful.export(path)
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["em.html"]
    with pytest.raises(InputError, match="there is no folder"):
        faithful.export(tmp_path / "no" / "em.html")


def test_a_start_is_told_alone_as_in_the_whole(faithful):
    whole = document(faithful)["starts"]
    assert [told(faithful, one) for one in faithful.comparisons[:2]] == whole[:2]


def test_the_library_is_the_one_that_is_documented():
    stated = re.search(r"sha256 +([0-9a-f]{64})", (ASSETS / "echarts" / "README.md").read_text())[1]
    content = (ASSETS / "echarts" / "echarts.common.min.js").read_bytes()
    assert hashlib.sha256(content).hexdigest() == stated
    assert b"Licensed to the Apache Software Foundation" in content[:200]
    assert "Apache License" in (ASSETS / "echarts" / "LICENSE").read_text()
    assert "Apache ECharts" in (ASSETS / "echarts" / "NOTICE").read_text()
    for trouble in (b"</script", b"<!--", b"new Function"):
        assert trouble not in content


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
def test_our_script_is_sound():
    done = subprocess.run(["node", "--check", str(ASSETS / "page.js")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
