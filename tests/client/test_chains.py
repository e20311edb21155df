"""Chains and orders by the client and by timerctl."""

from __future__ import annotations

import json
from typing import Any

import pytest
from timers_client import NotFound, StaleVersion, TimersClient

from tests import factories
from timers.models import Chain

DEFINITION = {
    "steps": {
        "ask": {"kind": "approval", "next": "go"},
        "go": {"kind": "signal", "results": ["sum"], "next": "end"},
        "end": {"kind": "end"},
    }
}


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_client_defines_chains_and_sees_to_their_steps(client: TimersClient) -> None:
    client.create_group("g", action={"kind": "pull"})
    client.create_chain("g", "main", DEFINITION)
    shorter = {"steps": {"ask": {"kind": "approval", "next": "end"}, "end": {"kind": "end"}}}
    assert client.update_chain("g", "main", shorter, version=1)["version"] == 2
    with pytest.raises(StaleVersion):
        client.update_chain("g", "main", DEFINITION, version=1)
    assert [each["version"] for each in client.get_chain_versions("g", "main")] == [2, 1]
    assert len(client.compare_versions("g", "main")["changes"]) == 2
    assert client.stop_step("g", "main", "ask", reason="x")["state"] == "stopped"
    assert client.skip_step("g", "main", "ask")["state"] == "skipped"
    assert client.activate_step("g", "main", "ask")["state"] == "active"
    assert [each["name"] for each in client.get_steps("g", "main")] == ["ask", "end"]
    assert client.stop_chain("g", "main")["state"] == "stopped"
    assert client.start_chain("g", "main")["state"] == "active"
    assert client.get_picture("g", "main")["text"].startswith("ask (approval)")
    assert [each["name"] for each in client.get_chains("g")] == ["main"]
    client.delete_chain("g", "main")
    with pytest.raises(NotFound):
        client.get_chain("g", "main")


def test_client_adds_orders_and_answers_them(client: TimersClient) -> None:
    client.create_group("g")
    client.create_chain("g", "main", DEFINITION)
    added = client.add_order("g", "main", "later", variables={"a": 1}, after=60)
    assert client.get_order(added["id"])["variables"] == {"a": 1}
    assert client.add_order("g", "main", "held", pending=True)["id"] is None
    assert client.start_order("g", "main", "held")["id"]
    order = str(factories.order(Chain.objects.get(), "ask", "awaiting").pk)
    assert client.suspend_order(order, reason="call")["reason"] == "call"
    assert client.resume_order(order)["state"] == "awaiting"
    assert client.approve_order(order)["step"] == "go"
    assert client.reset_order(order)["step"] == "ask"
    assert client.move_order(order, "go")["step"] == "go"
    assert [each["id"] for each in client.get_orders(chain="main")] == [order]
    assert client.for_orders("suspend", {"chain": "main"}, limit=1)["done"] == [order]
    assert client.prioritize_order(order, 3)["priority"] == 3
    client.resume_order(order, version=1)
    assert client.signal_order(order, "go", payload={"sum": 5})["outcome"] == "succeeded"
    assert [each["outcome"] for each in client.get_order_history(order)] == ["succeeded"]
    other = str(factories.order(Chain.objects.get(), "ask", "awaiting").pk)
    assert client.skip_step_of(other)["step"] == "go"
    assert client.cancel_order(other, reason="x")["outcome"] == "cancelled"


def test_timerctl_defines_shows_and_stops_chains(
    ctl: Any, client: TimersClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ctl("chain", "create", "g", "main", json.dumps(DEFINITION)) == 0
    assert lines(capsys) == ["g/main: active, version 1"]
    assert ctl("chain", "stop", "g", "main", "ask", "--reason", "repairs") == 0
    assert lines(capsys) == ["g/main/ask: stopped"]
    factories.order(Chain.objects.get(), "ask", "at_stopped")
    assert ctl("chain", "list", "g") == ctl("chain", "steps", "g", "main") == 0
    told = lines(capsys)
    assert told[1].split()[:3] == ["main", "active", "1"]
    assert "1 (1 at_stopped)" in told[3]
    assert ctl("chain", "picture", "g", "main") == 0
    assert lines(capsys)[0] == "ask (approval)"
    assert ctl("chain", "picture", "g", "main", "--svg") == 0
    assert lines(capsys)[0].startswith("<svg")
    assert ctl("chain", "skip", "g", "main", "go") == ctl("chain", "activate", "g", "main", "go") == 0
    assert ctl("chain", "stop", "g", "main") == ctl("chain", "start", "g", "main") == 0
    assert ctl("chain", "update", "g", "main", '{"steps": {"end": {"kind": "end"}}}', "--version", "1") == 0
    capsys.readouterr()
    assert ctl("chain", "diff", "g", "main") == 0
    assert 'step "ask" removed (approval)' in lines(capsys)
    assert ctl("chain", "show", "g", "main") == 0
    assert ctl("chain", "delete", "g", "main") == 1
    assert "under way" in capsys.readouterr().err


def test_timerctl_adds_lists_and_sees_to_orders(
    ctl: Any, client: TimersClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client.create_group("s")
    client.create_chain("s", "main", DEFINITION)
    assert ctl("order", "add", "s", "main", "first", "--variables", '{"a": 1}', "--after", "60") == 0
    (told,) = lines(capsys)
    assert told.startswith("s/first: scheduled, order ")
    assert ctl("order", "add", "s", "main", "held", "--pending") == ctl("order", "start", "s", "main", "held") == 0
    assert lines(capsys)[0] == "s/held: pending"
    first, second = (
        str(factories.order(Chain.objects.get(), "ask", "awaiting", ago=ago).pk) for ago in (2, 1)
    )  # fmt: skip
    assert ctl("order", "list", "--chain", "main", "--json") == 0
    assert [json.loads(line)["id"] for line in lines(capsys)] == [second, first]
    assert ctl("order", "suspend", "--chain", "main", "--reason", "stock-taking") == 0
    assert lines(capsys) == ["2 done, 0 refused"]
    assert ctl("order", "prioritize", first, second, "--priority", "5") == 0
    assert lines(capsys) == [f"{each}: suspended at ask because stock-taking" for each in (first, second)]
    assert ctl("order", "resume", first, "--version", "2") == 1
    assert "no version 2. Its newest is 1" in capsys.readouterr().err
    assert ctl("order", "resume", first, "--at", "go", "--version", "newest") == 0
    assert lines(capsys) == [f"{first}: awaiting at go"]
    assert ctl("order", "signal", first, "go", "--payload", '{"sum": 1}') == 0
    assert ctl("order", "history", first) == ctl("order", "show", first) == 0
    capsys.readouterr()
    assert ctl("order", "cancel", second, "--reason", "not wanted") == 0
    assert lines(capsys) == [f"{second}: cancelled at ask because not wanted"]
    assert ctl("order", "approve", second) == 1
    assert ctl("order", "skip") == 2
