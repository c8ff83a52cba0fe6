"""Plain and accelerated EM from several starts, recorded; and from any further start that somebody asks for."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Event, Lock

import numpy as np

from jensen.core.block import AnyArray, Array
from jensen.core.parameters import Parameters
from jensen.data.arrays import ArraySource
from jensen.data.atomic import atomic_write
from jensen.data.frames import default_names
from jensen.data.pool import single_threaded_blas
from jensen.data.table import Table
from jensen.errors import InputError, NumericalFailure
from jensen.fit.mixture import DEFAULT_MAX_ITER, mixture_of, rule_of
from jensen.fit.result import full_covariances
from jensen.fit.search.mixtures import KINDS
from jensen.fit.search.restarts import with_memory
from jensen.fit.settings import MixtureSettings
from jensen.fit.starts.draw import draw_start
from jensen.fit.summary import summarise
from jensen.models.mixture import Mixture
from jensen.numerics.streams import fresh_seed, stream
from jensen.solve.loop import Limits, unless_interrupted
from jensen.solve.variants import Accelerate, Plain
from jensen.watch.axes import Axes, axes_of, check_columns
from jensen.watch.record import RecordedRun, recorded

# Rows that are drawn at most: a slow machine draws so many, each of its own colour, some thirty times a second.
MOST_ROWS = 1_500
# Responsibilities of a run that are kept at most, in bytes, and steps at most and at least.
_MOST_BYTES, _MOST_STEPS, _FEWEST_STEPS = 2_000_000, 300, 30
# Starts that one recording holds at most.
_MOST_STARTS = 200
# A mean is moved no further from the centre than this many standard deviations.
_FAR = 1e3


@dataclass(frozen=True, eq=False)
class Comparison:
    """Plain and accelerated EM from one start.

    Attributes
    ----------
    number : int
        Its place in the recording, from 0.
    kind : str
        How it was drawn, or that it was moved.
    plain, accelerated : RecordedRun
        The runs.
    faults : tuple of tuple of str
        Why the end of each is degenerate; empty for a sound one.
    """

    number: int
    kind: str
    plain: RecordedRun
    accelerated: RecordedRun
    faults: tuple[tuple[str, ...], tuple[str, ...]]


class Recording:
    """EM on somebody's data, recorded from several starts.

    Parameters
    ----------
    table : Table
        The data.
    settings : MixtureSettings
        What is fitted, and how; ``accelerate`` is the method that plain EM is compared with.
    n_starts : int
        Starts to draw: number i is start i of a search under the same seed.
    name : str
        What a page calls the data.
    shown : sequence of str, optional
        One or two columns to show first.
    notes : sequence of str, optional
        What a page tells of how it came about.

    Attributes
    ----------
    comparisons : list of Comparison
        One for each start that has a density.

    Raises
    ------
    InputError
        If there are fewer different rows than components, or a column to show is unknown.
    NumericalFailure
        If no start has a density.
    KeyboardInterrupt
        If a run is interrupted.
    """

    def __init__(
        self,
        table: Table,
        settings: MixtureSettings,
        *,
        n_starts: int = 6,
        name: str = "data",
        shown: Sequence[str] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.seed = fresh_seed() if settings.seed is None else settings.seed
        self.settings = _with_method(settings)
        self.name, self.notes = name, list(notes)
        self.table, self.source = table, ArraySource(table.data, table.weights)
        check_columns(shown, self.names)
        self.data = summarise(self.source, self.seed)
        different = len(self.data.rows)
        if settings.n_components > different:
            raise InputError(
                f"{settings.n_components} components for {different} different row{'s' * (different != 1)} of positive "
                "weight: ask for no more (n_components, -k) than there are different rows."
            )
        self.model: Mixture = mixture_of(settings, self.source, self.data)
        self.cancel, self._busy = Event(), Lock()
        self.comparisons = list[Comparison]()
        self.n_drawn, failures = 0, list[str]()
        for _ in range(n_starts):
            try:
                self.draw()
            except NumericalFailure as failure:
                failures.append(str(failure))
        if not self.comparisons:
            raise NumericalFailure(f"no start has a density: {failures[0]}")
        if failures:
            count = len(failures)
            self.notes.append(
                f"{count} start{'s' * (count != 1)} had no density and {'are' if count > 1 else 'is'} left out."
            )
        self.axes = self._axes(shown)

    # ------------------------------------------------------------------------------------------------ runs

    @property
    def method(self) -> Accelerate:
        """The acceleration that plain EM is compared with."""
        return self.settings.accelerate

    def draw(self) -> Comparison:
        """Run EM from the next start of the search's own kinds."""
        with self._busy:
            index = self.n_drawn
            self.n_drawn += 1
            kind = KINDS[index % len(KINDS)]
            start = draw_start(kind, self.model, self.data, stream(self.seed, "start", index))
            return self._compared(start, kind)

    def moved(self, number: int, accelerated: bool, frame: int, onto: Sequence[int], places: Array) -> Comparison:
        """Run EM from parameters that were recorded, with other means.

        Parameters
        ----------
        number : int
            Of the comparison that was looked at.
        accelerated : bool
            Which of its runs.
        frame : int
            Which of its frames; its weights and covariances stay.
        onto : sequence of int
            One or two axes.
        places : ndarray of shape (K, len(onto))
            Where the means are to show on them.

        Raises
        ------
        InputError
            If there is no such frame or axis, or a place is not finite or far from all rows.
        NumericalFailure
            If there is no density there.
        """
        if not 0 <= number < len(self.comparisons):
            raise InputError(f"there is no start {number}")
        seen = self.comparisons[number]
        frames = (seen.accelerated if accelerated else seen.plain).frames
        if not 0 <= frame < len(frames):
            raise InputError(f"there is no frame {frame}; expected 0 to {len(frames) - 1}")
        if not (
            0 < len(onto) <= 2 and len(set(onto)) == len(onto) and all(0 <= j < len(self.axes.names) for j in onto)
        ):
            raise InputError("expected one or two different axes of this page")
        params = frames[frame].params
        if places.shape != (self.model.n_components, len(onto)) or not np.isfinite(places).all():
            raise InputError(f"expected {self.model.n_components} means with {len(onto)} finite numbers each")
        means = self.axes.moved(params["means"], onto, places)
        if (np.abs(means - self.data.centre) > _FAR * self.data.scale).any():
            raise InputError(f"a mean lies more than {_FAR:g} standard deviations from the centre. Move it nearer.")
        with self._busy:
            return self._compared(params.replace(means=means), f"moved from start {number + 1}")

    def _compared(self, start: Parameters, kind: str) -> Comparison:
        if len(self.comparisons) >= _MOST_STARTS:
            raise InputError(f"a recording holds {_MOST_STARTS} starts at most. Begin a new one.")
        settings = self.settings
        max_iter = DEFAULT_MAX_ITER if settings.max_iter == "auto" else settings.max_iter
        numbers = min(self.source.n_rows, MOST_ROWS) * self.model.n_components
        most = int(np.clip(_MOST_BYTES // numbers, _FEWEST_STEPS, _MOST_STEPS))
        runs = list[RecordedRun]()
        with single_threaded_blas():
            for method in ("off", self.method):
                limits = Limits(max_iter, time.perf_counter() + settings.max_time, self.cancel)
                rule = rule_of(settings, self.source.weight)()
                solver = Plain(method).solver(self.model, rule)
                source = with_memory(self.model, self.source)
                runs.append(recorded(solver, self.model, source, start, rule, limits, most))
                unless_interrupted(runs[-1].run)
        plain, accelerated = runs
        faults = [self.model.faults(one.run.params, one.run.statistics) for one in runs]
        self.comparisons.append(Comparison(len(self.comparisons), kind, plain, accelerated, (faults[0], faults[1])))
        return self.comparisons[-1]

    # ---------------------------------------------------------------------------------------- what is drawn

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.table.feature_names or default_names(self.table.n_features)

    @property
    def best(self) -> Comparison:
        """The start from which plain EM ended highest; sound ends come first."""
        return max(self.comparisons, key=lambda one: (not one.faults[0], one.plain.run.objective))

    @cached_property
    def drawn(self) -> AnyArray:
        """Numbers of the rows that are drawn: all of positive weight, or a sample of them, in order."""
        weight = self.source.row_weight
        rows = np.arange(self.source.n_rows) if weight is None else np.flatnonzero(weight)
        if len(rows) <= MOST_ROWS:
            return rows
        return rows[np.sort(stream(self.seed, "watch rows").choice(len(rows), MOST_ROWS, replace=False, shuffle=False))]

    def covariances(self, params: Parameters) -> Array:
        """Covariances of some parameters as matrices (K, d, d)."""
        return full_covariances(self.model.family.layout, params)  # type: ignore[attr-defined]

    def _axes(self, shown: Sequence[str] | None) -> Axes:
        end, data = self.best.plain.run.params, self.data
        mixture = end["weights"], end["means"], self.covariances(end)
        return axes_of(self.names, data.centre, data.scale, data.informative, mixture, shown)

    # ------------------------------------------------------------------------------------------------ pages

    def html(self) -> str:
        """The page as one file that asks for nothing else."""
        from jensen.watch.document import document
        from jensen.watch.page import page

        return page(document(self))

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file, which needs no network and no Python; a file of that name is replaced when done.

        Parameters
        ----------
        path : path-like
            The file; it should end in .html.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        with atomic_write(path) as stream:
            stream.write(self.html().encode("utf-8"))

    def serve(self, port: int = 0, *, open_browser: bool = True) -> None:
        """Show the page in a browser, where starts can be moved, until Ctrl-C.

        Parameters
        ----------
        port : int, default=0
            Of this machine alone; 0 takes a free one.
        open_browser : bool, default=True
            Whether to open the page; its address is printed in any case.

        Raises
        ------
        InputError
            If the port is taken.
        """
        from jensen.watch.server import serve

        serve(self, port, open_browser=open_browser)

    def _repr_html_(self) -> str:
        """The page in a frame of its own, for notebooks."""
        from jensen.watch.page import framed

        return framed(self.html())

    def __repr__(self) -> str:
        n, best = len(self.comparisons), self.best.plain.run
        return (
            f"Recording({self.name}: {self.model.n_components} component{'s' * (self.model.n_components != 1)}, "
            f"{n} start{'s' * (n != 1)}; best log-likelihood {best.objective:.6g} after {best.n_iter} steps)"
        )


def _with_method(settings: MixtureSettings) -> MixtureSettings:
    """The settings with an acceleration to compare with: the one that fits turn to, where none is named."""
    return replace(settings, accelerate="quasi-newton") if settings.accelerate in ("auto", "off") else settings
