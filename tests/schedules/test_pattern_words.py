from __future__ import annotations

from typing import Any

import pytest

from timers.schedules import parse
from timers.schedules.pattern_words import times_in_words
from timers.schedules.times_of_day import ListedTimes


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 0 15W * *", "at 00:00 on the weekday nearest to the 15th of every month"),
        ("0 0 L-3W * *", "at 00:00 on the weekday nearest to the 3rd day before the last day of every month"),
        ("0 0 L-1 2,3 ?", "at 00:00 on the day before the last day of February and March"),
        ("0 0 0 ? * FRIL", "at 00:00 on the last Friday of every month"),
        ("0 15 10 * * ? 2027", "at 10:15 every day in 2027"),
        ("* * * * * ? 2027", "every second in 2027"),
        ("0 15 10 ? 1-3 MON-FRI 2027-2030,2035",
         "at 10:15 on Monday through Friday in January through March in 2027 through 2030 and 2035"),
        ("0 0 0 1,15W * FRI 2027",
         "at 00:00 on the 1st and the weekday nearest to the 15th of every month and on Friday in 2027"),
        ("0 0 LW 1 ?", "at 00:00 on the last weekday of January"),
        ("30 2 ? * *", "at 02:30 every day"),
        ("0 0 9 ? * 6-7 2027", "at 09:00 on Sunday and Saturday in 2027"),
        ("0 0 0 1W */2 */2 2027", "at 00:00 on the weekday nearest to the 1st of January, March, May, July, September "
         "and November if it is on Sunday, Tuesday, Thursday and Saturday in 2027"),
        ("*/15 9-17 * * MON-FRI", "every 15th minute from 09:00 through 17:59 on Monday through Friday"),
        ("5-5/2 * * * *", "at minute 5 of every hour"),
        ("0 0 1,2,3,11,12,13,21,22,23 * *", "at 00:00 on the first, the second, the third, the 11th, the 12th, "
         "the 13th, the 21st, the 22nd, and the 23rd day of month"),
    ],
)  # fmt: skip
def test_a_cron_expression_is_said_in_words(expression: str, words: str) -> None:
    assert parse("cron", {"expression": expression}, "Asia/Tokyo").describe() == f"{words}, Asia/Tokyo"


def test_a_hashed_expression_is_said_with_its_values() -> None:
    words = parse("cron", {"expression": "H H(8-15)/2 * * 1-5", "seed": "g/a"}).describe()
    assert words == "at 08:38, 10:38, 12:38 and 14:38 on Monday through Friday, UTC"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "at 00:00 every day"),
        ({"minute": "*", "hour": "*"}, "every minute"),
        ({"second": "*", "minute": "*", "hour": "*", "day_of_week": "Sat,Sun"}, "every second on Sunday and Saturday"),
        ({"minute": "*/5", "hour": "*"}, "every fifth minute of every hour"),
        ({"second": "30", "hour": "12", "day_of_week": "Mon,Wed,Fri"}, "at 12:00:30 on Monday, Wednesday and Friday"),
        ({"hour": "14", "day_of_month": "Last Thu", "month": "Nov"}, "at 14:00 on the last Thursday of November"),
        ({"hour": "1", "day_of_month": "-1"}, "at 01:00 on the day before the last day of every month"),
        ({"hour": "12,13", "day_of_month": "2nd Tue"}, "at 12:00 and 13:00 on the 2nd Tuesday of every month"),
        ({"day_of_month": "27-3"}, "at 00:00 on the 27th through the 3rd of every month"),
        ({"day_of_month": "15,-3", "day_of_week": "Fri"},
         "at 00:00 on the 15th and the 3rd day before the last day of every month and on Friday"),
        ({"minute": "*/14", "hour": "1,2", "month": "1"}, "every 14th minute past hours 1 and 2 every day in January"),
        ({"minute": "7-9", "hour": "*", "year": "2027"}, "every minute from 7 through 9 of every hour in 2027"),
    ],
)  # fmt: skip
def test_a_calendar_is_said_in_words(spec: dict[str, Any], words: str) -> None:
    assert parse("calendar", spec, "Asia/Tokyo").describe() == f"{words}, Asia/Tokyo"


def test_listed_times_are_said_one_by_one_while_they_are_few() -> None:
    assert times_in_words(ListedTimes((46_800, 49_200, 51_630))) == "at 13:00, 13:40 and 14:20:30"
    assert times_in_words(ListedTimes(tuple(range(0, 36_000, 3_600)))) == (
        "at 00:00, 01:00, 02:00, 03:00, 04:00, 05:00 and 4 more times"
    )
