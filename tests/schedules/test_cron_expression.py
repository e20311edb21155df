from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import given, settings
from hypothesis import strategies as st

from timers.exceptions import InvalidRequest
from timers.schedules import parse
from timers.schedules.cron_expression import CronExpression

FRIDAY = datetime(2026, 11, 20, 15, 0, 27, tzinfo=UTC)


def fires(expression: str, count: int) -> list[str]:
    schedule = parse("cron", {"expression": expression})
    found: list[str] = []
    moment = schedule.next_after(FRIDAY)
    while moment is not None and len(found) < count:
        found.append(f"{moment:%Y-%m-%d %H:%M:%S}" if moment.second else f"{moment:%Y-%m-%d %H:%M}")
        moment = schedule.next_after(moment)
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # Stars, lists, ranges, steps and names, alone and together.
        ("* * * * *", ["2026-11-20 15:01", "2026-11-20 15:02"]),
        ("*/5 * * * *", ["2026-11-20 15:05", "2026-11-20 15:10"]),
        ("*/40 * * * *", ["2026-11-20 15:40", "2026-11-20 16:00", "2026-11-20 16:40"]),
        ("10,40 * * * *", ["2026-11-20 15:10", "2026-11-20 15:40", "2026-11-20 16:10"]),
        ("5/20 * * * *", ["2026-11-20 15:05", "2026-11-20 15:25", "2026-11-20 15:45", "2026-11-20 16:05"]),
        ("0-10/5 16 * * *", ["2026-11-20 16:00", "2026-11-20 16:05", "2026-11-20 16:10", "2026-11-21 16:00"]),
        ("5-5/2 * * * *", ["2026-11-20 15:05", "2026-11-20 16:05"]),
        ("0 0 * * SUN-0/2", ["2026-11-22 00:00", "2026-11-29 00:00"]),
        ("0 9-17/4 * * *", ["2026-11-20 17:00", "2026-11-21 09:00", "2026-11-21 13:00"]),
        ("0 0 1 */3 *", ["2027-01-01 00:00", "2027-04-01 00:00"]),
        ("*/15 9 * JAN,mar MON-FRI", ["2027-01-01 09:00", "2027-01-01 09:15"]),
        ("59 23 31 12 *", ["2026-12-31 23:59", "2027-12-31 23:59"]),
        ("0 0 * * 7", ["2026-11-22 00:00", "2026-11-29 00:00"]),
        ("0 0 * * 0", ["2026-11-22 00:00", "2026-11-29 00:00"]),
        ("0 0 * * 5-7", ["2026-11-21 00:00", "2026-11-22 00:00", "2026-11-27 00:00"]),
        # The two day fields: either may match, unless one of them begins with a star.
        ("0 0 13 * 5", ["2026-11-27 00:00", "2026-12-04 00:00", "2026-12-11 00:00", "2026-12-13 00:00"]),
        ("0 0 1-7 * MON", ["2026-11-23 00:00", "2026-11-30 00:00", "2026-12-01 00:00", "2026-12-02 00:00"]),
        ("0 0 */2 * 5", ["2026-11-27 00:00", "2026-12-11 00:00", "2026-12-25 00:00"]),
        ("0 0 13 * */5", ["2026-12-13 00:00", "2027-06-13 00:00", "2027-08-13 00:00"]),
        # Short months and leap years.
        ("0 0 31 * *", ["2026-12-31 00:00", "2027-01-31 00:00", "2027-03-31 00:00"]),
        ("0 0 29 2 *", ["2028-02-29 00:00", "2032-02-29 00:00"]),
        ("0 0 29 2 */7", ["2032-02-29 00:00", "2060-02-29 00:00", "2088-02-29 00:00", "2128-02-29 00:00"]),
        # Last days, last and numbered weekdays.
        ("0 0 L * *", ["2026-11-30 00:00", "2026-12-31 00:00", "2027-01-31 00:00", "2027-02-28 00:00"]),
        ("0 0 LW * *", ["2026-11-30 00:00", "2026-12-31 00:00", "2027-01-29 00:00", "2027-02-26 00:00"]),
        ("0 0 1,L 2 *", ["2027-02-01 00:00", "2027-02-28 00:00", "2028-02-01 00:00", "2028-02-29 00:00"]),
        ("0 0 * * 5L", ["2026-11-27 00:00", "2026-12-25 00:00", "2027-01-29 00:00"]),
        ("0 0 * * 5#2", ["2026-12-11 00:00", "2027-01-08 00:00"]),
        ("0 0 * * MON#5", ["2026-11-30 00:00", "2027-03-29 00:00"]),
        # Six fields, seconds first.
        ("* * * * * *", ["2026-11-20 15:00:28", "2026-11-20 15:00:29"]),
        ("*/10 * * * * *", ["2026-11-20 15:00:30", "2026-11-20 15:00:40"]),
        ("27 0 15 * * *", ["2026-11-21 15:00:27", "2026-11-22 15:00:27"]),
        ("0 0 12 1 * *", ["2026-12-01 12:00", "2027-01-01 12:00"]),
        ("15,45 59 23 L * *", ["2026-11-30 23:59:15", "2026-11-30 23:59:45"]),
        ("@Weekly", ["2026-11-22 00:00", "2026-11-29 00:00"]),
    ],
)
def test_an_expression_matches_as_in_debian_s_cron(expression: str, expected: list[str]) -> None:
    assert fires(expression, len(expected)) == expected


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", "has 0 fields; allowed are 5"),
        ("*", "has 1 field; allowed are 5"),
        ("* * * *", "has 4 fields"),
        ("0 0 0 1 1 * 2027 1", "has 8 fields"),
        ("60 * * * *", "has '60' as minute .0 is the first, 59 the last.; allowed are 0-59"),
        ("-1 * * * *", "has '-1' as minute"),
        ("1.5 * * * *", "has '1.5' as minute"),
        ("1,,2 * * * *", "has '' as minute"),
        ("1,2,x * * * *", "has 'x' as minute"),
        ("*/0 * * * *", r"has '\*/0' as minute"),
        ("*/ * * * *", r"has '\*/' as minute"),
        ("1/2/3 * * * *", "has '1/2/3' as minute"),
        ("* 24 * * *", "has '24' as hour .0 is the first, 23 the last.; allowed are 0-23"),
        ("* 5-1 * * *", "has '5-1' as hour .a range must rise"),
        ("* * 0 * *", "has '0' as day-of-month .1 is the first, 31 the last.; allowed are 1-31"),
        ("* * 32 * *", "has '32' as day-of-month"),
        ("0 0 ? * ?", r"has \? in both day fields"),
        ("0 0 1L * *", "has '1L' as day-of-month"),
        ("* * * 13 *", "has '13' as month; allowed are 1-12 or JAN-DEC"),
        ("* * * JANUARY *", "has 'JANUARY' as month"),
        ("* * * * 8", "has '8' as day-of-week; allowed are 0-7 or SUN-SAT"),
        ("* * * * FRI-MON", "has 'FRI-MON' as day-of-week .a range must rise"),
        ("* * * * FRI#6", "has 'FRI#6' as day-of-week"),
        ("* * * * L", "has 'L' as day-of-week"),
        ("H * * * *", "H is a value that the hash of a seed decides, and no seed is given"),
        ("60 * * * * *", "has '60' as second .0 is the first, 59 the last.; allowed are 0-59"),
        ("@reboot", "@reboot names no instant"),
        ("@fortnightly", "allowed are @hourly, @daily"),
        ("@daily *", "allowed are @hourly, @daily"),
        ("٣ * * * *", "holds '٣'"),
        ("* * * * *\n* * * * *", r"holds '\\n'"),
        ("* * * * *\0", r"holds '\\x00'"),
        ("\ud800 * * * *", r"holds '\\ud800'"),
        (None, "must be a cron expression"),
        (5, "must be a cron expression"),
        (["*"] * 5, "must be a cron expression"),
    ],
)
def test_a_refused_expression_is_told_which_field_is_wrong_and_what_is_allowed(given: Any, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason) as refused:
        parse("cron", {"expression": given})
    assert refused.value.field == "expression"


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("0 0 30 2 *", "February has no 30th day"),
        ("0 0 30,31 FEB *", "February has no 30th day"),
        ("0 0 30/5 2 *", "February has no 30th day"),
        ("0 0 31 4,6-6 *", "April or June has no 31st day"),
        ("0 0 LW * */7", r"no LW day-of-month is ever a \*/7 day-of-week"),
        ("* * */20 * 1L", r"no \*/20 day-of-month is ever a 1L day-of-week"),
        ("0 0 */30 2 1L", r"no \*/30 day-of-month is ever a 1L day-of-week in month 2"),
    ],
)
def test_an_expression_that_never_fires_is_refused_with_the_reason(expression: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=f"never fires: {reason}"):
        parse("cron", {"expression": expression})


