"""Take due timers within a CPU budget: what costs much is parsed after the commit, and decided in the next pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from timers.exceptions import SpecError
from timers.lifecycle.cpu_budget import CpuBudget
from timers.lifecycle.due_timer import DueTimer
from timers.lifecycle.execution import ServedGroup
from timers.schedules import is_remembered, parse_text
from timers.schedules.instant import from_microseconds, to_microseconds


@dataclass(slots=True)
class Taken:
    """How far the budget went."""

    rows: int = 0
    last_us: int = 0
    """The instant below which nothing is left."""
    unparsed: list[DueTimer] = field(default_factory=list)
    """Rows that were left alone, because their schedules have yet to be parsed."""


def take_within(
    budget: CpuBudget | None,
    group: ServedGroup,
    rows: list[DueTimer],
    *,
    take: Callable[[DueTimer, list[DueTimer]], None],
    is_full: Callable[[], bool],
) -> Taken:
    """Take locked rows one by one as far as the budget goes, one recurring timer at least; None: all of them.

    One-shots cost next to nothing and are always taken. Ends early when `is_full`.
    """
    taken = Taken()
    if budget is not None:
        budget.charge()  # the look for rows is no parsing
    for row in rows:
        if is_full():
            break
        if budget is None or not row.follows:
            take(row, rows)
        else:
            if budget.is_spent and (taken.rows or taken.unparsed):
                break
            if not is_remembered(row.kind, row.schedule, row.time_zone):
                if not budget.may_parse or _has_calendars(row, group):
                    taken.unparsed.append(row)
                    continue
                with suppress(SpecError):  # told when the row is decided about, which parks it
                    parse_text(row.kind, row.schedule, row.time_zone)
                budget.charge_parse()
            take(row, rows)
            budget.charge()
        taken.rows, taken.last_us = taken.rows + 1, to_microseconds(row.next_fire_at)
    if taken.unparsed:
        taken.last_us = to_microseconds(taken.unparsed[0].next_fire_at)
    return taken


def parse_unlocked(group: ServedGroup, rows: Sequence[DueTimer], budget: CpuBudget) -> None:
    """Parse the schedules of rows that were left alone, no longer locked: one at least, so that each pass gets on."""
    for row in rows:
        with suppress(Exception):  # as above
            schedule = group.schedule(row.kind, row.schedule, row.time_zone, row.policies(group))
            schedule.next_after(from_microseconds(row.nominal_us))  # also what its calendars exclude is read now
        budget.charge()
        if budget.is_spent:
            break


def _has_calendars(row: DueTimer, group: ServedGroup) -> bool:
    """Whether exclusion calendars hold for a timer: to read them for the first time can cost some ten milliseconds."""
    try:
        return bool(row.policies(group).exclusion_calendars)
    except SpecError:
        return False
