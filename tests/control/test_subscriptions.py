"""Subscriptions as they are asked for: what is refused, and what the rows say afterwards."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.test import override_settings

from timers.actions.signing import new_signing_secret
from timers.control.delete import delete_group
from timers.control.secrets import create_secret, delete_secret
from timers.engine.consume import claim
from timers.exceptions import InvalidRequest, NotAllowedNow, StaleVersion, TimerNotFound
from timers.models import Subscription, TimerGroup
from timers.scheduling import fire_timer, schedule_once
from timers.security.encryption import new_key
from timers.subscriptions import (
    create_subscription,
    delete_subscription,
    find_subscription,
    list_subscriptions,
    pause_subscription,
    resume_subscription,
    update_subscription,
)


def create(name: str = "a", **fields: Any) -> Subscription:
    return create_subscription("orders", name, **{"action": {"handler": "tests.noop"}, **fields})


def worker_ordinals() -> list[int] | None:
    return TimerGroup.objects.get(name="orders").worker_ordinals


def test_all_mistakes_of_a_request_are_told_at_once(orders: TimerGroup) -> None:
    with pytest.raises(InvalidRequest) as caught:
        create("", mode="both", action={"kind": "fax"}, filter={"tag": 1}, retry={"max_retries": -1}, description=7)
    fields = [problem.field for problem in caught.value.problems]
    assert fields == ["name", "mode", "action.kind", "filter.tag", "retry.max_retries", "description"]
    assert not Subscription.objects.exists()
    assert worker_ordinals() is None


def test_a_handler_that_nobody_knows_is_refused(orders: TimerGroup) -> None:
    with pytest.raises(InvalidRequest, match="no such handler"):
        create(action={"handler": "tests.nop"})


def test_names_are_unique_among_the_living(orders: TimerGroup) -> None:
    create("a")
    with pytest.raises(InvalidRequest, match="is taken"):
        create("a")
    delete_subscription("orders", "a")
    assert create("a").ordinal == 2


def test_group_and_subscription_must_exist(orders: TimerGroup) -> None:
    with pytest.raises(TimerNotFound):
        create_subscription("nothing", "a", action={"handler": "tests.noop"})
    for call in (find_subscription, pause_subscription, resume_subscription, delete_subscription, update_subscription):
        with pytest.raises(TimerNotFound):
            call("orders", "nothing")
    with pytest.raises(TimerNotFound):
        list_subscriptions("nothing")


def test_an_edit_keeps_what_is_not_given_and_gives_new_versions(orders: TimerGroup) -> None:
    row = create(filter={"tags": {"any": ["eu"]}}, retry={"max_retries": 1})
    before = TimerGroup.objects.get(name="orders").version
    row = update_subscription("orders", "a", version=row.version, retry=None, actor="alice")
    assert (row.filter, row.retry, row.version, row.updated_by) == ({"tags": {"any": ["eu"]}}, None, 2, "alice")
    assert TimerGroup.objects.get(name="orders").version == before + 1
    with pytest.raises(StaleVersion):
        update_subscription("orders", "a", version=1, description="late")


@pytest.mark.parametrize(
    ("fields", "told"),
    [({"mode": "queue"}, "cannot be changed"), ({"filtre": {}}, "did you mean filter?"), ({"action": None}, "object")],
)
def test_an_edit_that_makes_no_sense_is_refused(orders: TimerGroup, fields: dict[str, Any], told: str) -> None:
    create(mode="broadcast")
    with pytest.raises(InvalidRequest, match=told.replace("?", ".")):
        update_subscription("orders", "a", **fields)
    assert find_subscription("orders", "a").version == 1


def test_one_that_was_changed_meanwhile_is_not_deleted(orders: TimerGroup) -> None:
    create()
    with pytest.raises(StaleVersion):
        delete_subscription("orders", "a", version=2)
    delete_subscription("orders", "a", version=1)


def test_a_secret_that_a_subscription_needs_is_not_deleted(orders: TimerGroup) -> None:
    with override_settings(TIMERS={"ENCRYPTION_KEYS": new_key(date(2026, 1, 1))}):
        create_secret("hook", kind="signing", value=new_signing_secret())
        create(action={"kind": "http", "url": "https://api.example.org/hook", "sign": "hook"})
        with pytest.raises(NotAllowedNow, match="subscription orders/a"):
            delete_secret("hook")
        delete_subscription("orders", "a")
        delete_secret("hook")


def test_workers_are_told_whose_executions_they_take_up(orders: TimerGroup) -> None:
    assert worker_ordinals() is None
    create("a")
    create("b", action={"kind": "pull"})
    create("c")
    assert worker_ordinals() == [0, 1, 3]
    pause_subscription("orders", "a", reason="moves", actor="alice")
    row = find_subscription("orders", "a")
    assert (row.state, row.state_reason, row.state_changed_by) == ("paused", "moves", "alice")
    assert worker_ordinals() == [0, 3]
    resume_subscription("orders", "a")
    update_subscription("orders", "c", action={"kind": "pull"})
    assert worker_ordinals() == [0, 1]
    assert [row.name for row in list_subscriptions("orders")] == ["a", "b", "c"]
    for name in "abc":
        delete_subscription("orders", name)
    assert worker_ordinals() is None
    assert list_subscriptions("orders") == []


def test_timers_need_no_action_where_subscriptions_have_some(orders: TimerGroup) -> None:
    with pytest.raises(InvalidRequest, match="action"):
        schedule_once("orders", "t", after=0)
    create()
    schedule_once("orders", "t", after=0)


def test_a_run_that_would_reach_nobody_is_refused(orders: TimerGroup) -> None:
    create(filter={"tags": {"any": ["eu"]}})
    schedule_once("orders", "t", after=100)
    with pytest.raises(NotAllowedNow, match="none of the group's subscriptions"):
        fire_timer("orders", "t")


def test_who_pulls_says_for_which_subscription(orders: TimerGroup) -> None:
    create("a")
    create("b", action={"kind": "pull"})
    with pytest.raises(NotAllowedNow, match="consumed by its subscriptions; say by which: b"):
        claim("orders", "sender")
    with pytest.raises(NotAllowedNow, match="served by workers"):
        claim("orders", "sender", subscription="a")
    with pytest.raises(TimerNotFound):
        claim("orders", "sender", subscription="c")
    assert claim("orders", "sender", subscription="b") == []


def test_a_deleted_group_takes_its_subscriptions_along(orders: TimerGroup) -> None:
    create()
    delete_group("orders")
    assert not Subscription.objects.exists()


def test_a_group_has_room_for_255(orders: TimerGroup) -> None:
    create("a")
    Subscription.objects.update(ordinal=255)
    with pytest.raises(NotAllowedNow, match="255 subscriptions"):
        create("b")
