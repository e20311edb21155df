"""Key settings: a timer's limit key is written by its group's settings as they are, whoever changes these meanwhile.

The group is read before, unlocked. Who writes keys then holds the group's row as its reference does (KEY SHARE) and
compares; where the settings differ by now, or are just being changed, nothing is written, the group is read again when
the change is through, and the verb is repeated. It never waits for the group while it holds timers: whoever changes
the group holds it and waits for its timers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final, TypeVar

from django.db import connection

from timers.lifecycle.arrays import plain_array, text_array
from timers.models import TimerGroup

Result = TypeVar("Result")

_SETTING: Final = """
CASE WHEN g.max_concurrency_per_key IS NOT NULL OR g.max_rate_per_key IS NOT NULL
     THEN COALESCE(g.concurrency_key, '') END
"""
CHANGED: Final = f"""
held AS MATERIALIZED (
    SELECT g.id, {_SETTING} AS setting FROM timers_timer_group g
    WHERE g.id = ANY(%(held_ids)s::bigint[]) ORDER BY g.id FOR KEY SHARE SKIP LOCKED
), changed AS MATERIALIZED (
    SELECT k.id FROM unnest(%(held_ids)s::bigint[], %(held_settings)s::text[]) AS k(id, setting)
    LEFT JOIN held h ON h.id = k.id WHERE h.id IS NULL OR h.setting IS DISTINCT FROM k.setting
)
"""
"""SQL for WITH: `changed` has the ids of groups whose settings differ; parameters from `settings_of`. The groups stay
as they are to the transaction's end."""
_CHECK: Final = f"WITH {CHANGED} SELECT id FROM changed"
_WAIT: Final = "SELECT 1 FROM timers_timer_group WHERE id = ANY(%s::bigint[]) ORDER BY id FOR KEY SHARE"


class KeySettingsChanged(Exception):
    """Groups limit by other keys than when they were read, or are just being changed; nothing was written."""

    def __init__(self, ids: Collection[int]) -> None:
        super().__init__(f"groups {sorted(ids)} have changed")
        self._ids = ids

    def wait(self) -> None:
        """Return when the changes that were under way are through."""
        with connection.cursor() as cursor:
            cursor.execute(_WAIT, (plain_array(self._ids),))


def key_setting(group: TimerGroup) -> str | None:
    """What of a group decides which limit keys its timers have; None: they have none."""
    if group.max_concurrency_per_key is None and group.max_rate_per_key is None:
        return None
    return group.concurrency_key or ""


def settings_of(groups: Iterable[TimerGroup]) -> dict[str, str]:
    """The parameters of CHANGED: groups as they were read."""
    known = list(groups)
    return {
        "held_ids": plain_array(group.id for group in known),
        "held_settings": text_array(key_setting(group) for group in known),
    }


def hold_key_settings(group: TimerGroup) -> None:
    """Hold a group as it was read to the transaction's end; raises KeySettingsChanged."""
    with connection.cursor() as cursor:
        cursor.execute(_CHECK, settings_of([group]))
        if rows := cursor.fetchall():
            raise KeySettingsChanged([group_id for (group_id,) in rows])


def by_present_keys(verb: Callable[[], Result]) -> Result:
    """Call what is one transaction and reads groups itself; repeated while their key settings change meanwhile."""
    while True:
        try:
            return verb()
        except KeySettingsChanged as changed:
            changed.wait()
