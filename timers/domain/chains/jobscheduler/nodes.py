"""Nodes: states of a job chain and the transitions between them, each with a checked target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from timers.domain.chains.jobscheduler.notes import Notes
from timers.domain.chains.jobscheduler.values import ReturnCodes, read_return_codes, read_seconds
from timers.domain.chains.jobscheduler.xml_text import Element
from timers.domain.errors import ErrorCollector, nearest

NODES: Final = ("job_chain_node", "job_chain_node.end", "job_chain_node.job_chain", "file_order_sink")
_TAKEN: Final = {
    "job_chain_node": {"state", "job", "job_chain", "next_state", "error_state", "on_error", "delay", "action"},
    "job_chain_node.end": {"state"},
    "job_chain_node.job_chain": {"state", "job_chain", "next_state", "error_state", "on_error", "delay", "action"},
    "file_order_sink": {"state", "delay", "move_to", "remove"},
}
_ATTRIBUTES: Final = {"ordering": "", "suspend": 'has no counterpart here. Write on_error="suspend".'}
_ON_ERROR: Final = ("suspend", "setback")
_ACTIONS: Final = {"process": "active", "stop": "stopped", "next_state": "skipped"}
_ADD_ORDER: Final = "has no counterpart. Add the order from the handler, or run the chain as a step of the kind chain."


@dataclass(frozen=True, slots=True)
class Route:
    """State where an order continues for some return codes."""

    codes: ReturnCodes
    target: str
    element: Element


@dataclass(frozen=True, slots=True)
class Node:
    """One state of the chain."""

    state: str
    element: Element
    job: str = ""
    chain: str = ""
    next: str | None = None
    error: str | None = None
    on_error: str = ""
    delay: float = 0
    step_state: str = "active"
    """Value of its `action`: active, stopped or skipped."""
    routes: tuple[Route, ...] = ()

    @property
    def is_end(self) -> bool:
        """Whether an order ends at this state."""
        return not self.job and not self.chain

    @property
    def can_take_error_state(self) -> bool:
        """Whether a transition can lead to the error state: for a suspended order, only one by return code."""
        has_other_way = any(route.codes.is_any_error for route in self.routes)
        return self.on_error != "suspend" or (bool(self.routes) and not has_other_way)


def read_nodes(root: Element, notes: Notes) -> dict[str, Node]:
    """Return the nodes of a job chain by state, in file order. Raises one InvalidRequest for all errors."""
    mistakes = ErrorCollector()
    found: dict[str, Node] = {}
    for element in root.children:
        if element.name not in NODES:
            continue
        node = mistakes.check(partial(_read_node, element, notes))
        if node is None:
            continue
        if node.state in found:
            first = found[node.state].element
            what = f"is the state of two nodes (first on line {first.line}). Give each a state of its own."
            mistakes.add(element.error(f"{element.name}@state", what, given=node.state))
            continue
        found[node.state] = node
    if not found and not mistakes:
        mistakes.add(root.error("job_chain", "has no nodes. Add a <job_chain_node>."))
    mistakes.raise_if_any()  # a state that could not be read would be reported as missing below
    nodes = _followed(list(found.values()))
    for node in nodes:
        _check_ways(node, found, mistakes)
    mistakes.raise_if_any()
    return {node.state: node for node in nodes}


def subject_of(node: Node) -> str:
    """Return the name of the node in notes and errors."""
    return f"{node.element.name}[{node.state}]"


def _read_node(element: Element, notes: Notes) -> Node:
    state = element.attributes.get("state", "").strip()
    if not state:
        raise element.error(f"{element.name}@state", "is missing. Name the state.")
    subject = f"{element.name}[{state}]"
    notes.attributes(element, subject, _ATTRIBUTES, _TAKEN[element.name])
    notes.elements(element, subject, {"params": "has no counterpart."}, {"on_return_codes"})
    if element.name in ("job_chain_node.end", "file_order_sink"):
        if element.name == "file_order_sink":
            notes.add(element, subject, _sink_words(element))
        return Node(state, element)
    mistakes = ErrorCollector()
    given = element.attributes
    job, chain = given.get("job", "").strip(), given.get("job_chain", "").strip()
    if element.name == "job_chain_node.job_chain" and not chain:
        mistakes.add(element.error(f"{subject}@job_chain", "is missing. Name the chain."))
    on_error = given.get("on_error", "").strip()
    if on_error and on_error not in _ON_ERROR:
        mistakes.add(element.error(f"{subject}@on_error", "must be suspend or setback", given=on_error))
    action = given.get("action", "process").strip()
    if action not in _ACTIONS:
        mistakes.add(element.error(f"{subject}@action", f"must be one of {', '.join(_ACTIONS)}", given=action))
    delay = mistakes.check(lambda: read_seconds(element, subject, "delay"))
    routes = mistakes.check(lambda: _read_routes(element, subject, notes), ())
    mistakes.raise_if_any()
    return Node(
        state, element, job, "" if job else chain, given.get("next_state") or None, given.get("error_state") or None,
        on_error, delay or 0, _ACTIONS[action], routes,
    )  # fmt: skip


def _sink_words(element: Element) -> str:
    if target := element.attributes.get("move_to"):
        return f'becomes an end; nothing moves the file to "{target}". Let the last handler do it.'
    return "becomes an end; nothing removes the file. Let the last handler do it."


def _read_routes(element: Element, subject: str, notes: Notes) -> tuple[Route, ...]:
    routes: list[Route] = []
    mistakes = ErrorCollector()
    for each in (code for child in element.children if child.name == "on_return_codes" for code in child.children):
        if each.name != "on_return_code":
            notes.add(each, f"{subject}/{each.name}", "is not a known element and is ignored.")
            continue
        codes = mistakes.check(partial(read_return_codes, each, f"{subject}/on_return_code"))
        targets = [child for child in each.children if child.name == "to_state"]
        for child in each.children:
            if child.name == "add_order":
                notes.add(child, f"{subject}/on_return_code/add_order", _ADD_ORDER)
            elif child.name != "to_state":
                notes.add(child, f"{subject}/on_return_code/{child.name}", "is not a known element and is ignored.")
        if len(targets) > 1 or any(not target.attributes.get("state") for target in targets):
            mistakes.add(each.error(f"{subject}/on_return_code/to_state", "must be one element with one state"))
        elif targets and codes is not None:
            routes.append(Route(codes, targets[0].attributes["state"], targets[0]))
    mistakes.raise_if_any()
    return tuple(routes)


def _followed(nodes: Sequence[Node]) -> list[Node]:
    """Return the nodes; those without a next state get the one that follows them in the file."""
    following: list[str | None] = [*(node.state for node in nodes[1:]), None]
    return [
        node if node.is_end or node.next is not None else replace(node, next=after)
        for node, after in zip(nodes, following, strict=True)
    ]


def _check_ways(node: Node, known: dict[str, Node], mistakes: ErrorCollector) -> None:
    ways = [("@next_state", node.next, node.element), ("@error_state", node.error, node.element)]
    ways += [("/on_return_code/to_state@state", route.target, route.element) for route in node.routes]
    for name, target, element in ways:
        if target is not None and target not in known:
            near = nearest(target, known)
            hint = f'Did you mean "{near}"?' if near else f'Add <job_chain_node state="{target[:60]}"/>.'
            mistakes.add(element.error(subject_of(node) + name, f'"{target[:200]}" is no state of this chain. {hint}'))
