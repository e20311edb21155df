"""The doctor finds orders that stand still, says why, and what to do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from timers import clock
from timers.chains import create_chain, set_lock, stop_step
from timers.engine import partitions
from timers.insights.doctor import Finding, examine
from timers.insights.doctor.orders import LONG
from timers.models import Chain, ChainOrder, Waiting

pytestmark = pytest.mark.django_db

DEFINITION = {
    "steps": {
        "ask": {"kind": "approval", "next": "go"},
        "go": {"kind": "signal", "next": "end"},
        "end": {"kind": "end"},
    }
}


@pytest.fixture(autouse=True)
def healthy() -> None:
    partitions.create_ahead(clock.now().date(), 7)
    factories.node("serving", crash_lock=False)


@pytest.fixture
def main() -> Chain:
    factories.group("sales")
    return create_chain("sales", "main", DEFINITION)


def of(check: str) -> list[Finding]:
    return [finding for finding in examine(clock.now()).findings if finding.check == check]


def ready(order: ChainOrder, **fields: object) -> Waiting:
    now = clock.now()
    return Waiting.objects.create(
        id=order.pk, group_id=order.group_id, timer_id=order.timer_id, name=order.name, state="ready", step=order.step,
        available_at=now - timedelta(hours=2), attempt=0, created_at=now, changed_at=now, **fields,
    )  # fmt: skip


def test_orders_blocked_behind_a_holder_that_no_longer_lives_are_an_error(main: Chain) -> None:
    waits, held = factories.order(main, "go", ago=30), factories.order(main, "go", ago=60)
    place = f"step:{main.pk}/go"
    factories.blocked(waits, place, ago=60)
    claim = factories.held(held, place, factories.node("dead", beat_ago=60), ago=90)
    (finding,) = of("blocked_behind_nobody")
    assert finding.severity == "error"
    assert "start one" in finding.remedy
    assert (finding.evidence[0]["order"], finding.evidence[0]["held"]) == (waits.pk, 0)
    claim.delete()
    assert of("blocked_behind_nobody")


def test_orders_blocked_behind_a_living_holder_are_well(main: Chain) -> None:
    waits, held = factories.order(main, "go", ago=30), factories.order(main, "go", ago=60)
    place = f"step:{main.pk}/go"
    factories.blocked(waits, place, ago=60)
    factories.held(held, place, factories.node("alive"), ago=90)
    assert of("blocked_behind_nobody") == []


WORK = {"kind": "python", "handler": "timerbench.noop"}


def limited() -> Chain:
    steps = {
        "a": {"action": WORK, "next": "b", "max_orders": 1, "locks": ["door", "printer"]},
        "b": {"action": WORK, "next": "end"},
        "end": {"kind": "end"},
    }
    factories.group("limited")
    set_lock("limited", "printer", 1)
    return create_chain("limited", "main", {"start": "a", "steps": steps, "locks": {"door": 1, "printer": "shared"}})


@pytest.mark.parametrize("place", ["step:{0.pk}/a", "lock:{0.pk}:door", "lock:{0.group_id}/printer"])
def test_free_place_that_a_ready_order_is_about_to_take_is_no_finding(place: str) -> None:
    chain = limited()
    factories.blocked(factories.order(chain, "a", ago=30), place.format(chain), ago=60)
    assert of("blocked_behind_nobody")
    next_one = ready(factories.order(chain, "a", ago=40), handler="timerbench.noop")
    assert of("blocked_behind_nobody") == []
    Waiting.objects.filter(id=next_one.pk).update(available_at=clock.now() + timedelta(hours=1))
    assert of("blocked_behind_nobody")


def test_ready_order_that_needs_another_place_takes_none() -> None:
    chain = limited()
    factories.blocked(factories.order(chain, "a", ago=30), f"step:{chain.pk}/a", ago=60)
    ready(factories.order(chain, "b", ago=40), handler="timerbench.noop")
    assert of("blocked_behind_nobody")


def test_holder_whose_node_died_just_now_is_rescued_first(main: Chain) -> None:
    waits, held = factories.order(main, "go", ago=30), factories.order(main, "go", ago=60)
    place = f"step:{main.pk}/go"
    factories.blocked(waits, place, ago=600)
    factories.held(held, place, factories.node("dying", beat_ago=12), ago=90)
    assert of("blocked_behind_nobody") == []


def test_place_that_became_free_just_now_is_no_finding(main: Chain) -> None:
    factories.blocked(factories.order(main, "go"), f"step:{main.pk}/go", ago=5)
    assert of("blocked_behind_nobody") == []


def test_orders_that_stood_before_a_stopped_step_for_long_are_told_with_its_reason(main: Chain) -> None:
    stop_step("sales", "main", "go", reason="repairs")
    factories.order(main, "go", "at_stopped", changed_at=clock.now() - 2 * LONG)
    factories.order(main, "go", "at_stopped")
    (finding,) = of("long_before_stopped_steps")
    assert (finding.severity, finding.what) == ("info", "1 order has stood before stopped steps for longer than a day.")
    told = finding.evidence[0]
    assert (told["chain"], told["step"], told["orders"], told["reason"]) == ("main", "go", 1, "repairs")


def test_orders_suspended_for_long_are_told_with_the_reason(main: Chain) -> None:
    for _ in range(2):
        factories.order(main, "ask", "suspended", changed_at=clock.now() - 2 * LONG, reason="no answer")
    factories.order(main, "ask", "suspended")
    (finding,) = of("long_suspended")
    assert finding.what == "2 orders have been suspended for longer than a day."
    assert finding.evidence[0]["reason"] == "no answer"
    assert "resume" in finding.remedy.lower()


def test_ready_step_whose_handler_no_node_knows_is_named_with_it(main: Chain) -> None:
    ready(factories.order(main, "go"), handler="tests.gone")
    (finding,) = of("overdue_ready")
    assert "knows the handler of their step" in finding.what
    assert (finding.evidence[0]["step"], finding.evidence[0]["handler"]) == ("go", "tests.gone")


def test_ready_step_whose_roles_no_node_has_is_named_with_them(main: Chain) -> None:
    ready(factories.order(main, "go"), handler="tests.noop", required_roles=["gpu"])
    (finding,) = of("overdue_ready")
    assert "has the roles that their step requires" in finding.what
    assert finding.evidence[0]["required_roles"] == ["gpu"]


def test_ready_step_that_a_node_can_run_is_behind(main: Chain) -> None:
    ready(factories.order(main, "go"), handler="tests.noop")
    (finding,) = of("overdue_ready")
    assert "are behind" in finding.what
