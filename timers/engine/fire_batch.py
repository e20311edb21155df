"""Batch: the decisions of one fire about due timers, collected row by row and written together."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

from timers.domain.execution_id import execution_id, occurrence_of
from timers.domain.payload import decode, storable
from timers.domain.policies import Policies
from timers.engine import ledger, waiting_rows
from timers.engine.allowance import Allowance
from timers.engine.decide import Chosen, Decision, Due, decide
from timers.engine.delete_finished import delete_finished
from timers.engine.due_timer import DueTimer
from timers.engine.execution import AnyHolder, Execution, ServedGroup
from timers.engine.fence import insert_claim
from timers.engine.fired import MAX_ROWS, Fired
from timers.engine.moved import Moved, finish_one_shots, move_on
from timers.engine.parked import room_for_parked
from timers.engine.queued import MADE_UP, NONE_QUEUED, Queued, queued_behind
from timers.engine.replace import drop_queue, make_way
from timers.engine.subscribers import NOBODY, Subscriber, matching, receivers
from timers.engine.take_within import Work
from timers.engine.unfired import without_fires
from timers.engine.waiting_rows import WaitingRow
from timers.engine.wakeup import wake_if_soon
from timers.models.subscription import MAX_PARKED
from timers.schedules.instant import from_microseconds, to_microseconds
from timers.schedules.limited import Uncomputed, remembering


class Batch:
    """The decisions of one transaction, collected row by row and written together."""

    def __init__(
        self,
        group: ServedGroup,
        now_us: int,
        takes: Collection[int],
        watched_since_us: int | None = None,
        allowance: Allowance | None = None,
        most: int | None = None,
        *,
        leave_fires: bool = False,
    ) -> None:
        """Create a batch without decisions.

        Args:
            group: the group of the timers.
            now_us: the current instant by the group's clock (microseconds).
            takes: the subscriptions whose executions are claimed.
            watched_since_us: since when this node looks at the group without a break; None: always.
            allowance: what the limits of the group let this transaction claim; None: it has no limits.
            most: maximum number of claimed executions, where there is an allowance.
            leave_fires: nobody takes executions now; what would run, or cannot be read, stays due.
        """
        self._group = group
        self._now_us = now_us
        self._watched_since_us = watched_since_us
        self._takes = frozenset(takes)
        self._allowance = allowance
        self._most = most
        self._leave_fires = leave_fires
        self.executions: list[Execution] = []
        self.for_others: list[Execution] = []
        """Executions for subscriptions that others serve, or that are paused."""
        self.queued: list[Execution] = []
        self.made_up: set[str] = set()
        """Those of the queued executions that make up for missed instants."""
        self.skips: list[ledger.Skip] = []
        self._one_shots: list[int] = []
        self._moved: list[Moved] = []
        self._over: list[int] = []
        """Timers whose last instants were skipped, and that are not to be kept."""
        self._replacing: dict[str, tuple[Moved, str]] = {}
        """The open execution to be replaced -> its timer, and the replacing execution."""
        self._without_queue: list[int] = []
        """Timers whose queue is dropped, except for executions that make up for missed instants."""
        self._behind: dict[int, Queued] | None = None
        self._room: dict[int, int] | None = None

    @property
    def is_full(self) -> bool:
        """Whether the rest should be left to the next transaction."""
        allowance, most = self._allowance, self._most
        if allowance is not None and (allowance.most < 1 or (most is not None and len(self.executions) >= most)):
            return True
        return len(self.executions) + len(self.for_others) + len(self.queued) + len(self.skips) >= MAX_ROWS

    @property
    def moved(self) -> int:
        """Number of timers that were decided about."""
        return len(self._one_shots) + len(self._moved)

    @property
    def is_limited(self) -> bool:
        """Whether timers may have to be passed over."""
        return self._allowance is not None

    def passes_over(self, row: DueTimer) -> bool:
        """Return whether a timer is left because nothing of its limit key may be claimed now."""
        return self._allowance is not None and self._allowance.room_of(row.limit_key) < 1

    def take(self, row: DueTimer, rows: list[DueTimer]) -> Work | None:
        """Decide about one due timer; return work to be computed first, without a lock: the timer stays due.

        `rows` is the whole batch; the queues of all its timers are counted at once.
        """
        leave_fires = self._leave_fires
        try:
            policies = row.policies(self._group)
            matches = self._matching(row) if self._group.subscribers else None
            unwanted = NOBODY if matches == () else ""
            plain = not row.follows and not row.jitter and not unwanted and row.open_execution is None
            if plain and _fires_anyway(policies, self._now_us - (nominal_us := row.nominal_us)):
                if not leave_fires:
                    self._hand_out(self._made(row, Chosen(nominal_us), matches))
                    self._one_shots.append(row.id)
                return None
            due = row.due(self._group, policies, self._queued_behind(row, rows), unwanted, self._watched_since_us)
            decision = decide(due, policies, self._now_us - row.offset_us)
            left = without_fires(decision, due) if leave_fires else decision
        except Uncomputed:
            return partial(_compute, due, policies, self._now_us - row.offset_us, leave_fires=leave_fires)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one row must not stop the batch
            if not leave_fires:
                self._park(row, error)
            return None
        if left is not None:
            self._carry_out(row, policies, left, matches)
        return None

    def write(self, holder: AnyHolder, real_us: int) -> None:
        """Write all decisions; `real_us` is the current instant of the database clock."""
        ready = self._make_way()
        drop_queue(self._without_queue)
        finish_one_shots(self._one_shots)
        move_on(self._moved)
        waiting_rows.insert(
            [
                WaitingRow(
                    execution,
                    "ready" if ready and occurrence_of(execution.id) in ready else "queued",
                    execution.available_us,
                    0,
                    0,
                    MADE_UP if execution.id in self.made_up else "",
                )
                for execution in self.queued
            ]
            + [WaitingRow(execution, "ready", execution.available_us, 0, 0) for execution in self.for_others],
            real_us,
        )
        if self.for_others:
            now = from_microseconds(self._now_us)
            wake_if_soon([now], now)
        insert_claim(holder, self._group, self.executions, real_us)
        ledger.write_skips(self.skips, self._now_us)
        delete_finished(self._over)

    def tell(self, fired: Fired, shift_us: int) -> None:
        """Add what was written to the result; `shift_us`: how far the group's clock is ahead of the database clock."""
        fired.looks_us += [each.next_us - shift_us for each in self._moved if each.next_us is not None and each.fires]
        fired.executions += self.executions
        fired.skipped += len(self.skips)
        fired.queued += len(self.queued) + len(self.for_others)

    def _matching(self, row: DueTimer) -> tuple[Subscriber, ...] | None:
        """Return the subscriptions that a timer is for; None: it has its own action, or is poison and fails alone."""
        if row.action is not None:
            return None
        try:
            is_asked = any(each.filter.payload for each in self._group.subscribers)
            payload = decode(row.payload) if is_asked and row.payload is not None else None
        except Exception:  # noqa: BLE001 - as above; its execution says what is wrong
            return None
        return matching(self._group.subscribers, row.tags, payload)

    def _made(self, row: DueTimer, chosen: Chosen, matches: Sequence[Subscriber] | None) -> list[Execution]:
        """Return the executions of one occurrence: one, or one for each subscription that receives it."""
        execution = row.execution(self._group, chosen)
        if matches is None or execution.poison:
            return [execution]
        return [execution.handed_to(subscriber) for subscriber in receivers(matches, execution.id)]

    def _hand_out(self, executions: Sequence[Execution], *, awaited: bool = False) -> None:
        """Claim what this holder takes; the rest, including what exceeds the group's limits, becomes ready in waiting.

        `awaited`: the timer advances at their end.
        """
        allowance, takes = self._allowance, self._takes
        for execution in executions:
            is_wanted = execution.subscription in takes or execution.poison
            if is_wanted and (allowance is None or allowance.take(execution) or execution.poison):
                self.executions.append(execution)
            elif awaited or self._has_room(execution):
                self.for_others.append(execution)
            else:
                reason = f"its subscription is paused, and {MAX_PARKED:,} executions wait for it"
                self.skips.append(_skip(execution, reason))

    def _has_room(self, execution: Execution) -> bool:
        """Return whether it may wait: the number of waiting executions of a paused subscription is limited."""
        subscriber = self._group.subscriber(execution.subscription)
        if subscriber is None or subscriber.is_active:
            return True
        if self._room is None:
            self._room = room_for_parked(self._group)
        left = self._room[subscriber.ordinal] = self._room[subscriber.ordinal] - 1
        return left >= 0

    def _carry_out(
        self,
        row: DueTimer,
        policies: Policies,
        decision: Decision,
        matches: Sequence[Subscriber] | None,
    ) -> None:
        self.skips += [
            ledger.Skip(
                execution_id(at, row.id),
                self._group.id,
                row.id,
                row.name,
                at,
                row.reason_to_skip(reason),
                count,
            )
            for at, reason, count in decision.skipped
        ]
        fires = [execution for chosen in decision.fires for execution in self._made(row, chosen, matches)]
        made_up = [each for chosen in decision.queued[: decision.made_up] for each in self._made(row, chosen, matches)]
        others = [each for chosen in decision.queued[decision.made_up :] for each in self._made(row, chosen, matches)]
        queued = [*made_up, *others]
        self.made_up.update(execution.id for execution in made_up)
        next_us = None if decision.next_us is None else decision.next_us + row.offset_us
        for execution in fires:
            execution.next_us = next_us
        self._hand_out(fires, awaited=row.waits_for_end)
        self.queued += queued
        open_execution = None if row.open_execution is None else str(row.open_execution)
        # Other subscribers continue while one is paused; only a timer that follows nothing else waits for it.
        goes_on = matches is None or any(subscriber.is_active for subscriber in matches)
        if fires and row.follows and (row.waits_for_end or (goes_on and policies.overlap_policy != "allow")):
            open_execution = occurrence_of(fires[0].id)
        chosen = [*decision.fires, *decision.queued]
        moved = Moved(
            id=row.id,
            next_us=next_us,
            fired_us=max(at for at, _ in chosen) if chosen else None,
            fires=len(chosen),
            state="finished" if decision.finished else "active",
            open_execution=open_execution,
        )
        self._moved.append(moved)
        if decision.finished and not chosen and policies.on_finish == "delete":
            self._over.append(row.id)
        if decision.replaces_queued:
            self._without_queue.append(row.id)
        if decision.replaces:
            assert open_execution is not None  # only an open execution can be replaced
            self._replacing[open_execution] = moved, occurrence_of(queued[0].id)

    def _park(self, row: DueTimer, error: Exception) -> None:
        """Fail this occurrence with the reason and pause the timer: its instants cannot be computed."""
        execution = row.execution(self._group, Chosen(row.nominal_us))
        execution.poison = execution.poison or storable(f"the timer cannot be read: {error}")
        if self._allowance is not None:
            self._allowance.take(execution)
        self.executions.append(execution)
        if not row.follows:
            self._one_shots.append(row.id)
            return
        execution.follows = False
        # One microsecond later: this instant is fired, and an instant is never fired twice.
        next_us = to_microseconds(row.next_fire_at) + 1
        open_execution = None if row.open_execution is None else str(row.open_execution)
        self._moved.append(Moved(row.id, next_us, row.nominal_us, 1, "paused", open_execution, execution.poison))

    def _queued_behind(self, row: DueTimer, rows: list[DueTimer]) -> Queued:
        if row.open_execution is None:
            return NONE_QUEUED
        if self._behind is None:
            self._behind = queued_behind([other.id for other in rows if other.open_execution is not None])
        return self._behind.get(row.id, NONE_QUEUED)

    def _make_way(self) -> set[str]:
        """Replace open executions; return successors that may start now: the replaced one waited for a retry."""
        if not self._replacing:
            return set()
        ready: set[str] = set()
        timers = {open_execution: moved.id for open_execution, (moved, _) in self._replacing.items()}
        for gone in make_way(timers, self._group):
            moved, successor = self._replacing[gone]
            moved.open_execution = successor
            ready.add(successor)
        if ready:
            now = from_microseconds(self._now_us)
            wake_if_soon([now], now)
        return ready


def _compute(due: Due, policies: Policies, now_us: int, *, leave_fires: bool) -> None:
    """Decide without using the decision, so that the results of its computations are cached."""
    due = replace(due, schedule=remembering(due.schedule))
    decision = decide(due, policies, now_us)
    if leave_fires:
        without_fires(decision, due)


def _skip(execution: Execution, reason: str) -> ledger.Skip:
    return ledger.Skip(
        execution.id, execution.group.id, execution.timer_id, execution.name, execution.scheduled_us, reason,
        execution.missed_count,
    )  # fmt: skip


def _fires_anyway(policies: Policies, late_us: int) -> bool:
    """Whether a one-shot fires whatever the policies are: by far the most do, and need no decision."""
    return (
        late_us <= policies.misfire_grace * 1_000_000
        and policies.max_lateness is None
        and not policies.exclusion_calendars
    )
