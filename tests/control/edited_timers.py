"""Timers of every kind to edit, and what an edit of them must not touch."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests.support.ledger_rows import finals_of
from timers.models import Timer
from timers.schedules.jitter import jitter_offset_us
from timers.scheduling import get_timer, schedule_timer
from timers.testing import START

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
NAME = "spread"
JITTER = 600.0
SHARE = timedelta(microseconds=jitter_offset_us(NAME, JITTER))

KINDS: dict[str, dict[str, Any]] = {
    "once": {"kind": "once", "at": START + HOUR},
    "rate": {"kind": "fixed_rate", "period": 700},
    "rate with start": {"kind": "fixed_rate", "period": 700, "start_at": START + 100 * SECOND},
    "delay": {"kind": "fixed_delay", "delay": 700},
    "delay with start": {"kind": "fixed_delay", "delay": 700, "start_at": START + 100 * SECOND},
    "cron": {"kind": "cron", "expression": "*/11 * * * *"},
    "cron with H": {"kind": "cron", "expression": "H/13 * * * *"},
    "calendar": {"kind": "calendar", "minute": "*/12", "hour": "*"},
    "window": {"kind": "window", "begin": "12:00", "end": "17:00", "every": "PT9M"},
    "rrule": {"kind": "rrule", "rule": "FREQ=MINUTELY;INTERVAL=8"},
}
SPREAD = [name for name in KINDS if "delay" not in name]


def schedule(kind: str, group: str = "work", **more: Any) -> Timer:
    return get_timer(group, schedule_timer({**KINDS[kind], "group": group, "name": NAME, **more}).name)


def redefined(kind: str, **more: Any) -> str:
    request = {**KINDS[kind], "group": "work", "name": NAME, **more}
    return schedule_timer(request, on_conflict="replace").result


def instants(timer: Timer) -> list[datetime]:
    return [row.scheduled_for for row in finals_of(timer) if row.outcome == "succeeded"]


def derived(timer: Timer) -> dict[str, Any]:
    """All that an edit must not touch."""
    names = (
        "schedule_kind", "schedule", "next_fire_at", "last_fire_at", "fire_count", "open_execution", "last_outcome",
        "failures_in_a_row", "state", "paused_until", "state_reason",
    )  # fmt: skip
    row = Timer.objects.get(id=timer.id)
    return {name: getattr(row, name) for name in names}
