"""Counts of what runs and what is excluded under calendars, held against a walk from instant to instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.schedules.work_counter import MOST_TO_COUNT, counted
from timers.schedules import parse
from timers.schedules.excluding import Excluding
from timers.schedules.exclusions import ExclusionCalendar
from timers.schedules.schedule import Missed
from timers.schedules.zones import zone

Spec = tuple[str, dict[str, Any]]
Rules = list[dict[str, Any]]
_MICROSECOND = timedelta(microseconds=1)
_MOVED_FROM = timedelta(days=34)

WEEKEND: Rules = [{"weekdays": ["sat", "sun"]}]
NIGHT: Rules = [{"cron": "0 22 * * *", "duration": "PT4H"}]
MOST_WINDOWS: Rules = [{"cron": "*/30 * * * *", "duration": "PT10M"}, {"cron": "7/30 * * * *", "duration": "PT15M"}]


def excluding(of: Spec, rules: list[tuple[Rules, str | None]], on: str, time_zone: str) -> Excluding:
    calendars = tuple(ExclusionCalendar.parse(f"free-{n}", one, where) for n, (one, where) in enumerate(rules))
    return Excluding(parse(*of, time_zone), calendars, on, zone(time_zone))


def walked(it: Excluding, begin: datetime, end: datetime) -> tuple[Missed | None, Missed | None]:
    """What runs and what is excluded from `begin` to before `end`, each instant of the schedule looked at by itself."""
    runs: set[datetime] = set()
    excluded: set[datetime] = set()
    own = it.schedule.first(begin - _MOVED_FROM)
    while own is not None and own < end + _MOVED_FROM:
        reason = it.reason(own)
        (runs if reason is None else excluded).add(own)
        if reason is not None and "; moved to " in reason:
            runs.add(datetime.fromisoformat(reason.rpartition("; moved to ")[2]).astimezone(UTC))
        own = it.schedule.next_after(own)
    return tuple(  # type: ignore[return-value]
        Missed(max(within), len(within)) if (within := [at for at in found if begin <= at < end]) else None
        for found in (runs, excluded)
    )


ZONES = (
    "Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "UTC", "Africa/Casablanca", "Pacific/Apia",
    "America/St_Johns", "Asia/Gaza", "America/Nuuk",
)  # fmt: skip
"""Clocks that are set by an hour or half of one, at midnight and around it, by a whole day, and never."""
SCHEDULES: tuple[Spec, ...] = (
    ("cron", {"expression": "30 2 * * *"}),
    ("cron", {"expression": "*/20 * * * 6,0"}),
    ("cron", {"expression": "*/30 0-3,23 * * *", "fold": "twice", "gap": "run_after"}),
    ("cron", {"expression": "*/10 0-3,22,23 * * *", "fold": "once", "gap": "run_after"}),
    ("cron", {"expression": "0 0 * * *", "gap": "skip"}),
    ("calendar", {"hour": "2", "minute": "30", "day_of_month": "Last"}),
    ("window", {"begin": "22:00", "end": "02:00", "every": 2400, "weekdays": ["fri", "sat"]}),
    ("window", {"begin": "22:00", "end": "21:59", "every": 2777}),
    ("rrule", {"rule": "FREQ=MONTHLY;BYDAY=-1SU,-1SA;BYHOUR=0,1,2,23", "start": "2010-01-01T01:30:00"}),
    ("rrule", {"rule": "FREQ=SECONDLY;INTERVAL=3989", "start": "2010-01-01T01:30:00"}),
    ("rrule", {"rule": "FREQ=MINUTELY;INTERVAL=7;BYSECOND=0,30;BYHOUR=0,2,23", "start": "2010-01-01T01:30:00"}),
    ("rrule", {"rule": "FREQ=SECONDLY;INTERVAL=977;BYHOUR=0,1,2;BYDAY=SU,MO;COUNT=9000", "start": "2010-03-01T00:00"}),
    ("rrule", {"rule": "FREQ=WEEKLY;BYDAY=SA,SU,MO;BYHOUR=0,1,2;BYSETPOS=1,2,-1,5", "start": "2010-03-01T01:30:00"}),
    ("fixed_rate", {"period": 3600, "anchor": "2010-01-01T00:00:00Z"}),
    ("fixed_rate", {"period": 6_101, "anchor": "2010-10-24T01:10:00.25Z"}),
    ("fixed_rate", {"period": 100_001.5, "anchor": "2010-10-24T01:10:00Z"}),
    ("once", {"at": "2026-10-25T01:30:00Z"}),
)
RULES: tuple[Rules, ...] = (
    WEEKEND,
    NIGHT,
    [{"cron": "0 1 * * *", "duration": "PT2H"}],
    [{"yearly": ["10-25", "03-28"]}, {"cron": "30 23 * * 6", "duration": "P3D"}],
    [{"from": "2026-10-10", "to": "2026-11-14"}],
    [{"dates": ["2026-10-24", "2026-10-25", "2011-12-29", "2011-12-31"]}],
    [{"cron": "*/30 * * * *", "duration": "PT10M"}, {"cron": "7/30 * * * *", "duration": "PT1.5S"}],
    [{"cron": "15 3 1,20 * *", "duration": "P9DT7H0.25S"}],
)
_APIA = datetime(2011, 12, 28), 7_000
_NEWFOUNDLAND = datetime(2010, 11, 5), 7_000
_AUTUMN, _SPRING = datetime(2026, 10, 20), datetime(2027, 3, 24)


@settings(max_examples=60, deadline=None)
@example(SCHEDULES[3], [(WEEKEND, None)], "after", "Pacific/Apia", _APIA[0], _APIA[1])
@example(SCHEDULES[2], [(WEEKEND, None)], "before", "Pacific/Apia", _APIA[0], _APIA[1])
@example(SCHEDULES[3], [(WEEKEND, None)], "after", "America/St_Johns", _NEWFOUNDLAND[0], _NEWFOUNDLAND[1])
@example(SCHEDULES[2], [(RULES[2], "Asia/Kathmandu")], "before", "America/St_Johns", _NEWFOUNDLAND[0], 7_000)
@example(
    ("cron", {"expression": "30 2 * * *"}), [([{"cron": "0 22 * * *", "duration": "PT4H"}], "America/New_York")],
    "before", "America/St_Johns", _NEWFOUNDLAND[0], 3_400,
)  # fmt: skip
@example(SCHEDULES[0], [(WEEKEND, None)], "after", "Europe/Berlin", _SPRING, 8_000)
@example(SCHEDULES[14], [(WEEKEND, "America/New_York"), (NIGHT, None)], "after", "Europe/Berlin", _AUTUMN, 20_000)
@given(
    st.sampled_from(SCHEDULES),
    st.lists(
        st.tuples(st.sampled_from(RULES), st.sampled_from([None, None, "America/New_York", "Asia/Kathmandu"])),
        min_size=1, max_size=2,
    ),
    st.sampled_from(["suppress", "before", "after"]),
    st.sampled_from(ZONES),
    st.sampled_from([_AUTUMN, _SPRING, _APIA[0], _NEWFOUNDLAND[0]]),
    st.integers(1, 30_000),
)  # fmt: skip
def test_counts_are_those_of_a_walk(
    of: Spec, rules: list[tuple[Rules, str | None]], on: str, time_zone: str, base: datetime, minutes: int
) -> None:
    it = excluding(of, rules, on, time_zone)
    begin = it.first(base.replace(tzinfo=UTC))
    end = base.replace(tzinfo=UTC) + timedelta(minutes=minutes)
    if begin is not None and begin < end - _MICROSECOND:
        assert (it.missed(begin, end - _MICROSECOND), it.excluded(begin, end - _MICROSECOND)) == walked(it, begin, end)


DENSE: tuple[Spec, ...] = (
    ("cron", {"expression": "* * * * * *"}),
    ("cron", {"expression": "25 9 * * *"}),
    ("window", {"begin": "22:00", "end": "21:59", "every": 1}),
    ("rrule", {"rule": "FREQ=SECONDLY;INTERVAL=997", "start": "2016-01-01T00:00:00"}),
    ("fixed_rate", {"period": 7, "anchor": "2016-01-01T00:00:00.25Z"}),
)


@pytest.mark.parametrize(("of", "on"), list(product(DENSE, ["suppress", "before", "after"])))
@pytest.mark.parametrize("rules", [WEEKEND, [*WEEKEND, *NIGHT], MOST_WINDOWS])
def test_work_for_years_of_missed_instants_is_bounded(of: Spec, on: str, rules: Rules) -> None:
    it = excluding(of, [([*rules, {"yearly": ["12-24", f"01-{len(on):02}"]}], None)], on, "Europe/Berlin")
    first = it.first(datetime(2016, 3, 1, tzinfo=UTC))
    assert first is not None
    until = first + timedelta(days=2 * 365)
    _, missed = counted(lambda: it.missed(first, until), most=MOST_TO_COUNT)
    _, excluded = counted(lambda: it.excluded(first, until), most=MOST_TO_COUNT)
    assert missed is not None and excluded is not None
    if on == "suppress":
        total = it.schedule.missed(first, until)
        assert total is not None and missed.count + excluded.count == total.count


def test_work_does_not_depend_on_how_dense_the_schedule_is() -> None:
    first, until = datetime(2026, 3, 1, 23, tzinfo=UTC), datetime(2027, 3, 1, 23, tzinfo=UTC)
    dense, sparse = (
        excluding(("cron", {"expression": expression}), [(WEEKEND, None)], "after", "UTC")
        for expression in ("* * * * * *", "0 23 * * *")
    )
    dense.missed(first, until)  # what both share is in memory then
    lines = [counted(lambda: it.missed(first, until))[0] for it in (dense, sparse)]  # noqa: B023 - called at once
    assert max(lines) < 1.5 * min(lines)
