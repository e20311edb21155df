"""Create timers: one or ten thousand, by the same statement."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from django.db import connection, transaction

from timers.exceptions import SpecError, TimerExists
from timers.lifecycle.arrays import plain_array, text_array, timestamp
from timers.lifecycle.control.action_checks import check_action_of_timer
from timers.lifecycle.control.created_entry import TOLD, entry_of, replaced_by
from timers.lifecycle.control.groups import FoundGroups, look_up_groups, note_priorities
from timers.lifecycle.control.quotas import check_interval, check_payload, count_in, hold_quotas
from timers.lifecycle.control.spec import TimerSpec
from timers.lifecycle.group_clock import GroupClock
from timers.lifecycle.recompute import done_among, is_done
from timers.lifecycle.wakeup import wake_if_soon
from timers.models import Timer, TimerGroup
from timers.models.calendars import calendars_for, effective
from timers.schedules.instant import to_microseconds

OnConflict = Literal["reject", "replace", "keep"]
ON_CONFLICT: Final[tuple[OnConflict, ...]] = ("reject", "replace", "keep")


class Created(NamedTuple):
    """What became of one request."""

    id: int
    group: str
    name: str
    next_fire_at: datetime | None
    result: str
    """created, replaced or kept."""
    timer: Timer | None = None
    """Its row, where it was created alone: as good as read again."""


# An instant that was fired is never fired again for the same row, so the next one is beyond the last. An execution that
# runs goes on, and moves nothing of the new schedule; only where others queue behind it, they still wait for its end.
# The audit entry is written by the same statement: one more would make each create slower by a round trip.
_INSERT = f"""
WITH written AS (
INSERT INTO timers_timer AS t (group_id, name, description, tags, schedule_kind, schedule, time_zone, start_at, end_at,
    max_fires, jitter, priority, until_committed, payload, action, overrides, state, state_reason, state_changed_by,
    next_fire_at, fire_count, last_outcome, failures_in_a_row, source, declared, shard, version, created_at, created_by,
    updated_at, updated_by)
SELECT u.group_id, u.name, u.description,
    ARRAY(SELECT json_array_elements_text(u.tags::json)), u.kind, u.schedule::json, u.time_zone,
    {timestamp("u.start_us")}, {timestamp("u.end_us")}, u.max_fires, u.jitter, u.priority, u.until_committed,
    u.payload::json, u.action::json, u.overrides::json, 'active', '', '', {timestamp("u.next_us")}, 0, '', 0,
    u.source, u.declared::json, u.shard, 1, now.at, %(actor)s, now.at, %(actor)s
FROM (SELECT timers_now() AS at) now, unnest(%(group_id)s::bigint[], %(name)s::text[], %(description)s::text[],
    %(tags)s::text[], %(kind)s::text[], %(schedule)s::text[], %(time_zone)s::text[], %(start_us)s::bigint[],
    %(end_us)s::bigint[], %(max_fires)s::int[], %(jitter)s::float8[], %(priority)s::int[], %(until_committed)s::bool[],
    %(payload)s::text[], %(action)s::text[], %(overrides)s::text[], %(next_us)s::bigint[], %(source)s::text[],
    %(declared)s::text[], %(shard)s::int[])
    AS u(group_id, name, description, tags, kind, schedule, time_zone, start_us, end_us, max_fires, jitter, priority,
         until_committed, payload, action, overrides, next_us, source, declared, shard)
ON CONFLICT (group_id, name) WHERE state IN ('active', 'paused') DO UPDATE SET
    description = excluded.description, tags = excluded.tags, schedule_kind = excluded.schedule_kind,
    schedule = excluded.schedule, time_zone = excluded.time_zone, start_at = excluded.start_at,
    end_at = excluded.end_at, max_fires = excluded.max_fires, jitter = excluded.jitter, priority = excluded.priority,
    until_committed = excluded.until_committed, payload = excluded.payload, action = excluded.action,
    overrides = excluded.overrides, state = 'active', state_reason = '', paused_until = NULL, fire_count = 0,
    failures_in_a_row = 0, source = excluded.source, declared = excluded.declared, shard = excluded.shard,
    open_execution = CASE WHEN NOT excluded.until_committed AND EXISTS (
        SELECT 1 FROM timers_waiting w WHERE w.timer_id = t.id AND w.state = 'queued') THEN t.open_execution END,
    next_fire_at = excluded.next_fire_at, version = t.version + 1,
    updated_at = excluded.updated_at, updated_by = excluded.updated_by
WHERE %(replace)s
RETURNING t.id, t.group_id, t.name, t.next_fire_at, t.last_fire_at, t.version, t.created_at
), told AS ({TOLD})
SELECT * FROM written
"""


def create_timers(
    specs: Sequence[TimerSpec], *, on_conflict: str = "reject", actor: str = "", found: FoundGroups | None = None
) -> list[Created]:
    """Create timers, all or none, in the order given; `found`: their groups, where they were read just now.

    `on_conflict`: for a name that a living timer has - "reject" raises TimerExists, "replace" takes over its row (its
    running execution goes on), "keep" leaves it as it is. Raises SpecError for an unknown group or handler and for a
    schedule that never fires.
    """
    if on_conflict not in ON_CONFLICT:
        raise SpecError("on_conflict", f"must be one of {', '.join(ON_CONFLICT)}", given=on_conflict)
    _refuse_twins(specs)
    with transaction.atomic():
        names = {spec.group for spec in specs}
        now, groups = found or look_up_groups(names)
        FoundGroups(now, groups).check(names)
        for group, action in {(spec.group, spec.action) for spec in specs}:
            check_action_of_timer(action, groups[group])
        # In one order, whatever the caller's: two bulk calls that replace the same timers never deadlock.
        ordered = sorted(specs, key=lambda spec: (groups[spec.group].id, spec.name))
        instants = _Instants(groups.values(), ordered)
        nows = {name: GroupClock.of(group).moment(now) for name, group in groups.items()}
        for spec in ordered:
            check_payload(groups[spec.group], spec.payload)
            check_interval(groups[spec.group], spec.schedule, nows[spec.group])
        limited = hold_quotas(name for name, group in groups.items() if group.max_timers is not None)
        firsts = [instants.first(spec, nows[spec.group]) for spec in ordered]
        _note_priorities(groups.values(), ordered)
        before = replaced_by(ordered[0]) if len(ordered) == 1 and on_conflict == "replace" else None
        with connection.cursor() as cursor:
            cursor.execute(
                _INSERT,
                {
                    "actor": actor,
                    **entry_of(ordered, actor, before),
                    "replace": on_conflict == "replace",
                    "group_id": plain_array(groups[spec.group].id for spec in ordered),
                    "name": text_array(spec.name for spec in ordered),
                    "description": text_array(spec.description for spec in ordered),
                    "tags": text_array(json.dumps(spec.tags) for spec in ordered),
                    "kind": plain_array(spec.schedule.kind for spec in ordered),
                    "schedule": text_array(json.dumps(spec.schedule.to_spec()) for spec in ordered),
                    "time_zone": text_array(spec.time_zone for spec in ordered),
                    "start_us": plain_array(_microseconds(spec.start_at) for spec in ordered),
                    "end_us": plain_array(_microseconds(spec.end_at) for spec in ordered),
                    "max_fires": plain_array(spec.max_fires for spec in ordered),
                    "jitter": plain_array(spec.jitter for spec in ordered),
                    "priority": plain_array(spec.priority for spec in ordered),
                    "until_committed": plain_array(spec.until_committed for spec in ordered),
                    "payload": text_array(spec.payload for spec in ordered),
                    "action": text_array(spec.action for spec in ordered),
                    "overrides": text_array(spec.overrides for spec in ordered),
                    "next_us": plain_array(to_microseconds(first) for first in firsts),
                    "source": text_array(spec.source for spec in ordered),
                    "declared": text_array(spec.declared for spec in ordered),
                    "shard": plain_array(spec.shard(groups[spec.group].shards) for spec in ordered),
                },
            )
            rows = cursor.fetchall()
        for group_id in limited:
            count_in(limited, group_id, sum(row[1] == group_id and row[5] == 1 for row in rows))
        specs_by_key = {(groups[spec.group].id, spec.name): spec for spec in ordered}
        nominals = {row[0]: row[3] - specs_by_key[row[1], row[2]].offset for row in rows}
        done = done_among([(row[0], nominals[row[0]]) for row in rows if row[5] > 1])
        written: dict[tuple[int, str], tuple[int, datetime, int]] = {}
        for timer, group_id, name, first, last, version, _ in rows:
            at, nominal = first, nominals[timer]
            if timer in done or (last is not None and nominal <= last):
                past = nominal if last is None else max(nominal, last)
                at = _unrepeated(instants, specs_by_key[group_id, name], timer, past)
            written[group_id, name] = timer, at, version
        created = []
        for spec in specs:
            row = written.get((groups[spec.group].id, spec.name))
            if row is None:
                created.append(_kept(spec, groups[spec.group].id, on_conflict))
            else:
                result = "created" if row[2] == 1 else "replaced"
                created.append(Created(row[0], spec.group, spec.name, row[1], result))
        if len(created) == 1 and created[0].result == "created":
            created = [_with_row(created[0], specs[0], groups[specs[0].group], rows[0][-1], actor)]
        wake_if_soon(firsts, now)
    return created


class _Instants:
    """First instants, with the exclusion calendars that the timers' policies name."""

    def __init__(self, groups: Iterable[TimerGroup], specs: Sequence[TimerSpec]) -> None:
        self._of_group = {group.name: group.policies() for group in groups}
        self._calendars = calendars_for(spec.policies(self._of_group[spec.group]) for spec in specs)

    def first(self, spec: TimerSpec, not_before: datetime) -> datetime:
        """When the timer is due first at or after an instant: its first nominal instant and its share of the jitter."""
        policies = spec.policies(self._of_group[spec.group])
        schedule = effective(spec.schedule, policies, self._calendars, spec.time_zone)
        return spec.first_fire(not_before, schedule) + spec.offset


