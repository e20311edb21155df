"""Create timers: one or ten thousand, by the same statement."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from django.db import connection, transaction

from timers.exceptions import SpecError, TimerExists
from timers.lifecycle.arrays import plain_array, text_array, timestamp
from timers.lifecycle.control.created_entry import TOLD, entry_of, replaced_by
from timers.lifecycle.control.groups import FoundGroups, look_up_groups, note_priorities
from timers.lifecycle.control.planned import Instants, plan, refuse_beyond_quotas
from timers.lifecycle.control.quotas import count_in, hold_quotas
from timers.lifecycle.control.spec import TimerSpec
from timers.lifecycle.cpu_budget import CpuBudget
from timers.lifecycle.recompute import done_among, is_done
from timers.lifecycle.wakeup import wake_if_soon
from timers.models import Timer, TimerGroup
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
_LIVING: Final = """
SELECT t.group_id, t.name, t.id, t.next_fire_at
FROM unnest(%s::bigint[], %s::text[]) AS u(group_id, name)
JOIN timers_timer t ON t.group_id = u.group_id AND t.name = u.name AND t.state IN ('active', 'paused')
"""


def create_timers(
    specs: Sequence[TimerSpec], *, on_conflict: str = "reject", actor: str = "", found: FoundGroups | None = None
) -> list[Created]:
    """Create timers, all or none, in the order given; `found`: their groups, where they were read just now.

    `on_conflict`: for a name that a living timer has - "reject" raises TimerExists, "replace" takes over its row (its
    running execution goes on), "keep" leaves it as it is. Raises SpecError for an unknown group or handler and for a
    schedule that never fires.
    """
    # With all or none, what was not created has been raised.
    return [each for each in _create(specs, on_conflict, actor, found, all_or_none=True) if isinstance(each, Created)]


def create_each(
    specs: Sequence[TimerSpec],
    *,
    on_conflict: str = "reject",
    actor: str = "",
    found: FoundGroups | None = None,
    budget: CpuBudget | None = None,
) -> list[Created | SpecError]:
    """The same, but what is wrong with one is that one's alone: what became of each, in the order given.

    `budget`: the CPU time that their schedules may cost; those for which nothing is left are refused.
    """
    return _create(specs, on_conflict, actor, found, all_or_none=False, budget=budget)


def _create(
    specs: Sequence[TimerSpec],
    on_conflict: str,
    actor: str,
    found: FoundGroups | None,
    *,
    all_or_none: bool,
    budget: CpuBudget | None = None,
) -> list[Created | SpecError]:
    if on_conflict not in ON_CONFLICT:
        raise SpecError("on_conflict", f"must be one of {', '.join(ON_CONFLICT)}", given=on_conflict)
    names = {spec.group for spec in specs}
    found = found or look_up_groups(names)
    found.check(names)
    with nullcontext() if _is_one_statement(specs, on_conflict, found.groups) else transaction.atomic():
        became = _creating(specs, on_conflict, actor, found, all_or_none=all_or_none, budget=budget)
        if all_or_none:
            for each in became:
                if isinstance(each, SpecError):
                    raise each
    return became


def _is_one_statement(specs: Sequence[TimerSpec], on_conflict: str, groups: Mapping[str, TimerGroup]) -> bool:
    """Whether all is written by one statement, which is a transaction by itself: to open one costs two round trips."""
    is_limited = any(group.max_timers is not None for group in groups.values())
    return len(specs) == 1 and on_conflict != "replace" and not is_limited


def _creating(
    specs: Sequence[TimerSpec],
    on_conflict: str,
    actor: str,
    found: FoundGroups,
    *,
    all_or_none: bool,
    budget: CpuBudget | None,
) -> list[Created | SpecError]:
    """What became of each; with `all_or_none` nothing is written where it is known before that one is refused."""
    groups = found.groups
    instants = Instants(groups.values(), specs)
    planned = plan(specs, groups, found.now, instants, budget)
    held = hold_quotas(name for name, group in groups.items() if group.max_timers is not None)
    refuse_beyond_quotas(specs, planned, held.values())
    wanted = [(spec, first) for spec, first in zip(specs, planned, strict=True) if isinstance(first, datetime)]
    if not wanted or (all_or_none and len(wanted) < len(specs)):
        return [each for each in planned if isinstance(each, SpecError)]
    # In one order, whatever the caller's: two bulk calls that replace the same timers never deadlock.
    wanted.sort(key=lambda each: (groups[each[0].group].id, each[0].name))
    _note_priorities(groups.values(), [spec for spec, _ in wanted])
    written = _write(wanted, groups, instants, on_conflict == "replace", actor)
    for group in held.values():
        new = [row for (group_id, _), row in written.items() if group_id == group.id and row.version == 1]
        count_in(group, len(new))
    taken = [spec for spec, _ in wanted if (groups[spec.group].id, spec.name) not in written]
    kept = _kept(taken, groups) if taken and on_conflict != "reject" else {}
    became: list[Created | SpecError] = []
    for spec, first in zip(specs, planned, strict=True):
        key = groups[spec.group].id, spec.name
        if isinstance(first, SpecError):
            became.append(first)
        elif key in written:
            row = written[key]
            result = "created" if row.version == 1 else "replaced"
            became.append(Created(row.id, spec.group, spec.name, row.next_fire_at, result))
        elif key in kept:
            became.append(Created(kept[key][0], spec.group, spec.name, kept[key][1], "kept"))
        else:
            words = f'is taken in group {spec.group}; use on_conflict="replace" or "keep"'
            became.append(TimerExists("name", words, given=spec.name))
    if len(specs) == 1 and isinstance(became[0], Created) and became[0].result == "created":
        became = [_with_row(became[0], specs[0], groups[specs[0].group], next(iter(written.values())).at, actor)]
    wake_if_soon([first for _, first in wanted], found.now)
    return became


class _Row(NamedTuple):
    """A row that was written."""

    id: int
    next_fire_at: datetime
    version: int
    at: datetime


def _write(
    wanted: Sequence[tuple[TimerSpec, datetime]],
    groups: Mapping[str, TimerGroup],
    instants: Instants,
    replace: bool,
    actor: str,
) -> dict[tuple[int, str], _Row]:
    """Write them all in one statement; the rows by group and name, without those whose name is taken."""
    specs = [spec for spec, _ in wanted]
    before = replaced_by(specs[0]) if len(specs) == 1 and replace else None
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            {
                "actor": actor,
                **entry_of(specs, actor, before),
                "replace": replace,
                "group_id": plain_array(groups[spec.group].id for spec in specs),
                "name": text_array(spec.name for spec in specs),
                "description": text_array(spec.description for spec in specs),
                "tags": text_array(json.dumps(spec.tags) for spec in specs),
                "kind": plain_array(spec.schedule.kind for spec in specs),
                "schedule": text_array(json.dumps(spec.schedule.to_spec()) for spec in specs),
                "time_zone": text_array(spec.time_zone for spec in specs),
                "start_us": plain_array(_microseconds(spec.start_at) for spec in specs),
                "end_us": plain_array(_microseconds(spec.end_at) for spec in specs),
                "max_fires": plain_array(spec.max_fires for spec in specs),
                "jitter": plain_array(spec.jitter for spec in specs),
                "priority": plain_array(spec.priority for spec in specs),
                "until_committed": plain_array(spec.until_committed for spec in specs),
                "payload": text_array(spec.payload for spec in specs),
                "action": text_array(spec.action for spec in specs),
                "overrides": text_array(spec.overrides for spec in specs),
                "next_us": plain_array(to_microseconds(first) for _, first in wanted),
                "source": text_array(spec.source for spec in specs),
                "declared": text_array(spec.declared for spec in specs),
                "shard": plain_array(spec.shard(groups[spec.group].shards) for spec in specs),
            },
        )
        rows = cursor.fetchall()
    specs_by_key = {(groups[spec.group].id, spec.name): spec for spec in specs}
    nominals = {row[0]: row[3] - specs_by_key[row[1], row[2]].offset for row in rows}
    done = done_among([(row[0], nominals[row[0]]) for row in rows if row[5] > 1])
    written: dict[tuple[int, str], _Row] = {}
    for timer, group_id, name, first, last, version, at in rows:
        due, nominal = first, nominals[timer]
        if timer in done or (last is not None and nominal <= last):
            past = nominal if last is None else max(nominal, last)
            due = _unrepeated(instants, specs_by_key[group_id, name], timer, past)
        written[group_id, name] = _Row(timer, due, version, at)
    return written


def _kept(specs: Sequence[TimerSpec], groups: Mapping[str, TimerGroup]) -> dict[tuple[int, str], tuple[int, datetime]]:
    """The id and the next instant of the timers that were left as they are, by group and name."""
    group_ids, names = (groups[spec.group].id for spec in specs), (spec.name for spec in specs)
    with connection.cursor() as cursor:
        cursor.execute(_LIVING, (plain_array(group_ids), text_array(names)))
        return {(group_id, name): (timer, next_fire_at) for group_id, name, timer, next_fire_at in cursor.fetchall()}


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


def _unrepeated(instants: Instants, spec: TimerSpec, timer: int, past: datetime) -> datetime:
    """When a replaced timer is due first beyond the (nominal) instant that was fired, maybe ahead, or was left out."""
    while True:
        least = past + timedelta(microseconds=1)
        past = max(instants.first(spec, least) - spec.offset, least)
        if not is_done(timer, past):
            break
    with connection.cursor() as cursor:
        cursor.execute("UPDATE timers_timer SET next_fire_at = %s WHERE id = %s", (past + spec.offset, timer))
    return past + spec.offset


def _microseconds(moment: datetime | None) -> int | None:
    return None if moment is None else to_microseconds(moment)
