"""The search over Gaussian mixtures: on which rows, with which starts, and how the best is finished on all the data."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from threading import Event
from typing import Any

import numpy as np

from jensen.core.contracts import Info, Run, Trail
from jensen.core.observers import as_attentive
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.data.arrays import ArraySource
from jensen.data.pool import map_ordered, single_threaded_blas, threads
from jensen.errors import NumericalFailure
from jensen.fit.outliers.contract import NoOutliers, Outliers, gaussian_part
from jensen.fit.search.above import Descents
from jensen.fit.search.account import SAME_OPTIMUM, Account, StartRecord
from jensen.fit.search.climbing import RECENT, Climbing, matched
from jensen.fit.search.crossing import united
from jensen.fit.search.escapes import gaussian_escapes, gaussian_regroupings
from jensen.fit.search.landscape import Drawn, Glimpse, Plan, Together, Verdict, Ways, serially
from jensen.fit.search.rounds import search
from jensen.fit.search.rows import evaluated, final, pass_work, search_rows
from jensen.fit.search.soundness import Degenerate, verdict
from jensen.fit.search.splitting import Splits
from jensen.fit.search.together import ShortEnd, Start, first_trails, in_bursts, short_ends
from jensen.fit.starts.descent import FAR, NEAR, components_above, enlarged
from jensen.fit.starts.draw import StartKind, draw_start
from jensen.fit.summary import DataSummary
from jensen.models.mixture import Assessment, Mixture
from jensen.numerics.streams import stream
from jensen.solve.begun import whole_run
from jensen.solve.loop import Limits, continued
from jensen.solve.stopping import AitkenRule
from jensen.solve.variants import Accelerate, Plain

# The kinds of start, in turn.
KINDS: tuple[StartKind, ...] = (
    "kmeans", "adaptive", "hierarchical", "random", "k-means++", "local", "adaptive", "random_from_data"
)  # fmt: skip
# Starts of a round, and where the first of them come down from.
_ROUND = 6
_HEIGHTS = NEAR, FAR, FAR
# Steps of EM before each merge where solutions are crossed.
_CROSSED_STEPS = 2
# Multiplications of a pass, about, up to which every start runs to its end.
_CHEAP = 60_000
# And up to which groups are asked once two rounds agree. Where there are none, three rounds have to, of which two
# batches of draws may stand for as many; beyond, two.
_MODERATE, _IN_VAIN = 4_000_000, 2
# Nats still to come at which a run of the search ends, and nats by which optima differ: exactly where passes cost next
# to nothing, else about a tenth of what a likelihood-ratio test could see.
_EXACT, _ROUGH = (1e-4, SAME_OPTIMUM), (5e-3, 2e-2)
# Passes of a search, by d + 4: about what ten starts of a common implementation cost.
_PASSES = 80_000
_MAX_ITER = 2_000
# Where a pass takes more multiplications than this, short runs are in single precision; it tells rows apart that lie no
# further than so many standard deviations of a column from zero.
_LONG, _SINGLE = 1 << 22, 1e3
# Batches times rows times components below which threads cost more than they gain.
_WORTH_A_THREAD = 50_000
# Where a run begins, how many steps it takes at most, and who is told of its points.
_Asked = tuple[Parameters, int, Callable[[Info], None] | None]
# Matched means, in standard deviations, and weights of one optimum are as near as this.
_NEAR = 0.2


@dataclass(eq=False)
class MixtureLandscape(Climbing):
    """A Gaussian mixture on the rows of a search; see `jensen.fit.search.landscape.Landscape`.

    Attributes
    ----------
    model : Mixture
        Of Gaussian components.
    data : DataSummary
        The table of rows, which are the rows of the search.
    seed : int
        Escapes of batch j draw from the stream (seed, "escape", j).
    make : callable (int) -> (str, Parameters)
        The kind of a start, and the start.
    accelerate : Accelerate
        Of runs to an optimum; short runs are plain.
    limits : Limits
        Of every run.
    degenerate : {"avoid", "allow"}
        Whether faults and narrow components are looked for.
    together : callable
        Applies a function to every item, in threads or not.
    tolerance : float
        Nats still to come at which a run to an optimum ends.
    slack : float
        Nats by which optima differ.
    observer : callable (int, Info) -> None, optional
        Told of the points of the starts that run to their end.
    recent : deque of Run
        The last runs.
    interrupted : bool
        Whether one of them was interrupted.
    outliers : Outliers
        How rows that belong to no component are treated; by default, all belong to one.
    from_above : bool, default=False
        Whether rounds have starts from above (`jensen.fit.starts.descent`).
    """

    model: Any
    data: DataSummary
    seed: int
    make: Callable[[int], tuple[str, Parameters]]
    accelerate: Accelerate
    limits: Limits
    degenerate: Degenerate
    together: Together
    tolerance: float
    slack: float
    observer: Callable[[int, Info], None] | None = None
    recent: deque[Run[Any]] = field(default_factory=lambda: deque(maxlen=RECENT))
    interrupted: bool = False
    outliers: Outliers | None = None
    from_above: bool = False
    rows: ArraySource = field(init=False)
    source: Any = field(init=False)

    def __post_init__(self) -> None:
        weight = None if (self.data.weight == 1.0).all() else self.data.weight
        self.rows = ArraySource(self.data.rows, weight)
        self.splits = Splits()
        self.treated: Outliers = NoOutliers(self.model) if self.outliers is None else self.outliers
        self.model, self.source = self.treated.model, self.treated.over(self.rows)

    @property
    def n_rows(self) -> int:
        """Rows of the search."""
        return self.rows.n_rows

    @cached_property
    def rough(self) -> Any:
        """The rows in single precision, where passes take long and it can tell them apart."""
        size = np.abs(self.data.rows).max(axis=0, initial=0.0)
        long = pass_work(self.treated.gaussians, self.n_rows) > _LONG
        among = self.source is not self.rows or not isinstance(self.treated, NoOutliers)
        if not (long or self.quick) or among or (size > _SINGLE * self.data.scale).any():
            return self.source
        return ArraySource(self.data.rows.astype(np.float32), self.rows.row_weight, single=True)

    def _rough_of(self, rows: ArraySource) -> ArraySource:
        """The rows, or those that count of them, for short runs."""
        return self.rough if rows is self.rows else rows

    @cached_property
    def quick(self) -> bool:
        """Whether runs go in bursts, which threads take without Python between them."""
        return isinstance(self.model, Mixture) and self.source is self.rows and in_bursts(self.model, self.rows)

    @property
    def quick_climbs(self) -> bool:
        """Whether runs up to an optimum do, too: accelerated by name, they go step by step."""
        return self.quick and self.accelerate in ("auto", "off")

    def draw(self, index: int) -> Drawn:
        """A start: of its kind in turn, or from above."""
        descents = self._descents()
        outlying = self._begin_above(index, descents)
        return Drawn(*self.make(index)) if outlying is None else self._from_above(descents, outlying)

    def _descents(self) -> Descents:
        return Descents(self.treated.gaussians, self.limits, self.tolerance)

    def _begin_above(self, index: int, descents: Descents) -> float | None:
        """Begin the descent that start number `index` comes from, and what it takes to be outlying; None if none."""
        place = index % _ROUND
        if not self.from_above or place >= len(_HEIGHTS):
            return None
        height = _HEIGHTS[place]
        rng = stream(self.seed, "start", index)
        table, outlying = self.treated.cleaned(self.data, index, rng)
        gaussians, rows = self.treated.gaussians, ArraySource(table.rows, table.weight)
        # Among outliers, the source counts rows in a way of its own, which Gaussians by themselves know nothing of.
        passed = self.rough if isinstance(self.treated, NoOutliers) else rows
        many = components_above(gaussians, rows.weight, height)
        if not many:
            return None
        above = draw_start("kmeans", enlarged(gaussians, many), table, rng)
        descents.begin(above, rows, passed, height.steps)
        return outlying

    def _from_above(self, descents: Descents, outlying: float) -> Drawn:
        try:
            params, passes = descents.take()
        except KeyboardInterrupt:
            self.interrupted = True
            raise
        return Drawn("from above", self.treated.around(params, outlying), passes)

    def start_all(
        self, indices: Sequence[int], n_iter: int | None, together: Together
    ) -> list[tuple[str, Run[Any] | NumericalFailure]]:
        """Starts and runs from them; on few rows the first ones run while others are drawn."""
        if not (self.quick_climbs if n_iter is None else self.quick):
            return super().start_all(indices, n_iter, together)
        descents, found = self._descents(), dict[int, tuple[str, Run[Any] | NumericalFailure]]()
        above, asked = dict[int, float | None](), list[tuple[int, Drawn]]()
        # Descents take longest, and need nobody.
        for index in indices:
            try:
                above[index] = self._begin_above(index, descents)
            except NumericalFailure as failure:
                found[index] = ("", failure)

        def starts() -> Iterator[_Asked]:
            for index, outlying in sorted(above.items(), key=lambda one: one[1] is not None):
                try:
                    one = Drawn(*self.make(index)) if outlying is None else self._from_above(descents, outlying)
                except NumericalFailure as failure:
                    found[index] = ("", failure)
                    continue
                asked.append((index, one))
                most = self.limits.max_iter
                yield (
                    one.params,
                    most if n_iter is None else min(n_iter, most),
                    self.told(index) if n_iter is None else None,
                )

        runs = self._in_turn(starts(), short=n_iter is not None)
        for (index, one), run in zip(asked, runs, strict=True):
            if isinstance(run, Run):
                run = replace(run, passes=run.passes + one.passes)
            found[index] = (one.kind, run)
        return [found[index] for index in indices]

    def climb_all(
        self, starts: Sequence[Parameters], n_iter: int, before: Sequence[int], together: Together
    ) -> list[Run[Any] | NumericalFailure]:
        """So many plain steps from each; on few rows threads take the bursts, and Python goes on in one of them."""
        if not self.quick:
            return super().climb_all(starts, n_iter, before, together)
        steps = [min(n_iter, self.limits.max_iter - done) for done in before]
        return self._in_turn(((start, most, None) for start, most in zip(starts, steps, strict=True)), short=True)

    def glance_all(self, starts: Sequence[Parameters], n_iter: int, together: Together) -> list[Glimpse | None]:
        """The same, of whose ends no more is asked; on few rows bursts tell all that is wanted."""
        if not self.quick or not starts or self._is_stopped():
            return super().glance_all(starts, n_iter, together)
        most = min(n_iter, self.limits.max_iter)
        ends = short_ends(self.model, self.rough, starts, most, self.tolerance)
        return [None if end is None else _glimpse(end) for end in ends]

    def finish_all(
        self, starts: Sequence[Parameters], indices: Sequence[int | None], together: Together
    ) -> list[Run[Any] | NumericalFailure]:
        """Up to an optimum from each, in the same way."""
        if not self.quick_climbs:
            return super().finish_all(starts, indices, together)
        most = self.limits.max_iter
        asked = ((start, most, self.told(index)) for start, index in zip(starts, indices, strict=True))
        return self._in_turn(asked, short=False)

    def _in_turn(self, asked: Iterable[_Asked], short: bool) -> list[Run[Any] | NumericalFailure]:
        """Runs, one after another, while threads take the first bursts of the next ones; short ones are plain."""
        variant, source = (Plain("off"), self.rough) if short else (self.variant, self.source)
        solver = variant.solver(self.model, AitkenRule(self.source.weight, tol=self.tolerance))
        block, waiting = source.block(0), deque[_Asked]()

        def runs() -> Iterator[Start]:
            for start, most, told in asked:
                waiting.append((start, most, told))
                yield self.model, start, solver.journey(solver.init(start), source, most), block

        found = list[Run[Any] | NumericalFailure]()
        with closing(first_trails(runs(), self.limits.deadline, ends_only=short)) as trails:
            for trail in trails:
                start, most, told = waiting.popleft()
                whole = self._whole(trail, most) if short and trail is not None else None
                try:
                    known = None if short else trail
                    found.append(self._run(variant, start, most, told, known, source) if whole is None else whole)
                except NumericalFailure as failure:
                    found.append(failure)
        return found

    def _whole(self, trail: Trail, most: int) -> Run[Any] | None:
        """The short run that a trail is, if it is all of it."""
        if self._is_stopped():
            return None
        ended = whole_run(trail, most, self.tolerance)
        if ended is not None:
            self.recent.append(ended)
        return ended

    def _is_stopped(self) -> bool:
        return self.interrupted or (self.limits.cancel is not None and self.limits.cancel.is_set())

    @property
    def variant(self) -> Plain:
        """How runs climb to an optimum."""
        return Plain(self.accelerate)

    def told(self, index: int | None) -> Callable[[Info], None] | None:
        """The observer, of one start."""
        if self.observer is None or index is None:
            return None
        return as_attentive(self.observer, partial(self.observer, index))

    def escapes(self, run: Run[Any], number: int, drawn: bool) -> Ways | None:
        """Moves of the Gaussians that may lead higher."""
        rng = stream(self.seed, "escape", number)
        gaussians = self.treated.gaussians
        rows, params = self.treated.inliers(self.rows, run.params)
        if not rows.weight > 0:
            return Ways(())
        rough = self._rough_of(rows)
        found = gaussian_escapes(gaussians, rows, params, rng, drawn, self.together, self.splits, rough)
        besides = [] if drawn else self.treated.escapes(self.rows, run.params)
        if found is None and not besides:
            return None
        share = 1.0 - float(rows.weight) / float(self.rows.weight)

        def portions() -> Iterator[Sequence[tuple[str, Parameters]]]:
            first = besides
            for portion in found.portions if found is not None else ():
                yield first + [(kind, self.treated.around(gaussians.allowed(moved), share)) for kind, moved in portion]
                first = []
            if first:
                yield first

        return Ways(portions(), unlikely=not besides and found is not None and found.unlikely)

    def crossed(self, params: Parameters, others: Sequence[Parameters]) -> list[Parameters]:
        """The one and another as one each time, which comes down to K components; none of what fails on the way."""
        gaussians, descents = self.treated.gaussians, self._descents()
        rows, own = self.treated.inliers(self.rows, params)
        if not rows.weight > 0:
            return []
        share = 1.0 - float(rows.weight) / float(self.rows.weight)
        united_all = [united(gaussians, own, gaussian_part(self.treated, other)[1]) for other in others]
        begun = [both for both in united_all if both is not None]
        for both in begun:
            descents.begin(both, rows, self._rough_of(rows), _CROSSED_STEPS)
        found = list[Parameters]()
        for _ in begun:
            try:
                found.append(self._from_above(descents, share).params)
            except NumericalFailure:
                continue
        return found

    def regroupings(
        self, run: Run[Any], number: int, nearest: bool = False
    ) -> Generator[Sequence[Parameters], None, None]:
        """Of the Gaussians, on the rows that count for these."""
        gaussians = self.treated.gaussians
        rows, params = self.treated.inliers(self.rows, run.params)
        if not rows.weight > 0:
            return
        share = 1.0 - float(rows.weight) / float(self.rows.weight)
        rng = stream(self.seed, "groups", number)
        with closing(gaussian_regroupings(gaussians, rows, params, rng, self._rough_of(rows), nearest)) as portions:
            for portion in portions:
                yield [self.treated.around(gaussians.allowed(moved), share) for moved in portion]

    def judge(self, run: Run[Any]) -> Verdict:
        """Faults and narrow components."""
        return verdict(self.model, run, self.data.informative, self.degenerate)

    def loglik(self, run: Run[Any]) -> float:
        """The plain log-likelihood of its end."""
        plain = self.treated.plain()
        assessment: Assessment = plain.over(self.rows).fold(plain.model.assess, run.params)
        return assessment.loglik

    def same(self, one: Parameters, other: Parameters) -> bool:
        """Whether means and weights match, in some order."""
        scale = np.where(self.data.scale > 0, self.data.scale, 1.0)
        left, right = (
            np.column_stack([params["means"] / scale, params["weights"][: len(params["means"])]])
            for params in (one, other)
        )
        return matched(left, right, _NEAR)


def _glimpse(end: ShortEnd) -> Glimpse:
    return Glimpse(end.objective, end.heading, end.steps + 1.0, lambda: end.point()[0])


def search_mixture(
    model: Mixture,
    source: ArraySource,
    data: DataSummary,
    seed: int,
    make: Callable[[DataSummary], Callable[[int], tuple[str, Parameters]]],
    finish: Callable[[Parameters, int], Run[Any]],
    accelerate: Accelerate,
    limits: Limits,
    degenerate: Degenerate,
    joined: bool = True,
    observer: Callable[[int, Info], None] | None = None,
    on_end: Callable[[StartRecord], None] | None = None,
    outliers: Outliers | None = None,
    from_above: bool = False,
) -> tuple[Run[Any], Account]:
    """Search on the table of different rows, or a sample of it, and finish the best on all the data.

    Parameters
    ----------
    model : Mixture
        Of Gaussian components.
    source : ArraySource
        All the rows.
    data : DataSummary
        The table of rows.
    seed : int
        Start i draws from the stream (seed, "start", i), escapes from (seed, "escape", j).
    make : callable
        From a table, the function that makes start i.
    finish : callable (Parameters, int) -> Run
        A run on all the data with the user's rule, after so many steps.
    accelerate : Accelerate
        Of every run.
    limits : Limits
        Of every run; the deadline ends the search.
    degenerate : {"avoid", "allow"}
        ``avoid`` sets degenerate and narrow optima aside.
    joined : bool, default=True
        Whether the run that is returned goes on from the search's, where that saw all the rows; under another rule,
        only the steps on all the rows are told.
    observer : callable (int, Info) -> None, optional
        Told of the points of every start that runs to its end; may be called from several threads.
    on_end : callable (StartRecord) -> None, optional
        Told of the end of every start, also of those that are dropped.
    outliers : Outliers, optional
        How rows that belong to no component are treated, around `model`; by default, all belong to one.
    from_above : bool, default=False
        Whether rounds have starts from above, beside those that `make` makes.

    Returns
    -------
    tuple of Run and Account
        The run that ends on all the rows, and what was found; an interrupted run has the status INTERRUPTED.

    Raises
    ------
    NumericalFailure
        If no start has a density.
    KeyboardInterrupt
        If it comes before any run has ended.
    """
    cancel = Event()
    limits = replace(limits, max_iter=min(limits.max_iter, _MAX_ITER), cancel=cancel)
    table, whole = search_rows(source, data, model, seed)
    n_components, d = model.n_components, table.rows.shape[1]

    def together(function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        if len(items) * len(table.rows) * n_components < _WORTH_A_THREAD or threads() == 1:
            return serially(function, items)
        return list(map_ordered(function, items, len(items), cancel))

    treated: Outliers = NoOutliers(model) if outliers is None else outliers
    climbed, rows = treated.model, treated.over(source)
    # Among outliers nothing goes in bursts, and a pass is never next to nothing.
    work = pass_work(model, len(table.rows))
    cheap = work <= _CHEAP and climbed is model
    tolerance, slack = _EXACT if cheap else _ROUGH
    land = MixtureLandscape(
        model,
        table,
        seed,
        make(table),
        accelerate,
        limits,
        degenerate,
        together,
        tolerance,
        slack,
        observer,
        outliers=treated,
    )
    common = model.family.kind.is_common  # type: ignore[attr-defined]
    # Groups have rows and covariances of their own; which rows lie out is for rounds and their escapes to say.
    groups = work <= _MODERATE and not common and climbed is model
    agreeing, in_vain = (3, _IN_VAIN) if work <= _MODERATE and not groups else (2, 0)
    plan = Plan(12, True, 12, 4) if cheap else Plan(_ROUND, False, 30, agreeing, in_vain, _PASSES / (d + 4), groups)
    plan = replace(plan, deadline=limits.deadline)
    land.from_above = from_above and not cheap
    with single_threaded_blas():
        best, account = search(land, plan, together, on_end)
        interrupted = account.ending == "interrupted"
        if interrupted:
            cancel.set()
        if not whole and not interrupted:
            best, number = final(rows, climbed, account, limits, best)
            account = replace(account, sampled=True).led_by(number)
            interrupted = best.status is Status.INTERRUPTED
        account = replace(account, advice="degenerate='allow' takes what is highest")
        joined = joined and whole
        ended = finish(best.params, best.n_iter if joined else 0) if not interrupted else None
    if ended is None:
        return replace(evaluated(climbed, rows, best), status=Status.INTERRUPTED), account
    # One run: the search's, and the steps on all the rows, which are the same rows in another order.
    return continued(best, ended) if joined else ended, account
