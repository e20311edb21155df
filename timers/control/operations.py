"""Bulk operations: retry or dismiss all failed executions that match a filter, in the background.

The set of executions is frozen when the operation is requested: an execution that fails later is not touched, even if
it matches the filter. Each row that begins to wait has an increasing number (its entry), so whether it was there at the
request does not depend on any clock: sandboxes have their own, and those of two sessions may differ. Nodes carry the
operation out, see engine/operations.py.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from timers import clock
from timers.control.audit import audited
from timers.database import connection
from timers.domain.pace import check_pace
from timers.engine.failed_filter import FailedFilter
from timers.exceptions import InvalidRequest, NotAllowedNow, TimerNotFound
from timers.models import BulkOperation
from timers.models.group import group_ids

LONGEST_REASON: Final = 1000


def start_operation(
    verb: str,
    conditions: Any,
    *,
    pace: float | None = None,
    reason: str = "",
    actor: str = "",
    groups: Collection[str] | None = None,
) -> BulkOperation:
    """Start a bulk operation on the failed executions that now match the conditions.

    Args:
        verb: "retry" or "dismiss".
        conditions: all of them must match: group, timer (a name), fingerprint, error_contains (ignores case),
            failed_before, failed_after (by the database's clock); or {"all": true}.
        pace: maximum number of executions per second, evenly spread; None: no limit.
        reason: why, for the record.
        actor: who requests it; empty: the current actor.
        groups: names of the groups that the actor may change; None: all.

    Raises:
        InvalidRequest: names all errors (of a condition as `filter.<name>`); nothing was started.
    """
    errors: list[InvalidRequest] = []
    meant, checked_pace = FailedFilter(), None
    if verb not in BulkOperation.Verb.values:
        errors.append(InvalidRequest("verb", f"must be one of {', '.join(BulkOperation.Verb.values)}", given=verb))
    if not isinstance(reason, str) or len(reason) > LONGEST_REASON or "\x00" in reason:
        errors.append(InvalidRequest("reason", f"must be text of at most {LONGEST_REASON:,} characters", given=reason))
    try:
        checked_pace = check_pace(pace, "pace")
    except InvalidRequest as error:
        errors.append(error)
    try:
        meant = FailedFilter.parse(conditions, groups)
    except InvalidRequest as error:
        errors.append(error)
    if errors:
        raise InvalidRequest.combined(errors)
    touched = [meant.group] if meant.group is not None else None if groups is None else sorted(groups)
    with audited("operation.start", actor, group=meant.group or "") as entry:
        now = clock.now()
        touched_ids = None if touched is None else group_ids(touched)
        frozen, total = _freeze(meant, touched_ids)
        is_done = total == 0
        row = BulkOperation.objects.create(
            verb=verb,
            filter=meant.to_spec(),
            groups=touched,
            group_ids=touched_ids,
            reason=reason,
            pace=checked_pace,
            state=BulkOperation.State.DONE if is_done else BulkOperation.State.RUNNING,
            total=total,
            frozen_entry=frozen,
            next_at=now,
            created_at=now,
            created_by=actor,
            ended_at=now if is_done else None,
        )
        return entry.made(row)


def cancel_operation(
    operation: int, *, reason: str = "", actor: str = "", groups: Collection[str] | None = None
) -> BulkOperation:
    """Cancel the operation; what has been done stays done.

    Args:
        operation: id of the operation.
        reason: why, for the record.
        actor: who requests it; empty: the current actor.
        groups: names of the groups that the actor may change; None: all.

    Raises:
        TimerNotFound: there is no such operation within `groups`.
        NotAllowedNow: the operation has ended.
    """
    with audited("operation.cancel", actor) as entry:
        row = entry.watch(_lock(operation, groups))
        row.ended_at = clock.now()
        return _set_state(row, BulkOperation.State.CANCELLED, "cancelled", reason, actor)


def pause_operation(
    operation: int, *, reason: str = "", actor: str = "", groups: Collection[str] | None = None
) -> BulkOperation:
    """Pause the operation until it is resumed.

    Args:
        operation: id of the operation.
        reason: why, for the record.
        actor: who requests it; empty: the current actor.
        groups: names of the groups that the actor may change; None: all.

    Raises:
        TimerNotFound: there is no such operation within `groups`.
        NotAllowedNow: the operation has ended.
    """
    with audited("operation.pause", actor) as entry:
        return _set_state(entry.watch(_lock(operation, groups)), BulkOperation.State.PAUSED, "paused", reason, actor)


def resume_operation(operation: int, *, actor: str = "", groups: Collection[str] | None = None) -> BulkOperation:
    """Resume the operation; its set of executions is still the one frozen at the request.

    Args:
        operation: id of the operation.
        actor: who requests it; empty: the current actor.
        groups: names of the groups that the actor may change; None: all.

    Raises:
        TimerNotFound: there is no such operation within `groups`.
        NotAllowedNow: the operation has ended.
    """
    with audited("operation.resume", actor) as entry:
        row = entry.watch(_lock(operation, groups))
        row.next_at = max(row.next_at, clock.now())
        return _set_state(row, BulkOperation.State.RUNNING, "resumed", "", actor)


def set_pace(
    operation: int, pace: float | None, *, actor: str = "", groups: Collection[str] | None = None
) -> BulkOperation:
    """Change the rate of the operation from now on.

    Args:
        operation: id of the operation.
        pace: maximum number of executions per second; None: no limit.
        actor: who requests it; empty: the current actor.
        groups: names of the groups that the actor may change; None: all.

    Raises:
        TimerNotFound: there is no such operation within `groups`.
        NotAllowedNow: the operation has ended.
        InvalidRequest: the rate is invalid.
    """
    checked = check_pace(pace, "pace")
    with audited("operation.set_pace", actor) as entry:
        row = entry.watch(_lock(operation, groups))
        if row.pace == checked:
            entry.nothing()
            return row
        row.pace, row.next_at = checked, clock.now()
        row.save(update_fields=["pace", "next_at"])
        return row


_FREEZE: Final = """
SELECT s.last_value, (SELECT count(*) FROM timers_waiting w
                      WHERE w.state = 'failed' AND w.entry <= s.last_value AND {where})
FROM timers_waiting_entry s
"""


def _freeze(meant: FailedFilter, touched: list[int] | None) -> tuple[int, int]:
    """Return the last entry number, and how many failed executions up to it match the filter."""
    where = meant.where(in_groups=touched is not None) or "true"
    with connection.cursor() as cursor:
        cursor.execute(_FREEZE.format(where=where), {**meant.params(), "group_ids": touched})
        frozen, total = cursor.fetchone()
    return frozen, total


def _lock(operation: int, groups: Collection[str] | None) -> BulkOperation:
    row = BulkOperation.objects.select_for_update().filter(id=operation).first()
    if row is None or (groups is not None and not _is_within(row, groups)):
        raise TimerNotFound(f"there is no operation {operation}")
    if row.state in BulkOperation.ENDED:
        raise NotAllowedNow(f"operation {operation} is {row.state} already")
    return row


def _is_within(row: BulkOperation, groups: Collection[str]) -> bool:
    """Return whether the operation touches no other groups than these."""
    return row.group_ids is not None and set(row.group_ids) <= set(group_ids(groups))


def _set_state(row: BulkOperation, state: str, word: str, reason: str, actor: str) -> BulkOperation:
    row.state = state
    row.state_reason = word + (f" by {actor}" if actor else "") + (f": {reason}" if reason else "")
    row.save(update_fields=["state", "state_reason", "next_at", "ended_at"])
    return row
