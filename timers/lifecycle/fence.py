"""The fence: claims are taken, checked and let go here and nowhere else.

A claim's id is the fence of all executions in it. Whoever wants to end one must first lock the claim and find the
execution still in it; what was taken away meanwhile is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from django.db import connection

from timers.lifecycle.arrays import plain_array, timestamp
from timers.lifecycle.execution import Execution, Holder, ServedGroup

Held = dict[int, set[str]]
"""Fence -> ids of executions."""


def insert_claim(holder: Holder, group: ServedGroup, executions: list[Execution], now_us: int) -> None:
    """Claim a batch of one group's executions for the holder, and set their fence."""
    if not executions:
        return
    details = {execution.id: detail for execution in executions if (detail := execution.details()) is not None}
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO timers_claim (group_id, node_id, worker, worker_pid, claimed_at, executions, details)"
            f" VALUES (%s, %s, %s, %s, {timestamp('%s')}, %s::uuid[], %s) RETURNING id",
            (
                group.id,
                holder.node_id,
                holder.worker,
                holder.worker_pid,
                now_us,
                plain_array(execution.id for execution in executions),
                json.dumps(details) if details else None,
            ),
        )
        (fence,) = cursor.fetchone()
    for execution in executions:
        execution.fence = fence
        execution.claimed_us = now_us


def lock_claims(fences: Iterable[int], node_id: int) -> Held:
    """Lock those of the node's claims that still live, and return all that each of them holds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, executions::text[] FROM timers_claim"
            " WHERE id = ANY(%s::bigint[]) AND node_id = %s ORDER BY id FOR UPDATE",
            (plain_array(fences), node_id),
        )
        return {fence: set(executions) for fence, executions in cursor.fetchall()}


def let_go(held: Held, leaving: Held) -> None:
    """Take executions out of their locked claims; a claim whose last one leaves is deleted.

    `held`: what lock_claims returned. Whole claims, by far the most, are deleted without being rewritten.
    """
    whole = [fence for fence, gone in leaving.items() if gone >= held[fence]]
    shrunk = [fence for fence, gone in leaving.items() if not gone >= held[fence]]
    with connection.cursor() as cursor:
        if whole:
            cursor.execute("DELETE FROM timers_claim WHERE id = ANY(%s::bigint[])", (plain_array(whole),))
        if shrunk:
            gone = plain_array(execution for fence in shrunk for execution in leaving[fence])
            cursor.execute(
                "UPDATE timers_claim SET executions ="
                " ARRAY(SELECT unnest(executions) EXCEPT SELECT unnest(%s::uuid[])) WHERE id = ANY(%s::bigint[])",
                (gone, plain_array(shrunk)),
            )


def by_fence(executions: Iterable[Execution]) -> Held:
    """Group held executions by their fence."""
    held: Held = {}
    for execution in executions:
        held.setdefault(execution.fence, set()).add(execution.id)
    return held
