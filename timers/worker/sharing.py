"""Sharing: this worker's part of a burst of slow or unknown work, so that it does not fill the first worker.

Quick work is not shared: the first worker that polls finishes it before the others would have begun.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from timers import clock
from timers.domain.cluster_modes import LEAD
from timers.engine.due import DueWork
from timers.engine.execution import Execution, Holder, ServedGroup
from timers.engine.load import Due, WorkerLoad, WorkerLoads, count_due
from timers.engine.stats import recent_run_seconds
from timers.worker.capacity import ROUNDING, Capacity, Slots
from timers.worker.fair_part import Occupied, fair_parts
from timers.worker.run_time_mean import Pace

BRIEF_SECONDS: Final = 0.05
"""A batch that one worker finishes within this time is not shared."""
LATE_SECONDS: Final = 0.1
"""Work left for this time after its instant is taken by any worker with room: its worker may have ended."""
LATE_PAUSE_SECONDS: Final = 0.03
"""Seconds between takes of such late work, each of a fair part, so that workers that are only slow still get theirs."""
ALONE_SECONDS: Final = 1.0
"""A worker that found no other worker does not search again for this time."""
SATURATED_SECONDS: Final = 0.1
"""Nothing is counted for this time after more was due than all free slots: each worker takes what it has room for."""
LEARN_SECONDS: Final = 5.0
"""Seconds between look-ups of the run time of a group that is unknown here."""


Parts = dict[tuple[int, int, int], "Part"]
"""A worker's part by group, shard and priority."""


@dataclass(slots=True, eq=False)
class Part:
    """This worker's part of the due work for one set of workers, shared by the groups that they serve."""

    left: float
    """Slots' worth that it may still take."""
    late: float
    """Slots' worth of the work that others should have taken by now: this worker's part of it."""
    due: int
    """Number of due executions, for all workers; those in excess of all free slots may not be counted."""
    first_us: int
    """Their earliest instant, by the database's clock."""
    others_are_free: bool
    is_saturated: bool
    """Whether more is due than all free slots."""
    due_of: dict[tuple[int, int, int], int]
    """Number of due executions in each group, shard and priority."""
    taken: int = 0
    """Number of executions that were taken of it."""

    def room(self, weight: float, sharers: int) -> int:
        """Return how many executions one of `sharers` groups may take, if each occupies `weight` of a slot."""
        return math.ceil(self.left / weight / sharers - ROUNDING) if weight > 0 else self.due

    def take(self, count: int, weight: float) -> None:
        """Count executions that were taken."""
        self.left -= count * weight
        self.taken += count

    def leave_to_limits(self, part: tuple[int, int, int], taken: int) -> None:
        """Count as taken what is left in a group at its limit, because no other worker may take it either.

        Args:
            part: the group, shard and priority.
            taken: how many of its executions were taken.
        """
        self.taken += max(self.due_of.pop(part, 0) - taken, 0)


