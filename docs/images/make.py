"""Make the pictures of the documentation: ``python docs/images/make.py``.

Data and seeds are fixed, so that the same versions give the same bytes. The picture of a report is taken where there is
a browser, $JENSEN_CHROMIUM or chromium on PATH, and Playwright and Pillow are installed; else it stays as it is.
"""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import jensen
from jensen.report.curves import criterion_curves
from jensen.report.mixture import plot_mixture
from jensen.report.vector import drawn

HERE = Path(__file__).parent
FONTS = "system-ui, 'Segoe UI', Roboto, 'Noto Sans', Arial, sans-serif"


def frame(name):
    """A bundled data set as a data frame."""
    data = jensen.datasets.load(name)
    return pd.DataFrame(np.asarray(data.data), columns=data.feature_names)


def save(name, draw, label):
    """Write what a function draws as an SVG file of its own, on white."""
    text = drawn(draw, name, label)
    head, _, rest = text.partition(">")
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    text = f'{head} xmlns="http://www.w3.org/2000/svg" font-family="{FONTS}">{ground}{rest}\n'
    (HERE / f"{name}.svg").write_text(text, encoding="utf-8")


def drawing(model, X, kind):
    """What draws a kind of picture into a sheet."""

    def draw(sheet):
        return plot_mixture(model._fitted, np.asarray(X), kind=kind, ax=sheet, record=model.fit_result_)

    return draw


def pictures():
    """The plots of docs/plots.md and docs/choosing.md."""
    faithful, iris, galaxies = frame("faithful"), frame("iris"), frame("galaxies")
    geyser = jensen.GaussianMixture(3, covariance_type="tied", random_state=0).fit(faithful)
    flowers = jensen.GaussianMixture(3, random_state=0).fit(iris)
    shown = {
        "clusters": (geyser, faithful, "clusters", "Eruptions of Old Faithful in three components, with ellipses"),
        "uncertainty": (geyser, faithful, "uncertainty", "Doubtful rows lie between two of the components"),
        "fit": (geyser, faithful, "fit", "A nearly flat histogram, and quantiles along a line"),
        "pairs": (flowers, iris, "clusters", "Iris in three components, on every pair of columns"),
        "profiles": (flowers, iris, "profiles", "Means of three components of iris against the whole"),
        "trace": (flowers, iris, "trace", "The objective of the best run, and the ends of all starts"),
        "densities": (
            jensen.GaussianMixture(4, random_state=0).fit(galaxies), galaxies, "clusters",
            "Velocities of galaxies: densities of four components over a histogram",
        ),
    }  # fmt: skip
    for name, (model, X, kind, label) in shown.items():
        save(name, drawing(model, X, kind), label)
    selection = jensen.select(iris, range(1, 7), ["EEE", "VEV", "VVV", "EEI", "VVI"], random_state=0)
    save("criterion", lambda sheet: criterion_curves(selection._found, sheet), "BIC of iris by components and shape")


def screenshot():
    """The picture of a report, where a browser can take it."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = os.environ.get("JENSEN_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    try:
        from PIL import Image
        from playwright.sync_api import sync_playwright
    except ImportError:
        browser = None
    if browser is None:
        print("report.png stays as it is: it takes chromium, playwright and pillow")
        return
    faithful = frame("faithful")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        path = Path(folder) / "report.html"
        selection = jensen.select(faithful, random_state=0)
        selection.report(path, faithful, title="Groups in faithful.csv")
        started = driver.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        page = started.new_page(viewport={"width": 900, "height": 1280})
        page.goto(path.as_uri())
        page.screenshot(path=HERE / "report.png")
        started.close()
    image = Image.open(HERE / "report.png").convert("RGB").quantize(256)
    image.save(HERE / "report.png", optimize=True)


if __name__ == "__main__":
    pictures()
    screenshot()
