"""timerctl: groups and their subscriptions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from timers_client import TimersClient


def test_a_group_is_created_shown_changed_and_listed(
    ctl: Any, client: TimersClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ctl("groups", "create", "orders", "--action", '{"kind": "pull"}', "--set", "attempt_timeout=90") == 0
    assert capsys.readouterr().out == "orders: active\n"
    assert ctl("groups", "show", "orders") == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if " " in line)
    assert (lines["action"], lines["attempt_timeout"]) == ('{"kind": "pull"}', "1 m 30 s")
    assert lines["retry.min_backoff"] == "2 m"
    assert ctl("groups", "update", "orders", "--retry", '{"min_backoff": 0}', "--description", "shop") == 0
    group = client.get_group("orders")
    assert (group["retry"]["min_backoff"], group["description"], group["attempt_timeout"]) == (0, "shop", 90)
    assert ctl("groups", "update", "orders") == 2
    capsys.readouterr()
    assert ctl("groups", "--json") == ctl("groups", "list", "--json") == 0
    names = [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()]
    assert names == ["g", "orders"] * 2


def test_a_group_is_paused_and_resumed(ctl: Any, client: TimersClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert ctl("groups", "pause", "g", "--reason", "move", "--until", "2099-01-01T00:00:00Z") == 0
    assert capsys.readouterr().out == "g: paused until 2099-01-01T00:00:00Z\n"
    assert client.get_group("g")["state_reason"] == "move"
    assert ctl("groups", "resume", "g") == 0
    assert client.get_group("g")["state"] == "active"


def test_a_subscription_is_created_listed_paused_resumed_and_deleted(
    ctl: Any, client: TimersClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client.create_group("events", action={"kind": "pull"})
    words = ["--action", '{"kind": "pull"}', "--mode", "broadcast", "--filter", '{"tags": {"any": ["eu"]}}']
    assert ctl("subscriptions", "create", "events", "mail", *words) == 0
    assert capsys.readouterr().out == "events/mail: active\n"
    assert ctl("subscriptions", "list", "events", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["mode"], told["filter"]) == ("mail", "broadcast", {"tags": {"any": ["eu"]}})
    assert ctl("subscriptions", "pause", "events", "mail", "--reason", "holiday") == 0
    assert capsys.readouterr().out == "events/mail: paused\n"
    assert ctl("subscriptions", "list", "events") == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:3] == ["mail", "paused", "broadcast"]
    assert ctl("subscriptions", "resume", "events", "mail") == 0
    assert ctl("subscriptions", "delete", "events", "mail") == 0
    assert "handed_over" in capsys.readouterr().out
    assert client.get_subscriptions("events") == []
