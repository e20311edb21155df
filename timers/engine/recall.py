"""Recall: request workers to hold back executions that they have claimed and not started, and wait for their answers.

A claim is all that a worker needs to start an execution, and it may keep it in memory for seconds before its instant. A
change in that time must know for certain that the execution will not start:

1. The change takes an advisory lock under a token, in its own transaction: the lock ends with the transaction, however
it ends.
2. In a separate session it writes a request to each worker and sends a notification. The request is committed at once,
so the worker sees it though the change is not committed yet.
3. The worker takes the executions out of its queues, or finds that they have started, and answers. From then on it
starts what it holds back only if the claim still contains it once the token's lock is free: the change was rolled back.
4. The change takes the executions that are held back out of the claim, in its own transaction.

Without an answer in time the execution counts as started. Without recalls none of this has a cost.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from random import getrandbits
from typing import Final, Protocol
from weakref import WeakValueDictionary

from django.db import DatabaseError

from timers.database import connection
from timers.engine.arrays import plain_array, text_array
from timers.models import Node
from timers.server.bounded import bounded_copy
from timers.server.prepare import is_pooled

RECALL_CHANNEL: Final = "timers_recall"
TOKEN_LOCK_CLASS: Final = 0x52434C4C
"""First key of the advisory locks of changes ("RCLL"); the second is the token."""
ANSWER_SECONDS: Final = 2.0
"""How long a change waits for the workers' answers, in seconds."""
POOLED_SECONDS: Final = 0.5
"""How long a statement may wait for a session of a pooler, in seconds.

Changes that have all sessions of a small pool, and each wait for one more, block the database for everyone else,
including workers and heartbeats.
"""
_SHORTEST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.02

Process = tuple[int, int]
"""A worker process: the id of its node's row, and its process id."""

logger = logging.getLogger(__name__)


class HoldsBack(Protocol):
    """Something in this process that has claims itself."""

    def hold_back(self, token: int, executions: Collection[str]) -> set[str]:
        """Keep these from starting while the token is locked; return those that had not started."""


in_this_process: Final[WeakValueDictionary[Process, HoldsBack]] = WeakValueDictionary()
"""Holders that are called directly instead of through the database: nodes that tests drive step by step."""


def address(process: Process) -> str:
    """Return the address of a worker in the notification of a recall."""
    return f"{process[0]}/{process[1]}"


def recall(wanted: Mapping[Process, Collection[str]]) -> set[str]:
    """Request each worker process to hold back executions that it has claimed; return those that will not start.

    Call it within a transaction. The returned executions do not start while it lasts, nor afterwards if it has taken
    them out of their claims. The others have started or may start. It takes a few milliseconds, ANSWER_SECONDS at most.
    """
    held_back: set[str] = set()
    remote: dict[Process, Collection[str]] = {}
    token = _lock_token()
    for process, executions in wanted.items():
        here = in_this_process.get(process)
        if here is not None:
            held_back |= here.hold_back(token, executions)
        else:
            remote[process] = executions
    if remote:
        try:
            held_back |= _ask(remote, token)
        except DatabaseError as error:
            # There was no answer: the executions count as started.
            logger.warning("recall failed: %s", str(error).partition("\n")[0])
    return held_back


def _lock_token() -> int:
    with connection.cursor() as cursor:
        while True:
            token = getrandbits(31)
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", (TOKEN_LOCK_CLASS, token))
            if cursor.fetchone()[0]:
                return token


# A process whose node is gone, or not yet visible to others, cannot answer.
_REQUEST: Final = f"""
WITH asked AS (
    INSERT INTO timers_recall (node_id, worker_pid, token, executions, created_at)
    SELECT u.node_id, u.worker_pid, %(token)s, u.executions::uuid[], clock_timestamp()
    FROM unnest(%(nodes)s::int[], %(pids)s::int[], %(executions)s::text[]) AS u(node_id, worker_pid, executions)
    JOIN timers_node n ON n.id = u.node_id
    WHERE n.state IN ({", ".join(f"'{state}'" for state in Node.LIVE)}) AND n.lease_expires_at > timers_now()
    RETURNING id, node_id, worker_pid
)
SELECT id, pg_notify(%(channel)s, node_id || '/' || worker_pid) FROM asked
"""
_UNANSWERED: Final = "SELECT count(*) FROM timers_recall WHERE id = ANY(%s::bigint[]) AND held_back IS NULL"
# The first of the answer and this statement decides: a later answer finds no request.
_END: Final = "DELETE FROM timers_recall WHERE id = ANY(%s::bigint[]) RETURNING held_back::text[]"


def _ask(wanted: Mapping[Process, Collection[str]], token: int) -> set[str]:
    """Return other processes' answers, over a separate session: requests must be visible before the commit."""
    session = bounded_copy(connection, POOLED_SECONDS if is_pooled(connection) else ANSWER_SECONDS)
    try:
        with session.cursor() as cursor:
            cursor.execute(
                _REQUEST,
                {
                    "token": token,
                    "channel": RECALL_CHANNEL,
                    "nodes": plain_array(node for node, _ in wanted),
                    "pids": plain_array(pid for _, pid in wanted),
                    "executions": text_array(plain_array(executions) for executions in wanted.values()),
                },
            )
            requests = plain_array(request for request, _ in cursor.fetchall())
            if requests == "{}":
                return set()
            deadline, pause = time.monotonic() + ANSWER_SECONDS, _SHORTEST_PAUSE
            while time.monotonic() < deadline:
                time.sleep(pause)
                cursor.execute(_UNANSWERED, (requests,))
                if not cursor.fetchone()[0]:
                    break
                pause = min(pause * 2, _LONGEST_PAUSE)
            cursor.execute(_END, (requests,))
            return {execution for (answer,) in cursor.fetchall() for execution in answer or ()}
    finally:
        session.close()
