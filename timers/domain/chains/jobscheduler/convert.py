"""Convert a job chain of SOS JobScheduler 1.x to a definition, and list what has no counterpart."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from timers.domain.chains.jobscheduler.jobs import Job, read_job
from timers.domain.chains.jobscheduler.nodes import NODES, Node, read_nodes, subject_of
from timers.domain.chains.jobscheduler.notes import Note, Notes
from timers.domain.chains.jobscheduler.steps import HandlerOf, Steps
from timers.domain.chains.jobscheduler.values import read_flag, read_whole
from timers.domain.chains.jobscheduler.xml_text import Element, Source, read_xml
from timers.domain.chains.parse import parse_chain
from timers.domain.errors import ErrorCollector
from timers.exceptions import FieldProblem, InvalidRequest

LoadJob = Callable[[str], Source | None]
"""Loads the `*.job.xml` of a job, by its name in the node; returns None if there is none next to the chain."""
_TAKEN: Final = {"name", "title", "distributed", "orders_recoverable", "max_orders"}
_ATTRIBUTES: Final = {
    "process_class": "has no counterpart. Give the steps required_roles, and the nodes these roles.",
    "file_watching_process_class": "has no counterpart.",
    "visible": "",
    "replace": "",
}
_SOURCE: Final = (
    "has no counterpart: nothing watches a folder. Let a timer look for files and add an order for each of them."
)
_SOURCE_TAKEN: Final = {
    "directory", "regex", "next_state", "repeat", "max", "delay_after_error", "alert_when_directory_missing",
    "remote_scheduler",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Converted:
    """Result of converting a job chain."""

    name: str
    definition: dict[str, Any]
    notes: tuple[Note, ...]
    handlers: Mapping[str, str]
    """Handler of each job that the chain uses."""
    step_states: Mapping[str, str]
    """Steps to stop or skip."""


def convert(source: Source, *, name: str, handler_of: HandlerOf, load_job: LoadJob = lambda _: None) -> Converted:
    """Convert a job chain.

    Args:
        source: The `*.job_chain.xml`.
        name: Name of the chain if the file has none: JobScheduler takes it from the file name.
        handler_of: Returns the handler of a job; raises InvalidRequest for a job without one.
        load_job: Returns the `*.job.xml` of a job.

    Returns:
        A definition that parse_chain accepts, and notes for review.

    Raises:
        InvalidRequest: Everything that cannot be converted, each problem with its file and line.
    """
    root = read_xml(source)
    if root.name != "job_chain":
        raise root.error(root.name, "must be <job_chain>. Give a *.job_chain.xml.")
    notes = Notes()
    notes.attributes(root, "job_chain", _ATTRIBUTES, _TAKEN)
    notes.elements(root, "job_chain", {"params": "has no counterpart."}, {*NODES, "file_order_source"})
    mistakes = ErrorCollector()
    mistakes.check(lambda: _note_chain(root, notes))
    nodes = mistakes.check(lambda: read_nodes(root, notes), {})
    start: str = mistakes.check(lambda: _start(root, nodes, notes), "") if nodes else ""
    jobs = _read_jobs(nodes, load_job, notes, mistakes)
    handlers = _handlers(nodes, handler_of, notes, mistakes)
    mistakes.raise_if_any()
    states = _reached(start, nodes)
    for node in nodes.values():
        if node.state not in states:
            notes.add(node.element, subject_of(node), "is left out: nothing leads there.")
    made = Steps(nodes, jobs, handlers.__getitem__, notes)
    steps = made.make(states)
    definition: dict[str, Any] = {"start": start}
    if title := root.attributes.get("title"):
        definition["description"] = title[:1000]
    if made.locks:
        definition["locks"] = made.locks
    definition["steps"] = steps
    _check(definition, made.owners, root)
    step_states = {state: nodes[state].step_state for state in states if nodes[state].step_state != "active"}
    used = {nodes[state].job: handlers[nodes[state].job] for state in states if nodes[state].job}
    return Converted(root.attributes.get("name") or name, definition, notes.sorted(), used, step_states)


def _note_chain(root: Element, notes: Notes) -> None:
    if not read_flag(root, "job_chain", "distributed", True):
        what = "no is not taken: any node may run any step. Give the group the placement lead to keep them on one node."
        notes.add(root, "job_chain@distributed", what)
    if not read_flag(root, "job_chain", "orders_recoverable", True):
        notes.add(root, "job_chain@orders_recoverable", "no is not taken: orders always survive a restart.")
    most = read_whole(root, "job_chain", "max_orders")
    if most:
        what = (
            f"{most:,} has no counterpart for a whole chain. Give max_orders to its steps, or max_concurrency to the"
            " group."
        )
        notes.add(root, "job_chain@max_orders", what)


def _start(root: Element, nodes: Mapping[str, Node], notes: Notes) -> str:
    """Return the state at which orders begin: that of the file sources if there are any, otherwise the first."""
    begun: list[str] = []
    for element in root.children:
        if element.name != "file_order_source":
            continue
        subject = f"file_order_source[{element.attributes.get('directory', '')}]"
        notes.attributes(element, subject, {}, _SOURCE_TAKEN)
        notes.add(element, subject, _SOURCE)
        begin = element.attributes.get("next_state")
        if begin is not None and begin not in nodes:
            raise element.error(f"{subject}@next_state", f'"{begin[:200]}" is no state of this chain. Name one of it.')
        if begin is not None:
            begun.append(begin)
    first = next(iter(nodes))
    if not begun or set(begun) == {first}:
        return first
    start = begun[0]
    what = f'orders begin at "{start}", not at the first node. Move those that begin elsewhere after adding them.'
    notes.add(root, "file_order_source@next_state", what)
    return start


def _read_jobs(nodes: Mapping[str, Node], load_job: LoadJob, notes: Notes, mistakes: ErrorCollector) -> dict[str, Job]:
    jobs: dict[str, Job] = {}
    for name in dict.fromkeys(node.job for node in nodes.values() if node.job):
        try:
            source = load_job(name)
            if source is not None:
                jobs[name] = read_job(source, notes)
        except InvalidRequest as error:
            mistakes.add(error)
    return jobs


def _handlers(
    nodes: Mapping[str, Node], handler_of: HandlerOf, notes: Notes, mistakes: ErrorCollector
) -> dict[str, str]:
    handlers: dict[str, str] = {}
    first: dict[str, str] = {}
    for node in nodes.values():
        if node.job and node.job not in handlers:
            try:
                handler = handlers[node.job] = handler_of(node.job)
                if first.setdefault(handler, node.job) != node.job:
                    what = f'calls "{handler}" as the job {first[handler]} does. Map one of them to another handler.'
                    notes.add(node.element, f"{subject_of(node)}@job", what)
            except InvalidRequest as error:
                subject = f"{subject_of(node)}@job"
                mistakes.add(
                    InvalidRequest.combined(node.element.error(subject, each.message) for each in error.problems)
                )
    return handlers


def _reached(start: str, nodes: Mapping[str, Node]) -> list[str]:
    """Return the states that orders can reach, in the order of the file."""
    found = {start}
    to_do = deque(found)
    while to_do:
        node = nodes[to_do.popleft()]
        error = node.error if node.can_take_error_state else None
        for target in (node.next, error, *(route.target for route in node.routes)):
            if target is not None and target not in found:
                found.add(target)
                to_do.append(target)
    return [state for state in nodes if state in found]


def _check(definition: Mapping[str, Any], owners: Mapping[str, Node], root: Element) -> None:
    """Raise the errors of parse_chain, with the lines of the nodes that the steps were built from."""
    try:
        parse_chain(definition)
    except InvalidRequest as error:
        raise InvalidRequest.combined(_placed(each, owners, root) for each in error.problems) from None


def _placed(problem: FieldProblem, owners: Mapping[str, Node], root: Element) -> InvalidRequest:
    within = [name for name in owners if f"{problem.field}.".startswith(f"steps.{name}.")]
    if not within:
        return root.error(problem.field, problem.message)
    return owners[max(within, key=len)].element.error(problem.field, problem.message)
