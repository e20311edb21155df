"""Outages of any length on real nodes: timers of one second under every misfire and overlap policy."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from tests.cluster.field import Field, eventually
from timers.domain.execution_id import parse
from timers.schedules.instant import from_microseconds

MISFIRE = ("fire_once", "fire_all", "skip")
OVERLAP = ("skip", "queue", "allow", "replace")
SECOND = timedelta(seconds=1)
AFTERWARDS = 3
"""Fires in time that must follow the outage."""

_SCHEDULE = f"""
from django.db import transaction
from timers.control.cluster_pause import pause_cluster
from timers.scheduling import ensure_group, pause_group, pause_timer, schedule_fixed_rate
with transaction.atomic():
    for misfire in {MISFIRE}:
        for overlap in {OVERLAP}:
            group = f"{{misfire}} {{overlap}}"
            ensure_group(group, misfire_policy=misfire, overlap_policy=overlap, action={{"handler": "cluster.count"}})
            schedule_fixed_rate(group, "second", period=1, start_at="2020-01-01T00:00:00Z")
            PAUSE_EACH
    PAUSE_ALL
"""
_RESUME = f"""
from timers.control.cluster_pause import resume_cluster
from timers.scheduling import resume_group, resume_timer
resume_cluster()
for misfire in {MISFIRE}:
    for overlap in {OVERLAP}:
        resume_group(f"{{misfire}} {{overlap}}")
        resume_timer(f"{{misfire}} {{overlap}}", "second")
"""
PAUSED = {
    "timer": ("pause_timer(group, 'second')", ""),
    "group": ("pause_group(group)", ""),
    "cluster": ("", "pause_cluster()"),
    "nothing": ("", ""),
}


class Row(NamedTuple):
    """A final row."""

    at: datetime
    outcome: str
    reason: str | None
    missed_count: int
    claimed_at: datetime | None
    finished_at: datetime


def schedule(field: Field, paused: str = "nothing") -> None:
    """Schedule all timers; what is paused is so before one fires."""
    each, all_of_them = PAUSED[paused]
    field.run(_SCHEDULE.replace("PAUSE_EACH", each or "pass").replace("PAUSE_ALL", all_of_them or "pass"),
    )  # fmt: skip


def resume(field: Field) -> None:
    field.run(_RESUME)


def node_is_down(field: Field, seconds: int) -> None:
    """Nobody is there for so long."""
    schedule(field)
    let_pass(field, seconds)
    first = first_instants(field)
    field.start("a", "--workers", "2")
    until = field.value("SELECT timers_now()")
    wait_until_in_time_again(field, until, within=30 + seconds)
    check(field, first, max(first.values()) + timedelta(seconds=seconds - 1))


def is_paused(field: Field, seconds: int, what: str) -> None:
    """A node is there all the time, and may not fire."""
    field.start("a", "--workers", "2")
    schedule(field, what)
    let_pass(field, seconds)
    first = first_instants(field)
    resume(field)
    wait_until_in_time_again(field, field.value("SELECT timers_now()"), within=30 + seconds)
    check(field, first, max(first.values()) + timedelta(seconds=seconds - 1))


def database_is_down(field: Field, stop: Callable[[], None], start: Callable[[], None], seconds: float) -> None:
    """The node is there all the time; its database is not."""
    field.start("a", "--workers", "2")
    schedule(field)
    wait_until_in_time_again(field, field.value("SELECT timers_now()"), within=30)
    stop()
    stopped_at = datetime.now(UTC)
    time.sleep(seconds)
    start()
    until = eventually(lambda: field.value("SELECT timers_now()"))
    wait_until_in_time_again(field, until, within=30 + seconds)
    # What was claimed ahead when the database went away ran at its instant.
    first = {
        group: max(row.at for row in rows_of(field, group) if row.at <= stopped_at) + SECOND
        for group in first_instants(field)
    }
    check(field, first, until - SECOND)


def let_pass(field: Field, seconds: int) -> None:
    """As if so much time had passed since the timers were scheduled: none has fired yet.

    Their instants begin in 2020, so that those before the present are theirs as well.
    """
    field.rows("UPDATE timers_timer SET next_fire_at = next_fire_at - make_interval(secs => %s) RETURNING id", seconds)


def rows_of(field: Field, group: str) -> list[Row]:
    found = field.rows(
        "SELECT a.scheduled_for, a.outcome, a.reason, a.missed_count, a.claimed_at, a.finished_at"
        " FROM timers_attempt a JOIN timers_timer_group g ON g.id = a.group_id"
        " WHERE g.name = %s AND a.outcome IN ('succeeded', 'skipped', 'failed', 'cancelled') ORDER BY a.scheduled_for",
        group,
    )
    left = field.rows(
        "SELECT w.id::text FROM timers_waiting w JOIN timers_timer_group g ON g.id = w.group_id WHERE g.name = %s",
        group,
    )
    unfinished = min((from_microseconds(parse(execution).scheduled_us) for (execution,) in left), default=None)
    rows = [Row(*row) for row in found]
    return rows if unfinished is None else [row for row in rows if row.at < unfinished]


def wait_until_in_time_again(field: Field, since: datetime, within: float) -> None:
    """Until every timer has fired some instants after the outage."""
    behind = (
        "SELECT count(*) FROM timers_timer_group g WHERE (SELECT count(*) FROM timers_attempt a WHERE a.group_id = g.id"
        " AND a.outcome = 'succeeded' AND a.missed_count = 0 AND a.scheduled_for > %s) < %s"
    )
    eventually(lambda: field.value(behind, since, AFTERWARDS) == 0, within)
    eventually(lambda: field.value("SELECT count(*) FROM timers_waiting") == 0, within)


def check(field: Field, first: dict[str, datetime], until: datetime) -> None:
    """All timers: what came due from `first` to `until`, when nobody fired, was missed; what came later was not.

    The nodes end first, so that the rows are those of one moment; what they gave back unrun is left out.
    """
    for name in list(field.nodes):
        field.stop(name)
    for misfire in MISFIRE:
        for overlap in OVERLAP:
            group = f"{misfire} {overlap}"
            _check(misfire, rows_of(field, group), first[group], until)


def _check(misfire: str, rows: list[Row], first: datetime, until: datetime) -> None:
    rows = [row for row in rows if row.at >= first]
    told = sum(1 + row.missed_count for row in rows)
    assert told == round((rows[-1].at - first) / SECOND) + 1, f"each instant has a row, or is counted by one: {rows}"
    began = min(row.claimed_at for row in rows if row.claimed_at is not None)
    overlapping = [row for row in rows if row.reason == "overlap"]
    assert all(row.at > began for row in overlapping), "nothing ran before that"
    during = [row for row in rows if row.at <= until]
    if misfire == "fire_all":
        assert {(row.outcome, row.missed_count) for row in during} == {("succeeded", 0)}
        return
    ran = [(row.claimed_at, row.finished_at + SECOND) for row in rows if row.claimed_at is not None]
    assert all(any(since <= row.at <= until for since, until in ran) for row in overlapping), "one was open then"
    missed, *later = [row for row in rows if row.missed_count]
    assert not later, "a healthy node misses nothing"
    assert missed.at >= until - SECOND, "the latest of them"
    assert missed.outcome == ("succeeded" if misfire == "fire_once" else "skipped")
    assert missed.reason == (None if misfire == "fire_once" else "misfire")


def first_instants(field: Field) -> dict[str, datetime]:
    """The earliest instant of each timer, by its group."""
    return dict(
        field.rows("SELECT g.name, t.next_fire_at FROM timers_timer t JOIN timers_timer_group g ON g.id = group_id")
    )
