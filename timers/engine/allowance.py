"""Allowance: what the limits of a group let one transaction claim, in all and by key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from timers.domain.limit_keys import NO_KEY
from timers.domain.rates import Arrivals
from timers.engine.execution import Execution, ServedGroup
from timers.engine.rate_states import new_state, write_states

MANY: Final = 1_000_000_000
BUSY_US: Final = 20_000
"""Microseconds to the next look at least, also where another claim of the group was under way."""


@dataclass(slots=True)
class Allowance:
    """What the limits of a group let this transaction claim. Instants are microseconds by the database's clock."""

    group: ServedGroup
    most: int
    """How many more executions."""
    now_us: int = 0
    horizon_us: int = 0
    """What is claimed may start up to this instant."""
    arrivals: Arrivals | None = None
    """The state of the group's rate, where it has one."""
    is_known: bool = True
    """Whether the limits could be read: no other claim of the group was under way, and the group has not changed."""
    claimed_by_key: dict[str, int] = field(default_factory=dict)
    """How many executions of each key are claimed, where that is limited."""
    arrivals_by_key: dict[str, Arrivals] = field(default_factory=dict)
    """The states of the rates of keys, without those that are idle."""
    refused: set[str] = field(default_factory=set)
    """Keys of which something due was left."""
    _used: set[str] = field(default_factory=set)

    @property
    def rest_until_us(self) -> int | None:
        """When to ask again, however many executions end before; None: when one ends."""
        if not self.is_known:
            return self.now_us + BUSY_US
        if self.arrivals is None or self.arrivals.room(self.now_us, self.horizon_us) > 0:
            return None
        return self._opens_us(self.arrivals)

    def looks_us(self) -> list[int]:
        """When the rates of refused keys, and of nothing else, let the next execution be claimed."""
        opens = [self._opens_us(self.arrivals_by_key[key]) for key in self.refused if key in self.arrivals_by_key]
        return [min(opens)] if opens else []

    def _opens_us(self, arrivals: Arrivals) -> int:
        # Half of what is claimed ahead is left by then: no slot of the rate is lost between two looks.
        ahead_us = (self.horizon_us - self.now_us) // 2
        return max(arrivals.next_us(self.now_us) - ahead_us, self.now_us + BUSY_US)

    def room_of(self, key: str | None) -> int:
        """How many more executions of a key may be claimed, as far as its own limits go."""
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
        """How many executions of a key may be claimed that has none claimed, and has started none for a while."""
        limits, room = self.group.limits, MANY
        if limits.max_concurrency_per_key is not None:
            room = limits.max_concurrency_per_key
        if limits.max_rate_per_key is not None:
            room = min(room, new_state(self.group, limits.max_rate_per_key).room(self.now_us, self.horizon_us))
        return room

    def full_keys(self) -> list[str]:
        """The keys of which no more may be claimed."""
        return [key for key in {*self.claimed_by_key, *self.arrivals_by_key} if self.room_of(key) < 1]

    def take(self, execution: Execution) -> bool:
        """Count one that is to be claimed, and set when it may start; whether it may be claimed."""
        limits, key = self.group.limits, execution.limit_key or NO_KEY
        is_limited = limits.limits_key(key)
        if self.most < 1 or (is_limited and self.room_of(key) < 1):
            return False
        self.most -= 1
        start_us = self.now_us if self.arrivals is None else self.arrivals.take(self.now_us)
        if is_limited:
            self.claimed_by_key[key] = self.claimed_by_key.get(key, 0) + 1
            if limits.max_rate_per_key is not None:
                # The key's rate counts from when the group's lets it start, else the next of the key came too early.
                arrivals = self.arrivals_by_key[key] = self._arrivals_of(key)
                start_us = arrivals.take(start_us)
                self._used.add(key)
        if limits.is_rated:
            execution.not_before_us = max(start_us, execution.not_before_us)
        return True

    def fitting(self, keys: list[str | None], spare: int = 1, most: int | None = None) -> list[int]:
        """The places of those that may be claimed, of things with these keys, the first first; nothing is counted.

        Args:
            keys: of the things, in their order.
            spare: how many are let through for each that may be claimed of a key.
            most: how many are let through at most; None: as many as may be claimed in all.
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
        """Write what was taken of the rates; the claims tell the rest."""
        states = {f":{key}": self.arrivals_by_key[key] for key in self._used}
        if self.arrivals is not None:
            states[""] = self.arrivals
        write_states(self.group, states)

    def _arrivals_of(self, key: str) -> Arrivals:
        assert self.group.limits.max_rate_per_key is not None
        return self.arrivals_by_key.get(key) or new_state(self.group, self.group.limits.max_rate_per_key)
