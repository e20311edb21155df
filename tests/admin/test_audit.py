"""The audit trail in the admin: read, and nothing else."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from tests import factories
from tests.admin.pages import list_of, page_of, run
from timers.control.groups import update_group
from timers.models import AuditEntry


@pytest.fixture
def entry(db: None) -> AuditEntry:
    factories.group("work")
    update_group("work", description="<b>new</b>", actor="ann of the office")
    return AuditEntry.objects.get()


def test_entries_are_shown_with_what_changed(bob: Client, entry: AuditEntry) -> None:
    page = bob.get(list_of("auditentry")).text
    assert "group.update" in page and "ann of the office" in page and "group work" in page
    page = bob.get(page_of("auditentry", entry.pk)).text
    assert "&lt;b&gt;new&lt;/b&gt;" in page and "<b>new" not in page


def test_entries_are_found_by_who_asked(alice: Client, entry: AuditEntry) -> None:
    assert "group.update" in alice.get(list_of("auditentry", q='"ann of the office"')).text
    assert "group.update" not in alice.get(list_of("auditentry", q="bob")).text


def test_nobody_adds_changes_or_deletes_one(alice: Client, entry: AuditEntry) -> None:
    assert alice.get(reverse("admin:timers_auditentry_add")).status_code == 403
    assert alice.post(page_of("auditentry", entry.pk), {"actor": "nobody"}).status_code == 403
    assert alice.post(reverse("admin:timers_auditentry_delete", args=[entry.pk]), {"post": "yes"}).status_code == 403
    run(alice, "auditentry", "delete_selected", entry.pk, post="yes")
    assert AuditEntry.objects.get() == entry


def test_a_change_in_the_admin_names_who_is_signed_in_and_from_where(alice: Client) -> None:
    group = factories.group("work")
    run(alice, "timergroup", "pause", group.pk)
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.actor, entry.address, entry.key_id) == ("group.pause", "alice", "127.0.0.1", None)
