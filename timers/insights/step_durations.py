"""Run times of the steps of a chain: median and 95th percentile over its latest orders, from the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from timers.database import connection
from timers.domain.execution_id import MAX_TRIES
from timers.models import Chain

LOOKED_AT: Final = 5_000
"""Number of the newest orders of all chains among which those of one chain are searched."""
MOST_ORDERS: Final = 200
_MOST_ATTEMPTS: Final = 10_000

_LATEST: Final = """
SELECT id, attempts FROM (
    SELECT id, attempts, chain_id FROM timers_chain_order ORDER BY id DESC LIMIT %(look)s) o
WHERE chain_id = %(chain)s AND attempts > 0 ORDER BY id DESC LIMIT %(orders)s
"""
_DURATIONS: Final = """
SELECT a.step, count(*),
       percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (
           ORDER BY extract(epoch FROM a.finished_at - a.started_at)::float8)
FROM unnest(%(lowest)s::uuid[], %(highest)s::uuid[]) AS o(lowest, highest), LATERAL (
    SELECT step, started_at, finished_at FROM timers_attempt
    WHERE id > o.lowest AND id <= o.highest AND outcome = 'advanced' AND started_at IS NOT NULL) a
WHERE a.step IS NOT NULL GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class StepDuration:
    """Run times in seconds of the latest successful runs of a step."""

    runs: int
    p50: float
    p95: float


def step_durations(chain: Chain) -> dict[str, StepDuration]:
    """Return the run times by step, over the latest orders of a chain; steps that did not run recently are left out.

    Reads at most MOST_ORDERS orders with about 10,000 attempts in total, among the newest LOOKED_AT of all chains.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LATEST, {"look": LOOKED_AT, "chain": chain.pk, "orders": MOST_ORDERS})
        chosen, attempts = list[UUID](), 0
        for order, tried in cursor.fetchall():
            if chosen and attempts + tried > _MOST_ATTEMPTS:
                break
            chosen.append(order)
            attempts += tried
        if not chosen:
            return {}
        highest = [UUID(int=order.int | MAX_TRIES) for order in chosen]
        cursor.execute(_DURATIONS, {"lowest": chosen, "highest": highest})
        return {step: StepDuration(runs, *quantiles) for step, runs, quantiles in cursor.fetchall()}
