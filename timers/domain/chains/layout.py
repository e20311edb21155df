"""Layout of a picture: layers from the start downwards, columns within a layer.

A reduced form of Sugiyama's layered drawing: back edges are ignored, each step is one layer below the lowest step that
leads to it, and the order within a layer follows the steps above. Equal definitions have equal pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from timers.domain.chains.definition import Chain
from timers.domain.chains.steps import ForkStep, MapStep
from timers.domain.chains.steps.choice import ChoiceStep

_SWEEPS = 4


@dataclass(frozen=True, slots=True)
class Node:
    """A step in the picture."""

    name: str
    kind: str
    layer: int
    """Number from 0 at the top."""
    column: int
    """Number from 0 at the left."""


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge between two steps."""

    source: str
    target: str
    label: str
    is_regular: bool
    """Whether it is taken without an error."""
    is_back: bool
    """Whether it leads upwards."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Steps with their positions, and the edges between them."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @property
    def layers(self) -> int:
        """Number of layers."""
        return max(node.layer for node in self.nodes) + 1

    @property
    def columns(self) -> int:
        """Number of columns of the widest layer."""
        return max(node.column for node in self.nodes) + 1


def lay_out(chain: Chain) -> Layout:
    """Return the positions of all steps of a chain."""
    ways = {name: _ways(chain, name) for name in chain.steps}
    order, back = _walk(chain, {name: [target for target, _, _ in each] for name, each in ways.items()})
    layers = _layers(chain, order, ways, back)
    rows = _rows(order, layers, ways, back)
    columns = {name: column for row in rows for column, name in enumerate(row)}
    nodes = tuple(Node(name, chain.steps[name].kind, layers[name], columns[name]) for row in rows for name in row)
    edges = tuple(
        Edge(name, target, label, is_regular, layers[target] <= layers[name])
        for name in order
        for target, label, is_regular in ways[name]
    )
    return Layout(nodes, edges)


def _ways(chain: Chain, name: str) -> list[tuple[str, str, bool]]:
    """Return target, label and regularity of each edge; edges to the same step are merged."""
    step = chain.steps[name]
    found: dict[str, tuple[str, bool]] = {}
    for way in step.exits():
        # A fork leads to its join through its branches; the direct edge is left out.
        if isinstance(step, (ForkStep, MapStep)) and way.field == "join":
            continue
        label, is_regular = found.get(way.target, ("", False))
        both = label or way.label if not isinstance(step, ChoiceStep) or not label else f"{label}, {way.label}"
        found[way.target] = both, is_regular or way.is_regular
    return [(target, label, is_regular) for target, (label, is_regular) in found.items()]


def _walk(chain: Chain, targets: dict[str, list[str]]) -> tuple[list[str], set[tuple[str, str]]]:
    """Return all steps in topological order, and the back edges, which the order ignores."""
    done: list[str] = []
    state: dict[str, int] = {}
    back: set[tuple[str, str]] = set()
    for first in [chain.start, *([chain.finally_] if chain.finally_ else []), *chain.steps]:
        if first in state:
            continue
        state[first] = 1
        stack: list[tuple[str, Iterator[str]]] = [(first, iter(reversed(targets[first])))]
        while stack:
            name, rest = stack[-1]
            target = next(rest, None)
            if target is None:
                stack.pop()
                state[name] = 2
                done.append(name)
            elif target not in state:
                state[target] = 1
                stack.append((target, iter(reversed(targets[target]))))
            elif state[target] == 1:
                back.add((name, target))
    done.reverse()
    return done, back


def _layers(
    chain: Chain, order: list[str], ways: dict[str, list[tuple[str, str, bool]]], back: set[tuple[str, str]]
) -> dict[str, int]:
    layers = dict.fromkeys(order, 0)
    is_finally = {name for name, scope in chain.scopes.items() if scope.is_finally}
    for name in order:
        for target, _, _ in ways[name]:
            if (name, target) not in back:
                layers[target] = max(layers[target], layers[name] + 1)
    if is_finally:  # below all others
        lowest = max((layer for name, layer in layers.items() if name not in is_finally), default=-1) + 1
        for name in order:
            if name in is_finally:
                layers[name] += lowest
        for name in order:
            for target, _, _ in ways[name]:
                if name in is_finally and target not in is_finally:  # an end
                    layers[target] = max(layers[target], layers[name] + 1)
    return layers


def _rows(
    order: list[str], layers: dict[str, int], ways: dict[str, list[tuple[str, str, bool]]], back: set[tuple[str, str]]
) -> list[list[str]]:
    rows: list[list[str]] = [[] for _ in range(max(layers.values()) + 1)]
    for name in order:
        rows[layers[name]].append(name)
    above: dict[str, list[str]] = {name: [] for name in order}
    for name in order:
        for target, _, _ in ways[name]:
            if (name, target) not in back and layers[target] > layers[name]:
                above[target].append(name)
    place = {name: float(column) for row in rows for column, name in enumerate(row)}
    for _ in range(_SWEEPS):
        for row in rows[1:]:
            middle = {
                name: sum(place[each] for each in above[name]) / len(above[name]) if above[name] else place[name]
                for name in row
            }
            row.sort(key=lambda name: (middle[name], place[name]))
            for column, name in enumerate(row):
                place[name] = float(column)
    return rows
