"""Calls as a worker makes them, on its own event loop, with secrets that need no database."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

from tests.support.eventually import eventually
from tests.support.executions import execution, started
from timers.actions.egress import Egress
from timers.actions.http import HttpAction
from timers.clock import DatabaseClock
from timers.conf.forms import networks
from timers.engine.execution import Execution
from timers.engine.outcome import Outcome
from timers.engine.secret_values import SecretValue
from timers.worker.event_loop import EventLoop
from timers.worker.http_call import HttpCalls
from timers.worker.run_time_mean import Pace
from timers.worker.secret_cache import Found, SecretCache

THIS_HOST = Egress(allowed=networks("127.0.0.0/8,::1"), ports=(range(1, 65536),), plain_http=True)
"""Rules that open the targets of tests."""


class Caller:
    """An event loop and what it reported."""

    def __init__(self, rules: Egress = THIS_HOST, *, concurrency: int = 50, per_target: int = 20) -> None:
        self.outcomes: list[Outcome] = []
        self.secrets: dict[str, SecretValue | str] = {}
        self.asked_for_secrets = 0
        self.started = started()
        clock = DatabaseClock(datetime.now(UTC))
        self.calls = HttpCalls(clock, rules=rules, secrets=SecretCache(self._read))
        self.loop = EventLoop(
            "node-a", concurrency, clock, self.started, Pace(), self.outcomes.extend, self.calls, per_target=per_target
        )
        self.loop.start()

    def keep(self, name: str, value: str, kind: str = "text", **fields: Any) -> None:
        """Keep a secret."""
        self.secrets[name] = SecretValue(name, kind, **{"groups": (), "hosts": (), **fields}, value=value)

    def submit(
        self, url: str, *, number: int = 1, payload: Any = None, attempt: int = 1, **spec: Any
    ) -> list[Execution]:
        """Begin calls; returns their executions."""
        action = HttpAction.parse({"kind": "http", "url": url, **spec})
        fields = {"action": action, "payload": payload, "attempt": attempt}
        made = [execution(**fields) for _ in range(number)]
        self.loop.submit([(one, action) for one in made])
        return made

    def ended(self, number: int = 1, *, within: float = 10) -> list[Outcome]:
        """The first outcomes."""
        eventually(lambda: len(self.outcomes) >= number, within=within)
        return self.outcomes

    def call(self, url: str, **spec: Any) -> Outcome:
        """Make one call and wait for its end."""
        made = self.submit(url, **spec)
        return eventually(lambda: next((one for one in self.outcomes if one.execution is made[0]), None))

    def in_loop(self, does: Callable[[], object]) -> None:
        """Do something in the loop's thread, and wait until it is done."""
        done = threading.Event()
        self.loop._loop.call_soon_threadsafe(lambda: (does(), done.set()))
        assert done.wait(10)

    def _read(self, names: Collection[str]) -> Found:
        self.asked_for_secrets += 1
        return {name: self.secrets[name] for name in names if name in self.secrets}


def exchange(outcome: Outcome) -> dict[str, Any]:
    """What the ledger would keep of the call."""
    assert outcome.exchange is not None
    kept: dict[str, Any] = json.loads(outcome.exchange)
    return kept
