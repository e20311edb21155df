"""Group limits: how many executions of a group may be claimed now, counted from its live claims.

Only groups that set a limit are locked here. The lock comes first and the count after it, in a statement of its own:
so the count sees what every earlier holder of the lock has claimed, and no two claims go beyond a limit together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.db import connection

from timers.lifecycle.execution import AnyHolder, Consumer, Execution, ServedGroup
from timers.lifecycle.wakeup import wake_workers

MANY: Final = 1_000_000_000
BUSY_US: Final = 20_000
"""Until the next look (microseconds), where another claim of the group was under way."""
# Creations of timers, which refer to the group, go on meanwhile.
_LOCK: Final = "SELECT 1 FROM timers_timer_group WHERE id = %s FOR NO KEY UPDATE"
_CLAIMED: Final = "SELECT COALESCE(sum(cardinality(executions)), 0) FROM timers_claim WHERE group_id = %s"


@dataclass(slots=True)
class Allowance:
    """What the limits of a group let this transaction claim."""

    most: int = MANY
    """How many more executions."""

    is_known: bool = True
    """Whether the limits could be asked: no other claim of the group was under way."""

    def looks_us(self, now_us: int) -> list[int]:
        """When to look again, apart from when executions end."""
        return [] if self.is_known else [now_us + BUSY_US]

    def take(self) -> bool:
        """Count one that is to be claimed; whether it may be."""
        if self.most < 1:
            return False
        self.most -= 1
        return True


def hold_allowance(group: ServedGroup, holder: AnyHolder) -> Allowance:
    """Lock a group that has limits until the transaction ends, and count what they allow.

    Workers do not wait for a claim of the group under way, and are allowed nothing then; a consumer, which has asked
    for this group, waits.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK if isinstance(holder, Consumer) else f"{_LOCK} SKIP LOCKED", (group.id,))
        if cursor.fetchone() is None:
            return Allowance(0, is_known=False)
        allowance = Allowance()
        if group.limits.max_concurrency is not None:
            cursor.execute(_CLAIMED, (group.id,))
            (claimed,) = cursor.fetchone()
            allowance.most = max(group.limits.max_concurrency - claimed, 0)
        return allowance


def wake_for_room(executions: Iterable[Execution]) -> None:
    """Wake the workers where executions that left their claims make room within the limits of their groups."""
    if any(execution.group.limits.is_concurrent for execution in executions):
        wake_workers()
