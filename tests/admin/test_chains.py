from __future__ import annotations

import pytest
from django.test import Client

from tests import factories
from tests.admin.pages import list_of, page_of, run, told
from timers.chains import create_chain, update_chain
from timers.models import Chain, ChainOrder, ChainStep, Timer

DEFINITION = {
    "steps": {
        "ask": {"kind": "approval", "next": "go"},
        "go": {"kind": "signal", "next": "end"},
        "end": {"kind": "end"},
    }
}


@pytest.fixture
def main(db: None) -> Chain:
    factories.group("sales")
    return create_chain("sales", "main", DEFINITION)


def test_chain_is_shown_with_its_steps_and_orders(alice: Client, main: Chain) -> None:
    factories.order(main, "go", "awaiting")
    assert "main" in alice.get(list_of("chain")).content.decode()
    page = alice.get(page_of("chain", main.pk)).content.decode()
    assert "ask (approval)" in page
    assert "1 order (1 awaiting)" in page


def test_chain_and_steps_are_stopped_and_go_on(alice: Client, main: Chain) -> None:
    answers = {"answered": "yes", "reason": "repairs"}
    assert "Stopped: 1 chain." in told(run(alice, "chain", "stop", main.pk, **answers))
    main.refresh_from_db()
    assert (main.state, main.state_reason, main.state_changed_by) == ("stopped", "repairs", "alice")
    assert "because: repairs" in alice.get(page_of("chain", main.pk)).content.decode()
    assert "Started: 1 chain." in told(run(alice, "chain", "start", main.pk, **answers))
    for action, state in (("stop_step", "stopped"), ("skip_step", "skipped"), ("activate_step", "active")):
        run(alice, "chain", action, main.pk, step="ask", **answers)
        assert ChainStep.objects.get().state == state
    assert "has no step" in told(run(alice, "chain", "stop_step", main.pk, step="none", **answers))


def test_order_is_shown_with_its_history_and_seen_to(alice: Client, main: Chain) -> None:
    order = factories.order(main, "ask", "awaiting", variables={"colour": "red"}, attempts=1)
    factories.attempt(Timer.objects.get(id=order.timer_id), id=order.pk, step=None)
    assert order.name in alice.get(list_of("chainorder", q=str(order.pk))).content.decode()
    page = alice.get(page_of("chainorder", order.pk)).content.decode()
    assert "colour" in page
    assert "succeeded" in page
    ChainOrder.objects.filter(pk=order.pk).update(ended_at=None)
    assert "Prioritized: 1 chain order" in told(
        run(alice, "chainorder", "prioritize", order.pk, answered="yes", priority="4")
    )
    order.refresh_from_db()
    assert order.priority == 4
    update_chain("sales", "main", {**DEFINITION, "description": "mended"})
    run(alice, "chainorder", "suspend", order.pk, answered="yes", reason="")
    assert "Resumed: 1 chain order" in told(run(alice, "chainorder", "resume_with_newest", order.pk))
    order.refresh_from_db()
    assert order.version.version == 2
    answers = {"answered": "yes", "reason": "call"}
    assert "Suspended: 1" in told(run(alice, "chainorder", "suspend", order.pk, **answers))
    order.refresh_from_db()
    assert (order.state, order.reason) == ("suspended", "call")
    assert "Resumed: 1" in told(run(alice, "chainorder", "resume", order.pk))
    assert "Moved on: 1" in told(run(alice, "chainorder", "skip", order.pk))
    order.refresh_from_db()
    assert (order.step, order.state) == ("go", "awaiting")


def test_order_is_cancelled(alice: Client, main: Chain) -> None:
    order = factories.order(main, "ask", "awaiting")
    assert "Cancelled: 1" in told(run(alice, "chainorder", "cancel", order.pk, answered="yes", reason="not wanted"))
    order.refresh_from_db()
    assert (order.outcome, order.reason) == ("cancelled", "not wanted")
    assert "Refused: 1" in told(run(alice, "chainorder", "skip", order.pk))


def test_steps_stand_in_the_ledger_and_among_what_waits(alice: Client, main: Chain) -> None:
    timer = factories.timer("it", in_group=main.group)
    row = factories.attempt(timer, "advanced", step="the-step")
    waits = factories.waiting(timer, step="that-step")
    assert "the-step" in alice.get(list_of("attempt")).content.decode()
    assert "the-step" in alice.get(page_of("attempt", row.pk)).content.decode()
    assert "that-step" in alice.get(list_of("waiting")).content.decode()
    assert "that-step" in alice.get(page_of("waiting", waits.pk)).content.decode()


def test_who_may_only_look_changes_nothing(bob: Client, main: Chain) -> None:
    order = factories.order(main, "ask", "awaiting")
    assert bob.get(list_of("chain")).status_code == bob.get(list_of("chainorder")).status_code == 200
    run(bob, "chain", "stop", main.pk, answered="yes")
    run(bob, "chainorder", "cancel", order.pk, answered="yes")
    main.refresh_from_db()
    order.refresh_from_db()
    assert (main.state, order.state) == ("active", "awaiting")
