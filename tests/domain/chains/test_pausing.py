"""Approvals, signals and waits: what an order waits for, until when, and what follows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.domain.chains.engine import END, Engine, action, later
from timers.domain.chains import StepStates, events
from timers.exceptions import NotAllowedNow


def engine(**step: Any) -> Engine:
    return Engine(main={"steps": {"p": {"next": "yes", **step}, "yes": action("z"), "no": action("z"), "z": END}})


APPROVAL = {"kind": "approval", "refused": "no"}
SIGNAL = {"kind": "signal", "signal": "paid", "on_error": {"goto": "no"}}


def only(**step: Any) -> Engine:
    """A chain in which nothing leads to the step no."""
    return Engine(main={"steps": {"p": {"next": "yes", **step}, "yes": action("z"), "z": END}})


def test_approval_waits_for_a_person() -> None:
    at = engine(**APPROVAL)
    order = at.start()
    assert at.place(order) == ("p", "awaiting")
    assert at.order(order).available_at is None

    moves = at.send(order, events.Approved("olga"))

    assert at.place(order) == ("yes", "ready")
    assert moves.notes == ("approved by olga",)


def test_refusal_goes_to_the_step_that_is_named() -> None:
    at = engine(**APPROVAL)
    order = at.start()

    moves = at.send(order, events.Refused("olga", "too dear"))

    assert at.place(order) == ("no", "ready")
    assert moves.notes == ("refused by olga: too dear",)


def test_refusal_without_a_step_of_its_own_fails_the_approval() -> None:
    at = only(kind="approval")
    order = at.start()

    at.send(order, events.Refused("olga"))

    assert at.place(order) == ("p", "failed")
    assert at.order(order).reason == "p failed: refused by olga"


@pytest.mark.parametrize(
    ("default", "place"), [("approve", ("yes", "ready")), ("refuse", ("no", "ready")), ("fail", ("p", "failed"))]
)
def test_default_applies_when_the_deadline_of_an_approval_passes(default: str, place: tuple[str, str]) -> None:
    at = engine(**APPROVAL, deadline=60, default=default)
    order = at.start()
    assert at.order(order).available_at == later(60)

    at.pass_time(order)

    assert at.place(order) == place


def test_answer_after_the_deadline_is_refused() -> None:
    at = engine(**APPROVAL, deadline=60, default="refuse")
    order = at.start()
    at.pass_time(order)

    with pytest.raises(NotAllowedNow, match="order: does not wait for an approval; it is ready at no"):
        at.send(order, events.Approved("olga"))


def test_answer_to_an_earlier_turn_changes_nothing() -> None:
    at = engine(**APPROVAL)
    order = at.start()

    at.send(order, events.Approved("olga", turn=0))

    assert at.place(order) == ("p", "awaiting")


def test_signal_lets_the_order_go_on_with_its_payload() -> None:
    at = engine(**SIGNAL, results={"amount": "/amount"})
    order = at.start()

    at.send(order, events.Signalled("paid", {"amount": 5}))

    assert at.place(order) == ("yes", "ready")
    assert at.order(order).variables == {"amount": 5}


def test_signal_of_another_name_is_refused() -> None:
    at = engine(**SIGNAL)
    order = at.start()

    with pytest.raises(NotAllowedNow, match='signal: the order waits for "paid", not for "pay"'):
        at.send(order, events.Signalled("pay"))


def test_signal_without_a_name_of_its_own_is_named_after_the_step() -> None:
    at = only(kind="signal")
    order = at.start()

    at.send(order, events.Signalled("p"))

    assert at.place(order) == ("yes", "ready")


def test_signal_whose_payload_lacks_what_is_asked_for_fails_the_step() -> None:
    at = engine(**SIGNAL, results=["amount"])
    order = at.start()

    at.send(order, events.Signalled("paid", "text"))

    assert at.place(order) == ("no", "ready")


@pytest.mark.parametrize(("step", "place"), [({"on_deadline": {"goto": "no"}}, "no"), ({}, "no")])
def test_signal_that_does_not_come_in_time_leads_elsewhere(step: dict[str, Any], place: str) -> None:
    at = engine(**SIGNAL, deadline=60, **step)
    order = at.start()

    at.pass_time(order)

    assert at.place(order) == (place, "ready")


@pytest.mark.parametrize(
    ("step", "until"),
    [
        ({"duration": 90}, later(90)),
        ({"duration": "PT1M"}, later(60)),
        ({"until": "2027-01-01T00:00:00Z"}, datetime(2027, 1, 1, tzinfo=UTC)),
        ({"until": "2020-01-01T00:00:00Z"}, later(0)),
        ({"cron": "0 2 * * *", "time_zone": "Europe/Berlin"}, datetime(2026, 11, 30, 1, tzinfo=UTC)),
    ],
)
def test_wait_ends_at_its_instant(step: dict[str, Any], until: datetime) -> None:
    at = only(kind="wait", **step)
    order = at.start()
    assert at.place(order) == ("p", "waiting")
    assert at.order(order).available_at == until

    at.pass_time(order)

    assert at.place(order) == ("yes", "ready")


def test_cron_that_never_fires_again_fails_the_wait() -> None:
    at = only(kind="wait", cron="0 0 0 1 1 ? 2026")

    order = at.start()

    assert at.place(order) == ("p", "failed")
    assert "has no further instant" in at.order(order).reason


@pytest.mark.parametrize("step", [APPROVAL, SIGNAL, {"kind": "wait", "duration": 60, "refused": None}])
def test_skip_lets_an_order_pass_that_waits_in_the_step(step: dict[str, Any]) -> None:
    given = {name: value for name, value in step.items() if value is not None}
    at = only(**given) if given["kind"] == "wait" else engine(**given)
    order = at.start()
    at.states = StepStates(skipped=frozenset({"p"}))

    at.send(order, events.StatesChanged())

    assert at.place(order) == ("yes", "ready")


def test_stop_leaves_an_order_that_waits_in_the_step() -> None:
    at = engine(**APPROVAL)
    order = at.start()
    at.states = StepStates(stopped=frozenset({"p"}))

    at.send(order, events.StatesChanged())

    assert at.place(order) == ("p", "awaiting")


def test_suspended_approval_waits_again_when_it_is_resumed() -> None:
    at = engine(**APPROVAL, deadline=60)
    order = at.start()
    at.send(order, events.Suspended())
    at.now = later(100)

    at.send(order, events.Resumed())

    assert at.place(order) == ("p", "awaiting")
    assert at.order(order).available_at == later(160)
