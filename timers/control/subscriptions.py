"""Subscriptions of groups: create, edit, pause, resume, delete.

Each change gives the group a new version, which makes workers read its subscriptions again. A fire of a group with
subscriptions locks the group's row, so no fire uses older subscriptions when a change is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from timers import actions, clock
from timers.actions.chain import ChainAction
from timers.actions.pull import PullAction
from timers.control.action_checks import check_action_known, is_pull
from timers.control.audit import audited
from timers.control.call_back import call_back_groups
from timers.control.names import check_name, check_text
from timers.control.renew_groups import wake_for_changed_groups
from timers.database import connection
from timers.domain.execution_id import parse as parse_id
from timers.domain.filters import Filter
from timers.domain.policies import Retry
from timers.engine.advance import end_locked, lock_timers
from timers.engine.fence import revoke
from timers.engine.hand_over import HandedOver, cancel_all, hand_over
from timers.engine.wakeup import wake_if_soon
from timers.exceptions import InvalidRequest, NotAllowedNow, StaleVersion, TimerExists, TimerNotFound
from timers.models import Claim, Subscription, TimerGroup, Waiting
from timers.models.subscription import MAX_SUBSCRIPTIONS
from timers.schedules.instant import to_microseconds

EDITABLE: Final = ("action", "filter", "retry", "description")
"""Fields that update_subscription accepts."""
MODES: Final = tuple(Subscription.Mode.values)
_LOOKS: Final = 3
"""Maximum number of searches: an execution may move between waiting and a claim during a search."""


@dataclass(frozen=True, slots=True)
class DeletedSubscription:
    """The result of a delete."""

    subscription: Subscription
    cancelled: int
    """Number of its waiting executions that were cancelled because no other subscription could take them."""
    handed_over: int
    """Number of its waiting executions that went to other queue subscriptions."""
    in_flight: list[str]
    """Its executions that had begun; those of a broadcast subscription are requested to end."""


def create_subscription(
    group: str,
    name: str,
    *,
    action: Any,
    mode: str = "queue",
    filter: Any = None,  # noqa: A002 - the name in the API
    retry: Any = None,
    description: str = "",
    actor: str = "",
) -> Subscription:
    """Add a receiver of the group's timers, from their next fire on.

    Args:
        group: name of the group.
        name: name of the subscription.
        action: what it does with an execution.
        mode: "queue" shares each execution among the group's queue subscriptions; "broadcast" gets one of its own for
            each occurrence.
        filter: see timers/domain/filters.py; None: all timers.
        retry: retry policy; None: that of the timer or group.
        description: text for people.
        actor: who requests it; empty: the current actor.

    Raises:
        InvalidRequest: names all errors.
        TimerExists: another subscription of the group has the name.
        TimerNotFound: there is no such group.
    """
    fields = {"action": action, "filter": filter, "retry": retry, "description": description}
    problems: list[InvalidRequest] = []
    _collect(lambda: check_name("name", name), problems)
    if mode not in MODES:
        problems.append(InvalidRequest("mode", f"must be one of {', '.join(MODES)}", given=mode))
    with audited("subscription.create", actor, group=group, name=name) as entry:
        row = Subscription(group=_lock_group(group), name=name, mode=mode, created_at=clock.now())
        _assign(row, fields, problems)
        if row.group.subscriptions.filter(name=name).exclude(state=Subscription.State.DELETED).exists():
            raise TimerExists("name", "is taken by another subscription of the group", given=name)
        row.ordinal = _free_ordinal(row.group)
        _save(row, actor)
        entry.made(row)
    return row


def update_subscription(
    group: str, name: str, *, version: int | None = None, actor: str = "", **fields: Any
) -> Subscription:
    """Change action, filter, retry or description; executions that already wait for it stay with it.

    Its claimed executions that have not begun run with the new values; the returned subscription's `in_flight` lists
    those that have begun.

    Args:
        group: name of the group.
        name: name of the subscription.
        version: raise StaleVersion if it was changed since this version was read; None: no check.
        actor: who requests it; empty: the current actor.
        fields: the fields to change.

    Raises:
        InvalidRequest: a field is unknown or invalid.
        StaleVersion: see `version`.
        TimerNotFound: there is no such group or subscription.
    """
    problems: list[InvalidRequest] = []
    for field in sorted(fields.keys() - set(EDITABLE)):
        if field == "mode":
            problems.append(InvalidRequest("mode", "cannot be changed; create another subscription in its place"))
            continue
        near = get_close_matches(field, EDITABLE, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(EDITABLE)}"
        problems.append(InvalidRequest(field, f"is not known; {hint}"))
    with audited("subscription.update", actor, group=group, name=name) as entry:
        row = entry.watch(_lock(group, name))
        _check_version(row, version)
        before = row.action, row.filter, row.retry
        _assign(row, {field: value for field, value in fields.items() if field in EDITABLE}, problems)
        if not entry.has_changes:
            entry.nothing()
            return row
        if (row.action, row.filter, row.retry) != before:
            row.in_flight = _call_back(row)
        _save(row, actor)
    return row


def pause_subscription(group: str, name: str, *, reason: str = "", actor: str = "") -> Subscription:
    """Deliver nothing to the subscription until it is resumed.

    Its claimed executions that have not begun wait until then; those that have begun continue, and are listed in the
    returned subscription's `in_flight`.

    The group's other queue subscriptions take over the executions that wait for a paused one, if these pass their
    filters. Executions of a broadcast subscription wait for it, up to 1,000; further occurrences are skipped for it.

    Args:
        group: name of the group.
        name: name of the subscription.
        reason: why, for the record.
        actor: who requests it; empty: the current actor.

    Raises:
        TimerNotFound: there is no such group or subscription.
    """
    with audited("subscription.pause", actor, group=group, name=name) as entry:
        row = entry.watch(_lock(group, name))
        if row.state == Subscription.State.PAUSED:
            entry.nothing()
            return row
        # Lock timers before claims: the order of all locks.
        lock_timers([*(timer for _, timer in _awaited(row)), *(parse_id(each).timer_id for each in _claimed(row))])
        row.in_flight = _call_back(row)
        _set_state(row, Subscription.State.PAUSED, reason, actor)
        _let_others_go_on(row)
    hand_over(row)
    return row


def resume_subscription(group: str, name: str, *, actor: str = "") -> Subscription:
    """Resume delivery, starting with the waiting executions.

    Args:
        group: name of the group.
        name: name of the subscription.
        actor: who requests it; empty: the current actor.

    Raises:
        TimerNotFound: there is no such group or subscription.
    """
    with audited("subscription.resume", actor, group=group, name=name) as entry:
        row = entry.watch(_lock(group, name))
        if row.state != Subscription.State.PAUSED:
            entry.nothing()
        else:
            _set_state(row, Subscription.State.ACTIVE, "", actor)
            now = clock.now()
            wake_if_soon([now], now)
    return row


def delete_subscription(
    group: str, name: str, *, version: int | None = None, reason: str = "", actor: str = ""
) -> DeletedSubscription:
    """Delete a subscription. Its waiting executions go to other queue subscriptions, or are cancelled.

    The same applies to claimed executions that have not begun. Executions that have begun are requested to end if the
    subscription is a broadcast one; those of a queue subscription continue, and another subscription makes any further
    attempt. Failed executions are kept for a person to decide. Without any subscription the group works as before its
    first one.

    Args:
        group: name of the group.
        name: name of the subscription.
        version: raise StaleVersion if it was changed since this version was read; None: no check.
        reason: why, for the ledger.
        actor: who requests it; empty: the current actor.

    Raises:
        StaleVersion: see `version`.
        TimerNotFound: there is no such group or subscription.
    """
    why = reason or f"its subscription {name} was deleted" + (f" by {actor}" if actor else "")
    with audited("subscription.delete", actor, group=group, name=name) as entry:
        row = entry.watch(_lock(group, name))
        _check_version(row, version)
        _call_back(row)
        _set_state(row, Subscription.State.DELETED, reason, actor)
    # Separate transactions: fires continue meanwhile, and any node's housekeeping does what is left undone.
    done = hand_over(row, why)
    in_flight = set(_claimed(row))
    if row.mode == Subscription.Mode.BROADCAST:
        for _ in range(_LOOKS):
            revoke(in_flight, row.group_id, why)
            cancelled = cancel_all(row, why)
            done += HandedOver(cancelled=cancelled)
            claimed = set(_claimed(row))
            if claimed <= in_flight and not cancelled:
                break
            in_flight |= claimed
    return DeletedSubscription(row, done.cancelled, done.moved, sorted(in_flight))


def find_subscription(group: str, name: str) -> Subscription:
    """Return the subscription of that name. Raise TimerNotFound."""
    living = Subscription.objects.exclude(state=Subscription.State.DELETED).select_related("group")
    row = living.filter(group__name=group, name=name).first()
    if row is None:
        raise TimerNotFound(f"there is no subscription {name!r} in group {group!r}")
    return row


def list_subscriptions(group: str) -> list[Subscription]:
    """Return the subscriptions of a group, by name. Raise TimerNotFound."""
    row = TimerGroup.objects.filter(name=group).first()
    if row is None:
        raise TimerNotFound(f"there is no group {group!r}")
    living = row.subscriptions.exclude(state=Subscription.State.DELETED).select_related("group")
    return list(living.order_by("name"))


def _lock_group(name: str) -> TimerGroup:
    # Blocks transactions that refer to the group: a fire does while it runs, and reads the group again after this.
    group = TimerGroup.objects.select_for_update().filter(name=name).first()
    if group is None:
        raise TimerNotFound(f"there is no group {name!r}")
    return group


def _lock(group: str, name: str) -> Subscription:
    _lock_group(group)
    return find_subscription(group, name)


def _check_version(row: Subscription, version: int | None) -> None:
    if version is not None and version != row.version:
        raise StaleVersion(f"subscription {row.name!r} was changed meanwhile (version {row.version}, not {version})")


def _collect(check: Callable[[], object], problems: list[InvalidRequest]) -> None:
    try:
        check()
    except InvalidRequest as error:
        problems.append(error)


def _assign(row: Subscription, fields: dict[str, Any], problems: list[InvalidRequest]) -> None:
    def take(field: str, read: Callable[[Any], Any]) -> None:
        if field in fields:
            _collect(lambda: setattr(row, field, read(fields[field])), problems)

    take("action", lambda spec: _checked_action(spec, row.group))
    take("filter", _checked_filter)
    take("retry", lambda spec: None if spec is None else Retry.parse(spec).to_spec())
    take("description", lambda value: check_text("description", value))
    if problems:
        raise InvalidRequest.combined(problems)


def _checked_action(spec: Any, group: TimerGroup) -> dict[str, Any]:
    action = actions.parse(spec)
    if isinstance(action, ChainAction) and is_pull(group.action):
        what = f"group {group.name} is pulled by consumers, and workers run the steps of orders. Use another group."
        raise InvalidRequest("action", what)
    if not isinstance(action, PullAction):
        check_action_known(json.dumps(action.to_spec()), group)
    return action.to_spec()


def _checked_filter(spec: Any) -> Any:
    return None if Filter.parse(spec).is_open else spec


def _free_ordinal(group: TimerGroup) -> int:
    """Return an ordinal that no other subscription had; if all are used, that of the subscription deleted first."""
    rows = list(group.subscriptions.order_by("state_changed_at"))
    used = {row.ordinal for row in rows}
    beyond = max(used, default=0) + 1
    if beyond <= MAX_SUBSCRIPTIONS:
        return beyond
    for row in rows:
        if row.state == Subscription.State.DELETED and not _is_remembered(row):
            row.delete()
            return row.ordinal
    raise NotAllowedNow(f"a group can have {MAX_SUBSCRIPTIONS} subscriptions; delete one that nothing waits for")


def _is_remembered(row: Subscription) -> bool:
    waits = Waiting.objects.filter(group_id=row.group_id, subscription=row.ordinal)
    return waits.exists() or bool(_claimed(row))


def _save(row: Subscription, actor: str) -> None:
    if row.pk:
        row.version += 1
    row.updated_at, row.updated_by = clock.now(), actor
    row.save()
    _renew(row.group)


def _set_state(row: Subscription, state: Subscription.State, reason: str, actor: str) -> None:
    row.state, row.state_reason, row.state_changed_by = state, reason, actor
    row.state_changed_at = clock.now()
    _save(row, actor)


def _renew(group: TimerGroup) -> None:
    """Set the ordinals whose executions workers take, and give the group a new version so that workers read it."""
    living = group.subscriptions.exclude(state=Subscription.State.DELETED)
    served = [row.ordinal for row in living.filter(state=Subscription.State.ACTIVE) if not _is_pulled(row)]
    group.refresh_from_db(fields=["version"])
    group.worker_ordinals = sorted([0, *served]) if living.exists() else None
    group.version += 1
    group.save(update_fields=["worker_ordinals", "version"])
    wake_for_changed_groups()


def _is_pulled(row: Subscription) -> bool:
    return isinstance(row.action, dict) and row.action.get("kind") == PullAction.kind


def _call_back(row: Subscription) -> list[str]:
    """Make its claimed executions that have not begun ready again. Return the ids of those in flight."""
    claimed = set(_claimed(row))
    return call_back_groups([row.group_id], only=lambda each: each.id in claimed, undo=False) if claimed else []


def _claimed(row: Subscription) -> list[str]:
    """Return the ids of its claimed executions."""
    found = []
    for executions, details in Claim.objects.filter(group_id=row.group_id).values_list("executions", "details"):
        for execution in map(str, executions):
            occurrence = parse_id(execution)
            own = occurrence.ordinal if occurrence.origin == "schedule" else 0
            detail = (details or {}).get(execution) or {}
            if detail.get("subscription", own) == row.ordinal:
                found.append(execution)
    return found


_AWAITED: Final = """
SELECT w.id::text, w.timer_id FROM timers_waiting w JOIN timers_timer t ON t.id = w.timer_id
WHERE w.group_id = %s AND w.subscription = %s AND w.state = 'ready' AND w.origin = 'schedule'
  AND left(t.open_execution::text, 18) = left(w.id::text, 18)
"""


def _let_others_go_on(row: Subscription) -> None:
    """Let timers fire again that wait only for executions which now wait for the paused subscription."""
    waiting = _awaited(row)
    now = clock.now()
    timers = lock_timers(timer for _, timer in waiting)
    ended = [(execution, timer, now, row.group_id) for execution, timer in waiting]
    end_locked(timers, ended, "skipped", to_microseconds(now))


def _awaited(row: Subscription) -> list[tuple[str, int]]:
    """Return its ready executions for which timers wait, and the ids of these timers."""
    with connection.cursor() as cursor:
        cursor.execute(_AWAITED, (row.group_id, row.ordinal))
        return list(cursor.fetchall())
