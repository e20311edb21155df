"""The worker's part of a recall: find the requests, answer them, and find out how each change has ended."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from timers.database import connection
from timers.engine.arrays import plain_array
from timers.engine.execution import Execution, Holder
from timers.engine.recall import TOKEN_LOCK_CLASS


class Request(NamedTuple):
    """A recall request to a worker."""

    id: int
    token: int
    executions: list[str]


class Standing(NamedTuple):
    """What to do with executions that were held back, once the changes that recalled them have ended."""

    to_begin: list[Execution]
    """The change was rolled back: they are claimed as before."""
    to_end: list[Execution]
    """Still claimed, and revoked."""
    gone: list[Execution]
    """The change took them."""


def open_requests(holder: Holder) -> list[Request]:
    """Return the unanswered requests to this worker, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, token, executions::text[] FROM timers_recall"
            " WHERE node_id = %s AND worker_pid = %s AND held_back IS NULL ORDER BY id",
            (holder.node_id, holder.worker_pid),
        )
        return [Request(*row) for row in cursor.fetchall()]


def answer(request: Request, held_back: Collection[str]) -> bool:
    """Answer which executions do not start.

    Returns False if the change no longer waits for the answer, and counts the executions as started.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE timers_recall SET held_back = %s::uuid[] WHERE id = %s", (plain_array(held_back), request.id)
        )
        return bool(cursor.rowcount)


def has_ended(token: int) -> bool:
    """Return whether the transaction of the change behind a token is over, committed or rolled back."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock_shared(%s, %s)", (TOKEN_LOCK_CLASS, token))
        (ended,) = cursor.fetchone()
    return bool(ended)


def standing_of(executions: Iterable[Execution]) -> Standing:
    """Return the state of executions whose changes have ended. A separate statement sees what those committed."""
    found = list(executions)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, executions::text[], revoked::text[] FROM timers_claim WHERE id = ANY(%s::bigint[])",
            (plain_array({execution.fence for execution in found}),),
        )
        rows = cursor.fetchall()
    held = {fence: set(ids) for fence, ids, _ in rows}
    revoked = {execution for _, _, ids in rows for execution in ids or ()}
    standing = Standing([], [], [])
    for execution in found:
        if execution.id not in held.get(execution.fence, ()):
            standing.gone.append(execution)
        elif execution.id in revoked:
            standing.to_end.append(execution)
        else:
            standing.to_begin.append(execution)
    return standing
