"""The fence: the only module that takes, verifies and releases claims.

A claim's id is the fence of all executions in it. To end an execution, lock the claim first and verify that the
execution is still in it; otherwise the outcome is refused.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from timers.database import connection
from timers.domain.limit_keys import NO_KEY
from timers.engine.arrays import plain_array, text_array, timestamp
from timers.engine.execution import AnyHolder, Consumer, Execution, Holder, ServedGroup
from timers.engine.wakeup import tell_revoked

Held = dict[int, set[str]]
"""Fence -> ids of executions."""
ASKED_TO_END: Final = "asked to end"
"""Reason of a revocation where no other is known."""
_IS_AWAITED: Final = "is_awaited"
"""Key in a claim's details: a timer now waits for the end of an execution that it did not wait for at the claim."""
_LIMIT_IS_AWAITED: Final = "limit_is_awaited"
"""Key in the details of a whole claim: its group has since begun to limit its executions.

The name contains _IS_AWAITED, so that one search finds both.
"""
_WHOLE: Final = ""
"""Key in a claim's details for the whole claim, instead of an execution."""


class LockedClaims(NamedTuple):
    """Claims that still exist, locked."""

    held: Held
    """All executions of each claim."""
    revoked: Mapping[str, str]
    """Executions that were revoked: id -> reason."""
    awaited: Collection[str]
    """Executions for which await_end was called."""
    is_limited: bool
    """Whether note_limits was called for the group of any of them."""


_INSERT: Final = f"""
INSERT INTO timers_claim (group_id, node_id, worker, worker_pid, consumer, expires_at, claimed_at, executions, details)
VALUES (%s, %s, %s, %s, %s, {timestamp("%s::bigint")}, {timestamp("%s")}, %s::uuid[], %s) RETURNING id
"""
_INSERT_BY_KEY: Final = f"""
INSERT INTO timers_claim (group_id, node_id, worker, worker_pid, consumer, expires_at, claimed_at, executions, details,
                          limit_key)
SELECT %s::bigint, %s::int, %s::int, %s::int, %s::text, {timestamp("%s::bigint")}, {timestamp("%s")},
       u.executions::uuid[], u.details::json, u.key
FROM unnest(%s::text[], %s::text[], %s::text[]) AS u(executions, details, key)
RETURNING id, limit_key
"""


def insert_claim(holder: AnyHolder, group: ServedGroup, executions: list[Execution], now_us: int) -> None:
    """Claim a batch of one group's executions for the holder, and set their fence.

    Args:
        holder: the worker or consumer.
        group: the group.
        executions: the executions; if empty, nothing is written.
        now_us: microseconds by the database clock.
    """
    if not executions:
        return
    lease = holder.lease if isinstance(holder, Consumer) else None
    held: list[Any] = [
        group.id,
        holder.node_id,
        holder.worker,
        holder.worker_pid,
        holder.name if isinstance(holder, Consumer) else None,
        None if lease is None else now_us + round(lease * 1_000_000),
        now_us,
    ]
    if group.limits.is_keyed:
        # One claim per key, so that the claims show what a key uses, whatever happens to the timers meanwhile.
        by_key: dict[str, list[Execution]] = {}
        for execution in executions:
            by_key.setdefault(execution.limit_key or NO_KEY, []).append(execution)
        ids = text_array(plain_array(each.id for each in of_key) for of_key in by_key.values())
        details = text_array(_details(of_key) for of_key in by_key.values())
        with connection.cursor() as cursor:
            cursor.execute(_INSERT_BY_KEY, (*held, ids, details, text_array(by_key)))
            batches = [(fence, by_key[key]) for fence, key in cursor.fetchall()]
    else:
        ids = plain_array(execution.id for execution in executions)
        with connection.cursor() as cursor:
            cursor.execute(_INSERT, (*held, ids, _details(executions)))
            batches = [(fence, executions) for (fence,) in cursor.fetchall()]
    shift_us = group.clock.at(now_us) - now_us
    for fence, batch in batches:
        for execution in batch:
            execution.fence = fence
            execution.claimed_us = now_us
            execution.shift_us = shift_us


def _details(executions: Iterable[Execution]) -> str | None:
    details = {execution.id: detail for execution in executions if (detail := execution.details()) is not None}
    return json.dumps(details) if details else None


def lock_claims(
    fences: Iterable[int], holder: AnyHolder | None = None, *, expired_us: int | None = None
) -> LockedClaims:
    """Lock those of the claims that still exist.

    Args:
        fences: ids of the claims.
        holder: lock only claims of this holder; None: of any.
        expired_us: lock only consumers' claims whose lease has expired by this instant (microseconds); None: any.
    """
    conditions = ["id = ANY(%s::bigint[])"]
    wanted: list[Any] = [plain_array(fences)]
    if isinstance(holder, Holder):
        conditions, wanted = [*conditions, "node_id = %s"], [*wanted, holder.node_id]
    elif isinstance(holder, Consumer):
        conditions, wanted = [*conditions, "consumer = %s"], [*wanted, holder.name]
    if expired_us is not None:
        conditions, wanted = [*conditions, f"expires_at <= {timestamp('%s')}"], [*wanted, expired_us]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, executions::text[], revoked::text[], revoke_reasons::text,"
            f" CASE WHEN strpos(details::text, '{_IS_AWAITED}') > 0 THEN details::text END FROM timers_claim"
            f" WHERE {' AND '.join(conditions)} ORDER BY id FOR UPDATE",
            wanted,
        )
        rows = cursor.fetchall()
    held = {fence: set(executions) for fence, executions, *_ in rows}
    why: dict[str, str] = {}
    awaited: set[str] = set()
    is_limited = False
    for _, _, revoked, reasons, details in rows:
        if revoked:
            known = json.loads(reasons) if reasons else {}
            why |= {execution: known.get(execution) or ASKED_TO_END for execution in revoked}
        if details:
            noted = json.loads(details)
            awaited |= {execution for execution, detail in noted.items() if detail.get(_IS_AWAITED)}
            is_limited |= _WHOLE in noted
    return LockedClaims(held, why, awaited, is_limited)


