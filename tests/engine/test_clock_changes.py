"""The nights in which clocks are set, 29 February, and days of downtime: fired for real, through the engine.

Europe/Berlin goes from 02:00 to 03:00 on 2026-03-29 and from 03:00 back to 02:00 on 2026-10-25, both at 01:00 UTC (EU
directive 2000/84/EC).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.handlers import TemporaryHandlers
from tests.support.ledger_rows import finals_of
from timers.models import Timer, TimerGroup
from timers.scheduling import schedule_cron, schedule_fixed_rate
from timers.testing import Stepper

BERLIN = ZoneInfo("Europe/Berlin")
MARCH, OCTOBER = "2026-03-29", "2026-10-25"
AT_0230, HALF_HOURLY = "30 2 * * *", "*/30 * * * *"

pytestmark = pytest.mark.usefixtures("group")


def midnight(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=BERLIN)


def berlin(expression: str, **options: Any) -> Timer:
    return schedule_cron("work", "nightly", expression=expression, time_zone="Europe/Berlin", **options)


def walls(timer: Timer) -> list[str]:
    """What the clocks of Berlin showed at each start, with the offset from UTC."""
    rows = finals_of(timer)
    assert [row.outcome for row in rows] == ["succeeded"] * len(rows)
    assert [row.started_at for row in rows] == [row.scheduled_for for row in rows]
    return [f"{row.scheduled_for.astimezone(BERLIN):%H:%M%z}" for row in rows]


@pytest.mark.parametrize(
    ("day", "policies", "starts"),
    [
        (MARCH, {}, ["03:00+0200"]),
        (MARCH, {"gap": "run_after"}, ["03:00+0200"]),
        (MARCH, {"gap": "skip"}, []),
        (OCTOBER, {}, ["02:30+0200"]),
        (OCTOBER, {"fold": "once"}, ["02:30+0200"]),
        (OCTOBER, {"fold": "twice"}, ["02:30+0200", "02:30+0100"]),
    ],
)
def test_a_time_of_the_night_that_is_skipped_or_shown_twice(
    day: str, policies: dict[str, str], starts: list[str], node: Stepper
) -> None:
    node.time.set(midnight(day))
    timer = berlin(AT_0230, **policies)

    node.live_until(midnight(day) + timedelta(days=1))

    assert walls(timer) == starts


@pytest.mark.parametrize("policies", [{}, {"gap": "skip"}, {"fold": "twice"}])
@pytest.mark.parametrize("day", [MARCH, OCTOBER])
def test_the_nights_around_have_one_fire_each_at_its_time(day: str, policies: dict[str, str], node: Stepper) -> None:
    before, after = midnight(day) - timedelta(days=3), midnight(day) + timedelta(days=3)
    node.time.set(before)
    timer = berlin(AT_0230, **policies)

    node.live_until(after)

    nights = [row.scheduled_for.astimezone(BERLIN) for row in finals_of(timer)]
    others = [night for night in nights if night.date().isoformat() != day]
    assert [f"{night:%H:%M}" for night in others] == ["02:30"] * 5
    assert len({night.date() for night in others}) == 5


@pytest.mark.parametrize("day", [MARCH, OCTOBER])
def test_half_hours_come_ten_times_in_five_hours_on_both_nights(day: str, node: Stepper) -> None:
    begin = midnight(day).astimezone(UTC)
    node.time.set(begin - timedelta(seconds=1))
    timer = berlin(HALF_HOURLY)

    node.live_until(begin + timedelta(hours=5) - timedelta(seconds=1))

    rows = finals_of(timer)
    assert len(walls(timer)) == 10
    assert {later.scheduled_for - earlier.scheduled_for for earlier, later in pairwise(rows)} == {timedelta(minutes=30)}


@pytest.mark.parametrize(("day", "hours"), [(MARCH, 23), (OCTOBER, 25)])
def test_a_rate_follows_elapsed_time_whatever_clocks_show(day: str, hours: int, node: Stepper) -> None:
    node.time.set(midnight(day) - timedelta(hours=1))
    timer = schedule_fixed_rate("work", "hourly", period=3600, start_at=midnight(day))

    node.live_until(midnight(day) + timedelta(days=1) - timedelta(seconds=1))

    assert len(walls(timer)) == hours


@pytest.mark.parametrize(
    ("day", "policies", "fires", "missed"),
    [
        (MARCH, {}, 1, 0),
        (MARCH, {"gap": "skip"}, 0, 0),
        (OCTOBER, {}, 1, 0),
        (OCTOBER, {"fold": "twice"}, 1, 1),
    ],
)
def test_a_node_that_was_down_over_the_change_makes_up_for_what_there_was(
    day: str, policies: dict[str, str], fires: int, missed: int, node: Stepper, handlers: TemporaryHandlers
) -> None:
    node.time.set(midnight(day))
    berlin(AT_0230, **policies)

    node.time.set(midnight(day).replace(hour=12))
    node.until_idle()

    assert [fire.missed_count for fire in handlers.calls] == [missed] * fires


def test_the_29th_of_february_comes_in_leap_years(node: Stepper) -> None:
    node.time.set("2027-01-01T00:00:00Z")
    timer = schedule_cron("work", "leap", expression="0 6 29 2 *")

    node.live_until("2037-01-01T00:00:00Z")

    assert [row.started_at for row in finals_of(timer)] == [
        datetime(year, 2, 29, 6, tzinfo=UTC) for year in (2028, 2032, 2036)
    ]


def test_a_29th_of_february_that_was_missed_is_made_up_for_in_march(node: Stepper, handlers: TemporaryHandlers) -> None:
    node.time.set("2028-02-28T00:00:00Z")
    schedule_cron("work", "leap", expression="0 6 29 2 *")

    node.time.advance(days=2)
    node.until_idle()

    (fire,) = handlers.calls
    assert (fire.scheduled_fire_time.isoformat(), fire.missed_count) == ("2028-02-29T06:00:00+00:00", 0)
    assert Timer.objects.get().next_fire_at == datetime(2032, 2, 29, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("policy", "outcomes", "missed"),
    [
        ("fire_once", ["succeeded"], [2]),
        ("fire_all", ["succeeded"] * 3, [0, 0, 0]),
        ("skip", ["skipped"], [2]),
    ],
)
def test_three_days_down_over_a_clock_change_by_each_policy(
    policy: str, outcomes: list[str], missed: list[int], node: Stepper, group: TimerGroup
) -> None:
    node.time.set(midnight(MARCH) - timedelta(days=1))
    timer = berlin(AT_0230, overrides={"misfire_policy": policy})

    node.time.advance(days=3)
    node.until_idle()

    rows = finals_of(timer)
    assert [row.outcome for row in rows] == outcomes
    assert [row.missed_count for row in rows] == missed
    assert rows[-1].scheduled_for == midnight("2026-03-30").replace(hour=2, minute=30)
    timer.refresh_from_db()
    assert timer.next_fire_at == midnight("2026-03-31").replace(hour=2, minute=30)
