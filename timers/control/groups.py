"""Groups: create, edit, pause, resume."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from difflib import get_close_matches
from functools import partial
from typing import Any, Final, NamedTuple

from django.db import IntegrityError, connection, transaction

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
"""What create_group and update_group take."""
_CARRIED: Final = OVERRIDABLE | {"action", "partition", "required_roles", "placement"}
"""Fields that claimed executions carry: a change of these calls them back."""
_AGAINST_FIRES: Final = _CARRIED | LIMITS.keys()
"""Fields whose change waits for fires under way: what is claimed after it is claimed by the new ones."""

_LOOK_UP: Final = f"""
SELECT {columns(TimerGroup, "g")}, timers_now()
FROM (SELECT 1) one LEFT JOIN timers_timer_group g ON g.name = ANY(%s)
"""


class FoundGroups(NamedTuple):
    """Groups by their names, as they were at one instant of the database's clock."""

    now: datetime
    groups: dict[str, TimerGroup]

    def now_in(self, group: str) -> datetime:
        """The group's present instant; the database's where it was not found."""
        row = self.groups.get(group)
        return self.now if row is None else GroupClock.of(row).moment(self.now)

    def check(self, names: Collection[str]) -> None:
        """Raises InvalidRequest naming the first that was not found."""
        for name in names:
            if name not in self.groups:
                known = list(TimerGroup.objects.values_list("name", flat=True)[:1000])
                near = get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else "create it first (ensure_group)"
                raise InvalidRequest("group", f"there is no such group; {hint}", given=name)


def look_up_groups(names: Collection[str]) -> FoundGroups:
    """The database's now, and those of the groups that there are."""
    # A name that no group can have is none, and the database would refuse some.
    possible = [name for name in names if isinstance(name, str) and name.isprintable()]
    with connection.cursor() as cursor:
        cursor.execute(_LOOK_UP, (possible,))
        rows = cursor.fetchall()
    groups = (made(TimerGroup, row) for row in rows if row[0] is not None)
    return FoundGroups(rows[0][-1], {group.name: group for group in groups})


def find_groups(names: Collection[str]) -> FoundGroups:
    """The database's now and the groups of those names; raises InvalidRequest naming the first that does not exist."""
    found = look_up_groups(names)
    found.check(names)
    return found


def create_group(name: str, *, actor: str = "", **fields: Any) -> TimerGroup:
    """Create a group; raises InvalidRequest for a name that is taken and for every field that makes no sense."""
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
    """A group of these fields that is not saved; raises InvalidRequest for every field that makes no sense."""
    group, mistakes = TimerGroup(name=name), ErrorCollector()
    mistakes.check(lambda: check_name("name", name))
    _assign(group, fields, mistakes)
    return group


def ensure_group(name: str, *, actor: str = "", **fields: Any) -> TimerGroup:
    """The group of that name, created with these fields when there is none; an existing one is left as it is."""
    existing = TimerGroup.objects.filter(name=name).first()
    if existing is not None:
        return existing
    try:
        return create_group(name, actor=actor, **fields)
    except InvalidRequest:
        # Another process may have created it at the same moment; any other mistake comes back from the look-up.
        twin = TimerGroup.objects.filter(name=name).first()
        if twin is None:
            raise
        return twin


def update_group(name: str, *, actor: str = "", **fields: Any) -> TimerGroup:
    """Change fields of a group; workers take the change over with their next poll.

    Fields that are given as they are change nothing: no version, no audit entry. What is claimed and has not begun is
    called back where the group's policies, its action or its nodes change, and is carried out by the new ones; the
    returned group's `in_flight` names what has begun.

    Raises InvalidRequest for what makes no sense, NotAllowedNow where it shall be pulled and timers have their own
    actions.
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
            # What moves is locked before what is claimed; fires that are undone are computed once they are.
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
    """Steps of orders are run by workers, and workers leave a group to the consumers that pull from it."""
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
    """Workers look for the timers of each priority by itself: tell them of one that is new in the group.

    An order of a chain begins with the priority of its timer.
    """
    if priorities.issubset(group.timer_priorities):
        return
    with transaction.atomic():
        row = TimerGroup.objects.select_for_update(no_key=True).get(id=group.id)
        row.timer_priorities = sorted({*row.timer_priorities, *priorities}, reverse=True)
        row.orders_by_priority |= Chain.objects.filter(group=row).exists()
        row.version += 1
        row.save(update_fields=["timer_priorities", "orders_by_priority", "version"])
    group.timer_priorities, group.orders_by_priority = row.timer_priorities, row.orders_by_priority


def note_order_priorities(group: TimerGroup) -> None:
    """Claims look for orders by their priorities only in groups that may have such orders: this one may from now on."""
    if group.orders_by_priority:
        return
    with transaction.atomic():
        row = TimerGroup.objects.select_for_update(no_key=True).get(id=group.id)
        row.orders_by_priority = True
        row.version += 1
        row.save(update_fields=["orders_by_priority", "version"])
    group.orders_by_priority = True


def pause_group(name: str, *, until: datetime | str | None = None, reason: str = "", actor: str = "") -> TimerGroup:
    """Fire nothing of the group until it is resumed, by hand or by itself at `until`.

    What is claimed and has not begun goes back: fires are undone, and missed when the group is resumed; retries and
    manual runs wait. What has begun goes on, and is named in the returned group's `in_flight`.
    """
    return _set_state(name, TimerGroup.State.PAUSED, reason, actor, check_until(until, now_in(name)))


def resume_group(name: str, *, actor: str = "") -> TimerGroup:
    """Fire again; what was missed meanwhile follows the misfire policy."""
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
    # A fire holds the row as the creation of a timer does, by referring to it. Creations go on where fires may.
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
    """Take over the fields; raises one InvalidRequest for all that is wrong with them, and what was found before."""
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
    # What it has already may be given back, though its handler be gone by now; a target may be closed since.
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
