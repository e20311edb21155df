"""The statements that create and redefine timers, with their audit entry, and the arrays passed to them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from timers.control.created_entry import TOLD
from timers.control.key_settings import HELD
from timers.control.redefine import Redefined
from timers.control.spec import TimerSpec
from timers.engine.arrays import plain_array, text_array, timestamp
from timers.models import TimerGroup
from timers.schedules.instant import to_microseconds

# The columns of a definition, and the arrays that pass them.
_DEFINITION: Final = (
    "description", "tags", "schedule_kind", "schedule", "time_zone", "start_at", "end_at", "max_fires", "jitter",
    "priority", "until_committed", "payload", "action", "overrides", "shard", "concurrency_key", "limit_key",
)  # fmt: skip
_VALUES: Final = f"""u.description, ARRAY(SELECT json_array_elements_text(u.tags::json)), u.kind, u.schedule::json,
    u.time_zone, {timestamp("u.start_us")}, {timestamp("u.end_us")}, u.max_fires, u.jitter, u.priority,
    u.until_committed, u.payload::json, u.action::json, u.overrides::json, u.shard,
    u.concurrency_key, u.limit_key"""
_ARRAYS: Final = """%(group_id)s::bigint[], %(name)s::text[], %(description)s::text[],
    %(tags)s::text[], %(kind)s::text[], %(schedule)s::text[], %(time_zone)s::text[], %(start_us)s::bigint[],
    %(end_us)s::bigint[], %(max_fires)s::int[], %(jitter)s::float8[], %(priority)s::int[], %(until_committed)s::bool[],
    %(payload)s::text[], %(action)s::text[], %(overrides)s::text[], %(next_us)s::bigint[], %(source)s::text[],
    %(declared)s::text[], %(shard)s::int[], %(concurrency_key)s::text[], %(limit_key)s::text[]"""
_NAMES: Final = """group_id, name, description, tags, kind, schedule, time_zone, start_us, end_us, max_fires, jitter,
    priority, until_committed, payload, action, overrides, next_us, source, declared, shard, concurrency_key,
    limit_key"""
_RETURNED: Final = "t.id, t.group_id, t.name, t.next_fire_at, t.last_fire_at, t.version, t.created_at"


class Statements(NamedTuple):
    """The statement that writes new timers, and the one that writes new timers and redefines living ones."""

    insert: str
    replace: str


def _statements(*, keyed: bool) -> Statements:
    """Return the statements for groups that limit by key, which check the groups' settings, or for all other groups."""
    with_held = f"{HELD}, " if keyed else ""
    is_as_read = "(SELECT is_as_read FROM held)" if keyed else "true"
    answer = "SELECT * FROM written"
    if keyed:
        # One row without a timer if groups have changed; in that case nothing was written.
        answer += " UNION ALL SELECT NULL, NULL, '', NULL, NULL, NULL, NULL FROM held WHERE NOT is_as_read"
    # An instant that was fired never fires again for the same row, so the next one is after the last. A conflict arises
    # only with a timer that was created at the same moment: existing timers are redefined.
    insert_rows = f"""
INSERT INTO timers_timer AS t (group_id, name, {", ".join(_DEFINITION)}, state, state_reason, state_changed_by,
    next_fire_at, fire_count, last_outcome, failures_in_a_row, source, declared, version, created_at, created_by,
    updated_at, updated_by)
SELECT u.group_id, u.name, {_VALUES}, 'active', '', '', {timestamp("u.next_us")}, 0, '', 0,
    u.source, u.declared::json, 1, now.at, %(actor)s, now.at, %(actor)s
FROM (SELECT timers_now() AS at) now, unnest({_ARRAYS}) AS u({_NAMES})
WHERE {is_as_read}
ON CONFLICT (group_id, name) WHERE state IN ('active', 'paused') DO UPDATE SET
    {", ".join(f"{column} = excluded.{column}" for column in _DEFINITION)},
    state = 'active', state_reason = '', paused_until = NULL, fire_count = 0, failures_in_a_row = 0,
    source = excluded.source, owner = '', declared = excluded.declared,
    next_fire_at = excluded.next_fire_at, version = t.version + 1,
    updated_at = excluded.updated_at, updated_by = excluded.updated_by
WHERE %(replace)s
RETURNING {_RETURNED}
"""
    redefine_rows = f"""
UPDATE timers_timer t SET ({", ".join(_DEFINITION)}) = ROW({_VALUES}),
    state = CASE WHEN u.ends THEN 'finished' WHEN u.restarts THEN 'active' ELSE t.state END,
    state_reason = CASE WHEN u.restarts OR u.ends THEN '' ELSE t.state_reason END,
    paused_until = CASE WHEN u.restarts OR u.ends THEN NULL ELSE t.paused_until END,
    fire_count = CASE WHEN u.restarts THEN 0 ELSE t.fire_count END,
    failures_in_a_row = CASE WHEN u.restarts THEN 0 ELSE t.failures_in_a_row END,
    next_fire_at = CASE WHEN u.ends THEN NULL ELSE COALESCE({timestamp("u.next_us")}, t.next_fire_at) END,
    version = t.version + 1, updated_at = timers_now(), updated_by = %(actor)s
FROM unnest({_ARRAYS.replace("%(", "%(old_")}, %(old_id)s::bigint[], %(old_restarts)s::bool[], %(old_ends)s::bool[])
    AS u({_NAMES}, id, restarts, ends)
WHERE t.id = u.id AND {is_as_read}
RETURNING {_RETURNED}
"""
    # The same statement writes the audit entry: a separate one would add a round trip to each create.
    return Statements(
        f"WITH {with_held}written AS ({insert_rows}), told AS ({TOLD}) {answer}",
        f"""
WITH {with_held}redefined AS ({redefine_rows}), inserted AS ({insert_rows}),
written AS (SELECT * FROM redefined UNION ALL SELECT * FROM inserted), told AS ({TOLD})
{answer}
""",
    )


UNKEYED: Final = _statements(keyed=False)
KEYED: Final = _statements(keyed=True)


def arrays_of(wanted: Sequence[tuple[TimerSpec, datetime]], groups: Mapping[str, TimerGroup]) -> dict[str, str]:
    """Return the parameters of both statements: timers and their first instants, by columns."""
    specs = [spec for spec, _ in wanted]
    return {
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
        "concurrency_key": text_array(spec.concurrency_key for spec in specs),
        "limit_key": text_array(spec.limit_key(groups[spec.group]) for spec in specs),
        "shard": plain_array(spec.shard(groups[spec.group].shards) for spec in specs),
    }


def arrays_of_redefined(
    redefined: Mapping[tuple[int, str], Redefined], groups: Mapping[str, TimerGroup]
) -> dict[str, str]:
    """Return the additional parameters of the REPLACE statement: timers that are redefined."""
    each = list(redefined.values())
    arrays = arrays_of([(one.spec, one.due_at or one.was.updated_at) for one in each], groups)
    arrays |= {
        # An unchanged instant is not written: for distant years, microseconds cannot represent every timestamp.
        "next_us": plain_array(
            None if one.due_at == one.was.next_fire_at else _microseconds(one.due_at) for one in each
        ),
        "id": plain_array(one.was.id for one in each),
        "restarts": plain_array(one.restarts for one in each),
        "ends": plain_array(one.ends for one in each),
    }
    return {f"old_{name}": array for name, array in arrays.items()}


def _microseconds(moment: datetime | None) -> int | None:
    return None if moment is None else to_microseconds(moment)
