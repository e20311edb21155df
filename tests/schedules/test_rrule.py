"""The rules of iCalendar: the examples of RFC 5545 (section 3.8.5.3), and python-dateutil where it can be trusted.

Left out of the comparison is what python-dateutil reads otherwise than the RFC: weeks around New Year, a start in the
midst of a week with BYSETPOS, plain and counted days together.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from timers.exceptions import InvalidRequest
from timers.schedules import parse
from timers.schedules.rrule import RRule


def rule(text: str, start: str = "1997-09-02T09:00:00", time_zone: str = "America/New_York", **policy: str) -> RRule:
    parsed = parse("rrule", {"rule": text, "start": start, **policy}, time_zone)
    assert isinstance(parsed, RRule)
    return parsed


def walls(schedule: RRule, count: int) -> list[datetime]:
    found = []
    wall: datetime | None = schedule.start - timedelta(seconds=1)
    while len(found) < count and (wall := schedule.walls.after(wall)) is not None:
        found.append(wall)
    return found


def days(text: str, count: int, start: str = "1997-09-02T09:00:00") -> str:
    """The first walls of a rule, in short: "97-09-02 97-09-03", with the time where it is not 9:00."""
    return " ".join(f"{wall:%y-%m-%d}" + (f"{wall:T%H%M}" if wall.hour != 9 or wall.minute else "")
                    for wall in walls(rule(text, start), count))  # fmt: skip


# The examples of the RFC, each with the first of the dates that it names.
EXAMPLES = [
    ("FREQ=DAILY;COUNT=10", 99,
     "97-09-02 97-09-03 97-09-04 97-09-05 97-09-06 97-09-07 97-09-08 97-09-09 97-09-10 97-09-11"),
    ("FREQ=DAILY;INTERVAL=2", 3, "97-09-02 97-09-04 97-09-06"),
    ("FREQ=DAILY;INTERVAL=10;COUNT=5", 99, "97-09-02 97-09-12 97-09-22 97-10-02 97-10-12"),
    ("FREQ=WEEKLY;COUNT=10", 3, "97-09-02 97-09-09 97-09-16"),
    ("FREQ=WEEKLY;INTERVAL=2;WKST=SU", 5, "97-09-02 97-09-16 97-09-30 97-10-14 97-10-28"),
    ("FREQ=WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH", 5, "97-09-02 97-09-04 97-09-09 97-09-11 97-09-16"),
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH", 99,
     "97-09-02 97-09-04 97-09-16 97-09-18 97-09-30 97-10-02 97-10-14 97-10-16"),
    ("FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU", 6, "97-09-07 97-09-28 97-11-02 97-11-30 98-01-04 98-01-25"),
    ("FREQ=MONTHLY;COUNT=6;BYDAY=-2MO", 99, "97-09-22 97-10-20 97-11-17 97-12-22 98-01-19 98-02-16"),
    ("FREQ=MONTHLY;BYMONTHDAY=-3", 4, "97-09-28 97-10-29 97-11-28 97-12-29"),
    ("FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15", 4, "97-09-02 97-09-15 97-10-02 97-10-15"),
    ("FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1", 4, "97-09-30 97-10-01 97-10-31 97-11-01"),
    ("FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15", 7,
     "97-09-10 97-09-11 97-09-12 97-09-13 97-09-14 97-09-15 99-03-10"),
    ("FREQ=MONTHLY;INTERVAL=2;BYDAY=TU", 6, "97-09-02 97-09-09 97-09-16 97-09-23 97-09-30 97-11-04"),
    ("FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200", 5, "00-01-01 00-04-09 00-07-18 03-01-01 03-04-10"),
    ("FREQ=YEARLY;BYDAY=20MO", 3, "98-05-18 99-05-17 00-05-15"),
    ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", 3, "98-05-11 99-05-17 00-05-15"),
    ("FREQ=YEARLY;BYMONTH=3;BYDAY=TH", 5, "98-03-05 98-03-12 98-03-19 98-03-26 99-03-04"),
    ("FREQ=YEARLY;BYDAY=TH;BYMONTH=6,7,8", 2, "98-06-04 98-06-11"),
    ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", 5, "98-02-13 98-03-13 98-11-13 99-08-13 00-10-13"),
    ("FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13", 5, "97-09-13 97-10-11 97-11-08 97-12-13 98-01-10"),
    ("FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8", 3, "97-11-04 01-11-06 05-11-08"),
    ("FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", 99, "97-09-04 97-10-07 97-11-06"),
    ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2", 4, "97-09-29 97-10-30 97-11-27 97-12-30"),
    ("FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T170000", 99, "97-09-02 97-09-02T1200 97-09-02T1500"),
    ("FREQ=MINUTELY;INTERVAL=15;COUNT=6", 99,
     "97-09-02 97-09-02T0915 97-09-02T0930 97-09-02T0945 97-09-02T1000 97-09-02T1015"),
    ("FREQ=MINUTELY;INTERVAL=90;COUNT=4", 99, "97-09-02 97-09-02T1030 97-09-02T1200 97-09-02T1330"),
    ("FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10", 7,
     "97-09-02 97-09-02T0920 97-09-02T0940 97-09-02T1000 97-09-02T1020 97-09-02T1040 97-09-03"),
    ("FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5", 99, "97-09-15 97-09-30 97-10-15 97-10-30 97-11-15"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "count", "expected"), EXAMPLES, ids=[text for text, _, _ in EXAMPLES])
def test_an_example_of_the_rfc_fires_on_its_dates(text: str, count: int, expected: str) -> None:
    assert days(text, count) == expected


def test_the_first_day_of_the_week_changes_what_every_second_week_is() -> None:
    text, start = "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=", "1997-08-05T09:00:00"
    assert days(text + "MO", 9, start) == "97-08-05 97-08-10 97-08-19 97-08-24"
    assert days(text + "SU", 9, start) == "97-08-05 97-08-17 97-08-19 97-08-31"


def test_days_around_new_year_lie_in_the_week_that_has_most_of_its_days() -> None:
    found = walls(rule("FREQ=YEARLY;BYWEEKNO=52,53,1;BYDAY=MO,SU", "2026-06-01T00:00:00"), 60)
    assert {wall.isocalendar().week for wall in found} == {52, 53, 1}
    assert datetime(2039, 1, 2) in found  # the Sunday of week 52 of 2038


def test_plain_and_counted_days_stand_beside_each_other() -> None:
    assert days("FREQ=MONTHLY;BYDAY=1MO,-1FR", 4) == "97-09-26 97-10-06 97-10-31 97-11-03"
    assert days("FREQ=MONTHLY;BYDAY=SU,1MO", 4, "1997-10-01T09:00:00") == "97-10-05 97-10-06 97-10-12 97-10-19"


@pytest.mark.parametrize(
    ("until", "last"),
    [("20261203", "2026-12-03T07:00:00+00:00"), ("20261203T080000", "2026-12-03T07:00:00+00:00"),
     ("20261203T070000Z", "2026-12-03T07:00:00+00:00"), ("20261203T065959Z", "2026-12-02T07:00:00+00:00")],
)  # fmt: skip
def test_until_is_the_last_instant_that_may_fire(until: str, last: str) -> None:
    schedule = rule(f"FREQ=DAILY;UNTIL={until}", "2026-11-20T08:00:00", "Europe/Berlin")
    first = schedule.first(datetime(2026, 1, 1, tzinfo=UTC))
    assert first is not None
    missed = schedule.missed(first, datetime(2028, 1, 1, tzinfo=UTC))
    assert missed.latest.isoformat() == last
    assert schedule.next_after(missed.latest) is None


def test_a_daily_rule_fires_once_on_the_days_on_which_the_clock_is_set_and_an_hourly_one_follows_it() -> None:
    daily = rule("FREQ=DAILY", "2027-03-27T02:30:00", "Europe/Berlin")
    assert str(daily.next_after(datetime(2027, 3, 27, 12, tzinfo=UTC))) == "2027-03-28 01:00:00+00:00"
    hourly = rule("FREQ=HOURLY", "2026-10-24T00:30:00", "Europe/Berlin")
    missed = hourly.missed(datetime(2026, 10, 24, 22, 30, tzinfo=UTC), datetime(2026, 10, 25, 22, 59, tzinfo=UTC))
    assert missed.count == 25
    skipped = rule("FREQ=DAILY", "2027-03-27T02:30:00", "Europe/Berlin", gap="skip")
    assert str(skipped.next_after(datetime(2027, 3, 27, 12, tzinfo=UTC))) == "2027-03-29 00:30:00+00:00"


def test_the_answer_far_from_the_start_costs_what_it_costs_near_it() -> None:
    schedule = rule("FREQ=SECONDLY;INTERVAL=7", "1970-01-01T00:00:00", "UTC")
    found = schedule.next_after(datetime(2500, 1, 1, tzinfo=UTC))
    assert found is not None
    assert (found - datetime(1970, 1, 1, tzinfo=UTC)) % timedelta(seconds=7) == timedelta()
    missed = schedule.missed(datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    assert missed.count == 1 + int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) // 7


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("FREQ=WEEKLI", "did you mean WEEKLY"),
        ("INTERVAL=2", "needs FREQ"),
        ("FREQ=DAILY;BYHOURS=3", "did you mean BYHOUR"),
        ("FREQ=DAILY;BYHOUR=24", "allowed are 0 to 23"),
        ("FREQ=DAILY;BYHOUR=", "says nothing for BYHOUR"),
        ("FREQ=DAILY;FREQ=DAILY", "twice"),
        ("FREQ=DAILY;COUNT=0", "from 1 to"),
        ("FREQ=YEARLY;INTERVAL=21", "from 1 to 20"),
        ("FREQ=DAILY;COUNT=1000000", "more than 100 years"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20270101", "both COUNT and UNTIL"),
        ("FREQ=DAILY;UNTIL=2027-01-01", "needs a date for UNTIL"),
        ("FREQ=DAILY;UNTIL=20200101", "between its start and UNTIL"),
        ("FREQ=DAILY;BYDAY=2TU", "write TU alone"),
        ("FREQ=MONTHLY;BYDAY=XX", "allowed are SU, MO"),
        ("FREQ=MONTHLY;BYWEEKNO=3", "must not have BYWEEKNO"),
        ("FREQ=WEEKLY;BYMONTHDAY=3", "must not have BYMONTHDAY"),
        ("FREQ=MINUTELY;BYSECOND=0,30;BYSETPOS=1", "name the minutes or seconds"),
        ("FREQ=DAILY;BYSETPOS=1", "needs another part"),
        ("DTSTART:20260101T000000\nRRULE:FREQ=DAILY", "give it as start"),
        ("RRULE:FREQ=DAILY\nEXDATE:20270101T000000", "by an exclusion calendar"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "February has no 30th day"),
        ("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "February has no 30th day"),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=TU", "never fires: nothing matches within 40 years"),
        ("FREQ=SECONDLY;INTERVAL=86400;BYHOUR=3", "never fires"),
        (
            "FREQ=SECONDLY;INTERVAL=86399;BYMONTH=2;BYMONTHDAY=29;BYHOUR=3",
            r"^rule: never fires: nothing matches within 40 years of its start \(",
        ),
        ("FREQ=DAILY;BYHOUR=" + ",".join(["1"] * 40_000), "at most 1,024"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_words(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as refused:
        rule(text, "2026-11-20T09:00:00")  # a Friday
    assert refused.value.field == "rule"


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("2026-11-20T09:00:00+01:00", "leave the offset out"),
        ("2026-02-30T09:00", "is no date"),
        (5, "must be a date and time"),
    ],
)
def test_a_start_that_is_no_wall_is_refused(start: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as refused:
        parse("rrule", {"rule": "FREQ=DAILY", "start": start})
    assert refused.value.field == "start"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17", "every month on the last Friday at 17:00, from 1997-09-02, UTC"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=FR,MO", "every 2 weeks on Monday and Friday at 09:00, from 1997-09-02, UTC"),
        ("FREQ=YEARLY", "every year on day 2 of the month in September at 09:00, from 1997-09-02, UTC"),
        ("FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10", "every 20 minutes at hour 9 and 10, from 1997-09-02, UTC"),
        ("FREQ=DAILY;COUNT=3", "every day at 09:00 3 times until 1997-09-04 09:00, from 1997-09-02, UTC"),
    ],
)
def test_a_rule_says_itself(text: str, words: str) -> None:
    assert rule(text, time_zone="UTC").describe() == words


def numbers(low: int, high: int, *others: int) -> st.SearchStrategy[str]:
    one = st.integers(low, high) | st.sampled_from(others) if others else st.integers(low, high)
    return st.lists(one, min_size=1, max_size=3, unique=True).map(lambda values: ",".join(map(str, values)))


@st.composite
def rules(draw: st.DrawFn) -> str:
    frequency = draw(st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"]))
    dense = frequency in ("HOURLY", "MINUTELY", "SECONDLY")
    parts = {
        "INTERVAL": st.sampled_from([2, 7, 11, 90, 1000] if dense else [2, 3, 5]).map(str),
        "BYMONTH": numbers(1, 12),
    }
    weekdays = st.lists(st.sampled_from(["MO", "TU", "WE", "SA", "SU"]), min_size=1, max_size=3, unique=True)
    parts["BYDAY"] = weekdays.map(",".join)
    if frequency in ("YEARLY", "MONTHLY"):
        counted = st.tuples(st.sampled_from([1, 2, 5, -1]), st.sampled_from(["MO", "FR"])).map(
            lambda day: f"{day[0]}{day[1]}"
        )
        parts["BYDAY"] |= counted
    if frequency != "WEEKLY":
        parts["BYMONTHDAY"] = numbers(1, 31, -1, -2, -31)
    if dense or frequency == "YEARLY":
        parts["BYYEARDAY"] = numbers(1, 366, -1, -366)
    parts |= {"BYHOUR": numbers(0, 23), "BYMINUTE": numbers(0, 59), "BYSECOND": numbers(0, 59), "COUNT": numbers(1, 9)}
    if not dense and frequency != "WEEKLY":
        parts["BYSETPOS"] = numbers(1, 3, -1, -2)
    names = draw(st.lists(st.sampled_from(sorted(parts)), max_size=4, unique=True))
    if "BYSETPOS" in names and not set(names) - {"INTERVAL", "COUNT", "BYSETPOS"}:
        names.remove("BYSETPOS")
    values = {name: draw(parts[name]).split(",")[0] if name == "COUNT" else draw(parts[name]) for name in names}
    return ";".join([f"FREQ={frequency}", *(f"{name}={value}" for name, value in values.items())])


@settings(max_examples=120, deadline=None)
@given(
    rules(), st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(lambda start: start.replace(microsecond=0))
)
def test_a_rule_fires_when_python_dateutil_says_so(text: str, start: datetime) -> None:
    try:
        schedule = rule(text, start.isoformat(), "UTC")
    except InvalidRequest:
        assume(False)  # what never fires keeps dateutil walking until the year 9999
    found = walls(schedule, 20)
    expected = list(islice(rrulestr(text, dtstart=start), len(found)))
    assert found == expected
    assert schedule.walls.count(start, found[-1]) == len(found) - 1
