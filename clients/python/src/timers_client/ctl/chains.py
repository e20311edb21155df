"""Commands for job chains and their steps."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, Final

from timers_client.answers import Raw
from timers_client.ctl.output import show_json, show_one, show_rows, show_state
from timers_client.sync import TimersClient

_CHAIN: Final = ("name", "state", "version", "orders", "stopped_steps", "skipped_steps", "updated_by")
_STEP: Final = ("name", "state", "words", "orders", "p50", "p95", "state_reason")


def list_chains(arguments: argparse.Namespace, client: TimersClient) -> None:
    """List the chains of a group."""
    rows = client.get_chains(arguments.group)
    show_rows(rows if arguments.json else map(_in_a_line, rows), _CHAIN, as_json=arguments.json)


def show_chain(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Show one chain: its state, its steps, and the definition as JSON."""
    if arguments.json:
        show_json(client.get_chain(arguments.group, arguments.name))
        return
    show_one(_in_a_line(client.get_chain(arguments.group, arguments.name)), as_json=False)


def list_steps(arguments: argparse.Namespace, client: TimersClient) -> None:
    """List the steps of a chain."""
    rows = client.get_steps(arguments.group, arguments.name)
    if arguments.json:
        show_rows(rows, _STEP, as_json=True)
        return
    show_rows([_step_in_a_line(row) for row in rows], _STEP, as_json=False)


def show_picture(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Print the picture of a chain."""
    picture = client.get_picture(arguments.group, arguments.name, version=arguments.version)
    if arguments.json:
        show_json(picture)
    else:
        print(picture["svg"] if arguments.svg else picture["text"])


def create_chain(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Create a chain."""
    _tell_chain(client.create_chain(arguments.group, arguments.name, arguments.definition), arguments)


def update_chain(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Create a new version of a chain."""
    changed = client.update_chain(arguments.group, arguments.name, arguments.definition, version=arguments.version)
    _tell_chain(changed, arguments)


def compare_versions(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Show what changed between two versions."""
    told = client.compare_versions(arguments.group, arguments.name, arguments.before, arguments.after)
    if arguments.json:
        show_json(told)
        return
    for change in told["changes"]:
        print(change["words"])


def delete_chain(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Delete a chain."""
    client.delete_chain(arguments.group, arguments.name)


def stop_chain(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Stop a chain, or one step of it."""
    _set(arguments, client.stop_step, client.stop_chain)


def start_chain(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Start a stopped chain."""
    _tell_chain(client.start_chain(arguments.group, arguments.name, reason=arguments.reason), arguments)


def skip_step(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Skip a step."""
    _set(arguments, client.skip_step)


def activate_step(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Run a step again."""
    _set(arguments, client.activate_step)


def _set(arguments: argparse.Namespace, of_step: Any, of_chain: Any = None) -> None:
    if arguments.step is None:
        _tell_chain(of_chain(arguments.group, arguments.name, reason=arguments.reason), arguments)
        return
    step = of_step(arguments.group, arguments.name, arguments.step, reason=arguments.reason)
    show_state(f"{arguments.group}/{arguments.name}/{step['name']}", step, as_json=arguments.json)


def _tell_chain(chain: Raw, arguments: argparse.Namespace) -> None:
    show_state(f"{chain['group']}/{chain['name']}", chain, f"version {chain['version']}", as_json=arguments.json)


def _in_a_line(chain: Mapping[str, Any]) -> dict[str, Any]:
    told = dict(chain)
    told["orders"] = _counted(chain["orders"])
    for each in ("stopped_steps", "skipped_steps"):
        told[each] = ", ".join(chain[each])
    return told


def _step_in_a_line(step: Mapping[str, Any]) -> dict[str, Any]:
    duration = step["duration"] or {"p50": "", "p95": ""}
    return {**step, "orders": _counted(step["orders"]), "p50": duration["p50"], "p95": duration["p95"]}


def _counted(orders: Mapping[str, Any]) -> str:
    """Format the number of orders, in total and by state."""
    states = ", ".join(f"{count} {state}" for state, count in orders["states"].items())
    return f"{orders['total']}{'+' if orders['at_least'] else ''}{f' ({states})' if states else ''}"
