"""What the checks of one suite share: their names, calls that blame the right method, and the report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from jensen.core.block import AnyArray
from jensen.core.parameters import Parameters
from jensen.core.sums import Sums
from jensen.errors import ConformanceError, InputError


@dataclass(frozen=True)
class Report:
    """What a suite has checked without finding a fault.

    Attributes
    ----------
    subject : str
        Name of what was checked.
    passed : tuple of str
        Names of the checks that were made.
    skipped : mapping of str to str
        Names of the checks that were not made, each with the reason.
    """

    subject: str
    passed: tuple[str, ...]
    skipped: Mapping[str, str]

    def __repr__(self) -> str:
        lines = [f"{self.subject} passes {len(self.passed)} checks: {', '.join(self.passed)}"]
        lines += [f"  not checked: {name} ({reason})" for name, reason in self.skipped.items()]
        return "\n".join(lines)


class Suite:
    """The checks of one subject, one after another; the first fault ends it.

    Parameters
    ----------
    subject : object
        What is checked.
    names : collection of str
        The checks that there are.
    skip : collection of str
        Those that the caller does not want.

    Raises
    ------
    InputError
        If `skip` has a name that is no check.
    """

    def __init__(self, subject: Any, names: Collection[str], skip: Collection[str]) -> None:
        unknown = sorted(set(skip) - set(names))
        if unknown:
            raise InputError(f"skip names {', '.join(unknown)}, but the checks are {', '.join(names)}")
        self.subject, self.names, self.name = subject, names, type(subject).__name__
        self.passed, self.skipped = list[str](), {name: "left out by the caller" for name in skip}

    def require(self, kind: str, *names: str) -> None:
        """Raise the error that names the first attribute that the subject lacks."""
        for name in names:
            if not hasattr(self.subject, name):
                raise ConformanceError(self.name, f"has no {name}, which every {kind} must have")

    def run(self, checks: Any) -> Report:
        """Make the checks, each a method under its name, and report.

        One that is left out is not made; one that returns a text could not be made, for that reason.
        """
        for name in self.names:
            if name in self.skipped:
                continue
            reason = getattr(checks, name.replace(" ", "_"))()
            if reason is None:
                self.passed.append(name)
            else:
                self.skipped[name] = reason
        return Report(self.name, tuple(self.passed), dict(self.skipped))

    def call(self, method: str, function: Callable[..., Any], *args: Any) -> Any:
        """What a method returns; whatever it raises is its fault."""
        try:
            return function(*args)
        except ConformanceError:
            raise
        except Exception as error:
            raise ConformanceError(f"{self.name}.{method}", f"raised {type(error).__name__}: {error}") from error

    def blame(self, method: str, fault: str) -> ConformanceError:
        """The error that names a method."""
        return ConformanceError(f"{self.name}.{method}", fault)

    def pure(self, method: str, function: Callable[..., Any], *args: Any) -> Any:
        """What a method returns, once it is known to leave its arguments alone and to repeat itself to the bit."""
        before = [fingerprint(arg) for arg in args]
        found = self.call(method, function, *args)
        for arg, kept in zip(args, before, strict=True):
            if fingerprint(arg) != kept:
                raise self.blame(method, f"changed its argument {type(arg).__name__}; expected it to be left as it was")
        first, second = fingerprint(found), fingerprint(self.call(method, function, *args))
        if first != second:
            raise self.blame(method, "returned different values for the same arguments; expected the same bits")
        return found


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, AnyArray]]:
    """Every array and number within a value, with the path to it."""
    if isinstance(value, Parameters):
        value = value.values
    if value is None or isinstance(value, str):
        return
    if isinstance(value, np.ndarray | float | int | np.number):
        yield path, np.asarray(value)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from leaves(item, f"{path}[{name!r}]")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from leaves(item, f"{path}[{number}]")
    elif isinstance(value, Sums):
        held = {name: getattr(value, name) for name in ("weight", "loglik", "entropy", *value.names)}
        yield from leaves(held, path)
    elif is_dataclass(value):
        for field in fields(value):
            yield from leaves(getattr(value, field.name), f"{path}.{field.name}")
    else:
        yield from leaves(getattr(value, "__dict__", None), path)


def fingerprint(value: Any) -> tuple[tuple[str, bytes], ...]:
    """The bits of every array and number within a value."""
    return tuple((path, array.tobytes()) for path, array in leaves(value))


def shown(value: Any) -> str:
    """A number or a few in a message."""
    flat = np.ravel(np.asarray(value, dtype=np.float64))
    text = ", ".join(f"{number:.6g}" for number in flat[:6])
    return f"{text}, ..." if flat.size > 6 else text
