"""Mistakes: all that is wrong with one request, gathered so that one refusal tells it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from timers.exceptions import SpecError

Value = TypeVar("Value")

ONLY_TOLD: Final = frozenset(
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
"""What is told of nearly everything, and given by nobody."""
_MOST_UNKNOWN: Final = 20
_LONGEST_NAME: Final = 64


class Mistakes:
    """Goes on with the next check where one has failed, and raises a single SpecError in the end.

        mistakes = Mistakes()
        mistakes.refuse_unknown(spec, known=("name", "priority"))
        name = mistakes.check(lambda: check_name("name", spec.get("name")))
        mistakes.tell()

    True while there is one.
    """

    def __init__(self) -> None:
        self._found: list[SpecError] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, error: SpecError) -> None:
        """Take note of a mistake, or of several that were told together."""
        self._found.append(error)

    def check(self, make: Callable[[], Value], instead: Any = None) -> Value:
        """What `make` gives; `instead` where it raises SpecError, of which note is taken."""
        try:
            return make()
        except SpecError as error:
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
        told: Collection[str] = ONLY_TOLD,
    ) -> None:
        """Take note of each name that is not known. `within`, `where` and `told`: see unknown."""
        names = [name for name in given if name not in known]
        for name in names[:_MOST_UNKNOWN]:
            self.add(unknown(name, known, within=within, where=where, told=told))

    def tell(self) -> None:
        """Raise one SpecError for all that was noted; nothing where there is none."""
        if self._found:
            raise SpecError.combined(self._found)


def unknown(
    name: Any, known: Collection[str], *, within: str = "", where: str = "", told: Collection[str] = ONLY_TOLD
) -> SpecError:
    """What is told of a name that is not known: the nearest that is, or all.

    `within`: the path of what it stands in, such as "retry."; `where`: words such as "for cron"; `told`: names that
    were read from an answer and that nobody can give, where they stand in nothing else.
    """
    short = str(name)[:_LONGEST_NAME]
    if not within and short in told:
        return SpecError(short, "is only told by the service, and not taken; leave it out")
    near = nearest(short, known)
    hint = f"did you mean {near}?" if near else f"known are {', '.join(sorted(known))}"
    return SpecError(within + short, f"is not known{f' {where}' if where else ''}; {hint}")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, also by dayOfMonth for day_of_month; None when none is near."""
    by_letters = {_letters(each): each for each in known}
    found = get_close_matches(_letters(name), by_letters, n=1)
    return by_letters[found[0]] if found else None


def _letters(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
