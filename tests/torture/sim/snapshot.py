"""Snapshot: what the tables hold at one moment, and what must hold for it whenever a transaction has committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

import psycopg

from tests.torture.sim.records import Fail, Records
from timers.domain.execution_id import Occurrence, execution_id, may_overlap
from timers.domain.execution_id import parse as _parse

_READ: Final = """
SELECT 'claim', e.id::text, c.id, 0::bigint, g.name, ''
FROM timers_claim c JOIN timers_timer_group g ON g.id = c.group_id, unnest(c.executions) AS e(id)
UNION ALL
SELECT 'waiting', id::text, 0, missed_count, '', state FROM timers_waiting
UNION ALL
SELECT 'final', id::text, COALESCE(fence, 0), missed_count, name, outcome FROM timers_attempt
WHERE outcome IN ('succeeded', 'failed', 'cancelled', 'skipped')
UNION ALL
SELECT 'timer', name, id, COALESCE((extract(epoch FROM next_fire_at) * 1000000)::bigint, 0), state, ''
FROM timers_timer
"""

parse = lru_cache(maxsize=20_000)(_parse)


@dataclass(frozen=True, slots=True)
class Ended:
    """A final row of the ledger."""

    execution: str
    fence: int
    missed: int
    name: str
    outcome: str


@dataclass(slots=True)
class Snapshot:
    """All executions by the place they are in, and the timers."""

    claims: list[tuple[str, int, str]]
    """Execution, fence, group."""
    waiting: dict[str, str]
    """Execution -> state."""
    failed: dict[str, int]
    """Executions that wait for a person -> the missed instants that they stand for too."""
    finals: list[Ended]
    timers: dict[int, tuple[str, int, str]]
    """Name, next instant (0: none) and state."""

    @classmethod
    def read(cls, observer: psycopg.Connection[Any]) -> Snapshot:
        """What is committed now."""
        found = cls([], {}, {}, [], {})
        for place, text, number, count, name, word in observer.execute(_READ, prepare=True).fetchall():
            if place == "claim":
                found.claims.append((text, number, name))
            elif place == "waiting":
                found.waiting[text] = word
                if word == "failed":
                    found.failed[text] = count
            elif place == "final":
                found.finals.append(Ended(text, number, count, name, word))
            else:
                found.timers[number] = text, count, name
        return found

    @property
    def left_over(self) -> list[str]:
        """What is not at an end."""
        return [
            *(f"claimed {execution} under {fence}" for execution, fence, _ in self.claims),
            *(f"{state} {execution}" for execution, state in self.waiting.items() if state != "failed"),
            *(f"due timer {name}" for name, next_us, state in self.timers.values() if next_us and state == "active"),
        ]


class Watcher:
    """Compares each snapshot with those before."""

    def __init__(
        self,
        records: Records,
        exclusive: set[str],
        on_schedule: Mapping[str, set[int]],
        limits: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """`exclusive`: groups of whose timers one execution is claimed at a time. `on_schedule`: the instants that some
        timers have. `limits`: the most executions of groups that may be claimed at once."""
        self._records = records
        self._fail: Fail = records.fail
        self._exclusive = exclusive
        self._on_schedule = on_schedule
        self._limits = limits
        self._fences: dict[str, int] = {}
        """The latest claim of each execution."""

    def look(self, now: Snapshot) -> None:
        """Check what must hold at any time."""
        places = Counter(execution for execution, *_ in now.claims)
        places.update(now.waiting.keys())
        places.update(final.execution for final in now.finals)
        for execution, count in places.items():
            if count > 1:
                self._fail("two places", f"{execution}: {self._where(now, execution)}")
            self._check_id(execution)
        self._check_instants(now, places)
        self._check_overlap(now)
        for group, count in Counter(group for *_, group in now.claims).items():
            if count > self._limits.get(group, count):
                self._fail("limit", f"{count} executions of group {group} are claimed")
        for execution, fence, _ in now.claims:
            self._fences[execution] = max(fence, self._fences.get(execution, 0))
        for final in now.finals:
            latest = self._fences.get(final.execution, 0)
            if final.outcome == "succeeded" and final.fence < latest:
                self._fail("stale", f"{final.execution} ended under {final.fence}, but was claimed under {latest}")
            if final.execution in self._records.effects:
                self._records.effects[final.execution].is_over = True

    def _check_id(self, execution: str) -> None:
        occurrence: Occurrence = parse(execution)
        if occurrence.origin == "schedule":
            own = execution_id(occurrence.scheduled_us, occurrence.timer_id)
            if own != execution:
                self._fail("two ids", f"{execution}: the occurrence's id is {own}")

    def _check_instants(self, now: Snapshot, places: Counter[str]) -> None:
        for execution in places:
            occurrence = parse(execution)
            name, next_us, state = now.timers.get(occurrence.timer_id, ("", 0, ""))
            if next_us and occurrence.origin == "schedule" and occurrence.scheduled_us >= next_us:
                self._fail("fired again", f"{execution} of {name}: its timer is {state}, due at {next_us} again")
        for name, next_us, _ in now.timers.values():
            if next_us and name in self._on_schedule and next_us not in self._on_schedule[name]:
                self._fail("off schedule", f"{name} is due at {next_us}")

    def _check_overlap(self, now: Snapshot) -> None:
        claimed = Counter(
            parse(execution).timer_id
            for execution, _, group in now.claims
            if group in self._exclusive and not may_overlap(execution)
        )
        for timer, count in claimed.items():
            name = now.timers[timer][0] if timer in now.timers else str(timer)
            if count > 1:
                self._fail("overlap", f"{count} executions of {name} are claimed")

    @staticmethod
    def _where(now: Snapshot, execution: str) -> list[str]:
        return [
            *(f"claim {fence}" for each, fence, _ in now.claims if each == execution),
            *(f"waiting ({state})" for each, state in now.waiting.items() if each == execution),
            *(f"final ({final.outcome})" for final in now.finals if final.execution == execution),
        ]
