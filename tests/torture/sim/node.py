"""A simulated node: what the threads of a real one do, one pass at a time, in an order that the seed chooses.

The engine's functions are the real ones. What a worker and a supervisor decide around them is written again here, as
in worker/claimer.py, worker/heartbeat.py, worker/housekeeping.py, worker/recorder.py and worker/recalls.py.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from typing import Final

from django.db import InterfaceError, InternalError, OperationalError

from tests.torture.sim.memory import Memory, Running, outcome_of
from tests.torture.sim.records import Records
from tests.torture.sim.scheduler import Actor, Killed
from tests.torture.sim.session import Session
from timers.engine.claim import claim_ready
from timers.engine.death import Sightings, dead_with_claims, declare_dead, take_crash_lock, watch_others
from timers.engine.due import DueWork, ServedGroups
from timers.engine.execution import Execution, Holder
from timers.engine.fence import revoked_of
from timers.engine.finish import finish
from timers.engine.fire import fire_due
from timers.engine.nodes import Beat, Registration, beat, register, set_draining, set_stopped
from timers.engine.outcome import impossible
from timers.engine.recall import in_this_process
from timers.engine.recall_answers import has_ended, standing_of
from timers.engine.release import release
from timers.engine.rescue import Fate, rescue_expired, rescue_node, rescue_orphans, rescue_worker
from timers.exceptions import NotAllowedNow
from timers.schedules.instant import to_microseconds
from timers.worker.attempts import find_work, never_begun
from timers.worker.heartbeat import LEASE_MARGIN
from timers.worker.watch import Watch

FAULTS: Final = (OperationalError, InterfaceError, InternalError)
HEARTBEAT: Final = 2.0
LEASE: Final = 10.0
LOOK_AHEADS: Final = (1.5, 1.5, 12.0)
"""Seconds that a node claims ahead: by default, and with a longer poll interval."""
POLL: Final = 3.0
SLOTS: Final = 3
_RHYTHM: Final = {"beat": HEARTBEAT, "claim": POLL, "judge": 4.0}
"""Seconds between two passes at the most."""
FIRST_PID: Final = 5_000_000
"""Beyond the numbers that a kernel gives: such a process is surely gone."""


class Node:
    """One node: a supervisor and one worker."""

    def __init__(
        self, actor: Actor, session: Session, records: Records, seed: int, *, crash_lock: bool, look_ahead: float
    ) -> None:
        self.actor = actor
        self.session = session
        self._records = records
        self._rng = random.Random(f"{actor.name} of {seed}")
        self._boot = self._rng.uniform(1e3, 1e6)
        """The boot clock at virtual time 0: nobody else's."""
        self._uses_crash_lock = crash_lock
        self._look_ahead = look_ahead
        self._pids = 0
        self._fates: list[tuple[Holder, dict[str, Fate]]] = []
        self._due: dict[str, int] = {}
        """When the passes that come by time come next."""
        self._is_frozen = False
        self._is_alive = False

    def live(self) -> None:
        """Start, run, and start again after each end, until the seed is over."""
        self.session.open()
        try:
            while True:
                try:
                    self._start()
                    self._run()
                except Killed:
                    self.actor.is_ending = False
                self._is_alive = False
                self.session.lose()
                self._pause(self._rng.choice((0.2, 0.5, 3.0, 14.0)))
        finally:
            self.session.close()

    @property
    def clock(self) -> float:
        """The node's boot clock."""
        return self.actor.now_us / 1e6 + self._boot

    @property
    def wall_us(self) -> int:
        """The node's wall clock, on which nothing may depend (microseconds)."""
        return self.actor.now_us + round(self.actor.skew * 1e6)

    @property
    def is_sure(self) -> bool:
        """Whether nobody else can have taken over what this node holds."""
        return self.clock < self.sure_until

    def hold_back(self, token: int, executions: Collection[str]) -> set[str]:
        """Answer a recall; a node that is dead or stands still does not."""
        memory = self.memory
        if self._is_frozen or not self._is_alive:
            return set()
        already = {each.id for _, each in memory.held_back} & set(executions)
        taken = [each for each in memory.held if each.id in executions]
        memory.held = [each for each in memory.held if each.id not in executions]
        memory.held_back += [(token, each) for each in taken]
        return already | {each.id for each in taken}

    def freeze(self, *, is_frozen: bool) -> None:
        """Stand still, or go on."""
        self._is_frozen = is_frozen

    # Starting and ending

    def _start(self) -> None:
        self._pids += 1
        while True:
            try:
                self.row = register(
                    Registration(
                        name=self.actor.name, host=self.actor.name, pid=FIRST_PID + self._pids, partition="default",
                        roles=[], allow_execution=True, workers=1, threads=SLOTS, async_slots=0,
                        heartbeat_interval=HEARTBEAT, lease=LEASE, version="0", handlers=["sim"],
                        crash_lock=self._uses_crash_lock,
                    )
                )  # fmt: skip
                break
            except (*FAULTS, NotAllowedNow):
                self._pause(1.0)
        self.last_ok = self.sure_until = 0.0
        self._steady_since = self.clock - LEASE
        self._is_failing = False
        self._locked = -1
        self._is_draining = False
        self._sightings = Sightings(lambda: self.clock)
        self._groups = ServedGroups("default", [], self.row.id)
        self._watch = Watch(self._look_ahead)
        self._due = dict.fromkeys(("beat", "claim", "judge"), self.actor.now_us)
        self._fates = []
        self.actor.wanted.clear()
        self._new_worker()
        self._is_alive = True

    def _new_worker(self) -> None:
        self._pids += 1
        self.memory = Memory(Holder(self.row.id, self.actor.name, 1, FIRST_PID + self._pids))
        in_this_process[self.memory.holder.node_id, self.memory.holder.worker_pid] = self

    def _run(self) -> None:
        while True:
            passes = self._passes()
            if self._is_draining and not self.memory.fences and not self._fates:
                self._try("stop", lambda: set_stopped(self.row.id, self.actor.name))
                return
            if not passes:
                self.actor.sleep_until(self._next_us())
                continue
            name = self._rng.choice(sorted(passes))
            if self._try(name, passes[name]) and name in _RHYTHM:
                self._due[name] = self.actor.now_us + round(_RHYTHM[name] * self._rng.uniform(0.75, 1.0) * 1e6)

    def _try(self, name: str, act: Callable[[], None]) -> bool:
        """Carry out a pass; after a fault of the database it comes again a little later."""
        if self._due.get(name, 0) > self.actor.now_us:
            return False
        try:
            act()
        except FAULTS as error:
            self.actor.scheduler.note(self.actor, f"{name} failed: {str(error).partition(chr(10))[0]}")
            self._due[name] = self.actor.now_us + round(self._rng.uniform(0.05, 0.5) * 1e6)
            return False
        return True

    def _passes(self) -> dict[str, Callable[[], None]]:
        memory, now_us = self.memory, self.actor.now_us
        possible: dict[str, Callable[[], None]] = {"beat": self._beat, "claim": self._claim, "judge": self._judge}
        if self._is_draining:
            del possible["claim"]
        if "worker" in self.actor.wanted:
            possible["worker"] = self._lose_worker
        if "drain" in self.actor.wanted:
            possible["drain"] = self._drain
        if self._fates:
            possible["rescue"] = self._rescue_worker
        if any(each.start_us <= now_us for each in memory.held) and len(memory.running) < SLOTS and self.is_sure:
            possible["begin"] = self._begin
        if any(each.ends_us <= now_us for each in memory.running):
            possible["end"] = self._end
        if memory.outcomes:
            possible["finish"] = self._finish
        if memory.held_back:
            possible["settle"] = self._settle
        if self._is_draining and (memory.held or memory.leaving):
            possible["release"] = self._release
        return {name: act for name, act in possible.items() if self._due.get(name, 0) <= now_us}

    def _next_us(self) -> int:
        memory, now_us = self.memory, self.actor.now_us
        instants = [
            *self._due.values(),
            *(each.start_us for each in memory.held),
            *(each.ends_us for each in memory.running),
        ]
        return min((each for each in instants if each > now_us), default=now_us + 100_000)

    def _pause(self, seconds: float) -> None:
        self.actor.sleep_until(self.actor.now_us + round(seconds * 1e6))

    # The supervisor

    def _beat(self) -> None:
        began, had_failed = self.clock, self._is_failing
        self._is_failing = True
        if self._uses_crash_lock and self._locked != self.session.generation and take_crash_lock(self.row.id):
            self._locked = self.session.generation
        renewed = beat(self.row.id, LEASE, Beat(0.0, len(self.memory.running), 0, 0, {}, self._is_draining))
        if renewed is None:
            # Declared dead: its workers are killed.
            raise Killed
        self.last_ok = max(self.last_ok, began)
        margin = min(LEASE_MARGIN, LEASE / 4)
        self.sure_until = self.last_ok + (2 * HEARTBEAT if self._uses_crash_lock else LEASE - margin)
        self._is_failing = False
        if had_failed or self.clock - began > HEARTBEAT:
            self._steady_since = self.clock

    @property
    def _is_steady(self) -> bool:
        beats_come = not self._is_failing and self.clock - self.last_ok < 1.5 * HEARTBEAT
        return beats_come and self.clock - self._steady_since >= LEASE

    def _judge(self) -> None:
        watched = watch_others(self.row.id, 0, self._sightings)
        if self._is_steady:
            for dead in watched.dead:
                if declare_dead(dead, "no heartbeat"):
                    rescue_node(dead.id, self.actor.now_us, f"node {dead.name} died")
        if self._rng.random() < 0.7:
            for dead in dead_with_claims():
                rescue_node(dead.id, self.actor.now_us, f"node {dead.name} died")
        else:
            rescue_expired(self.actor.now_us)

    def _lose_worker(self) -> None:
        """The worker's process ends; what had begun is known from its cells (worker/started.py)."""
        self.actor.wanted.discard("worker")
        memory = self.memory
        begun = [(each.execution, each.started_us) for each in memory.running]
        ended = [(each.execution, each.started_us) for each in memory.outcomes if each.started_us is not None]
        fates = {each.id: Fate(started_us, reason="the worker died") for each, started_us in (*begun, *ended)}
        self._fates.append((memory.holder, fates))
        self._new_worker()

    def _rescue_worker(self) -> None:
        holder, fates = self._fates[0]
        rescue_worker(holder, fates, self.actor.now_us)
        self._fates.pop(0)

    def _drain(self) -> None:
        set_draining(self.row.id)
        self.actor.wanted.discard("drain")
        self._is_draining = True

    # The worker

    def _claim(self) -> None:
        if not self.is_sure:
            self._watch.broke()
            return
        memory, now_us = self.memory, self.actor.now_us
        was_unsure, memory.is_unsure = memory.is_unsure, True
        if was_unsure:
            self._watch.broke()
            rescue_orphans(memory.holder, memory.fences, now_us)
        reading, work = self._groups.with_due_work(now_us, now_us + round(self._look_ahead * 1e6), {})
        self._watch.looked(to_microseconds(reading), is_paused=self._groups.is_paused)
        if memory.held or memory.running:
            self._end_unwanted(revoked_of(memory.holder))
        self._rng.shuffle(work)
        for item in work:
            room = 2 * SLOTS - len(memory.held) - len(memory.running)
            if room < 1:
                break
            try:
                self._claim_of(item, self._rng.randint(1, min(room, 3)))
            except FAULTS:
                raise
            except Exception as error:  # noqa: BLE001 - a group that breaks the claim must not stop the others
                self.actor.scheduler.note(self.actor, f"group {item.group.name} cannot be claimed from: {error!r}")
        memory.is_unsure = False

    def _claim_of(self, item: DueWork, limit: int) -> None:
        memory, now_us = self.memory, self.actor.now_us
        horizon_us = now_us + round(self._look_ahead * 1e6)
        if item.waiting:
            ready = claim_ready(memory.holder, item.group, now_us=now_us, horizon_us=horizon_us, limit=limit)
            self._hold(ready)
            self._check_limit(len(ready), limit)
        if item.timers:
            fired = fire_due(
                memory.holder, item.group, item.shard, item.priority, now_us=now_us, horizon_us=horizon_us,
                limit=limit, watched_since_us=self._watch.since_us,
            )  # fmt: skip
            self._hold(fired.executions)
            self._check_limit(len({each.timer_id for each in fired.executions}), limit)

    def _hold(self, executions: list[Execution]) -> None:
        # The rows of one statement come in any order: the planner's, not the seed's.
        for each in sorted(executions, key=lambda each: (each.start_us, each.id)):
            self.memory.held.append(each)
            self.actor.scheduler.note(self.actor, f"  claimed {each.name} {each.id} #{each.attempt} fence {each.fence}")

    def _check_limit(self, count: int, limit: int) -> None:
        if count > limit:
            self._records.fail("over limit", f"{self.actor.name} claimed {count} with a limit of {limit}")

    def _end_unwanted(self, unwanted: Collection[str]) -> None:
        memory = self.memory
        memory.outcomes += [never_begun(each, self.actor.now_us) for each in memory.held if each.id in unwanted]
        memory.held = [each for each in memory.held if each.id not in unwanted]
        for running in memory.running:
            if running.execution.id in unwanted:
                running.ends_us = min(running.ends_us, self.actor.now_us)
                running.execution.cancelled.set()

    def _begin(self) -> None:
        self.actor.point("effect begins")
        memory, now_us = self.memory, self.actor.now_us
        due = [each for each in memory.held if each.start_us <= now_us]
        # Asked at the last moment, and nothing comes between the answer and the effect.
        if not due or not self.is_sure:
            return
        execution = self._rng.choice(due)
        memory.held.remove(execution)
        work = find_work(execution)
        if isinstance(work, str):
            memory.outcomes.append(impossible(execution, work, now_us))
            return
        self._note_effect(execution, "begins")
        self._records.begin(execution.id, execution.name, execution.attempt, execution.fence, now_us)
        seconds = float((execution.payload or {}).get("seconds", 0.1))
        memory.running.append(Running(execution, now_us, now_us + round(seconds * 1e6)))

    def _end(self) -> None:
        self.actor.point("effect ends")
        memory, now_us = self.memory, self.actor.now_us
        # Where the lease is no longer sure the supervisor kills the worker: before it has the result, or too late.
        is_sure = self.is_sure
        if not is_sure and self._rng.random() < 0.5:
            self._lose_worker()
            return
        running = next((each for each in memory.running if each.ends_us <= now_us), None)
        if running is None:
            return
        execution = running.execution
        memory.running.remove(running)
        self._note_effect(execution, "ends")
        if is_sure:
            self._records.go_on(execution.id, execution.fence)
        memory.outcomes.append(outcome_of(execution, running.started_us, now_us))

    def _note_effect(self, execution: Execution, what: str) -> None:
        self.actor.scheduler.note(
            self.actor, f"  {what} {execution.name} {execution.id} #{execution.attempt} fence {execution.fence}"
        )

    def _finish(self) -> None:
        batch = list(self.memory.outcomes)
        finished = finish(self.memory.holder, batch, self.actor.now_us)
        kept = {id(each) for each in finished.deferred}
        gone = {id(each) for each in batch} - kept
        self.memory.outcomes = [each for each in self.memory.outcomes if id(each) not in gone]
        if kept:
            self._due["finish"] = self.actor.now_us + 50_000
        for each in finished.refused:
            self.actor.scheduler.note(self.actor, f"  refused {each.execution.name} fence {each.execution.fence}")

    def _settle(self) -> None:
        memory = self.memory
        ended = [each for token, each in list(memory.held_back) if has_ended(token)]
        if ended:
            standing = standing_of(ended)
            gone = {each.id for each in ended}
            memory.held_back = [each for each in memory.held_back if each[1].id not in gone]
            memory.held += standing.to_begin
            memory.outcomes += [never_begun(each, self.actor.now_us) for each in standing.to_end]
        self._due["settle"] = self.actor.now_us + 50_000

    def _release(self) -> None:
        memory = self.memory
        memory.leaving, memory.held = [*memory.leaving, *memory.held], []
        batch = list(memory.leaving)
        released = release(memory.holder, batch, self.actor.now_us)
        gone = {id(each) for each in batch} - {id(each) for each in released.left}
        memory.leaving = [each for each in memory.leaving if id(each) not in gone]
