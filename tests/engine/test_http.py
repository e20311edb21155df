"""What calls leave behind: the ledger's exchange, retries as the target asks, a pause when it is gone."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from timers.actions.http import HttpAction
from timers.engine.execution import Execution
from timers.engine.finish import finish
from timers.engine.outcome import Outcome
from timers.handlers import Fire
from timers.models import Attempt, Timer, TimerGroup, Waiting
from timers.scheduling import schedule_once
from timers.testing import Stepper

ACTION = {"kind": "http", "url": "https://api.example.org/hook"}


@pytest.fixture
def timer(group: TimerGroup) -> Timer:
    return factories.timer("hook", in_group=group, due_in=0, action=ACTION)


def test_a_stepper_answers_in_the_targets_place(node: Stepper, timer: Timer) -> None:
    seen: list[tuple[HttpAction, Fire]] = []

    def answer(action: HttpAction, fire: Fire) -> int:
        seen.append((action, fire))
        return 503 if fire.number_of_try == 1 else 204

    node.answer = answer

    assert [outcome.word for outcome in node.until_idle()] == ["error"]
    assert [outcome.word for outcome in node.advance(minutes=3)] == ["succeeded"]
    assert [fire.number_of_try for _, fire in seen] == [1, 2]
    assert seen[0][0].target.host == "api.example.org"
    row = Attempt.objects.get(outcome="error")
    assert row.error_title == "503 from api.example.org:443"


def test_a_stepper_that_is_given_no_answer_calls_nobody(node: Stepper, timer: Timer) -> None:
    (outcome,) = node.until_idle()

    assert outcome.permanent
    assert "a stepper makes no calls" in str(outcome.error_title)


def test_a_target_that_is_gone_fails_the_execution_and_pauses_the_timer(node: Stepper, timer: Timer) -> None:
    node.answer = lambda action, fire: 410

    node.until_idle()

    timer.refresh_from_db()
    assert (timer.state, timer.failures_in_a_row) == ("paused", 1)
    assert timer.state_reason == "paused itself: api.example.org:443 says that it is gone (410)"
    assert Waiting.objects.get().state == "failed"
    assert node.advance(hours=3) == []


def test_a_target_that_is_gone_pauses_no_one_shot_that_has_finished(node: Stepper, group: TimerGroup) -> None:
    timer = schedule_once(group.name, "one", after=0, action=ACTION)
    node.answer = lambda action, fire: 410

    node.until_idle()

    timer.refresh_from_db()
    assert (timer.state, timer.state_reason) == ("finished", "")
    reason = "api.example.org:443 says that it is gone (410)"
    assert (Attempt.objects.get().reason, Waiting.objects.get().reason) == (reason, reason)


def test_the_wait_that_a_target_asks_for_comes_before_the_policy(node: Stepper, timer: Timer) -> None:
    (execution,) = node.claim()
    end(node, execution, "error", wait=7.0)

    (waiting,) = Waiting.objects.all()
    assert waiting.available_at == node.time.now + timedelta(seconds=7)


@pytest.mark.parametrize("word", ["succeeded", "error"])
def test_the_exchange_is_kept_with_each_try(node: Stepper, timer: Timer, word: Any) -> None:
    (execution,) = node.claim()
    kept = {"request": {"method": "POST"}, "response": {"status": 200}, "timing_ms": {"total": 1.5}}
    end(node, execution, word, exchange=json.dumps(kept))

    assert Attempt.objects.get().exchange == kept


def test_a_handler_elsewhere_of_the_group_does_not_hold_back_a_timer_that_calls(node: Stepper, timer: Timer) -> None:
    timer.group.action = {"kind": "python", "handler": "tests.elsewhere"}
    timer.group.save()
    factories.timer("other", in_group=timer.group, due_in=0)
    node.answer = lambda action, fire: 500

    assert [execution.name for execution in node.claim(leave=["tests.elsewhere"])] == ["hook"]
    node.run()
    node.finish()
    node.time.advance(300)
    assert [execution.name for execution in node.claim(leave=["tests.elsewhere"])] == ["hook"]


def end(node: Stepper, execution: Execution, word: Any, **fields: Any) -> None:
    us = node.time.us
    finish(node.holder, [Outcome(execution, word, us, us + 1000, **fields)], us)
