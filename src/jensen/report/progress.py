"""A progress bar while a fit runs: on stderr where that is a terminal, in the cell of a notebook, else nowhere."""

from __future__ import annotations

import html
import sys
import time
from contextlib import AbstractContextManager
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any

from jensen.core.contracts import Info

if TYPE_CHECKING:
    from rich.console import RenderableType

    from jensen.fit.selection.table import Task

_ROUNDS = {
    "explore": "exploring",
    "compare": "comparing",
    "finish": "on all rows",
    "confirm": "searching the best",
    "hold out": "holding out",
}
_REFRESH, _BAR = 10, 12
# A narrower terminal has room for the words alone.
_NARROW = 50
# Seconds between two pictures in a notebook, each of which is a message to the browser.
_PAUSE = 0.25


def can_show() -> bool:
    """Whether there is a place for a progress bar: a terminal that moves its cursor, or a notebook."""
    return _is_terminal() or _notebook() is not None


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _notebook() -> Any:
    """The ``display`` of the notebook that runs this, or None. Whoever runs in one has imported IPython."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(shell, "kernel", None) is None:
        return None
    return getattr(sys.modules.get("IPython.display"), "display", None)


class Progress(AbstractContextManager["Progress"]):
    """Watches fits and searches. Observers only note what they see; a thread of its own draws it.

    What is printed meanwhile, such as a warning, comes above the bar, which stays in its line. A notebook has one
    display, which is updated in place and left empty.

    Parameters
    ----------
    shown : bool
        Whether to draw, where there is a place.
    n_starts : int
        Starts of a single fit; 0 where a search decides.
    """

    def __init__(self, shown: bool, n_starts: int = 1) -> None:
        self.shown = shown and can_show()
        self.n_starts, self.began = n_starts, time.perf_counter()
        self.seen: tuple[Task | None, int, Info] | None = None
        self.begun = 0
        self._live: Any = None
        self._console: Any = None

    def __enter__(self) -> Progress:
        if not self.shown:
            return self
        display = _notebook()
        if display is not None:
            self._live = _Cell(self, display)
        else:
            from rich.console import Console
            from rich.live import Live

            self._console = Console(stderr=True)
            self._live = Live(
                get_renderable=self._render,
                console=self._console,
                refresh_per_second=_REFRESH,
                transient=True,
                # Where stdout is the same terminal, it goes above the bar as well.
                redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
                redirect_stderr=True,
            )
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def on_fit(self, start: int, info: Info) -> None:
        """Observe a single fit."""
        self.begun = max(self.begun, start + 1)
        self.seen = (None, start, info)

    def on_search(self, task: Task, start: int, info: Info) -> None:
        """Observe a search."""
        self.seen = (task, start, info)

    def _render(self) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        done, total, words = self.state()
        line = Text(f"{self.elapsed():>7}  {words}", no_wrap=True)
        # A number must not be cut without a sign of it.
        width = self._console.width
        line.truncate(max(1, width - _BAR - 2 if width >= _NARROW else width - 1), overflow="ellipsis")
        if width < _NARROW:
            return line
        # One start has no end that could be foreseen: the bar pulses.
        bar = ProgressBar(total=total or None, completed=done, width=_BAR, pulse=not total)
        grid = Table.grid(padding=(0, 1))
        grid.add_column(min_width=_BAR)
        grid.add_column(no_wrap=True)
        grid.add_row(bar, line)
        return grid

    def elapsed(self) -> str:
        """The time since the beginning."""
        return f"{time.perf_counter() - self.began:.1f} s"

    def state(self) -> tuple[int, int, str]:
        """Steps done, steps in all (0 if unknown), and words for both."""
        if self.seen is None:
            return 0, 0, "starting"
        task, start, info = self.seen
        digits = 3 if abs(info.objective) < 1e5 else 1
        point = f"iteration {info.iteration}  objective {info.objective:,.{digits}f}"
        if task is not None:
            where = f"{_ROUNDS[task.round]} {task.number + 1}/{task.n_tasks}  K={task.n_components} "
            return task.number, task.n_tasks, f"{where}{task.covariance_type}  {point}"
        if self.n_starts == 1:
            return 0, 0, point
        if self.n_starts == 0:
            return 0, 0, f"start {start + 1}  {point}"
        return self.begun - 1, self.n_starts, f"start {start + 1}/{self.n_starts}  {point}"


class _Cell(AbstractContextManager["_Cell"]):
    """The bar in the output of a notebook's cell.

    Parameters
    ----------
    progress : Progress
        What to draw.
    display : callable
        IPython's.
    """

    def __init__(self, progress: Progress, display: Any) -> None:
        self._progress, self._display = progress, display
        self._ended = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Cell:
        self._handle = self._display(self._picture(), raw=True, display_id=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._handle.update({"text/plain": "", "text/html": ""}, raw=True)

    def _run(self) -> None:
        while not self._ended.wait(_PAUSE):
            self._handle.update(self._picture(), raw=True)

    def _picture(self) -> dict[str, str]:
        done, total, words = self._progress.state()
        line = f"{self._progress.elapsed()}  {words}"
        bar = f'<progress max="{total}" value="{done}"></progress>' if total else "<progress></progress>"
        shown = f'{bar} <span style="font-family: monospace; white-space: pre">{html.escape(line)}</span>'
        return {"text/plain": line, "text/html": shown}
