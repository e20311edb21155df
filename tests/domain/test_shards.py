"""Which shard a timer is in, and which node prefers a shard."""

from __future__ import annotations

from collections import Counter

import pytest

from timers.domain.shards import keys_of, preferring_node, shard_of

NODES = ["a", "b", "c", "d"]
SHARDS = 400


def preferences(nodes: list[str]) -> list[str | None]:
    return [preferring_node(7, shard, nodes) for shard in range(SHARDS)]


def test_names_are_spread_evenly_over_shards() -> None:
    counts = Counter(shard_of(f"timer-{number}", 8) for number in range(8000))
    assert set(counts) == set(range(8))
    assert all(800 < count < 1200 for count in counts.values())


def test_shards_are_spread_evenly_over_nodes() -> None:
    counts = Counter(preferences(NODES))
    assert all(SHARDS / 4 * 0.7 < counts[node] < SHARDS / 4 * 1.3 for node in NODES)


def test_the_order_of_the_nodes_does_not_matter() -> None:
    assert preferences(NODES) == preferences(NODES[::-1])


@pytest.mark.parametrize("gone", NODES)
def test_only_the_shards_of_a_node_that_leaves_change_hands(gone: str) -> None:
    before, after = preferences(NODES), preferences([node for node in NODES if node != gone])
    assert {was for was, now in zip(before, after, strict=True) if was != now} == {gone}


def test_without_a_node_nobody_prefers_a_shard() -> None:
    assert preferring_node(7, 0, []) is None


def test_nodes_of_one_name_have_shards_of_their_own() -> None:
    keys = keys_of({7: "a", 3: "a", 5: "b"})
    assert keys == {3: "a", 5: "b", 7: "a/2"}
    counts = Counter(preferences(list(keys.values())))
    assert all(SHARDS / 3 * 0.7 < counts[key] < SHARDS / 3 * 1.3 for key in keys.values())
