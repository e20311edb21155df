"""Take due timers within a CPU budget: costly results are computed after the commit, and used in the next pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from timers.engine.cpu_budget import CpuBudget
from timers.engine.due_timer import DueTimer
from timers.engine.execution import ServedGroup
from timers.exceptions import InvalidRequest
from timers.schedules import is_remembered, parse_text
from timers.schedules.instant import from_microseconds, to_microseconds

Work = Callable[[], object]
"""A computation for a timer, to be done without a lock, before a decision about it."""


class Takes(Protocol):
    """Decides about locked rows."""

    @property
    def is_full(self) -> bool:
        """Whether it takes no further rows."""

    @property
    def is_limited(self) -> bool:
        """Whether rows may have to be passed over."""

    def passes_over(self, row: DueTimer) -> bool:
        """Return whether a row is skipped while others are taken."""

    def take(self, row: DueTimer, rows: list[DueTimer]) -> Work | None:
        """Decide about one of the rows, or return what must be computed first."""


@dataclass(slots=True)
class Taken:
    """Progress within the budget."""

    rows: int = 0
    """Number of rows that were decided about."""
    passed: int = 0
    """Number of rows that were skipped, and stay due."""
    last: DueTimer | None = None
    """The last row that was looked at."""
    left: list[Work] = field(default_factory=list)
    """Computations for rows that were left."""
    first_left: DueTimer | None = None
    """The first of these rows."""

    @property
    def last_us(self) -> int:
        """The instant below which nothing is left."""
        row = self.first_left or self.last
        return 0 if row is None else to_microseconds(row.next_fire_at)


def take_within(
    budget: CpuBudget | None,
    group: ServedGroup,
    rows: list[DueTimer],
    batch: Takes,
    *,
    goes_on: bool = False,
) -> Taken:
    """Take locked rows one by one within the budget, but at least one recurring timer.

    One-shots cost next to nothing and are always taken. Ends early when the batch is full.

    Args:
        budget: the CPU budget; None: unlimited.
        group: the group of the rows.
        rows: the locked rows.
        batch: decides about the rows.
        goes_on: the transaction has decided about other rows before, which are locked.
    """
    taken = Taken()
    if budget is not None:
        if goes_on:
            budget.charge()
        else:
            budget.lock()  # the query for rows is not parsing
    is_limited = batch.is_limited
    for row in rows:
        if batch.is_full:
            break
        if is_limited and batch.passes_over(row):
            taken.passed += 1
            continue
        work: Work | None = None
        if budget is None or not row.follows:
            work = batch.take(row, rows)
        else:
            if not budget.may_hold_locks and (taken.rows or taken.left):
                break
            if not is_remembered(row.kind, row.schedule, row.time_zone):
                if not budget.may_parse or _has_calendars(row, group):
                    work = partial(_parse, group, row)
                else:
                    with suppress(InvalidRequest):  # reported when the row is decided about, which parks it
                        parse_text(row.kind, row.schedule, row.time_zone)
                    budget.charge_parse()
            if work is None:
                work = batch.take(row, rows)
                budget.charge()
        taken.last = row
        if work is None:
            taken.rows += 1
        else:
            taken.left.append(work)
            taken.first_left = taken.first_left or row
    return taken


def compute_unlocked(left: Sequence[Work], budget: CpuBudget | None) -> None:
    """Do the computations without locked rows, within the budget, at least one, so that each pass makes progress."""
    for work in left:
        with suppress(Exception):  # as above
            work()
        if budget is not None:
            budget.charge()
            if budget.is_spent:
                break


def _parse(group: ServedGroup, row: DueTimer) -> None:
    schedule = group.schedule(row.kind, row.schedule, row.time_zone, row.policies(group))
    schedule.next_after(from_microseconds(row.nominal_us))  # this also loads what its calendars exclude


def _has_calendars(row: DueTimer, group: ServedGroup) -> bool:
    """Whether a timer has exclusion calendars: loading them for the first time can take some ten milliseconds."""
    try:
        return bool(row.policies(group).exclusion_calendars)
    except InvalidRequest:
        return False
