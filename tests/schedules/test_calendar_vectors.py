"""Calendar schedules with the instants that the tests of Apache TomEE expect (EJBCronTriggerTest)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.schedules.fires import in_utc

FROM_TOMEE: list[tuple[dict[str, Any], str, str]] = [
    ({"year": 2011, "month": 5, "day_of_month": 5, "hour": "23", "minute": "25/35"}, "2011-05-05 22:00",
     "2011-05-05 23:25"),
    ({"year": 2011, "month": 5, "day_of_month": 5, "hour": "*", "minute": "20/40"}, "2011-05-05 10:21",
     "2011-05-05 11:20"),
    ({"hour": "*", "minute": "*", "second": 5}, "2011-02-05 00:00:04", "2011-02-05 00:00:05"),
    ({"day_of_month": "5", "day_of_week": "6", "year": 2010}, "2010-07-01 00:00", "2010-07-03 00:00"),
    ({"day_of_month": "last", "day_of_week": "3", "year": 2011}, "2011-05-07 00:00", "2011-05-11 00:00"),
    ({"year": 2011, "day_of_month": "18", "day_of_week": "3", "hour": 23, "minute": 59, "second": 58},
     "2011-05-18 23:59:59",
     "2011-05-25 23:59:58"),
    ({"day_of_month": "Last", "hour": 23, "minute": 59, "second": 59}, "2009-02-01 00:00", "2009-02-28 23:59:59"),
    ({"year": 2011, "month": 6, "day_of_month": "Last", "hour": 23, "minute": 59, "second": 59}, "2011-02-01 00:00",
     "2011-06-30 23:59:59"),
    ({"day_of_month": -2, "hour": 23, "minute": 1, "second": 59}, "2009-02-01 00:00", "2009-02-26 23:01:59"),
    ({"day_of_month": "2nd mon", "hour": 23, "minute": 1, "second": 59}, "2011-05-01 00:00", "2011-05-09 23:01:59"),
    ({"day_of_month": "last mon", "hour": 23, "minute": 1, "second": 59}, "2100-02-01 00:00", "2100-02-22 23:01:59"),
    ({"day_of_month": "1st sun", "hour": 23, "minute": 1, "second": 59}, "2100-02-01 00:00", "2100-02-07 23:01:59"),
    ({"day_of_month": "5th Sun-Last Sun", "hour": 23, "minute": 1, "second": 59}, "2100-01-01 00:00",
     "2100-01-31 23:01:59"),
    ({"day_of_week": "7", "hour": 23, "minute": 1, "second": 59}, "2011-05-05 23:01:30", "2011-05-08 23:01:59"),
    ({"year": 2011, "month": 6, "day_of_week": "3", "hour": 22, "minute": 1, "second": 1}, "2011-06-29 23:01:01", ""),
    ({"year": "2009-2013", "month": 2, "day_of_month": 29, "hour": 23, "minute": 1, "second": 0}, "2009-02-01 23:00",
     "2012-02-29 23:01"),
    ({"year": "2011", "month": "dec-dec", "day_of_month": 29, "hour": 23, "minute": 1, "second": 0}, "2009-02-01 23:00",
     "2011-12-29 23:01"),
    ({"day_of_month": "3-27", "hour": 23, "minute": 1, "second": 59}, "2010-07-01 23:00", "2010-07-03 23:01:59"),
    ({"day_of_month": "1st Sat - 4th FRI", "hour": 23, "minute": 1, "second": 59}, "2011-05-01 23:00",
     "2011-05-07 23:01:59"),
    ({"day_of_month": "-7-1", "hour": 23, "minute": 1, "second": 59}, "2011-06-28 23:00", "2011-06-28 23:01:59"),
    ({"day_of_week": "tue-fri", "hour": 23, "minute": 1, "second": 59}, "2010-06-29 23:00", "2010-06-29 23:01:59"),
    ({"day_of_week": "0-7", "hour": 23, "minute": 1, "second": 59}, "2010-06-29 23:00", "2010-06-29 23:01:59"),
    ({"day_of_month": "5,10,24", "hour": 23, "minute": 1, "second": 59}, "2010-06-29 23:00", "2010-07-05 23:01:59"),
    ({"day_of_month": "5,6-8,10,24", "hour": 23, "minute": 1, "second": 59}, "2010-06-29 23:00", "2010-07-05 23:01:59"),
    ({"day_of_month": "5,10,24,6-8", "hour": 23, "minute": 1, "second": 59}, "2010-06-29 23:00", "2010-07-05 23:01:59"),
    ({"day_of_month": "5,10,24,6-8,7", "hour": 23, "minute": 1, "second": 59}, "2010-06-29 23:00",
     "2010-07-05 23:01:59"),
    ({"day_of_month": "5,10,7,24,6-8", "hour": 23, "minute": 1, "second": 59}, "2010-06-29 23:00",
     "2010-07-05 23:01:59"),
    ({"day_of_month": "5, 10,26,25-3", "hour": 23, "minute": 1, "second": 59}, "2010-06-29 23:00",
     "2010-06-29 23:01:59"),
    ({"day_of_month": "5,25-LAST,1-3,26,10", "hour": 23, "minute": 1, "second": 59}, "2010-06-29 23:00",
     "2010-06-29 23:01:59"),
    ({"day_of_month": "5,5,10,10,25-26,26-3", "hour": 23, "minute": 1, "second": 59}, "2010-06-29 23:00",
     "2010-06-29 23:01:59"),
    ({"day_of_month": "5,5,10,10,25-26,26-LAST, 1-3", "hour": 23, "minute": 1, "second": 59}, "2010-06-29 23:00",
     "2010-06-29 23:01:59"),
    ({"day_of_week": "tue,wed,thu,fri", "hour": 23, "minute": 1, "second": 59}, "2010-06-29 23:00",
     "2010-06-29 23:01:59"),
    ({"day_of_week": "tue,wed,thu,fri,tue", "hour": 23, "minute": 1, "second": 59}, "2010-06-29 23:00",
     "2010-06-29 23:01:59"),
    ({"day_of_week": "2,3,4,5", "hour": 23, "minute": 1, "second": 59}, "2010-06-29 23:00", "2010-06-29 23:01:59"),
    ({"day_of_week": "2,3,4,5,2", "hour": 23, "minute": 1, "second": 59}, "2010-06-29 23:00", "2010-06-29 23:01:59"),
    ({"day_of_week": "tue,wed,thu-fri", "hour": 23, "minute": 1, "second": 59}, "2010-06-29 23:00",
     "2010-06-29 23:01:59"),
    ({"day_of_week": "wed,thu-fri,tue", "hour": 23, "minute": 1, "second": 59}, "2010-06-29 23:00",
     "2010-06-29 23:01:59"),
    ({"day_of_week": "tue,wed,thu,thu-fri,fri,tue", "hour": 23, "minute": 1, "second": 59}, "2010-06-29 23:00",
     "2010-06-29 23:01:59"),
    ({"year": 2008, "month": 12, "day_of_month": 1}, "2008-02-01 00:00", "2008-12-01 00:00"),
    ({"year": 2008, "day_of_week": "Wed"}, "2008-01-15 23:59:59", "2008-01-16 00:00"),
    ({"year": 2008, "month": 1, "day_of_month": 20, "hour": "6/3", "minute": 30}, "2008-01-19 23:59:59",
     "2008-01-20 06:30, 2008-01-20 09:30"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "start", "expected"), FROM_TOMEE)
def test_attributes_fire_as_tomee_says(spec: dict[str, Any], start: str, expected: str) -> None:
    assert in_utc("calendar", spec, start, expected.count(",") + 1) == expected
