"""A simulated consumer: pulls, acts on what it pulled, and commits, discards or extends."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.torture.sim.client import FAULTS
from tests.torture.sim.records import Records
from tests.torture.sim.scheduler import Actor, Killed
from tests.torture.sim.session import Session
from timers.engine import acknowledge, consume
from timers.engine.consume import Message
from timers.exceptions import TimersError

LEASE = 5.0


@dataclass(slots=True)
class Pulled:
    """A message, and until when it is surely ours."""

    message: Message
    sure_until: float
    begun: bool = False


class Consumer:
    """A program that pulls the group `sim-pull`."""

    def __init__(self, actor: Actor, session: Session, records: Records, seed: int) -> None:
        self.actor = actor
        self._session = session
        self._records = records
        self._rng = random.Random(f"{actor.name} of {seed}")
        self._pulled: list[Pulled] = []

    def live(self) -> None:
        """Pull again and again."""
        self._session.open()
        try:
            while True:
                try:
                    self._work()
                except Killed:
                    self.actor.is_ending = False
                    self._session.lose()
                    self._pulled = []
        finally:
            self._session.close()

    @property
    def _clock(self) -> float:
        return self.actor.now_us / 1e6

    def _work(self) -> None:
        while True:
            try:
                if not self._pulled:
                    self._pull()
                else:
                    self._serve(self._rng.choice(self._pulled))
            except FAULTS as error:
                self.actor.scheduler.note(self.actor, f"  fault: {str(error).partition(chr(10))[0]}")
            wait = self._rng.uniform(0.05, 0.5) if self._pulled else self._rng.uniform(2.0, 5.0)
            self.actor.sleep_until(self.actor.now_us + round(wait * 1e6))

    def _pull(self) -> None:
        began = self._clock
        messages = consume.claim("sim-pull", self.actor.name, limit=self._rng.randint(1, 3), lease=LEASE)
        self._pulled = [Pulled(message, began + LEASE) for message in messages]

    def _serve(self, pulled: Pulled) -> None:
        message = pulled.message
        envelope = message.envelope
        if not pulled.begun:
            self.actor.point("effect begins")
            if self._clock >= pulled.sure_until:
                self._pulled.remove(pulled)
                return
            pulled.begun = True
            words = f"{envelope['Name']} {message.execution} #{envelope['NumberOfTry']} fence {envelope['Fence']}"
            self.actor.scheduler.note(self.actor, f"  begins {words}")
            self._records.begin(
                message.execution, envelope["Name"], envelope["NumberOfTry"], envelope["Fence"], self.actor.now_us
            )
            return
        try:
            if self._rng.random() < 0.2:
                began = self._clock
                acknowledge.extend(message.execution, message.token, lease=LEASE)
                pulled.sure_until = began + LEASE
                return
            if envelope["NumberOfTry"] <= envelope["Payload"].get("fails", 0):
                acknowledge.discard(message.execution, message.token, delay=0.5)
            else:
                acknowledge.commit(message.execution, message.token)
        except TimersError as error:
            self.actor.scheduler.note(self.actor, f"  refused: {error}")
        self._pulled.remove(pulled)
