"""Drift: in what the nodes of one partition differ that are meant to be alike, and which of them differ from most."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Literal

Kind = Literal["setting", "version", "zone_rules", "handler"]
KNOWN: Final = "known"
MISSING: Final = "missing"
"""The values of a handler."""


@dataclass(frozen=True, slots=True)
class Published:
    """What a node has published of its configuration when it started."""

    node: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Those that are to be the same everywhere. A node of an older version publishes none, or fewer: these are compared
    among the nodes that do."""
    version: str = ""
    """Of its code; empty: not compared."""
    zone_rules: str = ""
    """Edition of its time zone rules; empty: not compared."""
    handlers: frozenset[str] = frozenset()
    """Empty: it runs none, and is not compared."""
    roles: frozenset[str] = frozenset()
    """Nodes of different roles are meant to know different handlers."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not the same on all nodes."""

    kind: Kind
    name: str
    """Of the setting or the handler; the kind in words for the others."""
    values: tuple[tuple[Any, tuple[str, ...]], ...]
    """Each value with the nodes that have it: first the value that most have; of equal numbers, that of the node whose
    name comes first."""

    @property
    def odd(self) -> frozenset[str]:
        """The nodes that differ from the majority; of a handler, those that it is missing on."""
        if self.kind == "handler":
            return frozenset(node for value, nodes in self.values if value == MISSING for node in nodes)
        return frozenset(node for _, nodes in self.values[1:] for node in nodes)


def config_hash(settings: Mapping[str, Any], version: str, zone_rules: str, handlers: Collection[str]) -> str:
    """Return a short digest of a node's configuration: nodes that are alike have the same one."""
    text = json.dumps([dict(settings), version, zone_rules, sorted(set(handlers))], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:12]


def differences(published: Iterable[Published]) -> list[Difference]:
    """Return what differs among nodes of one partition: settings, version, zone rules, then handlers, by name."""
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
    # Sorting is stable: of equal numbers the first stays first.
    ordered = sorted(by_value.values(), key=lambda pair: -len(pair[1]))
    return Difference(kind, name, tuple((value, tuple(nodes)) for value, nodes in ordered))
