"""Find the groups with work for a worker, with one query even when there is none.

The query probes each shard and each priority of a group's timers separately: an equality keeps the order of the index.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache

from timers.database import connection
from timers.domain.cluster_modes import LEAD
from timers.domain.shards import OVERDUE_SECONDS
from timers.engine.arrays import plain_array
from timers.engine.clock_step import IS_VIRTUAL, is_held
from timers.engine.execution import Leading, ServedGroup, served
from timers.engine.group_clock import group_now
from timers.models import TimerGroup
from timers.models.cluster_pause import is_paused
from timers.models.due_index import PARTS
from timers.schedules.instant import from_microseconds, to_microseconds

_DUE_WORK = f"""
SELECT n.now, n.paused, n.held, n.is_virtual, n.epoch, n.led_since,
       w.group_id, w.version, w.shard, w.priority, w.timers, w.waiting
FROM (SELECT timers_now() AS now, {is_paused("%(partition)s")} AS paused,
             {is_held("timers_now()")} AS held, {IS_VIRTUAL} AS is_virtual, l.epoch, l.led_since
      FROM (SELECT 1) one
      LEFT JOIN timers_leadership l ON l.partition = %(partition)s AND l.node_id = %(node)s) n
LEFT JOIN LATERAL (
    SELECT g.id AS group_id, g.version, s.shard, p.priority,
           EXISTS (SELECT 1 FROM timers_timer t
                   WHERE t.group_id = g.id AND t.shard = s.shard AND t.priority = p.priority
                     AND t.state = 'active'
                     {{window}}
                     AND (t.open_execution IS NULL OR t.next_fire_at <= c.now)) AS timers,
           -- One look for each: with ORDER BY and LIMIT it is one into the index, whatever waits for others.
           CASE WHEN s.shard <> 0 OR p.priority <> g.timer_priorities[1] THEN false
                WHEN g.worker_ordinals IS NULL THEN EXISTS (
                   SELECT 1 FROM timers_waiting r
                   WHERE r.group_id = g.id AND r.subscription = 0 AND r.state = 'ready' AND r.available_at <= c.horizon
                     AND (r.required_roles IS NULL OR r.required_roles <@ %(roles)s::varchar[])
                   ORDER BY r.available_at LIMIT 1)
                ELSE EXISTS (
                   SELECT 1 FROM unnest(g.worker_ordinals) AS o(ordinal), LATERAL (
                       SELECT 1 FROM timers_waiting r
                       WHERE r.group_id = g.id AND r.subscription = o.ordinal AND r.state = 'ready'
                         AND r.available_at <= c.horizon
                       ORDER BY r.available_at LIMIT 1) found)
           END AS waiting
    FROM timers_timer_group g
    CROSS JOIN LATERAL (SELECT CASE WHEN g.sandbox THEN {group_now("%(now)s::timestamptz")} ELSE %(now)s END AS now,
                               CASE WHEN g.sandbox THEN {group_now("%(now)s::timestamptz")} ELSE %(horizon)s END
                                   AS horizon,
                               CASE WHEN g.sandbox THEN {group_now("%(now)s::timestamptz")} ELSE %(overdue)s END
                                   AS overdue) c
    CROSS JOIN {PARTS}
    {{joins}}
    WHERE NOT n.paused AND NOT n.held
      AND (n.epoch IS NOT NULL OR NOT (%(is_passive)s OR g.placement = 'lead'))
      AND g.partition = %(partition)s AND g.state = 'active' AND g.required_roles <@ %(roles)s::varchar[]
      AND (g.worker_ordinals IS NOT NULL OR COALESCE(g.action->>'kind', '') <> 'pull')
) w ON w.timers OR w.waiting
"""
_UP_TO_HORIZON = "AND t.next_fire_at <= c.horizon"
_MARKS = """
    LEFT JOIN unnest(%(mark_groups)s::bigint[], %(mark_shards)s::int[], %(mark_priorities)s::int[],
                     %(mark_lows)s::timestamptz[])
           AS m(group_id, shard, priority, low)
           ON m.group_id = g.id AND m.shard = s.shard AND m.priority = p.priority
"""
_FROM_MARK = "AND t.next_fire_at >= COALESCE(m.low, '-infinity'::timestamptz)"
_OTHERS = """
    LEFT JOIN unnest(%(other_groups)s::bigint[], %(other_shards)s::int[]) AS f(group_id, shard)
           ON f.group_id = g.id AND f.shard = s.shard
"""
_UP_TO_HORIZON_OR_OVERDUE = "AND t.next_fire_at <= CASE WHEN f.group_id IS NULL THEN c.horizon ELSE c.overdue END"
# The horizon consists of parameters and the group's row: a volatile function there could not be an index condition, and
# the last, empty probe would read every future timer.


@cache
def _due_work(has_marks: bool, has_others: bool) -> str:
    """Return the statement without unneeded joins: planning them is most of the cost of a look."""
    window = [_UP_TO_HORIZON_OR_OVERDUE if has_others else _UP_TO_HORIZON, _FROM_MARK if has_marks else ""]
    return _DUE_WORK.format(window=" ".join(window), joins=(_MARKS * has_marks) + (_OTHERS * has_others))


def overdue_us(now_us: int) -> int:
    """Return the instant (microseconds) up to which timers are overdue and any node takes them, in any shard."""
    return now_us - round(OVERDUE_SECONDS * 1_000_000)


Part = tuple[int, int, int]
"""A group's id, and a shard and a priority of its timers."""