def test_the_text_of_an_expression_is_kept_but_for_its_spaces() -> None:
    assert CronExpression.parse("  30\t2  * *   mon ").text == "30 2 * * mon"
    assert CronExpression.parse("@Daily").text == "@Daily"


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("30 2 * * *", "at 02:30 every day"),
        ("*/5 * * * *", "every fifth minute of every hour"),
        ("*/10 * * * * *", "every 10th second of every minute"),
        ("0 0 LW * *", "at 00:00 on the last weekday of every month"),
        ("0 9 * * MON-FRI", "at 09:00 on Monday through Friday"),
        ("0 0 21,22 * *", "at 00:00 on the 21st and the 22nd day of month"),
        ("0 0 13 * *", "at 00:00 on the 13th day of every month"),
        ("0 0 31 12 *", "at 00:00 on December 31"),
        ("@yearly", "at 00:00 on January 1"),
    ],
)
def test_an_expression_is_said_in_words(expression: str, words: str) -> None:
    assert CronExpression.parse(expression).explain() == words


def test_the_words_of_a_schedule_end_with_its_zone() -> None:
    schedule = parse("cron", {"expression": "30 2 * * *"}, "Europe/Berlin")
    assert schedule.describe() == "at 02:30 every day, Europe/Berlin"


@pytest.mark.parametrize(
    "expression", ["* * * * *", "5,10 3-5 */2 * *", "30 1-2 7-9,L 1,2 MON#1,5L", "*/7 59 23 * * *"]
)
def test_matches_are_counted_as_if_they_were_walked_through(expression: str) -> None:
    cron = CronExpression.parse(expression).pattern
    start, end = datetime(2028, 1, 30, 12, 34, 56), datetime(2028, 3, 1, 3, 59, 30)
    walked: list[datetime] = []
    wall = cron.after(start)
    while wall is not None and wall < end and len(walked) < 2_000:
        walked.append(wall)
        wall = cron.after(wall)
    end = min(end, wall or end)
    assert cron.count(start, end) == len(walked) + (start == cron.after(start.replace(second=55)))
    assert cron.count(walked[0], walked[-1]) == len(walked) - 1
    assert cron.count(end, start) == 0


