"""Very many orders that are parked cost those that run nothing: what claims, chores and pages walk is bounded.

Rows are counted, not seconds: of every statement the rows that its plan has read, those that a filter threw away too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.db import connection, transaction

from tests import factories
from tests.support.profile import IS_LONG
from timers import chains, clock
from timers.engine.orders import holds, pruning, releasing
from timers.exceptions import NotAllowedNow
from timers.insights import counts
from timers.insights.doctor import orders as doctor
from timers.insights.doctor import overdue
from timers.insights.orders import LOOKED_AT
from timers.models import Chain, ChainOrder, Timer, Waiting
from timers.scheduling import schedule_once
from timers.testing import Stepper, VirtualTime

pytestmark = [pytest.mark.torture, pytest.mark.django_db]

ORDERS = 1_000_000 if IS_LONG else 150_000
BOUND = 4 * LOOKED_AT
"""Rows that one statement may read: a page of orders looks at LOOKED_AT, and what it reads again counts again."""

_STEPS: dict[str, Any] = {
    f"s{number}": {"kind": "approval", "next": f"s{number + 1}" if number < 3 else "end"} for number in range(4)
}
_ORDERS = """
INSERT INTO timers_chain_order (id, root, group_id, chain_id, version_id, timer_id, name, step, state, reason,
    variables, visits, setbacks, turn, is_reset, is_suspend_requested, in_finally, attempts, priority, created_at,
    changed_at)
SELECT id, id, %(group)s, %(chain)s, %(version)s, g, 'o' || g, 's' || (g %% 4),
       CASE WHEN g %% 20 = 0 THEN 'at_stopped' ELSE 'suspended' END, 'parked', '{"a": 1}', '{}', 0, 1, false, false,
       false, 0, 0, now() - INTERVAL '2 days', now() - INTERVAL '2 days'
FROM (SELECT g, (lpad(to_hex(g), 8, '0') || '-0000-8000-8000-' || lpad(to_hex(g), 12, '0'))::uuid AS id
      FROM generate_series(1, %(orders)s) g) x
"""
_BLOCKED = """
INSERT INTO timers_waiting (id, group_id, timer_id, name, state, available_at, attempt, forgiven, missed_count, snoozes,
    subscription, origin, step, reason, error_title, created_at, changed_at, blocked_on, blocked_capacity)
SELECT id, group_id, timer_id, name, 'blocked', now() - timer_id * INTERVAL '1 second', 0, 0, 0, 0, 0, 'schedule', step,
       '', '', now(), now(), 'lock:' || group_id || '/printer', 1
FROM timers_chain_order ORDER BY id LIMIT %(orders)s
"""
_PENDING = """
INSERT INTO timers_timer (name, {columns})
SELECT 'p' || g, {columns} FROM timers_timer CROSS JOIN generate_series(1, %s) g WHERE name = 'held'
"""


@pytest.fixture
def parked(time: VirtualTime) -> Chain:
    """A chain with so many orders suspended and before a stopped step, half as many pending, a tenth blocked."""
    group = factories.group("parked")
    chain = chains.create_chain("parked", "main", {"steps": {**_STEPS, "end": {"kind": "end"}}})
    chains.stop_step("parked", "main", "s0")
    chains.set_lock("parked", "printer", 1)
    chains.add_order("parked", "main", "held", at="2050-01-01T00:00:00Z", pending=True)
    columns = ", ".join(
        f'"{field.column}"' for field in Timer._meta.concrete_fields if field.column not in ("id", "name")
    )
    with connection.cursor() as cursor:
        params = {"group": group.pk, "chain": chain.pk, "version": chain.versions.get().pk}
        cursor.execute(_ORDERS, {**params, "orders": ORDERS})
        cursor.execute(_BLOCKED, {"orders": ORDERS // 10})
        cursor.execute(_PENDING.format(columns=columns), (ORDERS // 2,))
        cursor.execute("ANALYZE timers_chain_order")
        cursor.execute("ANALYZE timers_waiting")
        cursor.execute("ANALYZE timers_timer")
    Chain.objects.update(is_releasing=False)
    return chain


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


def rows_read(plan: dict[str, Any]) -> float:
    """The rows that the scans of a plan have read, those that a filter threw away too."""
    own = 0.0
    if "Scan" in plan["Node Type"]:
        own = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return own + sum(rows_read(each) for each in plan.get("Plans", ()))


@contextmanager
def every_statement_is_bounded() -> Iterator[list[float]]:
    """Explain each statement before it is executed; fails for one that reads more than BOUND rows."""
    read: list[float] = []

    def explain(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if not many and sql.strip().startswith(("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")):
            with suppress(_Done), transaction.atomic():
                execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params, many, context)
                (found,) = context["cursor"].fetchone()
                read.append(rows_read((found if isinstance(found, list) else json.loads(found))[0]["Plan"]))
                raise _Done
            assert read[-1] <= BOUND, f"{read[-1]:,.0f} rows are read by {sql}"
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        yield read


class _Done(Exception):
    """Rolls an explained statement back."""


def test_pages_and_findings_read_a_bounded_number_of_rows(parked: Chain) -> None:
    now = clock.now()
    looks: list[Callable[[], Any]] = [
        lambda: chains.find_chains("parked"),
        lambda: chains.find_steps("parked", "main"),
        lambda: chains.picture("parked", "main"),
        chains.find_orders,
        lambda: chains.find_orders(chain="main"),
        lambda: chains.find_orders(chain="main", state="failed"),
        lambda: chains.find_orders(group="parked", state="failed"),
        lambda: chains.find_orders(chain="main", step="s2"),
        lambda: chains.find_orders(chain="main", state="ended"),
        lambda: chains.find_orders(name="held"),
        lambda: chains.find_upcoming_orders("parked", "main"),
        lambda: chains.find_upcoming_orders("parked", "main", state="scheduled"),
        lambda: chains.find_locks("parked"),
        lambda: chains.get_lock("parked", "printer"),
        lambda: chains.get_order(str(ChainOrder.objects.order_by("id")[0].pk)),
        lambda: doctor.blocked_behind_nobody(now),
        lambda: doctor.long_before_stopped_steps(now),
        lambda: doctor.long_suspended(now),
        lambda: overdue.overdue_ready(now),
        counts.waiting,
    ]
    with every_statement_is_bounded() as read:
        for look in looks:
            look()
    assert len(read) >= len(looks)


def test_chores_read_a_bounded_number_of_rows(parked: Chain) -> None:
    with every_statement_is_bounded():
        assert holds.unblock_all() == 1
        assert pruning.prune_orders(clock.now()) == 0
        assert releasing.pass_deadlines() == 0
        chains.activate_step("parked", "main", "s1")
        assert releasing.release_orders() == 0
        with pytest.raises(NotAllowedNow, match=r"1,000\+ of its orders are under way"):
            chains.delete_chain("parked", "main")


def test_orders_run_beside_those_that_are_parked_as_if_these_were_not_there(parked: Chain, time: VirtualTime) -> None:
    chains.create_chain(
        "parked", "quick", {"steps": {"a": {"kind": "wait", "duration": 1, "next": "end"}, "end": {"kind": "end"}}}
    )
    for number in range(3):
        schedule_once("parked", f"quick{number}", after=0, action={"kind": "chain", "chain": "quick"})
    node = Stepper(time)
    with every_statement_is_bounded():
        for _ in range(4):
            node.step()
            time.advance(2)
    assert set(ChainOrder.objects.filter(chain__name="quick").values_list("outcome", flat=True)) == {"succeeded"}
    assert Waiting.objects.filter(state="blocked").count() == ORDERS // 10
