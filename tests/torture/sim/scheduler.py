"""Scheduler: one actor runs at a time, in virtual time; a seeded random number generator says which.

Control passes directly from the thread of one actor to that of the next. Whoever waits, waits in `Actor.point` or
`Actor.sleep_until`; nothing else in an actor blocks.
"""

from __future__ import annotations

import heapq
import random
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from queue import Empty
from typing import Final

from tests.torture.sim.faults import Fault
from tests.torture.sim.threads import Threads

MOST_STEPS: Final = 6000
LONGEST_STEP_US: Final = 300_000
REAL_SECONDS: Final = 60.0
"""Real time after which a seed counts as hung."""
_local = threading.local()


class Killed(BaseException):
    """The process of an actor ends here."""


class Stopped(BaseException):
    """The seed is over."""


def current() -> Actor:
    """The actor whose thread this is."""
    actor: Actor = _local.actor
    return actor


class Actor:
    """Something that runs in a thread of its own while it is its turn."""

    def __init__(self, scheduler: Scheduler, name: str) -> None:
        self.scheduler = scheduler
        self.name = name
        self.wake_us = scheduler.now_us
        self.faults: list[Fault] = []
        """Those that are still to strike, in the order of their points."""
        self.points = 0
        self.is_ending = False
        """Its process is ending: nothing that it does takes effect any more."""
        self.is_stopped = False
        """The seed is over, and it has been told."""
        self.skew = 0.0
        self.wanted: set[str] = set()
        """Faults that its own loop carries out: worker, drain."""
        self._turn = threading.Lock()
        self._turn.acquire()

    def point(self, what: str) -> Fault | None:
        """Let others run, then let a fault strike; returns one that the session carries out."""
        if self.is_ending:
            raise Killed
        self.scheduler.turn(self, what)
        self.points += 1
        return self._struck(what)

    def sleep_until(self, wake_us: int) -> None:
        """Do nothing until then."""
        self.wake_us = wake_us
        self.scheduler.turn(self, "")

    @property
    def now_us(self) -> int:
        """Virtual time, microseconds since 1970 UTC."""
        return self.scheduler.now_us

    def _struck(self, what: str) -> Fault | None:
        if not self.faults or self.faults[0].point > self.points or not self.scheduler.faults_strike:
            return None
        fault = self.faults[0]
        if fault.kind in ("error", "reply") and what.startswith("effect"):
            return None  # at the next statement
        self.faults.pop(0)
        self.scheduler.note(self, f"FAULT {fault.kind} {fault.state}{fault.seconds or ''}")
        self.scheduler.struck.append(fault)
        if fault.kind == "kill":
            self.is_ending = True
            raise Killed
        if fault.kind == "freeze":
            self.scheduler.frozen(self)
            self.sleep_until(self.now_us + round(fault.seconds * 1e6))
            self.scheduler.thawed(self)
        elif fault.kind == "skew":
            self.skew = fault.seconds
        elif fault.kind in ("worker", "drain"):
            self.wanted.add(fault.kind)
        else:
            return fault
        return None

    def await_turn(self) -> None:
        """Wait until control is handed to this actor."""
        self._turn.acquire()

    def give_turn(self) -> None:
        """Hand control to this actor."""
        self._turn.release()


class Scheduler:
    """Virtual time, and who runs next."""

    def __init__(self, seed: int, start_us: int) -> None:
        self.rng = random.Random(f"order of {seed}")
        self.now_us = start_us
        self.actors: list[Actor] = []
        self.faults_strike = True
        self.struck: list[Fault] = []
        self.steps = 0
        self.trace: list[str] = []
        self.failure = ""
        """The first violation; empty: none."""
        self._start_us = start_us
        self._stays = self.rng.choice((0.3, 0.6, 0.85))
        """How often who runs goes on."""
        self._slow = self.rng.choice((0.0, 0.2, 0.5))
        """How often a step takes its time, in which others go on."""
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._is_over = False
        self._over = threading.Event()
        self.frozen: Callable[[Actor], None] = lambda actor: None
        self.thawed: Callable[[Actor], None] = lambda actor: None

    def note(self, actor: Actor | None, what: str) -> None:
        """Add a line to the trace."""
        at = (self.now_us - self._start_us) / 1e6
        self.trace.append(f"{self.steps:5d} {at:9.3f} {actor.name if actor else '-':10} {what}")

    def fail(self, kind: str, words: str) -> None:
        """End the seed with a violation; the first one counts."""
        if not self.failure:
            self.failure = f"{kind}: {words}"
            self.note(None, f"VIOLATION {self.failure}")
        self.end()

    def end(self) -> None:
        """End the seed at the next turn."""
        self._is_over = True

    def at(self, at_us: int, event: Callable[[], None]) -> None:
        """Call a function at an instant."""
        heapq.heappush(self._events, (at_us, len(self._events) + self.steps * 1000, event))

    def turn(self, actor: Actor, what: str) -> None:
        """Let the next actor run, and wait for this one's turn. Raises Stopped when the seed is over."""
        if actor.is_stopped:
            raise Stopped
        if what and self.rng.random() < self._slow:
            actor.wake_us = self.now_us + self.rng.randrange(LONGEST_STEP_US)
        following = self._next(actor)
        if following is not actor:
            if following is None:
                self._over.set()
            else:
                following.give_turn()
            actor.await_turn()
        if self._is_over:
            actor.is_ending = actor.is_stopped = True
            raise Stopped
        self.steps += 1
        if what:
            self.note(actor, what)
        if self.steps > MOST_STEPS:
            self.fail("left over", f"no end after {MOST_STEPS} steps")

    def run(self, bodies: Mapping[Actor, Callable[[], None]], threads: Threads) -> None:
        """Run the actors, each in its thread, until the seed is over. A fault of an actor's code is a violation."""
        self.actors = list(bodies)
        threads.start([partial(self._live, actor, body) for actor, body in bodies.items()])
        first = self._next(None)
        assert first is not None
        first.give_turn()
        if not self._over.wait(REAL_SECONDS):
            self._dump(threads)
        for actor in self.actors:
            actor.give_turn()
            try:
                threads.await_end(REAL_SECONDS)
            except Empty:
                self._dump(threads)

    def _live(self, actor: Actor, body: Callable[[], None]) -> None:
        _local.actor = actor
        actor.await_turn()
        try:
            if not self._is_over:
                body()
                self.fail("crash", f"{actor.name} has ended")
        except (Stopped, Killed):
            return
        except BaseException:  # noqa: BLE001 - whatever ends an actor ends the seed
            self.fail("crash", f"{actor.name}: {traceback.format_exc()}")
        self._over.set()

    def _next(self, actor: Actor | None) -> Actor | None:
        """Who runs next; None when the seed is over. Lets time pass, and events happen."""
        if self.rng.random() < 0.2:
            self.now_us += self.rng.randrange(1, 40_000)
        while not self._is_over:
            while self._events and self._events[0][0] <= self.now_us:
                heapq.heappop(self._events)[2]()
            if self._is_over:
                break
            ready = [each for each in self.actors if each.wake_us <= self.now_us]
            if ready:
                if actor in ready and self.rng.random() < self._stays:
                    return actor
                return self.rng.choice(ready)
            self.now_us = min([each.wake_us for each in self.actors] + [at for at, *_ in self._events[:1]])
        return None

    def _dump(self, threads: Threads) -> None:
        frames = sys._current_frames()
        stacks = ["".join(traceback.format_stack(frames[ident])) for ident in threads.idents if ident in frames]
        raise RuntimeError("the seed hangs:\n" + "\n---\n".join([*self.trace[-20:], *stacks]))
