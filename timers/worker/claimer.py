"""The claimer: claims as much work as this worker can use soon, slightly ahead of its time, fairly over the groups."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Final

from timers import handlers
from timers.clock import DatabaseClock, boot_time
from timers.conf import Conf
from timers.engine.claim import LeftReady, claim_ready
from timers.engine.clock_step import ClockWatch
from timers.engine.cpu_budget import CpuBudget, budget_of_group
from timers.engine.due import DueWork, Part, ServedGroups, overdue_us
from timers.engine.execution import Execution, Holder, ServedGroup
from timers.engine.fence import revoked_of
from timers.engine.fire import fire_due
from timers.engine.fired import Fired
from timers.engine.group_limits import makes_room
from timers.engine.nodes import handlers_elsewhere, live_peers, position_among
from timers.engine.rescue import rescue_orphans
from timers.engine.step_detector import ClockReading
from timers.engine.unserved import Unserved
from timers.schedules.instant import to_microseconds
from timers.worker.agenda import Agenda
from timers.worker.capacity import MAX_HELD, Capacity
from timers.worker.in_flight import Started
from timers.worker.left_marks import LeftMarks
from timers.worker.limited import Limited
from timers.worker.loop import Loop, is_database_fault
from timers.worker.next_look import NextLook
from timers.worker.next_steps import NextSteps
from timers.worker.options import NodeOptions
from timers.worker.relief import Relief
from timers.worker.shard_preferences import ShardPreferences
from timers.worker.sharing import Sharing
from timers.worker.watch import Watch

logger = logging.getLogger(__name__)

FULL_SCAN_SECONDS: Final = 5.0
"""Maximum seconds between reads of the due index from its start, for rows committed late below the low mark."""
HANDLERS_SECONDS: Final = 5.0
UNSURE_SECONDS: Final = 0.1
HELD_SECONDS: Final = 0.25
"""Seconds between polls while a step of the database clock stops all claims."""
OUTCOMES_SECONDS: Final = 0.4
"""Seconds after a database error during which all workers record earlier outcomes first: an ended execution then no
longer counts as open when the instants that came meanwhile are decided.
"""
LONGEST_OUTCOMES_SECONDS: Final = 2.0
UNRECORDED_SECONDS: Final = 0.05


class Claimer:
    """Polls for due work, claims it and passes it to the agenda. Polling is authoritative; wakes shorten the wait."""

    def __init__(
        self,
        holder: Holder,
        options: NodeOptions,
        settings: Conf,
        clock: DatabaseClock,
        started: Started,
        capacity: Capacity,
        sharing: Sharing,
        agenda: Agenda,
        revoke: Callable[[set[str]], None],
        relief: Relief | None = None,
        unrecorded: Callable[[], int] | None = None,
        clock_reading: ClockReading | None = None,
        next_steps: NextSteps | None = None,
    ) -> None:
        """Create the claimer; nothing is claimed before its loop starts.

        Args:
            unrecorded: returns the number of this worker's outcomes not recorded yet; None: none are recorded.
            clock_reading: a reading of the supervisor, with which the first reading here is compared; None: none.
            next_steps: the claims of the recorder; None: it makes none.
        """
        self._holder = holder
        self._settings = settings
        self._clock = clock
        self._started = started
        self._capacity = capacity
        self._sharing = sharing
        self._agenda = agenda
        self._revoke = revoke
        self._relief = relief
        self._unrecorded = unrecorded
        self._next_steps = next_steps
        self._answered_at: float | None = None
        """time.monotonic() of the first successful statement after an error; None: there was no error."""
        self._revoked_read_at = 0.0
        self._partition = options.partition
        self._clock_watch = ClockWatch(settings, holder.node, clock_reading)
        self._looked_by_old_clock = False
        self._groups = ServedGroups(options.partition, options.roles, holder.node_id, options.mode.is_passive)
        self._shards = ShardPreferences(holder.node_id, options.partition)
        self._low_marks: dict[Part, int] = {}
        self._watch = Watch(settings.look_ahead)
        self._full_scan_at = 0.0
        self._unserved = Unserved()
        self._unserved_read_at = -HANDLERS_SECONDS
        self._left_marks = LeftMarks()
        self._next_look = NextLook(settings)
        self._limited = Limited()
        self._turn = 0
        self._hungry = False
        self._unsure = False
        self._has_lost_lead = False
        self.skipped = 0
        self.loop = Loop("claimer", self.step)

    @property
    def held(self) -> int:
        """Number of executions that are claimed, and neither recorded nor released."""
        return self._capacity.held

    def no_longer_held(self, executions: Collection[Execution]) -> None:
        """Remove executions that were recorded or released, so that there is room for others."""
        self._capacity.remove(executions)
        # If notifications do not arrive, a worker still learns from its own outcomes that a limit has room again.
        if (self._hungry and self.held <= MAX_HELD // 2) or makes_room(executions, self._groups.as_known):
            self.loop.wake()

    def notice(self) -> None:
        """Poll now: a notification came, to this worker as to all others."""
        self._next_look.notice()
        self.loop.wake()

    def look_at(self, instants_us: Sequence[int]) -> None:
        """Poll now if one of these instants, at which timers are due next, is within the look-ahead."""
        if min(instants_us) <= self._clock.now_us() + self._next_look.ahead_us:
            self.loop.wake()

    @property
    def is_paused(self) -> bool:
        """Whether the whole cluster was paused at the last poll."""
        return self._groups.is_paused

    def hold(self, executions: Sequence[Execution]) -> None:
        """Begin executions that this worker claimed, at their instants."""
        if executions:
            self._capacity.add(executions)
            self._agenda.add(executions)

    def take_lost_lead(self) -> bool:
        """Return whether this node has lost the lead of its partition since the last call."""
        lost, self._has_lost_lead = self._has_lost_lead, False
        return lost

    def is_led(self, group: ServedGroup) -> bool:
        """Return whether only the leader of the partition may claim from a group."""
        return self._groups.is_led(group)

    def step(self) -> float:
        """Make one pass over the groups with due work. Return the seconds to the next pass."""
        # Until this pass is complete, a claim may be committed whose response is lost with the connection.
        if not self._started.lease_is_sure:
            self._watch.broke()
            return UNSURE_SECONDS
        next_steps = self._next_steps
        was_unsure, self._unsure = self._unsure or (next_steps is not None and next_steps.is_unsure), True
        if was_unsure:
            self._watch.broke()
            self._give_orphans_back()
            if self._is_early():
                return UNRECORDED_SECONDS
        delay = self._pass()
        self._unsure, self._answered_at = False, None
        if next_steps is not None:
            next_steps.is_allowed = not self._hungry
        return delay

    def _is_early(self) -> bool:
        """Return whether outcomes from before a database error are still to be recorded."""
        if self._unrecorded is None:
            return False
        now = time.monotonic()
        if self._answered_at is None:
            self._answered_at = now
        waited = now - self._answered_at
        return waited < OUTCOMES_SECONDS or (self._unrecorded() > 0 and waited < LONGEST_OUTCOMES_SECONDS)

    def _pass(self) -> float:
        self._refresh_marks_and_handlers()
        now_us = self._clock.now_us()
        horizon_us = now_us + self._next_look.ahead_us
        sent = boot_time()
        low_marks = self._left_marks.over(self._low_marks)
        led, of_others = self._groups.leading is not None, self._shards.of_others
        reading, work = self._groups.with_due_work(now_us, horizon_us, low_marks, of_others)
        self._has_lost_lead |= led and self._groups.leading is None
        if self._is_held(reading, sent):
            self._looked_by_old_clock = True
            self._watch.broke()
            self._look_for_revoked()
            return HELD_SECONDS
        self._clock.set(reading)
        if self._looked_by_old_clock:
            # What this poll found is due by the clock before the step.
            self._looked_by_old_clock = False
            self._limited.end_rests()
            return 0
        self._watch.looked(to_microseconds(reading), is_paused=self._groups.is_paused)
        self._forget_marks_of_idle(work)
        self._shards.renew(group for group in self._groups.known if not self._groups.is_led(group))
        self._look_for_revoked()
        if self._relief is not None:
            self._relief.step()
        if not work:
            self._next_look.nothing_due()
            self._hungry = False
        claimed = self._claim_in_turn(work, now_us, horizon_us) if work else 0
        if self._hungry and claimed:
            return 0
        return self._next_look.seconds(self._clock.now_us())

    def _is_held(self, reading: datetime, sent: float) -> bool:
        """Return whether a clock step stops claims; until they resume, claimed executions follow the old clock."""
        if self._groups.is_virtual:
            return self._groups.is_held
        return self._clock_watch.stepped(reading, sent, boot_time()) or self._groups.is_held

    def _claim_in_turn(self, work: Sequence[DueWork], now_us: int, horizon_us: int) -> int:
        """Give each group an equal share of the room, in rotating order within its priority."""
        self._hungry = False
        self._turn += 1
        by_priority: dict[tuple[int, int], list[DueWork]] = {}
        work = self._limited.awake(work, now_us)
        for item in work:
            by_priority.setdefault((item.group.priority, item.priority), []).append(item)
        # Work for which this worker has no room needs no sharing.
        startable = [item for item in work if self._capacity.room(item.group, 1) > 0]
        left = self._unserved.names
        parts = self._sharing.parts(startable, now_us, horizon_us, left, self._left_marks.low_us) if startable else {}
        claimed, in_vain, looks_for_idle = 0, False, self._next_look.begin_idle()
        budgets: defaultdict[int, CpuBudget] = defaultdict(budget_of_group)
        for items in by_priority.values():
            start = self._turn % len(items)
            for position, item in enumerate(items[start:] + items[:start]):
                sharers = len(items) - position
                room, until_us = self._capacity.room(item.group, sharers), horizon_us
                if room < 1 and looks_for_idle:
                    # Due work does not wait while a thread is idle, even if executions claimed ahead will need the
                    # thread.
                    room, until_us = self._capacity.room_now(item.group, sharers), now_us
                    self._next_look.has_idle |= room > 0
                budget = budgets[item.group.id]
                if room < 1 or budget.is_spent:
                    self._hungry = True
                    continue
                part, weight = parts.get(item.part), self._capacity.weight(item.group.id)
                limit = min(room, item.group.max_batch, room if part is None else part.room(weight, sharers))
                if limit < 1:
                    continue
                before, in_vain = self.held, in_vain or until_us == horizon_us
                claimed += self._claim_or_log(item, now_us, until_us, limit, budget)
                if part is not None:
                    part.take(self.held - before, weight)
                    if item.part in self._limited.parts:
                        part.leave_to_limits(item.part, self.held - before)
        if claimed:
            self._next_look.claimed()
        self._next_look.leave_to_others(parts, now_us, in_vain=in_vain and not claimed)
        if self._unserved.names != left:
            self.loop.wake()
        return claimed

    def _claim_or_log(self, item: DueWork, now_us: int, horizon_us: int, limit: int, budget: CpuBudget) -> int:
        """Claim from a group; an error in its rows is logged and must not stop the groups after it."""
        try:
            with budget:
                return self._claim(item, now_us, horizon_us, limit, budget)
        except Exception as error:
            if is_database_fault(error):
                raise
            logger.exception("group %s cannot be claimed from", item.group.name)
            return 0

    def _claim(self, item: DueWork, now_us: int, horizon_us: int, limit: int, budget: CpuBudget) -> int:
        executions: list[Execution] = []
        if item.waiting and not self._left_marks.is_resting(item.group.id):
            begun, unclaimed = time.monotonic(), LeftReady()
            executions += claim_ready(
                self._holder, item.group, now_us=now_us, horizon_us=horizon_us, limit=limit, unserved=self._unserved,
                leading=item.leading, left=unclaimed, roles=self._groups.roles,
            )  # fmt: skip
            if self._unserved.names and len(executions) < limit:
                self._left_marks.rest(item.group.id, time.monotonic() - begun)
            self._hungry |= len(executions) == limit
            if unclaimed.is_limited and not item.timers:
                self._limited.parts.add(item.part)
            self._rest(item, unclaimed.rests_us, now_us)
            self._next_look.add(unclaimed.looks_us, now_us)
            self.hold(executions)
        left = limit - len(executions)
        if item.timers and left > 0:
            begun = time.monotonic()
            if item.is_preferred_elsewhere:
                horizon_us = overdue_us(now_us)
            fired = fire_due(
                self._holder, item.group, item.shard, item.priority, now_us=now_us, horizon_us=horizon_us, limit=left,
                low_us=self._left_marks.above(item.part, self._low_marks.get(item.part)), unserved=self._unserved,
                watched_since_us=self._watch.since_us, budget=budget, leading=item.leading,
            )  # fmt: skip
            # If timers are being moved into this shard, there may be new ones below the mark.
            if self._unserved.names and not fired.more and not item.group.is_moving and not item.group.limits:
                self._left_marks.set(item.part, item.group.clock.at(now_us), time.monotonic() - begun)
            self._after_fire(item, fired, now_us)
            self.hold(fired.executions)
            # Instants that were only computed count too: the next pass continues with them at once.
            return len(executions) + len(fired.executions) + fired.queued + fired.skipped + fired.computed + fired.left
        return len(executions)

    def _after_fire(self, item: DueWork, fired: Fired, now_us: int) -> None:
        self.skipped += fired.skipped
        if fired.is_stale:
            self.loop.wake()
        self._hungry |= fired.more
        if fired.is_limited:
            self._limited.parts.add(item.part)
            self._rest(item, [] if fired.rest_until_us is None else [fired.rest_until_us], now_us)
        if fired.more and not item.group.is_moving and not item.group.limits.is_keyed:
            self._low_marks[item.part] = fired.last_us
        else:
            self._low_marks.pop(item.part, None)
        self._next_look.add(fired.looks_us, now_us)

    def _rest(self, item: DueWork, until_us: Sequence[int], now_us: int) -> None:
        for instant_us in until_us:
            self._limited.rest(item.group, instant_us)
            self._next_look.add([instant_us], now_us)

    def _give_orphans_back(self) -> None:
        next_steps = self._next_steps
        with nullcontext() if next_steps is None else next_steps.claiming:
            rescued = rescue_orphans(self._holder, self._capacity.fences, self._clock.now_us())
            if next_steps is not None:
                next_steps.is_unsure = False
        if rescued.total:
            logger.warning("gave %d executions back whose claim was committed unheard", rescued.total)

    def _refresh_marks_and_handlers(self) -> None:
        now = time.monotonic()
        if now >= self._full_scan_at:
            self._low_marks.clear()
            self._full_scan_at = now + FULL_SCAN_SECONDS
        if now - self._unserved_read_at >= HANDLERS_SECONDS:
            peers = live_peers(self._partition)
            self._unserved.renew(handlers_elsewhere(handlers.names(), peers))
            self._next_look.position = position_among(peers, self._holder.node_id, self._holder.worker)
            self._unserved_read_at = now

    def _look_for_revoked(self) -> None:
        """Find executions that this worker must end, in case no notification arrived."""
        now = time.monotonic()
        if self.held and now - self._revoked_read_at >= self._settings.poll_interval:
            self._revoked_read_at = now
            if revoked := revoked_of(self._holder):
                self._revoke(revoked)

    def _forget_marks_of_idle(self, work: Sequence[DueWork]) -> None:
        """Remove marks above which nothing is due: the next pass reads below them again."""
        if self._low_marks:
            busy = {item.part for item in work if item.timers}
            for key in self._low_marks.keys() - busy:
                del self._low_marks[key]
