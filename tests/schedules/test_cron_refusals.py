"""What a refused expression is told: the field, the term, what is allowed, and the nearest reading there is."""

from __future__ import annotations

import re
import time

import pytest

from timers.exceptions import InvalidRequest
from timers.schedules import parse


def refusal(expression: str) -> str:
    with pytest.raises(InvalidRequest) as refused:
        parse("cron", {"expression": expression})
    assert refused.value.field == "expression"
    return str(refused.value)


@pytest.mark.parametrize(
    ("expression", "term", "field", "instead"),
    [
        ("60 * * * *", "60", "minute", "0"),
        ("* 24 * * *", "24", "hour", "0"),
        ("60 0 0 * * *", "60", "second", "0"),
        ("* * 0 * *", "0", "day-of-month", "1"),
        ("*/0 * * * *", "*/0", "minute", "*"),
        ("10-20/0 * * * *", "10-20/0", "minute", "10-20"),
        ("*/ * * * *", "*/", "minute", "*"),
        ("/5 * * * *", "/5", "minute", "*/5"),
        ("0 0 * * MON-FRX", "MON-FRX", "day-of-week", "MON-FRI"),
        ("0 0 * * Tuesday", "Tuesday", "day-of-week", "TUE"),
        ("0 0 * JANUARY *", "JANUARY", "month", "JAN"),
        ("0 0 * Sept *", "Sept", "month", "SEP"),
        ("0 22-2 * * *", "22-2", "hour", "22-23,0-2"),
        ("0 0 27-3 * *", "27-3", "day-of-month", "27-31,1-3"),
        ("0 0 * NOV-FEB *", "NOV-FEB", "month", "NOV-DEC,JAN-FEB"),
        ("0 0 * * FRI-MON", "FRI-MON", "day-of-week", "FRI-SAT,SUN-MON"),
        ("0 0 * * sat-sun", "sat-sun", "day-of-week", "SAT,SUN"),
        ("? * * * *", "?", "minute", "*"),
        ("0 0 * * L", "L", "day-of-week", "SAT"),
        ("0 0 * * FRI#6", "FRI#6", "day-of-week", "FRIL"),
        ("0 0 L/2 * *", "L/2", "day-of-month", "L"),
    ],
)
def test_the_nearest_reading_is_offered_and_can_be_taken(expression: str, term: str, field: str, instead: str) -> None:
    told = refusal(expression)
    assert f"has {term!r} as {field}" in told
    assert f"did you mean {instead}?" in told
    parse("cron", {"expression": expression.replace(term, instead, 1)})


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("0 0 5L * *", "a last weekday, such as 5L, stands in the day-of-week field"),
        ("0 0 5#2 * *", "an nth weekday, such as 5#2, stands in the day-of-week field"),
        ("0 0 * * 15W", "a nearest weekday, such as 15W, stands in the day-of-month field"),
        ("L * * * *", "L, W and # belong to the day fields"),
        ("0 0 * L *", "has 'L' as month"),
        ("0 0 L-31 * *", "L-30 is the farthest from its end"),
        ("0 0 L-99999 * *", "L-30 is the farthest from its end"),
        ("0 0 32W * *", "has '32W' as day-of-month"),
        ("0 0 0W * *", "has '0W' as day-of-month"),
        ("0 0 W * *", "has 'W' as day-of-month"),
        ("0 0 * * #2", "a number of the week comes after a weekday"),
        ("0 0 * * 1#0", "has '1#0' as day-of-week"),
        ("0 0 * * 9#1", "has '9#1' as day-of-week"),
        ("0 0 * * 1##1", "has '1##1' as day-of-week"),
        ("0 0 * * 5L#1", "has '5L#1' as day-of-week"),
        ("0 0 * * 5L-6", "has '5L-6' as day-of-week"),
        ("0 0 * * 5L/3", "has '5L/3' as day-of-week"),
        ("* * * * 1//2", "has '1//2' as day-of-week (one step is allowed)"),
        ("1-1_0 * * * *", "has '1-1_0' as minute"),
        ("1,,2 * * * *", "has '' as minute (a comma stands between two values)"),
        ("* * * * * * 1969", "has '1969' as year (1970 is the first, 2199 the last)"),
        ("* * * * * * 2200", "has '2200' as year; allowed are 1970-2199"),
        ("* * * * * * ?", "has '?' as year"),
        ("* * ? * ?", "has ? in both day fields, so that no day is said; write * in one"),
        ("* * ?,1 * *", "has '?' as day-of-month"),
        ("* * * *", "has 4 fields; allowed are 5 (minute hour day-of-month month day-of-week), 6 (seconds first), 7"),
        ("30 2 * jan", "with every day of the week it would be 30 2 * jan *"),
        ("* * * * * * * *", "has 8 fields"),
        ("@daily H H", "each also with H after it"),
    ],
)
def test_a_refusal_says_what_is_wrong(expression: str, reason: str) -> None:
    assert reason in refusal(expression)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("0 0 30 2 *", "February has no 30th day; L is the last day of every month"),
        ("0 0 0 31 2,4,6,9,11 ?", "February or April or June or September or November has no 31st day"),
        ("0 0 0 29 2 ? 2027", "February has no 29th day in 2027"),
        ("0 0 0 29 2 ? 2100,2101-2103", "February has no 29th day in any of these years"),
        ("0 0 0 1 1 ? 2027-2026", "a range must rise"),
        ("1 1 */100 * MON#4", "no */100 day-of-month is ever a MON#4 day-of-week in month *"),
        ("0 0 0 */31 2 5L 2027", "no */31 day-of-month is ever a 5L day-of-week in month 2 in 2027"),
    ],
)
def test_a_day_that_never_comes_is_refused_with_the_reason(expression: str, reason: str) -> None:
    assert reason in refusal(expression)


def test_every_message_names_the_whole_expression_and_stays_short() -> None:
    for expression in ("60 * * * *", "0 0 30 2 *", "x " * 120, "* * * * " + "x" * 240, "* * * * " + "9" * 240):
        told = refusal(expression)
        assert len(told) < 800
        assert re.search(r"\(given: '", told)


HOSTILE = {
    "80 KB": "*" * 80_000,
    "100,000 commas": "* * * * " + "," * 100_000,
    "unicode digits": "١٢ ٣ * * *",
    "full-width digits": "1 2 * * *".replace("1", "\uff11"),
    "a superscript": "¹ * * * *",
    "never, through all years": "* * */20 * 1L",
    "never, by name": "0 0 LW * */7," + ",".join(["0", "7"] * 100),
    "never, in 230 years": "0 0 0 29 2 ? " + ",".join(str(year) for year in range(1971, 2019) if year % 4),
    "never, hashed": "H H 30 2 *",
    "many terms": ",".join(["0-59/1"] * 30) + " x * * *",
    "huge numbers": "*/" + "9" * 240 + " * * * x",
    "a huge L": "0 0 L-" + "9" * 240 + " * *",
    "nested brackets": "((((((((((" * 25,
    "names": "0 0 * * " + "A" * 240,
}


@pytest.mark.parametrize("expression", HOSTILE.values(), ids=HOSTILE)
def test_an_expression_made_to_be_slow_is_refused_within_50_ms(expression: str) -> None:
    began = time.thread_time()
    refusal(expression)
    assert time.thread_time() - began < 0.05
