"""idle: the cost of an idle node."""

from __future__ import annotations

import time
from typing import Any

from django.db import connection

from timerproject.bench.ground import Ground
from timerproject.bench.node_process import NodeProcess

SETTLES_AFTER = 5.0


def measure(*, seconds: float, workers: int, threads: int | None = None) -> dict[str, Any]:
    """Measure the CPU time of the node's processes, and transactions of the whole database, over `seconds`."""
    with Ground() as ground, NodeProcess(ground, workers=workers, threads=threads) as node:
        time.sleep(SETTLES_AFTER)  # until the last batches of the warm-up are done
        cpu, transactions, began = node.cpu_seconds, _transactions(), time.monotonic()
        time.sleep(seconds)
        node.check()
        took = time.monotonic() - began
        return {
            "seconds": round(took, 3),
            "percent_of_a_core": round((node.cpu_seconds - cpu) / took * 100, 2),
            "transactions_per_second": round((_transactions() - transactions) / took, 2),
            "node_mb": node.resident_mb,
            "processes": len(node.processes),
        }


def _transactions() -> int:
    """Return the number of transactions that this database has ended so far, including other nodes and pages."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])
