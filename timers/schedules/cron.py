"""Cron: a cron expression read on the wall clock of a time zone.

What happens when the clock is set depends on the expression, as in Debian's cron:

- One that names times of the day (`30 2 * * *`) fires once for each of them: a time that is skipped fires at the end
  of the gap (several skipped times together once), a time that is shown twice fires the first time.
- One that goes on through the hours or minutes (`*/20 * * * *`) fires at whatever the clock really shows: nothing in a
  gap, and both times in a fold.

The same holds for 6 fields, so `0 30 2 * * *` fires exactly when `30 2 * * *` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self
from zoneinfo import ZoneInfo

from timers.schedules.cron_expression import CronExpression
from timers.schedules.instant import in_utc
from timers.schedules.schedule import Missed, Schedule
from timers.schedules.spec_fields import require_fields
from timers.schedules.wall_clock import Change, changes_between, offset_at, place
from timers.schedules.zones import zone

_MICROSECOND = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
_ENUMERATED = 100


@dataclass(frozen=True, slots=True)
class Cron(Schedule):
    """Due whenever the wall clock of the zone matches the expression."""

    kind: ClassVar[str] = "cron"

    expression: CronExpression
    zone: ZoneInfo

    @classmethod
    def parse(cls, spec: Mapping[str, Any], time_zone: str) -> Self:
        require_fields(spec, cls.kind, "expression")
        return cls(CronExpression.parse(spec["expression"]), zone(time_zone))

    def first(self, not_before: datetime) -> datetime | None:
        return self.next_after(in_utc(not_before) - _MICROSECOND)

    def next_after(self, moment: datetime) -> datetime | None:
        try:
            clock = in_utc(moment).astimezone(self.zone)
            wall, second_pass = clock.replace(tzinfo=None, fold=0), clock.fold == 1
            if self.expression.names_fixed_times:
                return self._next_named_time(wall, second_pass)
            return self._next_match(wall, second_pass)
        except OverflowError:  # beyond year 9999
            return None

    def missed(self, first: datetime, until: datetime) -> Missed:
        """The instants from `first`, itself one of the schedule's, to `until` inclusive.

        Both the latest and the count are exact. A hundred instants are walked through; beyond that the latest is found
        by halving and the count computed, which costs some milliseconds and about a microsecond for each day missed.
        """
        first, until = in_utc(first), in_utc(until)
        latest, count = first, 1
        while (following := self.next_after(latest)) is not None and following <= until:
            if count == _ENUMERATED:
                return Missed(self._latest(following, until), 1 + self._count_after(first, until))
            latest, count = following, count + 1
        return Missed(latest, count)

    def describe(self) -> str:
        return f"{self.expression.explain()}, {self.zone.key}"

    def to_spec(self) -> dict[str, Any]:
        return {"expression": self.expression.text}

    def _next_named_time(self, wall: datetime, second_pass: bool) -> datetime:
        if second_pass:  # the times of the fold have had their turn in its first pass
            wall = self._fold_of(wall).wall_before - _SECOND
        where = place(self.zone, wall := self.expression.after(wall))
        if not isinstance(where, Change):
            return where
        return (wall - where.offset_before).replace(tzinfo=UTC) if where.is_fold else where.at

    def _next_match(self, wall: datetime, second_pass: bool) -> datetime:
        here = place(self.zone, wall)
        match = self.expression.after(wall)
        if isinstance(here, Change):
            if match < here.wall_before:  # still in the same pass through the fold
                return (match - (here.offset_after if second_pass else here.offset_before)).replace(tzinfo=UTC)
            if not second_pass:
                again = self.expression.after(here.wall_after - _SECOND)
                if again < here.wall_before:
                    return (again - here.offset_after).replace(tzinfo=UTC)
        while isinstance(where := place(self.zone, match), Change):
            if where.is_fold:
                return (match - where.offset_before).replace(tzinfo=UTC)
            match = self.expression.after(where.wall_after - _SECOND)
        return where

    def _fold_of(self, wall: datetime) -> Change:
        fold = place(self.zone, wall)
        assert isinstance(fold, Change)
        return fold

    def _latest(self, known: datetime, until: datetime) -> datetime:
        """The last instant up to `until`, from one that is known not to lie beyond it."""
        latest, low, high = known, 0, (until - known) // _SECOND
        while low < high:
            middle = (low + high + 1) // 2
            found = self.first(known + _SECOND * middle)
            if found is not None and found <= until:
                latest, low = found, (found - known) // _SECOND
            else:
                high = middle - 1
        return latest

    def _count_after(self, start: datetime, until: datetime) -> int:
        """How many instants lie after `start` up to and including `until`."""
        count, offset = 0, offset_at(self.zone, start)
        wall = _wall(start + _SECOND, offset)
        for change in changes_between(self.zone, start, until):
            count += self.expression.count(wall, change.wall_before)
            wall, offset = change.wall_after, change.offset_after
            if self.expression.names_fixed_times:
                if change.is_fold:
                    wall = change.wall_before
                else:
                    count += self._fires_for(change)
        return count + self.expression.count(wall, _wall(until + _SECOND, offset).replace(microsecond=0))

    def _fires_for(self, gap: Change) -> bool:
        """Whether a skipped time fires at the end of the gap, where nothing else fires anyway."""
        return (
            self.expression.count(gap.wall_before, gap.wall_after) > 0
            and self.expression.count(gap.wall_after, gap.wall_after + _SECOND) == 0
        )


def _wall(instant: datetime, offset: timedelta) -> datetime:
    return instant.replace(tzinfo=None) + offset
