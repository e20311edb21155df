"""timerctl names the executions that a change came too late for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from timers_client import TimersClient
from timers_client.ctl.output import in_flight_words

from timers.insights import words as service_words


@pytest.fixture
def execution(ctl: Any, client: TimersClient) -> str:
    """An execution of g/a that a consumer has."""
    client.schedule_fixed_rate("g", "a", period=3600)
    client.fire_timer("g", "a")
    (claimed,) = client.claim("g", "c")
    return claimed.execution


CHANGES = {
    "pause": ["pause", "g", "a"],
    "update": ["update", "g", "a", "--period", "7200"],
    "replace": ["schedule", "fixed-rate", "g", "a", "--period", "60", "--on-conflict", "replace"],
    "skip": ["skip", "g", "a"],
    "cancel": ["cancel", "g", "a"],
    "pause of the group": ["groups", "pause", "g"],
    "update of the group": ["groups", "update", "g", "--set", "attempt_timeout=90"],
}


@pytest.mark.parametrize("words", CHANGES.values(), ids=CHANGES.keys())
def test_change_names_what_is_in_flight_in_text(
    words: list[str], ctl: Any, execution: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ctl(*words) == 0
    assert f"1 execution already in flight: {execution}" in capsys.readouterr().out


@pytest.mark.parametrize("words", CHANGES.values(), ids=CHANGES.keys())
def test_change_names_what_is_in_flight_in_json(
    words: list[str], ctl: Any, execution: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ctl(*words, "--json") == 0
    assert json.loads(capsys.readouterr().out)["in_flight"] == [execution]


def test_change_with_nothing_in_flight_says_nothing_of_it(
    ctl: Any, client: TimersClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client.schedule_fixed_rate("g", "a", period=3600)
    for words in CHANGES.values():
        assert ctl(*words) == 0
    assert "in flight" not in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["pause", "delete"])
def test_change_of_a_subscription_names_what_is_in_flight(
    verb: str, ctl: Any, client: TimersClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client.create_subscription("g", "mail", action={"kind": "pull"})
    client.schedule_once("g", "a", after=0)
    (claimed,) = client.claim("g", "c", subscription="mail")
    capsys.readouterr()
    assert ctl("subscriptions", verb, "g", "mail") == 0
    assert f"1 execution already in flight: {claimed.execution}" in capsys.readouterr().out


def test_replaced_timers_of_a_bulk_name_what_is_in_flight(client: TimersClient, execution: str) -> None:
    requests = [{"kind": "fixed_rate", "name": name, "period": 60} for name in ("a", "b")]
    replaced, created = client.schedule_many("g", requests, on_conflict="replace")
    assert (replaced.result, replaced.in_flight) == ("replaced", (execution,))
    assert (created.result, created.in_flight) == ("created", ())


@pytest.mark.parametrize("number", [0, 1, 2, 5, 6, 1_234])
def test_client_and_service_use_the_same_words(number: int) -> None:
    ids = [f"id-{index}" for index in range(number)]
    assert in_flight_words(ids) == service_words.in_flight_words(ids)
