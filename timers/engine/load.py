"""Load: which workers share the work of a partition, what each of them has claimed now, and how much is due.

Workers do not communicate with each other. Each reads the same rows (live nodes, claims, due work) and takes its share.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from timers.database import connection
from timers.engine.arrays import plain_array
from timers.engine.due import DueWork, Part
from timers.engine.group_clock import GroupClock
from timers.models import Node
from timers.schedules.instant import from_microseconds, to_microseconds

_HELD: Final = """
SELECT n.id, c.worker, c.group_id, c.held
FROM timers_node n
LEFT JOIN LATERAL (SELECT worker, group_id, sum(cardinality(executions))::bigint AS held
                   FROM timers_claim WHERE node_id = n.id GROUP BY worker, group_id) c ON true
WHERE n.partition = %s AND n.state = 'active' AND n.allow_execution AND n.lease_expires_at > timers_now()
"""

_DUE: Final = """
SELECT m.number, t.due + w.due, t.late + w.late, LEAST(t.first, w.first), true
FROM unnest(%(groups)s::bigint[], %(shards)s::int[], %(priorities)s::int[], %(waiting)s::bool[],
            %(nows)s::timestamptz[], %(horizons)s::timestamptz[], %(lates)s::timestamptz[])
     WITH ORDINALITY AS m(group_id, shard, priority, waiting, now, horizon, late, number)
CROSS JOIN LATERAL (
    SELECT count(*) AS due, count(*) FILTER (WHERE at <= m.late) AS late, min(at) AS first
    FROM (SELECT next_fire_at AS at FROM timers_timer
          WHERE group_id = m.group_id AND shard = m.shard AND priority = m.priority AND state = 'active'
            AND next_fire_at <= m.horizon AND (open_execution IS NULL OR next_fire_at <= m.now)
          ORDER BY next_fire_at LIMIT %(cap)s) due) t
CROSS JOIN LATERAL (
    SELECT count(*) AS due, count(*) FILTER (WHERE at <= m.late) AS late, min(at) AS first
    FROM (SELECT r.available_at AS at
          FROM timers_timer_group g, unnest(COALESCE(g.worker_ordinals, '{0}')) AS o(ordinal),
               LATERAL (SELECT available_at FROM timers_waiting
                        WHERE group_id = g.id AND subscription = o.ordinal AND state = 'ready'
                          AND available_at <= m.horizon
                        ORDER BY available_at LIMIT %(cap)s) r
          WHERE m.waiting AND g.id = m.group_id LIMIT %(cap)s) due) w
"""

# Like _DUE, without rows whose handler is left to other nodes. There may be very many of these, so the number of rows
# looked at is limited; where that is not enough, the result is unknown.
_DUE_HERE: Final = """
SELECT m.number, t.due + w.due, t.late + w.late, LEAST(t.first, w.first),
       (t.seen < %(scan)s OR t.due >= %(cap)s) AND (w.seen < %(scan)s OR w.due >= %(cap)s)
FROM unnest(%(groups)s::bigint[], %(shards)s::int[], %(priorities)s::int[], %(waiting)s::bool[],
            %(nows)s::timestamptz[], %(horizons)s::timestamptz[], %(lates)s::timestamptz[],
            %(lows)s::timestamptz[], %(handlers)s::text[])
     WITH ORDINALITY AS m(group_id, shard, priority, waiting, now, horizon, late, low, handler, number)
CROSS JOIN LATERAL (
    SELECT count(*) AS seen, LEAST(count(*) FILTER (WHERE here), %(cap)s) AS due,
           LEAST(count(*) FILTER (WHERE here AND at <= m.late), %(cap)s) AS late, min(at) FILTER (WHERE here) AS first
    FROM (SELECT next_fire_at AS at,
                 CASE WHEN action IS NULL THEN m.handler ELSE COALESCE(action->>'handler', '') END
                     <> ALL(%(left)s::text[]) AS here
          FROM timers_timer
          WHERE group_id = m.group_id AND shard = m.shard AND priority = m.priority AND state = 'active'
            AND next_fire_at <= m.horizon AND next_fire_at >= m.low
            AND (open_execution IS NULL OR next_fire_at <= m.now)
          ORDER BY next_fire_at LIMIT %(scan)s) due) t
CROSS JOIN LATERAL (
    SELECT count(*) AS seen, LEAST(count(*) FILTER (WHERE here), %(cap)s) AS due,
           LEAST(count(*) FILTER (WHERE here AND at <= m.late), %(cap)s) AS late, min(at) FILTER (WHERE here) AS first
    FROM (SELECT r.available_at AS at,
                 CASE WHEN r.subscription <> 0
                      THEN NOT EXISTS (SELECT 1 FROM unnest(%(left_groups)s::bigint[], %(left_ordinals)s::int[])
                                                     AS x(group_id, ordinal)
                                       WHERE x.group_id = m.group_id AND x.ordinal = r.subscription)
                      ELSE (SELECT CASE WHEN r.handler IS NOT NULL THEN r.handler
                                        WHEN b.action IS NULL THEN m.handler
                                        ELSE COALESCE(b.action->>'handler', '') END
                            FROM (SELECT (SELECT action FROM timers_timer WHERE id = r.timer_id) AS action) b)
                           <> ALL(%(left)s::text[]) END AS here
          FROM timers_timer_group g, unnest(COALESCE(g.worker_ordinals, '{0}')) AS o(ordinal),
               LATERAL (SELECT available_at, subscription, timer_id, handler FROM timers_waiting
                        WHERE group_id = g.id AND subscription = o.ordinal AND state = 'ready'
                          AND available_at <= m.horizon
                        ORDER BY available_at LIMIT %(scan)s) r
          WHERE m.waiting AND g.id = m.group_id LIMIT %(scan)s) due) w