def await_end(executions: Collection[str], group_id: int) -> None:
    """Record in the claims of executions of one group that their timer waits for their end from now on.

    The caller has locked the timer. Executions that are not claimed are ignored. A transaction that ends a claimed one
    learns from lock_claims that the timer must be advanced.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, executions::text[], details::text FROM timers_claim"
            " WHERE group_id = %s AND executions && %s::uuid[] ORDER BY id FOR UPDATE",
            (group_id, plain_array(executions)),
        )
        for fence, held, text in cursor.fetchall():
            details = json.loads(text) if text else {}
            for execution in set(held).intersection(executions):
                details[execution] = {**details.get(execution, {}), _IS_AWAITED: True}
            cursor.execute("UPDATE timers_claim SET details = %s WHERE id = %s", (json.dumps(details), fence))


def note_limits(group_id: int) -> None:
    """Record in all claims of a group that it now has limits, which it did not have when they were made.

    A transaction that ends a claimed execution learns it from lock_claims: others may start then, and a retry gets a
    limit key. The caller has locked the group, so there are no new claims meanwhile.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, details::text FROM timers_claim WHERE group_id = %s ORDER BY id FOR UPDATE", (group_id,)
        )
        noted = {
            fence: json.dumps({**(json.loads(text) if text else {}), _WHOLE: {_LIMIT_IS_AWAITED: True}})
            for fence, text in cursor.fetchall()
        }
        if noted:
            cursor.execute(
                "UPDATE timers_claim c SET details = u.details::json"
                " FROM unnest(%s::bigint[], %s::text[]) AS u(id, details) WHERE c.id = u.id",
                (plain_array(noted), text_array(noted.values())),
            )


def let_go(held: Held, leaving: Held) -> None:
    """Remove executions from their locked claims; delete claims that become empty.

    `held` is the result of lock_claims. Complete claims, by far the most, are deleted without being rewritten.
    """
    whole = [fence for fence, gone in leaving.items() if gone >= held[fence]]
    shrunk = [fence for fence, gone in leaving.items() if not gone >= held[fence]]
    with connection.cursor() as cursor:
        if whole:
            cursor.execute("DELETE FROM timers_claim WHERE id = ANY(%s::bigint[])", (plain_array(whole),))
        if shrunk:
            gone = plain_array(execution for fence in shrunk for execution in leaving[fence])
            cursor.execute(
                "UPDATE timers_claim SET executions = ARRAY(SELECT unnest(executions) EXCEPT SELECT unnest(u.gone)),"
                " revoked = NULLIF(ARRAY(SELECT unnest(revoked) EXCEPT SELECT unnest(u.gone)), '{}')"
                " FROM (SELECT %s::uuid[] AS gone) u WHERE id = ANY(%s::bigint[])",
                (gone, plain_array(shrunk)),
            )


_REVOKE = """
UPDATE timers_claim c
SET revoked = ARRAY(SELECT unnest(c.revoked)
                    UNION (SELECT unnest(c.executions) INTERSECT SELECT unnest(%(ids)s::uuid[]))),
    -- The first reason stays.
    revoke_reasons = (SELECT jsonb_object_agg(e.id::text, %(reason)s::text)
                      FROM unnest(c.executions) AS e(id) WHERE e.id = ANY(%(ids)s::uuid[]))
                     || COALESCE(c.revoke_reasons, '{{}}')
WHERE c.id = ANY(ARRAY(SELECT id FROM timers_claim WHERE group_id = %(group_id)s AND executions && %(ids)s::uuid[]
                       ORDER BY id FOR UPDATE {skip}))
RETURNING c.revoked::text[]
"""


def revoke(
    executions: Collection[str], group_id: int, reason: str = ASKED_TO_END, *, skip_locked: bool = False
) -> set[str]:
    """Request the end of claimed executions of one group, started or not; return those that are claimed.

    From then on such an execution gets no further attempt: it succeeds, or it is cancelled. A NOTIFY informs the
    holders at once; they also find it in their claims at their next poll.

    Args:
        executions: ids of the executions.
        group_id: id of their group.
        reason: the reason for the ledger.
        skip_locked: ignore claims that another session has locked.
    """
    if not executions:
        return set()
    with connection.cursor() as cursor:
        statement = _REVOKE.format(skip="SKIP LOCKED" if skip_locked else "")
        cursor.execute(statement, {"ids": plain_array(executions), "group_id": group_id, "reason": reason})
        claimed = {execution for (revoked,) in cursor.fetchall() for execution in revoked}.intersection(executions)
    tell_revoked(sorted(claimed))
    return claimed


def revoked_of(holder: Holder) -> set[str]:
    """Return the holder's executions whose end has been requested."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.id::text FROM timers_claim c, unnest(c.revoked) AS e(id)"
            " WHERE c.node_id = %s AND c.worker_pid = %s AND c.revoked IS NOT NULL",
            (holder.node_id, holder.worker_pid),
        )
        return {execution for (execution,) in cursor.fetchall()}


def by_fence(executions: Iterable[Execution]) -> Held:
    """Group claimed executions by their fence."""
    held: Held = {}
    for execution in executions:
        held.setdefault(execution.fence, set()).add(execution.id)
    return held
