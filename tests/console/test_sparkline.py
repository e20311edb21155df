from __future__ import annotations

from datetime import UTC, datetime, timedelta

from timers.console.sparkline import BAR, HEIGHT, chart
from timers.insights.rates import Minute

START = datetime(2026, 11, 20, tzinfo=UTC)


def minutes(*tries: tuple[int, int]) -> list[Minute]:
    return [Minute(START + timedelta(minutes=number), good, 0, bad) for number, (good, bad) in enumerate(tries)]


def test_the_busiest_minute_fills_the_chart_and_an_idle_one_draws_nothing() -> None:
    drawn = chart(minutes((50, 0), (0, 0), (100, 0)))

    assert [bar.x for bar in drawn.bars] == [0, 2 * BAR]
    assert [bar.height for bar in drawn.bars] == [HEIGHT / 2, HEIGHT]
    assert (drawn.width, drawn.peak) == (3 * BAR, 100)


def test_what_did_not_succeed_lies_on_top() -> None:
    (bar,) = chart(minutes((75, 25))).bars

    assert (bar.bad_y, bar.bad_height) == (0, HEIGHT / 4)
    assert (bar.y, bar.height) == (HEIGHT / 4, HEIGHT * 3 / 4)


def test_one_try_beside_a_million_is_visible() -> None:
    assert chart(minutes((1, 0), (1_000_000, 0))).bars[0].height >= 1


def test_an_idle_hour_is_an_empty_chart() -> None:
    assert chart(minutes((0, 0), (0, 0))).bars == ()
