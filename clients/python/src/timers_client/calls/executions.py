"""Executions: read, retry, dismiss, cancel and replay them, one by one or by a filter in the background."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from timers_client.answers import Execution, Page, Raw
from timers_client.call import Call, encoded, path
from timers_client.calls.words import NOT_GIVEN, Overlap, page_of, payload_of, raw, raws, started


def get_executions(**filters: Any) -> Call[Page[Execution]]:
    """List executions, newest first.

    Filters: state (failed: those that wait for a person; default history: every attempt), group, timer, node, since,
    until, min_lateness, error_contains; `limit` is the size of a page.
    """
    return Call("GET", "/executions", page_of(Execution.of), query=filters)


def get_execution(execution: str) -> Call[Execution]:
    """Return one execution, with its payload and all its attempts in `raw`."""
    return Call("GET", path("executions", execution), Execution.of)


def retry(execution: str, *, payload: Any = NOT_GIVEN) -> Call[Execution]:
    """Retry a failed execution now, optionally with another payload."""
    return Call("POST", path("executions", execution, "retry"), Execution.of, payload_of(payload))


def dismiss(execution: str, *, reason: str = "") -> Call[Execution]:
    """Dismiss a failed execution: its final outcome is failed."""
    return Call("POST", path("executions", execution, "dismiss"), Execution.of, encoded({"reason": reason}))


def cancel_execution(execution: str, *, reason: str = "") -> Call[Execution]:
    """Cancel a waiting execution, or request that a claimed one stops."""
    return Call("POST", path("executions", execution, "cancel"), Execution.of, encoded({"reason": reason}))


def replay(execution: str, *, payload: Any = NOT_GIVEN, overlap: Overlap | None = None) -> Call[str]:
    """Run the action of an ended execution's timer again; return the new execution's id.

    `overlap`: overlap policy of this run while an execution of the timer has not ended; None: the timer's.
    """
    body = ({} if payload is NOT_GIVEN else {"payload": payload}) | ({} if overlap is None else {"overlap": overlap})
    return Call("POST", path("executions", execution, "replay"), started, encoded(body))


def failures(group: str | None = None) -> Call[list[Raw]]:
    """List the faults of failed executions that wait for a person."""
    return Call("GET", "/failures", raws, query={"group": group})


def start_operation(
    verb: Literal["retry", "dismiss"],
    filter: Mapping[str, Any],  # noqa: A002 - the word of the service
    *,
    pace: float | None = None,
    reason: str = "",
) -> Call[Raw]:
    """Retry or dismiss all failed executions that match a filter now, in the background.

    Args:
        verb: "retry" or "dismiss".
        filter: Conditions: group, timer, fingerprint, error_contains, failed_before, failed_after; or {"all": True}.
        pace: Maximum number of executions per second; None: no limit.
    """
    body = {"verb": verb, "filter": filter, "pace": pace, "reason": reason}
    return Call("POST", "/operations", raw, encoded(body))


def get_operations(**filters: Any) -> Call[Page[Raw]]:
    """List bulk operations, newest first. Filter: state."""
    return Call("GET", "/operations", page_of(raw), query=filters)


def get_operation(operation: int) -> Call[Raw]:
    """Return a bulk operation with its progress."""
    return Call("GET", path("operations", str(operation)), raw)


def set_pace(operation: int, pace: float | None) -> Call[Raw]:
    """Change the pace of a bulk operation, in executions per second; None: no limit."""
    return Call("PATCH", path("operations", str(operation)), raw, encoded({"pace": pace}))


def cancel_operation(operation: int, *, reason: str = "") -> Call[Raw]:
    """Cancel a bulk operation. What it has done already is kept."""
    return Call("POST", path("operations", str(operation), "cancel"), raw, encoded({"reason": reason}))


def pause_operation(operation: int, *, reason: str = "") -> Call[Raw]:
    """Pause a bulk operation until it is resumed."""
    return Call("POST", path("operations", str(operation), "pause"), raw, encoded({"reason": reason}))


def resume_operation(operation: int) -> Call[Raw]:
    """Resume a bulk operation."""
    return Call("POST", path("operations", str(operation), "resume"), raw)
