"""The examples of the pages run, and do what the pages say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.docs import snippets
from timers import actions, clock, schedules
from timers.handlers import handler
from timers.models import Attempt, Timer, Waiting
from timers.scheduling import ensure_group, schedule_fixed_rate, schedule_many, schedule_once
from timers.testing import Stepper, VirtualTime

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def node() -> Iterator[Stepper]:
    """A node; the clock stands still until it is moved on."""
    with snippets.handlers_of_its_own():
        yield Stepper(VirtualTime())


def test_every_example_of_scheduling_does_what_it_says() -> None:
    snippets.run("docs/handlers.md")

    names = snippets.run("docs/scheduling.md")

    assert names["timer"].name == "nightly"
    assert names["planned"].words == "at 02:30 every day, Europe/Berlin"
    assert len(names["planned"].fires) == 3
    assert names["cancelled"].in_flight == []
    assert Timer.objects.get(name="year-end").next_fire_at - clock.now() == timedelta(days=1)
    assert Timer.objects.get(name="nightly").schedule == {"expression": "0 3 * * *"}
    assert str(Waiting.objects.get().id) == names["execution_id"]


@pytest.mark.parametrize(
    ("state", "outcome", "is_failed"),
    [
        ("ready", "succeeded", False),
        ("not ready", "discarded", False),
        ("busy", "error", False),
        ("closed today", "snoozed", False),
        ("unknown receiver", "error", True),
    ],
)
def test_a_handler_ends_as_the_table_says(state: str, outcome: str, is_failed: bool, node: Stepper) -> None:
    snippets.run("docs/handlers.md")
    ensure_group("messages", action={"handler": "orders.deliver"})
    schedule_once("messages", "m", after=0, payload={"state": state})

    node.until_idle()

    assert [row.outcome for row in Attempt.objects.all()] == [outcome]
    assert Waiting.objects.filter(state="failed").exists() == is_failed


def test_a_repeated_execution_has_its_effect_once(node: Stepper) -> None:
    queue_mail = snippets.run("docs/handlers.md")["queue_mail"]
    ensure_group("mails", action={"handler": "mails.queue"})
    schedule_once("mails", "m", after=0, payload={"to": "someone"})

    (outcome,) = node.until_idle()

    class Repeat:
        execution_id, payload = outcome.execution.id, {"to": "someone"}

    assert outcome.result == '"queued"'
    assert queue_mail(Repeat()) == "was queued already"


def test_a_held_message_is_shown_again_at_each_tick_until_it_is_committed(node: Stepper) -> None:
    ensure_group("held", action={"handler": "messages.deliver"}, retry={"max_retries": 5})
    schedule_fixed_rate("held", "m", period=60, payload={"order": 81734}, until_committed=True)
    tries = []

    for _ in range(3):
        node.time.advance(60)
        tries += [(outcome.execution.attempt, outcome.word) for outcome in node.until_idle()]

    assert tries == [(1, "discarded"), (2, "discarded"), (3, "succeeded")]
    assert Timer.objects.get(name="m").state == "finished"


def test_overrides_replace_a_policy_whole(node: Stepper) -> None:
    ensure_group("waits", action={"handler": "demo.always_fails"}, retry={"min_backoff": 1, "max_backoff": 1})
    requests = [{"kind": "once", "after": 0, "group": "waits"}] * 2
    schedule_many([{**requests[0], "name": "own", "overrides": {"retry": {"max_retries": 1}}}])
    schedule_many([{**requests[1], "name": "group's"}])

    node.until_idle()

    waits = {row.name: row.available_at - clock.now() for row in Waiting.objects.all()}
    assert waits == {"own": timedelta(seconds=120), "group's": timedelta(seconds=1)}


def test_the_envelope_has_the_keys_that_the_page_shows(node: Stepper) -> None:
    handler("reports.envelope")(lambda fire: list(fire.envelope()))
    ensure_group("shown", action={"handler": "reports.envelope"})
    schedule_once("shown", "m", after=0)

    (outcome,) = node.until_idle()

    (shown,) = re.findall(r"^```json\n(.*?)^```$", snippets.page("docs/concepts.md"), re.MULTILINE | re.DOTALL)
    assert json.loads(outcome.result or "") == list(json.loads(shown))


def test_the_concepts_name_every_kind_of_schedule_and_of_action() -> None:
    rows = {
        word: row
        for row in snippets.page("docs/concepts.md").splitlines()
        for word in re.findall(r"^\| \*\*(\w+)\*\*", row)
    }
    assert re.findall(r"`(\w+)`", rows["schedule"]) == list(schedules.KINDS)
    assert re.findall(r"`(\w+)`, (?:call|\[call|wait|walk)", rows["action"]) == list(actions.KINDS)


def test_every_example_of_policies_does_what_it_says() -> None:
    snippets.run("docs/handlers.md")

    names = snippets.run("docs/policies.md")

    assert names["filled"].executions == 10
    assert list(Waiting.objects.values_list("name", "origin")) == [("invoices", "manual")]
    assert names["skipped"] < names["following"]


def test_consumers_pull_extend_discard_and_commit_as_shown() -> None:
    snippets.run("docs/consumers.md")

    assert [row.outcome for row in Attempt.objects.order_by("-id")] == ["discarded", "succeeded"]
