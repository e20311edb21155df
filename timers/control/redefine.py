"""Redefine living timers (on_conflict="replace"): the new state of each, and the statement that writes them all.

An unchanged definition changes nothing. With the same schedule it is an edit: the timer keeps its next instant, its
state and its counts. With another schedule the timer starts over: it is active, and its counts of fires and failures
start at zero.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from timers.control.difference import is_as_defined
from timers.control.limits import Limits
from timers.control.next_instant import Before, Next, first_beyond, next_after_edit, rule_of
from timers.control.request import anchor_of, counts_from
from timers.control.spec import TimerSpec
from timers.database import connection
from timers.engine.arrays import plain_array, text_array
from timers.engine.group_lock import HOLD_GROUPS
from timers.exceptions import InvalidRequest
from timers.models import Timer, TimerGroup
from timers.models.rows import columns, made
from timers.schedules import Missed, Schedule, parse

Key = tuple[int, str]
"""Group id and name."""


@dataclass(frozen=True, slots=True)
class Redefined:
    """The new state of one living timer."""

    was: Timer
    """Its row before the change."""
    spec: TimerSpec
    due_at: datetime | None
    """When it is due next, including its share of the jitter; None: unchanged."""
    given_up: Missed | None
    is_recomputed: bool
    """Whether `due_at` was computed, so that it may be an instant that a person skipped."""
    restarts: bool
    ends: bool
    """Whether no fire is left."""


_LIVING: Final = f"""
SELECT {columns(Timer, "t")}
FROM unnest(%(group_of)s::bigint[], %(names)s::text[]) AS u(group_id, name)
JOIN timers_timer t ON t.group_id = u.group_id AND t.name = u.name AND t.state IN ('active', 'paused')
{{where}}ORDER BY t.id
"""
_READ: Final = _LIVING.format(where="")
# The condition applies to the whole query, so the groups are locked before the first timer is.
_LOCKED: Final = f"""
WITH held AS MATERIALIZED ({HOLD_GROUPS})
{_LIVING.format(where="WHERE (SELECT count(*) FROM held) > 0 ")} FOR NO KEY UPDATE OF t
"""


def lock_living(specs: Sequence[TimerSpec], groups: Mapping[str, TimerGroup]) -> dict[Key, Timer]:
    """Return the living timers with the names of these definitions, locked after their groups.

    New timers refer to their groups, and a transaction that changes a group locks it and waits for its timers.
    """
    return _living(_LOCKED, specs, groups)


def changed_names(specs: Sequence[TimerSpec], groups: Mapping[str, TimerGroup]) -> list[Key]:
    """Return the names, sorted, of timers without this definition. No row is locked, so the result may be outdated."""
    living = _living(_READ, specs, groups)
    keys = [(groups[spec.group].id, spec.name) for spec in specs]
    return sorted({
        key for spec, key in zip(specs, keys, strict=True)
        if not is_unchanged(continued(spec, living.get(key)), living.get(key))
    })  # fmt: skip


def _living(statement: str, specs: Sequence[TimerSpec], groups: Mapping[str, TimerGroup]) -> dict[Key, Timer]:
    parameters = {
        "groups": plain_array(sorted({group.id for group in groups.values()})),
        "group_of": plain_array(groups[spec.group].id for spec in specs),
        "names": text_array(spec.name for spec in specs),
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        found = [made(Timer, row) for row in cursor.fetchall()]
    groups_by_id = {group.id: group for group in groups.values()}
    for row in found:
        row.group = groups_by_id[row.group_id]
    return {(row.group_id, row.name): row for row in found}


def continued(spec: TimerSpec, living: Timer | None) -> TimerSpec:
    """Return the definition, with a rate or rule that continues to count from where the living timer counts.

    This applies only if the definition names no other instant to count from.
    """
    field = counts_from(spec.schedule.kind)
    if living is None or field is None or spec.schedule.kind != living.schedule_kind:
        return spec
    anchor = anchor_of(living.schedule_kind, living.schedule)
    if anchor is None or (spec.start_at is not None and spec.start_at != living.start_at):
        return spec
    wanted = {**spec.schedule.to_spec(), field: anchor}
    try:
        return replace(spec, schedule=parse(spec.schedule.kind, wanted, spec.time_zone))
    except InvalidRequest:
        return spec


def is_unchanged(spec: TimerSpec, living: Timer | None) -> bool:
    """Return whether the living timer already has this definition."""
    return living is not None and is_as_defined(living, spec)


def redefine(living: Timer, spec: TimerSpec, schedule: Schedule, now: datetime, limits: Limits) -> Redefined:
    """Return the new state of a living timer whose definition changes.

    Args:
        living: the timer.
        spec: the new definition.
        schedule: its schedule, with exclusion calendars.
        now: current time of the group's clock.
        limits: bounds the cost of counting missed instants.

    Raises:
        InvalidRequest: no instant is left to fire.
    """
    before = Before.of(living, limits)
    after = copy.copy(living)
    spec.write_to(after)
    is_same_rule = before.rule == rule_of(after)
    restarts = not is_same_rule or living.until_committed != spec.until_committed
    if before.due is None and restarts:
        following = Next(first_beyond(before.last, spec, schedule, now), is_recomputed=True)
    else:
        following = next_after_edit(before, spec, schedule, after, now)
    given_up, due_at = following.given_up, None if following.due is None else following.due + spec.offset
    is_spent = not restarts and spec.max_fires is not None and living.fire_count >= spec.max_fires
    ends = is_spent and due_at is not None
    if ends and given_up is None and before.due is not None and before.due <= now:
        given_up = before.missed(now)
    return Redefined(
        living, spec, None if ends else due_at, given_up, following.is_recomputed and not ends, restarts, ends
    )