def test_the_message_is_short_however_long_the_expression_is() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse("cron", {"expression": "x" * 80_000})
    assert len(str(refused.value)) < 300
    assert re.search(r"more than 256 characters", str(refused.value))


_times = st.sampled_from(["*", "0", "7,30", "5-20/5", "*/13", "20/15"])
_days = st.sampled_from(["*", "1", "29-31", "*/4", "L", "LW", "1,15,L", "10/7", "31"])
_months = st.sampled_from(["*", "2", "jan,MAR", "*/5", "6-9"])
_weekdays = st.sampled_from(["*", "0", "7", "5-7", "MON-FRI", "*/2", "5L", "1#2,3#5", "sun", "0,6"])


@settings(max_examples=200, deadline=None)
@given(st.tuples(_times, _times, st.sampled_from(["*", "3", "0-12/6", "22,23"]), _days, _months, _weekdays))
def test_walls_are_those_that_cronsim_finds(fields: tuple[str, ...]) -> None:
    text = " ".join(fields)
    theirs = []
    with suppress(CronSimError, StopIteration):
        sim = CronSim(text, datetime(2026, 11, 20, 15, 0, 27))
        theirs = [next(sim) for _ in range(8)]
    try:
        pattern = CronExpression.parse(text).pattern
    except InvalidRequest:
        assert theirs == []
        return
    wall: datetime | None = datetime(2026, 11, 20, 15, 0, 27)
    for expected in theirs:
        assert wall is not None
        wall = pattern.after(wall)
        assert wall == expected
