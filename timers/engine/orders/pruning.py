"""Prune orders: delete those that ended long ago, with their branches.

The ledger keeps history by its own partitions.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final

from timers.database import connection

BATCH: Final = 10_000
"""Number of orders deleted at once."""
SECONDS: Final = 2.0
"""Seconds after which the rest is left to the next pass."""

# A branch is kept as long as its root: the join needs its result.
_DELETE: Final = """
DELETE FROM timers_chain_order WHERE id = ANY(ARRAY(
    SELECT o.id FROM timers_chain_order o
    WHERE o.ended_at < %(old)s
      AND NOT EXISTS (SELECT 1 FROM timers_chain_order r
                      WHERE r.id = o.root AND (r.ended_at IS NULL OR r.ended_at >= %(old)s))
    ORDER BY o.ended_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
"""


def prune_orders(old: datetime) -> int:
    """Delete the orders of trees that ended before an instant, in batches; return their number."""
    rows, began = 0, time.monotonic()
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_DELETE, {"old": old, "limit": BATCH})
            deleted = int(cursor.rowcount)
        rows += deleted
        if deleted < BATCH or time.monotonic() - began >= SECONDS:
            return rows
