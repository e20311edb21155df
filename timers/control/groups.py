"""Groups: create, edit, pause, resume."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from difflib import get_close_matches
from functools import partial
from typing import Any, Final, NamedTuple

from django.db import IntegrityError

from timers import actions, clock
from timers.actions.chain import ChainAction
from timers.actions.http import HttpAction
from timers.control.action_checks import check_action, is_pull
from timers.control.audit import audited
from timers.control.call_back import call_back_groups, first_attempts_of
from timers.control.limit_change import LimitChange
from timers.control.names import check_name, check_names, check_text
from timers.control.pausing import check_until
from timers.control.renew_groups import wake_for_changed_groups
from timers.control.secret_groups import grant_promised
from timers.database import connection, transaction
from timers.domain.cluster_modes import PLACEMENTS
from timers.domain.errors import ErrorCollector
from timers.domain.limits import LIMITS
from timers.domain.payload import MAX_BYTES
from timers.domain.policies import OVERRIDABLE, Policies, check_seconds
from timers.engine.group_clock import GroupClock, now_in
from timers.engine.recompute import NewInstants, new_instants, recompute, write_instants
from timers.engine.reshard import note_change
from timers.engine.wakeup import wake_if_soon
from timers.exceptions import InvalidRequest, NotAllowedNow, TimerExists, TimerNotFound
from timers.models import Chain, ChainOrder, Subscription, Timer, TimerGroup
from timers.models.calendars import check_calendars
from timers.models.rows import columns, made

_OTHER_FIELDS: Final = {
    "description", "partition", "priority", "shards", "required_roles", "placement", "action", "max_batch", "retention",
    "max_timers", "max_payload_bytes", "min_interval", *LIMITS,
}  # fmt: skip
_OPTIONAL: Final = {"retention", "max_timers", "max_payload_bytes", "min_interval", *LIMITS}
_BOUNDS: Final = {
    "priority": (-1000, 1000),
    "shards": (1, 1024),
    "max_batch": (1, 10_000),
    "retention": (1, 36_500),
    "max_timers": (1, 1_000_000_000),
    "max_payload_bytes": (1, MAX_BYTES),
}
EDITABLE: Final = OVERRIDABLE | _OTHER_FIELDS
"""Fields that create_group and update_group accept."""
_CARRIED: Final = OVERRIDABLE | {"action", "partition", "required_roles", "placement"}
"""Fields that claimed executions carry: changing one of them calls the executions back."""
_AGAINST_FIRES: Final = _CARRIED | LIMITS.keys()
"""Fields whose change waits for concurrent fires: later claims use the new values."""

_LOOK_UP: Final = f"""
SELECT {columns(TimerGroup, "g")}, timers_now()
FROM (SELECT 1) one LEFT JOIN timers_timer_group g ON g.name = ANY(%s)
"""


class FoundGroups(NamedTuple):
    """Groups by name, as they were at one instant of the database's clock."""

    now: datetime
    groups: dict[str, TimerGroup]

    def now_in(self, group: str) -> datetime:
        """Return the current time of the group; that of the database if the group was not found."""
        row = self.groups.get(group)
        return self.now if row is None else GroupClock.of(row).moment(self.now)

    def check(self, names: Collection[str]) -> None:
        """Raise InvalidRequest naming the first group that was not found."""
        for name in names:
            if name not in self.groups:
                known = list(TimerGroup.objects.values_list("name", flat=True)[:1000])
                near = get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else "create it first (ensure_group)"
                raise InvalidRequest("group", f"there is no such group; {hint}", given=name)


def look_up_groups(names: Collection[str]) -> FoundGroups:
    """Return the database's current time, and the groups that exist."""
    # Omit names that no group can have; the database would reject some of them.
    possible = [name for name in names if isinstance(name, str) and name.isprintable()]
    with connection.cursor() as cursor:
        cursor.execute(_LOOK_UP, (possible,))
        rows = cursor.fetchall()
    groups = (made(TimerGroup, row) for row in rows if row[0] is not None)
    return FoundGroups(rows[0][-1], {group.name: group for group in groups})


