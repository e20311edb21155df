"""Errors of one request, collected so that one exception names all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from timers.exceptions import InvalidRequest

Value = TypeVar("Value")

READ_ONLY_FIELDS: Final = frozenset(
    {
        "id",
        "state",
        "state_reason",
        "version",
        "created_at",
        "created_by",
        "updated_at",
        "updated_by",
        "in_flight",
    }
)
"""Fields of nearly every response that no request can set."""
_MOST_UNKNOWN: Final = 20
_LONGEST_NAME: Final = 64


class ErrorCollector:
    """Collects errors over several checks and raises a single InvalidRequest at the end.

        mistakes = ErrorCollector()
        mistakes.refuse_unknown(spec, known=("name", "priority"))
        name = mistakes.check(lambda: check_name("name", spec.get("name")))
        mistakes.raise_if_any()

    It is true if it contains an error.
    """

    def __init__(self) -> None:
        self._found: list[InvalidRequest] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, error: InvalidRequest) -> None:
        """Add an error, or several that were raised together."""
        self._found.append(error)

    def check(self, make: Callable[[], Value], instead: Any = None) -> Value:
        """Return the value of `make`; if it raises InvalidRequest, add the error and return `instead`."""
        try:
            return make()
        except InvalidRequest as error:
            self.add(error)
            value: Value = instead
            return value

    def refuse_unknown(
        self,
        given: Iterable[Any],
        known: Collection[str],
        *,
        within: str = "",
        where: str = "",
        told: Collection[str] = READ_ONLY_FIELDS,
    ) -> None:
        """Add an error for each unknown name. `within`, `where` and `told`: as in `unknown`."""
        names = [name for name in given if name not in known]
        for name in names[:_MOST_UNKNOWN]:
            self.add(unknown(name, known, within=within, where=where, told=told))

    def raise_if_any(self) -> None:
        """Raise one InvalidRequest for all errors that were added; return if there are none."""
        if self._found:
            raise InvalidRequest.combined(self._found)


def unknown(
    name: Any, known: Collection[str], *, within: str = "", where: str = "", told: Collection[str] = READ_ONLY_FIELDS
) -> InvalidRequest:
    """Build the error for an unknown name: it suggests the nearest known name, or lists all.

    Args:
        name: The unknown name.
        known: The known names.
        within: Path of the containing object, such as "retry.".
        where: Context as text, such as "for cron".
        told: Read-only names of responses, which are reported as such at the top level.
    """
    short = str(name)[:_LONGEST_NAME]
    if not within and short in told:
        return InvalidRequest(short, "is read-only; remove it")
    near = nearest(short, known)
    hint = f"did you mean {near}?" if near else f"known are {', '.join(sorted(known))}"
    return InvalidRequest(within + short, f"is not known{f' {where}' if where else ''}; {hint}")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant, also day_of_month for dayOfMonth; None if none is near."""
    by_letters = {_letters(each): each for each in known}
    found = get_close_matches(_letters(name), by_letters, n=1)
    return by_letters[found[0]] if found else None


def _letters(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