class Sharing:
    """Computes the parts of one worker; see the module's docstring."""

    def __init__(self, holder: Holder, partition: str, pace: Pace, capacity: Capacity) -> None:
        self._holder = holder
        self._pace = pace
        self._capacity = capacity
        self._loads = WorkerLoads(partition)
        self._alone_until = 0.0
        self._saturated_until = 0.0
        self._late_from = 0.0
        self._slots: dict[int, Slots] = {}
        self._learned: dict[int, float] = {}

    def parts(
        self,
        work: Sequence[DueWork],
        now_us: int,
        horizon_us: int,
        left: Collection[str] = (),
        low_us: Mapping[tuple[int, int, int], int] | None = None,
    ) -> Parts:
        """Return this worker's part by item of work; missing items are not shared.

        Args:
            work: the items.
            now_us: current time, in microseconds by the database's clock.
            horizon_us: the end of the look-ahead.
            left: handlers whose work is for other nodes.
            low_us: instants below which there is only such work.
        """
        self._learn([item.group.id for item in work])
        shared = [item for item in work if not self._is_brief(item)]
        now = time.monotonic()
        if not shared or now < self._alone_until or now < self._saturated_until:
            return {}
        loads = self._read_loads()
        if not any(self._is_other(load) for load in loads):
            self._alone_until = now + ALONE_SECONDS
            return {}
        parts: Parts = {}
        takes_late = now >= self._late_from
        for (slots, members), items in self._by_workers(shared, loads).items():
            count = partial(count_due, left=left, low_us=low_us or {})
            part, counted = self._part([loads[member] for member in members], slots, items, now_us, horizon_us, count)
            if takes_late and part.late:
                part.left = max(part.left, part.late)
                self._late_from = now + LATE_PAUSE_SECONDS
            parts |= {item.part: part for item in counted}
        if parts and all(part.is_saturated for part in parts.values()):
            self._saturated_until = now + SATURATED_SECONDS
        return parts

    def startable_elsewhere(self, executions: Sequence[Execution], slots: Slots) -> set[str]:
        """Return the executions that can start at once on another live worker, allotted in the given order."""
        others = [load for load in self._read_loads() if self._is_other(load)]
        free = [self._occupied(load, slots).free + ROUNDING for load in others]
        found: set[str] = set()
        for execution in executions:
            weight = self._capacity.weight(execution.group.id)
            for number, load in enumerate(others):
                is_elsewhere = execution.group.placement == LEAD and load.node_id != self._holder.node_id
                if free[number] >= weight and not is_elsewhere and _can_run(load, execution):
                    free[number] -= weight
                    found.add(execution.id)
                    break
        return found

    def _read_loads(self) -> list[WorkerLoad]:
        loads = self._loads.read()
        self._learn([group_id for load in loads for group_id, _ in load.held])
        return loads

    def _is_brief(self, item: DueWork) -> bool:
        """Return whether this worker runs a whole batch at once, so that sharing would not finish it sooner."""
        seconds = self._pace.seconds(item.group.id)
        width = self._capacity.slots[self._capacity.slots_for(item.group)]
        return seconds * item.group.max_batch <= BRIEF_SECONDS * width

    def _is_other(self, load: WorkerLoad) -> bool:
        return (load.node_id, load.worker) != (self._holder.node_id, self._holder.worker)

    def _by_workers(
        self, shared: Sequence[DueWork], loads: Sequence[WorkerLoad]
    ) -> dict[tuple[Slots, tuple[int, ...]], list[DueWork]]:
        """Return the items by the slots that they need and the workers (positions in `loads`) that serve them."""
        found: dict[tuple[Slots, tuple[int, ...]], list[DueWork]] = {}
        for item in shared:
            slots = self._slots[item.group.id] = self._capacity.slots_for(item.group)
            members = tuple(number for number, load in enumerate(loads) if self._takes(load, item))
            found.setdefault((slots, members), []).append(item)
        return found

    def _takes(self, load: WorkerLoad, item: DueWork) -> bool:
        """Return whether a worker takes work of an item now.

        Of a shard that this node prefers, only its own workers do.
        """
        is_own_shard = item.group.shards > 1 and not item.is_preferred_elsewhere and not item.waiting
        return not (is_own_shard and load.node_id != self._holder.node_id) and self._serves(load, item.group)

    def _serves(self, load: WorkerLoad, group: ServedGroup) -> bool:
        if not self._is_other(load):
            return True
        if group.placement == LEAD and load.node_id != self._holder.node_id:
            return False
        profile = load.profile
        return group.required_roles <= profile.roles and (not group.handler or group.handler in profile.handlers)

    def _part(
        self,
        loads: Sequence[WorkerLoad],
        slots: Slots,
        items: Sequence[DueWork],
        now_us: int,
        horizon_us: int,
        count: Callable[[Sequence[DueWork], int, int, int, int], list[Due]],
    ) -> tuple[Part, list[DueWork]]:
        """Return the part of a set of items, and those items that could be counted."""
        others = [self._occupied(load, slots) for load in loads if self._is_other(load)]
        own = Occupied(self._capacity.slots[slots], self._capacity.taken(slots))
        weights = [self._capacity.weight(item.group.id) for item in items]
        free = own.free + sum(other.free for other in others)
        # The number does not matter in excess of what all workers have room for, or take in one claim each.
        batches = (len(others) + 1) * max(item.group.max_batch for item in items)
        cap = min(math.ceil(free / min(weights)) + 1, batches)
        counts = count(items, now_us, horizon_us, round(LATE_SECONDS * 1_000_000), cap)
        due = sum(each.count * weight for each, weight in zip(counts, weights, strict=True))
        late = sum(each.late * weight for each, weight in zip(counts, weights, strict=True))
        with_room = 1 + sum(other.free >= 1 for other in others)
        part = Part(
            left=fair_parts([own, *others], due)[0],
            late=late / with_room,
            due=sum(each.count for each in counts),
            first_us=min((each.first_us for each in counts if each.count), default=now_us),
            others_are_free=with_room > 1,
            is_saturated=due >= free,
            due_of={item.part: each.count for item, each in zip(items, counts, strict=True)},
        )
        return part, [item for item, each in zip(items, counts, strict=True) if each.is_counted]

    def _occupied(self, load: WorkerLoad, slots: Slots) -> Occupied:
        width = load.profile.threads if slots is Slots.THREADS else load.profile.async_slots
        # Executions of a group whose kind of slot is unknown here count for both kinds.
        taken = sum(
            count * self._capacity.weight(group_id)
            for group_id, count in load.held
            if self._slots.get(group_id, slots) is slots
        )
        return Occupied(width, taken)

    def _learn(self, group_ids: Sequence[int]) -> None:
        """Look up the run times that other or earlier workers recorded for groups that are unknown here."""
        now = time.monotonic()
        unknown = {
            group_id
            for group_id in group_ids
            if math.isinf(self._pace.seconds(group_id)) and now >= self._learned.get(group_id, 0.0)
        }
        if unknown:
            self._learned |= dict.fromkeys(unknown, now + LEARN_SECONDS)
            self._pace.learn(recent_run_seconds(unknown, clock.now()))


def _can_run(load: WorkerLoad, execution: Execution) -> bool:
    handler = "" if execution.action is None else execution.action.handler
    profile = load.profile
    return execution.group.required_roles <= profile.roles and (not handler or handler in profile.handlers)
