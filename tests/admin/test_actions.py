from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from tests import factories
from tests.admin.pages import list_of, page_of, run, told
from timers.admin import actions
from timers.models import Attempt, Timer, Waiting


def test_timers_are_paused_and_resumed_by_name_of_who_did_it(alice: Client) -> None:
    timer = factories.timer()

    assert told(run(alice, "timer", "pause", timer.pk)) == "Paused: 1 timer."
    timer.refresh_from_db()
    assert (timer.state, timer.state_changed_by) == ("paused", "alice")

    run(alice, "timer", "resume", timer.pk)
    timer.refresh_from_db()
    assert timer.state == "active"
    assert [entry.get_change_message() for entry in LogEntry.objects.order_by("id")] == ["Paused", "Resumed"]


def test_fire_now_makes_a_manual_run_ready(alice: Client) -> None:
    timer = factories.timer()

    run(alice, "timer", "fire_now", timer.pk)

    row = Waiting.objects.get(timer=timer)
    assert (row.state, row.origin, row.reason) == ("ready", "manual", "run now by alice")


def test_a_cancelled_timer_stays_and_says_what_may_still_run(alice: Client) -> None:
    timer = factories.timer()
    factories.claim(factories.node(), timer, executions=1)

    answer = told(run(alice, "timer", "cancel", timer.pk))

    assert "1 execution already in flight" in answer
    timer.refresh_from_db()
    assert (timer.state, timer.next_fire_at) == ("cancelled", None)


def test_what_is_refused_is_told_and_hinders_no_other(alice: Client) -> None:
    good, cancelled = factories.timer(), factories.timer("gone", state="cancelled", next_fire_at=None)

    answer = told(run(alice, "timer", "pause", good.pk, cancelled.pk))

    assert "Paused: 1 timer." in answer
    assert "Refused: 1." in answer
    assert "gone" in answer
    good.refresh_from_db()
    assert good.state == "paused"


def test_an_action_takes_so_many_rows_and_no_more(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "MOST", 1)
    timers = [factories.timer(), factories.timer()]

    answer = told(run(alice, "timer", "pause", *(timer.pk for timer in timers)))

    assert "Nothing was done" in answer
    assert not Timer.objects.filter(state="paused").exists()


def test_groups_are_paused_and_resumed(alice: Client) -> None:
    group = factories.group()

    run(alice, "timergroup", "pause", group.pk)
    group.refresh_from_db()
    assert group.state == "paused"

    run(alice, "timergroup", "resume", group.pk)
    group.refresh_from_db()
    assert group.state == "active"


def test_a_failed_execution_is_retried_at_once(alice: Client) -> None:
    row = factories.waiting(factories.timer())

    run(alice, "waiting", "retry", row.pk)

    row.refresh_from_db()
    assert (row.state, row.reason) == ("ready", "retried by alice")


def test_a_dismissed_execution_has_failed_for_good(alice: Client) -> None:
    row = factories.waiting(factories.timer())

    asked = run(alice, "waiting", "dismiss", row.pk)
    assert "their payloads are gone" in asked.text
    assert Waiting.objects.exists()
    run(alice, "waiting", "dismiss", row.pk, answered="1", reason="rehearsal")

    assert not Waiting.objects.exists()
    ended = Attempt.objects.get(pk=row.pk)
    assert (ended.outcome, ended.reason) == ("failed", "rehearsal")


@pytest.mark.parametrize("payload", [{"total": 1}, None], ids=["its own", "its timer's"])
def test_a_failed_execution_is_retried_with_a_mended_payload(alice: Client, payload: Any) -> None:
    row = factories.waiting(factories.timer(payload={"total": 1}), payload=payload)

    page = alice.get(page_of("waiting", row.pk))
    assert "Retry with another payload" in page.text
    asked = run(alice, "waiting", "retry_mended", row.pk)
    assert asked.context["form"]["payload"].value() == '{\n  "total": 1\n}'
    assert "This is no JSON" in run(alice, "waiting", "retry_mended", row.pk, answered="1", payload="{").text
    run(alice, "waiting", "retry_mended", row.pk, answered="1", payload='{"total": 2}')

    row.refresh_from_db()
    assert (row.state, row.payload) == ("ready", {"total": 2})


