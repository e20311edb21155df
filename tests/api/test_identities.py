"""A group that is created under its name later is another one: keys, cursors and kept answers do not reach it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests import factories
from tests.api.asking import Asking, problem
from timers.control.keys import revoke_key
from timers.models import ApplicationKey, KeptAnswer, Timer, TimerGroup
from timers.scheduling import create_group, delete_group, update_group

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("billing")]

TIMERS = "/groups/billing/timers"
ONCE = {"kind": "once", "name": "a", "after": 3600}


def recreated() -> TimerGroup:
    delete_group("billing", force=True)
    return create_group("billing", action={"kind": "python", "handler": "timerbench.noop"})


def test_a_key_for_the_old_group_sees_nothing_of_the_new_one_at_once(new_key: Callable[..., str]) -> None:
    factories.group("other")
    key = Asking(new_key("admin", groups=["billing", "other"]))
    key.post(TIMERS, ONCE)
    group = recreated()
    assert key.get("/me")["groups"] == ["other"]
    for path in ("/groups/billing", TIMERS, f"{TIMERS}/a"):
        problem(key("GET", path), 404, "not_found")
    problem(key("POST", TIMERS, ONCE), 404, "not_found")
    problem(key("POST", "/operations", {"verb": "retry", "filter": {"group": "billing"}}), 422, "invalid")
    assert [each["name"] for each in key.get("/groups")["items"]] == ["other"]
    assert key.get("/audit")["items"] == []
    assert not Timer.objects.filter(group=group).exists()


def test_a_key_is_for_the_new_group_once_it_is_granted(new_key: Callable[..., str]) -> None:
    recreated()
    assert Asking(new_key("schedule", groups=["billing"])).post(TIMERS, ONCE)["name"] == "a"


def test_a_key_for_the_new_group_sees_no_entry_and_no_operation_of_the_old_one(
    api: Asking, new_key: Callable[..., str]
) -> None:
    api.post(TIMERS, ONCE)
    old = Asking(new_key("admin", groups=["billing"]))
    operation = old.post("/operations", {"verb": "retry", "filter": {"group": "billing"}})["id"]
    recreated()
    key = Asking(new_key("admin", groups=["billing"]))
    assert [entry["verb"] for entry in key.get("/audit")["items"]] == ["group.create"]
    assert key.get("/operations")["items"] == []
    problem(key("GET", f"/operations/{operation}"), 404, "not_found")
    problem(key("POST", f"/operations/{operation}/cancel"), 404, "not_found")
    assert [entry["verb"] for entry in api.get("/audit?subject=group:billing")["items"]] == ["group.create"]


def test_a_cursor_of_the_old_groups_list_is_refused_in_the_new_one(api: Asking) -> None:
    for name in ("a", "b", "c"):
        api.post(TIMERS, {**ONCE, "name": name})
    cursor = api.get(f"{TIMERS}?limit=1")["next"]
    assert api.get(f"{TIMERS}?limit=1&cursor={cursor}")["items"][0]["name"] == "b"
    recreated()
    problem(api("GET", f"{TIMERS}?limit=1&cursor={cursor}"), 400, "bad_cursor")


def test_a_request_that_is_repeated_for_the_new_group_is_done(api: Asking) -> None:
    api.post(TIMERS, ONCE, Idempotency_Key="k1")
    group = recreated()
    again = api("POST", TIMERS, ONCE, Idempotency_Key="k1")
    assert (again.status_code, "Idempotency-Replayed" in again.headers) == (201, False)
    assert Timer.objects.get().group_id == group.id
    assert KeptAnswer.objects.get().group == "billing"


def test_a_key_under_the_name_of_a_revoked_one_inherits_neither_its_answers_nor_its_audit_trail(
    api: Asking, new_key: Callable[..., str]
) -> None:
    first = Asking(new_key("schedule"))
    first.post(TIMERS, ONCE, Idempotency_Key="k1")
    row = ApplicationKey.objects.latest("id")
    revoke_key(row.public_id)
    second = Asking(api.post("/keys", {"name": row.name, "scopes": ["schedule"], "all_groups": True})["key"])
    again = second("POST", TIMERS, {**ONCE, "name": "b"}, Idempotency_Key="k1")
    assert (again.status_code, "Idempotency-Replayed" in again.headers) == (201, False)
    said = api.get(f"/audit?subject=key:{row.name}")["items"]
    assert [entry["verb"] for entry in said] == ["key.create"]
    said_by = api.get(f"/audit?actor=key%20{row.name}")["items"]
    assert {entry["key_id"] for entry in said_by} == {ApplicationKey.objects.latest("id").id}
    assert {entry["subject_id"] for entry in said} == {str(ApplicationKey.objects.latest("id").id)}


def test_a_version_of_the_old_group_is_no_condition_for_the_new_one(api: Asking) -> None:
    update_group("billing", description="x")
    before = TimerGroup.objects.get(name="billing")
    after = recreated()
    assert (after.id != before.id, after.version) == (True, 1)
