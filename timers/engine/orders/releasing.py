"""Release orders: those waiting at a step continue when it is no longer stopped. Also handle passed deadlines.

Leaderless: every node attempts it, and skips a tree that another node works on.
"""

from __future__ import annotations

import logging
from typing import Final

from timers import clock
from timers.database import connection, transaction
from timers.domain.chains import events
from timers.engine.arrays import plain_array
from timers.engine.group_clock import group_now
from timers.engine.orders.change import OrderChange
from timers.exceptions import TimersError

logger = logging.getLogger(__name__)
BATCH: Final = 100
"""Number of orders that one call takes."""

HAS_RELEASES: Final = "EXISTS (SELECT 1 FROM timers_chain rc WHERE rc.is_releasing)"
"""SQL: whether orders of any chain may have to continue."""


# Only groups with chains are looked at: each is one probe of an index, by the group's clock.
_OF_GROUPS: Final = """
timers_timer_group g CROSS JOIN LATERAL (
    SELECT o.id, o.root, o.timer_id, o.deadline_at FROM timers_chain_order o
    WHERE o.group_id = g.id AND o.deadline_at IS NOT NULL AND o.deadline_at <= {now} AND o.id <> ALL({left})
    ORDER BY o.deadline_at LIMIT {limit}) late
WHERE g.id IN (SELECT c.group_id FROM timers_chain c)
"""


def has_deadlines(now: str) -> str:
    """Return SQL that tests whether the deadline of any order has passed at the instant `now` (SQL)."""
    return f"EXISTS (SELECT 1 FROM {_OF_GROUPS.format(now=group_now(now), left=chr(39) + '{}' + chr(39), limit=1)})"


# Orders waiting at steps that are no longer stopped, and those at a step that is now skipped. The steps with waiting
# orders are found by a skip scan, so orders that keep waiting are not read one by one.
_FREE: Final = """
WITH RECURSIVE releasing AS (
    SELECT c.id, c.state FROM timers_chain c WHERE {which}),
stood AS (
    SELECT c.id AS chain_id, (SELECT o.step FROM timers_chain_order o
                              WHERE o.chain_id = c.id AND o.state = 'at_stopped' ORDER BY o.step LIMIT 1) AS step
    FROM releasing c
    UNION ALL
    SELECT s.chain_id, (SELECT o.step FROM timers_chain_order o
                        WHERE o.chain_id = s.chain_id AND o.state = 'at_stopped' AND o.step > s.step
                        ORDER BY o.step LIMIT 1)
    FROM stood s WHERE s.step IS NOT NULL),
free AS (
    SELECT s.chain_id, s.step FROM stood s JOIN releasing c ON c.id = s.chain_id
    WHERE s.step IS NOT NULL AND c.state = 'active'
      AND NOT EXISTS (SELECT 1 FROM timers_chain_step t
                      WHERE t.chain_id = s.chain_id AND t.name = s.step AND t.state = 'stopped'))
"""
_STANDING: Final = f"""
{_FREE.format(which="c.is_releasing")}
(SELECT o.id::text, o.root::text, o.timer_id
 FROM free f CROSS JOIN LATERAL (
     SELECT o.id, o.root, o.timer_id FROM timers_chain_order o
     WHERE o.chain_id = f.chain_id AND o.step = f.step AND o.state = 'at_stopped' AND o.id <> ALL(%(left)s::uuid[])
     ORDER BY o.id LIMIT %(limit)s) o
 LIMIT %(limit)s)
UNION ALL
(SELECT o.id::text, o.root::text, o.timer_id
 FROM releasing c JOIN timers_chain_step t ON t.chain_id = c.id AND t.state = 'skipped' CROSS JOIN LATERAL (
     SELECT o.id, o.root, o.timer_id FROM timers_chain_order o
     WHERE o.chain_id = c.id AND o.step = t.name AND o.ended_at IS NULL AND o.state IN ('waiting', 'awaiting')
       AND o.id <> ALL(%(left)s::uuid[])
     ORDER BY o.id LIMIT %(limit)s) o
 WHERE c.state = 'active' LIMIT %(limit)s)
LIMIT %(limit)s
"""
_LATE: Final = f"""
SELECT late.id::text, late.root::text, late.timer_id
FROM {_OF_GROUPS.format(now=group_now("%(now)s::timestamptz"), left="%(left)s::uuid[]", limit="%(limit)s")}
LIMIT %(limit)s
"""
# Lock first: the following statement then sees orders that stopped at a step before the lock was taken.
_LOCK: Final = "SELECT id FROM timers_chain WHERE is_releasing ORDER BY id FOR UPDATE SKIP LOCKED"
_RELEASED: Final = f"""
{_FREE.format(which="c.id = ANY(%(chains)s)")}
UPDATE timers_chain c SET is_releasing = false
WHERE c.id = ANY(%(chains)s) AND NOT EXISTS (SELECT 1 FROM free f WHERE f.chain_id = c.id)
"""


def release_orders() -> int:
    """Continue a batch of orders; return their number."""
    done, is_last = _carry_out(_STANDING, events.StatesChanged())
    if is_last:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_LOCK)
            if chains := [chain for (chain,) in cursor.fetchall()]:
                cursor.execute(_RELEASED, {"chains": chains})
    return done


def pass_deadlines() -> int:
    """End, suspend or redirect a batch of orders whose deadline has passed; return their number."""
    return _carry_out(_LATE, events.DeadlinePassed())[0]


def _carry_out(statement: str, event: events.Event) -> tuple[int, bool]:
    """Send the event to a batch of orders; return how many changed, and whether these were the last.

    An order that cannot be read is skipped, so that it does not block others.
    """
    left: list[str] = []
    while True:
        with connection.cursor() as cursor:
            cursor.execute(statement, {"now": clock.now(), "left": plain_array(left), "limit": BATCH})
            found = cursor.fetchall()
        done = 0
        for order, root, timer_id in found:
            try:
                with transaction.atomic():
                    change = OrderChange(order, root, timer_id, clock.now())
                    before = change.row.order
                    change.send(event)
                    change.write()
                    if change.row.order is before:
                        left.append(order)  # another node was faster, or the event does not affect it
                    else:
                        done += 1
            except (TimersError, LookupError, ValueError, TypeError) as error:
                left.append(order)
                logger.warning("order %s cannot go on: %s", order, error)
        if done or len(found) < BATCH:
            return done, len(found) < BATCH
