"""The whole way of the workaround: a worker calls the web process by its address and key, and the handler runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import override_settings

from tests.support.executions import execution
from tests.support.handlers import TemporaryHandlers
from tests.worker.calling import Caller
from timers.actions import parse
from timers.actions.egress import Egress
from timers.actions.http import HttpAction
from timers.control.keys import create_key, revoke_key
from timers.engine.outcome import Outcome
from timers.handlers import Fire, Snooze
from timers.security.authentication import forget_known_keys
from timers.worker.attempts import find_work

pytestmark = [pytest.mark.cluster, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def handlers() -> Iterator[TemporaryHandlers]:
    temporary = TemporaryHandlers()
    yield temporary
    temporary.forget()


@pytest.fixture
def caller() -> Iterator[Caller]:
    """A worker that may call nothing which is not public."""
    made = Caller(Egress())
    yield made
    made.loop.stop()


def call(caller: Caller, name: str) -> Outcome:
    made = execution(action=parse({"kind": "remote_handler", "name": name}), payload={"vendor": 7})
    work = find_work(made)
    assert isinstance(work, HttpAction)
    caller.loop.submit([(made, work)])
    return caller.ended(len(caller.outcomes) + 1)[-1]


def test_a_handler_runs_in_the_web_process_and_its_end_is_the_tries(
    live_server: Any, caller: Caller, handlers: TemporaryHandlers
) -> None:
    def process(fire: Fire) -> dict[str, Any]:
        return {"vendor": fire.payload["vendor"], "try": fire.number_of_try}

    handlers.add("vendors.process", process)
    handlers.script("vendors.later", Snooze(90, "closed at night"))
    user = get_user_model().objects.create_superuser("root")
    key, text = create_key("entry", user=user, scopes=["schedule"], all_groups=True)
    entry = {"ENTRY_URL": f"{live_server.url}/api/v1/handlers", "ENTRY_KEY": str(text)}
    with override_settings(TIMERS=entry):
        done = call(caller, "vendors.process")
        later = call(caller, "vendors.later")
        unknown = call(caller, "nobody.knows")
        revoke_key(key.public_id)
        forget_known_keys()
        refused = call(caller, "vendors.process")

    assert (done.word, json.loads(str(done.result))) == ("succeeded", {"vendor": 7, "try": 1})
    assert (later.word, later.wait, later.reason) == ("snoozed", 90, "closed at night")
    assert (unknown.word, unknown.permanent) == ("error", False)
    assert (refused.word, refused.permanent) == ("error", False)
    assert "application key" in str(refused.error_title)
    assert len(handlers.calls) == 2
