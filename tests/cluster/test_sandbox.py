"""A sandbox with real nodes: days of its own time in seconds of ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.cluster.field import Field

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]


def test_ten_nights_are_lived_through_each_at_its_own_instant(field: Field) -> None:
    field.run(_CREATE)
    field.start("a", "--workers", "2")

    reached = field.run(_LIVE).strip()

    assert reached == "2028-03-06T12:00:00+00:00"
    rows = field.rows(
        "SELECT name, scheduled_for, started_at, finished_at, outcome, missed_count FROM timers_attempt"
        " ORDER BY scheduled_for, name"
    )
    nights = [datetime(2028, 2, 25, 1, 30, tzinfo=UTC) + timedelta(days=day) for day in range(11)]
    assert rows == [
        (name, night, night, night, "succeeded", 0) for night in nights for name in ("nightly-0", "nightly-1")
    ]


_CREATE = """
from timers.scheduling import create_sandbox, schedule_cron
create_sandbox("trial", "2028-02-25T00:00:00Z", action={"handler": "cluster.count"})
for number in range(2):
    schedule_cron("trial", f"nightly-{number}", expression="30 1 * * *")
"""
_LIVE = """
from timers.testing import live_through
print(live_through("trial", to="2028-03-06T12:00:00Z").isoformat())
"""
