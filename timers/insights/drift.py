"""Configuration drift of the live nodes, by partition, with texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from timers.conf import table
from timers.domain.drift import Difference, Published, differences
from timers.insights.node_view import NodeView

NAMED: Final = 5
"""Maximum number of nodes or handlers named in one list."""


@dataclass(frozen=True, slots=True)
class Drift:
    """A setting, version or handler that differs among the live nodes of a partition."""

    partition: str
    difference: Difference

    @property
    def kind(self) -> str:
        """One of: setting, version, zone_rules, handler."""
        return self.difference.kind

    @property
    def name(self) -> str:
        """Name of the setting or handler."""
        return self.difference.name

    @property
    def values(self) -> list[tuple[str, list[str]]]:
        """Each value, as text, with the nodes that have it, the most common first; values of secrets are not shown."""
        is_secret = self.kind == "setting" and is_secret_setting(self.name)
        return [("" if is_secret else str(value), list(nodes)) for value, nodes in self.difference.values]

    @property
    def odd(self) -> list[str]:
        """Nodes that differ from the majority; for a handler, the nodes that lack it."""
        return sorted(self.difference.odd)

    @property
    def words(self) -> str:
        """The drift in one sentence."""
        if self.kind == "handler":
            return f"Handler {self.name} is missing on {listed(self.odd)} of partition {self.partition}."
        places = "; ".join(f"{listed(nodes)}{f': {value}' if value else ''}" for value, nodes in self.values)
        name = self.name[0].upper() + self.name[1:]
        return f"{name} is not the same on all nodes of partition {self.partition} ({places})."

    def on(self, node: str) -> str:
        """Describe what differs on one node: TIMERS_LEASE 30 (most: 10)."""
        if self.kind == "handler":
            return f"handler {self.name} is missing"
        most = self.values[0][0]
        mine = next((value for value, nodes in self.values if node in nodes), "")
        return f"{self.name} {mine} (most: {most})" if most else f"{self.name} is another one"


def drift_of(nodes: Iterable[NodeView], *further: Published) -> tuple[Drift, ...]:
    """Return what differs among the live nodes of each partition.

    Args:
        nodes: Nodes of all partitions.
        *further: Configurations to compare with the nodes of each partition, as if each were one of them.
    """
    by_partition: dict[str, list[NodeView]] = {}
    for node in nodes:
        if node.alive:
            by_partition.setdefault(node.partition, []).append(node)
    found = []
    for partition, alive in sorted(by_partition.items()):
        hashes = {node.config_hash for node in alive}
        if further or len(hashes) > 1 or "" in hashes:
            compared = [*(_published(node) for node in alive), *further]
            found += [Drift(partition, each) for each in differences(compared)]
    return tuple(found)


def drift_words(found: Sequence[Drift]) -> list[str]:
    """Return one sentence for each setting, and one for all handlers that the same nodes lack."""
    words = [each.words for each in found if each.kind != "handler"]
    missing: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for each in found:
        if each.kind == "handler":
            missing.setdefault((each.partition, tuple(each.odd)), []).append(each.name)
    return words + [
        f"Handler{'s' if len(names) > 1 else ''} {listed(names)} {'are' if len(names) > 1 else 'is'} missing on"
        f" {listed(nodes)} of partition {partition}."
        for (partition, nodes), names in missing.items()
    ]


def drift_by_node(found: Iterable[Drift]) -> Mapping[str, list[str]]:
    """Return, for the label of each node that differs from most of its partition, descriptions of the differences."""
    words: dict[str, list[str]] = {}
    for each in found:
        for node in each.odd:
            words.setdefault(node, []).append(each.on(node))
    return words


def is_secret_setting(name: str) -> bool:
    """Whether the values of a setting must never be shown; False for a setting that this version does not know."""
    setting = table.BY_NAME.get(name)
    return setting is not None and setting.is_secret


def listed(names: Sequence[Any]) -> str:
    """Join the first names: a, b, ..."""
    return f"{', '.join(map(str, names[:NAMED]))}{', ...' if len(names) > NAMED else ''}"


def _published(node: NodeView) -> Published:
    return Published(
        node.label,
        node.settings,
        node.version,
        node.zone_rules,
        frozenset(node.handlers) if node.allow_execution else frozenset(),
        frozenset(node.roles),
    )
