"""Real nodes and a real consumer deliver to several subscriptions, through the death of a node."""

from __future__ import annotations

import pytest

from tests.cluster.field import Field, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]

TIMERS = 300


def test_each_subscription_has_each_occurrence_once_though_a_node_dies(field: Field) -> None:
    field.run(_SUBSCRIBE.format(count=TIMERS))
    field.start("a")
    field.start("b")
    # For one lease after a start of the server nobody is declared dead.
    eventually(lambda: field.value("SELECT clock_timestamp() - pg_postmaster_start_time() > INTERVAL '10 s'"))
    field.run(_RESUME)
    eventually(lambda: field.succeeded() > TIMERS // 10)
    field.kill("a")
    field.run(_CONSUME.format(count=TIMERS))
    field.wait_until_succeeded(4 * TIMERS, within=60)
    field.stop("b")
    finals = field.rows(_FINALS)
    assert sorted(finals) == [(0, TIMERS), (1, TIMERS), (2, TIMERS), (5, TIMERS)]
    assert field.value("SELECT count(*) FROM timers_claim") == 0
    assert field.value("SELECT count(*) FROM timers_waiting") == 0


_SUBSCRIBE = """
from timers.scheduling import ensure_group, pause_group, schedule_many
from timers.subscriptions import create_subscription
ensure_group("orders", retry={{"max_retries": 20, "min_backoff": 0.1, "max_backoff": 1}})
work = {{"handler": "cluster.work"}}
for name, mode, action in (("a", "broadcast", work), ("b", "broadcast", work), ("c", "queue", work),
                           ("d", "queue", work), ("e", "broadcast", {{"kind": "pull"}})):
    create_subscription("orders", name, mode=mode, action=action)
pause_group("orders")
schedule_many([dict(kind="once", group="orders", name=f"{{n}}", after=0) for n in range({count})])
"""

_RESUME = """
from timers.scheduling import resume_group
resume_group("orders")
"""

_CONSUME = """
import time
from timers.consuming import claim, commit
left, until = {count}, time.monotonic() + 60
while left and time.monotonic() < until:
    for message in claim("orders", "consumer", limit=100, subscription="e"):
        commit(message.execution, message.token)
        left -= 1
    time.sleep(0.02)
"""

_FINALS = """
SELECT ((('x' || right(replace(id::text, '-', ''), 16))::bit(64)::bigint >> 10) & 255)::int AS ordinal, count(*)
FROM timers_attempt WHERE outcome = 'succeeded' GROUP BY 1
"""
