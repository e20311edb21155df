"""Key settings: a timer's limit key is written by its group's settings as they are, whoever changes these meanwhile.

The group is read before, unlocked. Where it limits by key, who writes keys then holds the group's row as its reference
does (KEY SHARE) and compares; where the settings differ by now, or are just being changed, nothing is written, the
group is read again when the change is through, and the verb is repeated. It never waits for the group while it holds
timers: whoever changes the group holds it and waits for its timers. Where it did not limit by key as it was read,
nothing is checked, so that groups without such limits cost no more; when a group begins to limit by key, its timers get
their keys twice, in the change itself and after its commit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final, TypeVar

from django.db import connection

from timers.engine.arrays import plain_array, text_array
from timers.models import TimerGroup

Result = TypeVar("Result")

HELD: Final = """
held AS MATERIALIZED (
    SELECT ARRAY(
        SELECT CASE WHEN g.max_concurrency_per_key IS NOT NULL OR g.max_rate_per_key IS NOT NULL
                    THEN g.id || ':' || COALESCE(g.concurrency_key, '') ELSE g.id::text END
        FROM timers_timer_group g WHERE g.id = ANY(%(held_ids)s::bigint[]) ORDER BY g.id FOR KEY SHARE SKIP LOCKED
    ) = %(held_settings)s::text[] AS is_as_read
)
"""
"""SQL for WITH: whether groups have the settings that they were read with; parameters from `settings_of`. They stay so
to the transaction's end."""
_CHECK: Final = f"WITH {HELD} SELECT is_as_read FROM held"
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
    """The parameters of HELD: groups as they were read."""
    known = sorted(groups, key=lambda group: group.id)
    settings = [(group.id, key_setting(group)) for group in known]
    return {
        "held_ids": plain_array(group_id for group_id, _ in settings),
        "held_settings": text_array(str(at) if setting is None else f"{at}:{setting}" for at, setting in settings),
    }


def hold_key_settings(group: TimerGroup) -> None:
    """Hold a group as it was read to the transaction's end; raises KeySettingsChanged."""
    with connection.cursor() as cursor:
        cursor.execute(_CHECK, settings_of([group]))
        if cursor.fetchone() != (True,):
            raise KeySettingsChanged([group.id])


def by_present_keys(verb: Callable[[], Result]) -> Result:
    """Call what is one transaction and reads groups itself; repeated while their key settings change meanwhile."""
    while True:
        try:
            return verb()
        except KeySettingsChanged as changed:
            changed.wait()
