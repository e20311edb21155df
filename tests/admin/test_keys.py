from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.test import Client

from tests import factories
from tests.admin.pages import list_of, page_of, run, told
from timers import clock
from timers.control.keys import create_key
from timers.models import ApplicationKey
from timers.security.api_keys.cache import KnownKeys
from timers.security.api_keys.format import read_key
from timers.security.authentication import KeyRefused, caller_of_key

ADD = "/admin/timers/applicationkey/add/"
HERE = "192.0.2.7"


def sent(**fields: Any) -> dict[str, Any]:
    return {
        "name": "sender", "user": "alice", "scopes": ["read", "schedule"], "all_groups": "on", "allowed_addresses": "",
        "rate": "", "expires_at_0": "", "expires_at_1": "", **fields,
    }  # fmt: skip


def a_key(name: str = "sender", user: str = "alice", **fields: Any) -> tuple[ApplicationKey, str]:
    return create_key(name, **{"user": user, "scopes": ["read"], "all_groups": True, **fields})


def keys_on(page: Any) -> list[str]:
    """The texts of keys on a page."""
    return [text for text in re.findall(r'value="(tk_[^"]+)"', page.content.decode()) if read_key(text)]


def holds(text: str) -> bool:
    try:
        caller_of_key(text, HERE, known=KnownKeys())
    except KeyRefused:
        return False
    return True


def errors(page: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = page.context["adminform"].form.errors
    return found


@pytest.fixture
def keeper(db: None) -> Client:
    """Staff who may keep keys, and are no superuser."""
    user = User.objects.create_user("kim", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="timers"))
    client = Client()
    client.force_login(user)
    return client


