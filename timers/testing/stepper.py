"""Stepper: drives a whole node in the test's own thread, one step at a time, in virtual time."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from itertools import count
from threading import Lock
from typing import Any, Final

from asgiref.sync import async_to_sync

from timers import handlers
from timers.actions.chain import ChainAction
from timers.actions.http import HttpAction
from timers.control.gone_receivers import gone_receivers, pause_gone_receivers
from timers.domain.cluster_modes import SHARED, NodeMode
from timers.engine.chores import find_chores
from timers.engine.claim import LeftReady, claim_ready
from timers.engine.due import ServedGroups
from timers.engine.execution import Execution, Holder, fire_of
from timers.engine.fence import revoked_of
from timers.engine.finish import Finished, finish
from timers.engine.fire import fire_due
from timers.engine.leadership import has_lead_groups, leads, settle
from timers.engine.nodes import Beat, Registration, beat, register
from timers.engine.orders.holds import unblock_all
from timers.engine.orders.releasing import pass_deadlines, release_orders
from timers.engine.outcome import Outcome, impossible
from timers.engine.pauses import resume_elapsed
from timers.engine.recall import in_this_process
from timers.engine.recall_answers import has_ended, standing_of
from timers.engine.release import release
from timers.engine.rescue import Rescued, rescue_node
from timers.engine.unserved import Unserved, is_known_here
from timers.handlers import Fail, Fire
from timers.models import Node
from timers.schedules.instant import from_microseconds, parse_instant, to_microseconds
from timers.testing.next_instant import next_instant
from timers.testing.savepoint import surviving_errors
from timers.testing.virtual_time import VirtualTime
from timers.worker.attempts import find_work, looked_at, never_begun, raised, returned
from timers.worker.http_faults import of_status

LEASE: Final = 10.0
"""Lease of test nodes, in seconds."""
_numbers = count(1)


def registration(name: str, *, partition: str = "default", roles: Collection[str] = (), **said: object) -> Registration:
    """Return the registration of a node with one worker; keywords override its values."""
    values: dict[str, object] = {
        "name": name, "host": "machine-1", "pid": os.getpid(), "partition": partition, "roles": list(roles),
        "allow_execution": True, "workers": 1, "threads": 8, "async_slots": 200,
        "heartbeat_interval": 2.0, "lease": LEASE, "version": "0", "handlers": handlers.names(), "crash_lock": False,
    }  # fmt: skip
    return Registration(**{**values, **said})  # type: ignore[arg-type]


class Stepper:
    """A node whose loops the test controls: claim(), run(), finish(), each one pass at the virtual now.

    It decides as a node does: instants that came while the clock was moved without a step are missed, unless an
    execution was open then. It watches from its creation on: instants before that could not be fired by any node.

    The engine functions are the real ones, including how a handler's end is processed. Handlers are called one after
    the other in the test's thread and transaction, whatever their time limit; an async one runs to its end.
    """

    def __init__(
        self,
        time: VirtualTime,
        name: str = "",
        *,
        partition: str = "default",
        roles: Collection[str] = (),
        look_ahead: float = 0,
        mode: NodeMode = SHARED,
    ) -> None:
        self.time = time
        self.look_ahead = look_ahead
        """How far ahead of their instants executions are claimed, in seconds."""
        name = name or f"stepper-{next(_numbers)}"
        self.node: Node = register(registration(name, partition=partition, roles=roles, mode=mode))
        self.holder = Holder(self.node.id, name, 1, 4711)
        self.held: list[Execution] = []
        """Executions that are claimed and not run yet."""
        self.outcomes: list[Outcome] = []
        """Outcomes that are not recorded yet."""
        self.answer: Callable[[HttpAction, Fire], int] | None = None
        """Returns a status code for http actions, instead of their targets."""
        self.skipped = 0
        """Number of occurrences that a policy skipped so far."""
        self.queued = 0
        """Number of occurrences that were queued behind another one of their timer so far."""
        self._rests_us: list[int] = []
        """Instants at which the limits of groups, all of them reached, let the next execution begin."""
        self._holding = Lock()
        """Lock for changes in other threads, which call executions back while this one steps."""
        self._held_back: list[tuple[int, Execution]] = []
        """Executions recalled by a change, with its token, until the change has ended."""
        in_this_process[self.holder.node_id, self.holder.worker_pid] = self
        self._partition, self._roles = partition, list(roles)
        self._beats = mode.is_passive
        self._groups = ServedGroups(partition, self._roles, self.node.id, mode.is_passive)
        self._watched_since_us = time.us

    def beat(self, *, draining: bool = False) -> bool:
        """Send a heartbeat, and appoint a leader of the partition if it has none.

        Return whether this node leads the partition afterwards.
        """
        beat(self.node.id, LEASE, Beat(0.0, 0, 0, 0, {}, draining))
        settle(self._partition)
        return leads(self.node.id)

    def claim(self, limit: int = 10_000, leave: Collection[str] = ()) -> list[Execution]:
        """Fire what is due and claim what is ready, in all groups. Return the claimed executions.

        Executions that only the leader may fire are claimed if this node leads its partition; if no node does, it takes
        the lead as a node would.

        Args:
            limit: maximum number of executions per claim.
            leave: handlers that this node does not know, in addition to those that are not registered at all.
        """
        if self._beats or has_lead_groups(self._partition):
            self.beat()
        now_us, came, left = self.time.us, list[Execution](), LeftReady()
        unserved = Unserved(leave, lambda name: name not in leave and is_known_here(name))
        horizon_us = now_us + round(self.look_ahead * 1_000_000)
        _, work = self._groups.with_due_work(now_us, horizon_us, {})
        for item in work:
            if item.waiting:
                came += claim_ready(
                    self.holder, item.group, now_us=now_us, horizon_us=horizon_us, limit=limit, unserved=unserved,
                    leading=item.leading, left=left, roles=self._roles,
                )  # fmt: skip
            while item.timers:
                fired = fire_due(
                    self.holder, item.group, item.shard, item.priority,
                    now_us=now_us, horizon_us=horizon_us, limit=limit, unserved=unserved,
                    watched_since_us=self._watched_since_us, leading=item.leading,
                )  # fmt: skip
                came += fired.executions
                left.rests_us += [] if fired.rest_until_us is None else [fired.rest_until_us]
                self.skipped += fired.skipped
                self.queued += fired.queued
                if not fired.computed:
                    break
        self._rests_us = left.rests_us
        with self._holding:
            self.held += came
        return came

    def run(self) -> list[Outcome]:
        """Call the handlers of all claimed executions that are due; time passes only as far as handlers move it."""
        self._settle_recalled()
        with self._holding:
            due = [execution for execution in self.held if execution.start_us <= self.time.us]
            self.held = [execution for execution in self.held if execution.start_us > self.time.us]
        ended = [self._call(execution) for execution in due]
        self.outcomes += ended
        return ended

    def finish(self) -> Finished:
        """Record the outcomes that have ended; deferred ones are kept for the next call."""
        finished = finish(self.holder, self.outcomes, self.time.us)
        self.outcomes = finished.deferred
        pause_gone_receivers(gone_receivers(finished.verdicts))
        return finished

    def step(self) -> list[Outcome]:
        """Claim, run and finish once. Return the outcomes of the attempts.

        A claimed execution that is requested to end is not run: its timer was cancelled, or its next fire replaces it.
        """
        self._drop_revoked()
        self.claim()
        ended = self.run()
        self.finish()
        return ended

    def until_idle(self) -> list[Outcome]:
        """End the pauses that are over and step until nothing is due at the present instant.

        Return the outcomes of the attempts.
        """
        resume_elapsed(self.time.now)
        while find_chores(self._partition).has_operations and (release_orders() or pass_deadlines() or unblock_all()):
            pass
        ended: list[Outcome] = []
        while True:
            before = self.skipped, self.queued
            outcomes = self.step()
            ended += outcomes
            if not outcomes and (self.skipped, self.queued) == before:
                return ended

    def advance(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> list[Outcome]:
        """Let this much time pass: everything that becomes due on the way runs at its own instant, in order.

        Return the outcomes of the attempts. (To let time pass while the node is down, move the clock:
        `node.time.advance`.)
        """
        return self.live_until(self.time.now + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds))

    def live_until(self, moment: datetime | str) -> list[Outcome]:
        """Let time pass, as advance() does, until an instant: an aware datetime, or ISO 8601 text with an offset."""
        end = parse_instant(moment, "moment")
        ended = self.until_idle()
        while (next_us := self._next_us()) is not None and next_us <= to_microseconds(end):
            self.time.set(from_microseconds(next_us))
            ended += self.until_idle()
        if end > self.time.now:  # a handler may have taken longer
            self.time.set(end)
        return ended

    def play(self, seconds: float, every: float) -> None:
        """Let this much time pass and step once `every` seconds, as a node that polls only that often."""
        end: datetime = self.time.now
        for _ in range(round(seconds / every)):
            self.time.advance(every)
            self.until_idle()
        assert (self.time.now - end).total_seconds() == round(seconds / every) * every

    def release(self) -> int:
        """Release the claimed executions that were not run, as a drain does. Return their number."""
        self._settle_recalled()
        executions, self.held = self.held, []
        released = release(self.holder, executions, self.time.us)
        self.held += released.left
        return released.given_back

    def rescue(self, dead: Stepper) -> Rescued:
        """Rescue the executions of another node, as after its death."""
        return rescue_node(dead.node.id, self.time.us, f"node {dead.node.name} died")

    def hold_back(self, token: int, executions: Collection[str]) -> set[str]:
        """Keep these from running while the token is locked. Return those that had not run."""
        with self._holding:
            recalled = [execution for execution in self.held if execution.id in executions]
            self.held = [execution for execution in self.held if execution.id not in executions]
            self._held_back += [(token, execution) for execution in recalled]
        return {execution.id for execution in recalled}

    def _settle_recalled(self) -> None:
        """Claim again what changes recalled that were rolled back, and forget what the other changes took."""
        ended = [execution for token, execution in self._held_back if has_ended(token)]
        if ended:
            standing = standing_of(ended)
            with self._holding:
                self._held_back = [each for each in self._held_back if each[1] not in ended]
                self.held += [*standing.to_begin, *standing.to_end]

    def _drop_revoked(self) -> None:
        self._settle_recalled()
        unwanted = revoked_of(self.holder) if self.held else set()
        self.outcomes += [never_begun(execution, self.time.us) for execution in self.held if execution.id in unwanted]
        self.held = [execution for execution in self.held if execution.id not in unwanted]
        if unwanted:
            # Their end lets others begin.
            self.finish()

    def _next_us(self) -> int | None:
        """Return the first instant after now at which there may be something to do."""
        now_us = self.time.us
        held = [execution.start_us for execution in self.held if execution.start_us > now_us]
        held += [rest_us for rest_us in self._rests_us if rest_us > now_us]
        coming = next_instant(self._partition, self._roles, now_us)
        return min([*held, *([] if coming is None else [coming])], default=None)

    def _call(self, execution: Execution) -> Outcome:
        work = find_work(execution)
        if isinstance(work, str):
            return impossible(execution, work, self.time.us)
        if isinstance(work, ChainAction):
            return looked_at(execution, self.time.us)
        started_us = self.time.us
        fire = fire_of(execution, self.holder.node, started_us)
        try:
            with surviving_errors():
                value: Any = None
                if isinstance(work, HttpAction):
                    self._call_target(work, fire)
                else:
                    # An async handler's ORM calls stay in this thread, and so in the test's transaction.
                    value = async_to_sync(work.function)(fire) if work.is_async else work.function(fire)
        except Exception as error:  # noqa: BLE001 - as in a worker: whatever it raises is its outcome
            return raised(execution, error, started_us, self.time.us)
        return returned(execution, value, started_us, self.time.us)

    def _call_target(self, action: HttpAction, fire: Fire) -> None:
        if self.answer is None:
            raise Fail("a stepper makes no calls: say in its `answer` what the target answers")
        status = self.answer(action, fire)
        if not action.is_success(status):
            raise of_status(action, status, "", {}, self.time.us / 1_000_000)
