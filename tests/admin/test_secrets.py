from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.core.signals import got_request_exception
from django.test import Client, override_settings
from django.views.debug import ExceptionReporter

from tests import factories
from tests.admin.pages import list_of, page_of, run, told
from tests.support.certificates import Authority
from timers.actions.signing import new_signing_secret
from timers.admin import secrets as page_of_secrets
from timers.control.secrets import create_secret, delete_secret
from timers.engine.secret_values import SecretValue, read_secrets
from timers.models import AuditEntry, Secret
from timers.security.encryption import new_key
from timers.security.scopes import PERMISSIONS

ADD = "/admin/timers/secret/add/"
VALUE = "hunter2-of-ours"
USES_TOKEN = {"kind": "http", "url": "https://api.example.org/", "auth": {"kind": "bearer", "secret": "token"}}


@pytest.fixture(autouse=True)
def a_key() -> Iterator[None]:
    with override_settings(TIMERS={"ENCRYPTION_KEYS": new_key(date(2026, 1, 1))}):
        yield


def sent(**fields: Any) -> dict[str, Any]:
    return {"name": "token", "kind": "text", "description": "", "groups": "", "hosts": "", "new_value": "", **fields}


def a_secret(name: str = "token", value: str | None = VALUE, **fields: Any) -> Secret:
    create_secret(name, value, **fields)
    return Secret.objects.get(name=name)


def a_signing_key() -> tuple[Secret, str]:
    text = create_secret("key", kind="signing")
    assert text is not None
    return Secret.objects.get(name="key"), text


def kept(name: str = "token") -> SecretValue:
    found = read_secrets([name])[name]
    assert isinstance(found, SecretValue)
    return found


def made_on(page: Any) -> list[str]:
    """The signing keys on a page."""
    return re.findall(r'value="(whsec_[^"]+)"', page.content.decode())


def errors(page: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = page.context["adminform"].form.errors
    return found


def staff(name: str, *permissions: str) -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="timers", codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def test_a_secret_is_kept_with_its_bounds_and_by_the_name_of_who_did_it(alice: Client) -> None:
    where = {"groups": "billing\r\nhouse, garden\r\n", "hosts": "api.example.org\r\n*.example.net"}
    page = alice.post(ADD, sent(description="of the shop", new_value=VALUE, **where))

    assert page.status_code == 302
    row = Secret.objects.get()
    assert (row.name, row.kind, row.description) == ("token", "text", "of the shop")
    assert row.groups == ["billing", "house, garden"]
    assert row.hosts == ["api.example.org", "*.example.net"]
    assert (row.created_by, row.updated_by) == ("alice", "alice")
    assert kept().value == VALUE
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.actor, entry.subject_name) == ("secret.create", "alice", "token")