def _with_row(created: Created, spec: TimerSpec, group: TimerGroup, at: datetime, actor: str) -> Created:
    """The same with the row that was written: whoever created one timer wants to see it."""
    timer = Timer(
        id=created.id, group=group, name=created.name, next_fire_at=created.next_fire_at, source=spec.source,
        shard=spec.shard(group.shards), created_at=at, created_by=actor, updated_at=at, updated_by=actor,
    )  # fmt: skip
    spec.write_to(timer)
    return created._replace(timer=timer)


def _note_priorities(groups: Iterable[TimerGroup], specs: Sequence[TimerSpec]) -> None:
    """A priority that no timer of a group had before is looked for from now on."""
    for group in groups:
        note_priorities(group, {spec.priority for spec in specs if spec.group == group.name})


def _unrepeated(instants: _Instants, spec: TimerSpec, timer: int, past: datetime) -> datetime:
    """When a replaced timer is due first beyond the (nominal) instant that was fired, maybe ahead, or was left out."""
    while True:
        least = past + timedelta(microseconds=1)
        past = max(instants.first(spec, least) - spec.offset, least)
        if not is_done(timer, past):
            break
    with connection.cursor() as cursor:
        cursor.execute("UPDATE timers_timer SET next_fire_at = %s WHERE id = %s", (past + spec.offset, timer))
    return past + spec.offset


def _kept(spec: TimerSpec, group_id: int, on_conflict: str) -> Created:
    if on_conflict == "reject":
        raise TimerExists(
            "name", f'is taken in group {spec.group}; use on_conflict="replace" or "keep"', given=spec.name
        )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, next_fire_at FROM timers_timer WHERE group_id = %s AND name = %s"
            " AND state IN ('active', 'paused')",
            (group_id, spec.name),
        )
        timer_id, next_fire_at = cursor.fetchone()
    return Created(timer_id, spec.group, spec.name, next_fire_at, "kept")


def _refuse_twins(specs: Sequence[TimerSpec]) -> None:
    seen: set[tuple[str, str]] = set()
    for spec in specs:
        if (spec.group, spec.name) in seen:
            raise SpecError("name", f"comes twice for group {spec.group} in one call", given=spec.name)
        seen.add((spec.group, spec.name))


def _microseconds(moment: datetime | None) -> int | None:
    return None if moment is None else to_microseconds(moment)
