"""Recall: ask workers to hold back what they have claimed and not begun, and wait for their answers.

A claim is the only thing that a worker needs to begin an execution, and it may hold it in memory for seconds before
its instant. A change that comes meanwhile must know for certain that the execution will not begin, before it answers:

1. The change takes an advisory lock under a token, in its own transaction: it ends with that, however it ends.
2. On a session of its own it writes a request to each worker and announces it. The request is committed at once, so
   the worker sees it though the change is not committed yet.
3. The worker takes the executions out of its queues, or finds that they have begun, and answers. From then on what it
   holds back begins only if the claim still has it once the token's lock is free: the change was rolled back.
4. The change takes what is held back out of the claim, in its own transaction.

Without an answer in time the execution counts as begun. Nothing of this costs anything where nothing is recalled.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from random import getrandbits
from typing import Final, Protocol
from weakref import WeakValueDictionary

from django.db import DatabaseError, connection

from timers.engine.arrays import plain_array, text_array
from timers.models import Node
from timers.server.bounded import bounded_copy
from timers.server.prepare import is_pooled

RECALL_CHANNEL: Final = "timers_recall"
TOKEN_LOCK_CLASS: Final = 0x52434C4C
"""First key of the advisory locks of changes ("RCLL"); the second is the token."""
ANSWER_SECONDS: Final = 2.0
"""How long a change waits for the workers' answers."""
POOLED_SECONDS: Final = 0.5
"""How long a statement may wait for a session of a pooler. Changes that have all sessions of a small pool, and wait for
one more each, keep everybody else from the database, workers and heartbeats too."""
_SHORTEST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.02

Process = tuple[int, int]
"""A worker process: the id of its node's row, and its process id."""

logger = logging.getLogger(__name__)


class HoldsBack(Protocol):
    """Something in this process that holds claims itself."""

    def hold_back(self, token: int, executions: Collection[str]) -> set[str]:
        """Keep these from beginning while the token is locked; returns those that had not begun."""


in_this_process: Final[WeakValueDictionary[Process, HoldsBack]] = WeakValueDictionary()
"""Holders that are called rather than asked through the database: the nodes that tests drive step by step."""


def address(process: Process) -> str:
    """What a notification of a recall names: the worker that is asked."""
    return f"{process[0]}/{process[1]}"


def recall(wanted: Mapping[Process, Collection[str]]) -> set[str]:
    """Ask each worker process to hold back executions that it has claimed; returns those that will not begin.

    To be called within a transaction. What is returned does not begin while that lasts, nor afterwards if it has taken
    the executions out of their claims. What is not returned has begun or may begin. Takes a few milliseconds,
    ANSWER_SECONDS at most.
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
            # Nothing was promised: what was asked for counts as begun.
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
# Whoever is first, the answer or this, decides: an answer that comes later finds no request.
_END: Final = "DELETE FROM timers_recall WHERE id = ANY(%s::bigint[]) RETURNING held_back::text[]"


def _ask(wanted: Mapping[Process, Collection[str]], token: int) -> set[str]:
    """The answers of other processes, over a session of its own: requests must be seen before the change commits."""
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