def test_a_value_is_in_no_page_log_message_session_or_record(alice: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    other = "hunter3-of-ours"
    pages = [alice.post(ADD, sent(new_value=VALUE), follow=True)]
    address = page_of("secret", Secret.objects.get().pk)
    pages += [alice.get(address), alice.post(address, sent(new_value=other), follow=True)]
    pages += [alice.get(list_of("secret")), alice.get(f"{address[: -len('change/')]}history/")]

    told_anywhere = caplog.text + str(alice.cookies)
    told_anywhere += "".join(str(session.get_decoded()) for session in Session.objects.all())
    told_anywhere += "".join(str(vars(row)) for model in (LogEntry, AuditEntry) for row in model.objects.all())
    told_anywhere += "".join(page.content.decode() for page in pages)
    assert kept().value == other
    assert "token" in told_anywhere
    sealed = bytes(Secret.objects.get().value)
    assert not [text for text in (VALUE, other, str(sealed), sealed.hex()) if text in told_anywhere]


@pytest.mark.parametrize("wrong", [{"name": ""}, {"hosts": "API.example.org"}, {"kind": "signing"}])
def test_a_value_is_not_shown_again_where_something_must_be_corrected(alice: Client, wrong: dict[str, str]) -> None:
    page = alice.post(ADD, sent(new_value=VALUE, **wrong))
    assert errors(page)["new_value"]  # it says to give it once more, or what is wrong with it
    assert VALUE not in page.content.decode()
    assert not Secret.objects.exists()


def test_an_error_report_tells_no_value(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **fields: Any) -> None:
        raise RuntimeError("in the midst of it")

    def report(request: Any, **about: Any) -> None:
        reporter = ExceptionReporter(request, *sys.exc_info())
        reports.extend([reporter.get_traceback_text(), reporter.get_traceback_html()])

    reports: list[str] = []
    monkeypatch.setattr(page_of_secrets, "create_secret", fail)
    alice.raise_request_exception = False
    got_request_exception.connect(report)
    try:
        assert alice.post(ADD, sent(new_value=VALUE)).status_code == 500
    finally:
        got_request_exception.disconnect(report)
    assert ["in the midst of it" in each for each in reports] == [True, True]
    assert not [each for each in reports if VALUE in each]


def test_a_value_is_taken_as_it_was_given(alice: Client) -> None:
    page = alice.post(ADD, sent(new_value=f" {VALUE}"))
    assert "begin or end with a space" in errors(page)["new_value"][0]

    pem = Authority().pem
    as_browsers_send_it = pem.replace("\n", "\r\n")
    alice.post(ADD, sent(name="roots", kind="certificates", new_value=as_browsers_send_it))
    assert kept("roots").value == pem


@pytest.mark.parametrize("kind", ["text", "certificates"])
def test_only_a_signing_key_is_made(alice: Client, kind: str) -> None:
    assert "is missing" in errors(alice.post(ADD, sent(kind=kind)))["new_value"][0]
    assert not Secret.objects.exists()


def test_a_signing_key_that_is_made_is_on_this_one_page_and_nowhere_else(
    alice: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    page = alice.post(ADD, sent(name="key", kind="signing"))

    (text,) = made_on(page)
    assert kept("key").value == text
    assert "no-store" in page.headers["Cache-Control"]
    others = [alice.get(address) for address in (list_of("secret"), page_of("secret", Secret.objects.get().pk))]
    told_anywhere = caplog.text + "".join(other.content.decode() for other in others)
    told_anywhere += "".join(str(session.get_decoded()) for session in Session.objects.all())
    told_anywhere += "".join(str(vars(row)) for model in (LogEntry, AuditEntry) for row in model.objects.all())
    assert text not in told_anywhere


def test_a_signing_key_of_ones_own_is_not_shown(alice: Client) -> None:
    own = new_signing_secret()
    page = alice.post(ADD, sent(name="key", kind="signing", new_value=own), follow=True)
    assert kept("key").value == own
    assert own not in page.content.decode()


def test_bounds_and_description_are_changed_and_the_value_stays(alice: Client) -> None:
    row = a_secret(groups=["a, b"], hosts=["api.example.org"])
    address = page_of("secret", row.pk)
    assert alice.post(address, sent(description="new", groups="a, b", hosts="")).status_code == 302

    row.refresh_from_db()
    assert (row.description, row.groups, row.hosts, row.version) == ("new", ["a, b"], [], 2)
    assert kept().value == VALUE
    entry = AuditEntry.objects.latest("id")
    assert (entry.verb, entry.actor, set(entry.after or {})) == ("secret.limit", "alice", {"description", "hosts"})
    alice.post(address, sent(description="new", groups="a, b"))
    row.refresh_from_db()
    assert row.version == 2


def test_name_and_kind_stay(alice: Client) -> None:
    row = a_secret()
    alice.post(page_of("secret", row.pk), sent(name="other", kind="certificates", description="new"))
    row.refresh_from_db()
    assert (row.name, row.kind, row.description) == ("token", "text", "new")


def test_a_value_is_replaced_together_with_its_bounds(alice: Client) -> None:
    row = a_secret()
    page = alice.post(page_of("secret", row.pk), sent(new_value="hunter3", hosts="api.example.org"), follow=True)
    assert "was changed successfully" in told(page)
    assert (kept().value, kept().hosts, kept().previous) == ("hunter3", ("api.example.org",), None)
    entry = AuditEntry.objects.latest("id")
    assert (entry.verb, entry.actor) == ("secret.replace", "alice")


def test_a_signing_key_is_replaced_by_one_that_is_made_and_both_sign_for_so_long(alice: Client) -> None:
    row, old = a_signing_key()
    address = page_of("secret", row.pk)
    assert "Overlap in hours" in alice.get(address).content.decode()
    page = alice.post(address, sent(make="on", hours="2"))

    (new,) = made_on(page)
    assert (kept("key").value, kept("key").previous) == (new, old)
    assert "no-store" in page.headers["Cache-Control"]
    row.refresh_from_db()
    assert row.previous_until == row.updated_at + timedelta(hours=2)
    assert "signs until" in alice.get(list_of("secret")).content.decode()
    assert not made_on(alice.get(address))


def test_a_key_is_either_made_or_given_and_the_overlap_has_bounds(alice: Client) -> None:
    row, old = a_signing_key()
    address = page_of("secret", row.pk)
    assert "make" in errors(alice.post(address, sent(make="on", new_value=new_signing_secret(), hours="2")))
    for hours in ("-1", "1e300", "nan"):
        assert "hours" in errors(alice.post(address, sent(make="on", hours=hours)))
    assert kept("key").value == old

    own = new_signing_secret()
    assert not made_on(alice.post(address, sent(new_value=own, hours="0"), follow=True))
    assert (kept("key").value, kept("key").previous) == (own, None)


def test_what_has_no_overlap_is_not_asked_for_one(alice: Client) -> None:
    page = alice.get(page_of("secret", a_secret().pk)).content.decode()
    assert "Overlap in hours" not in page
    assert "Make a signing key" not in page


def test_secrets_are_found_by_the_beginning_of_the_name_and_by_kind(alice: Client) -> None:
    a_secret("billing-token", groups=["a", "b", "c", "d"], description="x" * 200)
    a_secret("token-of-billing")
    a_signing_key()
    for query, names in (
        ({}, ["billing-token", "key", "token-of-billing"]),
        ({"q": "billing"}, ["billing-token"]),
        ({"kind__exact": "signing"}, ["key"]),
    ):
        page = alice.get(list_of("secret", **query))
        assert [row.name for row in page.context["cl"].result_list] == names
    page = alice.get(list_of("secret")).content.decode()
    assert "a, b, c, …" in page
    assert "x" * 80 not in page


def test_no_page_reads_the_encrypted_value(alice: Client) -> None:
    row = a_secret()
    for address in (list_of("secret"), page_of("secret", row.pk)):
        page = alice.get(address)
        listed = page.context["cl"].result_list if "cl" in page.context else [page.context["original"]]
        assert [each.get_deferred_fields() for each in listed] == [{"value", "previous_value"}]


def test_the_page_tells_who_uses_a_secret(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    address = page_of("secret", a_secret().pk)
    assert "no action" in alice.get(address).content.decode()
    group = factories.group("billing", action=USES_TOKEN)
    for number in range(3):
        factories.timer(f"invoice-{number}", in_group=group, action=USES_TOKEN)
    assert "group billing, timer billing/invoice-0, timer billing/invoice-1, …" in alice.get(address).content.decode()

    monkeypatch.setattr(page_of_secrets, "_LOOK_FOR_USERS_MS", 1)
    monkeypatch.setattr("timers.control.secrets._USERS", "SELECT pg_sleep(60), %(name)s")
    page = alice.get(address)
    assert (page.status_code, "too many timers to look through" in page.content.decode()) == (200, True)


def test_a_secret_in_use_is_not_deleted_and_says_who_uses_it(alice: Client) -> None:
    row, spare = a_secret(), a_secret("spare")
    factories.group("billing", action=USES_TOKEN)

    asked = run(alice, "secret", "delete_selected", row.pk, spare.pk)
    assert "Delete for good" in asked.content.decode()
    assert Secret.objects.count() == 2
    page = run(alice, "secret", "delete_selected", row.pk, spare.pk, answered="1")
    assert "Deleted: 1 secret." in told(page)
    assert "the secret 'token' is in use: group billing" in told(page)
    assert [each.name for each in Secret.objects.all()] == ["token"]

    address = f"/admin/timers/secret/{row.pk}/delete/"
    page = alice.post(address, {"post": "yes"}, follow=True)
    assert "the secret 'token' is in use: group billing" in told(page)
    assert Secret.objects.exists()
    assert not LogEntry.objects.filter(object_repr="token").exists()


def test_a_secret_that_nothing_uses_is_deleted_on_its_page(alice: Client) -> None:
    row = a_secret()
    address = f"/admin/timers/secret/{row.pk}/delete/"
    assert alice.get(address).status_code == 200
    assert alice.post(address, {"post": "yes"}).status_code == 302
    assert not Secret.objects.exists()
    entry = AuditEntry.objects.latest("id")
    assert (entry.verb, entry.actor) == ("secret.delete", "alice")


def test_a_secret_that_somebody_else_has_deleted_breaks_no_page(alice: Client) -> None:
    row = a_secret()
    delete_secret("token")
    page = alice.post(page_of("secret", row.pk), sent(new_value=VALUE), follow=True)
    assert "Perhaps it was deleted" in told(page)


def test_without_a_key_to_encrypt_with_the_form_says_so_and_what_to_do(alice: Client) -> None:
    row = a_secret()
    with override_settings(TIMERS={"ENCRYPTION_KEYS": ""}):
        for address in (ADD, page_of("secret", row.pk)):
            assert "rotatesecrets --new-key" in told(alice.get(address))
            page = alice.post(address, sent(name="other", new_value=VALUE))
            assert "set it as TIMERS_ENCRYPTION_KEYS" in str(errors(page)["__all__"])
            assert VALUE not in page.content.decode()
        changed = alice.post(page_of("secret", row.pk), sent(description="new"), follow=True)
        assert "was changed successfully" in told(changed)
    assert [each.description for each in Secret.objects.all()] == ["new"]
    assert not told(alice.get(ADD))


def test_who_may_have_the_scope_admin_may_do_the_same_here(db: None) -> None:
    keeper = staff("kim", *(name.partition(".")[2] for name in PERMISSIONS["admin"]))
    assert keeper.get(list_of("secret")).status_code == 200
    keeper.post(ADD, sent(new_value="old"))
    row = Secret.objects.get()
    keeper.post(page_of("secret", row.pk), sent(new_value=VALUE))
    assert kept().value == VALUE
    keeper.post(f"/admin/timers/secret/{row.pk}/delete/", {"post": "yes"})
    assert not Secret.objects.exists()


def test_each_permission_allows_its_own_and_strangers_see_nothing(bob: Client, charlie: Client) -> None:
    row = a_secret()
    address, delete = page_of("secret", row.pk), f"/admin/timers/secret/{row.pk}/delete/"
    looked = bob.get(address)
    assert (looked.status_code, "new_value" in looked.content.decode()) == (200, False)
    assert bob.get(list_of("secret")).status_code == 200
    for post in ((address, sent(new_value="x")), (ADD, sent(name="x", new_value="x")), (delete, {"post": "yes"})):
        assert bob.post(*post).status_code == 403
    run(bob, "secret", "delete_selected", row.pk, answered="1")
    assert kept().value == VALUE
    assert [charlie.get(path).status_code for path in (list_of("secret"), address, ADD, delete)] == [403] * 4

    changer = staff("changer", "view_secret", "change_secret")
    assert changer.post(address, sent(new_value="x")).status_code == 302
    assert changer.post(delete, {"post": "yes"}).status_code == 403
    assert staff("adder", "view_secret", "add_secret").post(ADD, sent(name="x", new_value="x")).status_code == 302
    assert staff("deleter", "view_secret", "delete_secret").post(delete, {"post": "yes"}).status_code == 302
    assert [each.name for each in Secret.objects.all()] == ["x"]
