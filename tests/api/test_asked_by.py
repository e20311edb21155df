"""The audit trail of what comes over HTTP: one entry for each request that changed something, and who asked."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from tests.api.asking import Asking
from timers.models import ApplicationKey, AuditEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("billing")]

ONCE = {"kind": "once", "name": "a", "after": 3600}
TIMERS = "/groups/billing/timers"


def made_after(number: int) -> list[AuditEntry]:
    return list(AuditEntry.objects.order_by("id"))[number:]


def test_an_entry_names_the_key_the_address_and_the_request(api: Asking) -> None:
    before = AuditEntry.objects.count()
    api.address = "192.0.2.7"
    response = api("POST", TIMERS, ONCE, X_Request_Id="r-1")
    assert response.status_code == 201
    (entry,) = made_after(before)
    key = ApplicationKey.objects.get()
    assert (entry.verb, entry.actor, entry.key_id) == ("timer.create", f"key {key.name}", key.pk)
    assert (entry.address, entry.request_id) == ("192.0.2.7", "r-1")


@pytest.mark.parametrize("lines", [False, True])
def test_a_bulk_call_leaves_one_entry_however_it_was_split(api: Asking, lines: bool) -> None:
    before = AuditEntry.objects.count()
    requests = [{**ONCE, "name": f"t-{number:02}", "after": 3600 if number != 7 else -1} for number in range(30)]
    if lines:
        body = b"\n".join(json.dumps(each).encode() for each in requests)
        response = api("POST", f"{TIMERS}/bulk", body, Content_Type="application/x-ndjson")
    else:
        response = api("POST", f"{TIMERS}/bulk", requests)
    assert response.status_code == 200
    (entry,) = made_after(before)
    assert (entry.verb, entry.subject_group) == ("timer.create_many", "billing")
    assert (entry.after["created"], entry.after["replaced"], entry.after["refused"]) == (29, 0, 1)
    assert entry.after["first"][:2] == ["t-00", "t-01"] and len(entry.after["first"]) == 20


def test_what_is_refused_or_only_repeated_leaves_no_entry(api: Asking) -> None:
    before = AuditEntry.objects.count()
    for _ in range(2):
        api.post(TIMERS, ONCE, Idempotency_Key="k1")
    assert api("POST", TIMERS, ONCE).status_code == 409
    assert api("POST", f"{TIMERS}/bulk?atomic=true", [{**ONCE, "name": "b"}, {"kind": "once"}]).status_code == 422
    assert [entry.verb for entry in made_after(before)] == ["timer.create"]


def test_a_request_that_changes_two_things_of_a_secret_leaves_one_entry(api: Asking) -> None:
    assert api("PUT", "/secrets/token", {"value": "s3cret"}).status_code == 201
    before = AuditEntry.objects.count()
    assert api("PUT", "/secrets/token", {"value": "other", "hosts": ["api.example.org"]}).status_code == 200
    (entry,) = made_after(before)
    assert (entry.verb, entry.after["hosts"], entry.after["value"]) == ("secret.replace", ["api.example.org"], "***")


def test_a_person_is_named_as_they_sign_in(superuser: object) -> None:
    client = Client()
    client.force_login(superuser)  # type: ignore[arg-type]
    before = AuditEntry.objects.count()
    assert Asking(client=client)("POST", TIMERS, ONCE).status_code == 201
    (entry,) = made_after(before)
    assert (entry.actor, entry.key_id) == ("root", None)
