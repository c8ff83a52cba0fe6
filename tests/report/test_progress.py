"""The progress bar never scrolls: whatever the terminal, and whatever is printed meanwhile, nothing of it stays."""

import os
import subprocess
import sys
import time
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from terminals import in_terminal, lines_left

import jensen
from jensen.fit.selection.table import Task
from jensen.report.progress import Progress, can_show

posix = pytest.mark.skipif(os.name != "posix", reason="terminals of POSIX")
# Long enough for the bar to be drawn several times, whatever is printed in between.
PROGRAM = """
import sys, time, warnings
from jensen.core.contracts import Info
from jensen.report.progress import Progress
with Progress(True, 4) as progress:
    for start in range(3):
        for iteration in range(5):
            progress.on_fit(start, Info(iteration=iteration, objective=-1234.5678, gain=1.0))
            time.sleep(0.06)
        print("out", start)
        warnings.warn(f"careful{start}")
print("end")
"""


def info(iteration, objective):
    return SimpleNamespace(iteration=iteration, objective=objective)


def test_the_terminal_on_paper_would_see_what_stays():
    assert lines_left("a\nb\r\x1b[2Kc\x1b[1A\rA", 80) == ["A", "c"]
    assert lines_left("abc\r\nx", 2) == ["ab", "c", "x"]
    assert "bar" in lines_left("bar 1\r\nend", 80)[0]


@posix
@pytest.mark.parametrize("width", [120, 60, 20])
def test_nothing_stays_but_what_was_printed(width):
    code, printed = in_terminal(["-W", "always", "-c", PROGRAM], width)
    assert code == 0 and "\x1b[?25h" in printed
    # It was drawn, as far as there is room.
    assert "start 1/4" in printed and ("━" in printed or width < 50)
    assert "objective -1,234.568" in printed or "…" in printed
    left = [line for line in lines_left(printed, width) if line]
    assert not any("━" in line or "iteration" in line for line in left)
    assert [line for line in left if line.startswith(("out", "end"))] == ["out 0", "out 1", "out 2", "end"]
    whole = "".join("".join(left).split())
    # Wrapped as it may be, every warning is there once.
    assert [whole.count(f"careful{start}") for start in range(3)] == [1, 1, 1]


@posix
@pytest.mark.parametrize("command", ["fit faithful -k 3", "select iris -k 1:3", "fit iris -k 1:2 --errors"])
@pytest.mark.parametrize("width", [60, 80])
def test_commands_leave_their_summary_alone(command, width):
    code, printed = in_terminal(["-c", "from jensen.cli import main; main()", *command.split()], width)
    assert code == 0
    left = lines_left(printed, width)
    # A line that ends in the last column is followed by its own line feed, not by a wrapped one.
    assert max(map(len, left)) <= width
    assert left[0].startswith(("Gaussian mixture", "BIC")) and not any("━" in line for line in left)


def test_piped_there_is_nothing():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stderr == "" and done.stdout == "out 0\nout 1\nout 2\nend\n"


@posix
def test_a_terminal_that_cannot_move_its_cursor_is_left_alone():
    code, printed = in_terminal(
        ["-W", "ignore", "-c", PROGRAM.replace("import sys", "import os; os.environ['TERM'] = 'dumb'; import sys")], 80
    )
    assert code == 0 and "iteration" not in printed and "━" not in printed


# ------------------------------------------------------------------------------------------------ notebooks


class Display:
    """IPython's ``display`` with an identity: what it was given, and what each handle was updated with."""

    def __init__(self):
        self.shown, self.updates = [], []

    def __call__(self, bundle, raw=False, display_id=None):
        assert raw and display_id is True
        self.shown.append(bundle)
        return SimpleNamespace(update=lambda bundle, raw: self.updates.append(bundle))


@pytest.fixture
def notebook(monkeypatch):
    display = Display()
    ipython, module = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())
    module.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return display


def test_a_notebook_has_one_display_that_is_updated_and_left_empty(notebook, capfd, monkeypatch):
    monkeypatch.setattr("jensen.report.progress._PAUSE", 0.01)
    assert can_show()
    with Progress(True, 0) as progress:
        progress.on_search(Task("compare", 3, 10, 4, "VEV"), 0, info(7, -12.5))
        deadline = time.monotonic() + 30
        while not any("comparing" in bundle["text/plain"] for bundle in notebook.updates):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert len(notebook.shown) == 1 and "starting" in notebook.shown[0]["text/plain"]
    (drawn,) = {b["text/html"].split("<span")[0] for b in notebook.updates if "comparing 4/10" in b["text/plain"]}
    assert drawn == '<progress max="10" value="3"></progress> '
    assert notebook.updates[-1] == {"text/plain": "", "text/html": ""}
    n = len(notebook.updates)
    time.sleep(0.05)
    assert len(notebook.updates) == n
    assert capfd.readouterr() == ("", "")


def test_what_stands_in_a_page_is_escaped(notebook, monkeypatch):
    monkeypatch.setattr("jensen.report.progress._PAUSE", 0.01)
    with Progress(True, 0) as progress:
        monkeypatch.setattr(progress, "state", lambda: (0, 0, "<script>"))
        deadline = time.monotonic() + 30
        while not notebook.updates and time.monotonic() < deadline:
            time.sleep(0.01)
    assert all("<script>" not in bundle["text/html"] for bundle in notebook.updates)


def test_select_shows_itself_in_a_notebook(notebook):
    X = jensen.datasets.load("faithful").data
    jensen.select(X, [1, 2], ["EEE"], n_init=1, random_state=0)
    assert len(notebook.shown) == 1
    jensen.select(X, [1, 2], ["EEE"], n_init=1, random_state=0, progress=False)
    assert len(notebook.shown) == 1


def test_an_ending_by_error_leaves_nothing_either(notebook):
    with pytest.raises(KeyError), Progress(True, 2):
        raise KeyError
    assert notebook.updates[-1] == {"text/plain": "", "text/html": ""}


def test_ipython_without_a_kernel_is_a_terminal_or_nothing(notebook):
    sys.modules["IPython"].get_ipython = lambda: SimpleNamespace()
    assert not can_show()


def test_states_in_words():
    progress = Progress(False, 5)
    assert progress.state() == (0, 0, "starting")
    progress.on_fit(2, info(4, -3.0))
    assert progress.state() == (2, 5, "start 3/5  iteration 4  objective -3.000")
    progress.on_search(Task("confirm", 0, 3, 2, "full"), 1, info(12, np.float64(-1e7)))
    assert progress.state()[:2] == (0, 3) and "searching the best 1/3  K=2 full" in progress.state()[2]
