"""A node takes its own shards at once, and those of others only when they are overdue."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests import factories
from tests.worker.test_sharing import Worker, live
from timers.domain.shards import preferring_node, shard_of
from timers.models import Node, TimerGroup
from timers.scheduling import schedule_many, update_group
from timers.testing import VirtualTime

pytestmark = pytest.mark.usefixtures("handlers")

SHARDS = 8
COUNT = 40


@pytest.fixture
def workers(time: VirtualTime) -> Sequence[Worker]:
    """Two live nodes that know of each other, and a group of eight shards with quick work that is due now."""
    group = factories.group("work", shards=SHARDS, probed_shards=SHARDS)
    made = live(time, 2)
    for worker in made:
        worker.pace.learn({group.id: 0.000_05})
    schedule_many([{"kind": "once", "group": "work", "name": "first", "after": 0}])
    made[0].look()
    schedule_many([{"kind": "once", "group": "work", "name": "second", "after": 0}])
    time.advance(1.1)
    made[1].look()
    Node.objects.update(lease_expires_at="2099-01-01T00:00Z")
    for worker in made:
        worker.look()
        worker.held.clear()
    schedule_many([{"kind": "once", "group": "work", "name": f"t{number}", "after": 0} for number in range(COUNT)])
    return made


def names_of(worker: Worker) -> set[str]:
    return {execution.name for execution in worker.held}


def preferred(worker: Worker) -> set[str]:
    group = TimerGroup.objects.get()
    return {
        f"t{number}"
        for number in range(COUNT)
        if preferring_node(group.id, shard_of(f"t{number}", SHARDS), ["node-0", "node-1"]) == worker.node.node.name
    }


def test_each_node_takes_its_own_shards(workers: Sequence[Worker]) -> None:
    for worker in workers:
        worker.look()
    assert [names_of(worker) for worker in workers] == [preferred(worker) for worker in workers]
    assert all(names_of(worker) for worker in workers)


def test_what_is_overdue_is_taken_by_anyone(workers: Sequence[Worker], time: VirtualTime) -> None:
    first, _ = workers
    first.look()
    assert names_of(first) == preferred(first)
    time.advance(1)
    first.look()
    assert names_of(first) == {f"t{number}" for number in range(COUNT)}


def test_a_node_takes_overdue_timers_of_other_shards_at_the_rate(workers: Sequence[Worker], time: VirtualTime) -> None:
    update_group("work", max_rate="1000/s")
    first, _ = workers
    for _ in range(4):
        first.look()
        assert names_of(first) <= preferred(first), "the shards of others are not overdue yet"
        time.advance(0.2)
    time.advance(1)
    for _ in range(4):
        first.look()
        time.advance(0.2)
    assert names_of(first) == {f"t{number}" for number in range(COUNT)}


def test_a_node_alone_takes_everything_at_once(workers: Sequence[Worker], monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = workers
    Node.objects.filter(name="node-1").update(state="draining")
    monkeypatch.setattr("timers.worker.shard_preferences.RENEW_SECONDS", 0)
    first.claimer._shards._renew_at = 0
    first.look()
    first.look()
    assert names_of(first) == {f"t{number}" for number in range(COUNT)}
