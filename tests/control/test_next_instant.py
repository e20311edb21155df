"""The next instant after an edit, for random timers, moments and edits. No database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from timers.control.limits import Limits
from timers.control.next_instant import Before, Next, next_after_edit
from timers.control.redefine import continued, redefine
from timers.control.request import parse_request
from timers.control.spec import TimerSpec
from timers.exceptions import InvalidRequest
from timers.models import Timer, TimerGroup
from timers.models.calendars import schedule_of
from timers.testing import START

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)

RULES = st.sampled_from(
    [
        {"kind": "once", "at": START + 40 * DAY},
        {"kind": "fixed_rate", "period": 86_400},
        {"kind": "fixed_rate", "period": 7000, "start_at": START + 77 * SECOND},
        {"kind": "fixed_delay", "delay": 5000},
        {"kind": "fixed_delay", "delay": 5000, "start_at": START + 2 * DAY},
        {"kind": "cron", "expression": "H H * * *", "time_zone": "Europe/Berlin"},
        {"kind": "cron", "expression": "30 2 * * *", "time_zone": "Europe/Berlin"},
        {"kind": "calendar", "hour": "*/3", "time_zone": "America/New_York"},
        {"kind": "window", "begin": "22:00", "end": "02:00", "every": "PT25M"},
        {"kind": "rrule", "rule": "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU"},
        {"kind": "rrule", "rule": "FREQ=MONTHLY;BYHOUR=5"},
    ]
)
UNRELATED = st.fixed_dictionaries(
    {},
    optional={
        "payload": st.integers(),
        "priority": st.integers(-9, 9),
        "tags": st.lists(st.sampled_from("abc")),
        "description": st.text("abc"),
        "max_fires": st.integers(100, 1000),
        "end_at": st.just(START + 400 * DAY),
        "overrides": st.just({"misfire_policy": "skip", "overlap_policy": "queue"}),
    },
)
MOMENTS = st.timedeltas(timedelta(0), 30 * DAY)
LATE = st.timedeltas(timedelta(0), 2 * DAY)
JITTERS = st.sampled_from([0, 5, 600, 40_000])


def spec_of(request: dict[str, Any], at: timedelta = timedelta(0)) -> TimerSpec:
    return parse_request({"group": "g", "name": "n", **request}, START + at)


def timer_of(spec: TimerSpec, fired_until: timedelta) -> Timer | None:
    """A timer that has fired everything up to a moment; None where nothing is left."""
    timer = Timer(name="n", fire_count=3, next_fire_at=None, last_fire_at=None)
    timer.group = TimerGroup(name="g", id=1)
    spec.write_to(timer)
    due = spec.first_fire(START)
    if due <= START + fired_until:
        missed = spec.schedule.missed(due, START + fired_until)
        timer.last_fire_at = due if missed is None else missed.latest
        following = spec.schedule.next_after(timer.last_fire_at)
        if following is None:
            return None
        due = following
    timer.next_fire_at = due + spec.offset
    return timer


def edited(timer: Timer, spec: TimerSpec, at: timedelta) -> Next:
    before = Before.of(timer, Limits())
    spec.write_to(timer)
    return next_after_edit(before, spec, schedule_of(timer), timer, START + at)


@settings(max_examples=300, deadline=None)
@given(rule=RULES, edit=UNRELATED, fired_until=MOMENTS, late=LATE, jitter=JITTERS)
def test_an_edit_of_another_field_keeps_the_next_instant(
    rule: dict[str, Any], edit: dict[str, Any], fired_until: timedelta, late: timedelta, jitter: int
) -> None:
    rule = rule if rule["kind"] == "fixed_delay" else {**rule, "jitter": jitter}
    timer = timer_of(spec_of(rule), fired_until)
    if timer is None:
        return
    assert timer.next_fire_at is not None
    due = timer.next_fire_at - timer.offset
    # A definition that is given again is read at another moment: what it counts from is what the timer counts from.
    again = continued(spec_of({**rule, **edit}, fired_until + late), timer)
    assert edited(timer, again, fired_until + late) == Next(due)


@settings(max_examples=300, deadline=None)
@given(rule=RULES, other=RULES, fired_until=MOMENTS, late=LATE, jitter=JITTERS)
def test_another_schedule_fires_nothing_twice_and_loses_nothing_without_a_word(
    rule: dict[str, Any], other: dict[str, Any], fired_until: timedelta, late: timedelta, jitter: int
) -> None:
    rule = rule if rule["kind"] == "fixed_delay" else {**rule, "jitter": jitter}
    timer = timer_of(spec_of(rule), fired_until)
    if timer is None:
        return
    assert timer.next_fire_at is not None
    due, last, now = timer.next_fire_at - timer.offset, timer.last_fire_at, START + fired_until + late
    spec = continued(spec_of(other, fired_until + late), timer)
    try:
        following = redefine(timer, spec, spec.schedule, now, Limits())
    except InvalidRequest:
        return
    if following.due_at is None:
        return
    nominal = following.due_at - spec.offset
    assert last is None or nominal > last
    if due <= now:
        assert nominal == due or following.given_up is not None
    else:
        assert following.given_up is None