def find_groups(names: Collection[str]) -> FoundGroups:
    """Return the database's current time and the groups. Raise InvalidRequest naming the first that does not exist."""
    found = look_up_groups(names)
    found.check(names)
    return found


def create_group(name: str, *, actor: str = "", **fields: Any) -> TimerGroup:
    """Create a group.

    Args:
        name: name of the group.
        actor: who requests it; empty: the current actor.
        fields: policies and other fields (EDITABLE).

    Raises:
        InvalidRequest: fields are unknown or invalid; all are named.
        TimerExists: another group has the name.
    """
    group = new_group(name, **fields)
    group.created_at = group.updated_at = clock.now()
    group.state_changed_by = actor
    try:
        with audited("group.create", actor, group=name, name=name) as entry:
            group.save()
            grant_promised(group)
            entry.made(group)
    except IntegrityError:
        raise TimerExists("name", "is taken by another group", given=name) from None
    return group


def new_group(name: str, **fields: Any) -> TimerGroup:
    """Return an unsaved group with these fields. Raise one InvalidRequest for all invalid fields."""
    group, mistakes = TimerGroup(name=name), ErrorCollector()
    mistakes.check(lambda: check_name("name", name))
    _assign(group, fields, mistakes)
    return group


def ensure_group(name: str, *, actor: str = "", **fields: Any) -> TimerGroup:
    """Return the group of that name; create it if it does not exist. An existing group is not changed.

    Args:
        name: name of the group.
        actor: who requests it; empty: the current actor.
        fields: policies and other fields (EDITABLE) of a new group.

    Raises:
        InvalidRequest: there is no such group, and fields are unknown or invalid.
    """
    existing = TimerGroup.objects.filter(name=name).first()
    if existing is not None:
        return existing
    try:
        return create_group(name, actor=actor, **fields)
    except InvalidRequest:
        # Another process may have created it concurrently; any other error is raised again after the look-up.
        twin = TimerGroup.objects.filter(name=name).first()
        if twin is None:
            raise
        return twin


def update_group(name: str, *, actor: str = "", **fields: Any) -> TimerGroup:
    """Change fields of a group. Workers apply the change with their next poll.

    Fields given with their present values change nothing: no new version, no audit entry. If the group's policies, its
    action or its nodes change, claimed executions that have not begun are called back, and run with the new values; the
    returned group's `in_flight` lists those that have begun.

    Args:
        name: name of the group.
        actor: who requests it; empty: the current actor.
        fields: the fields to change.

    Raises:
        TimerNotFound: there is no such group.
        InvalidRequest: a field is unknown or invalid.
        NotAllowedNow: the action becomes pull, and timers have actions of their own or chains have open orders.
    """
    with audited("group.update", actor, group=name, name=name) as entry:
        group = entry.watch(_locked(name, against_fires=bool(_AGAINST_FIRES & fields.keys())))
        mistakes = ErrorCollector()
        shards = group.shards
        exclusions = list(group.exclusion_calendars), group.on_excluded
        was_pulled = is_pull(group.action)
        limits = LimitChange.begin(group)
        carried = {field: getattr(group, field) for field in _CARRIED & fields.keys()}
        _assign(group, fields, mistakes)
        if not entry.has_changes:
            entry.nothing()
            return group
        if is_pull(group.action) and not was_pulled:
            _refuse_own_actions(group)
            _refuse_chains(group)
        if "max_timers" in fields:
            group.spare_timers = 0
        limits.lock(group)
        if group.shards != shards:
            note_change(group, shards)
        _saved(group)
        is_carried = any(_plain(getattr(group, field)) != _plain(value) for field, value in carried.items())
        computed, firsts = NewInstants(), set[int]()
        if (list(group.exclusion_calendars), group.on_excluded) != exclusions:
            # Lock the timers that move before claims; compute undone fires after they are undone.
            computed, firsts = new_instants(Timer.objects.filter(group=group)), first_attempts_of([group.id])
            computed.lock(firsts)
        if is_carried:
            group.in_flight = call_back_groups([group.id])
        limits.carry_out(group)
        if carried or fields.keys() & LIMITS.keys():
            wake_for_changed_groups()
        write_instants(computed)
        recompute(Timer.objects.filter(id__in=firsts))
        return group


