"""Lock groups before their timers are locked or inserted, for changes that may also write the groups.

A change of timers writes a group if it counts a quota or gives a timer a priority that is new in the group. All locks
are taken by rising group id, so the groups that are written cannot be locked before the others: either all groups are
locked for writing, or none is, and the timers' references lock them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from timers.control.groups import note_priorities
from timers.control.quotas import hold_quotas
from timers.control.spec import TimerSpec
from timers.database import connection
from timers.engine.arrays import plain_array
from timers.models import TimerGroup

_LOCK: Final = "SELECT 1 FROM timers_timer_group WHERE id = ANY(%s::bigint[]) ORDER BY id FOR NO KEY UPDATE"


def hold_to_write(
    groups: Mapping[str, TimerGroup], specs: Iterable[TimerSpec], also: Collection[str] = ()
) -> dict[int, TimerGroup]:
    """Lock what these timers may write in their groups, and register new priorities. Call it before timers are locked.

    Without quotas and new priorities no statement is sent.

    Args:
        groups: the groups by name, as they were read.
        specs: the timers that will be written.
        also: names of groups that the caller writes afterwards for another reason.

    Returns:
        The groups that limit their timers, locked, by id; read after they were locked.
    """
    priorities: dict[str, set[int]] = {}
    for spec in specs:
        priorities.setdefault(spec.group, set()).add(spec.priority)
    new = {name for name, wanted in priorities.items() if not wanted.issubset(groups[name].timer_priorities)}
    limited = {name for name, group in groups.items() if group.max_timers is not None}
    if also or (len(groups) > 1 and (new or limited)):
        with connection.cursor() as cursor:
            cursor.execute(_LOCK, (plain_array(sorted(group.id for group in groups.values())),))
    held = hold_quotas(limited)
    for name in sorted(new, key=lambda name: groups[name].id):
        note_priorities(groups[name], priorities[name])
    return held
