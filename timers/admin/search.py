"""Search terms that an index serves."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from timers.domain.execution_id import MAX_TIMER_ID
from timers.models import Timer, TimerGroup

_MOST_TIMERS: Final = 1_000


def execution_in(term: str) -> UUID | None:
    """Return the execution id in the term; None if it is none."""
    try:
        return UUID(term)
    except ValueError:
        return None


def timers_meant(term: str) -> list[int]:
    """Return the ids of the timers that the term means: an id, `group/name`, or a name in any group."""
    if term.isascii() and term.isdigit():
        number = int(term)
        if number <= MAX_TIMER_ID and Timer.objects.filter(id=number).exists():
            return [number]
    exact = Timer.objects.filter(group__in=TimerGroup.objects.values_list("id", flat=True), name=term)
    for place, letter in enumerate(term):
        if letter == "/":
            exact |= Timer.objects.filter(group__name=term[:place], name=term[place + 1 :])
    return list(exact.values_list("id", flat=True)[:_MOST_TIMERS])
