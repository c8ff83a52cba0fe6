"""What results have in common when they are printed, or shown in a notebook."""

from __future__ import annotations

from typing import Protocol


class CardLike(Protocol):
    """A result as people read it; see `jensen.report.cards.Card`."""

    def text(self) -> str:
        """Lines of at most 80 columns."""
        ...

    def html(self) -> str:
        """The same for a notebook, with everything escaped that came from the data."""
        ...


class Printed:
    """A result that is printed as a card, which its class makes in `_card`."""

    def _card(self) -> CardLike:
        raise NotImplementedError

    def __str__(self) -> str:
        """The result as people read it, in 80 columns."""
        return self._card().text()

    def _repr_html_(self) -> str:
        return self._card().html()
