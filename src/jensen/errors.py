"""Errors and warnings: every message names the cause and the remedy."""

from __future__ import annotations


class JensenError(Exception):
    """Base of every error that Jensen raises."""


class InputError(JensenError, ValueError):
    """An argument or a data set is unusable; the message names it and says what to do."""


class ModelFileError(JensenError, ValueError):
    """A model file cannot be read, is damaged, or was written by a newer version."""


class ContractError(JensenError, TypeError):
    """A user's model, family, source or solver broke its contract; the message names the method."""


class NumericalFailure(JensenError, ArithmeticError):
    """Parameters left the region in which the density exists.

    Numerics raise it and the loop turns it into ``Status.DEGENERATE``, so that a fit in progress is never lost.
    """


class JensenWarning(UserWarning):
    """A result is usable, but deserves a second look; the message names the remedy."""
