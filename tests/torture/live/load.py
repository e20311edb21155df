"""Load: a client that shares no code with the service. It creates timers, cancels some, pulls and commits messages.

Every request is written down before its answer: one without a clear answer stays open (info) until the final read.
"""

from __future__ import annotations

import json
import random
import threading
import time
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

from tests.torture.live.records import Journal

AHEAD: Final = 1.5
"""Seconds between the creation of a timer and its instant, at least."""
SPREAD: Final = 1.5
STEP: Final = 0.2
SHARES: Final = {"work": 0.3, "async": 0.1, "hooks": 0.4, "pulled": 0.2}
"""Groups, and their parts of the load."""
BEATS: Final = 50
"""Timers with a fixed rate of BEAT_SECONDS."""
BEAT_SECONDS: Final = 5
LEASE: Final = 10
CANCEL_EVERY: Final = 0.5


def groups(webhooks: str) -> dict[str, dict[str, Any]]:
    """The groups and their fields. Retries are quick and many: what is lost must come again within the run."""
    retry = {"max_retries": 50, "min_backoff": 0.5, "max_backoff": 2, "jitter": 0}
    return {
        "work": {"action": {"handler": "torture.work"}, "retry": retry},
        "async": {"action": {"handler": "torture.async_work"}, "retry": retry},
        "hooks": {"action": {"kind": "http", "url": webhooks, "timeout": 10}, "retry": retry},
        "pulled": {"action": {"kind": "pull"}, "retry": retry},
        "beats": {
            "action": {"handler": "torture.work"}, "retry": retry, "misfire_policy": "fire_all",
            "overlap_policy": "allow",
        },
        "long": {"action": {"handler": "torture.work"}, "retry": retry},
    }  # fmt: skip


