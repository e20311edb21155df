"""Capacity: how much of a worker's slots is taken, and how much more it can start soon.

An execution that takes `s` seconds occupies `s / (s + AHEAD_SECONDS)` of a slot, a slow one all of it. So one slot has
room for one slow execution, or for as many quick ones as it gets through within AHEAD_SECONDS. What a worker holds
counts over all groups, whether it runs, is queued, or waits for its instant. Calls of one target take no more slots
than can be made of it at once: what waits for its lane keeps none from others.
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

from timers import conf, handlers
from timers.actions import Action
from timers.actions.entry import EntryAction
from timers.actions.http import HttpAction
from timers.engine.execution import Execution, ServedGroup
from timers.worker.run_time_mean import Pace

AHEAD_SECONDS: Final = 0.25
"""What is claimed must be able to start this long after its instant, by the measured run times."""
SLOW_SECONDS: Final = 1.0
"""From this run time on an execution occupies a whole slot."""
MAX_HELD: Final = 4000
"""The most executions that one worker holds, whatever their run time."""
MAX_HELD_BY_GROUP: Final = 3000
"""The rest is kept for other groups, however long the backlog of one."""
ROUNDING: Final = 1e-6
_fence: Final = attrgetter("fence")


class Slots(Enum):
    """What an execution needs to run: a thread for a plain handler, or a place on the event loop."""

    THREADS = "threads"
    ASYNC = "async"


def slots_of(action: Action | None) -> Slots:
    """What the executions of an action need."""
    if isinstance(action, (HttpAction, EntryAction)):
        return Slots.ASYNC
    handler = None if action is None or not action.handler else handlers.find(action.handler)
    return Slots.ASYNC if handler is not None and handler.is_async else Slots.THREADS


def lane_of(action: Action | None) -> str | None:
    """The target of which the executions of an action are calls; None: they are none."""
    return action.lane if isinstance(action, (HttpAction, EntryAction)) else None


class _Kind(NamedTuple):
    """What is counted together."""

    group_id: int
    slots: Slots
    lane: str | None


def _counted(executions: Iterable[Execution]) -> tuple[Counter[int], Counter[_Kind]]:
    """How many there are of each claim, and of each kind."""
    fences, kinds = Counter[int](), Counter[_Kind]()
    # By far the most of a batch share one group and one action, so a kind is made once for each stretch of them.
    for (group_id, _), same in groupby(executions, key=_group_and_action):
        stretch = list(same)
        action = stretch[0].action
        kinds[_Kind(group_id, slots_of(action), lane_of(action))] += len(stretch)
        fences.update(map(_fence, stretch))
    return fences, kinds


def _group_and_action(execution: Execution) -> tuple[int, int]:
    return execution.group.id, id(execution.action)


@dataclass(slots=True)
class _Taken:
    """Slots' worth that is taken: in all, and by group and lane of what is held."""

    total: float
    by_group: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    by_lane: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))


def occupancy(seconds: float) -> float:
    """The part of a slot that an execution of that run time occupies; 1 where it is unknown (infinite)."""
    return 1.0 if seconds >= SLOW_SECONDS else seconds / (seconds + AHEAD_SECONDS)


class Capacity:
    """Counts what a worker holds. The claimer adds and asks, the recorder removes."""

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
        """`overrunning`: threads whose handler runs much longer than the pace says, less what it counts for anyway.

        `per_target`: calls of one target that are made at once; None: the setting. `idle`: slots in which nothing runs,
        less what is claimed ahead needs of them.
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
        """Executions claimed and neither recorded nor given back."""
        return self._fences.total()

    @property
    def fences(self) -> set[int]:
        """The claims that they belong to."""
        with self._lock:
            return set(self._fences)

    def add(self, executions: Iterable[Execution]) -> None:
        """Count executions that were claimed."""
        fences, kinds = _counted(executions)
        with self._lock:
            self._fences.update(fences)
            self._held.update(kinds)

    def remove(self, executions: Iterable[Execution]) -> None:
        """Count no longer what was recorded or given back."""
        fences, kinds = _counted(executions)
        with self._lock:
            # In place, and unlike subtract() it keeps nothing that has come down to zero.
            self._fences -= fences
            self._held -= kinds

    def held_of(self, group_id: int) -> int:
        """Executions of one group that are held."""
        return sum(count for kind, count in self._held_now() if kind.group_id == group_id)

    def slots_for(self, group: ServedGroup) -> Slots:
        """What the executions of a group need: those of its action, or what the last of them needed."""
        needed = slots_of(group.action)
        width = self._pace.parallel(group.id, self.slots[needed])
        return needed if width == self.slots[needed] else next(each for each in Slots if each is not needed)

    def weight(self, group_id: int) -> float:
        """The part of a slot that one execution of a group occupies."""
        return occupancy(self._pace.seconds(group_id))

    def taken(self, slots: Slots) -> float:
        """How much of its slots is taken, by what it holds and by handlers that overrun."""
        return self._taken(slots).total

    def room(self, group: ServedGroup, sharers: int) -> int:
        """How many more executions of a group can start soon, as one of `sharers` groups that want the same slots."""
        slots = self.slots_for(group)
        weight = self.weight(group.id)
        startable = MAX_HELD
        if weight > 0:
            taken, lane, width = self._taken(slots), lane_of(group.action), self.slots[slots]
            free = width - taken.total
            # However many slots are free, a group takes no more than there are, nor than its target's lane has.
            own = width - taken.by_group[group.id]
            if lane is not None:
                own = min(own, self._per_target - taken.by_lane[lane])
            # An equal share is rounded up, so a group is never left out while there is any room. Rounding errors of
            # sums must not cost or bring a whole execution.
            share = math.ceil(free / weight / sharers - ROUNDING)
            startable = min(math.floor(min(free, own) / weight + ROUNDING), share)
        return min(startable, MAX_HELD_BY_GROUP - self.held_of(group.id), -((self.held - MAX_HELD) // sharers))

    def room_now(self, group: ServedGroup, sharers: int) -> int:
        """How many executions of a group that are due can start at once, though all slots count as taken.

        They count so by what is claimed ahead; see idle_slots.
        """
        slots, lane = self.slots_for(group), lane_of(group.action)
        room = math.ceil(self._idle(slots) / sharers)
        if room and lane is not None:
            room = min(room, math.floor(self._per_target - self._taken(slots).by_lane[lane] + ROUNDING))
        return min(room, MAX_HELD_BY_GROUP - self.held_of(group.id), MAX_HELD - self.held)

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
