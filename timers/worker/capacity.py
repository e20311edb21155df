"""Capacity: how many of a worker's slots are taken, and how much more it can start soon.

An execution that takes `s` seconds occupies `s / (s + AHEAD_SECONDS)` of a slot, a slow one all of it. So one slot has
room for one slow execution, or for as many quick ones as it can run within AHEAD_SECONDS. All executions of a worker
count, over all groups: running, queued, or waiting for their instant. Calls of one target take no more slots than the
number of its concurrent calls: executions that wait in its lane do not block slots of others.
"""

from __future__ import annotations

import math
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple

from timers import conf
from timers.actions import Action
from timers.engine.execution import Execution, ServedGroup
from timers.worker.run_time_mean import Pace

AHEAD_SECONDS: Final = 0.25
"""Claimed executions must be able to start within this time after their instant, by the measured run times."""
SLOW_SECONDS: Final = 1.0
"""From this run time on, an execution occupies a whole slot."""
MAX_HELD: Final = 4000
"""Maximum number of executions that one worker holds, whatever their run time."""
MAX_HELD_BY_GROUP: Final = 3000
"""Maximum per group: the rest is reserved for other groups, however long the backlog of one."""
ROUNDING: Final = 1e-6
_fence: Final = attrgetter("fence")
_group_and_action: Final = attrgetter("group", "action")


class Slots(Enum):
    """What an execution needs to run: a thread for a plain handler, or a place on the event loop."""

    THREADS = "threads"
    ASYNC = "async"


def slots_of(action: Action | None) -> Slots:
    """Return the kind of slot that executions of an action need."""
    return Slots.ASYNC if action is not None and action.is_async else Slots.THREADS


def lane_of(action: Action | None) -> str | None:
    """Return the target that executions of an action call; None: they make no calls."""
    return None if action is None else action.lane


class _Kind(NamedTuple):
    """Executions with the same key are counted together."""

    group_id: int
    slots: Slots
    lane: str | None


def _counted(executions: Iterable[Execution]) -> tuple[Counter[int], Counter[_Kind]]:
    """Return the number of executions of each claim, and of each kind."""
    fences, kinds = Counter[int](), Counter[_Kind]()
    # Most of a batch share one group and one action, so a kind is built only once for each run of them.
    for (group, action), same in groupby(executions, key=_group_and_action):
        stretch = list(same)
        kinds[_Kind(group.id, slots_of(action), lane_of(action))] += len(stretch)
        fences.update(map(_fence, stretch))
    return fences, kinds


@dataclass(slots=True)
class _Taken:
    """Slots taken: in total, and by group and lane."""

    total: float
    by_group: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    by_lane: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))


def occupancy(seconds: float) -> float:
    """Return the part of a slot that an execution of this run time occupies; 1 if it is unknown (infinite)."""
    return 1.0 if seconds >= SLOW_SECONDS else seconds / (seconds + AHEAD_SECONDS)


