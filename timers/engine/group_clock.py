"""GroupClock: what time it is for a group. The database's clock for all but sandboxes, which have a clock of their own.

What a worker notes in memory is the database's time; what is written into rows (instants of timers, executions and the
ledger) and shown to handlers is the group's. The one is turned into the other here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

from timers.models import TimerGroup
from timers.schedules.instant import from_microseconds, to_microseconds


@dataclass(frozen=True, slots=True)
class GroupClock:
    """Turns the database's time into a group's; instants are microseconds since 1970 UTC."""

    sandbox: bool = False
    frozen_us: int | None = None
    """Where the clock stands still."""
    ahead_us: int = 0
    """How far a running clock is ahead of the database's; negative: behind."""

    @classmethod
    def of(cls, row: TimerGroup) -> GroupClock:
        """From the group's row."""
        return cls.stored(row.sandbox, row.clock_frozen_at, row.clock_ahead_us)

    @classmethod
    def stored(cls, sandbox: bool, frozen_at: datetime | None, ahead_us: int) -> GroupClock:
        """From the columns of a group's row."""
        if not sandbox:
            return DATABASE_CLOCK
        return cls(True, None if frozen_at is None else to_microseconds(frozen_at), ahead_us)

    def at(self, real_us: int) -> int:
        """The group's time when the database's is `real_us`."""
        return real_us + self.ahead_us if self.frozen_us is None else self.frozen_us

    def horizon(self, now_us: int, horizon_us: int) -> int:
        """Up to which instant of the group a worker claims ahead, that would claim so far ahead at `now_us`.

        A sandbox's now is its horizon: its clock may be stopped before what was claimed ahead has come.
        """
        return self.at(now_us) if self.sandbox else horizon_us

    def moment(self, real: datetime) -> datetime:
        """The same as `at`, for datetimes."""
        return from_microseconds(self.at(to_microseconds(real))) if self.sandbox else real


DATABASE_CLOCK: Final = GroupClock()


def group_now(now: str, group: str = "g") -> str:
    """SQL: the present instant of a row of timers_timer_group, from an expression for the database's."""
    return f"COALESCE({group}.clock_frozen_at, {now} + {group}.clock_ahead_us * INTERVAL '1 microsecond')"


def now_in(group: str) -> datetime:
    """The group's present instant; the database's where there is no such group."""
    return nows_in([group])[group]


def nows_in(groups: Collection[str]) -> dict[str, datetime]:
    """The present instants of groups by name; the database's where there is no such group."""
    # A name that no group can have is none, and the database would refuse some.
    names = [name for name in groups if isinstance(name, str) and name.isprintable()]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT n.now, g.name, {group_now('n.now')} FROM (SELECT timers_now() AS now) n"
            " LEFT JOIN timers_timer_group g ON g.name = ANY(%s)",
            (names,),
        )
        rows = cursor.fetchall()
    known = {name: now for _, name, now in rows}
    return {name: known.get(name, rows[0][0]) for name in groups}
