"""Retry failed executions: make them ready again, one or five hundred in one statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from timers import clock
from timers.database import connection, transaction
from timers.domain.policies import MAX_RETRIES
from timers.engine.arrays import plain_array
from timers.engine.group_clock import group_now
from timers.engine.wakeup import wake_if_soon
from timers.models import Timer


@dataclass(frozen=True, slots=True)
class Retried:
    """Result of retrying executions; those that had not failed, or no longer, are in neither field."""

    done: list[str]
    refused: dict[str, str]
    """Execution -> why it cannot be retried."""


_LOCK: Final = """
SELECT w.id::text, w.attempt, t.state
FROM timers_waiting w LEFT JOIN timers_timer t ON t.id = w.timer_id
WHERE w.id = ANY(%s::uuid[]) AND w.state = 'failed' ORDER BY w.id FOR UPDATE OF w
"""

# The instant is by the group's clock, like all instants of waiting.
_RETRY: Final = f"""
UPDATE timers_waiting w
SET state = 'ready', forgiven = w.attempt, reason = %(reason)s, changed_at = n.now,
    available_at = COALESCE({group_now("n.now")}, n.now) + u.delay_us * INTERVAL '1 microsecond'
FROM (SELECT timers_now() AS now) n,
     unnest(%(ids)s::uuid[], %(delays)s::bigint[]) AS u(id, delay_us)
     JOIN timers_waiting x ON x.id = u.id LEFT JOIN timers_timer_group g ON g.id = x.group_id
WHERE w.id = u.id
"""


def retry_waiting(delays_us: Mapping[str, int], reason: str) -> Retried:
    """Make failed executions ready, each after its delay in microseconds, with all the retries of their policies.

    It waits for other transactions that have them locked.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_LOCK, (plain_array(delays_us),))
        done: list[str] = []
        refused: dict[str, str] = {}
        for execution, attempt, timer_state in cursor.fetchall():
            why = _refusal(attempt, timer_state)
            if why:
                refused[execution] = why
            else:
                done.append(execution)
        if done:
            delays = plain_array(delays_us[execution] for execution in done)
            cursor.execute(_RETRY, {"ids": plain_array(done), "delays": delays, "reason": reason})
            now = clock.now()
            wake_if_soon([now], now)
    return Retried(done, refused)


def _refusal(attempt: int, timer_state: str | None) -> str:
    if timer_state is None:
        return "its timer has been deleted"
    if timer_state == Timer.State.CANCELLED:
        return "its timer is cancelled"
    if attempt >= MAX_RETRIES:
        return f"had {attempt} tries, and no more than {MAX_RETRIES} are kept"
    return ""