class Client:
    """Requests to the REST API, each on a connection of its own."""

    def __init__(self, port: int, key: str) -> None:
        self._port, self._headers = port, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: Any = None, timeout: float = 10.0) -> tuple[int, Any]:
        """The status and the JSON of an answer; raises OSError or HTTPException when there is none."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=timeout)
        try:
            connection.request(method, f"/api/v1{path}", None if body is None else json.dumps(body), self._headers)
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text else None
        finally:
            connection.close()


class Load:
    """The threads of the client, from `start` to `stop`."""

    def __init__(self, client: Client, rate: float, seed: int, folder: Path) -> None:
        self._client, self._rate = client, rate
        self._random = random.Random(seed)
        self.history = Journal(folder / "history.jsonl")
        self._effects = Journal(folder / "effects.jsonl")
        self._creating, self._pulling = threading.Event(), threading.Event()
        self._pulling.set()
        self._creating.set()
        self._number = 0
        self._cancellable: list[tuple[str, str]] = []
        self._threads = [
            threading.Thread(target=work, daemon=True)
            for work in (self._create, self._cancel, self._pull, self._pull)
        ]  # fmt: skip

    def start(self) -> None:
        """Start all threads."""
        for thread in self._threads:
            thread.start()

    def stop_creating(self) -> None:
        """Create and cancel nothing more; consumers go on."""
        self._creating.clear()
        for thread in self._threads[:2]:
            thread.join(30)

    def stop(self) -> None:
        """Stop the consumers too."""
        self._pulling.clear()
        for thread in self._threads:
            thread.join(30)

    def create_beats(self) -> None:
        """Create the recurring timers, before the run."""
        anchor = (datetime.now(UTC) + timedelta(seconds=3)).replace(microsecond=0)
        for number in range(BEATS):
            start = anchor + timedelta(milliseconds=number * 100)
            body = {"kind": "fixed_rate", "period": BEAT_SECONDS, "start_at": start.isoformat(), "payload": 0.01}
            status, answer = self._client.ask("PUT", f"/groups/beats/timers/beat-{number}", body)
            if status not in (200, 201):
                raise RuntimeError(f"beat-{number}: {status} {answer}")
            self.history.write(op="beat", name=f"beat-{number}", at=start.timestamp(), period=BEAT_SECONDS)

    def create_long(self, count: int, seconds: float) -> None:
        """Create some executions that run for so long from now on: what a fault hits in flight."""
        self._create_batch("long", count, payload=seconds, ahead=0.2, spread=0.1)

    def _create(self) -> None:
        due = time.monotonic()
        while self._creating.is_set():
            due += STEP
            time.sleep(max(0.0, due - time.monotonic()))
            for group, share in SHARES.items():
                exact = self._rate * STEP * share
                count = int(exact) + (self._random.random() < exact % 1)
                if count:
                    self._create_batch(group, count)

    def _create_batch(
        self, group: str, count: int, *, payload: float = 0.02, ahead: float = AHEAD, spread: float = SPREAD
    ) -> None:
        now = datetime.now(UTC)
        batch = []
        for _ in range(count):
            self._number += 1
            at = now + timedelta(seconds=ahead + self._random.uniform(0, spread))
            batch.append({"kind": "once", "name": f"{group}-{self._number}", "at": at.isoformat(), "payload": payload})
        result = "info"
        try:
            status, answer = self._client.ask("POST", f"/groups/{group}/timers/bulk?atomic=true", batch)
            if status < 300:
                result = "ok"
            elif status < 500:
                result = "fail"
                self.history.write(op="refused", status=status, answer=str(answer)[:500])
            elif status not in (503,):
                self.history.write(op="error", status=status, answer=str(answer)[:500])
        except (OSError, HTTPException, ValueError):
            pass
        for each in batch:
            at = datetime.fromisoformat(str(each["at"])).timestamp()
            self.history.write(op="create", type=result, group=group, name=each["name"], at=at)
            if result == "ok" and group != "long":
                self._cancellable.append((group, str(each["name"])))

    def _cancel(self) -> None:
        while self._creating.is_set():
            time.sleep(CANCEL_EVERY)
            if not self._cancellable:
                continue
            # Among the latest: some are due in a moment, some later.
            group, name = self._cancellable.pop(-self._random.randint(1, min(60, len(self._cancellable))))
            result, in_flight = "info", []
            try:
                status, answer = self._client.ask("DELETE", f"/groups/{group}/timers/{name}")
                result = "ok" if status < 300 else "fail" if status < 500 else "info"
                in_flight = (answer or {}).get("in_flight", []) if result == "ok" else []
            except (OSError, HTTPException, ValueError):
                pass
            self.history.write(op="cancel", type=result, group=group, name=name, in_flight=in_flight)

    def _pull(self) -> None:
        consumer = f"consumer-{threading.get_ident()}"
        rng = random.Random(threading.get_ident())
        while self._pulling.is_set():
            try:
                status, answer = self._client.ask(
                    "POST", "/groups/pulled/claims",
                    {"consumer": consumer, "limit": 10, "lease": LEASE, "wait": 1}, timeout=15,
                )  # fmt: skip
            except (OSError, HTTPException, ValueError):
                time.sleep(0.5)
                continue
            if status >= 300:
                time.sleep(0.5)
                continue
            for message in answer["messages"]:
                self._end(message, rng)

    def _end(self, message: dict[str, Any], rng: random.Random) -> None:
        envelope = message["envelope"]
        facts = {
            "execution": message["execution"], "name": envelope["Name"], "attempt": envelope["NumberOfTry"],
            "fence": envelope["Fence"], "node": "", "pid": 0, "kind": "pull",
        }  # fmt: skip
        self._effects.write(phase="start", **facts)
        if rng.random() < 0.01:
            return  # as a consumer that dies: its lease ends by itself
        for _ in range(2):
            try:
                status, _ = self._client.ask(
                    "POST", f"/executions/{message['execution']}/commit", {"token": message["token"]}
                )
            except (OSError, HTTPException, ValueError):
                continue
            if status < 300:
                self._effects.write(phase="end", **facts)
            if status != 503:
                return
