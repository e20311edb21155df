"""The raw limit: the engine's statements on the engine's tables, executed directly, without the service.

One process does only this: lock and read 500 due one-shots, finish them, insert one claim, commit; lock the claim,
insert the ledger rows, delete the claim, commit. There are no handlers, no decisions and no supervision.
"""

from __future__ import annotations

import time
from multiprocessing import get_context
from typing import Any, Final

import psycopg
from django.db import connection

from timers.domain.execution_id import execution_id

BATCH: Final = 500
START_TOGETHER_AFTER: Final = 2.0
"""Seconds within which all processes are up and connected."""

_LOCK_DUE: Final = """
SELECT id, name, (extract(epoch FROM next_fire_at) * 1000000)::bigint, payload::text FROM timers_timer
WHERE group_id = %s AND shard = 0 AND state = 'active' AND next_fire_at <= %s
ORDER BY next_fire_at LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
"""
_FINISH: Final = """
UPDATE timers_timer SET state = 'finished', last_fire_at = next_fire_at, next_fire_at = NULL,
    fire_count = fire_count + 1 WHERE id = ANY(%s::bigint[])
"""
_CLAIM: Final = """
INSERT INTO timers_claim (group_id, node_id, worker, worker_pid, claimed_at, executions)
VALUES (%s, 0, %s, 0, clock_timestamp(), %s::uuid[]) RETURNING id
"""
_LOCK_CLAIM: Final = "SELECT id, executions::text[] FROM timers_claim WHERE id = %s FOR UPDATE"
_RECORD: Final = """
INSERT INTO timers_attempt (id, group_id, timer_id, name, scheduled_for, attempt, outcome, origin, node, worker, fence,
                            claimed_at, started_at, finished_at, missed_count)
SELECT u.id, %s, u.timer_id, u.name, TIMESTAMPTZ 'epoch' + u.scheduled_us * INTERVAL '1 microsecond', 1, 'succeeded',
       'schedule', 'raw', %s, %s, now(), TIMESTAMPTZ 'epoch' + u.started_us * INTERVAL '1 microsecond',
       TIMESTAMPTZ 'epoch' + u.finished_us * INTERVAL '1 microsecond', 0
FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[])
     AS u(id, timer_id, name, scheduled_us, started_us, finished_us)
"""
_LET_GO: Final = "DELETE FROM timers_claim WHERE id = %s"


def raw_drain(group_id: int, executions: int, processes: int) -> dict[str, Any]:
    """Drain the due one-shots of a (paused) group directly with `processes` processes, and return the rate."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT timers_now()")
        (horizon,) = cursor.fetchone()
    spawning = get_context("spawn")
    with spawning.Pool(processes) as pool:
        start = time.monotonic() + START_TOGETHER_AFTER
        work = [(_parameters(), group_id, horizon, number, start) for number in range(1, processes + 1)]
        spans = pool.starmap(_drain, work, chunksize=1)
    done = sum(count for count, _, _ in spans)
    seconds = max(end for _, _, end in spans) - min(begin for _, begin, _ in spans)
    return {
        "executions": done,
        "processes": processes,
        "batch": BATCH,
        "seconds": round(seconds, 3),
        "per_second": round(done / seconds),
        "complete": done == executions,
    }


def _parameters() -> dict[str, Any]:
    """Return the connection parameters of the measured installation, for psycopg without Django."""
    given = connection.get_connection_params()
    known = {"dbname", "user", "password", "host", "port", "sslmode", "sslrootcert", "sslcert", "sslkey", "service"}
    return {name: value for name, value in given.items() if name in known}


def _drain(
    parameters: dict[str, Any], group_id: int, horizon: Any, worker: int, start: float
) -> tuple[int, float, float]:
    done = 0
    with psycopg.connect(**parameters) as raw:
        raw.execute("SELECT 1")
        raw.commit()
        time.sleep(max(0.0, start - time.monotonic()))
        began = time.monotonic()
        while rows := raw.execute(_LOCK_DUE, (group_id, horizon, BATCH)).fetchall():
            timers = _array(row[0] for row in rows)
            ids = [execution_id(row[2], row[0]) for row in rows]
            raw.execute(_FINISH, (timers,))
            claim = raw.execute(_CLAIM, (group_id, worker, _array(ids))).fetchone()
            assert claim is not None
            raw.commit()
            now = time.time_ns() // 1000
            raw.execute(_LOCK_CLAIM, (claim[0],))
            raw.execute(
                _RECORD,
                (
                    group_id, worker, claim[0], _array(ids), timers, _array(row[1] for row in rows),
                    _array(row[2] for row in rows), _array(now for _ in rows), _array(now for _ in rows),
                ),
            )  # fmt: skip
            raw.execute(_LET_GO, (claim[0],))
            raw.commit()
            done += len(rows)
        return done, began, time.monotonic()


def _array(values: Any) -> str:
    return "{" + ",".join(map(str, values)) + "}"
