"""What a search found: the optima, which starts and escapes reached them, and what was set aside, in words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from jensen.core.parameters import Parameters
from jensen.core.status import Status

# Objectives that differ by less than this, in nats, are the same optimum.
SAME_OPTIMUM = 1e-3
# Optima that an account names in words.
_NAMED = 4

Ending = Literal["agreed", "disagreed", "surpassed", "budget", "degenerate", "time", "interrupted"]
_ENDINGS = {
    "agreed": "",
    "disagreed": "Rounds ended at different optima",
    "surpassed": "Crossings or groups led higher than where rounds agreed",
    "degenerate": "Every end was degenerate",
    "budget": "The budget was spent before enough rounds agreed",
    "time": "The time limit ended the search early: this is the best so far",
    "interrupted": "The search was interrupted: this is the best so far",
}


@dataclass(frozen=True)
class StartRecord:
    """What became of one start.

    Attributes
    ----------
    index : int
        Number of the start, from 0; with the seed it names the random stream.
    kind : str
        How it was drawn.
    objective : float
        Penalised log-likelihood at the end; minus infinity if the start had no density.
    status : Status
        How it ended.
    n_iter : int
        M-steps.
    faults : tuple of str
        Why it is degenerate; empty for a sound one.
    seconds : float
        Wall time; in a search, an equal share of the time of its round's starts, and 0 if it was dropped.
    passes : float
        Passes over the data, or over the rows of the search.
    price : float
        Nats by which its narrow components must beat other ends to be chosen.
    optimum : int or None
        Number of the optimum where it ended, 0 for the one that was chosen; None if it was dropped or had no density,
        and where there was no search.
    """

    index: int
    kind: str
    objective: float
    status: Status
    n_iter: int
    faults: tuple[str, ...]
    seconds: float
    passes: float = 0.0
    price: float = 0.0
    optimum: int | None = None

    @property
    def is_sound(self) -> bool:
        """Whether nothing about the result is degenerate."""
        return not self.faults and self.status is not Status.DEGENERATE


@dataclass(frozen=True, eq=False)
class Optimum:
    """A place where runs ended, whatever the order of their components.

    Attributes
    ----------
    params : Parameters
        The parameters there.
    objective : float
        The objective there, on the rows of the search.
    loglik : float
        The plain log-likelihood there, without penalties, on the same rows; the objective for optima far behind.
    faults : tuple of str
        Why it is degenerate.
    narrow : tuple of str
        Components that are narrow beside the others, and on few rows.
    price : float
        Nats by which narrow components must beat other optima to be chosen.
    n_starts : int
        Starts that ended here.
    n_escapes : int
        Escapes from other optima that ended here.
    """

    params: Parameters
    objective: float
    loglik: float
    faults: tuple[str, ...]
    narrow: tuple[str, ...]
    price: float
    n_starts: int
    n_escapes: int

    @property
    def standing(self) -> tuple[bool, float]:
        """What optima are ranked by: sound ones first, then the objective less the price."""
        return not self.faults, self.objective - self.price


@dataclass(frozen=True)
class Move:
    """An escape that was tried.

    Attributes
    ----------
    kind : str
        ``split and merge``, ``swap``, ...
    before, after : float
        Objective of the optimum that was left, and where the short run ended; minus infinity without a density.
    accepted : bool
        Whether the search went on from there.
    """

    kind: str
    before: float
    after: float
    accepted: bool


@dataclass(frozen=True, eq=False)
class Account:
    """The account of a search.

    Attributes
    ----------
    optima : tuple of Optimum
        The chosen one in front, the others by their standing.
    starts : tuple of StartRecord
        Every start.
    moves : tuple of Move
        Every escape that was tried, in order.
    rounds : int
        How often starts were drawn and escapes tried.
    confirmed : int
        How often the best optimum was reached: by starts, or by rounds with their escapes, whichever is more.
    passes : float
        Passes of EM over the rows of the search; to plan escapes takes some more.
    n_rows : int
        Rows of the search: all of them, or a sample's.
    ending : {"agreed", "disagreed", "surpassed", "budget", "degenerate", "time", "interrupted"}
        What ended it; ``agreed`` also where all starts did, or where it was plain that no escape leads higher;
        ``disagreed`` where groups of components were fitted anew instead of further rounds; ``surpassed`` where a
        crossing or a group led higher than where rounds agreed.
    sampled : bool
        Whether the rows are a sample of the data; what it found was then finished on all of them.
    advice : str
        How to take what was set aside.
    """

    optima: tuple[Optimum, ...]
    starts: tuple[StartRecord, ...]
    moves: tuple[Move, ...]
    rounds: int
    confirmed: int
    passes: float
    n_rows: int
    ending: Ending
    sampled: bool = False
    advice: str = ""

    def led_by(self, number: int) -> Account:
        """The account with another optimum in front, such as the one that all the rows favour over a sample's best."""
        order = [number, *(i for i in range(len(self.optima)) if i != number)]
        at = {old: new for new, old in enumerate(order)}
        starts = tuple(replace(s, optimum=None if s.optimum is None else at[s.optimum]) for s in self.starts)
        confirmed = self.confirmed if number == 0 else self.optima[number].n_starts
        return replace(self, optima=tuple(self.optima[i] for i in order), starts=starts, confirmed=confirmed)

    @property
    def set_aside(self) -> tuple[Optimum, ...]:
        """Optima of a higher objective than the chosen one, that were not preferred to it."""
        height = self.optima[0].objective + SAME_OPTIMUM
        return tuple(o for o in self.optima[1:] if o.objective > height and (o.faults or o.narrow))

    @property
    def is_sure(self) -> bool:
        """Whether the best optimum was reached more than once."""
        return self.confirmed > 1

    def __str__(self) -> str:
        best, higher = self.optima[0], self.set_aside
        finished = sum(start.optimum is not None for start in self.starts)
        # Optima that print alike are told as one.
        heights: dict[str, int] = {}
        for other in self.optima[1:]:
            if other.n_starts and other not in higher:
                height = f"{other.loglik:.2f}"
                heights[height] = heights.get(height, 0) + other.n_starts
        top = f"{best.loglik:.2f}"
        parts = [f"{best.n_starts} of {finished} starts ended at {top}"]
        if top in heights:
            parts.append(f"{heights.pop(top)} less than 0.01 beside it")
        others = sorted(heights.items(), key=lambda one: -one[1])
        parts += [f"{n} at {height}" for height, n in others[:_NAMED]]
        if len(others) > _NAMED:
            n = len(others) - _NAMED
            parts.append(f"{sum(count for _, count in others[_NAMED:])} at {n} other{'s' * (n != 1)}, no higher")
        dropped = sum(start.status is Status.DROPPED for start in self.starts)
        if dropped:
            parts.append(f"{dropped} fell behind and were dropped")
        if self.moves:
            taken, n = sum(move.accepted for move in self.moves), len(self.moves)
            gained = "nothing higher" if not taken else f"{taken} led higher"
            parts.append(f"{gained} in {n} escape{'s' * (n != 1)}")
        text = (f"On a sample of {self.n_rows:,} rows: " if self.sampled else "") + "; ".join(parts) + "."
        if higher:
            aside = max(higher, key=lambda o: (not o.faults, o.objective))
            why = (*aside.faults, *aside.narrow)
            reached = f", {aside.n_starts} start{'s' * (aside.n_starts != 1)}" if aside.n_starts else ""
            text += f" Set aside: {aside.loglik:.2f} ({why[0]}{reached})"
            text += f" and {len(higher) - 1} more" if len(higher) > 1 else ""
            text += f"; {self.advice}." if self.advice else "."
        return f"{text} {_ENDINGS[self.ending]}." if self.ending != "agreed" else text

    @property
    def warning(self) -> str:
        """A plain warning where rounds did not agree and the best optimum was reached no more than once, or empty."""
        if self.is_sure or self.ending not in ("disagreed", "surpassed", "budget"):
            return ""
        return (
            f"the best optimum was reached once in {self.rounds} rounds, of {len(self.starts)} starts: a better one "
            "may exist. Search again with another seed, or fit a simpler model"
        )
