"""A progress bar on stderr while a fit runs; nothing of it where stderr is no terminal."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from jensen.core.contracts import Info

if TYPE_CHECKING:
    from rich.console import RenderableType

    from jensen.fit.selection import Task

_ROUNDS = {
    "explore": "exploring",
    "compare": "comparing",
    "finish": "on all rows",
    "confirm": "searching the best",
    "hold out": "holding out",
}
_REFRESH, _BAR = 10, 12


class Progress(AbstractContextManager["Progress"]):
    """Watches fits and searches. Observers only note what they see; a thread of its own draws it.

    Parameters
    ----------
    shown : bool
        Whether to draw at all.
    n_starts : int
        Starts of a single fit; 0 where a search decides.
    """

    def __init__(self, shown: bool, n_starts: int = 1) -> None:
        self.shown = shown and sys.stderr.isatty()
        self.n_starts, self.began = n_starts, time.perf_counter()
        self.seen: tuple[Task | None, int, Info] | None = None
        self.begun = 0
        self._live: Any = None

    def __enter__(self) -> Progress:
        if self.shown:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                get_renderable=self._render,
                console=Console(stderr=True),
                refresh_per_second=_REFRESH,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
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

        done, total, words = self._state()
        elapsed = f"{time.perf_counter() - self.began:.1f} s"
        line = Text(f"{elapsed:>7}  {words}", no_wrap=True, overflow="ellipsis")
        # One start has no end that could be foreseen: the bar pulses.
        bar = ProgressBar(total=total or None, completed=done, width=_BAR, pulse=not total)
        grid = Table.grid(padding=(0, 1))
        grid.add_column(min_width=_BAR)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        grid.add_row(bar, line)
        return grid

    def _state(self) -> tuple[int, int, str]:
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
