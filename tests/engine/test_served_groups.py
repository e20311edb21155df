"""What workers and consumers know of groups: it follows every edit, also one made while they read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection

from timers.control.calendars import create_calendar, update_calendar
from timers.engine.due import ServedGroups
from timers.models import TimerGroup
from timers.schedules.instant import to_microseconds
from timers.scheduling import schedule_once
from timers.testing import VirtualTime


def test_a_calendar_that_is_edited_while_it_is_read_is_read_again(group: TimerGroup, time: VirtualTime) -> None:
    create_calendar("night", rules=[{"cron": "0 0 * * *", "duration": "PT9H"}])
    schedule_once("work", "m", after=0)
    edits = iter(["PT8H"])

    def edit_after_reading(execute: Callable[..., Any], sql: str, *more: Any) -> Any:
        answer = execute(sql, *more)
        if "timers_exclusion_calendar" in sql and sql.startswith("SELECT") and (duration := next(edits, None)):
            update_calendar("night", rules=[{"cron": "0 0 * * *", "duration": duration}])
        return answer

    groups = ServedGroups("default", (), 0)
    now_us = to_microseconds(time.now)
    with connection.execute_wrapper(edit_after_reading):
        groups.with_due_work(now_us, now_us, {})
    _, (work,) = groups.with_due_work(now_us, now_us, {})
    assert work.group.calendars["night"].to_spec() == [{"cron": "0 0 * * *", "duration": 8 * 3600}]
