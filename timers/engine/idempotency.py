"""Idempotent requests: the first does the work and its response is stored; repeats get the stored response.

The rule is that of the Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header): a key belongs to one request
for a time, and is refused with another request. Response and work are one transaction, so neither exists without the
other, even after a crash. Work on very many rows is done in parts (resumable.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, overload

from timers.database import connection, transaction
from timers.exceptions import TimersError
from timers.models import KeptAnswer

KEPT_HOURS: Final = 24
LONGEST_GROUP: Final = 200


@dataclass(frozen=True, slots=True)
class Kept:
    """A response as it was sent."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    replayed: bool = False


class KeyReused(TimersError):
    """The key was used with another request before."""


_TAKE: Final = """
INSERT INTO timers_kept_answer AS k (caller, key, "group", fingerprint, status, headers, body, created_at)
VALUES (%(caller)s, %(key)s, %(group)s, %(fingerprint)s, 0, '{}', '', timers_now())
ON CONFLICT (caller, key) DO UPDATE
    SET fingerprint = EXCLUDED.fingerprint, "group" = EXCLUDED."group", created_at = EXCLUDED.created_at, status = 0
    WHERE k.created_at < timers_now() - make_interval(hours => %(hours)s)
RETURNING id
"""
_FREE: Final = "DELETE FROM timers_kept_answer WHERE id = %s"
_FILL: Final = "UPDATE timers_kept_answer SET status = %s, headers = %s, body = %s WHERE id = %s"


@overload
def answer_once(caller: str, key: str, fingerprint: str, work: Callable[[], Kept], *, group: str = "") -> Kept: ...
@overload
def answer_once(
    caller: str, key: str, fingerprint: str, work: Callable[[], Kept | None], *, group: str = ""
) -> Kept | None: ...
def answer_once(
    caller: str, key: str, fingerprint: str, work: Callable[[], Kept | None], *, group: str = ""
) -> Kept | None:
    """Return the response of `work`, or the stored one if this key was used before.

    Of two concurrent calls, the second waits for the first. An exception of `work` rolls its changes back and stores no
    response. A result of None commits the changes of `work` without a response: the key stays free for a later call.

    Args:
        caller: the caller; keys of different callers are independent.
        key: the idempotency key.
        fingerprint: identifies the request.
        work: does the work and returns the response.
        group: name of the group that the request is for. Its responses are deleted with the group, so a new group of
            that name does not get them.

    Raises:
        KeyReused: the key belongs to another request.
    """
    with transaction.atomic():
        row_id = take(caller, key, fingerprint, group)
        if row_id is None:
            return kept_before(caller, key, fingerprint)
        kept = work()
        if kept is None:
            with connection.cursor() as cursor:
                cursor.execute(_FREE, (row_id,))
        else:
            fill(row_id, kept)
        return kept


def take(caller: str, key: str, fingerprint: str, group: str = "") -> int | None:
    """Insert the row of a key, and return its id; None if the key is used. Waits for a transaction that inserts it."""
    given = {"caller": caller, "key": key, "group": group[:LONGEST_GROUP], "fingerprint": fingerprint}
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, {**given, "hours": KEPT_HOURS})
        taken = cursor.fetchone()
    return None if taken is None else int(taken[0])


def fill(row_id: int, kept: Kept) -> None:
    """Store the response in the row of a key."""
    with connection.cursor() as cursor:
        cursor.execute(_FILL, (kept.status, json.dumps(dict(kept.headers)), kept.body, row_id))


def kept_before(caller: str, key: str, fingerprint: str) -> Kept:
    """Return the stored response of a used key; its status is 0 while the work is under way.

    Raises:
        KeyReused: the key belongs to another request.
    """
    row = KeptAnswer.objects.get(caller=caller, key=key)
    if row.fingerprint != fingerprint:
        raise KeyReused(f"the Idempotency-Key {key!r} was used for another request; make a new one for each request")
    return Kept(row.status, row.body, row.headers, replayed=True)


def forget_answers() -> int:
    """Delete responses older than a day; return their number."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM timers_kept_answer WHERE id = ANY(ARRAY(SELECT id FROM timers_kept_answer"
            " WHERE created_at < timers_now() - make_interval(hours => %s) ORDER BY id FOR UPDATE SKIP LOCKED))",
            (KEPT_HOURS,),
        )
        return int(cursor.rowcount)


def forget_answers_of(group: str) -> None:
    """Delete the responses for a group that is being deleted; the response to the deletion itself follows later."""
    KeptAnswer.objects.filter(group=group).exclude(status=0).delete()
