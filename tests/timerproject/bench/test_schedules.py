"""What timerbench says of schedules: every form is measured, hostile rules too."""

from __future__ import annotations

from timerproject.bench import schedules


def test_every_kind_is_made_and_asked_and_hostile_rules_are_measured() -> None:
    figures = schedules.measure(rounds=30)
    assert set(figures["make_and_next_us"]) == set(figures["next_us"]) == {"cron", "calendar", "fixed_rate"}
    assert all(0 < costs["p50"] <= costs["most"] for costs in figures["make_and_next_us"].values())
    assert set(figures["hostile_cpu_ms"]) == {"accept", "refuse", "next"}
    assert all(0 < costs["p50"] <= costs["most"] for costs in figures["hostile_cpu_ms"].values())
    assert figures["a_year_missed_ms"] > 0