def test_a_key_is_made_and_shown_on_this_one_page_and_nowhere_else(
    alice: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    group = factories.group("billing")
    page = alice.post(ADD, sent(all_groups="", groups=[group.pk], allowed_addresses="192.0.2.0/24", rate="5"))

    (text,) = keys_on(page)
    caller = caller_of_key(text, HERE)
    assert (caller.scopes, caller.groups, caller.rate) == ({"read", "schedule"}, {"billing"}, 5.0)
    assert "no-store" in page.headers["Cache-Control"]
    row = ApplicationKey.objects.get()
    assert row.created_by == "alice"

    key = read_key(text)
    assert key is not None
    others = [alice.get(list_of("applicationkey")), alice.get(page_of("applicationkey", row.pk)), alice.get("/admin/")]
    kept = "".join(str(session.get_decoded()) for session in Session.objects.all()) + str(alice.cookies)
    kept += caplog.text + "".join(str(vars(entry)) for entry in LogEntry.objects.all())
    kept += "".join(page.content.decode() for page in others)
    assert row.public_id in kept
    assert not [secret for secret in (key.secret, row.digest) if secret in kept]


def test_what_control_refuses_comes_back_on_its_field_and_no_key_is_made(alice: Client) -> None:
    page = alice.post(ADD, sent(user="alcie", allowed_addresses="10.1.*.*", all_groups=""))
    assert "did you mean alice?" in errors(page)["user"][0]
    assert "did you mean 10.1.0.0/16?" in errors(page)["allowed_addresses"][0]
    assert "or say all_groups" in errors(page)["groups"][0]
    assert not ApplicationKey.objects.exists()
    assert not keys_on(page)


@pytest.mark.parametrize("forged", ["abc", "-1", "1e3", "²", "9" * 40])
def test_a_group_that_cannot_be_one_is_refused_on_its_field(alice: Client, forged: str) -> None:
    group = factories.group()
    page = alice.post(ADD, sent(all_groups="", groups=[str(group.pk), forged]))
    assert page.status_code == 200
    assert "groups" in page.context["adminform"].form.errors
    assert not ApplicationKey.objects.exists()
    assert alice.get(f"{ADD}?groups={forged}").status_code == 200


def test_a_key_for_a_user_who_may_not_says_so(alice: Client) -> None:
    User.objects.create_user("bot")
    page = alice.post(ADD, sent(user="bot"))
    assert "bot may not schedule yet, and so neither may the key" in page.content.decode()


def test_the_list_tells_states_and_filters_by_them(alice: Client) -> None:
    soon = clock.now() + timedelta(days=3)
    a_key("forever")
    a_key("ending", expires_at=soon)
    a_key("over", expires_at=soon)
    a_key("ended")
    ApplicationKey.objects.filter(name="over").update(expires_at=clock.now() - timedelta(days=1))
    ApplicationKey.objects.filter(name="ended").update(revoked_at=clock.now())
    for name, state in (("forever", "valid"), ("ending", "expiring"), ("over", "expired"), ("ended", "revoked")):
        page = alice.get(list_of("applicationkey", state=state))
        assert [row.name for row in page.context["cl"].result_list] == [name]
        assert f"</span> {state}</span>" in page.content.decode()
    assert alice.get(list_of("applicationkey", state="nonsense")).context["cl"].result_count == 4


def test_the_page_of_a_key_tells_what_it_may_and_shows_no_hash(alice: Client) -> None:
    User.objects.create_user("bot")
    row, text = a_key(user="bot")
    caller_of_key(text, HERE)
    page = alice.get(page_of("applicationkey", row.pk)).content.decode()
    assert row.beginning in page
    assert "bot, who may not read, and so neither may the key" in page
    assert HERE in page
    assert row.digest not in page
    User.objects.filter(username="bot").update(is_active=False)
    assert "who is not active: the key is refused" in alice.get(page_of("applicationkey", row.pk)).content.decode()


def test_a_key_is_changed_without_another_secret(alice: Client) -> None:
    row, text = a_key()
    billing = factories.group("billing")
    address = page_of("applicationkey", row.pk)
    refused = alice.post(address, sent(groups=[billing.pk]))
    assert "must not be named where all_groups is said" in errors(refused)["groups"][0]
    assert alice.post(address, sent(all_groups="", groups=[billing.pk], scopes=["consume"])).status_code == 302
    caller = caller_of_key(text, HERE)
    assert (caller.scopes, caller.groups) == ({"consume"}, {"billing"})


def test_rotating_asks_for_the_overlap_and_shows_the_new_keys_once(alice: Client) -> None:
    row, old = a_key()
    other, _ = a_key("other")
    asked = run(alice, "applicationkey", "rotate", row.pk, other.pk)
    assert "How long the present secret remains valid" in asked.content.decode()
    assert not keys_on(asked)
    refused = run(alice, "applicationkey", "rotate", row.pk, answered="1", hours="-1")
    assert not keys_on(refused)

    page = run(alice, "applicationkey", "rotate", row.pk, other.pk, answered="1", hours="2")
    new = [text for text in keys_on(page) if row.public_id in text]
    assert len(keys_on(page)) == 2
    assert "no-store" in page.headers["Cache-Control"]
    assert holds(old)
    assert holds(new[0])
    row.refresh_from_db()
    assert row.previous_until == row.updated_at + timedelta(hours=2)


def test_revoking_is_confirmed_first(alice: Client) -> None:
    row, text = a_key()
    assert "Revoke for good" in run(alice, "applicationkey", "revoke", row.pk).content.decode()
    assert holds(text)
    page = run(alice, "applicationkey", "revoke", row.pk, answered="1")
    assert "Revoked: 1 application key." in told(page)
    assert not holds(text)
    again = run(alice, "applicationkey", "rotate", row.pk, answered="1", hours="0")
    assert "is revoked for good" in told(again)


def test_only_a_superuser_makes_changes_and_rotates_keys_of_others(alice: Client, keeper: Client) -> None:
    row, text = a_key()
    assert "must be yourself" in errors(keeper.post(ADD, sent(name="mine", user="alice")))["user"][0]
    assert ApplicationKey.objects.count() == 1
    changed = keeper.post(page_of("applicationkey", row.pk), sent(scopes=["admin"]))
    assert "must be yourself" in str(errors(changed))
    page = run(keeper, "applicationkey", "rotate", row.pk, answered="1", hours="1")
    assert "must be yourself" in told(page)
    assert not keys_on(page)
    row.refresh_from_db()
    assert (row.scopes, row.version) == (["read"], 1)

    (own,) = keys_on(keeper.post(ADD, sent(name="mine", user="kim")))
    assert holds(own)
    run(keeper, "applicationkey", "revoke", row.pk, answered="1")
    assert not holds(text)


def test_nobody_deletes_keys_and_strangers_see_none(alice: Client, bob: Client, charlie: Client) -> None:
    row, _ = a_key()
    assert alice.get(f"/admin/timers/applicationkey/{row.pk}/delete/").status_code == 403
    assert "delete_selected" not in alice.get(list_of("applicationkey")).content.decode()
    assert bob.get(page_of("applicationkey", row.pk)).status_code == 200
    assert bob.get(ADD).status_code == 403
    run(bob, "applicationkey", "revoke", row.pk, answered="1")
    row.refresh_from_db()
    assert row.revoked_at is None
    assert charlie.get(list_of("applicationkey")).status_code == 403
