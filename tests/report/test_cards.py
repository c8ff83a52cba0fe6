"""What results print: in 80 columns as text, and as HTML in which no name is more than text."""

import copy
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import jensen
from jensen.report.cards import Card
from jensen.report.tables import Table
from jensen.report.words import display_width

HOSTILE = '<script>alert("1")</script>&\x1b[31m\' onload=x'
IRIS = jensen.datasets.load("iris")


class Page(HTMLParser):
    """The tags of a fragment, which must all be closed, their attributes, and the text."""

    def __init__(self, fragment):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], set(), "", []
        self.feed(fragment)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attributes}
        if tag != "polyline":
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag != "polyline":
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data + " "


@pytest.fixture(scope="module")
def results():
    frame = pd.DataFrame(IRIS.data[:, :3], columns=[HOSTILE, "a very long name of a column that goes on and on", "x"])
    mixture = jensen.GaussianMixture(2, random_state=0, n_init=2).fit(frame)
    coins = jensen.em(jensen.models.ThreeCoins(), [1, 1, 0, 1, 0], {"pi": 0.4, "p": 0.6, "q": 0.7})
    classes = np.array([HOSTILE, "b", "c"])[np.repeat([0, 1, 2], 50)]
    return {
        "mixture": mixture.fit_result_,
        "fit": coins,
        "diagnosis": mixture.diagnose(frame),
        "unsound": coins.diagnose(),
        "selection": jensen.select(frame, [1, 2], ["EEE", "VVV"], n_init=1, random_state=0),
        "tests": jensen.bootstrap_lrt(IRIS.data[:, :1], [1, 2], n_boot=19, seed=0),
        "discriminant": jensen.MixtureDiscriminantAnalysis(kind="edda").fit(frame, classes).fit_result_,
        "test": jensen.bootstrap_lrt(IRIS.data[:, :1], [1, 2], n_boot=19, seed=0).tests[0],
    }


KINDS = ["mixture", "fit", "diagnosis", "unsound", "selection", "tests", "discriminant"]


@pytest.mark.parametrize("kind", [*KINDS, "test"])
def test_text_fits_and_cannot_steer_a_terminal(results, kind):
    text = str(results[kind])
    assert max(map(display_width, text.splitlines())) <= 80 and "\x1b" not in text
    short = repr(results[kind])
    assert "\n" not in short and len(short) <= 80 + (kind == "test") * 20
    assert short.startswith(type(results[kind]).__name__ + "(")


@pytest.mark.parametrize("kind", KINDS)
def test_html_is_whole_and_escaped(results, kind):
    page = Page(results[kind]._repr_html_())
    allowed = {"div", "table", "tr", "td", "th", "p", "svg", "polyline"}
    assert set(page.tags) <= allowed
    assert not {name for name in page.attributes if name.startswith("on")}
    if kind in ("mixture", "discriminant"):
        assert '<script>alert("1")</scr' in page.text


def test_text_says_what_matters(results):
    mixture, tests = str(results["mixture"]), str(results["tests"])
    fit = results["mixture"]
    for words in ("2 components, full covariances", f"{fit.bic:,.3f}", "converged after", "± "):
        assert words in mixture
    assert "2 against 1" in tests and results["tests"].conclusion in " ".join(tests.split())
    assert "p-value" in Page(results["tests"]._repr_html_()).text
    assert "VVV,2" in str(results["selection"]) and results["selection"].words() in " ".join(
        str(results["selection"]).split()
    )
    assert "identifiability (serious)" in Page(results["unsound"]._repr_html_()).text
    assert f"{results['fit'].params['p']:.6g}" in str(results["fit"])


def test_a_degenerate_fit_says_so():
    rows = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0], [8.0, 1.0]])
    with pytest.warns(jensen.JensenWarning):
        fit = jensen.GaussianMixture(4, random_state=0, n_init=1).fit(rows).fit_result_
    assert "Warning: the fit is degenerate" in str(fit) and "degenerate" in fit._repr_html_()


def test_estimators_show_the_diagram_and_the_fit(results):
    model = jensen.GaussianMixture(2, random_state=0, n_init=1)
    before = model._repr_mimebundle_()["text/html"]
    assert "GaussianMixture" in before and 'class="jensen"' not in before
    model.fit(IRIS.data)
    for shown in (model._repr_mimebundle_()["text/html"], model._repr_html_()):
        assert "sk-container" in shown and shown.count('class="jensen"') == 1
        assert "2 components, full covariances" in shown
    assert repr(model) == str(model) == "GaussianMixture(n_components=2, n_init=1, random_state=0)"
    classes = jensen.MixtureDiscriminantAnalysis(kind="edda").fit(IRIS.data, IRIS.target)
    assert "versicolor" in classes._repr_mimebundle_()["text/html"]
    assert "versicolor" not in copy.deepcopy(classes).set_params(kind="mixture")._repr_html_()[:500]


def test_a_pipeline_keeps_scikit_learns_diagram():
    pipeline = make_pipeline(StandardScaler(), jensen.GaussianMixture(2, n_init=1, random_state=0)).fit(IRIS.data)
    shown = pipeline._repr_html_()
    assert "StandardScaler" in shown and "GaussianMixture" in shown and 'class="jensen"' not in shown


def test_a_model_from_parameters_has_a_summary():
    model = jensen.GaussianMixture.from_parameters([1.0], [[0.0]], [1.0], covariance_type="spherical")
    assert "1 component" in model._repr_html_()


def test_many_columns_are_some_columns():
    d = 100
    table = Table(("k", "0"), tuple(f"x{j}" for j in range(d)), (("1",),) * d, caption="numbers")
    text, page = Card("t", (), [table]).text(60), Card("t", (), [table]).html()
    assert max(map(len, text.splitlines())) <= 60
    assert "40 columns of 100" in page and page.count("<td") == 40


def test_a_trace_is_a_line_inside_its_picture():
    page = Card("t", trace=[-5.0, -2.0, -1.0]).html()
    points = page.split('points="')[1].split('"')[0].split()
    heights = [float(point.split(",")[1]) for point in points]
    assert heights == sorted(heights, reverse=True) and 0 < min(heights) and max(heights) < 28
    assert "-5.00 to -1.00 in 2 steps" in page
    assert "polyline" not in Card("t", trace=[1.0]).html()