def test_the_page_of_an_execution_offers_what_can_be_done_to_it(alice: Client, bob: Client) -> None:
    failed, ready = factories.waiting(factories.timer()), factories.waiting(factories.timer(), "ready")

    assert 'value="retry"' in alice.get(page_of("waiting", failed.pk)).text
    page = alice.get(page_of("waiting", ready.pk)).text
    assert 'value="cancel"' in page
    assert 'value="retry"' not in page
    assert 'name="action"' not in bob.get(page_of("waiting", failed.pk)).text


def test_a_ready_execution_can_be_cancelled_but_not_dismissed(alice: Client) -> None:
    row = factories.waiting(factories.timer(), "ready")

    assert "Refused" in told(run(alice, "waiting", "dismiss", row.pk, answered="1"))
    run(alice, "waiting", "cancel", row.pk)

    assert Attempt.objects.get(pk=row.pk).outcome == "cancelled"


def test_a_payload_that_cannot_be_read_hinders_no_dismissal(alice: Client) -> None:
    row = factories.waiting(factories.timer())
    factories.spoil(row, "payload")

    run(alice, "waiting", "dismiss", row.pk, answered="1")

    assert Attempt.objects.get(pk=row.pk).outcome == "failed"


@pytest.mark.parametrize("model", ["timer", "timergroup", "waiting"])
def test_who_may_only_look_is_offered_no_action_and_can_run_none(bob: Client, model: str) -> None:
    timer = factories.timer()
    row = factories.waiting(timer)
    key = {"timer": timer.pk, "timergroup": timer.group_id, "waiting": row.pk}[model]

    assert 'name="action"' not in bob.get(list_of(model)).text
    for action in ("pause", "cancel", "retry"):
        run(bob, model, action, key)
    timer.refresh_from_db()
    row.refresh_from_db()
    assert (timer.state, timer.group.state, row.state) == ("active", "active", "failed")


def test_a_pause_that_ends_by_itself_is_asked_for_and_set(alice: Client) -> None:
    timer = factories.timer()

    asked = run(alice, "timer", "pause_until", timer.pk)
    assert "Resumed by itself" in asked.text
    timer.refresh_from_db()
    assert timer.state == "active"

    answers = {"answered": "1", "until_0": "2199-01-01", "until_1": "08:00:00", "reason": "stock-taking"}
    assert told(run(alice, "timer", "pause_until", timer.pk, **answers)) == "Paused: 1 timer."
    timer.refresh_from_db()
    assert (timer.state, timer.state_reason) == ("paused", "stock-taking")
    assert timer.paused_until is not None
    assert f"{timer.paused_until:%Y-%m-%d %H:%M}" == "2199-01-01 08:00"


def test_a_question_that_is_not_answered_is_asked_again(alice: Client) -> None:
    timer = factories.timer()

    asked = run(alice, "timer", "pause_until", timer.pk, answered="1", until_0="", until_1="")

    assert "This field is required." in asked.text
    timer.refresh_from_db()
    assert timer.state == "active"


def test_a_past_stretch_is_backfilled(alice: Client) -> None:
    timer = factories.timer(schedule={"period": 3600, "anchor": "2026-01-01T00:00:00Z"})
    answers = {
        "answered": "1", "overlap": "queue", "per_second": "",
        "start_0": "2026-01-02", "start_1": "00:00:00", "end_0": "2026-01-03", "end_1": "00:00:00",
    }  # fmt: skip

    assert "24 executions" in told(run(alice, "timer", "backfill", timer.pk, **answers))

    assert Waiting.objects.filter(timer=timer, origin="backfill").count() == 24


def test_the_next_fire_is_skipped(alice: Client) -> None:
    timer = factories.timer()

    run(alice, "timer", "skip_next", timer.pk)

    row = Attempt.objects.get(timer_id=timer.pk)
    assert (row.outcome, row.reason, row.scheduled_for) == ("skipped", "skipped by alice", timer.next_fire_at)
