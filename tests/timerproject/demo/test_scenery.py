"""The demo, driven in virtual time: what it promises to show is what the ledger shows."""

from __future__ import annotations

import random
from io import StringIO

import pytest
from django.core.management import call_command

from tests.support.ledger_rows import finals_of, rows_of, words_of
from timerproject.demo import scenery
from timerproject.demo.timer_handlers import vendors
from timers.models import Attempt, Timer, TimerGroup, Waiting
from timers.scheduling import get_timer, schedule_once
from timers.testing import Stepper, VirtualTime

pytestmark = pytest.mark.django_db

LAYLINES_KEYS = ["Group", "Name", "NumberOfTry", "FireTime", "ScheduledFireTime", "Payload"]


@pytest.fixture
def node() -> Stepper:
    """A node for the demo, its clock standing still until the test moves it."""
    return Stepper(VirtualTime(), "node-a")


def printed(*words: str) -> str:
    out = StringIO()
    call_command("timerdemo", *words, stdout=out)
    return out.getvalue()


def test_the_vendor_timer_processes_a_vendor_every_five_seconds_and_names_its_node(node: Stepper) -> None:
    scenery.make()
    node.play(20, every=1)
    runs = finals_of(get_timer("vendors", "process-a-vendor"))
    assert [run.outcome for run in runs] == ["succeeded"] * 4
    names = {vendor["name"] for vendor in vendors()}
    assert all(run.result["vendor"] in names and run.result["node"] == "node-a" for run in runs)


def test_the_held_message_is_discarded_twice_and_committed_at_the_third_try(node: Stepper) -> None:
    scenery.make()
    node.play(12, every=1)
    timer = get_timer("MyTimerGroup", scenery.MESSAGE_UUID)
    assert [(row.attempt, row.outcome) for row in rows_of(timer)] == [
        (1, "discarded"), (2, "discarded"), (3, "succeeded"),
    ]  # fmt: skip
    assert timer.state == Timer.State.FINISHED
    envelope = finals_of(timer)[0].result
    assert list(envelope)[:6] == LAYLINES_KEYS
    assert envelope["NumberOfTry"] == 3
    assert envelope["Payload"]["MY_SOURCE"]["MY_RECORD_UUID"] == timer.name


def test_what_always_fails_is_parked_with_its_payload(node: Stepper) -> None:
    scenery.make()
    node.play(20, every=1)
    timer = get_timer("troubles", "always-fails")
    assert words_of(timer) == ["error"] * 4
    parked = Waiting.objects.get(timer=timer)
    assert parked.state == Waiting.State.FAILED
    assert "2025-0117" in parked.error_title


def test_the_one_shot_speaks_after_half_a_minute_and_the_report_every_minute(node: Stepper) -> None:
    scenery.make()
    node.play(61, every=1)
    (reminder,) = finals_of(get_timer("reminders", "in-30-seconds"))
    assert reminder.scheduled_for == node.time.now.replace(minute=0, second=30)
    *_, report = finals_of(get_timer("reports", "every-minute"))
    assert report.result["for"] == "2027-03-01 13:01 CET"
    assert report.result["vendors"] == len(vendors()) == 50


def test_what_is_flaky_gets_through_by_its_retries(node: Stepper, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter([0.1, 0.2])
    monkeypatch.setattr(random, "random", lambda: next(draws, 0.9))
    scenery.make()
    node.play(16, every=1)
    assert words_of(get_timer("troubles", "flaky"))[:3] == ["error", "error", "succeeded"]


def test_making_the_demo_twice_changes_nothing() -> None:
    printed()
    before = list(Timer.objects.order_by("id").values_list("id", "version"))
    text = printed()
    assert list(Timer.objects.order_by("id").values_list("id", "version")) == before
    assert text.count("kept ") == len(before) == 8


def test_all_timers_of_the_demo_have_its_tag() -> None:
    scenery.make()
    assert all(timer.tags == [scenery.TAG] for timer in Timer.objects.all())


def test_clearing_takes_the_demo_away_and_leaves_its_history(node: Stepper) -> None:
    scenery.make()
    node.play(20, every=1)
    history = Attempt.objects.count()
    assert "Deleted" in printed("--clear")
    assert not Timer.objects.exists()
    assert not Waiting.objects.exists()
    assert Attempt.objects.count() > history  # what waited has its final row: cancelled
    assert printed("--clear") == "There is nothing of the demo here.\n"


def test_clearing_spares_what_others_put_into_a_group_of_the_demo() -> None:
    scenery.make()
    schedule_once("reminders", "mine", after=3600)
    text = printed("--clear")
    assert "Group reminders has timers that are not the demo's." in text
    assert get_timer("reminders", "mine").state == Timer.State.ACTIVE
    assert get_timer("reminders", "in-30-seconds").state == Timer.State.CANCELLED
    assert [group.name for group in TimerGroup.objects.all()] == ["reminders"]


def test_clearing_keeps_a_group_whose_executions_are_claimed(node: Stepper) -> None:
    scenery.make()
    node.time.advance(5)
    node.claim()
    node.run()
    text = printed("--clear")
    assert "Group vendors was kept" in text
    assert get_timer("vendors", "process-a-vendor").state == Timer.State.CANCELLED
