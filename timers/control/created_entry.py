"""The audit entry of timers that are created or replaced; `create` writes it with the same statement."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from timers.control.audit import FIRST, as_json, digest, fact, is_silent, who
from timers.control.spec import TimerSpec
from timers.models import Timer

TOLD = f"""
INSERT INTO timers_audit_entry (at, actor, key_id, address, request_id, verb, subject_kind, subject_group, group_id,
                                subject_name, subject_id, before, after)
SELECT timers_now(), %(asker)s, %(key_id)s, %(address)s, %(request_id)s,
       CASE WHEN %(many)s THEN 'timer.create_many' WHEN w.created = 1 THEN 'timer.create' ELSE 'timer.replace' END,
       'timer', %(subject_group)s, CASE WHEN %(subject_group)s <> '' THEN w.group_id END, %(subject_name)s,
       CASE WHEN %(many)s THEN '' ELSE w.id::text END, %(before)s::json,
       CASE WHEN %(many)s THEN json_build_object('created', w.created, 'replaced', w.replaced, 'first', w.first)
            ELSE %(after)s::json END
FROM (SELECT count(*) FILTER (WHERE version = 1) AS created, count(*) FILTER (WHERE version > 1) AS replaced,
             min(id) AS id, min(group_id) AS group_id, (array_agg(name ORDER BY name))[:{FIRST}] AS first
      FROM written) w
WHERE %(is_told)s AND w.id IS NOT NULL
"""
"""SQL: one entry for all rows that `written` returned, if any; `entry_of` builds its parameters."""


def entry_of(specs: Sequence[TimerSpec], actor: str, replaced: Timer | None) -> dict[str, Any]:
    """Return the parameters of TOLD: for one timer its whole definition, for many their number and the first names."""
    said = who(actor)
    single = specs[0] if len(specs) == 1 else None
    before, after = ({}, {}) if single is None else _difference(single, replaced)
    groups = {spec.group for spec in specs}
    return {
        "is_told": not is_silent(),
        "asker": said.pop("actor"),
        **said,
        "many": single is None,
        "subject_group": groups.pop() if len(groups) == 1 else "",
        "subject_name": "" if single is None else single.name,
        "before": as_json(before),
        "after": as_json(after),
    }


def _difference(spec: TimerSpec, replaced: Timer | None) -> tuple[dict[str, Any], dict[str, Any]]:
    after = _facts(spec)
    if replaced is None:
        return {}, {name: value for name, value in after.items() if value not in (None, "", [], False, 0)}
    before = {name: fact(name, getattr(replaced, name)) for name in after}
    changed = [name for name, value in after.items() if before[name] != value]
    return {name: before[name] for name in changed}, {name: after[name] for name in changed}


def _facts(spec: TimerSpec) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "schedule_kind": spec.schedule.kind,
        "schedule": spec.schedule.to_spec(),
        "time_zone": spec.time_zone,
        "start_at": spec.start_at,
        "end_at": spec.end_at,
        "max_fires": spec.max_fires,
        "jitter": spec.jitter,
        "priority": spec.priority,
        "until_committed": spec.until_committed,
        "description": spec.description,
        "tags": spec.tags,
        "action": None if spec.action is None else json.loads(spec.action),
        "overrides": None if spec.overrides is None else json.loads(spec.overrides),
        "concurrency_key": spec.concurrency_key,
        "source": spec.source,
    }
    facts = {name: fact(name, value) for name, value in columns.items()}
    # The text unchanged: parsing it only to write it again would cost more than all the rest.
    return {**facts, "payload": None if spec.payload is None else digest(spec.payload)}
