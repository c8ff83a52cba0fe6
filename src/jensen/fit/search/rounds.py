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
from dataclasses import replace
from typing import Any

import numpy as np

from jensen.core.contracts import Run
from jensen.core.parameters import Parameters
from jensen.core.status import Status
from jensen.errors import NumericalFailure
from jensen.fit.search.account import Account, Ending, Move, Optimum, StartRecord
from jensen.fit.search.climbing import heading
from jensen.fit.search.farther import Farther
from jensen.fit.search.landscape import Landscape, Plan, Together, Verdict
from jensen.fit.search.places import OutOfTime, Place, standing
from jensen.solve.loop import continued

# Starts that all agree make one round enough.
_UNANIMOUS = 8
# Steps of the short run of a start or an escape, of the starts that are left then, and of the best escapes of a batch.
_SHORT, _MIDDLE, _LONGER = 8, 16, 32
_FOLLOWED = 3
# Rounds without a sound end after which none is expected.
_HOPELESS = 3
# Ends that the best is crossed with where rounds did not agree, and before they are taken at their word.
_APART, _CHECKED = 10, 4
# Starts of a round that are run to their end, where most are dropped; two, if the highest does not promise most.
_FINISHED = 1
# Optima, from the best, whose plain log-likelihood is taken for the account.
_ASSESSED = 12

# A start's index, its kind, and its run so far.
_Begun = tuple[int, str, Run[Any]]


class _Search(Farther):
    """The state of one search."""

    def __init__(
        self,
        land: Landscape,
        plan: Plan,
        together: Together,
        on_end: Callable[[StartRecord], None] | None = None,
    ) -> None:
        super().__init__(land, plan, together)
        self.on_end, self.rounds = on_end, 0
        self.records = list[StartRecord]()
        self.reached = dict[int, Place]()
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
            if ending == "agreed" and self.plan.quick_groups and not self._is_certain():
                best = self._best()
                self._cross(_CHECKED)
                ending = "surpassed" if self._best() is not best or self._regroup(nearest=True) else "agreed"
            if ending in ("disagreed", "surpassed", "budget") and self.places:
                self._cross(_APART)
                self._regroup()
        except OutOfTime:
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
        top = max(ended, key=lambda place: place.standing)
        # Above all that rounds before met, it says that they disagree. Then the best is crossed, which sees further.
        surpassed = self.plan.quick_groups and number and top is self._best() and not top.rounds
        top = top if surpassed else self._climb_out(top)
        top.rounds += 1
        # From the best, draws may find a way that plans did not: where rounds disagree, and before their word is taken.
        # Groups do so at less cost.
        best = self._best()
        certain = self._is_certain() or self.plan.quick_groups
        while number and not certain and (top is not best or self._agreed()):
            in_vain = self._climb_out(best, drawn=True) is best
            best.in_vain += in_vain
            if top is not best or not in_vain or self._agreed():
                break

    def _is_certain(self) -> bool:
        """Whether nothing is likely to lead higher than the best."""
        best = self._best()
        return best.run is self.plain or best.unlikely

    def _starts(self, indices: range) -> list[Place]:
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
            self.ends += [run for *_, run in alive]
            alive = self._better(alive, _FINISHED)
            ends = zip(alive, self._finish(alive), strict=True)
            alive = [(i, kind, self.land.joined(run, more)) for (i, kind, run), more in ends]
        seconds = (time.perf_counter() - began) / max(len(indices), 1)
        found = list[Place]()
        for index, kind, run in alive:
            place = self._place(run)
            place.starts += 1
            self.reached[index] = place
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

    def _climb_out(self, place: Place, drawn: bool = False) -> Place:
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
        best = max(found, key=lambda one: standing(one[0], one[1]), default=None)
        risen = best is not None and standing(best[0], best[1]) > (not against.faults, goal - against.price)
        for i, (kind, _) in enumerate(tried):
            after = -np.inf if runs[i] is None else runs[i].objective
            self.moves.append(Move(kind, origin.objective, after, risen and best is not None and i == best[2]))
        return (best[0], best[1]) if risen and best is not None else None

    def _record(self, record: StartRecord) -> None:
        self.records.append(record)
        if self.on_end is not None:
            self.on_end(record)

    def _agreed(self) -> bool:
        """Whether rounds agree."""
        if not self.places:
            return False
        best = self._best()
        # One round by itself may have met a place whose ways are hidden.
        confirmed = best.rounds + (best.unlikely and best.rounds > 1)
        unanimous = best.starts == len(self.reached) >= _UNANIMOUS
        # Where most rounds end elsewhere, ways are hard to find, and that none was found says little.
        confirmed += min(best.in_vain, self.plan.in_vain) * (2 * best.rounds >= self.rounds)
        return unanimous or best.run is self.plain or confirmed >= self.plan.agreeing + (best.rounds < self.rounds)

    def _groups_are_due(self) -> bool:
        """Whether groups tell sooner, since no more than half of several rounds ended at the best optimum."""
        apart = self.rounds > 1 and bool(self.places) and 2 * self._best().rounds <= self.rounds
        return self.plan.quick_groups and apart

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
            replace(record, optimum=number[id(self.reached[record.index])] if record.index in self.reached else None)
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
