"""Lateness counts from the instant due: the nominal one and the timer's share of the jitter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from timers.schedules.jitter import jitter_offset_us
from timers.schedules.lateness import lateness

NOMINAL = datetime(2030, 1, 1, tzinfo=UTC)
SHARE = jitter_offset_us("billing", 300) / 1_000_000


@pytest.mark.parametrize(
    ("after_nominal", "origin", "jitter", "late"),
    [
        (2.0, "schedule", 0.0, 2.0),
        (SHARE + 2, "schedule", 300.0, 2.0),
        (SHARE, "schedule", 300.0, 0.0),
        (SHARE + 2, "manual", 300.0, SHARE + 2),
        (SHARE + 2, "replay", 300.0, SHARE + 2),
        (SHARE + 2, "backfill", 300.0, SHARE + 2),
        (SHARE + 2, "schedule", None, SHARE + 2),  # the timer is gone
        (2.0, "schedule", 300.0, 2.0),  # it had no jitter then
        (SHARE - 0.01, "schedule", 300.0, 0.0),  # clocks differ
        (-0.01, "schedule", 0.0, -0.01),
    ],
)
def test_lateness_counts_from_the_instant_due(
    after_nominal: float, origin: str, jitter: float | None, late: float
) -> None:
    started = NOMINAL + timedelta(seconds=after_nominal)
    found = lateness(started, NOMINAL, origin=origin, name="billing", jitter=jitter)
    assert found.total_seconds() == pytest.approx(late, abs=1e-5)
