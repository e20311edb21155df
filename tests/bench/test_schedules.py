"""What timerbench says of schedules: every form is measured, every hostile expression is refused."""

from __future__ import annotations

from timers.bench import schedules


def test_every_kind_is_made_and_asked_and_every_hostile_expression_is_refused() -> None:
    figures = schedules.measure(rounds=30)
    assert set(figures["make_and_next_us"]) == set(figures["next_us"]) == {"cron", "calendar", "fixed_rate"}
    assert all(0 < costs["p50"] <= costs["most"] for costs in figures["make_and_next_us"].values())
    assert set(figures["refuse_ms"]) == set(schedules.HOSTILE)
    assert figures["a_year_missed_ms"] > 0
