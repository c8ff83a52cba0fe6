"""The page as a person uses it, in a browser."""

import threading

import pytest

import jensen
from jensen.watch.server import WatchServer

WORDS = {"E": "E-step: share out the points", "M": "M-step: move the components", "s": "Start: a first guess"}


@pytest.fixture
def exported(tmp_path, faithful):
    path = tmp_path / "em.html"
    faithful.export(path)
    return path.as_uri()


@pytest.fixture
def served():
    recording = jensen.watch.mixture(jensen.datasets.load("faithful"), 3, n_starts=2, random_state=1)
    with WatchServer(recording) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def text(page, name):
    return page.inner_text(f"#{name}")


def until(page, expression):
    """Waits until an expression holds. The browser's own way would compile it in the page, whose policy forbids it."""
    for _ in range(1500):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(20)
    raise AssertionError(expression)


def frame(page):
    return int(page.get_attribute("html", "data-frame"))


def series(page, chart, name):
    """The data of one series as the library draws it."""
    return page.evaluate(
        "([chart, name]) => echarts.getInstanceByDom(document.getElementById(chart)).getOption()"
        ".series.find((one) => one.id === name).data",
        [chart, name],
    )


def test_a_page_alone_steps_and_plays_without_network(visit, exported, faithful):
    with visit(exported, offline=True) as page:
        assert text(page, "title") == WORDS["s"] and text(page, "bound") == "none yet"
        number = int(text(page, "where").split(",")[0].removeprefix("start ")) - 1
        run = faithful.comparisons[number].plain
        before = series(page, "plane", "line0-0")
        page.click("#forward")
        assert text(page, "title") == WORDS["E"] and series(page, "plane", "line0-0") == before
        assert text(page, "bound") == text(page, "loglik") and text(page, "gap") == "0"
        assert text(page, "loglik") == f"{run.frames[1].loglik:,.3f}"
        page.keyboard.press("ArrowRight")
        assert text(page, "title") == WORDS["M"] and series(page, "plane", "line0-0") != before
        assert text(page, "bound") == f"{run.frames[2].free_energy:,.3f}"
        assert text(page, "gap") == f"{run.frames[2].gap:.3f}" and text(page, "gap") != "0.000"
        page.keyboard.press("ArrowLeft")
        page.click("#back")
        assert frame(page) == 0
        page.keyboard.press("End")
        assert frame(page) == len(run.frames) - 1 and "Converged" in text(page, "now")
        page.keyboard.press("Home")
        page.select_option("#speed", "30")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("Space")
        until(page, "Number(document.documentElement.dataset.frame) >= 12")
        assert text(page, "play-word") == "Pause"
        page.click("#play")
        stopped = frame(page)
        assert text(page, "play-word") == "Play"
        page.fill("#slider", "3")
        assert frame(page) == 3 != stopped
        assert page.is_hidden("#numbers") and "starts are fixed" in text(page, "more")
        assert page.asked == [exported]


def test_playing_ends_at_the_end(visit, exported, faithful):
    with visit(exported) as page:
        last = int(page.get_attribute("#slider", "max"))
        page.fill("#slider", str(last - 3))
        page.select_option("#speed", "30")
        page.click("#play")
        until(page, "document.getElementById('play-word').textContent === 'Play'")
        assert frame(page) == last


def test_colours_change_with_e_and_shapes_with_m(visit, exported):
    pixels = """() => new Promise((done) => {
        const chart = echarts.getInstanceByDom(document.getElementById("plane"));
        requestAnimationFrame(() => requestAnimationFrame(() => done(chart.getDataURL({ pixelRatio: 1 }))));
    })"""
    with visit(exported, reduced_motion="reduce") as page:
        seen = [page.evaluate(pixels)]
        for _ in range(3):
            page.click("#forward")
            seen.append(page.evaluate(pixels))
        assert len(set(seen)) == 4


