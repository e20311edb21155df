"""Commands for nodes, partitions and the whole cluster."""

from __future__ import annotations

import argparse
from typing import Final

from timers_client.answers import Raw
from timers_client.ctl.output import show_changed, show_json, show_one, show_rows, show_state
from timers_client.sync import TimersClient

_NODE: Final = (
    "id",
    "name",
    "state",
    "phi",
    "wish",
    "partition",
    "mode",
    "host",
    "busy",
    "slots",
    "version",
    "config_hash",
)


def list_nodes(arguments: argparse.Namespace, client: TimersClient) -> None:
    """List the live nodes and those that ended recently."""
    show_rows(client.get_nodes(), _NODE, as_json=arguments.json)


def show_node(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Show one node with all its fields."""
    show_one(client.get_node(arguments.node), as_json=arguments.json)


def drain_node(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Drain a node: it takes no new work."""
    _show_node(client.drain_node(arguments.node, reason=arguments.reason), "asked to drain", arguments)


def activate_node(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Let a drained node take work again."""
    _show_node(client.activate_node(arguments.node, reason=arguments.reason), "asked to take work again", arguments)


def stop_node(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Drain a node and end its process."""
    _show_node(client.stop_node(arguments.node, reason=arguments.reason), "asked to stop", arguments)


def forget_node(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Remove a node that has ended."""
    _show_node(client.forget_node(arguments.node, reason=arguments.reason), "forgotten", arguments)


def show_cluster(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Show an overview of the cluster."""
    answer = client.get_cluster()
    if not arguments.json:
        answer = {**answer, "concerns": [each["text"] for each in answer["concerns"]]}
    show_one(answer, as_json=arguments.json)


def pause_cluster(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Pause the cluster: nothing starts."""
    _show_pause("cluster", "paused", client.pause_cluster(reason=arguments.reason), arguments)


def resume_cluster(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Resume the cluster."""
    _show_pause("cluster", "resumed", client.resume_cluster(reason=arguments.reason), arguments)


def pause_partition(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Pause a partition: nothing of its groups starts."""
    answer = client.pause_partition(arguments.partition, reason=arguments.reason)
    _show_pause(f"partition {arguments.partition}", "paused", answer, arguments)


def resume_partition(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Resume a partition."""
    answer = client.resume_partition(arguments.partition, reason=arguments.reason)
    _show_pause(f"partition {arguments.partition}", "resumed", answer, arguments)


def _show_node(node: Raw, done: str, arguments: argparse.Namespace) -> None:
    show_state(f"node {node['name']}", node, done, as_json=arguments.json)


def _show_pause(name: str, state: str, answer: Raw, arguments: argparse.Namespace) -> None:
    if arguments.json:
        show_json(answer)
        return
    show_changed(name, {"state": state, "in_flight": answer.get("in_flight", ())}, as_json=False)