def _refuse_own_actions(group: TimerGroup) -> None:
    living = group.timers.filter(state__in=(Timer.State.ACTIVE, Timer.State.PAUSED))
    if own := living.filter(action__isnull=False).count():
        raise NotAllowedNow(
            f"living timers of group {group.name!r} have actions of their own ({own:,} of them), which are never"
            " carried out where consumers pull; take these out first"
        )


def _refuse_chains(group: TimerGroup) -> None:
    """Raise NotAllowedNow if the group has open orders of chains or subscriptions that start them.

    Steps of orders are run by workers, and workers do not serve a group from which consumers pull.
    """
    under_way = ChainOrder.objects.filter(chain__group=group, ended_at=None).count()
    if under_way:
        number = f"{under_way:,} {'order' if under_way == 1 else 'orders'}"
        verb = "is" if under_way == 1 else "are"
        raise NotAllowedNow(f"action: {number} of its chains {verb} under way. Let them end, or cancel them, first.")
    living = group.subscriptions.exclude(state=Subscription.State.DELETED)
    for name, action in living.values_list("name", "action"):
        if isinstance(action, dict) and action.get("kind") == ChainAction.kind:
            raise NotAllowedNow(f"action: subscription {name!r} begins orders of a chain. Delete it first.")


def note_priorities(group: TimerGroup, priorities: set[int]) -> None:
    """Register priorities that are new in the group: workers search the timers of each priority separately.

    An order of a chain starts with the priority of its timer. Whichever comes second, the first chain of the group or
    its first priority, marks it as a group that has orders with priorities; create_chain locks the group for this too.
    `group` is not changed: the caller may be rolled back, and repeated with it.
    """
    if priorities.issubset(group.timer_priorities):
        return
    with transaction.atomic():
        row = TimerGroup.objects.select_for_update(no_key=True).get(id=group.id)
        if priorities.issubset(row.timer_priorities):
            return
        row.timer_priorities = sorted({*row.timer_priorities, *priorities}, reverse=True)
        row.orders_by_priority |= Chain.objects.filter(group=row).exists()
        row.version += 1
        row.save(update_fields=["timer_priorities", "orders_by_priority", "version"])


def note_first_chain(group: TimerGroup, *, has_priority: bool) -> None:
    """Mark a group as one that has orders with priorities if a chain that is created makes it one.

    Args:
        group: The group of the chain, which the caller's transaction inserts afterwards.
        has_priority: Whether the chain has a priority.
    """
    row = TimerGroup.objects.select_for_update(no_key=True).get(id=group.id)
    if has_priority or any(row.timer_priorities):
        note_order_priorities(row)
    group.orders_by_priority = row.orders_by_priority


def note_order_priorities(group: TimerGroup) -> None:
    """Mark a group as one that may have orders with priorities: only there do claims search orders by priority."""
    if group.orders_by_priority:
        return
    with transaction.atomic():
        row = TimerGroup.objects.select_for_update(no_key=True).get(id=group.id)
        row.orders_by_priority = True
        row.version += 1
        row.save(update_fields=["orders_by_priority", "version"])
    group.orders_by_priority = True


def pause_group(name: str, *, until: datetime | str | None = None, reason: str = "", actor: str = "") -> TimerGroup:
    """Fire nothing of the group until it is resumed: by a person, or automatically at `until`.

    Claimed executions that have not begun are called back: fires are undone, and count as missed when the group is
    resumed; retries and manual runs wait. Executions that have begun continue, and are listed in the returned group's
    `in_flight`.

    Args:
        name: name of the group.
        until: instant at which the pause ends automatically; None: a person ends it.
        reason: why, for the record.
        actor: who requests it; empty: the current actor.

    Raises:
        InvalidRequest: `until` has passed or is invalid.
        TimerNotFound: there is no such group.
    """
    return _set_state(name, TimerGroup.State.PAUSED, reason, actor, check_until(until, now_in(name)))


