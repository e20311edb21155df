"""Commands for bulk operations on failed executions, which run in the background."""

from __future__ import annotations

import argparse
from time import sleep
from typing import Final

from timers_client.answers import Raw
from timers_client.ctl.output import show_one, show_rows, show_state
from timers_client.sync import TimersClient

_COLUMNS: Final = ("id", "verb", "state", "total", "done", "refused", "pace", "created_at", "created_by", "filter")
_EVERY: Final = 1.0
"""Seconds between two checks of the progress."""


def list_operations(arguments: argparse.Namespace, client: TimersClient) -> None:
    """List bulk operations, newest first."""
    show_rows(client.get_operations(state=arguments.state), _COLUMNS, as_json=arguments.json)


def show_operation(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Show one bulk operation with all its fields."""
    show_one(client.get_operation(arguments.operation), as_json=arguments.json)


def pause_operation(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Pause a bulk operation until it is resumed."""
    tell(client.pause_operation(arguments.operation, reason=arguments.reason), arguments)


def resume_operation(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Resume a bulk operation."""
    tell(client.resume_operation(arguments.operation), arguments)


def cancel_operation(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Cancel a bulk operation."""
    tell(client.cancel_operation(arguments.operation, reason=arguments.reason), arguments)


def set_pace(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Change the pace of a bulk operation."""
    tell(client.set_pace(arguments.operation, arguments.pace), arguments)


def follow(operation: Raw, arguments: argparse.Namespace, client: TimersClient) -> None:
    """Print the progress of a bulk operation, each time that it has changed, until it has ended."""
    tell(operation, arguments)
    while operation["ended_at"] is None:
        sleep(_EVERY)
        before, operation = operation, client.get_operation(operation["id"])
        if operation != before:
            tell(operation, arguments)


def tell(operation: Raw, arguments: argparse.Namespace) -> None:
    """Print the progress of a bulk operation."""
    come = f"{operation['done']} of {operation['total']} done, {operation['refused']} refused"
    pace = [] if operation["pace"] is None else [f"at most {operation['pace']:g} a second"]
    show_state(f"operation {operation['id']}", operation, come, *pace, as_json=arguments.json)
