"""Resumable requests: idempotent work in parts, each its own transaction; a repeat continues with the next part.

A request that changes very many rows must not be one transaction: it would hold all their locks until its end. While
such a request is under way, its row in timers_kept_answer has the status 0, `body` is its plan, which never changes,
and `headers` is its progress, which each part writes in its own transaction. So no part is carried out twice, whether a
process dies between two parts or two processes carry out the same request at once. The last part stores the response.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from timers.database import connection, transaction
from timers.engine.idempotency import Kept, fill, kept_before, take

Plan = dict[str, Any]
Progress = dict[str, Any]

_BEGIN: Final = "UPDATE timers_kept_answer SET headers = '{}', body = %s WHERE id = %s"
_READ: Final = "SELECT id, body FROM timers_kept_answer WHERE caller = %s AND key = %s"
_LOCK: Final = "SELECT status, headers::text FROM timers_kept_answer WHERE id = %s FOR UPDATE"
_GO_ON: Final = "UPDATE timers_kept_answer SET headers = %s WHERE id = %s"


def answer_in_parts(
    caller: str,
    key: str,
    fingerprint: str,
    begin: Callable[[], Plan],
    go_on: Callable[[Plan, Progress], Progress | Kept],
) -> Kept:
    """Carry out the parts of a request that are left, and return its response; the stored one if there is one.

    Must not be called in a transaction: the parts would be one.

    Args:
        caller: The caller; keys of different callers are independent.
        key: The idempotency key.
        fingerprint: Identifies the request.
        begin: Returns the plan, as JSON: what the request is going to change. Called once for each key. If it raises,
            the key remains unused.
        go_on: Carries out the next part of the plan, and returns the progress up to there, as JSON, or the response if
            nothing is left. The progress is empty at first. If it raises, the part is rolled back, and a repeat of the
            request carries it out.

    Raises:
        KeyReused: The key belongs to another request.
    """
    with transaction.atomic():
        row_id = take(caller, key, fingerprint)
        if row_id is not None:
            plan = begin()
            _execute(_BEGIN, json.dumps(plan), row_id)
    if row_id is None:
        kept = kept_before(caller, key, fingerprint)
        if kept.status:
            return kept
        row_id, text = _one(_READ, caller, key)
        plan = json.loads(text)
    while True:
        with transaction.atomic():
            # The lock orders the parts of two processes, and precedes the locks of each part.
            status, progress = _one(_LOCK, row_id)
            if status:
                break
            result = go_on(plan, json.loads(progress))
            if isinstance(result, Kept):
                fill(row_id, result)
                return result
            _execute(_GO_ON, json.dumps(result), row_id)
    return kept_before(caller, key, fingerprint)


def _execute(statement: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


def _one(statement: str, *params: Any) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        row: tuple[Any, ...] = cursor.fetchone()
        return row
