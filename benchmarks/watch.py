"""How fast the page of ``jensen watch`` loads and plays, in a headless browser.

    python benchmarks/watch.py

It needs Playwright for Python and a Chromium, by name in $JENSEN_CHROMIUM or on the path, and prints for several data
sets: the size of the page, the seconds from the request until everything is drawn (the median of several loads in fresh
contexts), frames per second when it plays at thirty half steps a second, and the milliseconds that one frame takes to
be computed and painted when nobody waits between frames.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import jensen
from jensen.data.frames import to_matrix
from jensen.fit.settings import MixtureSettings

LOADS, SECONDS, RATE, STEPS = 7, 4.0, 30, 120
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
# Half steps one after another, each painted before the next.
FLAT_OUT = """async (steps) => {
    const chart = echarts.getInstanceByDom(document.getElementById("plane"));
    const slider = document.getElementById("slider");
    const began = performance.now();
    for (let step = 1; step <= steps; step++) {
        slider.value = step;
        slider.dispatchEvent(new Event("input"));
        chart.getZr().flush();
    }
    return (performance.now() - began) / steps;
}"""


def many_rows(n: int, k: int) -> np.ndarray[Any, Any]:
    """n rows of two columns from k clusters that overlap."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 2)) + 2.2 * rng.normal(size=(k, 2))[rng.integers(k, size=n)]


def measured(browser: Any, path: Path) -> tuple[float, float, float]:
    """Median seconds of a load, frames per second, and milliseconds of a frame."""
    loads = []
    for _ in range(LOADS):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]")
        loads.append(page.evaluate("performance.getEntriesByName('ready')[0].startTime") / 1000.0)
        if len(loads) < LOADS:
            context.close()
    steps = min(STEPS, int(page.get_attribute("#slider", "max") or 0) - 1)
    each = page.evaluate(FLAT_OUT, steps)
    page.keyboard.press("Home")
    page.select_option("#speed", str(RATE))
    page.click("#play")
    counted = "[Number(document.documentElement.dataset.drawn), performance.now()]"
    first, began = page.evaluate(counted)
    page.wait_for_timeout(1000.0 * min(SECONDS, 0.8 * steps / RATE))
    last, ended = page.evaluate(counted)
    context.close()
    return statistics.median(loads), 1000.0 * (last - first) / (ended - began), each


def main() -> None:
    """Measure, and print a table."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sys.exit("this needs playwright: pip install playwright")
    found = os.environ.get("JENSEN_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        sys.exit("there is no Chromium; name one in JENSEN_CHROMIUM")
    problems = [
        ("faithful, 100 steps", jensen.datasets.load("faithful"), 3, 6),
        ("iris", jensen.datasets.load("iris"), 3, 6),
        ("galaxies", jensen.datasets.load("galaxies"), 4, 6),
        ("1,000 rows", many_rows(1_000, 5), 5, 4),
        ("1,500 rows", many_rows(1_500, 8), 8, 4),
        ("100,000 rows, 1,500 drawn", many_rows(100_000, 5), 5, 2),
    ]
    print(f"{'data':<26} {'steps':>6} {'page':>8} {'load':>7} {'played':>10} {'one frame':>10}")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        for name, data, k, n_starts in problems:
            settings = MixtureSettings(k, seed=1, max_iter=100 if name.endswith("100 steps") else "auto")
            recording = jensen.watch.Recording(to_matrix(data), settings, n_starts=n_starts)
            path = Path(folder) / "em.html"
            recording.export(path)
            load, rate, each = measured(browser, path)
            steps = max(one.plain.n_kept for one in recording.comparisons)
            size = path.stat().st_size / 1e6
            print(f"{name:<26} {steps:>6} {size:>5.1f} MB {load:>5.2f} s {rate:>6.1f} f/s {each:>7.1f} ms", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
