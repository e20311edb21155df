"""GroupClock: the current time of a group: the database clock, except for sandboxes, which have their own clock.

Workers keep database time in memory; rows (instants of timers, executions and the ledger) and handlers get the group's
time. Only this module converts between the two.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from timers.database import connection
from timers.models import TimerGroup
from timers.schedules.instant import from_microseconds, to_microseconds


@dataclass(frozen=True, slots=True)
class GroupClock:
    """Converts the database's time into a group's; instants are microseconds since 1970 UTC."""

    sandbox: bool = False
    frozen_us: int | None = None
    """The instant at which the clock is frozen; None: it runs."""
    ahead_us: int = 0
    """How far a running clock is ahead of the database clock; negative: behind."""

    @classmethod
    def of(cls, row: TimerGroup) -> GroupClock:
        """Build from the group's row."""
        return cls.stored(row.sandbox, row.clock_frozen_at, row.clock_ahead_us)

    @classmethod
    def stored(cls, sandbox: bool, frozen_at: datetime | None, ahead_us: int) -> GroupClock:
        """Build from the columns of a group's row.

        Args:
            sandbox: whether the group has its own clock.
            frozen_at: the instant at which it is frozen; None: it runs.
            ahead_us: microseconds by which a running clock is ahead of the database clock.
        """
        if not sandbox:
            return DATABASE_CLOCK
        return cls(True, None if frozen_at is None else to_microseconds(frozen_at), ahead_us)

    def at(self, real_us: int) -> int:
        """Return the group's time when the database's is `real_us`."""
        return real_us + self.ahead_us if self.frozen_us is None else self.frozen_us

    def horizon(self, now_us: int, horizon_us: int) -> int:
        """Return the group's instant up to which a worker claims that claims up to `horizon_us` at `now_us`.

        The horizon of a sandbox is its now: its clock may be frozen before executions claimed ahead are due.
        """
        return self.at(now_us) if self.sandbox else horizon_us

    def moment(self, real: datetime) -> datetime:
        """Return the group's time as a datetime, for a time of the database clock."""
        return from_microseconds(self.at(to_microseconds(real))) if self.sandbox else real


DATABASE_CLOCK: Final = GroupClock()


def group_now(now: str, group: str = "g") -> str:
    """Return SQL for the current instant of a row of timers_timer_group, from an expression for the database's."""
    return f"COALESCE({group}.clock_frozen_at, {now} + {group}.clock_ahead_us * INTERVAL '1 microsecond')"


def now_in(group: str) -> datetime:
    """Return the group's current instant; the database's where the group does not exist."""
    return nows_in([group])[group]


def nows_in(groups: Collection[str]) -> dict[str, datetime]:
    """Return the current instants of groups by name; the database's where a group does not exist."""
    # PostgreSQL would refuse some names that no group can have, so those are left out.
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
