"""The report of a fit: what it says is what the fit says, hostile names stay text, and every kind of fit has one."""

import base64
import hashlib
import os
import re
import sys
import warnings

import html5lib
import numpy as np
import pandas as pd
import pytest

import jensen
from jensen.errors import InputError
from jensen.report import answer, page
from jensen.report.view import View

matplotlib = pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")
matplotlib.use("Agg")

IRIS, FAITHFUL, GALAXIES = (jensen.datasets.load(name) for name in ("iris", "faithful", "galaxies"))
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "</svg></style></title><script>alert(3)</script>",
    "$\\frac{1}{$ & {{ 7 * 7 }} \x00\x1b[31m\u202e\ud7ff",
]


def frame(data):
    return pd.DataFrame(np.asarray(data.data), columns=data.feature_names)


def parsed(path):
    """The tree of a page that a strict parser of HTML takes."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    return parser.parse(path.read_text(encoding="utf-8"))


def text_of(path):
    """The words of a page, pictures left out, with single spaces."""
    tree = parsed(path)
    for parent in list(tree.iter()):
        for child in list(parent):
            if child.tag in ("style", "{http://www.w3.org/2000/svg}svg", "svg"):
                tail = child.tail
                child.clear()
                child.tail = tail
    return " ".join(" ".join(tree.itertext()).split())


def cells_of(path):
    """The cells of the first table, their parts with spaces between."""
    table = next(parsed(path).iter("tbody"))
    return " ".join(" ".join(cell.itertext()) for cell in table.iter("td"))


def written(tmp_path, model, X=None, **options):
    path = tmp_path / "report.html"
    model.report(path, X, **options)
    return path


@pytest.fixture(scope="module")
def iris():
    return jensen.GaussianMixture(3, random_state=0).fit(frame(IRIS))


@pytest.fixture(scope="module")
def faithful():
    return jensen.GaussianMixture(2, random_state=0).fit(frame(FAITHFUL))


def test_it_says_what_the_fit_says(tmp_path, iris):
    path = written(tmp_path, iris, frame(IRIS), title="Three kinds of iris")
    told = text_of(path)
    assert "Three kinds of iris" in told and "Three groups: " in told and "the 150 rows" in told
    low, high = iris.confint(frame(IRIS)).lower["means"], iris.confint(frame(IRIS)).upper["means"]
    for share in iris.weights_:
        assert f"{100 * share:.1f} %" in told
    spreads = np.sqrt(np.diagonal(iris.covariances_, axis1=1, axis2=2))
    number = r"(-?[\d.]+)"
    cells = [tuple(map(float, c)) for c in re.findall(rf"{number} ?{number} to {number} ?± ?{number}", cells_of(path))]
    expected = np.stack([iris.means_, low, high, spreads], axis=-1).reshape(-1, 4)
    np.testing.assert_allclose(cells, expected, atol=0.006)
    assert str(iris.fit_result_.account)[:20] in told
    assert f"All {iris.fit_result_.n_free} free parameters are identified" in told
    assert f"jensen {jensen.__version__}" in told and "random_state=0" in told


def test_the_page_of_iris_is_small(tmp_path, iris):
    assert written(tmp_path, iris, frame(IRIS)).stat().st_size < 400_000


def test_the_same_fit_gives_the_same_bytes(tmp_path, faithful):
    first = written(tmp_path, faithful, frame(FAITHFUL)).read_bytes()
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.hashsalt": "other"}):
        assert written(tmp_path, faithful, frame(FAITHFUL)).read_bytes() == first


def test_every_picture_has_words_and_ids_are_unique(tmp_path, iris):
    tree = parsed(written(tmp_path, iris, frame(IRIS)))
    figures = list(tree.iter("figure"))
    assert len(figures) >= 6
    for figure in figures:
        (image,) = [e for e in figure.iter() if e.get("role") == "img"]
        assert len(image.get("aria-label")) > 40
        assert "".join(figure.find("figcaption").itertext()).strip()
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(set(ids)) == len(ids)
    targets = [element.get("href") for element in tree.iter() if str(element.get("href", "")).startswith("#")]
    assert targets and {target[1:] for target in targets} <= set(ids)


def test_nothing_comes_from_elsewhere_and_nothing_runs(tmp_path, iris):
    path = written(tmp_path, iris, frame(IRIS))
    text, tree = path.read_text(encoding="utf-8"), parsed(path)
    tags = {element.tag.rpartition("}")[2] for element in tree.iter() if isinstance(element.tag, str)}
    assert not tags & {"script", "iframe", "object", "embed", "form", "base"}
    for element in tree.iter():
        for key, value in element.attrib.items():
            key = key if isinstance(key, str) else key[-1]
            assert not key.startswith("on") and key != "style"
            if key.endswith(("href", "src")):
                assert value.startswith(("#", "data:")), value
    (style,) = re.findall(r"<style>(.*?)</style>", text, flags=re.S)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = [m.get("content") for m in tree.iter("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none';") and f"style-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy and "url(http" not in style and "@import" not in style


@pytest.mark.parametrize("d", [1, 2, 4])
def test_hostile_names_stay_text(tmp_path, d):
    X = pd.DataFrame(IRIS.data[:, :d], columns=HOSTILE[:d][::-1])
    model = jensen.GaussianMixture(2, n_init=2, random_state=0).fit(X)
    path = written(tmp_path, model, X, title=HOSTILE[2])
    tree, text = parsed(path), path.read_text(encoding="utf-8")
    assert "<script" not in text and "<img" not in text and "\x1b" not in text and "\u202e" not in text
    assert tree.find(".//title").text == HOSTILE[2]
    headers = ["".join(th.itertext()) for th in tree.iter("th") if th.get("scope") == "col"]
    assert any(header.startswith(("<script>", '"><img', "</svg>", "$\\frac")) for header in headers)
    if d == 4:
        # Shown as it is in the question; control characters are spelled out, and templates are no templates.
        assert "{{ 7 * 7 }} \\x00\\x1b[31m\\u202e" in text_of(path)
        assert "49" not in tree.find(".//p[@class='question']").text


def test_a_title_says_what_is_not_for_display(tmp_path, faithful):
    path = written(tmp_path, faithful, title="a\x00b\u202ec\u00a0d")
    assert parsed(path).find(".//title").text == "a\\x00b\\u202ec\u00a0d"


def test_what_cannot_be_drawn_or_is_long_is_a_name_too(tmp_path):
    X = pd.DataFrame(FAITHFUL.data, columns=["喷发时间" * 30, "😀" * 200])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = jensen.GaussianMixture(2, random_state=0).fit(X)
        path = written(tmp_path, model, X)
    assert "喷发时间" in text_of(path)


def degenerate():
    rows = np.repeat(np.arange(3.0)[:, None], 4, axis=0) + [[0.0, 0.0]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jensen.GaussianMixture(3, random_state=0).fit(rows), rows


def blobs(k, d, n, seed=0):
    rng = np.random.default_rng(seed)
    means = rng.uniform(-20.0, 20.0, (k, d))
    return means[rng.integers(0, k, n)] + rng.standard_normal((n, d))


def test_one_component(tmp_path):
    X = frame(FAITHFUL)
    told = text_of(written(tmp_path, jensen.GaussianMixture(1).fit(X), X))
    assert "One group: a single bell-shaped cloud describes the rows." in told
    assert "In doubt" not in told and "Missing information" in told


def test_one_column(tmp_path):
    model = jensen.GaussianMixture(3, random_state=0).fit(frame(GALAXIES))
    told = text_of(written(tmp_path, model, frame(GALAXIES)))
    assert "Looked at: 1 column: velocity." in told and "Bars are the rows" in told


def test_many_components_and_columns(tmp_path):
    X = blobs(40, 8, 3_000)
    model = jensen.GaussianMixture(40, covariance_type="diag", n_init=1, random_state=0).fit(X)
    path = written(tmp_path, model, X)
    assert "40 groups: the largest, component " in text_of(path)
    tables = list(parsed(path).iter("tbody"))
    assert len(tables[0]) == 40
    assert path.stat().st_size < 1_500_000


def test_a_degenerate_fit_is_told_first(tmp_path):
    model, X = degenerate()
    told = text_of(written(tmp_path, model, X))
    assert "Before you use it: " in told and "The fit is degenerate" in told
    assert told.index("Before you use it") < told.index("The pictures")


def test_noise_and_trimming(tmp_path):
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal([-3, 0], 0.5, (150, 2)), rng.normal([3, 4], 0.8, (150, 2)), rng.uniform(-9, 9, (75, 2))])
    noisy = jensen.GaussianMixture(2, noise=True, random_state=0).fit(X)
    told = text_of(written(tmp_path, noisy, X))
    assert "Two groups and noise: " in told and f"{100 * noisy.noise_weight_:.1f} % are noise" in told
    trimmed = jensen.GaussianMixture(2, trim=0.2, random_state=0).fit(X)
    told = text_of(written(tmp_path, trimmed, X))
    assert f"{trimmed.outliers_.sum()} rows were left out as outliers" in told and "trim leaves some out" in told


def test_weights_count_as_rows(tmp_path):
    X, weight = frame(FAITHFUL), np.arange(272) % 3
    model = jensen.GaussianMixture(2, random_state=0).fit(X, sample_weight=weight)
    told = text_of(written(tmp_path, model, X, sample_weight=weight))
    assert "of the weight of the rows" in told
    again = np.repeat(np.asarray(X), weight, axis=0)
    one = answer.assignment(View.of(model._fitted, np.asarray(X), weight.astype(float)))
    two = answer.assignment(View.of(model._fitted, again, None))
    assert one.certainty == pytest.approx(two.certainty) and one.doubtful == pytest.approx(two.doubtful)
    np.testing.assert_allclose(one.shared, two.shared)


def test_doubts_are_those_of_the_responsibilities(iris):
    shares = iris.predict_proba(frame(IRIS))
    found = answer.assignment(View.of(iris._fitted, IRIS.data, None))
    assert found.certainty == pytest.approx(shares.max(axis=1).mean())
    assert found.doubtful == (shares.max(axis=1) < 0.8).sum()
    expected = (shares[:, 0] * shares[:, 2]).sum() / shares[:, 0].sum()
    assert found.shared[0, 2] == pytest.approx(expected)


def test_a_choice_is_told(tmp_path):
    X = frame(FAITHFUL)
    selection = jensen.select(X, [1, 2, 3], ["EEE", "VVV"], n_init=1, random_state=3)
    path = tmp_path / "report.html"
    selection.report(path, X)
    told = text_of(path)
    assert selection.best_name in told and "of 6 mixtures of 1 to 3 components" in told
    for name in selection.top(3)["name"]:
        assert name in told
    assert "jensen.select(X, n_components=[1, 2, 3], covariance_type=['EEE', 'VVV'], n_init=1, random_state=3)" in told
    selection[2, "VVV"].report(path, X, selection=selection)
    assert "this page is about VVV,2, one of 6 mixtures of 1 to 3 components and " in text_of(path)
    with pytest.raises(InputError, match="selection must be what jensen.select returned"):
        selection.best.report(path, X, selection=7)


def test_the_lines_make_the_fit_again(tmp_path):
    X = frame(FAITHFUL)
    model = jensen.GaussianMixture(2, covariance_type="VEV", reg_covar=1e-4).fit(X)
    tree = parsed(written(tmp_path, model, X))
    lines = "".join(tree.find(".//pre").itertext())
    assert f"random_state={model.fit_result_.seed}" in lines
    made = {"X": X}
    exec(lines.replace('"report.html"', repr(str(tmp_path / "again.html"))), made)
    np.testing.assert_array_equal(made["model"].means_, model.means_)
    assert (tmp_path / "again.html").exists()


def test_loaded_and_given_models(tmp_path, faithful):
    X = frame(FAITHFUL)
    jensen.save(faithful, tmp_path / "m.safetensors")
    loaded = jensen.load(tmp_path / "m.safetensors")
    told = text_of(written(tmp_path, loaded, X))
    assert "Two groups" in told and "converged after" in told and str(faithful.fit_result_.account)[:20] in told
    told = text_of(written(tmp_path, loaded))
    assert "without the rows" in told and "Two groups" in told and "the 272 rows" in told
    given = jensen.GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [3.0]], [[[1.0]]] * 2, covariance_type="full")
    assert "Do the rows fall into groups" in text_of(written(tmp_path, given))


def test_a_file_may_say_of_itself_what_it_likes(tmp_path, faithful):
    jensen.save(faithful, tmp_path / "m.safetensors")
    loaded = jensen.load(tmp_path / "m.safetensors")
    loaded._info |= {
        "warnings": ["<b>", 7, None], "message": "<script>", "seed": "x", "n_rows": 1e400, "loglik": "z",
        "starts": {"n": "a", "account": ["<i>"]}, "constant_columns": [99, -1, "q"], "faults": 3, "seconds": -1,
    }  # fmt: skip
    assert "<script" not in written(tmp_path, loaded, frame(FAITHFUL)).read_text(encoding="utf-8")


def test_other_rows_are_refused(tmp_path, faithful):
    X = frame(FAITHFUL)
    with pytest.raises(InputError, match="X has 271 rows, and the fit saw 272 rows"):
        written(tmp_path, faithful, X[1:])
    with pytest.raises(InputError, match="another one than that of the fit"):
        written(tmp_path, faithful, X + 1.0)
    with pytest.raises(InputError, match="another one than that of the fit"):
        written(tmp_path, faithful, X, sample_weight=np.arange(1, 273))
    with pytest.raises(ValueError, match="feature"):
        written(tmp_path, faithful, X[["waiting"]])
    assert not (tmp_path / "report.html").exists()
    written(tmp_path, faithful, X.sample(frac=1.0, random_state=0))


def test_dear_intervals_are_left_out_with_a_word(tmp_path, faithful, monkeypatch):
    X = frame(FAITHFUL)
    monkeypatch.setattr(page, "_PATIENCE", 0.0)
    told = text_of(written(tmp_path, faithful, X))
    assert "Intervals were left out, since 272 rows and 11 parameters would take" in told
    assert not re.search(r"\d to \d", told[told.index("Shares and means") :][:200])
    assert "95 % interval" in text_of(written(tmp_path, faithful, X, intervals=True))
    assert "Intervals were not asked for" in text_of(written(tmp_path, faithful, X, intervals=False))


def test_many_rows_are_counted_in_bins(tmp_path, monkeypatch):
    X = blobs(3, 2, 60_000)
    model = jensen.GaussianMixture(3, n_init=1, random_state=0).fit(X)
    path = written(tmp_path, model, X, intervals=False)
    assert "60,000 rows are counted in bins" in text_of(path)
    assert path.stat().st_size < 600_000


@pytest.mark.parametrize(
    ("path", "options", "words"),
    [
        ("report.pdf", {}, "ends in .html"),
        ("nowhere/report.html", {}, "no folder"),
        ("report.html", {"level": 1.0}, "level must lie between 0 and 1"),
        ("report.html", {"intervals": "often"}, "intervals must be"),
        ("report.html", {"title": 7}, "title must be a text"),
    ],
)
def test_misuse_is_told(tmp_path, faithful, path, options, words):
    with pytest.raises(InputError, match=words):
        faithful.report(tmp_path / path, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_what_is_missing_is_named_with_the_remedy(tmp_path, faithful, monkeypatch, package):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=re.escape("pip install 'jensen[report]'")):
        faithful.report(tmp_path / "report.html")


def test_a_page_that_is_there_stays_until_the_new_one_is_complete(tmp_path, faithful, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def breaks(*_, **__):
        raise RuntimeError("in the middle")

    monkeypatch.setattr(page, "page", breaks)
    with pytest.raises(RuntimeError):
        faithful.report(path)
    assert path.read_text() == "old" and [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_a_page_that_is_there_stays_if_writing_fails(tmp_path, faithful, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="No space left on device"):
        faithful.report(path)
    assert path.read_text() == "old" and [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_no_window_and_no_figure_is_left(tmp_path, faithful):
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    faithful.report(tmp_path / "report.html", frame(FAITHFUL))
    assert pyplot.get_fignums() == before
