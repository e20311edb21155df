"""Load the executions of claims, rebuilt from their ids, the claims' details and the timers."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from timers.actions import parse_text
from timers.domain.execution_id import open_as
from timers.domain.execution_id import parse as parse_id
from timers.domain.policies import overridden
from timers.engine.execution import AnyHolder, Consumer, Execution, Holder, ServedGroup, subscribers_of
from timers.engine.orders.claimed import attach
from timers.exceptions import InvalidRequest
from timers.models import Claim, Timer, TimerGroup
from timers.schedules.instant import to_microseconds


def load_claimed(claim_ids: Collection[int], only: Collection[str] | None = None) -> list[tuple[Execution, AnyHolder]]:
    """Return the executions of claims with their holders, without payloads; `only`: just those with these ids."""
    claims = list(Claim.objects.filter(id__in=claim_ids).select_related("node"))
    rows = list(TimerGroup.objects.filter(id__in={claim.group_id for claim in claims}))
    subscribers = subscribers_of(rows)
    groups = {row.id: ServedGroup.of(row, subscribers=subscribers.get(row.id, ())) for row in rows}
    wanted = {
        claim.id: [text for text in map(str, claim.executions) if only is None or text in only] for claim in claims
    }
    timer_ids = {parse_id(text).timer_id for texts in wanted.values() for text in texts}
    timers = Timer.objects.defer("payload").in_bulk(timer_ids)
    found: list[tuple[Execution, AnyHolder]] = []
    for claim in claims:
        group = groups.get(claim.group_id)
        if group is None:
            continue
        holder = _holder(claim)
        details = claim.details if isinstance(claim.details, dict) else {}
        for text in wanted[claim.id]:
            timer = timers.get(parse_id(text).timer_id)
            found.append((_execution(text, claim, group, timer, details.get(text) or {}), holder))
    attach([execution for execution, _ in found])
    noted = {claim.id: claim.details for claim in claims if isinstance(claim.details, dict)}
    for execution, _ in found:
        if execution.order is not None:
            details = noted.get(execution.fence, {}).get(execution.id) or {}
            execution.order = execution.order.claimed_with(details.get("order") or {})
    return found


def _holder(claim: Claim) -> AnyHolder:
    if claim.consumer is not None:
        return Consumer(claim.consumer)
    assert claim.node_id is not None and claim.worker is not None and claim.worker_pid is not None
    # A node that was removed has no row.
    name = f"number {claim.node_id}" if claim.node is None else claim.node.name
    return Holder(claim.node_id, name, claim.worker, claim.worker_pid)


def _execution(
    text: str, claim: Claim, group: ServedGroup, timer: Timer | None, details: Mapping[str, Any]
) -> Execution:
    occurrence = parse_id(text)
    due_us = occurrence.scheduled_us
    if timer is not None and occurrence.origin == "schedule":
        due_us += timer.offset // timedelta(microseconds=1)
    execution = Execution(
        id=text,
        timer_id=occurrence.timer_id,
        group=group,
        name="(deleted)" if timer is None else timer.name,
        scheduled_us=occurrence.scheduled_us,
        available_us=details.get("available_us", due_us),
        attempt=details.get("tried", 0) + 1,
        payload=None,
        action=None,
        policies=group.policies,
        time_zone="UTC" if timer is None else timer.time_zone,
        fence=claim.id,
        claimed_us=to_microseconds(claim.claimed_at),
        origin=details.get("origin", "schedule"),
        missed_count=details.get("missed_count", 0),
        forgiven=details.get("forgiven", 0),
        snoozes=details.get("snoozes", 0),
        own_payload=details.get("payload"),
        step=details.get("step", ""),
    )
    if timer is not None:
        execution.schedule_kind = timer.schedule_kind
        execution.schedule_text = json.dumps(timer.schedule)
        execution.until_committed = timer.until_committed and execution.origin == "schedule"
        recurs = execution.until_committed or timer.schedule_kind != "once"
        is_open = str(timer.open_execution) == open_as(text)
        execution.follows = is_open or (execution.origin == "schedule" and recurs)
        if execution.step:
            # Its end may be that of the whole order, whose id a branch does not carry.
            execution.follows = recurs or timer.open_execution is not None
        try:
            if timer.overrides:
                execution.policies = overridden(group.policies, json.dumps(timer.overrides))
            if timer.action:
                execution.action = parse_text(json.dumps(timer.action))
        except InvalidRequest as error:
            execution.poison = str(error)
    execution.subscription = details.get("subscription", occurrence.ordinal if execution.origin == "schedule" else 0)
    subscriber = group.subscriber(execution.subscription)
    if subscriber is not None:
        execution.hand_to(subscriber)
    return execution
