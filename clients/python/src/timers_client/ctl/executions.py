"""Commands for executions: show one, list failed ones, retry and dismiss them."""

from __future__ import annotations

import argparse
from typing import Any, Final, Literal

from timers_client.answers import Execution
from timers_client.ctl.operations import follow, tell
from timers_client.ctl.output import show_one, show_rows, show_state, with_cause
from timers_client.errors import TimersError
from timers_client.sync import TimersClient

_FAILED: Final = ("id", "group", "timer", "attempt", "scheduled_for", "error")
_FAULT: Final = ("count", "fingerprint", "groups", "newest", "example", "title")
_CONDITIONS: Final = ("group", "timer", "fingerprint", "error_contains", "failed_before", "failed_after")


def execution(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Show one execution."""
    show_one(client.get_execution(arguments.execution).raw, as_json=arguments.json)


def failed(arguments: argparse.Namespace, client: TimersClient) -> None:
    """List failed executions, or their faults."""
    if arguments.by_fault:
        show_rows(client.failures(arguments.group), _FAULT, as_json=arguments.json)
        return
    found = client.get_executions(state="failed", group=arguments.group, limit=200)
    rows = (each.raw for each in found)
    show_rows(rows if arguments.json else map(with_cause, rows), _FAILED, as_json=arguments.json)


def retry(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Retry failed executions."""
    payload = {"payload": arguments.payload} if hasattr(arguments, "payload") else {}
    if payload and len(arguments.executions) != 1:
        raise TimersError("another payload is for one execution: give its id")
    if _are_named(arguments):
        for each in arguments.executions:
            _tell(client.retry(each, **payload), arguments)
    else:
        _start(arguments, client, "retry")


def dismiss(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Dismiss failed executions."""
    if _are_named(arguments):
        for each in arguments.executions:
            _tell(client.dismiss(each, reason=arguments.reason), arguments)
    else:
        _start(arguments, client, "dismiss", reason=arguments.reason)


def _are_named(arguments: argparse.Namespace) -> bool:
    """Whether executions are given by ids instead of conditions. Raises TimersError for neither or both."""
    is_conditional = arguments.all or bool(_conditions(arguments))
    if bool(arguments.executions) == is_conditional:
        raise TimersError("name executions by their ids, or by conditions such as --group, or all of them by --all")
    if arguments.all and _conditions(arguments):
        raise TimersError("--all leaves no room for other conditions")
    if arguments.wait and not is_conditional:
        raise TimersError("--wait is for what is done in the background: name conditions, or --all")
    return not is_conditional


def _start(arguments: argparse.Namespace, client: TimersClient, verb: Literal["retry", "dismiss"], **more: Any) -> None:
    conditions = {"all": True} if arguments.all else _conditions(arguments)
    operation = client.start_operation(verb, conditions, pace=arguments.pace, **more)
    if arguments.wait:
        follow(operation, arguments, client)
    else:
        tell(operation, arguments)


def _tell(execution: Execution, arguments: argparse.Namespace) -> None:
    show_state(execution.id, execution.raw, as_json=arguments.json)


def _conditions(arguments: argparse.Namespace) -> dict[str, Any]:
    given = {name: getattr(arguments, name) for name in _CONDITIONS}
    # An empty fingerprint has a meaning: executions that failed without an error.
    return {name: value for name, value in given.items() if value is not None}
