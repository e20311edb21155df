from __future__ import annotations

import json
from typing import Any

from django.test import Client

from tests import factories
from tests.admin.pages import list_of, page_of, run, told
from timers.models import Subscription, TimerGroup

ADD = "/admin/timers/subscription/add/"


def sent(group: TimerGroup, **fields: Any) -> dict[str, Any]:
    values = {"group": group.pk, "name": "books", "description": "", "mode": "broadcast", "filter": "", "retry": ""}
    return {**values, "action": json.dumps({"handler": "tests.noop"}), **fields}


def test_a_subscription_is_created_edited_paused_resumed_and_deleted(alice: Client) -> None:
    group = factories.group("orders")
    assert alice.post(ADD, sent(group)).status_code == 302
    row = Subscription.objects.get()
    assert (row.name, row.mode, row.ordinal, row.updated_by) == ("books", "broadcast", 1, "alice")

    changed = sent(group, filter='{"tags": {"any": ["eu"]}}', retry='{"max_retries": 1}')
    assert alice.post(page_of("subscription", row.pk), changed).status_code == 302
    row.refresh_from_db()
    assert (row.filter, row.retry["max_retries"], row.version) == ({"tags": {"any": ["eu"]}}, 1, 2)

    assert "Paused: 1 subscription." in told(run(alice, "subscription", "pause", row.pk))
    row.refresh_from_db()
    assert (row.state, row.state_changed_by) == ("paused", "alice")
    assert "by alice" in alice.get(page_of("subscription", row.pk)).content.decode()
    assert "Resumed: 1 subscription." in told(run(alice, "subscription", "resume", row.pk))
    assert "0 executions cancelled" in told(run(alice, "subscription", "remove", row.pk))
    row.refresh_from_db()
    assert row.state == "deleted"
    assert "books" not in alice.get(list_of("subscription")).content.decode()


def test_all_that_makes_no_sense_comes_back_on_its_fields(alice: Client) -> None:
    group = factories.group("orders")
    answer = alice.post(ADD, sent(group, action='{"kind": "fax"}', filter='{"tag": 1}', retry='{"max_retries": -1}'))
    assert {"action", "filter", "retry"} <= set(answer.context["adminform"].form.errors)
    assert not Subscription.objects.exists()


def test_one_that_was_spoilt_by_hand_breaks_no_page(alice: Client) -> None:
    row = factories.subscription()
    factories.spoil(row, "action")
    assert alice.get(list_of("subscription")).status_code == 200
    assert alice.get(page_of("subscription", row.pk)).status_code == 200


def test_who_may_only_look_changes_nothing(bob: Client) -> None:
    row = factories.subscription()
    assert bob.get(list_of("subscription")).status_code == 200
    run(bob, "subscription", "pause", row.pk)
    row.refresh_from_db()
    assert row.state == "active"
