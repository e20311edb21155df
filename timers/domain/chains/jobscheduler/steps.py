"""Convert the nodes of a job chain to steps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from timers.domain.chains.jobscheduler.jobs import Job
from timers.domain.chains.jobscheduler.nodes import Node, subject_of
from timers.domain.chains.jobscheduler.notes import Notes

RETURN_CODE: Final = "return_code"
"""Key of a result that contains the return code."""
HandlerOf = Callable[[str], str]
"""Returns the handler of a job, by its name in the node."""
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_.:-]")


def handler_by_path(job: str, prefix: str = "") -> str:
    """Return the handler of a job: `/orders/fetch` becomes orders.fetch; with a prefix, fetch of that prefix."""
    parts = [part for part in job.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    words = [prefix.rstrip("."), parts[-1] if parts else job] if prefix.rstrip(".") else parts or [job]
    name = _NOT_IN_A_NAME.sub("_", ".".join(words))
    return name if name[:1].isalnum() or name[:1] == "_" else f"_{name[1:]}"


class Steps:
    """Builds the steps of nodes, and additional steps that they need, under names that no state has."""

    def __init__(self, nodes: Mapping[str, Node], jobs: Mapping[str, Job], handler_of: HandlerOf, notes: Notes) -> None:
        self._nodes = nodes
        self._jobs = jobs
        self._handler_of = handler_of
        self._notes = notes
        self._steps: dict[str, dict[str, Any]] = {}
        self._failed_ends: dict[str, str] = {}
        """By state: the end of orders that reach it by an error."""
        self.locks: dict[str, int] = {}
        self.owners: dict[str, Node] = {}
        """Node that each step was built from."""

    def make(self, states: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return the steps of these states, which are all reachable states."""
        reached = [self._nodes[state] for state in states]
        regular = {target for node in reached for target in _regular_targets(node)}
        self._only_by_error = {node.state for node in reached if node.is_end and node.state not in regular}
        if len(reached) == 1 or reached[0].is_end:
            self._only_by_error.discard(reached[0].state)
        for node in reached:
            if node.is_end:
                self._put(node.state, self._end(node.state in self._only_by_error), node)
            else:
                self._make_node(node)
        return self._steps

    def _make_node(self, node: Node) -> None:
        following = node.next or self._last_end(node)
        step: dict[str, Any] = self._sub_chain(node) if node.chain else self._action(node)
        routes = node.routes if node.job else ()
        step["next"] = self._free_name(f"{node.state}-{RETURN_CODE}") if routes else following
        if node.delay:
            step["delay"] = node.delay
        self._on_error(node, step)
        self._put(node.state, step, node)
        if routes:
            step["results"] = {_variable(step["next"]): f"/{RETURN_CODE}"}
            self._choice(node, step["next"], following)

    def _action(self, node: Node) -> dict[str, Any]:
        job = self._jobs.get(node.job, Job())
        step: dict[str, Any] = {"kind": "action", "action": {"handler": self._handler_of(node.job)}}
        if job.element is not None and job.element.attributes.get("title"):
            step["description"] = job.element.attributes["title"][:1000]
        if job.timeout is not None:
            step["timeout"] = job.timeout
        if job.tasks is not None:
            step["max_orders"] = job.tasks
        if job.locks:
            step["locks"] = list(job.locks)
            self.locks |= dict.fromkeys(job.locks, 1)
        return step

    def _sub_chain(self, node: Node) -> dict[str, Any]:
        name = node.chain.rstrip("/").rpartition("/")[2]
        what = f'the chain "{name}" must be imported into the same group too.'
        self._notes.add(node.element, f"{subject_of(node)}@job_chain", what)
        return {"kind": "chain", "chain": name}

    def _on_error(self, node: Node, step: dict[str, Any]) -> None:
        job = self._jobs.get(node.job, Job())
        retry = job.retry
        if node.error is None and not node.on_error:
            what = "is missing: an order that fails here is parked as failed, and can be resumed from this step."
            self._notes.add(node.element, f"{subject_of(node)}@error_state", what)
        if node.on_error == "suspend":
            step["on_error"] = "suspend"
        elif node.on_error == "setback":
            step["on_error"] = "retry"
            step["on_exhausted"] = self._after_error(node)
            if retry is not None:
                step["retry"] = retry
            else:
                what = (
                    f'the delay_order_after_setback of the job "{node.job or node.chain}" are not known: the default'
                    " retry policy applies. Put its *.job.xml next to the chain, or give the step a retry."
                )
                self._notes.add(node.element, f"{subject_of(node)}@on_error", what)
        else:
            step["on_error"] = self._after_error(node)
        if retry is not None and node.on_error != "setback" and job.element is not None:
            what = (
                f'is used where the job itself calls setback(). The step "{node.state}" does not retry: give it'
                " a retry, or let the handler raise Retry."
            )
            self._notes.add(job.element, "delay_order_after_setback", what)

    def _after_error(self, node: Node) -> Any:
        return "fail" if node.error is None else {"goto": self._error_end(node.error)}

    def _choice(self, node: Node, name: str, following: str) -> None:
        """Return the choice by return code: JobScheduler uses next_state for 0, error_state for all others."""
        code = _variable(name)
        # The return code is missing if the step was skipped.
        choices: list[dict[str, Any]] = [{"when": {code: {"exists": False}}, "next": following}]
        other = None
        for route in node.routes:
            target = route.target
            choices += [{"when": {code: each}, "next": target} for each in route.codes.conditions]
            other = target if route.codes.is_any_error and other is None else other
        choices.append({"when": {code: 0}, "next": following})
        if other is None:
            other = self._error_end(node.error) if node.error is not None else self._failed_end(node.state, node)
        self._put(name, {"kind": "choice", "choices": choices, "default": other}, node)
        what = (
            f'becomes the step "{name}", a choice. The handler must return an object with "{RETURN_CODE}"; what it'
            " raises follows on_error."
        )
        self._notes.add(node.element, f"{subject_of(node)}/on_return_codes", what)

    def _error_end(self, state: str) -> str:
        """Return the target of an error: the state, or a failed end if successful orders end there too."""
        node = self._nodes[state]
        if not node.is_end or state in self._only_by_error:
            return state
        return self._failed_end(state, node)

    def _failed_end(self, state: str, node: Node) -> str:
        if state not in self._failed_ends:
            self._failed_ends[state] = self._free_name(f"{state}-failed")
            self._put(self._failed_ends[state], self._end(True), node)
            if node.is_end:
                what = f'is reached with and without an error: failed orders end at the step "{state}-failed".'
                self._notes.add(node.element, subject_of(node), what)
        return self._failed_ends[state]

    def _last_end(self, node: Node) -> str:
        """Return the end after the last node, if the chain has none."""
        name = self._free_name("end")
        self._put(name, self._end(False), node)
        what = f'is missing, and no node follows: the end "{name}" is added.'
        self._notes.add(node.element, f"{subject_of(node)}@next_state", what)
        return name

    def _end(self, is_failed: bool) -> dict[str, Any]:
        return {"kind": "end", "outcome": "failed", "reason": "error state"} if is_failed else {"kind": "end"}

    def _free_name(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self._nodes or name in self._steps:
            number += 1
            name = f"{wanted}-{number}"
        return name

    def _put(self, name: str, step: dict[str, Any], node: Node) -> None:
        self._steps[name] = step
        self.owners[name] = node


def _variable(name: str) -> str:
    """Return the variable that contains the return code; without dots, which conditions read as a path."""
    return name.replace(".", "_")


def _regular_targets(node: Node) -> set[str]:
    targets = {route.target for route in node.routes}
    return targets | ({node.next} if node.next is not None else set())
