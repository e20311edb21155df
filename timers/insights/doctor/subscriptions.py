"""Checks for subscriptions without consumers, subscriptions that lose messages, and unreadable ones."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from timers.actions import parse
from timers.domain.filters import Filter
from timers.domain.policies import Retry
from timers.exceptions import InvalidRequest
from timers.insights.counts import CAP
from timers.insights.doctor.finding import Finding, amount, rows, shown
from timers.models import Subscription
from timers.models.subscription import MAX_PARKED

LONG: Final = 3600.0
"""Seconds for which pull executions may wait without being reported."""

_UNCLAIMED: Final = f"""
SELECT g.name AS "group", s.name AS subscription, w.available_at AS since
FROM timers_subscription s JOIN timers_timer_group g ON g.id = s.group_id
CROSS JOIN LATERAL (
    SELECT w.available_at FROM timers_waiting w
    WHERE w.group_id = s.group_id AND w.subscription = s.ordinal AND w.state = 'ready'
    ORDER BY w.available_at LIMIT 1) w
WHERE s.state = 'active' AND s.action ->> 'kind' = 'pull' AND g.state = 'active' AND NOT g.sandbox
  AND w.available_at < %(now)s - {LONG} * INTERVAL '1 second'
ORDER BY w.available_at LIMIT {CAP + 1}
"""


def waiting_for_consumers(now: datetime) -> list[Finding]:
    """Report pull subscriptions whose oldest execution has waited for an hour."""
    found = rows(_UNCLAIMED, {"now": now})
    if not found:
        return []
    return [
        Finding(
            "warning",
            f"{amount(found, CAP, 'subscription')} whose executions no consumer has claimed for an hour and more.",
            "Start their consumers, or pause or delete the subscriptions: recurring timers wait for the last execution"
            " of an occurrence.",
            shown(found),
        )
    ]


_FULL: Final = f"""
SELECT g.name AS "group", s.name AS subscription, s.state_changed_at AS paused_since
FROM timers_subscription s JOIN timers_timer_group g ON g.id = s.group_id
WHERE s.state = 'paused' AND (SELECT count(*) FROM (
    SELECT 1 FROM timers_waiting w WHERE w.group_id = s.group_id AND w.subscription = s.ordinal AND w.state = 'ready'
    LIMIT {MAX_PARKED}) few) = {MAX_PARKED}
ORDER BY g.name, s.name LIMIT {CAP + 1}
"""


def full_while_paused(now: datetime) -> list[Finding]:
    """Report paused subscriptions whose queue is full, so that further occurrences are skipped."""
    found = rows(_FULL)
    if not found:
        return []
    return [
        Finding(
            "warning",
            f"{amount(found, CAP, 'paused subscription')} for which {MAX_PARKED:,} executions wait: more is skipped.",
            "Resume them, or delete those that nobody needs.",
            shown(found),
        )
    ]


def unreadable_subscriptions(now: datetime) -> list[Finding]:
    """Report subscriptions whose action, filter or retry policy was corrupted manually: they receive nothing."""
    found: list[dict[str, Any]] = []
    rows = Subscription.objects.exclude(state=Subscription.State.DELETED).select_related("group").order_by("id")
    for row in rows[: CAP + 1]:
        try:
            parse(row.action)
            Filter.parse(row.filter)
            if row.retry is not None:
                Retry.parse(row.retry)
        except InvalidRequest as error:
            found.append({"group": row.group.name, "subscription": row.name, "why": str(error)})
    if not found:
        return []
    what = f"{amount(found, CAP, 'subscription')} that cannot be read, and get nothing."
    return [Finding("error", what, "Set action, filter and retry again, or delete them.", shown(found))]
