"""Key settings: a timer's limit key is computed from its group's present settings, even if these change concurrently.

The group is read first, unlocked. If it limits by key, a writer of keys then locks the group's row as a reference does
(KEY SHARE) and compares the settings. If they differ by now, or are being changed, nothing is written: the group is
read again after the change is committed, and the operation is repeated. The writer never waits for the group while it
has locked timers: a transaction that changes the group has locked it and waits for its timers. If the group did not
limit by key when it was read, nothing is checked, so groups without such limits have no extra cost. When a group begins
to limit by key, its timers get their keys twice: in the change itself and after its commit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final, TypeVar

from timers.database import connection
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
"""SQL for WITH: whether groups still have the settings with which they were read, and keep them until the transaction
ends. `settings_of` builds its parameters.
"""
_CHECK: Final = f"WITH {HELD} SELECT is_as_read FROM held"
_WAIT: Final = "SELECT 1 FROM timers_timer_group WHERE id = ANY(%s::bigint[]) ORDER BY id FOR KEY SHARE"


class KeySettingsChanged(Exception):
    """Groups limit by other keys than when they were read, or are being changed; nothing was written."""

    def __init__(self, ids: Collection[int]) -> None:
        super().__init__(f"groups {sorted(ids)} have changed")
        self._ids = ids

    def wait(self) -> None:
        """Wait until the concurrent changes have ended."""
        with connection.cursor() as cursor:
            cursor.execute(_WAIT, (plain_array(self._ids),))


def key_setting(group: TimerGroup) -> str | None:
    """Return the setting that determines the limit keys of a group's timers; None: they have none."""
    if group.max_concurrency_per_key is None and group.max_rate_per_key is None:
        return None
    return group.concurrency_key or ""


def settings_of(groups: Iterable[TimerGroup]) -> dict[str, str]:
    """Return the parameters of HELD: the groups as they were read."""
    known = sorted(groups, key=lambda group: group.id)
    settings = [(group.id, key_setting(group)) for group in known]
    return {
        "held_ids": plain_array(group_id for group_id, _ in settings),
        "held_settings": text_array(str(at) if setting is None else f"{at}:{setting}" for at, setting in settings),
    }


def hold_key_settings(group: TimerGroup) -> None:
    """Lock a group as it was read until the transaction ends. Raise KeySettingsChanged."""
    with connection.cursor() as cursor:
        cursor.execute(_CHECK, settings_of([group]))
        if cursor.fetchone() != (True,):
            raise KeySettingsChanged([group.id])


def by_present_keys(verb: Callable[[], Result]) -> Result:
    """Call `verb`, and repeat it while key settings change concurrently.

    Args:
        verb: one transaction, which reads the groups itself.
    """
    while True:
        try:
            return verb()
        except KeySettingsChanged as changed:
            changed.wait()