class Capacity:
    """Counts the executions that a worker holds. The claimer adds and queries, the recorder removes."""

    def __init__(
        self,
        threads: int,
        async_slots: int,
        pace: Pace,
        overrunning: Callable[[], float] = lambda: 0.0,
        *,
        per_target: int | None = None,
        idle: Callable[[Slots], int] = lambda _: 0,
    ) -> None:
        """Create the counter; nothing is held yet.

        Args:
            threads: number of threads for plain handlers.
            async_slots: number of places on the event loop.
            pace: measured run times.
            overrunning: returns the number of threads whose handler runs much longer than the pace predicts, minus what
                it counts anyway.
            per_target: maximum number of concurrent calls of one target; None: the setting.
            idle: returns the number of slots in which nothing runs, minus those needed by executions claimed ahead.
        """
        self.slots = {Slots.THREADS: threads, Slots.ASYNC: async_slots}
        self._pace = pace
        self._overrunning = overrunning
        self._per_target = per_target or conf.current().http_per_target
        self._idle = idle
        self._held: Counter[_Kind] = Counter()
        self._fences: Counter[int] = Counter()
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """Number of executions that are claimed, and neither recorded nor released."""
        return self._fences.total()

    @property
    def fences(self) -> set[int]:
        """Ids of the claims that these executions belong to."""
        with self._lock:
            return set(self._fences)

    def add(self, executions: Iterable[Execution]) -> None:
        """Add claimed executions to the count."""
        fences, kinds = _counted(executions)
        with self._lock:
            self._fences.update(fences)
            self._held.update(kinds)

    def remove(self, executions: Iterable[Execution]) -> None:
        """Remove recorded or released executions from the count."""
        fences, kinds = _counted(executions)
        with self._lock:
            # In place; unlike subtract() this drops entries that reach zero.
            self._fences -= fences
            self._held -= kinds

    def held_of(self, group_id: int) -> int:
        """Return the number of executions of one group."""
        return sum(count for kind, count in self._held_now() if kind.group_id == group_id)

    def slots_for(self, group: ServedGroup) -> Slots:
        """Return the kind of slot that executions of a group need: by its action, or as its last execution did."""
        needed = slots_of(group.action)
        width = self._pace.parallel(group.id, self.slots[needed])
        return needed if width == self.slots[needed] else next(each for each in Slots if each is not needed)

    def weight(self, group_id: int) -> float:
        """Return the part of a slot that one execution of a group occupies."""
        return occupancy(self._pace.seconds(group_id))

    def taken(self, slots: Slots) -> float:
        """Return how many slots are taken, by executions and by handlers that overrun."""
        return self._taken(slots).total

    def room(self, group: ServedGroup, sharers: int) -> int:
        """Return how many more executions of a group can start soon, if `sharers` groups want the same slots."""
        slots = self.slots_for(group)
        weight = self.weight(group.id)
        startable = MAX_HELD
        if weight > 0:
            taken, lane, width = self._taken(slots), lane_of(group.action), self.slots[slots]
            free = width - taken.total
            # A group takes at most the existing slots, however many are free, and at most the places of its target's
            # lane.
            own = width - taken.by_group[group.id]
            if lane is not None:
                own = min(own, self._per_target - taken.by_lane[lane])
            # Round an equal share up, so that no group is left out while there is any room. Rounding errors of sums
            # must not cost or add a whole execution.
            share = math.ceil(free / weight / sharers - ROUNDING)
            startable = min(math.floor(min(free, own) / weight + ROUNDING), share)
        return min(startable, MAX_HELD_BY_GROUP - self.held_of(group.id), -((self.held - MAX_HELD) // sharers))

    def room_now(self, group: ServedGroup, sharers: int) -> int:
        """Return how many due executions of a group can start at once although all slots count as taken.

        Executions that are claimed ahead take these slots; see idle_slots.
        """
        slots, lane = self.slots_for(group), lane_of(group.action)
        room = math.ceil(self._idle(slots) / sharers)
        if room and lane is not None:
            room = min(room, math.floor(self._per_target - self._taken(slots).by_lane[lane] + ROUNDING))
        return min(room, MAX_HELD_BY_GROUP - self.held_of(group.id), MAX_HELD - self.held)

    def idle_slots(self) -> Callable[[Action], bool]:
        """Return a function that takes an idle slot for an action, and returns False if none is left.

        Calls of a target count as if all its executions, running or claimed ahead, made them at once.
        """
        idle: dict[Slots, int] = {}
        calls: Counter[str] = Counter()

        def take(action: Action) -> bool:
            slots, lane = slots_of(action), lane_of(action)
            if slots not in idle:
                idle[slots] = self._idle(slots)
            if idle[slots] < 1:
                return False
            if lane is not None:
                calls[lane] += 1
                if self._taken(slots).by_lane[lane] + calls[lane] > self._per_target + ROUNDING:
                    return False
            idle[slots] -= 1
            return True

        return take

    def _taken(self, slots: Slots) -> _Taken:
        taken = _Taken(self._overrunning() if slots is Slots.THREADS else 0.0)
        for kind, count in self._held_now():
            if kind.slots is slots:
                part = count * self.weight(kind.group_id)
                taken.by_group[kind.group_id] += part
                if kind.lane is None:
                    taken.total += part
                else:
                    taken.by_lane[kind.lane] += part
        taken.total += sum(min(part, self._per_target) for part in taken.by_lane.values())
        return taken

    def _held_now(self) -> list[tuple[_Kind, int]]:
        with self._lock:
            return list(self._held.items())
