"""Who is told of a run's points: all of them, or those that the run looks at anyway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Glance:
    """An observer that need not see every point, such as a progress bar: a run is as fast as if nobody looked.

    Attributes
    ----------
    tell : callable
        Told of the points that a run looks at by itself, and of no others.
    """

    tell: Callable[..., None]

    def __call__(self, *seen: Any) -> None:
        self.tell(*seen)


def sees_all(observer: Callable[..., None] | None) -> bool:
    """Whether somebody is to be told of every point."""
    return observer is not None and not isinstance(observer, Glance)


def as_attentive(observer: Callable[..., None], tell: Callable[..., None]) -> Callable[..., None]:
    """A function in an observer's place that sees all where that does, and glances where it glances."""
    return Glance(tell) if isinstance(observer, Glance) else tell
