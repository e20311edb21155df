"""Pictures of a chain: as text for a terminal, and as data for a page; svg.py draws the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from timers.domain.chains.definition import Chain, Scope
from timers.domain.chains.layout import Edge, Layout, Node, lay_out
from timers.domain.chains.order import ALL_ACTIVE, StepStates
from timers.domain.chains.steps import ActionStep, Step, SubChainStep

WIDTH: Final = 180
HEIGHT: Final = 44
GAP: Final = 40


def picture_text(chain: Chain) -> str:
    """Return the steps from the start downwards, each with its exits; branches are indented."""
    lines = []
    for node in lay_out(chain).nodes:
        step = chain.steps[node.name]
        indent = "    " * _depth(chain, node.name)
        lines.append(f"{indent}{node.name} ({step_in_words(step)})")
        lines += [f"{indent}  {way.label + ' ' if way.label else ''}→ {way.target}" for way in step.exits()]
    return "\n".join(lines)


def picture_data(
    chain: Chain, states: StepStates = ALL_ACTIVE, counts: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Return the picture as JSON: nodes and edges, with positions in pixels.

    Args:
        chain: The definition.
        states: Stopped and skipped steps.
        counts: Number of orders at each step.
    """
    layout = lay_out(chain)
    corners = _corners(layout)
    nodes = {node.name: node for node in layout.nodes}
    return {
        "width": layout.columns * (WIDTH + GAP) + GAP,
        "height": layout.layers * (HEIGHT + GAP) + GAP,
        "nodes": [
            {
                "name": name, "kind": node.kind, "layer": node.layer, "column": node.column, "x": corners[name][0],
                "y": corners[name][1], "width": WIDTH, "height": HEIGHT, "words": step_in_words(chain.steps[name]),
                "state": _state(name, states), "orders": (counts or {}).get(name, 0),
            }
            for name, node in nodes.items()
        ],
        "edges": [
            {
                "source": edge.source, "target": edge.target, "label": edge.label, "is_error": not edge.is_regular,
                "is_back": edge.is_back,
                "path": _path(corners[edge.source], corners[edge.target], _layers_down(nodes, edge)),
            }
            for edge in layout.edges
        ],
    }  # fmt: skip


def step_in_words(step: Step) -> str:
    """Describe the kind of a step and what it runs."""
    if isinstance(step, ActionStep):
        called = step.action.get("handler") or step.action.get("name") or step.action.get("url")
        return f"{step.action.get('kind', 'python')} {called}" if isinstance(called, str) else str(step.kind)
    return f"chain {step.chain}" if isinstance(step, SubChainStep) else step.kind


def _corners(layout: Layout) -> dict[str, tuple[int, int]]:
    """Return left and top of each box; narrow layers are centred."""
    widths = Counter(node.layer for node in layout.nodes)

    def corner(node: Node) -> tuple[int, int]:
        left = (layout.columns - widths[node.layer]) * (WIDTH + GAP) // 2
        return GAP + left + node.column * (WIDTH + GAP), GAP + node.layer * (HEIGHT + GAP)

    return {node.name: corner(node) for node in layout.nodes}


def _layers_down(nodes: Mapping[str, Node], edge: Edge) -> int:
    return nodes[edge.target].layer - nodes[edge.source].layer


def _path(source: tuple[int, int], target: tuple[int, int], down: int) -> str:
    """Return the curve from the bottom of a box to the top of another, `down` layers below."""
    x1, y1, x2, y2 = source[0] + WIDTH // 2, source[1] + HEIGHT, target[0] + WIDTH // 2, target[1]
    if down == 1:
        return f"M{x1} {y1} C{x1} {y1 + GAP // 2} {x2} {y2 - GAP // 2} {x2} {y2}"
    # Around the boxes between them: downwards on the right, back on the left.
    aside = WIDTH // 2 + GAP // 2
    x = max(x1, x2) + aside if down > 1 else min(x1, x2) - aside
    return f"M{x1} {y1} C{x} {y1 + GAP} {x} {y2 - GAP} {x2} {y2}"


def _depth(chain: Chain, name: str) -> int:
    depth, scope = 0, chain.scopes.get(name, Scope())
    while scope.fork is not None:
        depth, scope = depth + 1, chain.scopes[scope.fork]
    return depth


def _state(name: str, states: StepStates) -> str:
    if name in states.skipped:
        return "skipped"
    return "stopped" if states.is_chain_stopped or name in states.stopped else "active"
