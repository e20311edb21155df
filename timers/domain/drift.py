"""Drift: configuration differences among the nodes of one partition, and the nodes that differ from the majority."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Literal

Kind = Literal["setting", "version", "zone_rules", "handler"]
KNOWN: Final = "known"
MISSING: Final = "missing"
"""Values of a handler."""


@dataclass(frozen=True, slots=True)
class Published:
    """Configuration that a node published when it started."""

    node: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings that must be equal everywhere. A node of an older version publishes none, or fewer; each setting is
    compared among the nodes that publish it."""
    version: str = ""
    """Version of its code; empty: not compared."""
    zone_rules: str = ""
    """Edition of its time zone rules; empty: not compared."""
    handlers: frozenset[str] = frozenset()
    """Names of its handlers; empty: it runs none, and is not compared."""
    roles: frozenset[str] = frozenset()
    """Its roles; nodes with different roles are expected to have different handlers."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting, version, edition or handler that differs among nodes."""

    kind: Kind
    name: str
    """Name of the setting or handler; the kind as text for the others."""
    values: tuple[tuple[Any, tuple[str, ...]], ...]
    """Each value with the nodes that have it, the most common value first; for equal numbers, the one with the node
    whose name sorts first."""

    @property
    def odd(self) -> frozenset[str]:
        """Nodes that differ from the majority; for a handler, those that lack it."""
        if self.kind == "handler":
            return frozenset(node for value, nodes in self.values if value == MISSING for node in nodes)
        return frozenset(node for _, nodes in self.values[1:] for node in nodes)


def config_hash(settings: Mapping[str, Any], version: str, zone_rules: str, handlers: Collection[str]) -> str:
    """Return a short digest of a node's configuration, equal for nodes with equal configuration."""
    text = json.dumps([dict(settings), version, zone_rules, sorted(set(handlers))], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:12]


def differences(published: Iterable[Published]) -> list[Difference]:
    """Return the differences among nodes of one partition: settings, version, zone rules, then handlers, by name."""
    nodes = sorted(published, key=lambda each: each.node)
    found = [
        _difference("setting", name, [(each.node, each.settings[name]) for each in nodes if name in each.settings])
        for name in sorted({name for each in nodes for name in each.settings})
    ]
    found.append(_difference("version", "version", [(each.node, each.version) for each in nodes if each.version]))
    editions = [(each.node, each.zone_rules) for each in nodes if each.zone_rules]
    found.append(_difference("zone_rules", "edition of time zone rules", editions))
    return [each for each in found if each is not None] + _handlers(nodes)


def _handlers(nodes: Sequence[Published]) -> list[Difference]:
    found = []
    for roles in sorted({each.roles for each in nodes}, key=sorted):
        alike = [each for each in nodes if each.roles == roles and each.handlers]
        for name in sorted(frozenset().union(*(each.handlers for each in alike))):
            values = [(each.node, KNOWN if name in each.handlers else MISSING) for each in alike]
            if (difference := _difference("handler", name, values)) is not None:
                found.append(difference)
    return found


def _difference(kind: Kind, name: str, values: Sequence[tuple[str, Any]]) -> Difference | None:
    by_value: dict[str, tuple[Any, list[str]]] = {}
    for node, value in values:
        by_value.setdefault(json.dumps(value, sort_keys=True), (value, []))[1].append(node)
    if len(by_value) < 2:
        return None
    # Sorting is stable: for equal numbers the first remains first.
    ordered = sorted(by_value.values(), key=lambda pair: -len(pair[1]))
    return Difference(kind, name, tuple((value, tuple(nodes)) for value, nodes in ordered))
