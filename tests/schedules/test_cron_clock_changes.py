"""Nights on which the clock is set: Berlin and New York by an hour, Lord Howe by half an hour, Cairo at midnight."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from timers.schedules import parse

BERLIN, NEW_YORK, LORD_HOWE, CAIRO = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"
# The night in which each clock goes forward (2:00 to 3:00, 2:00 to 2:30, 0:00 to 1:00) and back, in 2026.
FORWARD = {BERLIN: "2026-03-29", NEW_YORK: "2026-03-08", LORD_HOWE: "2026-10-04", CAIRO: "2026-04-24"}
BACK = {BERLIN: "2026-10-25", NEW_YORK: "2026-11-01", LORD_HOWE: "2026-04-05", CAIRO: "2026-10-29"}


def fires(expression: str, time_zone: str, start: str, end: str) -> list[str]:
    """The fires from `start` to before `end`, both on the zone's clock, as day, time and offset."""
    zone = ZoneInfo(time_zone)
    schedule = parse("cron", {"expression": expression}, time_zone)
    moment = schedule.first(datetime.fromisoformat(start).replace(tzinfo=zone))
    found = []
    while moment is not None and moment < datetime.fromisoformat(end).replace(tzinfo=zone):
        found.append(f"{moment.astimezone(zone):%d %H:%M:%S%z}".replace(":00+", "+").replace(":00-", "-"))
        moment = schedule.next_after(moment)
    return found


@pytest.mark.parametrize(
    ("zone", "expression", "expected"),
    [
        (BERLIN, "30 2 * * *", ["28 02:30+0100", "29 03:00+0200", "30 02:30+0200"]),
        (NEW_YORK, "30 2 * * *", ["07 02:30-0500", "08 03:00-0400", "09 02:30-0400"]),
        (LORD_HOWE, "15 2 * * *", ["03 02:15+1030", "04 02:30+1100", "05 02:15+1100"]),
        (CAIRO, "0 0 * * *", ["23 00:00+0200", "24 01:00+0300", "25 00:00+0300"]),
        (CAIRO, "@daily", ["23 00:00+0200", "24 01:00+0300", "25 00:00+0300"]),
        (BERLIN, "0 30 2 * * *", ["28 02:30+0100", "29 03:00+0200", "30 02:30+0200"]),
        (BERLIN, "15 30 2 * * *", ["28 02:30:15+0100", "29 03:00+0200", "30 02:30:15+0200"]),
    ],
)
def test_a_time_of_day_that_is_skipped_fires_at_the_end_of_the_gap(
    zone: str, expression: str, expected: list[str]
) -> None:
    night = datetime.fromisoformat(FORWARD[zone])
    start, end = night - timedelta(days=1), night + timedelta(days=2)
    assert fires(expression, zone, start.isoformat(), end.isoformat()) == expected


@pytest.mark.parametrize(
    ("zone", "expression", "expected"),
    [
        (BERLIN, "30 2 * * *", ["24 02:30+0200", "25 02:30+0200", "26 02:30+0100"]),
        (NEW_YORK, "30 1 * * *", ["31 01:30-0400", "01 01:30-0400", "02 01:30-0500"]),
        (LORD_HOWE, "45 1 * * *", ["04 01:45+1100", "05 01:45+1100", "06 01:45+1030"]),
        (CAIRO, "30 23 * * *", ["28 23:30+0300", "29 23:30+0300", "30 23:30+0200"]),
        (BERLIN, "0 30 2 * * *", ["24 02:30+0200", "25 02:30+0200", "26 02:30+0100"]),
    ],
)
def test_a_time_of_day_that_comes_twice_fires_the_first_time(zone: str, expression: str, expected: list[str]) -> None:
    night = datetime.fromisoformat(BACK[zone])
    start, end = night - timedelta(days=1), night + timedelta(days=2)
    assert fires(expression, zone, start.isoformat(), end.isoformat()) == expected


def test_several_skipped_times_fire_once_together() -> None:
    night = f"{FORWARD[BERLIN]} 00:00", f"{FORWARD[BERLIN]} 04:00"
    assert fires("0,20,40 1-3 * * *", BERLIN, *night) == [
        "29 01:00+0100", "29 01:20+0100", "29 01:40+0100", "29 03:00+0200", "29 03:20+0200", "29 03:40+0200",
    ]  # fmt: skip
    assert fires("10,50 2 * * *", BERLIN, *night) == ["29 03:00+0200"]


