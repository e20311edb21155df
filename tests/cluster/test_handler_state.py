"""A real worker whose handlers leave state behind: the guilty fail, and no other loses a write or runs in it."""

from __future__ import annotations

import pytest

from tests.cluster import scenarios
from tests.cluster.field import Field, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]


def test_handlers_that_leave_state_behind_fail_and_others_lose_nothing(field: Field) -> None:
    scenarios.spoiled(field, 300, ("autocommit", "setting", "directory"))


def test_worker_is_replaced_in_order_when_a_change_cannot_be_put_back(field: Field) -> None:
    field.start("a", "--workers", "1")
    (before,) = eventually(lambda: field.worker_pids("a"))
    field.run(_LIMIT_AND_OTHERS)
    eventually(lambda: field.succeeded() == 20)
    rows = field.rows("SELECT name, outcome, error_title FROM timers_attempt WHERE outcome <> 'succeeded'")
    assert [(name, outcome) for name, outcome, _ in rows] == [("leaves", "error")]
    assert rows[0][2].startswith("the handler left behind: resource limits (RLIMIT_MSGQUEUE)")
    eventually(lambda: before not in field.worker_pids("a") and field.worker_pids("a"))
    assert "must be replaced: it cannot put back" in field.log("a")


_LIMIT_AND_OTHERS = """
from timers.scheduling import ensure_group, schedule_many
ensure_group("work", retry={"max_retries": 0})
items = [dict(kind="once", group="work", name=f"w-{n}", after=2 + n / 5, handler="cluster.write") for n in range(20)]
leaves = dict(kind="once", group="work", name="leaves", after=3, handler="cluster.leave", payload="limit")
schedule_many([*items, leaves])
"""
