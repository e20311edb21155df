"""The errors that the service raises on purpose; each message names the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


class TimersError(Exception):
    """Base class of all requests that the timer service refuses or cannot carry out."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """An error in one field of a request, described for its author."""

    field: str
    message: str


class InvalidRequest(TimersError, ValueError):
    """The request is invalid; nothing was saved.

    `problems` has every error that was found, so that one response names all of them.

    Args:
        field: path of the invalid field.
        message: what is wrong, and the remedy.
        given: the invalid value, which the message repeats, shortened; None: it is not repeated.

    >>> raise InvalidRequest("period", "must be at least 0.001 s", given=0)
    Traceback (most recent call last):
    timers.exceptions.InvalidRequest: period: must be at least 0.001 s (given: 0)
    """

    def __init__(self, field: str, message: str, *, given: Any = None) -> None:
        if given is not None:
            message = f"{message} (given: {_shortened(given)})"
        self.problems: tuple[FieldProblem, ...] = (FieldProblem(field, message),)
        super().__init__(f"{field}: {message}")

    @property
    def field(self) -> str:
        """The first invalid field."""
        return self.problems[0].field

    def within(self, path: str) -> InvalidRequest:
        """Return the same errors for an object at this path of the request."""
        return InvalidRequest.combined(
            InvalidRequest(f"{path}.{problem.field}", problem.message) for problem in self.problems
        )

    @classmethod
    def combined(cls, errors: Iterable[InvalidRequest]) -> InvalidRequest:
        """Return one error with the problems of several (at least one)."""
        problems = tuple(dict.fromkeys(problem for error in errors for problem in error.problems))
        whole = cls(problems[0].field, problems[0].message)
        whole.problems = problems
        whole.args = ("; ".join(f"{p.field}: {p.message}" for p in problems),)
        return whole


SpecError = InvalidRequest
"""Deprecated name of InvalidRequest; removed in the next release."""


class TimerExists(InvalidRequest):
    """A timer of that name already exists in the group, and on_conflict is "reject"."""


class QuotaExceeded(InvalidRequest):
    """The group's quotas do not allow the request; nothing was saved."""


class TimerNotFound(TimersError, LookupError):
    """The timer, group or execution does not exist."""


class StaleVersion(TimersError):
    """The timer was changed since it was read; read it again and repeat the change."""


class StaleToken(TimersError):
    """The token's claim no longer owns the execution: its lease expired or it was already acknowledged."""


class NotAllowedNow(TimersError):
    """The current state of the object does not allow the operation."""


def _shortened(value: Any, limit: int = 120) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer with more digits than Python converts
        return f"a {type(value).__name__} that is too long to be shown"
    return (
        text
        if len(text) <= limit
        else f"{text[:limit]}... ({len(value if isinstance(value, str) else text):,} characters)"
    )
