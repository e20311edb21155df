"""Calendar schedules: every example of Jakarta Enterprise Beans 4.0, core features, Timer Service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.schedules.fires import in_utc, in_zone
from timers.schedules import parse
from timers.schedules.calendar import Calendar

WEDNESDAY = "2026-10-14 09:30:00"


def walls(spec: dict[str, Any]) -> Any:
    schedule = parse("calendar", spec)
    assert isinstance(schedule, Calendar)
    return schedule.walls


# "Examples": the annotations, and what stands above each of them.
EXAMPLES: list[tuple[dict[str, Any], str]] = [
    # Every Monday at midnight
    ({"day_of_week": "Mon"}, "2026-10-19 00:00, 2026-10-26 00:00, 2026-11-02 00:00"),
    # Every weekday morning at 3:15
    ({"minute": "15", "hour": "3", "day_of_week": "Mon-Fri"}, "2026-10-15 03:15, 2026-10-16 03:15, 2026-10-19 03:15"),
    # Every minute of every hour of every day
    ({"minute": "*", "hour": "*"}, "2026-10-14 09:31, 2026-10-14 09:32, 2026-10-14 09:33"),
    # Every Monday, Wednesday, and Friday at 30 seconds past noon
    ({"second": "30", "hour": "12", "day_of_week": "Mon,Wed,Fri"},
     "2026-10-14 12:00:30, 2026-10-16 12:00:30, 2026-10-19 12:00:30, 2026-10-21 12:00:30"),
    # Every five minutes within the hour
    ({"minute": "*/5", "hour": "*"}, "2026-10-14 09:35, 2026-10-14 09:40, 2026-10-14 09:45"),
    # The last Thursday in November at 2 p.m.
    ({"hour": "14", "day_of_month": "Last Thu", "month": "Nov"},
     "2026-11-26 14:00, 2027-11-25 14:00, 2028-11-30 14:00"),
    # The second to last day (one day before the last day) of each month at 1 a.m.
    ({"hour": "1", "day_of_month": "-1"}, "2026-10-30 01:00, 2026-11-29 01:00, 2026-12-30 01:00, 2027-01-30 01:00, "
     "2027-02-27 01:00"),
    # Every other hour within the day starting at noon on the 2nd Tuesday of every month.
    ({"hour": "12/2", "day_of_month": "2nd Tue"}, "2026-11-10 12:00, 2026-11-10 14:00, 2026-11-10 16:00, "
     "2026-11-10 18:00, 2026-11-10 20:00, 2026-11-10 22:00, 2026-12-08 12:00"),
    # "Automatic Timer Creation": at 1 a.m. on the 1st of every month; lunch on Monday to Thursday, and on Friday
    ({"hour": "1", "day_of_month": "1"}, "2026-11-01 01:00, 2026-12-01 01:00"),
    ({"hour": "12", "day_of_week": "Mon-Thu"}, "2026-10-14 12:00, 2026-10-15 12:00, 2026-10-19 12:00"),
    ({"hour": "11", "day_of_week": "Fri"}, "2026-10-16 11:00, 2026-10-23 11:00"),
    # "Annotation Schedule": without any attribute, every day at midnight
    ({}, "2026-10-15 00:00, 2026-10-16 00:00"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "expected"), EXAMPLES)
def test_an_example_of_the_specification_fires_as_its_title_says(spec: dict[str, Any], expected: str) -> None:
    assert in_utc("calendar", spec, WEDNESDAY, expected.count(",") + 1) == expected


def test_every_morning_at_3_15_us_eastern_time() -> None:
    assert in_zone("calendar", {"minute": "15", "hour": "3"}, "America/New_York", "2026-10-31", 2) == (
        "2026-10-31 03:15-04, 2026-11-01 03:15-05"
    )


# "Attribute Syntax": each example with what the specification says it is equivalent to.
EQUIVALENT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"second": 10}, {"second": "10"}),
    ({"day_of_week": "0-7"}, {"day_of_week": "*"}),
    ({"day_of_month": "27-3"}, {"day_of_month": "27-Last,1-3"}),
    ({"minute": "*/5"}, {"minute": "0,5,10,15,20,25,30,35,40,45,50,55"}),
    ({"second": "30/10"}, {"second": "30,40,50"}),
    ({"minute": "*/14", "hour": "1,2"}, {"minute": "0,14,28,42,56", "hour": "1,2"}),
    ({"second": "5-5"}, {"second": "5"}),
    ({"day_of_week": "Fri-Mon"}, {"day_of_week": "Fri-Sat,Sun-Mon"}),
    ({"hour": "22-2"}, {"hour": "22-23,0-2"}),
    ({"month": "Nov-Feb"}, {"month": "11,12,1,2"}),
    ({"minute": "10,10,20,10-12"}, {"minute": "10,11,12,20"}),
    ({"day_of_week": 0}, {"day_of_week": "7"}),
    ({"day_of_week": "MON"}, {"day_of_week": "mon"}),
    ({"day_of_month": "LAST thu", "month": "nOV"}, {"day_of_month": "Last Thu", "month": "Nov"}),
    ({"minute": " 10 , 20 - 30 "}, {"minute": "10,20-30"}),
    ({"minute": " * / 5 "}, {"minute": "*/5"}),
    ({"day_of_month": " 2nd   Tue "}, {"day_of_month": "2nd Tue"}),
    ({"second": "0", "minute": "0", "hour": "0", "day_of_month": "*", "month": "*", "day_of_week": "Mon", "year": "*"},
     {"day_of_week": "Mon"}),
    ({"month": "Sep"}, {"month": 9}),
    ({"second": "*"}, {"second": "0-59"}),
    ({"minute": "0-10,30,40"}, {"minute": "0,1,2,3,4,5,6,7,8,9,10,30,40"}),
    # A step of 0 lies in the bounds that the specification gives, and leads nowhere.
    ({"minute": "30/0"}, {"minute": "30"}),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "same"), EQUIVALENT)
def test_an_attribute_is_equivalent_to_what_the_specification_says(spec: dict[str, Any], same: dict[str, Any]) -> None:
    start, end = datetime(2026, 1, 1), datetime(2028, 3, 1)
    one, other = walls(spec), walls(same)
    assert one.times == other.times
    assert one.count(start, end) == other.count(start, end) > 0
    wall = start
    for _ in range(500):
        following = one.after(wall)
        assert following == other.after(wall)
        wall = following


@pytest.mark.parametrize(
    ("day_of_month", "expected"),
    [
        ("Last", "2026-10-31, 2026-11-30, 2026-12-31"),
        ("-7", "2026-10-24, 2026-11-23, 2026-12-24"),
        ("-7--5", "2026-10-24, 2026-10-25, 2026-10-26, 2026-11-23"),
        ("-7 - -5", "2026-10-24, 2026-10-25, 2026-10-26, 2026-11-23"),
        ("-1-1", "2026-10-30, 2026-10-31, 2026-11-01, 2026-11-29"),
        ("1st Sun", "2026-11-01, 2026-12-06, 2027-01-03"),
        ("5th Sat", "2026-10-31, 2027-01-30, 2027-05-29"),
        ("Last Fri", "2026-10-30, 2026-11-27, 2026-12-25"),
        ("1st Mon,3rd Mon,Last", "2026-10-19, 2026-10-31, 2026-11-02, 2026-11-16, 2026-11-30"),
        ("3rd Fri-Last Fri", "2026-10-16, 2026-10-17"),
        ("Last Fri-Last", "2026-10-30, 2026-10-31, 2026-11-27, 2026-11-28"),
        ("28-1st Sun", "2026-10-28, 2026-10-29, 2026-10-30, 2026-10-31, 2026-11-01, 2026-11-28"),
        ("5th Sun-Last", "2026-11-29, 2026-11-30, 2027-01-31"),
    ],
)
def test_days_are_named_from_both_ends_of_the_month_and_by_weekday(day_of_month: str, expected: str) -> None:
    fires = in_utc("calendar", {"day_of_month": day_of_month}, WEDNESDAY, expected.count(",") + 1)
    assert fires.replace(" 00:00", "") == expected


def test_a_day_that_matches_either_day_attribute_is_one() -> None:
    assert in_utc("calendar", {"day_of_month": "15,-1", "day_of_week": "Fri"}, WEDNESDAY, 6).replace(" 00:00", "") == (
        "2026-10-15, 2026-10-16, 2026-10-23, 2026-10-30, 2026-11-06, 2026-11-13"
    )
    # Named days are no wild card even when they are all seven; the range 0-7 is one.
    assert walls({"day_of_month": "15", "day_of_week": "0-6"}).days.either
    assert not walls({"day_of_month": "15", "day_of_week": "0-7"}).days.either


def test_a_year_ends_a_schedule() -> None:
    spec = {"month": "Dec", "day_of_month": "31", "year": "2026,2028"}
    assert in_utc("calendar", spec, WEDNESDAY, 3) == "2026-12-31 00:00, 2028-12-31 00:00"
    schedule = parse("calendar", spec)
    assert schedule.first(datetime(2029, 1, 1, tzinfo=UTC)) is None


def test_the_spec_holds_what_differs_from_the_defaults() -> None:
    spec = {"hour": 12, "minute": "0", "second": 0, "day_of_month": " 1st  Sun , Last ", "month": "*"}
    assert parse("calendar", spec).to_spec() == {"hour": "12", "day_of_month": "1st Sun,Last"}
    assert parse("calendar", parse("calendar", spec).to_spec()) == parse("calendar", spec)
