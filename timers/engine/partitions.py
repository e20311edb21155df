"""Partitions of the ledger: one per day, created ahead, dropped when its history is old enough.

The ledger is partitioned by id, and an id begins with its instant. Rows outside all days go to the DEFAULT partition.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from timers.database import connection, transaction
from timers.domain.execution_id import lower_bound
from timers.engine.group_clock import GroupClock
from timers.models import TimerGroup
from timers.schedules.instant import to_microseconds

PREFIX = "timers_attempt_"
DEFAULT = f"{PREFIX}default"
CHUNK = 5000
"""Number of rows that one statement deletes."""


def create_ahead(today: date, days: int) -> list[str]:
    """Create the missing partitions from yesterday to `days` ahead; return their names."""
    existing = set(names())
    created = []
    for offset in range(-1, days + 1):
        day = today + timedelta(days=offset)
        if _name(day) not in existing:
            _create(day)
            created.append(_name(day))
    return created


def drop_before(today: date, retention: int) -> list[str]:
    """Drop the partitions in which nothing is younger than the longest retention in use; return their names.

    `retention` is the installation's, in days; a group may keep its history longer.
    """
    longest = max([retention, *(days for _, days in _retentions())])
    dropped = []
    for name, day in _days():
        if day < today - timedelta(days=longest):
            with connection.cursor() as cursor:
                cursor.execute(f'DROP TABLE "{name}"')
            dropped.append(name)
    return dropped


def delete_stragglers(today: date, retention: int) -> int:
    """Delete rows past retention in partitions that stay: DEFAULT, and days that some group keeps longer.

    The history of a sandbox ages by its own clock.
    """
    apart = {group_id: (today, days) for group_id, days in _retentions()}
    for group_id, day, days in _sandboxes(today):
        apart[group_id] = day, retention if days is None else days
    deleted: int = 0
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM timers_attempt WHERE id < %s AND NOT group_id = ANY(%s)",
            (lower_bound(_start_us(today - timedelta(days=retention))), list(apart)),
        )
        deleted += int(cursor.rowcount)
        for group_id, (day, days) in apart.items():
            cursor.execute(
                "DELETE FROM timers_attempt WHERE group_id = %s AND id < %s",
                (group_id, lower_bound(_start_us(day - timedelta(days=days)))),
            )
            deleted += int(cursor.rowcount)
    return deleted


def names() -> list[str]:
    """Return the names of all partitions, including the DEFAULT one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'timers_attempt'::regclass ORDER BY c.relname"
        )
        return [name for (name,) in cursor.fetchall()]


def _retentions() -> list[tuple[int, int]]:
    """Return the groups with their own retention, in days."""
    rows = TimerGroup.objects.exclude(retention=None).values_list("id", "retention")
    return [(group_id, days) for group_id, days in rows if days is not None]


def _sandboxes(today: date) -> list[tuple[int, date, int | None]]:
    """Return the sandboxes with their current day by their own clock, and their retention in days."""
    noon = datetime(today.year, today.month, today.day, 12, tzinfo=UTC)
    return [
        (row.id, GroupClock.of(row).moment(noon).date(), row.retention)
        for row in TimerGroup.objects.filter(sandbox=True)
    ]


def _days() -> Iterator[tuple[str, date]]:
    for name in names():
        if name != DEFAULT:
            yield name, datetime.strptime(name.removeprefix(PREFIX), "%Y%m%d").replace(tzinfo=UTC).date()


def _create(day: date) -> None:
    """Create a day's partition and move rows there that meanwhile went to the DEFAULT one."""
    low, high = lower_bound(_start_us(day)), lower_bound(_start_us(day + timedelta(days=1)))
    name = _name(day)
    with transaction.atomic(), connection.cursor() as cursor:
        # Housekeeping of several nodes may come here at once; one of them does it.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('timers partitions'))")
        cursor.execute("SELECT to_regclass(%s)", (name,))
        if cursor.fetchone()[0] is not None:
            return
        cursor.execute(f'CREATE TABLE "{name}" (LIKE timers_attempt INCLUDING DEFAULTS INCLUDING CONSTRAINTS)')
        cursor.execute(
            f"WITH strays AS (DELETE FROM {DEFAULT} WHERE id >= %s AND id < %s RETURNING *)"
            f' INSERT INTO "{name}" SELECT * FROM strays',
            (low, high),
        )
        cursor.execute(
            f"ALTER TABLE timers_attempt ATTACH PARTITION \"{name}\" FOR VALUES FROM ('{low}') TO ('{high}')"
        )


def _name(day: date) -> str:
    return f"{PREFIX}{day:%Y%m%d}"


def _start_us(day: date) -> int:
    return to_microseconds(datetime(day.year, day.month, day.day, tzinfo=UTC))
