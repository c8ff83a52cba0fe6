"""What leads farther than a round and its escapes: solutions that are crossed, and groups that are fitted anew."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from jensen.core.contracts import Run
from jensen.core.parameters import Parameters
from jensen.fit.search.account import Move
from jensen.fit.search.climbing import heading
from jensen.fit.search.landscape import Landscape, Plan, Together
from jensen.fit.search.places import Place, Places

# Ends that the best is crossed with once groups have led higher; steps of what comes of it, and of these how many run
# to their end.
_PARTNERS, _CROSSED, _FINISHED = 5, 24, 2
# How many times the passes of the search groups may take, how many go together, and their first steps; then by how many
# nats they may seem to stay behind, and further steps.
_MORE, _TOGETHER, _GROUPED = 12.0, 32, 4
_STAGES = (26.0, 8), (1.0, 12), (0.05, 0)


class Farther(Places):
    """Ways that lead farther, from the best of all places.

    Attributes
    ----------
    ends : list of Run
        Of starts, also of those that were dropped after a while, and of crossings: what the best may be crossed with.
    """

    def __init__(self, land: Landscape, plan: Plan, together: Together) -> None:
        super().__init__(land, plan, together)
        self.ends = list[Run[Any]]()

    def _cross(self, n_partners: int) -> None:
        """Cross the best place with so many other ends and places, as long as this leads higher."""
        risen = True
        while risen:
            self._look_at_the_clock()
            place = self._best()
            origin = place.run
            partners = self._partners(origin, n_partners)
            children = self.land.crossed(origin.params, [partner.params for partner in partners])
            runs = [run for run in self._climb_all(children, _CROSSED) if run is not None]
            self.ends += runs
            hopeful, goal = list[int](), heading(origin) + self.land.slack
            for i in sorted(range(len(runs)), key=lambda i: -heading(runs[i])):
                if heading(runs[i]) > goal and not any(self._same(runs[i], runs[j]) for j in hopeful):
                    hopeful.append(i)
            led = self._finished_higher([runs[i].params for i in hopeful[:_FINISHED]], place)
            risen = any(led)
            higher = {i for i, one in zip(hopeful, led, strict=False) if one}
            self.moves += [Move("crossing", origin.objective, run.objective, i in higher) for i, run in enumerate(runs)]

    def _finished_higher(self, starts: Sequence[Parameters], place: Place) -> list[bool]:
        """Runs from these to their end, and which of them ended higher than a place."""
        found = list[bool]()
        for finished in self._finish_all(starts):
            reached = None if finished is None else self._place(finished)
            found.append(reached is not None and reached.standing > place.standing)
            if reached is not None and found[-1]:
                reached.escapes += 1
        return found

    def _partners(self, origin: Run[Any], most: int) -> list[Run[Any]]:
        """Sound ends that differ from one another and from the best, those that lead highest first."""
        found = list[Run[Any]]()
        for run in sorted([*self.ends, *(place.run for place in self.places)], key=heading, reverse=True):
            if len(found) == most:
                break
            if not any(self._same(run, one) for one in (origin, *found)) and not self.land.judge(run).faults:
                found.append(run)
        return found

    def _regroup(self, nearest: bool = False) -> bool:
        """Groups of the best optimum's components fitted anew, until this leads nowhere; whether it led anywhere.

        Of the nearest ones alone, no more than once.
        """
        most, risen, first = self.passes + _MORE * self.plan.max_passes, True, self._best()
        while risen and self.passes <= most:
            self._look_at_the_clock()
            self.batches += 1
            place = self._best()
            with closing(self.land.regroupings(place.run, self.batches, nearest)) as portions:
                risen = any(self._first_higher(portion, place) for portion in portions)
            if nearest:
                break
            if risen:
                self._cross(_PARTNERS)
        return self._best() is not first

    def _first_higher(self, tried: Sequence[Parameters], place: Place) -> bool:
        """Whether one of these leads higher than a place; the rest are then not needed."""
        origin, here = place.run, heading(place.run)
        for at in range(0, len(tried), _TOGETHER):
            found = self._glance_all(tried[at : at + _TOGETHER], _GROUPED)
            ends = [end for end in found if end is not None]
            hopeful = list(range(len(ends)))
            for behind, steps in _STAGES:
                # A group that loses for good is left, and so is one that has come back.
                hopeful = [i for i in hopeful if ends[i].heading > here - behind and not self._same(ends[i], origin)]
                further = self._glance_all([ends[i].params for i in hopeful], steps) if steps else []
                for i, more in zip(hopeful, further, strict=False):
                    ends[i] = ends[i] if more is None else more
            led = self._finished_higher([ends[i].params for i in hopeful], place)
            risen = {i for i, one in zip(hopeful, led, strict=True) if one}
            self.moves += [Move("groups", origin.objective, end.objective, i in risen) for i, end in enumerate(ends)]
            if risen:
                return True
        return False
