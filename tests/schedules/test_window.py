from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from timers.exceptions import InvalidRequest
from timers.schedules import parse
from timers.schedules.wall_schedule import WallSchedule


def walls(spec: dict[str, Any], after: str, count: int, time_zone: str = "Europe/Berlin") -> list[str]:
    """What the clock shows at the next instants after one (UTC)."""
    schedule = parse("window", spec, time_zone)
    assert isinstance(schedule, WallSchedule)
    moment: datetime | None = datetime.fromisoformat(after).replace(tzinfo=UTC)
    found = []
    for _ in range(count):
        assert moment is not None
        moment = schedule.next_after(moment)
        assert moment is not None
        found.append(f"{moment.astimezone(schedule.zone):%a %d %H:%M}")
    return found


def test_the_end_of_a_window_is_not_in_it() -> None:
    # The example of JobScheduler's absolute_repeat.
    assert walls({"begin": "13:00", "end": "15:00", "every": 1800}, "2026-11-20", 5) == [
        "Fri 20 13:00", "Fri 20 13:30", "Fri 20 14:00", "Fri 20 14:30", "Sat 21 13:00",
    ]  # fmt: skip


def test_a_distance_that_does_not_divide_the_window_begins_anew_each_day() -> None:
    assert walls({"begin": "09:00", "end": "10:00", "every": "PT25M"}, "2026-11-20", 4, "UTC") == [
        "Fri 20 09:00", "Fri 20 09:25", "Fri 20 09:50", "Sat 21 09:00",
    ]  # fmt: skip


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    spec = {"begin": "23:00", "end": "01:00", "every": 3600, "weekdays": ["Friday"]}
    assert walls(spec, "2026-11-20", 3, "UTC") == ["Fri 20 23:00", "Sat 21 00:00", "Fri 27 23:00"]
    assert walls(spec, "2026-11-19T23:30", 1, "UTC") == ["Fri 20 23:00"]


def test_a_window_may_be_the_whole_day() -> None:
    assert walls({"begin": "00:00", "end": "24:00", "every": "PT8H"}, "2026-11-20T01:00", 3, "UTC") == [
        "Fri 20 08:00", "Fri 20 16:00", "Sat 21 00:00",
    ]  # fmt: skip


def test_a_window_follows_what_the_clock_shows_when_it_is_set() -> None:
    spec = {"begin": "01:30", "end": "03:30", "every": 1800}
    assert walls(spec, "2027-03-28", 3) == ["Sun 28 01:30", "Sun 28 03:00", "Mon 29 01:30"]
    assert walls(spec, "2026-10-24T23:00", 7) == [
        "Sun 25 01:30", "Sun 25 02:00", "Sun 25 02:30", "Sun 25 02:00", "Sun 25 02:30", "Sun 25 03:00", "Mon 26 01:30",
    ]  # fmt: skip
    assert walls({**spec, "fold": "once"}, "2026-10-24T23:00", 4)[3] == "Sun 25 03:00"


def test_a_window_of_one_time_a_day_fires_once_on_every_day() -> None:
    spec = {"begin": "02:30", "end": "02:45", "every": 1800}
    assert walls(spec, "2027-03-27T12:00", 2) == ["Sun 28 03:00", "Mon 29 02:30"]
    assert walls(spec, "2026-10-24T12:00", 2) == ["Sun 25 02:30", "Mon 26 02:30"]


@pytest.mark.parametrize("time_zone", ["Europe/Berlin", "America/Havana", "Australia/Lord_Howe"])
@pytest.mark.parametrize(
    "spec",
    [
        {"begin": "22:00", "end": "02:00", "every": 420, "weekdays": ["mon", "sat"]},
        {"begin": "00:00", "end": "24:00", "every": 900, "fold": "once", "gap": "run_after"},
    ],
)
def test_what_is_counted_is_what_fires(spec: dict[str, Any], time_zone: str) -> None:
    schedule = parse("window", spec, time_zone)
    first = schedule.first(datetime(2026, 9, 1, tzinfo=UTC))
    assert first is not None
    until = first + timedelta(days=70)
    instant: datetime | None = first
    walked = []
    while instant is not None and instant <= until:
        walked.append(instant)
        instant = schedule.next_after(instant)
    missed = schedule.missed(first, until)
    assert missed is not None
    assert (missed.latest, missed.count) == (walked[-1], len(walked))


def test_a_window_says_itself() -> None:
    spec = {"begin": "13:00", "end": "15:00", "every": 1800, "weekdays": ["fri", "mon", "thu", "tue", "wed"]}
    assert parse("window", spec, "UTC").describe() == "every 30 m from 13:00 to before 15:00 Monday to Friday, UTC"


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ({"begin": 780, "end": "15:00", "every": 60}, "begin", "in YAML write it in quotes"),
        ({"begin": "24:00", "end": "15:00", "every": 60}, "begin", "write 00:00"),
        ({"begin": "13:00", "end": "25:00", "every": 60}, "end", "from 00:00 to 24:00"),
        ({"begin": "13:00", "end": "13:00", "every": 60}, "end", "a whole day is 00:00 to 24:00"),
        ({"begin": "13:00", "end": "15:00", "every": 0}, "every", "between 1 s and 1 d"),
        ({"begin": "13:00", "end": "15:00", "every": 0.5}, "every", "between 1 s and 1 d"),
        ({"begin": "13:00", "end": "15:00", "every": 1.5}, "every", "whole seconds"),
        ({"begin": "13:00", "end": "15:00", "every": 60, "weekdays": ["frday"]}, "weekdays", "did you mean fri"),
        ({"begin": "13:00", "end": "15:00", "every": 60, "weekdays": []}, "weekdays", "must be a list of days"),
        ({"begin": "13:00", "end": "15:00"}, "every", "is missing"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(spec: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as refused:
        parse("window", spec)
    assert refused.value.field == field
