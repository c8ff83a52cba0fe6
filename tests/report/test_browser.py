"""The report in a browser: nothing is asked of the network, nothing runs, and it can be read by everybody, anywhere."""

import os
import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning

import jensen

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")
playwright = pytest.importorskip("playwright.sync_api", reason="drives the browser")

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = os.environ.get("JENSEN_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no browser: $JENSEN_CHROMIUM, or chromium on PATH")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "</svg></style><script>alert(3)</script>"]
VIEWS = {"light": (1200, "light"), "dark": (1200, "dark"), "phone": (390, "light"), "dark phone": (390, "dark")}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Reports by name: of iris with a choice, of hostile names, of many columns with a warning."""
    folder = tmp_path_factory.mktemp("pages")
    found = {name: folder / f"{name}.html" for name in ("iris", "hostile", "wide")}
    iris = jensen.datasets.load("iris")
    X = pd.DataFrame(iris.data, columns=iris.feature_names)
    jensen.select(X, [2, 3], ["VEV", "EEE"], n_init=3, random_state=0).report(found["iris"], X)
    X = pd.DataFrame(iris.data[:, :3], columns=HOSTILE)
    model = jensen.GaussianMixture(3, n_init=4, random_state=0).fit(X)
    model.report(found["hostile"], X, title=HOSTILE[2])
    rng = np.random.default_rng(0)
    rows = rng.uniform(-80, 80, (12, 12))[rng.integers(0, 12, 900)] + rng.normal(0, 40, (900, 12))
    X = pd.DataFrame(rows, columns=[f"measurement number {j} of the long series" for j in range(12)])
    with pytest.warns(ConvergenceWarning):
        model = jensen.GaussianMixture(12, covariance_type="diag", n_init=1, max_iter=1, random_state=0).fit(X)
    model.report(found["wide"], X)
    return found


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield started
        started.close()


class Watched:
    """A page of a browser, and all that it said or asked for."""

    def __init__(self, browser, path, width=1200, scheme="light"):
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page, self.said, self.asked = self.context.new_page(), [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.url = Path(path).as_uri()
        self.page.goto(self.url, wait_until="load")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()


@pytest.mark.parametrize("name", ["iris", "hostile", "wide"])
def test_nothing_is_asked_for_said_or_run(browser, pages, name):
    with Watched(browser, pages[name]) as seen:
        assert [url for url in seen.asked if not url.startswith("data:")] == [seen.url]
        assert seen.said == []
        assert seen.page.evaluate("document.scripts.length") == 0
        # The policy lets the style through.
        assert seen.page.evaluate("getComputedStyle(document.querySelector('.headline')).fontWeight") == "600"
        if name == "hostile":
            assert seen.page.title() == HOSTILE[2]
            drawn = " ".join(seen.page.locator("svg text").all_text_contents())
            assert "<script>" in drawn or "<img" in drawn
            assert seen.page.locator("main img").count() == 0


def test_a_script_that_got_in_would_not_run(browser, pages, tmp_path):
    text = pages["iris"].read_text(encoding="utf-8")
    path = tmp_path / "report.html"
    path.write_text(text.replace("<main>", "<main><script>document.title = 'ran'</script>"), encoding="utf-8")
    with Watched(browser, path) as seen:
        assert seen.page.title() != "ran"
        assert any("Content Security Policy" in message for message in seen.said)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ["wide"])
def test_it_fits_the_width_and_has_the_right_ground(browser, pages, name, view):
    width, scheme = VIEWS[view]
    with Watched(browser, pages[name], width, scheme) as seen:
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        red = seen.page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
        assert (int(red) > 200) == (scheme == "light")
        inverted = seen.page.evaluate("getComputedStyle(document.querySelector('figure svg')).filter")
        assert ("invert" in inverted) == (scheme == "dark")


def test_print_is_light_and_whole(browser, pages):
    with Watched(browser, pages["wide"], 640, "dark") as seen:
        seen.page.emulate_media(media="print")
        assert seen.page.evaluate("getComputedStyle(document.querySelector('figure svg')).filter") == "none"
        # Nothing scrolls on paper: what is wider than its place would be lost.
        lost = "[...document.querySelectorAll('.canvas')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
        assert seen.page.evaluate(lost) == 0
        assert len(seen.page.pdf()) > 10_000


@pytest.mark.parametrize(
    ("name", "view"), [*(("iris", view) for view in VIEWS), ("wide", "phone"), ("hostile", "dark")]
)
def test_axe_finds_nothing(browser, pages, name, view):
    pytest.importorskip("axe_playwright_python", reason="brings axe-core")
    axe = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    with Watched(browser, pages[name], *VIEWS[view]) as seen:
        seen.page.evaluate(axe)
        found = seen.page.evaluate("axe.run()")
    assert [(fault["id"], fault["nodes"][0]["html"][:120]) for fault in found["violations"]] == []
    assert len(found["passes"]) > 10
