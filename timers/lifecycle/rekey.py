"""Rekey: set the limit keys of a group's timers anew, when it limits by key from now on, no more, or otherwise."""

from __future__ import annotations

import json
from typing import Final

from django.db import connection

from timers.lifecycle.arrays import plain_array, text_array
from timers.models import TimerGroup

BATCH: Final = 2000
KEY_FIELDS: Final = frozenset({"concurrency_key", "max_concurrency_per_key", "max_rate_per_key"})
"""The fields of a group that decide which keys its timers have."""
_NEXT: Final = """
SELECT id, concurrency_key, limit_key, payload::text FROM timers_timer
WHERE group_id = %s AND id > %s AND state IN ('active', 'paused') ORDER BY id LIMIT %s FOR NO KEY UPDATE
"""
_SET: Final = """
UPDATE timers_timer t SET limit_key = u.limit_key FROM unnest(%s::bigint[], %s::text[]) AS u(id, limit_key)
WHERE t.id = u.id
"""


def rekey(group: TimerGroup) -> int:
    """Set the keys of all living timers of a locked group; returns how many were set anew.

    What is claimed keeps the key that it was claimed under. Takes some seconds for 100,000 timers.
    """
    limits = group.limits()
    after = changed = 0
    with connection.cursor() as cursor:
        while True:
            cursor.execute(_NEXT, (group.id, after, BATCH))
            rows = cursor.fetchall()
            if not rows:
                return changed
            after = rows[-1][0]
            keys = {}
            for timer, own, key, payload in rows:
                value = json.loads(payload) if payload is not None and limits.key_path is not None else None
                wanted = limits.key_of(own, value)
                if wanted != key:
                    keys[timer] = wanted
            if keys:
                cursor.execute(_SET, (plain_array(keys), text_array(keys.values())))
                changed += len(keys)
