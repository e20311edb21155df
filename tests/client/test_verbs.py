"""What `help` and `inspect` tell of the client's verbs."""

from __future__ import annotations

import inspect
import pydoc
from collections.abc import AsyncIterator, Iterator

import pytest
from timers_client import AsyncTimersClient, Claimed, Timer, TimersClient, calls

CLIENTS = pytest.mark.parametrize("client", [TimersClient, AsyncTimersClient])


@CLIENTS
def test_help_tells_of_each_verb_what_it_takes_and_what_it_does(client: type) -> None:
    told = pydoc.render_doc(client, renderer=pydoc.plaintext)
    for name in set(calls.__all__) - {"OnConflict", "bulks"}:
        assert f" {name}(self" in told
        assert inspect.getdoc(getattr(client, name)), name
    assert "claim(self, group: str, consumer: str, *, limit: int = 1," in told
    assert "Claim up to `limit` due messages of a group" in told


def test_a_verb_returns_what_the_service_answers() -> None:
    assert inspect.signature(TimersClient.claim).return_annotation == list[Claimed]
    assert inspect.signature(TimersClient.get_timers).return_annotation == Iterator[Timer]
    assert inspect.signature(AsyncTimersClient.claim).return_annotation == list[Claimed]
    assert inspect.signature(AsyncTimersClient.get_timers).return_annotation == AsyncIterator[Timer]
    assert inspect.signature(TimersClient.commit).return_annotation is None
    assert inspect.iscoroutinefunction(AsyncTimersClient.claim)


@CLIENTS
def test_options_that_all_kinds_share_are_named_one_by_one(client: type) -> None:
    parameters = inspect.signature(client.schedule_cron).parameters  # type: ignore[attr-defined]
    assert list(parameters)[:6] == ["self", "group", "name", "expression", "time_zone", "payload"]
    assert {"on_conflict", "until_committed", "gap", "fold"} < set(parameters)
    assert str(parameters["priority"]) == "priority: int = <not given>"