@dataclass(frozen=True, slots=True)
class DueWork:
    """A group (and a shard and priority of its timers) with something to claim."""

    group: ServedGroup
    shard: int
    priority: int
    timers: bool
    waiting: bool
    leading: Leading | None = None
    """The leadership under which it may be claimed; None: by all nodes."""
    is_preferred_elsewhere: bool = False
    """Whether another node prefers the shard: then only overdue timers are taken."""

    @property
    def part(self) -> Part:
        """The part of the group that the timers are in."""
        return self.group.id, self.shard, self.priority


@dataclass(slots=True)
class ServedGroups:
    """The groups that a worker serves: those of its partition whose required roles it has.

    A node of a passive cluster serves them only while it leads the partition. In any cluster only the leader serves
    groups with placement lead.

    Only consumers claim from a group whose action is pull. A worker serves a group with subscriptions for those that
    are not pulled, and fires its timers for all of them.
    """

    partition: str
    roles: Sequence[str]
    node_id: int
    is_passive: bool = False
    """Whether the node claims nothing unless it is the leader."""
    is_paused: bool = False
    """Whether the cluster or the partition was paused at the last look: then nothing is due."""
    is_held: bool = False
    """Whether a step of the database clock suspended all claims at the last look: then nothing is due."""
    is_virtual: bool = False
    """Whether a test controlled the clock of the last look."""
    leading: Leading | None = None
    """The leadership that the node had at the last look."""
    _known: dict[int, ServedGroup] = field(default_factory=dict)

    def with_due_work(
        self,
        now_us: int,
        horizon_us: int,
        low_marks: Mapping[Part, int],
        of_others: Collection[tuple[int, int]] = (),
    ) -> tuple[datetime, list[DueWork]]:
        """Return the database's now, and the work due up to the horizon, by priority of the group, then of the timers.

        Args:
            now_us: microseconds since 1970 UTC.
            horizon_us: microseconds since 1970 UTC.
            low_marks: the instants below which nothing is left, as far as the caller has seen.
            of_others: group ids and shards that other nodes prefer; of these only overdue timers are found.
        """
        with connection.cursor() as cursor:
            cursor.execute(
                _due_work(bool(low_marks), bool(of_others)),
                {
                    "horizon": from_microseconds(horizon_us),
                    "overdue": from_microseconds(overdue_us(now_us)),
                    "other_groups": plain_array(group for group, _ in of_others),
                    "other_shards": plain_array(shard for _, shard in of_others),
                    "now": from_microseconds(now_us),
                    "partition": self.partition,
                    "roles": list(self.roles),
                    "node": self.node_id,
                    "is_passive": self.is_passive,
                    "mark_groups": plain_array(group for group, _, _ in low_marks),
                    "mark_shards": plain_array(shard for _, shard, _ in low_marks),
                    "mark_priorities": plain_array(priority for _, _, priority in low_marks),
                    "mark_lows": plain_array(f'"{from_microseconds(low).isoformat()}"' for low in low_marks.values()),
                },
            )
            rows = cursor.fetchall()
        reading: datetime = rows[0][0]
        self.is_paused, self.is_held, self.is_virtual = rows[0][1:4]
        self.leading = self._leading(*rows[0][4:6])
        found = [row[6:] for row in rows if row[6] is not None]
        self._learn({(group_id, version) for group_id, version, *_ in found})
        work = [
            DueWork(
                group,
                shard,
                priority,
                timers,
                waiting,
                self.leading if self.is_led(group) else None,
                (group_id, shard) in of_others,
            )
            for group_id, _, shard, priority, timers, waiting in found
            if (group := self._known.get(group_id)) is not None
        ]
        work.sort(key=lambda item: (-item.group.priority, -item.priority))
        return reading, work

    def is_led(self, group: ServedGroup) -> bool:
        """Return whether only the leader of the partition may claim from a group."""
        return self.is_passive or group.placement == LEAD

    def _leading(self, epoch: int | None, led_since: datetime | None) -> Leading | None:
        if epoch is None:
            return None
        return Leading(self.partition, self.node_id, epoch, to_microseconds(led_since) if led_since else 0)

    @property
    def known(self) -> Collection[ServedGroup]:
        """The groups that have had work due so far."""
        return self._known.values()

    def as_known(self, group: ServedGroup) -> ServedGroup:
        """Return a group as last read, which may be later than the claim of an execution of it."""
        return self._known.get(group.id, group)

    def _learn(self, seen: set[tuple[int, int]]) -> None:
        unknown = [
            group_id
            for group_id, version in seen
            if group_id not in self._known or self._known[group_id].version != version
        ]
        if unknown:
            for group in served(TimerGroup.objects.filter(id__in=unknown)):
                self._known[group.id] = group
