"""timerctl: what is done to many failed executions in the background."""

from __future__ import annotations

import json
from typing import Any

import pytest
from timers_client import TimersClient

COUNT = 3


@pytest.fixture
def operation(client: TimersClient, ctl: Any, capsys: pytest.CaptureFixture[str]) -> str:
    """Three failed executions, and an operation that is to retry them; its number."""
    retry = {"max_retries": 0}
    client.update_group("g", retry=retry)
    client.schedule_many("g", [{"kind": "once", "name": f"t{n}", "after": 0} for n in range(COUNT)])
    for claimed in client.claim("g", "c", limit=COUNT):
        client.discard(claimed.execution, claimed.token, reason="broken")
    assert ctl("retry", "--group", "g") == 0
    said = capsys.readouterr().out
    number = said.split()[1].rstrip(":")
    assert said == f"operation {number}: running, 0 of {COUNT} done, 0 refused\n"
    return number


def test_an_operation_is_shown_paused_resumed_paced_and_cancelled(
    operation: str, ctl: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*words: str) -> str:
        assert ctl("operations", *words) == 0
        return capsys.readouterr().out

    assert "state_reason" in told("show", operation)
    assert told("pause", operation, "--reason", "lunch").startswith(f"operation {operation}: paused, 0 of {COUNT} done")
    assert f"{operation} " in told("list", "--state", "paused")
    assert told("list", "--state", "done", "--json") == ""
    assert told("pace", operation, "5").endswith("at most 5 a second\n")
    assert "a second" not in told("pace", operation, "none")
    assert ": running" in told("resume", operation)
    assert ": cancelled" in told("cancel", operation)
    assert len(told().splitlines()) == 2


def test_a_retry_is_followed_until_it_has_ended(
    operation: str, ctl: Any, client: TimersClient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client.cancel_operation(int(operation))
    steps = [client.pause_operation, client.resume_operation, lambda number: None, client.cancel_operation]

    def step(seconds: float) -> None:
        running = next(each for each in client.get_operations() if each["ended_at"] is None)
        steps.pop(0)(running["id"])

    monkeypatch.setattr("timers_client.ctl.operations.sleep", step)
    assert ctl("retry", "--all", "--wait", "--json") == 0
    states = [json.loads(line)["state"] for line in capsys.readouterr().out.splitlines()]
    assert states == ["running", "paused", "running", "cancelled"]


def test_only_what_is_done_in_the_background_is_waited_for(ctl: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert ctl("retry", "x", "--wait") == 2
    assert "--wait" in capsys.readouterr().err
