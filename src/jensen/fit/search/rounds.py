"""The search for the best optimum: rounds of diverse starts, escapes from what they found, until rounds agree.

A round draws starts of several kinds. Where passes are cheap each runs to its end; else short runs drop those that fall
behind, and the best goes on (em-EM, Biernacki, Celeux & Govaert 2003; successive halving). From the best end the round
tries escapes, each a short run, until none leads higher (split and merge, Ueda et al. 2000; random swaps, Zhao et al.
2012). Rounds go on until they agree: easy problems end after one, hard ones get more. Nothing here knows what is
fitted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from jensen.core.contracts import Run
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.errors import NumericalFailure
from jensen.fit.search.account import Account, Ending, Move, Optimum, StartRecord
from jensen.fit.search.climbing import heading
from jensen.fit.search.landscape import Landscape, Plan, Together, Verdict
from jensen.solve.loop import continued

T = TypeVar("T")
U = TypeVar("U")

# Starts that all agree make one round enough.
_UNANIMOUS = 8
# Steps of the short run of a start or an escape, of the starts that are left then, and of the best escapes of a batch.
_SHORT, _MIDDLE, _LONGER = 8, 16, 32
_FOLLOWED = 3
# Share of what tells optima apart within which the objective alone makes them one.
_LEVEL = 0.1
# Rounds without a sound end after which none is expected.
_HOPELESS = 3
# Starts of a round that are run to their end, where most are dropped; two, if the highest does not promise most.
_FINISHED = 1
# Where rounds do not agree: how many times the passes of the search groups may take, how many go together, and their
# first steps; then by how many nats they may seem to stay behind, and further steps.
_MORE, _TOGETHER, _GROUPED = 12.0, 32, 4
_STAGES = (26.0, 8), (1.0, 12), (0.05, 0)
# Batches of draws in vain that stand for a round where groups are at hand.
_FOR_A_ROUND = 2
# Optima, from the best, whose plain log-likelihood is taken for the account.
_ASSESSED = 12


@dataclass(eq=False)
class _Place:
    """An optimum while the search is on."""

    run: Run[Any]
    verdict: Verdict
    starts: int = 0
    escapes: int = 0
    rounds: int = 0
    in_vain: int = 0  # batches of draws from here that led nowhere
    tried: bool = False
    unlikely: bool = False  # that escapes lead higher
    way: _Place | None = None  # where escapes from here led

    @property
    def standing(self) -> tuple[bool, float]:
        return _standing(self.run, self.verdict)


# A start's index, its kind, and its run so far.
_Begun = tuple[int, str, Run[Any]]


class _OutOfTime(Exception):
    """The deadline has passed."""


class _Search:
    """The state of one search."""

    def __init__(
        self,
        land: Landscape,
        plan: Plan,
        together: Together,
        on_end: Callable[[StartRecord], None] | None = None,
    ) -> None:
        self.land, self.plan, self.together, self.on_end = land, plan, together, on_end
        self.places = list[_Place]()
        self.records = list[StartRecord]()
        self.ends = dict[int, _Place]()
        self.moves = list[Move]()
        self.passes = 0.0
        self.rounds = self.batches = 0
        self.plain: Run[Any] | None = None  # from where no escape can lead higher
        self.unlikely = False  # what was said of the last escapes
        self.failure: NumericalFailure | None = None

    def run(self) -> tuple[Run[Any], Account]:
        """Search, and return the best run with the account."""
        ending: Ending = "budget"
        try:
            while self.rounds < self.plan.rounds and self.passes <= self.plan.max_passes:
                self._round()
                if self._agreed():
                    ending = "agreed"
                    break
                if self._groups_are_due():
                    ending = "disagreed"
                    break
                if self.rounds >= _HOPELESS and all(place.verdict.faults for place in self.places):
                    ending = "degenerate"
                    break
            if ending in ("disagreed", "budget") and self.places:
                self._regroup()
        except _OutOfTime:
            ending = "time"
        except KeyboardInterrupt:
            # What has ended counts, also of the batch that was interrupted: the best point is never lost.
            for run in list(self.land.recent):
                self._place(run)
            if not self.places:
                raise
            ending = "interrupted"
        if not self.places:
            raise self.failure or NumericalFailure("no start has a density")
        best = self._best()
        if best.run.status is Status.INTERRUPTED:
            ending = "interrupted"
        return best.run, self._account(ending)

    # ------------------------------------------------------------------------------------------------- rounds

    def _round(self) -> None:
        number, self.rounds = self.rounds, self.rounds + 1
        first = number * self.plan.starts
        ended = self._starts(range(first, first + self.plan.starts))
        if not ended:
            return
        top = self._climb_out(max(ended, key=lambda place: place.standing))
        top.rounds += 1
        # From the best, draws may find a way that plans did not: where rounds disagree, and before their word is taken.
        # Where groups are at hand if they find one, they come in the place of further rounds.
        best, besides = self._best(), self.plan.in_vain if self.plan.quick_groups else 0
        certain = best.run is self.plain or best.unlikely or self._groups_are_due()
        while number and not certain and (top is not best or self._agreed(besides)):
            in_vain = self._climb_out(best, drawn=True) is best
            best.in_vain += in_vain
            if top is not best or not in_vain or self._agreed():
                break

    def _starts(self, indices: range) -> list[_Place]:
        """Draw, climb a little and drop half of the starts, again, and run the rest to their end."""
        began = time.perf_counter()
        steps = None if self.plan.thorough else _SHORT
        begun = self._batch(lambda: self.land.start_all(indices, steps, self.together))
        alive = list[_Begun]()
        for index, (kind, run) in zip(indices, begun, strict=True):
            if isinstance(run, NumericalFailure):
                self.failure = self.failure or run
                record = StartRecord(index, kind, -np.inf, Status.DEGENERATE, 0, (str(run),), 0.0)
                self._record(record)
            else:
                self.passes += run.passes
                alive.append((index, kind, run))
        if not self.plan.thorough:
            alive = self._further(self._better(alive, max(1, len(alive) // 2)), _MIDDLE)
            alive = self._better(alive, _FINISHED)
            ends = zip(alive, self._finish(alive), strict=True)
            alive = [(i, kind, self.land.joined(run, more)) for (i, kind, run), more in ends]
        seconds = (time.perf_counter() - began) / max(len(indices), 1)
        found = list[_Place]()
        for index, kind, run in alive:
            place = self._place(run)
            place.starts += 1
            self.ends[index] = place
            faults, price = place.verdict.faults, place.verdict.price
            told = StartRecord(index, kind, run.objective, run.status, run.n_iter, faults, seconds, run.passes, price)
            self._record(told)
            found.append(place)
        return found

    def _better(self, alive: list[_Begun], n_kept: int) -> list[_Begun]:
        """So many starts, of those to one place a single one: the highest, and those that seem to lead highest.

        There are two at least, where these are not the same.
        """
        verdicts = [self.land.judge(run) for *_, run in alive]

        def ranked(height: Callable[[Run[Any]], float]) -> list[int]:
            standings = [
                (not verdict.faults, height(run) - verdict.price)
                for (*_, run), verdict in zip(alive, verdicts, strict=True)
            ]
            return sorted(range(len(alive)), key=lambda i: standings[i], reverse=True)

        # What is far from its end promises much: who is high already is heard, too.
        keep = ranked(lambda run: run.objective)[:1]
        for place, i in enumerate(ranked(heading)):
            wanted = place == 0 or len(keep) < n_kept
            if wanted and i not in keep and not any(self._same(alive[i][2], alive[j][2]) for j in keep):
                keep.append(i)
        for i, (index, kind, run) in enumerate(alive):
            if i not in keep:
                self._record(StartRecord(index, kind, run.objective, Status.DROPPED, run.n_iter, (), 0.0, run.passes))
        return [alive[i] for i in sorted(keep)]

    def _further(self, alive: list[_Begun], n_iter: int) -> list[_Begun]:
        runs = self._climb([run.params for *_, run in alive], n_iter, [run.n_iter for *_, run in alive])
        further = list[_Begun]()
        for (index, kind, run), more in zip(alive, runs, strict=True):
            if isinstance(more, NumericalFailure):
                raise more
            self.passes += more.passes
            further.append((index, kind, continued(run, more)))
        return further

    def _finish(self, alive: list[_Begun]) -> list[Run[Any]]:
        runs = self._map(lambda one: self.land.finish(one[2].params, one[0], one[2].n_iter), alive)
        self.passes += sum(run.passes for run in runs)
        return runs

    # ------------------------------------------------------------------------------------------------- escapes

    def _climb_out(self, place: _Place, drawn: bool = False) -> _Place:
        """The place where escapes lead, one after another, until none of a batch leads higher; or this one."""
        # What has been tried from a place by plan is not tried again: where it led is known.
        while place.way is not None and not drawn:
            place = place.way
        while (drawn or not place.tried) and self.passes <= self.plan.max_passes:
            here, verdict, moved = place.run, place.verdict, False
            while self.passes <= self.plan.max_passes:
                found = self._escape(here, verdict, drawn and not moved)
                if found is None:
                    break
                (here, verdict), moved = found, True
            place.tried, drawn = True, False
            if not moved:
                place.unlikely = place.unlikely or self.unlikely
                break
            finished = self._map(self.land.finish, [here.params])[0]
            self.passes += finished.passes
            reached = self._place(finished)
            reached.escapes += 1
            if reached.standing > place.standing:
                place.way = reached
            place = reached
        return place

    def _escape(self, origin: Run[Any], against: Verdict, drawn: bool) -> tuple[Run[Any], Verdict] | None:
        """The best of a batch of escapes, some steps on its way, if it is higher already."""
        self._look_at_the_clock()
        self.batches += 1
        ways = self.land.escapes(origin, self.batches, drawn)
        self.unlikely = ways is not None and ways.unlikely
        if ways is None:
            self.plain = origin
            return None
        for portion in ways.portions:
            found = self._best_of(portion, origin, against, drawn)
            if found is not None:
                return found
        return None

    def _best_of(
        self, tried: Sequence[tuple[str, Parameters]], origin: Run[Any], against: Verdict, drawn: bool
    ) -> tuple[Run[Any], Verdict] | None:
        # Where a component that is drawn anew will settle shows late, where a planned move leads shows soon.
        runs = self._climb_all([params for _, params in tried], _SHORT + _LONGER if drawn else _SHORT)
        # The origin itself may have some way to go.
        goal = heading(origin) + self.land.slack
        order = sorted((i for i, run in enumerate(runs) if run is not None), key=lambda i: -heading(runs[i]))
        hopeful = [i for i in order[:_FOLLOWED] if heading(runs[i]) > goal]
        if not any(runs[i].objective > goal for i in hopeful):
            for i, more in zip(hopeful, self._climb_all([runs[i].params for i in hopeful], _LONGER), strict=True):
                runs[i] = more if more is not None else runs[i]
        found = [(runs[i], self.land.judge(runs[i]), i) for i in hopeful]
        best = max(found, key=lambda one: _standing(one[0], one[1]), default=None)
        risen = best is not None and _standing(best[0], best[1]) > (not against.faults, goal - against.price)
        for i, (kind, _) in enumerate(tried):
            after = -np.inf if runs[i] is None else runs[i].objective
            self.moves.append(Move(kind, origin.objective, after, risen and best is not None and i == best[2]))
        return (best[0], best[1]) if risen and best is not None else None

    def _regroup(self) -> None:
        """Where rounds did not agree: groups of the best optimum's components fitted anew, until this leads nowhere."""
        most, risen = self.passes + _MORE * self.plan.max_passes, True
        while risen and self.passes <= most:
            self._look_at_the_clock()
            self.batches += 1
            place = self._best()
            with closing(self.land.regroupings(place.run, self.batches)) as portions:
                risen = any(self._first_higher(portion, place) for portion in portions)

    def _first_higher(self, tried: Sequence[Parameters], place: _Place) -> bool:
        """Whether one of these leads higher than a place; the rest are then not needed."""
        origin, here = place.run, heading(place.run)
        for at in range(0, len(tried), _TOGETHER):
            found = self._climb_all(tried[at : at + _TOGETHER], _GROUPED)
            runs = [run for run in found if run is not None]
            hopeful = list(range(len(runs)))
            for behind, steps in _STAGES:
                # A group that loses for good is left, and so is one that has come back.
                hopeful = [i for i in hopeful if heading(runs[i]) > here - behind and not self._same(runs[i], origin)]
                further = self._climb_all([runs[i].params for i in hopeful], steps) if steps else []
                for i, more in zip(hopeful, further, strict=False):
                    runs[i] = runs[i] if more is None else continued(runs[i], more)
            risen = set[int]()
            for i, finished in zip(hopeful, self._finish_all([runs[i].params for i in hopeful]), strict=True):
                if finished is None:
                    continue
                reached = self._place(finished)
                if reached.standing > place.standing:
                    reached.escapes += 1
                    risen.add(i)
            self.moves += [Move("groups", origin.objective, run.objective, i in risen) for i, run in enumerate(runs)]
            if risen:
                return True
        return False

    def _finish_all(self, places: Sequence[Parameters]) -> list[Any]:
        found = self._batch(lambda: self.land.finish_all(places, [None] * len(places), self.together))
        runs = [None if isinstance(run, NumericalFailure) else run for run in found]
        self.passes += sum(run.passes for run in runs if run is not None)
        return runs

    def _climb_all(self, starts: Sequence[Parameters], n_iter: int) -> list[Any]:
        runs = [None if isinstance(run, NumericalFailure) else run for run in self._climb(starts, n_iter)]
        self.passes += sum(run.passes for run in runs if run is not None)
        return runs

    def _climb(
        self, starts: Sequence[Parameters], n_iter: int, before: Sequence[int] | None = None
    ) -> list[Run[Any] | NumericalFailure]:
        done = before or [0] * len(starts)
        return self._batch(lambda: self.land.climb_all(starts, n_iter, done, self.together))

    def _record(self, record: StartRecord) -> None:
        self.records.append(record)
        if self.on_end is not None:
            self.on_end(record)

    # --------------------------------------------------------------------------------------------------- places

    def _place(self, run: Run[Any]) -> _Place:
        """The place where a run ended, known or new."""
        for place in self.places:
            if self._same(run, place.run):
                # By a hair it stays as it is, and its components in their order.
                if run.objective > place.run.objective + _LEVEL * self.land.slack and run.status.is_converged:
                    place.run = run
                return place
        place = _Place(run, self.land.judge(run))
        self.places.append(place)
        return place

    def _same(self, one: Run[Any], other: Run[Any]) -> bool:
        slack, apart = max(self.land.slack, 1e-9 * abs(other.objective)), abs(one.objective - other.objective)
        # Where the likelihood is flat, or components coincide, one height has many parameters.
        return apart < _LEVEL * slack or (apart < slack and self.land.same(one.params, other.params))

    def _best(self) -> _Place:
        return max(self.places, key=lambda place: place.standing)

    def _agreed(self, besides: int = 0) -> bool:
        """Whether rounds agree, or would if so many batches of draws more had led nowhere."""
        if not self.places:
            return False
        best = self._best()
        # One round by itself may have met a place whose ways are hidden.
        confirmed = best.rounds + (best.unlikely and best.rounds > 1)
        unanimous = best.starts == len(self.ends) >= _UNANIMOUS
        # Where most rounds end elsewhere, ways are hard to find, and that none was found says little.
        if 2 * best.rounds >= self.rounds:
            in_vain = min(best.in_vain + besides, self.plan.in_vain)
            confirmed += in_vain // _FOR_A_ROUND if self.plan.quick_groups else in_vain
        return unanimous or best.run is self.plain or confirmed >= self.plan.agreeing + (best.rounds < self.rounds)

    def _groups_are_due(self) -> bool:
        """Whether groups tell sooner, since no more than half of several rounds ended at the best optimum."""
        apart = self.rounds > 1 and bool(self.places) and 2 * self._best().rounds <= self.rounds
        return self.plan.quick_groups and apart

    def _map(self, function: Callable[[T], U], items: Sequence[T]) -> list[U]:
        return self._batch(lambda: self.together(function, items))

    def _batch(self, work: Callable[[], list[U]]) -> list[U]:
        self._look_at_the_clock()
        results = work()
        if self.land.interrupted:
            raise KeyboardInterrupt
        return results

    def _look_at_the_clock(self) -> None:
        if self.places and time.perf_counter() > self.plan.deadline:
            raise _OutOfTime

    def _account(self, ending: Ending) -> Account:
        ranked = sorted(self.places, key=lambda place: place.standing, reverse=True)
        number = {id(place): i for i, place in enumerate(ranked)}
        records = sorted(self.records, key=lambda record: record.index)
        optima = tuple(
            Optimum(
                place.run.params,
                place.run.objective,
                self.land.loglik(place.run) if i < _ASSESSED else place.run.objective,
                place.verdict.faults,
                place.verdict.narrow,
                place.verdict.price,
                place.starts,
                place.escapes,
            )
            for i, place in enumerate(ranked)
        )
        starts = tuple(
            replace(record, optimum=number[id(self.ends[record.index])] if record.index in self.ends else None)
            for record in records
        )
        best = ranked[0]
        confirmed = max(best.starts, best.rounds)
        return Account(optima, starts, tuple(self.moves), self.rounds, confirmed, self.passes, self.land.n_rows, ending)


def search(
    land: Landscape, plan: Plan, together: Together, on_end: Callable[[StartRecord], None] | None = None
) -> tuple[Run[Any], Account]:
    """The best run from diverse starts and escapes, and the account of all of them.

    Parameters
    ----------
    land : Landscape
        What is searched.
    plan : Plan
        What may be spent.
    together : callable
        Applies a function to every item of a batch, in threads or not, and returns the results in order.
    on_end : callable (StartRecord) -> None, optional
        Told of every start that has ended or was dropped.

    Raises
    ------
    NumericalFailure
        If no start has a density.
    KeyboardInterrupt
        If it comes before any start has ended.
    """
    return _Search(land, plan, together, on_end).run()


def _standing(run: Run[Any], verdict: Verdict) -> tuple[bool, float]:
    """What ends are ranked by: sound ones first, then the objective less the price."""
    return not verdict.faults, run.objective - verdict.price
