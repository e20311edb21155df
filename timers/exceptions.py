"""The errors the service raises on purpose: one small tree, each message naming the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


class TimersError(Exception):
    """Anything the timer service refuses or cannot do."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field of a request, in words for the person who wrote it."""

    field: str
    message: str


class InvalidRequest(TimersError, ValueError):
    """The request is invalid; nothing was saved.

    `problems` holds every error that was found, so that one answer names all of them.

    `given`: the invalid value, which the message repeats shortened; None: it is not repeated.

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
        """The first field that is wrong."""
        return self.problems[0].field

    def within(self, path: str) -> InvalidRequest:
        """The same mistakes of something that stands at this path of the request."""
        return InvalidRequest.combined(
            InvalidRequest(f"{path}.{problem.field}", problem.message) for problem in self.problems
        )

    @classmethod
    def combined(cls, errors: Iterable[InvalidRequest]) -> InvalidRequest:
        """One error that holds the problems of several (at least one)."""
        problems = tuple(dict.fromkeys(problem for error in errors for problem in error.problems))
        whole = cls(problems[0].field, problems[0].message)
        whole.problems = problems
        whole.args = ("; ".join(f"{p.field}: {p.message}" for p in problems),)
        return whole


SpecError = InvalidRequest
"""Deprecated name of InvalidRequest; removed in the next release."""


class TimerExists(InvalidRequest):
    """A timer of that name is already in the group, and on_conflict is "reject"."""


class QuotaExceeded(InvalidRequest):
    """The group's quotas do not allow it; nothing was written."""


class TimerNotFound(TimersError, LookupError):
    """There is no such timer, group or execution."""


class StaleVersion(TimersError):
    """Someone changed the timer since it was read; read it again and repeat the change."""


class StaleToken(TimersError):
    """The claim behind this token holds the execution no more: its lease ended, or it said something else of it."""


class NotAllowedNow(TimersError):
    """The thing exists, but in its present state this cannot be done to it."""


def _shortened(value: Any, limit: int = 120) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python writes out
        return f"a {type(value).__name__} that is too long to be shown"
    return (
        text
        if len(text) <= limit
        else f"{text[:limit]}... ({len(value if isinstance(value, str) else text):,} characters)"
    )