def resume_group(name: str, *, actor: str = "") -> TimerGroup:
    """Resume firing. Missed fires follow the misfire policy."""
    return _set_state(name, TimerGroup.State.ACTIVE, "", actor)


def _set_state(
    name: str, state: TimerGroup.State, reason: str, actor: str, until: datetime | None = None
) -> TimerGroup:
    verb = "group.pause" if state == TimerGroup.State.PAUSED else "group.resume"
    with audited(verb, actor, group=name, name=name) as entry:
        is_pause = state == TimerGroup.State.PAUSED
        group = entry.watch(_locked(name, against_fires=is_pause))
        if (group.state, group.paused_until) == (state, until):
            entry.nothing()
            return group
        if is_pause:
            group.in_flight = call_back_groups([group.id])
        group.state, group.state_reason, group.state_changed_by = state, reason, actor
        group.state_changed_at, group.paused_until = clock.now(), until
        if not is_pause:
            wake_if_soon([group.state_changed_at], group.state_changed_at)
        return _saved(group)


def _locked(name: str, *, against_fires: bool = False) -> TimerGroup:
    # A fire locks the row as the creation of a timer does: by a reference to it. With no_key, creations and fires
    # continue.
    group = TimerGroup.objects.select_for_update(no_key=not against_fires).filter(name=name).first()
    if group is None:
        raise TimerNotFound(f"there is no group {name!r}")
    return group


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _saved(group: TimerGroup) -> TimerGroup:
    group.version += 1
    group.updated_at = clock.now()
    group.save()
    return group


def _assign(group: TimerGroup, fields: dict[str, Any], mistakes: ErrorCollector) -> None:
    """Set the fields. Raise one InvalidRequest for all errors, including those found before."""
    mistakes.refuse_unknown(fields, EDITABLE)
    policies = {name: value for name, value in fields.items() if name in OVERRIDABLE}
    wanted = mistakes.check(lambda: Policies().with_overrides(policies), Policies())
    mistakes.check(lambda: check_calendars(wanted))
    others = {name: value for name, value in fields.items() if name in _OTHER_FIELDS}
    if others.get("action") is not None:
        others["action"] = _checked_action(others["action"], group, mistakes)
    for name in others.keys() - {"action"}:
        others[name] = mistakes.check(partial(_checked, name, others[name]))
    mistakes.raise_if_any()
    for name in policies:
        value = getattr(wanted, name)
        setattr(group, name, value.to_spec() if name == "retry" else value)
    for name, value in others.items():
        setattr(group, name, value)


def _checked_action(given: Any, group: TimerGroup, mistakes: ErrorCollector) -> dict[str, Any] | None:
    action = actions.read(given, mistakes)
    if action is None:
        return None
    spec = action.to_spec()
    # The present action can be given again, even if its handler no longer exists; an HTTP target may have been blocked
    # since.
    if not is_pull(spec) and (spec != group.action or isinstance(action, HttpAction)):
        mistakes.check(lambda: check_action(action, group.name))
    return spec


def _checked(name: str, value: Any) -> Any:
    if value is None and name in _OPTIONAL:
        return None
    if name in LIMITS:
        return LIMITS[name](name, value)
    if name == "min_interval":
        return check_seconds(name, value)
    if name == "partition":
        return check_name("partition", value)
    if name == "description":
        return check_text("description", value)
    if name == "required_roles":
        return check_names("required_roles", value)
    if name == "placement":
        if value not in PLACEMENTS:
            raise InvalidRequest("placement", f"unknown placement. Use one of {', '.join(PLACEMENTS)}", given=value)
        return value
    if name in _BOUNDS:
        low, high = _BOUNDS[name]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InvalidRequest(name, f"must be a whole number from {low:,} to {high:,}", given=value)
    return value
