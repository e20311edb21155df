"""Orders, their histories, and counts at the steps of chains: right, and by a bounded number of queries and rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from tests import factories
from timers import chains
from timers.chains import create_chain
from timers.domain.execution_id import execution_id, try_id
from timers.insights import chains as of_chains
from timers.insights.one_order import group_of_order, history, one_order
from timers.insights.orders import count_by_state, find_orders
from timers.insights.step_durations import step_durations
from timers.models import Attempt, Chain, ChainOrder, Claim, Timer

pytestmark = pytest.mark.django_db

Queries = Callable[..., Any]


def definition(steps: int) -> dict[str, Any]:
    names = [f"s{number:03}" for number in range(steps)]
    waits = {
        name: {"kind": "wait", "duration": 60, "next": after}
        for name, after in zip(names, [*names[1:], "end"], strict=True)
    }
    return {"steps": {**waits, "end": {"kind": "end"}}}


@pytest.fixture
def long(db: None) -> Chain:
    """A chain of 200 steps."""
    factories.group("sales")
    return create_chain("sales", "long", definition(200))


def fill(chain: Chain, count: int, step: Callable[[int], str]) -> None:
    """Add so many living orders, without timers."""
    version, now = chain.versions.get(), chain.created_at
    ids = [UUID(execution_id(number + 1, 1)) for number in range(count)]
    ChainOrder.objects.bulk_create(
        ChainOrder(
            id=id_, root=id_, group=chain.group, chain=chain, version=version, timer_id=1, name="many",
            step=step(number), state="at_stopped", variables={}, visits={}, created_at=now, changed_at=now,
        )
        for number, id_ in enumerate(ids)
    )  # fmt: skip


def test_counts_are_capped_at_each_step(long: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(long, 60, lambda number: "s000" if number < 50 else "s001")
    monkeypatch.setattr(of_chains, "COUNTED", 40)
    first, second, *_ = chains.find_steps("sales", "long")
    assert (str(first.orders.total), first.orders.states) == ("21+", {"at_stopped": 21})
    assert (str(second.orders.total), second.orders.states) == ("10", {"at_stopped": 10})
    assert chains.find_chain("sales", "long").orders.is_capped


def test_steps_of_older_versions_are_told_while_orders_are_there(long: Chain) -> None:
    factories.order(long, "s199", "waiting")
    chains.update_chain("sales", "long", definition(2))
    views = chains.find_steps("sales", "long")
    assert [(view.name, view.is_of_newest) for view in views] == [
        ("s000", True), ("s001", True), ("end", True), ("s199", False),
    ]  # fmt: skip


def test_order_whose_step_runs_is_claimed(long: Chain) -> None:
    order = factories.order(long, "s000", "ready")
    node = factories.node("node-a")
    claim = factories.claim(node, Timer.objects.get(id=order.timer_id), 1)
    Claim.objects.filter(pk=claim.pk).update(executions=[order.pk])
    detail = one_order(order.pk)
    assert detail is not None
    assert (detail.order.state, detail.order.node) == ("claimed", "node-a")
    assert chains.find_steps("sales", "long")[0].orders.states == {"claimed": 1}


def test_page_of_orders_costs_a_fixed_number_of_queries(long: Chain, django_assert_max_num_queries: Queries) -> None:
    fill(long, 500, lambda number: f"s{number % 200:03}")
    with django_assert_max_num_queries(5):
        page = find_orders(group="sales", chain="long", limit=200)
    assert len(page.orders) == 200
    assert [order.id for order in page.orders] == sorted((order.id for order in page.orders), reverse=True)
    rest = find_orders(group="sales", chain="long", limit=200, before_id=page.next)
    last = find_orders(group="sales", chain="long", limit=200, before_id=rest.next)
    assert (len(rest.orders), len(last.orders), last.next) == (200, 100, None)
    with django_assert_max_num_queries(8):
        chains.find_steps("sales", "long")
    with django_assert_max_num_queries(8):
        chains.picture("sales", "long")


def test_page_that_matches_rarely_ends_and_says_where_the_next_begins(
    long: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(long, 30, lambda _: "s000")
    oldest = ChainOrder.objects.order_by("id").first()
    assert oldest is not None
    ChainOrder.objects.filter(pk=oldest.pk).update(state="failed")
    monkeypatch.setattr("timers.insights.orders.LOOKED_AT", 12)
    seen, before, pages = list[UUID](), None, 0
    while True:
        page = find_orders(state="failed", limit=5, before_id=before)
        seen += [order.id for order in page.orders]
        before, pages = page.next, pages + 1
        if before is None:
            break
    assert (seen, pages) == ([oldest.pk], 3)


def test_orders_of_groups_that_are_not_seen_are_left_out(long: Chain) -> None:
    factories.order(long, "s000")
    assert find_orders(groups=["other"]).orders == []
    assert len(find_orders(groups=["sales"]).orders) == 1


def test_order_of_a_thousand_visits_is_answered_by_few_queries(
    long: Chain, django_assert_max_num_queries: Queries
) -> None:
    order = factories.order(long, "end", "ended", outcome="succeeded", attempts=1000, visits={"s000": 1000})
    timer = Timer.objects.get(id=order.timer_id)
    due = order.created_at
    Attempt.objects.bulk_create(
        Attempt(
            id=UUID(try_id(str(order.pk), number)), group_id=timer.group_id, timer_id=timer.pk, name=timer.name,
            scheduled_for=due, attempt=number, outcome="advanced", origin="schedule", node="node-a", worker=1,
            started_at=due, finished_at=due + timedelta(milliseconds=number), step="s000",
        )
        for number in range(1, 1001)
    )  # fmt: skip
    factories.attempt(timer, id=order.pk, number=1000)
    with django_assert_max_num_queries(4):
        detail = one_order(order.pk)
    assert detail is not None
    with django_assert_max_num_queries(3):
        rows = history(order.pk)
    assert [row.attempt for row in rows] == [*range(1, 1001), 1000]
    assert [row.outcome for row in rows[-2:]] == ["advanced", "succeeded"]
    assert [row.attempt for row in history(order.pk, after=990, limit=5)] == [991, 992, 993, 994, 995]
    with django_assert_max_num_queries(3):
        (duration,) = step_durations(long).values()
    assert duration.runs == 1000
    assert (round(duration.p50, 3), round(duration.p95, 3)) == (0.5, 0.95)


def test_branches_are_counted_by_state_and_outcome(long: Chain) -> None:
    parent = factories.order(long, "s000", "joining")
    for state, outcome in (("ready", None), ("ended", "succeeded"), ("ended", "failed")):
        factories.order(long, "s001", state, outcome=outcome, root=parent.pk, parent=parent.pk, parent_round=1)
    assert count_by_state(parent.pk) == {"failed": 1, "ready": 1, "succeeded": 1}
    assert len(find_orders(parent=parent.pk).orders) == 1
    assert len(find_orders(parent=parent.pk, state="ended").orders) == 2


def test_order_that_ended_before_it_began_is_told_by_its_execution(long: Chain) -> None:
    timer = factories.timer("it", in_group=long.group, action={"kind": "chain", "chain": "long"})
    skipped = factories.attempt(timer, "skipped", reason="misfire")
    detail = one_order(skipped.pk)
    assert detail is not None
    assert (detail.order.state, detail.order.outcome, detail.order.reason) == ("ended", "skipped", "misfire")
    waits = factories.waiting(timer, ago=7)
    failed = one_order(waits.pk)
    assert failed is not None
    assert (failed.order.state, group_of_order(str(waits.pk))) == ("failed", "sales")


def test_no_page_walks_the_whole_table(long: Chain) -> None:
    fill(long, 3_000, lambda number: f"s{number % 3:03}")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE timers_chain_order")
    page = find_orders(chain="long", step="s001", limit=10)
    assert len(page.orders) == 10
    assert {order.step for order in page.orders} == {"s001"}
