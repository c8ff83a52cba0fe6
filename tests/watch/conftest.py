import os
import shutil
from contextlib import contextmanager

import pytest

import jensen
from jensen.data.table import Table
from jensen.fit.settings import MixtureSettings
from jensen.watch import Recording

HOSTILE = "</script><script>alert(1)</script><!--\u2028\"'&\x00\x1b[31m{{ 7 * 7 }}<b>é"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Nothing but the page under test may reach for anything.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def faithful():
    return jensen.watch.mixture(jensen.datasets.load("faithful"), 3, n_starts=4, random_state=1)


@pytest.fixture(scope="session")
def hostile():
    x = jensen.datasets.load("faithful").data
    table = Table(x, feature_names=(HOSTILE, "b"), set_aside=((HOSTILE, HOSTILE),))
    return Recording(table, MixtureSettings(2, seed=0, accelerate="squarem"), n_starts=1, name=HOSTILE)


@pytest.fixture(scope="session")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = os.environ.get("JENSEN_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("there is no Chromium; name one in JENSEN_CHROMIUM")
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def visit(browser):
    """Opens a page; when it is left, it must have had no trouble and asked nobody but those it may."""

    @contextmanager
    def opened(url, *, offline=False, **settings):
        troubles, asked = [], []
        context = browser.new_context(**settings)
        context.set_offline(offline)
        page = context.new_page()
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        page.wait_for_selector("html[data-ready]")
        page.troubles, page.asked = troubles, asked
        yield page
        context.close()
        assert troubles == []
        ours = url.rpartition("/")[0]
        assert all(one.startswith((ours, "data:")) for one in asked), asked

    return opened
