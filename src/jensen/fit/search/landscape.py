"""What a search needs to know: a landscape to climb in, what may be spent, and what speaks against an end."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np

from jensen.core.contracts import Run
from jensen.core.parameters import Parameters
from jensen.errors import NumericalFailure

# Applies a function to every item of a batch, in threads or not, and returns the results in order.
Together = Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]]


@dataclass(frozen=True)
class Verdict:
    """What speaks against an optimum; by default nothing.

    Attributes
    ----------
    faults : tuple of str
        Why it is degenerate.
    narrow : tuple of str
        Narrow components, in words.
    price : float
        Nats that these must bring to be believed.
    """

    faults: tuple[str, ...] = ()
    narrow: tuple[str, ...] = ()
    price: float = 0.0


class Drawn(NamedTuple):
    """A start.

    Attributes
    ----------
    kind : str
        How it was drawn.
    params : Parameters
        Where it begins.
    passes : float
        What it cost.
    """

    kind: str
    params: Parameters
    passes: float = 0.0


class Ways(NamedTuple):
    """Where an optimum may be left for a higher one.

    Attributes
    ----------
    portions : iterable of sequence of (str, Parameters)
        Kinds of escape, and where they begin. What promises most goes first: where it leads higher, the other portions
        are not asked for.
    unlikely : bool
        Whether nothing is tried because nothing is likely to lead higher.
    """

    portions: Iterable[Sequence[tuple[str, Parameters]]]
    unlikely: bool = False


@dataclass(frozen=True, eq=False)
class Glimpse:
    """How a short run ended of which nobody asks more.

    Attributes
    ----------
    objective : float
        At its end.
    heading : float
        Where it seems to lead.
    passes : float
        That it took.
    end : callable () -> Parameters
        Where it ended.
    """

    objective: float
    heading: float
    passes: float
    end: Callable[[], Parameters]

    @cached_property
    def params(self) -> Parameters:
        """Where it ended."""
        return self.end()


class Landscape(Protocol):
    """What is searched: a model, its data, and how it climbs.

    Attributes
    ----------
    interrupted : bool
        Whether a run ended by an interrupt.
    recent : iterable of Run
        The last runs that ended, whichever they were: what is left of a batch that was interrupted.
    slack : float
        Objectives that differ by no more, in nats, are the same to the search.
    """

    interrupted: bool
    recent: Any
    slack: float

    @property
    def n_rows(self) -> int:
        """Rows of the search."""
        ...

    def draw(self, index: int) -> Drawn:
        """Start number `index`; a `NumericalFailure` if it has no density."""
        ...

    def start_all(
        self, indices: Sequence[int], n_iter: int | None, together: Together
    ) -> list[tuple[str, Run[Any] | NumericalFailure]]:
        """Kinds of these starts, and runs from them: of so many plain steps, or for None up to an optimum.

        In the place of a run why there is none. The passes that it took to draw starts are counted.
        """
        ...

    def climb(self, start: Parameters, n_iter: int, before: int = 0) -> Run[Any]:
        """So many plain steps; `before` were taken already, which counts where there is a limit."""
        ...

    def climb_all(
        self, starts: Sequence[Parameters], n_iter: int, before: Sequence[int], together: Together
    ) -> list[Run[Any] | NumericalFailure]:
        """So many plain steps from each of these, or why there is none; on threads by `together`."""
        ...

    def glance_all(self, starts: Sequence[Parameters], n_iter: int, together: Together) -> list[Glimpse | None]:
        """The same of many starts, of whose ends no more is asked; None where there is no run."""
        ...

    def finish(self, start: Parameters, index: int | None = None, before: int = 0) -> Run[Any]:
        """Up to an optimum; of a start, if it has an index."""
        ...

    def finish_all(
        self, starts: Sequence[Parameters], indices: Sequence[int | None], together: Together
    ) -> list[Run[Any] | NumericalFailure]:
        """Up to an optimum from each of these places, or why there is none; on threads by `together`."""
        ...

    def joined(self, short: Run[Any], finished: Run[Any]) -> Run[Any]:
        """A short run and the one up to an optimum that went on from its end, as one."""
        ...

    def escapes(self, run: Run[Any], number: int, drawn: bool) -> Ways | None:
        """Places to climb from that may lead higher; if `drawn`, at random, others for every number.

        None where it is plain that no escape can.
        """
        ...

    def crossed(self, params: Parameters, others: Sequence[Parameters]) -> list[Parameters]:
        """What comes of an end put together with each of the others, to climb from; nothing where nothing does."""
        ...

    def regroupings(
        self, run: Run[Any], number: int, nearest: bool = False
    ) -> Generator[Sequence[Parameters], None, None]:
        """All places that differ from an optimum in a group of components, some at a time; others for a number.

        They may lie well below it, and there are many: for when rounds have not agreed. Those of the nearest groups
        alone are for when they have. Empty where there are none.
        """
        ...

    def judge(self, run: Run[Any]) -> Verdict:
        """What speaks against its end."""
        ...

    def loglik(self, run: Run[Any]) -> float:
        """The log-likelihood of its end without penalties."""
        ...

    def same(self, one: Parameters, other: Parameters) -> bool:
        """Whether these are one optimum but for the order of components, given equal objectives."""
        ...


@dataclass(frozen=True)
class Plan:
    """How much a search may spend.

    Attributes
    ----------
    starts : int
        Starts in a round.
    thorough : bool
        Whether every start runs to its end: where passes cost next to nothing.
    rounds : int
        At most.
    agreeing : int
        Rounds that must end at the best optimum; one more where others did not.
    in_vain : int
        Batches of draws from there that led nowhere, each of which stands for such a round, at most so many; where
        half of the rounds ended there.
    max_passes : float
        After which no round and no batch of escapes is begun.
    quick_groups : bool
        Whether groups that are fitted anew tell sooner than draws and further rounds.
    deadline : float
        Moment of ``time.perf_counter()`` after which nothing is begun, once there is an optimum.
    """

    starts: int = 8
    thorough: bool = True
    rounds: int = 12
    agreeing: int = 3
    in_vain: int = 0
    max_passes: float = np.inf
    quick_groups: bool = False
    deadline: float = np.inf


def serially(function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """One item after another."""
    return [function(item) for item in items]
