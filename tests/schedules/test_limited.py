"""A limited schedule: nothing long is computed at once, and counts that are put together are those of one piece."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.schedules.work_counter import MOST_WHILE_LOCKED, counted
from timers.domain.policies import MISFIRE_POLICIES, Policies
from timers.engine.decide import Decision, Due, decide
from timers.schedules import Schedule, parse
from timers.schedules.excluding import Excluding
from timers.schedules.exclusions import ExclusionCalendar
from timers.schedules.instant import to_microseconds
from timers.schedules.limited import Allowance, Limited, Memory, Uncomputed, limited, remembering
from timers.schedules.zones import zone

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
NOW_US = to_microseconds(NOW)
_MICROSECOND = timedelta(microseconds=1)
_SINCE_2016 = {"start": "2016-01-01T00:00:00"}
Spec = tuple[str, dict[str, Any]]
Rules = list[dict[str, Any]]

KINDS: dict[str, Spec] = {
    "every 10 seconds": ("cron", {"expression": "*/10 * * * * *"}),
    "daily": ("cron", {"expression": "0 9 * * *"}),
    "rate of 7 s": ("fixed_rate", {"period": 7, "anchor": "2016-01-01T00:00:00Z"}),
    "rate of 7.3 s": ("fixed_rate", {"period": 7.3, "anchor": "2016-01-01T00:00:00.1Z"}),
    "filtered rule": ("rrule", {"rule": "FREQ=MINUTELY;INTERVAL=7;BYDAY=MO,WE,SA;BYHOUR=3,4,23", **_SINCE_2016}),
    "drifting rule": ("rrule", {"rule": "FREQ=SECONDLY;INTERVAL=3601;BYDAY=MO,TU", **_SINCE_2016}),
    "calendar": ("calendar", {"second": "*/10", "minute": "*", "hour": "*"}),
    "window": ("window", {"begin": "22:00", "end": "02:00", "every": 60}),
}
CALENDARS: dict[str, list[tuple[Rules, str | None]]] = {
    "weekends": [([{"weekdays": ["sat", "sun"]}], None)],
    "holidays": [([{"holidays": "DE"}], None)],
    "all of these": [
        ([{"weekdays": ["sat", "sun"]}, {"holidays": "DE"}], None),
        ([{"cron": "0 22 * * *", "duration": "PT4H"}], "America/New_York"),
    ],
    "many windows": [
        ([{"cron": "*/30 * * * *", "duration": "PT10M"}, {"cron": "7/30 * * * *", "duration": "PT15M"}], None)
    ],
}
ON_EXCLUDED = ("suppress", "before", "after")


def excluding(kind: str, calendars: str, on: str) -> Excluding:
    found = tuple(
        ExclusionCalendar.parse(f"free-{number}", rules, of) for number, (rules, of) in enumerate(CALENDARS[calendars])
    )
    return Excluding(parse(*KINDS[kind], "Europe/Berlin"), found, on, zone("Europe/Berlin"))


def decided(schedule: Schedule, first: datetime, policies: Policies, now_us: int = NOW_US) -> Decision | None:
    """The decision; None: it lacks what is to be computed first."""
    try:
        return decide(Due(schedule, to_microseconds(first)), policies, now_us)
    except Uncomputed:
        return None


@pytest.mark.parametrize("misfire", MISFIRE_POLICIES)
@pytest.mark.parametrize(("calendars", "on"), list(product(("all of these", "many windows"), ON_EXCLUDED)))
@pytest.mark.parametrize("kind", KINDS)
def test_decision_after_years_computes_little_while_rows_are_locked(
    kind: str, calendars: str, on: str, misfire: str
) -> None:
    policies = Policies(misfire_policy=misfire)
    years = 1 if kind == "rate of 7.3 s" else 10
    schedule, memory = excluding(kind, calendars, on), Memory()
    first = schedule.first(NOW - timedelta(days=365 * years))
    assert first is not None
    made: Decision | None = None
    for number in range(20):
        # The schedule is asked anew in each pass, and time goes on.
        under_lock, now_us = limited(schedule, memory), NOW_US + 7_000_000 * number
        _, made = counted(partial(decided, under_lock, first, policies, now_us), most=MOST_WHILE_LOCKED)
        if made is not None:
            break
        decided(remembering(under_lock), first, policies, now_us)
    assert made is not None
    assert made == decided(schedule, first, policies, now_us)


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(list(KINDS)),
    st.sampled_from(list(CALENDARS)),
    st.sampled_from(ON_EXCLUDED),
    st.lists(st.integers(0, 90 * 24 * 3600), min_size=2, max_size=5),
)
def test_counts_of_overlapping_stretches_are_those_of_one_piece(
    kind: str, calendars: str, on: str, bounds: list[int]
) -> None:
    schedule, memory = excluding(kind, calendars, on), Memory()
    for begin, end in pairwise(bounds):
        first = schedule.first(NOW - timedelta(seconds=max(begin, end)))
        until = NOW - timedelta(seconds=min(begin, end))
        if first is None:
            continue
        # Each adds to what is remembered of the ones before.
        known = Limited(schedule, memory, Allowance(), remembers=True)
        assert known.missed(first, until) == schedule.missed(first, until)
        assert known.excluded(first, until) == schedule.excluded(first, until)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(list(KINDS)),
    st.sampled_from(list(CALENDARS)),
    st.sampled_from(ON_EXCLUDED),
    st.lists(st.integers(0, 40 * 24 * 3600), min_size=3, max_size=3, unique=True).map(sorted),
)
def test_counts_of_two_parts_add_up(kind: str, calendars: str, on: str, seconds: list[int]) -> None:
    schedule = excluding(kind, calendars, on)
    begin, middle, end = (NOW - timedelta(days=40) + timedelta(seconds=each) for each in seconds)
    for excluded in (False, True):
        whole = schedule.counted(begin, end, excluded=excluded)
        parts = [schedule.counted(*part, excluded=excluded) for part in ((begin, middle), (middle, end))]
        found = [part for part in parts if part is not None]
        assert (whole is None) == (not found)
        if whole is not None:
            assert (whole.latest, whole.count) == (found[-1].latest, sum(part.count for part in found))


def test_short_outage_is_counted_at_once() -> None:
    schedule = excluding("every 10 seconds", "weekends", "after")
    first = schedule.first(NOW - timedelta(days=3))
    assert first is not None
    made = decided(limited(schedule, Memory()), first, Policies())
    assert made is not None
    assert made == decided(schedule, first, Policies())


def test_long_outage_is_not_counted_at_once() -> None:
    schedule = excluding("every 10 seconds", "weekends", "after")
    first = schedule.first(NOW - timedelta(days=3_650))
    assert first is not None
    lines, made = counted(partial(decided, limited(schedule, Memory()), first, Policies()))
    assert made is None
    assert lines < 1_000


def test_schedules_without_calendars_are_not_limited() -> None:
    plain = parse(*KINDS["drifting rule"])
    assert limited(plain, Memory()) is plain


def test_memory_is_shared_by_timers_that_are_due_at_about_the_same_time() -> None:
    schedule, memory = excluding("every 10 seconds", "all of these", "after"), Memory()
    first = schedule.first(NOW - timedelta(days=3_650))
    assert first is not None
    remembering(limited(schedule, memory)).missed(first, NOW)
    other, until = first + timedelta(minutes=35), NOW + timedelta(hours=2)
    assert limited(schedule, memory).missed(other, until) == schedule.missed(other, until)


def test_answer_that_cannot_be_given_is_an_error_under_the_lock_too(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule, memory = excluding("daily", "weekends", "after"), Memory()
    first = NOW - timedelta(days=3_650)

    def fail(*_: object, **__: object) -> None:
        raise OverflowError("no such instant")

    monkeypatch.setattr(Excluding, "counted", fail)
    with pytest.raises(Uncomputed):
        limited(schedule, memory).missed(first, NOW)
    with pytest.raises(OverflowError):
        remembering(limited(schedule, memory)).missed(first, NOW)
    with pytest.raises(OverflowError):
        limited(schedule, memory).missed(first, NOW + timedelta(seconds=1))


def test_memory_forgets_the_oldest_schedules() -> None:
    memory = Memory(most=2)
    found = [replace(excluding("daily", "weekends", "after"), zone=zone(name)) for name in ("UTC", "CET", "EET")]
    for each in found:
        remembering(limited(each, memory)).next_after(NOW)
    assert [memory.known(each) is not None for each in found] == [False, True, True]