def test_another_start_and_acceleration(visit, exported, faithful):
    with visit(exported) as page:
        ends = page.locator("#starts tr td:nth-child(3)")
        for row, one in enumerate(faithful.comparisons[:4]):
            page.click(f"#starts tr:nth-child({row + 1}) button")
            assert text(page, "where").startswith(f"start {row + 1}, plain EM: step 0 of {one.plain.run.n_iter}")
            assert f"{one.plain.run.objective:,.3f}" in ends.nth(row).inner_text()
            page.keyboard.press("End")
            assert text(page, "loglik") == f"{one.plain.run.objective:,.3f}"
            page.keyboard.press("a")
            until(page, "document.getElementById('where').textContent.includes('quasi-Newton')")
            page.keyboard.press("End")
            assert text(page, "loglik") == f"{one.accelerated.run.objective:,.3f}"
            page.keyboard.press("a")
            until(page, "document.getElementById('where').textContent.includes('plain EM')")
        lines = page.evaluate(
            "echarts.getInstanceByDom(document.getElementById('climb')).getOption().series.filter((s) => s.name)"
            ".map((s) => [s.name, s.data.length])"
        )
        one = faithful.comparisons[3]
        assert [name for name, _ in lines][:2] == [
            f"plain EM: {int(one.plain.run.passes)} passes",
            f"quasi-Newton: {int(one.accelerated.run.passes)} passes",
        ]
        page.check("input[value=left]")
        page.keyboard.press("n")
        until(page, "document.getElementById('where').textContent.startsWith('start 1')")


def test_leaps_say_what_they_are(visit, exported, faithful):
    one = next(
        one
        for one in faithful.comparisons
        if one.accelerated.run.extrapolations[0] > one.accelerated.run.extrapolations[1] > 0
    )
    kinds = [frame.kind for frame in one.accelerated.frames]
    with visit(exported) as page:
        page.click(f"#starts tr:nth-child({one.number + 1}) button")
        # Its data come in their own time; another choice before that would be overtaken.
        until(page, f"document.getElementById('where').textContent.startsWith('start {one.number + 1},')")
        page.keyboard.press("a")
        until(page, "document.getElementById('where').textContent.includes('quasi-Newton')")
        page.fill("#slider", str(kinds.index("leap")))
        assert text(page, "title") == "Leap: further the same way"
        page.fill("#slider", str(kinds.index("refused")))
        assert text(page, "title") == "A leap that is not taken" and "log-likelihood there" in text(page, "now")


def place_of(page, k):
    """Where on the screen the mean of a component is."""
    box = page.locator("#plane").bounding_box()
    x, y = page.evaluate(
        "(k) => { const chart = echarts.getInstanceByDom(document.getElementById('plane'));"
        "const mean = chart.getOption().series.find((s) => s.id === 'means').data[k].value;"
        "return chart.convertToPixel({ gridIndex: 0 }, mean); }",
        k,
    )
    return box["x"] + x, box["y"] + y


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_mean_is_dragged_and_em_runs_from_there(visit, served, scheme):
    with visit(served.url, color_scheme=scheme, viewport={"width": 1200, "height": 900}) as page:
        x, y = place_of(page, 1)
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x - 40, y + 30, steps=4)
        page.mouse.up()
        until(page, "document.querySelectorAll('#starts tr').length === 3")
        until(page, "Number(document.documentElement.dataset.frame) >= 1")
        assert text(page, "where").startswith("start 3, plain EM")
        moved = served.recording.comparisons[2]
        before = served.recording.comparisons[int(moved.kind.split()[-1]) - 1].plain.frames[0].params["means"]
        after = moved.plain.frames[0].params["means"]
        assert after[1, 0] < before[1, 0] and after[1, 1] < before[1, 1]
        assert after[[0, 2]].ravel().tolist() == pytest.approx(before[[0, 2]].ravel().tolist(), rel=1e-9)
        assert {one.rpartition("/")[2] for one in page.asked} == {"", "run"} or "data:," in "".join(page.asked)


