"""Releasing: orders that stand before a step go on when it is stopped no longer, and deadlines of orders pass.

Leaderless: every node tries, and a tree that another one is at is left to it.
"""

from __future__ import annotations

from typing import Final

from django.db import connection, transaction

from timers import clock
from timers.domain.chains import events
from timers.lifecycle.group_clock import group_now
from timers.lifecycle.orders.change import OrderChange

BATCH: Final = 100
"""Orders that one call takes."""

HAS_RELEASES: Final = "EXISTS (SELECT 1 FROM timers_chain rc WHERE rc.is_releasing)"
"""SQL: whether orders of any chain may have to go on."""


def has_deadlines(now: str) -> str:
    """Return SQL that says whether the deadline of any order has passed at the instant `now` (SQL)."""
    return f"""
EXISTS (SELECT 1 FROM timers_chain_order o JOIN timers_timer_group g ON g.id = o.group_id
        WHERE o.deadline_at IS NOT NULL AND o.deadline_at <= {group_now(now)})
"""


# Orders that stand before steps that are stopped no longer, and those that are at a step that is skipped by now.
_STANDING: Final = """
SELECT o.id::text, o.root::text, o.timer_id
FROM timers_chain c JOIN timers_chain_order o ON o.chain_id = c.id
WHERE c.is_releasing AND o.ended_at IS NULL AND c.state = 'active'
  AND (o.state = 'at_stopped' AND NOT EXISTS (SELECT 1 FROM timers_chain_step s
                                              WHERE s.chain_id = c.id AND s.name = o.step AND s.state = 'stopped')
       OR o.state IN ('waiting', 'awaiting') AND EXISTS (SELECT 1 FROM timers_chain_step s
                                                         WHERE s.chain_id = c.id AND s.name = o.step
                                                           AND s.state = 'skipped'))
ORDER BY o.id LIMIT %s
"""
_LATE: Final = f"""
SELECT o.id::text, o.root::text, o.timer_id
FROM timers_chain_order o JOIN timers_timer_group g ON g.id = o.group_id
WHERE o.deadline_at IS NOT NULL AND o.deadline_at <= {group_now("%s::timestamptz")}
ORDER BY o.deadline_at LIMIT %s
"""
_RELEASED: Final = """
UPDATE timers_chain SET is_releasing = false
WHERE id = ANY(ARRAY(SELECT id FROM timers_chain WHERE is_releasing ORDER BY id FOR UPDATE SKIP LOCKED))
  AND NOT EXISTS (SELECT 1 FROM timers_chain_order o
                  WHERE o.chain_id = timers_chain.id AND o.ended_at IS NULL AND o.state = 'at_stopped'
                    AND timers_chain.state = 'active'
                    AND NOT EXISTS (SELECT 1 FROM timers_chain_step s
                                    WHERE s.chain_id = timers_chain.id AND s.name = o.step AND s.state = 'stopped'))
"""


def release_orders() -> int:
    """Let a batch of orders go on; returns how many there were."""
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, (BATCH,))
        found = cursor.fetchall()
    for order, root, timer_id in found:
        with transaction.atomic():
            change = OrderChange(order, root, timer_id, clock.now())
            change.send(events.StatesChanged())
            change.write()
    if len(found) < BATCH:
        with connection.cursor() as cursor:
            cursor.execute(_RELEASED)
    return len(found)


def pass_deadlines() -> int:
    """End, suspend or redirect a batch of orders whose deadline has passed; returns how many there were."""
    with connection.cursor() as cursor:
        cursor.execute(_LATE, (clock.now(), BATCH))
        found = cursor.fetchall()
    for order, root, timer_id in found:
        with transaction.atomic():
            change = OrderChange(order, root, timer_id, clock.now())
            change.send(events.DeadlinePassed())
            change.write()
    return len(found)