@pytest.mark.parametrize(
    ("zone", "expression", "start", "end", "expected"),
    [
        (BERLIN, "0 * * * *", "00:30", "05:00", ["29 01:00+0100", "29 03:00+0200", "29 04:00+0200"]),
        (NEW_YORK, "0 * * * *", "00:30", "05:00", ["08 01:00-0500", "08 03:00-0400", "08 04:00-0400"]),
        (NEW_YORK, "*/20 1-2 * * *", "00:00", "23:00", ["08 01:00-0500", "08 01:20-0500", "08 01:40-0500"]),
        (LORD_HOWE, "*/20 * * * *", "01:30", "03:10", ["04 01:40+1030", "04 02:40+1100", "04 03:00+1100"]),
        (LORD_HOWE, "*/20 3 * * *", "02:35", "12:00", ["04 03:00+1100", "04 03:20+1100", "04 03:40+1100"]),
        (CAIRO, "*/30 * * * *", "01:00", "02:00", ["24 01:00+0300", "24 01:30+0300"]),
        (CAIRO, "*/20 0 * * 5", "01:00", "23:00", []),
    ],
)
def test_what_goes_on_through_the_day_passes_over_a_gap(
    zone: str, expression: str, start: str, end: str, expected: list[str]
) -> None:
    assert fires(expression, zone, f"{FORWARD[zone]} {start}", f"{FORWARD[zone]} {end}") == expected


@pytest.mark.parametrize(
    ("zone", "expression", "start", "end", "expected"),
    [
        (BERLIN, "0 * * * *", "01:30", "04:00", ["25 02:00+0200", "25 02:00+0100", "25 03:00+0100"]),
        (NEW_YORK, "0 * * * *", "00:30", "03:00", ["01 01:00-0400", "01 01:00-0500", "01 02:00-0500"]),
        (LORD_HOWE, "*/20 * * * *", "01:20", "02:10",
         ["05 01:20+1100", "05 01:40+1100", "05 01:40+1030", "05 02:00+1030"]),
        (LORD_HOWE, "*/20 2 * * *", "01:35", "12:00", ["05 02:00+1030", "05 02:20+1030", "05 02:40+1030"]),
        (CAIRO, "*/30 23 * * *", "22:00", "23:59", ["29 23:00+0300", "29 23:30+0300"]),
    ],
)  # fmt: skip
def test_what_goes_on_through_the_day_fires_in_both_passes_of_a_fold(
    zone: str, expression: str, start: str, end: str, expected: list[str]
) -> None:
    assert fires(expression, zone, f"{BACK[zone]} {start}", f"{BACK[zone]} {end}") == expected


def test_every_half_hour_is_ten_fires_in_five_hours_whatever_the_clock_does() -> None:
    schedule = parse("cron", {"expression": "*/30 * * * *"}, BERLIN)
    for midnight in (datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 10, 24, 22, tzinfo=UTC)):
        assert schedule.missed(midnight, midnight + timedelta(hours=4, minutes=59)).count == 10


def test_nothing_fires_before_the_question_when_asked_in_the_second_pass() -> None:
    second_pass = datetime(2026, 10, 25, 2, 40, tzinfo=ZoneInfo(BERLIN), fold=1)
    assert parse("cron", {"expression": "45 2 * * *"}, BERLIN).next_after(second_pass) == datetime(
        2026, 10, 26, 1, 45, tzinfo=UTC
    )
    assert parse("cron", {"expression": "*/45 * * * *"}, BERLIN).next_after(second_pass) == datetime(
        2026, 10, 25, 1, 45, tzinfo=UTC
    )


def test_a_day_that_a_zone_left_out_fires_once_at_its_end() -> None:
    # Samoa went from the evening of 29 December 2011 straight to the 31st.
    assert fires("30 2 * * *", "Pacific/Apia", "2011-12-29 00:00", "2012-01-01 00:00") == [
        "29 02:30-1000", "31 00:00+1400", "31 02:30+1400",
    ]  # fmt: skip


def test_fractions_of_a_second_in_the_question_do_not_matter() -> None:
    schedule = parse("cron", {"expression": "* * * * * *"}, BERLIN)
    instant = datetime(2026, 11, 20, 15, 0, 27, tzinfo=UTC)
    tick = timedelta(microseconds=1)
    assert schedule.first(instant) == schedule.next_after(instant - tick) == instant
    assert schedule.next_after(instant) == schedule.next_after(instant + tick) == schedule.first(instant + tick)


def test_the_last_year_of_the_calendar_ends_the_schedule() -> None:
    schedule = parse("cron", {"expression": "0 0 1 1 *"}, BERLIN)
    assert schedule.next_after(datetime(9999, 6, 1, tzinfo=UTC)) is None
    assert schedule.next_after(datetime.max.replace(tzinfo=UTC)) is None
    assert parse("cron", {"expression": "* * * * *"}, NEW_YORK).first(datetime.max.replace(tzinfo=UTC)) is None
