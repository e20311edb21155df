"""Rate states: the instants from which the rates of a group continue, read and written under its limit lock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from timers import conf
from timers.database import connection
from timers.domain.rates import Arrivals, Rate
from timers.engine.arrays import plain_array, text_array
from timers.engine.execution import ServedGroup
from timers.schedules.instant import from_microseconds, to_microseconds

# A state whose instant has passed is equivalent to no state.
_READ: Final = "SELECT key, tat FROM timers_rate_state WHERE group_id = %s AND (key = '' OR %s) AND tat > %s"
_WRITE: Final = """
INSERT INTO timers_rate_state (group_id, key, tat)
SELECT %s, u.key, u.tat FROM unnest(%s::text[], %s::timestamptz[]) AS u(key, tat) ORDER BY u.key
ON CONFLICT (group_id, key) DO UPDATE SET tat = excluded.tat
"""
# A state that is being written is not idle; waiting for it could cause a deadlock.
_PRUNE: Final = """
DELETE FROM timers_rate_state
WHERE id = ANY(ARRAY(SELECT id FROM timers_rate_state WHERE tat < %s ORDER BY id FOR UPDATE SKIP LOCKED))
"""


def read_states(
    group: ServedGroup, now_us: int, rates: Mapping[str, Rate], per_key: Rate | None
) -> dict[str, Arrivals]:
    """Return the states of a group's rates by key; the key of a limit key's rate is a colon and the limit key.

    Args:
        group: the group.
        now_us: microseconds by the database clock.
        rates: rates whose states are returned in any case, by key.
        per_key: the rate of each limit key; only states that are not idle are returned. None: there is none.
    """
    found = {key: new_state(group, rate) for key, rate in rates.items()}
    with connection.cursor() as cursor:
        cursor.execute(_READ, (group.id, per_key is not None, from_microseconds(now_us)))
        rows = cursor.fetchall()
    farthest_us = now_us + round(conf.LONGEST_LOOK_AHEAD * 1_000_000)
    stepped: dict[str, Arrivals] = {}
    for key, tat in rows:
        rate = rates.get(key) if key in rates else per_key if key else None
        if rate is None:
            continue
        state = found[key] = new_state(group, rate)
        # A state farther ahead than any claim comes from a clock step.
        state.tat_us = min(to_microseconds(tat), farthest_us + (state.burst + 1) * rate.interval_us)
        if state.tat_us != to_microseconds(tat):
            stepped[key] = state
    write_states(group, stepped)
    return found


def prune_states(before: datetime) -> int:
    """Delete the states of rates that have been idle since before an instant; return their number."""
    with connection.cursor() as cursor:
        cursor.execute(_PRUNE, (before,))
        return int(cursor.rowcount)


def new_state(group: ServedGroup, rate: Rate) -> Arrivals:
    """Return the state of an idle rate."""
    return Arrivals(rate, rate.burst(group.max_batch))


def write_states(group: ServedGroup, states: Mapping[str, Arrivals]) -> None:
    """Write states by key."""
    if not states:
        return
    with connection.cursor() as cursor:
        tats = plain_array(f'"{from_microseconds(state.tat_us).isoformat()}"' for state in states.values())
        cursor.execute(_WRITE, (group.id, text_array(states), tats))
