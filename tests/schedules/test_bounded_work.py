"""No schedule costs more than a bounded amount of work to accept, to refuse, or to be asked for its next instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.schedules.work_counter import MOST_TO_ASK, MOST_TO_PARSE, counted
from timerproject.bench.hostile_rules import HOSTILE
from timers.exceptions import InvalidRequest
from timers.schedules import Schedule, parse
from timers.schedules.rrule_text import _MOST_INTERVALS
from timers.schedules.stepped_times import in_steps

NOW = datetime(2026, 11, 28, 19, tzinfo=UTC)
MOMENTS = (datetime(1970, 1, 1, tzinfo=UTC), NOW, datetime(2400, 2, 29, tzinfo=UTC), datetime(8999, 1, 1, tzinfo=UTC))


def parsed(kind: str, spec: dict[str, Any], time_zone: str = "Europe/Berlin") -> Schedule | None:
    """The schedule, with the work of parsing bounded; None for one that is refused."""

    def make() -> Schedule | None:
        try:
            return parse(kind, spec, time_zone)
        except InvalidRequest:
            return None

    return counted(make, most=MOST_TO_PARSE)[1]


def check_next(schedule: Schedule) -> None:
    for moment in MOMENTS:
        following: datetime | None = moment
        for _ in range(3):
            if following is not None:
                asked = following
                _, following = counted(lambda: schedule.next_after(asked), most=MOST_TO_ASK)  # noqa: B023 - at once
                assert following is None or following > asked


@pytest.mark.parametrize("name", HOSTILE)
def test_work_for_a_hostile_rule_is_bounded(name: str) -> None:
    kind, spec = HOSTILE[name]
    schedule = parsed(kind, spec)
    if schedule is not None:
        check_next(schedule)


def _numbers(low: int, high: int, *, signed: bool = False) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    if signed:
        number = st.one_of(number.filter(bool), number.filter(bool).map(lambda n: -n))
    return st.lists(number, min_size=1, max_size=60, unique=True).map(lambda found: ",".join(map(str, found)))


_DAYS = ("SU", "MO", "TU", "WE", "TH", "FR", "SA")
_WITHIN_A_DAY = ("HOURLY", "MINUTELY", "SECONDLY")


def _weekdays(most: int) -> st.SearchStrategy[str]:
    """Days of the week, some of them counted up to `most`, as 2TU."""
    plain = st.sampled_from(_DAYS)
    counted_ones = st.tuples(st.integers(-most, most).filter(bool), plain).map(lambda pair: f"{pair[0]}{pair[1]}")
    return st.lists(st.one_of(plain, counted_ones) if most else plain, min_size=1, max_size=60).map(",".join)


@st.composite
def rules(draw: st.DrawFn) -> str:
    frequency = draw(st.sampled_from(list(_MOST_INTERVALS)))
    most = _MOST_INTERVALS[frequency]
    interval = draw(st.one_of(st.sampled_from([1, 7, 997, 1_439, 3_601, 86_399, 86_401]), st.integers(1, most)))
    parts = [f"FREQ={frequency}", f"INTERVAL={min(interval, most)}"]
    choices = {
        "BYMONTH": _numbers(1, 12),
        "BYHOUR": _numbers(0, 23),
        "BYMINUTE": _numbers(0, 59),
        "BYSECOND": _numbers(0, 59),
        "BYDAY": _weekdays(53 if frequency == "YEARLY" else 5 if frequency == "MONTHLY" else 0),
    }
    if frequency != "WEEKLY":
        choices["BYMONTHDAY"] = _numbers(1, 31, signed=True)
    if frequency in ("YEARLY", *_WITHIN_A_DAY):
        choices["BYYEARDAY"] = _numbers(1, 366, signed=True)
    if frequency == "YEARLY":
        choices["BYWEEKNO"] = _numbers(1, 53, signed=True)
    if frequency not in _WITHIN_A_DAY:
        choices["BYSETPOS"] = _numbers(1, 366, signed=True)
    for name in draw(st.lists(st.sampled_from(sorted(choices)), max_size=4, unique=True)):
        parts.append(f"{name}={draw(choices[name])}")  # noqa: PERF401 - each draws
    if draw(st.booleans()):
        parts.append(f"COUNT={draw(st.integers(1, 1_000_000))}")
    return ";".join(parts)


_LONG = ",".join(map(str, (*range(-31, -1), *range(1, 32))))
_NTH_DAYS = ",".join(f"{nth}{day}" for nth in (-51, -40, -37, -8, 5, 11, 18, 43, 49) for day in _DAYS)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(f"FREQ=YEARLY;INTERVAL=8;BYMONTHDAY={_LONG};BYWEEKNO=17;BYMONTH=4,7;COUNT=888410", datetime(2073, 6, 28))
@example(f"FREQ=SECONDLY;INTERVAL=19581;BYYEARDAY=330,-170;BYMONTHDAY={_LONG};BYHOUR=4", datetime(1989, 7, 14))
@example(f"FREQ=YEARLY;INTERVAL=20;BYDAY={_NTH_DAYS}", datetime(1999, 3, 18))
@example(f"FREQ=WEEKLY;BYSETPOS=-26,71,-21;BYMONTH=5;BYDAY={','.join(_DAYS)};COUNT=2549", datetime(2068, 3, 17))
@example(f"FREQ=WEEKLY;INTERVAL=2;BYSETPOS=-1;BYDAY={','.join(_DAYS)};COUNT=2600", datetime(2068, 3, 17))
@example("FREQ=WEEKLY;INTERVAL=58;BYSECOND=26,38;BYDAY=TU,FR;BYSETPOS=258,-244;COUNT=105", datetime(2088, 5, 24))
@example(f"FREQ=MONTHLY;INTERVAL=240;BYMONTHDAY={_LONG};BYSETPOS=-221,-5;BYSECOND=57", datetime(2037, 11, 3))
@example("FREQ=SECONDLY;INTERVAL=86399;BYDAY=MO;BYHOUR=3;BYMINUTE=3", datetime(2026, 11, 28, 19))
@given(rules(), st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(microsecond=0)))
def test_work_for_any_recurrence_rule_is_bounded(rule: str, start: datetime) -> None:
    schedule = parsed("rrule", {"rule": rule, "start": start.isoformat()})
    if schedule is not None:
        check_next(schedule)


_CRON_TERM = st.one_of(
    st.integers(0, 70).map(str),
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: f"{pair[0]}-{pair[1]}"),
    st.integers(1, 99).map(lambda step: f"*/{step}"),
    st.sampled_from(["*", "?", "L", "LW", "L-30", "31W", "5L", "5#5", "H", "H(0-29)/10", "FEB", "MONN", ""]),
)
_CRON_FIELD = st.lists(_CRON_TERM, min_size=1, max_size=12).map(",".join)


@settings(max_examples=150, deadline=None)
@given(st.lists(_CRON_FIELD, min_size=4, max_size=7).map(" ".join))
def test_work_for_any_cron_expression_is_bounded(expression: str) -> None:
    schedule = parsed("cron", {"expression": expression, "seed": "group/name"})
    if schedule is not None:
        check_next(schedule)


@pytest.mark.parametrize("number", range(3))
def test_count_of_a_steady_rule_costs_as_little_as_a_rule_without(number: int) -> None:
    rule = f"FREQ=SECONDLY;COUNT={36_000 - number};INTERVAL=86399"
    lines, schedule = counted(lambda: parse("rrule", {"rule": rule, "start": "2026-11-28T19:00:00"}, "Europe/Berlin"))
    assert lines < 2_000
    last = datetime(2026, 11, 28, 18, tzinfo=UTC) + timedelta(seconds=86_399 * (36_000 - number - 1))
    assert schedule.next_after(last + timedelta(hours=2)) is None
    assert schedule.next_after(last - timedelta(hours=2)) is not None


def test_count_that_needs_more_than_100_years_is_refused_with_the_reason() -> None:
    with pytest.raises(InvalidRequest, match="goes on for more than 100 years: leave COUNT out"):
        parse("rrule", {"rule": "FREQ=DAILY;COUNT=36600", "start": "2026-11-28T19:00:00"}, "UTC")


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY;INTERVAL=86401;BYSECOND=5;BYMONTHDAY=-1,1;BYHOUR=0",
        "FREQ=SECONDLY;INTERVAL=86399;BYSECOND=5;BYMONTHDAY=-1,1;BYHOUR=0",
        "FREQ=MINUTELY;INTERVAL=1441;BYHOUR=3;BYDAY=MO;BYMONTHDAY=31",
        "FREQ=SECONDLY;INTERVAL=43199;BYHOUR=3;BYMINUTE=7;BYDAY=MO",
    ],
)
def test_rule_that_drifts_through_the_day_is_asked_year_by_year(rule: str) -> None:
    schedule = parsed("rrule", {"rule": rule, "start": "2026-11-28T23:59:05"})
    if schedule is not None:
        for moment in MOMENTS:
            lines, _ = counted(lambda: schedule.next_after(moment))  # noqa: B023 - called at once
            assert lines < 6_000


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY;INTERVAL=48093;BYDAY=MO;BYMONTH=6;BYHOUR=15;BYMINUTE=0,9,21,23,41;BYSECOND=6,17,30,39,48",
        "FREQ=SECONDLY;INTERVAL=104301;BYDAY=TU,WE;BYMONTHDAY=13;BYHOUR=7,19,23;BYMINUTE=24,27,32,44,58",
        "FREQ=YEARLY;INTERVAL=7;BYMONTH=2;BYMONTHDAY=29",
    ],
)
def test_years_without_a_fire_are_looked_through_once(rule: str) -> None:
    schedule = parsed("rrule", {"rule": rule, "start": "1970-01-01T00:00:00"})
    assert schedule is not None
    for moment in MOMENTS:
        first = schedule.next_after(moment)
        lines, again = counted(lambda: schedule.next_after(moment))  # noqa: B023 - called at once
        assert again == first
        assert lines < 300


@given(st.binary(min_size=1, max_size=40), st.integers(0, 99), st.integers(-99, 99), st.integers(0, 500), st.booleans())
def test_steps_around_a_table_are_those_of_single_steps(
    table: bytes, start: int, step: int, count: int, is_listed: bool
) -> None:
    entries = [table[(start + step * number) % len(table)] for number in range(count)]
    assert list(in_steps(list(table) if is_listed else table, start, step, count)) == entries
