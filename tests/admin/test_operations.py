"""Failures by fault, and operations on many of them, in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests import factories
from tests.admin.pages import list_of, page_of, run, told
from timers.control.operations import start_operation
from timers.engine.operations import carry_out
from timers.models import BulkOperation, Waiting

FAILURES = reverse("admin:timers_waiting_failures")
ASKED = reverse("admin:timers_bulkoperation_add")
FAULT = "f" * 32


def fail(number: int = 3, **fields: Any) -> Waiting:
    """So many failed executions of one fault; the newest of them."""
    timer = factories.timer()
    rows = [
        factories.waiting(timer, ago=100 - step, **{"error_fingerprint": FAULT, **fields}) for step in range(number)
    ]
    return rows[-1]


def ask(client: Client, **answers: Any) -> Any:
    return client.post(ASKED, {"verb": "retry", **answers}, follow=True)


def test_failed_executions_are_told_by_fault_with_what_can_be_done_to_all(alice: Client) -> None:
    newest = fail()
    fail(1, error_fingerprint=None, error_title="", reason="discarded <b>")

    page = alice.get(FAILURES).text

    assert "ValueError: no such vendor" in page
    assert page_of("waiting", newest.pk) in page
    for verb in ("retry", "dismiss"):
        assert f"{ASKED}?verb={verb}&amp;fingerprint={FAULT}" in page
    assert "discarded &lt;b&gt;" in page
    assert FAILURES in alice.get(list_of("waiting")).text


def test_without_failures_the_page_says_so(alice: Client) -> None:
    assert "No execution has failed" in alice.get(FAILURES).text


def test_the_form_is_filled_in_and_what_it_asks_for_is_begun(alice: Client) -> None:
    fail()

    form = alice.get(f"{ASKED}?verb=dismiss&fingerprint={FAULT}").context["adminform"].form
    assert (form["verb"].value(), form["fingerprint"].value()) == ("dismiss", FAULT)
    answer = ask(alice, verb="dismiss", fingerprint=FAULT, pace="5", reason="rehearsal")

    operation = BulkOperation.objects.get()
    assert "dismiss of 3 (running)" in told(answer)
    assert (operation.verb, operation.total, operation.pace, operation.created_by, operation.reason) == (
        "dismiss", 3, 5.0, "alice", "rehearsal",
    )  # fmt: skip
    assert LogEntry.objects.get().object_id == str(operation.pk)


def test_everything_must_be_meant(alice: Client) -> None:
    fail()

    assert "has no condition" in ask(alice).text
    assert not BulkOperation.objects.exists()
    ask(alice, everything="on")
    assert BulkOperation.objects.get().filter == {"all": True}


@pytest.mark.parametrize(
    ("answers", "field", "words"),
    [
        ({"group": "nowhere"}, "group", "there is no group"),
        ({"timer": "x", "pace": "0"}, "pace", "must be from 0.001 to 10,000"),
        ({"failed_before": "yesterday"}, "failed_before", ""),
        ({"timer": "x", "everything": "on"}, "everything", "means every failed execution"),
    ],
)
def test_what_is_refused_is_told_on_its_field(alice: Client, answers: dict[str, str], field: str, words: str) -> None:
    errors = ask(alice, **answers).context["adminform"].form.errors

    assert list(errors) == [field]
    assert words in str(errors[field])
    assert not BulkOperation.objects.exists()


def test_progress_is_told(alice: Client) -> None:
    fail()
    fail(1, attempt=1000)
    operation = start_operation("retry", {"fingerprint": FAULT}, actor="ada")
    start_operation("retry", {"timer": "nobody"})
    while carry_out() == 0.0:
        pass

    page = alice.get(list_of("bulkoperation")).text
    assert "3 of 4 executions, 1 refused" in page
    assert f"fingerprint {FAULT[:19]}…" in page
    assert "0 of 0 executions" in page
    page = alice.get(page_of("bulkoperation", operation.pk)).text
    assert "had 1000 tries, and no more than 1000 are kept" in page
    assert f"fingerprint {FAULT}<" in page


def test_an_operation_is_paused_resumed_and_cancelled_by_name_of_who_did_it(alice: Client) -> None:
    fail()
    operation = start_operation("retry", {"all": True})

    for action, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        run(alice, "bulkoperation", action, operation.pk)
        operation.refresh_from_db()
        assert (operation.state, operation.state_reason) == (
            state,
            f"{state if state != 'running' else 'resumed'} by alice",
        )
    assert "is cancelled already" in told(run(alice, "bulkoperation", "cancel", operation.pk))


def test_who_may_only_look_sees_all_and_starts_and_stops_nothing(bob: Client) -> None:
    fail()
    operation = start_operation("retry", {"all": True})

    assert "Retry …" not in bob.get(FAILURES).text
    assert bob.get(list_of("bulkoperation")).status_code == 200
    assert bob.get(page_of("bulkoperation", operation.pk)).status_code == 200
    assert bob.get(ASKED).status_code == 403
    assert ask(bob, everything="on").status_code == 403
    run(bob, "bulkoperation", "cancel", operation.pk)
    operation.refresh_from_db()
    assert (operation.state, BulkOperation.objects.count()) == ("running", 1)


def test_a_stranger_sees_nothing(charlie: Client) -> None:
    assert charlie.get(FAILURES).status_code == 403
    assert charlie.get(list_of("bulkoperation")).status_code == 403
    assert charlie.get(ASKED).status_code == 403


def test_a_list_asks_as_often_for_many_as_for_few(alice: Client) -> None:
    asked = []
    for _ in range(2):
        for _ in range(5):
            start_operation("retry", {"timer": "nobody"})
            fail(1, error_fingerprint=factories.group().name.ljust(32, "0").replace("-", "0"))
        with CaptureQueriesContext(connection) as statements:
            alice.get(list_of("bulkoperation"))
            alice.get(FAILURES)
        asked.append(len(statements))
    assert asked[0] == asked[1]