"""
SCAN: Final = 2000
"""Number of rows looked at beyond the cap, where some are left to other nodes."""


@dataclass(frozen=True, slots=True)
class NodeProfile:
    """What never changes about one incarnation of a node. Slots are those of one of its workers."""

    name: str
    workers: int
    threads: int
    async_slots: int
    roles: frozenset[str]
    handlers: frozenset[str]


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """One live worker that claims work of the partition."""

    node_id: int
    worker: int
    profile: NodeProfile
    held: tuple[tuple[int, int], ...] = ()
    """Group id, and number of its executions that the worker has claimed."""


@dataclass(frozen=True, slots=True)
class Due:
    """How much of one part of a group's work is due within the horizon."""

    count: int
    """At most the given cap."""
    late: int
    """Number of those whose instant passed some time ago."""
    first_us: int
    """The earliest instant, by the database clock."""
    is_counted: bool = True
    """False: so much is left to other nodes that the rest was not found; then the other figures mean nothing."""


@dataclass(slots=True)
class WorkerLoads:
    """Reads the loads of all live workers of a partition; constant facts are read once."""

    partition: str
    _profiles: dict[int, NodeProfile] = field(default_factory=dict)

    def read(self) -> list[WorkerLoad]:
        """Return the live workers of the partition and what each has claimed, by the committed claims."""
        with connection.cursor() as cursor:
            cursor.execute(_HELD, (self.partition,))
            rows = cursor.fetchall()
        held: dict[int, dict[int, list[tuple[int, int]]]] = {}
        for node_id, worker, group_id, count in rows:
            by_worker = held.setdefault(node_id, {})
            if worker is not None:
                by_worker.setdefault(worker, []).append((group_id, count))
        self._learn(held.keys() - self._profiles.keys())
        return [
            WorkerLoad(node_id, worker, profile, tuple(by_worker.get(worker, ())))
            for node_id, by_worker in held.items()
            if (profile := self._profiles.get(node_id)) is not None
            for worker in range(1, profile.workers + 1)
        ]

    def _learn(self, unknown: set[int]) -> None:
        if not unknown:
            return
        rows = Node.objects.filter(id__in=unknown).values_list(
            "id", "name", "workers", "threads", "async_slots", "roles", "handlers"
        )
        for node_id, name, workers, threads, async_slots, roles, handlers in rows:
            each = max(workers, 1)
            self._profiles[node_id] = NodeProfile(
                name, workers, threads // each, async_slots // each, frozenset(roles), frozenset(handlers)
            )


def count_due(
    work: Sequence[DueWork],
    now_us: int,
    horizon_us: int,
    late_us: int,
    cap: int,
    left: Collection[str] = (),
    low_us: Mapping[Part, int] = MappingProxyType({}),
) -> list[Due]:
    """Count what is due up to the horizon, for each item of `work`.

    Args:
        work: parts of groups.
        now_us: microseconds by the database clock.
        horizon_us: microseconds by the database clock.
        late_us: microseconds after its instant from which work counts as late.
        cap: maximum count for each item.
        left: handlers whose work is for other nodes, and is not counted.
        low_us: instants (microseconds by the group's clock) below which there is only such work.
    """
    clocks = [item.group.clock for item in work]

    def instants(each: list[int]) -> str:
        return plain_array(f'"{from_microseconds(us).isoformat()}"' for us in each)

    params: dict[str, Any] = {
        "groups": plain_array(item.group.id for item in work),
        "shards": plain_array(item.shard for item in work),
        "priorities": plain_array(item.priority for item in work),
        "waiting": plain_array("t" if item.waiting else "f" for item in work),
        "nows": instants([clock.at(now_us) for clock in clocks]),
        "horizons": instants([clock.horizon(now_us, horizon_us) for clock in clocks]),
        "lates": instants([clock.at(now_us) - late_us for clock in clocks]),
        "cap": cap,
    }
    if left:
        left_ordinals = {
            (item.group.id, each.ordinal) for item in work for each in item.group.subscribers if each.handler in left
        }
        params |= {
            "left": list(left),
            "left_groups": [group_id for group_id, _ in left_ordinals],
            "left_ordinals": [ordinal for _, ordinal in left_ordinals],
            "handlers": ["" if item.group.subscribers else item.group.handler for item in work],
            "lows": instants([low_us.get(item.part, 0) for item in work]),
            "scan": cap + SCAN,
        }
    with connection.cursor() as cursor:
        cursor.execute(_DUE_HERE if left else _DUE, params)
        rows = {number: row for number, *row in cursor.fetchall()}
    return [_due(rows[number], clock, now_us) for number, clock in enumerate(clocks, 1)]


def _due(row: Sequence[Any], clock: GroupClock, now_us: int) -> Due:
    count, late, first, is_counted = row
    shift_us = clock.at(now_us) - now_us
    first_us = now_us if first is None else to_microseconds(first) - shift_us
    return Due(count, late, first_us, is_counted) if is_counted else Due(0, 0, now_us, False)