def test_starts_by_numbers_and_drawn_anew(visit, served):
    with visit(served.url) as page:
        page.click("text=Draw another start")
        until(page, "document.querySelectorAll('#starts tr').length === 3")
        page.click("#play")
        page.click("summary")
        for number, value in enumerate(["2", "50", "3", "60", "4.5", "85"]):
            page.locator("#places input").nth(number).fill(value)
        page.click("text=Run from here")
        until(page, "document.querySelectorAll('#starts tr').length === 4")
        start = served.recording.comparisons[3].plain.frames[0].params["means"]
        assert start.ravel().tolist() == pytest.approx([2, 50, 3, 60, 4.5, 85])
    with visit(served.url) as page:
        assert page.locator("#starts tr").count() == 4


def test_what_the_server_refuses_is_said(visit, served):
    with visit(served.url) as page:
        page.click("summary")
        page.locator("#places input").nth(0).fill("1e9")
        page.click("text=Run from here")
        page.wait_for_selector("#trouble:not(:empty)")
        assert "Move it nearer" in text(page, "trouble")
        # The browser itself reports every answer that is no success.
        assert all("422" in trouble for trouble in page.troubles)
        page.troubles.clear()


@pytest.mark.parametrize(("name", "k"), [("galaxies", 4), ("iris", 3)])
@pytest.mark.parametrize("width", [1280, 390])
def test_other_data_and_phones(visit, tmp_path, name, k, width):
    path = tmp_path / "em.html"
    jensen.watch.mixture(jensen.datasets.load(name), k, n_starts=2, random_state=1).export(path)
    with visit(path.as_uri(), viewport={"width": width, "height": 844}) as page:
        for _ in range(4):
            page.click("#forward")
        assert frame(page) == 4
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.is_visible("#axes") == (name == "iris")
        if name == "iris":
            page.select_option("#across", label="Petal.Length")
            page.select_option("#up", label="Petal.Length")
            names = page.evaluate(
                "(c => [c.xAxis[0].name, c.yAxis[0].name])"
                "(echarts.getInstanceByDom(document.getElementById('plane')).getOption())"
            )
            assert sorted(names) == ["Petal.Length", "direction 2"]


def test_hostile_names_are_only_names(visit, tmp_path, hostile):
    path = tmp_path / "em.html"
    hostile.export(path)
    with visit(path.as_uri()) as page:
        # HTML has no place for NUL: the parser puts a mark for it, in the title alone.
        assert text(page, "name").replace("\ufffd", "\x00").startswith("</script><script>alert(1)</script><!--")
        assert hostile.name in page.evaluate("document.getElementById('notes').textContent")
        page.click("#forward")
        page.mouse.move(*place_of(page, 0))


def test_a_notebook_frames_it(visit, tmp_path, faithful):
    path = tmp_path / "notebook.html"
    path.write_text(f"<!DOCTYPE html><html data-ready><body>{faithful._repr_html_()}</body></html>", encoding="utf-8")
    with visit(path.as_uri()) as page:
        inside = page.frame_locator("iframe")
        inside.locator("html[data-ready]").wait_for()
        inside.locator("#forward").click()
        assert inside.locator("#title").inner_text() == WORDS["E"]


def test_every_control_can_be_reached_and_has_a_name(visit, served):
    with visit(served.url) as page:
        nameless = page.evaluate(
            "[...document.querySelectorAll('button, input, select')]"
            ".filter((e) => !(e.ariaLabel || e.textContent.trim() || e.labels?.[0]?.textContent.trim()))"
            ".map((e) => e.outerHTML)"
        )
        assert nameless == []
        page.focus("#play")
        page.keyboard.press("Space")
        assert text(page, "play-word") == "Pause"
        page.keyboard.press("Space")
        assert text(page, "play-word") == "Play"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "forward"
        assert "components" in page.get_attribute("#plane", "aria-label")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_checker_of_accessibility_finds_nothing(visit, served, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    with visit(served.url, color_scheme=scheme) as page:
        page.click("summary")
        found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
