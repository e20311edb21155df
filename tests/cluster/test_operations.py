"""Real nodes that retry what failed: each execution once, and evenly at the pace that was asked for."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.cluster.field import Field, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

MANY = 300
PACE = 100

_FAIL = """
from timers import clock
from timers.domain.execution_id import execution_id
from timers.models import Waiting
from timers.scheduling import ensure_group, schedule_once
from timers.schedules.instant import to_microseconds
ensure_group("work")
timer, now = schedule_once("work", "bill", after=3600, handler="cluster.count"), clock.now()
ids = [execution_id(to_microseconds(now) - number, timer.id) for number in range({count})]
Waiting.objects.bulk_create(
    Waiting(id=each, group_id=timer.group_id, timer_id=timer.id, name=timer.name, state="failed", available_at=now,
            attempt=1, created_at=now, changed_at=now) for each in ids)
"""

_ASK = """
from timers.control.operations import start_operation
start_operation("retry", {{"group": "work"}}, pace={pace})
"""


def test_two_nodes_retry_evenly_and_each_execution_once(field: Field) -> None:
    field.run(_FAIL.format(count=MANY))
    for name in ("a", "b"):
        field.start(name, "--workers", "1")

    field.run(_ASK.format(pace=PACE))
    field.wait_until_succeeded(MANY)

    eventually(lambda: field.value("SELECT state = 'done' AND done = %s FROM timers_bulk_operation", MANY))
    calls = Counter(call.execution for call in field.calls())
    assert (len(calls), calls.most_common(1)[0][1]) == (MANY, 1)
    started = sorted(call.at for call in field.calls())
    assert started[-1] - started[0] >= (MANY - 1) / PACE * 0.9
    busiest = max(sum(1 for at in started[place:] if at < first + 0.5) for place, first in enumerate(started))
    # Half a second's worth, and what a busy machine held up for a moment.
    assert busiest <= PACE * 0.5 * 2
