from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from timers.exceptions import InvalidRequest
from timers.schedules import Missed, parse

ANCHOR = datetime(2026, 11, 20, 15, 0, 27, 500_000, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@pytest.mark.parametrize(
    ("period", "microseconds"),
    [(0.1, 100_000), (1 / 3, 333_333), (0.007, 7_000), (0.001, 1_000), (1.1, 1_100_000), ("PT0.333334S", 333_334)],
)
def test_a_thousand_fires_are_exact_to_the_microsecond(period: Any, microseconds: int) -> None:
    rate = parse("fixed_rate", {"period": period, "anchor": ANCHOR})
    moment: datetime | None = ANCHOR
    for n in range(1, 1_001):
        assert moment is not None
        moment = rate.next_after(moment)
        assert moment == ANCHOR + timedelta(microseconds=n * microseconds)


def test_a_fire_far_in_the_future_has_not_drifted() -> None:
    rate = parse("fixed_rate", {"period": 0.1, "anchor": "1970-01-01T00:00:00Z"})
    assert rate.next_after(datetime(8999, 12, 31, tzinfo=UTC)) == datetime(8999, 12, 31, 0, 0, 0, 100_000, tzinfo=UTC)


def test_the_anchor_is_the_first_instant_and_nothing_is_due_before_it() -> None:
    rate = parse("fixed_rate", {"period": 5, "anchor": ANCHOR})
    long_before = datetime(1970, 1, 1, tzinfo=UTC)
    assert rate.first(long_before) == rate.next_after(long_before) == rate.first(ANCHOR) == ANCHOR
    assert rate.next_after(ANCHOR) == rate.first(ANCHOR + TICK) == ANCHOR + seconds(5)


def test_missed_instants_are_counted_without_walking_through_them() -> None:
    rate = parse("fixed_rate", {"period": 0.001, "anchor": ANCHOR})
    a_century_later = ANCHOR + timedelta(days=36_525)
    assert rate.missed(ANCHOR, a_century_later) == Missed(a_century_later, 36_525 * 86_400 * 1_000 + 1)


def test_ten_minutes_down_miss_six_hundred_seconds() -> None:
    rate = parse("fixed_rate", {"period": 1, "anchor": ANCHOR})
    first = ANCHOR + seconds(1)
    assert rate.missed(first, first + seconds(599.9)) == Missed(first + seconds(599), 600)
    assert rate.missed(first, first) == rate.missed(first, first - seconds(5)) == Missed(first, 1)


def test_a_rate_follows_elapsed_time_through_a_clock_change() -> None:
    rate = parse("fixed_rate", {"period": 3600, "anchor": "2026-03-29T00:30:00+01:00"}, "Europe/Berlin")
    moment = rate.first(ANCHOR.replace(month=3, day=28))
    fires = [moment]
    while len(fires) < 4:
        assert moment is not None
        moment = rate.next_after(moment)
        fires.append(moment)
    assert [fire.hour for fire in fires if fire] == [23, 0, 1, 2]


def test_the_zone_of_the_question_does_not_change_the_answer() -> None:
    rate = parse("fixed_rate", {"period": 3600, "anchor": "2026-03-28T23:00:00Z"})
    berlin = ZoneInfo("Europe/Berlin")
    midnight, noon = datetime(2026, 3, 29, tzinfo=berlin), datetime(2026, 3, 29, 12, tzinfo=berlin)
    assert rate.missed(midnight, noon) == Missed(noon, 12)
    assert rate.first(noon) == noon


def test_a_rate_ends_with_the_calendar() -> None:
    rate = parse("fixed_rate", {"period": "P36525D", "anchor": "2026-01-01T00:00:00Z"})
    assert rate.next_after(datetime(9990, 1, 1, tzinfo=UTC)) is None
    assert rate.first(datetime(9990, 1, 1, tzinfo=UTC)) is None


def test_a_delay_is_due_at_once_and_then_after_the_end_of_each_run() -> None:
    delay = parse("fixed_delay", {"delay": 90})
    assert delay.first(ANCHOR) == ANCHOR
    end_of_run = ANCHOR + seconds(17.25)
    assert delay.next_after(end_of_run) == end_of_run + seconds(90)
    assert delay.next_after(datetime.max.replace(tzinfo=UTC)) is None


def test_a_delay_misses_one_instant_however_long_it_waited() -> None:
    assert parse("fixed_delay", {"delay": 1}).missed(ANCHOR, ANCHOR + timedelta(days=1)) == Missed(ANCHOR, 1)


@pytest.mark.parametrize(
    ("kind", "spec", "words"),
    [
        ("fixed_rate", {"period": 5, "anchor": ANCHOR}, "every 5 s"),
        ("fixed_rate", {"period": 0.25, "anchor": ANCHOR}, "every 250 ms"),
        ("fixed_delay", {"delay": "PT1M30S"}, "1 m 30 s after the end of each run"),
    ],
)
def test_an_interval_is_said_in_words(kind: str, spec: dict[str, Any], words: str) -> None:
    assert parse(kind, spec).describe() == words


def test_the_specs_are_canonical() -> None:
    rate = parse("fixed_rate", {"period": "PT1M0.5S", "anchor": "2026-11-20T16:00:27.5+01:00"})
    assert rate.to_spec() == {"period": 60.5, "anchor": "2026-11-20T15:00:27.500000Z"}
    assert parse("fixed_delay", {"delay": timedelta(minutes=1)}).to_spec() == {"delay": 60}


@pytest.mark.parametrize(
    ("kind", "spec", "field"),
    [
        ("fixed_rate", {"period": 0, "anchor": ANCHOR}, "period"),
        ("fixed_rate", {"period": -5, "anchor": ANCHOR}, "period"),
        ("fixed_rate", {"period": 0.0009, "anchor": ANCHOR}, "period"),
        ("fixed_rate", {"period": 101 * 366 * 86_400, "anchor": ANCHOR}, "period"),
        ("fixed_rate", {"period": float("nan"), "anchor": ANCHOR}, "period"),
        ("fixed_rate", {"period": float("inf"), "anchor": ANCHOR}, "period"),
        ("fixed_rate", {"period": True, "anchor": ANCHOR}, "period"),
        ("fixed_rate", {"anchor": ANCHOR}, "period"),
        ("fixed_rate", {"period": 5}, "anchor"),
        ("fixed_rate", {"period": 5, "anchor": datetime(2026, 1, 1)}, "anchor"),
        ("fixed_rate", {"period": 5, "anchor": "10000-01-01T00:00:00Z"}, "anchor"),
        ("fixed_rate", {"period": 5, "anchor": ANCHOR, "perriod": 5}, "perriod"),
        ("fixed_delay", {"delay": 0}, "delay"),
        ("fixed_delay", {"delay": "P1M"}, "delay"),
        ("fixed_delay", {}, "delay"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused_by_field(kind: str, spec: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(kind, spec)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("kind", "spec"), [("fixed_rate", {"period": 5, "anchor": ANCHOR}), ("fixed_delay", {"delay": 5})]
)
def test_an_unknown_zone_is_refused_even_though_intervals_do_not_need_it(kind: str, spec: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(kind, spec, "Mars/Olympus")
    assert refused.value.field == "time_zone"
