"""Allowance: how many executions the limits of a group let one transaction claim, in total and by key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from timers.domain.limit_keys import NO_KEY
from timers.domain.rates import Arrivals
from timers.engine.execution import Execution, ServedGroup
from timers.engine.rate_states import new_state, write_states

MANY: Final = 1_000_000_000
BUSY_US: Final = 20_000
"""Least number of microseconds to the next look, also after another claim of the group was in progress."""


@dataclass(slots=True)
class Allowance:
    """What the limits of a group let this transaction claim. Instants are microseconds by the database clock."""

    group: ServedGroup
    most: int
    """How many more executions may be claimed."""
    now_us: int = 0
    horizon_us: int = 0
    """Claimed executions may start up to this instant."""
    arrivals: Arrivals | None = None
    """State of the group's rate, if it has one."""
    is_known: bool = True
    """Whether the limits could be read: no other claim of the group was in progress, and the group has not changed."""
    claimed_by_key: dict[str, int] = field(default_factory=dict)
    """Number of claimed executions by key, where that is limited."""
    arrivals_by_key: dict[str, Arrivals] = field(default_factory=dict)
    """States of the rates of keys, without idle ones."""
    refused: set[str] = field(default_factory=set)
    """Keys with due executions that were left."""
    _used: set[str] = field(default_factory=set)

    @property
    def rest_until_us(self) -> int | None:
        """When to look again, however many executions end before; None: when one ends."""
        if not self.is_known:
            return self.now_us + BUSY_US
        if self.arrivals is None or self.arrivals.room(self.now_us, self.horizon_us) > 0:
            return None
        return self._opens_us(self.arrivals)

    def looks_us(self) -> list[int]:
        """Return when the rates of refused keys, and nothing else, allow the next claim."""
        opens = [self._opens_us(self.arrivals_by_key[key]) for key in self.refused if key in self.arrivals_by_key]
        return [min(opens)] if opens else []

    def _opens_us(self, arrivals: Arrivals) -> int:
        # Half of what is claimed ahead is left by then, so no slot of the rate is lost between two looks.
        ahead_us = (self.horizon_us - self.now_us) // 2
        return max(arrivals.next_us(self.now_us) - ahead_us, self.now_us + BUSY_US)

    def room_of(self, key: str | None) -> int:
        """Return how many more executions of a key its own limits allow."""
        limits, key = self.group.limits, key or NO_KEY
        if not limits.limits_key(key):
            return MANY
        room = MANY
        if limits.max_concurrency_per_key is not None:
            room = max(limits.max_concurrency_per_key - self.claimed_by_key.get(key, 0), 0)
        if limits.max_rate_per_key is not None:
            room = min(room, self._arrivals_of(key).room(self.now_us, self.horizon_us))
        return room

    @property
    def room_of_idle(self) -> int:
        """How many executions may be claimed of a key with none claimed and no recent start."""
        limits, room = self.group.limits, MANY
        if limits.max_concurrency_per_key is not None:
            room = limits.max_concurrency_per_key
        if limits.max_rate_per_key is not None:
            room = min(room, new_state(self.group, limits.max_rate_per_key).room(self.now_us, self.horizon_us))
        return room

    def full_keys(self) -> list[str]:
        """Return the keys of which no more may be claimed."""
        return [key for key in {*self.claimed_by_key, *self.arrivals_by_key} if self.room_of(key) < 1]

    def take(self, execution: Execution) -> bool:
        """Count an execution to be claimed and set when it may start; return whether it may be claimed."""
        limits, key = self.group.limits, execution.limit_key or NO_KEY
        is_limited = limits.limits_key(key)
        if self.most < 1 or (is_limited and self.room_of(key) < 1):
            return False
        self.most -= 1
        start_us = self.now_us if self.arrivals is None else self.arrivals.take(self.now_us)
        if is_limited:
            self.claimed_by_key[key] = self.claimed_by_key.get(key, 0) + 1
            if limits.max_rate_per_key is not None:
                # The key's rate counts from the start that the group's rate allows, or the key's next execution would
                # start too early.
                arrivals = self.arrivals_by_key[key] = self._arrivals_of(key)
                start_us = arrivals.take(start_us)
                self._used.add(key)
        if limits.is_rated:
            execution.not_before_us = max(start_us, execution.not_before_us)
        return True

    def fitting(self, keys: list[str | None], spare: int = 1, most: int | None = None) -> list[int]:
        """Return the positions of the items that may be claimed, in order; nothing is counted.

        Args:
            keys: keys of the items, in their order.
            spare: how many items pass for each one that may be claimed of a key.
            most: how many pass at most; None: as many as may be claimed in total.
        """
        most = self.most if most is None else max(most, self.most)
        left: dict[str, int] = {}
        places: list[int] = []
        for place, key in enumerate(keys):
            room = left.get(key or NO_KEY)
            room = self.room_of(key) * spare if room is None else room
            if room < 1:
                self.refused.add(key or NO_KEY)
                left[key or NO_KEY] = 0
            elif len(places) < most:
                left[key or NO_KEY] = room - 1
                places.append(place)
        return places

    def save(self) -> None:
        """Write what was used of the rates; the claims themselves record the rest."""
        states = {f":{key}": self.arrivals_by_key[key] for key in self._used}
        if self.arrivals is not None:
            states[""] = self.arrivals
        write_states(self.group, states)

    def _arrivals_of(self, key: str) -> Arrivals:
        assert self.group.limits.max_rate_per_key is not None
        return self.arrivals_by_key.get(key) or new_state(self.group, self.group.limits.max_rate_per_key)
