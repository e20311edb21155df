"""A simulated client: creates, changes and cancels timers, and notes what it was told.

Each verb is one transaction, as a request to the REST API is. What the client asks for is noted before it asks; so an
answer that never comes leaves its outcome open.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, TypeVar

from django.db import InterfaceError, InternalError, OperationalError, transaction

from tests.torture.sim.records import Records, Timer
from tests.torture.sim.scheduler import Actor, Killed
from tests.torture.sim.session import Session
from timers import scheduling
from timers.exceptions import TimersError
from timers.schedules.instant import from_microseconds

FAULTS: Final = (OperationalError, InterfaceError, InternalError)
VERBS: Final = ("create", "create", "cancel", "cancel", "update", "pause", "resume", "fire")
HASTE: Final = timedelta(seconds=2)
Answer = TypeVar("Answer")


def verb(call: Callable[[], Answer], acknowledge: Callable[[Answer], None]) -> None:
    """Carry out a verb, and acknowledge it once it is committed."""
    with transaction.atomic():
        answer = call()
    acknowledge(answer)


class Client:
    """Whoever uses the Python API."""

    def __init__(self, actor: Actor, session: Session, records: Records, seed: int, until_us: int) -> None:
        self.actor = actor
        self._session = session
        self._records = records
        self._rng = random.Random(f"{actor.name} of {seed}")
        self._until_us = until_us
        self._created = 0
        self._paused: set[str] = set()
        self.is_done = False
        """It asks for nothing any more, and nothing that it paused is left."""

    def live(self) -> None:
        """Ask for something now and then; at the end resume what is paused."""
        self._session.open()
        try:
            while True:
                try:
                    self._work()
                except Killed:
                    self.actor.is_ending = False
                    self._session.lose()
        finally:
            self._session.close()

    def _work(self) -> None:
        while True:
            self.actor.sleep_until(self.actor.now_us + round(self._rng.uniform(0.2, 4.0) * 1e6))
            if self.actor.now_us < self._until_us:
                getattr(self, f"_{self._rng.choice(VERBS)}")()
            elif self._paused:
                self._resume()
            else:
                self.is_done = True
                self.actor.sleep_until(self.actor.now_us + 3_600_000_000)

    def _ask(self, what: str, call: Callable[[], Answer], acknowledge: Callable[[Answer], None]) -> str:
        """ok, info (its outcome is unknown) or refused."""
        try:
            verb(call, acknowledge)
        except FAULTS as error:
            word = f"info ({str(error).partition(chr(10))[0]})"
        except TimersError as error:
            word = f"refused ({error})"
        else:
            word = "ok"
        self.actor.scheduler.note(self.actor, f"  {what}: {word}")
        return word.partition(" ")[0]

    def _create(self) -> None:
        self._created += 1
        name = f"late-{self._created}"
        at = from_microseconds(self.actor.now_us) + timedelta(seconds=round(self._rng.uniform(-0.5, 5), 3))
        known = self._records.timers[name] = Timer("sim-plain", name, at, created="info")

        def acknowledge(_: Any) -> None:
            known.created = "ok"

        payload = {"seconds": self._rng.choice((0, 0.2, 2)), "fails": self._rng.choice((0, 0, 1))}
        word = self._ask(
            f"create {name}",
            lambda: scheduling.schedule_once("sim-plain", name, at=at, payload=payload),
            acknowledge,
        )
        if word == "refused":
            known.created = "fail"

    def _some(self) -> Timer | None:
        known = [
            each for each in self._records.timers.values()
            if each.created == "ok" and not each.is_cancelled and each.group != "sim-fold"
        ]  # fmt: skip
        return self._rng.choice(known) if known else None

    def _soon(self) -> Timer | None:
        """One that may be fired at this very moment: there a change is most likely to come between."""
        now = from_microseconds(self.actor.now_us)
        known = [
            each
            for each in self._records.timers.values()
            if each.created == "ok" and not each.is_cancelled and each.at and -HASTE < each.at - now < HASTE
        ]
        return self._rng.choice(known) if known else None

    def _cancel(self) -> None:
        if (known := self._soon() or self._some()) is None:
            return
        known.is_changed = known.is_cancelled = True
        self._ask(
            f"cancel {known.name}",
            lambda: scheduling.cancel_timer(known.group, known.name),
            lambda answer: self._records.cancelled(known.name, answer.in_flight),
        )

    def _update(self) -> None:
        if (known := self._some()) is None:
            return
        known.is_changed = True
        changes: dict[str, Any] = {"payload": {"seconds": 0.3}}
        if known.at is not None and self._rng.random() < 0.5:
            at = from_microseconds(self.actor.now_us) + timedelta(seconds=round(self._rng.uniform(0, 5), 3))
            changes["at"] = at
        self._ask(
            f"update {known.name} {sorted(changes)}",
            lambda: scheduling.update_timer(known.group, known.name, **changes),
            lambda answer: None,
        )

    def _pause(self) -> None:
        if (known := self._some()) is None:
            return
        known.is_changed = True
        self._paused.add(known.name)
        self._ask(f"pause {known.name}", lambda: scheduling.pause_timer(known.group, known.name), lambda answer: None)

    def _resume(self) -> None:
        if not self._paused:
            return
        known = self._records.timers[self._rng.choice(sorted(self._paused))]
        word = self._ask(
            f"resume {known.name}", lambda: scheduling.resume_timer(known.group, known.name), lambda answer: None
        )
        if word != "info":
            self._paused.discard(known.name)

    def _fire(self) -> None:
        if (known := self._some()) is None:
            return
        overlap = self._rng.choice((None, "queue", "allow"))

        def acknowledge(execution: str) -> None:
            self._records.runs[execution] = known.name

        self._ask(
            f"fire {known.name}",
            lambda: scheduling.fire_timer(known.group, known.name, overlap=overlap),
            acknowledge,
        )
