"""Entry actions: called where the settings say, with the key that they give, and answered as the handler ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from http import HTTPStatus

import pytest
from django.test import override_settings

from tests.support.executions import execution
from tests.support.handlers import TemporaryHandlers
from tests.support.targets import Received, Target, Town
from tests.worker.calling import Caller, exchange
from timers.actions import parse
from timers.actions.egress import Egress
from timers.actions.http import HttpAction
from timers.api.handler_endpoint import run_handler
from timers.engine.outcome import Outcome
from timers.exceptions import InvalidRequest
from timers.handlers import Discard, Fail, Retry, Snooze
from timers.worker.attempts import find_work

KEY = "tk_live_0123456789"


async def handler_endpoint(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Runs the handler that the path names, as the route of the API does."""
    name = request.path.rpartition("/")[2]
    answered = await asyncio.to_thread(run_handler, name, json.loads(request.body))
    said = {"result": answered.result} if answered.status == 200 else {"detail": answered.detail}
    body = json.dumps(said).encode()
    lines = [f"HTTP/1.1 {answered.status} {HTTPStatus(answered.status).phrase}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in answered.headers.items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


@pytest.fixture
def entry(here: Town) -> Iterator[Target]:
    """The handler endpoint of this installation: at a loopback address, which is closed to users' timers."""
    target = here.target(handler_endpoint)
    settings = {"ENTRY_URL": f"http://127.0.0.1:{target.port}/api/v1/handlers", "ENTRY_KEY": KEY}
    with override_settings(TIMERS=settings):
        yield target


@pytest.fixture
def guarded(entry: Target) -> Iterator[Caller]:
    """A worker with the rules as they are when nothing is set."""
    made = Caller(Egress())
    yield made
    made.loop.stop()


def call(caller: Caller, name: str, **more: object) -> Outcome:
    made = execution(action=parse({"kind": "remote_handler", "name": name, **more}), payload={"vendor": 7})
    work = find_work(made)
    assert isinstance(work, HttpAction)
    caller.loop.submit([(made, work)])
    return caller.ended()[-1]


def test_a_timer_names_the_handler_and_the_settings_say_where_and_with_which_key(
    entry: Target, guarded: Caller, handlers: TemporaryHandlers
) -> None:
    handlers.add("vendors.process", lambda fire: {"seen": fire.payload["vendor"]})

    outcome = call(guarded, "vendors.process")

    assert (outcome.word, json.loads(str(outcome.result))) == ("succeeded", {"seen": 7})
    (request,) = entry.requests
    assert (request.method, request.path) == ("POST", "/api/v1/handlers/vendors.process")
    assert request.header("Authorization") == f"Bearer {KEY}"
    assert KEY not in str(outcome.exchange)
    assert exchange(outcome)["response"]["status"] == 200
    assert handlers.calls[0].execution_id == outcome.execution.id


@pytest.mark.parametrize(
    ("raises", "word", "wait", "permanent", "says"),
    [
        (Discard("not yet"), "discarded", None, False, "not yet"),
        (Snooze(7200, "night"), "snoozed", 7200, False, "night"),
        (Retry("locked", after=0.25), "error", 1, False, "Retry: locked"),
        (Retry("locked"), "error", None, False, "Retry: locked"),
        (Fail("no such vendor"), "error", None, True, "Fail: no such vendor"),
        (ValueError("bad"), "error", None, False, "ValueError: bad"),
    ],
)
def test_what_the_handler_says_is_what_becomes_of_the_try(
    guarded: Caller, handlers: TemporaryHandlers, raises: Exception, word: str, wait: float, permanent: bool, says: str
) -> None:
    handlers.script("h", raises)

    outcome = call(guarded, "h")

    assert (outcome.word, outcome.wait, outcome.permanent) == (word, wait, permanent)
    assert says in (outcome.error_title or outcome.reason or "")


def test_the_way_to_the_handler_endpoint_is_open_to_nobody_else(
    entry: Target, guarded: Caller, handlers: TemporaryHandlers
) -> None:
    handlers.add("h")
    assert call(guarded, "h").word == "succeeded"

    outcome = guarded.call(f"http://127.0.0.1:{entry.port}/api/v1/handlers/h")

    assert "not called" in str(outcome.error_title)
    assert len(entry.requests) == 1


def test_attempt_without_a_handler_endpoint_says_so_and_is_retried() -> None:
    with override_settings(TIMERS={}):
        assert "TIMERS_ENTRY_URL" in str(find_work(execution(action=parse({"kind": "remote_handler", "name": "h"}))))


def test_the_form_comes_back_as_it_was_given() -> None:
    spec = {"kind": "remote_handler", "name": "vendors.process", "content": {"id": "{{Payload.id}}"}, "timeout": 5}
    assert parse(spec).to_spec() == spec
    assert parse({"kind": "remote_handler", "name": "h"}).words == "h at the handler endpoint"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({}, "action.name"),
        ({"name": ""}, "action.name"),
        ({"name": "h", "url": "https://example.org/"}, "action.url"),
        ({"name": "h", "auth": {"kind": "bearer", "secret": "k"}}, "action.auth"),
        ({"name": "h", "timeout": 0}, "action.timeout"),
    ],
)
def test_where_it_goes_and_how_it_is_opened_is_no_timers_to_say(wrong: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse({"kind": "remote_handler", **wrong})
    assert field in [problem.field for problem in caught.value.problems]
