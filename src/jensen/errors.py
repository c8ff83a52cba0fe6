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


class ConformanceError(JensenError, AssertionError):
    """A check of `jensen.testing` found a method that does not do what its contract says.

    Parameters
    ----------
    method : str
        What is broken, such as ``"Coins.maximize"``.
    fault : str
        What was found, and what was expected.
    """

    def __init__(self, method: str, fault: str) -> None:
        super().__init__(f"{method}: {fault}")
        self.method, self.fault = method, fault

    def __reduce__(self) -> tuple[type[ConformanceError], tuple[str, str]]:
        return type(self), (self.method, self.fault)


class NumericalFailure(JensenError, ArithmeticError):
    """Parameters left the region in which the density exists.

    Numerics raise it and the loop turns it into ``Status.DEGENERATE``, so that a fit in progress is never lost.
    """


class JensenWarning(UserWarning):
    """A result is usable, but deserves a second look; the message names the remedy."""
