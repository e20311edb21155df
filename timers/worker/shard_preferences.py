"""Shard preferences: which shards a worker leaves to other nodes while these are in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from timers.domain.shards import keys_of, preferring_node
from timers.engine.execution import ServedGroup
from timers.engine.load import NodeProfile, WorkerLoads

RENEW_SECONDS: Final = 1.0
"""Seconds between reads of the live nodes, if any group has shards."""

Shard = tuple[int, int]
"""A group's id and one of its shards."""


class ShardPreferences:
    """Knows the shards that other nodes prefer; renewed from the live nodes of the partition."""

    def __init__(self, node_id: int, partition: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._node_id = node_id
        self._loads = WorkerLoads(partition)
        self._clock = clock
        self._groups: tuple[ServedGroup, ...] = ()
        self._renew_at = 0.0
        self.of_others: frozenset[Shard] = frozenset()
        """The shards that other nodes prefer, as of the last renewal."""

    def renew(self, groups: Iterable[ServedGroup]) -> None:
        """Read the live nodes again, if it is due, for the groups that have more than one shard."""
        sharded = tuple(group for group in groups if group.shards > 1)
        now = self._clock()
        if sharded == self._groups and now < self._renew_at:
            return
        self._groups, self._renew_at = sharded, now + RENEW_SECONDS
        self.of_others = self._of_others(sharded) if sharded else frozenset()

    def _of_others(self, groups: Iterable[ServedGroup]) -> frozenset[Shard]:
        nodes = {load.node_id: load.profile for load in self._loads.read()}
        keys = keys_of({node_id: profile.name for node_id, profile in nodes.items()})
        me = keys.get(self._node_id)
        found = set()
        for group in groups:
            eligible = [keys[node_id] for node_id, profile in nodes.items() if _serves(profile, group)]
            if me in eligible:
                found |= {
                    (group.id, shard)
                    for shard in range(group.shards)
                    if preferring_node(group.id, shard, eligible) != me
                }
        return frozenset(found)


def _serves(profile: NodeProfile, group: ServedGroup) -> bool:
    return group.required_roles <= profile.roles and (not group.handler or group.handler in profile.handlers)
